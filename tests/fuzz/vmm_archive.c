/*
 * libFuzzer target: the lab's archive. The input says which files and folders are added; what was
 * written is walked entry by entry as cpio(5) describes it: magic, numbers within the archive, names
 * that end, alignment, one trailer. The last file added is there with its contents.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mman.h>
#include <unistd.h>
#include "lab/archive.h"

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

static unsigned long number(const uint8_t *header, unsigned int nr)
{
	char digits[9] = {0};

	memcpy(digits, header + 6 + 8 * nr, 8);
	return strtoul(digits, NULL, 16);
}

/** Walk the archive; returns how many entries have the name and the contents. */
static unsigned int find(const uint8_t *a, size_t size, const char *path, const void *data,
			 size_t len)
{
	unsigned int hits = 0;
	size_t at = 0;

	while (*path == '/')
		path++;
	for (;;) {
		unsigned long file, name;

		MUST(size - at >= 110 && !memcmp(a + at, "070701", 6));
		file = number(a + at, 6);
		name = number(a + at, 11);
		MUST(name && name <= size - at - 110 && !a[at + 110 + name - 1]);
		MUST(strlen((const char *)a + at + 110) == name - 1);
		if (!strcmp((const char *)a + at + 110, "TRAILER!!!"))
			return hits;
		if (!strcmp((const char *)a + at + 110, path)) {
			size_t body = (at + 110 + name + 3) & ~3ul;

			MUST(file <= size - body);
			hits += file == len && !memcmp(a + body, data, len);
		}
		at = (((at + 110 + name + 3) & ~3ul) + file + 3) & ~3ul;
		MUST(at <= size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static char base[32];
	static int fd = -1;
	char path[64], kept[64] = "";
	const uint8_t *data = NULL;
	size_t last = 0;
	struct archive a;
	struct stat st;
	uint8_t *all;

	if (fd < 0) {
		fd = memfd_create("base", 0);
		snprintf(base, sizeof(base), "/proc/self/fd/%d", fd);
	}
	MUST(!archive_open(&a, base));
	while (len > 4) {
		size_t name = 1 + bytes[0] % 40, body = bytes[1] | (bytes[2] & 3) << 8;
		uint8_t kind = bytes[3];

		bytes += 4;
		len -= 4;
		if (name > len)
			name = len;
		path[0] = '/';
		for (size_t i = 0; i < name; i++)
			path[1 + i] = "abcdefgh/._-0123"[bytes[i] & 15];
		path[1 + name] = 'z';
		path[2 + name] = 0;
		bytes += name;
		len -= name;
		if (body > len)
			body = len;
		if (kind & 1) {
			archive_add_folder(&a, path);
		} else {
			archive_add(&a, path, kind, bytes, body);
			data = bytes;
			last = body;
			strcpy(kept, path);
		}
		bytes += body;
		len -= body;
	}
	MUST(!archive_finish(&a) && !fstat(a.fd, &st) && (uint64_t)st.st_size == a.size);
	all = malloc((size_t)st.st_size);
	MUST(all && pread(a.fd, all, (size_t)st.st_size, 0) == st.st_size);
	MUST(!data || find(all, (size_t)st.st_size, kept, data, last));
	MUST(!find(all, (size_t)st.st_size, "/never/added", "", 0));
	free(all);
	archive_close(&a);
	return 0;
}
