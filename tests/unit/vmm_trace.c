/*
 * Traces: files read back, whole, cut off and damaged; the rules of a page's life one by one;
 * Chrome's JSON; and guests that write nonsense into their rings.
 *
 * The machines need a /dev/kvm that opens; without one only their case is left out, and says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "../host/unit.h"
#include "mmvm/page.h"
#include "report/page_life.h"
#include "observe/trace.h"
#include "report/chrome_trace.h"
#include "result/json_read.h"
#include "vmm_machine_elf.h"

#define HZ     1000000000ull /* a tick is a nanosecond */
#define OFFSET 5000	     /* of the guest's clock */
#define RAM    (16ull << 20)

/* ---- a file in memory ------------------------------------------------------------------------ */

struct file {
	unsigned char data[1 << 16];
	size_t len;
	char path[64];
};

static void put(struct file *f, const void *data, size_t len)
{
	CU_ASSERT_FATAL(f->len + len <= sizeof(f->data));
	memcpy(f->data + f->len, data, len);
	f->len += len;
}

static void put_chunk(struct file *f, enum trace_chunk_kind kind, const void *data, uint32_t len)
{
	struct trace_chunk c = {.magic = TRACE_CHUNK_MAGIC,
				.kind = (uint16_t)kind,
				.len = len,
				.sum = trace_sum(data, len)};
	static const char zeroes[8];

	put(f, &c, sizeof(c));
	put(f, data, len);
	put(f, zeroes, -len & 7u);
}

static void begin_file(struct file *f)
{
	struct trace_file_header h = {.magic = TRACE_FILE_MAGIC,
				      .version = TRACE_FILE_VERSION,
				      .size = sizeof(h),
				      .tsc_hz = HZ,
				      .tsc_offset = OFFSET,
				      .begin_tsc = 1000,
				      .ram_low = RAM,
				      .cpus = 1};

	f->len = 0;
	memcpy(h.accel, "lab", 4);
	memcpy(h.backend, "SVM", 4);
	memcpy(h.command, "mmvm \"run\"\n", 12);
	put(f, &h, sizeof(h));
}

static void end_file(struct file *f, uint64_t dropped)
{
	struct trace_file_end end = {
		.tsc_offset = OFFSET, .guest_dropped = dropped, .exited = 1, .end_tsc = 9000};

	put_chunk(f, TRACE_CHUNK_END, &end, sizeof(end));
}

static int load(struct file *f, size_t len, struct trace_data *t)
{
	struct mmvm_error err;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), rc;

	if (fd < 0)
		fd = memfd_create("trace", MFD_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(write(fd, f->data, len), (ssize_t)len);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", fd);
	rc = trace_load(t, f->path, &err);
	close(fd);
	return rc;
}

static struct mmvm_trace_rec rec(uint64_t host_ns, enum mmvm_trace_event event, uint32_t pfn,
				 unsigned int arg, uint64_t addr)
{
	return (struct mmvm_trace_rec){.tsc = host_ns + 1000 + OFFSET,
				       .event = (uint8_t)event,
				       .pfn = pfn,
				       .arg = (uint16_t)arg,
				       .addr = addr,
				       .pid = 7,
				       .mm = 0x77};
}

