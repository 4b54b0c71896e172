/*
 * Starting the same Linux kernel in three monitors: mmvm, QEMU's microvm machine, kvmtool.
 *
 *   mmvm bench boot ---- lab, with icount ---- mmvm bench --inner boot SELF KERNEL INITRD QEMU KVMTOOL
 *                                                bench_boot(): lines "boot MONITOR NAME VALUE", "note TEXT"
 */
#ifndef VMM_BENCH_BOOT_H
#define VMM_BENCH_BOOT_H

#include <stdint.h>
#include <stdio.h>

#define BENCH_MONITORS(X)          \
	X(MMVM, "mmvm")            \
	X(MICROVM, "qemu-microvm") \
	X(KVMTOOL, "kvmtool")
#define ENUM_(id, name) BOOT_##id,
enum bench_monitor { BENCH_MONITORS(ENUM_) BENCH_NR_MONITORS };
#undef ENUM_

/** What is measured: 0 is not known. */
#define BENCH_BOOT_VALUES(X)                                  \
	X(first_ns, "start to first guest instruction", "ns") \
	X(exit_ns, "start to exit", "ns")                     \
	X(memory_bytes, "memory beside RAM", "bytes")

struct bench_boot {
#define FIELD_(name, title, unit) uint64_t name;
	BENCH_BOOT_VALUES(FIELD_)
#undef FIELD_
};

const char *bench_monitor_name(enum bench_monitor monitor);

/** Files, all but `self`, `kernel` and `initrd` may be NULL: that monitor is left out. */
struct bench_boot_files {
	const char *self, *kernel, *initrd, *qemu, *kvmtool;
};
#define BENCH_BOOT_RAM_MB 256u

/** Inner, as root in the lab: run each monitor twice and write lines. */
void bench_boot(FILE *out, const struct bench_boot_files *files);

#endif
