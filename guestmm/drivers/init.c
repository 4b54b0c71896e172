/* Bring up the devices that the device tree names. A device that does not work is reported and left
 * out: a machine without its disk still runs. */
#include "drivers/dmaengine.h"
#include "drivers/virtio.h"
#include "lib/errno.h"
#include "mm/dma/dma.h"

void drivers_init(void)
{
	char value[8];
	int err;

	if (cmdline_get("dma_debug", value, sizeof(value)) && dma_debug_init())
		printk("DMA-API: no memory for checking\n");

	for (u32 i = 0; i < boot_info.nr_virtio; i++) {
		err = virtio_blk_probe(&boot_info.virtio[i]);
		if (err)
			printk("virtio device %u (%s): no driver, error %d\n", i,
			       boot_info.virtio[i].role, err);
	}
	if (boot_info.dma_engine.base) {
		err = dmaengine_probe(&boot_info.dma_engine);
		if (err)
			printk("dma-engine: error %d\n", err);
	}
}
