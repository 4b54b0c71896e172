/*
 * The recorder. Three sources, one file:
 *
 *   guest rings   taken at each tick, at the end, and whenever a guest says that one is full
 *   call-backs    exits and requests of devices, from the threads where they happen
 *   each tick     the dirty log, through a reader of its own; KVM's statistics, as far as they rose
 *
 * The guest is not trusted: ends of rings are read once and checked (I2 of mmvm/trace.h); a ring
 * whose ends make no sense is left alone for good and named at the end. Records are copied as they
 * are; the reader of the file checks every field.
 *
 * Locks: t->lock for everything. Call-backs come from any thread, with no lock of the machine held
 * but those of a device's own. machine_dirty_read() and KVM's statistics are asked without it.
 */
#include "observe/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
#include "devices/device.h"
#include "kvm/kvm.h"
#include "mmvm/dmaengine.h"
#include "result/trace_file.h"
#include "devices/locking.h"

#define HOST_ROOM 4096u /* host records kept before they are written */
#define MAX_STATS 512u
#define MAX_DISKS 8u
#define TEXT_ROOM 65536u

struct trace {
	pthread_mutex_t lock;
	struct machine *m;
	int fd;
	char *fresh;	      /* its name, if it was not there before */
	uint64_t limit, size; /* bytes */
	struct trace_file_header head;
	struct trace_file_end end;
	uint64_t ns, drains, full;

	struct mmvm_trace_ctl *ctl; /* in the shared window */
	const struct mmvm_trace_rec *rings;
	uint32_t records, nr_rings; /* ours: the guest could change those in the window */
	uint32_t tail[MMVM_MAX_CPUS];

	const struct device *disk[MAX_DISKS]; /* in the order of their first request */
	unsigned int nr_disks;
	uint64_t stat[MAX_STATS]; /* in the order in which KVM tells them, always the same */
	unsigned int nr_stats, stat_at;
	struct trace_host_rec host[HOST_ROOM];
	unsigned int nr_host;
	char text[TEXT_ROOM];
	unsigned int text_len;
	struct trace_host_rec run; /* of dirty frames, growing; b = 0: none */
};

uint32_t trace_sum(const void *data, uint32_t len)
{
	const uint8_t *p = data;
	uint64_t sum = len, word;

	for (; len; p += sizeof(word)) {
		uint32_t n = len < sizeof(word) ? len : (uint32_t)sizeof(word);

		word = 0;
		memcpy(&word, p, n);
		sum = (sum << 7 | sum >> 57) + word;
		len -= n;
	}
	return (uint32_t)(sum ^ sum >> 32);
}

void trace_chunk_fill(struct trace_chunk *chunk, enum trace_chunk_kind kind, unsigned int cpu,
		      const void *payload, uint32_t len)
{
	/* The sum is that of the copy: the guest may write to its ring meanwhile. */
	memcpy(chunk + 1, payload, len);
	*chunk = (struct trace_chunk){.magic = TRACE_CHUNK_MAGIC,
				      .kind = (uint16_t)kind,
				      .cpu = (uint16_t)cpu,
				      .len = len,
				      .sum = trace_sum(chunk + 1, len)};
}

/* ---- the file, all with the lock held -------------------------------------------------------- */

/** All of it, or the file is cut back to what it was. */
static bool write_all(struct trace *t, const void *data, size_t len) NEEDS_LOCK(t->lock)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(t->fd, (const char *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			t->end.write_error = n < 0 ? (uint32_t)errno : EIO;
			if (ftruncate(t->fd, (off_t)t->size) ||
			    lseek(t->fd, (off_t)t->size, SEEK_SET) < 0)
				return false; /* the reader stops at the torn chunk by its sum */
			return false;
		}
		done += (size_t)n;
	}
	t->size += len;
	return true;
}

/** One chunk. False: it is not in the file. What must be there (names, the end) has room beyond the
 * limit. */