/** A page that is born, mapped, written to slot 3 and read back into another frame. */
static void story(struct file *f)
{
	const struct mmvm_trace_rec guest[] = {
		rec(50, TRACE_EXEC, 0, 0, 0x6f6c6c6568), /* "hello" */
		rec(100, TRACE_FAULT_BEGIN, 0, TRACE_ACCESS_WRITE, 0x400000),
		rec(110, TRACE_ALLOC, 5, PAGE_ANON, 0xffffffff80001010),
		rec(120, TRACE_MAP, 5, TRACE_MAP_ANON, 0x400000),
		rec(130, TRACE_FAULT_END, 0, TRACE_OK, 0x400000),
		rec(200, TRACE_ISOLATE, 5, 0, 0),
		rec(210, TRACE_CACHE_ADD, 5, TRACE_CACHE_OUT, 3),
		rec(220, TRACE_UNMAP, 5, TRACE_UNMAP_RECLAIM, 0x400000),
		rec(230, TRACE_SWAP_OUT, 5, 0, 3),
		rec(300, TRACE_WRITE_END, 5, 0, 3),
		rec(310, TRACE_PUTBACK, 5, 0, 0),
		rec(320, TRACE_CACHE_DEL, 5, TRACE_CACHE_EVICT, 3),
		rec(330, TRACE_FREE, 5, PAGE_ANON, 0xffffffff80001020),
		rec(400, TRACE_FAULT_BEGIN, 0, 0, 0x400000),
		rec(410, TRACE_ALLOC, 9, PAGE_ANON, 0xffffffff80001010),
		rec(420, TRACE_CACHE_ADD, 9, TRACE_CACHE_IN, 3),
		rec(430, TRACE_SWAP_IN, 9, 1, 3),
		rec(500, TRACE_READ_END, 9, 0, 3),
		rec(510, TRACE_MAP, 9, TRACE_MAP_SWAP, 0x400000),
		rec(520, TRACE_FAULT_END, 0, TRACE_OK | TRACE_RESULT_MAJOR, 0x400000),
	};
	const struct trace_host_rec host[] = {
		/* the header, read by swapon */
		{.tsc = 1000 + 10, .event = HOST_BLK_PAGE, .ticks = 20, .a = 2, .b = 0},
		{.tsc = 1000 + 240, .event = HOST_BLK, .arg = 1, .ticks = 20, .a = 24, .b = 4096},
		{.tsc = 1000 + 240, .event = HOST_BLK_PAGE, .arg = 1, .ticks = 20, .a = 5, .b = 24},
		{.tsc = 1000 + 440, .event = HOST_BLK, .arg = 0, .ticks = 20, .a = 24, .b = 4096},
		{.tsc = 1000 + 440, .event = HOST_BLK_PAGE, .arg = 0, .ticks = 20, .a = 9, .b = 24},
		{.tsc = 1000 + 235, .event = HOST_EXIT, .arg = 3, .ticks = 100, .a = 0x600},
		{.tsc = 1000 + 300, .event = HOST_RING_FULL, .ticks = 100, .a = 12},
		{.tsc = 1000 + 600, .event = HOST_STAT, .arg = 0, .a = 2, .b = 2},
		{.tsc = 1000 + 610, .event = HOST_DIRTY, .arg = 1, .a = 4, .b = 3},
	};
	static const char text[] =
		"exit 3 pio_out\ndisk 0 swap\nstat 0 vm.exits\n"
		"sym ffffffff80001000 alloc_it\nvmstat pswpout 1\nvmstat pswpin 1\n"
		"vmstat pgfault 2\nnonsense\n\nvmstat pgmajfault 1\nvmstat pgfree 1\n"
		"vmstat pgalloc_dma 2\n";

	begin_file(f);
	put_chunk(f, TRACE_CHUNK_HOST, host, sizeof(host));
	put_chunk(f, TRACE_CHUNK_GUEST, guest, sizeof(guest));
	put_chunk(f, TRACE_CHUNK_TEXT, text, sizeof(text) - 1);
	end_file(f, 0);
}

static char *text_of(int (*fn)(FILE *f, const void *arg), const void *arg, size_t *len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	CU_ASSERT_EQUAL_FATAL(fn(f, arg), 0);
	CU_ASSERT_EQUAL_FATAL(fclose(f), 0);
	return text;
}

/* ---- reading --------------------------------------------------------------------------------- */

static void test_reads_back(void)
{
	static struct file f;
	struct trace_data t;
	char buf[64];
	uint64_t v;

	story(&f);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_TRUE(t.complete);
	CU_ASSERT_EQUAL(t.nr, 29);
	CU_ASSERT_EQUAL(t.bad, 0);
	/* One clock: the disk's write lies between the guest's request and its end. */
	for (size_t i = 1; i < t.nr; i++)
		CU_ASSERT_TRUE(t.event[i - 1].ns <= t.event[i].ns);
	CU_ASSERT_EQUAL(t.event[0].ns, 10);
	CU_ASSERT_STRING_EQUAL(trace_event_name(&t.event[9]), "swap_out");
	CU_ASSERT_STRING_EQUAL(trace_event_name(&t.event[11]), "blk");
	CU_ASSERT_STRING_EQUAL(t.exit_name[3], "pio_out");
	CU_ASSERT_EQUAL(trace_disk(&t, "swap"), 0);
	CU_ASSERT_TRUE(trace_vmstat(&t, "pgfault", &v));
	CU_ASSERT_EQUAL(v, 2);
	CU_ASSERT_STRING_EQUAL(trace_symbol(&t, 0xffffffff80001010, buf, sizeof(buf)),
			       "alloc_it+0x10");
	CU_ASSERT_STRING_EQUAL(trace_symbol(&t, 0x10, buf, sizeof(buf)), "0x10");
	trace_unload(&t);
}

