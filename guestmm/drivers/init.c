/* Bring up the devices that the device tree names: each is offered to the drivers that are compatible
 * with it (driver.h). A device that does not work is reported and not used; the machine runs
 * without it. */
#include "drivers/driver.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/dma/dma.h"

/* Offer the device to its drivers. 0; -ENODEV: no driver took it; or the error of the driver that tried to. */
static int probe(const struct boot_device *dev)
{
	int err = -ENODEV;

	for (const struct driver *d = __mmvm_drivers_start;
	     d < __mmvm_drivers_end && err == -ENODEV; d++)
		if (!strcmp(d->compatible, dev->compatible))
			err = d->probe(dev);
	return err;
}

/* Is there a driver for such devices? There is none for the memory shared with the VMM, nor for ports that arch/ and
 * kernel/ use directly. */
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
