/*
 * The audit of guest memory from outside.
 *
 *   audit root -> page array (copied) -> every frame gets exactly one state
 *                 buddy, per-CPU lists -> what is free is on one list, and counts are right
 *                 slab                 -> free lists stay inside, objects add up
 *                 files                -> each page is at its place in its file's tree
 *                 address spaces       -> page tables, mapcounts, RSS, VMAs
 *                 LRU lists, swap maps -> on one list, users counted
 *                 levels               -> what the guest shows in /proc is what is there
 *
 * Invariants held against the guest (the names are those of mmvm/audit.h):
 *   A1  Each frame of RAM has one state: that of the one block head that covers it. A head is
 *       aligned to its order, within its range, and covered by no other. (page_state, page_overlap)
 *   A1' Tails agree with their head: those of a compound block (PG_head) name it and have refcount 0
 *       and, but for pages that users map, mapcount -1 and type INVALID or SLAB. No other page names a
 *       head. (folio_tail, stray_tail)
 *   A2  A free page has refcount 0 and mapcount -1. (free_refcount)
 *   A3  A page in use has refcount >= 1. Exactly: slab, page table, kernel stack 1;
 *         anon = PTEs that map it + 1 if in the swap cache + pins,
 *       where pins is 0, unless the page's flags say that somebody works on it: locked, writeback,
 *       isolated, or not on an LRU list (then it waits in a per-CPU batch, or was taken off to be
 *       reclaimed). A guest that asks for an audit is quiescent, so such pages are few.
 *       (used_refcount)
 *   A4  mapcount + 1 = user PTEs found that map it, for anon, file and shmem. (mapcount)
 *   A5  Pages by state add up to RAM; nothing is lost and nothing is there twice. (total)
 *   A6  Levels equal what the walk counted. (vmstat, free_pages, lru_count)
 *
 * The guest is hostile: every address is translated and checked, every list is bounded by the
 * number of frames, every tree by a budget, and a broken list is left at its first broken link. No
 * guest value indexes an array unchecked. Findings are counted without bound and kept up to a
 * bound.
 */
#include "observe/audit_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#define PTE_PRESENT 1ull
#define PTE_PSE	    (1ull << 7)
#define PTE_ADDR    0x000ffffffffff000ull

const char *audit_finding_name(enum mmvm_audit_finding kind)
{
#define NAME_(name, text, why) text,
	static const char *const names[] = {MMVM_AUDIT_FINDINGS(NAME_)};
#undef NAME_
	return (unsigned int)kind < NR_AUDIT_FINDINGS ? names[kind] : "unknown";
}

static const char *finding_why(enum mmvm_audit_finding kind)
{
#define WHY_(name, text, why) why,
	static const char *const whys[] = {MMVM_AUDIT_FINDINGS(WHY_)};
#undef WHY_
	return whys[kind];
}