/* A damaged header may speak of a tebibyte of RAM. Readers then have to do without memory, which the sanitizer
 * would end the program for. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

/** It worked, or there is no memory for a word about each frame of so much RAM. */
static bool worked(const struct trace_data *t, int err)
{
	return !err || (err == -ENOMEM && trace_frames(t) > 1u << 24);
}

static void use_all(const struct trace_data *t)
{
	struct trace_output o = {.trace = t};
	struct life_check check;
	FILE *null = fopen("/dev/null", "w");

	CU_ASSERT(worked(t, life_check(t, &check)));
	life_print_head(null, t);
	life_print_check(null, &check);
	CU_ASSERT(worked(t, life_print_frame(null, t, 5)));
	CU_ASSERT(worked(t, life_print_address(null, t, 0x400000, 0)));
	CU_ASSERT(worked(t, life_print_list(null, t, 10)));
	CU_ASSERT(worked(t, trace_emit_chrome(null, &o)));
	CU_ASSERT_EQUAL(trace_emit_text(null, &o), 0);
	CU_ASSERT_EQUAL(trace_emit_csv(null, &o), 0);
	fclose(null);
}

static void test_every_prefix(void)
{
	static struct file f;
	struct trace_data t;
	size_t before = 0;

	story(&f);
	for (size_t len = 0; len < f.len; len++) {
		if (load(&f, len, &t)) {
			CU_ASSERT_TRUE(len < sizeof(struct trace_file_header));
			continue;
		}
		CU_ASSERT_FALSE(t.complete);
		CU_ASSERT_PTR_NOT_NULL(t.cut);
		CU_ASSERT_TRUE(t.nr >= before);
		before = t.nr;
		if (len % 97 == 0)
			use_all(&t);
		trace_unload(&t);
	}
	CU_ASSERT_EQUAL(before, 29);
}

/** Sums made right again after the damage, so that it reaches what is behind them. */
static void mend_sums(struct file *f)
{
	size_t at = sizeof(struct trace_file_header);

	while (at + sizeof(struct trace_chunk) <= f->len) {
		struct trace_chunk *c = (struct trace_chunk *)(f->data + at);

		if (c->len > f->len - at - sizeof(*c))
			break;
		c->sum = trace_sum(c + 1, c->len);
		at += sizeof(*c) + ((c->len + 7u) & ~7u);
	}
}

static void test_damage(void)
{
	static struct file f;
	struct trace_data t;
	unsigned int loaded = 0;

	srand(1);
	for (unsigned int round = 0; round < 1500; round++) {
		story(&f);
		for (int n = rand() % 8; n >= 0; n--)
			f.data[(size_t)rand() % f.len] = (unsigned char)rand();
		if (round & 1)
			mend_sums(&f);
		if (load(&f, f.len, &t))
			continue;
		loaded++;
		use_all(&t);
		trace_unload(&t);
	}
	CU_ASSERT_TRUE(loaded > 500);
}

/** An end of another length ends the file, in the pass that counts and in the pass that fills. */
static void test_end_of_another_length(void)
{
	static struct file f;
	const struct mmvm_trace_rec r = rec(5, TRACE_ALLOC, 1, PAGE_ANON, 0);
	const uint32_t lengths[] = {0, 8, sizeof(struct trace_file_end) - 8,
				    sizeof(struct trace_file_end) + 8};
	struct trace_data t;

	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		static const char zeroes[2 * sizeof(struct trace_file_end)];

		begin_file(&f);
		put_chunk(&f, TRACE_CHUNK_GUEST, &r, sizeof(r));
		put_chunk(&f, TRACE_CHUNK_END, zeroes, lengths[i]);
		for (unsigned int n = 0; n < 1000; n++)
			put_chunk(&f, TRACE_CHUNK_GUEST, &r, sizeof(r));
		end_file(&f, 0);
		CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
		CU_ASSERT_EQUAL(t.nr, 1);
		CU_ASSERT_EQUAL(t.room, 1);
		CU_ASSERT_FALSE(t.complete);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t.cut);
		CU_ASSERT_STRING_EQUAL(t.cut, "what follows is damaged");
		use_all(&t);
		trace_unload(&t);
	}
}

