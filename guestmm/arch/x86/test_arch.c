/*
 * Tests of what only this architecture can get wrong: page protections, exceptions from user mode
 * and their signals, registers across every way into the kernel, copies to and from user memory,
 * the TLB, the timer, the device tree.
 *
 * User code for a case is a few lines of assembly in this file. It becomes a one-segment ELF in a
 * file of the root, so that it starts like any other process and its end is seen by process_wait().
 */
#include <linux/elf.h>
#include "arch/boot.h"
#include "arch/irqflags.h"
#include "arch/processor.h"
#include "arch/switch.h"
#include "arch/tlb.h"
#include "arch/uaccess.h"
#include "kernel/boot_info.h"
#include "kernel/boot.h"
#include "fs/file.h"
#include "kernel/irq.h"
#include "kernel/task.h"
#include "tests/tests.h"
#include "mm/pgtable/pgtable.h"

/* ---- page protections ---- */

struct map_walk {
	u64 leaves, write_exec, user, user_write;
	unsigned long first_bad;
};

/* Visit the leaves below `table`, with the rights that all levels together give. */
static void walk_kernel_map(const pte_t *table, int level, unsigned long va, u64 rights,
			    struct map_walk *w)
{
	unsigned int first = level == pt_top_level ? PTRS_PER_PTE / 2 : 0;

	for (unsigned int i = first; i < PTRS_PER_PTE; i++) {
		u64 e = pte_val(table[i]);
		unsigned long at = va | (unsigned long)i << (PAGE_SHIFT + 9 * level);
		u64 r = rights & e & (_PAGE_RW | _PAGE_USER);

		r |= (rights | e) & _PAGE_NX;
		if (!(e & _PAGE_PRESENT))
			continue;
		if (level && !(e & _PAGE_PSE)) {
			walk_kernel_map(__va(e & PTE_PFN_MASK), level - 1, at, r, w);
			continue;
		}
		w->leaves++;
		w->user += !!(r & _PAGE_USER);
		w->user_write += r & _PAGE_USER && r & _PAGE_RW;
		if (r & _PAGE_RW && !(r & _PAGE_NX)) {
			w->write_exec++;
			w->first_bad = at;
		}
	}
}

GUEST_TEST(arch, nothing_is_writable_and_executable, 0, 0, "")
{
	struct map_walk w = {0};

	walk_kernel_map(kernel_pgd(), pt_top_level, -1ul << (48 + 9 * (pt_top_level - 3)),
			_PAGE_RW | _PAGE_USER, &w);
	CHECK(w.leaves > 100);
	CHECK_EQ(w.write_exec, 0);
	CHECK_EQ(w.first_bad, 0);
	/* User mode can reach at most one page of the kernel: the one with the ud2. */
	CHECK_EQ(w.user, boot_info.quirks & MMVM_QUIRK_SYSCALL_UD ? 1 : 0);
	CHECK_EQ(w.user_write, 0);
	CHECK(READ_CR(0) & CR0_WP);
	CHECK(rdmsr(MSR_EFER) & EFER_NXE);
}

GUEST_TEST(arch, image_is_protected_in_both_mappings, 0, 0, "")
{
	for (const char *p = _text_start; p < _rodata_end; p += PAGE_SIZE) {
		pte_t *image = walk_pte(kernel_pgd(), (unsigned long)p);
		pte_t *direct = walk_pte(kernel_pgd(), (unsigned long)__va(image_pa(p)));

		REQUIRE(image && direct);
		CHECK(!pte_write(*image));
		CHECK(!pte_write(*direct));
		CHECK(!(pte_val(*image) & _PAGE_NX) == (p < _text_end));
		CHECK(pte_val(*direct) & _PAGE_NX);
	}
	/* Freed: reachable as RAM only. And the page below the boot stack is not there at all. */
	CHECK(!pte_present(*walk_pte(kernel_pgd(), (unsigned long)_init_start)));
	CHECK(pte_write(*walk_pte(kernel_pgd(), (unsigned long)__va(image_pa(_init_start)))));
	CHECK(!pte_present(*walk_pte(kernel_pgd(), (unsigned long)_boot_stack_guard)));
}

