/*
 * Steps into a call tree.
 *
 * The stack is followed by what the instructions do, not by frame pointers, which assembly has
 * none of:
 *
 *   after CALL                 the function at rip is below the caller
 *   at a TRAP                  the handler is below whatever was interrupted
 *   after RET, IRET, SYSRET    back to the frame above (IRET: above the last handler)
 *   otherwise, another function at rip: a jump out of a function (a tail call, or from label to
 *   label in assembly) takes the place of the function that jumped
 *
 * A context switch loads another stack pointer: the frames are then put aside under the kernel
 * stack's address and those of the other stack taken up, or, when it has not been seen yet, begun
 * below a node "[other thread]". A return that leads elsewhere than to the frame above finds its
 * frame further up, or starts anew below the bottom frame.
 *
 * P1  The sum of self over all nodes is the number of instructions retired: of each step exactly
 *     one node is charged, and an instruction that faulted is not charged (its second try is).
 * P2  node[i].parent < i: children come after their parents, so one backward pass adds up totals.
 */
#include "observe/step_profile.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STEPS   (8u << 20)
#define MAX_DEPTH   512
#define MAX_STACKS  16
#define STACK_SHIFT 14 /* kernel stacks are aligned to their size, 16 KiB */
#define USER_END    (1ull << 47)
#define CACHE_SIZE  8192u /* power of two */

struct step_rec {
	uint64_t rip, rsp, from;
	uint8_t insn; /* enum step_insn */
	bool trap;
};

struct frame {
	uint32_t node;
	bool trap;
};
struct stack {
	uint64_t key; /* stack_key() */
	unsigned int depth;
	struct frame frame[MAX_DEPTH];
};

struct profiler {
	profile_namer namer;
	const void *arg;
	struct profile out;
	uint64_t hash; /* of the first repetition's rips */
	bool open;
	uint64_t root;
	struct step_rec *step;
	unsigned int nr, room;
	/* rip -> function; a slot is overwritten by the next rip that falls there */
	struct {
		uint64_t rip;
		uint32_t func; /* + 1 */
	} cache[CACHE_SIZE];
	struct stack stack[MAX_STACKS];
	unsigned int nr_stacks, current;
};

/** Of the kernel stack that rsp is on. An empty stack's pointer is just above it. */
static uint64_t stack_key(uint64_t rsp)
{
	return (rsp - 8) >> STACK_SHIFT;
}

struct profiler *profiler_new(profile_namer namer, const void *arg)
{
	struct profiler *p = calloc(1, sizeof(*p));

	if (p) {
		p->namer = namer;
		p->arg = arg;
	}
	return p;
}

void profiler_free(struct profiler *p)
{
	if (!p)
		return;
	free(p->step);
	free(p->out.func);
	free(p->out.node);
	free(p);
}

static void fail(struct profiler *p, const char *why)
{
	if (!*p->out.error)
		snprintf(p->out.error, sizeof(p->out.error), "%s", why);
}

/** Room for one more element. */
static bool grow(void *array, unsigned int nr, unsigned int *room, size_t size)
{
	void **at = array, *more;

	if (nr < *room)
		return true;
	more = realloc(*at, (*room ? 2 * (size_t)*room : 256) * size);
	if (!more)
		return false;
	*at = more;
	*room = *room ? 2 * *room : 256;
	return true;
}

static uint32_t func_by_name(struct profiler *p, const char *name)
{
	struct profile *o = &p->out;

	for (unsigned int i = 0; i < o->nr_funcs; i++)
		if (!strcmp(o->func[i].name, name))
			return i;
	if (!grow(&o->func, o->nr_funcs, &o->func_room, sizeof(*o->func))) {
		fail(p, "out of memory");
		return 0;
	}
	o->func[o->nr_funcs] = (struct profile_func){0};
	snprintf(o->func[o->nr_funcs].name, PROFILE_NAME, "%s", name);
	return o->nr_funcs++;
}

