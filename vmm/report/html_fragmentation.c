/*
 * Fragmentation in the report: free memory by the order of its blocks, large folios and migrate types over time, and
 * three maps of address by time. Levels, and the columns of maps, are those of the interval's last sample that has
 * them.
 */
#include "report/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB_PAGES ((1 << 20) / MMVM_PAGE_SIZE)

struct fragmentation_plots {
	FILE *f;
	const struct run_result *r;
	unsigned int n;
	const double *t;
	const struct run_fragmentation *at[PLOT_POINTS]; /* NULL: no sample in the interval */
	double y[PLOT_SERIES][PLOT_POINTS];
	char name[PLOT_SERIES][32];
};

static void draw(struct fragmentation_plots *fp, struct plot *p)
{
	p->n = fp->n;
	p->t = fp->t;
	if (p->nr_series)
		html_plot(fp->f, p);
}

static void plot_orders(struct fragmentation_plots *fp)
{
	struct plot p = {
		.kind = PLOT_STACK,
		.title = "Free memory by the size of its blocks",
		.unit = "MiB",
		.caption = "Free blocks of the guest's buddy and per-CPU lists, by order: a block "
			   "of order "
			   "n is 2^n pages. An allocation of order n needs one of order n or more.",
	};

	for (unsigned int order = RUN_FREE_ORDERS; order--;) {
		double *y = fp->y[p.nr_series];
		bool any = false;

		for (unsigned int i = 0; i < fp->n; i++) {
			y[i] = fp->at[i] ? (double)fp->at[i]->free_blocks[order] *
						   (double)(1u << order) / MIB_PAGES
					 : 0;
			any |= y[i] > 0;
		}
		if (!any)
			continue;
		snprintf(fp->name[p.nr_series], sizeof(fp->name[0]), "order %u", order);
		p.series[p.nr_series] =
			(struct plot_series){fp->name[p.nr_series], order % HTML_COLOURS, y};
		p.nr_series++;
	}
	draw(fp, &p);
}

/** Add a series with a level of each sample, in MiB; `per_mib` units are one MiB. */
static void add_level(struct fragmentation_plots *fp, struct plot *p, const char *name,
		      size_t field, double per_mib)
{
	const unsigned int s = p->nr_series;
	bool any = false;

	for (unsigned int i = 0; i < fp->n; i++) {
		uint32_t v = 0;

		if (fp->at[i])
			memcpy(&v, (const char *)fp->at[i] + field, sizeof(v));
		fp->y[s][i] = v / per_mib;
		any |= v > 0;
	}
	if (any)
		p->series[p->nr_series++] = (struct plot_series){name, s, fp->y[s]};
}

#define FIELD(member) __builtin_offsetof(struct run_fragmentation, member)

static void plot_huge(struct fragmentation_plots *fp)
{
	struct plot p = {
		.kind = PLOT_STACK,
		.title = "Memory in large folios",
		.unit = "MiB",
		.caption = "Frames of folios of more than one page, by what they hold.",
	};

	add_level(fp, &p, "anonymous", FIELD(huge_anon), MIB_PAGES);
	add_level(fp, &p, "shared memory", FIELD(huge_shmem), MIB_PAGES);
	add_level(fp, &p, "hugetlb", FIELD(huge_hugetlb), MIB_PAGES);
	draw(fp, &p);
}

static void plot_types(struct fragmentation_plots *fp)
{
#define TYPE_(name, text) text,
	static const char *const names[] = {RUN_BLOCK_TYPES(TYPE_)};
#undef TYPE_
	struct plot p = {
		.kind = PLOT_STACK,
		.title = "Pageblocks by migrate type",
		.unit = "MiB",
		.caption = "Of 2 MiB each, as the guest's zones say.",
	};

	for (unsigned int type = 0; type < RUN_NR_BLOCK_TYPES; type++)
		add_level(fp, &p, names[type], FIELD(block_types) + type * sizeof(uint32_t), 0.5);
	draw(fp, &p);
}

/** Draw a map: RUN_HEAT_BUCKETS numbers for each sample. */
static int map(struct fragmentation_plots *fp, const char *title, const char *unit,
	       const char *caption, size_t field)
{
	const uint64_t pages = (fp->r->ram_low + fp->r->ram_high) / MMVM_PAGE_SIZE;
	struct heatmap h = {
		.title = title,
		.unit = unit,
		.caption = caption,
		.n = fp->n,
		.t = fp->t,
		.row_mib = (double)fp->r->heat_pages / MIB_PAGES,
		.split_mib = fp->r->ram_high ? (double)fp->r->ram_low / (1 << 20) : 0,
		.split_name = "above: RAM from 4 GiB on",
	};
	bool any = false;
	double *cell;

	h.rows = (unsigned int)((pages + fp->r->heat_pages - 1) / fp->r->heat_pages);
	if (h.rows > RUN_HEAT_BUCKETS)
		h.rows = RUN_HEAT_BUCKETS;
	cell = calloc((size_t)h.rows * h.n, sizeof(*cell));
	if (!cell)
		return -ENOMEM;
	for (unsigned int row = 0; row < h.rows; row++) {
		for (unsigned int i = 0; i < h.n; i++) {
			uint32_t v = 0;

			if (fp->at[i])
				memcpy(&v, (const char *)fp->at[i] + field + row * sizeof(v),
				       sizeof(v));
			cell[row * h.n + i] = v;
			any |= v > 0;
		}
	}
	h.cell = cell;
	if (any)
		html_heatmap(fp->f, &h);
	free(cell);
	return 0;
}

static int maps(struct fragmentation_plots *fp)
{
	int err;

	err = map(fp, "How free memory is cut: address × time", "pages of the free block",
		  "For the free pages of each part of memory, the mean size of the free block that "
		  "they are in. Hot: whole blocks of up to 1,024 pages. Cold: single pages. White: "
		  "nothing is free.",
		  FIELD(map_block));
	if (!err)
		err = map(fp, "Where large folios are: address × time", "pages of large folios", "",
			  FIELD(map_huge));
	if (!err)
		err = map(
			fp, "Pageblocks that are not movable: address × time", "pages",
			"Memory that compaction cannot make whole: the kernel's own pages are put "
			"there.",
			FIELD(map_unmovable));
	return err;
}

int html_fragmentation(FILE *f, const struct run_result *r, unsigned int n, const double *t,
		       const unsigned int *first)
{
	struct fragmentation_plots *fp;
	bool any = false;
	int err;

	if (!r->heat_pages || !n || n > PLOT_POINTS)
		return 0;
	fp = calloc(1, sizeof(*fp));
	if (!fp)
		return -ENOMEM;
	fp->f = f;
	fp->r = r;
	fp->n = n;
	fp->t = t;
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int s = first[i]; s < first[i + 1]; s++)
			if (r->samples[s].has_fragmentation)
				fp->at[i] = &r->samples[s].fragmentation;
		any |= fp->at[i] != NULL;
	}
	err = 0;
	if (any) {
		plot_orders(fp);
		plot_huge(fp);
		plot_types(fp);
		err = maps(fp);
	}
	free(fp);
	return err;
}
