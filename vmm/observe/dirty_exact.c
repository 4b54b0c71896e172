/*
 * Five witnesses of what was written in a round:
 *
 *   the program    its own bitmap, in its memory        truth for the region it speaks of
 *   the PTEs       dirty bits, cleared before the round  walked from outside
 *   KVM            its dirty log, bitmap or rings
 *   the devices    what the VMM wrote for them
 *   the host       PAGEMAP_SCAN or soft-dirty of our own mapping (observe/host_writes.c)
 *
 * What must hold, for each frame of RAM:
 *
 *   D1  a page of the region that the program wrote is in the log (KVM's or the devices'), its PTE
 *       is dirty, and the host saw a write
 *   D2  a page of the region that it did not write is in no log and its PTE is clean
 *   D3  any other frame in KVM's log has a reason, which the guest's page state names: page tables,
 *       kernel stacks, slab, the kernel's image and struct pages (reserved), pages freed again; a
 *       user page only with a dirty PTE (the program's stack and data) or with none
 *   D4  nobody writes to the zero page, and no frame without a state is written
 *   D5  the log and the host agree on every frame. A write of a device and its mark could fall to
 *       either side of a look: devices stand still meanwhile (guest_ram_hold())
 *
 * A round may also be one in which devices wrote to the region, or in which the kernel moved pages of it and the
 * program wrote none: then the bitmap says which pages have another frame. In place of D1: the new frame is in KVM's
 * log, for the kernel copied the page there, and no PTE of the region is dirty. D2 holds for pages that stayed.
 *
 * With swapping, pages change frames: one that was written and swapped out has no frame any more
 * (counted); one that came back from disk has a clean PTE, and a frame that a device wrote (D1, D2
 * ask no more of it than that). No device wrote the frame of a page that was unmapped and read again
 * before its frame was free, or that the kernel filled itself: with zeroes, or from zswap. Of these
 * struct page says that swap has the contents (PG_swapcache) or must still get them (PG_dirty).
 * Everything happens on the vCPU's thread while the guest stands still; the time is its stall.
 *
 * Bounds: the region is at most four times as many pages as there is RAM, the walk visits at most as
 * many tables as there are frames and marks at most MARKS times as many frames.
 */
#include "observe/dirty_exact.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "devices/device.h"
#include "machine/walk.h"
#include "observe/host_writes.h"
#include "observe/observers.h"
#include "observe/page_state.h"

/* What is known of a frame */
#define F_WRITTEN 0x01u /* the program says so */
#define F_GUEST	  0x02u /* KVM's log */
#define F_DEVICE  0x04u /* the devices' log */
#define F_HOST	  0x08u
#define F_DIRTY	  0x10u /* a user PTE that maps it is dirty */
#define F_MAPPED  0x20u /* a user PTE maps it */
#define F_REGION  0x40u /* as a page of the region */
#define F_LARGE	  0x80u /* through an entry of 2 MiB or more: its dirty bit is for all of that */

#define PTE_PRESENT 1ull
#define PTE_DIRTY   (1ull << 6)
#define PTE_SPECIAL (1ull << 9)
#define PTE_ADDR    0x000ffffffffff000ull
#define USER_SLOTS  256u
#define NO_FRAME    UINT64_MAX
#define MARKS	    16u

/** Whose writes the program's bitmap names. */
enum round_kind { BY_PROGRAM, BY_DEVICE, BY_MOVE };

/** One round's comparison. */
struct look {
	struct dirty_exact *x;
	struct machine *m;
	const struct guest_ram *ram;
	struct mmvm_round round;
	uint64_t *written; /* copy of the program's bitmap */
	uint64_t tables;   /* that may still be visited */
	uint64_t marks;	   /* frames that may still be marked */
	enum round_kind kind;
	uint64_t bad;
};

/** Frames are numbered through the regions of RAM, one after another. */
static uint64_t frame_of(const struct guest_ram *ram, uint64_t gpa)
{
	uint64_t first = 0;

	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct guest_ram_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size)
			return first + (gpa - r->gpa) / MMVM_PAGE_SIZE;
		first += r->size / MMVM_PAGE_SIZE;
	}
	return NO_FRAME;
}

static void set_flags(struct look *l, uint64_t gpa, uint8_t flags)
{
	uint64_t f = frame_of(l->ram, gpa);

	if (f != NO_FRAME)
		l->x->frame[f] |= flags;
}