static uint32_t func_at(struct profiler *p, uint64_t rip)
{
	unsigned int slot = (unsigned int)(rip ^ rip >> 13) & (CACHE_SIZE - 1);
	char name[128], *cut;

	if (p->cache[slot].func && p->cache[slot].rip == rip)
		return p->cache[slot].func - 1;
	if (rip < USER_END) {
		strcpy(name, "[user]");
	} else {
		p->namer(p->arg, rip, name, sizeof(name));
		cut = strchr(name, '+');
		if (cut)
			*cut = 0;
		/* a function's unlikely part is the function */
		cut = strstr(name, ".cold");
		if (cut && cut != name)
			*cut = 0;
	}
	p->cache[slot].rip = rip;
	p->cache[slot].func = func_by_name(p, name) + 1;
	return p->cache[slot].func - 1;
}

/** The child of `parent` for this function, made when there is none. */
static uint32_t child_of(struct profiler *p, uint32_t parent, uint32_t func)
{
	struct profile *o = &p->out;
	uint32_t *link;

	for (link = &o->node[parent].child; *link; link = &o->node[*link].next)
		if (o->node[*link].func == func)
			return *link;
	*link = o->nr_nodes;
	if (!grow(&o->node, o->nr_nodes, &o->node_room, sizeof(*o->node))) {
		*link = 0;
		fail(p, "out of memory");
		return parent;
	}
	o->node[o->nr_nodes] = (struct profile_node){.func = func, .parent = parent};
	return o->nr_nodes++;
}

static struct frame *top(struct profiler *p)
{
	struct stack *s = &p->stack[p->current];

	return &s->frame[s->depth - 1];
}

/* How the guest came to a function. */
enum entry { BY_CALL, BY_TRAP };

static void push(struct profiler *p, uint32_t parent, uint32_t func, enum entry by)
{
	struct stack *s = &p->stack[p->current];
	uint32_t node = child_of(p, parent, func);

	p->out.node[node].calls++;
	if (s->depth == MAX_DEPTH) {
		fail(p, "calls nest deeper than 512: not followed");
		s->depth--;
	}
	s->frame[s->depth++] = (struct frame){node, by == BY_TRAP};
}

/** The bottom frame stays. */
static void pop(struct profiler *p)
{
	struct stack *s = &p->stack[p->current];

	if (s->depth > 1)
		s->depth--;
}

static void pop_trap(struct profiler *p)
{
	struct stack *s = &p->stack[p->current];

	while (s->depth > 1 && !s->frame[s->depth - 1].trap)
		s->depth--;
	pop(p);
}

/** A return led to `func`: make it the top. */
static void return_to(struct profiler *p, uint32_t func)
{
	struct stack *s = &p->stack[p->current];

	for (unsigned int d = s->depth; d > 0; d--) {
		if (p->out.node[s->frame[d - 1].node].func == func) {
			s->depth = d;
			return;
		}
	}
	s->depth = 1;
	push(p, s->frame[0].node, func, BY_CALL);
}

/** The stack pointer went to another stack: put these frames aside, take up those. */
static void switch_stack(struct profiler *p, uint64_t rsp)
{
	uint64_t key = stack_key(rsp);
	struct stack *s;

	for (unsigned int i = 0; i < p->nr_stacks; i++) {
		if (p->stack[i].key == key) {
			p->current = i;
			return;
		}
	}
	if (p->nr_stacks == MAX_STACKS) {
		fail(p, "more than 16 threads run in one operation: not followed");
		return;
	}
	p->current = p->nr_stacks++;
	s = &p->stack[p->current];
	s->key = key;
	s->frame[0] = (struct frame){child_of(p, 0, func_by_name(p, "[other thread]")), false};
	s->depth = 1;
}

