/*
 * Files behind disks.
 *
 * Without a path, a file that never has a name (O_TMPFILE, or unlinked at once), sparse, in
 * $TMPDIR, /var/tmp or /tmp: nothing is left behind whatever happens to us. With a path, the user's
 * file: locked, so that two machines do not write one disk, and never formatted over something that
 * is not empty.
 *
 * The swap header is mkswap's (version 1, "SWAPSPACE2"):
 *
 *   0      boot bits    1024  version, last page, bad pages    1036  uuid    1052  label
 *   4086   SWAPSPACE2
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "machine/internal.h"

#define SWAP_MAGIC	   "SWAPSPACE2"
#define SWAP_MAGIC_LEN	   10
#define SWAP_HEADER_OFFSET 1024
#define SWAP_MIN_PAGES	   10 /* as mkswap */

struct swap_header {
	uint32_t version, last_page, nr_badpages;
	uint8_t uuid[16];
	char label[16];
};

static int write_exact(int fd, const void *buf, size_t len, off_t at)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)buf + done, len - done, at + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int swap_format(int fd, uint64_t size, const char *name, struct mmvm_error *err)
{
	unsigned char page[MMVM_PAGE_SIZE] = {0};
	struct swap_header h = {.version = 1, .label = "mmvm"};
	uint64_t pages = size / MMVM_PAGE_SIZE;
	int rc;

	if (pages < SWAP_MIN_PAGES || pages > UINT32_MAX)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "swap of %llu bytes: it must be between 40 KiB and 16 TiB",
				  (unsigned long long)size);
	h.last_page = (uint32_t)pages - 1;
	if (getrandom(h.uuid, sizeof(h.uuid), 0) == (ssize_t)sizeof(h.uuid)) {
		h.uuid[6] = (h.uuid[6] & 0x0f) | 0x40; /* RFC 4122: random */
		h.uuid[8] = (h.uuid[8] & 0x3f) | 0x80;
	}
	memcpy(page + SWAP_HEADER_OFFSET, &h, sizeof(h));
	memcpy(page + MMVM_PAGE_SIZE - SWAP_MAGIC_LEN, SWAP_MAGIC, SWAP_MAGIC_LEN);
	rc = write_exact(fd, page, sizeof(page), 0);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot write the swap header of %s: %s",
				  name, strerror(-rc));
	return 0;
}

static int temp_create(const char *dir)
{
	char path[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0)
		return fd;
	/* A file system without O_TMPFILE: the name lives for two system calls. */
	if (snprintf(path, sizeof(path), "%s/mmvm-XXXXXX", dir) >= (int)sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int temp_open(const struct disk_config *c, uint64_t *size, struct mmvm_error *err)
{
	const char *env = getenv("TMPDIR");
	const char *dir[] = {env && *env ? env : "/var/tmp", "/tmp"};
	int fd = -1, saved = 0;

	for (unsigned int i = 0; i < 2 && fd < 0; i++) {
		fd = temp_create(dir[i]);
		if (fd < 0 && !saved)
			saved = errno;
	}
	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "cannot create a temporary file for disk %s in %s or /tmp: %s",
				  c->role, dir[0], strerror(saved));
	if (ftruncate(fd, (off_t)c->size)) {
		mmvm_error(err, MMVM_EXIT_HOST,
			   "cannot make a temporary disk of %llu MiB: %s; set TMPDIR to a larger "
			   "file system",
			   (unsigned long long)(c->size >> 20), strerror(errno));
		close(fd);
		return -1;
	}
	*size = c->size;
	if (c->format_swap && swap_format(fd, *size, "a temporary file", err)) {
		close(fd);
		return -1;
	}
	return fd;
}

/** A file of the given size that does not exist yet: all its blocks are taken now, so that a full
 * disk is known before the guest depends on it. */
static int file_create(const struct disk_config *c, struct mmvm_error *err)
{
	int rc, fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot create disk %s: %s", c->path,
				  strerror(errno));
	rc = posix_fallocate(fd, 0, (off_t)c->size);
	if (!rc)
		return fd;
	mmvm_error(err, MMVM_EXIT_HOST, "no room for disk %s of %llu MiB: %s", c->path,
		   (unsigned long long)(c->size >> 20), strerror(rc));
	unlink(c->path);
	close(fd);
	return -1;
}

