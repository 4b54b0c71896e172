/*
 * Questions to a running QEMU, and one command: what its processors hold, and that they take short turns.
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

/**
 * Where instructions are counted, the emulated processors take turns, and one ends when a timer is due. From
 * now on one is due every 2,000 instructions: the release of packets of the network "none", which has none.
 * Waits up to three seconds for QEMU's answer. `fd` is its QMP socket.
 */
void lab_monitor_take_turns(int fd);

#endif
