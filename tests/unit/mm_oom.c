/*
 * The OOM killer: badness by numbers, which process is chosen, what is printed, that the victim's memory is
 * available at once, and that nothing hangs when no process can be killed.
 */
#include "unit.h"
#include <limits.h>
#include "mm_user.h"
#include "mm/reclaim/oom.h"

static u64 event(enum vm_event_item e)
{
	return sum_vm_event(e);
}

static void add_process(int pid, const char *comm, struct mm_struct *mm, int adj)
{
	host_process[host_nr_processes++] =
		(struct process_view){.pid = pid, .comm = comm, .mm = mm, .oom_score_adj = adj};
}

static struct mm_struct *process_of(unsigned long pages, unsigned long *at)
{
	struct mm_struct *mm = mm_alloc();

	*at = do_mmap(mm, 0, pages << PAGE_SHIFT, RW, PRIVATE | MAP_POPULATE, 0);
	CU_ASSERT_EQUAL_FATAL(mm->rss_anon, (s64)pages);
	return mm;
}

static void drop_processes(void)
{
	for (unsigned int i = 0; i < host_nr_processes; i++)
		if (host_process[i].mm)
			mmput(host_process[i].mm);
	host_nr_processes = 0;
	host_last_killed = 0;
	check_all();
}

/* The victims so far could have closed their files, and have not: they are no longer waited for. */
static void victims_time_is_over(void)
{
	host_time_ns += 2000000000ull;
}

static void badness_by_numbers(void)
{
	CU_ASSERT_EQUAL(oom_badness_points(100, 20, 3, 10000, 0), 123);
	CU_ASSERT_EQUAL(oom_badness_points(100, 20, 3, 10000, 500), 123 + 5000);
	CU_ASSERT_EQUAL(oom_badness_points(100, 20, 3, 10000, -999), 123 - 9990);
	CU_ASSERT_EQUAL(oom_badness_points(~0u, 0, 0, 10000, -1000), LONG_MIN);
	CU_ASSERT_EQUAL(oom_badness_points(100, 0, 0, 999, 1000), 100); /* as Linux divides */
}

static void the_largest_is_killed_and_reaped(void)
{
	u64 kills = event(OOM_KILL), free;
	unsigned long a, b;
	struct mm_struct *small = process_of(100, &a), *big = process_of(500, &b);
	char want[256];

	add_process(11, "small", small, 0);
	add_process(12, "big", big, 0);
	drain_all_pages();
	free = nr_free_pages();
	host_log_clear();
	ksnprintf(want, sizeof(want),
		  "Out of memory: Killed process 12 (big) total-vm:2000kB, anon-rss:2000kB, "
		  "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:%lukB oom_score_adj:0\n",
		  (unsigned long)big->pgtables_bytes >> 10);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 12);
	CU_ASSERT_EQUAL(event(OOM_KILL), kills + 1);
	CU_ASSERT(strstr(host_log(), want) != NULL);
	CU_ASSERT(strstr(host_log(), "oom_reaper: reaped process 12 (big), now anon-rss:0kB") !=
		  NULL);
	drain_all_pages();
	CU_ASSERT(nr_free_pages() >= free + 500);
	CU_ASSERT_EQUAL(big->rss_anon, 0);
	CU_ASSERT_EQUAL(small->rss_anon, 100);
	CU_ASSERT_EQUAL(big->users, 1); /* no reference kept */
	check_all();
	/* It is about to close its files: worth waiting for. */
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 12);
	/* Still not enough, and it has not exited: the next one. */
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 11);
	/* Both are on their way: worth waiting for, and nobody is killed twice. */
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(event(OOM_KILL), kills + 2);
	drop_processes();
	CU_ASSERT(!out_of_memory(GFP_KERNEL, 0)); /* nobody left */
}

static void adj_decides_and_minus_1000_protects(void)
{
	unsigned long a, b, c;

	add_process(21, "protected", process_of(900, &a), -1000);
	add_process(22, "large", process_of(300, &b), 0);
	add_process(23, "disposable", process_of(10, &c), 1000);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 23);
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 22);
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 22); /* the protected one never */
	CU_ASSERT_EQUAL(host_process[0].mm->rss_anon, 900);
	drop_processes();
}

static void who_dies_already_is_reaped_first(void)
{
	u64 kills = event(OOM_KILL);
	unsigned long a, b;

	add_process(31, "big", process_of(500, &a), 0);
	add_process(32, "dying", process_of(50, &b), 0);
	host_process[1].exiting = true;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 0);
	CU_ASSERT_EQUAL(event(OOM_KILL), kills);
	CU_ASSERT_EQUAL(host_process[1].mm->rss_anon, 0);
	CU_ASSERT_EQUAL(host_process[0].mm->rss_anon, 500);
	drop_processes();
}

