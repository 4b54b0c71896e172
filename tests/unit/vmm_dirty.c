/*
 * The dirty log of a whole machine: every kind, chunks that fit no word, two readers that do not
 * disturb each other, who wrote what, off and on again; the host's own witness; and what a result
 * keeps of all this when it goes through JSON and back.
 *
 * Needs a /dev/kvm that opens; without one the program says so and ends with 77.
 */
#include <CUnit/Basic.h>
#include <CUnit/TestRun.h>
#include <errno.h>
#include <sys/mman.h>
#include "devices/device.h"
#include "kvm/kvm.h"
#include "machine/internal.h"
#include "observe/host_writes.h"
#include "observe/page_state.h"
#include "report/report.h"
#include "../host/unit.h"
#include "vmm_machine_elf.h"

#define MIB 0x100000ull

/* Write a word to every third page from 4 MiB to 6 MiB, send a round, do it again one page further,
 * exit. The record stands at 2 MiB. */
__asm__(".pushsection .rodata\n"
	"guest_twice:\n"
	"  xor %ebp, %ebp\n"
	"0: lea 0x400000(%rbp), %rbx\n"
	"1: mov %rbx, (%rbx)\n"
	"  add $0x3000, %rbx\n"
	"  cmp $0x600000, %ebx\n"
	"  jb 1b\n"
	"  mov $14, %ecx\n"
	"  test %ebp, %ebp\n"
	"  jz 2f\n"
	"  mov $1, %ecx\n"
	"2: mov $0x200000, %ebx\n"
	"  mov %ecx, (%rbx)\n"
	"  movl $96, 4(%rbx)\n"
	"  mov %ebx, %eax\n"
	"  shr $4, %eax\n"
	"  mov $0x600, %edx\n"
	"  out %eax, %dx\n"
	"  mov $0x1000, %ebp\n"
	"  jmp 0b\n"
	"guest_twice_end:\n"
	".popsection\n");
extern const unsigned char guest_twice[], guest_twice_end[];

#define EACH_PASS 171 /* every third page of 2 MiB */

static struct test_elf elf;

struct seen {
	unsigned int first, second, device, other; /* pages of each pass; written by us; others */
};

static void page(uint64_t gpa, unsigned int by, void *arg)
{
	struct seen *s = arg;
	uint64_t n = (gpa - 4 * MIB) / 4096;

	if (by == DIRTY_BY_DEVICE)
		s->device++;
	else if (gpa >= 4 * MIB && gpa < 6 * MIB && n % 3 == 0)
		s->first++;
	else if (gpa >= 4 * MIB && gpa < 6 * MIB && n % 3 == 1)
		s->second++;
	else if (gpa > MMVM_KERNEL_BASE && gpa != 2 * MIB)
		s->other++;
}

static struct seen in_round;

/** Between the passes, on the vCPU's thread: the second reader and the last one of all begin, and the
 * VMM writes a page. */
static int on_request(void *self, struct machine *m, const struct machine_request *q)
{
	CU_ASSERT_EQUAL(q->kind, REQUEST_ROUND);
	CU_ASSERT(machine_dirty_read(m, DIRTY_READER_EXACT, page, &in_round) >= 0);
	CU_ASSERT(machine_dirty_read(m, NR_DIRTY_READERS - 1, NULL, NULL) >= 0);
	CU_ASSERT_EQUAL(guest_ram_write(machine_ram(m), 7 * MIB, "x", 1), 0);
	return 0;
}

static const struct observer second_reader = {.name = "second", .request = on_request};
static struct observers observers;

static struct machine *make(enum dirty_mode mode, unsigned int chunk, struct mmvm_error *err)
{
	struct machine_config c = {
		.ram_low = 8 * MIB + 4096 * 3, /* the last word is not full */
		.ram_high = 2 * MIB,
		.cpus = 1,
		.seed = 5,
		.timeout_s = 20,
		.console_fd = -1,
		.dirty_log = true,
		.dirty_mode = mode,
		.dirty_chunk = chunk,
		.observers = &observers,
	};
	struct machine *m;

	observers.nr = 0;
	observers_attach(&observers, &second_reader, &in_round);
	test_elf_make(&elf, guest_twice, (size_t)(guest_twice_end - guest_twice));
	c.kernel = test_elf_write(&elf, elf.len);
	m = machine_create(&c, err);
	test_elf_free(&elf);
	return m;
}

