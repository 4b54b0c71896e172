/*
 * What operations cost, in Linux and in guestmm, measured in one run of the lab.
 *
 *   mmvm bench -- lab, counting instructions -- mmvm bench --inner costs
 *                                                 bench_linux()  rows of the lab's own Linux
 *                                                 bench_guest()  rows of guestmm, a guest of it
 *              -- a process of its own --------- mmvm bench --inner host
 *                                                 bench_host()   figures of the VMM
 *
 * The inner commands write lines, the outer one reads them into a bench_result and prints that:
 *
 *   cost SIDE NAME MEDIAN MIN REPS     SIDE linux or guestmm; thousandths of a TSC tick
 *   linux RELEASE
 *   host NAME VALUE
 *   note TEXT                          why something is missing
 */
#ifndef VMM_BENCH_BENCH_H
#define VMM_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "machine/machine.h"

/*
 * Operations that are measured, in the order of the table: name, title. Six groups, because each
 * is measured by a machine of its own: by user/bench_mem, in the kernel (guestmm/tests/bench_mm.c,
 * images/linux_bench.c), by `user/bench_mem swap` with a RAM disk to swap to, by `user/bench_mem move` on
 * a machine with two nodes, by user/bench_smp in a lab with four CPUs, by `user/bench_mem group` in a
 * memory cgroup.
 */
#define BENCH_USER_ROWS(X)                                          \
	X("syscall", "system call")                                 \
	X("vdso_clock", "clock_gettime by the vDSO")                \
	X("anon_fault", "anonymous page fault")                     \
	X("zero_fault", "read fault on the zero page")              \
	X("zero_cow", "write to the zero page")                     \
	X("populate", "populate, per page")                         \
	X("munmap", "munmap, per touched page")                     \
	X("dontneed", "MADV_DONTNEED, per touched page")            \
	X("mprotect", "mprotect, per touched page")                 \
	X("map_unmap", "mmap + munmap, untouched")                  \
	X("brk", "brk up + down, untouched")                        \
	X("vmas", "distinct VMA: mmap, touch, munmap")              \
	X("cow_fault", "copy on write after fork")                  \
	X("shared_fault", "shared memory: fault with a fresh page") \
	X("cached_fault", "cached file page: read fault")           \
	X("cached_write", "pwrite of 4 KiB, in memory")             \
	X("cached_read", "pread of 4 KiB, in memory")               \
	X("anon_fault_mglru", "anonymous page fault, mglru")        \
	X("cached_read_mglru", "pread of 4 KiB, in memory, mglru")  \
	X("fork_512", "fork with 512 pages")                        \
	X("fork_wait", "fork, exit, wait; 512 pages")               \
	X("thp_fault", "huge page: fault, less the clearing")       \
	X("thp_split", "huge page: a part protected")               \
	X("thp_split_page", "huge page: split into small ones")     \
	X("thp_fork", "huge page: fork with 8 of them")             \
	X("thp_cow", "huge page: shared, one page written")         \
	X("thp_collapse", "huge page: collapse, less the copying")  \
	X("hugetlb_fault", "hugetlb: fault, less the clearing")
#define BENCH_KERNEL_ROWS(X)                              \
	X("page_0", "page order 0, alloc + free")         \
	X("page_9", "page order 9, alloc + free")         \
	X("slab_96", "slab object of 96 B, alloc + free") \
	X("kmalloc_128", "kmalloc(128) + kfree")          \
	X("vmalloc_64k", "vmalloc(64 KiB) + vfree")
#define BENCH_SWAP_ROWS(X)                           \
	X("swap_out", "page swapped out (RAM disk)") \
	X("swap_in", "page swapped in (RAM disk)")   \
	X("clean_out", "clean file page reclaimed")  \
	X("refault", "clean file page, refault")     \
	X("zswap_store", "page compressed (zswap)")  \
	X("zswap_load", "page decompressed (zswap)")
#define BENCH_MOVE_ROWS(X)                              \
	X("migrate_page", "move_pages, per page moved") \
	X("compact_page", "compaction, per page moved")
#define BENCH_SMP_ROWS(X)                                  \
	X("fault_2cpu", "2 CPUs fault in one mm, a fault") \
	X("spin_2cpu", " more than on 1 CPU, a fault")     \
	X("fault_4cpu", "4 CPUs fault in one mm, a fault") \
	X("spin_4cpu", " more than on 1 CPU, a fault")     \
	X("unmap_2cpu", "clean page of 2 CPUs reclaimed")  \
	X("ipi_2cpu", " interrupts for 1,000 such pages")  \
	X("unmap_4cpu", "clean page of 4 CPUs reclaimed")  \
	X("ipi_4cpu", " interrupts for 1,000 such pages")