static int deeper(volatile unsigned int n)
{
	volatile char room[256];

	room[0] = (char)n;
	return n ? deeper(n - 1) + room[0] : 0;
}

GUEST_TEST(arch, stack_overflow_is_caught, MMVM_TESTF_EXPECT_CRASH, 0, "")
{
	deeper(1000);
	test_fail(t, __FILE__, __LINE__, "256 KiB of frames fit into %lu bytes", THREAD_SIZE);
}

GUEST_TEST(arch, null_pointer_crashes, MMVM_TESTF_EXPECT_CRASH, 0, "")
{
	u64 *volatile p = (u64 *)8;

	*p = 1;
	test_fail(t, __FILE__, __LINE__, "a write to address 8 went through");
}

GUEST_TEST(arch, jump_into_data_crashes, MMVM_TESTF_EXPECT_CRASH, 0, "")
{
	static u8 code[16] = {0xc3}; /* ret */
	void (*volatile fn)(void) = (void (*)(void))code;

	fn();
	test_fail(t, __FILE__, __LINE__, "data was executed");
}

/* ---- pages, TLB, time
 * ---------------------------------------------------------------------------- */

GUEST_TEST(arch, clear_and_copy_page, 0, 0, "")
{
	u64 *a = (u64 *)__get_free_pages(GFP_KERNEL, 1), *b = a + PAGE_SIZE / 8;
	u64 *c = (u64 *)__get_free_pages(GFP_KERNEL, 0);
	unsigned int wrong = 0;

	REQUIRE(a && c);
	for (unsigned int i = 0; i < 2 * PAGE_SIZE / 8; i++)
		a[i] = word_for(i, 1);
	copy_page(c, a);
	clear_page(a);
	for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
		wrong += a[i] != 0 || c[i] != word_for(i, 1) ||
			 b[i] != word_for(i + PAGE_SIZE / 8, 1);
	CHECK_EQ(wrong, 0);
	free_pages((unsigned long)a, 1);
	free_pages((unsigned long)c, 0);
}

GUEST_TEST(arch, tlb_flush_shows_the_new_page, 0, 0, "")
{
	u64 *area = vmalloc(PAGE_SIZE);
	u64 *other = (u64 *)__get_free_pages(GFP_KERNEL, 0);
	pte_t *ptep, old;

	REQUIRE(area && other);
	ptep = walk_pte(kernel_pgd(), (unsigned long)area);
	REQUIRE(ptep);
	old = *ptep;
	*area = 1;
	*other = 2;
	CHECK_EQ(READ_ONCE(*area), 1);
	pte_set(ptep, mk_pte(__pa(other) >> PAGE_SHIFT, PAGE_KERNEL));
	flush_tlb_kernel_range((unsigned long)area, (unsigned long)area + PAGE_SIZE);
	CHECK_EQ(READ_ONCE(*area), 2);
	pte_set(ptep, old);
	/* Large enough for the way that flushes everything, global entries too. */
	flush_tlb_kernel_range((unsigned long)area, (unsigned long)area + 64 * PAGE_SIZE);
	CHECK_EQ(READ_ONCE(*area), 1);
	vfree(area);
	free_pages((unsigned long)other, 0);
}

GUEST_TEST(arch, clock_and_timer, 0, 0, "")
{
	u64 last = ktime_ns(), before, slept;
	unsigned int backwards = 0;

	for (unsigned int i = 0; i < 1000; i++) {
		u64 now = ktime_ns();

		backwards += now < last;
		last = now;
	}
	CHECK_EQ(backwards, 0);
	for (u64 ms = 1; ms <= 64; ms *= 4) {
		/* Never too early. A busy host may be late, but not each time. */
		for (unsigned int tries = 0; tries < 20; tries++) {
			before = ktime_ns();
			sleep_ms(ms);
			slept = ktime_ns() - before;
			CHECK(slept >= ms * 1000000);
			if (slept < ms * 1000000 + 500000000)
				break;
		}
		CHECK(slept < ms * 1000000 + 500000000);
	}
}

