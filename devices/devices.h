/*
 * Constructors of the device models: what the machine needs to put a device on its bus.
 *
 * Every constructor returns a device with `base`, `size`, `pio`, `gsi`, `irq`, `ram` and `role` set
 * from `struct device_env`, or NULL with errno set. The machine owns it and ends it with
 * dev->model->destroy(dev), after the vCPU threads have ended. read(), write() and reset() may be
 * called from any vCPU thread at any time; each model has its own locks.
 *
 * A model never touches irq->raised: the line's raise() counts. `irq` may be NULL (polled device).
 */
#ifndef DEVICES_DEVICES_H
#define DEVICES_DEVICES_H

#include "devices/device.h"
#include "mmvm/shared.h"
#include "mmvm/testchan.h"

/** Where a device sits. Pointers stay valid as long as the device lives. */
struct device_env {
	const char *role; /* "swap", "console" ...; copied, NULL = "" */
	uint64_t base;	  /* guest physical address, or port */
	uint32_t gsi;
	const char *compatible; /* instead of the model's; NULL: the model's */
	struct irq_line *irq;	/* NULL: none */
	struct guest_ram *ram;	/* not needed by serial */
};

/**
 * A device that needs nothing of the machine but a place declares itself: every machine then has it.
 *
 *   DEVICE(SLOT, ROLE, create);
 *
 * SLOT is one of MMVM_DEVICE_SLOTS in mmvm/layout.h, which gives it its window and interrupt line; two devices
 * that claim one slot are refused when the first machine is made. `create` is its constructor.
 */
struct device_entry {
	unsigned int slot;
	const char *role;
	struct device *(*create)(const struct device_env *env);
};
#define DEVICE(slot_, role_, create_)                                                       \
	static const struct device_entry device_entry_##create_                             \
		__attribute__((used, section("mmvm_devices"), aligned(8))) = {slot_, role_, \
									      create_}
extern const struct device_entry __start_mmvm_devices[], __stop_mmvm_devices[];

/** Bytes the guest printed, as they come. Called under the device's lock: must not call back. */
typedef void (*device_sink_fn)(void *arg, const void *bytes, size_t len);

/* ---- serial.c: 16550 at 8 ports ----------------------------------- */
struct device *serial_create(const struct device_env *env, device_sink_fn sink, void *arg);
/** Bytes typed at the console. Returns how many were taken (the rest did not fit). */
size_t serial_input(struct device *dev, const void *bytes, size_t len);
/** A break after the bytes taken so far; until the guest has read it no more are taken. */
void serial_break(struct device *dev);
/** CTS has changed: raises the modem status interrupt if the driver has enabled it. */
void serial_modem_change(struct device *dev);
/** Call `room` (from a vCPU's thread, no lock held) when serial_input() could not take all and could
 * now. `gated`: take nothing while the guest has not enabled its receive interrupt. */
void serial_on_room(struct device *dev, bool gated, void (*room)(void *arg), void *arg);

/* ---- testchan.c: test channel, 4 ports ---------------------------- */
/**
 * What the machine does with records. on_record and on_console are called one at a time; the others
 * with no lock held, perhaps from two vCPU threads at once. All are called on the thread of the
 * vCPU that sent the record. `rec` is a checked copy: len and text_len agree, name is terminated,
 * text is followed by a NUL that text_len does not count.
 */
