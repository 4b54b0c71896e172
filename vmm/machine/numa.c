/*
 * Nodes of the machine, and where the host keeps their memory.
 *
 * Guest RAM is one or two regions (ram.c); nodes take their shares of it in order, from guest
 * physical 0 up. A node whose share reaches over the hole has a range on either side of it.
 * Where the host has nodes of its own, the pages of node i are bound to the (i mod n)th of the n
 * nodes this process may use; on a host with one node there is nothing to bind.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "machine/internal.h"

#define HOST_NODES 1024u
#define WORD_BITS  (8 * sizeof(unsigned long))

#define DISTANCE_LOCAL	10u /* ACPI 6.4, 5.2.17 */
#define DISTANCE_REMOTE 20u

unsigned int machine_nr_nodes(const struct machine_config *c)
{
	return c->nr_nodes ? c->nr_nodes : 1;
}

unsigned int machine_cpu_node(const struct machine_config *c, unsigned int cpu)
{
	for (unsigned int n = 0; n < c->nr_nodes; n++)
		if (c->node[n].cpus >> cpu & 1)
			return n;
	return 0;
}

unsigned int machine_node_distance(const struct machine_config *c, unsigned int from,
				   unsigned int to)
{
	if (c->nr_nodes && c->node[from].distance[to])
		return c->node[from].distance[to];
	return from == to ? DISTANCE_LOCAL : DISTANCE_REMOTE;
}

static int check_distances(const struct machine_config *c, unsigned int n, struct mmvm_error *err)
{
	const uint8_t *d = c->node[n].distance;

	for (unsigned int to = 0; to < MMVM_MAX_NODES; to++) {
		if (!d[to])
			continue;
		if (to >= c->nr_nodes)
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "node %u has a distance to node %u, and there are %u "
					  "nodes",
					  n, to, c->nr_nodes);
		if (to == n ? d[to] != DISTANCE_LOCAL : d[to] <= DISTANCE_LOCAL)
			return mmvm_error(
				err, MMVM_EXIT_USAGE,
				"distance %u from node %u to node %u: to itself it is 10, "
				"to others 11 to 255",
				d[to], n, to);
	}
	return 0;
}

int machine_check_nodes(const struct machine_config *c, struct mmvm_error *err)
{
	uint64_t memory = 0, cpus = 0, all = (1ull << c->cpus) - 1;

	if (!c->nr_nodes)
		return 0;
	for (unsigned int n = 0; n < c->nr_nodes; n++) {
		const struct machine_node *node = &c->node[n];

		if (!node->memory || node->memory % MMVM_PAGE_SIZE)
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "node %u: a node has memory, in whole pages of 4 KiB", n);
		if (node->cpus & ~all)
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "node %u has a CPU that is not there: there are %u CPUs",
					  n, c->cpus);
		if (node->cpus & cpus)
			return mmvm_error(err, MMVM_EXIT_USAGE,
					  "node %u has a CPU that another node has, too", n);
		if (check_distances(c, n, err))
			return -1;
		cpus |= node->cpus;
		memory += node->memory;
	}
	if (cpus && cpus != all)
		return mmvm_error(
			err, MMVM_EXIT_USAGE,
			"CPU %d is in no node: name all of them, or none (then all are in "
			"node 0)",
			__builtin_ctzll(all & ~cpus));
	if (memory != c->ram_low + c->ram_high)
		return mmvm_error(err, MMVM_EXIT_USAGE,
				  "the nodes have %llu KiB, the machine %llu KiB",
				  (unsigned long long)memory >> 10,
				  (unsigned long long)(c->ram_low + c->ram_high) >> 10);
	return 0;
}

bool machine_node_range(const struct machine *m, unsigned int i, struct machine_node_range *out)
{
	const struct machine_config *c = &m->config;
	uint64_t left = c->nr_nodes ? c->node[0].memory : UINT64_MAX;
	unsigned int node = 0;

	for (unsigned int r = 0; r < m->ram.nr; r++) {
		const struct guest_ram_region *region = &m->ram.region[r];

		for (uint64_t at = 0; at < region->size;) {
			uint64_t take = region->size - at < left ? region->size - at : left;

			if (!i--) {
				*out = (struct machine_node_range){.gpa = region->gpa + at,
								   .size = take,
								   .hva = region->hva + at,
								   .node = node};
				return true;
			}
			at += take;
			left -= take;
			if (!left && node + 1 < c->nr_nodes)
				left = c->node[++node].memory;
		}
	}
	return false;
}

/** Nodes of the host that this process may use, in order. */
static unsigned int host_nodes(unsigned int *list, unsigned int max)
{
	unsigned long mask[HOST_NODES / WORD_BITS] = {0};
	unsigned int nr = 0;

	if (syscall(SYS_get_mempolicy, NULL, mask, HOST_NODES, NULL, MPOL_F_MEMS_ALLOWED))
		return 0;
	for (unsigned int n = 0; n < HOST_NODES && nr < max; n++)
		if (mask[n / WORD_BITS] >> n % WORD_BITS & 1)
			list[nr++] = n;
	return nr;
}

int machine_bind_nodes(struct machine *m, struct mmvm_error *err)
{
	unsigned int host[MMVM_MAX_NODES], nr = host_nodes(host, MMVM_MAX_NODES);
	struct machine_node_range r;

	for (unsigned int n = 0; n < MMVM_MAX_NODES; n++)
		m->host_node[n] = -1;
	if (m->config.nr_nodes < 2 || nr < 2)
		return 0;
	for (unsigned int i = 0; machine_node_range(m, i, &r); i++) {
		unsigned int to = host[r.node % nr];
		unsigned long mask[HOST_NODES / WORD_BITS] = {0};

		mask[to / WORD_BITS] = 1ul << to % WORD_BITS;
		if (syscall(SYS_mbind, r.hva, r.size, MPOL_BIND, mask, HOST_NODES, 0))
			return mmvm_error(err, MMVM_EXIT_HOST,
					  "cannot bind node %u's memory to host node %u: mbind: %s",
					  r.node, to, strerror(errno));
		m->host_node[r.node] = (int)to;
	}
	return 0;
}

int machine_host_node(const struct machine *m, unsigned int node)
{
	return m->host_node[node];
}
