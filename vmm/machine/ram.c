/*
 * Guest RAM: one memfd and one memory slot a region, mapped into the VMM; the shared window. What
 * is written is noted by dirty.c.
 *
 *   guest physical     slot   behind it
 *   0 .. ram_low        0     memfd "guest-ram-0", or config.backing_file
 *   4 GiB .. +ram_high  1     memfd "guest-ram-1"
 *   0xd0200000 + 1 MiB  16    anonymous, shared with the guest
 *
 * A region is mapped so that host and guest addresses agree modulo 2 MiB: only then can a huge page
 * of the host be one of the second stage too.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "machine/internal.h"
#include "mmvm/access.h"

#define HUGE_SIZE     (2ull << 20)
#define BITS_PER_LONG 64u

static uint64_t region_pages(const struct guest_ram_region *r)
{
	return r->size / MMVM_PAGE_SIZE;
}

static size_t bitmap_bytes(uint64_t pages)
{
	return (pages + BITS_PER_LONG - 1) / BITS_PER_LONG * sizeof(unsigned long);
}

void *machine_map_aligned(int fd, uint64_t offset, uint64_t gpa, uint64_t size, int prot)
{
	uint64_t span = size + 2 * HUGE_SIZE, start, at;
	void *area, *p;

	area = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		return NULL;
	start = (uint64_t)area;
	at = (start + HUGE_SIZE - 1) / HUGE_SIZE * HUGE_SIZE + gpa % HUGE_SIZE;
	p = mmap((void *)at, size, prot, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
	if (p == MAP_FAILED) {
		munmap(area, span);
		return NULL;
	}
	if (at > start)
		munmap(area, at - start);
	if (start + span > at + size)
		munmap((void *)(at + size), start + span - at - size);
	return p;
}

static const char *const backing_names[] = {"4k", "thp", "hugetlb", "file"};

const char *ram_backing_name(enum ram_backing backing)
{
	return backing_names[backing];
}

/** Free huge pages of 2 MiB on this host; -1: the host has no pages of that size. */
static long free_hugepages(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	long n = -1;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &n) != 1)
		n = -1;
	fclose(f);
	return n;
}

static int open_hugetlb(const char *name, uint64_t size, struct mmvm_error *err)
{
	long have = free_hugepages(), want = (long)(size / HUGE_SIZE);
	int fd;

	if (size % HUGE_SIZE)
		return mmvm_error(
			err, MMVM_EXIT_USAGE,
			"--backing hugetlb: RAM below and above 4 GiB must be whole pages "
			"of 2 MiB");
	fd = memfd_create(name, MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB);
	if (fd >= 0 && !ftruncate(fd, (off_t)size) && have >= want)
		return fd;
	if (fd >= 0)
		close(fd);
	return mmvm_error(err, MMVM_EXIT_HOST,
			  "--backing hugetlb: %ld free pages of 2 MiB are needed, the host has %ld "
			  "(sysctl vm.nr_hugepages=N)",
			  want, have < 0 ? 0 : have);
}

/** A new or empty file: what another holds would be lost. All RAM is in one file, low RAM first. */
static int open_file(const char *path, uint64_t offset, uint64_t size, struct mmvm_error *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_USAGE, "--backing file=%s: %s", path,
				  strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != offset) {
		close(fd);
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--backing file=%s: not a new or empty file: what it holds would "
				  "be lost",
				  path);
	}
	if (!ftruncate(fd, (off_t)(offset + size)))
		return fd;
	close(fd);
	return mmvm_error(err, MMVM_EXIT_HOST, "--backing file=%s: cannot make it %llu MiB: %s",
			  path, (unsigned long long)((offset + size) >> 20), strerror(errno));
}

/** The file of a region that begins `offset` bytes into RAM. A descriptor, or -1 with err. */
static int open_backing(const struct machine_config *c, const char *name, uint64_t offset,
			uint64_t size, struct mmvm_error *err)
{
	int fd;

	if (c->backing == BACKING_HUGETLB)
		return open_hugetlb(name, size, err);
	if (c->backing == BACKING_FILE)
		return open_file(c->backing_file, offset, size, err);
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot create guest RAM: %s",
				  strerror(errno));
	if (!ftruncate(fd, (off_t)size))
		return fd;
	close(fd);
	return mmvm_error(err, MMVM_EXIT_HOST, "cannot create guest RAM: %s", strerror(errno));
}

