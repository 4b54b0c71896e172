/*
 * The yardstick for the VMM's exit path: a guest of three instructions and a loop around KVM_RUN.
 *
 *   0x1000   outb %al, %dx ; dec %rcx ; jnz 0x1000 ; hlt      the code of the guest's bench.exits
 *   0x2000   page tables: PML4, PDPT, PD with one 2 MiB entry
 *
 * The machine's exit path costs what its round trip takes more than this one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>
#include "bench/bench.h"
#include "kvm/kvm.h"
#include "mmvm/layout.h"

#define RAM   (2u << 20)
#define CODE  0x1000u
#define TABLE 0x2000u
#define GDT   0x5000u
/* Short batches and many: the least of them has not been interrupted, however busy the host. */
#define BATCH 50u
#define REPS  300u

static int set_state(struct kvm_vcpu *vcpu, const struct kvm_system *sys, char *ram)
{
	static const unsigned char code[] = {0xee, 0x48, 0xff, 0xc9, 0x75, 0xfa, 0xf4};
	static const uint64_t gdt[] = {0, 0, 0x00af9b000000ffffull, 0x00cf93000000ffffull};
	uint64_t *table = (uint64_t *)(ram + TABLE);
	struct kvm_cpuid2 *cpuid = NULL;
	struct kvm_sregs sregs;
	int rc;

	memcpy(ram + CODE, code, sizeof(code));
	memcpy(ram + GDT, gdt, sizeof(gdt));
	table[0] = (TABLE + 0x1000) | 3;
	table[512] = (TABLE + 0x2000) | 3;
	table[1024] = 0x83;
	rc = kvm_system_supported_cpuid(sys, &cpuid);
	if (!rc)
		rc = kvm_vcpu_set_cpuid(vcpu, cpuid);
	free(cpuid);
	if (!rc)
		rc = kvm_vcpu_get_sregs(vcpu, &sregs);
	if (rc)
		return rc;
	sregs.cr3 = TABLE;
	sregs.cr4 = 1 << 5;	/* PAE */
	sregs.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	sregs.efer = 0xd00;	/* NXE LMA LME */
	sregs.gdt.base = GDT;
	sregs.gdt.limit = sizeof(gdt) - 1;
	sregs.cs = kvm_flat_segment(MMVM_KERNEL_CS, KVM_SEGMENT_CODE);
	sregs.ds = kvm_flat_segment(MMVM_KERNEL_DS, KVM_SEGMENT_DATA);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	return kvm_vcpu_set_sregs(vcpu, &sregs);
}

/** One batch: from the first entry to the exit of the last `out`. */
static int run_batch(struct kvm_vcpu *vcpu, struct kvm_watch *watch, uint64_t *ticks)
{
	const struct kvm_regs regs = {
		.rip = CODE, .rcx = BATCH, .rdx = MMVM_SERIAL_PORT + 7, .rflags = 2, .rsp = RAM};
	int rc;

	/* The last `out` of the batch before is at the address where this one begins. */
	rc = kvm_vcpu_complete_exit(vcpu);
	if (!rc)
		rc = kvm_vcpu_set_regs(vcpu, &regs);
	*ticks = __rdtsc();
	for (unsigned int i = 0; i < BATCH && !rc; i++) {
		rc = kvm_vcpu_run(vcpu);
		if (rc == -EINTR || rc == -EAGAIN) {
			rc = kvm_watch_interrupted(watch, vcpu);
			i--;
			continue;
		}
		if (!rc && vcpu->run->exit_reason != KVM_EXIT_IO)
			rc = -EIO;
	}
	*ticks = __rdtsc() - *ticks;
	return rc;
}

int bench_bare_exit(uint64_t *ticks_x1000)
{
	struct kvm_vcpu vcpu = {.fd = -1};
	struct kvm_system sys = {.fd = -1};
	struct kvm_watch watch = {0};
	uint64_t ticks[REPS];
	char *ram = MAP_FAILED;
	int vm = -1, rc;

	rc = kvm_system_open(&sys);
	if (rc)
		return rc;
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED) {
		rc = -errno;
		goto out;
	}
	vm = rc = kvm_system_create_vm(&sys);
	if (vm < 0)
		goto out;
	rc = kvm_vm_set_tss_addr(vm, 0xfffbd000);
	if (rc && rc != -ENOSYS)
		goto out;
	rc = kvm_vm_create_irqchip(vm);
	if (!rc)
		rc = kvm_vm_set_memory(vm, 0, 0, 0, RAM, ram);
	if (!rc)
		rc = kvm_vcpu_open(&vcpu, &sys, vm, 0);
	if (rc)
		goto out;
	rc = set_state(&vcpu, &sys, ram);
	if (!rc)
		rc = kvm_watch_start(&watch, KVM_WATCH_TIMES);
	for (unsigned int i = 0; i < REPS && !rc; i++)
		rc = run_batch(&vcpu, &watch, &ticks[i]);
	if (rc)
		goto out_vcpu;
	/* the least: what it costs when nothing comes between, as the guest's test reports it */
	for (unsigned int i = 1; i < REPS; i++)
		ticks[0] = ticks[i] < ticks[0] ? ticks[i] : ticks[0];
	*ticks_x1000 = ticks[0] * 1000 / BATCH;
out_vcpu:
	kvm_watch_stop(&watch);
	kvm_vcpu_close(&vcpu);
out:
	if (vm >= 0)
		close(vm);
	if (ram != MAP_FAILED)
		munmap(ram, RAM);
	kvm_system_close(&sys);
	return rc;
}
