/*
 * The audit root: where the host finds everything that it checks from outside (mmvm/audit.h). It holds only
 * addresses and offsets, no copies of counts, so only its list of swap areas can become stale; swapon and swapoff
 * update that.
 */
#include "mm/dma/swiotlb.h"
#include "mm/kvirt/percpu.h"
#include "mm/kvirt/vmalloc.h"
#include "mm/huge/hugetlb.h"
#include "mm/huge/thp.h"
#include "mm/numa/balancing.h"
#include "mm/init.h"
#include "mm/ksm/ksm.h"
#include "mm/memcg/memcg.h"
#include "mm/numa/mempolicy.h"
#include "mm/move/balloon.h"
#include "mm/phys/device.h"
#include "mm/phys/highmem.h"
#include "mm/phys/internal.h"
#include "mm/move/memory_failure.h"
#include "mm/reclaim/policy.h"
#include "mm/virt/mm.h"
#include "mm/rmap/rmap.h"
#include "mm/fault/special.h"
#include "mm/virt/vma.h"
#include "mm/cache/shmem.h"
#include "mm/slab/slab.h"
#include "mm/swap/swapcache.h"
#include "mm/zswap/zswap.h"
#include "arch/tlb.h"
#include "mmvm/audit.h"
#include "mm/pgtable/pgtable.h"

extern struct mmvm_audit_root mmvm_audit_root;
struct mmvm_audit_root mmvm_audit_root;

#define GVA(p) ((u64)(unsigned long)(p))

static void fill_zones(struct mmvm_audit_root *root)
{
	root->nr_zones = nr_zones;
	for (unsigned int i = 0; i < nr_zones; i++) {
		struct zone *z = zone_table[i];
		struct mmvm_audit_zone *a = &root->zone[i];

		a->free_area_gva = GVA(z->free_area);
		a->area_stride = sizeof(struct free_area);
		a->nr_free_offset = offsetof(struct free_area, nr_free);
		a->nr_orders = NR_ORDERS;
		a->nr_types = NR_MIGRATETYPES;
		for_each_possible_cpu (cpu)
			a->pcp_gva[cpu] = GVA(per_cpu_ptr(z->pcp, cpu));
		a->pcp_count_offset = offsetof(struct per_cpu_pages, count);
		a->nr_pcp_lists = NR_PCP_LISTS;
		for (unsigned int l = 0; l < NR_PCP_LISTS; l++)
			a->pcp_list_order[l] = l / NR_PCP_MIGRATETYPES;
		a->pageblock_first = z->start_pfn >> PAGEBLOCK_ORDER;
		a->pageblock_gva = GVA(pageblock_type(z, pfn_to_page(z->start_pfn)));
		a->pageblock_order = PAGEBLOCK_ORDER;
		a->cma_start = z->cma_start;
		a->cma_pages = z->cma_pages;
		a->movable = z->type == ZONE_MOVABLE;
		a->cma_type = MIGRATE_CMA;
		a->movable_type = MIGRATE_MOVABLE;
		a->nr_block_types = NR_PCP_MIGRATETYPES;
		a->present = 1;
	}
}

static void fill_policy(struct mmvm_audit_policy *a, const struct reclaim_policy *p)
{
	ksnprintf(a->name, sizeof(a->name), "%s", p->name);
	a->nr_lists = p->nr_lists;
	a->gens = p->gens;
	for (unsigned int l = 0; l < p->nr_lists; l++) {
		ksnprintf(a->list[l].name, sizeof(a->list[l].name), "%s", p->lists[l].name);
		a->list[l].flags_mask = p->lists[l].flags_mask;
		a->list[l].flags_value = p->lists[l].flags_value;
		a->list[l].level = p->lists[l].level;
		a->list[l].kind = p->lists[l].kind;
	}
}

static void fill_lruvecs(struct mmvm_audit_root *root)
{
	for (unsigned int i = 0; i < MMVM_MAX_NODES; i++) {
		root->node[i].present = node_data[i].present;
		root->node[i].node_gva = GVA(&node_data[i]);
	}
	for (unsigned int i = 0; reclaim_policies[i]; i++)
		fill_policy(&root->policy[i], reclaim_policies[i]);
	root->lruvec_list_gva = GVA(&lruvec_list);
	root->lruvec = (struct mmvm_audit_lruvec_layout){
		.link_offset = offsetof(struct lruvec, link),
		.policy_offset = offsetof(struct lruvec, policy_index),
		.node_offset = offsetof(struct lruvec, node),
		.memcg_offset = offsetof(struct lruvec, memcg),
		.list_offset = offsetof(struct lruvec, list),
		.nr_offset = offsetof(struct lruvec, nr),
	};
}

