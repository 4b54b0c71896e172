/* splice, tee, vmsplice: bytes go through pipes as references to the pages they are in. Each test counts the
 * pages that were allocated and the references that pages have, and has the host's audit count them, too. */
#include "fs/internal.h"
#include "fs/iovec.h"
#include "fs/pipe.h"
#include "mm/reclaim/lru.h"
#include "mm/phys/highmem.h"
#include "tests/tests.h"

#define MEM	"memory=24M,high=4M"
#define PLANTED MMVM_TESTF_EXPECT_AUDIT
#define PAGES	8u

static s64 pages_allocated(void)
{
	return ev(PGALLOC_DMA) + ev(PGALLOC_DMA32) + ev(PGALLOC_NORMAL) + ev(PGALLOC_HIGH) +
	       ev(PGALLOC_MOVABLE);
}

/* A file of the root, shared memory, with a word of its own in each page. */
static struct file *make_file(struct test *t)
{
	struct file *f = NULL;

	CHECK_EQ(vfs_open(AT_FDCWD, "/spliced", O_CREAT | O_RDWR, 0644, &f), 0);
	for (u32 i = 0; f && i < PAGES; i++) {
		u64 w = word_for(i, 9);

		CHECK_EQ(kernel_file_write(f->mapping, &w, sizeof(w), (u64)i << PAGE_SHIFT), 8);
	}
	lru_add_drain_all(); /* a page on its way to a list has one more reference */
	return f;
}

static int references(struct file *f, u32 index)
{
	struct page *page = find_get_page(f->mapping, index);
	int n = page ? page_ref_count(page) - 1 : -1;

	if (page)
		put_page(page);
	return n;
}

static bool buffer_is(struct pipe *p, u32 nr, struct file *f, u32 index)
{
	struct page *page = find_get_page(f->mapping, index);
	bool same = page && pipe_buf(p, p->tail + nr)->page == page;

	if (page)
		put_page(page);
	return same;
}

static struct pipe *make_pipe(struct test *t, struct file *end[2])
{
	CHECK_EQ(pipe_files(end, 0), 0);
	return end[0] ? end[0]->private : NULL;
}

static void close_pipe(struct file *end[2])
{
	file_put(end[0]);
	file_put(end[1]);
}

/* What /proc/PID/fd shows: both ends have the same name, another pipe has another one. */
GUEST_TEST(splice, a_pipe_has_a_name, 0, 0, MEM)
{
	struct file *end[2], *other[2];
	char a[32], b[32], c[32], *rest;

	REQUIRE(make_pipe(t, end) && make_pipe(t, other));
	CHECK(file_name(end[0], a, sizeof(a)) == a && !strncmp(a, "pipe:[", 6));
	CHECK(!strcmp(file_name(end[1], b, sizeof(b)), a));
	CHECK(strcmp(file_name(other[0], c, sizeof(c)), a) != 0);
	rest = strchr(a, ']');
	CHECK(rest && !rest[1]);
	close_pipe(end);
	close_pipe(other);
}

GUEST_TEST(splice, file_to_pipe_shares_the_pages, 0, 0, MEM)
{
	struct file *end[2], *other[2], *f = make_file(t);
	struct pipe *p = make_pipe(t, end), *q = make_pipe(t, other);
	s64 before;
	u64 pos = 8;

	REQUIRE(f && p && q);
	CHECK_EQ(references(f, 0), 1);
	before = pages_allocated();
	/* From the middle of the first page to the middle of the fourth. */
	CHECK_EQ(file_to_pipe(f, &pos, p, 3 * PAGE_SIZE, 0), 3 * PAGE_SIZE);
	CHECK_EQ(pages_allocated(), before);
	CHECK_EQ(pos, 3 * PAGE_SIZE + 8);
	CHECK_EQ(p->head - p->tail, 4);
	for (u32 i = 0; i < 4; i++) {
		CHECK(buffer_is(p, i, f, i));
		CHECK_EQ(references(f, i), 2);
	}
	CHECK_EQ(references(f, 4), 1);
	CHECK_EQ(settled_audit(), 0);
	/* tee: another reference; splice to another pipe: the same one. */
	CHECK_EQ(tee_pipes(p, q, PAGE_SIZE, 0), PAGE_SIZE);
	CHECK_EQ(references(f, 0), 3);
	CHECK_EQ(references(f, 1), 3);
	CHECK_EQ(settled_audit(), 0);
	CHECK_EQ(pipe_to_pipe(p, q, 2 * PAGE_SIZE, 0), 2 * PAGE_SIZE);
	CHECK_EQ(references(f, 0), 3);
	CHECK_EQ(references(f, 2), 3); /* cut in two: a part in each pipe */
	CHECK_EQ(pages_allocated(), before);
	CHECK_EQ(settled_audit(), 0);
	/* What was written to the file afterwards is what the pipe gives: nothing was copied. */
	close_pipe(end);
	CHECK_EQ(references(f, 3), 1);
	close_pipe(other);
	for (u32 i = 0; i < PAGES; i++)
		CHECK_EQ(references(f, i), 1);
	file_put(f);
}

