/* What the suites share: counters before and after, child programs, a test address space, and
 * memory pressure. */
#ifndef TESTS_TESTS_H
#define TESTS_TESTS_H
#include "kernel/process.h"
#include "kernel/testchan.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"
#include "kernel/boot.h"
#include "mm/swap/swap.h"
#include "mm/reclaim/reclaim.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/phys/zone.h"

/* Guest tests: declare with GUEST_TEST(suite, case, flags, timeout, "vm args") { ... use t ... } */
struct test {
	const char *name;
	u32 checks, failures;
	bool skipped;
	char reason[256];
};
void test_fail(struct test *t, const char *file, int line, const char *fmt, ...) __printf(4, 5);
void test_skip(struct test *t, const char *fmt, ...) __printf(2, 3);
#define CHECK(cond)                                                    \
	do {                                                           \
		t->checks++;                                           \
		if (!(cond))                                           \
			test_fail(t, __FILE__, __LINE__, "%s", #cond); \
	} while (0)
#define CHECK_EQ(a, b)                                                                      \
	do {                                                                                \
		s64 _a = (s64)(a), _b = (s64)(b);                                           \
		t->checks++;                                                                \
		if (_a != _b)                                                               \
			test_fail(t, __FILE__, __LINE__, "%s = %ld, expected %s = %ld", #a, \
				  (long)_a, #b, (long)_b);                                  \
	} while (0)
/** Stop the case (return) when cond is false: for what the rest depends on. */
#define REQUIRE(cond)                                                  \
	do {                                                           \
		t->checks++;                                           \
		if (!(cond)) {                                         \
			test_fail(t, __FILE__, __LINE__, "%s", #cond); \
			return;                                        \
		}                                                      \
	} while (0)
#define GUEST_TEST(suite, case_, flags_, timeout_, args_)                                 \
	static void test_##suite##_##case_(struct test *t);                               \
	__attribute__((section(".mmvm_tests"),                                            \
		       used)) static struct mmvm_test_desc desc_##suite##_##case_ = {     \
		#suite "." #case_, (u64)test_##suite##_##case_, flags_, timeout_, args_}; \
	static void test_##suite##_##case_(struct test *t __maybe_unused)
/** Run the named test, report it, and stop the VM. */
void run_guest_test(const char *name) __noreturn;

#define KIB 1024ul
#define MIB (1024ul * KIB)

/** A count at this moment: subtract two of them. */
static inline s64 ev(enum vm_event_item e)
{
	return sum_vm_event(e);
}

/** The host's audit of all memory, when no other task is in the middle of something (at most 5 s): a page that
 * kswapd is just freeing looks wrong. Returns its findings, or -errno. Sleeps. */
int settled_audit(void);
/** Free pages in all: buddy and per-CPU lists, once these are drained. */
u64 settled_free_pages(void);
/** Free pages when their number no longer changes: what has ended is freed by a thread, some time later. Lazily
 * unmapped vmalloc areas are given back. Sleeps. */
u64 free_pages_at_rest(void);
/** Wait until so many pages are free, counted like that. False: after 10 s and 5,000 looks they are not. */
bool free_pages_reach(u64 pages);
/** Wait until a level has that value. False: after 10 s and 5,000 looks it has not. */
bool stat_becomes(enum zone_stat_item item, s64 value);
/** Frames by owner, found by walking every zone from head to head. Returns frames seen. */
u64 count_frames(u64 by_type[NR_PAGE_TYPES]);
/** Print of which kinds there are more frames than there were. */
void say_frames_grown(const u64 before[NR_PAGE_TYPES], const u64 after[NR_PAGE_TYPES]);

/** Run `path` from the initrd with arguments ("a b c", at most 7) to its end. Returns its wait
 * status or -errno. */
int run_program(const char *path, const char *args);
#define EXITED(status)	  (((status)&0x7f) == 0)
#define EXIT_CODE(status) ((status) >> 8 & 0xff)
#define SIGNALLED(status) ((status)&0x7f)

/** A name that the audit must find: ends the case as an EXPECT_AUDIT test. */
void test_expect_audit(struct test *t, const char *finding);

/** Words that the console must hold when the case has ended: of a panic that is expected. */
void test_expect_words(struct test *t, const char *words);

/** Call `fn(arg)` in a new kernel thread and wait for it. Returns its result or -ENOMEM. */
int run_in_thread(int (*fn)(void *arg), void *arg, const char *name);

/** Sleep. */
static inline void sleep_ms(u64 ms)
{
	u64 until = ktime_ns() + ms * 1000000, now;

	while ((now = ktime_ns()) < until)
		schedule_timeout(until - now);
}

/** Pages of the root's files, in memory and in swap. */
u64 root_pages(void);
/** Are all swap slots free again, but for the root's files? Waits for writes that were under way when
 * their owner ended. Only the root's files may be shared memory then. */
bool swap_becomes_empty(void);

/** Call fn every few ms until it is true, at most `ms`. Returns fn's last value. */
bool wait_until(bool (*fn)(void *arg), void *arg, u64 ms);

/* A user address space worked on from kernel code (tests/testmm.c): pages are touched by
 * handle_mm_fault and read and written through the direct map, setting A and D bits as a CPU
 * would. */
struct mm_struct *testmm_create(struct test *t);
/** Touch one address as user code would: 0, or the VM_FAULT_* error. */
enum touch { TOUCH_READ, TOUCH_WRITE };
unsigned int testmm_touch(struct mm_struct *mm, unsigned long addr, enum touch how);
/** Write or read a word, faulting as needed. Returns 0 or the VM_FAULT_* error. */
unsigned int testmm_write(struct mm_struct *mm, unsigned long addr, u64 v);
unsigned int testmm_read(struct mm_struct *mm, unsigned long addr, u64 *v);
/** The page mapped at addr, or NULL. No reference taken. */
struct page *testmm_page(struct mm_struct *mm, unsigned long addr);
/** The PTE at addr, or a zero PTE. */
pte_t testmm_pte(struct mm_struct *mm, unsigned long addr);
/** The level of the entry that maps addr (PT_LEVEL_*); TESTMM_NO_LEAF: none does. */
#define TESTMM_NO_LEAF 99u
unsigned int testmm_level(struct mm_struct *mm, unsigned long addr);
/** Write word_for() of its address to the first word of each of n pages; see that it is there. */
void testmm_fill(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long n, u64 seed);
void testmm_verify(struct test *t, struct mm_struct *mm, unsigned long a, unsigned long n,
		   u64 seed);
/** How many of n pages are on the node. */
unsigned long testmm_on_node(struct mm_struct *mm, unsigned long a, unsigned long n, int nid);
/** Anonymous private memory, read-write. Returns its address; fails the test and returns 0 on
 * error. */
unsigned long testmm_map(struct test *t, struct mm_struct *mm, unsigned long len);
/** The first pages of a file, read-write: flags MAP_SHARED or MAP_PRIVATE; file NULL: it has none. The same. */
struct address_space;
struct file;
unsigned long testmm_map_file(struct test *t, struct mm_struct *mm, struct address_space *mapping,
			      struct file *file, int flags, unsigned long pages);
/** A word that differs for every address and seed. */
u64 word_for(unsigned long addr, u64 seed);
#endif
