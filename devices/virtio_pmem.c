/*
 * virtio-pmem (virtio 1.2, section 5.19): a file of the host as memory of the guest.
 *
 *   guest physical [start, start + size)  <── memory slot ──  mapping of the file, shared
 *   queue 0   out: type (le32)   in: ret (le32)               FLUSH: fdatasync() of the file
 *
 * The guest reads and writes the range itself, without the device: what it stores is in the page cache of the
 * host at once, and on the host's disk after a flush. So the device has one kind of request. Where the
 * range lies is in the configuration, which is constant.
 *
 * I1. A request has at least the 4 bytes of its type and room for the 4 bytes of the answer; one without
 *     breaks the protocol: no answer can be given, so the device needs a reset.
 * I2. FLUSH is answered OK only after fdatasync() has returned 0. A request of another type is answered
 *     EIO, and counted as the guest's error.
 * I3. The device reads nothing of the range. The machine maps it (vmm/machine/pmem.c) and unmaps it after
 *     the device has been destroyed.
 *
 * Locks: requests run under the transport's io_lock. p->stat_lock, innermost, protects the counts and the
 * injected fault.
 */
#include "devices/virtio_mmio.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pmem.h>
#include <stdlib.h>
#include <unistd.h>
#include "devices/device_impl.h"
#include "mmvm/layout.h"

#define RET_OK	0u /* 5.19.6 */
#define RET_EIO 1u

struct virtio_pmem {
	struct virtio_mmio v; /* first: freed by the transport */
	int fd;
	bool read_only;
	pthread_mutex_t stat_lock;
	struct pmem_state state;
	uint64_t fail_count; /* stat_lock: so many flushes from now on fail */
};

static struct virtio_pmem *to_pmem(const struct device *dev)
{
	return container_of(dev, struct virtio_pmem, v.dev);
}

/* The first `len` bytes of what the device reads. The caller has checked that they exist. */
static void read_out(const struct virtqueue_chain *c, void *buf, size_t len)
{
	uint8_t *to = buf;

	for (unsigned int i = 0; i < c->nr_out && len; i++) {
		size_t n = c->iov[i].iov_len < len ? c->iov[i].iov_len : len;

		memcpy(to, c->iov[i].iov_base, n);
		to += n;
		len -= n;
	}
}

/* The answer into the first bytes of what the device writes. The caller knows that there is room. */
static void write_in(struct virtio_pmem *p, const struct virtqueue_chain *c, const void *buf,
		     size_t len)
{
	const uint8_t *from = buf;

	for (unsigned int i = c->nr_out; i < c->nr_out + c->nr_in && len; i++) {
		size_t n = c->iov[i].iov_len < len ? c->iov[i].iov_len : len;

		guest_ram_begin_write(p->v.dev.ram);
		memcpy(c->iov[i].iov_base, from, n);
		guest_ram_mark_dirty(p->v.dev.ram, c->gpa[i], n);
		guest_ram_end_write(p->v.dev.ram);
		from += n;
		len -= n;
	}
}

static bool take_fault(struct virtio_pmem *p)
{
	bool fail;

	pthread_mutex_lock(&p->stat_lock);
	fail = p->fail_count != 0;
	p->fail_count -= fail;
	pthread_mutex_unlock(&p->stat_lock);
	return fail;
}

static uint32_t flush(struct virtio_pmem *p)
{
	int rc = 0;

	if (take_fault(p))
		return RET_EIO;
	do {
		/* A file that cannot be written has nothing to flush. */
		rc = p->read_only ? 0 : fdatasync(p->fd);
	} while (rc && errno == EINTR);
	return rc ? RET_EIO : RET_OK;
}

static int64_t pmem_handle(struct virtio_mmio *v, unsigned int queue, struct virtqueue_chain *chain)
{
	struct virtio_pmem *p = container_of(v, struct virtio_pmem, v);
	struct virtio_pmem_req req;
	struct virtio_pmem_resp resp = {.ret = RET_EIO};
	bool known;

	(void)queue; /* there is one */
	if (chain->out_len < sizeof(req) || chain->in_len < sizeof(resp))
		return -EPROTO;
	read_out(chain, &req, sizeof(req));
	known = req.type == VIRTIO_PMEM_REQ_TYPE_FLUSH;
	if (known)
		resp.ret = flush(p);
	else
		device_guest_error(&v->dev);
	pthread_mutex_lock(&p->stat_lock);
	if (resp.ret == RET_OK)
		p->state.flushes++;
	else
		p->state.errors++;
	pthread_mutex_unlock(&p->stat_lock);
	write_in(p, chain, &resp, sizeof(resp));
	return sizeof(resp);
}

static bool pmem_property(const struct device *dev, unsigned int i, struct device_property *out)
{
	if (i || !to_pmem(dev)->read_only)
		return false;
	*out = (struct device_property){
		.name = MMVM_FDT_READ_ONLY, .kind = PROPERTY_U32, .number = 1};
	return true;
}

static void pmem_destroy(struct virtio_mmio *v)
{
	struct virtio_pmem *p = container_of(v, struct virtio_pmem, v);

	pthread_mutex_destroy(&p->stat_lock);
	close(p->fd);
}

static const struct virtio_model pmem_model = {
	.name = "virtio-pmem",
	.device_id = VIRTIO_ID_PMEM,
	.handle = pmem_handle,
	.property = pmem_property,
	.destroy = pmem_destroy,
};

void virtio_pmem_state(const struct device *dev, struct pmem_state *out)
{
	struct virtio_pmem *p = to_pmem(dev);

	pthread_mutex_lock(&p->stat_lock);
	*out = p->state;
	pthread_mutex_unlock(&p->stat_lock);
}

void virtio_pmem_fail(struct device *dev, uint64_t count)
{
	struct virtio_pmem *p = to_pmem(dev);

	pthread_mutex_lock(&p->stat_lock);
	p->fail_count = count;
	pthread_mutex_unlock(&p->stat_lock);
}

unsigned int virtio_pmem_poll(struct device *dev)
{
	return virtio_mmio_poll(&to_pmem(dev)->v);
}

struct device *virtio_pmem_create(const struct device_env *env,
				  const struct virtio_pmem_params *params)
{
	struct virtio_pmem_config config = {.start = params->start, .size = params->size};
	struct virtio_pmem *p;
	int err;

	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	pthread_mutex_init(&p->stat_lock, NULL);
	p->fd = params->fd;
	p->read_only = params->read_only;
	p->v.nr_queues = 1;
	p->v.config_size = sizeof(config);
	memcpy(p->v.config, &config, sizeof(config));
	err = virtio_mmio_init(&p->v, &pmem_model, env, !params->no_worker);
	if (err) {
		pthread_mutex_destroy(&p->stat_lock);
		free(p);
		errno = -err;
		return NULL;
	}
	return &p->v.dev;
}
