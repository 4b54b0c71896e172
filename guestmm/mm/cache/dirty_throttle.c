/*
 * Writers that are faster than the disk.
 *
 *   dirty pages    limit ────────  nobody dirties more: writers wait for the disk
 *                    │             pauses grow: a writer's rate x position, which falls from 2 to 0
 *                 freerun ───────  half way from background to limit
 *                    │             the flushers write; writers are free
 *                background ─────
 *                    │             nothing
 *                    0
 *
 * There are three such scales, and the fullest one counts: the machine's, the disk's (its share of the machine's
 * limit, in proportion to its share of the pages written lately), and that of the writer's memory cgroup (its share
 * of the limit, in proportion to its share of memory).
 *
 * A writer's pauses are proportional to the pages it dirties: pages / (task_rate x position). Pauses shorter than
 * 10 ms are added up, longer ones than 200 ms are cut. task_rate is derived from measurements, as on Linux: if all
 * writers together dirtied twice what the disk wrote, each writer's rate is halved.
 *
 * The machine's limit does not stop writers to a disk with few dirty pages of its own (an eighth of the limit):
 * other disks, which are slow or do not respond, have filled it.
 *
 * Locks: wb->rate_lock, taken alone.
 */
#include "lib/trace.h"
#include "mm/cache/bdi.h"
#include "mm/cache/filemap.h"
#include "mm/memcg/memcg.h"

unsigned int dirty_background_ratio = 10;
unsigned int dirty_ratio = 20;
u64 dirty_background_bytes, dirty_bytes;

#define CHECK_EVERY   8 /* pages a CPU dirties between two looks at the limits */
#define MS	      1000000ull
#define MIN_PAUSE_NS  (10 * MS)
#define MAX_PAUSE_NS  (200 * MS)
#define RATE_EVERY_NS (200 * MS)
#define RATE_STALE_NS (1000 * MS) /* nobody was throttled for this long: begin measuring again */
#define PERIOD_NS     (3000 * MS) /* completions are halved after each period */
#define DISK_FLOOR    8		  /* a disk may always have 1/DISK_FLOOR of the limit dirty */

static struct wait_queue written_wait; /* writers at a limit */
static s32 nr_waiting;		       /* A */
static DEFINE_PER_CPU(u32, dirtied);   /* own CPU: pages since the last look at the limits */
static u64 period_began;	       /* A */

void dirty_throttle_init(void)
{
	wait_queue_init(&written_wait);
}

/* ---- limits ----------------------------------------------------------------------------------- */

static u64 limit_of(u64 dirtyable, unsigned int ratio, u64 bytes)
{
	return bytes ? DIV_ROUND_UP(bytes, PAGE_SIZE) : dirtyable * min(ratio, 100u) / 100;
}

void dirty_limits_of(u64 dirtyable, const struct dirty_knobs *k, u64 *background, u64 *limit)
{
	*limit = limit_of(dirtyable, k->ratio, k->bytes);
	*limit = max(*limit, (u64)CHECK_EVERY);
	*background = limit_of(dirtyable, k->background_ratio, k->background_bytes);
	if (*background >= *limit)
		*background = *limit / 2;
}

/* Pages that could be dirty: free pages and pages of files, less the reserves. */
static u64 dirtyable_pages(void)
{
	s64 n = global_stat(NR_FREE_PAGES) + global_stat(NR_ACTIVE_FILE) +
		global_stat(NR_INACTIVE_FILE);

	for (unsigned int i = 0; i < nr_zones; i++)
		n -= zone_table[i]->watermark[WMARK_HIGH];
	return n > 0 ? n : 0;
}

static void limits_for(u64 dirtyable, u64 *background, u64 *limit)
{
	const struct dirty_knobs k = {.background_ratio = READ_ONCE(dirty_background_ratio),
				      .ratio = READ_ONCE(dirty_ratio),
				      .background_bytes = READ_ONCE(dirty_background_bytes),
				      .bytes = READ_ONCE(dirty_bytes)};

	dirty_limits_of(dirtyable, &k, background, limit);
}

