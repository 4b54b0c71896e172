/*
 * The lock-order checker: finds deadlocks that could happen, whether or not they did.
 *
 * All locks that are initialised at one place form a class. When a thread takes a lock of class B while it holds one of
 * class A, the checker records the edge A -> B. A deadlock needs a cycle of such edges. The threads need not meet for
 * the checker to see it: the first edge that closes a cycle is reported, with the places of all the others.
 *
 *      thread 1: A, then B          A -> B is recorded
 *      thread 2: B, then A          B -> A would close a cycle with A -> B: reported
 *
 * Interrupts make a second kind. A lock that an interrupt handler takes must not be held with
 * interrupts on by anybody, on this CPU or (through a lock in between) on another:
 *
 *      taken in an interrupt  ==>  no class that can be reached from it is taken with interrupts on
 *
 * And no thread waits for a sleeping lock while it holds a spinlock.
 *
 * The list of the locks that a thread holds is after its thread_info, at the end of its stack that is used last.
 *
 * I1  edge[a] has bit b exactly when a record of a -> b was made, or records had run out.
 * I2  Before the checker prints a report, it switches itself off (`off`), because printing takes locks, too.
 *
 * Lock: `busy`, with interrupts off. The checker does not check this one.
 */
#include "arch/irqflags.h"
#include "kernel/console.h"
#include "kernel/lockdep_report.h"
#include "kernel/task.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "mm/phys/memblock.h"

#define MAX_CLASSES 256u
#define MAX_EDGES   1024u
#define MAX_HELD    20u
#define WORDS	    (MAX_CLASSES / 64)

struct lock_class {
	u64 key;	  /* identifies the class, together with `sleeps` */
	const char *name; /* as written where it was made, or first taken */
	bool sleeps;
	unsigned long irq_ip;	 /* taken in an interrupt here; 0 = never */
	unsigned long irq_on_ip; /* taken with interrupts on here; 0 = never */
};

struct edge {
	u16 from, to;
	unsigned long from_ip, to_ip;
	char comm[TASK_COMM_LEN];
};

static struct lockdep {
	struct lock_class class[MAX_CLASSES];
	u64 after[MAX_CLASSES][WORDS]; /* bit b of after[a]: the edge a -> b is known */
	struct edge edges[MAX_EDGES];
	u32 nr_classes, nr_edges;
} * ld;
static bool off;
static u32 busy;

struct held {
	const void *lock;
	unsigned long ip;
	u16 class;
	u16 what;
};
struct held_locks {
	u32 nr;
	u32 base;     /* first lock of the innermost interrupt; earlier ones are older */
	u32 in_irq;   /* nesting of interrupts */
	u32 saved[3]; /* bases of the outer ones */
	struct held held[MAX_HELD];
};

static struct held_locks *held_locks(void)
{
	return (struct held_locks *)(current_thread_info() + 1);
}

void lockdep_thread_init(struct thread_info *ti)
{
	memset(ti + 1, 0, sizeof(struct held_locks));
}

__init void lockdep_init(void)
{
	phys_addr_t pa = memblock_phys_alloc(sizeof(*ld), PAGE_SIZE, 0, 0);

	if (!pa)
		panic("no memory for the lock-order checker");
	memset(__va(pa), 0, sizeof(*ld));
	lockdep_thread_init(current_thread_info());
	ld = __va(pa);
	printk("lockdep: lock order is checked\n");
}

void lockdep_off(void)
{
	WRITE_ONCE(off, true);
}

/* ---- classes and edges ---- */

/* The same text is the same class. */
static u64 name_key(const char *name)
{
	u64 h = 0xcbf29ce484222325ull;

	for (; *name; name++)
		h = (h ^ (u8)*name) * 0x100000001b3ull;
	return h & ~(1ull << 63); /* no address of the kernel */
}

static u64 class_key(const void *lock, u32 key, const char *name)
{
	if (key)
		return (u64)(s64)(s32)key;
	if ((u64)lock >= MMVM_KERNEL_VIRT)
		return (u64)lock;
	return name_key(name);
}

