/*
 * virtio-rng (virtio 1.2, section 5.4): the device fills the driver's buffers with random bytes.
 *
 * The bytes come from the run's seed, as everything random here: a run with the same --seed gets the same
 * bytes in the same order. They are no secret, and say nothing about the host.
 *
 * I1. A request gets MAX_BYTES at most, so that one request is bounded; the driver sees how many by the
 *     used length (5.4.6.1: the device may use less than the entire buffer).
 * I2. A buffer for the device to read breaks the protocol.
 *
 * Locks: the generator is under the transport's io_lock; counts are atomic.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include "devices/device_impl.h"

#define MAX_BYTES 65536u

struct virtio_rng {
	struct virtio_mmio v;	  /* first: freed by the transport */
	uint64_t state;		  /* IO: of the generator */
	uint64_t requests, bytes; /* atomic */
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_word(struct virtio_rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void fill(struct virtio_rng *r, uint8_t *to, uint64_t len)
{
	while (len) {
		uint64_t word = next_word(r), n = len < sizeof(word) ? len : sizeof(word);

		memcpy(to, &word, n);
		to += n;
		len -= n;
	}
}

static int64_t rng_handle(struct virtio_mmio *v, unsigned int queue, struct virtqueue_chain *chain)
{
	struct virtio_rng *r = container_of(v, struct virtio_rng, v);
	uint64_t done = 0;

	if (chain->nr_out)
		return -EPROTO;
	for (unsigned int i = 0; i < chain->nr_in && done < MAX_BYTES; i++) {
		uint64_t n = chain->iov[i].iov_len;

		if (n > MAX_BYTES - done)
			n = MAX_BYTES - done;
		guest_ram_begin_write(v->dev.ram);
		fill(r, chain->iov[i].iov_base, n);
		guest_ram_mark_dirty(v->dev.ram, chain->gpa[i], n);
		guest_ram_end_write(v->dev.ram);
		done += n;
	}
	__atomic_fetch_add(&r->requests, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&r->bytes, done, __ATOMIC_RELAXED);
	return (int64_t)done;
}

static void rng_destroy(struct virtio_mmio *v)
{
	/* Nothing beside the struct. */
}

static const struct virtio_model rng_model = {
	.name = "virtio-rng",
	.device_id = VIRTIO_ID_RNG,
	.handle = rng_handle,
	.destroy = rng_destroy,
};

void virtio_rng_counts(const struct device *dev, uint64_t *requests, uint64_t *bytes)
{
	const struct virtio_rng *r = container_of(dev, struct virtio_rng, v.dev);

	*requests = __atomic_load_n(&r->requests, __ATOMIC_RELAXED);
	*bytes = __atomic_load_n(&r->bytes, __ATOMIC_RELAXED);
}

unsigned int virtio_rng_poll(struct device *dev)
{
	return virtio_mmio_poll(&container_of(dev, struct virtio_rng, v.dev)->v);
}

struct device *virtio_rng_create(const struct device_env *env,
				 const struct virtio_rng_params *params)
{
	struct virtio_rng *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return NULL;
	r->state = params->seed;
	r->v.nr_queues = 1;
	err = virtio_mmio_init(&r->v, &rng_model, env, !params->no_worker);
	if (!err)
		return &r->v.dev;
	free(r);
	errno = -err;
	return NULL;
}
