/*
 * System V shared memory and semaphores: a transcript to compare
 * (tests/vm/conform_programs.sh). Identifiers, addresses and times are not printed.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "transcript.h"

#define PAGE 4096l
#define KEY  0x5359535

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

static void in_child(const char *what, void (*fn)(int), int arg)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn(arg);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%s: status %x\n", what, status);
}

static void show(const char *what, int id)
{
	struct shmid_ds d;

	if (shmctl(id, IPC_STAT, &d)) {
		printf("%s: %s\n", what, result(-1));
		return;
	}
	printf("%s: key %s mode %o size %lu attached %lu cpid %s lpid %s atime %d dtime %d ctime "
	       "%d\n",
	       what,
	       d.shm_perm.__key == KEY ? "ours"
	       : d.shm_perm.__key      ? "other"
				       : "0",
	       d.shm_perm.mode, (unsigned long)d.shm_segsz, (unsigned long)d.shm_nattch,
	       d.shm_cpid == getpid() ? "me" : "other",
	       !d.shm_lpid		? "0"
	       : d.shm_lpid == getpid() ? "me"
					: "other",
	       d.shm_atime != 0, d.shm_dtime != 0, d.shm_ctime != 0);
}

/* ---- shared memory ---------------------------------------------------------------------------- */

static void child_writes(int id)
{
	char *p = shmat(id, NULL, 0);

	show("in the child", id);
	strcpy(p + PAGE, "from the child");
}

static void inherits(int id)
{
	show("inherited", id);
}

static void execs(int id)
{
	(void)id;
	execl("/proc/self/exe", "sysv", "status", (char *)0);
}

static void segments(void)
{
	int id = shmget(KEY, 3 * PAGE - 100, IPC_CREAT | 0640), id2;
	char *p, *q, *r;

	printf("get %s\n", done(id));
	show("new", id);
	printf("again %s", shmget(KEY, 0, 0) == id ? "same" : "other");
	printf(" smaller %s", shmget(KEY, 100, 0) == id ? "same" : "other");
	printf(" larger %s", result(shmget(KEY, 3 * PAGE, 0)));
	printf(" exclusive %s", result(shmget(KEY, 100, IPC_CREAT | IPC_EXCL)));
	printf(" no such %s", result(shmget(KEY + 1, 100, 0)));
	printf(" empty %s", result(shmget(IPC_PRIVATE, 0, 0600)));
	printf(" huge %s\n", result(shmget(IPC_PRIVATE, ~0ul, 0600)));
	p = shmat(id, NULL, 0);
	printf("attached %s zero %d aligned %d\n", done((long)p), p[0] + p[2 * PAGE],
	       !((long)p & (PAGE - 1)));
	show("once", id);
	q = shmat(id, NULL, SHM_RDONLY);
	strcpy(p, "written");
	printf("twice: [%s]\n", q);
	show("twice", id);
	printf("read-only: mprotect %s\n", result(mprotect(q, PAGE, PROT_READ | PROT_WRITE)));
	in_child("writing", child_writes, id);
	printf("[%s]\n", p + PAGE);
	show("after it", id);
	in_child("fork", inherits, id);
	in_child("exec", execs, id);
	show("again", id);
	/* detaching */
	printf("detach: odd %s", result(shmdt(q + 1)));
	printf(" inside %s", result(shmdt(q + PAGE)));
	printf(" nowhere %s", result(shmdt((void *)PAGE)));
	printf(" it %s", result(shmdt(q)));
	printf(" twice %s\n", result(shmdt(q)));
	show("one is left", id);
	munmap(p + PAGE, PAGE);
	show("a hole in it", id);
	printf("detached %s\n", result(shmdt(p)));
	show("none is left", id);
	p = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p, 16 * PAGE);
	/* places */
	printf("at %s", shmat(id, p + PAGE, 0) == (void *)(p + PAGE) ? "there" : result(-1));
	printf(" again %s", result((long)shmat(id, p + PAGE, 0)));
	printf(" over it %s",
	       shmat(id, p + 2 * PAGE, SHM_REMAP) == (void *)(p + 2 * PAGE) ? "there" : result(-1));
	printf(" odd %s", result((long)shmat(id, p + 8 * PAGE + 5, 0)));
	printf(" rounded %s", shmat(id, p + 8 * PAGE + 5, SHM_RND) == (void *)(p + 8 * PAGE)
				      ? "there"
				      : result(-1));
	printf(" remap of nothing %s\n", result((long)shmat(id, NULL, SHM_REMAP)));
	show("three", id);
	printf("detach: %s", result(shmdt(p + PAGE)));
	printf(" %s", result(shmdt(p + 2 * PAGE)));
	printf(" %s", result(shmdt(p + 8 * PAGE)));
	printf(" bad id %s", result((long)shmat(-1, NULL, 0)));
	printf(" no such %s\n", result((long)shmat(id + 77, NULL, 0)));
	/* removing */
	p = shmat(id, NULL, 0);
	printf("content stays: [%s]\n", p);
	printf("remove %s\n", result(shmctl(id, IPC_RMID, NULL)));
	show("removed, in use", id);
	printf("its key %s", result(shmget(KEY, 100, 0)));
	r = shmat(id, NULL, 0);
	printf(" attach %s", done((long)r));
	id2 = shmget(KEY, PAGE, IPC_CREAT | 0600);
	printf(" another %s\n", id2 >= 0 && id2 != id ? "yes" : "no");
	show("twice", id);
	shmdt(r);
	show("once", id);
	shmdt(p);
	printf("gone %s", result(shmctl(id, IPC_STAT, (struct shmid_ds *)p)));
	printf(" attach %s\n", result((long)shmat(id, NULL, 0)));
	printf("the other %s\n", result(shmctl(id2, IPC_RMID, NULL)));
	printf("twice %s\n", result(shmctl(id2, IPC_RMID, NULL)));
}

