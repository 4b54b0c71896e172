/*
 * Test channel: structured records from the guest (include/mmvm/testchan.h).
 *
 *   out(port, gpa >> 4) -> copy the header once -> check -> copy the text -> act -> write `status`
 *
 * I1. The header is copied once and only the copy is used: what the guest changes meanwhile changes
 *     nothing (no double fetch).
 * I2. `status` is written where the header was read, and only when it could be read.
 *
 * Locks: t->lock serialises on_record and on_console, so that records of several vCPUs are in
 * order. Audit, exit, rounds, disk statistics and fault injection run without it: an audit may have
 * to wait for other vCPUs to stop, and those may be sending.
 */
#include "devices/device_impl.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define TESTCHAN_PORTS 4

struct testchan {
	struct device dev;
	pthread_mutex_t lock;
	const struct testchan_ops *ops;
	void *arg;
};

/* Copy the record at `gpa` and check it. Returns it (to be freed), or NULL with *err and
 * *have_header, which says whether an answer can be written. */
static struct mmvm_record *fetch_record(const struct device *dev, uint64_t gpa, int *err,
					bool *have_header)
{
	struct mmvm_record head, *rec;

	*have_header = false;
	*err = -EFAULT;
	if (guest_ram_span(dev->ram, gpa) < sizeof(head))
		return NULL;
	guest_ram_read(dev->ram, gpa, &head, sizeof(head));
	*have_header = true;

	*err = -EINVAL;
	if (head.len < sizeof(head) || head.len > MMVM_RECORD_MAX)
		return NULL;
	if (head.text_len > head.len - sizeof(head))
		return NULL;
	if (head.kind < MMVM_REC_EXIT || head.kind >= MMVM_REC_KINDS)
		return NULL;
	if (!memchr(head.name, 0, sizeof(head.name)))
		return NULL;
	*err = -EFAULT;
	if (guest_ram_span(dev->ram, gpa) < head.len)
		return NULL;

	*err = -ENOMEM;
	rec = malloc(sizeof(head) + head.text_len + 1);
	if (!rec)
		return NULL;
	memcpy(rec, &head, sizeof(head));
	guest_ram_read(dev->ram, gpa + sizeof(head), rec->text, head.text_len);
	rec->text[head.text_len] = '\0';
	*err = 0;
	return rec;
}

static int answer_disk_stats(struct testchan *t, uint64_t gpa, const struct mmvm_record *rec)
{
	struct mmvm_disk_stats stats;
	int err;

	if (rec->text_len < sizeof(stats))
		return -EINVAL;
	err = t->ops->on_disk_stats(t->arg, rec->name, &stats);
	if (err)
		return err;
	return guest_ram_write(t->dev.ram, gpa + sizeof(*rec), &stats, sizeof(stats));
}

static int answer_balloon(struct testchan *t, uint64_t gpa, const struct mmvm_record *rec)
{
	struct mmvm_balloon state = {0};
	int err;

	if (rec->text_len < sizeof(state))
		return -EINVAL;
	err = t->ops->on_balloon ? t->ops->on_balloon(t->arg, rec->value, &state) : -ENODEV;
	if (err)
		return err;
	return guest_ram_write(t->dev.ram, gpa + sizeof(*rec), &state, sizeof(state));
}

/* Act on a checked record; returns the value for `status`. */
static int act(struct testchan *t, uint64_t gpa, const struct mmvm_record *rec)
{
	switch (rec->kind) {
	case MMVM_REC_CONSOLE:
		pthread_mutex_lock(&t->lock);
		t->ops->on_console(t->arg, rec->text, rec->text_len);
		pthread_mutex_unlock(&t->lock);
		return 0;
	case MMVM_REC_AUDIT:
		return t->ops->on_audit(t->arg);
	case MMVM_REC_DISK_STATS:
		return answer_disk_stats(t, gpa, rec);
	case MMVM_REC_BALLOON:
		return answer_balloon(t, gpa, rec);
	case MMVM_REC_HOSTFAULT:
		return t->ops->on_hostfault(t->arg, rec->name, rec->value, rec->value2);
	case MMVM_REC_ROUND:
		return t->ops->on_round ? t->ops->on_round(t->arg, rec) : -ENOSYS;
	default:
		pthread_mutex_lock(&t->lock);
		t->ops->on_record(t->arg, rec);
		pthread_mutex_unlock(&t->lock);
		if (rec->kind == MMVM_REC_EXIT)
			t->ops->on_exit(t->arg, (int)rec->value);
		return 0;
	}
}

static void testchan_write(struct device *dev, uint64_t offset, unsigned int size, const void *data)
{
	struct testchan *t = container_of(dev, struct testchan, dev);
	struct mmvm_record *rec;
	bool have_header;
	int32_t status;
	uint32_t v;
	uint64_t gpa;
	int err;

	if (offset != 0 || size != 4) {
		device_guest_error(dev);
		return;
	}
	memcpy(&v, data, sizeof(v));
	gpa = (uint64_t)v << 4;
	rec = fetch_record(dev, gpa, &err, &have_header);
	if (err)
		device_guest_error(dev);
	status = rec ? act(t, gpa, rec) : err;
	if (have_header)
		guest_ram_write(dev->ram, gpa + offsetof(struct mmvm_record, status), &status,
				sizeof(status));
	free(rec);
}

static void testchan_read(struct device *dev, uint64_t offset, unsigned int size, void *data)
{
	device_bad_read(dev, data, size);
}

static void testchan_reset(struct device *dev)
{
	/* Nothing is kept between records. */
}

static void testchan_destroy(struct device *dev)
{
	struct testchan *t = container_of(dev, struct testchan, dev);

	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct device_model testchan_model = {
	.name = "testchan",
	.node = "testchan",
	.compatible = MMVM_FDT_COMPAT_TESTCHAN,
	.size = TESTCHAN_PORTS,
	.pio = true,
	.read = testchan_read,
	.write = testchan_write,
	.reset = testchan_reset,
	.destroy = testchan_destroy,
};

struct device *testchan_create(const struct device_env *env, const struct testchan_ops *ops,
			       void *arg)
{
	struct testchan *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	device_init(&t->dev, &testchan_model, env);
	pthread_mutex_init(&t->lock, NULL);
	t->ops = ops;
	t->arg = arg;
	return &t->dev;
}
