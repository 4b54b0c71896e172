/*
 * A trace in the JSON format of Chrome's trace viewer ("Trace Event Format"), which Perfetto also
 * reads, and as lines of text or CSV.
 *
 *   process 1, guest     a thread for each process: faults, direct reclaim, kswapd's work as B .. E;
 *                        all other events as instants; swap I/O of pages as async b .. e
 *   process 2, CPUs      a thread for each virtual CPU: the tasks that run on it, as X
 *   process 3, host      a thread for each vCPU: exits as X; a thread for each device: its requests
 *                        as X; the samples of each tick; KVM's statistics as counters C
 *
 *   C1  Events are in the order of their times, from 0.
 *   C2  B and E of a thread nest. An E whose B is not the last open one is left out, and events that
 *       are open at the end of the trace are ended there. Each async e follows its b.
 *   C3  An X that begins before another X of its thread has ended lies within it: it is cut off where
 *       the other ends. (Their times were taken by different threads.)
 */
#include "report/chrome_trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "report/page_life.h"
#include "report/trace_detail.h"
#include "result/json.h"

#define PID_GUEST  1u
#define PID_CPUS   2u
#define PID_HOST   3u
#define TID_DISK   100u
#define TID_DMA	   200u
#define TID_TICK   300u
#define MAX_DEPTH  16u
#define NR_TRACKS  302u
#define MAX_THREAD 4096u

struct thread {
	uint32_t pid;
	uint8_t open[MAX_DEPTH]; /* the event that began it */
	unsigned int depth;
};

struct chrome {
	struct json j;
	const struct trace_data *t;
	struct life_who *who;
	struct thread *thread;
	size_t nr_threads;
	uint8_t *io;		 /* a frame's I/O is open */
	uint32_t *io_count;	 /* number of a frame's I/Os so far, to tell them apart */
	int64_t busy[NR_TRACKS]; /* host tracks: end of the last X that contains nothing */
	struct {
		uint32_t pid;
		int64_t since;
		bool known;
	} cpu[MMVM_MAX_CPUS];
	int64_t end;
};

static void begin_event(struct chrome *c, const char *phase, const char *name, const char *cat,
			uint32_t pid, uint32_t tid, int64_t ns)
{
	json_object(&c->j, NULL);
	json_string(&c->j, "ph", phase);
	json_string(&c->j, "name", name);
	if (cat)
		json_string(&c->j, "cat", cat);
	json_u64(&c->j, "pid", pid);
	json_u64(&c->j, "tid", tid);
	json_thousandths(&c->j, "ts", ns < 0 ? 0 : (uint64_t)ns);
}

static void end_event(struct chrome *c)
{
	json_end_object(&c->j);
}

static void name_track(struct chrome *c, const char *what, uint32_t pid, uint32_t tid,
		       const char *name)
{
	begin_event(c, "M", what, NULL, pid, tid, 0);
	json_object(&c->j, "args");
	json_string(&c->j, "name", name);
	json_end_object(&c->j);
	end_event(c);
}

static void add_args(struct chrome *c, const struct trace_event *e)
{
	char detail[256];

	trace_detail(c->t, e, detail, sizeof(detail));
	json_object(&c->j, "args");
	if (detail[0])
		json_string(&c->j, "what", detail);
	if (!e->host && trace_event_has_page(e->guest->event))
		json_u64(&c->j, "pfn", e->guest->pfn);
	json_end_object(&c->j);
}

/* ---- guest ----------------------------------------------------------------------------------- */

/** The thread of a guest process. Processes beyond MAX_THREAD share one. */
static struct thread *thread_of(struct chrome *c, uint32_t pid)
{
	struct thread *t;
	char name[64];

	for (size_t i = 0; i < c->nr_threads; i++)
		if (c->thread[i].pid == pid)
			return &c->thread[i];
	if (c->nr_threads == MAX_THREAD)
		return &c->thread[MAX_THREAD - 1];
	t = &c->thread[c->nr_threads++];
	t->pid = pid;
	snprintf(name, sizeof(name), "%u %s", pid, pid ? life_who_name(c->who, pid) : "idle, boot");
	name_track(c, "thread_name", PID_GUEST, pid, name);
	return t;
}

static const char *span_name(unsigned int begin)
{
	return begin == TRACE_FAULT_BEGIN	  ? "fault"
	       : begin == TRACE_DIRECT_BEGIN	  ? "direct reclaim"
	       : begin == TRACE_COMPACT_BEGIN	  ? "compaction"
	       : begin == TRACE_SHRINK_SLAB_START ? "shrinker"
						  : "kswapd";
}