static void a_victim_that_holds_its_lock_is_given_up_at_last(void)
{
	unsigned long a, b;
	struct mm_struct *stuck = process_of(500, &a);

	add_process(41, "stuck", stuck, 0);
	add_process(42, "other", process_of(50, &b), 0);
	down_write(&stuck->mmap_lock); /* in the middle of an mmap */
	for (int i = 0; i < 10; i++) {
		CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
		CU_ASSERT_EQUAL(host_last_killed, 41);
	}
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 42);
	CU_ASSERT_EQUAL(stuck->rss_anon, 500);
	up_write(&stuck->mmap_lock);
	drop_processes();
}

/* No swap, and a process that wants more than there is: the fault itself ends in the killer. */
static void a_fault_without_memory_kills_and_others_go_on(void)
{
	u64 kills = event(OOM_KILL), n = 64 * MIB / PAGE_SIZE, i, v;
	struct mm_struct *hog = mm_alloc(), *calm;
	unsigned int fault = 0;
	unsigned long at, a;

	calm = process_of(200, &a);
	CU_ASSERT(!user_write(calm, a, 77));
	at = do_mmap(hog, 0, n << PAGE_SHIFT, RW, PRIVATE | MAP_NORESERVE, 0);
	add_process(51, "calm", calm, 0);
	add_process(52, "hog", hog, 0);
	for (i = 0; i < n && !host_last_killed; i++)
		fault = user_write(hog, at + i * PAGE_SIZE, i);
	CU_ASSERT_EQUAL(host_last_killed, 52);
	CU_ASSERT_EQUAL(event(OOM_KILL), kills + 1);
	CU_ASSERT(i > 5000);
	CU_ASSERT(fault == 0 || fault == VM_FAULT_OOM);
	CU_ASSERT(hog->rss_anon < 10);
	check_all();
	CU_ASSERT(!user_read(calm, a, &v) && v == 77);
	for (i = 0; i < 1000; i++)
		CU_ASSERT(do_mmap(calm, 0, PAGE_SIZE, RW, PRIVATE | MAP_POPULATE, 0) > 0);
	drop_processes();
}

static void swap_counts_in_badness_and_is_given_back(void)
{
	struct scan_control sc = {
		.gfp = GFP_KERNEL, .highest = ZONE_MOVABLE, .nr_to_reclaim = ~0ull};
	struct host_disk *disk = host_disk_create("swap", 16 * MIB);
	unsigned long a, b;
	struct mm_struct *swapped = process_of(500, &a), *resident;

	host_disk_mkswap(disk);
	CU_ASSERT_EQUAL(do_swapon(&disk->bdev, -1), 0);
	for (u64 i = 0; i < 500; i++)
		user_write(swapped, a + i * PAGE_SIZE, i + 1);
	lru_add_drain();
	for (int i = 0; i < 10; i++)
		shrink_node(&node_data[0], &sc);
	CU_ASSERT_EQUAL(swapped->rss_swap, 500);
	resident = process_of(300, &b);
	add_process(61, "resident", resident, 0);
	add_process(62, "swapped", swapped, 0);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 62);
	CU_ASSERT_EQUAL(swapped->rss_swap, 0);
	CU_ASSERT_EQUAL(swap_areas[0].inuse, 0);
	check_all();
	drop_processes();
	CU_ASSERT_EQUAL(do_swapoff(&disk->bdev), 0);
}

/* ---- 200 tables of processes ---- */

#define TABLES	   200
#define MOST_ROWS  12
#define TOTAL_SWAP 0

/* What Linux 6.1 chooses (mm/oom_kill.c, oom_badness() and oom_evaluate_task()), written down once more and
 * without any of the code under test: an index, or -1. */
static int linux_choice(unsigned int n, u64 totalpages)
{
	long best = LONG_MIN;
	int chosen = -1;

	for (unsigned int i = 0; i < n; i++) {
		const struct process_view *p = &host_process[i];
		long points;

		if (p->oom_score_adj == -1000)
			continue;
		points = p->mm->rss_anon + p->mm->rss_file + p->mm->rss_shmem + p->mm->rss_swap +
			 p->mm->pgtables_bytes / (long)PAGE_SIZE;
		points += p->oom_score_adj * (long)(totalpages / 1000);
		if (points == LONG_MIN || points < best)
			continue;
		best = points;
		chosen = (int)i;
	}
	return chosen;
}

