/* The console's 16550: receiving. Output goes through kernel/printk.c. */
#ifndef DRIVERS_SERIAL_H
#define DRIVERS_SERIAL_H
#include "lib/types.h"

/** Who gets what the port receives. Called in its interrupt, on one CPU at a time. */
struct serial_client {
	u32 (*room)(void);			 /* bytes it can take now */
	void (*receive)(const u8 *bytes, u32 n); /* n <= room() */
	void (*line_break)(void);
	void (*resized)(void); /* the window at the other end has another size */
};
/** Find the port, take its interrupt; nothing is received yet. `client` is kept. 0 or -errno. */
int serial_init(const struct serial_client *client);
/** Receive, or leave what comes where it is. Any context. */
void serial_receive(bool on);
#endif
