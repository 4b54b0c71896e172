/*
 * A hostile guest kernel, for tests of the monitor (tests/vm/chaos.sh). It does steps at random, from
 * a seed that the command line gives it as bootargs: chaos=SEED,STEPS. After STEPS steps it ends the
 * run by itself. What it does must end in one of mmvm's documented statuses, in bounded time and
 * memory, whatever observers look at it.
 *
 *   registers    any width, at ports and in the windows of all devices
 *   queues       negotiated as a driver would, then chains of which any field may be wrong
 *   DMA engine   descriptors of random addresses and lengths
 *   window       statistics, mailboxes, trace rings: the host reads them at any time
 *   records      every kind, with lengths and names that cannot be
 *   audit root   a page array and layouts of which any word may be wrong, then an audit
 *
 * Its own code, stack and tables stay whole: a guest that crashes itself tests nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include "mmvm/audit.h"
#include "mmvm/layout.h"
#include "mmvm/page.h"
#include "mmvm/shared.h"
#include "mmvm/testchan.h"
#include "mmvm/trace.h"

#define FRAMES	   2048u	/* of the page array: 8 MiB */
#define PLAY_START (4ull << 20) /* RAM that may hold anything */
#define PLAY_SIZE  (3ull << 20)

__asm__(".pushsection .note.mmvm, \"a\", @note\n"
	"  .long 5, 4, 1\n"
	"  .asciz \"mmvm\"\n"
	"  .balign 4\n"
	"  .long 1\n"
	".popsection\n"
	".pushsection .text.start, \"ax\"\n"
	".globl _start\n"
	"_start: movabs $chaos_stack_end, %rsp\n"
	"  mov %rsi, %rdi\n"
	"  jmp chaos_main\n"
	".popsection\n"
	".pushsection .bss\n"
	"  .balign 16\n"
	"  .skip 65536\n"
	"chaos_stack_end:\n"
	".popsection\n");

void chaos_main(uint64_t fdt);

struct mmvm_audit_root mmvm_audit_root __attribute__((aligned(4096)));
static struct page pages[FRAMES] __attribute__((aligned(4096)));
static struct {
	struct mmvm_record rec;
	char text[2048];
} record __attribute__((aligned(64)));
static struct node {
	uint32_t shift, pad;
	uint64_t slots[64];
} nodes[11];
static struct {
	uint64_t root;
	uint32_t height, flags;
	uint64_t pages, values;
} mapping;
static uint64_t state;

void *memset(void *to, int byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile char *)to)[i] = (char)byte;
	return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
	return to;
}

static void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static void inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
}

static void say(const char *s)
{
	for (; *s; s++)
		outb(MMVM_SERIAL_PORT, (uint8_t)*s);
}

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

/** Numbers at edges, mostly. */
static uint64_t odd(void)
{
	static const uint64_t edge[] = {
		0,
		1,
		2,
		7,
		255,
		4095,
		4096,
		FRAMES * 4096ull - 8,
		FRAMES * 4096ull,
		0x7fffffff,
		0x80000000,
		0xffffffff,
		MMVM_RAM_HIGH_BASE,
		MMVM_VIRTIO_BASE,
		MMVM_SHARED_BASE,
		MMVM_KERNEL_VIRT,
		1ull << 47,
		1ull << 63,
		~0ull - 63,
		~0ull,
	};

	return below(3) ? edge[below(sizeof(edge) / sizeof(edge[0]))] : rnd() >> below(64);
}

static uint64_t play(void)
{
	return PLAY_START + below(PLAY_SIZE);
}

static void store32(uint64_t at, uint64_t v)
{
	*(volatile uint32_t *)at = (uint32_t)v;
}

/* ---- devices ---------------------------------------------------------------------------------- */

