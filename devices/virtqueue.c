/*
 * Split virtqueue, the device's side.
 *
 *   descriptor table (guest)       available ring (guest)       used ring (device)
 *   +------+-----+-------+------+  +-------+-----+-----------+  +-------+-----+---------------+
 *   | addr | len | flags | next |  | flags | idx | ring[num] |  | flags | idx | {id,len}[num] |
 *   +------+-----+-------+------+  +-------+-----+-----------+  +-------+-----+---------------+
 *       ^---- chain by next ---+            used_event ^                      avail_event ^
 *
 * All of it is guest memory, which may change between any two reads and hold anything.
 *
 * I1. Each field is read once into a local, checked, and only the local is used. An indirect table
 *     is copied whole before it is walked.
 * I2. Walks end: a chain has at most `num` direct descriptors and at most VIRTQUEUE_MAX_SIZE
 *     indirect ones, whatever `next` says; the available index may be ahead by at most `num`.
 * I3. A chain that breaks a rule is not given to the model and not given back; the caller puts the
 *     device in NEEDS_RESET.
 * I4. used->idx is stored with release after the element it publishes, and avail->idx is loaded
 *     with acquire before the entries it covers. Between a store that tells the other side
 *     something and the load that asks whether it wants to be told stands a full fence.
 *
 * Locks: none here; the transport's io_lock is held around every call.
 */
#include "devices/virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include "devices/device_impl.h"

/* Bytes of the rings, the event index at the end of each included (2.7). */
static uint64_t desc_bytes(const struct virtqueue *vq)
{
	return 16ull * vq->num;
}
static uint64_t avail_bytes(const struct virtqueue *vq)
{
	return 6 + 2ull * vq->num;
}
static uint64_t used_bytes(const struct virtqueue *vq)
{
	return 6 + 8ull * vq->num;
}

/* Ring fields of 16 bits. The ring was inside one RAM region when it was started and RAM does not
 * change, so the pointer cannot be NULL. */
static uint16_t *avail_field(const struct virtqueue *vq, uint64_t offset)
{
	return guest_ram_ptr(vq->ram, vq->avail + offset, 2);
}
static uint16_t *used_field(const struct virtqueue *vq, uint64_t offset)
{
	return guest_ram_ptr(vq->ram, vq->used + offset, 2);
}

#define AVAIL_FLAGS	0
#define AVAIL_IDX	2
#define AVAIL_RING	4
#define USED_FLAGS	0
#define USED_IDX	2
#define USED_RING	4
#define USED_EVENT(vq)	(AVAIL_RING + 2ull * (vq)->num)
#define AVAIL_EVENT(vq) (USED_RING + 8ull * (vq)->num)

int virtqueue_start(struct virtqueue *vq)
{
	if (vq->num == 0 || vq->num > VIRTQUEUE_MAX_SIZE || (vq->num & (vq->num - 1)))
		return -EINVAL;
	if (vq->desc % 16 || vq->avail % 2 || vq->used % 4)
		return -EINVAL;
	if (!guest_ram_ptr(vq->ram, vq->desc, desc_bytes(vq)) ||
	    !guest_ram_ptr(vq->ram, vq->avail, avail_bytes(vq)) ||
	    !guest_ram_ptr(vq->ram, vq->used, used_bytes(vq)))
		return -EINVAL;
	vq->last_avail = vq->used_idx = vq->signalled = 0;
	return 0;
}

/* Append the guest's buffer to the chain, in a piece for each RAM region it touches. */
static int add_buffer(struct virtqueue *vq, struct virtqueue_chain *c, const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;
	uint64_t gpa = d->addr, len = d->len;

	if (len == 0)
		return -EPROTO;
	if (!in && c->nr_in) /* everything the device reads comes first (2.7.4.2) */
		return -EPROTO;
	*(in ? &c->in_len : &c->out_len) += len;
	while (len) {
		uint64_t n = guest_ram_span(vq->ram, gpa);
		unsigned int i = c->nr_out + c->nr_in;

		if (n == 0 || i == VIRTQUEUE_MAX_SEGS)
			return -EPROTO;
		if (n > len)
			n = len;
		c->iov[i].iov_base = guest_ram_ptr(vq->ram, gpa, n);
		c->iov[i].iov_len = n;
		c->gpa[i] = gpa;
		(*(in ? &c->nr_in : &c->nr_out))++;
		gpa += n;
		len -= n;
	}
	return 0;
}

