/*
 * Requests to a VM's file descriptor: memory slots, interrupt lines, doorbells, the dirty log.
 */
#include <errno.h>
#include "kvm/ioctl.h"
#include "kvm/kvm.h"

int kvm_vm_check(int vm, int capability)
{
	int value = KVM_IOCTL(vm, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

int kvm_vm_enable_cap(int vm, uint32_t capability, uint64_t arg)
{
	struct kvm_enable_cap cap = {.cap = capability, .args = {arg}};

	return KVM_IOCTL(vm, KVM_ENABLE_CAP, &cap);
}

int kvm_vm_set_tss_addr(int vm, uint64_t gpa)
{
	return KVM_IOCTL(vm, KVM_SET_TSS_ADDR, gpa);
}

int kvm_vm_set_identity_map(int vm, uint64_t gpa)
{
	return KVM_IOCTL(vm, KVM_SET_IDENTITY_MAP_ADDR, &gpa);
}

int kvm_vm_create_irqchip(int vm)
{
	return KVM_IOCTL(vm, KVM_CREATE_IRQCHIP, 0);
}

int kvm_vm_set_memory(int vm, uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, void *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uint64_t)hva,
	};

	return KVM_IOCTL(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

int kvm_vm_irqfd(int vm, uint32_t gsi, int fd)
{
	struct kvm_irqfd irqfd = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
	};

	return KVM_IOCTL(vm, KVM_IRQFD, &irqfd);
}

int kvm_vm_ioeventfd(int vm, uint64_t gpa, uint32_t len, uint32_t match, int fd)
{
	struct kvm_ioeventfd io = {
		.datamatch = match,
		.addr = gpa,
		.len = len,
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return KVM_IOCTL(vm, KVM_IOEVENTFD, &io);
}

int kvm_vm_irq_line(int vm, uint32_t gsi, bool level)
{
	struct kvm_irq_level irq = {.irq = gsi, .level = level};

	return KVM_IOCTL(vm, KVM_IRQ_LINE, &irq);
}

int kvm_vm_get_dirty_log(int vm, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = {.slot = slot, .dirty_bitmap = bitmap};

	return KVM_IOCTL(vm, KVM_GET_DIRTY_LOG, &log);
}

int kvm_vm_clear_dirty_log(int vm, uint32_t slot, uint64_t first, uint32_t nr, void *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot,
		.num_pages = nr,
		.first_page = first,
		.dirty_bitmap = bitmap,
	};

	return KVM_IOCTL(vm, KVM_CLEAR_DIRTY_LOG, &log);
}

int kvm_vm_create_vcpu(int vm, unsigned int id)
{
	return KVM_IOCTL(vm, KVM_CREATE_VCPU, (unsigned long)id);
}

int kvm_vm_stats_fd(int vm)
{
	return KVM_IOCTL(vm, KVM_GET_STATS_FD, NULL);
}