void dirty_limits(u64 *background, u64 *limit)
{
	limits_for(dirtyable_pages(), background, limit);
}

static u64 freerun_of(const struct dirty_level *l)
{
	return (l->background + l->limit) / 2;
}

u32 dirty_position(const struct dirty_level *l)
{
	u64 freerun = freerun_of(l), setpoint = (freerun + l->limit) / 2;
	s64 room = max((s64)(l->limit - setpoint), (s64)1), x;

	if (l->dirty >= l->limit)
		return 0;
	if (l->dirty <= freerun)
		return 2 * DIRTY_SCALE;
	x = ((s64)setpoint - (s64)l->dirty) * DIRTY_SCALE / room;
	x = DIRTY_SCALE + x * x / DIRTY_SCALE * x / DIRTY_SCALE;
	x = max(x, (s64)1);
	return (u32)min(x, (s64)(2 * DIRTY_SCALE));
}

struct dirty_pause dirty_pause_of(u64 paid_until, u64 now, u64 pages, u64 rate)
{
	/* Time in which the writer dirtied nothing gives credit for at most one short pause. */
	u64 from = max(paid_until, now > MIN_PAUSE_NS ? now - MIN_PAUSE_NS : 0);
	struct dirty_pause p = {.until = from + pages * 1000 * MS / max(rate, (u64)1)};

	if (p.until < now + MIN_PAUSE_NS)
		return p;
	p.until = min(p.until, now + MAX_PAUSE_NS);
	p.pause = p.until - now;
	return p;
}

u64 dirty_next_rate(u64 task_rate, u32 position, u64 dirty_rate, u64 write_rate)
{
	u64 balanced = task_rate * position / DIRTY_SCALE * write_rate / max(dirty_rate, (u64)1);

	/* Change the rate in steps, because one measurement is not reliable. A single writer needs no more than the
	 * disk takes. */
	balanced = min(balanced, write_rate);
	return max((3 * task_rate + balanced) / 4, (u64)1);
}

/* ---- rates ------------------------------------------------------------------------------------ */

static u64 a_second(u64 n, u64 ns)
{
	return n * 1000 * MS / max(ns, (u64)1);
}

/* Halve the completions after each period, so that a disk's share follows its recent speed. */
static void age_completions(u64 now)
{
	u64 began = atomic_load(&period_began);

	if (now - began < PERIOD_NS || atomic_cmpxchg(&period_began, began, now) != began)
		return;
	for (struct bdi_writeback *wb = NULL; (wb = next_wb(wb));)
		atomic_sub(&wb->completions, atomic_load(&wb->completions) / 2);
}

static void update_rates(struct bdi_writeback *wb, u64 now, u32 position)
{
	u64 elapsed, dirtied_now, written_now;

	if (now - READ_ONCE(wb->stamp) < RATE_EVERY_NS || !spin_trylock(&wb->rate_lock))
		return;
	elapsed = now - wb->stamp;
	dirtied_now = atomic_load(&wb->nr_dirtied);
	written_now = atomic_load(&wb->nr_written);
	if (elapsed >= RATE_EVERY_NS && elapsed < RATE_STALE_NS) {
		u64 rate = a_second(written_now - wb->written_stamp, elapsed);

		wb->write_rate = (3 * wb->write_rate + rate) / 4;
		wb->task_rate = dirty_next_rate(wb->task_rate, position,
						a_second(dirtied_now - wb->dirtied_stamp, elapsed),
						wb->write_rate);
	}
	wb->stamp = now;
	wb->dirtied_stamp = dirtied_now;
	wb->written_stamp = written_now;
	spin_unlock(&wb->rate_lock);
	age_completions(now);
}

