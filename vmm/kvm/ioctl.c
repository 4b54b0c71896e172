/*
 * The last ioctl of each thread that failed.
 */
#include "kvm/ioctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include "kvm/kvm.h"

static _Thread_local struct {
	const char *name, *file;
	int error, line;
	char text[160];
} last;

int kvm_ioctl(int fd, unsigned long request, unsigned long arg, const char *name, const char *file,
	      int line)
{
	int rc = ioctl(fd, request, arg);

	if (rc >= 0)
		return rc;
	rc = -errno;
	if (rc == -EINTR || rc == -EAGAIN)
		return rc;
	last.name = name;
	last.file = file;
	last.error = -rc;
	last.line = line;
	return rc;
}

const char *kvm_error_text(int rc)
{
	if (!last.name || last.error != -rc)
		return strerror(-rc);
	snprintf(last.text, sizeof(last.text), "%s: %s (errno %d, %s:%d)", last.name,
		 strerror(last.error), last.error, last.file, last.line);
	return last.text;
}
