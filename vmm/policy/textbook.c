/*
 * Textbook replacement: LRU, FIFO, CLOCK, ARC, and Belady's OPT, which knows the future and is the
 * least number of misses that any policy can have.
 *
 *   CLOCK  Corbato, "A Paging Experiment with the Multics System", 1968
 *   OPT    Belady, "A Study of Replacement Algorithms", IBM Systems Journal 5(2), 1966
 *   ARC    Megiddo, Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003, fig. 4
 *
 * Pages are numbers; lists are arrays of links, so that every step but OPT's takes constant time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "policy/policy.h"
#include "machine/clock.h"

int refs_add(struct ref_string *r, uint32_t ref)
{
	if (r->nr == r->room) {
		size_t room = r->room ? 2 * r->room : 4096;
		uint32_t *p = realloc(r->ref, room * sizeof(*p));

		if (!p)
			return -ENOMEM;
		r->ref = p;
		r->room = room;
	}
	r->ref[r->nr++] = ref;
	return 0;
}

void refs_free(struct ref_string *r)
{
	free(r->ref);
	*r = (struct ref_string){0};
}

/* ---- lists of pages -------------------------------------------------------------------------- */

enum { NOWHERE, T1, T2, B1, B2, NR_LISTS };
#define NIL UINT32_MAX

struct sim {
	const struct ref_string *refs;
	uint32_t memory;
	struct policy_result *out;
	uint32_t *next, *prev; /* by page */
	uint8_t *list;	       /* by page: which list it is on */
	uint8_t *seen;	       /* by page: was referenced since it was given up */
	uint8_t *used;	       /* by page: CLOCK's bit */
	uint32_t head[NR_LISTS], tail[NR_LISTS], len[NR_LISTS];
	uint64_t *future; /* OPT: by position, when the page is used next */
	uint32_t target;  /* ARC: of T1 */
};

static void take(struct sim *s, uint32_t p)
{
	uint8_t l = s->list[p];

	if (l == NOWHERE)
		return;
	if (s->prev[p] != NIL)
		s->next[s->prev[p]] = s->next[p];
	else
		s->head[l] = s->next[p];
	if (s->next[p] != NIL)
		s->prev[s->next[p]] = s->prev[p];
	else
		s->tail[l] = s->prev[p];
	s->len[l]--;
	s->list[p] = NOWHERE;
}

static void put(struct sim *s, uint32_t p, uint8_t l)
{
	take(s, p);
	s->list[p] = l;
	s->prev[p] = NIL;
	s->next[p] = s->head[l];
	if (s->head[l] != NIL)
		s->prev[s->head[l]] = p;
	else
		s->tail[l] = p;
	s->head[l] = p;
	s->len[l]++;
}

static bool in_memory(const struct sim *s, uint32_t p)
{
	return s->list[p] == T1 || s->list[p] == T2;
}

/* ---- LRU, FIFO, CLOCK ------------------------------------------------------------------------ */

static void evict(struct sim *s, uint32_t p, uint8_t to)
{
	s->out->evictions++;
	if (to == NOWHERE)
		take(s, p);
	else
		put(s, p, to);
}

static void lru(struct sim *s, uint32_t p, size_t at)
{
	if (!in_memory(s, p) && s->len[T1] == s->memory) {
		s->out->looked_at++;
		evict(s, s->tail[T1], NOWHERE);
	}
	put(s, p, T1);
}

static void fifo(struct sim *s, uint32_t p, size_t at)
{
	if (!in_memory(s, p))
		lru(s, p, at);
}

static void clock_policy(struct sim *s, uint32_t p, size_t at)
{
	if (in_memory(s, p)) {
		s->used[p] = 1;
		return;
	}
	while (s->len[T1] == s->memory) {
		uint32_t hand = s->tail[T1];

		s->out->looked_at++;
		if (s->used[hand]) {
			s->used[hand] = 0;
			put(s, hand, T1);
		} else {
			evict(s, hand, NOWHERE);
		}
	}
	s->used[p] = 0;
	put(s, p, T1);
}

/* ---- ARC ------------------------------------------------------------------------------------- */

