/*
 * The reference string of a recorded run, from its trace (mmvm run --trace FILE --refs MS):
 *
 *   map    a page comes to an address: by its first touch, by a copy, or back from swap
 *   ref    sampling found the accessed bit of an entry set: used since the last sample
 *   unmap  (zap, discard, move) the contents are given up
 *
 * So the order is exact where pages fault, and as fine as the samples elsewhere: what is used several
 * times between two samples counts once, and pages of one sample come in the order of addresses.
 * Only anonymous memory is followed; references to pages of files are counted as left out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "policy/refs.h"

/* ---- numbers of pages: a hash table from (address space, page) ------------------------------- */

struct slot {
	uint64_t key; /* 0: empty */
	uint32_t page;
	bool mapped;
};
struct table {
	struct slot *slot;
	size_t size, used; /* size: a power of two */
};

static struct slot *find(const struct table *t, uint64_t key)
{
	size_t i = (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20) & (t->size - 1);

	while (t->slot[i].key && t->slot[i].key != key)
		i = (i + 1) & (t->size - 1);
	return &t->slot[i];
}

static int grow(struct table *t)
{
	struct table bigger = {.size = t->size ? 2 * t->size : 1024, .used = t->used};

	bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < t->size; i++)
		if (t->slot[i].key)
			*find(&bigger, t->slot[i].key) = t->slot[i];
	free(t->slot);
	*t = bigger;
	return 0;
}

/* The page's slot; a new one gets the next number. NULL: no memory, or too many pages. */
static struct slot *slot_of(struct table *t, uint64_t key, struct ref_string *r)
{
	struct slot *s;

	if (2 * (t->used + 1) > t->size && grow(t))
		return NULL;
	s = find(t, key);
	if (!s->key) {
		if (r->nr_pages >= REF_GONE - 1)
			return NULL;
		t->used++;
		*s = (struct slot){.key = key, .page = r->nr_pages++};
	}
	return s;
}

/* ---- events ---------------------------------------------------------------------------------- */

struct loader {
	struct ref_string *refs;
	struct table table;
	uint32_t mapped;
	uint64_t mapped_sum; /* over the swap faults */
};

static uint64_t key_of(const struct mmvm_trace_rec *rec)
{
	/* Never 0: page 0 is not mapped by anybody. */
	return ((uint64_t)rec->mm << 32 ^ rec->addr >> 12) | 1ull << 63;
}

static int on_map(struct loader *l, const struct mmvm_trace_rec *rec)
{
	struct slot *s;

	switch (rec->arg) {
	case TRACE_MAP_ANON:
	case TRACE_MAP_COW:
	case TRACE_MAP_SWAP:
	case TRACE_MAP_REUSE:
		break;
	case TRACE_MAP_FILE:
		l->refs->left_out++;
		return 0;
	default:
		return 0; /* the zero page belongs to no process; fork and move make no reference */
	}
	s = slot_of(&l->table, key_of(rec), l->refs);
	if (!s)
		return -ENOMEM;
	if (rec->arg == TRACE_MAP_SWAP) {
		l->refs->swap_faults++;
		l->mapped_sum += l->mapped;
	}
	if (!s->mapped) {
		s->mapped = true;
		if (++l->mapped > l->refs->most)
			l->refs->most = l->mapped;
	}
	l->refs->faults++;
	return refs_add(l->refs, s->page);
}

static int on_unmap(struct loader *l, const struct mmvm_trace_rec *rec)
{
	struct slot *s = l->table.size ? find(&l->table, key_of(rec)) : NULL;

	if (!s || !s->key || rec->arg == TRACE_UNMAP_COW)
		return 0;
	if (s->mapped)
		l->mapped--;
	s->mapped = false;
	return rec->arg == TRACE_UNMAP_RECLAIM ? 0 : refs_add(l->refs, s->page | REF_GONE);
}

static int on_ref(struct loader *l, const struct mmvm_trace_rec *rec)
{
	struct slot *s = l->table.size ? find(&l->table, key_of(rec)) : NULL;

	if (!s || !s->key) {
		l->refs->left_out++;
		return 0;
	}
	l->refs->sampled++;
	return refs_add(l->refs, s->page);
}

int refs_load(struct ref_string *r, const struct trace_data *t)
{
	struct loader l = {.refs = r};
	int err = 0;

	*r = (struct ref_string){0};
	for (size_t i = 0; i < t->nr && !err; i++) {
		const struct trace_event *e = &t->event[i];

		if (e->host)
			continue;
		switch (e->guest->event) {
		case TRACE_MAP:
			err = on_map(&l, e->guest);
			break;
		case TRACE_UNMAP:
			err = on_unmap(&l, e->guest);
			break;
		case TRACE_REF:
			err = on_ref(&l, e->guest);
			break;
		}
	}
	r->usual = r->swap_faults ? (uint32_t)(l.mapped_sum / r->swap_faults) : r->most;
	trace_vmstat(t, "pgmajfault", &r->pgmajfault);
	free(l.table.slot);
	if (err)
		refs_free(r);
	return err;
}