#define BENCH_MEMCG_ROWS(X)                                          \
	X("group_fault", "anonymous page fault, in a memory cgroup") \
	X("group_map_unmap", "mmap + munmap, in a memory cgroup")    \
	X("group_vmas", "distinct VMA, in a memory cgroup")
#define BENCH_ROWS(X)        \
	BENCH_USER_ROWS(X)   \
	BENCH_KERNEL_ROWS(X) \
	BENCH_SWAP_ROWS(X) BENCH_MOVE_ROWS(X) BENCH_SMP_ROWS(X) BENCH_MEMCG_ROWS(X)

enum bench_side { BENCH_LINUX, BENCH_GUEST, BENCH_SIDES };
#define BENCH_MAX_ROWS 64

struct bench_cost {
	uint64_t median, min; /* thousandths; 0 = not measured */
	uint64_t reps;
};
struct bench_result {
	struct bench_cost cost[BENCH_MAX_ROWS][BENCH_SIDES]; /* index: place in BENCH_ROWS */
	char linux_release[64];				     /* of the Linux column */
	char backend[32];
	uint64_t first_run_ns; /* process start to the first guest instruction; 0 = not measured */
	uint64_t vmm_bytes;    /* memory of the VMM beside guest RAM */
	uint64_t exit_ns, bare_exit_ns; /* thousandths of a ns: round trip through mmvm, and bare */
	char notes[1024];		/* lines */
};

unsigned int bench_nr_rows(void);
const char *bench_row_name(unsigned int row);
const char *bench_row_title(unsigned int row);
/** True when a row of any of these names is wanted: `only` is a shell pattern, NULL = all. */
bool bench_wanted(const char *only, const char *const *names);
enum bench_group { BENCH_USER, BENCH_KERNEL, BENCH_SWAP, BENCH_MOVE, BENCH_SMP, BENCH_MEMCG };
/** Is a row of this group wanted? */
bool bench_group_wanted(const char *only, enum bench_group group);

/** Take one line of an inner command. Returns false when it is not one. */
bool bench_result_line(struct bench_result *r, const char *line);
void bench_print_table(FILE *f, const struct bench_result *r, const char *only);
/** For report_write_file_atomic(); arg is the bench_result. */
int bench_emit_json(FILE *f, const void *result);

/** Inner: the Linux it runs on. `module`, `ram_disk`: paths of the kernel modules. As root. */
void bench_linux(FILE *out, const char *only, const char *module, const char *ram_disk);
/** Run a program of ours on this Linux with one argument or none (NULL), and pass its lines on. */
void bench_linux_program(FILE *out, const char *program, const char *argument);
/** Inner: guestmm, in machines on this host's KVM. */
void bench_guest(FILE *out, const char *only);
/** Inner: the rows of BENCH_MOVE on both sides. The Linux it runs on must have two nodes. As root. */
void bench_move(FILE *out, const char *only);
/** Inner: the rows of BENCH_SMP on this Linux, which must have four CPUs. `ram_disk` as above. As root. */
void bench_linux_smp(FILE *out, const char *ram_disk);
/** Inner: the rows of BENCH_SMP on guestmm, a machine with 2 and one with 4 CPUs. */
void bench_guest_smp(FILE *out);
/** Inner: the rows of BENCH_MEMCG on both sides. The Linux it runs on must have the memory controller. As root. */
void bench_memcg(FILE *out, const char *only);
/** Inner: figures of the VMM. Must be the first thing its process does. */
void bench_host(FILE *out);
/** A machine for one run. */
struct bench_machine {
	const char *test;	    /* guest test, or NULL */
	const char *program;	    /* user program, or NULL */
	uint64_t ram_low, ram_high; /* bytes */
	unsigned int nodes;	    /* 0: one */
	unsigned int cpus;	    /* 0: one */
};
/** Run a guest bench test or a user program. `done` is called with the machine after its run, and reads
 * its BENCH records. Returns 0, or -1 with a note written to `out`. */
int bench_run_machine(FILE *out, const struct bench_machine *b,
		      void (*done)(struct machine *m, void *arg), void *arg);

/** Ticks x 1000 of one KVM_RUN round trip with nothing around the ioctl. 0 or -errno. */
int bench_bare_exit(uint64_t *ticks_x1000);

#endif
