/*
 * The rows, from the root on. schema_host.c and schema_access.c have the tables of what the host saw.
 *
 * Keys are part of the file format: a key that changes its meaning or is removed raises RUN_RESULT_SCHEMA, a
 * new one does not.
 */
#include "result/schema_rows.h"

#include <string.h>

#define NAME_(name, text) text,
static const char *const level_names[] = {MMVM_ZONE_STATS(NAME_)};
static const char *const type_names[] = {MMVM_PAGE_TYPES(NAME_)};
#undef NAME_

/* ---- config, host, outcome, time, memory ------------------------------------------------------- */

static const struct value node_schema[] = {
	{U64("memory_bytes"), FIELD(run_node, memory), .unit = "bytes", .what = "its share of RAM"},
	{U64("cpus"), FIELD(run_node, cpus), .what = "bit i: vCPU i"},
	{INT("host_node"), FIELD(run_node, host_node), .what = "bound to; -1: not bound"},
	{0}};

static const char *add_node(struct run_result *r, void *parent, void *element)
{
	run_result_add_node(r, element);
	return NULL;
}

static const struct value config_schema[] = {
	{TEXT("kernel"), R(kernel_path), .what = "path of the guest's kernel"},
	{U64("ram_low_bytes"), R(ram_low), .unit = "bytes", .what = "guest RAM below 4 GiB"},
	{U64("ram_high_bytes"), R(ram_high), .unit = "bytes", .what = "guest RAM from 4 GiB on"},
	{U32("cpus"), R(cpus), .what = "vCPUs"},
	{TEXT("backing"), R(backing), .what = "what holds guest RAM on the host"},
	{LIST("nodes", run_result, nodes, nr_nodes), .members = node_schema, .add = add_node,
	 .max = MMVM_MAX_NODES, .what = "NUMA nodes; empty: one with everything"},
	{U64("seed"), R(seed), .what = "seed of everything random in the guest"},
	{U32("timeout_s"), R(timeout_s), .unit = "s", .what = "time limit, 0: none"},
	{U64("heat_pages"), R(heat_pages), .unit = "pages",
	 .what = "of one part of each heat list"},
	{0}};

static const struct value host_schema[] = {
	{TEXT("backend"), R(backend), .what = "what KVM runs on: VMX, SVM, PVM"},
	{TEXT("accel"), R(accel), .what = "kvm: directly; lab: inside the lab"},
	{TEXT("accel_why"), R(accel_why), .what = "why there"},
	{U32("quirks"), R(quirks), .what = "MMVM_QUIRK_* bits of mmvm/layout.h"},
	{TEXT("kernel"), R(host_kernel), .what = "name and release of the host's kernel"},
	{U64("tsc_hz"), R(tsc_hz), .flags = VALUE_NULL | VALUE_ZERO_NULL, .unit = "Hz",
	 .what = "the guest's TSC; null: not known"},
	{0}};

static void write_kind(struct json *j, const struct run_result *r, const void *base)
{
	json_string(j, "kind", outcome_name(r->outcome.kind));
}

static void read_kind(struct loader *l, const struct json_value *v, struct run_result *r,
		      void *base)
{
	static const enum outcome_kind kinds[] = {OUTCOME_EXITED, OUTCOME_CRASHED, OUTCOME_TIMEOUT,
						  OUTCOME_STOPPED, OUTCOME_HOST_ERROR};

	v = json_get(v, "kind");
	for (size_t k = 0; v && v->type == JSON_STRING && k < sizeof(kinds) / sizeof(kinds[0]);
	     k++) {
		if (strcmp(v->text, outcome_name(kinds[k])) != 0)
			continue;
		r->outcome.kind = kinds[k];
		return;
	}
	loader_bad(l, "outcome.kind is missing or not one that is known");
}