static void registers(void)
{
	static const uint16_t port[] = {0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3ff, 0x601, 0x602,
					0x610, 0x611, 0x618, 0x619, 0x64,  0x80,  0xcf8};
	uint64_t at = below(2) ? MMVM_VIRTIO_BASE + below(4) * MMVM_VIRTIO_STRIDE + below(0x180)
			       : MMVM_DMAENGINE_BASE + below(0x100);
	uint16_t p = port[below(sizeof(port) / sizeof(port[0]))];

	/* A stack of the host's would be pushed by a mailbox that copies over our code. */
	switch (below(8)) {
	case 0:
		outw(p, (uint16_t)rnd());
		break;
	case 1:
		if (p != MMVM_FASTOP_PORT)
			outl(p, (uint32_t)rnd());
		break;
	case 2:
		inl(p);
		break;
	case 3:
		*(volatile uint8_t *)at = (uint8_t)rnd();
		break;
	case 4:
		*(volatile uint16_t *)(at & ~1ull) = (uint16_t)odd();
		break;
	case 5:
		*(volatile uint64_t *)(at & ~7ull) = odd();
		break;
	case 6:
		(void)*(volatile uint64_t *)(at & ~7ull);
		break;
	default:
		store32(at & ~3ull, odd());
	}
}

/* Registers of virtio-mmio (virtio 1.2, 4.2.2). */
static void start_queue(unsigned int dev)
{
	uint64_t b = MMVM_VIRTIO_BASE + dev * MMVM_VIRTIO_STRIDE;

	store32(b + 0x70, 0);
	store32(b + 0x70, 3);
	store32(b + 0x24, 0);
	store32(b + 0x20, below(2) ? 0x30000000 : rnd());
	store32(b + 0x24, 1);
	store32(b + 0x20, 1);
	store32(b + 0x70, 11);
	store32(b + 0x30, 0);
	store32(b + 0x38, 1u << below(9));
	store32(b + 0x80, PLAY_START);
	store32(b + 0x84, 0);
	store32(b + 0x90, PLAY_START + 0x2000);
	store32(b + 0x94, 0);
	store32(b + 0xa0, PLAY_START + 0x4000);
	store32(b + 0xa4, 0);
	store32(b + 0x44, 1);
	store32(b + 0x70, 15);
}

static void chain(unsigned int dev)
{
	struct {
		uint64_t addr;
		uint32_t len;
		uint16_t flags, next;
	} *d = (void *)PLAY_START;
	volatile uint16_t *avail = (void *)(PLAY_START + 0x2000);
	uint64_t head = PLAY_START + 0x6000;

	for (unsigned int i = 0; i < 256; i++) {
		d[i].addr = below(4) ? play() : odd();
		d[i].len = (uint32_t)(below(3) ? below(70000) : odd());
		d[i].flags = rnd() & 7;
		d[i].next = (uint16_t)below(260);
	}
	/* The first is a request as it should be, half of the time. */
	if (below(2)) {
		d[0].addr = head;
		d[0].len = 16;
		d[0].flags = 1;
		d[0].next = 1;
		d[1].len = (uint32_t)(512 * (1 + below(8)));
		d[1].next = 2;
		d[2].len = 1;
		d[2].flags = 2;
	}
	store32(head, below(16));
	*(volatile uint64_t *)(head + 8) = below(2) ? below(1000) : odd();
	for (unsigned int i = 2; i < 258; i++)
		avail[i] = (uint16_t)(below(3) ? 0 : rnd());
	avail[1] = (uint16_t)(avail[1] + (below(3) ? 1 : rnd()));
	store32(MMVM_VIRTIO_BASE + dev * MMVM_VIRTIO_STRIDE + 0x50, 0);
}

static void dma(void)
{
	for (unsigned int i = 0; i < 512; i++)
		((volatile uint64_t *)(PLAY_START + 0x10000))[i] = below(2)   ? play()
								   : below(2) ? below(8)
									      : odd();
	for (unsigned int i = 0; i < 8; i++)
		store32(MMVM_DMAENGINE_BASE + below(32) * 4,
			below(2) ? odd() : PLAY_START + 0x10000);
}

/* ---- what the host reads ---------------------------------------------------------------------- */

static void window(void)
{
	volatile uint64_t *word = (void *)MMVM_SHARED_BASE;
	volatile struct mmvm_trace_ctl *ctl = (void *)(MMVM_SHARED_BASE + MMVM_TRACE_CTL);
	unsigned int cpu = (unsigned int)below(MMVM_MAX_CPUS);

	for (unsigned int i = 0; i < 64; i++)
		word[below(MMVM_SHARED_SIZE / 8)] = odd();
	ctl->ring[cpu].head = (uint32_t)(below(2) ? ctl->ring[cpu].tail + below(200) : rnd());
	outb(0x618, (uint8_t)rnd());
}

