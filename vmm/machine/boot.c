/*
 * The state at the guest's first instruction: tables in the first MiB, registers of the vCPU.
 *
 *   0x1000  GDT: kernel code 0x10, kernel data 0x18, user data 0x28, user code 0x30
 *   0x2000  PML4   [0] -> PDPT A   [511] -> PDPT B
 *   0x3000  PDPT A [0..3] -> PD 0..3      (identity, 4 GiB)
 *   0x4000  PDPT B [510] -> PD 0          (the first GiB again, at MMVM_KERNEL_VIRT)
 *   0x5000  PD 0..3, 2 MiB entries
 *   0x9000  PML5   [0], [511] -> PML4     (with five levels)
 *
 * RIP = ELF entry, RSI = device tree, interrupts off, 64-bit mode, everything else zero.
 *
 * Five levels (CR4.LA57) are the guest's from its first instruction on, since they cannot be changed in
 * 64-bit mode: where the CPU has them, unless the command line says la57=off.
 *
 * guestmm starts its other processors by MMVM_FASTOP_CPU_START, straight in 64-bit mode on page
 * tables of its own: no real mode, which not every backend can run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "machine/internal.h"

#define PTE_P  (1ull << 0)
#define PTE_W  (1ull << 1)
#define PTE_A  (1ull << 5)
#define PTE_D  (1ull << 6)
#define PTE_PS (1ull << 7)

#define CR0_PE	       (1ull << 0)
#define CR0_MP	       (1ull << 1)
#define CR0_ET	       (1ull << 4)
#define CR0_NE	       (1ull << 5)
#define CR0_WP	       (1ull << 16)
#define CR0_PG	       (1ull << 31)
#define CR4_PAE	       (1ull << 5)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_LA57       (1ull << 12)
#define EFER_SCE       (1ull << 0)
#define EFER_LME       (1ull << 8)
#define EFER_LMA       (1ull << 10)
#define EFER_NXE       (1ull << 11)

/* Descriptors of flat segments: present, S, accessed; granularity 4 KiB, limit 0xfffff. */
#define GDT_KERNEL_CODE 0x00af9b000000ffffull /* L */
#define GDT_KERNEL_DATA 0x00cf93000000ffffull
#define GDT_USER_CODE	0x00affb000000ffffull /* L, DPL 3 */
#define GDT_USER_DATA	0x00cff3000000ffffull /* DPL 3 */
#define GDT_ENTRIES	16

#define CPUID_1_APIC_ID_SHIFT 24
#define CPUID_1_CPUS_SHIFT    16
#define CPUID_1_TSC_DEADLINE  (1u << 24)
#define CPUID_1_HYPERVISOR    (1u << 31)
#define CPUID_7_ECX_LA57      (1u << 16)

void machine_boot_tables(struct machine *m)
{
	/* MMVM_RAM_MIN guarantees that the first MiB exists. */
	uint64_t *gdt = guest_ram_ptr(&m->ram, MMVM_BOOT_GDT, MMVM_PAGE_SIZE);
	uint64_t *pml4 =
		guest_ram_ptr(&m->ram, MMVM_BOOT_PML4, MMVM_BOOT_PT_PAGES * MMVM_PAGE_SIZE);
	uint64_t *pdpt_a = pml4 + 512, *pdpt_b = pml4 + 1024, *pd = pml4 + 1536;
	uint64_t *pml5 = pml4 + 7 * 512;
	uint64_t pdpt_a_gpa = MMVM_BOOT_PML4 + MMVM_PAGE_SIZE;
	uint64_t pdpt_b_gpa = pdpt_a_gpa + MMVM_PAGE_SIZE;
	uint64_t pd_gpa = pdpt_b_gpa + MMVM_PAGE_SIZE;

	memset(gdt, 0, MMVM_PAGE_SIZE);
	gdt[MMVM_KERNEL_CS / 8] = GDT_KERNEL_CODE;
	gdt[MMVM_KERNEL_DS / 8] = GDT_KERNEL_DATA;
	gdt[MMVM_USER_DS / 8] = GDT_USER_DATA;
	gdt[MMVM_USER_CS / 8] = GDT_USER_CODE;

	memset(pml4, 0, MMVM_BOOT_PT_PAGES * MMVM_PAGE_SIZE);
	pml4[0] = pdpt_a_gpa | PTE_P | PTE_W | PTE_A;
	pml4[511] = pdpt_b_gpa | PTE_P | PTE_W | PTE_A;
	for (uint64_t i = 0; i < 4; i++)
		pdpt_a[i] = (pd_gpa + i * MMVM_PAGE_SIZE) | PTE_P | PTE_W | PTE_A;
	pdpt_b[510] = pd_gpa | PTE_P | PTE_W | PTE_A;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pd[i] = (i << 21) | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
	pml5[0] = pml5[511] = MMVM_BOOT_PML4 | PTE_P | PTE_W | PTE_A;
}

const char *machine_boot_option(const struct machine *m, const char *name)
{
	const char *p = m->config.append, *value = "";
	const size_t n = strlen(name);

	for (; p && (p = strstr(p, name)); p += n)
		if (p == m->config.append || p[-1] == ' ')
			value = p + n;
	return value;
}

static struct kvm_cpuid_entry2 *find_leaf_7(struct kvm_cpuid2 *cpuid)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 7 && !cpuid->entries[i].index)
			return &cpuid->entries[i];
	return NULL;
}

