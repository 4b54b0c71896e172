/*
 * A run as a single HTML file without scripts, network access or further files. It is made from a
 * run_result only. The page says first what ran where and how far its numbers can be trusted, then
 * whether guest and host agree, then what happened over time, then everything else in tables.
 *
 * Texts in a result cannot be trusted, because they come from the guest or from a file. All are written
 * by html_text(). In case one is not, a content security policy in the page forbids scripts and requests.
 */
#include "report/html.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mmvm/layout.h"

static void card(FILE *f, const char *name, const char *value)
{
	fputs("<div><b>", f);
	html_text(f, value);
	fputs("</b><span>", f);
	html_text(f, name);
	fputs("</span></div>\n", f);
}

/* ---- what ran where, and what to think of it ------------------------------------------------- */

static void put_head(FILE *f, const struct run_result *r)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; img-src data:\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>mmvm run: ",
	      f);
	html_put(f, "%s, %s", r->backend, outcome_name(r->outcome.kind));
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
		html_put(f, "guest exited with status %d", r->outcome.status);
	else
		html_put(f, "%s", outcome_name(r->outcome.kind));
	fputs("</span> ", f);
	if (r->outcome.text[0] && r->outcome.kind != OUTCOME_STOPPED) {
		html_put(f, "%s", r->outcome.text);
		fputs("; ", f);
	}
	html_put(f, "mmvm's status %d%s", r->exit_status, date);
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

	html_heading(f, "Guest truth beside host observation");
	if (!r->nr_checks) {
		fputs("<p class=\"note\">Nothing that both sides count: no swap disk, or the "
		      "machine was cut off.</p>\n",
		      f);
		return;
	}
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_checks; i++) {
		const struct run_check *c = &r->checks[i];

		html_row_begin(f, c->name);
		html_cell_count(f, c->guest);
		html_cell_count(f, c->host);
		fprintf(f, "<td class=\"%s\">%s</td>", c->equal ? "good" : "bad",
			c->equal ? "equal" : "DIFFER");
		html_cell_text(f, "wide", c->note);
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_crash(FILE *f, const struct run_result *r)
{
	const struct mmvm_crash *c = &r->outcome.crash;

	if (!r->outcome.has_crash)
		return;
	html_heading(f, "Registers at the crash");
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

/* ---- what the guest says of itself ----------------------------------------------------------- */

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
	html_heading(f, "Zones at the end, in pages of 4 KiB");
	html_table_begin(f, columns);
	for (unsigned int i = 0; i < r->nr_zones; i++) {
		const struct run_zone *z = &r->zones[i];
		const int64_t levels[] = {z->stat[NR_ACTIVE_ANON], z->stat[NR_INACTIVE_ANON],
					  z->stat[NR_FILE_PAGES],
					  /* The guest's values may overflow: wrap. */
					  (int64_t)((uint64_t)z->stat[NR_SLAB_RECLAIMABLE] +
						    (uint64_t)z->stat[NR_SLAB_UNRECLAIMABLE]),
					  z->stat[NR_PAGETABLE]};

		html_row_begin(f, z->name);
		fprintf(f, "<td class=\"n\">%u</td>", z->node);
		html_cell_count(f, z->managed);
		fputs("<td class=\"n\">", f);
		html_level(f, z->stat[NR_FREE_PAGES]);
		fprintf(f, "</td><td class=\"n\">%" PRIu64 " / %" PRIu64 " / %" PRIu64 "</td>",
			z->wmark[0], z->wmark[1], z->wmark[2]);
		for (size_t n = 0; n < sizeof(levels) / sizeof(levels[0]); n++) {
			fputs("<td class=\"n\">", f);
			html_level(f, levels[n]);
			fputs("</td>", f);
		}
		fputs("</tr>\n", f);
	}
	html_table_end(f);
}

static void put_counters(FILE *f, const struct run_result *r)
{
	unsigned int zeroes = 0;

	html_heading(f, "Guest counters");
	if (!r->nr_counters) {
		fputs("<p>None: this guest keeps no statistics page for the host.</p>\n", f);
		return;
	}
	html_flow_begin(
		f, "By the names of Linux's /proc/vmstat; those of guestmm alone begin with mmvm_");
	for (unsigned int i = 0; i < r->nr_counters; i++) {
		if (!r->counters[i].value) {
			zeroes++;
			continue;
		}
		html_row_begin(f, r->counters[i].name);
		html_cell_count(f, r->counters[i].value);
		fputs("</tr>\n", f);
	}
	html_flow_end(f, zeroes);
}

static void put_reports(FILE *f, const struct run_result *r)
{
	if (!r->nr_reports)
		return;
	html_heading(f, "The guest's own reports");
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
	html_heading(f, "Over time");
	err = html_timeline(f, r);
	if (err)
		return err;
	err = html_access(f, r);
	if (err)
		return err;
	html_latency(f, r, costs);
	if (costs && costs->nr) {
		html_heading(f, "What operations cost, beside Linux");
		html_costs(f, costs);
	}
	html_host(f, r);
	put_zones(f, r);
	put_counters(f, r);
	html_kvm(f, r);
	put_reports(f, r);
	fputs("<p class=\"note\">Made by mmvm report from JSON files alone; every number here is "
	      "in "
	      "them.</p>\n</main></body></html>\n",
	      f);
	return ferror(f) ? -EIO : 0;
}
