/*
 * Thread information of the host build: one static thread on a CPU that a test may rename. Types
 * and flags come from the guest's own header, so that they cannot drift apart; only the
 * functions that ask the CPU are replaced.
 */
#ifndef HOST_ARCH_THREAD_INFO_H
#define HOST_ARCH_THREAD_INFO_H
#define current_thread_info guest_current_thread_info
#include "../../../guestmm/arch/x86/include/arch/thread_info.h"
#undef current_thread_info

extern struct thread_info host_thread_info;

static inline struct thread_info *current_thread_info(void)
{
	return &host_thread_info;
}
static inline unsigned int cpu_id(void)
{
	return host_thread_info.cpu;
}
#endif