static void differ(struct look *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void differ(struct look *l, const char *fmt, ...)
{
	struct dirty_exact *x = l->x;
	va_list ap;
	int n;

	l->bad++;
	if (x->nr_kept == DIRTY_EXACT_KEPT)
		return;
	n = snprintf(x->kept[x->nr_kept], sizeof(x->kept[0]), "round %" PRIu64 ": ",
		     l->round.number);
	va_start(ap, fmt);
	vsnprintf(x->kept[x->nr_kept] + n, sizeof(x->kept[0]) - (size_t)n, fmt, ap);
	va_end(ap);
	x->nr_kept++;
}

/* ---- witnesses ------------------------------------------------------------------------------- */

static void log_page(uint64_t gpa, unsigned int by, void *arg)
{
	struct look *l = arg;

	l->x->log_guest += by & DIRTY_BY_GUEST ? 1 : 0;
	l->x->log_device += by & DIRTY_BY_DEVICE ? 1 : 0;
	set_flags(l, gpa,
		  (by & DIRTY_BY_GUEST ? F_GUEST : 0) | (by & DIRTY_BY_DEVICE ? F_DEVICE : 0));
}

static void host_page(uint64_t gpa, void *arg)
{
	set_flags(arg, gpa, F_HOST);
}

static bool in_region(const struct look *l, uint64_t va)
{
	return va - l->round.base < l->round.pages * MMVM_PAGE_SIZE;
}

static void leaf(struct look *l, uint64_t va, uint64_t entry, unsigned int level)
{
	uint64_t size = MMVM_PAGE_SIZE << 9 * level, gpa = entry & PTE_ADDR & ~(size - 1);

	if ((entry & PTE_SPECIAL) || l->marks < size / MMVM_PAGE_SIZE)
		return; /* the zero page is nobody's; a guest that maps RAM so often plays games */
	l->marks -= size / MMVM_PAGE_SIZE;
	for (uint64_t at = 0; at < size; at += MMVM_PAGE_SIZE)
		set_flags(l, gpa + at,
			  F_MAPPED | (entry & PTE_DIRTY ? F_DIRTY : 0) | (level ? F_LARGE : 0) |
				  (in_region(l, va + at) ? F_REGION : 0));
}

/** A table is visited while the bound lasts. */
static int visit_table(void *arg, uint64_t addr, unsigned int level, uint64_t gpa)
{
	struct look *l = arg;

	if (!l->tables)
		return 0;
	l->tables--;
	return 1;
}

static void visit_entry(void *arg, uint64_t addr, unsigned int level, uint64_t entry)
{
	if ((entry & PTE_PRESENT) && level < 3)
		leaf(arg, addr, entry, level);
}

/** The program's own word: its pages, by the frames they are in now. */
static void mark_written(struct look *l, uint64_t cr3)
{
	for (uint64_t i = 0; i < l->round.pages; i++) {
		bool written = l->written[i / 64] >> i % 64 & 1;
		uint64_t gpa;

		if (!written && l->kind != BY_DEVICE)
			continue; /* the walk has marked the region's frames */
		if (machine_translate(l->m, cr3, l->round.base + i * MMVM_PAGE_SIZE, &gpa)) {
			l->x->swapped += written;
			continue;
		}
		*(l->kind == BY_MOVE ? &l->x->moved : &l->x->written) += written;
		set_flags(l, gpa, F_REGION | (written ? F_WRITTEN : 0));
	}
}

/* ---- the comparison -------------------------------------------------------------------------- */

/** Does struct page say of a page with a clean PTE that swap has its contents, or must still get them? */
static bool from_swap_cache(const struct look *l, uint64_t gpa)
{
	return page_state_flags(l->x->states, gpa) & (1u << PG_swapcache | 1u << PG_dirty);
}

/** D1. */
static void check_written(struct look *l, uint64_t gpa, uint8_t f)
{
	struct dirty_exact *x = l->x;

	if (f & (l->kind == BY_DEVICE ? F_DEVICE : F_GUEST | F_DEVICE))
		x->in_log++;
	else
		differ(l, "frame %#" PRIx64 " was written and is not in the dirty log",
		       gpa >> MMVM_PAGE_SHIFT);
	if ((f & F_DIRTY) || l->kind == BY_DEVICE)
		x->in_pte++;
	else if (f & F_DEVICE)
		x->returned++;
	else if (from_swap_cache(l, gpa))
		x->kept_in_cache++;
	else
		differ(l, "frame %#" PRIx64 " was written and its PTE is clean",
		       gpa >> MMVM_PAGE_SHIFT);
	if (f & F_HOST)
		x->in_host++;
	else if (x->host)
		differ(l, "frame %#" PRIx64 " was written and the host did not see it",
		       gpa >> MMVM_PAGE_SHIFT);
}

/** The same for the new frame of a page that was moved. */
static void check_moved(struct look *l, uint64_t gpa, uint8_t f)
{
	struct dirty_exact *x = l->x;

	if (f & F_GUEST)
		x->moved_in_log++;
	else
		differ(l, "frame %#" PRIx64 " has got a page and is not in the dirty log",
		       gpa >> MMVM_PAGE_SHIFT);
	if (f & F_DIRTY)
		differ(l, "frame %#" PRIx64 " has got a page, and its PTE has become dirty",
		       gpa >> MMVM_PAGE_SHIFT);
	if (x->host && !(f & F_HOST))
		differ(l, "frame %#" PRIx64 " has got a page and the host did not see it",
		       gpa >> MMVM_PAGE_SHIFT);
}

/** D2 to D4, for a frame that the program has not written. */
static void check_other(struct look *l, uint64_t gpa, uint8_t f)
{
	struct dirty_exact *x = l->x;
	enum mmvm_page_type type;
	unsigned int zone;

	if ((f & (F_REGION | F_DIRTY | F_LARGE)) == (F_REGION | F_DIRTY))
		differ(l, "frame %#" PRIx64 " was not written and its PTE is dirty",
		       gpa >> MMVM_PAGE_SHIFT);
	if (!(f & (F_GUEST | F_DEVICE)))
		return;
	if (!(f & F_GUEST) && !(l->kind == BY_DEVICE && (f & F_REGION))) {
		x->extra_device++;
		return;
	}
	type = page_state_get(x->states, gpa, &zone);
	if ((f & (F_MAPPED | F_DEVICE | F_DIRTY)) == (F_MAPPED | F_DEVICE) && l->kind != BY_DEVICE)
		x->extra_device++; /* it was another page's frame until this page was read back from disk */
	else if ((f & (F_MAPPED | F_DIRTY)) == F_MAPPED && l->kind == BY_PROGRAM &&
		 from_swap_cache(l, gpa))
		x->extra_filled++;
	else if (f & F_REGION)
		differ(l, "frame %#" PRIx64 " (%s) of the region is in the log and was not written",
		       gpa >> MMVM_PAGE_SHIFT, page_state_name(type));
	else if ((f & (F_MAPPED | F_DIRTY)) == F_MAPPED && l->kind != BY_MOVE)
		differ(l, "frame %#" PRIx64 " (%s) is in the log and its PTE is clean",
		       gpa >> MMVM_PAGE_SHIFT, page_state_name(type));
	else if (type == PAGE_ZERO || type == PAGE_INVALID)
		differ(l, "frame %#" PRIx64 " (%s) was written", gpa >> MMVM_PAGE_SHIFT,
		       page_state_name(type));
	else if (f & F_MAPPED)
		x->extra_own++;
	else
		x->extra[type]++;
}

static void compare(struct look *l)
{
	struct dirty_exact *x = l->x;
	uint64_t i = 0;

	page_state_begin(x->states);
	for (unsigned int n = 0; n < l->ram->nr; n++) {
		const struct guest_ram_region *r = &l->ram->region[n];

		for (uint64_t at = 0; at < r->size; at += MMVM_PAGE_SIZE, i++) {
			uint8_t f = x->frame[i];

			if ((f & F_WRITTEN) && l->kind == BY_MOVE)
				check_moved(l, r->gpa + at, f);
			else if (f & F_WRITTEN)
				check_written(l, r->gpa + at, f);
			else if (f)
				check_other(l, r->gpa + at, f);
			/* D5; D1 has spoken of the program's own already. */
			if (x->host && !(f & F_WRITTEN) &&
			    !(f & F_HOST) != !(f & (F_GUEST | F_DEVICE)))
				differ(l, "frame %#" PRIx64 ": %s",
				       (r->gpa + at) >> MMVM_PAGE_SHIFT,
				       f & F_HOST ? "the host saw a write, the log has none"
						  : "in the log, and the host saw no write");
		}
	}
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static int prepare(struct dirty_exact *x, struct machine *m)
{
	const struct guest_ram *ram = machine_ram(m);
	int rc;

	if (!x->tried_host) {
		x->tried_host = true;
		x->host = host_writes_open(ram, x->host_why, sizeof(x->host_why));
	}
	if (!x->states) {
		rc = page_state_open(m, x->symbols, &x->states);
		if (rc)
			return rc;
	}
	if (!x->frame) {
		for (unsigned int i = 0; i < ram->nr; i++)
			x->nr_frames += ram->region[i].size / MMVM_PAGE_SIZE;
		x->frame = malloc(x->nr_frames);
	}
	return x->frame ? 0 : -ENOMEM;
}

/** Begin: earlier writes do not count. */
static int begin(struct dirty_exact *x, struct machine *m)
{
	int64_t n;
	int rc = prepare(x, m);

	if (rc)
		return rc;
	guest_ram_hold(machine_ram(m));
	if (x->host)
		rc = host_writes_clear(x->host);
	n = rc ? rc : machine_dirty_read(m, DIRTY_READER_EXACT, NULL, NULL);
	guest_ram_release(machine_ram(m));
	if (n < 0)
		return (int)n;
	x->in_round = true;
	return 0;
}

static int load_round(struct look *l, uint64_t cr3, uint64_t gva)
{
	uint64_t words;

	if (machine_read_virt(l->m, cr3, gva, &l->round, sizeof(l->round)))
		return -EFAULT;
	if (l->round.base % MMVM_PAGE_SIZE || !l->round.pages ||
	    l->round.pages > 4 * l->x->nr_frames)
		return -EINVAL;
	words = (l->round.pages + 63) / 64;
	l->written = malloc(words * sizeof(*l->written));
	if (!l->written)
		return -ENOMEM;
	return machine_read_virt(l->m, cr3, l->round.written, l->written,
				 words * sizeof(*l->written));
}

static int end(struct dirty_exact *x, struct machine *m, uint64_t cr3, uint64_t gva,
	       enum round_kind kind)
{
	struct look l = {.x = x,
			 .m = m,
			 .ram = machine_ram(m),
			 .tables = x->nr_frames,
			 .marks = x->nr_frames * MARKS,
			 .kind = kind};
	const struct guest_walk_ops visit = {.table = visit_table, .entry = visit_entry};
	const struct guest_tables tables = {
		.ram = machine_ram(m), .root = cr3 & PTE_ADDR, .levels = machine_paging_levels(m)};
	int64_t n;
	int rc;

	if (!x->in_round)
		return -EINVAL;
	x->in_round = false;
	rc = load_round(&l, cr3, gva);
	if (rc)
		goto out;
	memset(x->frame, 0, x->nr_frames);
	guest_ram_hold(machine_ram(m));
	n = machine_dirty_read(m, DIRTY_READER_EXACT, log_page, &l);
	rc = n < 0 ? (int)n : 0;
	if (!rc && x->host)
		rc = host_writes_read(x->host, host_page, &l);
	guest_ram_release(machine_ram(m));
	if (rc)
		goto out;
	guest_tables_walk(&tables, 0, USER_SLOTS - 1, &visit, &l);
	mark_written(&l, cr3);
	compare(&l);
	x->rounds++;
	x->rounds_of_moves += kind == BY_MOVE;
	x->bad += l.bad;
	rc = l.bad > INT32_MAX ? INT32_MAX : (int)l.bad;
out:
	free(l.written);
	return rc;
}

int dirty_exact_round(struct dirty_exact *x, struct machine *m, uint64_t cr3,
		      const struct mmvm_record *rec)
{
	uint64_t t0 = machine_now_ns();
	int rc = -EINVAL;

	if (!strcmp(rec->name, "begin"))
		rc = begin(x, m);
	else if (!strcmp(rec->name, "end"))
		rc = end(x, m, cr3, rec->value, BY_PROGRAM);
	else if (!strcmp(rec->name, "device"))
		rc = end(x, m, cr3, rec->value, BY_DEVICE);
	else if (!strcmp(rec->name, "moved"))
		rc = end(x, m, cr3, rec->value, BY_MOVE);
	x->ns += machine_now_ns() - t0;
	return rc;
}

/** What the program wrote, as each witness has it. */
static void written_result(const struct dirty_exact *x, struct run_result *r)
{
	char note[96];

	snprintf(note, sizeof(note), "program's own count, dirty log; %" PRIu64 " rounds",
		 x->rounds);
	run_result_add_check(r, "written pages in the dirty log", x->written, x->in_log, note);
	run_result_add_check(r, "written pages with dirty PTEs", x->written,
			     x->in_pte + x->returned + x->kept_in_cache,
			     "program's own count, page tables from outside");
	if (x->host) {
		snprintf(note, sizeof(note), "program's own count, %s",
			 host_writes_method(x->host));
		run_result_add_check(r, "written pages seen by the host", x->written, x->in_host,
				     note);
	}
}

void dirty_exact_result(const struct dirty_exact *x, struct run_result *r)
{
	if (!x->rounds)
		return;
	if (x->rounds > x->rounds_of_moves)
		written_result(x, r);
	if (x->rounds_of_moves)
		run_result_add_check(r, "moved pages in the dirty log", x->moved, x->moved_in_log,
				     "program's own count, frames that the kernel copied to");
	run_result_add_check(r, "dirty pages without a reason", 0, x->bad,
			     x->host ? "must be none" : x->host_why);
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++) {
		if (!x->extra[t])
			continue;
		run_result_add_reason(r, page_state_name(t), x->extra[t]);
	}
	run_result_add_reason(r, "program's own", x->extra_own);
	run_result_add_reason(r, "devices only", x->extra_device);
	run_result_add_reason(r, "swapped out since", x->swapped);
	run_result_add_reason(r, "swapped in since", x->returned);
	run_result_add_reason(r, "mapped again from the swap cache", x->kept_in_cache);
	run_result_add_reason(r, "filled from swap by the kernel", x->extra_filled);
}

void dirty_exact_print(FILE *f, const char *prefix, const struct dirty_exact *x)
{
	for (unsigned int i = 0; i < x->nr_kept; i++)
		fprintf(f, "%s%s\n", prefix, x->kept[i]);
	if (x->bad > x->nr_kept)
		fprintf(f, "%sand %" PRIu64 " more\n", prefix, x->bad - x->nr_kept);
}

void dirty_exact_free(struct dirty_exact *x)
{
	host_writes_close(x->host);
	page_state_close(x->states);
	free(x->frame);
	x->host = NULL;
	x->states = NULL;
	x->frame = NULL;
}

/* ---- the observer ----------------------------------------------------------------------------- */

static bool wanted(const void *self, const struct observation *run,
		   const struct machine_config *config)
{
	return config->dirty_log;
}

static int on_open(void *self, struct observation *run, struct machine_config *config,
		   struct mmvm_error *err)
{
	((struct dirty_exact *)self)->symbols = run->symbols;
	host_writes_prepare();
	return 0;
}

static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	if (q->kind != REQUEST_ROUND || !strncmp(q->rec->name, "access-", 7))
		return -ENOSYS;
	return dirty_exact_round(self, m, q->cr3, q->rec);
}

static void on_result(void *self, struct machine *m, struct run_result *r)
{
	dirty_exact_print(stderr, "mmvm: dirty: ", self);
	dirty_exact_result(self, r);
}

static void on_cost(void *self, struct machine *m, struct run_result *r)
{
	const struct dirty_exact *x = self;

	if (x->rounds)
		run_result_add_observer(
			r, &(struct run_observer){
				   .name = "exact comparison",
				   .times = x->rounds,
				   .ns = x->ns,
				   .exits = 2 * x->rounds,
				   .has_stall = true,
				   .stall_ns = x->ns,
				   .note = "the guest waits; the host's witness makes it fault",
			   });
}

static void on_close(void *self)
{
	dirty_exact_free(self);
}

const struct observer dirty_exact_observer = {
	.name = "dirty-exact",
	.what = "for a program that says what it wrote: every witness must agree, page by page",
	.size = sizeof(struct dirty_exact),
	.wanted = wanted,
	.open = on_open,
	.request = on_request,
	.result = on_result,
	.cost = on_cost,
	.close = on_close,
};
