/*
 * The page cache against an array of bytes: random reads, writes, truncations, syncs, evictions,
 * read-ahead and memory that fails, on files whose writes end some time later. What is read is
 * compared at once; after a sync the store must hold the array; now and then every page, tag and
 * count is checked.
 *
 *   pagecache [SEED [OPERATIONS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "host.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/cache/filemap.h"
#include "mm/virt/mm.h"
#include "mm/slab/slab.h"

#define NR_FILES  3
#define MAX_PAGES 300ull
#define MAX_SIZE  (MAX_PAGES * PAGE_SIZE)
static struct file_model {
	struct address_space mapping;
	struct file_ra_state ra;
	u8 *store;   /* the disk: only what was written */
	u8 *content; /* what a reader must see; zero beyond the size */
} file[NR_FILES];
static unsigned long op;
static u8 buf[40 * PAGE_SIZE] __attribute__((aligned(4096)));

#define REQUIRE(cond, ...)                                              \
	do {                                                            \
		if (!(cond)) {                                          \
			fprintf(stderr, "operation %lu: " __VA_ARGS__); \
			fputc('\n', stderr);                            \
			exit(1);                                        \
		}                                                       \
	} while (0)

/* ---- a file system that keeps its promises, slowly -------------------------------------------- */

#define MAX_UNDER_WAY 64
static struct page *under_way[MAX_UNDER_WAY];
static unsigned int nr_under_way;

static struct file_model *model_of(const struct address_space *m)
{
	return container_of(m, struct file_model, mapping);
}

static bool end_one(void)
{
	struct page *page;
	unsigned int i;

	if (!nr_under_way)
		return false;
	i = get_random_u64() % nr_under_way;
	page = under_way[i];
	under_way[i] = under_way[--nr_under_way];
	end_page_writeback(page);
	return true;
}

static int readpages(struct address_space *m, struct page **pages, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		REQUIRE(PageLocked(pages[i]) && !PageUptodate(pages[i]), "read of a page in use",
			op);
		REQUIRE(!i || pages[i]->index == pages[i - 1]->index + 1, "no neighbours", op);
		memcpy(host_page(pages[i]), model_of(m)->store + pages[i]->index * PAGE_SIZE,
		       PAGE_SIZE);
		SetPageUptodate(pages[i]);
		unlock_page(pages[i]);
	}
	return 0;
}

static int writepage(struct page *page, struct writeback_control *wbc)
{
	struct address_space *m = page_mapping_file(page);
	u64 start = page->index * PAGE_SIZE, size = m->size;

	REQUIRE(PageLocked(page) && !PageDirty(page) && !PageWriteback(page), "write of a page",
		op);
	if (start < size && size - start < PAGE_SIZE)
		memset((char *)host_page(page) + (size - start), 0, PAGE_SIZE - (size - start));
	while (nr_under_way == MAX_UNDER_WAY)
		end_one();
	set_page_writeback(page);
	memcpy(model_of(m)->store + start, host_page(page), PAGE_SIZE);
	under_way[nr_under_way++] = page;
	unlock_page(page);
	return 0;
}

static int write_begin(struct address_space *m, u64 pos, unsigned int len, struct page **result)
{
	struct page *page = find_or_create_page(m, pos >> PAGE_SHIFT, GFP_HIGHUSER_MOVABLE);
	int err;

	if (!page)
		return -ENOMEM;
	if (!PageUptodate(page) && len < PAGE_SIZE) {
		unlock_page(page);
		put_page(page);
		page = read_cache_page(m, pos >> PAGE_SHIFT, &err);
		if (!page)
			return err;
		lock_page(page);
	}
	*result = page;
	return 0;
}

static int write_end(struct address_space *m, u64 pos, unsigned int len, unsigned int copied,
		     struct page *page)
{
	if (!PageUptodate(page)) {
		if (copied == PAGE_SIZE)
			SetPageUptodate(page);
		else
			copied = 0;
	}
	if (copied) {
		m->size = max(m->size, pos + copied);
		set_page_dirty(page);
	}
	unlock_page(page);
	put_page(page);
	return copied;
}

static const struct address_space_ops ops = {.readpages = readpages,
					     .writepage = writepage,
					     .write_begin = write_begin,
					     .write_end = write_end};

/* ---- checks ----------------------------------------------------------------------------------- */

