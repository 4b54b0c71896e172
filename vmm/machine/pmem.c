/*
 * Files that are memory of the guest (virtio-pmem).
 *
 *   guest physical                                    slot
 *   ... RAM ... | next GiB: file 0 | next GiB: file 1   17, 18
 *
 * A file is opened and locked as a disk is, and mapped shared: what the guest stores is in the page cache
 * of this host at once. The range is no part of guest RAM: devices cannot reach it (guest_ram_ptr()), it
 * has no dirty log, and the device tree does not list it as memory. The device says where it is.
 *
 * A file that is read-only is a read-only slot: a store of the guest leaves it, finds no device on the bus
 * and is counted as the guest's error.
 *
 * The file may be cut by somebody else while the machine runs. Then KVM cannot fill the page, and the run
 * ends with an error of the host.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "devices/devices.h"
#include "machine/internal.h"

static uint64_t align_up(uint64_t x)
{
	return (x + MMVM_PMEM_ALIGN - 1) / MMVM_PMEM_ALIGN * MMVM_PMEM_ALIGN;
}

/** The address of the next one: above RAM, and above the ones before. */
static uint64_t next_gpa(const struct machine *m)
{
	uint64_t end = machine_ram_end(m);

	if (end < MMVM_RAM_HIGH_BASE)
		end = MMVM_RAM_HIGH_BASE;
	if (m->nr_pmem)
		end = m->pmem[m->nr_pmem - 1].gpa + m->pmem[m->nr_pmem - 1].size;
	return align_up(end);
}

static const char *name_of(const struct disk_config *c)
{
	return c->path ? c->path : "a temporary file";
}

/** The file in this process's memory and in the guest's. */
static int map_file(struct machine *m, struct machine_pmem *p, const struct disk_config *c, int fd,
		    struct mmvm_error *err)
{
	int rc, prot = PROT_READ | (c->read_only ? 0 : PROT_WRITE);

	if (p->size % MMVM_PMEM_UNIT)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "--pmem %s: %llu bytes: its size must be a multiple of %llu MiB "
				  "(truncate -s)",
				  name_of(c), (unsigned long long)p->size, MMVM_PMEM_UNIT >> 20);
	p->hva = machine_map_aligned(fd, 0, p->gpa, p->size, prot);
	if (!p->hva)
		return mmvm_error(err, MMVM_EXIT_HOST, "cannot map %s: %s", name_of(c),
				  strerror(errno));
	/* A dump of the VMM is for the VMM's faults. */
	madvise(p->hva, p->size, MADV_DONTDUMP);
	rc = kvm_vm_set_memory(m->vm, MACHINE_PMEM_SLOT + m->nr_pmem,
			       c->read_only ? KVM_MEM_READONLY : 0, p->gpa, p->size, p->hva);
	if (rc)
		return mmvm_error(err, MMVM_EXIT_HOST, "KVM refuses %llu bytes of %s at 0x%llx: %s",
				  (unsigned long long)p->size, name_of(c),
				  (unsigned long long)p->gpa, kvm_error_text(rc));
	return 0;
}

static int create_one(struct machine *m, const struct disk_config *c, struct mmvm_error *err)
{
	struct machine_pmem *p = &m->pmem[m->nr_pmem];
	struct virtio_pmem_params params = {.read_only = c->read_only};
	struct device_env env;

	params.fd = machine_disk_open(c, &p->size, err);
	if (params.fd < 0)
		return -1;
	p->gpa = next_gpa(m);
	p->read_only = c->read_only;
	memcpy(p->role, c->role, sizeof(p->role) - 1);
	if (map_file(m, p, c, params.fd, err) ||
	    machine_virtio_env(m, &env, p->role, MMVM_VIRTIO_PMEM + m->nr_pmem, err))
		goto fail;
	params.start = p->gpa;
	params.size = p->size;
	p->dev = virtio_pmem_create(&env, &params);
	if (!p->dev) {
		mmvm_error(err, MMVM_EXIT_HOST, "cannot create the device of %s: %s", name_of(c),
			   strerror(errno));
		goto fail;
	}
	m->nr_pmem++;
	return machine_add_device(m, p->dev, err);
fail:
	if (p->hva)
		munmap(p->hva, p->size);
	p->hva = NULL;
	close(params.fd);
	return -1;
}

int machine_pmem_create(struct machine *m, struct mmvm_error *err)
{
	for (unsigned int i = 0; i < m->config.nr_pmem; i++)
		if (create_one(m, &m->config.pmem[i], err))
			return -1;
	return 0;
}

void machine_pmem_destroy(struct machine *m)
{
	for (unsigned int i = 0; i < m->nr_pmem; i++)
		munmap(m->pmem[i].hva, m->pmem[i].size);
	m->nr_pmem = 0;
}

bool machine_pmem(const struct machine *m, unsigned int i, struct machine_pmem_info *out)
{
	const struct machine_pmem *p = &m->pmem[i];

	if (i >= m->nr_pmem)
		return false;
	*out = (struct machine_pmem_info){
		.role = p->role,
		.gpa = p->gpa,
		.size = p->size,
		.hva = p->hva,
		.read_only = p->read_only,
	};
	return true;
}

bool machine_pmem_state(const struct machine *m, unsigned int i, struct pmem_state *out)
{
	if (i >= m->nr_pmem)
		return false;
	virtio_pmem_state(m->pmem[i].dev, out);
	return true;
}
