/*
 * The monitor's commands. Each reads the machine from outside; only `audit` stops it.
 *
 * An audit that the guest asks for finds it at rest. This one finds it wherever it is, perhaps in the
 * middle of moving a page from list to list; such a finding is not there at the next look. So it looks several
 * times, and reports what was there each time.
 */
#include "monitor.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/cli.h"
#include "devices/devices.h"
#include "mmvm/shared.h"
#include "mmvm/trace.h"
#include "mmvm/vmstat.h"
#include "observe/audit.h"
#include "observe/page_state.h"

#define AUDIT_LOOKS 5

static void show_stats(struct monitor *mon)
{
#define EVENT_NAME(id, text) [id] = text,
	static const char *const names[] = {MMVM_VM_EVENTS(EVENT_NAME)};
	const struct mmvm_shared *s = machine_shared(mon->m);
	uint64_t free_pages = 0;

	if (machine_runs_linux(mon->m)) {
		printf("RAM with memory of the host: %llu KiB (a Linux guest keeps its own "
		       "counts)\n",
		       (unsigned long long)machine_ram_resident(mon->m) >> 10);
		return;
	}
	for (unsigned int i = 0; i < MMVM_MAX_ZONES; i++)
		free_pages += (uint64_t)s->zone[i].stat[NR_FREE_PAGES];
	printf("memory %llu KiB, free %llu KiB; swap %llu KiB, free %llu KiB\n",
	       (unsigned long long)s->totalram << 2, (unsigned long long)free_pages << 2,
	       (unsigned long long)s->swap_total << 2, (unsigned long long)s->swap_free << 2);
	for (unsigned int e = 0; e < NR_VM_EVENT_ITEMS; e++) {
		uint64_t n = 0;

		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			n += s->event[cpu][e];
		if (n)
			printf("%-28s %llu\n", names[e], (unsigned long long)n);
	}
}

static void show_dirty(struct monitor *mon)
{
	int64_t n = machine_dirty_on(mon->m)
			    ? machine_dirty_read(mon->m, DIRTY_READER_MONITOR, NULL, NULL)
			    : -EOPNOTSUPP;

	if (n < 0) {
		printf("dirty: %s\n",
		       n == -EOPNOTSUPP ? "this run keeps no dirty log" : strerror((int)-n));
		return;
	}
	mon->dirty += (uint64_t)n;
	printf("%lld pages written since the last look, %llu since the first\n", (long long)n,
	       (unsigned long long)mon->dirty);
}

static void show_page(struct monitor *mon, const char *arg)
{
	struct page_state *states;
	enum mmvm_page_type type;
	unsigned int zone;
	uint64_t addr, gpa;
	char *end;
	int rc;

	errno = 0;
	addr = strtoull(arg, &end, 0);
	if (errno || end == arg || *end) {
		puts("page ADDR: a guest-physical address, or a virtual one of the kernel");
		return;
	}
	gpa = addr;
	if (addr >> 47 && machine_translate(mon->m, 0, addr, &gpa)) {
		printf("0x%llx is not mapped\n", (unsigned long long)addr);
		return;
	}
	if (gpa >= machine_ram_end(mon->m)) {
		printf("0x%llx is beyond RAM\n", (unsigned long long)gpa);
		return;
	}
	rc = page_state_open(mon->m, mon->symbols, &states);
	if (rc) {
		printf("page: %s\n", rc == -ENOSYS ? "this guest has no page array that is known"
						   : strerror(-rc));
		return;
	}
	page_state_begin(states);
	type = page_state_get(states, gpa, &zone);
	printf("frame 0x%llx: %s", (unsigned long long)(gpa >> MMVM_PAGE_SHIFT),
	       page_state_name(type));
	if (zone < MMVM_MAX_ZONES)
		printf(", zone %.16s", machine_shared(mon->m)->zone[zone].name);
	putchar('\n');
	page_state_close(states);
}

struct audit_call {
	struct monitor *mon;
	struct audit_result result;
	int n;
};

static void audit_now(struct machine *m, uint64_t cr3, void *arg)
{
	struct audit_call *call = arg;

	call->n = audit_machine(m, call->mon->symbols, cr3, &call->result);
}

