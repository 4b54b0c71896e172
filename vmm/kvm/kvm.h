/*
 * Typed wrappers over the KVM ioctls. No policy: each function is one request to the kernel,
 * returns 0 (or a count, or a file descriptor) or -errno, and prints nothing. Nothing else in the
 * program calls ioctl on a KVM file.
 *
 *   kvm_system  /dev/kvm: capabilities, supported CPUID
 *   kvm_vm      a VM: memory slots, irqchip, irqfd, ioeventfd, dirty log
 *   kvm_vcpu    a vCPU: registers, run
 *   kvm_watch   a limit to waiting for a vCPU that makes no progress
 *   kvm_dirty_ring  pages a vCPU wrote
 *   kvm_stats   binary statistics of a VM or a vCPU
 */
#ifndef VMM_KVM_KVM_H
#define VMM_KVM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <linux/kvm.h>

/** Which module of the host does the work. PVM runs ring 0 of the guest in KVM's instruction
 * emulator and ring 3 natively. */
enum kvm_backend { KVM_BACKEND_NONE, KVM_BACKEND_VMX, KVM_BACKEND_SVM, KVM_BACKEND_PVM };
const char *kvm_backend_name(enum kvm_backend backend);
/** From /proc/cpuinfo and /sys/module; needs no access to /dev/kvm. */
enum kvm_backend kvm_backend_detect(void);

struct kvm_system {
	int fd;
	size_t run_size; /* bytes of a vCPU's run area */
	enum kvm_backend backend;
};
/** The device file: /dev/kvm, or what MMVM_KVM_DEVICE says. */
const char *kvm_device_path(void);
/** Open it and check the API version. -ENOENT, -EACCES, -ENODEV (other API version), ... */
int kvm_system_open(struct kvm_system *sys);
void kvm_system_close(struct kvm_system *sys);
/** Value of a capability; 0 when absent. */
int kvm_system_check(const struct kvm_system *sys, int capability);
/** Supported CPUID leaves, in allocated memory. Free with free(). */
int kvm_system_supported_cpuid(const struct kvm_system *sys, struct kvm_cpuid2 **cpuid);
/** A new VM's file descriptor, or -errno. */
int kvm_system_create_vm(const struct kvm_system *sys);

/* A VM is its file descriptor. */
int kvm_vm_check(int vm, int capability);
int kvm_vm_enable_cap(int vm, uint32_t capability, uint64_t arg);
/** Intel hosts want three pages for a TSS and one for an identity map out of the guest's way. */
int kvm_vm_set_tss_addr(int vm, uint64_t gpa);
int kvm_vm_set_identity_map(int vm, uint64_t gpa);
int kvm_vm_create_irqchip(int vm);
int kvm_vm_set_memory(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		      void *hva);
int kvm_vm_irqfd(int vm, uint32_t gsi, int fd);
/** Writes of `len` bytes with value `match` at `gpa` signal `fd` and do not exit. */
int kvm_vm_ioeventfd(int vm, uint64_t gpa, uint32_t len, uint32_t match, int fd);
int kvm_vm_irq_line(int vm, uint32_t gsi, bool level);
/** One bit a page of the slot, set when written since the last clear. */
int kvm_vm_get_dirty_log(int vm, uint32_t slot, void *bitmap);
/** Write-protect again the pages whose bits are set in `bitmap`; first is a multiple of 64. Only
 * with KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 on. */
int kvm_vm_clear_dirty_log(int vm, uint32_t slot, uint64_t first, uint32_t nr, void *bitmap);
int kvm_vm_create_vcpu(int vm, unsigned int id);
int kvm_vm_stats_fd(int vm);

struct kvm_vcpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
};
int kvm_vcpu_open(struct kvm_vcpu *vcpu, const struct kvm_system *sys, int vm, unsigned int id);
void kvm_vcpu_close(struct kvm_vcpu *vcpu);
/** Enter the guest. 0 on an exit to read from run->exit_reason; -EINTR, -EAGAIN, or an error. */
int kvm_vcpu_run(struct kvm_vcpu *vcpu);
/**
 * Finish the instruction that the last exit was about, without running the next one.
 *
 * After KVM_EXIT_IO or KVM_EXIT_MMIO the instruction is complete only at the next KVM_RUN. On VMX
 * and SVM an `out` is then completed by adding its length to RIP if RIP still is where the `out`
 * was (kvm_fast_pio_out). So registers must not be set between the exit and this call: whoever sets
 * RIP to that address loses one instruction. Call it before kvm_vcpu_set_regs() or
 * kvm_vcpu_set_sregs() on a vCPU that has left the guest, and after the exit's data was used: it
 * overwrites vcpu->run.
 *
 * It clears immediate_exit: a caller that another thread stops through that flag looks at its own
 * reason to stop before it enters again. 0, -EBUSY when completing led to another exit, which is to
 * be served first (in vcpu->run), or the error of KVM_RUN.
 */
