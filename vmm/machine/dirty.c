/*
 * The dirty log: which pages of guest RAM were written since the last reading.
 *
 *   KVM's log (bitmap or rings) --+                       +-> pending[sampler] -> its reader
 *                                 +-- gather: take, clear -+
 *   region.dirty of the devices --+                       +-> pending[exact]   -> its reader
 *
 * Pages come from two writers. The guest's are in KVM's log; those made by the VMM and its devices
 * on the guest's behalf are in region.dirty, which the devices fill. KVM forgets a page when it is
 * taken, so each taking goes to every reader there is, and each reader gets every page once.
 *
 * KVM keeps the log in one of three ways:
 *   bitmap         KVM_GET_DIRTY_LOG gives the bits of a slot and protects all its pages again
 *   bitmap-manual  (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) getting only gives. The log starts with
 *                  every page set and nothing protected. Pages are protected as they are cleared,
 *                  in pieces of `chunk` pages, so that KVM's lock is not held long
 *   ring           each vCPU's pages one by one (kvm/dirty_ring.c)
 *
 * The log may hold a page too many, never one too few: with nested paging, KVM notes a page as
 * dirty when it first maps it writable, be it for a read, and the CPU's walks of the guest's tables
 * count as writes to them.
 *
 * I1. A page written before machine_dirty_read() began is given by it or was given before; what is
 *     written meanwhile is given by it or by the next.
 *
 * Lock D (m->dirty_lock) for all of it: readers, and vCPU threads whose ring is full.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "machine/internal.h"

#define BITS_PER_LONG	 64u
#define CLEAR_PAGES	 32768u /* default of config.dirty_chunk */
#define RING_ENTRIES_MAX 4096u	/* 64 KiB a vCPU; KVM stops a vCPU some 600 before the end */

static uint64_t region_pages(const struct guest_ram_region *r)
{
	return r->size / MMVM_PAGE_SIZE;
}

static uint64_t region_words(const struct guest_ram_region *r)
{
	return (region_pages(r) + BITS_PER_LONG - 1) / BITS_PER_LONG;
}

static int setup_ring(struct machine *m, struct mmvm_error *err)
{
	struct machine_dirty *d = &m->dirty;
	uint32_t cap, n = kvm_dirty_ring_max(&m->sys, &cap);
	int rc;

	/* Measured: KVM-PVM goes through tens of thousands of instructions of ring 0 without looking
	 * whether the ring is full, notes each of their writes, and writes over entries that nobody
	 * has read. */
	if (m->sys.backend == KVM_BACKEND_PVM)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "KVM-PVM lets its dirty ring overflow while it emulates ring 0, "
				  "and pages are lost; use --dirty bitmap, or --accel lab");
	if (!n)
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "this host's KVM has no dirty ring (KVM_CAP_DIRTY_LOG_RING); use "
				  "--dirty bitmap");
	if (n > RING_ENTRIES_MAX)
		n = RING_ENTRIES_MAX;
	rc = kvm_vm_enable_cap(m->vm, cap, n * sizeof(struct kvm_dirty_gfn));
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses a dirty ring of %u entries: %s",
				  n, kvm_error_text(rc));
	d->ring_entries = n;
	return 0;
}