static void fill_swap(struct mmvm_audit_root *root)
{
	for (unsigned int i = 0; i < MAX_SWAP_AREAS; i++) {
		const struct swap_info *si = &swap_areas[i];
		struct mmvm_audit_swap *a = &root->swap[i];

		a->present = si->bdev != NULL;
		a->map_gva = GVA(si->map);
		a->nr_slots = si->nr_slots;
		a->inuse_gva = GVA(&si->inuse);
		a->count_mask = SWAP_MAP_COUNT;
		a->bad_value = SWAP_MAP_BAD;
		a->has_cache_bit = SWAP_MAP_HAS_CACHE;
		a->no_disk_bit = SWAP_MAP_NO_DISK;
		a->zswap_gva = GVA(si->zswap);
		a->failed_gva = GVA(si->failed);
		a->usable_gva = GVA(&si->usable);
	}
}

static void fill_zswap(struct mmvm_audit_root *root)
{
	if (!zswap_prepared)
		return;
	root->zswap = (struct mmvm_audit_zswap_layout){
		.classes_gva = GVA(zs_classes),
		.nr_classes = zs_nr_classes,
		.class_stride = sizeof(struct zs_class),
		.class_size_offset = offsetof(struct zs_class, size),
		.class_pages_offset = offsetof(struct zs_class, pages),
		.class_objects_offset = offsetof(struct zs_class, objects),
		.class_zspages_offset = offsetof(struct zs_class, nr_zspages),
		.class_used_offset = offsetof(struct zs_class, nr_used),
		.class_lists_offset = offsetof(struct zs_class, list),
		.nr_lists = ZS_FULLNESS,
		.zspage_link_offset = offsetof(struct zspage, link),
		.zspage_class_offset = offsetof(struct zspage, class),
		.zspage_inuse_offset = offsetof(struct zspage, inuse),
		.zspage_pages_offset = offsetof(struct zspage, page),
		.zspage_owners_offset = offsetof(struct zspage, owner),
		.ref_zspage_offset = offsetof(struct zs_ref, zspage),
		.ref_index_offset = offsetof(struct zs_ref, index),
		.entry_slot_offset = offsetof(struct zswap_entry, e),
		.entry_ref_offset = offsetof(struct zswap_entry, ref),
		.entry_length_offset = offsetof(struct zswap_entry, length),
		.stored_gva = GVA(&zswap_counts.stored_pages),
	};
}

static void fill_rmap(struct mmvm_audit_rmap_layout *l)
{
	*l = (struct mmvm_audit_rmap_layout){
		.vma_pgoff_offset = offsetof(struct vm_area_struct, pgoff),
		.vma_mapping_offset = offsetof(struct vm_area_struct, mapping),
		.vma_chains_offset = offsetof(struct vm_area_struct, anon_vma_chain),
		.vma_node_offset = offsetof(struct vm_area_struct, shared_rb),
		.vma_last_offset = offsetof(struct vm_area_struct, shared_subtree_last),
		.chain_link_offset = offsetof(struct anon_vma_chain, same_vma),
		.chain_vma_offset = offsetof(struct anon_vma_chain, vma),
		.chain_anon_vma_offset = offsetof(struct anon_vma_chain, anon_vma),
		.chain_node_offset = offsetof(struct anon_vma_chain, rb),
		.chain_last_offset = offsetof(struct anon_vma_chain, subtree_last),
		.anon_vma_root_offset = offsetof(struct anon_vma, vmas),
		.mapping_root_offset = offsetof(struct address_space, i_mmap),
	};
}

static void fill_mm(struct mmvm_audit_mm_layout *l)
{
	*l = (struct mmvm_audit_mm_layout){
		.list_offset = offsetof(struct mm_struct, mm_list),
		.pgd_offset = offsetof(struct mm_struct, pgd),
		.rss_anon_offset = offsetof(struct mm_struct, rss_anon),
		.rss_file_offset = offsetof(struct mm_struct, rss_file),
		.rss_shmem_offset = offsetof(struct mm_struct, rss_shmem),
		.rss_swap_offset = offsetof(struct mm_struct, rss_swap),
		.hugetlb_usage_offset = offsetof(struct mm_struct, hugetlb_usage),
		.pgtables_offset = offsetof(struct mm_struct, pgtables_bytes),
		.vma_list_offset = offsetof(struct mm_struct, mmap),
		.vma_link_offset = offsetof(struct vm_area_struct, link),
		.vma_start_offset = offsetof(struct vm_area_struct, vm_start),
		.vma_end_offset = offsetof(struct vm_area_struct, vm_end),
		.vma_flags_offset = offsetof(struct vm_area_struct, flags),
	};
}