/** Times and clocks at the ends of their ranges. */
static void test_times_at_the_edge(void)
{
	static struct file f;
	struct trace_host_rec r[] = {
		{.tsc = 0, .event = HOST_EXIT},
		{.tsc = 1ull << 63, .event = HOST_EXIT},
		{.tsc = (1ull << 63) + 1000, .event = HOST_EXIT},
		{.tsc = UINT64_MAX, .event = HOST_EXIT},
	};
	struct trace_data t;

	begin_file(&f);
	((struct trace_file_header *)f.data)->tsc_hz = 1;
	put_chunk(&f, TRACE_CHUNK_HOST, r, sizeof(r));
	end_file(&f, 0);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_EQUAL_FATAL(t.nr, 4);
	CU_ASSERT_EQUAL(t.event[0].ns, -TRACE_NS_MAX);
	CU_ASSERT_EQUAL(t.event[3].ns, TRACE_NS_MAX);
	use_all(&t);
	trace_unload(&t);
}

#define SHARED_WORDS 8192u
static atomic_uint_fast64_t shared[SHARED_WORDS];
static atomic_bool shared_end;

static void *writes_shared(void *arg)
{
	for (uint64_t n = 1; !atomic_load(&shared_end); n++)
		for (unsigned int i = 0; i < SHARED_WORDS; i++)
			atomic_store_explicit(&shared[i], n, memory_order_relaxed);
	return NULL;
}

/** The guest writes to its ring while a chunk is made of it. Ends when it has been seen to write
 * during 200 chunks. */
static void test_ring_changes_while_it_is_read(void)
{
	const uint32_t len = sizeof(shared);
	struct trace_chunk *c = malloc(sizeof(*c) + len);
	unsigned int changed = 0, wrong = 0;
	pthread_t writer;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, writes_shared, NULL), 0);
	for (unsigned int round = 0; changed < 200 && round < 10000000; round++) {
		uint64_t before = atomic_load(&shared[SHARED_WORDS - 1]);

		trace_chunk_fill(c, TRACE_CHUNK_GUEST, 0, shared, len);
		changed += before != atomic_load(&shared[SHARED_WORDS - 1]);
		wrong += c->sum != trace_sum(c + 1, len);
	}
	atomic_store(&shared_end, true);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(changed, 200);
	CU_ASSERT_EQUAL(wrong, 0);
	free(c);
}

static void test_nonsense_is_left_out(void)
{
	static struct file f;
	struct mmvm_trace_rec bad[] = {
		rec(1, TRACE_NONE, 0, 0, 0),
		rec(2, NR_TRACE_EVENTS, 0, 0, 0),
		rec(3, TRACE_ALLOC, RAM >> 12, 0, 0),	    /* beyond the last frame */
		rec(4, TRACE_ALLOC, (RAM >> 12) - 1, 0, 0), /* reaches beyond it */
		rec(5, TRACE_ALLOC, 0, 0, 0),		    /* no such order */
		rec(6, TRACE_ALLOC, (RAM >> 12) - 1, 0, 0), /* right */
	};
	struct trace_host_rec host[] = {
		{.event = NR_HOST_EVENTS},
		{.event = HOST_BLK, .device = 200},
		{.event = HOST_BLK_PAGE, .a = UINT64_MAX},
		{.event = HOST_DIRTY, .a = 1, .b = UINT64_MAX},
		{.event = HOST_EXIT, .arg = 65535, .ticks = UINT32_MAX}, /* right: "other" */
	};
	struct trace_data t;

	bad[3].order = 1;
	bad[4].order = 11;
	begin_file(&f);
	put_chunk(&f, TRACE_CHUNK_GUEST, bad, sizeof(bad));
	put_chunk(&f, TRACE_CHUNK_HOST, host, sizeof(host));
	end_file(&f, 0);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_EQUAL(t.nr, 2);
	CU_ASSERT_EQUAL(t.bad, 9);
	use_all(&t);
	trace_unload(&t);
}