GUEST_TEST(arch, random_repeats_from_the_seed, 0, 0, "")
{
	u64 a, b;

	time_init(); /* the seed again */
	a = get_random_u64();
	b = get_random_u64();
	CHECK(a != b);
	time_init();
	CHECK_EQ(get_random_u64(), a);
	CHECK_EQ(get_random_u64(), b);
}

static void no_handler(void *arg) {}

GUEST_TEST(arch, request_irq_refuses, 0, 0, "")
{
	CHECK_EQ(request_irq(NR_IRQS, no_handler, NULL, "beyond"), -EINVAL);
	CHECK_EQ(request_irq(20, NULL, NULL, "none"), -EINVAL);
	CHECK_EQ(request_irq(20, no_handler, NULL, "free"), 0);
	CHECK_EQ(request_irq(20, no_handler, NULL, "taken"), -EBUSY);
}

GUEST_TEST(arch, device_tree, 0, 0, "memory=24M,high=4M swap=16M cpus=1")
{
	u32 nr_virtio = 0;
	char buf[16];

	CHECK_EQ(boot_info.nr_cpus, 1);
	CHECK(boot_info.tsc_hz > 10000000);
	CHECK(boot_info.lapic_hz > 1000000);
	CHECK(boot_info.epoch_ns > 1700000000ull * 1000000000);
	CHECK(boot_info.test && !strcmp(boot_info.test, t->name));
	for (u32 i = 0; i < boot_info.nr_devices; i++) {
		const struct boot_device *d = &boot_info.device[i];

		if (strcmp(d->compatible, "virtio,mmio"))
			continue;
		nr_virtio++;
		CHECK_EQ(d->base & 0xfff, 0);
		CHECK(d->base >= MMVM_VIRTIO_BASE);
		CHECK(d->gsi >= MMVM_VIRTIO_GSI);
	}
	CHECK_EQ(nr_virtio, 1);

	boot_info.cmdline = "ab=1 a=two  flag a=3 empty= x";
	CHECK(cmdline_get("a", buf, sizeof(buf)) && !strcmp(buf, "two"));
	CHECK(cmdline_get("ab", buf, sizeof(buf)) && !strcmp(buf, "1"));
	CHECK(cmdline_get("flag", buf, sizeof(buf)) && !strcmp(buf, ""));
	CHECK(cmdline_get("empty", buf, sizeof(buf)) && !strcmp(buf, ""));
	CHECK(cmdline_get("x", buf, sizeof(buf)) && !strcmp(buf, ""));
	CHECK(!cmdline_get("fla", buf, sizeof(buf)));
	CHECK(!cmdline_get("two", buf, sizeof(buf)));
	CHECK(cmdline_get("a", buf, 2) && !strcmp(buf, "t"));
}

/* ---- user memory
 * ----------------------------------------------------------------------------------- */

