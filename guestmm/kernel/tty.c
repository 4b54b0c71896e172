/*
 * The terminal: output to the console; input is always at its end.
 */
#include "kernel/tty.h"
#include "arch/uaccess.h"
#include "kernel/console.h"
#include "lib/errno.h"
#include "lib/string.h"

static long tty_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	char chunk[256];
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, sizeof(chunk));

		if (copy_from_user(chunk, buf + done, n))
			return done ? (long)done : -EFAULT;
		console_write(chunk, n);
		done += n;
	}
	return done;
}

static long tty_write_kernel(struct file *f, const void *buf, size_t len)
{
	console_write(buf, len);
	return len;
}

static long tty_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return 0;
}

static const struct file_ops tty_ops = {
	.read = tty_read, .write = tty_write, .write_kernel = tty_write_kernel};

static struct device_node tty_devices[] = {
	{"console", S_IFCHR | 0600, MKDEV(5, 1), &tty_ops, NULL, NULL, {0}},
	{"tty", S_IFCHR | 0666, MKDEV(5, 0), &tty_ops, NULL, NULL, {0}},
	{"ttyS0", S_IFCHR | 0660, MKDEV(4, 64), &tty_ops, NULL, NULL, {0}},
};

struct file *console_file(void)
{
	return file_alloc(&tty_ops, O_RDWR, NULL);
}

void tty_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(tty_devices); i++)
		register_device_node(&tty_devices[i]);
}
