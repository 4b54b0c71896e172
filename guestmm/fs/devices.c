/*
 * /dev: simple character devices, and the table of the devices of all special files.
 *
 * Numbers as Linux has them (Documentation/admin-guide/devices.txt): memory devices have major 1,
 * terminals 4 and 5, virtio disks what their driver registers.
 *
 * Lock: devices_lock for the list. Nodes are never removed.
 */
#include "fs/internal.h"
#include "arch/uaccess.h"
#include "kernel/console.h"

static spinlock_t devices_lock = SPINLOCK_INIT;
static LIST_HEAD(devices);
static bool dev_is_there; /* /dev is mounted: new nodes get their names at once */

struct device_node *find_device_node(u32 mode, u64 rdev)
{
	struct device_node *d, *found = NULL;

	spin_lock(&devices_lock);
	list_for_each_entry (d, &devices, list) {
		if (d->rdev == rdev && (d->mode & S_IFMT) == (mode & S_IFMT)) {
			found = d;
			break;
		}
	}
	spin_unlock(&devices_lock);
	return found;
}

static void make_name(const struct device_node *d)
{
	char path[32];
	int err;

	ksnprintf(path, sizeof(path), "/dev/%s", d->name);
	err = vfs_make_exact(path, d->mode, d->rdev);
	if (err && err != -EEXIST)
		printk("VFS: cannot make %s: error %d\n", path, -err);
}

void register_device_node(struct device_node *dev)
{
	spin_lock(&devices_lock);
	list_add_tail(&dev->list, &devices);
	spin_unlock(&devices_lock);
	if (dev_is_there)
		make_name(dev);
}

/* ---- memory devices --------------------------------------------------------------------------- */

static long null_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return 0;
}

static long null_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return len;
}

static long null_write_kernel(struct file *f, const void *buf, size_t len)
{
	return len;
}

static long null_llseek(struct file *f, s64 offset, int whence)
{
	return f->pos = 0;
}

static long zero_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, 16 * PAGE_SIZE), left = clear_user(buf + done, n);

		done += n - left;
		if (left)
			return done ? (long)done : -EFAULT;
		if (signal_pending())
			break;
		cond_resched();
	}
	return done;
}

static long full_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	return -ENOSPC;
}

static long random_read(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	u64 words[16];
	size_t done = 0;

	while (done < len) {
		size_t n = min(len - done, sizeof(words));

		for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = get_random_u64();
		if (copy_to_user(buf + done, words, n))
			return done ? (long)done : -EFAULT;
		done += n;
		if (signal_pending())
			break;
		cond_resched();
	}
	return done;
}

static long kmsg_write(struct file *f, unsigned long buf, size_t len, u64 *pos)
{
	char line[256];
	size_t n = min(len, sizeof(line) - 1);

	if (copy_from_user(line, buf, n))
		return -EFAULT;
	line[n] = '\0';
	printk("%s%s", line, n && line[n - 1] == '\n' ? "" : "\n");
	return len;
}

/* A private mapping of /dev/zero is anonymous memory; a shared one is a new file of shared memory. */
static int zero_mmap(struct file *f, unsigned long vm_flags, struct file **instead)
{
	struct inode *inode;

	if (!(vm_flags & VM_SHARED))
		return 0; /* no file: the mapping is anonymous */
	inode = shmem_inode(0600, ~0ull >> 1);
	if (!inode)
		return -ENOMEM;
	*instead = file_from_inode(inode, "/dev/zero", O_RDWR);
	iput(inode);
	return *instead ? 0 : -ENOMEM;
}

static const struct file_ops null_ops = {.read = null_read,
					 .write = null_write,
					 .write_kernel = null_write_kernel,
					 .llseek = null_llseek};
static const struct file_ops zero_ops = {.read = zero_read,
					 .write = null_write,
					 .write_kernel = null_write_kernel,
					 .llseek = null_llseek,
					 .mmap = zero_mmap};
static const struct file_ops full_ops = {
	.read = zero_read, .write = full_write, .llseek = null_llseek};
static const struct file_ops random_ops = {
	.read = random_read, .write = null_write, .llseek = null_llseek};
static const struct file_ops kmsg_ops = {.write = kmsg_write, .llseek = null_llseek};

static struct device_node memory_devices[] = {
	{"null", S_IFCHR | 0666, MKDEV(1, 3), &null_ops, NULL, NULL, {0}},
	{"zero", S_IFCHR | 0666, MKDEV(1, 5), &zero_ops, NULL, NULL, {0}},
	{"full", S_IFCHR | 0666, MKDEV(1, 7), &full_ops, NULL, NULL, {0}},
	{"random", S_IFCHR | 0666, MKDEV(1, 8), &random_ops, NULL, NULL, {0}},
	{"urandom", S_IFCHR | 0666, MKDEV(1, 9), &random_ops, NULL, NULL, {0}},
	{"kmsg", S_IFCHR | 0644, MKDEV(1, 11), &kmsg_ops, NULL, NULL, {0}},
};

/* ---- /dev ---- */

int devices_mount(void)
{
	struct device_node *d;
	int err = vfs_mkdir(AT_FDCWD, "/dev", 0755);

	if (err && err != -EEXIST)
		return err;
	err = vfs_mount("devtmpfs", "devtmpfs", "/dev", 0, "mode=755");
	if (err)
		return err;
	dev_is_there = true;
	/* Nodes are only added at the end and never removed, so the list may be walked without the lock. */
	list_for_each_entry (d, &devices, list)
		make_name(d);
	vfs_make_exact("/dev/shm", S_IFDIR | 01777, 0);
	vfs_make_exact("/dev/pts", S_IFDIR | 0755, 0);
	vfs_symlink("/proc/self/fd", AT_FDCWD, "/dev/fd");
	vfs_symlink("/proc/self/fd/0", AT_FDCWD, "/dev/stdin");
	vfs_symlink("/proc/self/fd/1", AT_FDCWD, "/dev/stdout");
	vfs_symlink("/proc/self/fd/2", AT_FDCWD, "/dev/stderr");
	return 0;
}

void devices_init(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(memory_devices); i++)
		register_device_node(&memory_devices[i]);
}