static void guest_begin(struct chrome *c, const struct trace_event *e)
{
	struct thread *t = thread_of(c, e->guest->pid);

	if (t->depth == MAX_DEPTH)
		return;
	t->open[t->depth++] = e->guest->event;
	begin_event(c, "B", span_name(e->guest->event), trace_event_category(e), PID_GUEST, t->pid,
		    e->ns);
	add_args(c, e);
	end_event(c);
}

static void guest_end(struct chrome *c, const struct trace_event *e, unsigned int begin)
{
	struct thread *t = thread_of(c, e->guest->pid);

	if (!t->depth || t->open[t->depth - 1] != begin)
		return;
	t->depth--;
	begin_event(c, "E", span_name(begin), trace_event_category(e), PID_GUEST, t->pid, e->ns);
	add_args(c, e);
	end_event(c);
}

static void guest_instant(struct chrome *c, const struct trace_event *e)
{
	struct thread *t = thread_of(c, e->guest->pid);

	begin_event(c, "i", trace_event_name(e), trace_event_category(e), PID_GUEST, t->pid, e->ns);
	json_string(&c->j, "s", "t");
	add_args(c, e);
	end_event(c);
}

enum io_edge { IO_END, IO_BEGIN };

static void guest_io(struct chrome *c, const struct trace_event *e, enum io_edge edge)
{
	uint64_t frame = trace_frame(c->t, e->guest->pfn);
	bool out = e->guest->event == TRACE_SWAP_OUT || e->guest->event == TRACE_WRITE_END;
	struct thread *t = thread_of(c, e->guest->pid);
	char id[32];

	if (c->io[frame] == (edge == IO_BEGIN))
		return; /* a second beginning, or an end without one */
	c->io[frame] = edge == IO_BEGIN;
	if (edge == IO_BEGIN)
		c->io_count[frame]++;
	snprintf(id, sizeof(id), "%x.%u", e->guest->pfn, c->io_count[frame]);
	begin_event(c, edge == IO_BEGIN ? "b" : "e", out ? "swap write" : "swap read", "swap",
		    PID_GUEST, t->pid, e->ns);
	json_string(&c->j, "id", id);
	add_args(c, e);
	end_event(c);
}

/** The task that leaves CPU `cpu` has run since it was switched to. */
static void cpu_ran(struct chrome *c, unsigned int cpu, int64_t until)
{
	char name[64];

	if (!c->cpu[cpu].known || !c->cpu[cpu].pid || until <= c->cpu[cpu].since)
		return;
	snprintf(name, sizeof(name), "%u %s", c->cpu[cpu].pid,
		 life_who_name(c->who, c->cpu[cpu].pid));
	begin_event(c, "X", name, "sched", PID_CPUS, cpu, c->cpu[cpu].since);
	json_thousandths(&c->j, "dur", (uint64_t)(until - c->cpu[cpu].since));
	end_event(c);
}

static void guest_event(struct chrome *c, const struct trace_event *e)
{
	unsigned int cpu = e->cpu % MMVM_MAX_CPUS;

	switch (e->guest->event) {
	case TRACE_FAULT_BEGIN:
	case TRACE_DIRECT_BEGIN:
	case TRACE_COMPACT_BEGIN:
	case TRACE_SHRINK_SLAB_START:
	case TRACE_KSWAPD_WAKE:
		guest_begin(c, e);
		break;
	case TRACE_FAULT_END:
		guest_end(c, e, TRACE_FAULT_BEGIN);
		break;
	case TRACE_DIRECT_END:
		guest_end(c, e, TRACE_DIRECT_BEGIN);
		break;
	case TRACE_SHRINK_SLAB_END:
		guest_end(c, e, TRACE_SHRINK_SLAB_START);
		break;
	case TRACE_COMPACT_END:
		guest_end(c, e, TRACE_COMPACT_BEGIN);
		break;
	case TRACE_KSWAPD_SLEEP:
		guest_end(c, e, TRACE_KSWAPD_WAKE);
		break;
	case TRACE_SWAP_OUT:
	case TRACE_SWAP_IN:
		guest_io(c, e, IO_BEGIN);
		break;
	case TRACE_WRITE_END:
	case TRACE_READ_END:
		guest_io(c, e, IO_END);
		break;
	case TRACE_SWITCH:
		c->cpu[cpu].pid = (uint32_t)e->guest->addr;
		c->cpu[cpu].since = e->ns;
		c->cpu[cpu].known = true;
		break;
	default:
		guest_instant(c, e);
	}
}

/* ---- host ------------------------------------------------------------------------------------ */

