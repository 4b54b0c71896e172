/*
 * The states of a frame, and the check of a whole trace against them.
 *
 * A rule is broken by the record that comes, not by the state that follows: after it the frame is
 * taken to be what the record says, so that one mistake is reported once.
 *
 * Mapping counts (L3, L4) are kept for pages allocated as anonymous memory only: those of other
 * owners may be mapped where there is no trace point.
 */
#include "result/page_life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "mmvm/page.h"

#define SECTORS_PER_PAGE 8u
#define BLK_OUT		 1u /* VIRTIO_BLK_T_OUT */

static const char *const rule_number[NR_LIFE_RULES] = {
#define NAME_(name, number, text) [name] = number,
	LIFE_RULES(NAME_)
#undef NAME_
};
static const char *const rule_text[NR_LIFE_RULES] = {
#define NAME_(name, number, text) [name] = text,
	LIFE_RULES(NAME_)
#undef NAME_
};

const char *life_rule_number(enum life_rule rule)
{
	return rule_number[rule];
}

const char *life_rule_text(enum life_rule rule)
{
	return rule_text[rule];
}

/* ---- one frame ------------------------------------------------------------------------------- */

static enum life_rule step_free(struct life_frame *f)
{
	bool legal = f->state == LIFE_UNKNOWN ||
		     (f->state == LIFE_USED && !f->slot && !f->writing && !f->reading && !f->file &&
		      !f->file_writing && (f->type != PAGE_ANON || !f->mapped));

	*f = (struct life_frame){.state = LIFE_IS_FREE};
	return legal ? LIFE_LEGAL : LIFE_FREE;
}

static enum life_rule step_map(struct life_frame *f, const struct mmvm_trace_rec *r)
{
	if (r->arg == TRACE_MAP_ZERO)
		return LIFE_LEGAL;
	if (r->arg == TRACE_MAP_REUSE)
		return f->type != PAGE_ANON || f->mapped > 0 ? LIFE_LEGAL : LIFE_MAP;
	f->mapped++;
	return f->state == LIFE_USED ? LIFE_LEGAL : LIFE_MAP;
}

static enum life_rule step_unmap(struct life_frame *f)
{
	if (f->type != PAGE_ANON) {
		f->mapped -= f->mapped > 0;
		return LIFE_LEGAL;
	}
	if (f->mapped > 0) {
		f->mapped--;
		return LIFE_LEGAL;
	}
	return LIFE_UNMAP;
}

static enum life_rule step_swap(struct life_frame *f, const struct mmvm_trace_rec *r)
{
	bool ok;

	switch (r->event) {
	case TRACE_CACHE_ADD:
		ok = f->state == LIFE_USED && !f->slot;
		f->slot = true;
		f->entry = r->addr;
		return ok ? LIFE_LEGAL : LIFE_SLOT;
	case TRACE_CACHE_DEL:
		ok = f->slot && f->entry == r->addr && !f->writing && !f->reading;
		f->slot = false;
		return ok ? LIFE_LEGAL : LIFE_UNSLOT;
	case TRACE_SWAP_OUT:
	case TRACE_SWAP_OUT_ZERO:
		ok = f->slot && f->entry == r->addr && !f->writing && !f->reading;
		f->writing = r->event == TRACE_SWAP_OUT;
		f->on_disk = false;
		return ok ? LIFE_LEGAL : LIFE_WRITE;
	case TRACE_WRITE_END:
		ok = f->writing;
		f->writing = false;
		return ok ? LIFE_LEGAL : LIFE_WRITTEN;
	case TRACE_SWAP_IN:
	case TRACE_SWAP_IN_ZERO:
		ok = f->slot && f->entry == r->addr && !f->writing && !f->reading;
		f->reading = r->event == TRACE_SWAP_IN;
		f->on_disk = false;
		return ok ? LIFE_LEGAL : LIFE_READ;
	default: /* READ_END */
		ok = f->reading;
		f->reading = false;
		return ok ? LIFE_LEGAL : LIFE_HAS_READ;
	}
}