static int uaccess_body(void *arg)
{
	struct test *t = arg;
	struct mm_struct *mm = testmm_create(t);
	u8 *k = kmalloc(3 * PAGE_SIZE, GFP_KERNEL);
	unsigned long u;
	char s[8];

	if (!mm || !k)
		return -ENOMEM;
	kthread_use_mm(mm);
	/* Two pages; the third is unmapped again, so that copies run into its edge. */
	u = testmm_map(t, mm, 3 * PAGE_SIZE);
	CHECK_EQ(do_munmap(mm, u + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	for (unsigned int i = 0; i < 3 * PAGE_SIZE; i++)
		k[i] = (u8)(i * 7 + (i >> 8));

	for (unsigned int off = 0; off < 9; off++) {
		u8 back[64] = {0};

		CHECK_EQ(copy_to_user(u + PAGE_SIZE - 20 + off, k + off, 40 + off), 0);
		CHECK_EQ(copy_from_user(back, u + PAGE_SIZE - 20 + off, 40 + off), 0);
		CHECK_EQ(memcmp(back, k + off, 40 + off), 0);
		CHECK_EQ(back[40 + off], 0);
	}
	/* To the edge and not beyond: exact remainders, in the words and in the odd bytes. */
	CHECK_EQ(copy_to_user(u + 2 * PAGE_SIZE - 16, k, 48), 32);
	CHECK_EQ(copy_to_user(u + 2 * PAGE_SIZE - 5, k, 5), 0);
	CHECK_EQ(copy_to_user(u + 2 * PAGE_SIZE - 5, k, 7), 2);
	CHECK_EQ(copy_from_user(k, u + 2 * PAGE_SIZE, 100), 100);
	CHECK_EQ(copy_from_user(k, u + 2 * PAGE_SIZE - 24, 100), 76);
	CHECK_EQ(clear_user(u + 2 * PAGE_SIZE - 8, 9), 1);
	CHECK_EQ(clear_user(u, 2 * PAGE_SIZE), 0);
	CHECK_EQ(copy_from_user(k, u, 2 * PAGE_SIZE), 0);
	CHECK_EQ(k[0] | k[PAGE_SIZE] | k[2 * PAGE_SIZE - 1], 0);

	/* Not user addresses: refused whole. */
	CHECK_EQ(copy_to_user((unsigned long)k, k, 8), 8);
	CHECK_EQ(copy_from_user(k, (unsigned long)_text_start, 8), 8);
	CHECK_EQ(copy_to_user(0x800000000000ul, k, 8), 8);
	CHECK_EQ(copy_to_user(-8ul, k, 16), 16);
	CHECK_EQ(clear_user(TASK_SIZE - 4, 8), 8);
	CHECK_EQ(copy_to_user(u, k, 0), 0);

	CHECK_EQ(copy_to_user(u + 2 * PAGE_SIZE - 4, "abc", 4), 0);
	CHECK_EQ(strncpy_from_user(s, u + 2 * PAGE_SIZE - 4, sizeof(s)), 3);
	CHECK_EQ(strcmp(s, "abc"), 0);
	CHECK_EQ(strncpy_from_user(s, u + 2 * PAGE_SIZE - 4, 3), -ENAMETOOLONG);
	CHECK_EQ(copy_to_user(u + 2 * PAGE_SIZE - 4, "abcd", 4), 0);
	CHECK_EQ(strncpy_from_user(s, u + 2 * PAGE_SIZE - 4, sizeof(s)), -EFAULT);
	CHECK_EQ(strncpy_from_user(s, (unsigned long)_text_start, sizeof(s)), -EFAULT);

	/* A spinlock is held: the copy may not sleep, so a page that is not there ends it. */
	CHECK_EQ(do_madvise(mm, u, PAGE_SIZE, MADV_DONTNEED), 0);
	preempt_disable();
	CHECK_EQ(copy_to_user(u, k, 16), 16);
	preempt_enable();
	CHECK_EQ(copy_to_user(u, k, 16), 0);

	kthread_unuse_mm();
	mmput(mm);
	kfree(k);
	return 0;
}

GUEST_TEST(arch, user_copies_stop_where_memory_stops, 0, 0, "")
{
	CHECK_EQ(run_in_thread(uaccess_body, t, "uaccess"), 0);
}

/* ---- programs of a few instructions
 * ----------------------------------------------------------------- */

struct tiny_elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	u8 code[1024];
};

#define CODE_BASE 0x400000ul

/* Run `code` as a process to its end. Returns its wait status or -errno. */
static int run_code(const char *code, const char *end)
{
	struct tiny_elf *elf = kzalloc(sizeof(*elf), GFP_KERNEL);
	struct file *f;
	int ret;

	if (!elf)
		return -ENOMEM;
	memcpy(elf->eh.e_ident, ELFMAG "\2\1\1", 7);
	elf->eh.e_type = ET_EXEC;
	elf->eh.e_machine = EM_X86_64;
	elf->eh.e_version = 1;
	elf->eh.e_entry = CODE_BASE + offsetof(struct tiny_elf, code);
	elf->eh.e_phoff = offsetof(struct tiny_elf, ph);
	elf->eh.e_ehsize = sizeof(elf->eh);
	elf->eh.e_phentsize = sizeof(elf->ph);
	elf->eh.e_phnum = 1;
	elf->ph.p_type = PT_LOAD;
	elf->ph.p_flags = PF_R | PF_W | PF_X;
	elf->ph.p_vaddr = CODE_BASE;
	elf->ph.p_filesz = sizeof(*elf);
	elf->ph.p_memsz = sizeof(*elf);
	elf->ph.p_align = PAGE_SIZE;
	memcpy(elf->code, code, min((size_t)(end - code), sizeof(elf->code)));
	ret = vfs_open(AT_FDCWD, "/tiny", O_WRONLY | O_CREAT | O_TRUNC, 0755, &f);
	if (ret)
		goto free;
	ret = kernel_file_write(f->mapping, elf, sizeof(*elf), 0);
	file_put(f);
	if (ret != sizeof(*elf))
		goto free;
	ret = process_spawn("/tiny", "/tiny", sizeof("/tiny"));
	if (ret > 0)
		ret = process_wait(ret);
free:
	kfree(elf);
	return ret;
}

#define USER_CODE(name, text)                   \
	extern const char name[], name##_end[]; \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")
#define EXIT_WITH(n) "mov $231, %eax; mov $" #n ", %edi; syscall\n"

USER_CODE(code_exit, EXIT_WITH(7));
USER_CODE(code_divide, "xor %edx, %edx; xor %ecx, %ecx; mov $1, %eax; div %ecx\n" EXIT_WITH(1));
USER_CODE(code_ud2, "ud2\n" EXIT_WITH(1));
USER_CODE(code_int3, "int3\n" EXIT_WITH(1));
USER_CODE(code_single_step, "pushf; orl $0x100, (%rsp); popf; nop; nop\n" EXIT_WITH(1));
USER_CODE(code_hlt, "hlt\n" EXIT_WITH(1));
USER_CODE(code_cli, "cli\n" EXIT_WITH(1));
USER_CODE(code_out, "mov $0x600, %dx; out %eax, %dx\n" EXIT_WITH(1));
USER_CODE(code_movaps, "movaps 1(%rsp), %xmm0\n" EXIT_WITH(1));
USER_CODE(code_kernel_read, "mov 0xffffffff80100000, %eax\n" EXIT_WITH(1));
USER_CODE(code_kernel_jump, "mov $0xffffffff80100000, %rax; jmp *%rax\n" EXIT_WITH(1));
USER_CODE(code_noncanonical, "mov $1, %eax; shl $60, %rax; mov (%rax), %rax\n" EXIT_WITH(1));
USER_CODE(code_null_jump, "xor %eax, %eax; jmp *%rax\n" EXIT_WITH(1));
USER_CODE(code_stack_exec,
	  "movw $0x9090, -64(%rsp); lea -64(%rsp), %rax; jmp *%rax\n" EXIT_WITH(1));
/* Where the ud2 page lies, with a return address and flags that only a forger would use. */
USER_CODE(code_forged, "mov $1, %ecx; shl $60, %rcx; mov $0x7ffd7, %r11d; mov $39, %eax\n"
		       "mov $0xffffffffff002000, %rdx; jmp *%rdx\n" EXIT_WITH(1));
USER_CODE(code_no_syscall,
	  "mov $9999, %eax; syscall; cmp $-38, %rax; jne 1f\n" EXIT_WITH(0) "1:" EXIT_WITH(1));
/* Direction flag and flags survive: the kernel clears DF for itself only. */
USER_CODE(code_flags,
	  "std; stc; mov $39, %eax; syscall; jnc 1f; pushf; pop %rax; test $0x400, %eax\n"
	  "jz 1f; cld\n" EXIT_WITH(0) "1: cld\n" EXIT_WITH(1));

GUEST_TEST(arch, user_exceptions_end_the_process_with_their_signal, 0, 60, "")
{
	static const struct {
		const char *name, *code, *end;
		int status;
	} cases[] = {
#define CASE(name, status) {#name, code_##name, code_##name##_end, status}
		CASE(exit, 7 << 8),
		CASE(divide, SIGFPE),
		CASE(ud2, SIGILL),
		CASE(int3, SIGTRAP),
		CASE(single_step, SIGTRAP),
		CASE(hlt, SIGSEGV),
		CASE(cli, SIGSEGV),
		CASE(out, SIGSEGV),
		CASE(movaps, SIGSEGV),
		CASE(kernel_read, SIGSEGV),
		CASE(kernel_jump, SIGSEGV),
		CASE(noncanonical, SIGSEGV),
		CASE(null_jump, SIGSEGV),
		CASE(stack_exec, SIGSEGV),
		CASE(forged, SIGSEGV),
		CASE(no_syscall, 0),
		CASE(flags, 0),
#undef CASE
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		int status = run_code(cases[i].code, cases[i].end);

		t->checks++;
		if (status != cases[i].status)
			test_fail(t, __FILE__, __LINE__, "%s: status %x, expected %x",
				  cases[i].name, status, cases[i].status);
	}
}

/*
 * Every register holds a value of its own through system calls, page faults and preemption. Stack
 * pages below are touched one by one (faults), sched_yield and getpid are called, and time is
 * burned so that the timer takes the CPU away; then all is compared.
 */
USER_CODE(code_registers,
	  "mov $0x1111111111111111, %rbx; mov $0x2222222222222222, %rbp\n"
	  "mov $0x3333333333333333, %r12; mov $0x4444444444444444, %r13\n"
	  "mov $0x5555555555555555, %r14; mov $0x6666666666666666, %r15\n"
	  "mov $0x7777777777777777, %rdi; mov $0x8888888888888888, %rsi\n"
	  "mov $0x9999999999999999, %rdx; mov $0xaaaaaaaaaaaaaaaa, %r8\n"
	  "mov $0xbbbbbbbbbbbbbbbb, %r9; mov $0xcccccccccccccccc, %r10\n"
	  "movq %rbx, %xmm0; movq %rbp, %xmm7; movq %r12, %xmm15\n"
	  "movq $40, -8(%rsp)\n"
	  "1:\n"
	  "mov -8(%rsp), %rax; shl $12, %rax; neg %rax; mov %rbx, -16(%rsp, %rax)\n" /* fault */
	  "cmp %rbx, -16(%rsp, %rax); jne 9f\n"
	  "mov $39, %eax; syscall\n"
	  "mov $24, %eax; syscall\n"
	  "mov $2000000, %ecx\n"
	  "2: dec %ecx; jnz 2b\n"
	  "mov $0x1111111111111111, %rax; cmp %rax, %rbx; jne 9f; movq %xmm0, %rcx; cmp %rax, "
	  "%rcx; jne 9f\n"
	  "mov $0x2222222222222222, %rax; cmp %rax, %rbp; jne 9f; movq %xmm7, %rcx; cmp %rax, "
	  "%rcx; jne 9f\n"
	  "mov $0x3333333333333333, %rax; cmp %rax, %r12; jne 9f; movq %xmm15, %rcx; cmp %rax, "
	  "%rcx; jne 9f\n"
	  "mov $0x4444444444444444, %rax; cmp %rax, %r13; jne 9f\n"
	  "mov $0x5555555555555555, %rax; cmp %rax, %r14; jne 9f\n"
	  "mov $0x6666666666666666, %rax; cmp %rax, %r15; jne 9f\n"
	  "mov $0x7777777777777777, %rax; cmp %rax, %rdi; jne 9f\n"
	  "mov $0x8888888888888888, %rax; cmp %rax, %rsi; jne 9f\n"
	  "mov $0x9999999999999999, %rax; cmp %rax, %rdx; jne 9f\n"
	  "mov $0xaaaaaaaaaaaaaaaa, %rax; cmp %rax, %r8; jne 9f\n"
	  "mov $0xbbbbbbbbbbbbbbbb, %rax; cmp %rax, %r9; jne 9f\n"
	  "mov $0xcccccccccccccccc, %rax; cmp %rax, %r10; jne 9f\n"
	  "decq -8(%rsp); jnz 1b\n" EXIT_WITH(0) "9:" EXIT_WITH(1));

static u64 busy_turns;
static bool busy_stop, busy_done;

static int busy_thread(void *arg)
{
	while (!READ_ONCE(busy_stop))
		busy_turns++;
	WRITE_ONCE(busy_done, true);
	return 0;
}

static bool is_true(void *arg)
{
	return READ_ONCE(*(bool *)arg);
}

GUEST_TEST(arch, user_registers_survive, 0, 60, "")
{
	REQUIRE(kthread_run(busy_thread, NULL, "busy") == 0);
	CHECK_EQ(run_code(code_registers, code_registers_end), 0);
	WRITE_ONCE(busy_stop, true);
	CHECK(wait_until(is_true, &busy_done, 5000));
	CHECK(busy_turns > 0);
}

/* ---- tags of TLB entries ---- */

static unsigned long tag_of(struct mm_struct *mm)
{
	kthread_use_mm(mm);
	return READ_CR(3) & (PAGE_SIZE - 1);
}

/* Two address spaces in turn on one CPU: each keeps its tag, is read right after the other changed, and finds gone what
 * went while the other was loaded. A third one at the place of the first gets a tag of its own. */
GUEST_TEST(arch, address_spaces_keep_their_tags, 0, 0, "cpus=1")
{
	struct mm_struct *mm[2] = {testmm_create(t), testmm_create(t)};
	unsigned long a[2], tag[2];
	u64 v;

	if (!(READ_CR(4) & CR4_PCIDE)) {
		test_skip(t, "the CPU has no PCIDs");
		return;
	}
	for (u64 i = 0; i < 2; i++) {
		a[i] = testmm_map(t, mm[i], 2 * PAGE_SIZE);
		tag[i] = tag_of(mm[i]);
		v = 10 + i;
		CHECK_EQ(copy_to_user(a[i], &v, sizeof(v)), 0);
		kthread_unuse_mm();
	}
	CHECK(tag[0] && tag[1] && tag[0] != tag[1]);
	for (u64 round = 0; round < 20; round++) {
		for (u64 i = 0; i < 2; i++) {
			CHECK_EQ(tag_of(mm[i]), tag[i]);
			CHECK_EQ(copy_from_user(&v, a[i], sizeof(v)), 0);
			CHECK_EQ(v, 10 + i);
			kthread_unuse_mm();
		}
	}
	CHECK_EQ(tag_of(mm[1]), tag[1]);
	CHECK_EQ(do_munmap(mm[0], a[0], 2 * PAGE_SIZE), 0); /* it is not loaded */
	kthread_unuse_mm();
	CHECK_EQ(tag_of(mm[0]), tag[0]);
	CHECK(copy_from_user(&v, a[0], sizeof(v)));
	kthread_unuse_mm();
	mmput(mm[0]);
	mm[0] = testmm_create(t);
	CHECK(tag_of(mm[0]) != tag[0]);
	CHECK(copy_from_user(&v, a[0], sizeof(v)));
	kthread_unuse_mm();
	mmput(mm[0]);
	mmput(mm[1]);
}
