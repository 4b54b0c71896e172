/*
 * The test channel: records and questions to the monitor. The driver is drivers/testchan.c; the layout
 * of a record is in include/mmvm/testchan.h. Unless they say otherwise, all functions may be called in any
 * context and allocate nothing.
 */
#ifndef KERNEL_TESTCHAN_H
#define KERNEL_TESTCHAN_H
#include "lib/format.h"
#include "mmvm/testchan.h"

void testchan_exit(int status) __noreturn; /* stop the VM with this exit status */
void testchan_record(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2,
		     const char *text);
/** Send a record. Returns the host's answer (record.status). */
int testchan_call(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2, void *text,
		  u32 text_len);
void testchan_printf(enum mmvm_record_kind kind, const char *name, u64 value, const char *fmt, ...)
	__printf(4, 5);
/** Let `producer` write a report, and send it as MMVM_REC_REPORT. Allocates memory and may sleep. */
void testchan_report(const char *name, void (*producer)(struct report *r));
/** Ask the host to audit the memory now. Returns the number of findings, or -errno. */
int testchan_audit(void);
#endif