static void test_other_files(void)
{
	static struct file f;
	struct trace_data t;
	struct mmvm_error err;

	CU_ASSERT_EQUAL(trace_load(&t, "/nowhere/at/all", &err), -1);
	CU_ASSERT_EQUAL(err.status, MMVM_EXIT_USAGE);
	story(&f);
	((struct trace_file_header *)f.data)->version = 2;
	CU_ASSERT_EQUAL(load(&f, f.len, &t), -1);
	story(&f);
	((struct trace_file_header *)f.data)->tsc_hz = 0;
	CU_ASSERT_EQUAL(load(&f, f.len, &t), -1);
	f.len = 0;
	put(&f, "{}", 2);
	CU_ASSERT_EQUAL(load(&f, f.len, &t), -1);
}

/* ---- lives ----------------------------------------------------------------------------------- */

static void test_story_is_legal(void)
{
	static struct file f;
	struct trace_data t;
	struct life_check c;

	story(&f);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_EQUAL(life_check(&t, &c), 0);
	CU_ASSERT_TRUE(c.whole);
	CU_ASSERT_TRUE(life_check_ok(&c));
	CU_ASSERT_EQUAL(c.frames, 2);
	CU_ASSERT_EQUAL(c.events, 15);
	for (unsigned int i = 0; i < c.nr_counts; i++)
		if (!strcmp(c.count[i].name, "writes that ended"))
			CU_ASSERT_TRUE(c.count[i].trace == 1 && c.count[i].other == 1);
	trace_unload(&t);
}

static void test_counts_are_compared(void)
{
	static struct file f;
	struct trace_data t;
	struct life_check c;
	static const char text[] = "vmstat pswpout 2\n";

	/* The same with a counter that says more: later lines are later news, the first is taken.
	 */
	begin_file(&f);
	put_chunk(&f, TRACE_CHUNK_TEXT, text, sizeof(text) - 1);
	end_file(&f, 0);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_EQUAL(life_check(&t, &c), 0);
	CU_ASSERT_FALSE(life_check_ok(&c));
	trace_unload(&t);
	/* With records dropped nothing can be said. */
	begin_file(&f);
	put_chunk(&f, TRACE_CHUNK_TEXT, text, sizeof(text) - 1);
	end_file(&f, 3);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	CU_ASSERT_EQUAL(life_check(&t, &c), 0);
	CU_ASSERT_FALSE(c.whole);
	CU_ASSERT_TRUE(life_check_ok(&c));
	trace_unload(&t);
}