/** Go from step `a` to step `b`: the stack is `b`'s afterwards. */
static void follow(struct profiler *p, const struct step_rec *a, const struct step_rec *b)
{
	uint32_t func = func_at(p, b->rip);
	bool kernel = a->rip >= USER_END && b->rip >= USER_END;

	if (b->trap) {
		push(p, top(p)->node, func, BY_TRAP);
		return;
	}
	if (a->insn == INSN_CALL) {
		push(p, top(p)->node, func, BY_CALL);
		return;
	}
	/* A stack that is entered from user mode belongs to the frames at hand: it is not another.
	 */
	if (kernel && a->insn == INSN_OTHER && a->rsp >= USER_END && b->rsp >= USER_END &&
	    stack_key(a->rsp) != stack_key(b->rsp)) {
		p->stack[p->current].key = stack_key(a->rsp);
		switch_stack(p, b->rsp);
		if (p->stack[p->current].depth == 1)
			push(p, top(p)->node, func, BY_CALL);
	}
	if (a->insn == INSN_IRET || a->insn == INSN_SYSRET)
		pop_trap(p);
	else if (a->insn == INSN_RET)
		pop(p);
	if (p->out.node[top(p)->node].func == func)
		return;
	if (a->insn == INSN_RET || a->insn == INSN_IRET || a->insn == INSN_SYSRET) {
		return_to(p, func);
	} else if (p->stack[p->current].depth > 1) {
		bool trap = top(p)->trap;

		pop(p);
		push(p, top(p)->node, func, trap ? BY_TRAP : BY_CALL);
	} else {
		push(p, top(p)->node, func, BY_CALL);
	}
}

/** Add up totals (P2), then functions from nodes. */
static void add_up(struct profile *o)
{
	for (unsigned int i = 0; i < o->nr_nodes; i++)
		o->node[i].total = o->node[i].self;
	for (unsigned int i = o->nr_nodes; i-- > 1;)
		o->node[o->node[i].parent].total += o->node[i].total;
	for (unsigned int i = 1; i < o->nr_nodes; i++) {
		const struct profile_node *n = &o->node[i];
		struct profile_func *f = &o->func[n->func];
		uint32_t up = n->parent;

		f->self += n->self;
		f->calls += n->calls;
		while (up && o->node[up].func != n->func)
			up = o->node[up].parent;
		if (!up)
			f->total += n->total;
	}
}

/** Did step i retire? Not when the next one is the trap that it made. */
static bool retired(const struct step_rec *s, unsigned int i, unsigned int nr)
{
	return i + 1 >= nr || !s[i + 1].trap || s[i + 1].from != s[i].rip;
}

static void build(struct profiler *p, const struct step_rec *s, unsigned int nr)
{
	struct profile *o = &p->out;

	o->nr_funcs = o->nr_nodes = 0;
	memset(p->cache, 0, sizeof(p->cache));
	if (!grow(&o->node, 0, &o->node_room, sizeof(*o->node))) {
		fail(p, "out of memory");
		return;
	}
	o->node[o->nr_nodes++] = (struct profile_node){0}; /* root: nothing is charged to it */
	p->nr_stacks = 1;
	p->current = 0;
	p->stack[0].depth = 0;
	p->stack[0].key = stack_key(s[0].rsp);
	push(p, 0, func_at(p, s[0].rip), BY_CALL);
	for (unsigned int i = 0; i < nr && !*o->error; i++) {
		if (i)
			follow(p, &s[i - 1], &s[i]);
		o->node[top(p)->node].self += retired(s, i, nr);
	}
	add_up(o);
}

/** The operation within the steps: [*first, *last). False: it is not in there. */
static bool cut(const struct profiler *p, unsigned int *first, unsigned int *last)
{
	const struct step_rec *s = p->step;
	unsigned int i = 0, n = p->nr;

	if (p->root) {
		while (i < n && s[i].rip != p->root)
			i++;
		*first = i;
		for (i++; i < n; i++)
			if (s[i - 1].insn == INSN_RET && s[i].rsp == s[*first].rsp + 8)
				break;
		*last = i;
		return i < n;
	}
	while (i < n && s[i].rip >= USER_END)
		i++;
	while (n > i && s[n - 1].rip >= USER_END)
		n--;
	/* the last instruction of user mode makes the system call that is the mark */
	*first = i;
	*last = n ? n - 1 : 0;
	return *first < *last;
}

