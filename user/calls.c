/*
 * System calls: results and errors. Every case has one correct answer. The program is run on Linux, too, to check
 * that its expected answers are right.
 *
 * Exit status: 0 all as expected, 1 not (each difference is printed).
 */
#include "rt.h"

#define SYS_read       0
#define SYS_arch_prctl 158
#define SYS_gettid     186
#define ARCH_SET_FS    0x1002
#define ARCH_GET_FS    0x1003
#define EBADF	       9
#define BAD_ADDRESS    0x10l			    /* never mapped */
#define KERNEL_ADDRESS ((long)0xffff888000000000ul) /* never ours */

static int different;

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	print("calls: %s: got %ld, expected %ld\n", what, got, want);
	different++;
}

static void expect_true(const char *what, bool is)
{
	expect(what, is, true);
}

static void output(void)
{
	static const char text[] = "calls: text\n";

	expect("write", sys_write(1, text, sizeof(text) - 1), sizeof(text) - 1);
	expect("write nothing", sys_write(1, text, 0), 0);
	expect("write to a closed descriptor", sys_write(77, text, 1), -EBADF);
	expect("write from nowhere", sys_write(1, (void *)BAD_ADDRESS, 4), -EFAULT);
	expect("write from the kernel", sys_write(1, (void *)KERNEL_ADDRESS, 4), -EFAULT);
	expect("read from a closed descriptor", syscall3(SYS_read, 77, (long)&different, 1),
	       -EBADF);
}

static void identity(void)
{
	char uts[6 * 65];

	expect_true("getpid", sys_getpid() > 0);
	expect("getpid again", sys_getpid(), sys_getpid());
	expect("gettid of the only thread", syscall3(SYS_gettid, 0, 0, 0), sys_getpid());
	expect("uname", syscall3(SYS_uname, (long)uts, 0, 0), 0);
	expect("machine", strcmp(uts + 4 * 65, "x86_64"), 0);
	expect("uname to nowhere", syscall3(SYS_uname, BAD_ADDRESS, 0, 0), -EFAULT);
	expect("no such call", syscall3(1000000, 0, 0, 0), -ENOSYS);
	expect("no such call either", syscall3(-1, 0, 0, 0), -ENOSYS);
	expect_true("RAM", total_ram() > 4ul << 20);
}

struct timespec {
	int64_t sec, nsec;
};

static void clocks(void)
{
	struct timespec ts = {0, 5000000}, bad = {0, 1000000000};
	uint64_t start = now_ns(), last = start;

	for (int i = 0; i < 50; i++) {
		uint64_t now = now_ns();

		expect_true("the clock goes forward", now >= last);
		last = now;
	}
	expect("nanosleep", syscall3(SYS_nanosleep, (long)&ts, 0, 0), 0);
	expect_true("it slept 5 ms", now_ns() - start >= 5000000);
	expect("nanosleep of a bad time", syscall3(SYS_nanosleep, (long)&bad, 0, 0), -EINVAL);
	expect("nanosleep from nowhere", syscall3(SYS_nanosleep, BAD_ADDRESS, 0, 0), -EFAULT);
	expect("no such clock", syscall3(SYS_clock_gettime, 1234, (long)&ts, 0), -EINVAL);
	expect("clock to nowhere", syscall3(SYS_clock_gettime, 1, BAD_ADDRESS, 0), -EFAULT);
	expect("wall clock", syscall3(SYS_clock_gettime, 0, (long)&ts, 0), 0);
	expect_true("it is later than 2020", ts.sec > 1577836800);
	expect("sched_yield", syscall3(SYS_sched_yield, 0, 0, 0), 0);
}

static void randomness(void)
{
	uint64_t a[4] = {0}, b[4] = {0};

	expect("getrandom", syscall3(SYS_getrandom, (long)a, sizeof(a), 0), sizeof(a));
	expect("getrandom again", syscall3(SYS_getrandom, (long)b, sizeof(b), 0), sizeof(b));
	expect_true("they differ", memcmp(a, b, sizeof(a)) != 0);
	expect("getrandom to nowhere", syscall3(SYS_getrandom, BAD_ADDRESS, 8, 0), -EFAULT);
	expect("getrandom with bad flags", syscall3(SYS_getrandom, (long)a, 8, 1 << 20), -EINVAL);
}

