/*
 * The audit of guest memory from outside.
 *
 *   audit root -> page array (copied) -> every frame gets exactly one state
 *                 buddy, per-CPU lists -> what is free is on one list, and counts are right
 *                 slab                 -> free lists stay inside, objects add up
 *                 files                -> each page is at its place in its file's tree
 *                 address spaces       -> page tables, mapcounts, RSS, VMAs
 *                 LRU lists, swap maps -> on one list, users counted
 *                 levels               -> what the guest shows in /proc is what is there
 *
 * Each file states its invariants (A, B, C, L, S, T, W) and names the findings of mmvm/audit.h that
 * say they do not hold.
 *
 * The guest is hostile: see audit_impl.h. Findings are counted without bound and kept up to a bound.
 */
#include "observe/audit_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include "devices/devices.h"
#include "machine/clock.h"

/* Lists are of struct pages, VMAs, objects: a frame holds a few dozen of them at most. */
#define STEPS_PER_FRAME 64u
#define STEPS_BESIDES	65536u
#define AUDIT_MAX_PFN	(1ull << (52 - MMVM_PAGE_SHIFT))

static const struct audit_subject audit_subjects[] = {
	{"frames", audit_frames, audit_frames_check, NULL},
	{"buddy", audit_buddy, NULL, NULL},
	{"per-CPU lists", audit_pcp, NULL, NULL},
	{"pageblocks", audit_pageblocks, NULL, NULL},
	{"slab", audit_slab, NULL, audit_slab_free},
	{"swap", audit_swap, audit_swap_check, audit_swap_free},
	{"kernel mappings", audit_kvirt, audit_kvirt_check, audit_kvirt_free},
	{"address spaces", audit_address_spaces, NULL, audit_address_spaces_free},
	{"lost pages", NULL, audit_hwpoison_check, NULL},
	{"secret memory", NULL, audit_secret_check, NULL},
	{"pipes", audit_pipes, audit_pipes_check, NULL},
	{"files", audit_mappings, audit_mappings_check, NULL},
	{"LRU lists", audit_lru, NULL, NULL},
	{"huge pages", audit_thp, audit_thp_check, NULL},
	{"memory cgroups", audit_memcg, NULL, audit_memcg_free},
	{"memory cgroups by node", audit_memcg_levels, NULL, NULL},
	{"hugetlb", audit_hugetlb, audit_hugetlb_check, NULL},
	{"zswap", audit_zswap, audit_zswap_check, NULL},
	{"merged pages", audit_ksm, NULL, NULL},
	{"promised memory", NULL, audit_commit_check, NULL},
	{"bounce buffers", audit_bounce, NULL, NULL},
	{"balloon", audit_balloon, NULL, NULL},
	{"files that are memory", audit_pmem, NULL, NULL},
	{"per-CPU memory", NULL, audit_percpu_check, NULL},
};
#define NR_SUBJECTS (sizeof(audit_subjects) / sizeof(audit_subjects[0]))

const char *audit_finding_name(enum mmvm_audit_finding kind)
{
#define NAME_(name, text, why) text,
	static const char *const names[] = {MMVM_AUDIT_FINDINGS(NAME_)};
#undef NAME_
	return (unsigned int)kind < NR_AUDIT_FINDINGS ? names[kind] : "unknown";
}

static const char *finding_why(enum mmvm_audit_finding kind)
{
#define WHY_(name, text, why) why,
	static const char *const whys[] = {MMVM_AUDIT_FINDINGS(WHY_)};
#undef WHY_
	return whys[kind];
}

