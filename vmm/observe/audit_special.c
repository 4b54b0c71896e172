/*
 * The audit of special mappings ([vdso], [vvar]): pages of the kernel's own in user page tables.
 *
 *   P1  A special entry that maps such a page lies in a VMA of that mapping, at the page's place in it.
 *       (special_mapping)
 *   P2  It is not writable: everybody would see what one program writes. (special_mapping)
 *   P3  A special entry of such a VMA maps nothing else, the zero page included. (special_mapping)
 *
 * A program's own copy of such a page is an anonymous page as any other: its entry is not special.
 */
#include <inttypes.h>

#include "observe/audit_impl.h"

#define PTE_WRITE (1ull << 1)

void audit_special_vma(struct audit *a, uint64_t vma, struct vma_range *v)
{
	const struct mmvm_audit_special_layout *l = &a->root.special;
	uint64_t name;

	v->special = 0;
	if (!l->vma_name_offset || audit_read(a, vma + l->vma_name_offset, &name, sizeof(name)) ||
	    audit_read(a, vma + l->vma_pgoff_offset, &v->special_pgoff, sizeof(v->special_pgoff)))
		return;
	for (uint32_t i = 0; i < MMVM_AUDIT_MAX_SPECIAL; i++)
		if (l->mapping[i].name_gva && l->mapping[i].name_gva == name)
			v->special = i + 1;
}

/** Which page of which mapping is the frame? False: of none. */
static bool find_page(const struct audit *a, uint64_t pfn, uint32_t *mapping, uint64_t *index)
{
	const struct mmvm_audit_special_layout *l = &a->root.special;

	for (uint32_t i = 0; i < MMVM_AUDIT_MAX_SPECIAL; i++) {
		for (uint32_t n = 0; n < MMVM_AUDIT_MAX_SPECIAL_PAGES; n++) {
			if (l->mapping[i].name_gva && n < l->mapping[i].nr_pages &&
			    l->mapping[i].pfn[n] == pfn) {
				*mapping = i + 1;
				*index = n;
				return true;
			}
		}
	}
	return false;
}

bool audit_special_page(struct audit *a, uint64_t mm, const struct vma_range *v, uint64_t addr,
			uint64_t entry)
{
	uint64_t pfn = (entry & GUEST_PTE_ADDR) >> MMVM_PAGE_SHIFT, index = 0;
	uint32_t mapping = 0;
	bool found = find_page(a, pfn, &mapping, &index);

	if (!found && !(v && v->special))
		return false;
	if (!v || v->special != mapping)
		audit_find(a, AUDIT_SPECIAL,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps frame %#" PRIx64
			   ", which is %s, in %s",
			   mm, addr, pfn,
			   found ? "a page of [vdso] or [vvar]" : "no page of [vdso] or [vvar]",
			   v && v->special ? "such a mapping" : "another mapping");
	else if (v->special_pgoff + ((addr - v->start) >> MMVM_PAGE_SHIFT) != index)
		audit_find(a, AUDIT_SPECIAL,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps page %" PRIu64
			   " of [vdso] or [vvar] in the place of another",
			   mm, addr, index);
	else if (entry & PTE_WRITE)
		audit_find(a, AUDIT_SPECIAL,
			   "mm %#" PRIx64 ": %#" PRIx64 " maps a page of [vdso] or [vvar] writable",
			   mm, addr);
	return true;
}
