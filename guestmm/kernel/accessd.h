/* The thread that samples accessed bits for the VMM. */
#ifndef KERNEL_ACCESSD_H
#define KERNEL_ACCESSD_H

/** Start the thread, if the VMM asked for samples. Returns 0 or -ENOMEM. */
int accessd_init(void);
/** Sample the current process now, for a program that asks the VMM for the result. Returns the number of pages found
 * accessed. May sleep. */
long accessd_sample_current(void);
#endif
