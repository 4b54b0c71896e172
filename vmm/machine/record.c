/*
 * What the guest sends: records of the test channel, kept in order, and console bytes.
 *
 * Both are bounded, because the guest may send for ever: records by number and by bytes (then they
 * are counted as dropped, not stored), the console to its last MiB. The console buffer is twice
 * that: when it is full, its last half moves down, so that what is kept is always in one piece.
 */
#include <errno.h>
#include <limits.h>
#include <linux/virtio_balloon.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "devices/devices.h"
#include "machine/internal.h"
#include "devices/locking.h"

#define CONSOLE_ROOM (2 * (size_t)MACHINE_CONSOLE_MAX)

int machine_record_init(struct machine *m, struct mmvm_error *err)
{
	m->console = malloc(CONSOLE_ROOM + 1);
	if (!m->console)
		return mmvm_error(err, MMVM_EXIT_HOST, "no memory for the console");
	m->console[0] = 0;
	return 0;
}

void machine_record_destroy(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_records; i++)
		free(m->record[i]);
	free(m->record);
	free(m->console);
}

/** Lock R held. */
static bool record_room(struct machine *m) NEEDS_LOCK(m->record_lock)
{
	unsigned int room = m->record_room ? 2 * m->record_room : 64;
	struct mmvm_record **record;

	if (m->nr_records < m->record_room)
		return true;
	if (m->nr_records >= MACHINE_MAX_RECORDS)
		return false;
	record = realloc(m->record, room * sizeof(*record));
	if (!record)
		return false;
	m->record = record;
	m->record_room = room;
	return true;
}

static void record_keep(struct machine *m, const struct mmvm_record *rec)
{
	size_t size = sizeof(*rec) + rec->text_len + 1; /* including the NUL after the text */
	struct mmvm_record *copy = NULL;

	pthread_mutex_lock(&m->record_lock);
	if (m->record_bytes + size <= MACHINE_RECORD_ROOM && record_room(m))
		copy = malloc(size);
	if (copy) {
		memcpy(copy, rec, size);
		m->record[m->nr_records++] = copy;
		m->record_bytes += size;
	} else {
		m->records_dropped++;
	}
	pthread_mutex_unlock(&m->record_lock);
}

/** The guest's own account of its crash: the message and, if it can be read, the registers. */
static void finish_panic(struct machine *m, const struct mmvm_record *rec)
{
	struct machine_outcome out = {.kind = OUTCOME_CRASHED, .status = MMVM_EXIT_CRASHED};
	struct machine_vcpu *v = machine_current_vcpu();

	snprintf(out.text, sizeof(out.text), "%.*s", (int)rec->text_len, rec->text);
	if (rec->value && !machine_read_virt(m, 0, rec->value, &out.crash, sizeof(out.crash))) {
		out.has_crash = true;
	} else if (v && !machine_vcpu_sync(v)) {
		machine_vcpu_crash(v, &out.crash);
		out.has_crash = true;
	}
	machine_finish(m, &out);
}

static void on_record(void *arg, const struct mmvm_record *rec)
{
	struct machine *m = arg;

	if (rec->kind == MMVM_REC_PROFILE) {
		machine_step_mark(m, rec);
		return;
	}
	if (rec->kind == MMVM_REC_ACCESS) {
		observers_record(m->config.observers, m, rec);
		return;
	}
	record_keep(m, rec);
	if (rec->kind == MMVM_REC_PANIC)
		finish_panic(m, rec);
}

static void on_console(void *arg, const char *text, size_t len)
{
	machine_console_write(arg, text, len);
}

static void on_exit_record(void *arg, int status)
{
	struct machine_outcome out = {.kind = OUTCOME_EXITED, .status = status};

	machine_finish(arg, &out);
}

/** The observers look while all vCPUs stand still. */
static int ask_observers(struct machine *m, struct machine_request q)
{
	struct machine_vcpu *v = machine_current_vcpu();
	int answer;

	if (!v)
		return -ENOSYS;
	if (machine_vcpu_sync(v))
		return -EIO;
	q.cr3 = v->sregs.cr3;
	if (machine_pause_others(v))
		return -ECANCELED;
	atomic_store(&v->stopped, true);
	answer = observers_request(m->config.observers, m, &q);
	atomic_store(&v->stopped, false);
	machine_resume_others(v);
	return answer;
}

static int on_audit(void *arg)
{
	return ask_observers(arg, (struct machine_request){.kind = REQUEST_AUDIT});
}

static int on_round(void *arg, const struct mmvm_record *rec)
{
	return ask_observers(arg, (struct machine_request){.kind = REQUEST_ROUND, .rec = rec});
}

