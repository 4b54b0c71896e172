/* Bring up the devices that the device tree names: each is offered to the drivers that are compatible
 * with it (driver.h). A device that does not work is reported and left out: a machine without its
 * disk still runs. */
#include "drivers/driver.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/dma/dma.h"

/* 0, the error of the driver that took it and failed, or -ENODEV: there is no driver. */
static int probe(const struct boot_device *dev)
{
	int err = -ENODEV;

	for (const struct driver *d = __mmvm_drivers_start;
	     d < __mmvm_drivers_end && err == -ENODEV; d++)
		if (!strcmp(d->compatible, dev->compatible))
			err = d->probe(dev);
	return err;
}

/* Somebody has a use for such devices. The others (the memory shared with the VMM, ports that
 * arch/ and kernel/ know) have no driver. */
static bool has_driver(const struct boot_device *dev)
{
	for (const struct driver *d = __mmvm_drivers_start; d < __mmvm_drivers_end; d++)
		if (!strcmp(d->compatible, dev->compatible))
			return true;
	return false;
}

void drivers_init(void)
{
	char value[8];

	if (cmdline_get("dma_debug", value, sizeof(value)) &&
	    boot_option_is_on("dma_debug", value) && dma_debug_init())
		printk("DMA-API: no memory for checking\n");

	for (u32 i = 0; i < boot_info.nr_devices; i++) {
		const struct boot_device *dev = &boot_info.device[i];
		int err = has_driver(dev) ? probe(dev) : 0;

		if (err)
			printk("%s device %u (%s): no driver, error %d\n", dev->compatible, i,
			       dev->role, err);
	}
}
