/*
 * The frame of mmvm top.
 *
 *   who, where, how long             memory: where the guest's pages are
 *   zones: levels and watermarks     rates: what happened since the snapshot before, per second
 *   disks                            exits by reason
 *
 * Lines are formatted one at a time and cut to the terminal's width. Rates of the guest are differences of
 * two numbers that it wrote. Wrong numbers from a guest give wrong rates, and cause no other harm.
 */
#include "report/top.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

struct frame {
	FILE *out;
	const struct status *s;
	unsigned int rows, columns, row;
	bool colour;
	const char *eol;
	double per; /* 1 / seconds between the snapshots; 0: there is only one */
};

static void __attribute__((format(printf, 3, 4)))
line(struct frame *f, bool bold, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (f->rows && f->row >= f->rows)
		return;
	f->row++;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (f->columns && strlen(text) > f->columns)
		text[f->columns < sizeof(text) ? f->columns : sizeof(text) - 1] = 0;
	fprintf(f->out, bold && f->colour ? "\033[1m%s\033[0m%s" : "%s%s", text, f->eol);
}

static uint64_t kib(int64_t pages)
{
	return pages < 0 ? 0 : (uint64_t)pages * 4;
}

static int64_t level(const struct frame *f, unsigned int item)
{
	uint64_t sum = 0; /* unsigned, because a hostile guest's values may overflow */

	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++)
		sum += (uint64_t)f->s->now.zone[i].stat[item];
	return (int64_t)sum;
}

static double event(const struct frame *f, unsigned int item)
{
	return (double)(f->s->now.event[item] - f->s->before.event[item]) * f->per;
}

static void head(struct frame *f)
{
	const struct status *s = f->s;
	const struct status_snapshot *n = &s->now;

	line(f, true, "mmvm top: process %u, %.1f s, %s %s, %u CPU%s, %" PRIu64 " MiB", s->pid,
	     (double)n->t_ns / 1e9, s->accel, s->backend, s->cpus, s->cpus == 1 ? "" : "s",
	     s->ram >> 20);
	line(f, false, "%s", s->command);
	if (n->progress_total)
		line(f, false, "progress %.0f %%",
		     100.0 * (double)n->progress_done / (double)n->progress_total);
}

static void memory(struct frame *f)
{
	const struct status_snapshot *n = &f->s->now;

	line(f, false, "%s", "");
	line(f, true, "memory, KiB");
	line(f, false,
	     "  total %8" PRIu64 "  free %8" PRIu64 "  anon %8" PRIu64 "  file %8" PRIu64
	     "  slab %7" PRIu64 "  page tables %6" PRIu64,
	     kib((int64_t)n->totalram), kib(level(f, NR_FREE_PAGES)), kib(level(f, NR_ANON_MAPPED)),
	     kib(level(f, NR_FILE_PAGES)),
	     kib(level(f, NR_SLAB_RECLAIMABLE)) + kib(level(f, NR_SLAB_UNRECLAIMABLE)),
	     kib(level(f, NR_PAGETABLE)));
	line(f, false,
	     "  swap  %8" PRIu64 "  free %8" PRIu64 "  cached %6" PRIu64 "  dirty %7" PRIu64
	     "  writeback %2" PRIu64 "  stacks %11" PRIu64,
	     kib((int64_t)n->swap_total), kib((int64_t)n->swap_free), kib(level(f, NR_SWAPCACHE)),
	     kib(level(f, NR_FILE_DIRTY)), kib(level(f, NR_WRITEBACK)),
	     level(f, NR_KERNEL_STACK_KB) < 0 ? 0 : (uint64_t)level(f, NR_KERNEL_STACK_KB));
	line(f, false, "  host  %8" PRIu64 "  behind guest RAM", n->resident >> 10);
}

static void zones(struct frame *f)
{
	line(f, false, "%s", "");
	line(f, true, "%-10s %9s %9s %7s %7s %7s %9s %9s %9s %9s", "zone, KiB", "managed", "free",
	     "min", "low", "high", "anon act", "inact", "file act", "inact");
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++) {
		const struct status_zone *z = &f->s->now.zone[i];

		if (!z->name[0])
			continue;
		line(f, false,
		     "  %-8s %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %7" PRIu64 " %7" PRIu64
		     " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64,
		     z->name, z->managed * 4, kib(z->stat[NR_FREE_PAGES]), z->wmark[0] * 4,
		     z->wmark[1] * 4, z->wmark[2] * 4, kib(z->stat[NR_ACTIVE_ANON]),
		     kib(z->stat[NR_INACTIVE_ANON]), kib(z->stat[NR_ACTIVE_FILE]),
		     kib(z->stat[NR_INACTIVE_FILE]));
	}
}

