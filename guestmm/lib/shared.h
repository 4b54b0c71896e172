/* The page of statistics that the monitor reads while the guest runs (include/mmvm/shared.h). */
#ifndef LIB_SHARED_H
#define LIB_SHARED_H
#include "mmvm/shared.h"

/** Mapped since boot; a static one in the host build. */
extern struct mmvm_shared *mmvm_shared;
#endif
