/*
 * /dev/hwrng (Linux: drivers/char/hw_random): random bytes from the machine's device. It exists if the device does.
 */
#include "arch/uaccess.h"
#include "drivers/hwrng.h"
#include "fs/internal.h"
#include "mm/slab/slab.h"

static long hwrng_file_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u8 *bytes = kmalloc(PAGE_SIZE, GFP_KERNEL);
	size_t done = 0;
	long n = bytes ? 0 : -ENOMEM;

	while (bytes && done < len) {
		n = hwrng_read(bytes, min(len - done, (size_t)PAGE_SIZE));
		if (n > 0 && copy_to_user(buf + done, bytes, n))
			n = -EFAULT;
		if (n < 0)
			break;
		done += n;
		if (signal_pending())
			break;
		cond_resched();
	}
	kfree(bytes);
	return done ? (long)done : n;
}

static const struct file_ops hwrng_ops = {.read = hwrng_file_read};

static struct device_node node = {"hwrng", S_IFCHR | 0600, MKDEV(10, 183), &hwrng_ops, NULL, NULL,
				  {0}};

void hwrng_init(void)
{
	if (hwrng_present())
		register_device_node(&node);
}
