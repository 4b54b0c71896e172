/*
 * Takes memory until somebody stops it.
 *
 * oomhog [--mb N] [--chunk KIB]   at most N MiB (default: no limit), in chunks (default 256)
 *
 * Every page is written. Reaching N exits 0; a failed mmap exits 1; otherwise the OOM killer ends
 * it.
 */
#include "rt.h"

int main(int argc, char **argv)
{
	uint64_t mb = UINT64_MAX >> 20, chunk = 256, taken = 0, seed = 1;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	     ? &mb
			       : !strcmp(argv[i], "--chunk") ? &chunk
							     : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !chunk) {
			print("usage: oomhog [--mb N] [--chunk KIB]\n");
			return 2;
		}
	}
	while (taken < mb << 20) {
		long p = map_memory(chunk << 10);

		if (is_error(p)) {
			print("oomhog: mmap failed after %lu KiB: error %ld\n", taken >> 10, -p);
			return 1;
		}
		/* Random words: pages that are all alike could be swapped for nothing. */
		for (uint64_t off = 0; off < chunk << 10; off += PAGE_SIZE)
			*(uint64_t *)(p + off) = random_next(&seed);
		taken += chunk << 10;
		report_progress("taken KiB", taken >> 10, 0);
	}
	print("oomhog: %lu MiB taken\n", taken >> 20);
	return 0;
}
