/* The console's 16550: receiving. Output goes through kernel/printk.c. */
#ifndef DRIVERS_SERIAL_H
#define DRIVERS_SERIAL_H
#include "lib/types.h"

/** Find the port, take its interrupt; nothing is received yet. 0 or -errno. */
int serial_init(void);
/** Receive, or leave what comes where it is. Any context. */
void serial_receive(bool on);
#endif