static void as_user(int id)
{
	struct shmid_ds d;

	if (setgid(65534) || setuid(65534))
		_exit(2);
	printf("user: read %s", done((long)shmat(id, NULL, SHM_RDONLY)));
	printf(" write %s", done((long)shmat(id, NULL, 0)));
	printf(" exec %s", done((long)shmat(id, NULL, SHM_RDONLY | SHM_EXEC)));
	printf(" stat %s", result(shmctl(id, IPC_STAT, &d)));
	printf(" set %s", result(shmctl(id, IPC_SET, &d)));
	printf(" remove %s", result(shmctl(id, IPC_RMID, NULL)));
	printf(" lock %s", result(shmctl(id, SHM_LOCK, NULL)));
	printf(" get %s", done(shmget(KEY, 1, 0444)));
	printf(" to write %s\n", done(shmget(KEY, 1, 0666)));
}

static void own_locks(int unused)
{
	struct rlimit small = {2 * PAGE, 2 * PAGE};
	int a, b;

	(void)unused;
	setrlimit(RLIMIT_MEMLOCK, &small);
	if (setgid(65534) || setuid(65534))
		_exit(2);
	a = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
	b = shmget(IPC_PRIVATE, PAGE, 0600);
	printf("own: lock %s", result(shmctl(a, SHM_LOCK, NULL)));
	printf(" one more %s", result(shmctl(b, SHM_LOCK, NULL)));
	printf(" unlock %s", result(shmctl(a, SHM_UNLOCK, NULL)));
	printf(" now %s\n", result(shmctl(b, SHM_LOCK, NULL)));
	show("locked", b);
	small.rlim_cur = 0;
	setrlimit(RLIMIT_MEMLOCK, &small);
	printf("limit 0: %s unlock %s\n", result(shmctl(a, SHM_LOCK, NULL)),
	       result(shmctl(b, SHM_UNLOCK, NULL)));
	shmctl(a, IPC_RMID, NULL);
	shmctl(b, IPC_RMID, NULL);
}

static void rights(void)
{
	int id = shmget(KEY, PAGE, IPC_CREAT | 0604);
	struct shmid_ds d;

	in_child("others may read", as_user, id);
	shmctl(id, IPC_STAT, &d);
	d.shm_perm.mode = 0777 | SHM_DEST;
	d.shm_perm.uid = 65534;
	printf("set %s\n", result(shmctl(id, IPC_SET, &d)));
	show("set", id);
	d.shm_perm.uid = (uid_t)-1;
	printf("no owner %s", result(shmctl(id, IPC_SET, &d)));
	printf(" fault %s", result(shmctl(id, IPC_SET, (void *)8)));
	printf(" %s", result(shmctl(id, IPC_STAT, (void *)8)));
	printf(" command %s", result(shmctl(id, 99, &d)));
	printf(" bad id %s\n", result(shmctl(-1, IPC_STAT, &d)));
	printf("lock %s", result(shmctl(id, SHM_LOCK, NULL)));
	show("", id);
	printf("unlock %s", result(shmctl(id, SHM_UNLOCK, NULL)));
	show("", id);
	in_child("its new owner", as_user, id);
	printf("it is gone %s\n", result(shmctl(id, IPC_STAT, &d)));
	in_child("locking", own_locks, 0);
}

