/*
 * userfaultfd: events. A monitor that keeps the memory of another program must learn when that program copies, moves
 * or throws away what it is to answer for (UFFD_FEATURE_EVENT_*).
 *
 *   the program                                   the monitor
 *   fork(2), mremap(2), munmap(2), madvise(2)
 *   changing + 1, does it
 *   without locks: on the list of events ───────> read(2): what, and where
 *   sleeps until it was read  <────────────────── FORK: has a file for the child's context
 *   changing - 1
 *
 * REMOVE is read before the memory is emptied; the others after the change.
 *
 * E1  While ctx->changing is not 0 no answer is accepted (-EAGAIN): it could be meant for what was there before.
 *     uffd_fill() and uffd_writeprotect() look at it with mmap_lock held, and who raises it holds mmap_lock for writing.
 *     REMOVE raises it with mmap_lock held for reading: an answer that passes meanwhile is emptied with the rest.
 * E2  Who causes an event holds a reference to the context until it was read, the context's file was closed, or the
 *     causer was killed.
 * E3  A child's context is held by its VMAs, by the fork until it is complete, and by its file. If no reader has
 *     made that file, the fork ends the context as closing the file would.
 *
 * Locks: as in userfault.c. Nothing is held while somebody waits.
 */
#include "mm/fault/userfault_internal.h"
#include "lib/errno.h"
#include "lib/list.h"
#include "mm/slab/slab.h"
#include "mm/virt/vma.h"

/** An event and who waits for it to be read. On its stack. */
struct cause {
	struct list_head node;				       /* lock */
	struct uffd_event ev;				       /* C */
	enum { CAUSE_PENDING, CAUSE_TAKEN, CAUSE_READ } state; /* lock */
};

/** A range that was unmapped, for one context. */
struct uffd_change {
	struct uffd_change *next;
	struct uffd_ctx *ctx; /* with a reference; counted in ctx->changing */
	unsigned long start, end;
};

/** A context that is forked. */
struct uffd_fork {
	struct uffd_fork *next;
	struct uffd_ctx *orig;	/* with a reference; counted in orig->changing */
	struct uffd_ctx *child; /* with a reference */
};

bool uffd_changing(const struct uffd_ctx *ctx)
{
	return atomic_load(&ctx->changing);
}

static void begin(struct uffd_ctx *ctx)
{
	atomic_add(&ctx->refs, 1);
	atomic_add(&ctx->changing, 1);
}

static void end(struct uffd_ctx *ctx)
{
	atomic_sub(&ctx->changing, 1);
	uffd_put(ctx);
}

static bool finished(const struct uffd_ctx *ctx, const struct cause *c)
{
	return READ_ONCE(c->state) == CAUSE_READ || READ_ONCE(ctx->released) ||
	       atomic_load(&current_thread_info()->flags) & TIF_KILLED;
}

/* After begin(): wait until the event was read. Returns whether it was. */
static bool cause(struct uffd_ctx *ctx, struct uffd_event ev)
{
	struct cause c = {.ev = ev, .state = CAUSE_PENDING};
	bool was_read;

	spin_lock(&ctx->lock);
	c.ev.id = ++ctx->last_event;
	list_add_tail(&c.node, &ctx->events);
	spin_unlock(&ctx->lock);
	wake_up(&ctx->readers);
	while (!finished(ctx, &c)) {
		struct wait_entry we;

		prepare_to_wait(&ctx->causers, &we);
		if (!finished(ctx, &c))
			schedule();
		finish_wait(&ctx->causers, &we);
	}
	spin_lock(&ctx->lock);
	was_read = c.state == CAUSE_READ;
	list_del(&c.node);
	spin_unlock(&ctx->lock);
	end(ctx);
	return was_read;
}

/* ---- the reader -------------------------------------------------------------------------------- */

bool uffd_event_pending(struct uffd_ctx *ctx)
{
	bool pending = false;
	struct cause *c;

	spin_lock(&ctx->lock);
	list_for_each_entry (c, &ctx->events, node)
		pending |= c->state == CAUSE_PENDING;
	spin_unlock(&ctx->lock);
	return pending;
}

bool uffd_take_event(struct uffd_ctx *ctx, struct uffd_event *out)
{
	bool found = false;
	struct cause *c;

	spin_lock(&ctx->lock);
	list_for_each_entry (c, &ctx->events, node) {
		if (c->state != CAUSE_PENDING)
			continue;
		*out = c->ev;
		if (out->child)
			atomic_add(&out->child->refs, 1);
		WRITE_ONCE(c->state, out->child ? CAUSE_TAKEN : CAUSE_READ);
		found = true;
		break;
	}
	spin_unlock(&ctx->lock);
	if (found && !out->child)
		wake_up(&ctx->causers);
	return found;
}

