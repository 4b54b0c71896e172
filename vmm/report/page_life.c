/*
 * A page's life in words: one line for each event of guest and host, in the order of their times.
 *
 *   time        since    who              event       what it says                 the frame then
 *   12.345 ms   +3.1 us  7 swapstress     map         anon at 0x7f0000001000       anon, mapped
 *   12.350 ms   +5.0 us  host swap        blk_page    written to sector 136, 21 us
 *
 * The life of an address is that of its successive frames and of the swap slots between them. A frame is
 * followed from its allocation in the fault until it is free again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "report/page_life.h"
#include "report/trace_detail.h"

#define SECTORS_PER_PAGE 8u

/* ---- one line -------------------------------------------------------------------------------- */

struct printer {
	FILE *out;
	const struct trace_data *t;
	struct life_who *who;
	int64_t last;
	bool any;
};

static void print_since(FILE *out, int64_t ns)
{
	if (ns < 10000000)
		fprintf(out, "%+10.1f us ", (double)ns / 1e3);
	else
		fprintf(out, "%+10.1f ms ", (double)ns / 1e6);
}

static void print_event(struct printer *p, const struct trace_event *e,
			const struct life_frame *frame)
{
	char detail[256], state[128] = "", who[48];

	if (e->host)
		snprintf(who, sizeof(who), "host %s",
			 (e->rec->event == HOST_BLK || e->rec->event == HOST_BLK_PAGE) &&
					 p->t->disk[e->rec->device]
				 ? p->t->disk[e->rec->device]
				 : "");
	else
		snprintf(who, sizeof(who), "%u %s", e->guest->pid,
			 life_who_name(p->who, e->guest->pid));
	if (!p->any)
		fprintf(p->out, "%15s %13s %-14s %-13s %-48s %s\n", "time", "since before", "who",
			"event", "", "the frame then");
	fprintf(p->out, "%12.6f ms ", (double)e->ns / 1e6);
	print_since(p->out, p->any ? e->ns - p->last : 0);
	trace_detail(p->t, e, detail, sizeof(detail));
	if (frame)
		life_describe(frame, state, sizeof(state));
	fprintf(p->out, "%-14s %-13s ", who, trace_event_name(e));
	fprintf(p->out, frame ? "%-48s %s\n" : "%s%s\n", detail, state);
	p->last = e->ns;
	p->any = true;
}

static int printer_begin(struct printer *p, FILE *out, const struct trace_data *t)
{
	*p = (struct printer){.out = out, .t = t, .who = life_who_create(t)};
	return p->who ? 0 : -ENOMEM;
}

void life_print_head(FILE *out, const struct trace_data *t)
{
	fprintf(out, "trace of: %s (%s, %s)\n", t->head.command, t->head.accel, t->head.backend);
	fprintf(out, "%zu events, %u CPU%s; one clock, error %.2f us", t->nr, t->head.cpus,
		t->head.cpus == 1 ? "" : "s",
		(double)trace_ns(t, t->head.tsc_error + t->end.tsc_error) / 1e3);
	if (t->complete) {
		int64_t from = t->head.tsc_offset, to = t->end.tsc_offset;
		uint64_t drift =
			from < to ? (uint64_t)to - (uint64_t)from : (uint64_t)from - (uint64_t)to;

		fprintf(out, ", drift %.2f us", (double)trace_ns(t, drift) / 1e3);
	}
	fprintf(out, "; dropped: %" PRIu64 " in rings, %" PRIu64 " beyond the file's limit\n",
		t->end.guest_dropped, t->end.file_dropped);
	if (!t->complete)
		fprintf(out, "incomplete: %s\n", t->cut ? t->cut : "no end");
	if (t->bad)
		fprintf(out, "%" PRIu64 " records made no sense and were left out\n", t->bad);
	if (t->end.broken_rings)
		fprintf(out, "the guest damaged its rings (CPUs 0x%" PRIx64 ")\n",
			t->end.broken_rings);
}

/* ---- a frame --------------------------------------------------------------------------------- */