static unsigned int find_class(const void *lock, u32 key, const char *name, bool sleeps)
{
	u64 k = class_key(lock, key, name);
	struct lock_class *c;

	for (unsigned int i = 0; i < ld->nr_classes; i++)
		if (ld->class[i].key == k && ld->class[i].sleeps == sleeps)
			return i;
	if (ld->nr_classes == MAX_CLASSES) {
		off = true;
		panic("lockdep: more than %u classes of locks", MAX_CLASSES);
	}
	c = &ld->class[ld->nr_classes];
	c->key = k;
	c->sleeps = sleeps;
	c->name = key ? ((const struct lock_class_key *)k)->name : name;
	return ld->nr_classes++;
}

static bool edge_known(unsigned int a, unsigned int b)
{
	return ld->after[a][b / 64] >> (b % 64) & 1;
}

static const struct edge *edge_record(unsigned int a, unsigned int b)
{
	for (unsigned int i = 0; i < ld->nr_edges; i++)
		if (ld->edges[i].from == a && ld->edges[i].to == b)
			return &ld->edges[i];
	return NULL;
}

/* Find a shortest path of edges from a to b (breadth first). `path` has room for all classes. Returns its length in
 * classes; 0: there is none. */
static unsigned int find_path(unsigned int a, unsigned int b, u16 *path)
{
	static u16 queue[MAX_CLASSES], came_from[MAX_CLASSES]; /* busy */
	u64 seen[WORDS] = {0};
	unsigned int head = 0, tail = 0, n = 0;

	queue[tail++] = a;
	seen[a / 64] |= 1ull << a % 64;
	while (head < tail && queue[head] != b) {
		unsigned int at = queue[head++];

		for (unsigned int next = 0; next < ld->nr_classes; next++) {
			if (!edge_known(at, next) || (seen[next / 64] >> next % 64 & 1))
				continue;
			seen[next / 64] |= 1ull << next % 64;
			came_from[next] = at;
			queue[tail++] = next;
		}
	}
	if (head == tail)
		return 0;
	for (unsigned int at = b;; at = came_from[at]) {
		path[n++] = at;
		if (at == a)
			break;
	}
	for (unsigned int i = 0; i < n / 2; i++) {
		u16 t = path[i];

		path[i] = path[n - 1 - i];
		path[n - 1 - i] = t;
	}
	return n;
}

/* ---- reports ---- */

static void print_path(const u16 *path, unsigned int n)
{
	for (unsigned int i = 0; i + 1 < n; i++) {
		const struct edge *e = edge_record(path[i], path[i + 1]);

		if (e)
			console_printf("  %s taken at %016lx\n    while %s was held, taken at "
				       "%016lx, by %s\n",
				       ld->class[e->to].name, e->to_ip, ld->class[e->from].name,
				       e->from_ip, e->comm);
		else
			console_printf("  %s taken while %s was held, place not kept\n",
				       ld->class[path[i + 1]].name, ld->class[path[i]].name);
	}
}

/* Early in boot there are locks, but no task yet. */
static const char *holder_name(void)
{
	return current ? current->comm : "boot";
}

static int holder_pid(void)
{
	return current ? current->pid : 0;
}

static void print_held(const struct held_locks *h)
{
	console_printf("held by %s[%d]:\n", holder_name(), holder_pid());
	for (unsigned int i = 0; i < h->nr; i++)
		console_printf("  %s taken at %016lx%s\n", ld->class[h->held[i].class].name,
			       h->held[i].ip, i < h->base ? ", before the interrupt" : "");
}

enum reach { FORWARD, BACKWARD };

/* How many classes can be reached from `class` along edges. BACKWARD: from how many classes it can be reached. The
 * class itself counts, as in Linux. */