void uffd_fork_read(struct uffd_ctx *ctx, u64 id, enum uffd_fork_result how)
{
	struct cause *c;

	spin_lock(&ctx->lock);
	/* It may have been killed meanwhile. */
	list_for_each_entry (c, &ctx->events, node) {
		if (c->ev.id == id)
			WRITE_ONCE(c->state, how == UFFD_FORK_DONE ? CAUSE_READ : CAUSE_PENDING);
	}
	spin_unlock(&ctx->lock);
	wake_up(&ctx->causers);
}

/* ---- fork -------------------------------------------------------------------------------------- */

static struct uffd_fork *fork_context(struct uffd_ctx *orig, struct mm_struct *mm,
				      struct uffd_fork **forks)
{
	struct uffd_fork *f;

	for (f = *forks; f; f = f->next)
		if (f->orig == orig)
			return f;
	f = kmalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return NULL;
	f->child = uffd_create(mm, orig->user_only ? UFFD_USER_FAULTS : UFFD_ALL_FAULTS);
	if (!f->child) {
		kfree(f);
		return NULL;
	}
	uffd_set_features(f->child, orig->features);
	begin(orig);
	f->orig = orig;
	f->next = *forks;
	*forks = f;
	return f;
}

int uffd_vma_fork(struct vm_area_struct *child, const struct vm_area_struct *old,
		  struct uffd_fork **forks)
{
	struct uffd_fork *f;

	if (!(READ_ONCE(old->uffd->features) & UFFD_FEATURE_EVENT_FORK))
		return 0;
	f = fork_context(old->uffd, child->mm, forks);
	if (!f)
		return -ENOMEM;
	child->uffd = f->child;
	atomic_add(&f->child->refs, 1);
	vma_set_flags(child, child->flags | (old->flags & VM_UFFD));
	return 0;
}

void uffd_fork_complete(struct uffd_fork *forks)
{
	while (forks) {
		struct uffd_fork *f = forks;

		forks = f->next;
		if (cause(f->orig,
			  (struct uffd_event){.event = UFFD_EVENT_FORK, .child = f->child}))
			uffd_put(f->child);
		else
			uffd_release(f->child);
		kfree(f);
	}
}

void uffd_fork_abort(struct uffd_fork *forks)
{
	while (forks) {
		struct uffd_fork *f = forks;

		forks = f->next;
		end(f->orig);
		uffd_put(f->child);
		kfree(f);
	}
}

/* ---- mremap, munmap, madvise ------------------------------------------------------------------- */

struct uffd_ctx *uffd_follows(const struct vm_area_struct *vma)
{
	struct uffd_ctx *ctx = vma->uffd;

	return ctx && READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_REMAP ? ctx : NULL;
}

void uffd_remap_begin(struct uffd_ctx *ctx)
{
	begin(ctx);
}

void uffd_remap_complete(struct uffd_ctx *ctx, unsigned long from, unsigned long to,
			 unsigned long len)
{
	cause(ctx, (struct uffd_event){.event = UFFD_EVENT_REMAP, .arg = {from, to, len}});
}

/* Is it noted already that the context is to read of this range? Else *link is where to. */
static bool noted(struct uffd_change ***link, const struct uffd_ctx *ctx, unsigned long start,
		  unsigned long end)
{
	for (; **link; *link = &(**link)->next)
		if ((**link)->ctx == ctx && (**link)->start == start && (**link)->end == end)
			return true;
	return false;
}

int uffd_unmap_begin(struct mm_struct *mm, struct vm_area_struct *first, unsigned long start,
		     unsigned long end)
{
	struct vm_area_struct *vma;

	for (vma = first; vma && vma->vm_start < end; vma = vma_next(vma)) {
		struct uffd_change **link = &mm->uffd_changes, *c;

		if (!vma->uffd || !(READ_ONCE(vma->uffd->features) & UFFD_FEATURE_EVENT_UNMAP) ||
		    noted(&link, vma->uffd, start, end))
			continue;
		c = kmalloc(sizeof(*c), GFP_KERNEL);
		if (!c)
			return -ENOMEM;
		begin(vma->uffd);
		*c = (struct uffd_change){NULL, vma->uffd, start, end};
		*link = c;
	}
	return 0;
}

void uffd_unmap_complete(struct uffd_change *changes)
{
	while (changes) {
		struct uffd_change *c = changes;

		changes = c->next;
		cause(c->ctx,
		      (struct uffd_event){.event = UFFD_EVENT_UNMAP, .arg = {c->start, c->end}});
		kfree(c);
	}
}

bool uffd_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	struct mm_struct *mm = vma->mm;
	struct uffd_ctx *ctx = vma->uffd;

	if (!(READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_REMOVE))
		return false;
	begin(ctx);
	up_read(&mm->mmap_lock);
	cause(ctx, (struct uffd_event){.event = UFFD_EVENT_REMOVE, .arg = {start, end}});
	down_read(&mm->mmap_lock);
	return true;
}
