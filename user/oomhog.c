/*
 * Takes memory until it is stopped.
 *
 * oomhog [--mb N] [--chunk KIB] [--memfd 1] [--stay 1] [--protect 1]
 *
 *   --mb N        at most N MiB; default: no limit
 *   --chunk KIB   how much at a time; default 256
 *   --memfd 1     the memory belongs to a memfd: each chunk is unmapped after it was written
 *   --stay 1      with N MiB taken it waits for a signal; else it exits with 0
 *   --protect 1   the OOM killer may not choose it: its oom_score_adj is -1000
 *
 * Every page is written. A failed mmap exits 1; otherwise the OOM killer ends it.
 */
#include "fs.h"

#define SYS_pause	 34
#define SYS_ftruncate	 77
#define SYS_memfd_create 319

/** Whether the OOM killer leaves this process alone from now on. */
static bool protect_from_oom(void)
{
	static const char never[] = "-1000";
	long fd = sys_open("/proc/self/oom_score_adj", O_WRONLY, 0), n;

	if (is_error(fd))
		return false;
	n = sys_write((int)fd, never, sizeof(never) - 1);
	sys_close((int)fd);
	return n == sizeof(never) - 1;
}

int main(int argc, char **argv)
{
	uint64_t mb = UINT64_MAX >> 20, chunk = 256, taken = 0, seed = 1, memfd = 0, stay = 0;
	uint64_t protect = 0;
	long fd = -1;

	for (int i = 1; i < argc; i += 2) {
		uint64_t *to = !strcmp(argv[i], "--mb")	       ? &mb
			       : !strcmp(argv[i], "--chunk")   ? &chunk
			       : !strcmp(argv[i], "--memfd")   ? &memfd
			       : !strcmp(argv[i], "--stay")    ? &stay
			       : !strcmp(argv[i], "--protect") ? &protect
							       : NULL;

		if (!to || i + 1 == argc || !parse_size(argv[i + 1], to) || !chunk) {
			print("usage: oomhog [--mb N] [--chunk KIB] [--memfd 1] [--stay 1] "
			      "[--protect 1]\n");
			return 2;
		}
	}
	if (protect && !protect_from_oom()) {
		print("oomhog: /proc/self/oom_score_adj cannot be written\n");
		return 1;
	}
	if (memfd) {
		fd = syscall3(SYS_memfd_create, (long)"hog", 0, 0);
		if (is_error(fd) || is_error(syscall3(SYS_ftruncate, fd, 1l << 40, 0))) {
			print("oomhog: memfd_create failed: error %ld\n", -fd);
			return 1;
		}
	}
	while (taken < mb << 20) {
		long p = memfd ? syscall6(SYS_mmap, 0, chunk << 10, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, taken)
			       : map_memory(chunk << 10);

		if (is_error(p)) {
			print("oomhog: mmap failed after %lu KiB: error %ld\n", taken >> 10, -p);
			return 1;
		}
		/* Random words: pages that are all alike could be swapped for nothing. */
		for (uint64_t off = 0; off < chunk << 10; off += PAGE_SIZE)
			*(uint64_t *)(p + off) = random_next(&seed);
		if (memfd)
			syscall3(SYS_munmap, p, chunk << 10, 0);
		taken += chunk << 10;
		report_progress("taken KiB", taken >> 10, 0);
	}
	while (stay)
		syscall3(SYS_pause, 0, 0, 0);
	print("oomhog: %lu MiB taken\n", taken >> 20);
	return 0;
}
