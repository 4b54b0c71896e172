/*
 * Who may enter the guest (machine/park.c has the protocol). All of it is for vCPU threads, about
 * themselves, but for the last.
 */
#ifndef VMM_MACHINE_PARK_H
#define VMM_MACHINE_PARK_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define MACHINE_KICK_SIGNAL (SIGRTMIN + 2)

struct machine;
struct machine_vcpu;

/** The guest starts a vCPU (fastop_cpu_start_fn; its argument is the machine). 0, -EINVAL: there is
 * no such vCPU; -EBUSY: it has been started. */
int machine_vcpu_release(void *machine, uint64_t cpu, uint64_t rip, uint64_t cr3, uint64_t rsp);
/** The thread's first step: wait until the guest has released the vCPU. False: the machine is
 * ending. */
bool machine_park_begin(struct machine_vcpu *v);
/** Before each entry, which follows unless this returns false: the machine is ending. */
bool machine_park_may_enter(struct machine_vcpu *v);
/** The thread will not enter the guest again: nobody needs to wait for it. */
void machine_park_end(struct machine_vcpu *v);
/** All other vCPUs leave the guest and stay outside until the resume. 0, or -ECANCELED: the machine
 * is ending and another one looks; do not resume. */
int machine_pause_others(struct machine_vcpu *v);
void machine_resume_others(struct machine_vcpu *v);
/** The owner's: every vCPU thread is to end. Join them next. */
void machine_park_quit(struct machine *m);

#endif
