/*
 * The bus: which device answers an address, and the wires to the interrupt controller.
 *
 * There are at most a few dozen windows, so a linear search is the fastest thing there is; most
 * accesses hit the first ones (serial, test channel) and virtio doorbells do not come here at all:
 * an ioeventfd takes them from KVM straight to the device's worker.
 *
 * An access that no window holds wholly reads as all-ones, is not written, and is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "machine/internal.h"

#define VIRTIO_QUEUE_NOTIFY 0x050 /* virtio 1.2, 4.2.2 */

/* NULL: the access is counted as unclaimed. */
static struct device *find(struct machine *m, enum bus_space space, uint64_t addr,
			   unsigned int size)
{
	for (unsigned int i = 0; i < m->nr_devices; i++) {
		struct device *d = m->device[i];

		if (d->pio == (space == BUS_PIO) && addr >= d->base && size <= d->size &&
		    addr - d->base <= d->size - size)
			return d;
	}
	__atomic_fetch_add(&m->unclaimed, 1, __ATOMIC_RELAXED);
	return NULL;
}

void machine_bus_read(struct machine *m, enum bus_space space, uint64_t addr, void *data,
		      unsigned int size)
{
	struct device *d = find(m, space, addr, size);

	if (d)
		d->model->read(d, addr - d->base, size, data);
	else
		memset(data, 0xff, size);
}

void machine_bus_write(struct machine *m, enum bus_space space, uint64_t addr, const void *data,
		       unsigned int size)
{
	struct device *d = find(m, space, addr, size);

	if (d)
		d->model->write(d, addr - d->base, size, data);
}

static void raise_edge(struct irq_line *line)
{
	uint64_t one = 1;

	__atomic_fetch_add(&line->raised, 1, __ATOMIC_RELAXED);
	/* Fails only when 2^64 - 2 edges wait, and then one is pending anyway. */
	while (write(line->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

struct irq_line *machine_irq_line(struct machine *m, uint32_t gsi, struct mmvm_error *err)
{
	struct machine_irq *irq = &m->irq[m->nr_irqs];
	int rc;

	irq->gsi = gsi;
	irq->line.raise = raise_edge;
	irq->line.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (irq->line.eventfd < 0) {
		mmvm_error(err, MMVM_EXIT_HOST, "cannot create an eventfd: %s", strerror(errno));
		return NULL;
	}
	rc = kvm_vm_irqfd(m->vm, gsi, irq->line.eventfd);
	if (rc) {
		close(irq->line.eventfd);
		mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses an irqfd for line %u: %s", gsi,
			   kvm_error_text(rc));
		return NULL;
	}
	m->nr_irqs++;
	return &irq->line;
}

static void device_served(void *observers, const struct device_event *e)
{
	observers_device_event(observers, e);
}

int machine_add_device(struct machine *m, struct device *dev, struct mmvm_error *err)
{
	m->device[m->nr_devices++] = dev;
	if (observers_have(m->config.observers, OBSERVER_HAS_DEVICE)) {
		dev->trace_arg = m->config.observers;
		dev->trace = device_served;
	}
	for (unsigned int i = 0; i < dev->nr_notify; i++) {
		int rc;

		if (dev->notify_fd[i] < 0)
			continue;
		rc = kvm_vm_ioeventfd(m->vm, dev->base + VIRTIO_QUEUE_NOTIFY, 4, i,
				      dev->notify_fd[i]);
		if (rc)
			return mmvm_error(err, MMVM_EXIT_HOST,
					  "KVM refuses an ioeventfd for disk %s: %s", dev->role,
					  kvm_error_text(rc));
	}
	return 0;
}

void machine_bus_destroy(struct machine *m)
{
	while (m->nr_devices) {
		struct device *d = m->device[--m->nr_devices];

		d->model->destroy(d);
	}
	while (m->nr_irqs)
		close(m->irq[--m->nr_irqs].line.eventfd);
}
