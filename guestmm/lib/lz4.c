/*
 * LZ4 block format.
 *
 *   block     sequence ... sequence, the last one without a match
 *   sequence  token | more literal length | literals | offset (2 bytes) | more match length
 *   token     literal length (4 bits) | match length - 4 (4 bits); 15: bytes follow, up to one below 255
 *
 * Rules for the end of a block, which decoders may rely on: the last five bytes are literals, and the
 * last match begins at least twelve bytes before the end.
 *
 * The compressor is greedy: it takes the last place where the same four bytes were seen, and steps
 * faster the longer it finds nothing.
 */
#include "lz4.h"

#define MIN_MATCH     4u
#define LAST_LITERALS 5u
#define MATCH_MARGIN  12u
#define SKIP_SHIFT    6u /* fruitless tries, as a power of two, before the step grows by one */

typedef uint8_t u8;

static uint32_t load32(const u8 *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t load64(const u8 *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static unsigned int hash_of(const u8 *p)
{
	return load32(p) * 2654435761u >> (32 - LZ4_HASH_BITS);
}

/* Bytes that are alike from a and b on; a stays below `end`. */
static size_t common_length(const u8 *a, const u8 *b, const u8 *end)
{
	const u8 *start = a;

	while (end - a >= 8) {
		uint64_t diff = load64(a) ^ load64(b);

		if (diff)
			return (size_t)(a - start) + (size_t)__builtin_ctzll(diff) / 8;
		a += 8;
		b += 8;
	}
	while (a < end && *a == *b) {
		a++;
		b++;
	}
	return (size_t)(a - start);
}

static u8 *put_length(u8 *op, size_t n)
{
	for (; n >= 255; n -= 255)
		*op++ = 255;
	*op++ = (u8)n;
	return op;
}

/* One sequence. match 0: the last one. NULL: no room. */
static u8 *put_sequence(u8 *op, const u8 *end, const u8 *literals, size_t nr, size_t offset,
			size_t match)
{
	const size_t more = match ? match - MIN_MATCH : 0;
	u8 *token = op;

	if ((size_t)(end - op) < 1 + nr / 255 + 1 + nr + 2 + more / 255 + 1)
		return NULL;
	op++;
	*token = (u8)((nr < 15 ? nr : 15) << 4 | (more < 15 ? more : 15));
	if (nr >= 15)
		op = put_length(op, nr - 15);
	__builtin_memcpy(op, literals, nr);
	op += nr;
	if (!match)
		return op;
	*op++ = (u8)offset;
	*op++ = (u8)(offset >> 8);
	return more >= 15 ? put_length(op, more - 15) : op;
}

size_t lz4_compress(const void *source, size_t len, void *dest, size_t cap, struct lz4_table *table)
{
	const u8 *src = source, *ip = src, *literals = src, *end = src + len;
	const u8 *op_end = (u8 *)dest + cap;
	unsigned int misses = 0;
	u8 *op = dest;

	if (len > LZ4_MAX_INPUT)
		return 0;
	__builtin_memset(table, 0, sizeof(*table));
	if (len > MATCH_MARGIN)
		ip++; /* nothing is before the first byte; the table's zeroes name it */
	while (len > MATCH_MARGIN && ip <= end - MATCH_MARGIN) {
		uint16_t *slot = &table->at[hash_of(ip)];
		const u8 *ref = src + *slot;
		size_t match;

		*slot = (uint16_t)(ip - src);
		if (load32(ref) != load32(ip)) {
			ip += 1 + (misses++ >> SKIP_SHIFT);
			continue;
		}
		misses = 0;
		while (ip > literals && ref > src && ip[-1] == ref[-1]) {
			ip--;
			ref--;
		}
		match = MIN_MATCH +
			common_length(ip + MIN_MATCH, ref + MIN_MATCH, end - LAST_LITERALS);
		op = put_sequence(op, op_end, literals, (size_t)(ip - literals), (size_t)(ip - ref),
				  match);
		if (!op)
			return 0;
		ip += match;
		literals = ip;
		if (ip <= end - MATCH_MARGIN)
			table->at[hash_of(ip - 2)] = (uint16_t)(ip - 2 - src);
	}
	op = put_sequence(op, op_end, literals, (size_t)(end - literals), 0, 0);
	return op ? (size_t)(op - (u8 *)dest) : 0;
}

/* The rest of a length of 15 or more. False: the block ends within it. */
static int get_length(const u8 **ip, const u8 *end, size_t *n)
{
	u8 b;

	do {
		if (*ip == end)
			return 0;
		b = *(*ip)++;
		*n += b;
	} while (b == 255);
	return 1;
}

/* A match may overlap what it writes: then it repeats the last `offset` bytes. */
static void copy_match(u8 *op, size_t offset, size_t n)
{
	const u8 *from = op - offset;

	if (offset >= 8) {
		for (; n >= 8; n -= 8) {
			uint64_t v = load64(from);

			__builtin_memcpy(op, &v, 8);
			op += 8;
			from += 8;
		}
	}
	while (n--)
		*op++ = *from++;
}

long lz4_decompress(const void *source, size_t len, void *dest, size_t cap)
{
	const u8 *ip = source, *end = ip + len;
	u8 *op = dest, *op_end = op + cap;

	for (;;) {
		size_t n, offset;
		u8 token;

		if (ip == end)
			return -1;
		token = *ip++;
		n = token >> 4;
		if (n == 15 && !get_length(&ip, end, &n))
			return -1;
		if (n > (size_t)(end - ip) || n > (size_t)(op_end - op))
			return -1;
		__builtin_memcpy(op, ip, n);
		ip += n;
		op += n;
		if (ip == end)
			return op - (u8 *)dest;
		if (end - ip < 2)
			return -1;
		offset = (size_t)(ip[0] | ip[1] << 8);
		ip += 2;
		if (!offset || offset > (size_t)(op - (u8 *)dest))
			return -1;
		n = token & 15;
		if (n == 15 && !get_length(&ip, end, &n))
			return -1;
		n += MIN_MATCH;
		if (n > (size_t)(op_end - op))
			return -1;
		copy_match(op, offset, n);
		op += n;
	}
}
