/*
 * A port whose bytes are commands to the machine: power management in its simplest form.
 *
 *   base + 0   write: the byte is passed on to the machine    read: a constant
 *   base + 1   write: ignored                                   read: the same constant
 *
 * Two places of a PC fit this: the keyboard controller's command port (0x64), whose command 0xfe
 * pulls the reset line, and the sleep control register of ACPI's hardware-reduced model with its
 * status register behind it (ACPI 6.4, 4.8.3.7).
 *
 * No state, so no lock. The call-back runs on the vCPU's thread, with no lock held.
 */
#include "devices/device_impl.h"

#include <errno.h>
#include <stdlib.h>

#define COMMAND_PORTS 2

struct command_port {
	struct device dev;
	uint8_t reads_as;
	void (*fn)(void *arg, uint8_t command);
	void *arg;
};

static void command_port_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	if (size != 1) {
		device_bad_read(dev, data, size);
		return;
	}
	*(uint8_t *)data = container_of(dev, struct command_port, dev)->reads_as;
}

static void command_port_write(struct device *dev, uint64_t offset, unsigned int size,
			       const void *data)
{
	struct command_port *p = container_of(dev, struct command_port, dev);

	if (size != 1) {
		device_guest_error(dev);
		return;
	}
	if (!offset)
		p->fn(p->arg, *(const uint8_t *)data);
}

static void command_port_reset(struct device *dev) {}

static void command_port_destroy(struct device *dev)
{
	free(container_of(dev, struct command_port, dev));
}

static const struct device_model command_port_model = {
	.name = "command-port",
	.node = "port",
	.size = COMMAND_PORTS,
	.pio = true,
	.read = command_port_read,
	.write = command_port_write,
	.reset = command_port_reset,
	.destroy = command_port_destroy,
};

struct device *command_port_create(const struct device_env *env, uint8_t reads_as,
				   void (*fn)(void *arg, uint8_t command), void *arg)
{
	struct command_port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	device_init(&p->dev, &command_port_model, env);
	p->reads_as = reads_as;
	p->fn = fn;
	p->arg = arg;
	return &p->dev;
}
