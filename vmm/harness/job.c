/*
 * One test, in a child process: a machine is built as the test's plan says, runs, and is judged.
 * What the parent gets through the pipe is the verdict and, for a failure, everything a person
 * wants to read: the crash with its stack, the audit's findings, the console's last lines.
 */
#include "harness/harness.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "mmvm/layout.h"
#include "observe/audit_observer.h"
#include "observe/dirty_exact.h"
#include "report/report.h"
#include "sandbox/sandbox.h"

struct job {
	const struct harness *h;
	const struct mmvm_test_desc *t;
	struct test_facts facts;
	struct audit_watch audit;
	struct dirty_exact exact;
	struct observers observers;
	FILE *detail;
};

/** On the vCPU's thread, while the guest stands still. */
static void take_audit(void *arg, int rc, const struct audit_result *found)
{
	struct job *j = arg;
	struct test_facts *f = &j->facts;

	if (rc < 0) {
		f->audit_error = rc;
		return;
	}
	f->audits++;
	f->findings += found->total;
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++)
		f->named[k] += found->count[k];
	if (found->nr_kept && !f->first_finding[0])
		snprintf(f->first_finding, sizeof(f->first_finding), "%s: %s",
			 audit_finding_name(found->kept[0].kind), found->kept[0].text);
	audit_print(j->detail, "", found,
		    j->h->verbose || found->total ? AUDIT_WITH_STATES : AUDIT_BRIEF);
}

static void read_records(struct job *j, struct machine *m)
{
	struct test_facts *f = &j->facts;
	const struct mmvm_record *r;

	for (unsigned int i = 0; (r = machine_record(m, i)) != NULL; i++) {
		size_t len = r->text_len < sizeof(f->text) - 1 ? r->text_len : sizeof(f->text) - 1;

		if (r->kind == MMVM_REC_PANIC)
			f->panicked = true;
		if (r->kind == MMVM_REC_EXPECT && !strstr(machine_console(m, NULL), r->text))
			snprintf(f->missing, sizeof(f->missing), "%s", r->text);
		if (r->kind == MMVM_REC_KILLED)
			fprintf(j->detail, "guest killed %.64s with signal %" PRIu64 "\n", r->name,
				r->value);
		if (r->kind != MMVM_REC_TEST_END || strncmp(r->name, j->t->name, sizeof(r->name)))
			continue;
		f->ended = true;
		f->value = r->value;
		memcpy(f->text, r->text, len);
		f->text[len] = '\0';
		/* One line, printable: it is shown in lists. */
		for (char *c = f->text; *c; c++)
			if ((unsigned char)*c < 0x20)
				*c = ' ';
	}
}

enum disk_use { DISK_OTHER, DISK_SWAP };

static void add_disk(struct machine_config *c, const char *role, uint64_t size, enum disk_use use)
{
	struct disk_config *d = &c->disk[c->nr_disks++];

	snprintf(d->role, sizeof(d->role), "%s", role);
	d->size = size;
	d->format_swap = use == DISK_SWAP;
}

/* Even shares of memory, in whole pages; the last node has the rest. */
static void split_nodes(struct machine_config *c, unsigned int n)
{
	const uint64_t ram = c->ram_low + c->ram_high;

	if (n < 2)
		return;
	c->nr_nodes = n;
	for (unsigned int i = 0; i < n; i++)
		c->node[i].memory = ram / n / MMVM_PAGE_SIZE * MMVM_PAGE_SIZE;
	c->node[n - 1].memory += ram - n * c->node[0].memory;
	for (unsigned int cpu = 0; cpu < c->cpus; cpu++)
		c->node[cpu % n].cpus |= 1ull << cpu;
}

