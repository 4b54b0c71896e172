/*
 * Writes to guest RAM, found in the host's page tables. Two ways, the better one first:
 *
 *   PAGEMAP_SCAN   (Linux 6.7) RAM is registered with a userfaultfd that write-protects and lets
 *                  the kernel resolve the faults itself (WP_ASYNC); the ioctl gives what was written
 *   soft-dirty     (CONFIG_MEM_SOFT_DIRTY) "4" to /proc/self/clear_refs write-protects the whole
 *                  process; bit 55 of /proc/self/pagemap says written
 *
 * KVM writes to guest memory through these page tables' rights: protecting a page makes KVM drop
 * its own mapping of it, and the guest's next write passes here. So both see the guest's writes and
 * the VMM's alike, at the price of a fault for each page.
 *
 * The kernel's interfaces are declared here where the system's headers are older than they are:
 * Documentation/admin-guide/mm/pagemap.rst, include/uapi/linux/fs.h and userfaultfd.h of Linux 6.7.
 */
#include "observe/host_writes.h"
#include "observe/write_protect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mmvm/layout.h"

#define PAGEMAP_SOFT_DIRTY (1ull << 55)
#define PAGEMAP_BATCH	   512u

#define SCAN_WRITTEN (1ull << 1) /* PAGE_IS_WRITTEN */
#define SCAN_WP	     (1ull << 0) /* PM_SCAN_WP_MATCHING */
#define SCAN_CHECK   (1ull << 1) /* PM_SCAN_CHECK_WPASYNC */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL  _IOWR('f', 16, struct scan_arg)
#define SCAN_VECTOR 256u

struct host_writes {
	const struct guest_ram *ram;
	int uffd; /* -1: soft-dirty */
	int pagemap;
	int clear; /* /proc/self/clear_refs; -1: not open */
};

/** Opened before there was a sandbox; -1: not, or taken. */
static int early_pagemap = -1, early_uffd = -1, early_clear = -1;

void host_writes_prepare(void)
{
	if (early_pagemap < 0)
		early_pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (early_clear < 0)
		early_clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (early_uffd < 0)
		early_uffd = write_protect_new();
}

/** The descriptor that was opened early, which is the caller's now. */
static int take(int *early)
{
	int fd = *early;

	*early = -1;
	return fd;
}

/** Does a write set the bit after it was cleared? A kernel without the option has it always clear.
 */
static int probe_soft_dirty(struct host_writes *h)
{
	static volatile char page[2 * MMVM_PAGE_SIZE] __attribute__((aligned(MMVM_PAGE_SIZE)));
	uint64_t entry[2];
	int rc;

	page[0] = page[MMVM_PAGE_SIZE] = 1;
	rc = host_writes_clear(h);
	if (rc)
		return rc;
	page[0] = 2;
	if (pread(h->pagemap, entry, sizeof(entry),
		  (off_t)((uint64_t)page / MMVM_PAGE_SIZE * sizeof(*entry))) != sizeof(entry))
		return -EIO;
	if ((entry[0] & PAGEMAP_SOFT_DIRTY) && !(entry[1] & PAGEMAP_SOFT_DIRTY))
		return 0;
	return -EOPNOTSUPP;
}

struct host_writes *host_writes_open(const struct guest_ram *ram, char *why, size_t size)
{
	struct host_writes *h = calloc(1, sizeof(*h));
	int uffd;

	if (!h) {
		snprintf(why, size, "no memory");
		return NULL;
	}
	h->ram = ram;
	h->uffd = h->clear = -1;
	h->pagemap = take(&early_pagemap);
	if (h->pagemap < 0)
		h->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (h->pagemap < 0) {
		snprintf(why, size, "/proc/self/pagemap: %s", strerror(errno));
		goto fail;
	}
	uffd = take(&early_uffd);
	h->uffd = write_protect_register(uffd < 0 ? write_protect_new() : uffd, ram,
					 WRITE_PROTECT_SHMEM | WRITE_PROTECT_UNPOPULATED |
						 WRITE_PROTECT_ASYNC);
	if (h->uffd >= 0 && !host_writes_clear(h))
		return h;
	if (h->uffd >= 0)
		close(h->uffd);
	h->uffd = -1;
	if (!probe_soft_dirty(h))
		return h;
	snprintf(why, size, "this kernel has neither PAGEMAP_SCAN (Linux 6.7) nor soft-dirty");
fail:
	host_writes_close(h);
	return NULL;
}

