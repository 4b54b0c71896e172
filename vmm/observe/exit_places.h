/* The exits of a run by reason, guest address and guest function, into its result. */
#ifndef VMM_OBSERVE_EXIT_PLACES_H
#define VMM_OBSERVE_EXIT_PLACES_H
#include "machine/machine.h"
#include "result/result.h"

/** Add the most frequent places. `symbols` may be NULL: functions are then addresses. The machine
 * has stopped, and ran with config.exit_sites. */
void exit_places_add(struct run_result *r, const struct machine *m, const struct symtab *symbols);
#endif