static int on_disk_stats(void *arg, const char *role, struct mmvm_disk_stats *out)
{
	return machine_disk_stats(arg, role, out) ? 0 : -ENODEV;
}

static int on_balloon(void *arg, uint64_t target, struct mmvm_balloon *out)
{
	struct machine *m = arg;
	struct balloon_state s;
	int rc = 0;

	if (target == MMVM_BALLOON_STATS)
		machine_balloon_ask_stats(m);
	else if (target != MMVM_BALLOON_LOOK)
		rc = machine_balloon_set_target(m, target);
	if (!machine_balloon_state(m, &s))
		return -ENODEV;
	*out = (struct mmvm_balloon){
		.target = s.target,
		.actual = s.actual,
		.pages = s.pages,
		.inflated = s.inflated,
		.deflated = s.deflated,
		.reported = s.reported,
		.given_back = s.given_back,
		.nr_stats = s.nr_stats,
		.stat_free = s.stat[VIRTIO_BALLOON_S_MEMFREE],
		.resident = machine_ram_resident(m) / MMVM_PAGE_SIZE,
	};
	return rc;
}

static int on_hostfault(void *arg, const char *role, uint64_t k, uint64_t count)
{
	struct machine *m = arg;

	for (unsigned int i = 0; i < m->nr_disks; i++)
		if (!strcmp(m->disk[i].role, role))
			return virtio_blk_inject(m->disk[i].dev, k, count);
	return -ENODEV;
}

const struct testchan_ops machine_testchan_ops = {
	.on_record = on_record,
	.on_console = on_console,
	.on_exit = on_exit_record,
	.on_audit = on_audit,
	.on_round = on_round,
	.on_disk_stats = on_disk_stats,
	.on_balloon = on_balloon,
	.on_hostfault = on_hostfault,
};

/** To the console's file descriptor. A reader that does not read makes the guest wait, but not for
 * longer than the machine runs: what is ready for PIPE_BUF bytes does not block for fewer. */
static void write_out(struct machine *m, const char *text, size_t len)
{
	struct pollfd pfd = {.fd = m->config.console_fd, .events = POLLOUT};

	while (len && !atomic_load(&m->quit)) {
		int ready = poll(&pfd, 1, 100);
		ssize_t n;

		if (ready == 0 || (ready < 0 && errno == EINTR))
			continue;
		n = write(pfd.fd, text, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		/* A reader that has closed its end does not stop the machine; the output is still kept. */
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

void machine_console_write(void *machine, const void *bytes, size_t len)
{
	struct machine *m = machine;
	const char *text = bytes;
	size_t whole = len;
	bool over = false;

	if (m->config.console_fd >= 0)
		write_out(m, text, len);
	pthread_mutex_lock(&m->record_lock);
	if (m->linux_guest)
		over = machine_linux_console(m, text, len);
	if (len > MACHINE_CONSOLE_MAX) {
		text += len - MACHINE_CONSOLE_MAX;
		len = MACHINE_CONSOLE_MAX;
	}
	if (m->console_len + len > CONSOLE_ROOM) {
		size_t keep = MACHINE_CONSOLE_MAX - len;

		memmove(m->console, m->console + m->console_len - keep, keep);
		m->console_len = keep;
	}
	memcpy(m->console + m->console_len, text, len);
	m->console_len += len;
	m->console_total += whole;
	m->console[m->console_len] = 0;
	pthread_mutex_unlock(&m->record_lock);
	if (over)
		machine_linux_reset(m);
}

const struct mmvm_record *machine_record(const struct machine *m, unsigned int i)
{
	struct machine *mm = (struct machine *)m;
	const struct mmvm_record *rec;

	pthread_mutex_lock(&mm->record_lock);
	rec = i < m->nr_records ? m->record[i] : NULL;
	pthread_mutex_unlock(&mm->record_lock);
	return rec;
}

uint64_t machine_records_dropped(const struct machine *m)
{
	return m->records_dropped;
}

const char *machine_console(const struct machine *m, size_t *len)
{
	size_t skip =
		m->console_len > MACHINE_CONSOLE_MAX ? m->console_len - MACHINE_CONSOLE_MAX : 0;

	if (len)
		*len = m->console_len - skip;
	return m->console + skip;
}

size_t machine_console_read(struct machine *m, uint64_t *pos, void *buf, size_t size)
{
	uint64_t first;
	size_t n;

	pthread_mutex_lock(&m->record_lock);
	first = m->console_total - m->console_len;
	if (*pos < first)
		*pos = first;
	n = (size_t)(m->console_total - *pos);
	if (n > size)
		n = size;
	memcpy(buf, m->console + (*pos - first), n);
	pthread_mutex_unlock(&m->record_lock);
	*pos += n;
	return n;
}