static void show_audit(struct monitor *mon)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct audit_call *call = calloc(1, sizeof(*call));
	unsigned int looks = 0;
	int rc = call ? 0 : -ENOMEM;

	while (!rc && looks++ < AUDIT_LOOKS) {
		call->mon = mon;
		memset(&call->result, 0, sizeof(call->result));
		rc = machine_call_stopped(mon->m, audit_now, call);
		if (!rc && call->n <= 0)
			break;
		nanosleep(&pause, NULL);
	}
	if (rc || call->n < 0)
		printf("audit: %s\n", strerror(-(rc ? rc : call->n)));
	else if (!call->n)
		printf("audit: 0 findings in %llu frames (look %u)\n",
		       (unsigned long long)call->result.ram_frames, looks);
	else
		audit_print(stdout, "audit: ", &call->result, AUDIT_BRIEF);
	free(call);
}

/** What the guest says of its memory (VIRTIO_BALLOON_S_*). */
static void show_balloon_stats(const struct balloon_state *s)
{
	static const char *const names[] = VIRTIO_BALLOON_S_NAMES;

	for (unsigned int tag = 0; tag < sizeof(names) / sizeof(names[0]); tag++)
		if (s->stat_there >> tag & 1)
			printf("  %-20s %llu\n", names[tag], (unsigned long long)s->stat[tag]);
}

/** Without a size: what there is. The guest's statistics are those of the look before. */
static void balloon_command(struct monitor *mon, const char *arg)
{
	struct balloon_state s;
	uint64_t size;

	if (!machine_balloon_state(mon->m, &s)) {
		puts("balloon: this machine has none; start it with --balloon 0");
		return;
	}
	if (*arg && (cli_parse_size(arg, &size) || size % MMVM_PAGE_SIZE ||
		     machine_balloon_set_target(mon->m, size / MMVM_PAGE_SIZE))) {
		puts("balloon SIZE: whole pages, like 16M, at most all RAM");
		return;
	}
	machine_balloon_state(mon->m, &s);
	printf("balloon: target %llu KiB, guest says %llu KiB, device has %llu KiB; guest RAM "
	       "with memory of the host: %llu KiB\n",
	       (unsigned long long)s.target << 2, (unsigned long long)s.actual << 2,
	       (unsigned long long)s.pages << 2,
	       (unsigned long long)machine_ram_resident(mon->m) >> 10);
	show_balloon_stats(&s);
	machine_balloon_ask_stats(mon->m);
}

static void set_trace(struct monitor *mon, const char *arg)
{
	char *window = machine_shared_window(mon->m);
	struct mmvm_trace_ctl *ctl = (struct mmvm_trace_ctl *)(window + MMVM_TRACE_CTL);
	const uint64_t all = ((1ull << (NR_TRACE_EVENTS - 1)) - 1) << 1;
	bool on = !strcmp(arg, "on");

	if (!on && strcmp(arg, "off"))
		puts("trace on, or trace off");
	else if (!ctl->version)
		puts("trace: this run has no file to record in; start it with --trace FILE");
	else
		__atomic_store_n(&ctl->mask, on ? all : 0, __ATOMIC_RELAXED);
}

void monitor_command(struct monitor *mon, const char *line)
{
	char word[16] = "", arg[64] = "";

	sscanf(line, "%15s %63s", word, arg);
	if (!strcmp(word, "stats"))
		show_stats(mon);
	else if (!strcmp(word, "dirty"))
		show_dirty(mon);
	else if (!strcmp(word, "page"))
		show_page(mon, arg);
	else if (!strcmp(word, "audit"))
		show_audit(mon);
	else if (!strcmp(word, "balloon"))
		balloon_command(mon, arg);
	else if (!strcmp(word, "trace"))
		set_trace(mon, arg);
	else if (!strcmp(word, "quit"))
		machine_stop(mon->m);
	else
		puts("stats            memory, swap, counted events\n"
		     "dirty            pages written since the last `dirty`\n"
		     "page ADDR        who owns a frame\n"
		     "audit            stop the machine and add its memory up\n"
		     "balloon [SIZE]   what the balloon has; what it is to have\n"
		     "trace on|off     record, or pause recording, into --trace FILE\n"
		     "quit             leave, as Ctrl-A x");
	fflush(stdout);
}
