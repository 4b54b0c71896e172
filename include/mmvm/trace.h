/*
 * Trace points of the guest, and the rings through which the host reads them.
 *
 * The second quarter of the shared window holds a control page and, for each CPU, a ring of records:
 *
 *   MMVM_SHARED_BASE + MMVM_TRACE_CTL    struct mmvm_trace_ctl
 *                    + MMVM_TRACE_RINGS  ring of CPU 0, ring of CPU 1 ...
 *
 * The host fills in mask, records and nr_rings before the first instruction and never changes them;
 * mask 0: no tracing. A guest CPU writes a record at head % records, then head + 1. When its ring is
 * full it writes its number to MMVM_TRACE_PORT: the host takes what is there before that `out`
 * retires. If there is no room even then, the record is lost and counted in `dropped`.
 *
 *   I1  head is written by the guest CPU alone, tail by the host alone; both only go up, modulo 2^32.
 *   I2  0 <= head - tail <= records. The host checks it; a ring that breaks it is not read again, and
 *       the trace says so. The host indexes with its own copy of records, never with the guest's.
 *   I3  Interrupts are off from the look at head to its change: records of a CPU are in the order
 *       of their times.
 *
 * Times are the guest's TSC. The host knows how that lies to its own (vmm/observe/trace.h).
 */
#ifndef MMVM_TRACE_H
#define MMVM_TRACE_H

#include <stdint.h>
#include "mmvm/access.h"
#include "mmvm/layout.h"
#include "mmvm/shared.h"

#define MMVM_TRACE_VERSION 1u
#define MMVM_TRACE_CTL	   0x3f000u
#define MMVM_TRACE_RINGS   0x40000u
#define MMVM_TRACE_BYTES   0x40000u /* to the middle: the upper half is access.h's */
_Static_assert(sizeof(struct mmvm_shared) <= MMVM_TRACE_CTL, "statistics run into the trace");
_Static_assert(MMVM_TRACE_RINGS + MMVM_TRACE_BYTES <= MMVM_ACCESS_OFFSET,
	       "the trace runs into the accessed pages");
/** Write only: the CPU's number; its ring is full. */
#define MMVM_TRACE_PORT 0x618

/*
 * Events: name, text, category, what `arg` and `addr` say ("-": nothing). pfn, mm and order mean
 * what they are called where the event is about a page or an address space.
 *   entry: swap entry, type << 58 | slot (as in page tables, shifted down)    ip: caller's address
 */