static enum life_rule step_file(struct life_frame *f, const struct mmvm_trace_rec *r)
{
	bool ok;

	switch (r->event) {
	case TRACE_FILE_ADD:
		ok = f->state == LIFE_USED && !f->file;
		f->file = true;
		f->type = (uint8_t)r->arg;
		return ok ? LIFE_LEGAL : LIFE_CACHED;
	case TRACE_FILE_DEL:
		ok = f->file && !f->file_writing;
		f->file = false;
		return ok ? LIFE_LEGAL : LIFE_CACHED;
	case TRACE_FILE_DIRTY:
		return f->file ? LIFE_LEGAL : LIFE_CACHED;
	case TRACE_FILE_WRITE:
		ok = f->file && !f->file_writing;
		f->file_writing = true;
		return ok ? LIFE_LEGAL : LIFE_FILE_WRITE;
	default: /* FILE_WRITTEN */
		ok = f->file_writing;
		f->file_writing = false;
		return ok ? LIFE_LEGAL : LIFE_FILE_WRITE;
	}
}

enum life_rule life_step(struct life_frame *f, const struct mmvm_trace_rec *r)
{
	bool ok;

	switch (r->event) {
	case TRACE_ALLOC:
		ok = f->state != LIFE_USED;
		*f = (struct life_frame){.state = LIFE_USED, .type = (uint8_t)r->arg};
		return ok ? LIFE_LEGAL : LIFE_ALLOC;
	case TRACE_FREE:
		return step_free(f);
	case TRACE_MAP:
		return step_map(f, r);
	case TRACE_UNMAP:
		return step_unmap(f);
	case TRACE_ISOLATE:
		f->isolated = true;
		return LIFE_LEGAL;
	case TRACE_PUTBACK:
		ok = f->isolated;
		f->isolated = false;
		return ok ? LIFE_LEGAL : LIFE_PUTBACK;
	case TRACE_CACHE_ADD:
	case TRACE_CACHE_DEL:
	case TRACE_SWAP_OUT:
	case TRACE_SWAP_OUT_ZERO:
	case TRACE_WRITE_END:
	case TRACE_SWAP_IN:
	case TRACE_SWAP_IN_ZERO:
	case TRACE_READ_END:
		return step_swap(f, r);
	case TRACE_FILE_ADD:
	case TRACE_FILE_DEL:
	case TRACE_FILE_DIRTY:
	case TRACE_FILE_WRITE:
	case TRACE_FILE_WRITTEN:
		return step_file(f, r);
	default:
		return LIFE_LEGAL;
	}
}

const char *life_describe(const struct life_frame *f, char *buf, size_t size)
{
#define NAME_(name, text) text,
	static const char *const type[] = {MMVM_PAGE_TYPES(NAME_)};
#undef NAME_
	int n;

	if (f->state != LIFE_USED) {
		snprintf(buf, size, "%s", f->state == LIFE_IS_FREE ? "free" : "of boot");
		return buf;
	}
	n = snprintf(buf, size, "%s", f->type < NR_PAGE_TYPES ? type[f->type] : "?");
#define ADD_(...)                                                              \
	do {                                                                   \
		if (n >= 0 && (size_t)n < size)                                \
			n += snprintf(buf + n, size - (size_t)n, __VA_ARGS__); \
	} while (0)
	if (f->mapped)
		ADD_(", mapped");
	if (f->mapped > 1)
		ADD_(" x%d", f->mapped);
	if (f->file)
		ADD_(", cached");
	if (f->slot)
		ADD_(", slot %u:%" PRIu64, (unsigned int)(f->entry >> 58),
		     (uint64_t)(f->entry & ((1ull << 58) - 1)));
	if (f->writing || f->file_writing)
		ADD_(", being written");
	if (f->reading)
		ADD_(", being read");
	if (f->isolated)
		ADD_(", isolated");
#undef ADD_
	return buf;
}

/* ---- who ------------------------------------------------------------------------------------- */