static unsigned int count_reachable(unsigned int class, enum reach dir)
{
	u64 seen[WORDS] = {0};
	unsigned int n = 0, before;

	seen[class / 64] |= 1ull << class % 64;
	do {
		before = n;
		n = 0;
		for (unsigned int i = 0; i < ld->nr_classes; i++) {
			for (unsigned int from = 0; from < ld->nr_classes; from++)
				if ((seen[from / 64] >> from % 64 & 1) &&
				    (dir == BACKWARD ? edge_known(i, from) : edge_known(from, i)))
					seen[i / 64] |= 1ull << i % 64;
			n += seen[i / 64] >> i % 64 & 1;
		}
	} while (n != before);
	return n;
}

/* Classes and edges are never removed, so reading them without `busy` gives true, though perhaps not all, edges. */
int lockdep_report(struct report *r)
{
	unsigned int nr;

	if (!ld)
		return -ENOENT;
	nr = READ_ONCE(ld->nr_classes);
	report_printf(r, "all lock classes:\n");
	for (unsigned int i = 0; i < nr; i++) {
		const struct lock_class *c = &ld->class[i];

		report_printf(r, "%016lx FD:%5u BD:%5u %c%c..: %s\n", (unsigned long)c->key,
			      count_reachable(i, FORWARD), count_reachable(i, BACKWARD),
			      c->irq_ip ? '-' : '.', c->irq_on_ip || c->sleeps ? '+' : '.',
			      c->name);
		for (unsigned int j = 0; j < nr; j++)
			if (edge_known(i, j))
				report_printf(r, " -> [%016lx] %s\n",
					      (unsigned long)ld->class[j].key, ld->class[j].name);
		report_printf(r, "\n");
	}
	return 0;
}

static void __noreturn report_cycle(const struct held_locks *h, const struct held *first,
				    unsigned int class, unsigned long ip, const u16 *path,
				    unsigned int n)
{
	console_printf("\nlockdep: possible deadlock\n%s[%d] takes %s at %016lx\n  while it holds "
		       "%s, taken at %016lx\nbut before, the other way round:\n",
		       holder_name(), holder_pid(), ld->class[class].name, ip,
		       ld->class[first->class].name, first->ip);
	print_path(path, n);
	print_held(h);
	panic("lockdep: %s is taken while %s is held, and the other way round",
	      ld->class[class].name, ld->class[first->class].name);
}

static void __noreturn report_irq(unsigned int in_irq, unsigned int irq_on, const u16 *path,
				  unsigned int n)
{
	console_printf("\nlockdep: possible deadlock with an interrupt\n"
		       "%s is taken in an interrupt at %016lx\n"
		       "%s is taken with interrupts on at %016lx\n",
		       ld->class[in_irq].name, ld->class[in_irq].irq_ip, ld->class[irq_on].name,
		       ld->class[irq_on].irq_on_ip);
	print_path(path, n);
	panic("lockdep: %s is taken in interrupts, %s with interrupts on", ld->class[in_irq].name,
	      ld->class[irq_on].name);
}

/* ---- checks ---- */

/* No class that is taken with interrupts on may be reachable from a class that interrupts take. Called when one of the
 * two properties or an edge is new; `c` is the class that has it, or an end of the edge. */
static void check_irq_rule(unsigned int c)
{
	static u16 path[MAX_CLASSES]; /* busy */

	for (unsigned int a = 0; a < ld->nr_classes; a++) {
		if (!ld->class[a].irq_ip || !find_path(a, c, path))
			continue;
		for (unsigned int b = 0; b < ld->nr_classes; b++) {
			unsigned int n;

			if (!ld->class[b].irq_on_ip || !find_path(c, b, path))
				continue;
			n = find_path(a, b, path);
			off = true;
			report_irq(a, b, path, n);
		}
	}
}

static void learn_edge(const struct held *h, unsigned int class, unsigned long ip)
{
	struct edge *e;

	ld->after[h->class][class / 64] |= 1ull << class % 64;
	if (ld->nr_edges == MAX_EDGES)
		return;
	e = &ld->edges[ld->nr_edges++];
	e->from = h->class;
	e->to = class;
	e->from_ip = h->ip;
	e->to_ip = ip;
	strscpy(e->comm, holder_name(), sizeof(e->comm));
}