static bool put_chunk(struct trace *t, enum trace_chunk_kind kind, unsigned int cpu,
		      const void *payload, uint32_t len) NEEDS_LOCK(t->lock)
{
	bool bulk = kind == TRACE_CHUNK_GUEST || kind == TRACE_CHUNK_HOST;
	struct {
		struct trace_chunk head;
		char payload[];
	} * chunk;
	bool ok;

	if (t->fd < 0 || t->end.write_error ||
	    (bulk && t->size + sizeof(chunk->head) + len > t->limit))
		return false;
	/* What follows begins at a multiple of 8, as the header does. */
	chunk = calloc(1, sizeof(*chunk) + ((len + 7u) & ~7u));
	if (!chunk) {
		t->end.write_error = ENOMEM;
		return false;
	}
	trace_chunk_fill(&chunk->head, kind, cpu, payload, len);
	ok = write_all(t, chunk, sizeof(*chunk) + ((len + 7u) & ~7u));
	free(chunk);
	return ok;
}

static void flush_host(struct trace *t) NEEDS_LOCK(t->lock)
{
	if (!t->nr_host)
		return;
	if (put_chunk(t, TRACE_CHUNK_HOST, 0, t->host, t->nr_host * (uint32_t)sizeof(t->host[0])))
		t->end.host_records += t->nr_host;
	else
		t->end.file_dropped += t->nr_host;
	t->nr_host = 0;
}

static void put_host(struct trace *t, const struct trace_host_rec *rec) NEEDS_LOCK(t->lock)
{
	t->host[t->nr_host++] = *rec;
	if (t->nr_host == HOST_ROOM)
		flush_host(t);
}

static void flush_text(struct trace *t) NEEDS_LOCK(t->lock)
{
	if (t->text_len)
		put_chunk(t, TRACE_CHUNK_TEXT, 0, t->text, t->text_len);
	t->text_len = 0;
}

static void __attribute__((format(printf, 2, 3))) put_text(struct trace *t, const char *fmt, ...)
	NEEDS_LOCK(t->lock)
{
	va_list ap;
	int n;

	if (TEXT_ROOM - t->text_len < 512)
		flush_text(t);
	va_start(ap, fmt);
	n = vsnprintf(t->text + t->text_len, 512, fmt, ap);
	va_end(ap);
	if (n > 0 && n < 512)
		t->text_len += (unsigned int)n;
}

static uint32_t ticks_since(uint64_t begin)
{
	uint64_t d = __rdtsc() - begin;

	return d > UINT32_MAX ? UINT32_MAX : (uint32_t)d;
}

/* ---- guest rings ----------------------------------------------------------------------------- */

/** Take what ring `cpu` holds. Returns records. Lock held. */
static uint32_t drain(struct trace *t, unsigned int cpu) NEEDS_LOCK(t->lock)
{
	const struct mmvm_trace_rec *ring = t->rings + (size_t)cpu * t->records;
	uint32_t head = __atomic_load_n(&t->ctl->ring[cpu].head, __ATOMIC_ACQUIRE);
	uint32_t n = head - t->tail[cpu], taken = n;

	if (t->end.broken_rings >> cpu & 1)
		return 0;
	if (n > t->records) {
		t->end.broken_rings |= 1ull << cpu;
		return 0;
	}
	while (n) {
		uint32_t from = t->tail[cpu] & (t->records - 1), run = t->records - from;

		if (run > n)
			run = n;
		if (put_chunk(t, TRACE_CHUNK_GUEST, cpu, ring + from,
			      run * (uint32_t)sizeof(*ring)))
			t->end.guest_records += run;
		else
			t->end.file_dropped += run;
		t->tail[cpu] += run;
		n -= run;
	}
	__atomic_store_n(&t->ctl->ring[cpu].tail, t->tail[cpu], __ATOMIC_RELEASE);
	return taken;
}

static void drain_all(struct trace *t) NEEDS_LOCK(t->lock)
{
	uint64_t t0 = machine_now_ns();

	for (unsigned int cpu = 0; cpu < t->nr_rings; cpu++)
		drain(t, cpu);
	t->drains++;
	t->ns += machine_now_ns() - t0;
}

/* ---- call-backs ------------------------------------------------------------------------------ */

void trace_exit_event(struct trace *t, const struct machine_exit_event *e)
{
	struct trace_host_rec rec = {
		.tsc = e->tsc,
		.event = HOST_EXIT,
		.device = (uint8_t)e->cpu,
		.arg = (uint16_t)e->reason,
		.ticks = e->ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)e->ticks,
		.a = e->addr,
	};

	pthread_mutex_lock(&t->lock);
	put_host(t, &rec);
	pthread_mutex_unlock(&t->lock);
}

