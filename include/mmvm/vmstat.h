/*
 * Counters of the guest's memory manager: one list each, from which the enum, the /proc/vmstat
 * line, the JSON key and the audit's names are made. Names follow Linux 6.12's /proc/vmstat.
 */
#ifndef MMVM_VMSTAT_H
#define MMVM_VMSTAT_H

/** Per-node/zone levels (they go up and down). Counted in pages unless the name says otherwise. */
#define MMVM_ZONE_STATS(X)                                \
	X(NR_FREE_PAGES, "nr_free_pages")                 \
	X(NR_INACTIVE_ANON, "nr_inactive_anon")           \
	X(NR_ACTIVE_ANON, "nr_active_anon")               \
	X(NR_INACTIVE_FILE, "nr_inactive_file")           \
	X(NR_ACTIVE_FILE, "nr_active_file")               \
	X(NR_UNEVICTABLE, "nr_unevictable")               \
	X(NR_ISOLATED_ANON, "nr_isolated_anon")           \
	X(NR_ISOLATED_FILE, "nr_isolated_file")           \
	X(NR_ANON_MAPPED, "nr_anon_pages")                \
	X(NR_FILE_MAPPED, "nr_mapped")                    \
	X(NR_FILE_PAGES, "nr_file_pages")                 \
	X(NR_FILE_DIRTY, "nr_dirty")                      \
	X(NR_WRITEBACK, "nr_writeback")                   \
	X(NR_SHMEM, "nr_shmem")                           \
	X(NR_MLOCK, "nr_mlock")                           \
	X(NR_PAGETABLE, "nr_page_table_pages")            \
	X(NR_KERNEL_STACK_KB, "nr_kernel_stack")          \
	X(NR_SLAB_RECLAIMABLE, "nr_slab_reclaimable")     \
	X(NR_SLAB_UNRECLAIMABLE, "nr_slab_unreclaimable") \
	X(NR_SWAPCACHE, "nr_swapcached")                  \
	X(NR_VMALLOC, "nr_vmalloc")                       \
	X(NR_ZSPAGES, "nr_zspages")                       \
	X(NR_ANON_THPS, "nr_anon_transparent_hugepages")  \
	X(NR_SHMEM_THPS, "nr_shmem_hugepages")            \
	X(NR_SHMEM_PMDMAPPED, "nr_shmem_pmdmapped")       \
	X(NR_FREE_CMA, "nr_free_cma")                     \
	/* Events of a zone (they only go up). */         \
	X(NUMA_HIT, "numa_hit")                           \
	X(NUMA_MISS, "numa_miss")                         \
	X(NUMA_FOREIGN, "numa_foreign")                   \
	X(NUMA_INTERLEAVE_HIT, "numa_interleave")         \
	X(NUMA_LOCAL, "numa_local")                       \
	X(NUMA_OTHER, "numa_other")

