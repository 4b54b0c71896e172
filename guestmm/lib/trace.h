/*
 * Trace points: what the memory manager does, told to the host (include/mmvm/trace.h).
 *
 * Off, a point is one test of a byte and a branch that is not taken. On, a record of 32 bytes goes
 * into this CPU's ring. Any context; nothing is allocated and nothing waits.
 */
#ifndef LIB_TRACE_H
#define LIB_TRACE_H
#include "lib/types.h"
#include "mmvm/trace.h"

extern u8 trace_on;

/** What the host asks for in its control page. Boot, once the shared window is mapped. */
void trace_init(void);

/** The other fields of the record. */
struct trace_page {
	u32 pfn, mm;
	u16 arg;
	u8 order;
};
void __trace(enum mmvm_trace_event event, u64 addr, struct trace_page p);

static inline u32 trace_mm_id(const void *mm)
{
	return (u32)((u64)mm >> 4);
}

#define trace_point(event, addr_, ...)                                                          \
	do {                                                                                    \
		if (unlikely(trace_on))                                                         \
			__trace(TRACE_##event, (u64)(addr_), (struct trace_page){__VA_ARGS__}); \
	} while (0)

/** About a page of the page cache. */
#define trace_file(event, page, mapping, ...)                                                   \
	trace_point(event, (page)->index, .pfn = page_to_pfn(page), .mm = trace_mm_id(mapping), \
		    ##__VA_ARGS__)

/** The caller's address, for events that say who asked. */
#define TRACE_IP ((u64)__builtin_return_address(0))

/** Who runs: kernel/process.c, on the host tests/host/env.c. */
int current_pid(void);
#endif
