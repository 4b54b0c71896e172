/*
 * --node, --backing, --balloon and --pin: how the machine lies on the host.
 */
#include "cli/machine_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "mmvm/layout.h"

/** "0-1", "3", "0+2-3": bits. 0 or -EINVAL. */
static int parse_cpus(const char *text, uint64_t *cpus)
{
	char copy[64], *save;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part = strtok_r(copy, "+", &save); part; part = strtok_r(NULL, "+", &save)) {
		char *dash = strchr(part, '-');
		uint64_t from, to;

		if (dash)
			*dash = '\0';
		if (cli_parse_u64(part, 0, MMVM_MAX_CPUS - 1, &from))
			return -1;
		to = from;
		if (dash && cli_parse_u64(dash + 1, from, MMVM_MAX_CPUS - 1, &to))
			return -1;
		for (uint64_t i = from; i <= to; i++)
			*cpus |= 1ull << i;
	}
	return *cpus ? 0 : -1;
}

/** "10:20:30": to node 0, 1, 2. */
static int parse_distances(const char *text, uint8_t distance[MMVM_MAX_NODES])
{
	char copy[64], *save;
	unsigned int n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part = strtok_r(copy, ":", &save); part; part = strtok_r(NULL, ":", &save)) {
		uint64_t d;

		if (n == MMVM_MAX_NODES || cli_parse_u64(part, 10, 255, &d))
			return -1;
		distance[n++] = (uint8_t)d;
	}
	return n ? 0 : -1;
}

static int parse_node(struct machine_node *node, const char *command, const char *text)
{
	char copy[256], *save;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		int rc = -1;

		if (!strncmp(part, "cpus=", 5))
			rc = parse_cpus(part + 5, &node->cpus);
		else if (!strncmp(part, "memory=", 7))
			rc = cli_parse_size(part + 7, &node->memory);
		else if (!strncmp(part, "distance=", 9))
			rc = parse_distances(part + 9, node->distance);
		if (rc)
			return cli_usage_error(command,
					       "--node %s: '%s' is none of memory=SIZE, cpus=0-1, "
					       "distance=10:20",
					       text, part);
	}
	if (!node->memory)
		return cli_usage_error(command, "--node %s: memory=SIZE is missing", text);
	return 0;
}

int machine_options_nodes(struct machine_options *o, const char *command)
{
	for (unsigned int n = 0; n < o->nodes.nr; n++) {
		int rc = parse_node(&o->config.node[n], command, o->nodes.item[n]);

		if (rc)
			return rc;
	}
	o->config.nr_nodes = o->nodes.nr;
	return 0;
}

static int parse_backing(struct machine_config *c, const char *command, const char *text)
{
	for (unsigned int b = BACKING_4K; b < BACKING_FILE; b++) {
		if (strcmp(text, ram_backing_name((enum ram_backing)b)) != 0)
			continue;
		c->backing = (enum ram_backing)b;
		return 0;
	}
	if (strncmp(text, "file=", 5) != 0 || !text[5])
		return cli_usage_error(command, "--backing %s: none of 4k, thp, hugetlb, file=PATH",
				       text);
	c->backing = BACKING_FILE;
	c->backing_file = text + 5;
	return 0;
}

static int parse_balloon(struct machine_config *c, const char *command, const char *text)
{
	uint64_t size, ram = c->ram_low + c->ram_high;

	if (cli_parse_size(text, &size) || size % MMVM_PAGE_SIZE)
		return cli_usage_error(command, "--balloon %s: not a size of whole pages like 16M",
				       text);
	if (size > ram)
		return cli_usage_error(command, "--balloon %s: the machine has %" PRIu64 " MiB",
				       text, ram >> 20);
	c->balloon = true;
	c->balloon_target = size / MMVM_PAGE_SIZE;
	return 0;
}

static int parse_pin(struct machine_config *c, const char *command, const char *text)
{
	char copy[128], *save;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
		uint64_t n;

		if (c->nr_pin == MMVM_MAX_CPUS || cli_parse_u64(part, 0, 65535, &n))
			return cli_usage_error(command,
					       "--pin %s: not a list of processors like 0,1", text);
		c->pin[c->nr_pin++] = (unsigned int)n;
	}
	return 0;
}

int machine_options_host(struct machine_options *o, const char *command)
{
	int rc = o->backing ? parse_backing(&o->config, command, o->backing) : 0;

	if (!rc && o->balloon)
		rc = parse_balloon(&o->config, command, o->balloon);
	return rc || !o->pin ? rc : parse_pin(&o->config, command, o->pin);
}
