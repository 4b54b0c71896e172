/*
 * The private system call of guestmm for user programs, and how they find the size of RAM. All programs also
 * run on Linux, where the private call returns -ENOSYS and is ignored.
 *
 * Private call MMVM_SYS_REPORT(kind, name, value, value2): hand the VMM a record. `kind` is one of
 * enum mmvm_user_report, `name` a NUL-terminated string of at most 63 bytes in user memory.
 *   MMVM_USER_PROGRESS  record MMVM_REC_PROGRESS: phase `name`, `value` of `value2` done
 *   MMVM_USER_BENCH     record MMVM_REC_BENCH: operation `name`, cost x 1000 `value`, `value2` reps
 *   MMVM_USER_PROFILE   record MMVM_REC_PROFILE: operation `name` begins (`value` 1), has ended (0)
 *   MMVM_USER_EVENT     nothing is sent; returns the kernel's count of the vm event called `name`
 *                       (a name of mmvm/vmstat.h: "pswpout"), so that a program can prove which
 *                       path it took
 *   MMVM_USER_MAPS      nothing is sent; /proc/self/maps is written to user memory at `value`,
 *                       at most `value2` bytes; returns the length
 *   MMVM_USER_ROUND     record MMVM_REC_ROUND: phase `name`, `value` the address of a struct
 *                       mmvm_round; returns the VMM's answer
 *   MMVM_USER_CLEAN     clear the dirty bits of the process's page tables from address `value` on,
 *                       `value2` bytes; returns how many were set
 *   MMVM_USER_ACCESS    clear the accessed bits of the process's page tables and note the frames in
 *                       the bitmap of mmvm/access.h; returns how many pages had been accessed
 *
 * Returns 0 (or what is said above), -ENOSYS on other kernels, -EINVAL for an unknown kind or
 * event, -EFAULT.
 *
 * RAM: sysinfo(2), system call 99 with Linux's struct sysinfo; totalram x mem_unit bytes is what
 * the kernel's page allocator was given.
 */
#ifndef MMVM_CALLS_H
#define MMVM_CALLS_H

#define MMVM_SYS_REPORT 0x4d4d0001l

enum mmvm_user_report {
	MMVM_USER_PROGRESS = 1,
	MMVM_USER_BENCH = 2,
	MMVM_USER_EVENT = 3,
	MMVM_USER_ROUND = 4,
	MMVM_USER_CLEAN = 5,
	MMVM_USER_PROFILE = 6,
	MMVM_USER_MAPS = 7,
	MMVM_USER_ACCESS = 8,
};

/** As Linux's struct sysinfo on 64-bit machines, 112 bytes. */
struct mmvm_sysinfo {
	long uptime;
	unsigned long loads[3];
	unsigned long totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	unsigned short procs, pad;
	unsigned long totalhigh, freehigh;
	unsigned int mem_unit;
};
_Static_assert(sizeof(struct mmvm_sysinfo) == 112, "struct sysinfo is part of Linux's ABI");

#endif
