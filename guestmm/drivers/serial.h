/* The console's 16550: receiving. Output is in kernel/printk.c. */
#ifndef DRIVERS_SERIAL_H
#define DRIVERS_SERIAL_H
#include "lib/types.h"

/** The receiver of what the port gets. Called in the port's interrupt, on one CPU at a time. */
struct serial_client {
	u32 (*room)(void);			 /* bytes it can take now */
	void (*receive)(const u8 *bytes, u32 n); /* n <= room() */
	void (*line_break)(void);
	void (*resized)(void); /* the window at the other end has another size */
};
/** Find the port, take its interrupt; nothing is received yet. `client` is kept. 0 or -errno. */
int serial_init(const struct serial_client *client);
/** Receive. After the client had no room the port keeps what comes, until this is called again. Any context. */
void serial_start_receiving(void);
#endif
