/*
 * One CPU's descriptor tables and control registers.
 *
 *   GDT (selectors in Linux's order; KVM-PVM's IRETQ demands them)
 *     0x10 kernel code  0x18 kernel data  0x20 (SYSRET's base, never loaded)
 *     0x2b user data    0x33 user code    0x40 TSS, 16 bytes
 *     0x7b CPU and node, in its limit: what the vDSO's getcpu asks by LSL
 *
 *   struct cpu_entry, one a CPU: the TSS and, after it, the slot where asm_syscall parks the
 *   program's stack pointer. It reads rsp0 from the TSS, so arch_set_kernel_stack() stores one word
 *   and both ways in agree.
 *
 * Both lie in the CPU's area (arch/percpu.h). The first CPU makes them in the linker's copy, and again
 * once it has an area.
 *
 *   Emergency stack: double fault and NMI run on an IST stack of their own, because the current one
 *   may be the cause. It is aligned like a thread's stack and holds a thread_info at its bottom, where
 *   entry.S finds the CPU's number: NMI has the lower half, double fault the upper.
 *
 * Features are found in CPUID and used when there: SMEP, SMAP, UMIP, PCID, protection keys. NX, FXSR and SSE2 are part of
 * x86-64 and required.
 */
#include "arch/asm.h"
#include "arch/pgtable.h"
#include "arch/percpu.h"
#include "arch/pkey.h"
#include "arch/processor.h"
#include "arch/switch.h"
#include "arch/thread_info.h"
#include "arch/vdso.h"
#include "kernel/boot.h"
#include "kernel/task.h"
#include "lib/string.h"
#include "arch/boot.h"

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "hardware layout");

struct cpu_entry {
	struct tss tss;
	u64 user_rsp;
	u8 pad[16];
} __attribute__((packed));
_Static_assert(sizeof(struct cpu_entry) == 128, "two lines of cache");
_Static_assert(offsetof(struct cpu_entry, user_rsp) == ASM_CPU_ENTRY_URSP, "entry.S");
_Static_assert(offsetof(struct tss, rsp) == ASM_CPU_ENTRY_RSP0, "entry.S");
_Static_assert(offsetof(struct thread_info, cpu) == ASM_TI_CPU, "entry.S");
_Static_assert(MSR_GS_BASE == ASM_MSR_GS_BASE, "entry.S");
_Static_assert(MMVM_KERNEL_CS == ASM_KERNEL_CS && MMVM_KERNEL_DS == ASM_KERNEL_DS, "entry.S");
_Static_assert(MMVM_USER_CS == ASM_USER_CS && MMVM_USER_DS == ASM_USER_DS, "entry.S");
_Static_assert(THREAD_SIZE == ASM_THREAD_SIZE && STACK_MAGIC == ASM_STACK_MAGIC, "entry.S");
_Static_assert(offsetof(struct thread_info, need_resched) == ASM_TI_WORK, "entry.S");
_Static_assert(offsetof(struct thread_info, flags) == ASM_TI_WORK + 4, "entry.S");
_Static_assert(offsetof(struct thread_info, stack_magic) == ASM_TI_STACK_MAGIC, "entry.S");
_Static_assert(sizeof(struct pt_regs) == PT_SIZE && offsetof(struct pt_regs, rip) == PT_RIP &&
		       offsetof(struct pt_regs, r11) == PT_R11 &&
		       offsetof(struct pt_regs, rax) == PT_RAX,
	       "entry.S");
_Static_assert(FIXMAP_START == FIX_LAPIC, "asm.h");
_Static_assert(MMVM_CONTRACT_VERSION == 1 && MMVM_NOTE_CONTRACT == 1, "the note in entry.S");

DECLARE_PER_CPU(struct cpu_entry, cpu_entry);
DEFINE_PER_CPU_ALIGNED(struct cpu_entry, cpu_entry);

/* What the program asked GS's base to be: where ring 0 is emulated, it is set on the way out. */
DECLARE_PER_CPU(u64, user_gs_base);
DEFINE_PER_CPU(u64, user_gs_base);

#define GDT_ENTRIES (VDSO_CPUNODE_ENTRY + 1)
static DEFINE_PER_CPU_ALIGNED(u64[GDT_ENTRIES], gdt);

