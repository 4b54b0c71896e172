/* The audit of pipes: buffers that name no page in use, rings that are too full, references that are lost. */
#include "audit_plant.h"

/* A pipe with a ring of four: a page of the file's cache, a page of the pipe's own twice, the zero page. */
static struct pipe_image {
	struct mmvm_list head, link;
	uint64_t bufs;
	uint32_t ring, first, last, locked;
	struct buffer {
		uint64_t page, held;
		uint32_t start, len;
	} buf[4];
} * b;

static uint64_t page_address_of(uint32_t pfn)
{
	return VMEMMAP + pfn * sizeof(struct page);
}

static void pipes(void)
{
	const uint64_t at = DIRECT + ((uint64_t)im.dma << 12);
	const uint32_t own = im.folio;

	for (unsigned int i = 0; i < 4; i++) {
		set_page(im.folio + i, i ? PAGE_OTHER : PAGE_PIPE, 0, i ? 1 : 2);
		page(im.folio + i)->lru.next = 0;
		page(im.folio + i)->flags &= ~(1ull << PG_head);
	}
	b = (struct pipe_image *)frame_ptr(im.dma);
	memset(b, 0, sizeof(*b));
	b->head.next = b->head.prev = at + offsetof(struct pipe_image, link);
	b->link.next = b->link.prev = at;
	b->bufs = at + offsetof(struct pipe_image, buf);
	b->ring = 4;
	b->first = UINT32_MAX - 1; /* numbers wrap */
	b->last = b->first + 4;
	b->buf[2] = (struct buffer){page_address_of(im.file), page_address_of(im.file), 0, 4096};
	b->buf[3] = (struct buffer){page_address_of(own), page_address_of(own), 0, 100};
	b->buf[0] = (struct buffer){page_address_of(own), page_address_of(own), 100, 1};
	b->buf[1] = (struct buffer){page_address_of(im.zero), 0, 4095, 1};
	page(im.file)->refcount++;
	im.g->root.pipes = (struct mmvm_audit_pipe_layout){
		.list_gva = at,
		.link_offset = offsetof(struct pipe_image, link),
		.locked_offset = offsetof(struct pipe_image, locked),
		.bufs_offset = offsetof(struct pipe_image, bufs),
		.ring_offset = offsetof(struct pipe_image, ring),
		.head_offset = offsetof(struct pipe_image, last),
		.tail_offset = offsetof(struct pipe_image, first),
		.buf_stride = sizeof(struct buffer),
		.buf_page_offset = offsetof(struct buffer, page),
		.buf_held_offset = offsetof(struct buffer, held),
		.buf_start_offset = offsetof(struct buffer, start),
		.buf_len_offset = offsetof(struct buffer, len),
	};
}

static void d_free_page(void)
{
	pipes();
	b->buf[1].page = page_address_of(first_buddy(0, 10, 1) + 5);
}
static void d_no_page(void)
{
	pipes();
	b->buf[3].page = 0x1234;
}
static void d_beyond_the_page(void)
{
	pipes();
	b->buf[0].start = 4096;
}
static void d_empty(void)
{
	pipes();
	b->buf[0].len = 0;
}
static void d_another_page_held(void)
{
	pipes();
	b->buf[2].held = page_address_of(im.folio);
}
static void d_not_held(void)
{
	pipes();
	b->buf[2].held = 0;
}
static void d_too_full(void)
{
	pipes();
	b->last++;
}
static void d_odd_ring(void)
{
	pipes();
	b->ring = 6;
}
static void d_unreadable_buffers(void)
{
	pipes();
	b->bufs = 0xffff000000000000ull;
}
static void d_broken_list(void)
{
	pipes();
	b->link.prev ^= 64;
}
static void d_unreadable(void)
{
	pipes();
	im.g->root.pipes.list_gva = 0xffff000000000000ull;
}
static void d_lost_reference_of_a_file(void)
{
	pipes();
	page(im.file)->refcount--;
}
static void d_reference_too_few(void)
{
	pipes();
	page(im.folio)->refcount = 1;
}
static void d_reference_too_many(void)
{
	pipes();
	page(im.folio)->refcount = 3;
}
static void d_in_no_pipe(void)
{
	pipes();
	page(im.folio + 1)->type = PAGE_PIPE;
}

static const struct damage damages[] = {
	PLANT(d_free_page, AUDIT_PIPE),
	PLANT(d_no_page, AUDIT_PIPE),
	PLANT(d_beyond_the_page, AUDIT_PIPE),
	PLANT(d_empty, AUDIT_PIPE),
	PLANT(d_another_page_held, AUDIT_PIPE),
	PLANT(d_not_held, AUDIT_PIPE),
	PLANT(d_too_full, AUDIT_PIPE),
	PLANT(d_odd_ring, AUDIT_PIPE),
	PLANT(d_unreadable_buffers, AUDIT_PIPE),
	PLANT(d_broken_list, AUDIT_PIPE),
	PLANT(d_unreadable, AUDIT_PIPE),
	PLANT(d_lost_reference_of_a_file, AUDIT_USED_REFCOUNT),
	PLANT(d_reference_too_few, AUDIT_USED_REFCOUNT),
	PLANT(d_reference_too_many, AUDIT_USED_REFCOUNT),
	PLANT(d_in_no_pipe, AUDIT_USED_REFCOUNT),
};

static void findings(void)
{
	plant_all(damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_pipe(void)
{
	int ret;

	build();
	pipes();
	ret = run();
	CU_ASSERT_EQUAL(ret, 0);
	CU_ASSERT_EQUAL(im.r.frames[PAGE_PIPE], 1);
	if (ret)
		audit_print(stderr, "  ", &im.r, AUDIT_WITH_STATES);
	/* Somebody is about to put a page in, or has just taken one out. */
	b->locked = 1;
	page(im.folio)->refcount = 3;
	CU_ASSERT_EQUAL(run(), 0);
}

int main(void)
{
	static const struct unit_case cases[] = {
		{"findings", findings},
		{"a pipe", a_pipe},
	};

	return plant_run("audit: pipes", cases, sizeof(cases) / sizeof(cases[0]));
}
