/*
 * The OOM killer and its reaper on two CPUs (tests/host/race.h). The first victim has left its mm: what the
 * reaper holds in its queue is the last reference. A thread looks for memory, finds none and asks for a victim,
 * while the reaper takes the pages, drops the reference and so frees the page tables. Nobody else may be killed:
 * either the reaper is seen at work, or what it has freed is noticed. Every point of either one is tried.
 *
 * The thread that asks may have the victim's mmap_lock: then the reaper stops before the page tables, or gives
 * the victim up.
 */
#include "mm/reclaim/oom.h"
#include "mm/reclaim/reclaim.h"
#include "mm_user.h"
#include "race.h"
#include "unit.h"

#define VICTIM 93
#define OTHER  94

enum hold {
	HOLD_NOTHING,
	HOLD_UNTIL_THE_LOOK, /* for reading: the pages are taken, and the page tables after the look */
	HOLD_FOR_READING,    /* the page tables stay */
	HOLD_FOR_WRITING,    /* the reaper gives up, and waits for the lock to drop the mm */
};

static struct mm_struct *victim;
static enum hold hold;
static bool reaped; /* the reaper has done all, page tables too */
static bool asked;  /* the look found nothing */
static u64 nr_races, nr_asked;

static void ask(void *arg)
{
	env_race_point("an allocation that has failed");
	while (!oom_trylock())
		;
	asked = !reaped;
	if (hold == HOLD_UNTIL_THE_LOOK)
		up_read(&victim->mmap_lock);
	if (asked)
		out_of_memory(GFP_KERNEL, 0);
	MUST(!asked || host_last_killed == VICTIM,
	     "process %d is killed, and the reaper was about to free what the first one had",
	     host_last_killed);
	oom_unlock();
	if (hold == HOLD_FOR_READING)
		up_read(&victim->mmap_lock);
	else if (hold == HOLD_FOR_WRITING)
		up_write(&victim->mmap_lock);
}

static void reap(void *arg)
{
	MUST(oom_reap_next(), "the queue is empty");
	reaped = true;
}

/* The first victim is in the queue, and its process has gone; another one could be killed. */
static void begin(void)
{
	unsigned long at;

	victim = user_mm_with(8, &at);
	host_process[0] = (struct process_view){.pid = VICTIM, .comm = "victim", .mm = victim};
	host_process[1] =
		(struct process_view){.pid = OTHER, .comm = "other", .mm = user_mm_with(2, &at)};
	host_nr_processes = 2;
	host_last_killed = 0;
	reaped = false;
	MUST(oom_trylock(), "oom_lock");
	MUST(out_of_memory(GFP_KERNEL, 0) && host_last_killed == VICTIM, "the first victim");
	oom_unlock();
	mmput(victim);
	host_process[0] = host_process[1];
	host_nr_processes = 1;
	if (hold == HOLD_UNTIL_THE_LOOK || hold == HOLD_FOR_READING)
		down_read(&victim->mmap_lock);
	else if (hold == HOLD_FOR_WRITING)
		down_write(&victim->mmap_lock);
}

static void end(void)
{
	MUST(reaped && oom_reaper_idle(), "the reaper has not done its work");
	MUST(host_last_killed == VICTIM, "process %d is killed", host_last_killed);
	mmput(host_process[0].mm);
	host_nr_processes = 0;
	nr_races++;
	nr_asked += asked;
}

static void try_all(const struct host_racer *a, const struct host_racer *b)
{
	for (int order = RACE_EAGER; order <= RACE_LAZY; order++) {
		bool met = true;

		for (unsigned int at = 1; met; at++) {
			begin();
			met = host_race(a, b, at, order);
			end();
		}
	}
	check_all();
}

static const struct host_racer asker = {"who has no memory", ask, NULL};
static const struct host_racer reaper = {"the reaper", reap, NULL};

static void the_reaper_meets_the_killer(void)
{
	const u64 before = nr_asked;

	for (hold = HOLD_NOTHING; hold <= HOLD_FOR_WRITING; hold++)
		try_all(&asker, &reaper);
	CU_ASSERT(nr_asked > before);
}

/* With the lock, the asker must be on the CPU that took it before the race. */
static void the_killer_meets_the_reaper(void)
{
	const u64 before = nr_asked;

	hold = HOLD_NOTHING;
	try_all(&reaper, &asker);
	CU_ASSERT(nr_asked > before);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"the reaper begins while a victim is looked for", the_reaper_meets_the_killer},
		{"a victim is looked for while the reaper works", the_killer_meets_the_reaper},
	};
	int status;

	host_race_init();
	host_boot_default("debug_vm");
	mm_init();
	MUST(!oom_reaper_init(), "the reaper");
	WRITE_ONCE(sysctl_oom_dump_tasks, 0);
	status = unit_run("race_oom", cases, ARRAY_SIZE(cases));
	printf("%lu races, in %lu the look found nothing\n", (unsigned long)nr_races,
	       (unsigned long)nr_asked);
	return status;
}
