/*
 * LZ4 block format, compress and decompress (lz4_Block_format.md of the LZ4 project, version 1.6.3).
 *
 * Needs nothing of the kernel: the guest compresses with it, the host's audit decompresses with it,
 * tests hold it against liblz4.
 */
#ifndef LIB_LZ4_H
#define LIB_LZ4_H
#include <stddef.h>
#include <stdint.h>

#define LZ4_MAX_INPUT 65535u /* positions are kept in 16 bits */
#define LZ4_HASH_BITS 11

/** Where four bytes were seen last: work memory of one compression. */
struct lz4_table {
	uint16_t at[1u << LZ4_HASH_BITS];
};

/** Compress `len` (at most LZ4_MAX_INPUT) bytes into at most `cap`. Returns the length, 0 when it
 * does not fit. The result depends on nothing but the input. */
size_t lz4_compress(const void *source, size_t len, void *dest, size_t cap,
		    struct lz4_table *table);
/** Decompress a block of `len` bytes, which may be damaged, into at most `cap` bytes. Returns the
 * length, or -1: the block is not whole, names bytes before its start or is too long. Never reads or
 * writes beyond either buffer; what it has written before it found out stays. */
long lz4_decompress(const void *source, size_t len, void *dest, size_t cap);
#endif
