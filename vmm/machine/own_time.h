/*
 * Own time: how long something would have taken on a machine of its own.
 *
 * A time limit in seconds of the clock says "hung" of a healthy program when twenty others want the
 * same processor. Linux tells for each thread how long it ran and how long it was ready and waited
 * for a processor (/proc/PID/task/TID/schedstat). While threads wait, own time stands still:
 *
 *   own += wall * (1 - lost * wanted)    lost   = waited / (ran + waited)
 *                                        wanted = min(1, (ran + waited) / wall)
 *
 * A process that sleeps wants no processor, so its own time is the clock's: a deadlock ends as soon
 * as ever. One that spins uses what it gets. Where the kernel does not tell, own time is wall time.
 *
 * Inside the lab the clock itself runs on while QEMU waits for a processor of the outer machine.
 * There the outer mmvm sends QEMU's own time (OWN_TIME_FILE, images/lab_init.c), which then takes
 * the clock's place.
 *
 * One user a struct; no locks.
 */
#ifndef VMM_MACHINE_OWN_TIME_H
#define VMM_MACHINE_OWN_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** Inside the lab: nanoseconds of own time of the lab's machine so far, a 64-bit number. */
#define OWN_TIME_FILE "/dev/mmvm-own-time"

struct own_thread {
	pid_t tid;
	uint64_t ran, waited; /* ns since it was made */
};

struct own_time {
	uint64_t ns;		 /* own time so far */
	uint64_t ran, waited;	 /* ns of all threads between the last two looks, for others' use */
	uint64_t clock, machine; /* at the last look: the clock, the lab's own time */
	struct own_thread *thread;
	unsigned int nr, room;
	bool begun;
};

/** Begin at 0. */
void own_time_init(struct own_time *t);
void own_time_free(struct own_time *t);
/**
 * Look at all threads of the processes pid[0..nr) and return the own time since the first look.
 * Processes that are gone are left out. To be called about once a second: a thread that came and
 * went between two looks is not seen.
 */
uint64_t own_time_look(struct own_time *t, const pid_t *pid, unsigned int nr);

#endif
