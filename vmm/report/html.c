/*
 * A run as one HTML file: no script, no network, nothing beside it. It is made from a run_result
 * only, and says first what ran where and how far its numbers can be trusted, then whether guest
 * and host agree, then what happened over time, then everything else in tables.
 *
 * Texts in a result are strangers' (the guest's, or a file's): all go through html_text(), and a
 * content security policy in the page forbids scripts and requests should one slip through.
 */
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mmvm/layout.h"

#define MAX_BARS 64u

static void heading(FILE *f, const char *text)
{
	fputs("<h2>", f);
	html_text(f, text);
	fputs("</h2>\n", f);
}

/** Format, then escape. */
__attribute__((format(printf, 2, 3))) static void put(FILE *f, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	html_text(f, text);
}

static void put_count(FILE *f, uint64_t n)
{
	char text[32];

	fputs(format_count(n, text, sizeof(text)), f);
}

static void put_level(FILE *f, int64_t n)
{
	if (n < 0)
		putc('-', f);
	put_count(f, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static void cell_count(FILE *f, uint64_t n)
{
	fputs("<td class=\"n\">", f);
	put_count(f, n);
	fputs("</td>", f);
}

static void cell_text(FILE *f, const char *class, const char *text)
{
	fprintf(f, "<td class=\"%s\">", class);
	html_text(f, text);
	fputs("</td>", f);
}

/** A table that can be scrolled sideways; names of columns end with NULL, numbers begin with '#'.
 */
static void table_begin(FILE *f, const char *const *columns)
{
	fputs("<div class=\"scroll\"><table><thead><tr>", f);
	for (; *columns; columns++) {
		bool number = **columns == '#';

		fprintf(f, "<th scope=\"col\"%s>", number ? " class=\"n\"" : "");
		html_text(f, *columns + number);
		fputs("</th>", f);
	}
	fputs("</tr></thead><tbody>\n", f);
}

static void table_end(FILE *f)
{
	fputs("</tbody></table></div>\n", f);
}

static void row_begin(FILE *f, const char *name)
{
	fputs("<tr><th scope=\"row\">", f);
	html_text(f, name);
	fputs("</th>", f);
}

static void card(FILE *f, const char *name, const char *value)
{
	fputs("<div><b>", f);
	html_text(f, value);
	fputs("</b><span>", f);
	html_text(f, name);
	fputs("</span></div>\n", f);
}

/* ---- what ran where, and what to think of it ---------------------------------------------------
 */

static void put_head(FILE *f, const struct run_result *r)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; img-src data:\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>mmvm run: ",
	      f);
	put(f, "%s, %s", r->backend, outcome_name(r->outcome.kind));
	fputs("</title>\n", f);
	html_style(f);
	fputs("</head><body><main>\n", f);
}

static void put_outcome(FILE *f, const struct run_result *r)
{
	bool good = r->exit_status == MMVM_EXIT_OK;
	time_t at = (time_t)(r->started_unix_ns / 1000000000);
	char date[64] = "";
	struct tm tm;

	if (r->started_unix_ns && gmtime_r(&at, &tm))
		strftime(date, sizeof(date), ", %Y-%m-%d %H:%M UTC", &tm);
	fputs("<h1>A run of guestmm</h1>\n<p>", f);
	fprintf(f, "<span class=\"badge %s\">", good ? "good" : "bad");
	if (r->outcome.kind == OUTCOME_EXITED)
		put(f, "guest exited with status %d", r->outcome.status);
	else
		put(f, "%s", outcome_name(r->outcome.kind));
	fputs("</span> ", f);
	if (r->outcome.text[0] && r->outcome.kind != OUTCOME_STOPPED) {
		put(f, "%s", r->outcome.text);
		fputs("; ", f);
	}
	put(f, "mmvm's status %d%s", r->exit_status, date);
	fputs("</p>\n<p><code>", f);
	html_text(f, r->command);
	fputs("</code></p>\n", f);
}