static long number(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f && fscanf(f, "%ld", &n) != 1)
		n = -2;
	if (f)
		fclose(f);
	return n;
}

static int put_number(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	int err;

	if (!f)
		return -1;
	fputs(text, f);
	err = fclose(f);
	return err;
}

static int lines_of(const char *path, char *first, size_t size)
{
	FILE *f = fopen(path, "r");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (!n++)
			snprintf(first, size, "%s", line);
	}
	if (f)
		fclose(f);
	return n;
}

static void limits(void)
{
	const char *shmmni = "/proc/sys/kernel/shmmni", *shmmax = "/proc/sys/kernel/shmmax",
		   *shmall = "/proc/sys/kernel/shmall";
	struct shminfo info;
	struct shm_info used;
	char text[512] = "";
	int id[4], top;

	printf("shmmni %ld", number(shmmni));
	printf(" IPC_INFO %s", done(shmctl(0, IPC_INFO, (void *)&info)));
	printf(" %lu %lu %lu %d %d\n", info.shmmni, info.shmmin, info.shmseg,
	       info.shmmax == ~0ul - (1ul << 24), info.shmall == ~0ul - (1ul << 24));
	printf("lines %d\n", lines_of("/proc/sysvipc/shm", text, sizeof(text)));
	printf("%s", text);
	put_number(shmmni, "2");
	for (int i = 0; i < 3; i++) {
		id[i] = shmget(IPC_PRIVATE, (i + 1) * PAGE, 0600);
		printf("segment %d: %s\n", i, done(id[i]));
	}
	put_number(shmmni, "4096");
	top = shmctl(0, SHM_INFO, (void *)&used);
	printf("SHM_INFO %d: ids %d pages %lu rss %lu swapped %lu\n", top >= 1, used.used_ids,
	       used.shm_tot, used.shm_rss, used.shm_swp);
	{
		char *p = shmat(id[1], NULL, 0);
		struct shmid_ds d;
		int found = 0;

		p[0] = 1;
		top = shmctl(0, SHM_INFO, (void *)&used);
		printf("touched: rss %lu\n", used.shm_rss);
		for (int i = 0; i <= top; i++)
			found += shmctl(i, SHM_STAT, &d) == id[1] &&
				 d.shm_segsz == (size_t)(2 * PAGE);
		printf("by index: %d, beyond %s\n", found, result(shmctl(30000, SHM_STAT, &d)));
		shmdt(p);
	}
	printf("lines %d\n", lines_of("/proc/sysvipc/shm", text, sizeof(text)));
	put_number(shmmax, "8192");
	printf("shmmax: %s", result(shmget(IPC_PRIVATE, 8193, 0600)));
	id[3] = shmget(IPC_PRIVATE, 8192, 0600);
	printf(" %s\n", done(id[3]));
	shmctl(id[3], IPC_RMID, NULL);
	put_number(shmmax, "18446744073692774399");
	put_number(shmall, "4");
	printf("shmall: %s", result(shmget(IPC_PRIVATE, 2 * PAGE, 0600)));
	id[3] = shmget(IPC_PRIVATE, PAGE, 0600);
	printf(" %s\n", done(id[3]));
	put_number(shmall, "18446744073692774399");
	printf("back %d\n", number(shmmni) == 4096);
	shmctl(id[3], IPC_RMID, NULL);
	shmctl(id[0], IPC_RMID, NULL);
	shmctl(id[1], IPC_RMID, NULL);
	printf("an old identifier: %s\n", result(shmctl(id[0], IPC_RMID, NULL)));
}