/** A file given as swap is taken when it is a swap area, formatted when its first page is empty,
 * and refused otherwise. */
static int swap_adopt(int fd, const struct disk_config *c, uint64_t size, struct mmvm_error *err)
{
	unsigned char page[MMVM_PAGE_SIZE];
	ssize_t n = pread(fd, page, sizeof(page), 0);

	if (n != (ssize_t)sizeof(page))
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s is too small for swap", c->path);
	if (!memcmp(page + sizeof(page) - SWAP_MAGIC_LEN, SWAP_MAGIC, SWAP_MAGIC_LEN))
		return 0;
	for (size_t i = 0; i < sizeof(page); i++)
		if (page[i])
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "%s holds something that is not swap: run mkswap on it "
					  "if it may be overwritten",
					  c->path);
	return swap_format(fd, size, c->path, err);
}

/**
 * Open a disk that has a path, locked: for writing by one machine alone, for reading by any number. A
 * block device is also opened exclusively, which fails while it is mounted or part of an array. -1 with
 * `err`; -ENOENT without: there is no such file.
 */
static int open_locked(const struct disk_config *c, struct stat *st, struct mmvm_error *err)
{
	int flags = (c->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
	int fd = open(c->path, flags);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "cannot open disk %s: %s", c->path,
				  strerror(errno));
	if (fstat(fd, st) || !(S_ISREG(st->st_mode) || S_ISBLK(st->st_mode))) {
		mmvm_error(err, MMVM_EXIT_USAGE, "disk %s is neither a file nor a block device",
			   c->path);
		goto fail;
	}
	/* O_EXCL without O_CREAT has a meaning for block devices only. */
	if (S_ISBLK(st->st_mode)) {
		int exclusive = open(c->path, flags | O_EXCL);

		if (exclusive < 0) {
			mmvm_error(err, MMVM_EXIT_USAGE, "disk %s is in use by this system: %s",
				   c->path, strerror(errno));
			goto fail;
		}
		close(fd);
		fd = exclusive;
	}
	if (!flock(fd, (c->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return fd;
	mmvm_error(err, MMVM_EXIT_USAGE, "disk %s is in use by another machine", c->path);
fail:
	close(fd);
	return -1;
}

int machine_disk_lock(const struct disk_config *c, struct mmvm_error *err)
{
	struct stat st;

	return c->path ? open_locked(c, &st, err) : -ENOENT;
}

int machine_disk_open(const struct disk_config *c, uint64_t *size, struct mmvm_error *err)
{
	struct stat st;
	off_t end;
	int fd;

	if (!c->path)
		return temp_open(c, size, err);
	fd = open_locked(c, &st, err);
	if (fd == -ENOENT && c->size && !c->read_only) {
		fd = file_create(c, err);
		if (fd < 0)
			return -1;
		close(fd);
		fd = open_locked(c, &st, err);
	}
	if (fd == -ENOENT)
		mmvm_error(err, MMVM_EXIT_USAGE, "cannot open disk %s: %s", c->path,
			   strerror(ENOENT));
	if (fd < 0)
		return -1;
	end = lseek(fd, 0, SEEK_END);
	if (end < 512) {
		mmvm_error(err, MMVM_EXIT_USAGE, "disk %s is smaller than a sector", c->path);
		goto fail;
	}
	*size = (uint64_t)end;
	if (c->format_swap && !c->read_only && swap_adopt(fd, c, *size, err))
		goto fail;
	return fd;
fail:
	close(fd);
	return -1;
}