static void put_caveats(FILE *f, const struct run_result *r)
{
	fputs("<div class=\"warn\"><ul>\n", f);
	if (!strcmp(r->accel, "lab"))
		fputs("<li>Measured in the lab, an emulated processor with SVM and nested paging: "
		      "what is counted (faults, pages, exits) follows that architecture; times are "
		      "the emulator's and say nothing about hardware.</li>\n",
		      f);
	else if (r->quirks & MMVM_QUIRK_FASTOP)
		fputs("<li>This backend runs the guest's kernel in KVM's instruction emulator, at "
		      "about a million instructions a second, and its programs natively: compare "
		      "counts, and times only with runs of the same backend.</li>\n",
		      f);
	else
		fputs("<li>Times are of one run on one machine: compare several runs "
		      "(<code>mmvm compare</code>) before believing a difference.</li>\n",
		      f);
	if (r->no_memory)
		fputs("<li>The result is incomplete: the host ran out of memory for it.</li>\n", f);
	if (!r->has_dirty)
		fputs("<li>No dirty log was kept: what was written is not known.</li>\n", f);
	if (r->records_dropped)
		fprintf(f, "<li>%" PRIu64 " records from the guest were lost.</li>\n",
			r->records_dropped);
	if (r->has_audit && r->audit_findings)
		fprintf(f,
			"<li class=\"bad\">The audit of guest memory at the end found %" PRIu64
			" contradictions.</li>\n",
			r->audit_findings);
	if (r->nr_samples < 3)
		fputs("<li>Too few samples for a picture over time: a longer run, or "
		      "<code>--sample</code> with a shorter time.</li>\n",
		      f);
	fputs("</ul></div>\n", f);
}

static void put_summary(FILE *f, const struct run_result *r)
{
	char a[48], b[48], text[160];

	fputs("<div class=\"cards\">\n", f);
	snprintf(text, sizeof(text), "%s, accel %s", r->backend, r->accel);
	card(f, r->accel_why[0] ? r->accel_why : "backend", text);
	card(f, "host kernel", r->host_kernel[0] ? r->host_kernel : "not known");
	format_bytes(r->ram_low, a, sizeof(a));
	format_bytes(r->ram_high, b, sizeof(b));
	if (r->ram_high)
		snprintf(text, sizeof(text), "%s + %s", a, b);
	card(f, r->ram_high ? "RAM, low + above 4 GiB" : "RAM", r->ram_high ? text : a);
	if (r->swap_total)
		card(f, "swap space", format_bytes(r->swap_total * MMVM_PAGE_SIZE, a, sizeof(a)));
	snprintf(text, sizeof(text), "%u", r->cpus);
	card(f, r->cpus == 1 ? "CPU" : "CPUs", text);
	card(f, "ran", format_ns(r->wall_ns, a, sizeof(a)));
	card(f, "process start to first guest instruction",
	     format_ns(r->first_run_ns, a, sizeof(a)));
	if (r->boot_ticks && r->tsc_hz)
		card(f, "boot, in the guest",
		     format_ns((uint64_t)((double)r->boot_ticks * 1e9 / (double)r->tsc_hz), a,
			       sizeof(a)));
	card(f, "VMM memory beside guest RAM", format_bytes(r->vmm_bytes, a, sizeof(a)));
	if (r->guest_ram_resident)
		card(f, "guest RAM the host gave",
		     format_bytes(r->guest_ram_resident, a, sizeof(a)));
	if (r->has_dirty) {
		card(f, "pages found dirty", format_count(r->dirty_pages_total, a, sizeof(a)));
		card(f, "of them distinct", format_count(r->dirty_pages_distinct, a, sizeof(a)));
	}
	if (r->has_audit)
		card(f, "audit findings", format_count(r->audit_findings, a, sizeof(a)));
	else if (r->audit_missing[0])
		card(f, "audit", r->audit_missing);
	snprintf(text, sizeof(text), "%" PRIu64, r->seed);
	card(f, "seed", text);
	fputs("</div>\n", f);
}

