/*
 * virtio-balloon (virtio 1.2, section 5.5): guest memory that the host gets back.
 *
 *   queue          what the driver sends                       what is done
 *   0 inflate      frame numbers of 4 KiB, 32 bits each        into the set, memory given back
 *   1 deflate      the same                                    out of the set
 *   2 statistics   {tag, value} pairs of 10 bytes              kept; the buffer returns when asked for
 *   3, 4 reporting buffers that lie on free pages              memory given back; the set stays
 *
 * The specification numbers the reporting queue 4. Linux and QEMU leave out the numbers of queues that
 * are not there, so that it is 3 while nobody offers free page hints. Both numbers are served.
 *
 * I1. A frame is in the set between the inflate and the deflate request that name it. What a request
 *     names wrongly (no RAM, in the set already, not in the set) is counted as the guest's error and
 *     changes nothing.
 * I2. Memory is given back only of frames in the set, and of buffers of the reporting queue. With huge
 *     pages behind RAM, that is when the whole huge page is in the set.
 * I3. Work per request is bounded: MAX_FRAMES frames. A longer one breaks the protocol.
 * I4. The device keeps at most one buffer of the statistics queue.
 *
 * Locks: requests, the set and the kept buffer are under the transport's io_lock. b->stat_lock,
 * innermost, protects the numbers that others read. `actual` is written under the transport's lock.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include "devices/device_impl.h"
#include "mmvm/layout.h"

enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORT, QUEUE_REPORT_2, NR_QUEUES };

#define MAX_FRAMES 65536u
#define MAX_STATS  64u
#define WORD_BITS  64u

struct virtio_balloon {
	struct virtio_mmio v; /* first: freed by the transport */
	uint64_t *set;	      /* IO: a bit a frame, regions one after another */
	bool kept;	      /* IO: the buffer of statistics with head `kept_head` is here */
	uint16_t kept_head;   /* IO */
	bool asked;	      /* IO: return the next buffer at once */
	pthread_mutex_t stat_lock;
	struct balloon_state state; /* stat_lock */
};

/* Frames of one request that lie side by side. */
struct run {
	uint64_t gpa, len;
};

static struct virtio_balloon *to_balloon(const struct device *dev)
{
	return container_of(dev, struct virtio_balloon, v.dev);
}

static struct virtio_balloon *of_transport(struct virtio_mmio *v)
{
	return container_of(v, struct virtio_balloon, v);
}

static uint64_t ram_frames(const struct guest_ram *ram)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < ram->nr; i++)
		n += ram->region[i].size >> MMVM_PAGE_SHIFT;
	return n;
}

/* The region of an address, and the number of its frame in the set; NULL: no RAM. */
static const struct guest_ram_region *find_frame(const struct guest_ram *ram, uint64_t gpa,
						 uint64_t *frame)
{
	uint64_t before = 0;

	for (unsigned int i = 0; i < ram->nr; i++) {
		const struct guest_ram_region *r = &ram->region[i];

		if (gpa >= r->gpa && gpa - r->gpa < r->size) {
			*frame = before + ((gpa - r->gpa) >> MMVM_PAGE_SHIFT);
			return r;
		}
		before += r->size >> MMVM_PAGE_SHIFT;
	}
	return NULL;
}

static bool in_set(const struct virtio_balloon *b, uint64_t frame)
{
	return __atomic_load_n(&b->set[frame / WORD_BITS], __ATOMIC_RELAXED) >> frame % WORD_BITS &
	       1;
}

/* ---- giving back -------------------------------------------------------------------------------- */

static void count_given_back(struct virtio_balloon *b, int64_t bytes)
{
	pthread_mutex_lock(&b->stat_lock);
	if (bytes < 0) {
		b->state.refused++;
		b->state.refused_errno = (int)-bytes;
	} else {
		b->state.given_back += (uint64_t)bytes >> MMVM_PAGE_SHIFT;
	}
	pthread_mutex_unlock(&b->stat_lock);
}

