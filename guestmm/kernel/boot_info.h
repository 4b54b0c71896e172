/* What the device tree and the command line say about this machine. Filled by fdt_scan(), constant after it. */
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H
#include "lib/types.h"
#include "mmvm/layout.h"

/** A device of the device tree. */
struct boot_device {
	u64 base, size;
	u32 gsi;
	char role[16];	     /* virtio: "swap", "disk0" ... */
	bool read_only;	     /* the node has this property */
	char compatible[24]; /* selects its driver */
};
#define BOOT_MAX_DEVICES 32

struct boot_info {
	const char *cmdline;
	const char *argv; /* stringlist of argv_len bytes: one string after another */
	u32 argv_len;
	const char *test;	   /* "suite.case" or NULL */
	const char *console_input; /* "tty", "stream", or NULL: none */
	u32 quirks;		   /* MMVM_QUIRK_* */
	u32 nr_cpus;
	u8 cpu_node[MMVM_MAX_CPUS];
	u32 nr_nodes;					  /* with memory or CPUs */
	u8 node_distance[MMVM_MAX_NODES][MMVM_MAX_NODES]; /* 10 is local; 0: not said */
	u64 tsc_hz, lapic_hz, epoch_ns, seed;
	phys_addr_t initrd_start, initrd_end;	     /* 0 = none; reserved in memblock */
	struct boot_device device[BOOT_MAX_DEVICES]; /* those with memory, in the tree's order */
	u32 nr_devices;
};
extern struct boot_info boot_info;
/** Value of `name=` on the command line copied to buf, or false. `name` alone gives "". */
bool cmdline_get(const char *name, char *buf, size_t size);

/** Does the option NAME or NAME=VALUE mean "on"? VALUE is parsed as by Linux's kstrtobool(); no value means on. Any
 * other value is reported in the log and ignored. */
bool boot_option_is_on(const char *name, const char *value);
/** At the end of boot: log the options on the command line that no code has looked for (boot_option_asked()). */
void boot_options_report(void);
#endif