#define MMVM_TRACE_EVENTS(X)                                                                      \
	/* pages */                                                                               \
	X(ALLOC, "page_alloc", "kmem", "type", "ip")                                              \
	X(FREE, "page_free", "kmem", "type", "ip")                                                \
	X(STEAL, "page_steal", "migrate", "migratetypes", "-") /* arg: to << 8 | from */          \
	/* faults and mappings */                                                                 \
	X(FAULT_BEGIN, "fault_begin", "fault", "access", "address")                               \
	X(FAULT_END, "fault_end", "fault", "result", "address")                                   \
	X(MAP, "map", "fault", "map", "address")                                                  \
	X(UNMAP, "unmap", "fault", "unmap", "address")                                            \
	/* reclaim */                                                                             \
	X(ISOLATE, "isolate", "reclaim", "lru", "-")                                              \
	X(PUTBACK, "putback", "reclaim", "lru", "-")                                              \
	X(KSWAPD_WAKE, "kswapd_wake", "reclaim", "-", "-")                                        \
	X(KSWAPD_SLEEP, "kswapd_sleep", "reclaim", "-", "-")                                      \
	X(DIRECT_BEGIN, "direct_begin", "reclaim", "-", "-")                                      \
	X(DIRECT_END, "direct_end", "reclaim", "-", "pages")                                      \
	/* arg: the shrinker's number; order: the priority */                                     \
	X(SHRINK_SLAB_START, "mm_shrink_slab_start", "reclaim", "shrinker", "objects")            \
	X(SHRINK_SLAB_END, "mm_shrink_slab_end", "reclaim", "shrinker", "objects")                \
	/* swap */                                                                                \
	X(CACHE_ADD, "cache_add", "swap", "cache", "entry") /* the page gets a slot */            \
	X(CACHE_DEL, "cache_del", "swap", "cache", "entry")                                       \
	X(SWAP_OUT, "swap_out", "swap", "-", "entry")                                             \
	X(SWAP_OUT_ZERO, "swap_out_zero", "swap", "-", "entry")                                   \
	X(WRITE_END, "write_end", "swap", "status", "entry")                                      \
	X(SWAP_IN, "swap_in", "swap", "wanted", "entry")                                          \
	X(SWAP_IN_ZERO, "swap_in_zero", "swap", "wanted", "entry")                                \
	X(ZSWAP_OUT, "zswap_out", "swap", "-", "entry") /* arg: bytes; 0: one value fills it */   \
	X(ZSWAP_IN, "zswap_in", "swap", "wanted", "entry")                                        \
	X(ZSWAP_WRITEBACK, "zswap_writeback", "swap", "-", "entry")                               \
	X(READ_END, "read_end", "swap", "status", "entry")                                        \
	X(LOCK_WAIT, "lock_wait", "reclaim", "-", "-") /* somebody waits for the page's lock */   \
	X(MIGRATE, "migrate", "reclaim", "reason", "new_pfn") /* pfn: the old frame */            \
	X(NUMA_HINT, "numa_hint", "fault", "nodes",                                               \
	  "address") /* arg: page's node << 8 | wanted */                                         \
	X(COMPACT_BEGIN, "compact_begin", "compaction", "zone",                                   \
	  "mode") /* order: of the allocation */                                                  \
	X(COMPACT_END, "compact_end", "compaction", "result", "pages")                            \
	X(KCOMPACTD_WAKE, "kcompactd_wake", "compaction", "-", "-")                               \
	X(KCOMPACTD_SLEEP, "kcompactd_sleep", "compaction", "-", "-")                             \
	/* processes; addr of exec: the first eight letters of the name */                        \
	X(FORK, "fork", "process", "-", "pid") /* pid: the parent; mm, addr: the child */         \
	X(EXEC, "exec", "process", "-", "name")                                                   \
	X(EXIT, "exit", "process", "-", "status")                                                 \
	X(SWITCH, "switch", "sched", "-",                                                         \
	  "pid") /* pid: the task that leaves the CPU; addr: the task that runs next */           \
	X(OOM_KILL, "oom_kill", "oom", "-", "pid")                                                \
	/* states of the machine; arg: enum mmvm_trace_stall, addr: ns since the guest's boot */  \
	X(STALL_BEGIN, "stall_begin", "pressure", "stall", "ns")                                  \
	X(STALL_END, "stall_end", "pressure", "stall", "ns")                                      \
	X(STALL_READ, "stall_read", "pressure", "resource", "ns") /* a file was read */           \
	/* page cache; mm: the mapping, by its address as of address spaces */                    \
	X(FILE_ADD, "file_add", "file", "type", "index")                                          \
	X(FILE_DEL, "file_del", "file", "-", "index")                                             \
	X(FILE_DIRTY, "file_dirty", "file", "-", "index")                                         \
	X(FILE_WRITE, "file_write", "file", "-", "index")                                         \
	X(FILE_WRITTEN, "file_written", "file", "-", "index")                                     \
	/* a writer pauses; position: 1024ths of its rate that it may have */                     \
	X(BALANCE_DIRTY_PAGES, "balance_dirty_pages", "file", "position", "pause_us")             \
	/* system calls: the number of include/mmvm/syscalls.h, the first argument, the result */ \
	X(SYS_ENTER, "sys_enter", "syscall", "call", "arg0")                                      \
	X(SYS_EXIT, "sys_exit", "syscall", "call", "result")                                      \
	/* an accessed bit that sampling has found (mm/report/access.c) */                        \
	X(REF, "ref", "refs", "-", "address")

#define MMVM_ENUM_(name, text, category, arg, addr) TRACE_##name,
enum mmvm_trace_event { TRACE_NONE, MMVM_TRACE_EVENTS(MMVM_ENUM_) NR_TRACE_EVENTS };
#undef MMVM_ENUM_
_Static_assert(NR_TRACE_EVENTS <= 64, "the mask has 64 bits");