static int add_region(struct machine *m, uint64_t gpa, uint64_t size, struct mmvm_error *err)
{
	unsigned int i = m->ram.nr;
	struct guest_ram_region *r = &m->ram.region[i];
	const struct machine_config *c = &m->config;
	uint32_t flags = c->dirty_log ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	uint64_t offset = gpa ? c->ram_low : 0;
	char name[32] = "guest-ram-0";
	int fd, rc;

	name[10] = (char)('0' + i);
	fd = open_backing(c, name, offset, size, err);
	if (fd < 0)
		return -1;
	m->ram_fd[i] = fd;
	r->gpa = gpa;
	r->size = size;
	r->page_size = c->backing == BACKING_HUGETLB ? HUGE_SIZE : MMVM_PAGE_SIZE;
	m->ram.nr = i + 1;
	r->hva = machine_map_aligned(fd, c->backing == BACKING_FILE ? offset : 0, gpa, size,
				     PROT_READ | PROT_WRITE);
	if (!r->hva)
		goto no_memory;
	if (c->backing == BACKING_4K || c->backing == BACKING_THP)
		madvise(r->hva, size, c->backing == BACKING_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* A dump of the VMM is for the VMM's faults. */
	madvise(r->hva, size, MADV_DONTDUMP);
	if (m->config.dirty_log) {
		r->dirty = calloc(1, bitmap_bytes(region_pages(r)));
		if (!r->dirty)
			goto no_memory;
	}
	rc = kvm_vm_set_memory(m->vm, i, flags, gpa, size, r->hva);
	if (rc)
		return mmvm_error(
			err, MMVM_EXIT_HOST, "KVM refuses %llu bytes of RAM at 0x%llx: %s",
			(unsigned long long)size, (unsigned long long)gpa, kvm_error_text(rc));
	return 0;
no_memory:
	return mmvm_error(err, MMVM_EXIT_HOST,
			  "cannot map %llu MiB of guest RAM: %s; choose a smaller --memory",
			  (unsigned long long)(size >> 20), strerror(errno));
}

int machine_ram_create(struct machine *m, struct mmvm_error *err)
{
	const struct machine_config *c = &m->config;
	int rc;

	if (add_region(m, 0, c->ram_low, err))
		return -1;
	if (c->ram_high && add_region(m, MMVM_RAM_HIGH_BASE, c->ram_high, err))
		return -1;
	if (machine_bind_nodes(m, err) || machine_dirty_bitmaps(m, err))
		return -1;
	m->shared = mmap(NULL, MMVM_SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	if (m->shared == MAP_FAILED) {
		m->shared = NULL;
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot map the shared window: %s",
				  strerror(errno));
	}
	m->shared->magic = MMVM_SHARED_MAGIC;
	m->shared->version = MMVM_CONTRACT_VERSION;
	m->shared->nr_cpus = c->cpus;
	m->shared->access_ms = c->access_ms;
	m->shared->console_size = (uint32_t)c->console_rows << 16 | c->console_cols;
	rc = kvm_vm_set_memory(m->vm, MACHINE_SHARED_SLOT, 0, MMVM_SHARED_BASE, MMVM_SHARED_SIZE,
			       m->shared);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses the shared window: %s",
				  kvm_error_text(rc));
	return 0;
}

void machine_ram_destroy(struct machine *m)
{
	for (unsigned int i = 0; i < m->ram.nr; i++) {
		struct guest_ram_region *r = &m->ram.region[i];

		if (r->hva)
			munmap(r->hva, r->size);
		free(r->dirty);
		close(m->ram_fd[i]);
	}
	m->ram.nr = 0;
	if (m->shared)
		munmap(m->shared, MMVM_SHARED_SIZE);
	m->shared = NULL;
	machine_dirty_destroy(m);
}

void *machine_gpa_ptr(struct machine *m, uint64_t gpa, uint64_t len)
{
	if (gpa >= MMVM_SHARED_BASE && len && len <= MMVM_SHARED_SIZE &&
	    gpa - MMVM_SHARED_BASE <= MMVM_SHARED_SIZE - len)
		return (char *)m->shared + (gpa - MMVM_SHARED_BASE);
	for (unsigned int i = 0; i < m->nr_pmem; i++) {
		const struct machine_pmem *p = &m->pmem[i];

		if (gpa >= p->gpa && len && len <= p->size && gpa - p->gpa <= p->size - len)
			return p->read_only ? NULL : p->hva + (gpa - p->gpa);
	}
	return guest_ram_ptr(&m->ram, gpa, len);
}

struct guest_ram *machine_ram(struct machine *m)
{
	return &m->ram;
}

uint64_t machine_ram_end(const struct machine *m)
{
	const struct guest_ram_region *last = &m->ram.region[m->ram.nr - 1];

	return last->gpa + last->size;
}

uint64_t *machine_access_bitmap(struct machine *m)
{
	return (uint64_t *)((char *)m->shared + MMVM_ACCESS_OFFSET);
}

const struct mmvm_shared *machine_shared(const struct machine *m)
{
	return m->shared;
}

void *machine_shared_window(struct machine *m)
{
	return m->shared;
}