/* ARC treats a hit in its list B2 apart. */
enum hit { OTHER_HIT, HIT_B2 };

/* REPLACE of the paper: a page of T1 or T2 becomes a ghost. */
static void arc_replace(struct sim *s, enum hit hit)
{
	if (s->len[T1] + s->len[T2] < s->memory)
		return; /* pages were given up: there is room */
	s->out->looked_at++;
	if (s->len[T1] &&
	    (s->len[T1] > s->target || (hit == HIT_B2 && s->len[T1] == s->target) || !s->len[T2]))
		evict(s, s->tail[T1], B1);
	else
		evict(s, s->tail[T2], B2);
}

static void arc(struct sim *s, uint32_t p, size_t at)
{
	uint32_t c = s->memory, step;

	switch (s->list[p]) {
	case T1:
	case T2:
		put(s, p, T2);
		return;
	case B1:
		s->out->refaults++;
		step = s->len[B1] >= s->len[B2] ? 1 : s->len[B2] / s->len[B1];
		s->target = s->target + step < c ? s->target + step : c;
		arc_replace(s, OTHER_HIT);
		put(s, p, T2);
		return;
	case B2:
		s->out->refaults++;
		step = s->len[B2] >= s->len[B1] ? 1 : s->len[B1] / s->len[B2];
		s->target = s->target > step ? s->target - step : 0;
		arc_replace(s, HIT_B2);
		put(s, p, T2);
		return;
	}
	if (s->len[T1] + s->len[B1] >= c) {
		if (s->len[T1] < c) {
			take(s, s->tail[B1]);
			arc_replace(s, OTHER_HIT);
		} else {
			s->out->looked_at++;
			evict(s, s->tail[T1], NOWHERE);
		}
	} else if (s->len[T1] + s->len[T2] + s->len[B1] + s->len[B2] >= c) {
		if (s->len[T1] + s->len[T2] + s->len[B1] + s->len[B2] >= 2 * c && s->len[B2])
			take(s, s->tail[B2]);
		arc_replace(s, OTHER_HIT);
	}
	put(s, p, T1);
}

/* ---- OPT ------------------------------------------------------------------------------------- */

/* By position: where the page is referenced next. A page that is given up before is never used
 * again. */
static int know_future(struct sim *s)
{
	const struct ref_string *r = s->refs;
	uint64_t *next = malloc(((size_t)r->nr_pages + 1) * sizeof(*next));

	s->future = malloc((r->nr + 1) * sizeof(*s->future));
	if (!next || !s->future) {
		free(next);
		return -ENOMEM;
	}
	memset(next, 0xff, ((size_t)r->nr_pages + 1) * sizeof(*next));
	for (size_t i = r->nr; i-- > 0;) {
		uint32_t p = r->ref[i] & ~REF_GONE;

		s->future[i] = next[p];
		next[p] = r->ref[i] & REF_GONE ? UINT64_MAX : i;
	}
	free(next);
	return 0;
}

/* The pages in memory in a heap, the one used latest on top. `next` is the place in the heap. */
struct heap_item {
	uint64_t when;
	uint32_t page;
};

static void sift(struct heap_item *h, uint32_t n, uint32_t i, uint32_t *place)
{
	struct heap_item item = h[i];

	while (i && h[(i - 1) / 2].when < item.when) {
		h[i] = h[(i - 1) / 2];
		place[h[i].page] = i;
		i = (i - 1) / 2;
	}
	for (;;) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < n && h[child + 1].when > h[child].when)
			child++;
		if (child >= n || h[child].when <= item.when)
			break;
		h[i] = h[child];
		place[h[i].page] = i;
		i = child;
	}
	h[i] = item;
	place[item.page] = i;
}

static void heap_remove(struct heap_item *h, uint32_t *n, uint32_t i, uint32_t *place)
{
	place[h[i].page] = NIL;
	if (i != --*n) {
		h[i] = h[*n];
		place[h[i].page] = i;
		sift(h, *n, i, place);
	}
}

