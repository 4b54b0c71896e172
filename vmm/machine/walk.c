/*
 * Guest virtual memory seen from outside (machine/walk.h).
 *
 * Tables belong to the guest and change while we look: every entry is read once, every table
 * address is checked to lie in RAM.
 */
#include "machine/walk.h"

#include <errno.h>
#include <string.h>
#include "machine/internal.h"

static bool canonical(const struct guest_tables *t, uint64_t gva)
{
	int64_t top = (int64_t)gva >> (11 + 9 * t->levels);

	return top == 0 || top == -1;
}

int guest_tables_find(const struct guest_tables *t, uint64_t gva, struct guest_leaf *leaf)
{
	uint64_t table = t->root & GUEST_PTE_ADDR;

	if (!canonical(t, gva))
		return -EFAULT;
	for (unsigned int level = t->levels; level-- > 0;) {
		uint64_t size = guest_level_size(level);
		uint64_t at = table + gva / size % GUEST_TABLE_SIZE * sizeof(uint64_t), entry;
		const uint64_t *p = guest_ram_ptr(t->ram, at, sizeof(*p));

		if (!p)
			return -EFAULT;
		entry = __atomic_load_n(p, __ATOMIC_RELAXED);
		if (!(entry & GUEST_PTE_PRESENT))
			return -EFAULT;
		table = entry & GUEST_PTE_ADDR;
		if (guest_entry_is_table(entry, level))
			continue;
		*leaf = (struct guest_leaf){
			.entry = entry,
			.level = level,
			.gpa = (table & ~(size - 1)) | (gva & (size - 1)),
		};
		return 0;
	}
	return -EFAULT;
}

struct walk {
	const struct guest_tables *t;
	const struct guest_walk_ops *ops;
	void *arg;
};

static int walk_table(const struct walk *w, uint64_t gpa, unsigned int level, uint64_t addr,
		      unsigned int first, unsigned int last)
{
	const uint64_t *from = guest_ram_ptr(w->t->ram, gpa, MMVM_PAGE_SIZE);
	uint64_t table[GUEST_TABLE_SIZE];
	int rc;

	if (!from)
		return 0;
	memcpy(table, from, sizeof(table));
	for (unsigned int i = first; i <= last; i++) {
		uint64_t at = addr + i * guest_level_size(level);

		if (!table[i])
			continue;
		/* The upper half's addresses have all bits above the top level's set. */
		if (level == w->t->levels - 1 && i >= GUEST_TABLE_SIZE / 2)
			at |= GUEST_TOP_HALF(w->t->levels);
		if (!guest_entry_is_table(table[i], level)) {
			w->ops->entry(w->arg, at, level, table[i]);
			continue;
		}
		rc = w->ops->table(w->arg, at, level - 1, table[i] & GUEST_PTE_ADDR);
		if (rc > 0)
			rc = walk_table(w, table[i] & GUEST_PTE_ADDR, level - 1, at, 0,
					GUEST_TABLE_SIZE - 1);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int guest_tables_walk(const struct guest_tables *t, unsigned int first, unsigned int last,
		      const struct guest_walk_ops *ops, void *arg)
{
	const struct walk w = {.t = t, .ops = ops, .arg = arg};

	return walk_table(&w, t->root & GUEST_PTE_ADDR, t->levels - 1, 0, first, last);
}

/* ---- of a machine --------------------------------------------------------------------------- */

/** CR3 of vCPU 0: known when it has stopped, or when it is the caller. */
static int current_cr3(struct machine *m, uint64_t *cr3)
{
	struct machine_vcpu *v = machine_current_vcpu();
	struct kvm_sregs s;

	if (v && v->m == m) {
		int rc = kvm_vcpu_get_sregs(&v->kvm, &s);

		*cr3 = s.cr3;
		return rc ? -EFAULT : 0;
	}
	if (!m->nr_vcpus || !atomic_load(&m->vcpu[0].stopped))
		return -EFAULT;
	*cr3 = m->vcpu[0].sregs.cr3;
	return 0;
}

unsigned int machine_paging_levels(const struct machine *m)
{
	return atomic_load(&m->la57) ? GUEST_LEVELS_57 : GUEST_LEVELS_48;
}

int machine_translate(struct machine *m, uint64_t cr3, uint64_t gva, uint64_t *gpa)
{
	struct guest_tables t = {.ram = &m->ram, .levels = machine_paging_levels(m)};
	struct guest_leaf leaf;

	if (!cr3 && current_cr3(m, &cr3))
		return -EFAULT;
	t.root = cr3;
	if (guest_tables_find(&t, gva, &leaf))
		return -EFAULT;
	*gpa = leaf.gpa;
	return 0;
}

int machine_read_virt(struct machine *m, uint64_t cr3, uint64_t gva, void *buf, size_t len)
{
	if (!cr3 && current_cr3(m, &cr3))
		return -EFAULT;
	if (len && gva + (len - 1) < gva)
		return -EFAULT;
	for (size_t done = 0; done < len;) {
		size_t n = MMVM_PAGE_SIZE - (gva + done) % MMVM_PAGE_SIZE;
		uint64_t gpa;
		void *from;

		if (n > len - done)
			n = len - done;
		if (machine_translate(m, cr3, gva + done, &gpa))
			return -EFAULT;
		from = machine_gpa_ptr(m, gpa, n);
		if (!from)
			return -EFAULT;
		memcpy((char *)buf + done, from, n);
		done += n;
	}
	return 0;
}
