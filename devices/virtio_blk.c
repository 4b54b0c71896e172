/*
 * virtio-blk (virtio 1.2, section 5.2) on a file.
 *
 *   out segments              in segments
 *   +--------+-----------+    +-----------+--------+
 *   | header | data      |    | data      | status |      boundaries need not fall on segments
 *   | 16 B   | (to disk) |    | (from it) | 1 B    |      (2.7.4.1): iovecs are trimmed to the data
 *   +--------+-----------+    +-----------+--------+
 *
 * Requests go straight between the file and guest memory by preadv and pwritev, on the transport's
 * worker.
 *
 * I1. No byte at or past `sectors` is read or written; the check is made before any I/O, by
 *     subtraction.
 * I2. A request is one of OK, IOERR, UNSUPP, counted once. A read is OK only when every byte came
 *     from the file: a short read is IOERR.
 * I3. Work per request is bounded: MAX_BYTES of data, MAX_RANGES ranges of MAX_RANGE_SECTORS.
 * I4. A chain too short for header or status breaks the protocol: no status can be given, so the
 *     device needs a reset.
 *
 * Locks: requests run under the transport's io_lock. b->stat_lock, innermost, protects statistics
 * and the injected fault. Capacity is read atomically.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>
#include "devices/device_impl.h"

#define SECTOR		  512
#define SEG_MAX		  (VIRTQUEUE_MAX_SIZE - 2) /* header and status take one each */
#define SIZE_MAX_SEG	  (256u << 10)
#define MAX_BYTES	  ((uint64_t)SEG_MAX * SIZE_MAX_SEG)
#define MAX_RANGES	  16
#define MAX_RANGE_SECTORS ((16u << 20) / SECTOR)
_Static_assert(VIRTQUEUE_MAX_SEGS <= IOV_MAX, "a chain is one preadv");

struct virtio_blk {
	struct virtio_mmio v; /* first: freed by the transport */
	int fd;
	bool read_only;
	uint64_t sectors; /* atomic */
	pthread_mutex_t stat_lock;
	struct mmvm_disk_stats stats;
	uint64_t fail_from;  /* 1: the next request is the first that fails */
	uint64_t fail_count; /* requests that fail; 0 = none */
};

/* The part of a chain between header and status. */
struct blk_request {
	uint32_t type;
	uint64_t sector;
	struct iovec *out, *in;
	unsigned int nr_out, nr_in;
	uint64_t out_len, in_len;
	const uint64_t *in_gpa; /* of in[0] .. in[nr_in-1] as they stand after trimming */
	uint64_t status_gpa;
};

static struct virtio_blk *to_blk(const struct device *dev)
{
	return container_of(dev, struct virtio_blk, v.dev);
}

/* Copy up to `len` bytes off the front of the out data. The caller has checked that they exist. */
static void take_out(struct blk_request *r, void *buf, size_t len)
{
	uint8_t *to = buf;

	r->out_len -= len;
	while (len) {
		size_t n = r->out->iov_len < len ? r->out->iov_len : len;

		memcpy(to, r->out->iov_base, n);
		to += n;
		len -= n;
		r->out->iov_base = (uint8_t *)r->out->iov_base + n;
		r->out->iov_len -= n;
		if (r->out->iov_len == 0) {
			r->out++;
			r->nr_out--;
		}
	}
}

/* Split a chain into header, data and status. 0 or -EPROTO (I4). */
static int parse_request(struct virtqueue_chain *c, struct blk_request *r)
{
	struct virtio_blk_outhdr head;
	unsigned int last;

	if (c->out_len < sizeof(head) || c->in_len < 1)
		return -EPROTO;
	*r = (struct blk_request){
		.out = c->iov,
		.nr_out = c->nr_out,
		.out_len = c->out_len,
		.in = c->iov + c->nr_out,
		.nr_in = c->nr_in,
		.in_len = c->in_len - 1,
		.in_gpa = c->gpa + c->nr_out,
	};
	take_out(r, &head, sizeof(head));
	r->type = head.type;
	r->sector = head.sector;

	last = r->nr_in - 1;
	r->status_gpa = r->in_gpa[last] + r->in[last].iov_len - 1;
	if (--r->in[last].iov_len == 0)
		r->nr_in--;
	return 0;
}

/* Is [sector, sector + count) on the disk? */
static bool in_range(const struct virtio_blk *b, uint64_t sector, uint64_t count)
{
	uint64_t sectors = __atomic_load_n(&b->sectors, __ATOMIC_ACQUIRE);

	return sector <= sectors && count <= sectors - sector;
}

enum disk_dir { FROM_DISK, TO_DISK };

/* All bytes of the vector, from or to the file. Consumes `iov`. Returns bytes done, which is less
 * than asked for at the end of the file or on an error. */