static void put_checks(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"", "#guest", "#host", "", "compared", NULL};

	heading(f, "Guest truth beside host observation");
	if (!r->nr_checks) {
		fputs("<p class=\"note\">Nothing that both sides count: no swap disk, or the "
		      "machine was cut off.</p>\n",
		      f);
		return;
	}
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_checks; i++) {
		const struct run_check *c = &r->checks[i];

		row_begin(f, c->name);
		cell_count(f, c->guest);
		cell_count(f, c->host);
		fprintf(f, "<td class=\"%s\">%s</td>", c->equal ? "good" : "bad",
			c->equal ? "equal" : "DIFFER");
		cell_text(f, "wide", c->note);
		fputs("</tr>\n", f);
	}
	table_end(f);
}

static void put_crash(FILE *f, const struct run_result *r)
{
	const struct mmvm_crash *c = &r->outcome.crash;

	if (!r->outcome.has_crash)
		return;
	heading(f, "Registers at the crash");
	fputs("<pre>", f);
	if (c->vector == UINT64_MAX)
		fputs("no exception", f);
	else
		fprintf(f, "vector %" PRIu64 ", error %#" PRIx64, c->vector, c->error);
	fprintf(f,
		", cr2 %#" PRIx64 "\n"
		"rip %016" PRIx64 " rsp %016" PRIx64 " rbp %016" PRIx64 "\n"
		"rax %016" PRIx64 " rbx %016" PRIx64 " rcx %016" PRIx64 "\n"
		"rdx %016" PRIx64 " rsi %016" PRIx64 " rdi %016" PRIx64 "\n"
		"r8  %016" PRIx64 " r9  %016" PRIx64 " r10 %016" PRIx64 "\n"
		"r11 %016" PRIx64 " r12 %016" PRIx64 " r13 %016" PRIx64 "\n"
		"r14 %016" PRIx64 " r15 %016" PRIx64 " cr3 %016" PRIx64 "\n"
		"rflags %08" PRIx64 " cs %#" PRIx64 " ss %#" PRIx64 "</pre>\n",
		c->cr2, c->rip, c->rsp, c->rbp, c->rax, c->rbx, c->rcx, c->rdx, c->rsi, c->rdi,
		c->r8, c->r9, c->r10, c->r11, c->r12, c->r13, c->r14, c->r15, c->cr3, c->rflags,
		c->cs, c->ss);
}

/* ---- what the host saw -------------------------------------------------------------------------
 */

static const struct run_kvm_stat *kvm_stat(const struct run_result *r, const char *name)
{
	for (unsigned int i = 0; i < r->nr_kvm; i++)
		if (!strcmp(r->kvm[i].name, name) && r->kvm[i].nr_values == 1)
			return &r->kvm[i];
	return NULL;
}

static void put_page_sizes(FILE *f, const struct run_result *r)
{
	static const struct {
		const char *stat, *name;
		unsigned int shift;
	} sizes[] = {
		{"pages_4k", "4 KiB", 12}, {"pages_2m", "2 MiB", 21}, {"pages_1g", "1 GiB", 30}};
	struct bar bars[3];
	char text[3][80], bytes[32], n[32];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < 3; i++) {
		const struct run_kvm_stat *s = kvm_stat(r, sizes[i].stat);
		uint64_t count;

		if (!s)
			continue;
		count = s->values[0];
		snprintf(text[nr], sizeof(text[nr]), "%s pages = %s",
			 format_count(count, n, sizeof(n)),
			 count >> (63 - sizes[i].shift)
				 ? "more than there is"
				 : format_bytes(count << sizes[i].shift, bytes, sizeof(bytes)));
		bars[nr] = (struct bar){sizes[i].name, text[nr],
					(double)count * (double)(1ull << sizes[i].shift), i};
		nr++;
	}
	if (!nr)
		return;
	heading(f, "Page sizes KVM maps guest RAM with, at the end");
	html_bars(f, bars, nr);
}

