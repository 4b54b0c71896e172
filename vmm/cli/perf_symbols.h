/* `mmvm run --perf-symbols DIR`: the guest's symbols as perf reads them. */
#ifndef VMM_PERF_SYMBOLS_H
#define VMM_PERF_SYMBOLS_H

#include "machine/machine.h"

/** Write DIR/guest.kallsyms and DIR/guest.modules (empty: the guest has none) for the kernel in
 * `elf_path`. The folder must exist. Returns 0, or -1 with `err`. */
int perf_symbols_write(const char *dir, const char *elf_path, struct mmvm_error *err);

#endif
