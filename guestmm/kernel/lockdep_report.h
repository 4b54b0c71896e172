/* The edges that the lock-order checker has recorded (lockdep.c), as text. */
#ifndef KERNEL_LOCKDEP_REPORT_H
#define KERNEL_LOCKDEP_REPORT_H
#include "lib/format.h"

/** /proc/lockdep, in Linux's format: each class, and the classes that were taken while it was held. 0, or
 * -ENOENT: the checker is off. */
int lockdep_report(struct report *r);
#endif
