/* What the terminal (fs/tty.c) is connected to: the 16550, or a virtio-console. */
#ifndef DRIVERS_CONSOLE_PORT_H
#define DRIVERS_CONSOLE_PORT_H
#include "lib/types.h"

/** The side that receives the port's input. One CPU at a time calls these; receive() and resized() may be called in an
 * interrupt. */
struct console_client {
	u32 (*room)(void);			 /* how many bytes it can take now */
	void (*receive)(const u8 *bytes, u32 n); /* n <= room() */
	void (*line_break)(void);
	void (*resized)(void); /* the window at the other end has changed its size */
};

struct console_port {
	const char *name; /* of the node in /dev */
	u8 major, minor;  /* its device number */
	/** Request the interrupt. Input starts with start_receiving(). The port keeps the pointer. 0 or -errno. */
	int (*open)(const struct console_client *client);
	/** Start to pass input to the client. When the client has no room, the port stops and keeps further input until
	 * this is called again. Any context. */
	void (*start_receiving)(void);
	/** Send n bytes, in order. They have left the machine when it returns. Any context. */
	void (*write)(const char *buf, size_t n);
	/** Get the size of the window in characters; 0: it is not known. */
	void (*size)(u16 *rows, u16 *cols);
};

extern const struct console_port serial_port;
/** The machine's virtio-console, or NULL. After drivers_init(). */
const struct console_port *virtio_console_port(void);
#endif
