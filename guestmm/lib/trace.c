/*
 * The guest's end of the trace rings. The protocol and its invariants are in include/mmvm/trace.h.
 *
 * A full ring is emptied by the host while our `out` to its port waits, so nothing is lost however
 * fast we are; what that costs is an exit every few thousand records.
 *
 * Locks: none; interrupts off while a record is written, each CPU has its own ring.
 */
#include "arch/irqflags.h"
#include "arch/thread_info.h"
#include "lib/env.h"
#include "lib/trace.h"

u8 trace_on;

#ifdef MMVM_HOSTED
void trace_init(void) {}

/* Nobody turns trace_on on: there is no host beside the host build. */
void __trace(enum mmvm_trace_event event, u64 addr, struct trace_page p)
{
	panic("BUG: trace point %u without a ring", event);
}
#else
#include "arch/io.h"
#include "lib/shared.h"

static u64 trace_mask;
static u32 ring_records;

static inline struct mmvm_trace_ctl *trace_ctl(void)
{
	return (struct mmvm_trace_ctl *)((char *)mmvm_shared + MMVM_TRACE_CTL);
}

void trace_init(void)
{
	const struct mmvm_trace_ctl *ctl = trace_ctl();

	trace_mask = ctl->mask;
	ring_records = ctl->records;
	trace_on = trace_mask && ctl->version == MMVM_TRACE_VERSION;
}

void __trace(enum mmvm_trace_event event, u64 addr, struct trace_page p)
{
	struct mmvm_trace_ring *ring;
	struct mmvm_trace_rec *rec;
	unsigned long flags;
	unsigned int cpu;
	u32 head;

	if (!(trace_mask >> event & 1))
		return;
	flags = arch_irq_save();
	cpu = cpu_id();
	ring = &trace_ctl()->ring[cpu];
	head = ring->head;
	if (unlikely(head - READ_ONCE(ring->tail) >= ring_records)) {
		outb(MMVM_TRACE_PORT, (u8)cpu);
		if (head - READ_ONCE(ring->tail) >= ring_records) {
			ring->dropped++;
			goto out;
		}
	}
	rec = (struct mmvm_trace_rec *)((char *)mmvm_shared + MMVM_TRACE_RINGS) +
	      (cpu * ring_records + (head & (ring_records - 1)));
	rec->tsc = get_cycles();
	rec->event = event;
	rec->order = p.order;
	rec->arg = p.arg;
	rec->pid = (u32)current_pid();
	rec->pfn = p.pfn;
	rec->mm = p.mm;
	rec->addr = addr;
	/* x86 keeps stores in order: whoever sees the new head sees the record. */
	__asm__("" : : : "memory");
	WRITE_ONCE(ring->head, head + 1);
out:
	arch_irq_restore(flags);
}
#endif