void audit_find(struct audit *a, enum mmvm_audit_finding kind, const char *fmt, ...)
{
	struct audit_result *r = a->out;
	struct audit_entry *e;
	va_list ap;

	r->total++;
	/* One kind that goes wrong a thousand times must not hide another. */
	if (r->count[kind]++ >= 6 || r->nr_kept == AUDIT_MAX_KEPT)
		return;
	e = &r->kept[r->nr_kept++];
	e->kind = kind;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

/* ---- guest memory --------------------------------------------------------------------------- */

const uint8_t *audit_page_at(struct audit *a, uint64_t gva)
{
	uint64_t vpn = gva >> MMVM_PAGE_SHIFT, table = a->src->cr3 & PTE_ADDR, entry = 0;
	unsigned int slot = vpn % (sizeof(a->tlb) / sizeof(a->tlb[0]));
	const uint8_t *host;

	if (a->tlb[slot].tag == vpn + 1)
		return a->tlb[slot].host;
	if ((int64_t)(gva << 16) >> 16 != (int64_t)gva)
		return NULL; /* not canonical */
	for (int level = 3; level >= 0; level--) {
		unsigned int index = gva >> (12 + 9 * level) & 511;

		if (guest_ram_read(a->src->ram, table + index * 8, &entry, 8) ||
		    !(entry & PTE_PRESENT))
			return NULL;
		if (level > 0 && level < 3 && (entry & PTE_PSE)) {
			uint64_t size = 1ull << (12 + 9 * level);

			table = (entry & PTE_ADDR & ~(size - 1)) + (gva & (size - 1) & PTE_ADDR);
			break;
		}
		table = entry & PTE_ADDR;
	}
	host = guest_ram_ptr(a->src->ram, table, MMVM_PAGE_SIZE);
	if (host) {
		a->tlb[slot].tag = vpn + 1;
		a->tlb[slot].host = host;
	}
	return host;
}

int audit_read(struct audit *a, uint64_t gva, void *buf, size_t len)
{
	uint8_t *out = buf;

	while (len) {
		size_t offset = gva & (MMVM_PAGE_SIZE - 1), n = MMVM_PAGE_SIZE - offset;
		const uint8_t *page = audit_page_at(a, gva);

		if (!page)
			return -EFAULT;
		if (n > len)
			n = len;
		memcpy(out, page + offset, n);
		out += n;
		gva += n;
		len -= n;
	}
	return 0;
}

uint32_t frame_index(const struct audit *a, uint64_t pfn)
{
	for (uint32_t i = 0; i < a->root.nr_ranges; i++)
		if (pfn >= a->root.range[i].start_pfn && pfn < a->root.range[i].end_pfn)
			return a->first_index[i] + (uint32_t)(pfn - a->root.range[i].start_pfn);
	return NO_FRAME;
}

uint64_t frame_pfn(const struct audit *a, uint32_t index)
{
	uint32_t i = a->root.nr_ranges - 1;

	while (index < a->first_index[i])
		i--;
	return a->root.range[i].start_pfn + (index - a->first_index[i]);
}

uint32_t frame_of_lru(const struct audit *a, uint64_t gva)
{
	uint64_t offset = gva - a->root.vmemmap_gva - offsetof(struct page, lru);

	if (offset % sizeof(struct page))
		return NO_FRAME;
	return frame_index(a, offset / sizeof(struct page));
}

const uint8_t *frame_data(const struct audit *a, uint64_t pfn)
{
	if (pfn >> (64 - MMVM_PAGE_SHIFT))
		return NULL;
	return guest_ram_ptr(a->src->ram, pfn << MMVM_PAGE_SHIFT, MMVM_PAGE_SIZE);
}

uint32_t frame_of_direct(const struct audit *a, uint64_t gva)
{
	return gva < a->root.direct_map_gva
		       ? NO_FRAME
		       : frame_index(a, (gva - a->root.direct_map_gva) >> MMVM_PAGE_SHIFT);
}

/* ---- lists ---------------------------------------------------------------------------------- */

int list_walk_start(struct audit *a, struct list_walk *w, uint64_t head, uint64_t limit)
{
	struct mmvm_list l;

	if (audit_read(a, head, &l, sizeof(l)))
		return -EFAULT;
	w->head = w->prev = head;
	w->at = l.next;
	w->steps = 0;
	w->limit = limit;
	return 0;
}

int list_walk_next(struct audit *a, struct list_walk *w, uint64_t *node, const char **why)
{
	struct mmvm_list l;

	if (audit_read(a, w->at, &l, sizeof(l))) {
		*why = "points outside mapped memory";
		return -EFAULT;
	}
	if (l.prev != w->prev) {
		*why = "has a prev that is not where we came from";
		return -EINVAL;
	}
	if (w->at == w->head)
		return 0;
	if (w->steps++ >= w->limit) {
		*why = "does not end";
		return -ELOOP;
	}
	*node = w->at;
	w->prev = w->at;
	w->at = l.next;
	return 1;
}

/* ---- root and frames ------------------------------------------------------------------------ */

static bool load_root(struct audit *a)
{
	struct mmvm_audit_root *root = &a->root;
	uint64_t frames = 0, ram_frames = 0;

	for (unsigned int i = 0; i < a->src->ram->nr; i++)
		ram_frames += a->src->ram->region[i].size >> MMVM_PAGE_SHIFT;
	a->out->ram_frames = ram_frames;
	if (audit_read(a, a->src->root_gva, root, sizeof(*root))) {
		audit_find(a, AUDIT_ROOT, "no audit root at %#" PRIx64, a->src->root_gva);
		return false;
	}
	if (root->magic != MMVM_AUDIT_MAGIC || root->version != MMVM_CONTRACT_VERSION ||
	    root->size != sizeof(*root) || root->ready != 1) {
		audit_find(a, AUDIT_ROOT,
			   "magic %#" PRIx64 ", version %u, size %u, ready %" PRIu64
			   "; expected %#" PRIx64 ", %u, %zu, 1",
			   root->magic, root->version, root->size, root->ready,
			   (uint64_t)MMVM_AUDIT_MAGIC, MMVM_CONTRACT_VERSION, sizeof(*root));
		return false;
	}
	if (root->nr_ranges == 0 || root->nr_ranges > MMVM_MAX_RAM_REGIONS ||
	    root->nr_zones > MMVM_MAX_ZONES) {
		audit_find(a, AUDIT_ROOT, "%u ranges, %u zones", root->nr_ranges, root->nr_zones);
		return false;
	}
	for (uint32_t i = 0; i < root->nr_ranges; i++) {
		const struct mmvm_audit_range *r = &root->range[i];
		uint64_t after = i ? root->range[i - 1].end_pfn : 0;

		/* Four times RAM: holes may have a struct page, but not without end. */
		if (r->start_pfn >= r->end_pfn || r->start_pfn < after ||
		    r->end_pfn - r->start_pfn > 4 * ram_frames + 4096 - frames) {
			audit_find(a, AUDIT_ROOT, "range %u is frames [%#" PRIx64 ", %#" PRIx64 ")",
				   i, r->start_pfn, r->end_pfn);
			return false;
		}
		a->first_index[i] = (uint32_t)frames;
		frames += r->end_pfn - r->start_pfn;
	}
	a->nr_frames = (uint32_t)frames;
	return true;
}

/** Copy the page array, one guest page of it (64 frames) at a time. */
static bool load_pages(struct audit *a)
{
	for (uint32_t i = 0; i < a->root.nr_ranges; i++) {
		const struct mmvm_audit_range *r = &a->root.range[i];
		uint64_t gva = a->root.vmemmap_gva + r->start_pfn * sizeof(struct page);

		if (audit_read(a, gva, &a->page[a->first_index[i]],
			       (r->end_pfn - r->start_pfn) * sizeof(struct page))) {
			audit_find(a, AUDIT_ROOT, "page array unreadable at %#" PRIx64, gva);
			return false;
		}
	}
	return true;
}

/** A1, and A2/A3 as far as they need nothing but the page itself. */
static void check_head(struct audit *a, uint32_t index, uint64_t pfn)
{
	const struct page *p = &a->page[index];

	if (type_is_free(p->type)) {
		if (p->refcount != 0 || p->mapcount != -1)
			audit_find(a, AUDIT_FREE_REFCOUNT,
				   "frame %#" PRIx64 ": %s page has refcount %d, mapcount %d; "
				   "expected 0, -1",
				   pfn, type_name(p->type), p->refcount, p->mapcount);
		return;
	}
	switch (p->type) {
	case PAGE_SLAB:
	case PAGE_PGTABLE:
	case PAGE_STACK:
		if (p->refcount != 1)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64 ": %s page has refcount %d; expected 1", pfn,
				   type_name(p->type), p->refcount);
		break;
	case PAGE_RESERVED:
		break;
	default:
		if (p->refcount < 1)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": %s page has refcount %d; expected 1 or more",
				   pfn, type_name(p->type), p->refcount);
	}
	if (!type_is_user(p->type) && p->type != PAGE_ZERO && p->type != PAGE_RESERVED &&
	    p->mapcount != -1)
		audit_find(a, AUDIT_MAPCOUNT,
			   "frame %#" PRIx64 ": %s page has mapcount %d; expected -1", pfn,
			   type_name(p->type), p->mapcount);
}