void host_writes_close(struct host_writes *h)
{
	if (!h)
		return;
	if (h->pagemap >= 0)
		close(h->pagemap);
	if (h->uffd >= 0)
		close(h->uffd);
	if (h->clear >= 0)
		close(h->clear);
	free(h);
}

const char *host_writes_method(const struct host_writes *h)
{
	return h->uffd >= 0 ? "PAGEMAP_SCAN" : "soft-dirty";
}

/** Give the pages of a region that were written and, with SCAN_WP, protect them again. */
static int scan(struct host_writes *h, const struct guest_ram_region *r, uint64_t flags,
		void (*fn)(uint64_t gpa, void *arg), void *arg)
{
	struct scan_region vec[SCAN_VECTOR];
	struct scan_arg a = {
		.size = sizeof(a),
		.flags = flags | SCAN_CHECK,
		.start = (uint64_t)r->hva,
		.end = (uint64_t)r->hva + r->size,
		.vec = (uint64_t)vec,
		.vec_len = SCAN_VECTOR,
		.category_mask = SCAN_WRITTEN,
		.return_mask = SCAN_WRITTEN,
	};

	while (a.start < a.end) {
		int n = ioctl(h->pagemap, SCAN_IOCTL, &a);

		if (n < 0)
			return -errno;
		for (int i = 0; fn && i < n; i++)
			for (uint64_t at = vec[i].start; at < vec[i].end; at += MMVM_PAGE_SIZE)
				fn(r->gpa + (at - (uint64_t)r->hva), arg);
		if (a.walk_end <= a.start)
			return -EIO;
		a.start = a.walk_end;
	}
	return 0;
}

static int clear_refs(struct host_writes *h)
{
	if (h->clear < 0)
		h->clear = take(&early_clear);
	if (h->clear < 0)
		h->clear = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (h->clear < 0)
		return -errno;
	return write(h->clear, "4", 1) == 1 ? 0 : -errno;
}

int host_writes_clear(struct host_writes *h)
{
	int rc = 0;

	if (h->uffd < 0)
		return clear_refs(h);
	for (unsigned int i = 0; i < h->ram->nr && !rc; i++)
		rc = scan(h, &h->ram->region[i], SCAN_WP, NULL, NULL);
	return rc;
}

static int read_soft_dirty(struct host_writes *h, const struct guest_ram_region *r,
			   void (*fn)(uint64_t gpa, void *arg), void *arg)
{
	uint64_t entry[PAGEMAP_BATCH], pages = r->size / MMVM_PAGE_SIZE;

	for (uint64_t first = 0; first < pages; first += PAGEMAP_BATCH) {
		uint64_t n = pages - first < PAGEMAP_BATCH ? pages - first : PAGEMAP_BATCH;
		off_t at = (off_t)(((uint64_t)r->hva / MMVM_PAGE_SIZE + first) * sizeof(*entry));

		if (pread(h->pagemap, entry, n * sizeof(*entry), at) !=
		    (ssize_t)(n * sizeof(*entry)))
			return -EIO;
		for (uint64_t i = 0; i < n; i++)
			if (entry[i] & PAGEMAP_SOFT_DIRTY)
				fn(r->gpa + (first + i) * MMVM_PAGE_SIZE, arg);
	}
	return 0;
}

int host_writes_read(struct host_writes *h, void (*fn)(uint64_t gpa, void *arg), void *arg)
{
	int rc = 0;

	for (unsigned int i = 0; i < h->ram->nr && !rc; i++)
		rc = h->uffd >= 0 ? scan(h, &h->ram->region[i], 0, fn, arg)
				  : read_soft_dirty(h, &h->ram->region[i], fn, arg);
	return rc;
}