GUEST_TEST(splice, pages_outlive_their_file, 0, 0, MEM)
{
	struct file *end[2], *f = make_file(t);
	struct pipe *p = make_pipe(t, end);
	u64 pos = 0;
	u64 w;

	REQUIRE(f && p);
	CHECK_EQ(file_to_pipe(f, &pos, p, ~0ull >> 1, 0), (PAGES - 1) * PAGE_SIZE + 8);
	CHECK_EQ(vfs_unlink(AT_FDCWD, "/spliced"), 0);
	file_put(f);
	CHECK_EQ(global_stat(NR_SHMEM), root_pages());
	for (u32 i = 0; i < PAGES; i++) {
		const struct pipe_buffer *b = pipe_buf(p, p->tail + i);

		memcpy_from_page(&w, b->page, 0, sizeof(w));
		CHECK_EQ(w, word_for(i, 9));
		CHECK_EQ(page_ref_count(b->page), 1);
	}
	CHECK_EQ(settled_audit(), 0);
	close_pipe(end);
}

GUEST_TEST(splice, holes_are_the_zero_page, 0, 0, MEM)
{
	struct file *end[2], *f = NULL;
	struct pipe *p = make_pipe(t, end);
	int zeroes = page_ref_count(zero_page);
	u64 pos = 0;

	CHECK_EQ(vfs_open(AT_FDCWD, "/hole", O_CREAT | O_RDWR, 0644, &f), 0);
	REQUIRE(f && p);
	CHECK_EQ(vfs_truncate(f->inode, 3 * PAGE_SIZE), 0);
	CHECK_EQ(file_to_pipe(f, &pos, p, 3 * PAGE_SIZE, 0), 3 * PAGE_SIZE);
	CHECK(pipe_buf(p, p->tail)->page == zero_page);
	CHECK_EQ(page_ref_count(zero_page), zeroes);
	CHECK_EQ(f->mapping->nrpages, 0);
	CHECK_EQ(settled_audit(), 0);
	close_pipe(end);
	CHECK_EQ(page_ref_count(zero_page), zeroes);
	file_put(f);
}

GUEST_TEST(splice, memory_to_pipe_shares_the_pages, 0, 0, MEM)
{
	struct mm_struct *mm = testmm_create(t);
	struct file *end[2];
	struct pipe *p = make_pipe(t, end);
	unsigned long at = mm ? testmm_map(t, mm, PAGES * PAGE_SIZE) : 0;
	struct page *page;
	struct iov_iter v;
	s64 before;
	u64 w;

	REQUIRE(p && at);
	for (u32 i = 0; i < PAGES - 1; i++)
		CHECK_EQ(testmm_write(mm, at + i * PAGE_SIZE, word_for(i, 1)), 0);
	lru_add_drain_all();
	page = testmm_page(mm, at);
	before = pages_allocated();
	/* The last page was never written to: it is the zero page. */
	iov_one(&v, at, PAGES * PAGE_SIZE);
	CHECK_EQ(memory_to_pipe(mm, &v, p, 0), PAGES * PAGE_SIZE);
	CHECK_EQ(pages_allocated(), before);
	CHECK(pipe_buf(p, p->tail)->page == page);
	CHECK_EQ(page_ref_count(page), 2);
	CHECK(pipe_buf(p, p->tail + PAGES - 1)->page == zero_page);
	CHECK_EQ(settled_audit(), 0);
	/* The program's next write is seen in the pipe. Then its memory goes, and the page stays. */
	CHECK_EQ(testmm_write(mm, at, 77), 0);
	memcpy_from_page(&w, pipe_buf(p, p->tail)->page, 0, sizeof(w));
	CHECK_EQ(w, 77);
	CHECK_EQ(do_munmap(mm, at, PAGES * PAGE_SIZE), 0);
	CHECK_EQ(page_ref_count(page), 1);
	CHECK_EQ(settled_audit(), 0);
	/* Reclaim does not take what the pipe holds. */
	shrink_slab(GFP_KERNEL, 0);
	memcpy_from_page(&w, pipe_buf(p, p->tail)->page, 0, sizeof(w));
	CHECK_EQ(w, 77);
	close_pipe(end);
	mmput(mm);
}

