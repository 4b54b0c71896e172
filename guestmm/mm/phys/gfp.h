/* GFP flags: context, zone, reserves and behaviour of an allocation. Values are ours, names and
 * rules Linux's. */
#ifndef MM_GFP_H
#define MM_GFP_H
#include "lib/types.h"

/* Zone modifiers */
#define __GFP_DMA     0x1u
#define __GFP_DMA32   0x2u
#define __GFP_HIGHMEM 0x4u
#define __GFP_MOVABLE 0x8u
/* Mobility */
#define __GFP_RECLAIMABLE 0x10u
/* Reserves and behaviour */
#define __GFP_HIGH	     0x20u /* may use half of min */
#define __GFP_DIRECT_RECLAIM 0x40u /* may sleep and reclaim */
#define __GFP_KSWAPD_RECLAIM 0x80u /* wake kswapd at low */
#define __GFP_IO	     0x100u
#define __GFP_FS	     0x200u
#define __GFP_NOWARN	     0x400u
#define __GFP_RETRY_MAYFAIL  0x800u
#define __GFP_NOFAIL	     0x1000u
#define __GFP_NORETRY	     0x2000u
#define __GFP_MEMALLOC	     0x4000u /* all reserves */
#define __GFP_NOMEMALLOC     0x8000u
#define __GFP_COMP	     0x10000u
#define __GFP_ZERO	     0x20000u
#define __GFP_ACCOUNT	     0x40000u
#define __GFP_THISNODE	     0x100000u

#define __GFP_RECLAIM	     (__GFP_DIRECT_RECLAIM | __GFP_KSWAPD_RECLAIM)
#define GFP_ATOMIC	     (__GFP_HIGH | __GFP_KSWAPD_RECLAIM)
#define GFP_KERNEL	     (__GFP_RECLAIM | __GFP_IO | __GFP_FS)
#define GFP_KERNEL_ACCOUNT   (GFP_KERNEL | __GFP_ACCOUNT)
#define GFP_NOWAIT	     (__GFP_KSWAPD_RECLAIM | __GFP_NOWARN)
#define GFP_NOIO	     (__GFP_RECLAIM)
#define GFP_NOFS	     (__GFP_RECLAIM | __GFP_IO)
#define GFP_USER	     GFP_KERNEL /* there are no cpusets, for which Linux has __GFP_HARDWALL */
#define GFP_DMA		     __GFP_DMA
#define GFP_DMA32	     __GFP_DMA32
#define GFP_HIGHUSER	     (GFP_USER | __GFP_HIGHMEM)
#define GFP_HIGHUSER_MOVABLE (GFP_HIGHUSER | __GFP_MOVABLE)
#endif