static bool event_about(const struct trace_event *e, uint64_t pfn)
{
	if (!e->host)
		return trace_event_has_page(e->guest->event) && e->guest->pfn <= pfn &&
		       pfn - e->guest->pfn < 1ull << e->guest->order;
	switch (e->rec->event) {
	case HOST_BLK_PAGE:
	case HOST_DMA_PAGE:
		return e->rec->a == pfn;
	case HOST_DIRTY:
		return e->rec->a <= pfn && pfn - e->rec->a < e->rec->b;
	default:
		return false;
	}
}

int life_print_frame(FILE *out, const struct trace_data *t, uint64_t pfn)
{
	struct life_frame frame = {0};
	struct printer p;

	if (printer_begin(&p, out, t))
		return -ENOMEM;
	for (size_t i = 0; i < t->nr; i++) {
		const struct trace_event *e = &t->event[i];

		if (!event_about(e, pfn))
			continue;
		if (!e->host)
			life_step(&frame, e->guest);
		print_event(&p, e, &frame);
	}
	if (!p.any)
		fprintf(out, "nothing happened to frame %" PRIx64 " in this trace\n", pfn);
	life_who_free(p.who);
	return ferror(out) ? -EIO : 0;
}

/* ---- an address ------------------------------------------------------------------------------ */

/** Numbers of the events found so far. They are not sorted while earlier ones may be added. */
struct found {
	uint32_t *event;
	size_t nr, room;
};