static int setup_manual(struct machine *m, struct mmvm_error *err)
{
	const uint64_t both = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET;
	uint64_t has = (uint64_t)kvm_system_check(&m->sys, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	int rc = -EOPNOTSUPP;

	if ((has & both) == both)
		rc = kvm_vm_enable_cap(m->vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, both);
	if (!rc)
		m->dirty.mode = DIRTY_BITMAP_MANUAL;
	else if (m->dirty.mode == DIRTY_AUTO)
		m->dirty.mode = DIRTY_BITMAP;
	else
		return mmvm_error(err, MMVM_EXIT_HOST,
				  "this host's KVM cannot clear its dirty log by hand "
				  "(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2); use --dirty bitmap");
	return 0;
}

int machine_dirty_setup(struct machine *m, struct mmvm_error *err)
{
	struct machine_dirty *d = &m->dirty;

	if (!m->config.dirty_log)
		return 0;
	d->on = true;
	d->mode = m->config.dirty_mode;
	d->chunk = m->config.dirty_chunk ? m->config.dirty_chunk : CLEAR_PAGES;
	if (d->mode == DIRTY_RING)
		return setup_ring(m, err);
	return d->mode == DIRTY_BITMAP ? 0 : setup_manual(m, err);
}

/** Bitmaps of a reader. Lock D held, or no threads yet. */
static int add_reader(struct machine_dirty *d, enum dirty_reader reader)
{
	for (unsigned int by = 0; by < 2; by++) {
		if (!d->pending[reader][by])
			d->pending[reader][by] = calloc(d->words, sizeof(unsigned long));
		if (!d->pending[reader][by])
			return -ENOMEM;
	}
	return 0;
}

int machine_dirty_bitmaps(struct machine *m, struct mmvm_error *err)
{
	struct machine_dirty *d = &m->dirty;

	if (!d->on)
		return 0;
	for (unsigned int i = 0; i < m->ram.nr; i++) {
		d->first_word[i] = d->words;
		d->words += region_words(&m->ram.region[i]);
	}
	d->fresh = calloc(d->words, sizeof(unsigned long));
	d->mask = calloc(d->chunk / BITS_PER_LONG + 2, sizeof(unsigned long));
	if (!d->fresh || !d->mask || add_reader(d, DIRTY_READER_SAMPLER))
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for the dirty log");
	return 0;
}

int machine_dirty_vcpu(struct machine_vcpu *v, struct mmvm_error *err)
{
	struct machine_dirty *d = &v->m->dirty;
	int rc;

	if (!d->ring_entries)
		return 0;
	rc = kvm_dirty_ring_map(&d->ring[v->id], &v->kvm, d->ring_entries);
	return rc ? mmvm_error(err, MMVM_EXIT_HOST, "cannot map the dirty ring of vCPU %u: %s",
			       v->id, kvm_error_text(rc))
		  : 0;
}

void machine_dirty_destroy(struct machine *m)
{
	struct machine_dirty *d = &m->dirty;

	for (unsigned int i = 0; i < MMVM_MAX_CPUS; i++)
		kvm_dirty_ring_unmap(&d->ring[i]);
	for (unsigned int i = 0; i < NR_DIRTY_READERS; i++) {
		free(d->pending[i][0]);
		free(d->pending[i][1]);
	}
	free(d->fresh);
	free(d->mask);
	memset(d, 0, sizeof(*d));
}

/* ---- from KVM into d->fresh ------------------------------------------------------------------ */

/** Clear in KVM the pages [first, end) of a slot whose bits are set in `bits`. Requests begin and
 * end at whole words; a chunk that does not gets a copy without its neighbours' bits. */
static int clear_chunk(struct machine *m, unsigned int slot, unsigned long *bits, uint64_t first,
		       uint64_t end)
{
	uint64_t pages = region_pages(&m->ram.region[slot]), w = first / BITS_PER_LONG;
	uint64_t words = (end + BITS_PER_LONG - 1) / BITS_PER_LONG - w;
	uint64_t stop = (w + words) * BITS_PER_LONG;
	unsigned long *from = bits + w, any = 0;

	if (stop > pages)
		stop = pages;
	if (first % BITS_PER_LONG || end != stop) {
		memcpy(m->dirty.mask, from, words * sizeof(*from));
		from = m->dirty.mask;
		from[0] &= ~0ul << first % BITS_PER_LONG;
		if (end % BITS_PER_LONG)
			from[words - 1] &= ~(~0ul << end % BITS_PER_LONG);
	}
	for (uint64_t i = 0; i < words; i++)
		any |= from[i];
	if (!any)
		return 0;
	m->dirty.cost.requests++;
	return kvm_vm_clear_dirty_log(m->vm, slot, w * BITS_PER_LONG,
				      (uint32_t)(stop - w * BITS_PER_LONG), from);
}

static int fetch_bitmaps(struct machine *m)
{
	struct machine_dirty *d = &m->dirty;
	uint64_t t0 = machine_now_ns(), t1;
	int rc = 0;

	memset(d->fresh, 0, d->words * sizeof(unsigned long));
	for (unsigned int i = 0; i < m->ram.nr && !rc; i++) {
		d->cost.requests++;
		rc = kvm_vm_get_dirty_log(m->vm, i, d->fresh + d->first_word[i]);
	}
	t1 = machine_now_ns();
	d->cost.get_ns += t1 - t0;
	if (rc || d->mode != DIRTY_BITMAP_MANUAL)
		return rc;
	for (unsigned int i = 0; i < m->ram.nr && !rc; i++) {
		uint64_t pages = region_pages(&m->ram.region[i]);

		for (uint64_t first = 0; first < pages && !rc; first += d->chunk)
			rc = clear_chunk(m, i, d->fresh + d->first_word[i], first,
					 pages - first > d->chunk ? first + d->chunk : pages);
	}
	d->cost.clear_ns += machine_now_ns() - t1;
	return rc;
}

static void ring_page(uint32_t slot, uint64_t page, void *arg)
{
	struct machine *m = arg;

	/* The upper half is the address space: 0, but for SMM. The shared window is not logged. */
	slot &= 0xffff;
	if (slot < m->ram.nr && page < region_pages(&m->ram.region[slot]))
		m->dirty.fresh[m->dirty.first_word[slot] + page / BITS_PER_LONG] |=
			1ul << page % BITS_PER_LONG;
}

/** Empty all rings into d->fresh. -EOVERFLOW: KVM wrote more into one than it holds. It stops a vCPU
 * some hundred entries before that, so a ring that is full to the last has lost pages. */
static int fetch_rings(struct machine *m)
{
	struct machine_dirty *d = &m->dirty;
	uint64_t t0 = machine_now_ns(), t1, n = 0;
	int rc;

	for (unsigned int i = 0; i < m->nr_vcpus; i++) {
		uint32_t read = kvm_dirty_ring_read(&d->ring[i], ring_page, m);

		if (read == d->ring_entries)
			return -EOVERFLOW;
		n += read;
	}
	t1 = machine_now_ns();
	d->cost.get_ns += t1 - t0;
	d->cost.ring_entries += n;
	if (!n)
		return 0;
	d->cost.requests++;
	rc = kvm_vm_reset_dirty_rings(m->vm);
	d->cost.clear_ns += machine_now_ns() - t1;
	return rc < 0 ? rc : 0;
}

int machine_dirty_ring_full(struct machine *m)
{
	uint64_t t0;
	int rc;

	pthread_mutex_lock(&m->dirty_lock);
	t0 = machine_now_ns();
	rc = fetch_rings(m);
	m->dirty.cost.full_exits++;
	m->dirty.cost.full_ns += machine_now_ns() - t0;
	pthread_mutex_unlock(&m->dirty_lock);
	return rc;
}

/* ---- to the readers -------------------------------------------------------------------------- */

static void hand_out(struct machine_dirty *d, uint64_t word, unsigned int by, unsigned long bits)
{
	for (unsigned int r = 0; bits && r < NR_DIRTY_READERS; r++)
		if (d->pending[r][by])
			d->pending[r][by][word] |= bits;
}

static int gather(struct machine *m)
{
	struct machine_dirty *d = &m->dirty;
	int rc;

	rc = !d->on ? 0 : d->mode == DIRTY_RING ? fetch_rings(m) : fetch_bitmaps(m);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < m->ram.nr; i++) {
		struct guest_ram_region *r = &m->ram.region[i];
		uint64_t words = region_words(r), at = d->first_word[i];

		for (uint64_t w = 0; w < words; w++) {
			hand_out(d, at + w, 0, d->fresh[at + w]);
			d->fresh[at + w] = 0;
			if (__atomic_load_n(&r->dirty[w], __ATOMIC_RELAXED))
				hand_out(d, at + w, 1,
					 __atomic_exchange_n(&r->dirty[w], 0ul, __ATOMIC_RELAXED));
		}
	}
	return 0;
}

