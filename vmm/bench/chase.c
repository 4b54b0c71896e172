/*
 * The guest of `mmvm bench tlb`.
 *
 *   guest-physical                                      guest-virtual
 *   0x1000   code, user mode                            the same
 *   0x2000   IDT: gate v -> stub v                      (supervisor)
 *   0x3000   stubs: out %al, $0xe0 + v; iretq
 *   0x4000   GDT, TSS          0x5000  stack
 *   0x6000   PML4, PDPT, PD; PT of the first 2 MiB, and of the region when its pages are small
 *   2 MiB    region of `mb` MiB                         1 GiB and on, 4 KiB or 2 MiB pages
 *
 *   region, page p:  | ... word ... |      the word's cache line is chosen by p, so that the words of
 *                                          many pages do not fall into one set of the cache
 *
 * Chases run in user mode, which is native on every backend. A chase goes once around to warm, is
 * timed by RDTSC, and ends with UD2: the stub of that gate leaves the guest. To run the next one, the
 * host stores the code's address in the frame of the exception that the stub's IRETQ will take.
 * The order visits every page of the footprint once a lap, so that neither prefetchers nor
 * neighbours help; that it is one lap is checked.
 */
#include "bench/chase.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvm/kvm.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE	 4096ull
#define HUGE	 (2ull << 20)
#define CODE	 0x1000u
#define IDT	 0x2000u
#define STUBS	 0x3000u
#define GDT	 0x4000u
#define TSS	 0x4800u
#define STACK	 0x5ff0u       /* on 16 bytes, as the processor aligns it */
#define FRAME	 (STACK - 40u) /* of an exception: RIP CS RFLAGS RSP SS */
#define TABLES	 0x6000u
#define REGION	 HUGE
#define VIRT	 (1ull << 30)
#define PORT	 0xe0u
#define VEC_UD	 6u
#define NR_VEC	 32u
#define STUB_LEN 16u
#define PRESENT	 1ull
#define WRITE	 2ull
#define USER	 4ull
#define LARGE	 0x80ull
#define AD	 0x60ull

static const unsigned char code[] = {
	0x48, 0x8b, 0x36,      /* 1: mov (%rsi), %rsi */
	0x48, 0xff, 0xc9,      /* dec %rcx */
	0x75, 0xf8,	       /* jnz 1b */
	0x0f, 0xae, 0xe8,      /* lfence */
	0x0f, 0x31,	       /* rdtsc */
	0x41, 0x89, 0xc0,      /* mov %eax, %r8d */
	0x41, 0x89, 0xd1,      /* mov %edx, %r9d */
	0x48, 0x8b, 0x36,      /* 2: mov (%rsi), %rsi */
	0x48, 0xff, 0xcb,      /* dec %rbx */
	0x75, 0xf8,	       /* jnz 2b */
	0x0f, 0xae, 0xe8,      /* lfence */
	0x0f, 0x31, 0x0f, 0x0b /* rdtsc; ud2 */
};

struct chase {
	const struct chase_config *c;
	struct kvm_system sys;
	struct kvm_vcpu vcpu;
	int vm;
	char *map, *ram; /* map: as reserved; ram: aligned to 2 MiB in it */
	uint64_t size;
	struct perf_vcpu perf;
	bool entered;
};

static uint64_t *table(struct chase *x, unsigned int n)
{
	return (uint64_t *)(x->ram + TABLES + n * PAGE);
}

/** Tables 0 PML4, 1 PDPT, 2 PD of the first GiB, 3 PT of its first 2 MiB, 4 PD of the region's GiB,
 * 5... PTs of the region. */
