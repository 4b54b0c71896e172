/*
 * Our LZ4 against liblz4, both ways. We decompress what liblz4 compresses (at each speed, and in its high-
 * compression form), and liblz4 decompresses what we compress, on pages of many kinds and at every length up
 * to a few hundred. Damaged blocks: our code never leaves its buffers (under ASan), and a block that liblz4
 * accepts decompresses to the same data.
 *
 *   lz4 [SEED [ROUNDS]]
 */
#include <lz4.h>
#include <lz4hc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../../guestmm/lib/lz4.h"

#define PAGE 4096
#define MUST(cond, ...)                                                   \
	do {                                                              \
		if (!(cond)) {                                            \
			fprintf(stderr, "lz4: %s:%d: ", #cond, __LINE__); \
			fprintf(stderr, __VA_ARGS__);                     \
			fputc('\n', stderr);                              \
			exit(1);                                          \
		}                                                         \
	} while (0)

static uint64_t rng;
static struct lz4_table table;
static uint64_t ours_bytes, theirs_bytes, blocks, damaged, accepted;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Kinds of data that memory holds. */
static void fill(uint8_t *p, size_t n, unsigned int kind)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog; ";

	for (size_t i = 0; i < n; i++) {
		switch (kind) {
		case 0:
			p[i] = 0;
			break;
		case 1:
			p[i] = (uint8_t)next_random();
			break;
		case 2:
			p[i] = (uint8_t)text[(i + next_random() % 3) % (sizeof(text) - 1)];
			break;
		case 3: /* small integers */
			p[i] = i % 8 ? 0 : (uint8_t)next_random();
			break;
		case 4: /* pointers */
			p[i] = i % 8 < 3 ? (uint8_t)next_random() : (uint8_t)(0x80 + i % 8);
			break;
		case 5: /* long repeats */
			p[i] = i < 300 ? (uint8_t)next_random()
				       : p[i - 300 + next_random() % 64 / 63];
			break;
		default: /* runs */
			p[i] = i && next_random() % 40 ? p[i - 1] : (uint8_t)next_random();
		}
	}
}
#define NR_KINDS 7

/* Decompress with ours into a buffer of the exact size: a byte too far is seen. */
static long ours(const void *block, size_t len, size_t cap, uint8_t **out)
{
	uint8_t *copy = malloc(len ? len : 1);
	long n;

	memcpy(copy, block, len);
	*out = malloc(cap ? cap : 1);
	n = lz4_decompress(copy, len, *out, cap);
	free(copy);
	return n;
}

static void check_decodes(const char *who, const void *block, size_t len, const uint8_t *want,
			  size_t n)
{
	uint8_t *got;
	long r = ours(block, len, n, &got);

	MUST(r == (long)n && !memcmp(got, want, n), "%s: %zu bytes from %zu: got %ld", who, n, len,
	     r);
	free(got);
	if (n) {
		r = ours(block, len, n - 1, &got);
		MUST(r == -1, "%s: %zu bytes went into %zu", who, n, n - 1);
		free(got);
	}
}

/* Does a block that liblz4 takes have an offset of 0? It is not valid, and liblz4 1.9 does not look. */
static bool has_zero_offset(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint8_t token = p[i++];
		size_t n = token >> 4;

		for (uint8_t b = 255; n >= 15 && b == 255 && i < len; n += b)
			b = p[i++];
		i += n;
		if (i + 2 > len)
			return false;
		if (!p[i] && !p[i + 1])
			return true;
		i += 2;
		n = token & 15;
		for (uint8_t b = 255; n == 15 && b == 255 && i < len;)
			b = p[i++];
	}
	return false;
}

