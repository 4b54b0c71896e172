/* The thread that samples accessed bits for the VMM. */
#ifndef KERNEL_ACCESSD_H
#define KERNEL_ACCESSD_H

/** Start it, if the VMM asked for it. Returns 0 or -ENOMEM. */
int accessd_init(void);
/** Sample the calling process now, for a program that asks the VMM for the result. Returns pages found accessed.
 * May sleep. */
long accessd_sample_current(void);
#endif