static void make_tables(struct chase *x)
{
	uint64_t blocks = x->c->mb / 2, rights = PRESENT | WRITE | AD;

	table(x, 0)[0] = (TABLES + PAGE) | rights | USER;
	table(x, 1)[0] = (TABLES + 2 * PAGE) | rights | USER;
	table(x, 1)[VIRT >> 30] = (TABLES + 4 * PAGE) | rights | USER;
	table(x, 2)[0] = (TABLES + 3 * PAGE) | rights | USER;
	for (uint64_t i = 0; i < 512; i++)
		table(x, 3)[i] = i * PAGE | rights | (i == CODE / PAGE ? USER : 0);
	for (uint64_t b = 0; b < blocks; b++) {
		uint64_t at = REGION + b * HUGE;

		if (x->c->guest == WALK2D_2M) {
			table(x, 4)[b] = at | rights | USER | LARGE;
			continue;
		}
		table(x, 4)[b] = (TABLES + (5 + b) * PAGE) | rights | USER;
		for (uint64_t i = 0; i < 512; i++)
			table(x, 5 + (unsigned int)b)[i] = (at + i * PAGE) | rights | USER;
	}
}

static void make_gates(struct chase *x)
{
	/* null, -, kernel code 0x10, data 0x18, -, user data 0x28, code 0x30, -, TSS 0x40 */
	const uint64_t gdt[10] = {
		[2] = 0x00af9b000000ffffull,
		[3] = 0x00cf93000000ffffull,
		[5] = 0x00cff3000000ffffull,
		[6] = 0x00affb000000ffffull,
		[8] = 0x0000890000000067ull | (uint64_t)TSS << 16,
	};
	uint64_t *idt = (uint64_t *)(x->ram + IDT), rsp0 = STACK;

	for (unsigned int v = 0; v < NR_VEC; v++) {
		unsigned char stub[] = {0xe6, (unsigned char)(PORT + v), 0x48, 0xcf};
		uint64_t at = STUBS + v * STUB_LEN;

		memcpy(x->ram + at, stub, sizeof(stub));
		idt[v * 2] = (at & 0xffff) | 0x10ull << 16 | 0x8eull << 40;
	}
	memcpy(x->ram + GDT, gdt, sizeof(gdt));
	memcpy(x->ram + TSS + 4, &rsp0, sizeof(rsp0));
	memcpy(x->ram + CODE, code, sizeof(code));
}

static uint64_t *frame(struct chase *x)
{
	return (uint64_t *)(x->ram + FRAME);
}

/** In ring 0, before the IRETQ of a stub that leads to user mode. */
static int set_state(struct chase *x)
{
	const uint64_t first[5] = {CODE, 0x33, 2, 0, 0x2b};
	struct kvm_cpuid2 *cpuid = NULL;
	struct kvm_sregs s;
	int rc = kvm_system_supported_cpuid(&x->sys, &cpuid);

	if (!rc)
		rc = kvm_vcpu_set_cpuid(&x->vcpu, cpuid);
	free(cpuid);
	if (!rc)
		rc = kvm_vcpu_get_sregs(&x->vcpu, &s);
	if (rc)
		return rc;
	s.cr3 = TABLES;
	s.cr4 = 1 << 5;	    /* PAE */
	s.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	s.efer = 0xd00;	    /* NXE LMA LME */
	s.gdt.base = GDT;
	s.gdt.limit = 79;
	s.idt.base = IDT;
	s.idt.limit = NR_VEC * 16 - 1;
	s.cs = kvm_flat_segment(0x10, KVM_SEGMENT_CODE);
	s.ds = kvm_flat_segment(0x18, KVM_SEGMENT_DATA);
	s.es = s.fs = s.gs = s.ss = s.ds;
	s.tr = (struct kvm_segment){
		.base = TSS, .limit = 0x67, .selector = 0x40, .type = 11, .present = 1};
	memcpy(frame(x), first, sizeof(first));
	return kvm_vcpu_set_sregs(&x->vcpu, &s);
}

