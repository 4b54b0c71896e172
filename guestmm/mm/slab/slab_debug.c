/*
 * Debugging aids of the slab allocator, switched on at boot: slab_debug=FZPUT[,cache...].
 *
 * A slot of a cache with aids, from low to high addresses:
 *
 *   | left red zone | object | pad to 8 | right red zone | next free | track alloc | track free | pad |
 *     ^ Z             ^ pointer           ^ Z                          ^ U           ^ U
 *
 *   F  an object that comes back must be a slot of its slab and must not be free already
 *   Z  red zones: 0xbb around a free object, 0xcc around one in use; a write beyond an end shows
 *   P  a free object holds 0x6b, its last byte 0xa5; a write after free shows at the next allocation
 *   U  who allocated and freed it last, for the messages
 *   T  print each allocation and free
 *
 * Any error stops the machine with a message that names the cache, the object and its last owners: after a
 * corruption no later result can be trusted.
 */
#include "mm/slab/slab_internal.h"
#include "lib/string.h"

#define RED_INACTIVE 0xbb
#define RED_ACTIVE   0xcc
#define POISON_FREE  0x6b
#define POISON_END   0xa5
#define POISON_INUSE 0x5a

struct track {
	const void *caller;
	u64 when;
	u32 cpu, pad;
};
enum { TRACK_ALLOC, TRACK_FREE, NR_TRACKS };

/* ---- which caches ---- */

static u32 wanted_flags;
static char wanted_caches[256]; /* comma-separated; "" = all */

void slab_debug_setup(const char *options)
{
	static const struct {
		char letter;
		u32 flag;
	} table[] = {{'F', SLAB_CONSISTENCY_CHECKS},
		     {'Z', SLAB_RED_ZONE},
		     {'P', SLAB_POISON},
		     {'U', SLAB_STORE_USER},
		     {'T', SLAB_TRACE}};
	const char *s = options;

	wanted_flags = 0;
	wanted_caches[0] = 0;
	if (*s == '-')
		return;
	for (; *s && *s != ',' && *s != ';'; s++) {
		u32 flag = 0;

		for (unsigned int i = 0; i < ARRAY_SIZE(table); i++)
			if (*s == table[i].letter || *s == table[i].letter + 'a' - 'A')
				flag = table[i].flag;
		if (!flag) /* Linux's A and O among them */
			printk("slab_debug option '%c' unknown. skipped\n", *s);
		wanted_flags |= flag;
	}
	if (s == options) /* no flags given: all aids that do not flood the console */
		wanted_flags =
			SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER;
	if (*s == ',')
		strscpy(wanted_caches, s + 1, sizeof(wanted_caches));
	for (; *s && *s != ';'; s++)
		;
	if (*s) {
		char *end = strchr(wanted_caches, ';');

		if (end)
			*end = 0;
		printk("slab_debug: one block of options is known, skipped: %s\n", s);
	}
}

u32 slab_debug_flags(const char *name)
{
	size_t len = strlen(name);

	if (!wanted_flags || !wanted_caches[0])
		return wanted_flags;
	for (const char *s = wanted_caches; *s;) {
		const char *end = strchr(s, ',');
		size_t n = end ? (size_t)(end - s) : strlen(s);

		if (n && s[n - 1] == '*' ? !strncmp(s, name, n - 1)
					 : n == len && !strncmp(s, name, n))
			return wanted_flags;
		s += n + (end != NULL);
	}
	return 0;
}

/* ---- layout ---- */

void slab_layout(struct kmem_cache *c)
{
	u32 size = ALIGN_UP(c->object_size, (u32)sizeof(void *));

	c->offset_of_first = 0;
	if (c->flags & SLAB_RED_ZONE) {
		/* At least a byte of right red zone, even when the object fills its words. */
		if (size == c->object_size)
			size += sizeof(void *);
		c->offset_of_first = ALIGN_UP((u32)sizeof(void *), c->align);
	}
	c->inuse = size;
	c->free_offset = 0;
	if (c->ctor || (c->flags & (SLAB_POISON | SLAB_RED_ZONE | SLAB_CONSISTENCY_CHECKS))) {
		c->free_offset = size;
		size += sizeof(void *);
	}
	if (c->flags & SLAB_STORE_USER)
		size += NR_TRACKS * sizeof(struct track);
	c->size = ALIGN_UP(size + c->offset_of_first, c->align);
}

static struct track *track_of(const struct kmem_cache *c, void *obj, int which)
{
	u32 at = c->inuse + (c->free_offset ? sizeof(void *) : 0);

	return (struct track *)((char *)obj + at) + which;
}

static void set_track(const struct kmem_cache *c, void *obj, int which, const void *caller)
{
	struct track *t = track_of(c, obj, which);

	t->caller = caller;
	t->when = ktime_ns();
	t->cpu = cpu_id();
}