static uint64_t transfer(int fd, enum disk_dir dir, struct iovec *iov, unsigned int nr,
			 uint64_t offset)
{
	uint64_t done = 0;

	while (nr) {
		ssize_t n = dir == TO_DISK ? pwritev(fd, iov, (int)nr, (off_t)(offset + done))
					   : preadv(fd, iov, (int)nr, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (uint64_t)n;
		while (nr && (size_t)n >= iov->iov_len) {
			n -= (ssize_t)iov->iov_len;
			iov++;
			nr--;
		}
		if (n) {
			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= (size_t)n;
		}
	}
	return done;
}

/* Note the first `len` bytes of the in data as written. Lengths are taken from a copy, as
 * transfer() eats the vector. */
static void mark_in(struct virtio_blk *b, const struct blk_request *r, const uint64_t *seg_len,
		    uint64_t len)
{
	for (unsigned int i = 0; i < r->nr_in && len; i++) {
		uint64_t n = seg_len[i] < len ? seg_len[i] : len;

		guest_ram_mark_dirty(b->v.dev.ram, r->in_gpa[i], n);
		len -= n;
	}
}

static uint8_t do_read(struct virtio_blk *b, struct blk_request *r, uint64_t *written)
{
	uint64_t seg_len[VIRTQUEUE_MAX_SEGS];

	if (r->in_len % SECTOR || r->in_len > MAX_BYTES ||
	    !in_range(b, r->sector, r->in_len / SECTOR))
		return VIRTIO_BLK_S_IOERR;
	for (unsigned int i = 0; i < r->nr_in; i++)
		seg_len[i] = r->in[i].iov_len;
	guest_ram_begin_write(b->v.dev.ram);
	*written = transfer(b->fd, FROM_DISK, r->in, r->nr_in, r->sector * SECTOR);
	mark_in(b, r, seg_len, *written);
	guest_ram_end_write(b->v.dev.ram);
	return *written == r->in_len ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static uint8_t do_write(struct virtio_blk *b, struct blk_request *r)
{
	if (b->read_only || r->out_len % SECTOR || r->out_len > MAX_BYTES ||
	    !in_range(b, r->sector, r->out_len / SECTOR))
		return VIRTIO_BLK_S_IOERR;
	if (transfer(b->fd, TO_DISK, r->out, r->nr_out, r->sector * SECTOR) != r->out_len)
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint8_t do_get_id(struct virtio_blk *b, struct blk_request *r, uint64_t *written)
{
	char id[VIRTIO_BLK_ID_BYTES + 1]; /* the NUL is not sent when the name fills it (5.2.6.1) */
	uint64_t off = 0;

	memset(id, 0, sizeof(id));
	snprintf(id, sizeof(id), "mmvm-%.15s", b->v.dev.role);
	for (unsigned int i = 0; i < r->nr_in && off < VIRTIO_BLK_ID_BYTES; i++) {
		uint64_t n = r->in[i].iov_len;

		if (n > VIRTIO_BLK_ID_BYTES - off)
			n = VIRTIO_BLK_ID_BYTES - off;
		guest_ram_begin_write(b->v.dev.ram);
		memcpy(r->in[i].iov_base, id + off, n);
		guest_ram_mark_dirty(b->v.dev.ram, r->in_gpa[i], n);
		guest_ram_end_write(b->v.dev.ram);
		off += n;
	}
	*written = off;
	return VIRTIO_BLK_S_OK;
}

/* Zeroes by writing them, for file systems that cannot do it otherwise. */
static int write_zeroes(int fd, uint64_t offset, uint64_t len)
{
	static const uint8_t zeroes[64 << 10];

	while (len) {
		struct iovec iov = {.iov_base = (void *)zeroes,
				    .iov_len = len < sizeof(zeroes) ? len : sizeof(zeroes)};
		uint64_t n = iov.iov_len;

		if (transfer(fd, TO_DISK, &iov, 1, offset) != n)
			return -EIO;
		offset += n;
		len -= n;
	}
	return 0;
}

/* Make a hole, or zeroes that keep their blocks. A file system that knows neither gets zeroes. */
static int clear_range(int fd, bool unmap, uint64_t offset, uint64_t len)
{
	int mode = FALLOC_FL_KEEP_SIZE | (unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
	int r;

	do {
		r = fallocate(fd, mode, (off_t)offset, (off_t)len);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EOPNOTSUPP || errno == ENOSYS || errno == ENODEV))
		return write_zeroes(fd, offset, len);
	return r < 0 ? -errno : 0;
}

/* DISCARD and WRITE_ZEROES: an array of ranges (5.2.6). All are checked before the first is
 * touched. */
static uint8_t do_clear(struct virtio_blk *b, struct blk_request *r)
{
	struct virtio_blk_discard_write_zeroes range[MAX_RANGES];
	bool discard = r->type == VIRTIO_BLK_T_DISCARD;
	uint32_t allowed = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	unsigned int n = (unsigned int)(r->out_len / sizeof(range[0]));

	if (b->read_only || n == 0 || r->out_len % sizeof(range[0]) || r->out_len > sizeof(range))
		return VIRTIO_BLK_S_IOERR;
	take_out(r, range, r->out_len);
	for (unsigned int i = 0; i < n; i++) {
		if (range[i].flags & ~allowed)
			return VIRTIO_BLK_S_UNSUPP;
		if (range[i].num_sectors == 0 || range[i].num_sectors > MAX_RANGE_SECTORS ||
		    !in_range(b, range[i].sector, range[i].num_sectors))
			return VIRTIO_BLK_S_IOERR;
	}
	for (unsigned int i = 0; i < n; i++) {
		bool unmap = discard || (range[i].flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);

		if (clear_range(b->fd, unmap, range[i].sector * SECTOR,
				(uint64_t)range[i].num_sectors * SECTOR))
			return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static uint8_t execute(struct virtio_blk *b, struct blk_request *r, uint64_t *written)
{
	switch (r->type) {
	case VIRTIO_BLK_T_IN:
		return do_read(b, r, written);
	case VIRTIO_BLK_T_OUT:
		return do_write(b, r);
	case VIRTIO_BLK_T_FLUSH:
		return fdatasync(b->fd) ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		return do_get_id(b, r, written);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return do_clear(b, r);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Is this the request that was asked to fail? */
static bool take_fault(struct virtio_blk *b)
{
	bool fail = false;

	pthread_mutex_lock(&b->stat_lock);
	if (b->fail_from > 1) {
		b->fail_from--;
	} else if (b->fail_count) {
		b->fail_count--;
		fail = true;
	}
	pthread_mutex_unlock(&b->stat_lock);
	return fail;
}

static void count_request(struct virtio_blk *b, uint32_t type, uint8_t status, uint64_t data_len)
{
	struct mmvm_disk_stats *s = &b->stats;

	pthread_mutex_lock(&b->stat_lock);
	if (status != VIRTIO_BLK_S_OK) {
		s->errors++;
	} else if (type == VIRTIO_BLK_T_IN) {
		s->reads++;
		s->sectors_read += data_len / SECTOR;
	} else if (type == VIRTIO_BLK_T_OUT) {
		s->writes++;
		s->sectors_written += data_len / SECTOR;
	} else if (type == VIRTIO_BLK_T_FLUSH) {
		s->flushes++;
	} else if (type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES) {
		s->discards++;
	}
	pthread_mutex_unlock(&b->stat_lock);
}

/* ---- for observers ------------------------------------------------- */

struct blk_trace {
	uint64_t begin, sector;
	uint32_t type;
	unsigned int nr;
	uint64_t gpa[VIRTQUEUE_MAX_SEGS], len[VIRTQUEUE_MAX_SEGS];
};

/* Where the data lie, before execute() eats the vectors. */
static void trace_begin(const struct virtio_blk *b, const struct virtqueue_chain *c,
			const struct blk_request *r, struct blk_trace *t)
{
	bool out = r->type == VIRTIO_BLK_T_OUT;
	const struct iovec *iov = out ? r->out : r->in;

	t->type = r->type;
	t->sector = r->sector;
	t->nr = out ? r->nr_out : r->type == VIRTIO_BLK_T_IN ? r->nr_in : 0;
	for (unsigned int i = 0; i < t->nr; i++) {
		uint64_t gpa = c->gpa[iov - c->iov + i];

		/* The first one may begin after the header. */
		t->gpa[i] = gpa + (uint64_t)((uint8_t *)iov[i].iov_base -
					     (uint8_t *)guest_ram_ptr(b->v.dev.ram, gpa, 1));
		t->len[i] = iov[i].iov_len;
	}
	t->begin = __rdtsc();
}

static void trace_end(const struct virtio_blk *b, const struct blk_trace *t, uint8_t status)
{
	struct device_event e = {
		.dev = &b->v.dev,
		.op = t->type,
		.status = status,
		.sector = t->sector,
		.begin = t->begin,
		.nr = t->nr,
		.gpa = t->gpa,
		.len = t->len,
	};

	b->v.dev.trace(b->v.dev.trace_arg, &e);
}

static int64_t blk_handle(struct virtio_mmio *v, unsigned int queue, struct virtqueue_chain *chain)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, v);
	struct blk_trace t;
	struct blk_request r;
	uint64_t written = 0, data_len;
	uint8_t status;
	int err = parse_request(chain, &r);

	if (err)
		return err;
	data_len = r.type == VIRTIO_BLK_T_IN ? r.in_len : r.out_len;
	if (v->dev.trace)
		trace_begin(b, chain, &r, &t);
	status = take_fault(b) ? VIRTIO_BLK_S_IOERR : execute(b, &r, &written);
	if (v->dev.trace)
		trace_end(b, &t, status);
	count_request(b, r.type, status, data_len);
	if (status != VIRTIO_BLK_S_OK && status != VIRTIO_BLK_S_IOERR)
		device_guest_error(&v->dev);
	guest_ram_write(v->dev.ram, r.status_gpa, &status, 1);
	return (int64_t)written + 1;
}

/* ---- life and control --------------------------------------------- */

static void blk_destroy(struct virtio_mmio *v)
{
	struct virtio_blk *b = container_of(v, struct virtio_blk, v);

	pthread_mutex_destroy(&b->stat_lock);
	close(b->fd);
}

static const struct virtio_model blk_model = {
	.name = "virtio-blk",
	.device_id = VIRTIO_ID_BLOCK,
	.handle = blk_handle,
	.destroy = blk_destroy,
};

void virtio_blk_stats(const struct device *dev, struct mmvm_disk_stats *out)
{
	struct virtio_blk *b = to_blk(dev);

	pthread_mutex_lock(&b->stat_lock);
	*out = b->stats;
	pthread_mutex_unlock(&b->stat_lock);
}

int virtio_blk_inject(struct device *dev, uint64_t k, uint64_t count)
{
	struct virtio_blk *b = to_blk(dev);

	if (k == 0 && count)
		return -EINVAL;
	pthread_mutex_lock(&b->stat_lock);
	b->fail_from = count ? k : 0;
	b->fail_count = count;
	pthread_mutex_unlock(&b->stat_lock);
	return 0;
}

void virtio_blk_resize(struct device *dev, uint64_t size)
{
	struct virtio_blk *b = to_blk(dev);
	uint64_t sectors = size / SECTOR;

	__atomic_store_n(&b->sectors, sectors, __ATOMIC_RELEASE);
	virtio_mmio_set_config(&b->v, offsetof(struct virtio_blk_config, capacity), &sectors,
			       sizeof(sectors));
}

unsigned int virtio_blk_poll(struct device *dev)
{
	return virtio_mmio_poll(&to_blk(dev)->v);
}

struct device *virtio_blk_create(const struct device_env *env,
				 const struct virtio_blk_params *params)
{
	unsigned int queues = params->num_queues ? params->num_queues : 1;
	struct virtio_blk_config config = {
		.capacity = params->size / SECTOR,
		.size_max = SIZE_MAX_SEG,
		.seg_max = SEG_MAX,
		.blk_size = SECTOR,
		.num_queues = (uint16_t)queues,
		.max_discard_sectors = MAX_RANGE_SECTORS,
		.max_discard_seg = MAX_RANGES,
		.discard_sector_alignment = 4096 / SECTOR,
		.max_write_zeroes_sectors = MAX_RANGE_SECTORS,
		.max_write_zeroes_seg = MAX_RANGES,
		.write_zeroes_may_unmap = 1,
	};
	struct virtio_blk *b;
	int err;

	_Static_assert(sizeof(config) <= VIRTIO_MMIO_MAX_CONFIG, "configuration fits");
	if (queues > VIRTIO_MMIO_MAX_QUEUES || params->size > INT64_MAX) {
		errno = EINVAL;
		return NULL;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->fd = params->fd;
	b->read_only = params->read_only;
	b->sectors = config.capacity;
	pthread_mutex_init(&b->stat_lock, NULL);

	b->v.nr_queues = queues;
	memcpy(b->v.config, &config, sizeof(config));
	b->v.config_size = sizeof(config);
	b->v.features = (1ull << VIRTIO_BLK_F_SIZE_MAX) | (1ull << VIRTIO_BLK_F_SEG_MAX) |
			(1ull << VIRTIO_BLK_F_BLK_SIZE) | (1ull << VIRTIO_BLK_F_FLUSH) |
			(1ull << VIRTIO_BLK_F_DISCARD) | (1ull << VIRTIO_BLK_F_WRITE_ZEROES);
	if (queues > 1)
		b->v.features |= 1ull << VIRTIO_BLK_F_MQ;
	if (params->read_only)
		b->v.features |= 1ull << VIRTIO_BLK_F_RO;
	err = virtio_mmio_init(&b->v, &blk_model, env, !params->no_worker);
	if (err) {
		pthread_mutex_destroy(&b->stat_lock);
		free(b);
		errno = -err;
		return NULL;
	}
	return &b->v.dev;
}
