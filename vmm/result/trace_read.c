/*
 * The reader. A file is taken as something that anybody may have written: sizes, counts and names
 * are checked, records that say nothing sensible are left out and counted.
 *
 *   R1  Chunks are read until one is not whole: no magic, too long, wrong sum, beyond the end, or
 *       an end of another length.
 *   R2  An event's frame lies in RAM, with the whole block of its order.
 *   R3  Events are sorted by time; of two at the same time the one that stands first in the file.
 */
#include "result/trace_read.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mmvm/syscalls.h"

#define MAX_ORDER	  10u
#define TRACE_RECORD_SIZE sizeof(struct mmvm_trace_rec) /* both kinds */
_Static_assert(sizeof(struct mmvm_trace_rec) == sizeof(struct trace_host_rec),
	       "records are counted without their kind");

static const char *const guest_name[NR_TRACE_EVENTS] = {
#define NAME_(name, text, category, arg, addr) [TRACE_##name] = text,
	MMVM_TRACE_EVENTS(NAME_)
#undef NAME_
};
static const char *const guest_category[NR_TRACE_EVENTS] = {
#define NAME_(name, text, category, arg, addr) [TRACE_##name] = category,
	MMVM_TRACE_EVENTS(NAME_)
#undef NAME_
};
static const char *const host_name[NR_HOST_EVENTS] = {
#define NAME_(name, text, category) [HOST_##name] = text,
	TRACE_HOST_EVENTS(NAME_)
#undef NAME_
};
static const char *const host_category[NR_HOST_EVENTS] = {
#define NAME_(name, text, category) [HOST_##name] = category,
	TRACE_HOST_EVENTS(NAME_)
#undef NAME_
};

const char *trace_event_name(const struct trace_event *e)
{
	return e->host ? host_name[e->rec->event] : guest_name[e->guest->event];
}

const char *trace_event_category(const struct trace_event *e)
{
	return e->host ? host_category[e->rec->event] : guest_category[e->guest->event];
}

const char *trace_call_name(unsigned int number)
{
	static const char *const call_name[MMVM_SYSCALL_MAX] = {
#define NAME_(nr, name, fn, ...) [nr] = #name,
		MMVM_SYSCALLS(NAME_)
#undef NAME_
	};

	return number < MMVM_SYSCALL_MAX && call_name[number] ? call_name[number] : "unknown call";
}

bool trace_event_has_page(enum mmvm_trace_event event)
{
	switch (event) {
	case TRACE_FAULT_BEGIN:
	case TRACE_FAULT_END:
	case TRACE_KSWAPD_WAKE:
	case TRACE_KSWAPD_SLEEP:
	case TRACE_DIRECT_BEGIN:
	case TRACE_DIRECT_END:
	case TRACE_SHRINK_SLAB_START:
	case TRACE_SHRINK_SLAB_END:
	case TRACE_BALANCE_DIRTY_PAGES:
	case TRACE_COMPACT_BEGIN:
	case TRACE_COMPACT_END:
	case TRACE_KCOMPACTD_WAKE:
	case TRACE_KCOMPACTD_SLEEP:
	case TRACE_FORK:
	case TRACE_EXEC:
	case TRACE_EXIT:
	case TRACE_SWITCH:
	case TRACE_OOM_KILL:
	case TRACE_STALL_BEGIN:
	case TRACE_STALL_END:
	case TRACE_STALL_READ:
	case TRACE_SYS_ENTER:
	case TRACE_SYS_EXIT:
		return false;
	default:
		return true;
	}
}

bool trace_pfn_ok(const struct trace_data *t, uint64_t pfn)
{
	uint64_t high = MMVM_RAM_HIGH_BASE >> MMVM_PAGE_SHIFT;

	return pfn < t->head.ram_low >> MMVM_PAGE_SHIFT ||
	       (pfn >= high && pfn - high < t->head.ram_high >> MMVM_PAGE_SHIFT);
}

uint64_t trace_frame(const struct trace_data *t, uint64_t pfn)
{
	uint64_t low = t->head.ram_low >> MMVM_PAGE_SHIFT;

	return pfn < low ? pfn : pfn - (MMVM_RAM_HIGH_BASE >> MMVM_PAGE_SHIFT) + low;
}

