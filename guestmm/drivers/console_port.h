/* What the terminal (fs/tty.c) is connected to: the 16550, or a virtio-console. */
#ifndef DRIVERS_CONSOLE_PORT_H
#define DRIVERS_CONSOLE_PORT_H
#include "lib/types.h"

/** The receiver of what the port gets. Called by one CPU at a time; receive() and resized() perhaps in an interrupt. */
struct console_client {
	u32 (*room)(void);			 /* bytes it can take now */
	void (*receive)(const u8 *bytes, u32 n); /* n <= room() */
	void (*line_break)(void);
	void (*resized)(void); /* the window at the other end has another size */
};

struct console_port {
	const char *name; /* of the node in /dev */
	u8 major, minor;  /* its device number */
	/** Take the interrupt; nothing is received yet. `client` is kept. 0 or -errno. */
	int (*open)(const struct console_client *client);
	/** Receive. After the client had no room the port keeps what comes, until this is called again. Any context. */
	void (*start_receiving)(void);
	/** Print, in order; has left when it returns. Any context. */
	void (*write)(const char *buf, size_t n);
	/** The window, in characters; 0: not known. */
	void (*size)(u16 *rows, u16 *cols);
};

extern const struct console_port serial_port;
/** The machine's virtio-console, or NULL. After drivers_init(). */
const struct console_port *virtio_console_port(void);
#endif