static int opt(struct sim *s)
{
	const struct ref_string *r = s->refs;
	struct heap_item *h = malloc(((size_t)s->memory + 1) * sizeof(*h));
	uint32_t n = 0, *place = s->next;
	int err = know_future(s);

	if (!h || err) {
		free(h);
		return -ENOMEM;
	}
	memset(place, 0xff, ((size_t)r->nr_pages + 1) * sizeof(*place));
	for (size_t i = 0; i < r->nr; i++) {
		uint32_t p = r->ref[i] & ~REF_GONE;

		if (r->ref[i] & REF_GONE) {
			if (place[p] != NIL)
				heap_remove(h, &n, place[p], place);
			s->seen[p] = 0;
			continue;
		}
		if (place[p] == NIL) {
			*(s->seen[p] ? &s->out->misses : &s->out->cold) += 1;
			if (n == s->memory) {
				s->out->evictions++;
				s->out->looked_at++;
				heap_remove(h, &n, 0, place);
			}
			h[n].page = p;
			place[p] = n++;
		}
		s->seen[p] = 1;
		h[place[p]].when = s->future[i];
		sift(h, n, place[p], place);
	}
	free(h);
	return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static const struct textbook {
	const char *name;
	void (*reference)(struct sim *s, uint32_t page, size_t at); /* NULL: opt */
} textbooks[] = {
	{"lru", lru}, {"fifo", fifo}, {"clock", clock_policy}, {"arc", arc}, {"opt", NULL}};
#define NR_TEXTBOOKS (sizeof(textbooks) / sizeof(textbooks[0]))

static void replay(struct sim *s, const struct textbook *t)
{
	const struct ref_string *r = s->refs;

	for (size_t i = 0; i < r->nr; i++) {
		uint32_t p = r->ref[i] & ~REF_GONE;

		if (r->ref[i] & REF_GONE) {
			take(s, p);
			s->seen[p] = 0;
			continue;
		}
		if (!in_memory(s, p))
			*(s->seen[p] ? &s->out->misses : &s->out->cold) += 1;
		s->seen[p] = 1;
		t->reference(s, p, i);
	}
}

static int textbook_run(const struct textbook *t, const struct ref_string *r, uint32_t memory,
			struct policy_result *out)
{
	size_t n = (size_t)r->nr_pages + 1;
	struct sim s = {.refs = r, .memory = memory, .out = out};
	int err = 0;

	s.next = malloc(n * sizeof(*s.next));
	s.prev = malloc(n * sizeof(*s.prev));
	s.list = calloc(n, 1);
	s.seen = calloc(n, 1);
	s.used = calloc(n, 1);
	memset(s.head, 0xff, sizeof(s.head));
	memset(s.tail, 0xff, sizeof(s.tail));
	if (!s.next || !s.prev || !s.list || !s.seen || !s.used)
		err = -ENOMEM;
	else if (t->reference)
		replay(&s, t);
	else
		err = opt(&s);
	free(s.future);
	free(s.used);
	free(s.seen);
	free(s.list);
	free(s.prev);
	free(s.next);
	return err;
}

const char *policy_name(unsigned int i)
{
	unsigned int guests = 0;

	while (policy_guest_name(guests))
		guests++;
	if (i < guests)
		return policy_guest_name(i);
	return i - guests < NR_TEXTBOOKS ? textbooks[i - guests].name : NULL;
}

bool policy_exists(const char *name)
{
	for (unsigned int i = 0; policy_name(i); i++)
		if (!strcmp(policy_name(i), name))
			return true;
	return false;
}

int policy_run(const char *name, const struct ref_string *r, uint32_t memory,
	       struct policy_result *out)
{
	uint64_t begin = machine_now_ns();
	int err = -EINVAL;

	*out = (struct policy_result){.name = name, .memory = memory};
	if (!memory)
		return -EINVAL;
	for (unsigned int i = 0; i < NR_TEXTBOOKS; i++)
		if (!strcmp(textbooks[i].name, name))
			err = textbook_run(&textbooks[i], r, memory, out);
	if (err == -EINVAL)
		err = policy_guest_run(name, r, memory, out);
	out->ns = machine_now_ns() - begin;
	return err;
}