uint64_t trace_frames(const struct trace_data *t)
{
	return (t->head.ram_low + t->head.ram_high) >> MMVM_PAGE_SHIFT;
}

uint64_t trace_frame_pfn(const struct trace_data *t, uint64_t frame)
{
	uint64_t low = t->head.ram_low >> MMVM_PAGE_SHIFT;

	return frame < low ? frame : frame - low + (MMVM_RAM_HIGH_BASE >> MMVM_PAGE_SHIFT);
}

uint64_t trace_ns(const struct trace_data *t, uint64_t ticks)
{
	unsigned __int128 ns = (unsigned __int128)ticks * 1000000000u / t->head.tsc_hz;

	return ns > TRACE_NS_MAX ? (uint64_t)TRACE_NS_MAX : (uint64_t)ns;
}

/* ---- records --------------------------------------------------------------------------------- */

static bool guest_record_ok(const struct trace_data *t, const struct mmvm_trace_rec *r)
{
	if (r->event == TRACE_NONE || r->event >= NR_TRACE_EVENTS || r->order > MAX_ORDER)
		return false;
	return !trace_event_has_page(r->event) ||
	       (trace_pfn_ok(t, r->pfn) && trace_pfn_ok(t, r->pfn + (1ull << r->order) - 1));
}

static bool host_record_ok(const struct trace_data *t, const struct trace_host_rec *r)
{
	switch (r->event) {
	case HOST_NONE:
		return false;
	case HOST_BLK_PAGE:
	case HOST_DMA_PAGE:
		return trace_pfn_ok(t, r->a) && r->device < TRACE_MAX_DISKS;
	case HOST_DIRTY:
		return r->b && r->b <= trace_frames(t) && trace_pfn_ok(t, r->a) &&
		       trace_pfn_ok(t, r->a + r->b - 1);
	case HOST_BLK:
		return r->device < TRACE_MAX_DISKS;
	default:
		return r->event < NR_HOST_EVENTS;
	}
}

/** Nanoseconds since the run began; beyond TRACE_NS_MAX: that. */
static int64_t since_begin(const struct trace_data *t, uint64_t tsc)
{
	__int128 ns = (__int128)(int64_t)(tsc - t->head.begin_tsc) * 1000000000 / t->head.tsc_hz;

	return ns < -TRACE_NS_MAX ? -TRACE_NS_MAX : ns > TRACE_NS_MAX ? TRACE_NS_MAX : (int64_t)ns;
}

