/*
 * libFuzzer target: a newc archive from an untrusted source, as the guest reads it (guestmm/fs/initrd.c).
 * Each entry must lie within the archive, each name must end, and the reader must advance. A file that is
 * found must have the bytes of an entry of that name.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../../guestmm/fs/initrd.c"

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t len)
{
	/* A copy of the exact size: a byte too far is seen. */
	u8 *image = malloc(len ? len : 1);
	struct cpio_entry e;
	size_t pos = 0, before = 0;
	char first[64] = "";

	MUST(image);
	memcpy(image, bytes, len);
	while (!cpio_next(image, len, &pos, &e)) {
		const char *name = cpio_plain_name(e.name);
		u32 sum = 0;

		MUST(pos > before);
		before = pos;
		MUST((const u8 *)e.name >= image &&
		     (const u8 *)e.name + strlen(e.name) < image + len);
		MUST(e.data >= image && e.size <= len && e.data <= image + (len - e.size));
		for (u32 i = 0; i < e.size; i++)
			sum += e.data[i];
		__asm__ volatile("" : : "r"(sum));
		if (!first[0] && (e.mode & S_IFMT) == S_IFREG && strlen(name) < sizeof(first))
			strcpy(first, name);
		if (!strcmp(e.name, "TRAILER!!!"))
			break;
	}
	if (first[0]) {
		const void *data;
		size_t size;
		int err = cpio_find(image, len, first, &data, &size);

		if (!err)
			MUST((const u8 *)data >= image && size <= len &&
			     (const u8 *)data <= image + (len - size));
		else
			MUST(err == -EISDIR || err == -ENOENT || err == -EINVAL);
	}
	free(image);
	return 0;
}