static int by_time(const void *a, const void *b)
{
	const struct run_exit *x = *(const struct run_exit *const *)a;
	const struct run_exit *y = *(const struct run_exit *const *)b;

	return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : strcmp(x->name, y->name);
}

#define MAX_PLACES 40

static void put_exit_places(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"reason and place", "#exits", "#time", NULL};

	if (!r->has_exit_places)
		return;
	heading(f, "Exits to the VMM, by place");
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_places && i < MAX_PLACES; i++) {
		const struct run_exit_place *p = &r->places[i];
		char name[192], where[64] = "", time[32];

		if (p->addr)
			snprintf(where, sizeof(where), " %#" PRIx64 " %s", p->addr, p->device);
		snprintf(name, sizeof(name), "%s%s in %s", p->reason, where, p->function);
		row_begin(f, name);
		cell_count(f, p->count);
		cell_text(f, "n", format_ns(p->ns, time, sizeof(time)));
		fputs("</tr>\n", f);
	}
	table_end(f);
}

static void put_exits(FILE *f, const struct run_result *r)
{
	const struct run_exit *sorted[MAX_BARS];
	struct bar bars[MAX_BARS];
	char text[MAX_BARS][96], total[32], each[32], n[32];
	unsigned int nr = 0;

	for (unsigned int i = 0; i < r->nr_exits && nr < MAX_BARS; i++)
		if (r->exits[i].count)
			sorted[nr++] = &r->exits[i];
	if (!nr)
		return;
	qsort(sorted, nr, sizeof(sorted[0]), by_time);
	for (unsigned int i = 0; i < nr; i++) {
		const struct run_exit *e = sorted[i];

		if (!r->has_exit_times) {
			snprintf(text[i], sizeof(text[i]), "%s, not timed",
				 format_count(e->count, n, sizeof(n)));
			bars[i] = (struct bar){e->name, text[i], (double)e->count, 6};
			continue;
		}
		snprintf(text[i], sizeof(text[i]), "%s in all = %s × %s",
			 format_ns(e->ns, total, sizeof(total)),
			 format_count(e->count, n, sizeof(n)),
			 format_ns(e->ns / e->count, each, sizeof(each)));
		bars[i] = (struct bar){e->name, text[i], (double)e->ns, 6};
	}
	heading(f, "Exits to the VMM, by reason");
	html_bars(f, bars, nr);
	fprintf(f,
		"<p class=\"note\">Bars: %s. Only exits that reach the VMM; those KVM handles "
		"itself are in its statistics below.</p>\n",
		r->has_exit_times ? "time the VMM spent on that reason" : "how often");
}

/** Pages beside those a program says it wrote; only of an exact comparison. */
static void put_reasons(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"why they were in the log", "#pages", NULL};

	if (!r->nr_reasons)
		return;
	heading(f, "Pages written beside those the program says it wrote");
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_reasons; i++) {
		row_begin(f, r->reasons[i].name);
		cell_count(f, r->reasons[i].value);
		fputs("</tr>\n", f);
	}
	table_end(f);
}

/** What watching has cost. */
static void put_observers(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {
		"observer", "#times", "#time in all", "#exits caused", "#guest stood still",
		"",	    NULL};
	char text[32];

	if (!r->nr_observers)
		return;
	heading(f, "What watching has cost");
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_observers; i++) {
		const struct run_observer *o = &r->observers[i];

		row_begin(f, o->name);
		cell_count(f, o->times);
		cell_text(f, "n", format_ns(o->ns, text, sizeof(text)));
		cell_count(f, o->exits);
		cell_text(f, "n",
			  o->has_stall ? format_ns(o->stall_ns, text, sizeof(text)) : "not known");
		cell_text(f, "wide", o->note);
		fputs("</tr>\n", f);
	}
	table_end(f);
}