static void add_records(struct trace_data *t, const struct trace_chunk *c)
{
	const char *p = (const char *)(c + 1);
	bool host = c->kind == TRACE_CHUNK_HOST;

	for (uint32_t n = c->len / TRACE_RECORD_SIZE; n && t->nr < t->room;
	     n--, p += TRACE_RECORD_SIZE) {
		struct trace_event *e = &t->event[t->nr];

		*e = (struct trace_event){
			.host = host, .cpu = (uint8_t)c->cpu, .seq = (uint32_t)t->nr};
		if (host) {
			e->rec = (const struct trace_host_rec *)p;
			if (!host_record_ok(t, e->rec)) {
				t->bad++;
				continue;
			}
			e->ns = since_begin(t, e->rec->tsc);
		} else {
			e->guest = (const struct mmvm_trace_rec *)p;
			if (!guest_record_ok(t, e->guest)) {
				t->bad++;
				continue;
			}
			e->ns = since_begin(t, e->guest->tsc - (uint64_t)t->head.tsc_offset);
		}
		t->nr++;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct trace_event *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int grow(void *array, size_t nr, size_t size)
{
	void **p = array, *bigger;

	/* Powers of two: when nr is one, the array is full. */
	if (nr & (nr - 1))
		return 0;
	bigger = realloc(*p, (nr ? nr * 2 : 1) * size);
	if (!bigger)
		return -ENOMEM;
	*p = bigger;
	return 0;
}

/** One line; what is not understood is of a later version, and left out. */
static int add_line(struct trace_data *t, char *line)
{
	unsigned int i;
	uint64_t v;
	int at = 0;

	if (sscanf(line, "exit %u %n", &i, &at) == 1 && at && i < TRACE_MAX_EXITS) {
		t->exit_name[i] = line + at;
	} else if (sscanf(line, "disk %u %n", &i, &at) == 1 && at && i < TRACE_MAX_DISKS) {
		t->disk[i] = line + at;
	} else if (sscanf(line, "stat %u %n", &i, &at) == 1 && at && i < TRACE_MAX_STATS) {
		t->stat[i] = line + at;
	} else if (sscanf(line, "sym %" SCNx64 " %n", &v, &at) == 1 && at) {
		if (grow(&t->sym, t->nr_syms, sizeof(*t->sym)))
			return -ENOMEM;
		t->sym[t->nr_syms++] = (struct trace_sym){v, line + at};
	} else if (!strncmp(line, "vmstat ", 7) && strchr(line + 7, ' ')) {
		char *value = strchr(line + 7, ' ');

		*value++ = 0;
		if (grow(&t->vmstat, t->nr_vmstat, sizeof(*t->vmstat)))
			return -ENOMEM;
		t->vmstat[t->nr_vmstat++] =
			(struct trace_count){line + 7, strtoull(value, NULL, 10)};
	}
	return 0;
}

static int add_text(struct trace_data *t, const struct trace_chunk *c)
{
	char *copy = malloc(c->len + 1), *line, *save;

	if (!copy || grow(&t->text, t->nr_text, sizeof(*t->text))) {
		free(copy);
		return -ENOMEM;
	}
	memcpy(copy, c + 1, c->len);
	copy[c->len] = 0;
	/* Names are printed on terminals. */
	for (uint32_t i = 0; i < c->len; i++)
		if (copy[i] != '\n' && ((unsigned char)copy[i] < ' ' || copy[i] == 0x7f))
			copy[i] = '?';
	t->text[t->nr_text++] = copy;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (add_line(t, line))
			return -ENOMEM;
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct trace_sym *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

const char *trace_symbol(const struct trace_data *t, uint64_t addr, char *buf, size_t size)
{
	size_t lo = 0, hi = t->nr_syms;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (t->sym[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo && addr - t->sym[lo - 1].addr < 65536)
		snprintf(buf, size, "%s+0x%" PRIx64, t->sym[lo - 1].name,
			 addr - t->sym[lo - 1].addr);
	else
		snprintf(buf, size, "0x%" PRIx64, addr);
	return buf;
}

bool trace_vmstat(const struct trace_data *t, const char *name, uint64_t *value)
{
	for (size_t i = 0; i < t->nr_vmstat; i++) {
		if (strcmp(t->vmstat[i].name, name))
			continue;
		*value = t->vmstat[i].value;
		return true;
	}
	return false;
}

int trace_disk(const struct trace_data *t, const char *role)
{
	for (unsigned int i = 0; i < TRACE_MAX_DISKS; i++)
		if (t->disk[i] && !strcmp(t->disk[i], role))
			return (int)i;
	return -1;
}

/* ---- the file -------------------------------------------------------------------------------- */

/** The chunk at `at` if it is whole, else NULL with t->cut (R1). */
static const struct trace_chunk *chunk_at(struct trace_data *t, size_t at)
{
	const struct trace_chunk *c = (const void *)((const char *)t->map + at);
	size_t left = t->map_len - at;

	if (!left) {
		t->cut = "the file ends without an end: the run was cut short";
		return NULL;
	}
	if (left < sizeof(*c) || c->magic != TRACE_CHUNK_MAGIC || c->len > TRACE_CHUNK_MAX ||
	    c->len > left - sizeof(*c) || trace_sum(c + 1, c->len) != c->sum) {
		t->cut = "what follows is damaged";
		return NULL;
	}
	return c;
}

/** Chunks begin at multiples of 8. */
static size_t chunk_size(const struct trace_chunk *c)
{
	return sizeof(*c) + ((c->len + 7u) & ~7u);
}

/** Called for each chunk; not 0 ends the walk. */
typedef int (*chunk_fn)(struct trace_data *t, const struct trace_chunk *c);

/** All whole chunks up to the end; t->cut says why there are no more (R1). There is one walk, so
 * that the pass that counts and the pass that fills see the same chunks. Returns what fn returned,
 * or 0. */
static int each_chunk(struct trace_data *t, chunk_fn fn)
{
	const struct trace_chunk *c;
	int rc;

	t->cut = NULL;
	for (size_t at = t->head.size; (c = chunk_at(t, at)); at += chunk_size(c)) {
		if (c->kind == TRACE_CHUNK_END && c->len != sizeof(t->end)) {
			t->cut = "what follows is damaged";
			return 0;
		}
		rc = fn(t, c);
		if (rc || c->kind == TRACE_CHUNK_END)
			return rc;
		if (chunk_size(c) > t->map_len - at) {
			t->cut = "the file ends without an end: the run was cut short";
			return 0;
		}
	}
	return 0;
}

static int count_records(struct trace_data *t, const struct trace_chunk *c)
{
	if (c->kind == TRACE_CHUNK_GUEST || c->kind == TRACE_CHUNK_HOST)
		t->room += c->len / TRACE_RECORD_SIZE;
	return 0;
}

static int keep_chunk(struct trace_data *t, const struct trace_chunk *c)
{
	switch (c->kind) {
	case TRACE_CHUNK_GUEST:
	case TRACE_CHUNK_HOST:
		add_records(t, c);
		return 0;
	case TRACE_CHUNK_TEXT:
		return add_text(t, c);
	case TRACE_CHUNK_END:
		memcpy(&t->end, c + 1, sizeof(t->end));
		t->complete = true;
		return 0;
	default: /* of a later version */
		return 0;
	}
}

static int read_chunks(struct trace_data *t)
{
	each_chunk(t, count_records);
	if (t->room > UINT32_MAX)
		return -EFBIG;
	t->event = calloc(t->room + 1, sizeof(*t->event));
	if (!t->event)
		return -ENOMEM;
	return each_chunk(t, keep_chunk);
}

static int check_header(struct trace_data *t, const char *path, struct mmvm_error *err)
{
	struct trace_file_header *h = &t->head;

	if (t->map_len < sizeof(*h) || memcmp(t->map, &(uint64_t){TRACE_FILE_MAGIC}, 8))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s: not a trace (mmvm run --trace makes them)", path);
	memcpy(h, t->map, sizeof(*h));
	if (h->version != TRACE_FILE_VERSION || h->size != sizeof(*h))
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "%s: a trace of version %u; this program reads version %u", path,
				  h->version, TRACE_FILE_VERSION);
	if (!h->tsc_hz || h->tsc_hz > 1ull << 40 || h->ram_low > MMVM_RAM_LOW_MAX ||
	    h->ram_high > 1ull << 40 || h->cpus > MMVM_MAX_CPUS)
		return mmvm_error(err, MMVM_EXIT_USAGE, "%s: its header makes no sense", path);
	h->backend[sizeof(h->backend) - 1] = h->accel[sizeof(h->accel) - 1] = 0;
	h->command[sizeof(h->command) - 1] = 0;
	return 0;
}

/** The whole file into memory: it cannot change or shrink while we read. 0 or -errno. */
static int read_file(struct trace_data *t, int fd, size_t len)
{
	t->map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return -errno;
	}
	t->map_room = len;
	while (t->map_len < len) {
		ssize_t n = read(fd, (char *)t->map + t->map_len, len - t->map_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		t->map_len += (size_t)n;
	}
	return 0;
}

int trace_load(struct trace_data *t, const char *path, struct mmvm_error *err)
{
	struct stat st;
	int fd, rc = 0;

	memset(t, 0, sizeof(*t));
	/* A FIFO without a writer must not make us wait. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st)) {
		mmvm_error(err, MMVM_EXIT_USAGE, "cannot open %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (S_ISREG(st.st_mode) && st.st_size)
		rc = read_file(t, fd, (size_t)st.st_size);
	close(fd);
	if (rc) {
		trace_unload(t);
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot read %s: %s", path, strerror(-rc));
	}
	if (check_header(t, path, err)) {
		trace_unload(t);
		return -1;
	}
	rc = read_chunks(t);
	if (rc) {
		trace_unload(t);
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot read %s: %s", path, strerror(-rc));
	}
	qsort(t->event, t->nr, sizeof(*t->event), by_time);
	if (t->nr_syms)
		qsort(t->sym, t->nr_syms, sizeof(*t->sym), by_addr);
	return 0;
}

void trace_unload(struct trace_data *t)
{
	for (size_t i = 0; i < t->nr_text; i++)
		free(t->text[i]);
	free(t->text);
	free(t->sym);
	free(t->vmstat);
	free(t->event);
	if (t->map)
		munmap(t->map, t->map_room);
	memset(t, 0, sizeof(*t));
}
