/*
 * The dirty ring: KVM names each page it sees written, vCPU by vCPU, in memory shared with us.
 *
 *   KVM      entry = {slot, page}, flags = DIRTY           at its own index
 *   we       read it, flags = RESET                        at `next`, up to the first not DIRTY
 *   we       KVM_RESET_DIRTY_RINGS                         KVM protects those pages again
 *
 * A page may be named more than once: when the ring fills up in the middle of an access, KVM
 * leaves, and notes it again at the next try. So readers keep a set. When a ring is nearly full,
 * KVM_RUN returns KVM_EXIT_DIRTY_RING_FULL until entries are reset.
 *
 * With PML (Intel) the CPU holds up to 512 pages that come into the ring at the next exit: what a
 * running vCPU wrote last is found one reading later.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvm/ioctl.h"
#include "kvm/kvm.h"

/* Newer than some systems' headers. */
#ifndef KVM_CAP_DIRTY_LOG_RING_ACQ_REL
#define KVM_CAP_DIRTY_LOG_RING_ACQ_REL 223
#endif

uint32_t kvm_dirty_ring_max(const struct kvm_system *sys, uint32_t *capability)
{
	static const uint32_t caps[] = {KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING};

	for (unsigned int i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		int bytes = kvm_system_check(sys, (int)caps[i]);

		if (bytes > 0) {
			*capability = caps[i];
			return (uint32_t)bytes / sizeof(struct kvm_dirty_gfn);
		}
	}
	return 0;
}

int kvm_dirty_ring_map(struct kvm_dirty_ring *ring, const struct kvm_vcpu *vcpu, uint32_t entries)
{
	size_t bytes = entries * sizeof(*ring->gfn);
	off_t offset = (off_t)KVM_DIRTY_LOG_PAGE_OFFSET * sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	ring->gfn = p;
	ring->entries = entries;
	ring->next = 0;
	return 0;
}

void kvm_dirty_ring_unmap(struct kvm_dirty_ring *ring)
{
	if (ring->gfn)
		munmap(ring->gfn, ring->entries * sizeof(*ring->gfn));
	ring->gfn = NULL;
}

uint32_t kvm_dirty_ring_read(struct kvm_dirty_ring *ring,
			     void (*fn)(uint32_t slot, uint64_t page, void *arg), void *arg)
{
	uint32_t n = 0;

	if (!ring->gfn)
		return 0;
	/* At most one turn of the ring: KVM may write more entries while we read. */
	for (; n < ring->entries; n++) {
		struct kvm_dirty_gfn *e = &ring->gfn[ring->next % ring->entries];

		/* Acquire: slot and offset were written before the flag. */
		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) != KVM_DIRTY_GFN_F_DIRTY)
			break;
		fn(e->slot, e->offset, arg);
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		ring->next++;
	}
	return n;
}

int kvm_vm_reset_dirty_rings(int vm)
{
	int n = KVM_IOCTL(vm, KVM_RESET_DIRTY_RINGS, 0);

	return n < 0 ? -errno : n;
}
