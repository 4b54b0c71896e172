/*
 * The guest's end of the test harness: find the case the VMM named, run it, let the host audit all
 * of memory, say how it went, stop the VM. Each case has a VM of its own, so a case may break what
 * it likes.
 *
 *   TEST_BEGIN -> fn(&test) -> AUDIT -> TEST_END -> exit
 *
 * The audit comes after writeback has ended and the per-CPU lists have been drained, so that what
 * it counts stands still. A case that plants a corruption names the finding it expects and
 * then stops at once: the damaged memory is not used again.
 */
#include "fs/internal.h"
#include "kernel/task.h"
#include "mm/move/balloon.h"
#include "mm/move/reporting.h"
#include "mm/reclaim/lru.h"
#include "tests/tests.h"

extern const struct mmvm_test_desc __mmvm_tests_start[], __mmvm_tests_end[];

static char expected_finding[32];

void test_fail(struct test *t, const char *file, int line, const char *fmt, ...)
{
	char msg[sizeof(t->reason)];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	printk("%s: %s:%d: %s\n", t->name, file, line, msg);
	if (!t->failures++)
		ksnprintf(t->reason, sizeof(t->reason), "%s:%d: %s", file, line, msg);
}

void test_skip(struct test *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(t->reason, sizeof(t->reason), fmt, ap);
	va_end(ap);
	t->skipped = true;
}

void test_expect_audit(struct test *t, const char *finding)
{
	t->checks++;
	strscpy(expected_finding, finding, sizeof(expected_finding));
}

void test_expect_words(struct test *t, const char *words)
{
	t->checks++;
	testchan_record(MMVM_REC_EXPECT, t->name, 0, 0, words);
}

static const struct mmvm_test_desc *find_test(const char *name)
{
	for (const struct mmvm_test_desc *d = __mmvm_tests_start; d < __mmvm_tests_end; d++)
		if (!strncmp(d->name, name, sizeof(d->name)))
			return d;
	return NULL;
}

static void __noreturn end_test(struct test *t)
{
	enum mmvm_test_result result = MMVM_TEST_PASS;

	if (t->failures)
		result = MMVM_TEST_FAIL;
	else if (t->skipped)
		result = MMVM_TEST_SKIP;
	else if (!t->checks) {
		result = MMVM_TEST_FAIL;
		strscpy(t->reason, "the case checked nothing", sizeof(t->reason));
	}
	testchan_record(MMVM_REC_TEST_END, t->name, result, t->checks, t->reason);
	testchan_exit(result == MMVM_TEST_FAIL);
}

void run_guest_test(const char *name)
{
	const struct mmvm_test_desc *d = find_test(name);
	struct test t = {.name = name};
	int findings;

	testchan_record(MMVM_REC_TEST_BEGIN, name, 0, 0, NULL);
	if (!d) {
		test_fail(&t, __FILE__, __LINE__, "no test of that name in this kernel");
		end_test(&t);
	}
	((void (*)(struct test *))d->fn)(&t);

	if (t.skipped)
		end_test(&t);
	if (expected_finding[0] && !t.failures) {
		/* The host compares what it found with what we say here. */
		findings = testchan_audit();
		if (findings <= 0)
			test_fail(&t, __FILE__, __LINE__, "planted %s, the audit found %d",
				  expected_finding, findings);
		else
			ksnprintf(t.reason, sizeof(t.reason), "audit:%s", expected_finding);
		end_test(&t);
	}
	balloon_freeze();
	page_reporting_freeze();
	memory_settle();
	findings = testchan_audit();
	if (findings)
		test_fail(&t, __FILE__, __LINE__, "the audit found %d faults in memory", findings);
	end_test(&t);
}

static bool quiet(void *arg)
{
	return memory_is_quiet();
}

int settled_audit(void)
{
	wait_until(quiet, NULL, 5000);
	return testchan_audit();
}

u64 settled_free_pages(void)
{
	drain_all_pages();
	return nr_free_pages();
}

u64 count_frames(u64 by_type[NR_PAGE_TYPES])
{
	u64 seen = 0;

	memset(by_type, 0, NR_PAGE_TYPES * sizeof(u64));
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		unsigned long pfn = z->start_pfn, end = pfn + z->spanned;

		while (pfn < end) {
			struct page *p = pfn_to_page(pfn);
			unsigned long n = 1;

			if (!pfn_valid(pfn)) {
				pfn++;
				continue;
			}
			if (p->type < NR_PAGE_TYPES) {
				n = p->type == PAGE_RESERVED ? 1 : 1ul << p->order;
				by_type[p->type] += n;
			}
			seen += n;
			pfn += n;
		}
	}
	return seen;
}

