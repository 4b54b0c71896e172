/*
 * Events of the trace in words: one case for each kind of event, of the guest and of the host.
 */
#include "report/trace_detail.h"
#include <inttypes.h>
#include <stdbool.h>
#include "mmvm/dmaengine.h"
#include "mmvm/page.h"
#include "result/pressure.h"

#define NAME_(name, text) text,
static const char *const type_name[] = {MMVM_PAGE_TYPES(NAME_)};
static const char *const map_name[] = {MMVM_TRACE_MAPS(NAME_)};
static const char *const unmap_name[] = {MMVM_TRACE_UNMAPS(NAME_)};
#undef NAME_

static const char *const lru_name[] = {"inactive anon", "active anon", "inactive file",
				       "active file", "unevictable"};

#define WORD_(table, i) ((i) < sizeof(table) / sizeof((table)[0]) ? (table)[i] : "?")

/** Pages: allocation, faults, reverse map, lists, compaction. False: the event is another one. */
static bool detail_pages(const struct trace_data *t, const struct mmvm_trace_rec *r, char *buf,
			 size_t size)
{
	static const char *const result[] = {"", ", SIGSEGV", ", SIGBUS", ", out of memory"};
	char sym[160], block[32] = "";

	if (r->order)
		snprintf(block, sizeof(block), "%u pages from %x, ", 1u << r->order, r->pfn);
	switch (r->event) {
	case TRACE_ALLOC:
	case TRACE_FREE:
		snprintf(buf, size, "%s%s, by %s", block, WORD_(type_name, r->arg),
			 trace_symbol(t, r->addr, sym, sizeof(sym)));
		break;
	case TRACE_STEAL:
		snprintf(buf, size, "%sof type %d for type %d", block, r->arg & 0xff, r->arg >> 8);
		break;
	case TRACE_FAULT_BEGIN:
		snprintf(buf, size, "%s at 0x%" PRIx64,
			 r->arg & TRACE_ACCESS_WRITE  ? "write"
			 : r->arg & TRACE_ACCESS_EXEC ? "execute"
						      : "read",
			 r->addr);
		break;
	case TRACE_FAULT_END:
		snprintf(buf, size, "%s at 0x%" PRIx64 "%s",
			 r->arg & TRACE_RESULT_MAJOR ? "major" : "minor", r->addr,
			 WORD_(result, r->arg & 0xffu));
		break;
	case TRACE_MAP:
		snprintf(buf, size, "%s at 0x%" PRIx64, WORD_(map_name, r->arg), r->addr);
		break;
	case TRACE_UNMAP:
		snprintf(buf, size, "%s at 0x%" PRIx64, WORD_(unmap_name, r->arg), r->addr);
		break;
	case TRACE_ISOLATE:
		snprintf(buf, size, "from the list %s", WORD_(lru_name, r->arg));
		break;
	case TRACE_PUTBACK:
		snprintf(buf, size, "to the list %s", WORD_(lru_name, r->arg));
		break;
	case TRACE_COMPACT_BEGIN:
		snprintf(buf, size, "zone %u, order %u", r->arg, r->order);
		break;
	case TRACE_MIGRATE:
		snprintf(buf, size, "to frame %#" PRIx64, r->addr);
		break;
	case TRACE_COMPACT_END:
	case TRACE_DIRECT_END:
		snprintf(buf, size, "%" PRIu64 " pages", r->addr);
		break;
	case TRACE_SHRINK_SLAB_START:
		snprintf(buf, size, "shrinker %u is to scan %" PRIu64 " objects, priority %u",
			 r->arg, r->addr, r->order);
		break;
	case TRACE_SHRINK_SLAB_END:
		snprintf(buf, size, "shrinker %u freed %" PRIu64 " objects", r->arg, r->addr);
		break;
	default:
		return false;
	}
	return true;
}

/** Swap and files. False: the event is another one. */
static bool detail_stored(const struct mmvm_trace_rec *r, char *buf, size_t size)
{
	unsigned int area = (unsigned int)(r->addr >> 58);
	uint64_t slot = r->addr & TRACE_SLOT_MASK;

	switch (r->event) {
	case TRACE_CACHE_ADD:
		snprintf(buf, size, "slot %u:%" PRIu64 ", on its way %s", area, slot,
			 r->arg == TRACE_CACHE_OUT ? "out" : "in");
		break;
	case TRACE_CACHE_DEL:
		snprintf(buf, size, "slot %u:%" PRIu64 "%s", area, slot,
			 r->arg == TRACE_CACHE_EVICT ? " keeps the contents" : " given up");
		break;
	case TRACE_SWAP_OUT:
	case TRACE_SWAP_OUT_ZERO:
	case TRACE_SWAP_IN:
	case TRACE_SWAP_IN_ZERO:
		snprintf(buf, size, "slot %u:%" PRIu64 "%s%s", area, slot,
			 r->event == TRACE_SWAP_OUT_ZERO || r->event == TRACE_SWAP_IN_ZERO
				 ? ", all zeroes: no disk"
				 : "",
			 (r->event == TRACE_SWAP_IN || r->event == TRACE_SWAP_IN_ZERO) && !r->arg
				 ? ", read ahead"
				 : "");
		break;
	case TRACE_WRITE_END:
	case TRACE_READ_END:
		snprintf(buf, size, "slot %u:%" PRIu64 "%s", area, slot, r->arg ? ", failed" : "");
		break;
	case TRACE_FILE_ADD:
	case TRACE_FILE_DEL:
	case TRACE_FILE_DIRTY:
	case TRACE_FILE_WRITE:
	case TRACE_FILE_WRITTEN:
		snprintf(buf, size, "page %" PRIu64 " of mapping %x", r->addr, r->mm);
		break;
	default:
		return false;
	}
	return true;
}