/* Is the huge page of the host that begins at `gpa` wholly in the set? */
static bool whole_in_set(const struct virtio_balloon *b, const struct guest_ram_region *r,
			 uint64_t gpa)
{
	uint64_t first, n = r->page_size >> MMVM_PAGE_SHIFT;

	if (!find_frame(b->v.dev.ram, gpa, &first) || gpa - r->gpa > r->size - r->page_size)
		return false;
	for (uint64_t i = 0; i < n; i++)
		if (!in_set(b, first + i))
			return false;
	return true;
}

/* Frames that have just come into the set: their memory (I2). */
static void give_back(struct virtio_balloon *b, const struct run *run)
{
	const struct guest_ram *ram = b->v.dev.ram;
	const struct guest_ram_region *r;
	uint64_t frame;

	if (!run->len)
		return;
	r = find_frame(ram, run->gpa, &frame);
	if (r->page_size <= MMVM_PAGE_SIZE) {
		count_given_back(b, guest_ram_give_back(ram, run->gpa, run->len));
		return;
	}
	for (uint64_t at = run->gpa / r->page_size * r->page_size; at < run->gpa + run->len;
	     at += r->page_size)
		if (whole_in_set(b, r, at))
			count_given_back(b, guest_ram_give_back(ram, at, r->page_size));
}

/* Pages come in rising or falling order: both make long runs. */
static bool extend(struct run *run, const struct guest_ram_region *r, uint64_t gpa)
{
	if (run->len && gpa == run->gpa + run->len && gpa != r->gpa) {
		run->len += MMVM_PAGE_SIZE;
		return true;
	}
	if (run->len && gpa + MMVM_PAGE_SIZE == run->gpa && run->gpa - r->gpa < r->size) {
		run->gpa = gpa;
		run->len += MMVM_PAGE_SIZE;
		return true;
	}
	return false;
}

/* ---- requests ----------------------------------------------------------------------------------- */

/* Bytes [offset, offset + len) of what the device reads. The caller has checked that they exist. */
static void read_out(const struct virtqueue_chain *c, uint64_t offset, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (unsigned int i = 0; i < c->nr_out && len; i++) {
		uint64_t n = c->iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n -= offset;
		if (n > len)
			n = len;
		memcpy(to, (const uint8_t *)c->iov[i].iov_base + offset, n);
		to += n;
		len -= n;
		offset = 0;
	}
}

/* One frame into the set or out of it. Returns its region; NULL: the guest is wrong. */
static const struct guest_ram_region *move_frame(struct virtio_balloon *b, uint64_t gpa, bool in)
{
	const struct guest_ram_region *r;
	uint64_t frame;

	r = find_frame(b->v.dev.ram, gpa, &frame);
	if (!r || in_set(b, frame) == in) {
		device_guest_error(&b->v.dev);
		return NULL;
	}
	__atomic_fetch_xor(&b->set[frame / WORD_BITS], 1ull << frame % WORD_BITS, __ATOMIC_RELAXED);
	return r;
}

enum frames_move { OUT_OF_BALLOON, INTO_BALLOON };

static int64_t move_frames(struct virtio_balloon *b, const struct virtqueue_chain *c,
			   enum frames_move move)
{
	uint64_t n = c->out_len / sizeof(uint32_t), moved = 0;
	uint32_t buf[256], fill = 0;
	struct run run = {0};