static u64 next_random(u64 *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

/* Counters without pages behind them, so that a table costs nothing. */
static void set_counters(struct mm_struct *mm, u64 *state)
{
	/* Small numbers, so that there are ties. */
	const u64 range = next_random(state) % 3 ? 40 : 20000;

	mm->rss_anon = (s64)(next_random(state) % range);
	mm->rss_file = (s64)(next_random(state) % range);
	mm->rss_shmem = (s64)(next_random(state) % 4);
	mm->rss_swap = (s64)(next_random(state) % range);
}

static void clear_counters(struct mm_struct *mm)
{
	mm->rss_anon = mm->rss_file = mm->rss_shmem = mm->rss_swap = 0;
}

static void generated_tables(void)
{
	static const int adjs[] = {0, 0, 0, 0, -1000, 1000, 500, -500, 1, -1, 17, -999};
	const u64 total = totalram_pages() + TOTAL_SWAP;
	unsigned int killed = 0, protected = 0, ties = 0;
	u64 state = 6;

	for (unsigned int table = 0; table < TABLES; table++) {
		const unsigned int n = 1 + (unsigned int)(next_random(&state) % MOST_ROWS);
		int want;

		for (unsigned int i = 0; i < n; i++) {
			add_process(100 + (int)i, "row", mm_alloc(),
				    adjs[next_random(&state) % ARRAY_SIZE(adjs)]);
			if (i && next_random(&state) % 4 == 0) {
				struct mm_struct *mm = host_process[i].mm;

				mm->rss_anon = host_process[i - 1].mm->rss_anon;
				mm->rss_file = host_process[i - 1].mm->rss_file;
				mm->rss_shmem = host_process[i - 1].mm->rss_shmem;
				mm->rss_swap = host_process[i - 1].mm->rss_swap;
				host_process[i].oom_score_adj = host_process[i - 1].oom_score_adj;
				ties++;
			} else {
				set_counters(host_process[i].mm, &state);
			}
		}
		want = linux_choice(n, total);
		if (want < 0) {
			/* All are protected: Linux panics, and so do we (another test). */
			protected++;
		} else {
			CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
			CU_ASSERT_EQUAL(host_last_killed, 100 + want);
			killed++;
		}
		for (unsigned int i = 0; i < n; i++)
			clear_counters(host_process[i].mm);
		drop_processes();
	}
	CU_ASSERT_EQUAL(killed + protected, TABLES);
	CU_ASSERT(killed > TABLES * 9 / 10);
	CU_ASSERT(ties > TABLES / 2);
}

/* ---- what is printed, and what the sysctls do ---- */

static void lines_as_linux_prints_them(void)
{
	unsigned long a;
	char text[200];

	add_process(71, "big", process_of(200, &a), 0);
	host_log_clear();
	CU_ASSERT(out_of_memory(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0));
	ksnprintf(
		text, sizeof(text),
		"host invoked oom-killer: gfp_mask=%#x(GFP_HIGHUSER_MOVABLE|__GFP_ZERO), order=0, "
		"oom_score_adj=0\n",
		GFP_HIGHUSER_MOVABLE | __GFP_ZERO);
	CU_ASSERT(strstr(host_log(), text) != NULL);
	CU_ASSERT(strstr(host_log(),
			 "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),global_oom,"
			 "task_memcg=/own,task=big,pid=71,uid=0\n") != NULL);
	CU_ASSERT(strstr(host_log(), "Tasks state (memory values in pages):\n") != NULL);
	drop_processes();
	gfp_to_text(text, sizeof(text), 0);
	CU_ASSERT_STRING_EQUAL(text, "0");
	gfp_to_text(text, sizeof(text), GFP_ATOMIC | __GFP_NOWARN);
	CU_ASSERT_STRING_EQUAL(text, "GFP_ATOMIC|__GFP_NOWARN");
}

static void dump_can_be_switched_off(void)
{
	unsigned long a;

	add_process(72, "big", process_of(200, &a), 0);
	host_log_clear();
	sysctl_oom_dump_tasks = 0;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	sysctl_oom_dump_tasks = 1;
	CU_ASSERT(strstr(host_log(), "Tasks state") == NULL);
	CU_ASSERT(strstr(host_log(), "oom-kill:constraint=") != NULL);
	drop_processes();
}

static void the_allocating_task_is_killed(void)
{
	struct thread_info *ti = current_thread_info();
	struct mm_struct *before = ti->mm;
	unsigned long a, b;

	add_process(73, "big", process_of(500, &a), 0);
	add_process(74, "asks", process_of(10, &b), 0);
	ti->mm = host_process[1].mm;
	sysctl_oom_kill_allocating_task = 1;
	host_log_clear();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 74);
	CU_ASSERT(strstr(host_log(),
			 "Out of memory (oom_kill_allocating_task): Killed process 74") != NULL);
	/* Not twice, and not who may not be killed. */
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 73);
	sysctl_oom_kill_allocating_task = 0;
	ti->mm = before;
	drop_processes();
}