static void mailbox(void)
{
	volatile struct mmvm_mailbox *box = &((struct mmvm_shared *)MMVM_SHARED_BASE)->mailbox[0];

	box->op = (uint32_t)below(8);
	box->dst = below(2) ? play() & ~7ull : odd();
	box->src = below(2) ? play() : odd();
	box->len = below(2) ? below(1u << 16) : odd();
	box->value = odd();
	/* Copies over our own code would end the test early. */
	if (box->dst < PLAY_START || box->dst + box->len > PLAY_START + PLAY_SIZE)
		box->dst = PLAY_START + 0x20000, box->len = below(65536);
	outb(MMVM_FASTOP_PORT, 0);
}

static void send_record(void)
{
	static const char *const name[] = {"begin",	   "end",  "device", "access-begin",
					   "access-phase", "swap", "disk0",  "<b>\x1b[31m\"'&"};
	struct mmvm_record *r = &record.rec;

	memset(&record, 0, sizeof(record));
	r->kind = (uint32_t)below(MMVM_REC_KINDS + 2);
	r->len = (uint32_t)(below(2) ? sizeof(record) : odd());
	r->text_len = (uint32_t)(below(3) ? below(sizeof(record.text)) : odd());
	r->value = odd();
	r->value2 = odd();
	/* These end the run. */
	if (r->kind == MMVM_REC_EXIT || r->kind == MMVM_REC_PANIC)
		r->kind = MMVM_REC_REPORT;
	for (unsigned int i = 0; i < 256; i++)
		record.text[i] = (char)rnd();
	if (below(2)) {
		const char *s = name[below(sizeof(name) / sizeof(name[0]))];

		for (unsigned int i = 0; s[i]; i++)
			r->name[i] = s[i];
	} else {
		for (unsigned int i = 0; i < sizeof(r->name); i++)
			r->name[i] = (char)rnd();
	}
	outl(MMVM_TESTCHAN_PORT, (uint32_t)(((uint64_t)&record - MMVM_KERNEL_VIRT) >> 4));
	if (!below(4))
		outl(MMVM_TESTCHAN_PORT, (uint32_t)rnd());
}

static uint64_t some_link(void)
{
	return (uint64_t)&pages[below(FRAMES)].lru;
}

static void random_pages(void)
{
	for (unsigned int i = 0; i < FRAMES; i++) {
		struct page *p = &pages[i];

		memset(p, 0, sizeof(*p));
		p->type = PAGE_RESERVED;
		p->refcount = 1;
		if (below(4))
			continue;
		p->type = (uint8_t)below(NR_PAGE_TYPES + 2);
		p->order = (uint8_t)below(13);
		p->refcount = (int32_t)below(4);
		p->mapcount = (int32_t)below(4) - 1;
		p->mapping = below(2) ? (uint64_t)&mapping : odd();
		p->flags = rnd();
		p->index = odd();
		p->private_ = odd();
		p->lru.next = some_link();
		p->lru.prev = some_link();
	}
}