struct idt_gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset1;
	u32 offset2, reserved;
};
static struct idt_gate idt[256] __attribute__((aligned(16)));
#define GATE_KERNEL 0x8e /* present, DPL 0, interrupt gate */
#define GATE_USER   0xee

/* A place where GS changes its base (entry.S): distances from the fields themselves. */
struct gs_site {
	s32 site, target;
};
extern const struct gs_site __gs_sites_start[], __gs_sites_end[];

struct desc_ptr {
	u16 limit;
	u64 base;
} __attribute__((packed));

static u8 emergency_stack[THREAD_SIZE] __attribute__((aligned(16384)));
#define IST_DF	1
#define IST_NMI 2

bool cpu_has_smap;
static bool no_pku, no_pcid; /* C: options nopku, nopcid */

extern char asm_trap_de[], asm_trap_db[], asm_trap_nmi[], asm_trap_bp[], asm_trap_of[],
	asm_trap_br[], asm_trap_ud[], asm_trap_nm[], asm_trap_df[], asm_trap_ts[], asm_trap_np[],
	asm_trap_ss[], asm_trap_gp[], asm_trap_pf[], asm_trap_mf[], asm_trap_ac[], asm_trap_mc[],
	asm_trap_xf[], asm_trap_cp[], asm_trap_ud_syscall[], asm_irq_stubs[], asm_irq_timer[],
	asm_irq_spurious[], asm_syscall[], asm_ipi_call[], asm_ipi_resched[];

static __init void set_gate(unsigned int vector, const char *entry, u8 type, u8 ist)
{
	unsigned long a = (unsigned long)entry;

	idt[vector] = (struct idt_gate){a, MMVM_KERNEL_CS, ist, type, a >> 16, a >> 32, 0};
}

static __init void idt_init(void)
{
	static const struct {
		u8 vector;
		const char *entry;
	} traps[] __initdata = {
		{0, asm_trap_de},  {1, asm_trap_db},  {2, asm_trap_nmi}, {3, asm_trap_bp},
		{4, asm_trap_of},  {5, asm_trap_br},  {6, asm_trap_ud},	 {7, asm_trap_nm},
		{8, asm_trap_df},  {10, asm_trap_ts}, {11, asm_trap_np}, {12, asm_trap_ss},
		{13, asm_trap_gp}, {14, asm_trap_pf}, {16, asm_trap_mf}, {17, asm_trap_ac},
		{18, asm_trap_mc}, {19, asm_trap_xf}, {21, asm_trap_cp},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(traps); i++)
		set_gate(traps[i].vector, traps[i].entry, GATE_KERNEL, 0);
	idt[2].ist = IST_NMI;
	idt[8].ist = IST_DF;
	idt[3].type = GATE_USER;
	idt[4].type = GATE_USER;
	if (boot_info.quirks & MMVM_QUIRK_SYSCALL_UD)
		set_gate(6, asm_trap_ud_syscall, GATE_KERNEL, 0);
	for (i = 0; i < ASM_NR_IRQ_VECTORS; i++)
		set_gate(ASM_IRQ_VECTOR_FIRST + i, asm_irq_stubs + 16 * i, GATE_KERNEL, 0);
	set_gate(VECTOR_TIMER, asm_irq_timer, GATE_KERNEL, 0);
	set_gate(VECTOR_CALL, asm_ipi_call, GATE_KERNEL, 0);
	set_gate(VECTOR_RESCHED, asm_ipi_resched, GATE_KERNEL, 0);
	set_gate(VECTOR_SPURIOUS, asm_irq_spurious, GATE_KERNEL, 0);
}

static __init void idt_load(void)
{
	struct desc_ptr idtr = {sizeof(idt) - 1, (u64)idt};

	__asm__ volatile("lidt %0" ::"m"(idtr));
}