/** The machine that the test's arguments describe. `append` is room for its command line. */
static void configure(struct machine_config *c, const struct job *j, const struct test_plan *plan,
		      char *append, size_t size)
{
	const struct harness *h = j->h;
	char role[16];

	c->ram_low = plan->ram_low;
	c->ram_high = plan->ram_high;
	c->cpus = h->cpus && !plan->cpus_given ? h->cpus : plan->cpus;
	split_nodes(c, plan->nodes);
	snprintf(append, size, "%s%s%s", plan->append, h->append ? " " : "",
		 h->append ? h->append : "");
	c->append = append[0] ? append : NULL;
	c->rng = plan->rng;
	c->balloon = plan->balloon;
	c->balloon_target = plan->balloon_target;
	c->dirty_log = plan->dirty_log;
	c->dirty_mode = plan->dirty_mode;
	if (plan->swap)
		add_disk(c, "swap", plan->swap, DISK_SWAP);
	for (unsigned int i = 0; i < plan->nr_disks; i++) {
		snprintf(role, sizeof(role), "disk%u", i);
		add_disk(c, role, plan->disk[i], DISK_OTHER);
	}
	for (unsigned int i = 0; i < plan->nr_pmem; i++) {
		struct disk_config *d = &c->pmem[c->nr_pmem++];

		snprintf(d->role, sizeof(d->role), "pmem%u", i);
		d->size = plan->pmem[i];
	}
	if (j->t->flags & MMVM_TESTF_USER) {
		c->initrd = h->initrd;
		c->initrd_len = h->initrd_len;
	}
}

static void run(struct job *j, struct verdict *v)
{
	static const struct sandbox_config sandbox;
	const struct harness *h = j->h;
	struct machine_config config = {
		.kernel = h->kernel,
		.test = j->t->name,
		.seed = plan_seed(h->seed, j->t->name),
		.timeout_s = plan_limit_s(j->t, h->emulated, h->scale),
		.timeout_own = true,
		.sandbox = h->sandbox ? &sandbox : NULL,
		.console_fd = -1,
		.observers = &j->observers,
	};
	struct test_plan plan;
	struct mmvm_error err;
	struct machine *m;
	char append[2 * sizeof(plan.append)];

	j->facts.limit_s = config.timeout_s;
	v->kind = VERDICT_FAIL;
	if (plan_parse(j->t->args, &plan, &err)) {
		snprintf(v->reason, sizeof(v->reason), "%s", err.text);
		return;
	}
	configure(&config, j, &plan, append, sizeof(append));
	j->audit.taken = take_audit;
	j->audit.arg = j;
	j->observers.run.symbols = h->symbols;
	observers_attach(&j->observers, &audit_observer, &j->audit);
	if (plan.dirty_log)
		observers_attach(&j->observers, &dirty_exact_observer, &j->exact);
	m = machine_create(&config, &err);
	if (!m) {
		snprintf(v->reason, sizeof(v->reason), "%s", err.text);
		v->host_error = err.status == MMVM_EXIT_HOST;
		return;
	}
	machine_run(m, &j->facts.outcome);
	read_records(j, m);
	judge(j->t, &j->facts, v);
	dirty_exact_print(j->detail, "dirty: ", &j->exact);
	if (v->kind == VERDICT_FAIL) {
		fprintf(j->detail, "seed %" PRIu64 ", args \"%s\"\n", h->seed, j->t->args);
		if (j->facts.outcome.kind != OUTCOME_EXITED) {
			report_crash(j->detail, m, &j->facts.outcome, h->symbols);
		} else {
			fputs("console, last lines:\n", j->detail);
			report_console_tail(j->detail, "  ", machine_console(m, NULL), 40);
		}
	}
	machine_destroy(m);
	observers_close(&j->observers);
}

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		p += n;
		len -= (size_t)n;
	}
}

void job_child(const struct harness *h, const struct mmvm_test_desc *t, int fd)
{
	struct job j = {.h = h, .t = t};
	struct job_message msg = {.magic = JOB_MAGIC};
	struct verdict v = {0};
	uint64_t start = machine_now_ns();
	char *text = NULL;
	size_t len = 0;

	j.detail = open_memstream(&text, &len);
	if (!j.detail) {
		fputs("out of memory\n", stderr);
		_exit(MMVM_EXIT_HOST);
	}
	run(&j, &v);
	fclose(j.detail);
	/* A pass needs no story. */
	if (v.kind != VERDICT_FAIL && !h->verbose)
		len = 0;
	if (len > JOB_DETAIL_MAX)
		len = JOB_DETAIL_MAX;
	msg.kind = v.kind;
	msg.host_error = v.host_error;
	msg.detail_len = (uint32_t)len;
	msg.ns = machine_now_ns() - start;
	memcpy(msg.reason, v.reason, sizeof(msg.reason));
	write_all(fd, &msg, sizeof(msg));
	write_all(fd, text, len);
	free(text);
	/* exit(), not _exit(): leak checkers have their say, and it is a failure. */
	exit(0);
}