static void check_all(void)
{
	s64 dirty = 0, writeback = 0, cached = 0, shadows = 0;

	for (unsigned int f = 0; f < NR_FILES; f++) {
		struct address_space *m = &file[f].mapping;
		unsigned long index = 0;
		u64 pages = 0, values = 0;
		void *item;

		for (; (item = radix_next(&m->pages, &index)); index++) {
			struct page *page = item;

			if (radix_is_value(item)) {
				values++;
				continue;
			}
			pages++;
			REQUIRE(page->mapping == m && page->index == index, "page %lu", op, index);
			REQUIRE(page->type == PAGE_FILE && !PageLocked(page), "page %lu", op,
				index);
			REQUIRE(index < DIV_ROUND_UP(m->size, PAGE_SIZE), "page %lu beyond", op,
				index);
			REQUIRE(radix_tag_get(&m->pages, index, PAGECACHE_TAG_DIRTY) ==
					PageDirty(page),
				"DIRTY of page %lu", op, index);
			REQUIRE(radix_tag_get(&m->pages, index, PAGECACHE_TAG_WRITEBACK) ==
					PageWriteback(page),
				"WRITEBACK of page %lu", op, index);
			REQUIRE(PageUptodate(page), "page %lu is not uptodate", op, index);
			REQUIRE(!memcmp(host_page(page), file[f].content + index * PAGE_SIZE,
					min(m->size - index * PAGE_SIZE, (u64)PAGE_SIZE)),
				"contents of page %lu", op, index);
			dirty += PageDirty(page);
			writeback += PageWriteback(page);
			if (PageDirty(page) || PageWriteback(page))
				REQUIRE(!list_empty(&m->dirty_list), "file %u is on no list", op,
					f);
		}
		REQUIRE(pages == m->nrpages && values == m->nrvalues, "counts of file %u", op, f);
		cached += pages;
		shadows += values;
	}
	REQUIRE(cached == global_stat(NR_FILE_PAGES), "NR_FILE_PAGES", op);
	REQUIRE(dirty == global_stat(NR_FILE_DIRTY), "NR_FILE_DIRTY", op);
	REQUIRE(writeback == global_stat(NR_WRITEBACK), "NR_WRITEBACK", op);
	REQUIRE(shadows == nr_shadows, "shadows", op);
	lru_add_drain();
	REQUIRE(count_frames(PAGE_FILE) == (u64)cached, "pages of no file", op);
	REQUIRE(!check_pages(), "pages", op);
}

static void sync_and_compare(struct file_model *f)
{
	REQUIRE(!filemap_write_and_wait_range(&f->mapping, 0, ~0ull >> 1), "sync", op);
	REQUIRE(!memcmp(f->store, f->content, f->mapping.size), "the store is not the file", op);
}

/* ---- operations ------------------------------------------------------------------------------- */

static void do_read(struct file_model *f, u64 pos, size_t n)
{
	u64 size = f->mapping.size, want = pos < size ? min(n, size - pos) : 0, at = pos;
	long got;

	if (get_random_u64() % 16 == 0)
		alloc_fail_nth(1 + get_random_u64() % 6);
	got = generic_file_read(&f->mapping, &f->ra, (unsigned long)buf, n, &at);
	alloc_fail_nth(0);
	REQUIRE(got == (long)want || got == -ENOMEM || (got > 0 && got < (long)want),
		"read of %zu at %lu: %ld", op, n, (unsigned long)pos, got);
	if (got > 0)
		REQUIRE(!memcmp(buf, f->content + pos, got), "read at %lu", op, (unsigned long)pos);
}

static void do_write(struct file_model *f, u64 pos, size_t n)
{
	u64 at = pos, old = f->mapping.size;
	long got;

	for (size_t i = 0; i < n; i++)
		buf[i] = get_random_u64();
	if (get_random_u64() % 16 == 0)
		alloc_fail_nth(1 + get_random_u64() % 6);
	if (get_random_u64() % 8 == 0)
		host_user_fault = (struct host_user_fault){
			.start = (unsigned long)buf + n / 2 / PAGE_SIZE * PAGE_SIZE,
			.end = (unsigned long)buf + n / 2 / PAGE_SIZE * PAGE_SIZE + PAGE_SIZE,
			.can_resolve = get_random_u64() & 1};
	got = generic_file_write(&f->mapping, (unsigned long)buf, n, &at, MAX_SIZE);
	host_user_fault = (struct host_user_fault){0};
	alloc_fail_nth(0);
	REQUIRE(got <= (long)min(n, MAX_SIZE - pos), "wrote too much", op);
	REQUIRE(got > 0 || !n || got == -ENOMEM || got == -EFAULT, "write: %ld", op, got);
	if (got > 0)
		memcpy(f->content + pos, buf, got);
	REQUIRE(f->mapping.size == max(old, got > 0 ? pos + got : 0), "size", op);
}