	if (c->nr_in || n == 0 || n > MAX_FRAMES || c->out_len % sizeof(uint32_t))
		return -EPROTO;
	for (uint64_t i = 0; i < n; i++) {
		const struct guest_ram_region *r;
		uint64_t gpa;

		if (i % 256 == 0) {
			fill = n - i < 256 ? (uint32_t)(n - i) : 256;
			read_out(c, i * sizeof(uint32_t), buf, fill * sizeof(uint32_t));
		}
		gpa = (uint64_t)buf[i % 256] << MMVM_PAGE_SHIFT;
		r = move_frame(b, gpa, move == INTO_BALLOON);
		if (!r)
			continue;
		moved++;
		if (move != INTO_BALLOON || extend(&run, r, gpa))
			continue;
		give_back(b, &run);
		run = (struct run){gpa, MMVM_PAGE_SIZE};
	}
	give_back(b, &run);
	pthread_mutex_lock(&b->stat_lock);
	if (move == INTO_BALLOON) {
		b->state.inflated += moved;
		b->state.pages += moved;
	} else {
		b->state.deflated += moved;
		b->state.pages -= moved;
	}
	pthread_mutex_unlock(&b->stat_lock);
	return 0;
}

static void return_kept(struct virtio_balloon *b)
{
	if (!b->kept)
		return;
	b->kept = false;
	virtio_mmio_give_back(&b->v, QUEUE_STATS, b->kept_head, 0);
}

static int64_t take_stats(struct virtio_balloon *b, const struct virtqueue_chain *c)
{
	uint64_t n = c->out_len / sizeof(struct virtio_balloon_stat);

	if (c->nr_in || n > MAX_STATS)
		return -EPROTO;
	pthread_mutex_lock(&b->stat_lock);
	for (uint64_t i = 0; i < n; i++) {
		struct virtio_balloon_stat s;

		read_out(c, i * sizeof(s), &s, sizeof(s));
		if (s.tag < BALLOON_MAX_STATS) {
			b->state.stat[s.tag] = s.val;
			b->state.stat_there |= 1u << s.tag;
		}
	}
	b->state.nr_stats++;
	pthread_mutex_unlock(&b->stat_lock);
	/* I4: the older buffer is returned. */
	return_kept(b);
	if (b->asked) {
		b->asked = false;
		return 0;
	}
	b->kept = true;
	b->kept_head = c->head;
	return VIRTIO_MMIO_KEEP;
}

static int64_t take_report(struct virtio_balloon *b, const struct virtqueue_chain *c)
{
	uint64_t pages = 0;

	if (c->nr_out)
		return -EPROTO;
	for (unsigned int i = 0; i < c->nr_in; i++) {
		count_given_back(b,
				 guest_ram_give_back(b->v.dev.ram, c->gpa[i], c->iov[i].iov_len));
		pages += c->iov[i].iov_len >> MMVM_PAGE_SHIFT;
	}
	pthread_mutex_lock(&b->stat_lock);
	b->state.reported += pages;
	pthread_mutex_unlock(&b->stat_lock);
	return 0;
}

static int64_t balloon_handle(struct virtio_mmio *v, unsigned int queue,
			      struct virtqueue_chain *chain)
{
	struct virtio_balloon *b = of_transport(v);

	switch (queue) {
	case QUEUE_INFLATE:
		return move_frames(b, chain, INTO_BALLOON);
	case QUEUE_DEFLATE:
		return move_frames(b, chain, OUT_OF_BALLOON);
	case QUEUE_STATS:
		return take_stats(b, chain);
	default:
		return take_report(b, chain);
	}
}

/* A reset begins with an empty balloon: the driver has the pages again, or is another one. */
static void balloon_forget(struct virtio_mmio *v, unsigned int queue)
{
	struct virtio_balloon *b = of_transport(v);

	if (queue == QUEUE_STATS || queue == VIRTIO_MMIO_ALL_QUEUES)
		b->kept = b->asked = false;
	if (queue != VIRTIO_MMIO_ALL_QUEUES)
		return;
	memset(b->set, 0, (ram_frames(v->dev.ram) + WORD_BITS - 1) / WORD_BITS * 8);
	pthread_mutex_lock(&b->stat_lock);
	b->state.deflated += b->state.pages;
	b->state.pages = b->state.actual = 0;
	pthread_mutex_unlock(&b->stat_lock);
	memset(v->config + offsetof(struct virtio_balloon_config, actual), 0, sizeof(uint32_t));
}