static void check_order(const struct held_locks *h, const void *lock, unsigned int class, u32 what,
			unsigned long ip)
{
	static u16 path[MAX_CLASSES]; /* busy */

	for (unsigned int i = h->base; i < h->nr; i++) {
		const struct held *held = &h->held[i];
		unsigned int n;

		if (held->lock == lock && !(what & held->what & LOCK_READ)) {
			off = true;
			print_held(h);
			panic("lockdep: %s is taken again by its owner", ld->class[class].name);
		}
		if ((what & LOCK_SLEEP) && !(held->what & LOCK_SLEEP)) {
			off = true;
			print_held(h);
			panic("lockdep: %s, which sleeps, is taken while %s is held",
			      ld->class[class].name, ld->class[held->class].name);
		}
		if (held->class == class) {
			if ((what & LOCK_NESTED) || (what & held->what & LOCK_READ))
				continue;
			off = true;
			print_held(h);
			panic("lockdep: two of %s are held at once, in no known order",
			      ld->class[class].name);
		}
		if (edge_known(held->class, class))
			continue;
		n = find_path(class, held->class, path);
		if (n) {
			off = true;
			report_cycle(h, held, class, ip, path, n);
		}
		learn_edge(held, class, ip);
		check_irq_rule(class);
	}
}

static void note_use(unsigned int class, bool in_irq, bool irqs_on, unsigned long ip)
{
	struct lock_class *c = &ld->class[class];

	if (c->sleeps || (in_irq ? c->irq_ip : !irqs_on || c->irq_on_ip))
		return;
	if (in_irq)
		c->irq_ip = ip;
	else
		c->irq_on_ip = ip;
	check_irq_rule(class);
}

void lockdep_acquire(const void *lock, u32 key, const char *name, u32 what, unsigned long ip)
{
	bool irqs_on = !arch_irqs_disabled();
	struct held_locks *h = held_locks();
	unsigned long flags;
	unsigned int class;

	if (!ld || off)
		return;
	flags = arch_irq_save();
	while (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE)) {
		/* A CPU that reports never releases it: the checker is off then. */
		if (READ_ONCE(off)) {
			arch_irq_restore(flags);
			return;
		}
		spin_wait(&busy);
	}
	class = find_class(lock, key, name, what & LOCK_SLEEP);
	if (what & LOCK_CHECK)
		check_order(h, lock, class, what, ip);
	if (what & LOCK_HOLD) {
		note_use(class, h->in_irq, irqs_on, ip);
		if (h->nr == MAX_HELD) {
			off = true;
			print_held(h);
			panic("lockdep: more than %u locks held", MAX_HELD);
		}
		h->held[h->nr++] = (struct held){lock, ip, class, what};
	}
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

/* Locks that were taken before the checker started are not in the list. */
void lockdep_release(const void *lock)
{
	struct held_locks *h = held_locks();
	unsigned long flags;

	if (!ld || off)
		return;
	flags = arch_irq_save(); /* an interrupt would change the list while we do */
	for (unsigned int i = h->nr; i-- > h->base;) {
		if (h->held[i].lock != lock)
			continue;
		h->nr--;
		for (; i < h->nr; i++)
			h->held[i] = h->held[i + 1];
		break;
	}
	arch_irq_restore(flags);
}

/* ---- interrupts: entered and left with interrupts off ---- */

void lockdep_irq_enter(void)
{
	struct held_locks *h = held_locks();

	if (h->in_irq < ARRAY_SIZE(h->saved))
		h->saved[h->in_irq] = h->base;
	h->in_irq++;
	h->base = h->nr;
}

void lockdep_irq_exit(void)
{
	struct held_locks *h = held_locks();

	h->in_irq--;
	if (h->in_irq < ARRAY_SIZE(h->saved))
		h->base = h->saved[h->in_irq];
}
