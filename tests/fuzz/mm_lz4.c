/*
 * libFuzzer target: LZ4 (guestmm/lib/lz4.c). The input is decompressed as a block, which may be anything: no
 * access may leave the buffers. Then the input is compressed as data: the block must fit into the room
 * given, and must decompress to the same data.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/lz4.h"

#define MUST(cond)               \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct lz4_table table;
	size_t cap, n;
	uint8_t *in, *out, *back;
	long r;

	if (len < 2 || len > 8192)
		return 0;
	cap = bytes[0] * 17u;
	in = malloc(len);
	out = malloc(cap ? cap : 1);
	MUST(in && out);
	memcpy(in, bytes, len);
	r = lz4_decompress(in, len, out, cap);
	MUST(r >= -1 && r <= (long)cap);
	free(out);
	cap = bytes[1] * 40u;
	out = malloc(cap ? cap : 1);
	back = malloc(len);
	MUST(out && back);
	n = lz4_compress(in, len, out, cap, &table);
	MUST(n <= cap);
	MUST(n || cap < len + len / 255 + 16);
	if (n)
		MUST(lz4_decompress(out, n, back, len) == (long)len && !memcmp(back, in, len));
	free(back);
	free(out);
	free(in);
	return 0;
}
