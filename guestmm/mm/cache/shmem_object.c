/*
 * Memory that is shared and anonymous (MAP_SHARED | MAP_ANONYMOUS) has no file: its address_space is part
 * of a shmem_object, which the VMAs that map it hold by reference. Its pages are those of shmem.c.
 *
 * Locks: none of its own; `refs` is atomic, and the last VMA to leave frees the pages.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/shmem.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

struct shmem_object {
	struct address_space mapping;
	s32 refs; /* A: VMAs */
	u64 ino;  /* C: for /proc/PID/maps */
	struct vm_promise promise;
};

static u64 next_ino = 1; /* A */

static struct shmem_object *to_object(struct address_space *mapping)
{
	return container_of(mapping, struct shmem_object, mapping);
}

int shmem_object_create(u64 size, bool account, struct address_space **mapping)
{
	u64 pages = DIV_ROUND_UP(size, PAGE_SIZE);
	struct shmem_object *o;

	o = kmalloc(sizeof(*o), GFP_KERNEL_ACCOUNT);
	if (!o)
		return -ENOMEM;
	memset(o, 0, sizeof(*o));
	if (account && vm_promise(&o->promise, pages)) {
		kfree(o);
		return -ENOMEM;
	}
	address_space_init(&o->mapping, NULL, &shmem_aops,
			   AS_SHMEM | AS_OBJECT | (account ? AS_CHARGED : 0));
	o->mapping.size = size;
	o->refs = 1;
	o->ino = atomic_add_return(&next_ino, 1ull);
	*mapping = &o->mapping;
	return 0;
}

void shmem_object_get(struct address_space *mapping)
{
	atomic_add(&to_object(mapping)->refs, 1);
}

void shmem_object_put(struct address_space *mapping)
{
	struct shmem_object *o = to_object(mapping);

	if (!atomic_dec_and_test(&o->refs))
		return;
	shmem_truncate_range(mapping, 0, ~0ul);
	vm_promise_end(&o->promise);
	kfree(o);
}

u64 shmem_object_ino(struct address_space *mapping)
{
	return to_object(mapping)->ino;
}