int64_t machine_dirty_read(struct machine *m, enum dirty_reader reader,
			   void (*fn)(uint64_t gpa, unsigned int by, void *arg), void *arg)
{
	struct machine_dirty *d = &m->dirty;
	int64_t n = 0;
	uint64_t t0;
	int rc;

	if (!m->config.dirty_log)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&m->dirty_lock);
	t0 = machine_now_ns();
	rc = add_reader(d, reader);
	if (!rc)
		rc = gather(m);
	for (unsigned int i = 0; i < m->ram.nr && !rc; i++) {
		unsigned long *guest = d->pending[reader][0] + d->first_word[i];
		unsigned long *device = d->pending[reader][1] + d->first_word[i];
		uint64_t words = region_words(&m->ram.region[i]);

		for (uint64_t w = 0; w < words; w++) {
			unsigned long bits = guest[w] | device[w];

			n += __builtin_popcountl(bits);
			for (; fn && bits; bits &= bits - 1) {
				unsigned int b = (unsigned int)__builtin_ctzl(bits);
				uint64_t page = w * BITS_PER_LONG + b;

				fn(m->ram.region[i].gpa + page * MMVM_PAGE_SIZE,
				   (guest[w] >> b & 1 ? DIRTY_BY_GUEST : 0) |
					   (device[w] >> b & 1 ? DIRTY_BY_DEVICE : 0),
				   arg);
			}
			guest[w] = device[w] = 0;
		}
	}
	d->cost.readings++;
	d->cost.pages += (uint64_t)n;
	d->cost.ns += machine_now_ns() - t0;
	pthread_mutex_unlock(&m->dirty_lock);
	return rc ? rc : n;
}

