/*
 * The Linux column: measured on the kernel this runs on, which in the lab is Debian's, started as
 * lean as it goes (vmm/lab/qemu.c).
 *
 *   allocators   images/linux_bench.c as a module; reading /proc/mmvm_bench measures
 *   user side    user/bench_mem, the same file that guestmm runs
 *   swap         the same program, on a RAM disk (brd), filled beforehand so that it takes no memory
 *                later
 *   moves        the same program, in a run of its own: with two nodes, the kernel's other costs would be
 *                those of another configuration
 *   groups       the same program, in a run of its own, whose Linux has the memory controller
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench/bench.h"
#include "cli/cli.h"

#define DISK_SIZE (32ull << 20)
#define DISK	  "/dev/ram0"

/** Pass "bench ..." lines on as costs of Linux. */
static void pass_lines(FILE *out, FILE *in)
{
	char line[256];

	while (fgets(line, sizeof(line), in)) {
		if (!strncmp(line, "bench ", 6))
			fprintf(out, "cost linux %s", line + 6);
		else
			fprintf(out, "note Linux: %s", line);
	}
}

static int load_module(FILE *out, const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0)) {
		fprintf(out, "note cannot load %s into Linux: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

void bench_linux_program(FILE *out, const char *program, const char *argument)
{
	char path[4096], name[64];
	int fd[2], status;
	FILE *in;
	pid_t pid;

	snprintf(name, sizeof(name), "user/%s", program);
	cli_built_path(name, path, sizeof(path));
	fflush(out);
	if (pipe2(fd, O_CLOEXEC)) {
		fprintf(out, "note cannot run %s: %s\n", path, strerror(errno));
		return;
	}
	pid = fork();
	if (!pid) {
		dup2(fd[1], STDOUT_FILENO);
		execl(path, path, argument, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	in = fdopen(fd[0], "r");
	if (in) {
		pass_lines(out, in);
		fclose(in);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
		fprintf(out, "note %s did not run to its end under Linux\n", path);
}

/** Fill the RAM disk and write mkswap's header: version and last page at 1024, the word at the end
 * of the page. */
static int format_disk(void)
{
	static char page[4096];
	const uint32_t info[3] = {1, DISK_SIZE / sizeof(page) - 1, 0};
	int fd = open(DISK, O_WRONLY | O_CLOEXEC), rc = 0;

	if (fd < 0)
		return -errno;
	for (uint64_t at = 0; at < DISK_SIZE && !rc; at += sizeof(page)) {
		memset(page, 0, sizeof(page));
		if (!at) {
			memcpy(page + 1024, info, sizeof(info));
			memcpy(page + sizeof(page) - 10, "SWAPSPACE2", 10);
		}
		if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page))
			rc = -errno;
	}
	if (!rc && fsync(fd))
		rc = -errno;
	/* the copy in the page cache of the block device is memory, too */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return rc;
}

/** With the compressor and the pool that this kernel chooses by itself. */
static bool enable_zswap(FILE *out)
{
	int fd = open("/sys/module/zswap/parameters/enabled", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, "Y", 1) == 1;

	if (!done)
		fprintf(out, "note no zswap: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
	return done;
}

static void swap_rows(FILE *out, const char *ram_disk)
{
	int rc;

	if (load_module(out, ram_disk, "rd_nr=2 rd_size=32768"))
		return;
	rc = format_disk();
	if (rc || swapon(DISK, 0)) {
		fprintf(out, "note cannot swap to %s: %s\n", DISK, strerror(rc ? -rc : errno));
		return;
	}
	bench_linux_program(out, "bench_mem", "swap");
	if (enable_zswap(out))
		bench_linux_program(out, "bench_mem", "zswap");
	swapoff(DISK);
}

void bench_linux(FILE *out, const char *only, const char *module, const char *ram_disk)
{
	struct utsname name;

	uname(&name);
	fprintf(out, "linux %s\n", name.release);
	if (bench_group_wanted(only, BENCH_KERNEL) && !load_module(out, module, "")) {
		FILE *in = fopen("/proc/mmvm_bench", "re");

		if (in) {
			pass_lines(out, in);
			fclose(in);
		} else {
			fprintf(out, "note /proc/mmvm_bench: %s\n", strerror(errno));
		}
	}
	if (bench_group_wanted(only, BENCH_USER))
		bench_linux_program(out, "bench_mem", NULL);
	if (bench_group_wanted(only, BENCH_SWAP))
		swap_rows(out, ram_disk);
}

void bench_linux_smp(FILE *out, const char *ram_disk)
{
	if (load_module(out, ram_disk, "rd_nr=2 rd_size=32768"))
		return;
	bench_linux_program(out, "bench_smp", "2");
	bench_linux_program(out, "bench_smp", "4");
}