struct who_name {
	uint32_t pid;
	char name[9];
};
struct who_mm {
	uint32_t mm, pid;
	int64_t from; /* it is this process's from here on */
};
struct life_who {
	struct who_name *name;
	size_t nr_names, room_names;
	struct who_mm *mm;
	size_t nr_mms, room_mms;
};

static bool room_for_one(void *array, size_t nr, size_t *room, size_t size)
{
	void **p = array, *bigger;

	if (nr < *room)
		return true;
	bigger = realloc(*p, (*room * 2 + 16) * size);
	if (!bigger)
		return false;
	*p = bigger;
	*room = *room * 2 + 16;
	return true;
}

static struct who_name *find_name(const struct life_who *w, uint32_t pid)
{
	for (size_t i = w->nr_names; i-- > 0;)
		if (w->name[i].pid == pid)
			return &w->name[i];
	return NULL;
}

static bool set_name(struct life_who *w, uint32_t pid, const char *name)
{
	struct who_name *n = find_name(w, pid);

	if (!n) {
		if (!room_for_one(&w->name, w->nr_names, &w->room_names, sizeof(*w->name)))
			return false;
		n = &w->name[w->nr_names++];
		n->pid = pid;
	}
	snprintf(n->name, sizeof(n->name), "%s", name);
	for (char *c = n->name; *c; c++)
		if (*c <= ' ' || (unsigned char)*c >= 0x7f)
			*c = '?';
	return true;
}

static bool set_mm(struct life_who *w, uint32_t mm, uint32_t pid, int64_t from)
{
	if (!room_for_one(&w->mm, w->nr_mms, &w->room_mms, sizeof(*w->mm)))
		return false;
	w->mm[w->nr_mms++] = (struct who_mm){mm, pid, from};
	return true;
}

static bool who_event(struct life_who *w, const struct trace_event *e)
{
	const struct mmvm_trace_rec *r = e->guest;
	const struct who_name *parent;
	char name[9] = {0};

	switch (r->event) {
	case TRACE_EXEC:
		memcpy(name, &r->addr, 8);
		return set_name(w, r->pid, name) && (!r->mm || set_mm(w, r->mm, r->pid, e->ns));
	case TRACE_FORK:
		parent = find_name(w, r->pid);
		snprintf(name, sizeof(name), "%s", parent ? parent->name : "");
		return set_name(w, (uint32_t)r->addr, name) &&
		       set_mm(w, r->mm, (uint32_t)r->addr, e->ns);
	default:
		return true;
	}
}

struct life_who *life_who_create(const struct trace_data *t)
{
	struct life_who *w = calloc(1, sizeof(*w));
	bool ok = w;

	for (size_t i = 0; ok && i < t->nr; i++)
		if (!t->event[i].host)
			ok = who_event(w, &t->event[i]);
	if (ok)
		return w;
	life_who_free(w);
	return NULL;
}

void life_who_free(struct life_who *w)
{
	if (!w)
		return;
	free(w->name);
	free(w->mm);
	free(w);
}

const char *life_who_name(const struct life_who *w, uint32_t pid)
{
	const struct who_name *n = find_name(w, pid);

	return n ? n->name : "";
}

uint32_t life_who_pid(const struct life_who *w, uint32_t mm, int64_t ns)
{
	uint32_t pid = 0;

	/* A new address space has mappings before it is anybody's: then whose it will be. */
	for (size_t i = 0; i < w->nr_mms; i++) {
		if (w->mm[i].mm != mm)
			continue;
		if (w->mm[i].from <= ns || !pid)
			pid = w->mm[i].pid;
	}
	return pid;
}

/* ---- a whole trace --------------------------------------------------------------------------- */

struct check {
	const struct trace_data *t;
	struct life_check *out;
	struct life_frame *frame;
	uint64_t n[NR_TRACE_EVENTS], pages_alloc, pages_free, major;
	uint64_t disk_out, disk_in;	  /* pages that the swap disk wrote, read */
	uint64_t writes, reads;		  /* ended well */
	uint64_t writes_seen, reads_seen; /* of these: the disk did it, in between */
	int swap;			  /* number of the swap disk, or -1 */
	int64_t slack;			  /* ns: error of the clocks */
};

