/*
 * What a test wants: its machine, its time, its seed. The args come from the guest's ELF file and
 * are parsed as strictly as a command line.
 */
#include "harness/harness.h"

#include <string.h>
#include "cli/cli.h"
#include "mmvm/layout.h"

static int plan_key(struct test_plan *p, const char *key, const char *value, struct mmvm_error *err)
{
	uint64_t n;

	if (!strcmp(key, "memory"))
		return cli_parse_memory(value, &p->ram_low, &p->ram_high, err);
	if (!strcmp(key, "swap") && cli_parse_size(value, &n) == 0 && n % MMVM_PAGE_SIZE == 0) {
		p->swap = n;
		return 0;
	}
	if (!strcmp(key, "disk") && cli_parse_size(value, &n) == 0 && n && n % 512 == 0 &&
	    p->nr_disks < PLAN_MAX_DISKS) {
		p->disk[p->nr_disks++] = n;
		return 0;
	}
	if (!strcmp(key, "pmem") && cli_parse_size(value, &n) == 0 && n &&
	    n % MMVM_PMEM_UNIT == 0 && p->nr_pmem < MMVM_MAX_PMEM) {
		p->pmem[p->nr_pmem++] = n;
		return 0;
	}
	if (!strcmp(key, "rng") && cli_parse_u64(value, 0, 1, &n) == 0) {
		p->rng = n;
		return 0;
	}
	if (!strcmp(key, "balloon") && cli_parse_size(value, &n) == 0 && n % MMVM_PAGE_SIZE == 0) {
		p->balloon = true;
		p->balloon_target = n / MMVM_PAGE_SIZE;
		return 0;
	}
	if (!strcmp(key, "cpus") && cli_parse_u64(value, 1, MMVM_MAX_CPUS, &n) == 0) {
		p->cpus = (unsigned int)n;
		p->cpus_given = true;
		return 0;
	}
	if (!strcmp(key, "nodes") && cli_parse_u64(value, 1, MMVM_MAX_NODES, &n) == 0) {
		p->nodes = (unsigned int)n;
		return 0;
	}
	if (!strcmp(key, "dirty") && dirty_mode_parse(value, &p->dirty_mode) == 0) {
		p->dirty_log = true;
		return 0;
	}
	return mmvm_error(err, MMVM_EXIT_USAGE, "test argument %s=%s is not understood", key,
			  value);
}

int plan_parse(const char *args, struct test_plan *p, struct mmvm_error *err)
{
	char word[sizeof(((struct mmvm_test_desc *)0)->args) + 1];

	memset(p, 0, sizeof(*p));
	p->cpus = 1;
	if (cli_parse_memory(PLAN_MEMORY, &p->ram_low, &p->ram_high, err))
		return -1;
	for (;;) {
		size_t len;
		char *eq;

		args += strspn(args, " ");
		if (!*args)
			return 0;
		/* The kernel's command line is last, and takes the rest. */
		if (!strncmp(args, "append=", 7)) {
			snprintf(p->append, sizeof(p->append), "%s", args + 7);
			return 0;
		}
		len = strcspn(args, " ");
		if (len >= sizeof(word))
			return mmvm_error(err, MMVM_EXIT_USAGE, "test arguments are too long");
		memcpy(word, args, len);
		word[len] = '\0';
		args += len;
		eq = strchr(word, '=');
		if (!eq)
			return mmvm_error(err, MMVM_EXIT_USAGE, "test argument %s has no value",
					  word);
		*eq = '\0';
		if (plan_key(p, word, eq + 1, err))
			return -1;
	}
}

unsigned int plan_limit_s(const struct mmvm_test_desc *t, bool emulated, double scale)
{
	double s = t->timeout_s ? t->timeout_s : PLAN_LIMIT_S;

	s *= emulated ? PLAN_EMULATED_SLOW : 1;
	s *= scale;
	if (s < 1)
		return 1;
	return s > 86400 ? 86400 : (unsigned int)(s + 0.5);
}

uint64_t plan_seed(uint64_t seed, const char *name)
{
	/* FNV-1a over the name, started from the seed, then mixed: neighbours in the list get
	 * seeds that have nothing in common. */
	uint64_t h = 0xcbf29ce484222325ull ^ seed;

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h ? h : 1;
}
