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
 * There are three such scales, and the fullest counts: of the machine, of the disk (its part of the
 * machine's limit, by its part of the pages written lately), and of the writer's memory cgroup (the part
 * of the limit that its memory is of the machine's).
 *
 * A writer's pauses are in proportion to what it dirties: pages / (task_rate x position). Pauses shorter
 * than 10 ms are saved up, longer ones than 200 ms are cut. task_rate is worked out from measurements, as
 * on Linux: if the writers together dirtied twice what the disk wrote, each may do half.
 *
 * A disk with few dirty pages of its own (an eighth of the limit) is not stopped by the machine's limit:
 * other disks that are slow, or do not answer, have filled it.
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
#define RATE_STALE_NS (1000 * MS) /* nobody has been throttled for so long: begin again */
#define PERIOD_NS     (3000 * MS) /* after which completions count half */
#define DISK_FLOOR    8		  /* part of the limit that a disk may always have dirty */

static struct wait_queue written_wait; /* writers at a limit */
static s32 nr_waiting;		       /* A */
static u32 dirtied[MMVM_MAX_CPUS];     /* own CPU: pages since the last look at the limits */
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

/* Pages that could be dirty: free ones and those of files, but for the reserves. */
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
	/* Time in which it dirtied nothing is no credit, but for one short pause. */
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

	/* In steps: one measurement says little. One writer alone needs no more than the disk takes. */
	balanced = min(balanced, write_rate);
	return max((3 * task_rate + balanced) / 4, (u64)1);
}

/* ---- rates ------------------------------------------------------------------------------------ */

static u64 a_second(u64 n, u64 ns)
{
	return n * 1000 * MS / max(ns, (u64)1);
}

/* Completions count half after each period, so that a disk's part follows what it does. */
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
	u64 elapsed, dirtied_now = atomic_load(&wb->nr_dirtied);
	u64 written_now = atomic_load(&wb->nr_written);

	if (now - READ_ONCE(wb->stamp) < RATE_EVERY_NS || !spin_trylock(&wb->rate_lock))
		return;
	elapsed = now - wb->stamp;
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

void wb_page_written(struct bdi_writeback *wb)
{
	atomic_add(&wb->nr_written, 1);
	atomic_add(&wb->completions, 1);
	if (unlikely(atomic_load(&nr_waiting)))
		wake_up(&written_wait);
}

void wb_wake_writers(void)
{
	if (unlikely(atomic_load(&nr_waiting)))
		wake_up(&written_wait);
}

/* ---- how full it is --------------------------------------------------------------------------- */

static struct dirty_level machine_level(u64 dirtyable)
{
	s64 n = global_stat(NR_FILE_DIRTY) + global_stat(NR_WRITEBACK);
	struct dirty_level l = {.dirty = n > 0 ? n : 0};

	limits_for(dirtyable, &l.background, &l.limit);
	return l;
}

/* The disk's part, by what it wrote lately; at least 1/DISK_FLOOR. */
static struct dirty_level disk_level(struct bdi_writeback *wb, const struct dirty_level *machine)
{
	s64 n = atomic_load(&wb->nr_dirty);
	u64 mine = atomic_load(&wb->completions), all = 0, floor = machine->limit / DISK_FLOOR;
	struct dirty_level l = {
		.dirty = n > 0 ? n : 0, .background = machine->background, .limit = machine->limit};

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
	/* Others' pages, on their way for long, may have used up what there is of the limit. */
	disk = disk_level(wb, &machine);
	return mine > (s64)disk.background;
}

/* The part of the machine's limits that the group's memory is of the machine's: its pages of files, and
 * what it may still have, here and above. */
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

/* What the current task's rate is multiplied by; and the flushers that have to work are woken. */
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
	/* Last: they may run at once, and the levels are those the writer has seen. */
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

/* At the limit, as seen when the disk had written `written` pages: until it is below again. */
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
		/* A whole pass that wrote nothing: the disk does not take them. Memory will run out
		 * in the allocator, which can say so; waiting here would be for ever. */
		if (written == before && atomic_load(&wb->passes) > passes + 1)
			return;
		wb_want_pages(wb, (u64)max(atomic_load(&wb->nr_dirty), (s64)0));
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
	/* Slower than the disk: it has to work, though most that is dirty may be others'. */
	if (position < DIRTY_SCALE)
		wb_want_pages(wb, (u64)max(atomic_load(&wb->nr_dirty), (s64)0));
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
	u32 *n = &dirtied[cpu_id()];

	if (likely(++*n < CHECK_EVERY))
		return;
	*n = 0;
	if (mapping_is_written(mapping))
		throttle(mapping->wb, CHECK_EVERY);
}