/**
 * Does KVM let this vCPU have five levels? KVM-PVM names them in its CPUID on a host that has them and refuses the
 * bit, so the bit is tried. It cannot change in 64-bit mode: before the vCPU is set up.
 */
static bool takes_la57(struct machine_vcpu *v)
{
	struct kvm_sregs before, s;

	if (kvm_vcpu_get_sregs(&v->kvm, &before))
		return false;
	s = before;
	s.cr4 |= CR4_PAE | CR4_LA57;
	return !kvm_vcpu_set_sregs(&v->kvm, &s) && !kvm_vcpu_set_sregs(&v->kvm, &before);
}

/**
 * Is the guest started with five levels of page tables? A Linux guest sees to that itself.
 * @offered: the vCPU has them
 */
static int choose_levels(struct machine *m, bool offered, struct mmvm_error *err)
{
	const char *option = machine_boot_option(m, "la57=");

	m->boot_la57 = false;
	if (m->linux_guest)
		return 0;
	/* Where ring 0 is emulated the tables the CPU walks are not the guest's. */
	if (m->quirks & MMVM_QUIRK_SYSCALL_UD)
		offered = false;
	if (!strncmp(option, "on", 2) && !offered)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "la57=on: this CPU, or KVM, has no page tables of five levels");
	m->boot_la57 = offered && strncmp(option, "off", 3);
	return 0;
}

/**
 * What the guest sees of the CPU: all that KVM supports, and each vCPU's own number.
 * @la57: whether five levels are there
 */
static int set_cpuid(struct machine_vcpu *v, bool *la57)
{
	struct machine *m = v->m;
	struct kvm_cpuid_entry2 *leaf_7;
	struct kvm_cpuid2 *cpuid;
	int rc = kvm_system_supported_cpuid(&m->sys, &cpuid);

	if (rc)
		return rc;
	for (unsigned int i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 1) {
			e->ebx &= 0x0000ffff;
			e->ebx |= v->id << CPUID_1_APIC_ID_SHIFT;
			e->ebx |= m->config.cpus << CPUID_1_CPUS_SHIFT;
			e->ecx |= CPUID_1_HYPERVISOR;
			if (kvm_system_check(&m->sys, KVM_CAP_TSC_DEADLINE_TIMER))
				e->ecx |= CPUID_1_TSC_DEADLINE;
		} else if (e->function == 0xb || e->function == 0x1f) {
			e->edx = v->id;
		}
	}
	rc = kvm_vcpu_set_cpuid(&v->kvm, cpuid);
	leaf_7 = find_leaf_7(cpuid);
	*la57 = leaf_7 && (leaf_7->ecx & CPUID_7_ECX_LA57);
	if (!rc && *la57 && !takes_la57(v)) {
		*la57 = false;
		leaf_7->ecx &= ~CPUID_7_ECX_LA57;
		rc = kvm_vcpu_set_cpuid(&v->kvm, cpuid);
	}
	free(cpuid);
	return rc;
}

/** 64-bit mode with flat segments, on page tables at `cr3`. */
static int set_registers(struct machine_vcpu *v, const struct kvm_regs *regs, uint64_t cr3)
{
	struct kvm_segment data = kvm_flat_segment(MMVM_KERNEL_DS, KVM_SEGMENT_DATA);
	struct kvm_sregs s;
	int rc = kvm_vcpu_get_sregs(&v->kvm, &s);

	if (rc)
		return rc;
	s.cs = kvm_flat_segment(MMVM_KERNEL_CS, KVM_SEGMENT_CODE);
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.gdt.base = MMVM_BOOT_GDT;
	s.gdt.limit = GDT_ENTRIES * 8 - 1;
	s.idt.base = 0;
	s.idt.limit = 0; /* a fault before the guest has an IDT is a triple fault, and reported */
	s.cr0 = CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_ET | CR0_MP;
	s.cr3 = cr3;
	s.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | (v->m->boot_la57 ? CR4_LA57 : 0);
	s.efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
	rc = kvm_vcpu_set_sregs(&v->kvm, &s);
	return rc ? rc : kvm_vcpu_set_regs(&v->kvm, regs);
}

int machine_vcpu_reset(struct machine_vcpu *v, struct mmvm_error *err)
{
	struct kvm_regs regs = {
		.rip = v->m->entry,
		.rsi = MMVM_FDT_BASE,
		.rflags = 2,
	};
	bool la57;
	int rc = set_cpuid(v, &la57);

	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses the CPUID table: %s",
				  kvm_error_text(rc));
	/* Other processors wait until they are released, or for the start-up interrupt of a Linux
	 * guest's first one. */
	if (v->id)
		return 0;
	rc = choose_levels(v->m, la57, err);
	if (rc)
		return rc;
	rc = set_registers(v, &regs,
			   v->m->boot_la57 ? MMVM_BOOT_PML4 + 7 * MMVM_PAGE_SIZE : MMVM_BOOT_PML4);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses the start registers: %s",
				  kvm_error_text(rc));
	return 0;
}

int machine_vcpu_set_start(struct machine_vcpu *v)
{
	struct kvm_regs regs = {
		.rip = v->start_rip,
		.rsp = v->start_rsp,
		.rdi = v->id,
		.rflags = 2,
	};
	int rc = kvm_vcpu_set_runnable(&v->kvm);

	return rc ? rc : set_registers(v, &regs, v->start_cr3);
}