static void run_mode(enum dirty_mode mode, unsigned int chunk)
{
	struct seen sampler = {0}, exact = {0}, last = {0};
	struct machine_dirty_cost cost;
	struct machine_outcome out;
	struct mmvm_error err = {0};
	struct machine *m = make(mode, chunk, &err);

	if (!m && mode == DIRTY_RING && err.status == MMVM_EXIT_HOST) {
		printf("[%s: %s] ", dirty_mode_name(mode), err.text);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	memset(&in_round, 0, sizeof(in_round));
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	/* Its first question: what nobody has taken so far. */
	CU_ASSERT_EQUAL(in_round.first, EACH_PASS);
	CU_ASSERT_EQUAL(in_round.second, 0);
	CU_ASSERT(machine_dirty_read(m, DIRTY_READER_EXACT, page, &exact) >= EACH_PASS);
	CU_ASSERT_EQUAL(exact.first, 0);
	CU_ASSERT_EQUAL(exact.second, EACH_PASS);
	CU_ASSERT_EQUAL(exact.device, 1);
	CU_ASSERT_EQUAL(exact.other, 0);
	/* The other reader has asked only now: both passes, once. */
	CU_ASSERT(machine_dirty_read(m, DIRTY_READER_SAMPLER, page, &sampler) >= 2 * EACH_PASS);
	CU_ASSERT_EQUAL(sampler.first, EACH_PASS);
	CU_ASSERT_EQUAL(sampler.second, EACH_PASS);
	CU_ASSERT_EQUAL(sampler.device, 1);
	CU_ASSERT_EQUAL(sampler.other, 0);
	CU_ASSERT(machine_dirty_read(m, NR_DIRTY_READERS - 1, page, &last) >= EACH_PASS);
	CU_ASSERT_EQUAL(last.second, EACH_PASS);
	CU_ASSERT_EQUAL(last.device, 1);
	CU_ASSERT_EQUAL(last.first + last.other, 0);
	for (int reader = 0; reader < NR_DIRTY_READERS; reader++)
		CU_ASSERT_EQUAL(machine_dirty_read(m, reader, NULL, NULL), 0);
	machine_dirty_cost(m, &cost);
	CU_ASSERT_EQUAL(cost.readings, 5 + NR_DIRTY_READERS);
	CU_ASSERT(cost.requests > 0 && cost.ns > 0 && cost.ns >= cost.get_ns + cost.clear_ns);
	machine_destroy(m);
}

static void test_modes(void)
{
	run_mode(DIRTY_AUTO, 0);
	run_mode(DIRTY_BITMAP, 0);
	run_mode(DIRTY_BITMAP_MANUAL, 0);
	run_mode(DIRTY_RING, 0);
}

static void test_chunks(void)
{
	static const unsigned int chunk[] = {1, 3, 63, 64, 65, 100, 511, 2048, 2051, 1u << 20};

	for (size_t i = 0; i < sizeof(chunk) / sizeof(chunk[0]); i++)
		run_mode(DIRTY_BITMAP_MANUAL, chunk[i]);
}

static void test_switch(void)
{
	struct mmvm_error err = {0};
	struct machine *m = make(DIRTY_BITMAP, 0, &err);
	struct machine_outcome out;
	struct seen seen = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(machine_dirty_switch(m, DIRTY_LOGGING_OFF), 0);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	/* KVM kept nothing; what the VMM wrote is known all the same: its page, and the record's. */
	CU_ASSERT(machine_dirty_read(m, DIRTY_READER_SAMPLER, page, &seen) >= 1);
	CU_ASSERT_EQUAL(seen.first + seen.second + seen.other, 0);
	CU_ASSERT_EQUAL(seen.device, 2);
	CU_ASSERT_EQUAL(machine_dirty_switch(m, DIRTY_LOGGING_ON), 0);
	CU_ASSERT_EQUAL(machine_dirty_read(m, DIRTY_READER_SAMPLER, NULL, NULL), 0);
	machine_destroy(m);
}

static void test_names(void)
{
	enum dirty_mode mode = DIRTY_AUTO;

	CU_ASSERT_EQUAL(dirty_mode_parse("ring", &mode), 0);
	CU_ASSERT_EQUAL(mode, DIRTY_RING);
	CU_ASSERT_EQUAL(dirty_mode_parse("rings", &mode), -EINVAL);
	CU_ASSERT_EQUAL(dirty_mode_parse("", &mode), -EINVAL);
	CU_ASSERT_STRING_EQUAL(dirty_mode_name(DIRTY_BITMAP_MANUAL), "bitmap-manual");
}

/* ---- the host's witness ---------------------------------------------------------------------- */

#define HOST_PAGES 600u /* more than one batch, and several ranges */
static unsigned char host_seen[HOST_PAGES];

static void host_page(uint64_t gpa, void *arg)
{
	CU_ASSERT_FATAL(gpa >= MIB && gpa < MIB + HOST_PAGES * 4096);
	host_seen[(gpa - MIB) / 4096]++;
}

static void test_host_writes(void)
{
	struct guest_ram ram = {.nr = 1};
	struct host_writes *h;
	char why[128] = "";
	int fd = memfd_create("guest", MFD_CLOEXEC);
	volatile uint8_t *p;
	unsigned int bad = 0;

	CU_ASSERT_FATAL(fd >= 0 && !ftruncate(fd, HOST_PAGES * 4096));
	p = mmap(NULL, HOST_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	ram.region[0] = (struct guest_ram_region){
		.gpa = MIB, .size = HOST_PAGES * 4096, .hva = (uint8_t *)p};
	h = host_writes_open(&ram, why, sizeof(why));
	if (!h) {
		/* The reason is for people. */
		CU_ASSERT(why[0] != 0);
		printf("[%s] ", why);
		goto out;
	}
	printf("[%s] ", host_writes_method(h));
	for (unsigned int round = 1; round < 4; round++) {
		memset(host_seen, 0, sizeof(host_seen));
		CU_ASSERT_EQUAL(host_writes_clear(h), 0);
		for (unsigned int i = 0; i < HOST_PAGES; i++) {
			if (i % (round + 1) == 0)
				p[i * 4096 + i] = (uint8_t)round;
			else
				bad += p[i * 4096] > 100; /* a read is no write */
		}
		CU_ASSERT_EQUAL(host_writes_read(h, host_page, NULL), 0);
		for (unsigned int i = 0; i < HOST_PAGES; i++)
			bad += host_seen[i] != (i % (round + 1) == 0);
		CU_ASSERT_EQUAL(bad, 0);
	}
	host_writes_close(h);
out:
	munmap((void *)p, HOST_PAGES * 4096);
	close(fd);
}

/* ---- results --------------------------------------------------------------------------------- */

static void test_result_round_trip(void)
{
	struct run_sample s = {.t_ns = 5, .dirty = 9, .nr_zones = 2, .has_owner = true};
	struct run_observer o = {.name = "dirty log", .times = 3, .ns = 4, .exits = 5, .note = "n"};
	struct run_result r, back;
	struct mmvm_error err;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	run_result_init(&r);
	run_result_init(&back);
	r.has_dirty = true;
	strcpy(r.dirty_mode, "ring");
	s.dirty_owner[PAGE_ANON] = 7;
	s.dirty_owner[PAGE_PGTABLE] = 2;
	s.dirty_zone[1] = 9;
	s.dirty_region[0] = 9;
	run_result_add_sample(&r, &s);
	s.has_owner = false;
	run_result_add_sample(&r, &s);
	run_result_add_observer(&r, &o);
	o.has_stall = true;
	o.stall_ns = 6;
	run_result_add_observer(&r, &o);
	run_result_add_reason(&r, "reserved", 11);
	run_result_add_exit(&r, "io", 2, 0);
	CU_ASSERT_EQUAL(report_json(f, &r), 0);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"ns\": null"));
	CU_ASSERT_EQUAL(run_result_parse(&back, "test", text, len, &err), 0);
	CU_ASSERT_STRING_EQUAL(back.dirty_mode, "ring");
	CU_ASSERT_FATAL(back.nr_samples == 2 && back.nr_observers == 2 && back.nr_reasons == 1);
	CU_ASSERT(back.samples[0].has_owner && !back.samples[1].has_owner);
	CU_ASSERT_EQUAL(back.samples[0].dirty_owner[PAGE_ANON], 7);
	CU_ASSERT_EQUAL(back.samples[0].dirty_owner[PAGE_SLAB], 0);
	CU_ASSERT_EQUAL(back.samples[0].dirty_zone[1], 9);
	CU_ASSERT_EQUAL(back.samples[0].dirty_region[0], 9);
	CU_ASSERT(!back.observers[0].has_stall && back.observers[1].has_stall);
	CU_ASSERT_EQUAL(back.observers[1].stall_ns, 6);
	CU_ASSERT_EQUAL(back.observers[1].exits, 5);
	CU_ASSERT_STRING_EQUAL(back.reasons[0].name, "reserved");
	CU_ASSERT_EQUAL(back.reasons[0].value, 11);
	CU_ASSERT_FALSE(back.has_exit_times);
	run_result_free(&back);
	run_result_free(&r);
	free(text);
}

static void test_no_page_states(void)
{
	struct mmvm_error err = {0};
	struct machine *m = make(DIRTY_BITMAP, 0, &err);
	struct page_state *p = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(page_state_open(m, NULL, &p), -ENOSYS);
	CU_ASSERT_PTR_NULL(p);
	machine_destroy(m);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"every kind: two readers, and who wrote", test_modes},
		{"cleared in chunks of any size", test_chunks},
		{"off and on", test_switch},
		{"names", test_names},
		{"the host's own witness", test_host_writes},
		{"a result through JSON", test_result_round_trip},
		{"a guest without page states", test_no_page_states},
	};
	struct kvm_system sys;

	if (kvm_system_open(&sys)) {
		puts("SKIP: /dev/kvm cannot be opened");
		return 77;
	}
	kvm_system_close(&sys);
	return unit_run("vmm_dirty", cases, sizeof(cases) / sizeof(cases[0]));
}