/** A1' of one block: `size` pages from `index` on. A block's first bad tail is enough to report. */
static void check_tails(struct audit *a, uint32_t index, uint64_t pfn, uint64_t size)
{
	const struct page *p = &a->page[index];
	const bool compound = p->flags & 1ull << PG_head;
	const uint64_t head = a->root.vmemmap_gva + pfn * sizeof(*p);

	if (p->lru.next & 1)
		audit_find(a, AUDIT_STRAY_TAIL,
			   "frame %#" PRIx64 ": %s page names head %#" PRIx64
			   ", but no compound block covers it",
			   pfn, type_name(p->type), p->lru.next - 1);
	if (compound && size == 1)
		audit_find(a, AUDIT_FOLIO_TAIL, "frame %#" PRIx64 ": %s page is a head of no tails",
			   pfn, type_name(p->type));
	for (uint64_t i = 1; i < size; i++) {
		const struct page *tail = p + i;

		if (!compound && (tail->lru.next & 1)) {
			audit_find(a, AUDIT_STRAY_TAIL,
				   "frame %#" PRIx64 " names head %#" PRIx64
				   ", but lies in a plain block (%s, order %u)",
				   pfn + i, tail->lru.next - 1, type_name(p->type), p->order);
			return;
		}
		if (compound && (tail->lru.next != (head | 1) || tail->refcount != 0 ||
				 (!type_is_user(p->type) && tail->mapcount != -1) ||
				 (tail->type != PAGE_INVALID && tail->type != PAGE_SLAB))) {
			audit_find(a, AUDIT_FOLIO_TAIL,
				   "frame %#" PRIx64 ": tail of a %s block of order %u has head "
				   "%#" PRIx64 ", refcount %d, mapcount %d, type %s; "
				   "expected head %#" PRIx64 ", 0, -1, invalid",
				   pfn + i, type_name(p->type), p->order,
				   tail->lru.next & ~UINT64_C(1), tail->refcount, tail->mapcount,
				   type_name(tail->type), head);
			return;
		}
	}
}

