/* Bitmaps on the disk: bit n of a block is bit n % 8 of byte n / 8, as little-endian words have it. */
#ifndef EXT2_BITMAP_H
#define EXT2_BITMAP_H
#include "lib/types.h"

static inline bool bitmap_test(const void *map, u32 bit)
{
	return ((const u8 *)map)[bit / 8] >> bit % 8 & 1;
}
static inline void bitmap_set(void *map, u32 bit)
{
	((u8 *)map)[bit / 8] |= 1u << bit % 8;
}
static inline void bitmap_clear(void *map, u32 bit)
{
	((u8 *)map)[bit / 8] &= ~(1u << bit % 8);
}
/** First clear bit in [from, end), or `end`. The map's size is a multiple of 8 bytes. */
static inline u32 bitmap_next_zero(const void *map, u32 from, u32 end)
{
	const u64 *word = map;

	while (from < end) {
		u64 zeroes = ~word[from / 64] >> from % 64;

		if (zeroes) {
			from += __builtin_ctzll(zeroes);
			return min(from, end);
		}
		from = (from / 64 + 1) * 64;
	}
	return end;
}
#endif