static unsigned int disk_number(struct trace *t, const struct device *dev) NEEDS_LOCK(t->lock)
{
	for (unsigned int i = 0; i < t->nr_disks; i++)
		if (t->disk[i] == dev)
			return i;
	if (t->nr_disks == MAX_DISKS)
		return MAX_DISKS;
	t->disk[t->nr_disks] = dev;
	put_text(t, "disk %u %.15s\n", t->nr_disks, dev->role);
	return t->nr_disks++;
}

/** A record for each frame that [gpa, gpa + len) touches. */
static void put_frames(struct trace *t, struct trace_host_rec rec, uint64_t gpa, uint64_t len,
		       uint64_t sector) NEEDS_LOCK(t->lock)
{
	for (uint64_t done = 0; done < len;) {
		uint64_t in_page = MMVM_PAGE_SIZE - ((gpa + done) & (MMVM_PAGE_SIZE - 1));

		rec.a = (gpa + done) >> MMVM_PAGE_SHIFT;
		rec.b = sector + done / 512;
		put_host(t, &rec);
		done += in_page;
	}
}

void trace_device_event(struct trace *t, const struct device_event *e)
{
	bool dma = !strcmp(e->dev->model->name, "dma-engine");
	uint64_t bytes = 0, before = 0;
	struct trace_host_rec rec = {
		.tsc = e->begin,
		.event = dma ? HOST_DMA : HOST_BLK,
		.arg = (uint16_t)((e->op & 0xff) | (e->status & 0xff) << 8),
		.ticks = ticks_since(e->begin),
	};

	for (unsigned int i = 0; i < e->nr; i++)
		bytes += e->len[i];
	pthread_mutex_lock(&t->lock);
	rec.device = (uint8_t)(dma ? 0 : disk_number(t, e->dev));
	rec.a = dma ? (e->nr ? e->gpa[0] : 0) : e->sector;
	rec.b = dma ? (e->nr ? e->len[0] : 0) : bytes;
	put_host(t, &rec);
	for (unsigned int i = 0; i < e->nr; i++) {
		struct trace_host_rec page = rec;

		page.event = dma ? HOST_DMA_PAGE : HOST_BLK_PAGE;
		if (dma)
			page.arg = !i && (e->op & 0xff) != MMVM_DMA_CHECKSUM;
		put_frames(t, page, e->gpa[i], e->len[i], dma ? 0 : e->sector + before / 512);
		before += e->len[i];
	}
	pthread_mutex_unlock(&t->lock);
}

void trace_ring_full(struct trace *t, unsigned int cpu)
{
	struct trace_host_rec rec = {.tsc = __rdtsc(), .event = HOST_RING_FULL};
	uint64_t t0 = machine_now_ns();

	if (cpu >= t->nr_rings)
		return;
	pthread_mutex_lock(&t->lock);
	rec.device = (uint8_t)cpu;
	rec.a = drain(t, cpu);
	rec.ticks = ticks_since(rec.tsc);
	put_host(t, &rec);
	t->full++;
	t->drains++;
	t->ns += machine_now_ns() - t0;
	pthread_mutex_unlock(&t->lock);
}

/* ---- at each tick ---------------------------------------------------------------------------- */

static void put_dirty_run(struct trace *t)
{
	if (!t->run.b)
		return;
	pthread_mutex_lock(&t->lock);
	put_host(t, &t->run);
	pthread_mutex_unlock(&t->lock);
	t->run.b = 0;
}

/** Neighbours that were written by the same become one record. */
static void dirty_page(uint64_t gpa, unsigned int by, void *arg)
{
	struct trace *t = arg;
	uint64_t pfn = gpa >> MMVM_PAGE_SHIFT;

	if (t->run.b && t->run.a + t->run.b == pfn && t->run.arg == by) {
		t->run.b++;
		return;
	}
	put_dirty_run(t);
	t->run.a = pfn;
	t->run.b = 1;
	t->run.arg = (uint16_t)by;
}