#define REG(reg)                                \
	{                                       \
		U64(#reg), R(outcome.crash.reg) \
	}
static const struct value crash_schema[] = {REG(vector), REG(error),  REG(cr2), REG(cr3), REG(rax),
					    REG(rbx),	 REG(rcx),    REG(rdx), REG(rsi), REG(rdi),
					    REG(rbp),	 REG(rsp),    REG(r8),	REG(r9),  REG(r10),
					    REG(r11),	 REG(r12),    REG(r13), REG(r14), REG(r15),
					    REG(rip),	 REG(rflags), REG(cs),	REG(ss),  {0}};

static const struct value outcome_schema[] = {
	{.name = "kind",
	 .type = VALUE_CUSTOM,
	 .write = write_kind,
	 .read = read_kind,
	 .what = "exited, crashed, timeout, stopped, host error"},
	{INT("guest_status"), R(outcome.status), .what = "what the guest exited with",
	 .source = "guest"},
	{INT("exit_status"), R(exit_status), .what = "of mmvm",
	 .metric = METRIC("mmvm_exit_status", "gauge", NULL, "Exit status of mmvm.")},
	{TEXT("text"), R(outcome.text), .what = "why it crashed or failed"},
	{OBJECT("crash"), .members = crash_schema, HAS_R(outcome.has_crash), .flags = VALUE_NULL,
	 .what = "the CPU's registers where it stopped"},
	{0}};

static const struct value time_schema[] = {
	{U64("started_unix_ns"), R(started_unix_ns), .unit = "ns", .what = "since 1970"},
	{U64("wall_ns"), R(wall_ns), .unit = "ns", .what = "the machine ran",
	 .metric = METRIC("mmvm_wall_seconds", "gauge", "seconds", "Time the machine ran.")},
	{U64("first_run_ns"), R(first_run_ns), .unit = "ns",
	 .what = "process start to the first guest instruction",
	 .metric = METRIC("mmvm_start_seconds", "gauge", "seconds",
			  "Process start to the first guest instruction.")},
	{U64("boot_ticks"), R(boot_ticks), .unit = "ticks", .source = "guest",
	 .what = "TSC ticks from the first instruction to booted"},
	{0}};

static const struct value memory_schema[] = {
	{U64("vmm_bytes"), R(vmm_bytes), .unit = "bytes",
	 .what = "of the VMM beside guest RAM (PSS)",
	 .metric = METRIC("mmvm_vmm_memory_bytes", "gauge", "bytes",
			  "Memory of the VMM beside guest RAM.")},
	{U64("guest_ram_resident_bytes"), R(guest_ram_resident), .unit = "bytes",
	 .what = "guest RAM that the host has given memory for",
	 .metric = METRIC("mmvm_ram_resident_bytes", "gauge", "bytes",
			  "Guest RAM the host has given.")},
	{U64("totalram_pages"), R(totalram_pages), .unit = "pages", .source = "guest",
	 .what = "RAM its allocator has"},
	{U64("swap_total_pages"), R(swap_total), .unit = "pages", .source = "guest",
	 .what = "swap there is"},
	{U64("swap_free_pages"), R(swap_free), .unit = "pages", .source = "guest",
	 .what = "of it free at the end"},
	{0}};

/* ---- checks, counters, zones ------------------------------------------------------------------- */

static const struct value check_schema[] = {
	{TEXT("name"), FIELD(run_check, name), .what = "what is compared"},
	{U64("guest"), FIELD(run_check, guest), .source = "guest", .what = "the guest's count",
	 .metric = METRIC_BY("mmvm_check", "gauge", NULL,
			     "What guest and host both count, by either side's count.",
			     "side=\"guest\"", 0)},
	{U64("host"), FIELD(run_check, host), .what = "the host's count",
	 .metric = METRIC_BY("mmvm_check", "gauge", NULL, NULL, "side=\"host\"", 0)},
	{BOOL("equal"), FIELD(run_check, equal), .flags = VALUE_IGNORE,
	 .what = "a check that is not equal fails the run"},
	{TEXT("note"), FIELD(run_check, note), .what = "how it was counted"},
	{0}};

static const char *add_check(struct run_result *r, void *parent, void *element)
{
	const struct run_check *c = element;

	run_result_add_check(r, c->name, c->guest, c->host, c->note);
	return NULL;
}

static void check_labels(FILE *f, unsigned int i, const void *element)
{
	metric_label(f, "check", ((const struct run_check *)element)->name);
}

static void write_counters(struct json *j, const struct run_result *r, const void *base)
{
	json_object(j, "guest_counters");
	for (unsigned int i = 0; i < r->nr_counters; i++)
		json_u64(j, r->counters[i].name, r->counters[i].value);
	json_end_object(j);
}

void schema_read_map(struct loader *l, const char *key, const struct json_value *v,
		     struct run_result *r,
		     void (*add)(struct run_result *r, const char *name, uint64_t value))
{
	v = json_get(v, key);
	if (v && v->type != JSON_NULL && v->type != JSON_OBJECT) {
		loader_bad(l, "%s is not an object", key);
		return;
	}
	for (const struct json_value *n = v && v->type == JSON_OBJECT ? v->first : NULL; n;
	     n = n->next) {
		uint64_t value = 0;

		if (n->type != JSON_NULL && json_to_u64(n, &value))
			loader_bad(l, "%s.%.40s is not a whole number of 64 bits", key, n->key);
		add(r, n->key, value);
	}
}

void schema_read_nothing(struct loader *l, const struct json_value *v, struct run_result *r,
			 void *base)
{
}

static void read_counters(struct loader *l, const struct json_value *v, struct run_result *r,
			  void *base)
{
	schema_read_map(l, "guest_counters", v, r, run_result_add_counter);
}

static const struct value zone_schema[] = {
	{TEXT("name"), FIELD(run_zone, name), .what = "as in /proc/zoneinfo"},
	{U32("node"), FIELD(run_zone, node), .what = "its NUMA node"},
	{U64("start_pfn"), FIELD(run_zone, start_pfn), .what = "its first frame"},
	{U64("spanned"), FIELD(run_zone, spanned), .unit = "pages", .what = "from first to last"},
	{U64("present"), FIELD(run_zone, present), .unit = "pages", .what = "without holes"},
	{U64("managed"), FIELD(run_zone, managed), .unit = "pages", .what = "the allocator has",
	 .metric = METRIC("mmvm_zone_managed", "gauge", NULL, "Pages the zone's allocator has.")},
	{U64("wmark_min"), FIELD(run_zone, wmark[0]), .unit = "pages", .what = "watermark"},
	{U64("wmark_low"), FIELD(run_zone, wmark[1]), .unit = "pages", .what = "watermark"},
	{U64("wmark_high"), FIELD(run_zone, wmark[2]), .unit = "pages", .what = "watermark"},
	{I64("levels"), FIELD(run_zone, stat), .nr = NR_ZONE_STAT_ITEMS, .names = level_names,
	 .what = "levels at the end, in the unit of their vmstat name",
	 .metric = METRIC_BY(
		 "mmvm_zone_level", "gauge", NULL,
		 "Levels of the zone at the end, in the unit of their vmstat name (pages or KiB).",
		 "level", 0)},
	{0}};

static const char *add_zone(struct run_result *r, void *parent, void *element)
{
	run_result_add_zone(r, element);
	return NULL;
}

/** Two zones could have one name: the number tells them apart. */
static void zone_labels(FILE *f, unsigned int i, const void *element)
{
	const struct run_zone *z = element;

	fprintf(f, "index=\"%u\",node=\"%u\",", i, z->node);
	metric_label(f, "zone", z->name);
}

/* ---- observers, samples, reports --------------------------------------------------------------- */

static const struct value observer_schema[] = {
	{TEXT("name"), FIELD(run_observer, name), .what = "who watched"},
	{U64("times"), FIELD(run_observer, times), .what = "how often it looked"},
	{U64("ns"), FIELD(run_observer, ns), .unit = "ns", .what = "how long that took",
	 .metric =
		 METRIC("mmvm_observer_seconds", "counter", "seconds", "What watching has cost.")},
	{U64("exits"), FIELD(run_observer, exits), .what = "exits of vCPUs it caused"},
	{U64("guest_stall_ns"), FIELD(run_observer, stall_ns), .flags = VALUE_NULL,
	 HAS(run_observer, has_stall, BASE), .unit = "ns",
	 .what = "the guest stood still for it; null: not known"},
	{TEXT("note"), FIELD(run_observer, note), .what = "more about it"},
	{0}};

static const char *add_observer(struct run_result *r, void *parent, void *element)
{
	run_result_add_observer(r, element);
	return NULL;
}

static void observer_labels(FILE *f, unsigned int i, const void *element)
{
	metric_label(f, "observer", ((const struct run_observer *)element)->name);
}

#define S(member) FIELD(run_sample, member)
static const struct value sample_kvm_schema[] = {
	{U64("pages_4k"), S(mapped[0]), .unit = "pages", .what = "mapped in the second stage"},
	{U64("pages_2m"), S(mapped[1]), .unit = "pages", .what = "mapped in the second stage"},
	{U64("pages_1g"), S(mapped[2]), .unit = "pages", .what = "mapped in the second stage"},
	{U64("pf_taken"), S(pf_taken), .what = "second-stage faults so far"},
	{0}};

#define BLOCK_TYPE_(name, text) text,
static const char *const block_types[] = {RUN_BLOCK_TYPES(BLOCK_TYPE_)};
#undef BLOCK_TYPE_
#define F(member) S(fragmentation.member)
#define BY_ADDRESS(name, text)                                                           \
	{                                                                                \
		U32(#name), F(name), .nr = RUN_HEAT_BUCKETS, .unit = "pages",            \
				     .what = text ", by address, config.heat_pages each" \
	}
static const struct value fragmentation_schema[] = {
	{U32("free_blocks"), F(free_blocks), .nr = RUN_FREE_ORDERS,
	 .what = "free blocks of order 0, 1, ..., those on per-CPU lists, too"},
	{U32("block_types"), F(block_types), .nr = RUN_NR_BLOCK_TYPES, .names = block_types,
	 .what = "pageblocks by migrate type"},
	{U32("huge_anon"), F(huge_anon), .unit = "pages", .what = "in large folios, anonymous"},
	{U32("huge_shmem"), F(huge_shmem), .unit = "pages", .what = "the same, shared memory"},
	{U32("huge_hugetlb"), F(huge_hugetlb), .unit = "pages", .what = "the same, hugetlb"},
	BY_ADDRESS(map_free, "free"),
	BY_ADDRESS(map_block, "mean size of the free block that a free page is in"),
	BY_ADDRESS(map_huge, "in large folios"),
	BY_ADDRESS(map_unmovable, "in pageblocks that are not movable"),
	{0}};

static bool has_log(const struct run_result *r, const void *base)
{
	return r->has_dirty;
}

static bool has_heat(const struct run_result *r, const void *base)
{
	return r->has_dirty && r->heat_pages;
}

static unsigned int zones_of(const struct run_result *r, const void *base)
{
	return ((const struct run_sample *)base)->nr_zones;
}

#define GUEST_COUNT .flags = VALUE_CSV, .source = "guest"
const struct value sample_schema[] = {
	{U64("t_ns"), S(t_ns), .flags = VALUE_CSV | VALUE_RISES, .unit = "ns",
	 .what = "since the machine began to run"},
	{U64("dirty"), S(dirty), .flags = VALUE_CSV, .unit = "pages", .source = "KVM, devices",
	 .what = "found dirty since the sample before"},
	{U64("pswpin"), S(pswpin), GUEST_COUNT, .unit = "pages", .what = "swapped in so far"},
	{U64("pswpout"), S(pswpout), GUEST_COUNT, .unit = "pages", .what = "swapped out so far"},
	{U64("pgfault"), S(pgfault), GUEST_COUNT, .what = "page faults so far"},
	{U64("pgmajfault"), S(pgmajfault), GUEST_COUNT, .what = "of them with I/O"},
	{U64("progress_done"), S(progress_done), GUEST_COUNT, .what = "of the program"},
	{U64("progress_total"), S(progress_total), GUEST_COUNT, .what = "of the program"},
	{U64("free_pages"), S(free_pages), GUEST_COUNT, .unit = "pages", .what = "of all zones"},
	{U64("swap_free"), S(swap_free), GUEST_COUNT, .unit = "pages", .what = "of swap"},
	{U64("exits"), S(exits), .flags = VALUE_CSV, .what = "to the VMM so far"},
	{OBJECT("kvm"), .members = sample_kvm_schema, HAS(run_sample, has_kvm, BASE),
	 .flags = VALUE_NULL, .source = "KVM", .what = "null: this host has no binary statistics"},
	{I64("zone_free"), S(zone_free), .nr = MMVM_MAX_ZONES, .length = zones_of,
	 .nr_offset = offsetof(struct run_sample, nr_zones), .unit = "pages", .source = "guest",
	 .what = "as zones"},
	{I64("levels"), S(level), .nr = NR_ZONE_STAT_ITEMS, .names = level_names,
	 .flags = VALUE_CSV, .source = "guest", .what = "summed over zones"},
	{U64("dirty_distinct"), S(dirty_distinct), .there = has_log, .unit = "pages",
	 .what = "found dirty at least once so far"},
	{U32("dirty_owner"), S(dirty_owner), .nr = NR_PAGE_TYPES, .names = type_names,
	 .flags = VALUE_SKIP_ZERO, HAS(run_sample, has_owner, BASE), .unit = "pages",
	 .source = "KVM, devices; sorted by the guest's page array", .what = "`dirty` by owner"},
	{U32("dirty_zone"), S(dirty_zone), .nr = MMVM_MAX_ZONES, .length = zones_of,
	 HAS(run_sample, has_owner, BASE), .unit = "pages", .what = "`dirty` by zone"},
	{U32("dirty_region"), S(dirty_region), .nr = 2, HAS(run_sample, has_owner, BASE),
	 .unit = "pages", .what = "`dirty` in low and high RAM"},
	{U32("heat"), S(heat), .nr = RUN_HEAT_BUCKETS, .there = has_heat, .unit = "pages",
	 .what = "`dirty` by address, config.heat_pages each"},
	{OBJECT("fragmentation"), .members = fragmentation_schema,
	 HAS(run_sample, has_fragmentation, BASE), .source = "the guest's page array",
	 .what = "free memory and what stands in its way; only with --fragmentation"},
	{0}};

static const char *add_sample(struct run_result *r, void *parent, void *element)
{
	run_result_add_sample(r, element);
	return NULL;
}

static void write_reports(struct json *j, const struct run_result *r, const void *base)
{
	json_object(j, "reports");
	for (unsigned int i = 0; i < r->nr_reports; i++)
		json_string(j, r->reports[i].name, r->reports[i].text);
	json_end_object(j);
}

static void read_reports(struct loader *l, const struct json_value *v, struct run_result *r,
			 void *base)
{
	v = json_get(v, "reports");
	if (v && v->type != JSON_NULL && v->type != JSON_OBJECT) {
		loader_bad(l, "reports is not an object");
		return;
	}
	for (const struct json_value *n = v && v->type == JSON_OBJECT ? v->first : NULL; n;
	     n = n->next) {
		if (n->type != JSON_STRING)
			loader_bad(l, "reports.%.40s is not a text", n->key);
		else
			run_result_keep_report(r, n->key, n->text, n->len);
	}
}

static void write_schema(struct json *j, const struct run_result *r, const void *base)
{
	json_u64(j, "schema", RUN_RESULT_SCHEMA);
	json_u64(j, "contract", MMVM_CONTRACT_VERSION);
}

static void write_complete(struct json *j, const struct run_result *r, const void *base)
{
	json_bool(j, "complete", !r->no_memory);
}

/** Read last of all (read_json.c): loading could run out of memory itself. */
const struct value result_schema[] = {
	{.name = "schema",
	 .type = VALUE_CUSTOM,
	 .write = write_schema,
	 .read = schema_read_nothing,
	 .what = "version of this format; `contract`: of mmvm/shared.h"},
	{TEXT("command"), R(command), .source = "mmvm", .what = "the command line"},
	{.name = "complete",
	 .type = VALUE_CUSTOM,
	 .write = write_complete,
	 .read = schema_read_nothing,
	 .what = "false: mmvm ran out of memory, something is missing"},
	{OBJECT("config"), .members = config_schema, .source = "mmvm",
	 .what = "what was asked for"},
	{OBJECT("host"), .members = host_schema, .source = "mmvm", .what = "where it ran"},
	{OBJECT("outcome"), .members = outcome_schema, .source = "mmvm", .what = "what came of it"},
	{OBJECT("time"), .members = time_schema, .source = "mmvm", .what = "how long it took"},
	{OBJECT("memory"), .members = memory_schema, .source = "mmvm",
	 .what = "host's and guest's"},
	{LIST("checks", run_result, checks, nr_checks), .members = check_schema, .add = add_check,
	 .labels = check_labels, .source = "mmvm", .what = "guest truth beside host observation"},
	{.name = "guest_counters",
	 .type = VALUE_CUSTOM,
	 .write = write_counters,
	 .read = read_counters,
	 .source = "guest",
	 .what = "events by their vmstat names, summed over CPUs (include/mmvm/vmstat.h)"},
	{LIST("zones", run_result, zones, nr_zones), .members = zone_schema, .add = add_zone,
	 .labels = zone_labels, .max = MMVM_MAX_ZONES, .source = "guest", .what = "its zones"},
	{OBJECT("dirty"), .members = dirty_schema, HAS_R(has_dirty), .flags = VALUE_NULL,
	 .source = "KVM, devices", .what = "the dirty log; null: none was kept"},
	{OBJECT("balloon"), .members = balloon_schema, HAS_R(has_balloon), .flags = VALUE_NULL,
	 .source = "mmvm", .what = "the memory balloon; null: there was none"},
	{U64("audit_findings"), R(audit_findings), HAS_R(has_audit), .flags = VALUE_NULL,
	 .source = "mmvm", .what = "contradictions found in guest memory; null: not looked for",
	 .metric = METRIC("mmvm_audit_findings", "gauge", NULL,
			  "Contradictions found in guest memory.")},
	{TEXT("audit_missing"), R(audit_missing), .source = "mmvm",
	 .what = "why there was no audit; empty: there was one"},
	{U64("memcg_groups"), R(memcg_groups), HAS_R(has_memcg), .flags = VALUE_NULL,
	 .source = "mmvm", .what = "memory cgroups at the end; null: the guest had none"},
	{U64("memcg_charged_pages"), R(memcg_charged), .unit = "pages", HAS_R(has_memcg),
	 .flags = VALUE_NULL, .source = "mmvm",
	 .what = "found charged to them, page by page, in guest memory"},
	{U64("memcg_uncharged_pages"), R(memcg_uncharged), .unit = "pages", HAS_R(has_memcg),
	 .flags = VALUE_NULL, .source = "mmvm", .what = "in use and charged to none"},
	{U64("memcg_free_pages"), R(memcg_free), .unit = "pages", HAS_R(has_memcg),
	 .flags = VALUE_NULL, .source = "mmvm", .what = "free; the three are the machine"},
	{U64("records_dropped"), R(records_dropped), .source = "mmvm",
	 .what = "records of the guest that found no room"},
	{U64("guest_errors"), R(guest_errors), .source = "device",
	 .what = "requests, rings and accesses of a wrong form",
	 .metric = METRIC("mmvm_guest_errors", "gauge", NULL,
			  "Mistakes of the guest that its devices noted.")},
	{LIST("disks", run_result, disks, nr_disks), .members = disk_schema, .add = schema_add_disk,
	 .labels = schema_disk_labels, .source = "device", .what = "requests of each disk"},
	{LIST("pmem", run_result, pmem, nr_pmem), .members = pmem_schema, .add = schema_add_pmem,
	 .labels = schema_pmem_labels, .source = "device",
	 .what = "files that are memory (virtio-pmem)"},
	{LIST("kvm", run_result, kvm, nr_kvm), .members = kvm_schema, .add = schema_add_kvm,
	 .source = "KVM", .what = "its binary statistics"},
	{U64("exit_tick_ps"), R(exit_tick_ps), .unit = "ps", .source = "mmvm",
	 .what = "a tick of exits.log2_ticks; 0: not known"},
	{LIST("exits", run_result, exits, nr_exits), .members = exit_schema, .add = schema_add_exit,
	 .labels = schema_exit_labels, .source = "mmvm", .what = "what made vCPUs leave the guest"},
	{LIST("exit_places", run_result, places, nr_places), .members = place_schema,
	 .add = schema_add_place, HAS_R(has_exit_places), .source = "mmvm",
	 .what = "the same by place"},
	{U64("exits_placed"), R(exits_placed), HAS_R(has_exit_places), .source = "mmvm",
	 .what = "exits that were looked at"},
	{U64("exits_unplaced"), R(exits_unplaced), HAS_R(has_exit_places), .source = "mmvm",
	 .what = "of them in no row of exit_places"},
	{LIST("access", run_result, access, nr_access), .members = access_schema,
	 .add = schema_add_access, .source = "mmvm",
	 .what = "accessed pages, one element a method"},
	{LIST("observers", run_result, observers, nr_observers), .members = observer_schema,
	 .add = add_observer, .labels = observer_labels, .source = "mmvm",
	 .what = "what watching has cost"},
	{LIST("samples", run_result, samples, nr_samples), .members = sample_schema,
	 .add = add_sample, .source = "mmvm", .what = "the machine at each tick"},
	{.name = "reports",
	 .type = VALUE_CUSTOM,
	 .write = write_reports,
	 .read = read_reports,
	 .source = "guest",
	 .what = "texts the guest sent (meminfo ...)"},
	{0}};