void wb_wake_writers(void)
{
	if (unlikely(atomic_load(&nr_waiting)))
		wake_up(&written_wait);
}

void wb_page_written(struct bdi_writeback *wb)
{
	atomic_add(&wb->nr_written, 1);
	atomic_add(&wb->completions, 1);
	wb_wake_writers();
}

/* ---- how full it is --------------------------------------------------------------------------- */

static u64 wb_dirty(struct bdi_writeback *wb)
{
	return (u64)max(atomic_load(&wb->nr_dirty), (s64)0);
}

static struct dirty_level machine_level(u64 dirtyable)
{
	s64 n = global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK);
	struct dirty_level l = {.dirty = n > 0 ? n : 0};

	limits_for(dirtyable, &l.background, &l.limit);
	return l;
}

/* The disk's share of the limit, by what it wrote lately; at least 1/DISK_FLOOR. */
static struct dirty_level disk_level(struct bdi_writeback *wb, const struct dirty_level *machine)
{
	u64 mine = atomic_load(&wb->completions), all = 0, floor = machine->limit / DISK_FLOOR;
	struct dirty_level l = {.dirty = wb_dirty(wb), .limit = machine->limit};

	for (struct bdi_writeback *w = NULL; (w = next_wb(w));)
		all += atomic_load(&w->completions);
	if (all && mine < all)
		l.limit = max(machine->limit * mine / all, floor);
	l.limit = max(l.limit, (u64)CHECK_EVERY);
	l.background = min(machine->background * l.limit / machine->limit, l.limit / 2);
	return l;
}

bool wb_over_background(struct bdi_writeback *wb)
{
	struct dirty_level machine = machine_level(dirtyable_pages()), disk;
	s64 mine = atomic_load(&wb->nr_dirty) - atomic_load(&wb->nr_writeback);

	if (global_stat(NR_FILE_DIRTY) > (s64)machine.background)
		return true;
	/* Pages of other disks, which have been under write for long, may have used up the limit. */
	disk = disk_level(wb, &machine);
	return mine > (s64)disk.background;
}

/* The group's share of the machine's limits, in proportion to the memory that it could use for files: its pages of
 * files, and the memory that it and the groups above may still charge. */
static struct dirty_level group_level(struct mem_cgroup *memcg, const struct dirty_level *machine,
				      u64 dirtyable)
{
	u64 room = ~0ull, memory;
	struct dirty_level l = {.dirty = mem_cgroup_stat(memcg, -1, NR_FILE_DIRTY) +
					 mem_cgroup_stat(memcg, -1, NR_WRITEBACK)};

	for (const struct page_counter *c = &memcg->memory; c; c = c->parent) {
		u64 most = min(READ_ONCE(c->max), READ_ONCE(c->high)), usage = page_counter_read(c);

		room = min(room, most > usage ? most - usage : 0);
	}
	memory = mem_cgroup_stat(memcg, -1, NR_ACTIVE_FILE) +
		 mem_cgroup_stat(memcg, -1, NR_INACTIVE_FILE);
	memory = min(memory, dirtyable);
	memory += min(room, dirtyable - memory);
	dirtyable = max(dirtyable, (u64)1);
	l.limit = max(machine->limit * memory / dirtyable, (u64)CHECK_EVERY);
	l.background = min(machine->background * memory / dirtyable, l.limit / 2);
	return l;
}