static uint32_t host_track(const struct trace_host_rec *r)
{
	switch (r->event) {
	case HOST_EXIT:
	case HOST_RING_FULL:
		return r->device % MMVM_MAX_CPUS;
	case HOST_BLK:
		return TID_DISK + r->device;
	case HOST_DMA:
		return TID_DMA;
	default:
		return TID_TICK;
	}
}

/** Write a span. If it begins within the span before it, it ends no later than that one (C3). */
static void host_span(struct chrome *c, const struct trace_event *e, const char *name)
{
	uint32_t tid = host_track(e->rec);
	int64_t from = e->ns < 0 ? 0 : e->ns;
	int64_t to = from + (int64_t)trace_ns(c->t, e->rec->ticks);

	if (from < c->busy[tid] && to > c->busy[tid])
		to = c->busy[tid];
	if (to > c->busy[tid])
		c->busy[tid] = to;
	begin_event(c, "X", name, trace_event_category(e), PID_HOST, tid, from);
	json_thousandths(&c->j, "dur", (uint64_t)(to - from));
	add_args(c, e);
	end_event(c);
}

static void host_event(struct chrome *c, const struct trace_event *e)
{
	const struct trace_host_rec *r = e->rec;
	const char *name = NULL;

	switch (r->event) {
	case HOST_EXIT:
		name = r->arg < TRACE_MAX_EXITS ? c->t->exit_name[r->arg] : NULL;
		host_span(c, e, name ? name : "exit");
		break;
	case HOST_BLK:
		host_span(c, e,
			  (r->arg & 0xff) == 1 ? "write"
			  : (r->arg & 0xff)    ? "other"
					       : "read");
		break;
	case HOST_DMA:
	case HOST_HARVEST:
	case HOST_RING_FULL:
		host_span(c, e, trace_event_name(e));
		break;
	case HOST_STAT:
		name = r->arg < TRACE_MAX_STATS ? c->t->stat[r->arg] : NULL;
		begin_event(c, "C", name ? name : "kvm", "kvm", PID_HOST, TID_TICK, e->ns);
		json_object(&c->j, "args");
		json_u64(&c->j, "value", r->b);
		json_end_object(&c->j);
		end_event(c);
		break;
	default:
		break; /* frames: in the guest's events, and in mmvm page */
	}
}

/* ---- the file -------------------------------------------------------------------------------- */

static void other_data(struct chrome *c)
{
	json_object(&c->j, "otherData");
	json_string(&c->j, "command", c->t->head.command);
	json_string(&c->j, "accel", c->t->head.accel);
	json_string(&c->j, "backend", c->t->head.backend);
	json_bool(&c->j, "complete", c->t->complete);
	json_u64(&c->j, "dropped_in_rings", c->t->end.guest_dropped);
	json_u64(&c->j, "dropped_by_limit", c->t->end.file_dropped);
	json_u64(&c->j, "bad_records", c->t->bad);
	json_u64(&c->j, "clock_error_ns", trace_ns(c->t, c->t->head.tsc_error));
	json_end_object(&c->j);
}

static void name_tracks(struct chrome *c)
{
	char name[64];

	name_track(c, "process_name", PID_GUEST, 0, "guest");
	name_track(c, "process_name", PID_CPUS, 0, "guest CPUs");
	name_track(c, "process_name", PID_HOST, 0, "host");
	for (uint32_t i = 0; i < c->t->head.cpus; i++) {
		snprintf(name, sizeof(name), "CPU %u", i);
		name_track(c, "thread_name", PID_CPUS, i, name);
		snprintf(name, sizeof(name), "exits of vCPU %u", i);
		name_track(c, "thread_name", PID_HOST, i, name);
	}
	for (uint32_t i = 0; i < TRACE_MAX_DISKS; i++) {
		if (!c->t->disk[i])
			continue;
		snprintf(name, sizeof(name), "disk %.32s", c->t->disk[i]);
		name_track(c, "thread_name", PID_HOST, TID_DISK + i, name);
	}
	name_track(c, "thread_name", PID_HOST, TID_DMA, "DMA engine");
	name_track(c, "thread_name", PID_HOST, TID_TICK, "observers");
}

/** The time at which the task that switch `i` starts leaves its CPU again. */
static int64_t next_switch(const struct chrome *c, size_t i)
{
	for (size_t k = i + 1; k < c->t->nr; k++) {
		const struct trace_event *e = &c->t->event[k];

		if (!e->host && e->guest->event == TRACE_SWITCH && e->cpu == c->t->event[i].cpu)
			return e->ns;
	}
	return c->end;
}

