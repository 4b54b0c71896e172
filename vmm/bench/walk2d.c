/*
 * A two-dimensional page walk in software.
 *
 *   gva --guest tables--> gpa --second stage--> hpa
 *
 *   level     4      3      2      1     data          * an entry of the guest's tables
 *             *      *      *      *                   n a walk of the second stage, for the
 *            n      n      n      n     n                address of the entry, or of the data
 *
 * so a miss with 4 KiB pages on both sides refers to 4 x (4 + 1) + 4 = 24 words.
 *
 * Memory is an array of pages; a page's number is its host frame. A guest frame g has the host frame
 * g + SHIFT, both for tables and for data, so that an address which missed a translation is seen to
 * be wrong. With 2 MiB pages the second stage maps whole blocks by the same rule.
 *
 *   I1  An entry is 0 or a frame's address with PRESENT; LARGE ends a walk at level 2.
 *   I2  Every table of the guest is written through its host frame, and read through a walk.
 */
#include "bench/walk2d.h"

#include <errno.h>
#include <stdlib.h>

#define PRESENT	    1ull
#define LARGE	    0x80ull
#define ADDRESS	    0x000ffffffffff000ull
#define PAGE	    4096ull
#define WORDS	    512u
#define NR_FRAMES   64u		  /* tables of both stages */
#define GUEST_BASE  (16ull << 20) /* first guest-physical table */
#define HOST_SHIFT  (1ull << 30)  /* hpa = gpa + this */
#define NESTED_BASE (8ull << 30)  /* host-physical addresses of the second stage's own tables */
#define DATA_BASE   (512ull << 20)

struct memory {
	uint64_t (*frame)[WORDS];
	uint64_t at[NR_FRAMES]; /* host-physical address of each frame */
	unsigned int nr;
	unsigned int nr_guest, nr_nested; /* tables so far */
};

static uint64_t *word(struct memory *m, uint64_t hpa)
{
	for (unsigned int i = 0; i < m->nr; i++)
		if (m->at[i] == (hpa & ~(PAGE - 1)))
			return &m->frame[i][hpa % PAGE / sizeof(uint64_t)];
	return NULL;
}

static int add_frame(struct memory *m, uint64_t hpa)
{
	if (m->nr == NR_FRAMES)
		return -ENOMEM;
	m->at[m->nr++] = hpa;
	return 0;
}

static unsigned int table_index(uint64_t address, unsigned int level)
{
	return (unsigned int)(address >> (12 + 9 * (level - 1))) % WORDS;
}

/** Map `from` to `to` in the tables at `root`, which lie at their address plus `shift`. New tables
 * are taken from `next`, one page each. */
static int map(struct memory *m, uint64_t root, uint64_t shift, uint64_t base, unsigned int *next,
	       uint64_t from, uint64_t to, enum walk2d_size size)
{
	unsigned int last = size == WALK2D_2M ? 2 : 1;
	uint64_t table = root;

	for (unsigned int level = 4;; level--) {
		uint64_t *e = word(m, table + shift + table_index(from, level) * sizeof(*e));

		if (!e)
			return -EFAULT;
		if (level == last) {
			*e = to | PRESENT | (last == 2 ? LARGE : 0);
			return 0;
		}
		if (!*e) {
			uint64_t fresh = base + (*next)++ * PAGE;
			int rc = add_frame(m, fresh + shift);

			if (rc)
				return rc;
			*e = fresh | PRESENT;
		}
		table = *e & ADDRESS;
	}
}

/** Walk one stage, whose tables are read as they lie in host memory. */
static int walk_one(struct memory *m, uint64_t root, uint64_t address, unsigned int *refs,
		    uint64_t *out)
{
	uint64_t table = root;

	for (unsigned int level = 4; level; level--) {
		const uint64_t *e = word(m, table + table_index(address, level) * sizeof(*e));

		++*refs;
		if (!e || !(*e & PRESENT))
			return -EFAULT;
		if (level == 1 || (*e & LARGE)) {
			uint64_t mask = level == 1 ? PAGE - 1 : WORDS * PAGE - 1;

			*out = (*e & ADDRESS & ~mask) | (address & mask);
			return 0;
		}
		table = *e & ADDRESS;
	}
	return -EFAULT;
}