static void end_repetition(struct profiler *p)
{
	uint64_t hash = 14695981039346656037ull, count = 0;
	unsigned int first, last;
	struct profile *o = &p->out;

	if (!cut(p, &first, &last)) {
		fail(p, "the operation is not between its marks");
		return;
	}
	for (unsigned int i = first; i < last; i++) {
		hash = (hash ^ p->step[i].rip) * 1099511628211ull;
		count += retired(p->step, i, last);
	}
	if (!o->reps) {
		p->hash = hash;
		o->identical = true;
		o->min = o->max = count;
	}
	o->identical &= hash == p->hash;
	if (!o->reps++ || count < o->min)
		build(p, p->step + first, last - first);
	o->min = count < o->min ? count : o->min;
	o->max = count > o->max ? count : o->max;
}

void profiler_step(struct profiler *p, const struct machine_step *step)
{
	switch (step->kind) {
	case STEP_BEGIN:
		if (*p->out.op && strcmp(p->out.op, step->name))
			fail(p, "the guest marks a second operation");
		if (p->open)
			fail(p, "the guest begins an operation within another");
		snprintf(p->out.op, sizeof(p->out.op), "%s", step->name);
		p->open = true;
		p->root = step->root;
		p->nr = 0;
		break;
	case STEP_INSN:
	case STEP_TRAP:
		if (!p->open || *p->out.error)
			break;
		if (p->nr == MAX_STEPS || !grow(&p->step, p->nr, &p->room, sizeof(*p->step))) {
			fail(p, "too many steps for this host's memory");
			break;
		}
		p->step[p->nr++] = (struct step_rec){.rip = step->rip,
						     .rsp = step->rsp,
						     .from = step->from,
						     .insn = (uint8_t)step->insn,
						     .trap = step->kind == STEP_TRAP};
		break;
	case STEP_END:
		if (!p->open)
			break;
		p->open = false;
		if (!*p->out.error)
			end_repetition(p);
		break;
	case STEP_FAILED:
		fail(p, step->name);
		break;
	}
}

static int by_self(const void *a, const void *b, void *arg)
{
	const struct profile_func *f = arg, *x = &f[*(const uint32_t *)a],
				  *y = &f[*(const uint32_t *)b];

	if (x->self != y->self)
		return x->self < y->self ? 1 : -1;
	return strcmp(x->name, y->name);
}

/** Sort the functions; nodes follow. */
static void sort_funcs(struct profiler *p)
{
	struct profile *o = &p->out;
	uint32_t *order = calloc(2 * (size_t)o->nr_funcs + 1, sizeof(*order));
	struct profile_func *sorted = calloc(o->nr_funcs + 1, sizeof(*sorted));

	if (order && sorted) {
		uint32_t *place = order + o->nr_funcs;

		for (unsigned int i = 0; i < o->nr_funcs; i++)
			order[i] = i;
		qsort_r(order, o->nr_funcs, sizeof(*order), by_self, o->func);
		for (unsigned int i = 0; i < o->nr_funcs; i++) {
			sorted[i] = o->func[order[i]];
			place[order[i]] = i;
		}
		memcpy(o->func, sorted, o->nr_funcs * sizeof(*sorted));
		for (unsigned int i = 0; i < o->nr_nodes; i++)
			o->node[i].func = place[o->node[i].func];
	} else {
		fail(p, "out of memory");
	}
	free(order);
	free(sorted);
}

const struct profile *profiler_result(struct profiler *p)
{
	if (!p->out.reps)
		fail(p, p->open ? "the operation did not end" : "no operation was marked");
	else
		sort_funcs(p);
	return &p->out;
}