/** Events (they only go up). Per CPU in the shared window; the reader sums. */
#define MMVM_VM_EVENTS(X)                                                 \
	X(PGPGIN, "pgpgin")                                               \
	X(PGPGOUT, "pgpgout")                                             \
	X(PSWPIN, "pswpin")                                               \
	X(PSWPOUT, "pswpout")                                             \
	X(PGALLOC_DMA, "pgalloc_dma")                                     \
	X(PGALLOC_DMA32, "pgalloc_dma32")                                 \
	X(PGALLOC_NORMAL, "pgalloc_normal")                               \
	X(PGALLOC_HIGH, "pgalloc_high")                                   \
	X(PGALLOC_MOVABLE, "pgalloc_movable")                             \
	X(ALLOCSTALL, "allocstall")                                       \
	X(PGFREE, "pgfree")                                               \
	X(PGACTIVATE, "pgactivate")                                       \
	X(PGDEACTIVATE, "pgdeactivate")                                   \
	X(PGLAZYFREE, "pglazyfree")                                       \
	X(PGLAZYFREED, "pglazyfreed")                                     \
	X(PGFAULT, "pgfault")                                             \
	X(PGMAJFAULT, "pgmajfault")                                       \
	X(PGREFILL, "pgrefill")                                           \
	X(PGREUSE, "pgreuse")                                             \
	X(PGSTEAL_KSWAPD, "pgsteal_kswapd")                               \
	X(PGSTEAL_DIRECT, "pgsteal_direct")                               \
	X(PGDEMOTE_KSWAPD, "pgdemote_kswapd")                             \
	X(PGDEMOTE_DIRECT, "pgdemote_direct")                             \
	X(PGSCAN_KSWAPD, "pgscan_kswapd")                                 \
	X(PGSCAN_DIRECT, "pgscan_direct")                                 \
	X(PGSCAN_ANON, "pgscan_anon")                                     \
	X(PGSCAN_FILE, "pgscan_file")                                     \
	X(PGSTEAL_ANON, "pgsteal_anon")                                   \
	X(PGSTEAL_FILE, "pgsteal_file")                                   \
	X(SLABS_SCANNED, "slabs_scanned")                                 \
	X(PGINODESTEAL, "pginodesteal")                                   \
	X(KSWAPD_INODESTEAL, "kswapd_inodesteal")                         \
	X(DROP_SLAB, "drop_slab")                                         \
	X(KSWAPD_LOW_WMARK_HIT_QUICKLY, "kswapd_low_wmark_hit_quickly")   \
	X(KSWAPD_HIGH_WMARK_HIT_QUICKLY, "kswapd_high_wmark_hit_quickly") \
	X(PAGEOUTRUN, "pageoutrun")                                       \
	X(PGROTATED, "pgrotated")                                         \
	X(OOM_KILL, "oom_kill")                                           \
	/* NR_WORKINGSET_ITEMS that are counted by lruvec, too. */        \
	X(WORKINGSET_REFAULT_ANON, "workingset_refault_anon")             \
	X(WORKINGSET_REFAULT_FILE, "workingset_refault_file")             \
	X(WORKINGSET_ACTIVATE_ANON, "workingset_activate_anon")           \
	X(WORKINGSET_ACTIVATE_FILE, "workingset_activate_file")           \
	X(WORKINGSET_RESTORE_ANON, "workingset_restore_anon")             \
	X(WORKINGSET_RESTORE_FILE, "workingset_restore_file")             \
	X(WORKINGSET_NODERECLAIM, "workingset_nodereclaim")               \
	X(DROP_PAGECACHE, "drop_pagecache")                               \
	X(NR_DIRTIED, "nr_dirtied")                                       \
	X(NR_WRITTEN, "nr_written")                                       \
	X(NUMA_PTE_UPDATES, "numa_pte_updates")                           \
	X(NUMA_HUGE_PTE_UPDATES, "numa_huge_pte_updates")                 \
	X(NUMA_HINT_FAULTS, "numa_hint_faults")                           \
	X(NUMA_HINT_FAULTS_LOCAL, "numa_hint_faults_local")               \
	X(NUMA_PAGE_MIGRATE, "numa_pages_migrated")                       \
	X(PGPROMOTE_SUCCESS, "pgpromote_success")                         \
	X(PGMIGRATE_SUCCESS, "pgmigrate_success")                         \
	X(PGMIGRATE_FAIL, "pgmigrate_fail")                               \
	X(THP_MIGRATION_SUCCESS, "thp_migration_success")                 \
	X(THP_MIGRATION_FAIL, "thp_migration_fail")                       \
	X(THP_MIGRATION_SPLIT, "thp_migration_split")                     \
	X(COMPACT_STALL, "compact_stall")                                 \
	X(CMA_ALLOC_SUCCESS, "cma_alloc_success")                         \
	X(CMA_ALLOC_FAIL, "cma_alloc_fail")                               \
	X(COMPACTFAIL, "compact_fail")                                    \
	X(COMPACTSUCCESS, "compact_success")                              \
	X(COMPACTMIGRATE_SCANNED, "compact_migrate_scanned")              \
	X(COMPACTFREE_SCANNED, "compact_free_scanned")                    \
	X(COMPACTISOLATED, "compact_isolated")                            \
	X(KCOMPACTD_WAKE, "compact_daemon_wake")                          \
	X(KCOMPACTD_MIGRATE_SCANNED, "compact_daemon_migrate_scanned")    \
	X(KCOMPACTD_FREE_SCANNED, "compact_daemon_free_scanned")          \
	X(UNEVICTABLE_PGSCANNED, "unevictable_pgs_scanned")               \
	X(SWAP_RA, "swap_ra")                                             \
	X(SWAP_RA_HIT, "swap_ra_hit")                                     \
	X(COW_KSM, "cow_ksm")                                             \
	X(SWPIN_ZERO, "swpin_zero")                                       \
	X(SWPOUT_ZERO, "swpout_zero")                                     \
	X(ZSWPIN, "zswpin")                                               \
	X(ZSWPOUT, "zswpout")                                             \
	X(ZSWPWB, "zswpwb")                                               \
	X(NR_TLB_LOCAL_FLUSH_ALL, "nr_tlb_local_flush_all")               \
	X(NR_TLB_LOCAL_FLUSH_ONE, "nr_tlb_local_flush_one")               \
	X(NR_TLB_REMOTE_FLUSH, "nr_tlb_remote_flush")                     \
	X(NR_TLB_REMOTE_FLUSH_RECEIVED, "nr_tlb_remote_flush_received")   \
	X(THP_FAULT_ALLOC, "thp_fault_alloc")                             \
	X(THP_FAULT_FALLBACK, "thp_fault_fallback")                       \
	X(THP_COLLAPSE_ALLOC, "thp_collapse_alloc")                       \
	X(THP_COLLAPSE_ALLOC_FAILED, "thp_collapse_alloc_failed")         \
	X(THP_FILE_ALLOC, "thp_file_alloc")                               \
	X(THP_FILE_FALLBACK, "thp_file_fallback")                         \
	X(THP_FILE_FALLBACK_CHARGE, "thp_file_fallback_charge")           \
	X(THP_FILE_MAPPED, "thp_file_mapped")                             \
	X(THP_SPLIT_PAGE, "thp_split_page")                               \
	X(THP_SPLIT_PAGE_FAILED, "thp_split_page_failed")                 \
	X(THP_DEFERRED_SPLIT_PAGE, "thp_deferred_split_page")             \
	X(THP_SPLIT_PMD, "thp_split_pmd")                                 \
	X(THP_SCAN_EXCEED_NONE_PTE, "thp_scan_exceed_none_pte")           \
	X(THP_SCAN_EXCEED_SWAP_PTE, "thp_scan_exceed_swap_pte")           \
	X(THP_SCAN_EXCEED_SHARED_PTE, "thp_scan_exceed_share_pte")        \
	X(THP_ZERO_PAGE_ALLOC, "thp_zero_page_alloc")                     \
	X(THP_ZERO_PAGE_ALLOC_FAILED, "thp_zero_page_alloc_failed")       \
	X(THP_SWPOUT_FALLBACK, "thp_swpout_fallback")                     \
	X(BALLOON_INFLATE, "balloon_inflate")                             \
	X(BALLOON_DEFLATE, "balloon_deflate")                             \
	X(BALLOON_MIGRATE, "balloon_migrate")                             \
	/* Ours, with a prefix: Linux has no such names. */               \
	X(MMVM_FAULT_ZERO, "mmvm_fault_zero")                             \
	X(MMVM_FAULT_ANON, "mmvm_fault_anon")                             \
	X(MMVM_FAULT_COW, "mmvm_fault_cow")                               \
	X(MMVM_FAULT_SWAP, "mmvm_fault_swap")                             \
	X(MMVM_FAULT_FILE, "mmvm_fault_file")                             \
	X(MMVM_FAULT_AROUND, "mmvm_fault_around")                         \
	X(MMVM_FAULT_MKWRITE, "mmvm_fault_mkwrite")                       \
	X(MMVM_FAULT_SPECIAL, "mmvm_fault_special")                       \
	X(MMVM_FAULT_STACK, "mmvm_fault_stack")                           \
	X(MMVM_FAULT_DAX, "mmvm_fault_dax")                               \
	X(DIRECT_MAP_LEVEL2_SPLIT, "direct_map_level2_splits")            \
	X(MMVM_SECRET_HIDDEN, "mmvm_secret_hidden")                       \
	X(MMVM_SECRET_SHOWN, "mmvm_secret_shown")                         \
	X(MMVM_PMEM_FLUSH, "mmvm_pmem_flush")                             \
	X(MMVM_PMEM_FLUSH_FAIL, "mmvm_pmem_flush_fail")                   \
	X(MMVM_PMEM_IN, "mmvm_pmem_in")                                   \
	X(MMVM_PMEM_OUT, "mmvm_pmem_out")                                 \
	X(MMVM_FAULT_SPURIOUS, "mmvm_fault_spurious")                     \
	X(MMVM_FAULT_SEGV, "mmvm_fault_segv")                             \
	X(MMVM_SWAP_DROP_CLEAN, "mmvm_swap_drop_clean")                   \
	/* Pages of the swap cache that swap_stale.c freed. */            \
	X(MMVM_SWAP_STALE, "mmvm_swap_stale")                             \
	X(MMVM_SWAP_CACHE_HIT, "mmvm_swap_cache_hit")                     \
	X(MMVM_SWAP_IO_ERROR, "mmvm_swap_io_error")                       \
	X(MMVM_SWAP_BAD_SLOT, "mmvm_swap_bad_slot")                       \
	X(MMVM_SWAP_DISCARD, "mmvm_swap_discard")                         \
	X(MMVM_CACHE_MISS, "mmvm_cache_miss")                             \
	X(MMVM_READAHEAD, "mmvm_readahead")                               \
	X(MMVM_READAHEAD_ASYNC, "mmvm_readahead_async")                   \
	X(MMVM_DIRTY_THROTTLED, "mmvm_dirty_throttled")                   \
	X(MMVM_DIRTY_STALLED, "mmvm_dirty_stalled")                       \
	X(MMVM_MIGRATION_WAIT, "mmvm_migration_wait")                     \
	X(MMVM_PCP_REFILL, "mmvm_pcp_refill")                             \
	X(MMVM_PCP_DRAIN, "mmvm_pcp_drain")                               \
	X(MMVM_BUDDY_FALLBACK, "mmvm_buddy_fallback")                     \
	X(MMVM_BUDDY_STEAL_BLOCK, "mmvm_buddy_steal_block")

#define MMVM_ENUM_(name, text) name,
enum zone_stat_item { MMVM_ZONE_STATS(MMVM_ENUM_) NR_ZONE_STAT_ITEMS };
enum vm_event_item { MMVM_VM_EVENTS(MMVM_ENUM_) NR_VM_EVENT_ITEMS };
#define NR_WORKINGSET_ITEMS (WORKINGSET_NODERECLAIM - WORKINGSET_REFAULT_ANON + 1)
#undef MMVM_ENUM_

#endif
