/*
 * The OOM reaper: a thread that frees a victim's memory before the victim runs and exits. The victim may be asleep,
 * or wait for a lock that the failed allocation's thread holds.
 *
 * The mm stays valid. What the victim reads from now on does not matter, because it exits instead of returning to
 * user mode.
 *
 *   killed ──> queue ──> reaper: mmap_lock for reading? ──> unmap all ──> mm->oom_victim
 *                            │ held for writing: wait, try again, ten times
 *                            └────> given up: mm->oom_victim, the next one is killed
 *
 * I1  A queued mm has OOM_QUEUED in oom_reap_attempts until oom_victim is set. Nobody else is killed meanwhile,
 *     even if its process has exited and the queue's reference is the last.
 *
 * Locks: queue_lock guards the queue. It is innermost.
 */
#include "mm/memcg/memcg.h"
#include "mm/reclaim/lru.h"
#include "mm/reclaim/oom.h"
#include "mm/pgtable/pgtable.h"
#include "mm/virt/vma.h"

#define REAP_ATTEMPTS 10
#define REAP_WAIT_NS  100000000ull
#define OOM_QUEUED    0x80u
#define QUEUE	      16u
#define K(pages)      ((unsigned long)(pages) << (PAGE_SHIFT - 10))

static struct oom_victim queue[QUEUE]; /* queue_lock */
static u32 queued;		       /* queue_lock: of them, the oldest first */
static struct mm_struct *reaping;      /* queue_lock: out of the queue, being reaped */
static spinlock_t queue_lock = SPINLOCK_INIT;
static struct wait_queue reaper_wq = WAIT_QUEUE_INIT(reaper_wq);
static u32 at_work;	  /* A: victims that are queued or being reaped */
static u64 freeing_since; /* A: ktime since which the thread reaps or frees an mm; 0: it does not */
static bool thread_runs;  /* boot */

/* Unmap all of an address space whose threads are to end. mmap_lock held for reading. */
static void reap(struct mm_struct *mm)
{
	struct vm_area_struct *vma;
	struct mmu_gather tlb;

	lru_add_drain_all();
	tlb_gather_mmu(&tlb, mm, TLB_WHOLE_MM);
	list_for_each_entry (vma, &mm->mmap, link)
		zap_page_range(&tlb, vma->vm_start, vma->vm_end);
	tlb_finish_mmu(&tlb);
	mm->oom_victim = true;
	oom_memory_freed();
}

void mm_release_early(struct mm_struct *mm)
{
	down_read(&mm->mmap_lock);
	if (!mm->oom_victim)
		reap(mm);
	up_read(&mm->mmap_lock);
}

/* Reap the victim's mm. False: its mmap_lock is held for writing. */
static bool try_to_reap(const struct oom_victim *v)
{
	struct mm_struct *mm = v->mm;

	if (!down_read_trylock(&mm->mmap_lock))
		return false;
	reap(mm);
	up_read(&mm->mmap_lock);
	printk("oom_reaper: reaped process %d (%s), now anon-rss:%lukB, file-rss:%lukB, "
	       "shmem-rss:%lukB\n",
	       v->pid, v->comm, K(mm->rss_anon), K(mm->rss_file), K(mm->rss_shmem));
	return true;
}

static void give_up(const struct oom_victim *v)
{
	printk("oom_reaper: unable to reap pid:%d (%s)\n", v->pid, v->comm);
	v->mm->oom_victim = true;
}

static bool take_first(struct oom_victim *v)
{
	unsigned long flags = spin_lock_irqsave(&queue_lock);
	const bool some = queued;

	if (some) {
		*v = queue[0];
		reaping = v->mm;
		queued--;
		for (u32 i = 0; i < queued; i++)
			queue[i] = queue[i + 1];
	}
	spin_unlock_irqrestore(&queue_lock, flags);
	return some;
}

bool oom_reap_next(void)
{
	struct oom_victim v;
	unsigned long flags;
	int attempt = 0;

	if (!take_first(&v))
		return false;
	WRITE_ONCE(freeing_since, ktime_ns());
	while (!try_to_reap(&v)) {
		if (++attempt == REAP_ATTEMPTS) {
			give_up(&v);
			break;
		}
		sleep_ns(REAP_WAIT_NS);
	}
	WRITE_ONCE(freeing_since, ktime_ns());
	flags = spin_lock_irqsave(&queue_lock);
	reaping = NULL;
	spin_unlock_irqrestore(&queue_lock, flags);
	mmput(v.mm); /* the last reference frees the rest, mainly page tables */
	/* Before freeing_since is cleared: a thread that sees the reaper idle also sees this count (oom.c, I3). */
	oom_memory_freed();
	WRITE_ONCE(freeing_since, 0);
	atomic_sub(&at_work, 1);
	return true;
}

static int reaper_thread(void *arg)
{
	for (;;) {
		wait_event(&reaper_wq, READ_ONCE(queued));
		oom_reap_next();
	}
	return 0;
}

int oom_reaper_init(void)
{
	int err = kthread_run(reaper_thread, NULL, "oom_reaper");

	thread_runs = !err;
	return err;
}

bool oom_reaper_idle(void)
{
	return !atomic_load(&at_work);
}

bool oom_reap_pending(const struct mm_struct *mm)
{
	return mm->oom_reap_attempts & OOM_QUEUED && !READ_ONCE(mm->oom_victim);
}

bool oom_reap_pending_in(const struct mem_cgroup *memcg)
{
	unsigned long flags = spin_lock_irqsave(&queue_lock);
	bool pending = reaping && !READ_ONCE(reaping->oom_victim) && oom_in_group(reaping, memcg);

	for (u32 i = 0; i < queued && !pending; i++)
		pending = !READ_ONCE(queue[i].mm->oom_victim) && oom_in_group(queue[i].mm, memcg);
	spin_unlock_irqrestore(&queue_lock, flags);
	return pending;
}

u64 oom_reaper_since(void)
{
	return READ_ONCE(freeing_since);
}

void oom_reap(const struct oom_victim *v)
{
	bool taken = false;
	unsigned long flags;

	if (thread_runs) {
		flags = spin_lock_irqsave(&queue_lock);
		taken = queued < QUEUE;
		if (taken) {
			v->mm->oom_reap_attempts |= OOM_QUEUED;
			queue[queued++] = *v;
			atomic_add(&at_work, 1);
		}
		spin_unlock_irqrestore(&queue_lock, flags);
	}
	if (taken) {
		wake_up(&reaper_wq);
		return;
	}
	if (!try_to_reap(v) && ++v->mm->oom_reap_attempts >= REAP_ATTEMPTS)
		give_up(v);
	mmput(v->mm);
}