static void damage(const uint8_t *block, size_t len, size_t cap)
{
	uint8_t bad[PAGE * 2], theirs[PAGE], *got;
	size_t cut = next_random() % 4 ? len : next_random() % (len + 1);
	int want;
	long r;

	memcpy(bad, block, len);
	for (unsigned int i = next_random() % 4; cut && i > 0; i--)
		bad[next_random() % cut] ^= (uint8_t)(1u << next_random() % 8);
	r = ours(bad, cut, cap, &got);
	want = LZ4_decompress_safe((char *)bad, (char *)theirs, (int)cut, (int)cap);
	MUST(r >= -1 && r <= (long)cap, "%ld of %zu", r, cap);
	if (want >= 0 && !(r < 0 && has_zero_offset(bad, cut)))
		MUST(r == want && !memcmp(got, theirs, (size_t)want), "liblz4: %d, ours: %ld", want,
		     r);
	accepted += want >= 0;
	damaged++;
	free(got);
}

static void round_trip(const uint8_t *data, size_t n)
{
	uint8_t *block = malloc((size_t)LZ4_compressBound((int)n) + 1), back[PAGE];
	int cap = LZ4_compressBound((int)n), len;
	size_t mine = lz4_compress(data, n, block, (size_t)cap, &table);

	MUST(mine, "%zu bytes do not fit into %d", n, cap);
	MUST(LZ4_decompress_safe((char *)block, (char *)back, (int)mine, (int)n) == (int)n &&
		     !memcmp(back, data, n),
	     "liblz4 does not read our %zu bytes", n);
	check_decodes("ours", block, mine, data, n);
	/* The room it needs, and not a byte more; never beyond the room. */
	for (size_t room = 0; room < mine; room += 1 + mine / 5) {
		uint8_t *tight = malloc(room ? room : 1);
		size_t r = lz4_compress(data, n, tight, room, &table);

		MUST(r == 0 || r <= room, "%zu bytes in room for %zu", r, room);
		free(tight);
	}
	if (n)
		damage(block, mine, n);
	for (int speed = 1; speed < 20; speed += 9) {
		len = LZ4_compress_fast((const char *)data, (char *)block, (int)n, cap, speed);
		MUST(len > 0, "liblz4");
		check_decodes("liblz4", block, (size_t)len, data, n);
		if (speed == 1 && n == PAGE) {
			theirs_bytes += (uint64_t)len;
			ours_bytes += mine;
		}
	}
	len = LZ4_compress_HC((const char *)data, (char *)block, (int)n, cap, 9);
	check_decodes("liblz4 HC", block, (size_t)len, data, n);
	blocks++;
	free(block);
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 400;
	uint8_t data[PAGE];

	rng = argc > 1 ? strtoull(argv[1], NULL, 0) | 1 : 0x5eed5eed5eedull;
	for (unsigned int kind = 0; kind < NR_KINDS; kind++) {
		for (size_t n = 0; n < 300; n++) {
			fill(data, n, kind);
			round_trip(data, n);
		}
		for (unsigned long i = 0; i < rounds; i++) {
			fill(data, PAGE, kind);
			/* Mixed pages: a part of another kind. */
			if (i % 2) {
				size_t from = next_random() % PAGE;

				fill(data + from, PAGE - from, next_random() % NR_KINDS);
			}
			round_trip(data, PAGE);
		}
	}
	MUST(accepted < damaged && accepted > 0, "%lu of %lu damaged blocks accepted",
	     (unsigned long)accepted, (unsigned long)damaged);
	/* As good as liblz4's on the whole. */
	MUST(ours_bytes < theirs_bytes * 21 / 20, "ours %lu bytes, liblz4's %lu",
	     (unsigned long)ours_bytes, (unsigned long)theirs_bytes);
	printf("lz4: %lu blocks, %lu damaged; pages: ours %.2f of the size, liblz4 %.2f\n",
	       (unsigned long)blocks, (unsigned long)damaged,
	       (double)ours_bytes / ((double)rounds * NR_KINDS * PAGE),
	       (double)theirs_bytes / ((double)rounds * NR_KINDS * PAGE));
	return 0;
}