/** FAULT_BEGIN: access. */
#define TRACE_ACCESS_WRITE 1u
#define TRACE_ACCESS_USER  2u
#define TRACE_ACCESS_EXEC  4u
/** FAULT_END: result. */
enum mmvm_trace_result { TRACE_OK, TRACE_SEGV, TRACE_BUS, TRACE_OOM };
#define TRACE_RESULT_MAJOR 0x100u /* it has waited for the disk */
/** MAP: why a page-table entry came to point at the page. ZERO: the shared zero page. REUSE: it was
 * mapped there already and has become writable. MOVE: from another address (mremap). */
#define MMVM_TRACE_MAPS(X) \
	X(ZERO, "zero")    \
	X(ANON, "anon")    \
	X(COW, "cow")      \
	X(SWAP, "swap")    \
	X(FILE, "file")    \
	X(REUSE, "reuse")  \
	X(FORK, "fork")    \
	X(MOVE, "move")    \
	X(KSM, "ksm")      \
	X(MIGRATE, "migrate")
#define MMVM_ENUM_(name, text) TRACE_MAP_##name,
enum mmvm_trace_map { MMVM_TRACE_MAPS(MMVM_ENUM_) NR_TRACE_MAPS };
#undef MMVM_ENUM_
/** UNMAP: why it points there no longer. ZAP: munmap, madvise, exit. */
#define MMVM_TRACE_UNMAPS(X)  \
	X(ZAP, "zap")         \
	X(RECLAIM, "reclaim") \
	X(DISCARD, "discard") \
	X(COW, "cow")         \
	X(MOVE, "move")       \
	X(KSM, "ksm")         \
	X(MIGRATE, "migrate")
#define MMVM_ENUM_(name, text) TRACE_UNMAP_##name,
enum mmvm_trace_unmap { MMVM_TRACE_UNMAPS(MMVM_ENUM_) NR_TRACE_UNMAPS };
#undef MMVM_ENUM_
/** STALL_BEGIN, STALL_END: which state of the machine; "full" of cpu never occurs. STALL_READ: state / 2. */
#define MMVM_TRACE_STALLS(X)       \
	X(IO_SOME, "io some")      \
	X(IO_FULL, "io full")      \
	X(MEM_SOME, "memory some") \
	X(MEM_FULL, "memory full") \
	X(CPU_SOME, "cpu some")    \
	X(CPU_FULL, "cpu full")
#define MMVM_ENUM_(name, text) TRACE_STALL_##name,
enum mmvm_trace_stall { MMVM_TRACE_STALLS(MMVM_ENUM_) NR_TRACE_STALLS };
#undef MMVM_ENUM_
/** CACHE_ADD: on its way OUT or IN. CACHE_DEL: the frame was EVICTed, or the slot given up. */
enum mmvm_trace_cache { TRACE_CACHE_OUT, TRACE_CACHE_IN, TRACE_CACHE_EVICT, TRACE_CACHE_FREE };

struct mmvm_trace_rec {
	uint64_t tsc;
	uint8_t event; /* enum mmvm_trace_event */
	uint8_t order; /* of a block of pages */
	uint16_t arg;
	uint32_t pid; /* who was running */
	uint32_t pfn;
	uint32_t mm; /* address space: its kernel address >> 4, low 32 bits; 0 = none */
	uint64_t addr;
};
_Static_assert(sizeof(struct mmvm_trace_rec) == 32, "trace record is part of the contract");

/** A ring's ends, each on a cache line of its writer. */
struct mmvm_trace_ring {
	uint32_t head; /* guest */
	uint32_t pad0;
	uint64_t dropped; /* guest: records that found no room */
	uint8_t pad1[48];
	uint32_t tail; /* host */
	uint8_t pad2[60];
};
_Static_assert(sizeof(struct mmvm_trace_ring) == 128, "trace ring is part of the contract");

struct mmvm_trace_ctl {
	uint32_t version;  /* host: MMVM_TRACE_VERSION */
	uint32_t nr_rings; /* host */
	uint32_t records;  /* host: of each ring; a power of two */
	uint32_t pad;
	uint64_t mask; /* host: bit i: event i is wanted */
	uint8_t pad1[104];
	struct mmvm_trace_ring ring[MMVM_MAX_CPUS];
};
_Static_assert(sizeof(struct mmvm_trace_ctl) <= MMVM_TRACE_RINGS - MMVM_TRACE_CTL,
	       "trace control is one page");

#endif