struct collect_call {
	void (*fn)(uint64_t gpa, void *arg);
	void *arg;
};

static void collect_page(uint64_t gpa, unsigned int by, void *arg)
{
	const struct collect_call *call = arg;

	call->fn(gpa, call->arg);
}

int64_t machine_dirty_collect(struct machine *m, void (*fn)(uint64_t gpa, void *arg), void *arg)
{
	struct collect_call call = {.fn = fn, .arg = arg};

	return machine_dirty_read(m, DIRTY_READER_SAMPLER, fn ? collect_page : NULL, &call);
}

void machine_dirty_start(struct machine *m)
{
	machine_dirty_collect(m, NULL, NULL);
	memset(&m->dirty.cost, 0, sizeof(m->dirty.cost));
}

int machine_dirty_switch(struct machine *m, enum dirty_logging to)
{
	bool on = to == DIRTY_LOGGING_ON;
	uint32_t flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;
	int rc = m->config.dirty_log ? 0 : -EOPNOTSUPP;

	pthread_mutex_lock(&m->dirty_lock);
	for (unsigned int i = 0; i < m->ram.nr && !rc; i++) {
		struct guest_ram_region *r = &m->ram.region[i];

		rc = kvm_vm_set_memory(m->vm, i, flags, r->gpa, r->size, r->hva);
	}
	if (!rc)
		m->dirty.on = on;
	pthread_mutex_unlock(&m->dirty_lock);
	return rc;
}

bool machine_dirty_on(const struct machine *m)
{
	return m->config.dirty_log;
}

enum dirty_mode machine_dirty_mode(const struct machine *m)
{
	return m->dirty.mode;
}

static const char *const mode_name[] = {"auto", "bitmap", "bitmap-manual", "ring"};

const char *dirty_mode_name(enum dirty_mode mode)
{
	return mode_name[mode];
}

int dirty_mode_parse(const char *text, enum dirty_mode *mode)
{
	for (unsigned int i = 0; i < sizeof(mode_name) / sizeof(mode_name[0]); i++) {
		if (!strcmp(text, mode_name[i])) {
			*mode = (enum dirty_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

void machine_dirty_cost(struct machine *m, struct machine_dirty_cost *out)
{
	pthread_mutex_lock(&m->dirty_lock);
	*out = m->dirty.cost;
	pthread_mutex_unlock(&m->dirty_lock);
}