static void random_root(void)
{
	struct mmvm_audit_root *r = &mmvm_audit_root;
	uint64_t *word = (uint64_t *)r;

	memset(r, 0, sizeof(*r));
	r->magic = MMVM_AUDIT_MAGIC;
	r->version = MMVM_CONTRACT_VERSION;
	r->size = sizeof(*r);
	r->ready = 1;
	r->vmemmap_gva = below(8) ? (uint64_t)pages : odd();
	r->direct_map_gva = MMVM_KERNEL_VIRT;
	r->kernel_pgd_gva = MMVM_KERNEL_VIRT + MMVM_BOOT_PML4;
	r->paging_levels = 4;
	r->nr_ranges = 1;
	r->range[0].end_pfn = FRAMES;
	for (unsigned int z = 0; z < MMVM_MAX_ZONES; z++) {
		struct mmvm_audit_zone *a = &r->zone[z];

		a->present = below(2);
		a->free_area_gva = some_link();
		a->area_stride = (uint32_t)below(5000);
		a->nr_free_offset = (uint32_t)below(5000);
		a->nr_orders = (uint32_t)below(13);
		a->nr_types = (uint32_t)below(8);
		a->nr_pcp_lists = (uint32_t)below(26);
		for (unsigned int c = 0; c < MMVM_MAX_CPUS; c++)
			a->pcp_gva[c] = below(3) ? some_link() : odd();
	}
	for (unsigned int s = 0; s < MMVM_AUDIT_MAX_SWAP; s++) {
		r->swap[s].present = below(2);
		r->swap[s].map_gva = below(2) ? (uint64_t)pages : odd();
		r->swap[s].nr_slots = below(2) ? below(1u << 17) : odd();
		r->swap[s].count_mask = 0x3f;
	}
	for (unsigned int k = 0; k < 11; k++) {
		nodes[k].shift = 6 * k;
		for (unsigned int i = 0; i < 64; i++)
			nodes[k].slots[i] = below(2)   ? (uint64_t)&nodes[k ? k - 1 : below(11)]
					    : below(2) ? odd()
						       : 1;
	}
	mapping.root = (uint64_t)&nodes[10];
	mapping.height = 11;
	r->mapping.height_offset = 8;
	r->mapping.flags_offset = 12;
	r->mapping.nrpages_offset = 16;
	r->mapping.nrvalues_offset = 24;
	r->mapping.node_slots_offset = 8;
	r->mapping.swapped_list_gva = below(2) ? 0 : odd();
	r->mm_list_gva = some_link();
	r->cache_list_gva = some_link();
	r->lruvec_list_gva = below(2) ? some_link() : odd();
	for (unsigned int n = (unsigned int)below(4); n; n--)
		word[below(sizeof(*r) / 8)] = odd();
}

static void ask_for_audit(void)
{
	random_pages();
	random_root();
	memset(&record, 0, sizeof(record.rec));
	record.rec.kind = MMVM_REC_AUDIT;
	record.rec.len = sizeof(record.rec);
	outl(MMVM_TESTCHAN_PORT, (uint32_t)(((uint64_t)&record - MMVM_KERNEL_VIRT) >> 4));
}

/* ---- the run ---------------------------------------------------------------------------------- */

/** "chaos=SEED,STEPS" is somewhere in the tree: numbers after it. */
static uint64_t argument(const char *tree, unsigned int nr)
{
	static const char key[] = "chaos=";

	for (unsigned int at = 0; at < MMVM_FDT_MAX - 64; at++) {
		const char *p = tree + at;
		uint64_t v = 0;
		unsigned int k = 0;

		while (key[k] && p[k] == key[k])
			k++;
		if (key[k])
			continue;
		for (p += k; nr && *p; p++)
			nr -= *p == ',';
		for (; *p >= '0' && *p <= '9'; p++)
			v = v * 10 + (uint64_t)(*p - '0');
		return v;
	}
	return 1000;
}

static void finish(void)
{
	memset(&record, 0, sizeof(record.rec));
	record.rec.kind = MMVM_REC_EXIT;
	record.rec.len = sizeof(record.rec);
	outl(MMVM_TESTCHAN_PORT, (uint32_t)(((uint64_t)&record - MMVM_KERNEL_VIRT) >> 4));
	for (;;)
		__asm__ volatile("pause");
}

void chaos_main(uint64_t fdt)
{
	const char *tree = (const char *)(fdt < MMVM_KERNEL_VIRT ? fdt + MMVM_KERNEL_VIRT : fdt);
	uint64_t steps = argument(tree, 1);

	state = argument(tree, 0) * 0x9e3779b97f4a7c15ull + 1;
	say("chaos: begins\n");
	while (steps--) {
		switch (below(16)) {
		case 0 ... 4:
			registers();
			break;
		case 5:
			start_queue((unsigned int)below(2));
			break;
		case 6 ... 8:
			chain((unsigned int)below(2));
			break;
		case 9:
			dma();
			break;
		case 10 ... 11:
			window();
			break;
		case 12:
			mailbox();
			break;
		case 13 ... 14:
			send_record();
			break;
		default:
			ask_for_audit();
		}
	}
	say("\nchaos: ends\n");
	finish();
}