/* The factor for the current task's rate. Wakes the flushers that have to work. */
static u32 position_now(struct bdi_writeback *wb)
{
	u64 dirtyable = dirtyable_pages();
	struct dirty_level machine = machine_level(dirtyable), disk, group;
	u32 position = 2 * DIRTY_SCALE;

	if (machine.dirty > freerun_of(&machine)) {
		disk = disk_level(wb, &machine);
		position = dirty_position(&disk);
		if (disk.dirty >= machine.limit / DISK_FLOOR)
			position = min(position, dirty_position(&machine));
	}
	if (mem_cgroup_enabled()) {
		struct mem_cgroup *memcg = mem_cgroup_get_from_mm(current_thread_info()->mm);

		if (!mem_cgroup_is_root(memcg)) {
			group = group_level(memcg, &machine, dirtyable);
			position = min(position, dirty_position(&group));
			if (group.dirty > group.background)
				wb_want_pages(wb, group.dirty - group.background);
		}
		mem_cgroup_put(memcg);
	}
	/* Wake flushers last: they may run at once, and the levels above must be those that the writer saw. */
	if (machine.dirty > machine.background)
		wakeup_dirty_flushers();
	return position;
}

/* ---- pauses ----------------------------------------------------------------------------------- */

/* Sleep until the disk has written more than `written` pages in all, at most `ns`. */
static void wait_for_progress(struct bdi_writeback *wb, u64 written, u64 ns)
{
	struct wait_entry we;

	atomic_add(&nr_waiting, 1);
	prepare_to_wait(&written_wait, &we);
	if (atomic_load(&wb->nr_written) == written)
		schedule_timeout(ns);
	finish_wait(&written_wait, &we);
	atomic_sub(&nr_waiting, 1);
}

/* Wait at the limit until the level is below it again. `written`: how much the disk had written when the level was
 * read. */
static void wait_below_limit(struct bdi_writeback *wb, u64 written, u64 begin)
{
	bool stalled = false;

	for (;;) {
		u64 before = written, passes = atomic_load(&wb->passes);

		count_vm_event(MMVM_DIRTY_THROTTLED);
		trace_point(BALANCE_DIRTY_PAGES, MAX_PAUSE_NS / 1000, .arg = 0);
		wait_for_progress(wb, before, MAX_PAUSE_NS);
		written = atomic_load(&wb->nr_written);
		if (position_now(wb) || current_thread_info()->flags & TIF_KILLED)
			return;
		if (!stalled && ktime_ns() - begin > MAX_PAUSE_NS) {
			stalled = true;
			count_vm_event(MMVM_DIRTY_STALLED);
		}
		/* A whole pass wrote nothing, so the disk takes no pages. Do not wait here for ever: if memory runs
		 * out, the allocator reports it. */
		if (written == before && atomic_load(&wb->passes) > passes + 1)
			return;
		wb_want_pages(wb, wb_dirty(wb));
	}
}

static __attribute__((noinline)) void throttle(struct bdi_writeback *wb, u32 pages)
{
	struct thread_info *ti = current_thread_info();
	u64 written = atomic_load(&wb->nr_written), now, rate = READ_ONCE(wb->task_rate);
	u32 position = position_now(wb);
	struct dirty_pause p;

	atomic_add(&wb->nr_dirtied, pages);
	if (position == 2 * DIRTY_SCALE)
		return;
	/* This writer is slowed down: its disk's flusher must write, even if most dirty pages belong to others. */
	if (position < DIRTY_SCALE)
		wb_want_pages(wb, wb_dirty(wb));
	now = ktime_ns();
	update_rates(wb, now, position);
	if (!position) {
		wait_below_limit(wb, written, now);
		return;
	}
	p = dirty_pause_of(ti->dirty_paid_until, now, pages, rate * position / DIRTY_SCALE);
	ti->dirty_paid_until = p.until;
	if (!p.pause)
		return;
	count_vm_event(MMVM_DIRTY_THROTTLED);
	trace_point(BALANCE_DIRTY_PAGES, p.pause / 1000, .arg = (u16)position);
	sleep_ns(p.pause);
}

void balance_dirty_pages(struct address_space *mapping)
{
	this_cpu_inc(dirtied);
	if (likely(this_cpu_read(dirtied) < CHECK_EVERY))
		return;
	this_cpu_write(dirtied, 0);
	if (mapping_is_written(mapping))
		throttle(mapping->wb, CHECK_EVERY);
}
