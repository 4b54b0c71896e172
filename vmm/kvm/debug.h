/*
 * Typed wrappers over the KVM ioctls for debugging a vCPU: stepping through it and reading the
 * registers that only a debugger asks for. Same rules as kvm/kvm.h.
 */
#ifndef VMM_KVM_DEBUG_H
#define VMM_KVM_DEBUG_H

#include "kvm/kvm.h"

/** What of KVM_GUESTDBG_* this host knows; 0: it has no guest debugging at all. */
uint32_t kvm_debug_supported(const struct kvm_system *sys);
/** Set what exits (KVM_GUESTDBG_*; 0: nothing). With KVM_GUESTDBG_SINGLESTEP this also sets the
 * trap flag for the next entry, whatever the guest's flags say. */
int kvm_vcpu_set_guest_debug(const struct kvm_vcpu *vcpu, uint32_t control);
int kvm_vcpu_get_msr(const struct kvm_vcpu *vcpu, uint32_t index, uint64_t *value);

#endif