/** Lay out memory: 2 MiB aligned, with the host pages that are wanted. 0, a status, or -errno. */
static int make_memory(struct chase *x)
{
	bool huge = x->c->host == WALK2D_2M;

	x->size = REGION + (x->c->mb << 20);
	x->map = mmap(NULL, x->size + HUGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (x->map == MAP_FAILED)
		return -errno;
	x->ram = (char *)(((uint64_t)x->map + HUGE - 1) / HUGE * HUGE);
	madvise(x->ram, x->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* Touched before anything is timed: what the host still has to find is not asked for then. */
	for (uint64_t at = 0; at < x->size; at += PAGE)
		((volatile char *)x->ram)[at] = 0;
	/* Block by block: a huge page that is not available for one does not prevent the others. */
	for (uint64_t at = 0; huge && at < x->size; at += HUGE)
		madvise(x->ram + at, HUGE, MADV_COLLAPSE);
	return 0;
}

/** Of the region, as smaps has it; the mapping may have been split by the advice. */
static uint64_t huge_bytes(const struct chase *x)
{
	uint64_t start, end, kb, total = 0, from = (uint64_t)x->ram;
	FILE *f = fopen("/proc/self/smaps", "re");
	bool inside = false;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start < from + x->size && end > from;
		else if (inside && sscanf(line, "AnonHugePages: %" SCNu64, &kb) == 1)
			total += kb << 10;
	}
	if (f)
		fclose(f);
	return total;
}

static int make_machine(struct chase *x)
{
	int rc = x->vm = kvm_system_create_vm(&x->sys);

	if (rc < 0)
		return rc;
	rc = kvm_vm_set_tss_addr(x->vm, 0xfffbd000);
	if (rc && rc != -ENOSYS)
		return rc;
	rc = kvm_vm_create_irqchip(x->vm);
	if (!rc)
		rc = kvm_vm_set_memory(x->vm, 0, 0, 0, x->size, x->ram);
	if (!rc)
		rc = kvm_vcpu_open(&x->vcpu, &x->sys, x->vm, 0);
	if (rc)
		return rc;
	make_tables(x);
	make_gates(x);
	return set_state(x);
}

/* ---- chases ----------------------------------------------------------------------------------- */

/** Offset in the region of page p's word. */
static uint64_t word_at(uint64_t p)
{
	return p * PAGE + (p * 0x9e3779b97f4a7c15ull >> 58) * 64;
}

static uint64_t *word(struct chase *x, uint64_t p)
{
	return (uint64_t *)(x->ram + REGION + word_at(p));
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull >> 16;
}

/** One cycle through all pages (Sattolo's shuffle), as addresses of the guest. */
static void link_pages(struct chase *x, uint64_t pages, uint64_t *seed)
{
	for (uint64_t p = 0; p < pages; p++)
		*word(x, p) = VIRT + word_at(p);
	for (uint64_t p = pages - 1; p; p--) {
		uint64_t *a = word(x, p), *b = word(x, random_next(seed) % p), next = *a;

		*a = *b;
		*b = next;
	}
}

/** `warm` steps from *at, then `steps` more, timed: *ticks. *at is where it ended. */
static int chase(struct chase *x, uint64_t *at, uint64_t warm, uint64_t steps, uint64_t *ticks)
{
	struct kvm_watch watch = {0};
	struct kvm_regs r;
	int rc = kvm_vcpu_complete_exit(&x->vcpu);

	if (!rc)
		rc = kvm_vcpu_get_regs(&x->vcpu, &r);
	if (rc)
		return rc;
	if (!x->entered)
		r = (struct kvm_regs){
			.rip = STUBS + VEC_UD * STUB_LEN + 2, .rsp = FRAME, .rflags = 2};
	x->entered = true;
	r.rsi = *at;
	r.rcx = warm;
	r.rbx = steps;
	frame(x)[0] = CODE;
	rc = kvm_vcpu_set_regs(&x->vcpu, &r);
	if (!rc)
		rc = kvm_watch_start(&watch, KVM_WATCH_TIMES);
	while (!rc) {
		rc = kvm_vcpu_run(&x->vcpu);
		if (rc != -EINTR && rc != -EAGAIN)
			break;
		rc = kvm_watch_interrupted(&watch, &x->vcpu);
	}
	kvm_watch_stop(&watch);
	if (!rc &&
	    (x->vcpu.run->exit_reason != KVM_EXIT_IO || x->vcpu.run->io.port != PORT + VEC_UD))
		rc = -EIO;
	if (!rc)
		rc = kvm_vcpu_get_regs(&x->vcpu, &r);
	if (rc)
		return rc;
	*at = r.rsi;
	*ticks = ((r.rdx & 0xffffffff) << 32 | (r.rax & 0xffffffff)) -
		 ((r.r9 & 0xffffffff) << 32 | (r.r8 & 0xffffffff));
	return 0;
}

static int measure(struct chase *x, uint64_t pages, uint64_t *seed, struct chase_result *out)
{
	const uint64_t start = VIRT + word_at(0);
	uint64_t steps = x->c->steps, warm = pages < steps ? pages : steps;
	uint64_t at, ticks, ps[2] = {0};
	struct chase_sample *s = &out->sample[out->nr++];
	int rc;

	link_pages(x, pages, seed);
	/* A lap less one step does not come back; one step more, and another lap, does. */
	at = start;
	rc = chase(x, &at, pages - 2, 1, &ticks);
	if (!rc && at == start)
		rc = -EILSEQ;
	if (!rc)
		rc = chase(x, &at, 1, pages, &ticks);
	if (!rc && at != start)
		rc = -EILSEQ;
	for (unsigned int i = 0; i < 2 && !rc; i++) {
		uint64_t before[NR_PERF_COUNTERS], after[NR_PERF_COUNTERS];

		perf_vcpu_read(&x->perf, before);
		/* Warm again: what lies between two chases has thrown out of the TLB what it likes.
		 */
		rc = chase(x, &at, warm, steps, &ticks);
		perf_vcpu_read(&x->perf, after);
		ps[i] = (uint64_t)((double)ticks / (double)steps * 1e12 / (double)out->tsc_hz);
		if (rc || (i && ps[1] >= ps[0]))
			continue;
		for (unsigned int k = 0; k < NR_PERF_COUNTERS; k++)
			s->count_x1000[k] = (after[k] - before[k]) * 1000 / (steps + warm);
	}
	if (rc)
		return rc;
	s->kib = pages * PAGE >> 10;
	s->ps = ps[0] < ps[1] ? ps[0] : ps[1];
	s->noise_ps = ps[0] < ps[1] ? ps[1] - ps[0] : ps[0] - ps[1];
	return 0;
}

static int measure_all(struct chase *x, struct chase_result *out)
{
	uint64_t pages = 4, most = (x->c->mb << 20) / PAGE, seed = x->c->seed;
	int rc = kvm_vcpu_tsc_khz(&x->vcpu);

	if (rc <= 0)
		return rc ? rc : -EOPNOTSUPP;
	out->tsc_hz = (uint64_t)rc * 1000;
	perf_vcpu_open(&x->perf, 0);
	memcpy(out->counter_why, x->perf.why, sizeof(out->counter_why));
	for (rc = 0; pages < most && !rc; pages *= 4)
		rc = measure(x, pages, &seed, out);
	if (!rc)
		rc = measure(x, most, &seed, out);
	perf_vcpu_close(&x->perf);
	return rc;
}

int chase_run(const struct chase_config *c, struct chase_result *out, struct mmvm_error *err)
{
	struct chase x = {
		.c = c, .sys = {.fd = -1}, .vcpu = {.fd = -1}, .vm = -1, .map = MAP_FAILED};
	unsigned int reason = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = kvm_system_open(&x.sys);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "%s: %s", kvm_device_path(),
				  kvm_error_text(rc));
	rc = make_memory(&x);
	if (rc)
		goto out;
	out->huge_bytes = huge_bytes(&x);
	if (c->host == WALK2D_2M && out->huge_bytes < c->mb << 20) {
		rc = CHASE_NO_HUGE_PAGES;
		goto out;
	}
	rc = make_machine(&x);
	if (!rc)
		rc = measure_all(&x, out);
	if (x.vcpu.fd >= 0) {
		reason = x.vcpu.run->exit_reason;
		kvm_vcpu_close(&x.vcpu);
	}
	if (x.vm >= 0)
		close(x.vm);
out:
	if (rc < 0)
		rc = mmvm_error(err, MMVM_EXIT_HOST, "pointer chase: %s (exit reason %u)",
				rc == -EILSEQ ? "the pages are not one cycle" : kvm_error_text(rc),
				reason);
	if (x.map != MAP_FAILED)
		munmap(x.map, x.size + HUGE);
	kvm_system_close(&x.sys);
	return rc;
}
