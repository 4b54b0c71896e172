/*
 * The test channel: structured records to the VMM (mmvm/testchan.h).
 *
 * A record is filled in memory, and its physical address / 16 is written to a port. When the `out`
 * instruction has ended, the VMM has read the record and written its answer into `status`. Records may
 * be sent from any context, so the usual buffer is static, and interrupts are off while it is in use:
 *
 *   normal     one at a time, under `lock`
 *   emergency  for a record sent while this CPU is filling another one, or while a CPU that a crash has
 *              stopped holds the lock: a panic in the middle of a record
 *
 * I1: a buffer is physically contiguous and 16-byte aligned: kernel image or direct map.
 *
 * Lock: testchan_lock, innermost: nothing is called under it but the formatter.
 */
#include "arch/io.h"
#include "arch/smp.h"
#include "kernel/testchan.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/alloc.h"
#include "mmvm/layout.h"

#define TEXT_MAX	 4096
#define REPORT_ORDER	 2 /* of a report's first buffer: 16 KiB; doubled if too small */
#define REPORT_ORDER_MAX 4

union record_buffer {
	struct mmvm_record rec;
	u8 bytes[sizeof(struct mmvm_record) + TEXT_MAX];
} __attribute__((aligned(16)));
_Static_assert((PAGE_SIZE << REPORT_ORDER_MAX) <= MMVM_RECORD_MAX, "a report must fit a record");

static union record_buffer normal, emergency;
static spinlock_t testchan_lock = SPINLOCK_INIT;
static u32 owner; /* CPU + 1 that holds the lock */

static phys_addr_t record_phys(const struct mmvm_record *rec)
{
	unsigned long va = (unsigned long)rec;

	return va >= MMVM_KERNEL_VIRT ? va - MMVM_KERNEL_VIRT : __pa(rec);
}

/** Send the record. Returns the VMM's answer. */
static int send(struct mmvm_record *rec)
{
	rec->status = -EIO; /* remains if no VMM listens at the port */
	outl(MMVM_TESTCHAN_PORT, record_phys(rec) >> 4);
	return READ_ONCE(rec->status);
}

static void fill_header(struct mmvm_record *rec, enum mmvm_record_kind kind, const char *name,
			u64 value, u64 value2, u32 text_len)
{
	rec->kind = kind;
	rec->len = sizeof(*rec) + text_len;
	rec->text_len = text_len;
	rec->value = value;
	rec->value2 = value2;
	strscpy(rec->name, name ? name : "", sizeof(rec->name));
}

/** Take a buffer. Interrupts are off from here until put_buffer(). */
static union record_buffer *get_buffer(unsigned long *flags)
{
	*flags = arch_irq_save();
	while (!spin_trylock(&testchan_lock)) {
		if (READ_ONCE(owner) == cpu_id() + 1 || smp_crashed())
			return &emergency;
		spin_wait(&testchan_lock.locked);
	}
	WRITE_ONCE(owner, cpu_id() + 1);
	return &normal;
}

static void put_buffer(union record_buffer *b, unsigned long flags)
{
	if (b == &normal) {
		WRITE_ONCE(owner, 0);
		spin_unlock_irqrestore(&testchan_lock, flags);
	} else {
		arch_irq_restore(flags);
	}
}

int testchan_call(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2, void *text,
		  u32 text_len)
{
	union record_buffer *b;
	unsigned long flags;
	int status;

	if (text_len > TEXT_MAX)
		return -E2BIG;
	b = get_buffer(&flags);
	fill_header(&b->rec, kind, name, value, value2, text_len);
	if (text_len)
		memcpy(b->rec.text, text, text_len);
	status = send(&b->rec);
	if (text_len)
		memcpy(text, b->rec.text, text_len);
	put_buffer(b, flags);
	return status;
}

void testchan_record(enum mmvm_record_kind kind, const char *name, u64 value, u64 value2,
		     const char *text)
{
	u32 len = text ? strnlen(text, TEXT_MAX) : 0;
	union record_buffer *b;
	unsigned long flags;

	b = get_buffer(&flags);
	fill_header(&b->rec, kind, name, value, value2, len);
	if (len)
		memcpy(b->rec.text, text, len);
	send(&b->rec);
	put_buffer(b, flags);
}

void testchan_printf(enum mmvm_record_kind kind, const char *name, u64 value, const char *fmt, ...)
{
	union record_buffer *b;
	unsigned long flags;
	va_list ap;
	int len;

	b = get_buffer(&flags);
	va_start(ap, fmt);
	len = kvsnprintf(b->rec.text, TEXT_MAX, fmt, ap);
	va_end(ap);
	fill_header(&b->rec, kind, name, value, 0, min(len, TEXT_MAX - 1));
	send(&b->rec);
	put_buffer(b, flags);
}

void testchan_report(const char *name, void (*producer)(struct report *r))
{
	struct mmvm_record *rec;
	struct report r;

	for (unsigned int order = REPORT_ORDER;; order++) {
		size_t size = PAGE_SIZE << order;

		rec = (void *)__get_free_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order);
		if (!rec) {
			testchan_record(MMVM_REC_REPORT, name, 0, 0,
					"(no memory for this report)\n");
			return;
		}
		r = (struct report){.buf = rec->text, .size = size - sizeof(*rec)};
		producer(&r);
		if (!r.overflow || order == REPORT_ORDER_MAX) {
			fill_header(rec, MMVM_REC_REPORT, name, 0, 0, r.len);
			send(rec);
			free_pages((unsigned long)rec, order);
			return;
		}
		free_pages((unsigned long)rec, order);
	}
}

int testchan_audit(void)
{
	return testchan_call(MMVM_REC_AUDIT, "", 0, 0, NULL, 0);
}

void testchan_exit(int status)
{
	testchan_record(MMVM_REC_EXIT, "", status, 0, NULL);
	/* The VMM stops the machine at the `out`. If it does not, this CPU does nothing more. */
	for (;;) {
		arch_irq_disable();
		__asm__ volatile("hlt");
	}
}