static void panics(void *nodes)
{
	out_of_memory_on((u32)(unsigned long)nodes, GFP_KERNEL, 0);
}

/* A bind: only those that may have memory there; and a panic only if it is asked for always. */
static void a_node_is_full(void)
{
	const u32 nodes = memory_nodes;
	unsigned long a, b;

	add_process(75, "elsewhere", process_of(500, &a), 0);
	add_process(76, "there", process_of(50, &b), 0);
	host_process[0].cookie = (void *)2ul;
	host_process[1].cookie = (void *)1ul;
	memory_nodes = 3;
	sysctl_panic_on_oom = 1;
	CU_ASSERT(host_panics(panics, (void *)(unsigned long)ALL_NODES,
			      "Out of memory: system-wide panic_on_oom is enabled"));
	host_log_clear();
	CU_ASSERT(out_of_memory_on(1, GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 76);
	CU_ASSERT(strstr(host_log(),
			 "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0,"
			 "global_oom,task_memcg=/own,task=there,pid=76,uid=0\n") != NULL);
	sysctl_panic_on_oom = 2;
	CU_ASSERT(host_panics(panics, (void *)1ul,
			      "Out of memory: compulsory panic_on_oom is enabled"));
	sysctl_panic_on_oom = 0;
	memory_nodes = nodes;
	drop_processes();
}

/* ---- a victim on its way out ---- */

static void who_has_files_still_is_waited_for(void)
{
	u64 kills = event(OOM_KILL);
	unsigned long a, b;

	add_process(81, "memfd", process_of(500, &a), 0);
	add_process(82, "other", process_of(50, &b), 0);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 81);
	/* It has left its address space; its files are still open. */
	mmput(host_process[0].mm);
	host_process[0].mm = NULL;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(event(OOM_KILL), kills + 1);
	/* It has closed them, and that was not enough. */
	host_process[0].oom_since = 0;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 82);
	drop_processes();
}

/* The look at the free lists, then the victim's memory comes back, then the decision. */
static void memory_that_came_back_after_the_look_spares_the_next(void)
{
	u64 kills = event(OOM_KILL);
	unsigned long a, b;

	add_process(83, "victim", process_of(500, &a), 0);
	add_process(84, "other", process_of(50, &b), 0);
	CU_ASSERT(oom_trylock());
	/* Somebody else was chosen before, and is reaped now, on another CPU. */
	host_process[0].exiting = true;
	mm_release_early(host_process[0].mm);
	CU_ASSERT(out_of_memory_on(ALL_NODES, GFP_KERNEL, 0));
	oom_unlock();
	CU_ASSERT_EQUAL(event(OOM_KILL), kills);
	CU_ASSERT_EQUAL(host_process[1].mm->users, 1);
	CU_ASSERT_EQUAL(host_process[1].mm->rss_anon, 50);
	/* The next look came after that. */
	CU_ASSERT(oom_trylock());
	CU_ASSERT(out_of_memory_on(ALL_NODES, GFP_KERNEL, 0));
	oom_unlock();
	CU_ASSERT_EQUAL(host_last_killed, 84);
	drop_processes();
}

static void the_first_process_is_the_last_to_be_killed(void)
{
	unsigned long a, b;

	add_process(1, "init", process_of(500, &a), 0);
	add_process(85, "other", process_of(5, &b), 0);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 85);
	/* However long the other one takes. */
	victims_time_is_over();
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 85);
	CU_ASSERT_EQUAL(host_process[0].mm->rss_anon, 500);
	mmput(host_process[1].mm);
	host_nr_processes = 1;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 1);
	drop_processes();
}

