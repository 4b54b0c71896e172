/* The console on a terminal (observe/console.c): what the lab's outer process says of it. */
#ifndef VMM_OBSERVE_CONSOLE_H
#define VMM_OBSERVE_CONSOLE_H

/** Set for the inner mmvm of the lab when the outer one writes to a terminal. */
#define CONSOLE_LIVE_ENV "MMVM_LIVE"

#endif
