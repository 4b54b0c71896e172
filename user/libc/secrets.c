/*
 * memfd_secret(2): which calls reach its pages and which do not: a transcript to compare (tests/vm/conform_programs.sh).
 * Linux 6.1 has it with secretmem.enable=1 on its command line.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "transcript.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#define PAGE 4096
#define RW   (PROT_READ | PROT_WRITE)

static int secret(unsigned int flags)
{
	return syscall(SYS_memfd_secret, flags);
}

static void *map(int fd, int pages, int prot, int flags)
{
	return mmap(NULL, pages * PAGE, prot, flags, fd, 0);
}

static const char *mapped(void *p)
{
	return p == MAP_FAILED ? result(-1) : "yes";
}

/* Does a child that touches p live, and what does it see? */
static void touch(const char *what, const char *p)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(*(volatile const char *)p);
	waitpid(pid, &status, 0);
	printf("%s: %s %d\n", what, WIFSIGNALED(status) ? "signal" : "reads",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void the_file(void)
{
	int fd = secret(O_CLOEXEC), other;
	struct statfs fs;
	struct stat st;
	char buf[PAGE];

	printf("flags: %s", result(secret(1)));
	printf(" %s", result(secret(O_NONBLOCK)));
	printf(" close on exec %d %d\n", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL) & O_ACCMODE);
	fstat(fd, &st);
	fstatfs(fd, &fs);
	printf("mode %o size %ld links %ld type %lx\n", st.st_mode, (long)st.st_size,
	       (long)st.st_nlink, (long)fs.f_type);
	printf("size: %s", result(ftruncate(fd, 0)));
	printf(" %s", result(ftruncate(fd, 2 * PAGE)));
	printf(" again %s", result(ftruncate(fd, 2 * PAGE)));
	printf(" smaller %s", result(ftruncate(fd, 0)));
	printf(" larger %s", result(ftruncate(fd, 4 * PAGE)));
	printf(" hole %s\n",
	       result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE)));
	printf("read %s", result(read(fd, buf, 1)));
	printf(" write %s", result(write(fd, buf, 1)));
	printf(" pread %s", result(pread(fd, buf, 1, 0)));
	printf(" seals %s", result(fcntl(fd, F_GET_SEALS)));
	printf(" fsync %s\n", result(fsync(fd)));
	printf("private %s", mapped(map(fd, 1, RW, MAP_PRIVATE)));
	printf(" program %s", mapped(map(fd, 1, PROT_READ | PROT_EXEC, MAP_SHARED)));
	printf(" shared %s\n", mapped(map(fd, 1, RW, MAP_SHARED)));
	other = secret(0);
	touch("no size", map(other, 1, RW, MAP_SHARED));
}

static void reach(void)
{
	int fd = secret(0), pipes[2], out = memfd_create("out", 0);
	struct iovec from, to;
	char *p, buf[16] = {0}, other[32];
	int mem;

	ftruncate(fd, 2 * PAGE);
	p = map(fd, 3, RW, MAP_SHARED);
	printf("zero at first: %d\n", p[PAGE + 5]);
	strcpy(p, "secret");
	strcpy(p + PAGE, "number");
	touch("a child", p);
	touch("beyond the end", p + 2 * PAGE);
	printf("write from it %s", result(write(out, p, 7)));
	pread(out, buf, 7, 0);
	printf(" %s, read into it %s", buf, result(pread(out, p + 100, 7, 0)));
	printf(" %s\n", p + 100);
	from = (struct iovec){p, 7};
	to = (struct iovec){buf, 7};
	printf("process_vm_readv %s", result(process_vm_readv(getpid(), &to, 1, &from, 1, 0)));
	printf(" writev %s", result(process_vm_writev(getpid(), &to, 1, &from, 1, 0)));
	mem = open("/proc/self/mem", O_RDONLY);
	printf(" /proc/self/mem %s", result(pread(mem, buf, 7, (long)p)));
	strcpy(other, "not secret");
	printf(", of other memory %s", result(pread(mem, buf, 11, (long)other)));
	printf(" %s\n", buf);
	pipe(pipes);
	printf("vmsplice %s", result(vmsplice(pipes[1], &from, 1, 0)));
	printf(" splice %s", result(splice(fd, &(off_t){0}, pipes[1], NULL, PAGE, 0)));
	printf(" sendfile %s\n", result(sendfile(out, fd, &(off_t){0}, PAGE) < 0 ? -1 : 0));
	printf("mlock %s", result(mlock(p, PAGE)));
	printf(" munlock %s", result(munlock(p, PAGE)));
	printf(" dontneed %s", result(madvise(p, PAGE, MADV_DONTNEED)));
	printf(" remove %s", result(madvise(p, PAGE, MADV_REMOVE)));
	printf(" pageout %s", result(madvise(p, PAGE, 21)));
	printf(" populate %s", result(madvise(p, PAGE, 22)));
	printf(" willneed %s", result(madvise(p, PAGE, MADV_WILLNEED)));
	printf(" dump %s", result(madvise(p, PAGE, MADV_DODUMP)));
	printf(" file: readahead %s", result(readahead(fd, 0, PAGE)));
	printf(" fadvise %s",
	       result(-posix_fadvise(fd, 0, PAGE, POSIX_FADV_WILLNEED) < 0 ? -1 : 0));
	printf(" msync %s\n", result(msync(p, PAGE, MS_SYNC)));
	printf("rights %s", result(mprotect(p, PAGE, PROT_READ | PROT_EXEC)));
	printf(" %s\n", result(mprotect(p, PAGE, PROT_READ)));
	mprotect(p, PAGE, RW);
	printf("moved %s", mapped(p = mremap(p, PAGE, 6 * PAGE, MREMAP_MAYMOVE)));
	if (p != MAP_FAILED)
		printf(" %s\n", p);
	snprintf(other, sizeof(other), "/proc/self/fd/%d", fd);
	printf("opened again %s\n", done(open(other, O_RDWR)));
	close(fd);
	printf("without the descriptor %s\n", p);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	the_file();
	reach();
	puts("end");
	return 0;
}
