/* The initrd: finding files, and archives that are not what they say. */
#include "kernel/boot_info.h"
#include "fs/initrd.h"
#include "fs/file.h"
#include "tests/tests.h"

#define MEM "memory=16M,high=4M"

struct archive {
	char buf[2048];
	size_t len;
};

static void add_entry(struct archive *a, const char *name, u32 mode, const char *data, u32 size)
{
	a->len += ksnprintf(a->buf + a->len, sizeof(a->buf) - a->len,
			    "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s", 1, mode,
			    0, 0, 1, 0, size, 0, 0, 0, 0, (u32)strlen(name) + 1, 0, name) +
		  1;
	while (a->len % 4)
		a->buf[a->len++] = '\0';
	memcpy(a->buf + a->len, data, size);
	a->len += size;
	while (a->len % 4)
		a->buf[a->len++] = '\0';
}

static struct archive *new_archive(void)
{
	static struct archive a;

	memset(&a, 0, sizeof(a));
	add_entry(&a, "bin", 040755, "", 0);
	add_entry(&a, "bin/one", 0100755, "1", 1);
	add_entry(&a, "./bin/second", 0100644, "two two", 7);
	add_entry(&a, "empty", 0100644, "", 0);
	add_entry(&a, "TRAILER!!!", 0, "", 0);
	return &a;
}

static int find(const struct archive *a, const char *path, const void **data, size_t *len)
{
	return cpio_find(a->buf, a->len, path, data, len);
}

GUEST_TEST(initrd, files_are_found_by_any_form_of_their_name, 0, 0, MEM)
{
	static const char *const names[] = {"bin/second", "/bin/second", "./bin/second",
					    "/./bin/second"};
	struct archive *a = new_archive();
	const void *data;
	size_t len;

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		CHECK_EQ(find(a, names[i], &data, &len), 0);
		CHECK_EQ(len, 7);
		CHECK(!memcmp(data, "two two", 7));
	}
	CHECK_EQ(find(a, "bin/one", &data, &len), 0);
	CHECK_EQ(len, 1);
	CHECK_EQ(find(a, "empty", &data, &len), 0);
	CHECK_EQ(len, 0);
	CHECK_EQ(find(a, "bin", &data, &len), -EISDIR);
	CHECK_EQ(find(a, "bin/sec", &data, &len), -ENOENT);
	CHECK_EQ(find(a, "bin/second/", &data, &len), -ENOENT);
	CHECK_EQ(find(a, "", &data, &len), -ENOENT);
}

GUEST_TEST(initrd, cut_short_at_any_byte_is_refused, 0, 0, MEM)
{
	struct archive *a = new_archive();
	size_t whole = a->len;
	const void *data;
	size_t len;

	for (a->len = 0; a->len < whole; a->len++) {
		/* "empty" comes last: it is found whole, or the archive ends before. */
		int err = find(a, "empty", &data, &len);

		CHECK(err == -EINVAL || (!err && (const char *)data <= a->buf + a->len));
		CHECK_EQ(find(a, "nothing", &data, &len), -EINVAL);
	}
}

GUEST_TEST(initrd, damaged_numbers_stay_inside_the_archive, 0, 0, MEM)
{
	/* Offsets of mode, size and name length in the header of the second entry. */
	static const unsigned int field[] = {14, 54, 94};
	static const char *const value[] = {"ffffffff", "7fffffff", "00000000",
					    "0000000g", "-0000001", "00010000"};
	const void *data;
	size_t len;

	for (unsigned int f = 0; f < ARRAY_SIZE(field); f++) {
		for (unsigned int v = 0; v < ARRAY_SIZE(value); v++) {
			struct archive *a = new_archive();
			char *second = a->buf + 116; /* header, "bin", NUL, padding */
			int err;

			REQUIRE(!memcmp(second, "070701", 6));
			memcpy(second + field[f], value[v], 8);
			err = find(a, "bin/one", &data, &len);
			CHECK(err == -EINVAL || err == -ENOENT || err == -EISDIR || err == 0);
			if (!err)
				CHECK((const char *)data >= a->buf &&
				      (const char *)data + len <= a->buf + a->len);
		}
	}
}

GUEST_TEST(initrd, programs_are_there, MMVM_TESTF_USER, 0, MEM)
{
	char head[4];
	struct file *f;

	REQUIRE(!vfs_open(AT_FDCWD, "/bin/hello", O_RDONLY, 0, &f));
	CHECK(f->inode->i_data.size > 500);
	CHECK_EQ(f->inode->mode, S_IFREG | 0755);
	CHECK_EQ(kernel_file_read(f->mapping, head, 4, 0), 4);
	CHECK(!memcmp(head, "\177ELF", 4));
	file_put(f);
	CHECK_EQ(vfs_open(AT_FDCWD, "/bin/nothing", O_RDONLY, 0, &f), -ENOENT);
	CHECK_EQ(boot_info.initrd_start, 0); /* its memory has been given back */
}
