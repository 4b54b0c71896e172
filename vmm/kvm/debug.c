/*
 * Requests to a vCPU's file descriptor that a debugger makes. As with all of them, they wait while
 * the vCPU runs.
 */
#include "kvm/ioctl.h"
#include "kvm/debug.h"

#include <errno.h>
#include <string.h>

#define CONTROL_ALWAYS (KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_SW_BP)

uint32_t kvm_debug_supported(const struct kvm_system *sys)
{
	int known = kvm_system_check(sys, KVM_CAP_SET_GUEST_DEBUG2);

	if (known > 0)
		return (uint32_t)known;
	return kvm_system_check(sys, KVM_CAP_SET_GUEST_DEBUG) > 0 ? CONTROL_ALWAYS : 0;
}

int kvm_vcpu_set_guest_debug(const struct kvm_vcpu *vcpu, uint32_t control)
{
	struct kvm_guest_debug debug = {.control = control};

	return KVM_IOCTL(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug);
}

int kvm_vcpu_get_msr(const struct kvm_vcpu *vcpu, uint32_t index, uint64_t *value)
{
	/* The struct ends in a flexible array: leave room for one entry after it. */
	_Alignas(struct kvm_msrs) char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)room;
	int rc;

	memset(room, 0, sizeof(room));
	msrs->nmsrs = 1;
	msrs->entries[0].index = index;
	rc = KVM_IOCTL(vcpu->fd, KVM_GET_MSRS, msrs);
	if (rc < 0)
		return -errno;
	*value = msrs->entries[0].data;
	return rc == 1 ? 0 : -ENOENT;
}