struct testchan_ops {
	/** Every kind but CONSOLE, AUDIT, DISK_STATS, HOSTFAULT, BALLOON and ROUND; EXIT too, before
	 * on_exit. */
	void (*on_record)(void *arg, const struct mmvm_record *rec);
	void (*on_console)(void *arg, const char *text, size_t len);
	void (*on_exit)(void *arg, int status);
	int (*on_audit)(void *arg); /* findings, or -errno */
	/** 0, or -ENODEV when there is no such role. */
	int (*on_disk_stats)(void *arg, const char *role, struct mmvm_disk_stats *out);
	/** The end or beginning of a round: the value for `status`. NULL: answered -ENOSYS. */
	int (*on_round)(void *arg, const struct mmvm_record *rec);
	/** MMVM_REC_BALLOON. 0, -ENODEV, -EINVAL. */
	int (*on_balloon)(void *arg, uint64_t target, struct mmvm_balloon *out);
	/** Fail requests k .. k+count-1 from now (k = 1 is the next). 0, -ENODEV, -EINVAL. */
	int (*on_hostfault)(void *arg, const char *role, uint64_t k, uint64_t count);
};
struct device *testchan_create(const struct device_env *env, const struct testchan_ops *ops,
			       void *arg);

/* ---- fastop.c: page clear and copy by the VMM, 1 port ------------- */
/** `shared` is the VMM's mapping of the shared window, mailboxes 0 .. nr_cpus-1 are served. */
struct device *fastop_create(const struct device_env *env, struct mmvm_shared *shared,
			     unsigned int nr_cpus);
/** What a vCPU asks about vCPUs: called with MMVM_FASTOP_CPU_START, on the vCPU's thread, with no
 * lock held; returns 0 or -errno for the guest. Without one that request is answered -EINVAL. */
typedef int (*fastop_cpu_start_fn)(void *arg, uint64_t cpu, uint64_t rip, uint64_t cr3,
				   uint64_t rsp);
void fastop_set_cpu_start(struct device *dev, fastop_cpu_start_fn fn, void *arg);

/* ---- virtio_blk.c: disk on virtio-mmio ---------------------------- */
struct virtio_blk_params {
	int fd;	       /* the disk; owned by the device once created */
	uint64_t size; /* bytes; a tail below one sector is not offered */
	bool read_only;
	unsigned int num_queues; /* 1..8; 0 = 1 */
	bool no_worker;		 /* tests: requests are served by virtio_blk_poll() only */
};
struct device *virtio_blk_create(const struct device_env *env,
				 const struct virtio_blk_params *params);
/** Snapshot of the statistics. Thread-safe. */
void virtio_blk_stats(const struct device *dev, struct mmvm_disk_stats *out);
/** Fail (IOERR, nothing read or written) requests k .. k+count-1 from now; k = 1 is the next one,
 * count 0 turns it off. Thread-safe. Returns 0 or -EINVAL (k = 0 with a count). */
int virtio_blk_inject(struct device *dev, uint64_t k, uint64_t count);
/** The disk is now `size` bytes: new capacity, generation, and a configuration interrupt. The file
 * is not touched. */
void virtio_blk_resize(struct device *dev, uint64_t size);
/** Serve every queue on the caller's thread until empty. Only with no_worker. Returns requests
 * completed. */
unsigned int virtio_blk_poll(struct device *dev);

/* ---- virtio_balloon.c: memory that the guest gives to the host ----- */
#define BALLOON_MAX_STATS 16 /* VIRTIO_BALLOON_S_*: tags below it are kept */
struct balloon_state {
	uint64_t target, actual; /* pages: the target, and how many the driver says it has given */
	uint64_t pages;		 /* in the device's set now */
	uint64_t inflated, deflated; /* pages, all in all */
	uint64_t reported;	     /* free pages that the guest has reported */
	uint64_t given_back;	     /* pages of both kinds whose memory the host has taken */
	uint64_t refused;	     /* the host could not take memory back so often */
	int refused_errno;	     /* the last time */
	uint64_t nr_stats;	     /* statistics received so often */
	uint32_t stat_there;	     /* bit TAG: stat[TAG] was among them */
	uint64_t stat[BALLOON_MAX_STATS];
};
struct virtio_balloon_params {
	uint64_t target; /* pages */
	bool no_worker;	 /* tests: requests are served by virtio_balloon_poll() only */
};
struct device *virtio_balloon_create(const struct device_env *env,
				     const struct virtio_balloon_params *params);
