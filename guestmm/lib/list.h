/* Doubly linked circular lists with the head as an element. Same layout as struct mmvm_list. */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"
#include "mmvm/page.h"

/* One type for both sides: page->lru is one of these. */
#define list_head mmvm_list

#define LIST_HEAD_INIT(name)     \
	{                        \
		&(name), &(name) \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void INIT_LIST_HEAD(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline void __list_add(struct list_head *n, struct list_head *prev, struct list_head *next)
{
	next->prev = n;
	n->next = next;
	n->prev = prev;
	prev->next = n;
}
static inline void list_add(struct list_head *n, struct list_head *h)
{
	__list_add(n, h, h->next);
}
static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	__list_add(n, h->prev, h);
}
static inline void __list_del(struct list_head *prev, struct list_head *next)
{
	next->prev = prev;
	prev->next = next;
}
/** Take `n` off its list and leave it poisoned: NULL links fault at once when used. */
static inline void list_del(struct list_head *n)
{
	__list_del(n->prev, n->next);
	n->next = NULL;
	n->prev = NULL;
}
static inline void list_del_init(struct list_head *n)
{
	__list_del(n->prev, n->next);
	INIT_LIST_HEAD(n);
}
static inline void list_move(struct list_head *n, struct list_head *h)
{
	__list_del(n->prev, n->next);
	list_add(n, h);
}
static inline void list_move_tail(struct list_head *n, struct list_head *h)
{
	__list_del(n->prev, n->next);
	list_add_tail(n, h);
}
static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}
/** Move all of `from` to the front of `to`; `from` is left empty. */
static inline void list_splice_init(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	INIT_LIST_HEAD(from);
}

static inline unsigned long list_length(const struct list_head *h)
{
	unsigned long n = 0;

	for (const struct list_head *p = h->next; p != h; p = p->next)
		n++;
	return n;
}

#define list_entry(p, type, member)	  container_of(p, type, member)
#define list_first_entry(h, type, member) list_entry((h)->next, type, member)
#define list_last_entry(h, type, member)  list_entry((h)->prev, type, member)
#define list_for_each(p, h)		  for (p = (h)->next; p != (h); p = p->next)
#define list_for_each_entry(e, h, member)                                        \
	for (e = list_first_entry(h, __typeof__(*e), member); &e->member != (h); \
	     e = list_entry(e->member.next, __typeof__(*e), member))
#define list_for_each_entry_safe(e, n, h, member)                   \
	for (e = list_first_entry(h, __typeof__(*e), member),       \
	    n = list_entry(e->member.next, __typeof__(*e), member); \
	     &e->member != (h); e = n, n = list_entry(n->member.next, __typeof__(*e), member))

#endif