/** A page has a new frame: what it is to its file and its slot is so of that one now. */
static void step_migrate(struct check *c, const struct mmvm_trace_rec *r)
{
	struct life_frame *from = &c->frame[trace_frame(c->t, r->pfn)], *to;

	if (!trace_pfn_ok(c->t, r->addr))
		return;
	to = &c->frame[trace_frame(c->t, r->addr)];
	if (from == to)
		return;
	to->type = from->type;
	to->slot = from->slot;
	to->entry = from->entry;
	to->file = from->file;
	from->slot = from->file = false;
}

static void step_frames(struct check *c, const struct trace_event *e)
{
	const struct mmvm_trace_rec *r = e->guest;
	uint64_t first = trace_frame(c->t, r->pfn), n = 1;

	if (r->event == TRACE_MIGRATE)
		step_migrate(c, r);
	if (r->event == TRACE_ALLOC || r->event == TRACE_FREE)
		n = 1ull << r->order;
	for (uint64_t i = 0; i < n; i++) {
		enum life_rule rule;

		if (c->frame[first + i].state == LIFE_UNKNOWN)
			c->out->frames++;
		rule = life_step(&c->frame[first + i], r);
		if (rule == LIFE_LEGAL)
			continue;
		if (!c->out->broken[rule]++) {
			c->out->first[rule].pfn = r->pfn + i;
			c->out->first[rule].ns = e->ns;
		}
	}
	c->out->events++;
}

/** Before the step: an I/O that ends must have been seen by the disk, after it was asked for and
 * before this. */
static void match_io(struct check *c, const struct trace_event *e)
{
	const struct life_frame *f = &c->frame[trace_frame(c->t, e->guest->pfn)];
	bool seen = f->on_disk && f->io_end <= e->ns + c->slack;

	if (e->guest->arg || f->entry >> 58)
		return; /* failed, or of another swap area */
	if (e->guest->event == TRACE_WRITE_END) {
		c->writes++;
		c->writes_seen += seen;
	} else {
		c->reads++;
		c->reads_seen += seen;
	}
}

static void count_guest(struct check *c, const struct trace_event *e)
{
	const struct mmvm_trace_rec *r = e->guest;

	c->n[r->event]++;
	if (r->event == TRACE_ALLOC)
		c->pages_alloc += 1ull << r->order;
	if (r->event == TRACE_FREE)
		c->pages_free += 1ull << r->order;
	if (r->event == TRACE_FAULT_END)
		c->major += !!(r->arg & TRACE_RESULT_MAJOR);
	if (r->event == TRACE_WRITE_END || r->event == TRACE_READ_END)
		match_io(c, e);
	if (trace_event_has_page(r->event))
		step_frames(c, e);
}

static void count_host(struct check *c, const struct trace_event *e)
{
	const struct trace_host_rec *r = e->rec;
	struct life_frame *f;
	bool out = (r->arg & 0xff) == BLK_OUT;

	if (r->event != HOST_BLK_PAGE || r->device != c->swap || r->arg >> 8)
		return;
	f = &c->frame[trace_frame(c->t, r->a)];
	if (out)
		c->disk_out++;
	else
		c->disk_in++;
	if ((out ? f->writing : f->reading) && f->entry * SECTORS_PER_PAGE == r->b) {
		f->on_disk = true;
		f->io_end = e->ns + (int64_t)trace_ns(c->t, r->ticks);
	}
}

static void add_count(struct check *c, const char *name, uint64_t trace, const char *against,
		      uint64_t other)
{
	struct life_count *n = &c->out->count[c->out->nr_counts];

	if (c->out->nr_counts == LIFE_MAX_COUNTS)
		return;
	c->out->nr_counts++;
	snprintf(n->name, sizeof(n->name), "%s", name);
	snprintf(n->against, sizeof(n->against), "%s", against);
	n->trace = trace;
	n->other = other;
}