static void check_frames(struct audit *a)
{
	for (uint32_t r = 0; r < a->root.nr_ranges; r++) {
		uint64_t pfn = a->root.range[r].start_pfn, end = a->root.range[r].end_pfn;

		while (pfn < end) {
			uint32_t index =
				a->first_index[r] + (uint32_t)(pfn - a->root.range[r].start_pfn);
			struct page *p = &a->page[index];
			uint64_t size = 1;

			if (!frame_data(a, pfn)) {
				if (p->type != PAGE_INVALID && p->type != PAGE_RESERVED)
					audit_find(a, AUDIT_PAGE_STATE,
						   "frame %#" PRIx64
						   " is not RAM, but its type is %s",
						   pfn, type_name(p->type));
				pfn++;
				continue;
			}
			if (p->type == PAGE_INVALID || p->type >= NR_PAGE_TYPES) {
				audit_find(a, AUDIT_PAGE_STATE,
					   "frame %#" PRIx64 " is RAM, but its type is %u (%s)",
					   pfn, p->type, type_name(p->type));
				a->frame[index].seen |= SEEN_IN_RAM;
				a->out->frames[PAGE_INVALID]++;
				p->order = 0;
				pfn++;
				continue;
			}
			if (p->order >= MMVM_AUDIT_MAX_ORDERS || (pfn & ((1ull << p->order) - 1)) ||
			    (1ull << p->order) > end - pfn) {
				audit_find(a, AUDIT_PAGE_STATE,
					   "frame %#" PRIx64
					   ": %s block of order %u is unaligned or "
					   "leaves its range",
					   pfn, type_name(p->type), p->order);
				p->order = 0; /* our copy: no shift by a wild number later */
			} else {
				size = 1ull << p->order;
			}
			check_head(a, index, pfn);
			check_tails(a, index, pfn, size);
			for (uint64_t i = 0; i < size; i++) {
				a->frame[index + i].seen |= SEEN_IN_RAM | (i ? SEEN_TAIL : 0);
				a->frame[index + i].state = p->type;
			}
			a->out->frames[p->type] += size;
			pfn += size;
		}
	}
}

/** A3 and A4 of pages that users map, once the tables were walked. */
static void check_user_pages(struct audit *a)
{
	const uint64_t busy = 1ull << PG_locked | 1ull << PG_writeback;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct page *p = &a->page[i];
		const struct frame *f = &a->frame[i];
		int64_t expected, pins;

		if (!(f->seen & SEEN_IN_RAM) || (f->seen & SEEN_TAIL) || !type_is_user(f->state))
			continue;
		if ((int64_t)p->mapcount + 1 != f->mapped)
			audit_find(a, AUDIT_MAPCOUNT,
				   "frame %#" PRIx64 ": %s page has mapcount %d; %u PTEs map it",
				   frame_pfn(a, i), type_name(p->type), p->mapcount, f->mapped);
		expected = (int64_t)f->mapped + !!(p->flags & 1ull << PG_swapcache);
		pins = 0;
		if (p->flags & busy)
			pins += 2;
		if (!(p->flags & 1ull << PG_lru))
			pins += 1;
		if (p->type != PAGE_ANON) {
			audit_cache_page(a, i, pins);
			continue;
		}
		if (p->refcount < expected || p->refcount > expected + pins)
			audit_find(a, AUDIT_USED_REFCOUNT,
				   "frame %#" PRIx64
				   ": anon page has refcount %d; %u PTEs%s, at most "
				   "%" PRId64 " pins (flags %#" PRIx64 ")",
				   frame_pfn(a, i), p->refcount, f->mapped,
				   p->flags & 1ull << PG_swapcache ? " and the swap cache" : "",
				   pins, p->flags & UINT64_C(0xffffffffff));
	}
}

/** A5. */
static void check_total(struct audit *a)
{
	struct audit_result *r = a->out;
	uint64_t sum = 0;

	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		sum += r->frames[t];
	if (sum != r->ram_frames)
		audit_find(a, AUDIT_TOTAL, "%" PRIu64 " frames have a state, but RAM has %" PRIu64,
			   sum, r->ram_frames);
}

