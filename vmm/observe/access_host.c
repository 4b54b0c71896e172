/*
 * Accesses to guest RAM, found in the host's page tables.
 *
 *   unmap   madvise(MADV_DONTNEED) on our mapping of the memfd drops the entries and no data: the
 *           pages stay in the file. KVM must follow and drops its own mappings of them. An access
 *           by the guest faults in the second stage, KVM asks for the page through our page
 *           tables, and the entry is there again: /proc/self/pagemap has it present.
 *   refs    "1" to /proc/self/clear_refs clears the accessed bits of our page tables, and
 *           /proc/self/smaps sums up pages that have them again as "Referenced". KVM keeps
 *           accessed bits of its own, which this does not ask: it sees little but first touches.
 *
 * What `unmap` needs besides: a read fault of the kernel maps sixteen neighbours in passing
 * ("fault-around"), which nobody accessed. It does not do so where a userfaultfd may want to
 * write-protect, so RAM is registered with one that never protects anything.
 *
 * The VMM's own accesses (devices, loaders) are seen like the guest's. A page accessed first
 * between the look at a piece of 2 MiB and its dropping is missed until it is accessed again.
 *
 * /sys/kernel/mm/page_idle does ask KVM for its accessed bits; distribution kernels are built
 * without it (CONFIG_IDLE_PAGE_TRACKING), so there is no such method here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "devices/device.h"
#include "mmvm/layout.h"
#include "observe/access.h"
#include "observe/write_protect.h"

#define PAGEMAP_PRESENT (1ull << 63)
#define CHUNK		512u /* pages looked at and dropped together */
#define PROBE_PAGES	16u

struct access_host {
	const struct guest_ram *ram;
	int pagemap, uffd, clear_refs; /* open before the sandbox is closed; -1 = not */
	FILE *smaps;		       /* likewise, or NULL */
};

/** Look at pages [first, first + n) of a region and drop those that are mapped. */
static int64_t unmap_chunk(struct access_host *h, const struct guest_ram_region *r, uint64_t first,
			   uint64_t n, uint64_t *bits, uint64_t frame)
{
	uint64_t entry[CHUNK];
	uint8_t *at = r->hva + first * MMVM_PAGE_SIZE;
	int64_t found = 0;

	if (pread(h->pagemap, entry, n * sizeof(*entry),
		  (off_t)((uint64_t)at / MMVM_PAGE_SIZE * sizeof(*entry))) !=
	    (ssize_t)(n * sizeof(*entry)))
		return -EIO;
	for (uint64_t i = 0; i < n; i++) {
		if (!(entry[i] & PAGEMAP_PRESENT))
			continue;
		bits[(frame + i) / 64] |= 1ull << (frame + i) % 64;
		found++;
	}
	if (found && madvise(at, n * MMVM_PAGE_SIZE, MADV_DONTNEED))
		return -errno;
	return found;
}

int64_t access_host_unmap(struct access_host *h, uint64_t *bits)
{
	uint64_t frame = 0;
	int64_t found = 0;

	for (unsigned int i = 0; i < h->ram->nr; i++) {
		const struct guest_ram_region *r = &h->ram->region[i];
		uint64_t pages = r->size / MMVM_PAGE_SIZE;

		for (uint64_t first = 0; first < pages; first += CHUNK) {
			uint64_t n = pages - first < CHUNK ? pages - first : CHUNK;
			int64_t rc = unmap_chunk(h, r, first, n, bits, frame + first);

			if (rc < 0)
				return rc;
			found += rc;
		}
		frame += pages;
	}
	return found;
}

static bool in_ram(const struct guest_ram *ram, uint64_t at)
{
	for (unsigned int i = 0; i < ram->nr; i++)
		if (at - (uint64_t)ram->region[i].hva < ram->region[i].size)
			return true;
	return false;
}

int64_t access_host_refs(struct access_host *h)
{
	FILE *f = h->smaps;
	uint64_t start, end, kb, sum = 0;
	bool ours = false;
	char line[512];

	if (!f || h->clear_refs < 0)
		return -ENOENT;
	rewind(f); /* the kernel makes the text anew */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			ours = in_ram(h->ram, start);
		else if (ours && sscanf(line, "Referenced: %" SCNu64 " kB", &kb) == 1)
			sum += kb;
	}
	if (pwrite(h->clear_refs, "1", 1, 0) != 1)
		return -errno;
	return (int64_t)(sum * 1024 / MMVM_PAGE_SIZE);
}