static void add_vmstat(struct check *c, const char *name, uint64_t trace, const char *counter)
{
	uint64_t value;

	if (trace_vmstat(c->t, counter, &value))
		add_count(c, name, trace, counter, value);
}

static void add_counts(struct check *c)
{
	static const char *const zone[] = {"pgalloc_dma", "pgalloc_dma32", "pgalloc_normal",
					   "pgalloc_high", "pgalloc_movable"};
	uint64_t sum = 0, v;

	for (unsigned int i = 0; i < sizeof(zone) / sizeof(zone[0]); i++)
		sum += trace_vmstat(c->t, zone[i], &v) ? v : 0;
	add_count(c, "pages allocated", c->pages_alloc, "pgalloc_*", sum);
	add_vmstat(c, "pages freed", c->pages_free, "pgfree");
	add_vmstat(c, "faults", c->n[TRACE_FAULT_BEGIN], "pgfault");
	add_vmstat(c, "faults that waited for the disk", c->major, "pgmajfault");
	add_vmstat(c, "blocks of another type taken", c->n[TRACE_STEAL], "mmvm_buddy_fallback");
	add_vmstat(c, "processes killed for memory", c->n[TRACE_OOM_KILL], "oom_kill");
	add_vmstat(c, "pages swapped out", c->n[TRACE_SWAP_OUT], "pswpout");
	add_vmstat(c, "pages swapped in", c->n[TRACE_SWAP_IN], "pswpin");
	add_vmstat(c, "zero pages out, without disk", c->n[TRACE_SWAP_OUT_ZERO], "swpout_zero");
	add_vmstat(c, "zero pages in, without disk", c->n[TRACE_SWAP_IN_ZERO], "swpin_zero");
	add_vmstat(c, "pages of files dirtied", c->n[TRACE_FILE_DIRTY], "nr_dirtied");
	add_vmstat(c, "pages of files written", c->n[TRACE_FILE_WRITTEN], "nr_written");
	add_vmstat(c, "pages moved", c->n[TRACE_MIGRATE], "pgmigrate_success");
	if (c->swap < 0)
		return;
	add_count(c, "pages swapped out", c->n[TRACE_SWAP_OUT], "disk, pages written", c->disk_out);
	/* One page more: the header, read by swapon. */
	add_count(c, "pages swapped in", c->n[TRACE_SWAP_IN], "disk, pages read but header",
		  c->disk_in ? c->disk_in - 1 : 0);
	add_count(c, "writes that ended", c->writes, "disk wrote it meanwhile", c->writes_seen);
	add_count(c, "reads that ended", c->reads, "disk read it meanwhile", c->reads_seen);
}

int life_check(const struct trace_data *t, struct life_check *out)
{
	struct check c = {.t = t, .out = out, .swap = trace_disk(t, "swap")};

	*out = (struct life_check){0};
	out->whole = t->complete && t->end.exited && !t->bad && !t->end.guest_dropped &&
		     !t->end.file_dropped && !t->end.broken_rings && !t->end.write_error;
	c.slack = (int64_t)trace_ns(t, t->head.tsc_error + t->end.tsc_error);
	c.frame = calloc(trace_frames(t) + 1, sizeof(*c.frame));
	if (!c.frame)
		return -ENOMEM;
	for (size_t i = 0; i < t->nr; i++) {
		if (t->event[i].host)
			count_host(&c, &t->event[i]);
		else
			count_guest(&c, &t->event[i]);
	}
	add_counts(&c);
	free(c.frame);
	return 0;
}

bool life_check_ok(const struct life_check *c)
{
	if (!c->whole)
		return true; /* nothing can be said; the caller says that */
	for (unsigned int i = 0; i < NR_LIFE_RULES; i++)
		if (c->broken[i])
			return false;
	for (unsigned int i = 0; i < c->nr_counts; i++)
		if (c->count[i].trace != c->count[i].other)
			return false;
	return true;
}
