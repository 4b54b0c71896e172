/*
 * Guest RAM as devices see it: a handful of regions, each one mapping of the VMM.
 *
 *   gpa  0 ......... low            4 GiB ....... high
 *        [ region 0 ]  (hole)        [ region 1 ] [ region 2, another node ]
 *
 * I1. No byte outside a region is ever read or written: each access finds its region first, and
 *     compares lengths by subtraction, so that no sum can wrap.
 * I2. Each write by a device is followed by its mark in the dirty bitmap, and data by the ring
 *     index or interrupt that announces it. Whoever collects the bitmap clears a bit before reading
 *     the page, so a page that is marked late is collected once more, never missed.
 * I3. Who holds `writes` alone finds each write with its mark. Devices share it from before the write
 *     until after the mark.
 *
 * Locks: ram->writes, for I3 only; inside the locks of devices. Regions do not change while devices
 * live; bitmap words are changed by atomic or.
 * The bytes themselves are shared with running vCPUs: a caller that decides by a value copies it
 * once and uses the copy.
 */
#include "devices/device.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "mmvm/layout.h"

#define BITS_PER_LONG (8 * sizeof(unsigned long))

/* Region that holds `gpa`, or NULL. */
static const struct guest_ram_region *region_of(const struct guest_ram *ram, uint64_t gpa)
{
	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct guest_ram_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return r;
	}
	return NULL;
}

void *guest_ram_ptr(const struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	const struct guest_ram_region *r = region_of(ram, gpa);

	if (!r || len == 0 || len > r->size - (gpa - r->gpa))
		return NULL;
	return r->hva + (gpa - r->gpa);
}

uint64_t guest_ram_span(const struct guest_ram *ram, uint64_t gpa)
{
	const struct guest_ram_region *r = region_of(ram, gpa);

	return r ? r->size - (gpa - r->gpa) : 0;
}

/* Is all of [gpa, gpa+len) RAM? Regions that touch count as one. */
static bool is_ram(const struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	while (len) {
		uint64_t span = guest_ram_span(ram, gpa);

		if (!span)
			return false;
		if (span >= len)
			return true;
		gpa += span;
		len -= span;
	}
	return true;
}

int guest_ram_read(const struct guest_ram *ram, uint64_t gpa, void *buf, uint64_t len)
{
	uint8_t *to = buf;

	if (!is_ram(ram, gpa, len))
		return -EFAULT;
	while (len) {
		uint64_t n = guest_ram_span(ram, gpa);

		if (n > len)
			n = len;
		memcpy(to, guest_ram_ptr(ram, gpa, n), n);
		to += n;
		gpa += n;
		len -= n;
	}
	return 0;
}

int guest_ram_write(struct guest_ram *ram, uint64_t gpa, const void *buf, uint64_t len)
{
	const uint8_t *from = buf;

	if (!is_ram(ram, gpa, len))
		return -EFAULT;
	guest_ram_begin_write(ram);
	while (len) {
		uint64_t n = guest_ram_span(ram, gpa);

		if (n > len)
			n = len;
		memcpy(guest_ram_ptr(ram, gpa, n), from, n);
		guest_ram_mark_dirty(ram, gpa, n);
		from += n;
		gpa += n;
		len -= n;
	}
	guest_ram_end_write(ram);
	return 0;
}

void guest_ram_begin_write(struct guest_ram *ram)
{
	pthread_rwlock_rdlock(&ram->writes);
}

void guest_ram_end_write(struct guest_ram *ram)
{
	pthread_rwlock_unlock(&ram->writes);
}

void guest_ram_hold(struct guest_ram *ram)
{
	pthread_rwlock_wrlock(&ram->writes);
}

void guest_ram_release(struct guest_ram *ram)
{
	pthread_rwlock_unlock(&ram->writes);
}

void guest_ram_mark_dirty(struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	while (len) {
		const struct guest_ram_region *r = region_of(ram, gpa);
		uint64_t n, first, last;

		if (!r)
			return;
		n = r->size - (gpa - r->gpa);
		if (n > len)
			n = len;
		first = (gpa - r->gpa) >> MMVM_PAGE_SHIFT;
		last = (gpa - r->gpa + n - 1) >> MMVM_PAGE_SHIFT;
		for (uint64_t p = first; r->dirty && p <= last; p++)
			__atomic_fetch_or(&r->dirty[p / BITS_PER_LONG], 1ul << (p % BITS_PER_LONG),
					  __ATOMIC_RELEASE);
		gpa += n;
		len -= n;
	}
}

int64_t guest_ram_give_back(const struct guest_ram *ram, uint64_t gpa, uint64_t len)
{
	const struct guest_ram_region *r = region_of(ram, gpa);
	uint64_t page, from, to;

	if (!r || len > r->size - (gpa - r->gpa))
		return -EFAULT;
	/* Regions begin at multiples of the page size, in the guest and in the file. */
	page = r->page_size ? r->page_size : MMVM_PAGE_SIZE;
	from = (gpa + page - 1) / page * page;
	to = (gpa + len) / page * page;
	if (from >= to)
		return 0;
	/* Punch a hole in the file, not only in this mapping, because the page itself is to be freed. */
	if (madvise(r->hva + (from - r->gpa), to - from, MADV_REMOVE))
		return -errno;
	return (int64_t)(to - from);
}