/** Each rule, broken by the last of a few events. */
static void test_rules(void)
{
#define A_	 rec(0, TRACE_ALLOC, 5, PAGE_ANON, 0)
#define F_	 rec(0, TRACE_FREE, 5, PAGE_ANON, 0)
#define M_	 rec(0, TRACE_MAP, 5, TRACE_MAP_ANON, 0x1000)
#define U_	 rec(0, TRACE_UNMAP, 5, TRACE_UNMAP_ZAP, 0x1000)
#define C_(slot) rec(0, TRACE_CACHE_ADD, 5, TRACE_CACHE_OUT, slot)
#define D_(slot) rec(0, TRACE_CACHE_DEL, 5, TRACE_CACHE_EVICT, slot)
#define O_(slot) rec(0, TRACE_SWAP_OUT, 5, 0, slot)
#define W_	 rec(0, TRACE_WRITE_END, 5, 0, 3)
#define I_(slot) rec(0, TRACE_SWAP_IN, 5, 1, slot)
#define P_	 rec(0, TRACE_FILE_ADD, 5, PAGE_FILE, 1)
#define Q_	 rec(0, TRACE_FILE_DEL, 5, 0, 1)
#define S_	 rec(0, TRACE_FILE_WRITE, 5, 0, 1)
#define T_	 rec(0, TRACE_FILE_WRITTEN, 5, 0, 1)
#define R_	 rec(0, TRACE_READ_END, 5, 0, 3)
	const struct {
		enum life_rule rule;
		struct mmvm_trace_rec r[6];
	} table[] = {
		{LIFE_ALLOC, {A_, A_}},
		{LIFE_FREE, {A_, F_, F_}},
		{LIFE_FREE, {F_, F_}},
		{LIFE_FREE, {A_, M_, F_}},
		{LIFE_FREE, {A_, C_(3), F_}},
		{LIFE_FREE, {A_, C_(3), O_(3), F_}},
		{LIFE_MAP, {A_, F_, M_}},
		{LIFE_MAP, {M_}},
		{LIFE_UNMAP, {A_, M_, U_, U_}},
		{LIFE_SLOT, {A_, C_(3), C_(4)}},
		{LIFE_SLOT, {A_, F_, C_(3)}},
		{LIFE_UNSLOT, {A_, D_(3)}},
		{LIFE_UNSLOT, {A_, C_(3), D_(4)}},
		{LIFE_UNSLOT, {A_, C_(3), O_(3), D_(3)}},
		{LIFE_WRITE, {A_, O_(3)}},
		{LIFE_WRITE, {A_, C_(3), O_(4)}},
		{LIFE_WRITE, {A_, C_(3), O_(3), O_(3)}},
		{LIFE_WRITTEN, {A_, C_(3), W_}},
		{LIFE_WRITTEN, {A_, C_(3), O_(3), W_, W_}},
		{LIFE_READ, {A_, I_(3)}},
		{LIFE_READ, {A_, C_(3), I_(3), I_(3)}},
		{LIFE_HAS_READ, {A_, C_(3), R_}},
		{LIFE_PUTBACK, {A_, rec(0, TRACE_PUTBACK, 5, 0, 0)}},
		{LIFE_CACHED, {A_, P_, P_}},
		{LIFE_CACHED, {A_, Q_}},
		{LIFE_CACHED, {A_, rec(0, TRACE_FILE_DIRTY, 5, 0, 1)}},
		{LIFE_CACHED, {A_, P_, S_, Q_}},
		{LIFE_FREE, {A_, P_, F_}},
		{LIFE_FILE_WRITE, {A_, S_}},
		{LIFE_FILE_WRITE, {A_, P_, S_, S_}},
		{LIFE_FILE_WRITE, {A_, P_, T_}},
		{LIFE_LEGAL, {A_, P_, S_, T_, Q_, F_}},
		{LIFE_LEGAL, {A_, M_, C_(3), U_, O_(3), W_}},
		{LIFE_LEGAL, {A_, C_(3), I_(3), R_, M_, D_(3)}},
		{LIFE_LEGAL, {F_, A_, M_, M_, U_, U_}},
	};
	bool seen[NR_LIFE_RULES] = {false};

	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct life_frame frame = {0};

		seen[table[i].rule] = true;
		for (unsigned int k = 0; k < 6 && table[i].r[k].event; k++) {
			bool last = k == 5 || !table[i].r[k + 1].event;
			enum life_rule rule = life_step(&frame, &table[i].r[k]);

			if (rule != (last ? table[i].rule : LIFE_LEGAL))
				printf("row %u, event %u: %s\n", i, k, life_rule_text(rule));
			CU_ASSERT_EQUAL(rule, last ? table[i].rule : LIFE_LEGAL);
		}
	}
	for (unsigned int i = 0; i < NR_LIFE_RULES; i++)
		CU_ASSERT_TRUE(seen[i]);
}

static int print_address(FILE *f, const void *arg)
{
	return life_print_address(f, arg, 0x400123, 7);
}

static void test_address_through_swap(void)
{
	static const char *const in_order[] = {
		"fault_begin", "frame 5",  "page_alloc", "map",	      "cache_add",
		"unmap",       "swap_out", "blk_page",	 "write_end", "page_free",
		"fault_begin", "frame 9",  "page_alloc", "cache_add", "swap_in",
		"blk_page",    "read_end", "map",	 "fault_end"};
	static struct file f;
	struct trace_data t;
	char *text, *at;
	size_t len;

	story(&f);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	text = text_of(print_address, &t, &len);
	at = text;
	for (unsigned int i = 0; at && i < sizeof(in_order) / sizeof(in_order[0]); i++) {
		at = strstr(at, in_order[i]);
		if (!at)
			printf("no %s in order in:\n%s", in_order[i], text);
		CU_ASSERT_PTR_NOT_NULL(at);
		at = at ? at + strlen(in_order[i]) : NULL;
	}
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "7 hello"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "anon, mapped, slot 0:3"));
	free(text);
	trace_unload(&t);
}

