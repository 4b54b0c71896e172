#include "result/pressure.h"
#include <inttypes.h>
#include <stdio.h>

#define PERIOD 2000000000ull
#define ONE    2048u
#define SHIFT  11

const char *pressure_state_name(unsigned int state)
{
	static const char *const name[] = {
#define NAME_(id, text) text,
		MMVM_TRACE_STALLS(NAME_)
#undef NAME_
	};

	return name[state];
}

const char *pressure_name(unsigned int resource)
{
	static const char *const name[NR_PRESSURES] = {"io", "memory", "cpu"};

	return name[resource];
}

static void end_period(struct pressure_state *s)
{
	static const uint64_t keep[3] = {1677, 1981, 2034}; /* exp(-2/10, -2/60, -2/300) */
	uint64_t share = s->in_period * 100 / PERIOD * ONE;

	for (int i = 0; i < 3; i++) {
		uint64_t sum = s->average[i] * keep[i] + share * (ONE - keep[i]);

		s->average[i] = (sum + (share >= s->average[i] ? ONE - 1 : 0)) / ONE;
	}
	s->in_period = 0;
}

/* Nothing is left to average, and nothing comes: periods may be left out. */
static bool at_rest(const struct pressure_state *s)
{
	return !s->on && !s->in_period && !s->average[0] && !s->average[1] && !s->average[2];
}

static void advance(struct pressure_state *s, uint64_t ns)
{
	while (s->since < ns) {
		uint64_t end = (s->since / PERIOD + 1) * PERIOD, to;

		if (at_rest(s))
			end = UINT64_MAX;
		to = end < ns ? end : ns;
		if (s->on) {
			s->total += to - s->since;
			s->in_period += to - s->since;
		}
		s->since = to;
		if (to == end)
			end_period(s);
	}
}

void pressure_event(struct pressure *p, unsigned int state, enum stall_edge edge, uint64_t ns)
{
	struct pressure_state *s = &p->state[state];
	bool begins = edge == STALL_BEGIN;

	if (begins == s->on || ns < s->since || ns > INT64_MAX) {
		p->impossible++;
		return;
	}
	advance(s, ns);
	s->on = begins;
}

const char *pressure_text(struct pressure *p, unsigned int resource, uint64_t ns, char *buf,
			  size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (unsigned int full = 0; full < 2; full++) {
		struct pressure_state *s = &p->state[resource * 2 + full];
		uint64_t cents[3];
		int n;

		if (ns < s->since || ns > INT64_MAX)
			p->impossible++;
		else
			advance(s, ns);
		for (int i = 0; i < 3; i++)
			cents[i] = (s->average[i] & (ONE - 1)) * 100 / ONE;
		n = snprintf(buf + at, size - at,
			     "%s avg10=%" PRIu64 ".%02" PRIu64 " avg60=%" PRIu64 ".%02" PRIu64
			     " avg300=%" PRIu64 ".%02" PRIu64 " total=%" PRIu64 "\n",
			     full ? "full" : "some", s->average[0] >> SHIFT, cents[0],
			     s->average[1] >> SHIFT, cents[1], s->average[2] >> SHIFT, cents[2],
			     s->total / 1000);
		if (n < 0 || (size_t)n >= size - at)
			break;
		at += (size_t)n;
	}
	return buf;
}
