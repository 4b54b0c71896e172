/*
 * Questions to a running QEMU: what its processors hold.
 */
#ifndef VMM_LAB_MONITOR_H
#define VMM_LAB_MONITOR_H

#include <stdbool.h>

/**
 * Does the machine execute nothing? QEMU is asked for the registers of all its processors, several
 * times within a few seconds. True when they never differ, or when QEMU does not answer. Only of use
 * when QEMU's threads are busy: a machine that sleeps holds still as well. `fd` is its QMP socket.
 */
bool lab_monitor_stands_still(int fd);

#endif