static void set_size(struct file_model *f, u64 size)
{
	u64 old = f->mapping.size;

	f->mapping.size = size;
	if (size < old) {
		memset(f->content + size, 0, old - size);
		memset(f->store + size, 0, MAX_SIZE - size);
		truncate_pagecache(&f->mapping, size);
	}
}

static void evict_one(struct file_model *f, unsigned long index)
{
	struct page *page;

	lru_add_drain();
	page = find_lock_page(&f->mapping, index);
	if (!page)
		return;
	if (page_cache_evict(page)) {
		ClearPageLocked(page);
		release_dead_page(page);
		return;
	}
	REQUIRE(PageDirty(page) || PageWriteback(page), "a page that cannot be evicted", op);
	unlock_page(page);
	put_page(page);
}

static void step(void)
{
	struct file_model *f = &file[get_random_u64() % NR_FILES];
	u64 r = get_random_u64(), size = f->mapping.size;
	u64 pos = r % 5 == 0 ? size & ~(PAGE_SIZE - 1) : (r >> 8) % (size + 3 * PAGE_SIZE);
	size_t n = r >> 40 & 1 ? (r >> 16) % 200 : (r >> 16) % (sizeof(buf) - PAGE_SIZE);

	pos = min(pos, MAX_SIZE - 1);
	host_time_ns += 1000;
	switch ((r >> 32) % 20) {
	case 0 ... 6:
		do_read(f, pos, n);
		break;
	case 7 ... 11:
		do_write(f, pos, n);
		break;
	case 12:
		if (r >> 50 & 1)
			set_size(f, (r >> 12) % MAX_SIZE);
		else
			set_size(f, pos);
		break;
	case 13:
		REQUIRE(!filemap_write_and_wait_range(&f->mapping, pos, pos + n), "sync", op);
		break;
	case 14:
		writeback_pass(r >> 50 & 1 ? ~0ull : 0);
		break;
	case 15 ... 16:
		for (unsigned int i = 0; i < 10; i++)
			evict_one(f, get_random_u64() % MAX_PAGES);
		break;
	case 17:
		force_page_cache_readahead(&f->mapping, pos >> PAGE_SHIFT, (pos + n) >> PAGE_SHIFT);
		break;
	case 18:
		invalidate_mapping_pages(&f->mapping, pos >> PAGE_SHIFT, (pos + n) >> PAGE_SHIFT);
		if (op % 50 == 0)
			drop_pagecache();
		if (op % 70 == 0)
			shrink_slab(GFP_KERNEL, 0);
		break;
	default:
		for (unsigned int i = 0; i < r % 40; i++)
			end_one();
		if (op % 10 == 0)
			sync_and_compare(f);
	}
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned long operations = argc > 2 ? strtoul(argv[2], NULL, 0) : 20000;

	host_boot_default("debug_vm");
	mm_init();
	host_idle_hook = end_one;
	for (unsigned int f = 0; f < NR_FILES; f++) {
		address_space_init(&file[f].mapping, NULL, &ops, 0);
		file_ra_state_init(&file[f].ra);
		file[f].store = calloc(1, MAX_SIZE);
		file[f].content = calloc(1, MAX_SIZE);
	}
	host_random = seed * 0x9e3779b97f4a7c15ull + 1;
	for (op = 0; op < operations; op++) {
		step();
		if (op % 500 == 0)
			check_all();
	}
	check_all();
	for (unsigned int f = 0; f < NR_FILES; f++) {
		sync_and_compare(&file[f]);
		truncate_inode_pages(&file[f].mapping);
		writeback_forget(&file[f].mapping);
	}
	check_all();
	REQUIRE(!radix_nr_nodes, "%ld nodes are left", op, (long)radix_nr_nodes);
	printf("page cache: %lu operations, seed %lu, %lu refaults\n", operations,
	       (unsigned long)seed, (unsigned long)sum_vm_event(WORKINGSET_REFAULT_FILE));
	return 0;
}