static uint64_t data_gpa(uint64_t gva)
{
	return DATA_BASE + gva % (WORDS * PAGE);
}

uint64_t walk2d_expected(uint64_t gva)
{
	return data_gpa(gva) + HOST_SHIFT;
}

static int memory_init(struct memory *m)
{
	m->frame = calloc(NR_FRAMES, sizeof(*m->frame));
	return m->frame ? 0 : -ENOMEM;
}

/** What a stage's entry maps: the page, or the block of 2 MiB, that holds `address`. */
static uint64_t block(uint64_t address, enum walk2d_size size)
{
	return address & ~((size == WALK2D_2M ? WORDS * PAGE : PAGE) - 1);
}

/** Give the second stage what it must map: the guest's tables and the data. */
static int map_nested(struct memory *m, enum walk2d_size size, uint64_t gva)
{
	uint64_t gpa;
	int rc = 0;

	for (unsigned int i = 0; i <= m->nr_guest && !rc; i++) {
		gpa = block(i < m->nr_guest ? GUEST_BASE + i * PAGE : data_gpa(gva), size);
		rc = map(m, NESTED_BASE, 0, NESTED_BASE, &m->nr_nested, gpa, gpa + HOST_SHIFT,
			 size);
	}
	return rc;
}

int walk2d_nested(enum walk2d_size guest, enum walk2d_size host, uint64_t gva,
		  struct walk2d_refs *out)
{
	struct memory m = {.nr_guest = 1, .nr_nested = 1};
	uint64_t table = GUEST_BASE, hpa;
	int rc = memory_init(&m);

	*out = (struct walk2d_refs){0};
	if (rc)
		return rc;
	add_frame(&m, GUEST_BASE + HOST_SHIFT);
	add_frame(&m, NESTED_BASE);
	rc = map(&m, GUEST_BASE, HOST_SHIFT, GUEST_BASE, &m.nr_guest, gva,
		 block(data_gpa(gva), guest), guest);
	if (!rc)
		rc = map_nested(&m, host, gva);
	for (unsigned int level = 4; level && !rc; level--) {
		const uint64_t *e;

		rc = walk_one(&m, NESTED_BASE, table + table_index(gva, level) * sizeof(*e),
			      &out->nested, &hpa);
		if (rc)
			break;
		e = word(&m, hpa);
		out->guest++;
		if (!e || !(*e & PRESENT)) {
			rc = -EFAULT;
		} else if (level == 1 || (*e & LARGE)) {
			uint64_t mask = level == 1 ? PAGE - 1 : WORDS * PAGE - 1;

			rc = walk_one(&m, NESTED_BASE, (*e & ADDRESS & ~mask) | (gva & mask),
				      &out->nested, &out->address);
			break;
		} else {
			table = *e & ADDRESS;
		}
	}
	free(m.frame);
	return rc;
}

int walk2d_shadow(enum walk2d_size guest, enum walk2d_size host, uint64_t gva,
		  struct walk2d_refs *out)
{
	enum walk2d_size size = guest == WALK2D_2M && host == WALK2D_2M ? WALK2D_2M : WALK2D_4K;
	struct memory m = {.nr_nested = 1};
	int rc = memory_init(&m);

	*out = (struct walk2d_refs){0};
	if (rc)
		return rc;
	add_frame(&m, NESTED_BASE);
	rc = map(&m, NESTED_BASE, 0, NESTED_BASE, &m.nr_nested, gva,
		 block(data_gpa(gva), size) + HOST_SHIFT, size);
	if (!rc)
		rc = walk_one(&m, NESTED_BASE, gva, &out->guest, &out->address);
	free(m.frame);
	return rc;
}
