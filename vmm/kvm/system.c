/*
 * /dev/kvm itself: which backend is behind it, what it can do, new VMs.
 *
 * The backend is recognised from outside because KVM has no call that names it. Hardware backends need the
 * CPU's vmx or svm flag; the PVM module offers /dev/kvm without either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kvm/ioctl.h"
#include "kvm/kvm.h"

const char *kvm_backend_name(enum kvm_backend backend)
{
	static const char *const name[] = {"none", "VMX", "SVM", "PVM"};

	return name[backend];
}

/** Does the first "flags" line of /proc/cpuinfo hold the word? */
static bool cpu_has_flag(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0, len = strlen(flag);
	bool found = false;

	if (!f)
		return false;
	while (getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		for (char *p = line; !found && (p = strstr(p, flag)); p += len)
			found = p > line && (p[-1] == ' ' || p[-1] == '\t') &&
				(p[len] == ' ' || p[len] == '\n' || !p[len]);
		break;
	}
	free(line);
	fclose(f);
	return found;
}

enum kvm_backend kvm_backend_detect(void)
{
	if (cpu_has_flag("vmx"))
		return KVM_BACKEND_VMX;
	if (cpu_has_flag("svm"))
		return KVM_BACKEND_SVM;
	if (access("/sys/module/kvm_pvm", F_OK) == 0)
		return KVM_BACKEND_PVM;
	return KVM_BACKEND_NONE;
}

const char *kvm_device_path(void)
{
	const char *path = getenv("MMVM_KVM_DEVICE");

	return path && *path ? path : "/dev/kvm";
}

int kvm_system_open(struct kvm_system *sys)
{
	int version, size, err;

	sys->fd = open(kvm_device_path(), O_RDWR | O_CLOEXEC);
	if (sys->fd < 0)
		return -errno;
	version = KVM_IOCTL(sys->fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		err = version < 0 ? -errno : -ENODEV;
		goto fail;
	}
	size = KVM_IOCTL(sys->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size < (int)sizeof(struct kvm_run)) {
		err = size < 0 ? -errno : -ENODEV;
		goto fail;
	}
	sys->run_size = (size_t)size;
	sys->backend = kvm_backend_detect();
	return 0;
fail:
	close(sys->fd);
	sys->fd = -1;
	return err;
}

void kvm_system_close(struct kvm_system *sys)
{
	if (sys->fd >= 0)
		close(sys->fd);
	sys->fd = -1;
}

int kvm_system_check(const struct kvm_system *sys, int capability)
{
	int value = KVM_IOCTL(sys->fd, KVM_CHECK_EXTENSION, capability);

	return value < 0 ? 0 : value;
}

int kvm_system_supported_cpuid(const struct kvm_system *sys, struct kvm_cpuid2 **cpuid)
{
	struct kvm_cpuid2 *c;
	int err;

	/* The kernel says E2BIG until there is room; it never has more than 256 leaves. */
	for (unsigned int n = 64; n <= 1024; n *= 2) {
		c = calloc(1, sizeof(*c) + n * sizeof(c->entries[0]));
		if (!c)
			return -ENOMEM;
		c->nent = n;
		if (KVM_IOCTL(sys->fd, KVM_GET_SUPPORTED_CPUID, c) == 0) {
			*cpuid = c;
			return 0;
		}
		err = -errno;
		free(c);
		if (err != -E2BIG)
			return err;
	}
	return -E2BIG;
}

int kvm_system_create_vm(const struct kvm_system *sys)
{
	int vm;

	do
		vm = KVM_IOCTL(sys->fd, KVM_CREATE_VM, 0);
	while (vm < 0 && errno == EINTR);
	return vm < 0 ? -errno : vm;
}
