/*
 * Guest virtual memory seen from outside: a walk of the guest's four-level page tables.
 *
 * Tables belong to the guest and change while we look: every entry is read once, every table
 * address is checked to lie in RAM, and the walk has four steps at most whatever the entries say.
 */
#include <errno.h>
#include <string.h>
#include "machine/internal.h"

#define PTE_PRESENT 1ull
#define PTE_LARGE   (1ull << 7)
#define PTE_ADDR    0x000ffffffffff000ull
#define CR3_ADDR    0x000ffffffffff000ull

static bool canonical(uint64_t gva)
{
	int64_t top = (int64_t)gva >> 47;

	return top == 0 || top == -1;
}

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

int machine_translate(struct machine *m, uint64_t cr3, uint64_t gva, uint64_t *gpa)
{
	uint64_t table;

	if (!canonical(gva) || (!cr3 && current_cr3(m, &cr3)))
		return -EFAULT;
	table = cr3 & CR3_ADDR;
	for (int shift = 39; shift >= 12; shift -= 9) {
		uint64_t at = table + (gva >> shift & 511) * sizeof(uint64_t), entry, mask;
		const uint64_t *p = guest_ram_ptr(&m->ram, at, sizeof(*p));

		if (!p)
			return -EFAULT;
		entry = __atomic_load_n(p, __ATOMIC_RELAXED);
		if (!(entry & PTE_PRESENT))
			return -EFAULT;
		if (shift == 12 || (shift <= 30 && (entry & PTE_LARGE))) {
			mask = (1ull << shift) - 1;
			*gpa = (entry & PTE_ADDR & ~mask) | (gva & mask);
			return 0;
		}
		table = entry & PTE_ADDR;
	}
	return -EFAULT;
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