static void read_dirty(struct trace *t)
{
	struct trace_host_rec rec = {.tsc = __rdtsc(), .event = HOST_HARVEST};
	int64_t n;

	t->run = (struct trace_host_rec){.tsc = rec.tsc, .event = HOST_DIRTY};
	n = machine_dirty_read(t->m, DIRTY_READER_TRACE, dirty_page, t);
	if (n < 0)
		return;
	put_dirty_run(t);
	rec.a = (uint64_t)n;
	rec.ticks = ticks_since(rec.tsc);
	pthread_mutex_lock(&t->lock);
	put_host(t, &rec);
	pthread_mutex_unlock(&t->lock);
}

static void on_stat(const char *scope, const struct kvm_stat *stat, void *arg)
{
	struct trace *t = arg;
	unsigned int i;
	uint64_t value;

	if (stat->type != KVM_STATS_TYPE_CUMULATIVE || stat->nr_values != 1 ||
	    t->stat_at == MAX_STATS)
		return;
	i = t->stat_at++;
	value = stat->values[0];
	pthread_mutex_lock(&t->lock);
	if (i == t->nr_stats) {
		put_text(t, "stat %u %s.%.100s\n", i, scope, stat->name);
		t->nr_stats++;
	}
	if (t->stat[i] != value)
		put_host(t, &(struct trace_host_rec){.tsc = __rdtsc(),
						     .event = HOST_STAT,
						     .arg = (uint16_t)i,
						     .a = value - t->stat[i],
						     .b = value});
	t->stat[i] = value;
	pthread_mutex_unlock(&t->lock);
}