void audit_find(struct audit *a, enum mmvm_audit_finding kind, const char *fmt, ...)
{
	struct audit_result *r = a->out;
	struct audit_entry *e;
	va_list ap;

	r->total++;
	/* One kind that goes wrong a thousand times must not hide another. */
	if (r->count[kind]++ >= 6 || r->nr_kept == AUDIT_MAX_KEPT)
		return;
	e = &r->kept[r->nr_kept++];
	e->kind = kind;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	/* Names of the guest are in it, and it is printed on terminals. */
	for (char *p = e->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

static bool load_root(struct audit *a)
{
	struct mmvm_audit_root *root = &a->root;
	uint64_t frames = 0, ram_frames = 0;

	for (unsigned int i = 0; i < a->src->ram->nr; i++)
		ram_frames += a->src->ram->region[i].size >> MMVM_PAGE_SHIFT;
	a->out->ram_frames = ram_frames;
	if (audit_read(a, a->src->root_gva, root, sizeof(*root))) {
		audit_find(a, AUDIT_ROOT, "no audit root at %#" PRIx64, a->src->root_gva);
		return false;
	}
	if (root->magic != MMVM_AUDIT_MAGIC || root->version != MMVM_CONTRACT_VERSION ||
	    root->size != sizeof(*root) || root->ready != 1) {
		audit_find(a, AUDIT_ROOT,
			   "magic %#" PRIx64 ", version %u, size %u, ready %" PRIu64
			   "; expected %#" PRIx64 ", %u, %zu, 1",
			   root->magic, root->version, root->size, root->ready,
			   (uint64_t)MMVM_AUDIT_MAGIC, MMVM_CONTRACT_VERSION, sizeof(*root));
		return false;
	}
	if (root->nr_ranges == 0 || root->nr_ranges > MMVM_MAX_RAM_REGIONS ||
	    root->nr_zones > MMVM_MAX_ZONES) {
		audit_find(a, AUDIT_ROOT, "%u ranges, %u zones", root->nr_ranges, root->nr_zones);
		return false;
	}
	if (root->paging_levels != a->tables.levels) {
		audit_find(a, AUDIT_ROOT, "%" PRIu64 " levels of page tables; the CPU uses %u",
			   root->paging_levels, a->tables.levels);
		return false;
	}
	for (uint32_t i = 0; i < root->nr_ranges; i++) {
		const struct mmvm_audit_range *r = &root->range[i];
		uint64_t after = i ? root->range[i - 1].end_pfn : 0;

		/* Four times RAM: holes may have a struct page, but not without end. */
		if (r->start_pfn >= r->end_pfn || r->start_pfn < after ||
		    r->end_pfn > AUDIT_MAX_PFN ||
		    r->end_pfn - r->start_pfn > 4 * ram_frames + 4096 - frames) {
			audit_find(a, AUDIT_ROOT, "range %u is frames [%#" PRIx64 ", %#" PRIx64 ")",
				   i, r->start_pfn, r->end_pfn);
			return false;
		}
		a->first_index[i] = (uint32_t)frames;
		frames += r->end_pfn - r->start_pfn;
	}
	a->nr_frames = (uint32_t)frames;
	return true;
}

/** Walk every subject, then compare. Returns 0 or -ENOMEM. */
static int audit_all(struct audit *a)
{
	for (unsigned int i = 0; i < NR_SUBJECTS && !a->over; i++) {
		int err = audit_subjects[i].walk ? audit_subjects[i].walk(a) : 0;

		/* -EFAULT: it cannot be read, which is a finding. */
		if (err)
			return err == -EFAULT ? 0 : err;
	}
	for (unsigned int i = 0; i < NR_SUBJECTS && !a->over; i++)
		if (audit_subjects[i].check)
			audit_subjects[i].check(a);
	return a->late ? -ECANCELED : 0;
}

int audit_memory(const struct audit_source *src, struct audit_result *out)
{
	struct audit *a = calloc(1, sizeof(*a));
	uint64_t begin;
	int ret = 0;

	memset(out, 0, sizeof(*out));
	if (!a)
		return -ENOMEM;
	a->src = src;
	a->out = out;
	a->tables = (struct guest_tables){
		.ram = src->ram,
		.root = src->cr3,
		.levels = src->levels ? src->levels : GUEST_LEVELS_48,
	};
	begin = machine_now_ns();
	if (load_root(a)) {
		a->budget = STEPS_PER_FRAME * out->ram_frames + STEPS_BESIDES;
		for (unsigned int i = 0; i < src->nr_pmem; i++)
			a->budget += src->pmem[i].size >> MMVM_PAGE_SHIFT;
		ret = audit_all(a);
	}
	out->ns = machine_now_ns() - begin;
	if (!ret)
		ret = out->total > INT32_MAX ? INT32_MAX : (int)out->total;
	for (unsigned int i = 0; i < NR_SUBJECTS; i++)
		if (audit_subjects[i].free)
			audit_subjects[i].free(a);
	free(a->frame);
	free(a->page);
	free(a);
	return ret;
}

static bool in_balloon(void *machine, uint64_t gpa)
{
	return machine_balloon_has(machine, gpa);
}

static bool machine_late(void *machine)
{
	return machine_call_is_late(machine);
}

static void add_pmem(const struct machine *m, struct audit_source *src)
{
	struct machine_pmem_info info;
	struct pmem_state state;

	for (unsigned int i = 0; machine_pmem(m, i, &info) && machine_pmem_state(m, i, &state);
	     i++) {
		src->pmem[i].gpa = info.gpa;
		src->pmem[i].size = info.size;
		src->nr_pmem = i + 1;
		src->pmem_flushes += state.flushes + state.errors;
	}
}

int audit_machine(struct machine *m, const struct symtab *symbols, uint64_t cr3,
		  struct audit_result *out)
{
	struct audit_source src = {
		.ram = machine_ram(m),
		.cr3 = cr3,
		.levels = machine_paging_levels(m),
		.in_balloon = in_balloon,
		.balloon_arg = m,
		.late = machine_late,
		.late_arg = m,
		.root_gva = symbols ? symtab_lookup(symbols, "mmvm_audit_root") : 0,
		.shared = machine_shared(m),
	};

	if (!src.root_gva)
		return -ENOSYS;
	add_pmem(m, &src);
	machine_balloon_settle(m);
	return audit_memory(&src, out);
}

void audit_print(FILE *f, const char *prefix, const struct audit_result *r,
		 enum audit_detail detail)
{
	for (unsigned int i = 0; i < r->nr_kept; i++)
		fprintf(f, "%saudit: %s: %s\n", prefix, audit_finding_name(r->kept[i].kind),
			r->kept[i].text);
	for (unsigned int k = 0; k < NR_AUDIT_FINDINGS; k++)
		if (r->count[k] > 6)
			fprintf(f, "%saudit: %s: %" PRIu64 " times in all: %s\n", prefix,
				audit_finding_name(k), r->count[k], finding_why(k));
	if (detail == AUDIT_BRIEF)
		return;
	fprintf(f, "%spages by state:", prefix);
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		if (r->frames[t])
			fprintf(f, " %s %" PRIu64, type_name(t), r->frames[t]);
	fprintf(f, ", all %" PRIu64 "; audited in %" PRIu64 " us\n", r->ram_frames, r->ns / 1000);
}
