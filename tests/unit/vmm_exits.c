/*
 * Loops of one vCPU without a machine: an exit is complete before registers are set, and waiting for an idle
 * vCPU ends.
 *
 * Needs a /dev/kvm that opens; without one the program says so and ends with 77.
 */
#include "../host/unit.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench/bench.h"
#include "kvm/kvm.h"

#define PORT 0x80
#define CODE 0x1000u

/** A vCPU in real mode at CODE, with `code` there. */
struct tiny {
	struct kvm_system sys;
	struct kvm_vcpu vcpu;
	char *ram;
	int vm;
};

static void tiny_open(struct tiny *t, const unsigned char *code, size_t len)
{
	struct kvm_sregs s;

	CU_ASSERT_EQUAL_FATAL(kvm_system_open(&t->sys), 0);
	t->ram = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_FATAL(t->ram != MAP_FAILED);
	memcpy(t->ram + CODE, code, len);
	t->vm = kvm_system_create_vm(&t->sys);
	CU_ASSERT_FATAL(t->vm >= 0);
	kvm_vm_set_tss_addr(t->vm, 0xfffbd000);
	CU_ASSERT_EQUAL_FATAL(kvm_vm_create_irqchip(t->vm), 0);
	CU_ASSERT_EQUAL_FATAL(kvm_vm_set_memory(t->vm, 0, 0, 0, 65536, t->ram), 0);
	CU_ASSERT_EQUAL_FATAL(kvm_vcpu_open(&t->vcpu, &t->sys, t->vm, 0), 0);
	CU_ASSERT_EQUAL_FATAL(kvm_vcpu_get_sregs(&t->vcpu, &s), 0);
	s.cs.base = 0;
	s.cs.selector = 0;
	CU_ASSERT_EQUAL_FATAL(kvm_vcpu_set_sregs(&t->vcpu, &s), 0);
}

static void tiny_close(struct tiny *t)
{
	kvm_vcpu_close(&t->vcpu);
	close(t->vm);
	munmap(t->ram, 65536);
	kvm_system_close(&t->sys);
}

static uint64_t rip(struct tiny *t)
{
	struct kvm_regs r;

	CU_ASSERT_EQUAL_FATAL(kvm_vcpu_get_regs(&t->vcpu, &r), 0);
	return r.rip;
}

static int run(struct tiny *t)
{
	int rc;

	do
		rc = kvm_vcpu_run(&t->vcpu);
	while (rc == -EAGAIN);
	return rc;
}

/* out %al, $0x80 ; out %al, $0x81 ; hlt */
static const unsigned char two_outs[] = {0xe6, PORT, 0xe6, PORT + 1, 0xf4};

static void test_complete(void)
{
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct tiny t;

	tiny_open(&t, two_outs, sizeof(two_outs));
	/* Nothing is pending: nothing happens. */
	CU_ASSERT_EQUAL(kvm_vcpu_set_regs(&t.vcpu, &regs), 0);
	CU_ASSERT_EQUAL(kvm_vcpu_complete_exit(&t.vcpu), 0);
	CU_ASSERT_EQUAL(rip(&t), CODE);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(run(&t), 0);
		CU_ASSERT_EQUAL_FATAL(t.vcpu.run->exit_reason, KVM_EXIT_IO);
		/* The first `out` each time: none was skipped. */
		CU_ASSERT_EQUAL(t.vcpu.run->io.port, PORT);
		CU_ASSERT_EQUAL(kvm_vcpu_complete_exit(&t.vcpu), 0);
		CU_ASSERT_EQUAL(rip(&t), CODE + 2);
		CU_ASSERT_EQUAL(t.vcpu.run->immediate_exit, 0);
		/* Twice is as good as once. */
		CU_ASSERT_EQUAL(kvm_vcpu_complete_exit(&t.vcpu), 0);
		CU_ASSERT_EQUAL(rip(&t), CODE + 2);
		CU_ASSERT_EQUAL(kvm_vcpu_set_regs(&t.vcpu, &regs), 0);
	}
	tiny_close(&t);
}

static void test_bench(void)
{
	uint64_t ticks = 0;

	CU_ASSERT_EQUAL(bench_bare_exit(&ticks), 0);
	CU_ASSERT(ticks > 0);
}

/** Run until an exit or until the watch has had enough. */
static int watched(struct tiny *t, unsigned int limit, unsigned int most)
{
	struct kvm_watch watch = {0};
	int rc = kvm_watch_start(&watch, limit);

	for (unsigned int i = 0; !rc; i++) {
		rc = run(t);
		if (rc != -EINTR)
			break;
		rc = i < most ? kvm_watch_interrupted(&watch, &t->vcpu) : -ECANCELED;
	}
	kvm_watch_stop(&watch);
	return rc;
}

static void test_halted(void)
{
	static const unsigned char halt[] = {0xf4};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct tiny t;

	tiny_open(&t, halt, sizeof(halt));
	CU_ASSERT_EQUAL(kvm_vcpu_set_regs(&t.vcpu, &regs), 0);
	CU_ASSERT_EQUAL(watched(&t, 2, 60), -ETIMEDOUT);
	tiny_close(&t);
}

/* A guest that works is not ended, however often it is interrupted. */
static void test_working(void)
{
	/* 1: inc %ecx (32 bits, in real mode) ; jmp 1b */
	static const unsigned char count[] = {0x66, 0x41, 0xeb, 0xfc};
	struct kvm_regs regs = {.rip = CODE, .rflags = 2};
	struct tiny t;

	tiny_open(&t, count, sizeof(count));
	CU_ASSERT_EQUAL(kvm_vcpu_set_regs(&t.vcpu, &regs), 0);
	CU_ASSERT_EQUAL(watched(&t, 2, 5), -ECANCELED);
	tiny_close(&t);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"an exit is completed, and nothing more is run", test_complete},
		{"the bench of bare exits ends", test_bench},
		{"a halted guest is noticed", test_halted},
		{"a guest that works is left alone", test_working},
	};
	struct kvm_system sys;

	if (kvm_system_open(&sys)) {
		puts("SKIP: /dev/kvm cannot be opened");
		return 77;
	}
	kvm_system_close(&sys);
	return unit_run("exits", cases, sizeof(cases) / sizeof(cases[0]));
}