/* `actual` is the driver's. */
static bool balloon_write_config(struct virtio_mmio *v, uint64_t offset, unsigned int size,
				 const void *data)
{
	struct virtio_balloon *b = of_transport(v);
	uint32_t actual;

	if (offset != offsetof(struct virtio_balloon_config, actual) || size != sizeof(actual))
		return false;
	memcpy(&actual, data, sizeof(actual));
	memcpy(v->config + offset, &actual, sizeof(actual));
	pthread_mutex_lock(&b->stat_lock);
	b->state.actual = actual;
	pthread_mutex_unlock(&b->stat_lock);
	return true;
}

/* ---- life and control --------------------------------------------------------------------------- */

static void balloon_destroy(struct virtio_mmio *v)
{
	struct virtio_balloon *b = of_transport(v);

	pthread_mutex_destroy(&b->stat_lock);
	free(b->set);
}

static const struct virtio_model balloon_model = {
	.name = "virtio-balloon",
	.device_id = VIRTIO_ID_BALLOON,
	.handle = balloon_handle,
	.forget = balloon_forget,
	.write_config = balloon_write_config,
	.destroy = balloon_destroy,
};

void virtio_balloon_state(const struct device *dev, struct balloon_state *out)
{
	struct virtio_balloon *b = to_balloon(dev);

	pthread_mutex_lock(&b->stat_lock);
	*out = b->state;
	pthread_mutex_unlock(&b->stat_lock);
}

int virtio_balloon_set_target(struct device *dev, uint64_t pages)
{
	struct virtio_balloon *b = to_balloon(dev);
	uint32_t target = (uint32_t)pages;

	if (pages > ram_frames(dev->ram))
		return -EINVAL;
	pthread_mutex_lock(&b->stat_lock);
	b->state.target = pages;
	pthread_mutex_unlock(&b->stat_lock);
	virtio_mmio_set_config(&b->v, offsetof(struct virtio_balloon_config, num_pages), &target,
			       sizeof(target));
	return 0;
}

void virtio_balloon_ask_stats(struct device *dev)
{
	struct virtio_balloon *b = to_balloon(dev);

	virtio_mmio_hold(&b->v);
	if (b->kept)
		return_kept(b);
	else
		b->asked = true;
	virtio_mmio_release(&b->v);
}

unsigned int virtio_balloon_poll(struct device *dev)
{
	return virtio_mmio_poll(&to_balloon(dev)->v);
}

bool virtio_balloon_has(const struct device *dev, uint64_t gpa)
{
	const struct virtio_balloon *b = to_balloon(dev);
	uint64_t frame;

	return find_frame(dev->ram, gpa, &frame) && in_set(b, frame);
}

struct device *virtio_balloon_create(const struct device_env *env,
				     const struct virtio_balloon_params *params)
{
	uint64_t frames = ram_frames(env->ram);
	struct virtio_balloon_config config = {.num_pages = (uint32_t)params->target};
	struct virtio_balloon *b;
	int err = ENOMEM;

	if (params->target > frames || frames > UINT32_MAX) {
		errno = EINVAL;
		return NULL;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	pthread_mutex_init(&b->stat_lock, NULL);
	b->state.target = params->target;
	b->set = calloc((frames + WORD_BITS - 1) / WORD_BITS, sizeof(*b->set));
	if (!b->set)
		goto fail;
	b->v.nr_queues = NR_QUEUES;
	b->v.config_size = sizeof(config);
	memcpy(b->v.config, &config, sizeof(config));
	b->v.features = 1ull << VIRTIO_BALLOON_F_STATS_VQ |
			1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
			1ull << VIRTIO_BALLOON_F_REPORTING;
	err = -virtio_mmio_init(&b->v, &balloon_model, env, !params->no_worker);
	if (!err)
		return &b->v.dev;
fail:
	pthread_mutex_destroy(&b->stat_lock);
	free(b->set);
	free(b);
	errno = err;
	return NULL;
}