void audit_level(struct audit *a, enum zone_stat_item item, const char *name, uint64_t expected)
{
	const struct mmvm_shared *s = a->src->shared;
	uint64_t sum = 0;

	for (uint32_t z = 0; z < MMVM_MAX_ZONES; z++)
		if (a->root.zone[z].present)
			sum += (uint64_t)s->zone[z].stat[item];
	if (sum != expected)
		audit_find(a, AUDIT_VMSTAT, "%s is %" PRId64 "; counted %" PRIu64, name,
			   (int64_t)sum, expected);
}

/** A6. */
static void check_levels(struct audit *a)
{
	const uint64_t *frames = a->out->frames;
	uint64_t anon_mapped = 0, swapcache = 0;

	for (uint32_t i = 0; i < a->nr_frames; i++) {
		const struct frame *f = &a->frame[i];

		if (!(f->seen & SEEN_IN_RAM) || (f->seen & SEEN_TAIL))
			continue;
		if (f->state == PAGE_ANON && f->mapped)
			anon_mapped += 1ull << a->page[i].order;
		if (type_is_user(f->state) && (a->page[i].flags & 1ull << PG_swapcache))
			swapcache += 1ull << a->page[i].order;
	}
	audit_level(a, NR_ANON_MAPPED, "nr_anon_pages", anon_mapped);
	audit_level(a, NR_SWAPCACHE, "nr_swapcached", swapcache);
	audit_level(a, NR_PAGETABLE, "nr_page_table_pages", frames[PAGE_PGTABLE]);
	audit_level(a, NR_VMALLOC, "nr_vmalloc", frames[PAGE_VMALLOC]);
	audit_cache_levels(a);
}

static int audit_all(struct audit *a)
{
	int err;

	check_frames(a);
	audit_buddy(a);
	audit_pcp(a);
	audit_slab(a);
	err = audit_swap_load(a);
	if (!err)
		err = audit_address_spaces(a);
	if (!err)
		err = audit_mappings(a);
	if (err)
		return err;
	audit_swap_check(a);
	audit_lru(a);
	check_user_pages(a);
	check_total(a);
	check_levels(a);
	return 0;
}

int audit_memory(const struct audit_source *src, struct audit_result *out)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct timespec t0, t1;
	int ret = -ENOMEM;

	memset(out, 0, sizeof(*out));
	if (!a)
		return -ENOMEM;
	a->src = src;
	a->out = out;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	if (load_root(a)) {
		a->page = calloc(a->nr_frames, sizeof(*a->page));
		a->frame = calloc(a->nr_frames, sizeof(*a->frame));
		if (!a->page || !a->frame)
			goto out;
		if (load_pages(a) && audit_all(a))
			goto out;
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	out->ns = (uint64_t)(t1.tv_sec - t0.tv_sec) * 1000000000 + (uint64_t)t1.tv_nsec -
		  (uint64_t)t0.tv_nsec;
	ret = out->total > INT32_MAX ? INT32_MAX : (int)out->total;
out:
	audit_swap_free(a);
	free(a->vma);
	free(a->frame);
	free(a->page);
	free(a);
	return ret;
}

int audit_machine(struct machine *m, const struct symtab *symbols, uint64_t cr3,
		  struct audit_result *out)
{
	struct audit_source src = {
		.ram = machine_ram(m),
		.cr3 = cr3,
		.root_gva = symbols ? symtab_lookup(symbols, "mmvm_audit_root") : 0,
		.shared = machine_shared(m),
	};

	if (!src.root_gva)
		return -ENOSYS;
	return audit_memory(&src, out);
}

void audit_print(FILE *f, const char *prefix, const struct audit_result *r, bool states)
{
	for (unsigned int i = 0; i < r->nr_kept; i++)
		fprintf(f, "%saudit: %s: %s\n", prefix, audit_finding_name(r->kept[i].kind),
			r->kept[i].text);
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++)
		if (r->count[k] > 6)
			fprintf(f, "%saudit: %s: %" PRIu64 " times in all: %s\n", prefix,
				audit_finding_name(k), r->count[k], finding_why(k));
	if (!states)
		return;
	fprintf(f, "%spages by state:", prefix);
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		if (r->frames[t])
			fprintf(f, " %s %" PRIu64, type_name(t), r->frames[t]);
	fprintf(f, ", all %" PRIu64 "; audited in %" PRIu64 " us\n", r->ram_frames, r->ns / 1000);
}