/* The table a descriptor points to takes the chain to its end. */
static int add_indirect(struct virtqueue *vq, struct virtqueue_chain *c,
			const struct vring_desc *where)
{
	struct vring_desc table[VIRTQUEUE_MAX_SIZE];
	unsigned int n = where->len / sizeof(table[0]), next = 0;
	int err;

	/* VRING_DESC_F_WRITE means nothing here and is ignored (2.7.5.3.2). */
	if (!vq->indirect || (where->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	if (n == 0 || n > VIRTQUEUE_MAX_SIZE || where->len % sizeof(table[0]))
		return -EPROTO;
	if (guest_ram_read(vq->ram, where->addr, table, where->len))
		return -EPROTO;
	for (unsigned int steps = 0; steps < n; steps++) {
		const struct vring_desc *d = &table[next];

		if (d->flags & VRING_DESC_F_INDIRECT)
			return -EPROTO;
		err = add_buffer(vq, c, d);
		if (err)
			return err;
		if (!(d->flags & VRING_DESC_F_NEXT))
			return 0;
		next = d->next;
		if (next >= n)
			return -EPROTO;
	}
	return -EPROTO; /* a loop */
}

static int walk_chain(struct virtqueue *vq, struct virtqueue_chain *c)
{
	unsigned int next = c->head;
	int err;

	for (unsigned int steps = 0; steps < vq->num; steps++) {
		struct vring_desc d;

		if (next >= vq->num)
			return -EPROTO;
		if (guest_ram_read(vq->ram, vq->desc + 16ull * next, &d, sizeof(d)))
			return -EPROTO;
		if (d.flags & VRING_DESC_F_INDIRECT)
			return add_indirect(vq, c, &d);
		err = add_buffer(vq, c, &d);
		if (err)
			return err;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		next = d.next;
	}
	return -EPROTO; /* a loop */
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *c)
{
	uint16_t idx = __atomic_load_n(avail_field(vq, AVAIL_IDX), __ATOMIC_ACQUIRE);
	uint16_t waiting = idx - vq->last_avail;
	int err;

	if (waiting == 0)
		return 0;
	if (waiting > vq->num)
		return -EPROTO;
	c->nr_out = c->nr_in = 0;
	c->out_len = c->in_len = 0;
	c->head = __atomic_load_n(avail_field(vq, AVAIL_RING + 2ull * (vq->last_avail % vq->num)),
				  __ATOMIC_RELAXED);
	err = walk_chain(vq, c);
	if (err)
		return err;
	vq->last_avail++;
	return 1;
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	struct vring_used_elem elem = {.id = head, .len = written};

	guest_ram_write(vq->ram, vq->used + USED_RING + 8ull * (vq->used_idx % vq->num), &elem,
			sizeof(elem));
	vq->used_idx++;
	guest_ram_begin_write(vq->ram);
	__atomic_store_n(used_field(vq, USED_IDX), vq->used_idx, __ATOMIC_RELEASE);
	guest_ram_mark_dirty(vq->ram, vq->used + USED_IDX, 2);
	guest_ram_end_write(vq->ram);
}

bool virtqueue_should_signal(struct virtqueue *vq)
{
	uint16_t old = vq->signalled;

	if (old == vq->used_idx)
		return false;
	vq->signalled = vq->used_idx;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq->event_idx)
		return vring_need_event(
			__atomic_load_n(avail_field(vq, USED_EVENT(vq)), __ATOMIC_RELAXED),
			vq->used_idx, old);
	return !(__atomic_load_n(avail_field(vq, AVAIL_FLAGS), __ATOMIC_RELAXED) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

static void set_used_field(struct virtqueue *vq, uint64_t offset, uint16_t value)
{
	guest_ram_begin_write(vq->ram);
	__atomic_store_n(used_field(vq, offset), value, __ATOMIC_RELAXED);
	guest_ram_mark_dirty(vq->ram, vq->used + offset, 2);
	guest_ram_end_write(vq->ram);
}

void virtqueue_disable_notify(struct virtqueue *vq)
{
	/* With event indices an old avail_event is enough: the guest has passed it. */
	if (!vq->event_idx)
		set_used_field(vq, USED_FLAGS, VRING_USED_F_NO_NOTIFY);
}

bool virtqueue_enable_notify(struct virtqueue *vq)
{
	if (vq->event_idx)
		set_used_field(vq, AVAIL_EVENT(vq), vq->last_avail);
	else
		set_used_field(vq, USED_FLAGS, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(avail_field(vq, AVAIL_IDX), __ATOMIC_RELAXED) != vq->last_avail;
}
