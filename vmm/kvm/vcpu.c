/*
 * Requests to a vCPU's file descriptor. All of them wait while the vCPU runs, so they are made on
 * its own thread or when it has stopped.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvm/ioctl.h"
#include "kvm/kvm.h"

int kvm_vcpu_open(struct kvm_vcpu *vcpu, const struct kvm_system *sys, int vm, unsigned int id)
{
	int err;

	vcpu->fd = kvm_vm_create_vcpu(vm, id);
	if (vcpu->fd < 0)
		return vcpu->fd;
	vcpu->run_size = sys->run_size;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		err = -errno;
		close(vcpu->fd);
		vcpu->fd = -1;
		vcpu->run = NULL;
		return err;
	}
	return 0;
}

void kvm_vcpu_close(struct kvm_vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	vcpu->run = NULL;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

int kvm_vcpu_run(struct kvm_vcpu *vcpu)
{
	return KVM_IOCTL(vcpu->fd, KVM_RUN, 0);
}

int kvm_vcpu_complete_exit(struct kvm_vcpu *vcpu)
{
	int rc;

	/* KVM_RUN first does what is left of the last exit, then looks at this flag (Linux,
	 * Documentation/virt/kvm/api.rst, section 5, "immediate_exit"). */
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	rc = kvm_vcpu_run(vcpu);
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (!rc)
		return -EBUSY;
	return rc == -EINTR || rc == -EAGAIN ? 0 : rc;
}

int kvm_vcpu_get_regs(const struct kvm_vcpu *vcpu, struct kvm_regs *regs)
{
	return KVM_IOCTL(vcpu->fd, KVM_GET_REGS, regs);
}

int kvm_vcpu_set_regs(const struct kvm_vcpu *vcpu, const struct kvm_regs *regs)
{
	return KVM_IOCTL(vcpu->fd, KVM_SET_REGS, regs);
}

int kvm_vcpu_get_sregs(const struct kvm_vcpu *vcpu, struct kvm_sregs *sregs)
{
	return KVM_IOCTL(vcpu->fd, KVM_GET_SREGS, sregs);
}

int kvm_vcpu_set_sregs(const struct kvm_vcpu *vcpu, const struct kvm_sregs *sregs)
{
	return KVM_IOCTL(vcpu->fd, KVM_SET_SREGS, sregs);
}

int kvm_vcpu_get_fpu(const struct kvm_vcpu *vcpu, struct kvm_fpu *fpu)
{
	return KVM_IOCTL(vcpu->fd, KVM_GET_FPU, fpu);
}

int kvm_vcpu_set_fpu(const struct kvm_vcpu *vcpu, const struct kvm_fpu *fpu)
{
	return KVM_IOCTL(vcpu->fd, KVM_SET_FPU, fpu);
}

int kvm_vcpu_set_cpuid(const struct kvm_vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	return KVM_IOCTL(vcpu->fd, KVM_SET_CPUID2, cpuid);
}

int kvm_vcpu_set_runnable(const struct kvm_vcpu *vcpu)
{
	struct kvm_mp_state state = {.mp_state = KVM_MP_STATE_RUNNABLE};

	return KVM_IOCTL(vcpu->fd, KVM_SET_MP_STATE, &state);
}

int kvm_vcpu_tsc_khz(const struct kvm_vcpu *vcpu)
{
	return KVM_IOCTL(vcpu->fd, KVM_GET_TSC_KHZ, 0);
}

int kvm_vcpu_stats_fd(const struct kvm_vcpu *vcpu)
{
	return KVM_IOCTL(vcpu->fd, KVM_GET_STATS_FD, NULL);
}

struct kvm_segment kvm_flat_segment(uint16_t selector, uint8_t type)
{
	const bool code = type & 8;

	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.db = !code,
		.l = code,
		.g = 1,
	};
}