/** Set the balloon's target, in pages. Thread-safe. 0, -EINVAL: more than there is RAM. */
int virtio_balloon_set_target(struct device *dev, uint64_t pages);
/** Have the guest send its statistics. They arrive later, when its driver answers. Thread-safe. */
void virtio_balloon_ask_stats(struct device *dev);
/** Thread-safe. */
void virtio_balloon_state(const struct device *dev, struct balloon_state *out);
/** Is the page of `gpa` in the device's set? Exact when the queues are empty. Thread-safe. */
bool virtio_balloon_has(const struct device *dev, uint64_t gpa);
/** Serve what waits in the queues on the caller's thread. Thread-safe. Returns requests completed. */
unsigned int virtio_balloon_poll(struct device *dev);

/* ---- virtio_pmem.c: a file as memory of the guest ------------------ */
struct virtio_pmem_params {
	int fd;		      /* the file; owned by the device once created */
	uint64_t start, size; /* guest physical, bytes: where the machine has mapped it */
	bool read_only;
	bool no_worker; /* tests: requests are served by virtio_pmem_poll() only */
};
struct pmem_state {
	uint64_t flushes; /* answered OK: the file was on the host's disk */
	uint64_t errors;  /* answered EIO */
};
struct device *virtio_pmem_create(const struct device_env *env,
				  const struct virtio_pmem_params *params);
/** Thread-safe. */
void virtio_pmem_state(const struct device *dev, struct pmem_state *out);
/** So many flushes from now on fail. Thread-safe. */
void virtio_pmem_fail(struct device *dev, uint64_t count);
unsigned int virtio_pmem_poll(struct device *dev);

/* ---- virtio_rng.c: random bytes from a seed ------------------------ */
struct virtio_rng_params {
	uint64_t seed;
	bool no_worker; /* tests: requests are served by virtio_rng_poll() only */
};
struct device *virtio_rng_create(const struct device_env *env,
				 const struct virtio_rng_params *params);
/** Requests served and bytes given so far. Thread-safe. */
void virtio_rng_counts(const struct device *dev, uint64_t *requests, uint64_t *bytes);
unsigned int virtio_rng_poll(struct device *dev);

/* ---- virtio_console.c: a terminal on virtio-mmio -------------------- */
struct virtio_console_params {
	device_sink_fn sink; /* what the guest prints */
	void *sink_arg;
	/** The guest has given a buffer after virtio_console_input() could not take all. Called under the
	 * device's lock: must not call back. NULL: nobody waits. */
	void (*room)(void *arg);
	void *arg;
	uint16_t rows, cols; /* of the window; 0: not known */
	bool no_worker;	     /* tests: requests are served by virtio_console_poll() only */
};
struct device *virtio_console_create(const struct device_env *env,
				     const struct virtio_console_params *params);
/** Bytes typed. Returns how many were taken: as many as the guest has given buffers for. Thread-safe. */
size_t virtio_console_input(struct device *dev, const void *bytes, size_t len);
/** The window has another size: a configuration interrupt. Thread-safe. */
void virtio_console_resize(struct device *dev, uint16_t rows, uint16_t cols);
unsigned int virtio_console_poll(struct device *dev);

/* ---- dma_engine.c: include/mmvm/dmaengine.h ----------------------- */
struct device *dma_engine_create(const struct device_env *env);

/* ---- command_port.c: bytes written are commands, 2 ports ---------- */
/** `fn` is called on the vCPU's thread with what was written to the first port; both read as
 * `reads_as`. */
struct device *command_port_create(const struct device_env *env, uint8_t reads_as,
				   void (*fn)(void *arg, uint8_t command), void *arg);

/** What every thread of a device does first: nothing (NULL), or what the VMM has set before it made the
 * devices. */
extern void (*device_worker_begins)(void);

#endif