static void rates(struct frame *f)
{
	line(f, false, "%s", "");
	line(f, true, "a second");
	line(f, false,
	     "  faults %9.0f  major %7.0f  anon %9.0f  zero %7.0f  cow %6.0f  from swap %7.0f",
	     event(f, PGFAULT), event(f, PGMAJFAULT), event(f, MMVM_FAULT_ANON),
	     event(f, MMVM_FAULT_ZERO), event(f, MMVM_FAULT_COW), event(f, MMVM_FAULT_SWAP));
	line(f, false, "  pages out %6.0f  in %10.0f  read ahead %3.0f  hits %7.0f",
	     event(f, PSWPOUT), event(f, PSWPIN), event(f, SWAP_RA), event(f, SWAP_RA_HIT));
	line(f, false,
	     "  scanned, kswapd %7.0f  direct %7.0f   reclaimed, kswapd %7.0f  direct %7.0f",
	     event(f, PGSCAN_KSWAPD), event(f, PGSCAN_DIRECT), event(f, PGSTEAL_KSWAPD),
	     event(f, PGSTEAL_DIRECT));
	line(f, false, "  allocated %9.0f  freed %9.0f  TLB flushes %7.0f",
	     event(f, PGALLOC_DMA) + event(f, PGALLOC_DMA32) + event(f, PGALLOC_NORMAL) +
		     event(f, PGALLOC_HIGH) + event(f, PGALLOC_MOVABLE),
	     event(f, PGFREE), event(f, NR_TLB_LOCAL_FLUSH_ALL) + event(f, NR_TLB_LOCAL_FLUSH_ONE));
}

static void host(struct frame *f)
{
	const struct status_snapshot *n = &f->s->now, *b = &f->s->before;

	line(f, false, "%s", "");
	line(f, true, "seen by the host, a second");
	line(f, false, "  dirty pages %8.0f", (double)(n->dirty - b->dirty) * f->per);
	for (unsigned int i = 0; i < STATUS_DISKS && n->disk[i].role[0]; i++) {
		const struct mmvm_disk_stats *x = &n->disk[i].stats, *y = &b->disk[i].stats;

		line(f, false, "  disk %-8s reads %7.0f  KiB %8.0f  writes %7.0f  KiB %8.0f",
		     n->disk[i].role, (double)(x->reads - y->reads) * f->per,
		     (double)(x->sectors_read - y->sectors_read) / 2 * f->per,
		     (double)(x->writes - y->writes) * f->per,
		     (double)(x->sectors_written - y->sectors_written) / 2 * f->per);
	}
	line(f, true, "  %-18s %10s %10s %8s", "exit", "a second", "in all", "time");
	for (unsigned int i = 0; i < MACHINE_MAX_EXITS && n->exits[i].name[0]; i++) {
		uint64_t count = 0, ns = 0;

		for (unsigned int k = 0; k < MACHINE_MAX_EXITS; k++) {
			if (strcmp(b->exits[k].name, n->exits[i].name))
				continue;
			count = b->exits[k].count;
			ns = b->exits[k].ns;
		}
		line(f, false, "  %-18s %10.0f %10" PRIu64 " %6.1f %%", n->exits[i].name,
		     (double)(n->exits[i].count - count) * f->per, n->exits[i].count,
		     /* Ticks are converted to ns by a rate that is measured each time, so the result may be a
		      * little smaller than before. */
		     n->exits[i].ns > ns ? (double)(n->exits[i].ns - ns) * f->per / 1e7 : 0.0);
	}
}

void top_frame(FILE *out, const struct status *s, unsigned int rows, unsigned int columns,
	       bool colour, const char *eol)
{
	struct frame f = {
		.out = out, .s = s, .rows = rows, .columns = columns, .colour = colour, .eol = eol};

	if (s->before.t_ns && s->now.t_ns > s->before.t_ns)
		f.per = 1e9 / (double)(s->now.t_ns - s->before.t_ns);
	head(&f);
	if (!s->now.t_ns) {
		line(&f, false, "no sample of it so far%s",
		     s->cpus && !s->tick_ms ? ": it takes none (--sample 0)" : "");
		return;
	}
	if (!s->linux_guest) {
		memory(&f);
		zones(&f);
		rates(&f);
	}
	host(&f);
}