/* ---- Chrome's JSON --------------------------------------------------------------------------- */

/** "12.345" as thousandths; UINT64_MAX: no such number. */
static uint64_t thousandths(const struct json_value *v)
{
	unsigned long long whole;
	unsigned int part;

	if (!v || v->type != JSON_NUMBER || sscanf(v->text, "%llu.%3u", &whole, &part) != 2)
		return UINT64_MAX;
	return whole * 1000 + part;
}

static void test_chrome(void)
{
	static struct file f;
	struct trace_output o = {0};
	struct trace_data t;
	struct json_doc doc;
	const struct json_value *e;
	unsigned int depth = 0, open = 0, spans = 0;
	uint64_t last = 0, busy = 0, ts, pid, tid;
	char why[128], *text;
	size_t len;

	story(&f);
	CU_ASSERT_EQUAL_FATAL(load(&f, f.len, &t), 0);
	o.trace = &t;
	text = text_of(trace_emit_chrome, &o, &len);
	CU_ASSERT_EQUAL_FATAL(json_parse(&doc, text, len, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(
		json_to_u64(json_get(json_get(doc.root, "otherData"), "dropped_in_rings"), &ts), 0);
	e = json_get(doc.root, "traceEvents");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	for (e = e->first; e; e = e->next) {
		const struct json_value *ph = json_get(e, "ph"), *name = json_get(e, "name");

		CU_ASSERT_TRUE_FATAL(ph && ph->type == JSON_STRING && name &&
				     name->type == JSON_STRING);
		CU_ASSERT_EQUAL(json_to_u64(json_get(e, "pid"), &pid), 0);
		CU_ASSERT_EQUAL(json_to_u64(json_get(e, "tid"), &tid), 0);
		ts = thousandths(json_get(e, "ts"));
		CU_ASSERT_NOT_EQUAL(ts, UINT64_MAX);
		if (*ph->text == 'M')
			continue;
		CU_ASSERT_TRUE(ts >= last);
		last = ts;
		switch (*ph->text) {
		case 'B':
			depth++;
			break;
		case 'E':
			CU_ASSERT_TRUE(depth > 0);
			depth--;
			break;
		case 'b':
			CU_ASSERT_PTR_NOT_NULL(json_get(e, "id"));
			open++;
			break;
		case 'e':
			CU_ASSERT_TRUE(open > 0);
			open--;
			break;
		case 'X':
			CU_ASSERT_NOT_EQUAL(thousandths(json_get(e, "dur")), UINT64_MAX);
			if (pid == 3 && tid == 0) { /* one inside the other */
				ts += thousandths(json_get(e, "dur"));
				CU_ASSERT_TRUE(!spans++ || ts <= busy);
				busy = spans == 1 ? ts : busy;
			}
			break;
		case 'i':
			CU_ASSERT_PTR_NOT_NULL(json_get(e, "s"));
			break;
		default:
			CU_ASSERT_EQUAL(*ph->text, 'C');
		}
	}
	CU_ASSERT_EQUAL(depth, 0);
	CU_ASSERT_EQUAL(open, 0);
	CU_ASSERT_EQUAL(spans, 2);
	json_doc_free(&doc);
	free(text);
	/* Only what was asked for. */
	o.filter = (struct trace_filter){.category = {"swap"}, .nr = 1};
	text = text_of(trace_emit_csv, &o, &len);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "swap_out"));
	CU_ASSERT_PTR_NULL(strstr(text, "page_alloc"));
	free(text);
	trace_unload(&t);
}

/* ---- guests that lie ------------------------------------------------------------------------- */

/* Ring 0's head at 0xd023f080, its number to the port, then a record that ends the run (at 2 MiB:
 * kind 1, length 96). First 3 records, then a head that cannot be. */
