/*
 * Interrupts: the local APIC with its timer, the I/O APIC, and the way from a vector to a handler.
 *
 *   device --GSI--> I/O APIC entry --vector 0x30 + GSI--> local APIC --> do_irq() --> irq_handle()
 *
 * All lines are edge triggered, so the end of interrupt is one store and may be given before the
 * handler runs: an edge that comes meanwhile is kept in IRR and taken when interrupts come on.
 *
 * Where the local APIC is emulated, that store is an exit. KVM offers a way around it (PV EOI):
 * when it injects an interrupt and nothing else waits, it sets a bit in our memory, and clearing
 * the bit is all the end of interrupt there is; KVM looks at its next exit. Not used where ring 0
 * is emulated: there the store is the cheaper of the two.
 *
 * The timer is one-shot: the scheduler says when the next interrupt is due, and an idle machine
 * without sleepers gets none.
 */
#include "arch/boot.h"
#include "arch/io.h"
#include "arch/irqflags.h"
#include "arch/processor.h"
#include "arch/switch.h"
#include "kernel/boot_info.h"
#include "kernel/irq.h"
#include "kernel/task.h"

#define LAPIC_ID	0x20
#define LAPIC_TPR	0x80
#define LAPIC_EOI	0xb0
#define LAPIC_SPIV	0xf0
#define LAPIC_ICR	0x300
#define LAPIC_ICR2	0x310
#define LAPIC_LVT_TIMER 0x320
#define LAPIC_LVT_LINT0 0x350
#define LAPIC_LVT_LINT1 0x360
#define LAPIC_LVT_ERROR 0x370
#define LAPIC_TMICT	0x380
#define LAPIC_TDCR	0x3e0
#define LVT_MASKED	(1u << 16)
#define SPIV_ENABLE	(1u << 8)
#define TDCR_DIV_1	0xb
#define ICR_NMI		(4u << 8)
#define ICR_ASSERT	(1u << 14)

#define IOAPIC_SELECT	  0x00
#define IOAPIC_WINDOW	  0x10
#define IOAPIC_REDIR(pin) (0x10 + 2 * (pin))

#define PIC_MASTER_DATA 0x21
#define PIC_SLAVE_DATA	0xa1

#define KVM_CPUID_SIGNATURE 0x40000000u
#define KVM_CPUID_FEATURES  0x40000001u
#define KVM_FEATURE_PV_EOI  (1u << 6)
#define MSR_KVM_PV_EOI_EN   0x4b564d04u

static u64 ticks_per_ns; /* 32.32 fixed point */

static bool pv_eoi;
/* Bit 0: set by KVM, cleared by us. One for each CPU, each in a cache line of its own. */
static struct {
	u64 skip;
} __attribute__((aligned(64))) pv_eoi_word[MMVM_MAX_CPUS];

static inline void lapic_write(u32 reg, u32 v)
{
	writel((void *)(FIX_LAPIC + reg), v);
}
static inline u32 lapic_read(u32 reg)
{
	return readl((void *)(FIX_LAPIC + reg));
}

static inline void lapic_eoi(void)
{
	if (pv_eoi && test_and_clear_bit(0, &pv_eoi_word[cpu_id()].skip))
		return;
	lapic_write(LAPIC_EOI, 0);
}

static __init void pv_eoi_init(void)
{
	u32 a, b, c, d;

	if (boot_info.quirks & MMVM_QUIRK_SYSCALL_UD)
		return;
	cpuid(KVM_CPUID_SIGNATURE, 0, &a, &b, &c, &d);
	if (b != 0x4b4d564b || c != 0x564b4d56 || d != 0x4d) /* KVMKVMKVM */
		return;
	cpuid(KVM_CPUID_FEATURES, 0, &a, &b, &c, &d);
	if (!(a & KVM_FEATURE_PV_EOI))
		return;
	pv_eoi = true;
}

static void pv_eoi_init_cpu(void)
{
	if (pv_eoi)
		wrmsr(MSR_KVM_PV_EOI_EN, image_pa(&pv_eoi_word[cpu_id()]) | 1);
}

static void ioapic_write(u32 reg, u32 v)
{
	writel((void *)(FIX_IOAPIC + IOAPIC_SELECT), reg);
	writel((void *)(FIX_IOAPIC + IOAPIC_WINDOW), v);
}

void ioapic_route(u32 gsi)
{
	ioapic_write(IOAPIC_REDIR(gsi) + 1, lapic_read(LAPIC_ID)); /* destination in bits 31:24 */
	ioapic_write(IOAPIC_REDIR(gsi),
		     ASM_IRQ_VECTOR_FIRST + gsi); /* fixed, edge, high, unmasked */
}

static void apic_init_cpu(void)
{
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SPIV, SPIV_ENABLE | VECTOR_SPURIOUS);
	lapic_write(LAPIC_TDCR, TDCR_DIV_1);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER);
	pv_eoi_init_cpu();
}

void apic_init_secondary(void)
{
	apic_init_cpu();
}

__init void apic_init(void)
{
	outb(PIC_MASTER_DATA, 0xff);
	outb(PIC_SLAVE_DATA, 0xff);
	pv_eoi_init();
	apic_init_cpu();
	ticks_per_ns = (u64)(((unsigned __int128)boot_info.lapic_hz << 32) / 1000000000u);
}

void arch_timer_oneshot(u64 ns)
{
	unsigned __int128 ticks = ((unsigned __int128)ns * ticks_per_ns) >> 32;

	if (ticks > 0xffffffffu)
		ticks = 0xffffffffu; /* early, and armed again then */
	else if (!ticks && ns)
		ticks = 1;
	lapic_write(LAPIC_TMICT, (u32)ticks);
}

/* After an interrupt out of kernel mode: another thread's turn? The way to user mode has its own
 * look (entry.S). */
static inline void irq_exit(struct pt_regs *regs)
{
	struct thread_info *ti = current_thread_info();

	if (static_key(KEY_LOCKDEP))
		lockdep_irq_exit();
	if (!user_mode(regs) && ti->need_resched && ti->preempt_count == 0)
		preempt_schedule_irq();
}

/* An interrupt may come in the middle of a copy to user memory, with AC set. */
static inline void irq_enter(void)
{
	if (unlikely(cpu_has_smap))
		__asm__ volatile("clac" ::: "memory");
	if (static_key(KEY_LOCKDEP))
		lockdep_irq_enter();
}

void do_irq(struct pt_regs *regs)
{
	irq_enter();
	lapic_eoi();
	irq_handle((u32)regs->orig_rax - ASM_IRQ_VECTOR_FIRST);
	irq_exit(regs);
}

void do_timer_irq(struct pt_regs *regs)
{
	irq_enter();
	lapic_eoi();
	scheduler_tick(regs->cs & 3);
	irq_exit(regs);
}

/* ---- between CPUs: local APIC numbers are CPU numbers, as the VMM gives them ---- */

void apic_irq_enter(void)
{
	irq_enter();
	lapic_eoi();
}

void apic_irq_exit(struct pt_regs *regs)
{
	irq_exit(regs);
}

static void send(unsigned int cpu, u32 command)
{
	unsigned long flags = arch_irq_save();

	lapic_write(LAPIC_ICR2, cpu << 24);
	lapic_write(LAPIC_ICR, command | ICR_ASSERT); /* sends */
	arch_irq_restore(flags);
}

void apic_send_ipi(unsigned int cpu, unsigned int vector)
{
	send(cpu, vector);
}

void apic_send_nmi(unsigned int cpu)
{
	send(cpu, ICR_NMI);
}
