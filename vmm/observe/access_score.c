/*
 * How good the methods are: a program says which pages it accessed, and each method's answer is
 * held against that.
 *
 *   access-begin   every method forgets what it knows; the program has cleared its own bits just
 *                  before, by MMVM_USER_ACCESS
 *   (the program accesses a set of pages)
 *   access-end     every method is asked; the program says what the set was (struct mmvm_round)
 *   access-phase   from now on this set is accessed, again and again: how long until a method's
 *                  sample has 90 % of it?
 *   access-lag     how many methods that see every access have not had such a sample yet?
 *
 * For each page of the region that has a frame: accessed and found is a hit, accessed and not found
 * is missed, found and not accessed is wrong; of these, stale is one that had been accessed in the
 * round before. What a method says of other frames (the program's stack, the kernel) cannot be
 * judged and is counted as `others`. refs has no names, so only its number stands beside the truth.
 *
 * The host is asked before the program's memory is read, because reading maps pages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "devices/device.h"
#include "mmvm/layout.h"
#include "observe/access.h"

static uint64_t words(const struct access_watch *w)
{
	return (w->nr_frames + 63) / 64;
}

static bool bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> i % 64 & 1;
}

static uint64_t popcount(const uint64_t *bits, uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += (uint64_t)__builtin_popcountll(bits[i]);
	return sum;
}

/** The program's set, by frames, into `set`, and the region's frames into `region` (may be NULL).
 * *nowhere: pages of the set without a frame. Returns 0 or -errno. */
static int load_set(struct access_watch *w, struct machine *m, uint64_t cr3, uint64_t gva,
		    uint64_t *set, uint64_t *region, uint64_t *nowhere)
{
	struct mmvm_round round;
	uint64_t *bits, n;
	int rc;

	memset(set, 0, words(w) * sizeof(*set));
	*nowhere = 0;
	if (machine_read_virt(m, cr3, gva, &round, sizeof(round)))
		return -EFAULT;
	if (round.base % MMVM_PAGE_SIZE || !round.pages || round.pages > 4 * w->nr_frames)
		return -EINVAL;
	n = (round.pages + 63) / 64;
	bits = malloc(n * sizeof(*bits));
	if (!bits)
		return -ENOMEM;
	rc = machine_read_virt(m, cr3, round.written, bits, n * sizeof(*bits));
	for (uint64_t i = 0; i < round.pages && !rc; i++) {
		uint64_t gpa, frame;

		if (machine_translate(m, cr3, round.base + i * MMVM_PAGE_SIZE, &gpa)) {
			*nowhere += bit(bits, i);
			continue;
		}
		frame = access_frame(machine_ram(m), gpa);
		if (frame == UINT64_MAX)
			continue;
		if (region)
			region[frame / 64] |= 1ull << frame % 64;
		if (bit(bits, i))
			set[frame / 64] |= 1ull << frame % 64;
	}
	free(bits);
	return rc;
}

static void begin(struct access_watch *w, struct machine *m) NEEDS_LOCK(w->lock)
{
	access_ask_host(w, m);
	if (w->source[ACCESS_GUEST].on)
		access_take_guest(w, m, ACCESS_CPU_UNKNOWN);
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		struct access_source *s = &w->source[i];

		s->out.round_pages = 0;
		if (!s->on || !s->now)
			continue;
		/* Points go on: what was seen before the round belongs to them. */
		access_point(w, (enum access_method)i);
		memset(s->round, 0, words(w) * sizeof(*s->round));
	}
	w->in_round = true;
}

static void judge(struct access_watch *w, struct access_source *s, const uint64_t *region,
		  uint64_t nowhere)
{
	struct run_access_score *score = &s->out.score;
	uint64_t truth = popcount(w->truth, words(w));

	score->rounds++;
	score->truth += truth;
	score->nowhere += nowhere;
	score->ask_ns += s->out.ask_ns;
	if (!s->now) {
		score->counted += s->out.round_pages;
		return;
	}
	for (uint64_t i = 0; i < words(w); i++) {
		uint64_t said = s->round[i] & region[i], wrong = said & ~w->truth[i];

		score->hit += (uint64_t)__builtin_popcountll(said & w->truth[i]);
		score->wrong += (uint64_t)__builtin_popcountll(wrong);
		score->stale += (uint64_t)__builtin_popcountll(wrong & w->before[i]);
		score->others += (uint64_t)__builtin_popcountll(s->round[i] & ~region[i]);
		score->counted += (uint64_t)__builtin_popcountll(s->round[i]);
	}
	score->missed = score->truth - score->hit;
}

static int end(struct access_watch *w, struct machine *m, uint64_t cr3, uint64_t gva)
	NEEDS_LOCK(w->lock)
{
	uint64_t *region, nowhere, *swap;
	int rc, compared = 0;

	if (!w->in_round)
		return -EINVAL;
	w->in_round = false;
	region = calloc(words(w), sizeof(*region));
	if (!region)
		return -ENOMEM;
	access_ask_host(w, m);
	if (w->source[ACCESS_GUEST].on)
		access_take_guest(w, m, ACCESS_CPU_UNKNOWN);
	swap = w->before;
	w->before = w->truth;
	w->truth = swap;
	rc = load_set(w, m, cr3, gva, w->truth, region, &nowhere);
	for (unsigned int i = 0; i < NR_ACCESS_METHODS && !rc; i++) {
		struct access_source *s = &w->source[i];

		if (!s->on)
			continue;
		access_point(w, (enum access_method)i);
		judge(w, s, region, nowhere);
		compared++;
	}
	free(region);
	return rc ? rc : compared;
}

static int phase(struct access_watch *w, struct machine *m, uint64_t cr3, uint64_t gva)
	NEEDS_LOCK(w->lock)
{
	uint64_t nowhere;
	int rc = load_set(w, m, cr3, gva, w->phase, NULL, &nowhere), sampled = 0;

	w->phase_size = rc ? 0 : popcount(w->phase, words(w));
	w->phase_ns = machine_now_ns();
	for (unsigned int i = 0; i < NR_ACCESS_METHODS; i++) {
		struct access_source *s = &w->source[i];

		s->lagging = s->on && s->now && w->phase_size;
		s->out.score.phases += s->lagging;
		sampled += s->lagging;
	}
	return rc ? rc : sampled;
}

/** The dirty log does not count: it never has 90 % of a set that is read more than written. */
static int still_lagging(const struct access_watch *w) NEEDS_LOCK(w->lock)
{
	return w->source[ACCESS_GUEST].lagging + w->source[ACCESS_UNMAP].lagging;
}

int access_round(struct access_watch *w, struct machine *m, uint64_t cr3,
		 const struct mmvm_record *rec)
{
	int rc = -EINVAL;

	if (!w->any)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&w->lock);
	if (!strcmp(rec->name, "access-begin")) {
		begin(w, m);
		rc = 0;
	} else if (!strcmp(rec->name, "access-end")) {
		rc = end(w, m, cr3, rec->value);
	} else if (!strcmp(rec->name, "access-phase")) {
		rc = phase(w, m, cr3, rec->value);
	} else if (!strcmp(rec->name, "access-lag")) {
		rc = still_lagging(w);
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}
