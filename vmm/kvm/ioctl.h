/*
 * An ioctl on one of KVM's descriptors that keeps what failed: its name, its errno and where. Used by
 * the wrappers of this folder only; others read the text with kvm_error_text().
 */
#ifndef VMM_KVM_IOCTL_H
#define VMM_KVM_IOCTL_H

#include <linux/kvm.h>

/** >= 0, or -errno; EINTR and EAGAIN are not kept: they are answers. */
int kvm_ioctl(int fd, unsigned long request, unsigned long arg, const char *name, const char *file,
	      int line);
#define KVM_IOCTL(fd, request, arg) \
	kvm_ioctl(fd, request, (unsigned long)(arg), #request, __FILE__, __LINE__)

#endif
