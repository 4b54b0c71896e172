/*
 * What a device model knows: the bus that calls it, guest RAM, an interrupt line. Nothing else of
 * the VMM.
 *
 * The guest is hostile until shown otherwise: every address, length and index a device takes from a
 * register or from guest RAM is checked here or through guest_ram_*(). Device code runs on vCPU
 * threads (MMIO, PIO) and on the device's own workers; each device says in its file which lock
 * protects what.
 */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/** One region of guest RAM as mapped into the VMM. `dirty` is the VMM's own dirty bitmap (NULL =
 * not kept): KVM's dirty log does not see writes made by devices, so they are noted here, one bit a
 * page. */
struct guest_ram_region {
	uint64_t gpa, size; /* bytes, page aligned */
	uint8_t *hva;
	unsigned long *dirty;
	int node;
	uint64_t page_size; /* of the host's memory behind it; 0: 4096 bytes */
};
struct guest_ram {
	struct guest_ram_region region[16];
	unsigned int nr;
	pthread_rwlock_t writes; /* all zeroes: free (PTHREAD_RWLOCK_INITIALIZER) */
};

/** Host pointer to [gpa, gpa+len) when it lies wholly inside one region; NULL otherwise (also on
 * wrap; len 0 is NULL). */
void *guest_ram_ptr(const struct guest_ram *ram, uint64_t gpa, uint64_t len);
/** Bytes of RAM from gpa to the end of its region; 0 when gpa is not RAM. */
uint64_t guest_ram_span(const struct guest_ram *ram, uint64_t gpa);
/** Copy with checks. Returns 0 or -EFAULT (nothing is copied then). Writes mark pages dirty. */
int guest_ram_read(const struct guest_ram *ram, uint64_t gpa, void *buf, uint64_t len);
int guest_ram_write(struct guest_ram *ram, uint64_t gpa, const void *buf, uint64_t len);
/** A write through a pointer from guest_ram_ptr(), and its mark, stand between these two: so whoever holds devices sees
 * both or neither. Not nested; guest_ram_write() does it itself. */
void guest_ram_begin_write(struct guest_ram *ram);
void guest_ram_end_write(struct guest_ram *ram);
/** Until guest_ram_release() no device writes to RAM. Waits for the writes that are under way. The caller holds no
 * device's lock. */
void guest_ram_hold(struct guest_ram *ram);
void guest_ram_release(struct guest_ram *ram);
/** Note that a device wrote [gpa, gpa+len) through a pointer from guest_ram_ptr(). Thread-safe. */
void guest_ram_mark_dirty(struct guest_ram *ram, uint64_t gpa, uint64_t len);

/** Give the host's memory behind [gpa, gpa+len) back: the guest has no use for what is there, and finds
 * zeroes when it touches it again. Only whole pages of the host are given back. Returns the bytes that
 * were, or -errno: -EFAULT (not RAM), or what the host says. Thread-safe. */
int64_t guest_ram_give_back(const struct guest_ram *ram, uint64_t gpa, uint64_t len);

/** An interrupt line: raise() injects an edge. Thread-safe. */
struct irq_line {
	void (*raise)(struct irq_line *line);
	int eventfd;	 /* irqfd, or -1 */
	uint64_t raised; /* count */
};

struct device;

/** A request that a device has served, for the observers of the machine. Addresses and lengths are those
 * of the data in guest RAM, checked. */
struct device_event {
	const struct device *dev;
	uint32_t op;	 /* the model's own: VIRTIO_BLK_T_*, enum mmvm_dma_op */
	uint32_t status; /* the model's own */
	uint64_t sector; /* disks: 512 bytes each */
	uint64_t begin;	 /* host TSC */
	unsigned int nr;
	const uint64_t *gpa, *len;
};

/** A property of a device's node in the device tree. */
struct device_property {
	const char *name;
	enum { PROPERTY_U32, PROPERTY_U64, PROPERTY_STRING } kind;
	uint64_t number;
	const char *string;
};

/**
 * A kind of device: what it is called, what the guest's device tree says of it, and what it does.
 *
 * MMIO and PIO accesses: offset within the device's window; size is what the CPU used (1, 2, 4,
 * 8). A model answers every combination: what it does not support reads as all-ones and is not
 * written, counted in guest_errors. */
struct device_model {
	const char *name;
	/** Its node in the device tree: NODE@BASE, compatible with `compatible` (the driver finds it
	 * by that), reg, interrupts if it has a line, its role, and more properties. NULL: no
	 * node. */
	const char *node, *compatible;
	uint64_t size; /* of its window: bytes, or ports */
	bool pio;      /* the window is one of ports */
	/** Property `i` of its own; false: past the last. NULL: none. */
	bool (*property)(const struct device *dev, unsigned int i, struct device_property *out);
	void (*read)(struct device *dev, uint64_t offset, unsigned int size, void *data);
	void (*write)(struct device *dev, uint64_t offset, unsigned int size, const void *data);
	void (*reset)(struct device *dev);   /* back to power-on state */
	void (*destroy)(struct device *dev); /* stop workers, close files, free dev */
};

struct device {
	const struct device_model *model;
	const char *compatible; /* the model's, unless its place says otherwise; NULL: no node */
	char role[16];
	uint64_t base, size; /* guest physical window, or first port */
	bool pio;
	uint32_t gsi;
	struct irq_line *irq;
	struct guest_ram *ram;
	/** Called on the worker for each request served; NULL: no observer. Set before the first request. */
	void (*trace)(void *arg, const struct device_event *event);
	void *trace_arg;
	uint64_t guest_errors; /* accesses and requests the guest should not have made; atomic */
	/** virtio: eventfd the machine may register as ioeventfd for QueueNotify of queue i; -1 =
	 * none. */
	int notify_fd[8];
	unsigned int nr_notify;
};

#endif
