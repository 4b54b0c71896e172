/*
 * Hierarchical page counters: see page_counter.h.
 *
 * I1  A counter's usage is at least the sum of its children's usages: a charge is added from the
 *     leaf up and taken back from the leaf up.
 * I2  A successful try_charge leaves every counter at or below its max. Two charges that race for the last
 *     pages may both fail, but never both succeed.
 */
#include "mm/memcg/page_counter.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "mm/phys/page.h"

void page_counter_init(struct page_counter *c, struct page_counter *parent)
{
	*c = (struct page_counter){
		.max = PAGE_COUNTER_MAX, .high = PAGE_COUNTER_MAX, .parent = parent};
}

/* Two racing writers may leave the lower value; a later charge corrects it. A usage that does not exceed the recent
 * peak does not exceed the other one either, so usually one comparison is enough. */
static void note_peak(struct page_counter *c, s64 usage)
{
	if (likely(usage <= READ_ONCE(c->recent_peak)))
		return;
	WRITE_ONCE(c->recent_peak, usage);
	if (usage > READ_ONCE(c->peak))
		WRITE_ONCE(c->peak, usage);
}

int page_counter_try_charge(struct page_counter *counter, u64 nr, struct page_counter **full)
{
	struct page_counter *c, *done;

	for (c = counter; c; c = c->parent) {
		s64 usage = atomic_add_return(&c->usage, (s64)nr);

		if (unlikely((u64)usage > READ_ONCE(c->max))) {
			atomic_sub(&c->usage, (s64)nr);
			atomic_add(&c->failed, 1);
			*full = c;
			goto undo;
		}
		note_peak(c, usage);
	}
	return 0;
undo:
	for (done = counter; done != c; done = done->parent)
		atomic_sub(&done->usage, (s64)nr);
	return -ENOMEM;
}

bool page_counter_charge_below_high(struct page_counter *counter, u64 nr)
{
	for (struct page_counter *c = counter; c; c = c->parent) {
		s64 usage = atomic_add_return(&c->usage, (s64)nr);

		if (unlikely((u64)usage > READ_ONCE(c->high) || (u64)usage > READ_ONCE(c->max))) {
			for (struct page_counter *done = counter; done != c->parent;
			     done = done->parent)
				atomic_sub(&done->usage, (s64)nr);
			return false;
		}
		note_peak(c, usage);
	}
	return true;
}

void page_counter_charge(struct page_counter *c, u64 nr)
{
	for (; c; c = c->parent)
		note_peak(c, atomic_add_return(&c->usage, (s64)nr));
}

void page_counter_uncharge(struct page_counter *c, u64 nr)
{
	for (; c; c = c->parent)
		atomic_sub(&c->usage, (s64)nr);
}

/* Value of a digit, or `base`. */
static unsigned int digit(char c, unsigned int base)
{
	unsigned int d = c >= '0' && c <= '9' ? (unsigned int)(c - '0')
			 : (c | 0x20) >= 'a' && (c | 0x20) <= 'f'
				 ? (unsigned int)(c | 0x20) - 'a' + 10
				 : base;

	return min(d, base);
}

int page_counter_parse(const char *text, u64 *pages)
{
	u64 n = 0, most = PAGE_COUNTER_MAX << PAGE_SHIFT;
	unsigned int shift = 0, base = 10;

	if (text[0] == 'm' && text[1] == 'a' && text[2] == 'x' && !text[3]) {
		*pages = PAGE_COUNTER_MAX;
		return 0;
	}
	if (*text < '0' || *text > '9')
		return -EINVAL;
	if (text[0] == '0' && (text[1] | 0x20) == 'x' && digit(text[2], 16) < 16) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	for (; digit(*text, base) < base; text++) {
		u64 d = digit(*text, base);

		n = n >= most / base ? most : n * base + d; /* at most the limit of all */
	}
	switch (*text) {
	case 'T':
	case 't':
		shift += 10; /* fall through */
	case 'G':
	case 'g':
		shift += 10; /* fall through */
	case 'M':
	case 'm':
		shift += 10; /* fall through */
	case 'K':
	case 'k':
		shift += 10;
		text++;
	}
	if (*text)
		return -EINVAL;
	n = n > most >> shift ? most : n << shift;
	*pages = n >> PAGE_SHIFT;
	return 0;
}

u64 effective_protection(const struct protection *p)
{
	u64 mine = min(p->usage, p->setting);
	u64 effective;

	if (!mine || !p->parent_effective)
		return 0;
	/* The children ask for more than the parent has: divide it in proportion to what each asks for. */
	if (p->siblings > p->parent_effective) {
		effective = (u64)((unsigned __int128)p->parent_effective * mine / p->siblings);
		return min(effective, mine);
	}
	return mine;
}