static void all_events(struct chrome *c, const struct trace_filter *filter)
{
	for (size_t i = 0; i < c->t->nr; i++) {
		const struct trace_event *e = &c->t->event[i];

		if (!trace_filter_wants(filter, e))
			continue;
		if (e->host) {
			host_event(c, e);
			continue;
		}
		guest_event(c, e);
		if (e->guest->event == TRACE_SWITCH)
			cpu_ran(c, e->cpu % MMVM_MAX_CPUS, next_switch(c, i));
	}
	for (size_t i = 0; i < c->nr_threads; i++)
		while (c->thread[i].depth) {
			unsigned int begin = c->thread[i].open[--c->thread[i].depth];

			begin_event(c, "E", span_name(begin), NULL, PID_GUEST, c->thread[i].pid,
				    c->end);
			end_event(c);
		}
}

static void chrome_free(struct chrome *c)
{
	life_who_free(c->who);
	free(c->thread);
	free(c->io);
	free(c->io_count);
}

int trace_emit_chrome(FILE *f, const void *arg)
{
	const struct trace_output *o = arg;
	struct chrome c = {.t = o->trace};

	c.who = life_who_create(c.t);
	c.thread = calloc(MAX_THREAD, sizeof(*c.thread));
	c.io = calloc(trace_frames(c.t) + 1, sizeof(*c.io));
	c.io_count = calloc(trace_frames(c.t) + 1, sizeof(*c.io_count));
	if (!c.who || !c.thread || !c.io || !c.io_count) {
		chrome_free(&c);
		return -ENOMEM;
	}
	c.end = c.t->nr ? c.t->event[c.t->nr - 1].ns : 0;
	json_init_compact(&c.j, f);
	json_object(&c.j, NULL);
	json_string(&c.j, "displayTimeUnit", "ns");
	other_data(&c);
	json_array(&c.j, "traceEvents");
	name_tracks(&c);
	all_events(&c, &o->filter);
	json_end_array(&c.j);
	json_end_object(&c.j);
	json_finish(&c.j);
	chrome_free(&c);
	return ferror(f) ? -EIO : 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

bool trace_filter_wants(const struct trace_filter *filter, const struct trace_event *e)
{
	const char *category = trace_event_category(e);

	for (unsigned int i = 0; i < filter->nr; i++)
		if (!strcmp(filter->category[i], category))
			return true;
	return !filter->nr;
}

int trace_emit_text(FILE *f, const void *arg)
{
	const struct trace_output *o = arg;
	struct life_who *who = life_who_create(o->trace);
	char detail[256], name[48];

	if (!who)
		return -ENOMEM;
	life_print_head(f, o->trace);
	for (size_t i = 0; i < o->trace->nr; i++) {
		const struct trace_event *e = &o->trace->event[i];

		if (!trace_filter_wants(&o->filter, e))
			continue;
		if (e->host)
			snprintf(name, sizeof(name), "host");
		else
			snprintf(name, sizeof(name), "%u %s", e->guest->pid,
				 life_who_name(who, e->guest->pid));
		fprintf(f, "%14.6f ms  %-14s %-14s", (double)e->ns / 1e6, name,
			trace_event_name(e));
		if (!e->host && trace_event_has_page(e->guest->event))
			fprintf(f, " frame %x", e->guest->pfn);
		fprintf(f, " %s\n", trace_detail(o->trace, e, detail, sizeof(detail)));
	}
	life_who_free(who);
	return ferror(f) ? -EIO : 0;
}

int trace_emit_csv(FILE *f, const void *arg)
{
	const struct trace_output *o = arg;

	fprintf(f, "ns,side,cpu,category,event,pid,pfn,order,mm,addr,arg,duration_ns\n");
	for (size_t i = 0; i < o->trace->nr; i++) {
		const struct trace_event *e = &o->trace->event[i];

		if (!trace_filter_wants(&o->filter, e))
			continue;
		fprintf(f, "%" PRId64 ",%s,%u,%s,%s,", e->ns, e->host ? "host" : "guest",
			e->host ? e->rec->device : e->cpu, trace_event_category(e),
			trace_event_name(e));
		if (e->host)
			fprintf(f, ",%" PRIu64 ",,,%" PRIu64 ",%u,%" PRIu64 "\n", e->rec->a,
				e->rec->b, e->rec->arg, trace_ns(o->trace, e->rec->ticks));
		else
			fprintf(f, "%u,%u,%u,%u,%" PRIu64 ",%u,\n", e->guest->pid, e->guest->pfn,
				e->guest->order, e->guest->mm, e->guest->addr, e->guest->arg);
	}
	return ferror(f) ? -EIO : 0;
}
