/*
 * The one place that opens a userfaultfd. One that handles faults of user mode only is open to everybody
 * (userfaultfd(2), vm.unprivileged_userfaultfd).
 */
#include "observe/write_protect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAULTS_OF_USER_MODE_ONLY 1 /* UFFD_USER_MODE_ONLY */

int write_protect_new(void)
{
	int fd = (int)syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		fd = (int)syscall(__NR_userfaultfd,
				  O_CLOEXEC | O_NONBLOCK | FAULTS_OF_USER_MODE_ONLY);
	return fd < 0 ? -errno : fd;
}

int write_protect_register(int fd, const struct guest_ram *ram, uint64_t features)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int rc;

	if (fd < 0)
		return fd;
	if (ioctl(fd, UFFDIO_API, &api))
		goto fail;
	for (unsigned int i = 0; i < ram->nr; i++) {
		struct uffdio_register reg = {
			.range = {.start = (uint64_t)ram->region[i].hva,
				  .len = ram->region[i].size},
			.mode = UFFDIO_REGISTER_MODE_WP,
		};

		if (ioctl(fd, UFFDIO_REGISTER, &reg))
			goto fail;
	}
	return fd;
fail:
	rc = -errno;
	close(fd);
	return rc;
}

int write_protect_open(const struct guest_ram *ram, uint64_t features)
{
	return write_protect_register(write_protect_new(), ram, features);
}