/** Tasks: beginning and end, system calls, waiting. False: the event is another one. */
static bool detail_tasks(const struct mmvm_trace_rec *r, char *buf, size_t size)
{
	switch (r->event) {
	case TRACE_FORK:
	case TRACE_OOM_KILL:
		snprintf(buf, size, "process %" PRIu64, r->addr);
		break;
	case TRACE_EXEC:
		snprintf(buf, size, "%.8s", (const char *)&r->addr);
		for (char *c = buf; *c; c++)
			if (*c <= ' ' || (unsigned char)*c >= 0x7f)
				*c = '?';
		break;
	case TRACE_STALL_BEGIN:
	case TRACE_STALL_END:
		snprintf(buf, size, "%s at %" PRIu64 " ns",
			 r->arg < NR_TRACE_STALLS ? pressure_state_name(r->arg) : "?", r->addr);
		break;
	case TRACE_STALL_READ:
		snprintf(buf, size, "%s at %" PRIu64 " ns",
			 r->arg < NR_PRESSURES ? pressure_name(r->arg) : "?", r->addr);
		break;
	case TRACE_EXIT:
		snprintf(buf, size, "status 0x%" PRIx64, r->addr);
		break;
	case TRACE_SWITCH:
		snprintf(buf, size, "to %" PRIu64, r->addr);
		break;
	case TRACE_SYS_ENTER:
		snprintf(buf, size, "%s, first argument 0x%" PRIx64, trace_call_name(r->arg),
			 r->addr);
		break;
	case TRACE_SYS_EXIT:
		snprintf(buf, size, "%s = %" PRId64, trace_call_name(r->arg), (int64_t)r->addr);
		break;
	default:
		return false;
	}
	return true;
}

static void detail_guest(const struct trace_data *t, const struct mmvm_trace_rec *r, char *buf,
			 size_t size)
{
	if (!detail_pages(t, r, buf, size) && !detail_stored(r, buf, size) &&
	    !detail_tasks(r, buf, size))
		buf[0] = 0;
}

static void detail_host(const struct trace_data *t, const struct trace_host_rec *r, char *buf,
			size_t size)
{
	static const char *const dma_op[] = {"?", "copy", "fill", "checksum"};
	double us = (double)trace_ns(t, r->ticks) / 1000;
	const char *name;

	switch (r->event) {
	case HOST_EXIT:
		name = r->arg < TRACE_MAX_EXITS ? t->exit_name[r->arg] : NULL;
		snprintf(buf, size, "%s 0x%" PRIx64 ", %.1f us in the VMM", name ? name : "other",
			 r->a, us);
		break;
	case HOST_BLK:
		snprintf(buf, size, "%s sector %" PRIu64 ", %" PRIu64 " bytes, %.1f us%s",
			 (r->arg & 0xff) == 0	? "read"
			 : (r->arg & 0xff) == 1 ? "write"
			 : (r->arg & 0xff) == 4 ? "flush"
						: "other",
			 r->a, r->b, us, r->arg >> 8 ? ", failed" : "");
		break;
	case HOST_BLK_PAGE:
		snprintf(buf, size, "%s sector %" PRIu64 ", %.1f us%s",
			 (r->arg & 0xff) == 1 ? "written to" : "read from", r->b, us,
			 r->arg >> 8 ? ", failed" : "");
		break;
	case HOST_DMA:
		snprintf(buf, size, "%s 0x%" PRIx64 ", %" PRIu64 " bytes, %.1f us%s",
			 WORD_(dma_op, r->arg & 0xffu), r->a, r->b, us,
			 r->arg >> 8 == MMVM_DMA_OK ? "" : ", failed");
		break;
	case HOST_DMA_PAGE:
		snprintf(buf, size, "%s, %.1f us", r->arg ? "written" : "read", us);
		break;
	case HOST_HARVEST:
		snprintf(buf, size, "%" PRIu64 " pages, %.1f us", r->a, us);
		break;
	case HOST_DIRTY:
		snprintf(buf, size, "%" PRIu64 " frames from %" PRIx64 ", written by %s", r->b,
			 r->a,
			 r->arg == 3   ? "guest and device"
			 : r->arg == 2 ? "a device"
				       : "the guest");
		break;
	case HOST_STAT:
		name = r->arg < TRACE_MAX_STATS ? t->stat[r->arg] : NULL;
		snprintf(buf, size, "%s +%" PRIu64 " = %" PRIu64, name ? name : "?", r->a, r->b);
		break;
	case HOST_RING_FULL:
		snprintf(buf, size, "%" PRIu64 " records, %.1f us", r->a, us);
		break;
	default:
		buf[0] = 0;
	}
}

const char *trace_detail(const struct trace_data *t, const struct trace_event *e, char *buf,
			 size_t size)
{
	if (e->host)
		detail_host(t, e->rec, buf, size);
	else
		detail_guest(t, e->guest, buf, size);
	return buf;
}