/* vfork and clone(CLONE_VM): what the reaper takes is taken from all. */
static void who_shares_the_memory_dies_too(void)
{
	unsigned long a, b;
	struct mm_struct *shared = process_of(500, &a), *init;

	add_process(86, "parent", shared, -1000);
	add_process(87, "child", shared, 0);
	add_process(88, "other", process_of(50, &b), 0);
	mmget(shared);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT(host_process[0].exiting && host_process[1].exiting && !host_process[2].exiting);
	CU_ASSERT_EQUAL(shared->rss_anon, 0);
	drop_processes();

	/* One of two dies already: its memory stays in use, so that it is no reason to spare the others. */
	shared = process_of(50, &a);
	add_process(89, "lives", shared, 0);
	add_process(90, "dies", shared, 0);
	add_process(91, "big", process_of(500, &b), 0);
	mmget(shared);
	host_process[1].exiting = true;
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 91);
	CU_ASSERT_EQUAL(shared->rss_anon, 50);
	CU_ASSERT_EQUAL(shared->users, 2);
	drop_processes();

	/* Process 1's vfork child: it is killed, and nothing is taken from process 1. */
	init = process_of(200, &a);
	add_process(1, "init", init, 0);
	add_process(92, "vforked", init, 0);
	mmget(init);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 92);
	CU_ASSERT(!host_process[0].exiting);
	CU_ASSERT_EQUAL(init->rss_anon, 200);
	CU_ASSERT_EQUAL(init->users, 2);
	CU_ASSERT(!init->oom_victim);
	/* It is about to end: no second kill meanwhile. */
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 92);
	drop_processes();
}

/* Another CPU has killed it after this one read the clock. It has left its mm, and has its files still. */
static void a_victim_younger_than_the_search_is_waited_for(void)
{
	unsigned long a;

	add_process(95, "left", NULL, 0);
	host_process[0].exiting = true;
	host_process[0].oom_since = host_time_ns + 1000000;
	add_process(96, "other", process_of(50, &a), 0);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 0);
	drop_processes();
}

/* From here on there is a reaper; the test does its work. The process has gone, and the queue holds the
 * last reference on all of its memory. */
static void an_mm_in_the_queue_counts_without_its_process(void)
{
	u64 kills = event(OOM_KILL), free;
	unsigned long a, b;

	CU_ASSERT_EQUAL(oom_reaper_init(), 0);
	add_process(93, "victim", process_of(500, &a), 0);
	add_process(94, "other", process_of(50, &b), 0);
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	CU_ASSERT_EQUAL(host_last_killed, 93);
	mmput(host_process[0].mm);
	host_process[0] = host_process[1];
	host_nr_processes = 1;
	drain_all_pages();
	free = nr_free_pages();
	for (int i = 0; i < 3; i++) {
		victims_time_is_over();
		CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	}
	CU_ASSERT_EQUAL(event(OOM_KILL), kills + 1);
	CU_ASSERT(!oom_reaper_idle());
	CU_ASSERT(oom_reap_next());
	CU_ASSERT(oom_reaper_idle());
	drain_all_pages();
	CU_ASSERT(nr_free_pages() >= free + 500);
	CU_ASSERT(oom_trylock()); /* and a look at the free lists, after what came back */
	CU_ASSERT(out_of_memory(GFP_KERNEL, 0));
	oom_unlock();
	CU_ASSERT_EQUAL(host_last_killed, 94);
	CU_ASSERT(oom_reap_next());
	CU_ASSERT(!oom_reap_next());
	drop_processes();
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"generated_tables", generated_tables},
		{"lines_as_linux_prints_them", lines_as_linux_prints_them},
		{"dump_can_be_switched_off", dump_can_be_switched_off},
		{"the_allocating_task_is_killed", the_allocating_task_is_killed},
		{"a_node_is_full", a_node_is_full},
		{"badness_by_numbers", badness_by_numbers},
		{"the_largest_is_killed_and_reaped", the_largest_is_killed_and_reaped},
		{"adj_decides_and_minus_1000_protects", adj_decides_and_minus_1000_protects},
		{"who_dies_already_is_reaped_first", who_dies_already_is_reaped_first},
		{"a_victim_that_holds_its_lock_is_given_up_at_last",
		 a_victim_that_holds_its_lock_is_given_up_at_last},
		{"a_fault_without_memory_kills_and_others_go_on",
		 a_fault_without_memory_kills_and_others_go_on},
		{"swap_counts_in_badness_and_is_given_back",
		 swap_counts_in_badness_and_is_given_back},
		{"who_has_files_still_is_waited_for", who_has_files_still_is_waited_for},
		{"memory_that_came_back_after_the_look_spares_the_next",
		 memory_that_came_back_after_the_look_spares_the_next},
		{"the_first_process_is_the_last_to_be_killed",
		 the_first_process_is_the_last_to_be_killed},
		{"who_shares_the_memory_dies_too", who_shares_the_memory_dies_too},
		{"a_victim_younger_than_the_search_is_waited_for",
		 a_victim_younger_than_the_search_is_waited_for},
		{"an_mm_in_the_queue_counts_without_its_process",
		 an_mm_in_the_queue_counts_without_its_process},
	};

	host_boot_default("debug_vm");
	mm_init();
	return unit_run("oom", cases, sizeof(cases) / sizeof(cases[0]));
}