static __init void gdt_make(unsigned int cpu, void *emergency)
{
	struct thread_info *ti = emergency;
	struct cpu_entry *e = &per_cpu(cpu_entry, cpu);
	u64 tss = (u64)&e->tss;
	u64 *g = per_cpu(gdt, cpu);

	g[MMVM_KERNEL_CS / 8] = 0x00af9b000000ffffull;
	g[MMVM_KERNEL_DS / 8] = 0x00cf93000000ffffull;
	g[MMVM_USER_DS / 8] = 0x00cff3000000ffffull;
	g[MMVM_USER_CS / 8] = 0x00affb000000ffffull;
	g[MMVM_TSS / 8] = (sizeof(struct tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
			  (tss >> 24 & 0xff) << 56;
	g[MMVM_TSS / 8 + 1] = tss >> 32;

	e->tss.iomap_base = sizeof(struct tss); /* no port for user mode */
	e->tss.ist[IST_DF - 1] = (u64)emergency + THREAD_SIZE;
	e->tss.ist[IST_NMI - 1] = (u64)emergency + THREAD_SIZE / 2;
	ti->preempt_count = 1;
	ti->cpu = cpu;
}

void arch_set_cpunode(unsigned int cpu, unsigned int node)
{
	u64 limit = cpu | node << VDSO_CPU_BITS;

	/* Data, read-only, for ring 3; 20 bits of limit in bytes. */
	WRITE_ONCE(per_cpu(gdt, cpu)[VDSO_CPUNODE_ENTRY],
		   (limit & 0xffff) | 0xf1ull << 40 | (limit >> 16 & 0xf) << 48);
}

static __init void gdt_load(unsigned int cpu)
{
	struct desc_ptr gdtr = {GDT_ENTRIES * sizeof(u64) - 1, (u64)per_cpu(gdt, cpu)};
	const u64 gs_base = __per_cpu_offset[cpu];

	/* CS is loaded by a far return, the others by moves. FS and GS are null: bases are zero, and GS
	 * gets that of the CPU's area before anything looks at it. */
	__asm__ volatile("lgdt %0\n\t"
			 "movl %1, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs\n\t"
			 "pushq %2\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:" ::"m"(gdtr),
			 "i"(MMVM_KERNEL_DS), "i"(MMVM_KERNEL_CS)
			 : "rax", "memory");
	wrmsr(MSR_GS_BASE, gs_base);
	__asm__ volatile("ltr %w0" ::"r"(MMVM_TSS));
}

static __init void features_init(void)
{
	unsigned long cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	u32 a, b, c, d, max;

	cpuid(0, 0, &max, &b, &c, &d);
	if (max >= 7) {
		cpuid(7, 0, &a, &b, &c, &d);
		if (b & 1u << 7)
			cr4 |= CR4_SMEP;
		/* An emulated ring 0 has neither stac nor clac, whatever CPUID says. */
		if (b & 1u << 20 && !(boot_info.quirks & MMVM_QUIRK_SYSCALL_UD))
			cr4 |= CR4_SMAP;
		if (c & 1u << 2)
			cr4 |= CR4_UMIP;
		/* Where ring 0 is emulated the tables that the CPU walks are not the guest's. */
		if (c & 1u << 3 && !no_pku && !(boot_info.quirks & MMVM_QUIRK_SYSCALL_UD))
			cr4 |= CR4_PKE;
	}
	cpuid(1, 0, &a, &b, &c, &d);
	/* CR3's low bits are zero here, as the SDM demands (vol. 3, 4.10.1). */
	if (c & 1u << 17 && !no_pcid && !(boot_info.quirks & MMVM_QUIRK_SYSCALL_UD))
		cr4 |= CR4_PCIDE;
	cr4 |= READ_CR(4) & CR4_LA57; /* fixed in 64-bit mode */
	cpu_has_smap = cr4 & CR4_SMAP;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE | EFER_SCE);
	WRITE_CR(0, CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG);
	WRITE_CR(4, cr4);
}

/* Where ring 0 is emulated there is no swapgs: each becomes a call (entry.S, GS_SITE). Text is writable
 * on the VMM's page tables. */
static __init void gs_sites_init(void)
{
	for (const struct gs_site *s = __gs_sites_start; s < __gs_sites_end; s++) {
		u8 *at = (u8 *)&s->site + s->site;
		s32 distance = (s32)((const u8 *)&s->target + s->target - (at + 5));

		*at = 0xe8; /* call rel32 */
		memcpy(at + 1, &distance, sizeof(distance));
	}
}

static __init void syscall_init(void)
{
	/* SYSRET takes CS = base + 16 and SS = base + 8 from bits 63:48: 0x23 gives 0x33, 0x2b. */
	wrmsr(MSR_STAR, (u64)0x23 << 48 | (u64)MMVM_KERNEL_CS << 32);
	wrmsr(MSR_LSTAR,
	      boot_info.quirks & MMVM_QUIRK_SYSCALL_UD ? FIX_SYSCALL_UD : (u64)asm_syscall);
	wrmsr(MSR_KERNEL_GS_BASE, 0); /* the program's, while the kernel runs */
	wrmsr(MSR_SFMASK, RFLAGS_IF | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
}

__init void cpu_init(void)
{
	/* The way back from SYSCALL is SYSRET; without it there is the ud2 page. */
	if ((boot_info.quirks & (MMVM_QUIRK_NO_SYSRET | MMVM_QUIRK_SYSCALL_UD)) ==
	    MMVM_QUIRK_NO_SYSRET)
		panic("quirks %x: no SYSRET, yet no SYSCALL_UD", boot_info.quirks);
	if (boot_info.quirks & MMVM_QUIRK_SYSCALL_UD)
		gs_sites_init();
	gdt_make(0, emergency_stack);
	gdt_load(0);
	idt_init();
	idt_load();
	no_pku = cmdline_has_early("nopku");
	no_pcid = cmdline_has_early("nopcid");
	features_init();
	if (READ_CR(4) & CR4_PCIDE)
		static_key_enable(KEY_PCID);
	if (READ_CR(4) & CR4_PKE)
		static_key_enable(KEY_PKU);
	syscall_init();
}

__init void cpu_move_to_area(void)
{
	gdt_make(0, emergency_stack);
	gdt_load(0);
}

__init void cpu_prepare_secondary(unsigned int cpu, void *emergency)
{
	gdt_make(cpu, emergency);
}

__init void cpu_init_secondary(unsigned int cpu)
{
	gdt_load(cpu);
	idt_load();
	features_init();
	syscall_init();
}

void arch_set_kernel_stack(unsigned long top)
{
	this_cpu_write(cpu_entry.tss.rsp[0], top);
}

unsigned long arch_init_stack(unsigned long top, void (*entry)(void))
{
	u64 *sp = (u64 *)top;

	/* As arch_switch_stack() leaves a stack; above it a zero, where a frame-pointer walk ends
	 * and which keeps RSP as the ABI wants it at a function's first instruction. */
	*--sp = 0;
	*--sp = (u64)entry;
	for (unsigned int i = 0; i < 6; i++)
		*--sp = 0;
	return (unsigned long)sp;
}

/* PKRU is kept in the last word of the image, which FXSAVE leaves to software. */
#define FPU_PKRU (ARCH_FPU_SIZE - 4)

void arch_fpu_init(void *image)
{
	u8 *p = image;

	for (unsigned int i = 0; i < ARCH_FPU_SIZE; i += 8)
		*(u64 *)(p + i) = 0;
	*(u16 *)p = 0x37f;	   /* x87 control word: all exceptions masked */
	*(u32 *)(p + 24) = 0x1f80; /* MXCSR: the same */
	*(u32 *)(p + FPU_PKRU) = PKRU_DEFAULT;
}

void arch_fpu_save(void *image)
{
	__asm__ volatile("fxsaveq (%0)" ::"r"(image) : "memory");
	if (arch_has_pkeys())
		*(u32 *)((u8 *)image + FPU_PKRU) = arch_pkru();
}

void arch_fpu_restore(const void *image)
{
	__asm__ volatile("fxrstorq (%0)" ::"r"(image) : "memory");
	if (arch_has_pkeys())
		arch_set_pkru(*(const u32 *)((const u8 *)image + FPU_PKRU));
}

void arch_set_fs_base(u64 base)
{
	wrmsr(MSR_FS_BASE, base);
}

void arch_set_gs_base(u64 base)
{
	/* A program may have made it 0 by loading the selector, whatever is noted here. */
	if (likely(!(base | this_cpu_read(user_gs_base))))
		return;
	this_cpu_write(user_gs_base, base);
	if (!(boot_info.quirks & MMVM_QUIRK_SYSCALL_UD))
		wrmsr(MSR_KERNEL_GS_BASE, base);
}

/* `sti` takes effect after the next instruction, so an interrupt cannot slip in before the hlt. */
void arch_idle(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}