int kvm_vcpu_complete_exit(struct kvm_vcpu *vcpu);
int kvm_vcpu_get_regs(const struct kvm_vcpu *vcpu, struct kvm_regs *regs);
int kvm_vcpu_set_regs(const struct kvm_vcpu *vcpu, const struct kvm_regs *regs);
int kvm_vcpu_get_sregs(const struct kvm_vcpu *vcpu, struct kvm_sregs *sregs);
int kvm_vcpu_set_sregs(const struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs);
int kvm_vcpu_get_fpu(const struct kvm_vcpu *vcpu, struct kvm_fpu *fpu);
int kvm_vcpu_set_fpu(const struct kvm_vcpu *vcpu, const struct kvm_fpu *fpu);
int kvm_vcpu_set_cpuid(const struct kvm_vcpu *vcpu, const struct kvm_cpuid2 *cpuid);
/** Take a vCPU out of the state in which it waits for a start-up interrupt. */
int kvm_vcpu_set_runnable(const struct kvm_vcpu *vcpu);
/** kHz, or -errno (the host's TSC is unstable). */
int kvm_vcpu_tsc_khz(const struct kvm_vcpu *vcpu);
int kvm_vcpu_stats_fd(const struct kvm_vcpu *vcpu);

/**
 * A limit to KVM_RUN on this thread, for loops of one vCPU without a machine around them. The guest
 * is interrupted once a second (KVM_RUN returns -EINTR), and has failed when its general registers
 * were the same `limit` times in a row: it is halted or shut out. Time alone ends nothing,
 * so a slow host is no failure.
 */
#define KVM_WATCH_TIMES 20u
struct kvm_watch {
	timer_t timer;
	bool on;
	unsigned int limit;
	unsigned int still; /* interruptions at which nothing had changed */
	struct kvm_regs last;
};
/** 0 or -errno. Uses the signal SIGRTMIN + 3, whose handler it sets. */
int kvm_watch_start(struct kvm_watch *w, unsigned int limit);
/** After each -EINTR or -EAGAIN of KVM_RUN: 0 to enter again, -ETIMEDOUT, or an error. */
int kvm_watch_interrupted(struct kvm_watch *w, const struct kvm_vcpu *vcpu);
void kvm_watch_stop(struct kvm_watch *w);

/** The dirty ring of a vCPU. */
struct kvm_dirty_ring {
	struct kvm_dirty_gfn *gfn; /* shared with KVM; NULL: not mapped */
	uint32_t entries, next;	   /* next: index that only grows; entries is a power of two */
};
/** Most entries KVM offers and the capability to enable (before there is a vCPU, its argument is
 * the size in bytes); 0: none. */
uint32_t kvm_dirty_ring_max(const struct kvm_system *sys, uint32_t *capability);
int kvm_dirty_ring_map(struct kvm_dirty_ring *ring, const struct kvm_vcpu *vcpu, uint32_t entries);
void kvm_dirty_ring_unmap(struct kvm_dirty_ring *ring);
/** fn for each entry, in order; entries may repeat. One reader at a time, any thread. Returns how
 * many; they are KVM's again after kvm_vm_reset_dirty_rings(). */
uint32_t kvm_dirty_ring_read(struct kvm_dirty_ring *ring,
			     void (*fn)(uint32_t slot, uint64_t page, void *arg), void *arg);
/** Write-protect the pages of entries that were read again. Returns the entries reset, or -errno. */
int kvm_vm_reset_dirty_rings(int vm);

/**
 * Binary statistics: the kernel describes each value (name, unit, kind) in the file itself; nothing
 * is known at compile time, so that whatever the host offers is shown.
 */
struct kvm_stats;
struct kvm_stat {
	const char *name;
	uint32_t type; /* KVM_STATS_TYPE_*: cumulative, instant, peak, histograms */
	uint32_t unit; /* KVM_STATS_UNIT_* */
	int exponent;
	uint32_t base;	      /* KVM_STATS_BASE_* */
	uint32_t bucket_size; /* linear histograms */
	unsigned int nr_values;
	const uint64_t *values;
};
/** Takes over `stats_fd`. NULL with errno set on failure. */
struct kvm_stats *kvm_stats_open(int stats_fd);
void kvm_stats_close(struct kvm_stats *stats);
/** One read of the file, then fn for every value. 0 or -errno. */
int kvm_stats_read(struct kvm_stats *stats, void (*fn)(const struct kvm_stat *stat, void *arg),
		   void *arg);

/** Why a call of this folder returned `rc` < 0 on this thread: the ioctl's name, its errno and where it
 * is; of another failure, strerror(). Valid until the thread's next failure. */
const char *kvm_error_text(int rc);
/** A flat segment of 64-bit mode: code, or data. */
struct kvm_segment kvm_flat_segment(uint16_t selector, uint8_t type);
#define KVM_SEGMENT_CODE 11 /* execute and read, accessed */
#define KVM_SEGMENT_DATA 3  /* read and write, accessed */

#endif