static void thread_pointer(void)
{
	static uint64_t area[4] = {0, 42};
	uint64_t got = 0, value;

	expect("set FS", syscall3(SYS_arch_prctl, ARCH_SET_FS, (long)area, 0), 0);
	__asm__ volatile("movq %%fs:8, %0" : "=r"(value));
	expect("through FS", value, 42);
	expect("get FS", syscall3(SYS_arch_prctl, ARCH_GET_FS, (long)&got, 0), 0);
	expect("FS", got, (long)area);
	/* It survives being switched away. */
	syscall3(SYS_sched_yield, 0, 0, 0);
	__asm__ volatile("movq %%fs:8, %0" : "=r"(value));
	expect("through FS after a yield", value, 42);
	expect("no such operation", syscall3(SYS_arch_prctl, 0x7777, 0, 0), -EINVAL);
}

static void heap(void)
{
	unsigned long start = sys_brk(0);
	volatile char *p = (volatile char *)start;

	expect_true("brk", start != 0);
	expect("brk grows", sys_brk(start + 5 * PAGE_SIZE), start + 5 * PAGE_SIZE);
	for (int i = 0; i < 5; i++) {
		expect("new heap is zero", p[i * PAGE_SIZE], 0);
		p[i * PAGE_SIZE] = i + 1;
	}
	expect("brk shrinks", sys_brk(start + PAGE_SIZE), start + PAGE_SIZE);
	expect("brk grows again", sys_brk(start + 2 * PAGE_SIZE), start + 2 * PAGE_SIZE);
	expect("what stayed is still there", p[0], 1);
	expect("what came back is zero", p[PAGE_SIZE], 0);
	sys_brk(start);
}

static void mappings(void)
{
	unsigned long a = map_memory(8 * PAGE_SIZE);
	volatile char *p = (volatile char *)a;

	expect_true("mmap", !is_error(a) && a % PAGE_SIZE == 0);
	expect("mmap of nothing", sys_mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS), -EINVAL);
	expect("mmap unaligned",
	       sys_mmap(a + 1, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
	       -EINVAL);
	expect("mmap over something",
	       sys_mmap(a, PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE),
	       -EEXIST);
	expect("mmap too large", sys_mmap(0, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS),
	       -ENOMEM);
	expect("mmap of no file", syscall6(SYS_mmap, 0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, -1, 0),
	       -EBADF);
	p[0] = 1;
	p[4 * PAGE_SIZE] = 2;
	expect("mprotect", sys_mprotect(a, PAGE_SIZE, PROT_READ), 0);
	expect("a system call may not write where we may not", syscall3(SYS_clock_gettime, 1, a, 0),
	       -EFAULT);
	expect("mprotect back", sys_mprotect(a, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	expect("contents", p[0], 1);
	expect("madvise", sys_madvise(a, PAGE_SIZE, MADV_DONTNEED), 0);
	expect("dropped", p[0], 0);
	expect("munmap of the middle", sys_munmap(a + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	expect("mprotect over the hole", sys_mprotect(a, 4 * PAGE_SIZE, PROT_READ), -ENOMEM);
	expect("contents behind the hole", p[4 * PAGE_SIZE], 2);
	expect("munmap unaligned", sys_munmap(a + 1, PAGE_SIZE), -EINVAL);
	expect("munmap", sys_munmap(a, 8 * PAGE_SIZE), 0);
	expect("munmap again", sys_munmap(a, 8 * PAGE_SIZE), 0);
}

/* Registers that a system call must leave alone. */
static void registers(void)
{
	uint64_t rbx = 1, r12 = 2, r13 = 3, r14 = 4, r15 = 5;

	for (int i = 0; i < 20; i++) {
		uint64_t sum;

		__asm__ volatile("movq $11, %%rbx; movq $22, %%r12; movq $33, %%r13\n"
				 "movq $44, %%r14; movq $55, %%r15; movq $66, %%r10\n"
				 "movq $77, %%r8; movq $88, %%r9; movl $39, %%eax\n"
				 "syscall\n"
				 "leaq (%%rbx,%%r12), %0; addq %%r13, %0; addq %%r14, %0\n"
				 "addq %%r15, %0; addq %%r10, %0; addq %%r8, %0; addq %%r9, %0\n"
				 : "=&S"(sum)
				 :
				 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12",
				   "r13", "r14", "r15", "memory", "cc");
		expect("registers", sum, 11 + 22 + 33 + 44 + 55 + 66 + 77 + 88);
	}
	expect("and the compiler's", rbx + r12 + r13 + r14 + r15, 15);
}

int main(int argc, char **argv)
{
	output();
	identity();
	clocks();
	randomness();
	thread_pointer();
	heap();
	mappings();
	registers();
	print("calls: %s\n", different ? "DIFFERENT" : "all as expected");
	return different ? 1 : 0;
}