static void huge(void)
{
	const char *pool = "/proc/sys/vm/nr_hugepages";
	long before = number(pool), size = 2l << 20;
	int id;

	put_number(pool, "2");
	id = shmget(IPC_PRIVATE, size + 1, SHM_HUGETLB | 0600);
	printf("huge pages: %s", done(id));
	if (id >= 0) {
		char *p = shmat(id, NULL, 0);

		printf(" aligned %d", !((long)p & (size - 1)));
		show("", id);
		p[0] = p[size] = 7;
		printf("one more: %s\n", result(shmget(IPC_PRIVATE, size, SHM_HUGETLB | 0600)));
		printf("detach %s\n", result(shmdt(p)));
		p = shmat(id, NULL, 0);
		printf("content %d %d\n", p[0], p[size]);
		shmdt(p);
		shmctl(id, IPC_RMID, NULL);
	}
	id = shmget(IPC_PRIVATE, size, SHM_HUGETLB | 0600);
	printf("given back: %s\n", done(id));
	shmctl(id, IPC_RMID, NULL);
	printf("no such size: %s\n",
	       result(shmget(IPC_PRIVATE, size, SHM_HUGETLB | 17 << 26 | 0600)));
	put_number(pool, before == 0 ? "0" : "1");
}

/* ---- semaphores ------------------------------------------------------------------------------- */

static int op(int id, int num, int n, int flags)
{
	struct sembuf s = {(unsigned short)num, (short)n, (short)flags};

	return semop(id, &s, 1);
}

static void values(const char *what, int id, int n)
{
	unsigned short v[8] = {0};
	union semun arg = {.array = v};

	printf("%s: %s [", what, result(semctl(id, 0, GETALL, arg)));
	for (int i = 0; i < n; i++)
		printf("%s%u", i ? " " : "", v[i]);
	puts("]");
}

static void waits_for(int id)
{
	printf("child: down %s\n", result(op(id, 0, -3, 0)));
}

static void undoes(int id)
{
	op(id, 1, 5, SEM_UNDO);
	op(id, 2, -2, SEM_UNDO);
	values("with undo", id, 3);
}

static void removed(int id)
{
	printf("child: %s\n", result(op(id, 0, -100, 0)));
}

static void on_alarm(int sig)
{
	(void)sig;
}

static pid_t start(void (*fn)(int), int id)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		fn(id);
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

static void wait_count(int id, int cmd)
{
	for (int i = 0; i < 5000 && semctl(id, 0, cmd) != 1; i++)
		usleep(1000);
}

static void sem_values(int id)
{
	union semun arg = {.val = 2};
	unsigned short v[3] = {1, 2, 3};

	printf("get %s again %s", done(id), semget(KEY, 0, 0) == id ? "same" : "other");
	printf(" larger %s", result(semget(KEY, 4, 0)));
	printf(" empty %s", result(semget(IPC_PRIVATE, 0, 0600)));
	printf(" negative %s", result(semget(IPC_PRIVATE, -1, 0600)));
	printf(" too many %s", result(semget(IPC_PRIVATE, 32001, 0600)));
	printf(" exclusive %s\n", result(semget(KEY, 3, IPC_CREAT | IPC_EXCL)));
	values("new", id, 3);
	printf("set %s", result(semctl(id, 0, SETVAL, arg)));
	printf(" get %s pid %d", result(semctl(id, 0, GETVAL)), semctl(id, 0, GETPID) == getpid());
	arg.val = 32768;
	printf(" too large %s", result(semctl(id, 0, SETVAL, arg)));
	arg.val = -1;
	printf(" negative %s", result(semctl(id, 0, SETVAL, arg)));
	printf(" number %s\n", result(semctl(id, 3, GETVAL)));
	arg.array = v;
	printf("all %s\n", result(semctl(id, 0, SETALL, arg)));
	values("all", id, 3);
	v[1] = 40000;
	printf("too large %s\n", result(semctl(id, 0, SETALL, arg)));
	values("as before", id, 3);
}