static int found_add(struct found *f, size_t event)
{
	if (f->nr == f->room) {
		size_t room = f->room * 2 + 64;
		uint32_t *bigger = realloc(f->event, room * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		f->event = bigger;
		f->room = room;
	}
	f->event[f->nr++] = (uint32_t)event;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/** Where the contents of the address are at the current event. */
struct follow {
	const struct trace_data *t;
	uint64_t addr;
	uint32_t mm;
	int swap;     /* number of the swap disk */
	bool has_pfn; /* they are in a frame */
	uint64_t pfn;
	uint64_t entry;	 /* they are (perhaps also) in this slot; 0: none */
	uint32_t *alloc; /* last allocation of each frame, event number + 1 */
	struct found found;
};

/** The contents are in this frame now. Its allocation, an earlier event, belongs to the life of the address. */
static int take_frame(struct follow *f, uint64_t pfn)
{
	uint32_t alloc = f->alloc[trace_frame(f->t, pfn)];

	if (f->has_pfn && f->pfn == pfn)
		return 0;
	f->has_pfn = true;
	f->pfn = pfn;
	return alloc ? found_add(&f->found, alloc - 1) : 0;
}

static bool is_swap_event(unsigned int event)
{
	return event == TRACE_CACHE_ADD || event == TRACE_CACHE_DEL ||
	       (event >= TRACE_SWAP_OUT && event <= TRACE_READ_END);
}

static int follow_guest(struct follow *f, size_t i)
{
	const struct mmvm_trace_rec *r = f->t->event[i].guest;
	bool mine = false;
	int rc = 0;

	if (r->event == TRACE_ALLOC)
		for (uint64_t k = 0; k < 1ull << r->order; k++)
			f->alloc[trace_frame(f->t, r->pfn + k)] = (uint32_t)i + 1;
	if (r->event == TRACE_FAULT_BEGIN || r->event == TRACE_FAULT_END || r->event == TRACE_MAP ||
	    r->event == TRACE_UNMAP)
		mine = r->mm == f->mm && r->addr == f->addr;
	if (mine && r->event == TRACE_MAP) {
		rc = take_frame(f, r->pfn);
		if (r->arg != TRACE_MAP_SWAP && r->arg != TRACE_MAP_REUSE)
			f->entry = 0;
	}
	if (is_swap_event(r->event) && f->entry && r->addr == f->entry) {
		mine = true;
		if (r->event == TRACE_CACHE_ADD)
			rc = take_frame(f, r->pfn);
	}
	if (!mine && f->has_pfn && event_about(&f->t->event[i], f->pfn))
		mine = true;
	if (mine && f->has_pfn && is_swap_event(r->event) && r->pfn == f->pfn)
		f->entry = r->event == TRACE_CACHE_DEL && r->arg == TRACE_CACHE_FREE ? 0 : r->addr;
	if (mine && !rc)
		rc = found_add(&f->found, i);
	if (mine && r->event == TRACE_FREE)
		f->has_pfn = false;
	/* The frame is no longer this address's. If there is a slot, it still has the contents. */
	if (mine && r->event == TRACE_UNMAP && r->mm == f->mm && r->arg == TRACE_UNMAP_ZAP)
		f->entry = 0;
	return rc;
}

static int follow_host(struct follow *f, size_t i)
{
	const struct trace_event *e = &f->t->event[i];
	bool mine = f->has_pfn && event_about(e, f->pfn);

	if (f->entry && e->rec->event == HOST_BLK_PAGE && (int)e->rec->device == f->swap &&
	    e->rec->b == (f->entry & TRACE_SLOT_MASK) * SECTORS_PER_PAGE)
		mine = true;
	return mine ? found_add(&f->found, i) : 0;
}

static void print_found(struct printer *p, struct found *f)
{
	struct life_frame frame = {0};
	uint64_t pfn = UINT64_MAX;
	uint32_t before = UINT32_MAX;

	if (f->nr)
		qsort(f->event, f->nr, sizeof(*f->event), by_number);
	for (size_t i = 0; i < f->nr; i++) {
		const struct trace_event *e = &p->t->event[f->event[i]];
		bool page = !e->host && trace_event_has_page(e->guest->event);

		if (f->event[i] == before)
			continue;
		before = f->event[i];
		if (page && e->guest->pfn != pfn) {
			pfn = e->guest->pfn;
			frame = (struct life_frame){0};
			fprintf(p->out, "-- frame %" PRIx64 "\n", pfn);
		}
		if (page)
			life_step(&frame, e->guest);
		print_event(p, e, pfn != UINT64_MAX ? &frame : NULL);
	}
}

/** The first address space that maps the address and belongs to the process; 0: none. */
static uint32_t find_mm(const struct printer *p, uint64_t addr, uint32_t pid)
{
	for (size_t i = 0; i < p->t->nr; i++) {
		const struct trace_event *e = &p->t->event[i];

		if (e->host || e->guest->event != TRACE_MAP || e->guest->addr != addr)
			continue;
		if (!pid || life_who_pid(p->who, e->guest->mm, e->ns) == pid)
			return e->guest->mm;
	}
	return 0;
}

int life_print_address(FILE *out, const struct trace_data *t, uint64_t addr, uint32_t pid)
{
	struct follow f = {
		.t = t, .addr = addr & ~(MMVM_PAGE_SIZE - 1), .swap = trace_disk(t, "swap")};
	struct printer p;
	int rc = 0;

	if (printer_begin(&p, out, t))
		return -ENOMEM;
	f.mm = find_mm(&p, f.addr, pid);
	f.alloc = calloc(trace_frames(t) + 1, sizeof(*f.alloc));
	if (!f.alloc)
		rc = -ENOMEM;
	for (size_t i = 0; f.mm && !rc && i < t->nr; i++)
		rc = t->event[i].host ? follow_host(&f, i) : follow_guest(&f, i);
	if (!rc && f.mm)
		print_found(&p, &f.found);
	else if (!rc)
		fprintf(out, "no process had a page at 0x%" PRIx64 " in this trace\n", f.addr);
	free(f.found.event);
	free(f.alloc);
	life_who_free(p.who);
	return rc ? rc : ferror(out) ? -EIO : 0;
}

/* ---- the interesting ones -------------------------------------------------------------------- */

struct spot {
	uint64_t addr;
	uint32_t mm, in, maps; /* from swap; in all */
	uint64_t pfn;	       /* the last */
	int64_t ns;
};

struct spots {
	struct spot *slot; /* open hashing */
	size_t size, used;
};

static struct spot *spot_find(struct spots *s, uint32_t mm, uint64_t addr)
{
	uint64_t h = (addr ^ (uint64_t)mm << 20) * 0x9e3779b97f4a7c15ull;

	for (size_t i = h >> 20 & (s->size - 1);; i = (i + 1) & (s->size - 1)) {
		struct spot *p = &s->slot[i];

		if (p->maps && (p->mm != mm || p->addr != addr))
			continue;
		if (!p->maps) {
			p->mm = mm;
			p->addr = addr;
			s->used++;
		}
		return p;
	}
}

static int spots_grow(struct spots *s)
{
	struct spots bigger = {.size = s->size ? s->size * 2 : 4096};

	if (s->used * 2 < s->size)
		return 0;
	bigger.slot = calloc(bigger.size, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < s->size; i++)
		if (s->slot[i].maps)
			*spot_find(&bigger, s->slot[i].mm, s->slot[i].addr) = s->slot[i];
	free(s->slot);
	*s = bigger;
	return 0;
}

static int by_interest(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->in != y->in)
		return x->in > y->in ? -1 : 1;
	if (x->maps != y->maps)
		return x->maps > y->maps ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

int life_print_list(FILE *out, const struct trace_data *t, unsigned int max)
{
	struct spots s = {0};
	struct printer p;
	int rc = 0;

	if (printer_begin(&p, out, t))
		return -ENOMEM;
	for (size_t i = 0; !rc && i < t->nr; i++) {
		const struct trace_event *e = &t->event[i];
		struct spot *spot;

		if (e->host || e->guest->event != TRACE_MAP || e->guest->arg == TRACE_MAP_ZERO)
			continue;
		rc = spots_grow(&s);
		if (rc)
			break;
		spot = spot_find(&s, e->guest->mm, e->guest->addr);
		spot->maps++;
		spot->in += e->guest->arg == TRACE_MAP_SWAP;
		spot->pfn = e->guest->pfn;
		spot->ns = e->ns;
	}
	if (!rc && s.size)
		qsort(s.slot, s.size, sizeof(*s.slot), by_interest);
	if (!rc)
		fprintf(out, "%18s %6s %-9s %9s %9s %12s\n", "address", "pid", "", "from swap",
			"mapped", "last frame");
	for (size_t i = 0; !rc && i < s.size && i < max && s.slot[i].maps; i++) {
		uint32_t pid = life_who_pid(p.who, s.slot[i].mm, s.slot[i].ns);

		fprintf(out, "0x%016" PRIx64 " %6u %-9s %9u %9u %12" PRIx64 "\n", s.slot[i].addr,
			pid, life_who_name(p.who, pid), s.slot[i].in, s.slot[i].maps,
			s.slot[i].pfn);
	}
	free(s.slot);
	life_who_free(p.who);
	return rc ? rc : ferror(out) ? -EIO : 0;
}

void life_print_check(FILE *out, const struct life_check *c)
{
	fprintf(out,
		"%" PRIu64 " events of %" PRIu64 " frames against the rules of a page's life\n",
		c->events, c->frames);
	if (!c->whole) {
		fprintf(out,
			"the trace is not whole: nothing can be said about rules and counts\n");
		return;
	}
	for (unsigned int i = 1; i < NR_LIFE_RULES; i++) {
		fprintf(out, "  %-4s %-64s ", life_rule_number(i), life_rule_text(i));
		if (c->broken[i])
			fprintf(out,
				"broken %" PRIu64 " times, first by frame %" PRIx64 " at %.6f ms\n",
				c->broken[i], c->first[i].pfn, (double)c->first[i].ns / 1e6);
		else
			fprintf(out, "holds\n");
	}
	fprintf(out, "  %-36s %10s %10s\n", "records", "trace", "");
	for (unsigned int i = 0; i < c->nr_counts; i++)
		fprintf(out, "  %-36s %10" PRIu64 " %10" PRIu64 "  %s%s\n", c->count[i].name,
			c->count[i].trace, c->count[i].other, c->count[i].against,
			c->count[i].trace == c->count[i].other ? "" : "  DIFFERENT");
}