static void put_disks(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"",	 "#size",    "#reads",	 "#read",
					      "#writes", "#written", "#flushes", "#discards",
					      "#errors", NULL};
	char text[32];

	if (!r->nr_disks)
		return;
	heading(f, "Disks");
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_disks; i++) {
		const struct run_disk *d = &r->disks[i];

		row_begin(f, d->role);
		cell_text(f, "n", format_bytes(d->size, text, sizeof(text)));
		cell_count(f, d->stats.reads);
		cell_text(f, "n", format_bytes(d->stats.sectors_read << 9, text, sizeof(text)));
		cell_count(f, d->stats.writes);
		cell_text(f, "n", format_bytes(d->stats.sectors_written << 9, text, sizeof(text)));
		cell_count(f, d->stats.flushes);
		cell_count(f, d->stats.discards);
		cell_count(f, d->stats.errors);
		fputs("</tr>\n", f);
	}
	table_end(f);
}

/** Names and values flowing in columns; zeroes are left out and counted. */
static void flow_begin(FILE *f, const char *summary)
{
	fputs("<details open><summary>", f);
	html_text(f, summary);
	fputs("</summary>\n<div class=\"columns\"><table><tbody>\n", f);
}

static void flow_end(FILE *f, unsigned int zeroes)
{
	fputs("</tbody></table></div>\n", f);
	if (zeroes)
		fprintf(f, "<p class=\"note\">%u more are 0.</p>\n", zeroes);
	fputs("</details>\n", f);
}

static void put_unit(FILE *f, const struct run_kvm_stat *s)
{
	if (strcmp(s->unit, "none") && s->unit[0]) {
		putc(' ', f);
		if (s->exponent)
			fprintf(f, "× %d<sup>%d</sup> ", s->base, s->exponent);
		html_text(f, s->unit);
	}
}

static void put_kvm(FILE *f, const struct run_result *r)
{
	unsigned int zeroes = 0;
	bool hist = false;
	char ns[32];

	if (!r->nr_kvm)
		return;
	heading(f, "KVM's own statistics");
	flow_begin(f, "By the names KVM gives them; vCPUs summed");
	for (unsigned int i = 0; i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];

		if (s->nr_values != 1) {
			hist = true;
			continue;
		}
		if (!s->values[0]) {
			zeroes++;
			continue;
		}
		fputs("<tr><th scope=\"row\">", f);
		html_text(f, s->name);
		fputs(" <small>", f);
		html_text(f, s->scope);
		fputs("</small></th><td class=\"n\">", f);
		if (!strcmp(s->unit, "seconds") && s->base == 10 && s->exponent == -9) {
			fputs(format_ns(s->values[0], ns, sizeof(ns)), f);
		} else {
			put_count(f, s->values[0]);
			put_unit(f, s);
		}
		fputs("</td></tr>\n", f);
	}
	flow_end(f, zeroes);
	for (unsigned int i = 0; hist && i < r->nr_kvm; i++) {
		const struct run_kvm_stat *s = &r->kvm[i];
		struct bar bars[MAX_BARS];
		char name[MAX_BARS][32], text[MAX_BARS][32];
		unsigned int nr = 0;

		for (unsigned int v = 0; s->nr_values > 1 && v < s->nr_values && nr < MAX_BARS;
		     v++) {
			if (!s->values[v])
				continue;
			if (!strcmp(s->kind, "log"))
				snprintf(name[nr], sizeof(name[nr]), "from 2^%u", v ? v - 1 : 0);
			else
				snprintf(name[nr], sizeof(name[nr]), "bucket %u", v);
			format_count(s->values[v], text[nr], sizeof(text[nr]));
			bars[nr] = (struct bar){name[nr], text[nr], (double)s->values[v], 2};
			nr++;
		}
		if (!nr)
			continue;
		fputs("<details><summary>", f);
		put(f, "%s, histogram", s->name);
		put_unit(f, s);
		fputs("</summary>\n", f);
		html_bars(f, bars, nr);
		fputs("</details>\n", f);
	}
}

/* ---- what the guest says of itself -------------------------------------------------------------
 */