static void fill_mempolicy(struct mmvm_audit_mempolicy_layout *l)
{
	*l = (struct mmvm_audit_mempolicy_layout){
		.vma_policy_offset = offsetof(struct vm_area_struct, policy),
		.vma_held_offset = offsetof(struct vm_area_struct, policy_held),
		.mode_offset = offsetof(struct mempolicy, mode),
		.nodes_offset = offsetof(struct mempolicy, nodes),
		.mode_bind = MPOL_BIND,
	};
}

static void fill_mapping(struct mmvm_audit_mapping_layout *l)
{
	*l = (struct mmvm_audit_mapping_layout){
		.root_offset = offsetof(struct address_space, pages.root),
		.height_offset = offsetof(struct address_space, pages.height),
		.flags_offset = offsetof(struct address_space, flags),
		.shmem_flag = AS_SHMEM,
		.secret_flag = AS_SECRET,
		.nrpages_offset = offsetof(struct address_space, nrpages),
		.nrvalues_offset = offsetof(struct address_space, nrvalues),
		.nr_thps_offset = offsetof(struct address_space, nr_thps),
		.swapped_list_gva = GVA(&shmem_swapped_list),
		.swapped_offset = offsetof(struct address_space, dirty_list),
	};
	radix_node_layout(&l->node_shift_offset, &l->node_slots_offset);
}

void audit_root_fill(void)
{
	struct mmvm_audit_root *root = &mmvm_audit_root;

	_Static_assert(VM_UFFD_WP == MMVM_VM_UFFD_WP && _PAGE_UFFD_WP == MMVM_PTE_UFFD_WP,
		       "write protection as the host knows it");
	_Static_assert(VM_SHARED == MMVM_VM_SHARED, "shared mappings as the host knows them");
	_Static_assert(NR_ORDERS == MMVM_AUDIT_MAX_ORDERS, "orders as the host knows them");
	_Static_assert((int)NR_MIGRATETYPES <= MMVM_AUDIT_MAX_TYPES, "too many migrate types");
	_Static_assert(NR_PCP_LISTS <= MMVM_AUDIT_MAX_PCP_LISTS, "too many per-CPU lists");

	root->magic = MMVM_AUDIT_MAGIC;
	root->version = MMVM_CONTRACT_VERSION;
	root->size = sizeof(*root);
	root->vmemmap_gva = VMEMMAP_START;
	root->direct_map_gva = PAGE_OFFSET;
	root->kernel_pgd_gva = GVA(kernel_pgd());
	root->zero_page_pfn = zero_page ? page_to_pfn(zero_page) : 0;
	root->swap_pte_shift = MMVM_SWP_OFFSET_SHIFT;
	root->paging_levels = pt_top_level + 1;
	root->nr_ranges = nr_ram_ranges;
	for (unsigned int i = 0; i < nr_ram_ranges; i++) {
		root->range[i].start_pfn = ram_range[i].start;
		root->range[i].end_pfn = ram_range[i].end;
	}
	fill_zones(root);
	fill_lruvecs(root);
	fill_swap(root);
	fill_zswap(root);

	root->mm_list_gva = GVA(&mm_list);
	fill_mm(&root->mm);
	mem_cgroup_audit_layout(&root->memcg);
	fill_mempolicy(&root->mempolicy);
	fill_rmap(&root->rmap);
	ksm_audit_layout(&root->ksm);
	overcommit_audit_layout(&root->commit);
	root->cache_list_gva = GVA(&slab_caches);
	slab_audit_layout(&root->cache);
	hugetlb_audit_layout(&root->hugetlb);
	root->huge_zero_gva = GVA(&thp_huge_zero);
	root->poisoned_gva = GVA(&num_poisoned_pages);
	root->numa_hints_gva = GVA(&numa_hints_ever);
	root->thp_deferred_gva = GVA(&thp_deferred);
	root->thp_nr_deferred_gva = GVA(&thp_nr_deferred);
	vmalloc_audit_layout(&root->kvirt);
	percpu_audit_layout(&root->percpu);
	kmap_audit_layout(&root->kvirt);
	special_audit_layout(&root->special);
	swiotlb_audit_layout(&root->swiotlb);
	balloon_audit_layout(&root->balloon);
	device_audit_layout(&root->device);
	fill_mapping(&root->mapping);
	root->kernel_pgtables_gva = GVA(&kernel_pgtables);
	atomic_store_release(&root->ready, 1);
}