GUEST_TEST(splice, a_resized_pipe_keeps_its_references, 0, 0, MEM)
{
	struct file *end[2], *f = make_file(t);
	struct pipe *p = make_pipe(t, end);
	u64 pos = 0;

	REQUIRE(f && p);
	CHECK_EQ(file_to_pipe(f, &pos, p, PAGE_SIZE, 0), PAGE_SIZE);
	mutex_lock(&p->lock);
	pipe_consume(p, PAGE_SIZE); /* so that the ring begins in the middle */
	mutex_unlock(&p->lock);
	CHECK_EQ(file_to_pipe(f, &pos, p, 4 * PAGE_SIZE, 0), 4 * PAGE_SIZE);
	CHECK_EQ(pipe_set_size(end[0], 2 * PAGE_SIZE), -EBUSY);
	CHECK_EQ(pipe_set_size(end[0], 3 * PAGE_SIZE + 1), 4 * PAGE_SIZE);
	for (u32 i = 0; i < 4; i++)
		CHECK(buffer_is(p, i, f, i + 1));
	CHECK_EQ(file_to_pipe(f, &pos, p, PAGE_SIZE, SPLICE_F_NONBLOCK), -EAGAIN);
	CHECK_EQ(pipe_set_size(end[0], 64 * PAGE_SIZE), 64 * PAGE_SIZE);
	CHECK_EQ(file_to_pipe(f, &pos, p, PAGE_SIZE, SPLICE_F_NONBLOCK), PAGE_SIZE);
	for (u32 i = 0; i < 5; i++)
		CHECK(buffer_is(p, i, f, i + 1));
	CHECK_EQ(settled_audit(), 0);
	close_pipe(end);
	for (u32 i = 0; i < PAGES; i++)
		CHECK_EQ(references(f, i), 1);
	file_put(f);
}

/* Several writers take each other's room. */
#define WRITERS 3
#define ROUNDS	1000ul

static struct {
	struct file *f;
	struct pipe *p;
	u32 running, wrong; /* atomic */
	struct wait_queue done;
} rush;

static int rush_writer(void *arg)
{
	for (u32 moved = 0; moved < ROUNDS;) {
		u64 pos = 0;

		if (file_to_pipe(rush.f, &pos, rush.p, PAGE_SIZE, 0) == PAGE_SIZE)
			moved++;
		else
			atomic_add(&rush.wrong, 1);
	}
	atomic_sub(&rush.running, 1);
	wake_up(&rush.done);
	return 0;
}

GUEST_TEST(splice, no_room_is_not_the_end_of_the_file, 0, 120, MEM " cpus=2")
{
	struct file *end[2], *f = make_file(t);
	struct pipe *p = make_pipe(t, end);
	u64 got = 0;

	REQUIRE(f && p);
	CHECK_EQ(pipe_set_size(end[0], PAGE_SIZE), PAGE_SIZE);
	rush.f = f;
	rush.p = p;
	rush.running = WRITERS;
	wait_queue_init(&rush.done);
	for (u32 i = 0; i < WRITERS; i++)
		REQUIRE(!kthread_run(rush_writer, NULL, "splice"));
	while (got < WRITERS * ROUNDS * PAGE_SIZE) {
		wait_event(&p->wq, !pipe_empty(p));
		mutex_lock(&p->lock);
		got += pipe_buf(p, p->tail)->len;
		pipe_consume(p, PAGE_SIZE);
		mutex_unlock(&p->lock);
		wake_up(&p->wq);
	}
	wait_event(&rush.done, !atomic_load(&rush.running));
	CHECK_EQ(rush.wrong, 0);
	CHECK_EQ(references(f, 0), 1);
	close_pipe(end);
	file_put(f);
}

/* ---- what the audit has to find --------------------------------------------------------------- */

enum page_owner { OF_A_FILE, OF_THE_PIPE };

static struct page *in_a_pipe(struct test *t, enum page_owner whose)
{
	struct file *end[2], *f = make_file(t);
	struct pipe *p = make_pipe(t, end);
	u64 pos = 0;

	if (!f || !p)
		return NULL;
	CHECK_EQ(file_to_pipe(f, &pos, p, PAGE_SIZE, 0), PAGE_SIZE);
	if (whose == OF_THE_PIPE) {
		struct page *page = alloc_pages_type(GFP_KERNEL, 0, PAGE_PIPE);
		struct pipe_buffer b = {.page = page, .held = page, .len = 1};

		if (page)
			pipe_push(p, &b);
		return page;
	}
	return pipe_buf(p, p->tail)->page;
}

GUEST_TEST(splice, a_lost_reference_on_a_files_page, PLANTED, 0, MEM)
{
	struct page *page = in_a_pipe(t, OF_A_FILE);

	REQUIRE(page);
	put_page(page);
	test_expect_audit(t, "used_refcount");
}

GUEST_TEST(splice, a_lost_reference_on_a_pipes_page, PLANTED, 0, MEM)
{
	struct page *page = in_a_pipe(t, OF_THE_PIPE);

	REQUIRE(page);
	get_page(page);
	test_expect_audit(t, "used_refcount");
}

GUEST_TEST(splice, a_free_page_in_a_pipe, PLANTED, 0, MEM)
{
	struct page *page = in_a_pipe(t, OF_THE_PIPE);

	REQUIRE(page);
	put_page(page);
	test_expect_audit(t, "pipe");
}