void say_frames_grown(const u64 before[NR_PAGE_TYPES], const u64 after[NR_PAGE_TYPES])
{
	static const char *const name[] = {
#define X(type, text) text,
		MMVM_PAGE_TYPES(X)
#undef X
	};

	for (unsigned int i = 0; i < NR_PAGE_TYPES; i++)
		if (i != PAGE_BUDDY && i != PAGE_PCP && after[i] > before[i])
			printk("%lu pages more: %s\n", (unsigned long)(after[i] - before[i]),
			       name[i]);
}

int run_program(const char *path, const char *args)
{
	char argv[256];
	size_t len = strlen(path) + 1;
	int pid;

	if (len + strlen(args) + 1 > sizeof(argv))
		return -E2BIG;
	memcpy(argv, path, len);
	while (*args) {
		char c = *args++;

		if (c != ' ')
			argv[len++] = c;
		else if (argv[len - 1])
			argv[len++] = '\0';
	}
	if (argv[len - 1])
		argv[len++] = '\0';
	pid = process_spawn(path, argv, len);
	return pid < 0 ? pid : process_wait(pid);
}

struct thread_call {
	int (*fn)(void *arg);
	void *arg;
	int result;
	bool done;
	struct wait_queue wq;
	spinlock_t lock;
};

static int thread_call_body(void *arg)
{
	struct thread_call *c = arg;
	int result = c->fn(c->arg);

	/* The caller's stack holds `c`: the lock keeps it there until we have let go. */
	spin_lock(&c->lock);
	c->result = result;
	WRITE_ONCE(c->done, true);
	wake_up(&c->wq);
	spin_unlock(&c->lock);
	return 0;
}

int run_in_thread(int (*fn)(void *arg), void *arg, const char *name)
{
	struct thread_call c = {.fn = fn, .arg = arg};

	spin_lock_init(&c.lock);
	wait_queue_init(&c.wq);
	if (kthread_run(thread_call_body, &c, name))
		return -ENOMEM;
	wait_event(&c.wq, READ_ONCE(c.done));
	spin_lock(&c.lock);
	spin_unlock(&c.lock);
	return c.result;
}

bool wait_until(bool (*fn)(void *arg), void *arg, u64 ms)
{
	u64 until = ktime_ns() + ms * 1000000;

	/* The clock alone is no limit: where the host lets us run now and then, little has been tried
	 * when the time is over. So each 2 ms must also have been a turn for the others. */
	for (u64 turns = 0; !fn(arg); turns++) {
		if (turns >= ms / 2 && ktime_ns() >= until)
			return fn(arg);
		sleep_ms(2);
	}
	return true;
}

static u64 free_pages_now(void)
{
	purge_vmap_areas();
	return settled_free_pages();
}

u64 free_pages_at_rest(void)
{
	u64 before, now = free_pages_now();

	for (unsigned int looks = 0, same = 0; same < 4 && looks < 1000; looks++) {
		before = now;
		sleep_ms(5);
		now = free_pages_now();
		same = now == before ? same + 1 : 0;
	}
	return now;
}

static bool enough_pages(void *arg)
{
	return free_pages_now() >= (u64)arg;
}

bool free_pages_reach(u64 pages)
{
	return wait_until(enough_pages, (void *)pages, 10000);
}

struct level {
	enum zone_stat_item item;
	s64 value;
};

static bool level_is(void *arg)
{
	const struct level *want = arg;

	return global_stat(want->item) == want->value;
}

bool stat_becomes(enum zone_stat_item item, s64 value)
{
	struct level want = {item, value};

	return wait_until(level_is, &want, 10000);
}

u64 root_pages(void)
{
	struct super_block *sb = root_mount()->sb;
	struct vfs_statfs st = {0};

	sb->ops->statfs(sb, &st);
	return st.blocks - st.bfree;
}

/* The root's files are in memory and in swap, as reclaim likes. */
static bool swap_is_empty(void *arg)
{
	u64 used = swap_total_pages() - swap_free_pages();

	return !used || used + global_stat(NR_SHMEM) == root_pages();
}

/* A page whose last owner left while it was written stays in the swap cache, with its slot, until
 * reclaim comes by; how many there are is up to the policy. So let reclaim come by. */
bool swap_becomes_empty(void)
{
	for (int i = 0; i < 20; i++) {
		if (wait_until(swap_is_empty, NULL, 200))
			return true;
		try_to_free_pages(GFP_KERNEL, 0);
	}
	return swap_is_empty(NULL);
}

u64 word_for(unsigned long addr, u64 seed)
{
	u64 x = (addr ^ seed) * 0x9e3779b97f4a7c15ull;

	return x ^ x >> 29;
}
