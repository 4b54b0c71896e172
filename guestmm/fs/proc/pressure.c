/*
 * /proc/pressure: cpu, io, memory. Reading shows averages and totals; writing "some 150000 1000000" makes the open
 * file one on which poll(2) reports pressure (kernel/psi_trigger.c). Documentation/accounting/psi.rst.
 */
#include "arch/uaccess.h"
#include "fs/file.h"
#include "fs/poll.h"
#include "fs/proc/proc.h"
#include "kernel/psi.h"
#include "lib/errno.h"
#include "lib/string.h"

#define TRIGGER_BYTES 32u /* Linux's buffer */

static long write_trigger(struct file *f, enum psi_res res, unsigned long buf, size_t len)
{
	char text[TRIGGER_BYTES];
	size_t n = min(len, sizeof(text));
	int err;

	if (!len)
		return -EINVAL;
	if (copy_from_user(text, buf, n))
		return -EFAULT;
	/* As in Linux, the last byte is replaced by the end of the string, whatever it is. */
	text[n - 1] = 0;
	err = psi_trigger_write(&f->trigger, NULL, res, text);
	return err ? err : (long)len;
}

static u32 poll_trigger(struct file *f, struct wait_queue **wq)
{
	return poll_pressure(READ_ONCE(f->trigger), wq);
}

static void release_trigger(struct file *f)
{
	psi_trigger_free(f->trigger);
}

#define PRESSURE_FILE(name, res)                                                \
	static int show_##name(struct report *r, const struct proc_ctx *ctx)    \
	{                                                                       \
		psi_group_report(r, NULL, res);                                 \
		return 0;                                                       \
	}                                                                       \
	static long write_##name(struct file *f, unsigned long buf, size_t len) \
	{                                                                       \
		return write_trigger(f, res, buf, len);                         \
	}
PRESSURE_FILE(cpu, PSI_CPU)
PRESSURE_FILE(io, PSI_IO)
PRESSURE_FILE(memory, PSI_MEM)

#define PRESSURE_ENTRY(file)                                                                   \
	{                                                                                      \
#file, PROC_PRESSURE, S_IFREG | 0666,                                          \
			.show = show_##file, .write_file = write_##file, .poll = poll_trigger, \
			.release = release_trigger                                             \
	}
const struct proc_entry proc_pressure_entries[] = {
	PRESSURE_ENTRY(cpu),
	PRESSURE_ENTRY(io),
	PRESSURE_ENTRY(memory),
	{.name = NULL},
};
