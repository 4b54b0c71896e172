/*
 * libFuzzer target: a trace file from an untrusted source, given to the reader, every emitter and the check
 * of pages' lives. The input is the numbers of a header and chunks. Checksums are made right, because
 * nothing would get past them otherwise; every 16th is left wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "report/chrome_trace.h"
#include "report/page_life.h"
#include "result/page_life.h"
#include "result/trace_read.h"

#define FILE_MAX (256u << 10)

/** Bytes of the input, zeroes when there are none left. */
struct input {
	const uint8_t *at;
	size_t left;
};

static void take(struct input *in, void *to, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memset(to, 0, n);
	memcpy(to, in->at, have);
	in->at += have;
	in->left -= have;
}

static size_t put_chunk(uint8_t *file, size_t at, struct input *in)
{
	static uint8_t payload[4096];
	struct {
		uint8_t kind, cpu, odd;
		uint8_t len_low, len_high;
	} say;
	struct trace_chunk c = {.magic = TRACE_CHUNK_MAGIC};

	take(in, &say, sizeof(say));
	c.kind = say.kind % 6;
	c.cpu = say.cpu;
	c.len = say.len_low | (uint32_t)(say.len_high & 15) << 8;
	if (c.kind == TRACE_CHUNK_END && !(say.odd & 1))
		c.len = sizeof(struct trace_file_end);
	if (c.len > in->left)
		c.len = (uint32_t)in->left;
	take(in, payload, c.len);
	c.sum = trace_sum(payload, c.len) + (say.odd % 16 == 15);
	memcpy(file + at, &c, sizeof(c));
	memcpy(file + at + sizeof(c), payload, c.len);
	return at + sizeof(c) + ((c.len + 7u) & ~7u);
}

static void use(FILE *out, struct trace_data *t)
{
	struct trace_output o = {.trace = t};
	struct life_check check;

	life_print_head(out, t);
	trace_emit_text(out, &o);
	trace_emit_csv(out, &o);
	trace_emit_chrome(out, &o);
	if (!life_check(t, &check)) {
		life_print_check(out, &check);
		life_check_ok(&check);
	}
	life_print_list(out, t, 20);
	for (size_t i = 0, n = 0; i < t->nr && n < 3; i++) {
		if (t->event[i].host)
			continue;
		n++;
		life_print_frame(out, t, t->event[i].guest->pfn);
		life_print_address(out, t, t->event[i].guest->addr & ~4095ull,
				   t->event[i].guest->pid);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static uint8_t file[FILE_MAX + 8192];
	static FILE *null;
	static int fd = -1;
	struct input in = {bytes, len};
	struct trace_file_header h = {.magic = TRACE_FILE_MAGIC,
				      .version = TRACE_FILE_VERSION,
				      .size = sizeof(h),
				      .tsc_hz = 1000000000,
				      .ram_low = 16u << 20,
				      .ram_high = 1u << 20,
				      .cpus = 2};
	struct mmvm_error err;
	struct trace_data t;
	uint8_t how;
	size_t at;
	char path[32];

	if (!null) {
		null = fopen("/dev/null", "w");
		fd = memfd_create("trace", 0);
	}
	take(&in, &how, 1);
	if (how & 1) {
		take(&in, &h.tsc_hz, sizeof(h) - offsetof(struct trace_file_header, tsc_hz));
		h.ram_low %= 64u << 20;
		h.ram_high %= 64u << 20;
	}
	memset(file, 0, sizeof(file));
	memcpy(file, &h, sizeof(h));
	at = sizeof(h);
	while (in.left && at < FILE_MAX)
		at = put_chunk(file, at, &in);
	if (how & 2)
		at -= how >> 5;
	if (ftruncate(fd, 0) || pwrite(fd, file, at, 0) != (ssize_t)at)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (trace_load(&t, path, &err))
		return 0;
	use(null, &t);
	trace_unload(&t);
	return 0;
}