static void sem_operations(int id)
{
	struct sembuf two[3] = {{0, 1, 0}, {1, -1, IPC_NOWAIT}, {2, 1, 0}};
	struct timespec t = {0, 20000000};

	printf("up %s", result(op(id, 0, 4, 0)));
	printf(" down %s", result(op(id, 0, -1, 0)));
	printf(" not possible %s", result(op(id, 0, -100, IPC_NOWAIT)));
	printf(" zero %s", result(op(id, 0, 0, IPC_NOWAIT)));
	printf(" overflow %s", result(op(id, 0, 32767, 0)));
	printf(" number %s\n", result(op(id, 3, 1, 0)));
	values("then", id, 3);
	two[1].sem_op = -3;
	printf("none of them %s\n", result(semop(id, two, 3)));
	values("unchanged", id, 3);
	two[1].sem_op = -2;
	printf("all of them %s\n", result(semop(id, two, 3)));
	values("changed", id, 3);
	printf("no operations %s", result(semop(id, two, 0)));
	printf(" too many %s", result(semop(id, two, 501)));
	printf(" fault %s", result(semop(id, (void *)8, 1)));
	printf(" bad id %s", result(semop(-1, two, 1)));
	printf(" no such %s\n", result(semop(id + 77, two, 1)));
	two[0] = (struct sembuf){0, -100, 0};
	printf("time %s", result(semtimedop(id, two, 1, &t)));
	t.tv_nsec = -1;
	printf(" bad %s\n", result(semtimedop(id, two, 1, &t)));
}

static void sem_sleeping(int id)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	union semun arg = {.val = 0};
	pid_t pid;

	semctl(id, 0, SETVAL, arg);
	pid = start(waits_for, id);
	wait_count(id, GETNCNT);
	printf("somebody waits: %d %d\n", semctl(id, 0, GETNCNT), semctl(id, 0, GETZCNT));
	op(id, 0, 2, 0);
	printf("not enough: %d value %d\n", semctl(id, 0, GETNCNT), semctl(id, 0, GETVAL));
	fflush(stdout);
	op(id, 0, 2, 0);
	waitpid(pid, NULL, 0);
	printf("value %d\n", semctl(id, 0, GETVAL));
	sigaction(SIGALRM, &sa, NULL);
	ualarm(30000, 30000); /* again: the first may come before the call */
	printf("a signal %s\n", result(op(id, 0, -100, 0)));
	ualarm(0, 0);
}

static void sem_undo(int id)
{
	unsigned short v[3] = {1, 0, 3};
	union semun arg = {.array = v};

	semctl(id, 0, SETALL, arg);
	in_child("undo", undoes, id);
	values("undone", id, 3);
}

static void sem_removal(int id)
{
	struct semid_ds d;
	const char *said;
	pid_t pid;
	int none;

	printf("stat %s", result(semctl(id, 0, IPC_STAT, (union semun){.buf = &d})));
	printf(" %lu mode %o otime %d ctime %d\n", (unsigned long)d.sem_nsems, d.sem_perm.mode,
	       d.sem_otime != 0, d.sem_ctime != 0);
	pid = start(removed, id);
	wait_count(id, GETNCNT);
	said = result(semctl(id, 0, IPC_RMID));
	waitpid(pid, NULL, 0); /* its line comes first, however slow it is */
	printf("remove %s\n", said);
	printf("gone %s", result(semctl(id, 0, GETVAL)));
	printf(" %s\n", result(op(id, 0, 1, 0)));
	none = semget(IPC_PRIVATE, 1, 0);
	printf("nobody may: root does: %s\n", result(op(none, 0, 1, 0)));
	semctl(none, 0, IPC_RMID);
}

static void semaphores(void)
{
	int id = semget(KEY, 3, IPC_CREAT | 0600);

	sem_values(id);
	sem_operations(id);
	sem_sleeping(id);
	sem_undo(id);
	sem_removal(id);
}

static void sem_user(int id)
{
	if (setgid(65534) || setuid(65534))
		_exit(2);
	printf("user: get %s", result(semctl(id, 0, GETVAL)));
	printf(" set %s", result(semctl(id, 0, SETVAL, (union semun){.val = 1})));
	printf(" up %s", result(op(id, 0, 1, 0)));
	printf(" zero %s", result(op(id, 0, 0, IPC_NOWAIT)));
	printf(" remove %s\n", result(semctl(id, 0, IPC_RMID)));
}

static void sem_rights(void)
{
	int id = semget(KEY, 1, IPC_CREAT | 0604);

	in_child("others may read", sem_user, id);
	semctl(id, 0, IPC_RMID);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	if (argc > 1) /* after execve nothing is attached */
		return strcmp(argv[1], "status") ? 1 : 0;
	segments();
	rights();
	limits();
	huge();
	semaphores();
	sem_rights();
	puts("end");
	return 0;
}