void trace_tick(struct trace *t)
{
	pthread_mutex_lock(&t->lock);
	drain_all(t);
	pthread_mutex_unlock(&t->lock);
	read_dirty(t);
	t->stat_at = 0;
	machine_kvm_stats(t->m, on_stat, t);
	pthread_mutex_lock(&t->lock);
	flush_text(t);
	flush_host(t);
	pthread_mutex_unlock(&t->lock);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

struct trace *trace_create(const char *path, uint64_t limit, struct mmvm_error *err)
{
	struct trace *t = calloc(1, sizeof(*t));

	if (!t) {
		mmvm_error(err, MMVM_EXIT_HOST, "no memory for the trace");
		return NULL;
	}
	t->limit = limit;
	/* What is there stays as it is until the machine is about to run. */
	t->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	t->fresh = t->fd >= 0 ? strdup(path) : NULL;
	if (t->fd < 0 && errno == EEXIST)
		t->fd = open(path, O_WRONLY | O_CLOEXEC);
	if (t->fd < 0) {
		mmvm_error(err, MMVM_EXIT_USAGE, "cannot create trace %s: %s", path,
			   strerror(errno));
		free(t);
		return NULL;
	}
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

static void put_names(struct trace *t, const struct symtab *symbols) NEEDS_LOCK(t->lock)
{
	struct symtab_symbol s;
	const char *name;

	for (unsigned int i = 0; (name = machine_exit_name(i)); i++)
		if (strcmp(name, "other"))
			put_text(t, "exit %u %s\n", i, name);
	for (size_t i = 0; symbols && symtab_at(symbols, i, &s); i++)
		if (s.type == 't' || s.type == 'T')
			put_text(t, "sym %llx %.200s\n", (unsigned long long)s.addr, s.name);
	flush_text(t);
}

/** The largest power of two that lets all rings lie within the window's room for them. */
static uint32_t ring_size(unsigned int cpus)
{
	uint32_t n = 1;

	while ((uint64_t)n * 2 * cpus * sizeof(struct mmvm_trace_rec) <= MMVM_TRACE_BYTES)
		n *= 2;
	return n;
}

static void set_up_rings(struct trace *t, const struct machine_config *config)
{
	char *window = machine_shared_window(t->m);

	t->ctl = (struct mmvm_trace_ctl *)(window + MMVM_TRACE_CTL);
	t->rings = (const struct mmvm_trace_rec *)(window + MMVM_TRACE_RINGS);
	t->nr_rings = config->cpus;
	t->records = ring_size(config->cpus);
	t->ctl->version = MMVM_TRACE_VERSION;
	t->ctl->nr_rings = t->nr_rings;
	t->ctl->records = t->records;
	t->ctl->mask = ((1ull << (NR_TRACE_EVENTS - 1)) - 1) << 1;
}

int trace_begin(struct trace *t, struct machine *m, const struct machine_config *config,
		const struct symtab *symbols, const char *accel, const char *command,
		struct mmvm_error *err)
{
	uint64_t guest, host;
	int rc;

	t->m = m;
	t->head = (struct trace_file_header){
		.magic = TRACE_FILE_MAGIC,
		.version = TRACE_FILE_VERSION,
		.size = sizeof(t->head),
		.tsc_hz = machine_tsc_hz(m),
		.ram_low = config->ram_low,
		.ram_high = config->ram_high,
		.cpus = config->cpus,
	};
	snprintf(t->head.backend, sizeof(t->head.backend), "%s", machine_backend(m));
	snprintf(t->head.accel, sizeof(t->head.accel), "%s", accel);
	snprintf(t->head.command, sizeof(t->head.command), "%s", command);
	rc = machine_tsc_pair(m, &guest, &host, &t->head.tsc_error);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "--trace: cannot read the guest's clock: %s",
				  strerror(-rc));
	t->head.tsc_offset = (int64_t)(guest - host);
	if (!machine_runs_linux(m))
		set_up_rings(t, config);
	t->head.begin_epoch = machine_unix_ns();
	t->head.begin_tsc = __rdtsc();
	pthread_mutex_lock(&t->lock);
	if (ftruncate(t->fd, 0) && errno != EINVAL)
		t->end.write_error = (uint32_t)errno;
	if (!t->end.write_error && write_all(t, &t->head, sizeof(t->head)))
		put_names(t, symbols);
	rc = (int)t->end.write_error;
	pthread_mutex_unlock(&t->lock);
	return rc ? mmvm_error(err, MMVM_EXIT_HOST, "cannot write the trace: %s", strerror(rc)) : 0;
}

static void put_counters(struct trace *t) NEEDS_LOCK(t->lock)
{
#define NAME_(name, text) text,
	static const char *const names[] = {MMVM_VM_EVENTS(NAME_)};
#undef NAME_
	const struct mmvm_shared *sh = machine_shared(t->m);

	for (unsigned int e = 0; e < NR_VM_EVENT_ITEMS; e++) {
		uint64_t sum = 0;

		for (unsigned int cpu = 0; cpu < MMVM_MAX_CPUS; cpu++)
			sum += __atomic_load_n(&sh->event[cpu][e], __ATOMIC_RELAXED);
		put_text(t, "vmstat %s %llu\n", names[e], (unsigned long long)sum);
	}
}

void trace_end(struct trace *t, bool exited, struct trace_summary *sum)
{
	uint64_t guest = 0, host = 0;

	trace_tick(t);
	t->end.tsc_offset = t->head.tsc_offset;
	if (!machine_tsc_pair(t->m, &guest, &host, &t->end.tsc_error))
		t->end.tsc_offset = (int64_t)(guest - host);
	pthread_mutex_lock(&t->lock);
	for (unsigned int cpu = 0; cpu < t->nr_rings; cpu++)
		t->end.guest_dropped += t->ctl->ring[cpu].dropped;
	if (t->nr_rings)
		put_counters(t);
	flush_text(t);
	t->end.exited = exited;
	t->end.end_tsc = __rdtsc();
	put_chunk(t, TRACE_CHUNK_END, 0, &t->end, sizeof(t->end));
	if (close(t->fd) && !t->end.write_error)
		t->end.write_error = (uint32_t)errno;
	t->fd = -1;
	pthread_mutex_unlock(&t->lock);
	*sum = (struct trace_summary){
		.guest_records = t->end.guest_records,
		.host_records = t->end.host_records,
		.guest_dropped = t->end.guest_dropped,
		.file_dropped = t->end.file_dropped,
		.broken_rings = t->end.broken_rings,
		.bytes = t->size,
		.ns = t->ns,
		.drains = t->drains,
		.full = t->full,
		.write_error = (int)t->end.write_error,
		.clock_drift = t->end.tsc_offset - t->head.tsc_offset,
		.clock_error = t->head.tsc_error + t->end.tsc_error,
	};
}

void trace_free(struct trace *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		close(t->fd);
	/* A machine that could not be made leaves no file. */
	if (t->fresh && !t->size)
		unlink(t->fresh);
	free(t->fresh);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