__asm__(".pushsection .rodata\n"
	".globl guest_liar\nguest_liar:\n"
	"  mov $0xd023f080, %ebx\n"
	"  movl $3, (%rbx)\n"
	"  mov $0x618, %edx\n"
	"  xor %eax, %eax\n"
	"  out %al, %dx\n"
	"  mov $200, %al\n" /* no such CPU */
	"  out %al, %dx\n"
	"  movl $0x7fffffff, (%rbx)\n"
	"  xor %eax, %eax\n"
	"  out %al, %dx\n"
	"  movl $4, (%rbx)\n" /* and back: too late */
	"  movl $0, 64(%rbx)\n"
	"  out %al, %dx\n"
	/* what the host keeps for itself is not read from here */
	"  movl $-1, -120(%rbx)\n"
	"  out %al, %dx\n"
	"  mov $0x200000, %ebx\n"
	"  movl $1, (%rbx)\n"
	"  movl $96, 4(%rbx)\n"
	"  mov $0x20000, %eax\n"
	"  mov $0x600, %edx\n"
	"  out %eax, %dx\n"
	"1: jmp 1b\n"
	".globl guest_liar_end\nguest_liar_end:\n"
	".popsection\n");
extern const unsigned char guest_liar[], guest_liar_end[];

static void exit_event(void *self, const struct machine_exit_event *e)
{
	trace_exit_event(self, e);
}

static void ring_full(void *self, unsigned int cpu)
{
	trace_ring_full(self, cpu);
}

static const struct observer to_trace = {
	.name = "trace", .exit_event = exit_event, .ring_full = ring_full};

static void test_liar(void)
{
	struct observers o = {.nr = 0};
	char path[] = "/tmp/mmvm-trace-XXXXXX";
	struct machine_config c = {.ram_low = RAM, .cpus = 1, .timeout_s = 30, .console_fd = -1};
	struct machine_outcome out;
	struct trace_summary sum;
	struct mmvm_error err = {0};
	struct test_elf elf = {.fd = -1};
	struct trace_data t;
	struct trace *trace;
	struct machine *m;
	unsigned int guest = 0;

	if (access("/dev/kvm", R_OK | W_OK)) {
		printf("skipped: /dev/kvm cannot be opened ");
		return;
	}
	close(mkstemp(path));
	test_elf_make(&elf, guest_liar, (size_t)(guest_liar_end - guest_liar));
	c.kernel = test_elf_write(&elf, elf.len);
	trace = trace_create(path, 1 << 20, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(trace);
	observers_attach(&o, &to_trace, trace);
	c.observers = &o;
	m = machine_create(&c, &err);
	if (!m)
		printf("%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL(trace_begin(trace, m, &c, NULL, "kvm", "test", &err), 0);
	machine_run(m, &out);
	CU_ASSERT_EQUAL(out.kind, OUTCOME_EXITED);
	trace_end(trace, true, &sum);
	machine_destroy(m);
	trace_free(trace);
	CU_ASSERT_EQUAL(sum.guest_records, 3);
	CU_ASSERT_EQUAL(sum.broken_rings, 1);
	CU_ASSERT_EQUAL(sum.full, 4);
	CU_ASSERT_EQUAL(sum.write_error, 0);
	CU_ASSERT_EQUAL_FATAL(trace_load(&t, path, &err), 0);
	CU_ASSERT_TRUE(t.complete);
	CU_ASSERT_EQUAL(t.bad, 3); /* zeroes */
	for (size_t i = 0; i < t.nr; i++)
		guest += !t.event[i].host;
	CU_ASSERT_EQUAL(guest, 0);
	CU_ASSERT_TRUE(t.nr >= 5); /* exits and full rings */
	trace_unload(&t);
	test_elf_free(&elf);
	unlink(path);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"a trace reads back, in one order", test_reads_back},
		{"every prefix of a trace reads", test_every_prefix},
		{"damaged traces", test_damage},
		{"an end of another length", test_end_of_another_length},
		{"times at the edge", test_times_at_the_edge},
		{"a ring that changes while it is read", test_ring_changes_while_it_is_read},
		{"records that make no sense are left out", test_nonsense_is_left_out},
		{"files that are no traces", test_other_files},
		{"a page's life out to swap and back is legal", test_story_is_legal},
		{"counts are compared, unless records were dropped", test_counts_are_compared},
		{"every rule can be broken", test_rules},
		{"an address is followed through frames and slot", test_address_through_swap},
		{"Chrome's JSON", test_chrome},
		{"a guest that damages its ring", test_liar},
	};

	return unit_run("trace", cases, sizeof(cases) / sizeof(cases[0]));
}
