/*
 * KVM's binary statistics: a file that describes itself.
 *
 *   header | id string | descriptors (flags, exponent, size, offset, name) | values (u64 each)
 *
 * Header and descriptors never change and are read once; the values are read in one go from the
 * lowest to the highest offset, so that one reading is close to one moment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kvm/ioctl.h"
#include "kvm/kvm.h"

/* More than any kernel has; a bound, so that a strange file does not make us allocate much. */
#define STATS_MAX_DESC	 4096u
#define STATS_MAX_NAME	 256u
#define STATS_MAX_VALUES (1u << 16)

struct kvm_stats {
	int fd;
	struct kvm_stats_header header;
	size_t desc_size; /* bytes of one descriptor, name included */
	char *desc;
	size_t data_size;
	uint64_t *data;
};

static const struct kvm_stats_desc *desc_at(const struct kvm_stats *s, unsigned int i)
{
	return (const void *)(s->desc + i * s->desc_size);
}

static int read_at(int fd, void *buf, size_t len, off_t offset)
{
	ssize_t n = pread(fd, buf, len, offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

struct kvm_stats *kvm_stats_open(int stats_fd)
{
	struct kvm_stats *s = calloc(1, sizeof(*s));
	int err = -ENOMEM;

	if (!s) {
		close(stats_fd);
		errno = ENOMEM;
		return NULL;
	}
	s->fd = stats_fd;
	err = read_at(s->fd, &s->header, sizeof(s->header), 0);
	if (err)
		goto fail;
	err = -EPROTO;
	if (s->header.num_desc == 0 || s->header.num_desc > STATS_MAX_DESC ||
	    s->header.name_size == 0 || s->header.name_size > STATS_MAX_NAME)
		goto fail;
	s->desc_size = sizeof(struct kvm_stats_desc) + s->header.name_size;
	s->desc = calloc(s->header.num_desc, s->desc_size);
	err = -ENOMEM;
	if (!s->desc)
		goto fail;
	err = read_at(s->fd, s->desc, s->header.num_desc * s->desc_size, s->header.desc_offset);
	if (err)
		goto fail;
	err = -EPROTO;
	for (unsigned int i = 0; i < s->header.num_desc; i++) {
		const struct kvm_stats_desc *d = desc_at(s, i);
		size_t end = (size_t)d->offset + (size_t)d->size * sizeof(uint64_t);

		if (d->offset % sizeof(uint64_t) || end > STATS_MAX_VALUES * sizeof(uint64_t) ||
		    !memchr(d->name, 0, s->header.name_size))
			goto fail;
		if (end > s->data_size)
			s->data_size = end;
	}
	s->data = malloc(s->data_size);
	err = -ENOMEM;
	if (!s->data)
		goto fail;
	return s;
fail:
	kvm_stats_close(s);
	errno = -err;
	return NULL;
}

void kvm_stats_close(struct kvm_stats *s)
{
	if (!s)
		return;
	close(s->fd);
	free(s->desc);
	free(s->data);
	free(s);
}

int kvm_stats_read(struct kvm_stats *s, void (*fn)(const struct kvm_stat *stat, void *arg),
		   void *arg)
{
	int err = read_at(s->fd, s->data, s->data_size, s->header.data_offset);

	if (err)
		return err;
	for (unsigned int i = 0; i < s->header.num_desc; i++) {
		const struct kvm_stats_desc *d = desc_at(s, i);
		struct kvm_stat stat = {
			.name = d->name,
			.type = d->flags & KVM_STATS_TYPE_MASK,
			.unit = d->flags & KVM_STATS_UNIT_MASK,
			.base = d->flags & KVM_STATS_BASE_MASK,
			.exponent = d->exponent,
			.bucket_size = d->bucket_size,
			.nr_values = d->size,
			.values = s->data + d->offset / sizeof(uint64_t),
		};

		fn(&stat, arg);
	}
	return 0;
}
