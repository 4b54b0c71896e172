/*
 * `mmvm bench --save FILE` and `--baseline FILE`: instruction costs that are kept, and later costs
 * held against them.
 *
 * A baseline holds, for each row of the table, the cost in guestmm and the instructions of each
 * function in the operation's profile, so that a cost that rose can be told by the functions that
 * grew. The profile is of the operation of the row's name (`mmvm profile --list`).
 */
#ifndef VMM_BENCH_BASELINE_H
#define VMM_BENCH_BASELINE_H

#include "bench/bench.h"
#include "observe/step_profile.h"

#define BASELINE_MAX_FUNCS 192

struct baseline_func {
	char name[PROFILE_NAME];
	uint64_t self; /* instructions */
};
struct baseline_row {
	uint64_t median; /* thousandths; 0: not measured */
	unsigned int nr_funcs;
	struct baseline_func func[BASELINE_MAX_FUNCS];
};
struct baseline {
	struct baseline_row row[BENCH_MAX_ROWS]; /* index: place in BENCH_ROWS */
};

/** Can the row's operation be profiled? */
bool baseline_has_profile(const char *row);
/** Inner: profile a row's operation; lines "prof ROW FUNCTION SELF" and "note TEXT". */
void baseline_profile(FILE *out, const char *row);
/** Take such a line. False when it is not one. */
bool baseline_line(struct baseline *b, const char *line);
/** The medians of a result, of the rows that are wanted. */
void baseline_take_costs(struct baseline *b, const struct bench_result *r, const char *only);

/** For report_write_file_atomic(); arg is the baseline. */
int baseline_emit(FILE *f, const void *baseline);
/** Read one. 0, or -1 with `err`. Rows this program does not have are left out. */
int baseline_read(const char *path, struct baseline *b, struct mmvm_error *err);
int baseline_parse(const char *text, size_t len, const char *name, struct baseline *b,
		   struct mmvm_error *err);

/** Is `now` more than `percent` above `then`, which was measured? */
bool baseline_rose(const struct baseline_row *then, const struct baseline_row *now,
		   unsigned int percent);
/** Say which costs rose by more than `percent`, and which functions grew. Returns how many rose, a
 * row counted too that was measured then and is wanted but has no cost now. */
unsigned int baseline_compare(FILE *f, const struct baseline *then, const struct baseline *now,
			      unsigned int percent, const char *only);

#endif