static struct access_host *open_ram(const struct guest_ram *ram, const bool want[NR_ACCESS_METHODS],
				    char why[NR_ACCESS_METHODS][ACCESS_WHY])
{
	struct access_host *h = calloc(1, sizeof(*h));
	int64_t rc;

	if (!h)
		return NULL;
	h->ram = ram;
	h->uffd = -1;
	h->clear_refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	h->smaps = fopen("/proc/self/smaps", "re");
	h->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (want[ACCESS_UNMAP] && h->pagemap < 0)
		snprintf(why[ACCESS_UNMAP], ACCESS_WHY, "/proc/self/pagemap: %s", strerror(errno));
	else if (want[ACCESS_UNMAP]) {
		h->uffd = write_protect_open(ram, WRITE_PROTECT_SHMEM);
		if (h->uffd < 0)
			snprintf(why[ACCESS_UNMAP], ACCESS_WHY,
				 "no userfaultfd that write-protects shared memory: %s",
				 strerror(-h->uffd));
	}
	if (want[ACCESS_REFS]) {
		rc = access_host_refs(h);
		if (rc < 0)
			snprintf(why[ACCESS_REFS], ACCESS_WHY, "/proc/self/clear_refs: %s",
				 strerror((int)-rc));
	}
	return h;
}

struct access_host *access_host_open(struct machine *m, const bool want[NR_ACCESS_METHODS],
				     char why[NR_ACCESS_METHODS][ACCESS_WHY])
{
	return open_ram(machine_ram(m), want, why);
}

void access_host_close(struct access_host *h)
{
	if (!h)
		return;
	if (h->uffd >= 0)
		close(h->uffd);
	if (h->pagemap >= 0)
		close(h->pagemap);
	if (h->clear_refs >= 0)
		close(h->clear_refs);
	if (h->smaps)
		fclose(h->smaps);
	free(h);
}

/** Does it report page 3, which was read, and page 9, which was written, and no other? */
static void probe_unmap(struct access_host *h, volatile uint8_t *at, char *why)
{
	uint64_t bits = 0, sum = 0;
	int64_t rc = access_host_unmap(h, &bits);

	if (rc >= 0) {
		sum = at[3 * MMVM_PAGE_SIZE];
		at[9 * MMVM_PAGE_SIZE] = (uint8_t)(sum + 1);
		bits = 0;
		rc = access_host_unmap(h, &bits);
	}
	if (rc < 0)
		snprintf(why, ACCESS_WHY, "%s", strerror((int)-rc));
	else if (bits != (1u << 3 | 1u << 9))
		snprintf(why, ACCESS_WHY, "it takes pages %#" PRIx64 " for accessed, not 0x208",
			 bits);
}

void access_host_probe(enum access_method method, char why[ACCESS_WHY])
{
	bool want[NR_ACCESS_METHODS] = {
		[ACCESS_UNMAP] = method == ACCESS_UNMAP, [ACCESS_REFS] = method == ACCESS_REFS};
	char whys[NR_ACCESS_METHODS][ACCESS_WHY] = {{0}};
	struct guest_ram ram = {.nr = 1};
	size_t size = PROBE_PAGES * MMVM_PAGE_SIZE;
	struct access_host *h = NULL;
	int fd = memfd_create("access-probe", MFD_CLOEXEC);
	void *p = MAP_FAILED;

	why[0] = 0;
	if (fd >= 0 && !ftruncate(fd, (off_t)size))
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		snprintf(why, ACCESS_WHY, "cannot map %zu bytes: %s", size, strerror(errno));
		goto out;
	}
	memset(p, 1, size);
	ram.region[0] = (struct guest_ram_region){.hva = p, .size = size};
	h = open_ram(&ram, want, whys);
	if (!h)
		snprintf(why, ACCESS_WHY, "no memory");
	else if (whys[method][0])
		snprintf(why, ACCESS_WHY, "%s", whys[method]);
	else if (method == ACCESS_UNMAP)
		probe_unmap(h, p, why);
out:
	access_host_close(h);
	if (p != MAP_FAILED)
		munmap(p, size);
	if (fd >= 0)
		close(fd);
}
