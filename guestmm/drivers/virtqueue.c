/*
 * The split virtqueue (virtio 1.2, section 2.7), driver's side.
 *
 *   desc   [ addr len flags next ] x size      free ones linked from free_head
 *   avail  idx, ring[size] of head descriptors  we write, the device reads
 *   used   idx, ring[size] of {head, written}   the device writes, we read
 *
 * If the feature was negotiated, notifications use event indexes: avail_event is the index at which the
 * device wants to be kicked, used_event the index at which the driver wants an interrupt. So a run of
 * requests costs one kick and one interrupt, whatever its length.
 *
 * VQ1: token[h] != NULL exactly while the chain with head h is with the device.
 * VQ2: num_free descriptors are on the list of free_head. With indirect tables each chain takes one.
 * VQ3: a number that the device returns is checked before it is used as an index. If the device returns a
 *      descriptor that it does not have, the queue is `broken`, and nothing more is taken from it.
 *
 * Lock: the driver's own. The caller holds it for every function here.
 */
#include "drivers/virtio.h"
#include "lib/errno.h"

/* Order the store of our index before the load of the other side's index. This is the one order that x86 does not keep
 * by itself. It is a locked instruction, because not every emulator has mfence. */
static inline void full_barrier(void)
{
	__asm__ volatile("lock; addl $0, (%%rsp)" ::: "memory", "cc");
}

static u16 *used_event(struct virtqueue *vq)
{
	return &vq->avail->ring[vq->size];
}
static u16 *avail_event(struct virtqueue *vq)
{
	return (u16 *)&vq->used->ring[vq->size];
}

int virtqueue_add(struct virtqueue *vq, const struct vring_desc *table, dma_addr_t table_dma, u16 n,
		  void *token)
{
	bool indirect = virtio_has_feature(vq->vdev, VIRTIO_F_INDIRECT_DESC) && n > 1;
	u16 head = vq->free_head, need = indirect ? 1 : n;
	struct vring_desc *d = &vq->desc[head];

	if (vq->num_free < need)
		return -ENOSPC;
	if (indirect) {
		vq->free_head = d->next;
		d->addr = table_dma;
		d->len = n * sizeof(*table);
		d->flags = VRING_DESC_F_INDIRECT;
	} else {
		/* The free list's links become the chain's. */
		for (u16 i = 0; i < n; i++) {
			d->addr = table[i].addr;
			d->len = table[i].len;
			d->flags = table[i].flags;
			vq->free_head = d->next;
			d = &vq->desc[d->next];
		}
	}
	vq->num_free -= need;
	vq->token[head] = token;
	vq->avail->ring[vq->avail_idx & (vq->size - 1)] = head;
	vq->avail_idx++;
	return 0;
}

bool virtqueue_kick(struct virtqueue *vq)
{
	u16 old = vq->kicked_idx, new = vq->avail_idx;
	bool wanted;

	if (old == new)
		return false;
	__atomic_store_n(&vq->avail->idx, new, __ATOMIC_RELEASE);
	vq->kicked_idx = new;
	full_barrier();
	/* 2.7.7.2: kick when avail_event lies in [old, new). */
	if (virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX))
		wanted = (u16)(new - READ_ONCE(*avail_event(vq)) - 1) < (u16)(new - old);
	else
		wanted = !(READ_ONCE(vq->used->flags) & VRING_NO_NOTIFY);
	if (wanted)
		vq->nr_kicks++;
	else
		vq->nr_kicks_avoided++;
	return wanted;
}

static void free_chain(struct virtqueue *vq, u16 head)
{
	u16 last = head;

	vq->num_free++;
	while (vq->desc[last].flags & VRING_DESC_F_NEXT) {
		last = vq->desc[last].next;
		vq->num_free++;
	}
	vq->desc[last].next = vq->free_head;
	vq->free_head = head;
}

void *virtqueue_get(struct virtqueue *vq, u32 *len)
{
	struct vring_used_elem e;
	void *token;

	if (vq->broken || __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE) == vq->used_idx)
		return NULL;
	e = vq->used->ring[vq->used_idx & (vq->size - 1)];
	if (unlikely(e.id >= vq->size || !vq->token[e.id])) {
		printk("%s: device gave back descriptor %u, which it does not have\n",
		       vq->vdev->role, e.id);
		vq->broken = true;
		return NULL;
	}
	token = vq->token[e.id];
	vq->token[e.id] = NULL;
	free_chain(vq, e.id);
	vq->used_idx++;
	*len = e.len;
	return token;
}

bool virtqueue_enable_cb(struct virtqueue *vq)
{
	WRITE_ONCE(vq->avail->flags, 0);
	WRITE_ONCE(*used_event(vq), vq->used_idx);
	full_barrier();
	return READ_ONCE(vq->used->idx) == vq->used_idx;
}

void virtqueue_disable_cb(struct virtqueue *vq)
{
	/* With event index the flag is not looked at (2.7.7): name an index half a turn away. */
	WRITE_ONCE(vq->avail->flags, VRING_NO_INTERRUPT);
	WRITE_ONCE(*used_event(vq), vq->used_idx + 0x8000);
}