static void put_zones(FILE *f, const struct run_result *r)
{
	static const char *const columns[] = {"",
					      "#node",
					      "#managed",
					      "#free",
					      "#min / low / high",
					      "#active anon",
					      "#inactive anon",
					      "#file",
					      "#slab",
					      "#page tables",
					      NULL};

	if (!r->nr_zones)
		return;
	heading(f, "Zones at the end, in pages of 4 KiB");
	table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		const struct run_zone *z = &r->zones[i];
		const int64_t levels[] = {z->stat[NR_ACTIVE_ANON], z->stat[NR_INACTIVE_ANON],
					  z->stat[NR_FILE_PAGES],
					  /* Guest values: they may overflow by malice; wrap. */
					  (int64_t)((uint64_t)z->stat[NR_SLAB_RECLAIMABLE] +
						    (uint64_t)z->stat[NR_SLAB_UNRECLAIMABLE]),
					  z->stat[NR_PAGETABLE]};

		row_begin(f, z->name);
		fprintf(f, "<td class=\"n\">%u</td>", z->node);
		cell_count(f, z->managed);
		fputs("<td class=\"n\">", f);
		put_level(f, z->stat[NR_FREE_PAGES]);
		fprintf(f, "</td><td class=\"n\">%" PRIu64 " / %" PRIu64 " / %" PRIu64 "</td>",
			z->wmark[0], z->wmark[1], z->wmark[2]);
		for (size_t n = 0; n < sizeof(levels) / sizeof(levels[0]); n++) {
			fputs("<td class=\"n\">", f);
			put_level(f, levels[n]);
			fputs("</td>", f);
		}
		fputs("</tr>\n", f);
	}
	table_end(f);
}

static void put_counters(FILE *f, const struct run_result *r)
{
	unsigned int zeroes = 0;

	heading(f, "Guest counters");
	if (!r->nr_counters) {
		fputs("<p>None: this guest keeps no statistics page for the host.</p>\n", f);
		return;
	}
	flow_begin(f,
		   "By the names of Linux's /proc/vmstat; those of guestmm alone begin with mmvm_");
	for (unsigned int i = 0; i < r->nr_counters; i++) {
		if (!r->counters[i].value) {
			zeroes++;
			continue;
		}
		row_begin(f, r->counters[i].name);
		cell_count(f, r->counters[i].value);
		fputs("</tr>\n", f);
	}
	flow_end(f, zeroes);
}

static void put_reports(FILE *f, const struct run_result *r)
{
	if (!r->nr_reports)
		return;
	heading(f, "The guest's own reports");
	for (unsigned int i = 0; i < r->nr_reports; i++) {
		fputs("<details><summary>", f);
		html_text(f, r->reports[i].name);
		fputs("</summary><pre>", f);
		html_text(f, r->reports[i].text);
		fputs("</pre></details>\n", f);
	}
}

int report_html(FILE *f, const struct run_result *r, const struct report_costs *costs)
{
	int err;

	put_head(f, r);
	put_outcome(f, r);
	put_caveats(f, r);
	put_summary(f, r);
	put_checks(f, r);
	put_crash(f, r);
	heading(f, "Over time");
	err = html_timeline(f, r);
	if (err)
		return err;
	err = html_access(f, r);
	if (err)
		return err;
	html_latency(f, r, costs);
	if (costs && costs->nr) {
		heading(f, "What operations cost, beside Linux");
		html_costs(f, costs);
	}
	put_observers(f, r);
	put_reasons(f, r);
	put_page_sizes(f, r);
	put_exits(f, r);
	put_exit_places(f, r);
	put_disks(f, r);
	put_zones(f, r);
	put_counters(f, r);
	put_kvm(f, r);
	put_reports(f, r);
	fputs("<p class=\"note\">Made by mmvm report from JSON files alone; every number here is "
	      "in "
	      "them.</p>\n</main></body></html>\n",
	      f);
	return ferror(f) ? -EIO : 0;
}
