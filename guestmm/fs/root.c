/*
 * A root on a disk: `root=/dev/vda [ro]` on the command line.
 *
 * The disk is mounted over the tmpfs that the initramfs was unpacked into, which hides its /dev, too. So /dev, /proc
 * and /sys are mounted again, on the disk's directories of these names. The old root cannot be reached by name any
 * more.
 */
#include "fs/internal.h"
#include "kernel/boot_info.h"

bool mount_root(void)
{
	char device[32], ro[8];
	bool read_only;
	int err;

	read_only = cmdline_get("ro", ro, sizeof(ro));
	if (!cmdline_get("root", device, sizeof(device)))
		return false;
	err = vfs_mount_root("ext2", device, read_only ? MS_RDONLY : 0);
	if (err) {
		printk("root: cannot mount %s: error %d\n", device, -err);
		return false;
	}
	err = devices_mount();
	if (err)
		printk("root: no /dev: error %d\n", -err);
	/* If the root has no such directory, it is not mounted. */
	err = vfs_mount("proc", "proc", "/proc", 0, "");
	if (err && err != -ENOENT)
		printk("root: no /proc: error %d\n", -err);
	err = vfs_mount("sysfs", "sysfs", "/sys", 0, "");
	if (!err)
		err = vfs_mount("cgroup2", "cgroup2", "/sys/fs/cgroup", 0, "");
	if (err && err != -ENOENT)
		printk("root: no /sys: error %d\n", -err);
	return true;
}