static void __noreturn slab_bug(struct kmem_cache *c, void *obj, const char *what,
				const void *caller)
{
	const void *alloc = NULL, *free = NULL;

	if (c->flags & SLAB_STORE_USER) {
		alloc = track_of(c, obj, TRACK_ALLOC)->caller;
		free = track_of(c, obj, TRACK_FREE)->caller;
	}
	panic("BUG %s: %s, object %p (size %u), called from %p, last allocated by %p, last freed "
	      "by %p",
	      c->name, what, obj, c->object_size, caller, alloc, free);
}

/* ---- marks ---- */

static void mark_red(struct kmem_cache *c, void *obj, u8 value)
{
	if (!(c->flags & SLAB_RED_ZONE))
		return;
	memset((char *)obj - c->offset_of_first, value, c->offset_of_first);
	memset((char *)obj + c->object_size, value, c->inuse - c->object_size);
}

static bool all_bytes(const void *from, u8 value, u32 n)
{
	for (const u8 *p = from; n; p++, n--)
		if (*p != value)
			return false;
	return true;
}

static void check_red(struct kmem_cache *c, void *obj, u8 value, const void *caller)
{
	if (!(c->flags & SLAB_RED_ZONE))
		return;
	if (!all_bytes((char *)obj - c->offset_of_first, value, c->offset_of_first))
		slab_bug(c, obj, "Left Redzone overwritten", caller);
	if (!all_bytes((char *)obj + c->object_size, value, c->inuse - c->object_size))
		slab_bug(c, obj, "Right Redzone overwritten", caller);
}

/* A constructed object must stay as it is, so it is not poisoned. */
static bool is_poisoned(const struct kmem_cache *c)
{
	return (c->flags & SLAB_POISON) && !c->ctor;
}

static void poison(struct kmem_cache *c, void *obj)
{
	if (!is_poisoned(c))
		return;
	memset(obj, POISON_FREE, c->object_size - 1);
	((u8 *)obj)[c->object_size - 1] = POISON_END;
}

static void check_poison(struct kmem_cache *c, void *obj, const void *caller)
{
	if (!is_poisoned(c))
		return;
	if (!all_bytes(obj, POISON_FREE, c->object_size - 1) ||
	    ((u8 *)obj)[c->object_size - 1] != POISON_END)
		slab_bug(c, obj, "Poison overwritten", caller);
}

/* ---- hooks ---- */

void slab_debug_init(struct kmem_cache *c, void *obj)
{
	mark_red(c, obj, RED_INACTIVE);
	poison(c, obj);
	if (c->flags & SLAB_STORE_USER)
		memset(track_of(c, obj, 0), 0, NR_TRACKS * sizeof(struct track));
}

static bool is_slot(const struct kmem_cache *c, const struct slab *slab, const void *obj)
{
	unsigned long at = (unsigned long)obj - (unsigned long)slab_address(slab);

	return at >= c->offset_of_first && (at - c->offset_of_first) % c->size == 0 &&
	       (at - c->offset_of_first) / c->size < slab->objects;
}

static bool is_free(const struct kmem_cache *c, const struct slab *slab, const void *obj)
{
	u32 n = 0;

	for (void *p = slab->freelist; p; p = get_free_pointer(c, p)) {
		if (p == obj)
			return true;
		if (!is_slot(c, slab, p) || ++n > slab->objects)
			bad_page(slab_page(slab), "Freechain corrupt");
	}
	return false;
}

void slab_debug_alloc(struct kmem_cache *c, struct slab *slab, void *obj, const void *caller)
{
	if (c->flags & SLAB_CONSISTENCY_CHECKS) {
		void *next = get_free_pointer(c, obj);

		if (next && !is_slot(c, slab, next))
			slab_bug(c, obj, "Freepointer corrupt", caller);
	}
	check_red(c, obj, RED_INACTIVE, caller);
	check_poison(c, obj, caller);
	mark_red(c, obj, RED_ACTIVE);
	/* Code that allocates the object must not rely on its old contents, nor on zeroes. */
	if (is_poisoned(c))
		memset(obj, POISON_INUSE, c->object_size);
	if (c->flags & SLAB_STORE_USER)
		set_track(c, obj, TRACK_ALLOC, caller);
	if (c->flags & SLAB_TRACE)
		printk("TRACE %s alloc %p by %p\n", c->name, obj, caller);
}

void slab_debug_free(struct kmem_cache *c, struct slab *slab, void *obj, const void *caller)
{
	if (c->flags & SLAB_CONSISTENCY_CHECKS) {
		if (!is_slot(c, slab, obj))
			panic("BUG %s: Invalid object pointer %p freed by %p", c->name, obj,
			      caller);
		if (is_free(c, slab, obj))
			slab_bug(c, obj, "Object already free", caller);
	}
	check_red(c, obj, RED_ACTIVE, caller);
	mark_red(c, obj, RED_INACTIVE);
	poison(c, obj);
	if (c->flags & SLAB_STORE_USER)
		set_track(c, obj, TRACK_FREE, caller);
	if (c->flags & SLAB_TRACE)
		printk("TRACE %s free %p by %p\n", c->name, obj, caller);
}
