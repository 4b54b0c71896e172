/*
 * What the ACPI tables and the devices behind them agree on (acpi.c, linux.c).
 */
#ifndef VMM_MACHINE_ACPI_H
#define VMM_MACHINE_ACPI_H

#include "machine/machine.h"

#define ACPI_BASE	 0xe0000ull
#define ACPI_RESET_PORT	 0x64 /* the keyboard controller's command port */
#define ACPI_RESET_VALUE 0xfe
#define ACPI_SLEEP_PORT	 0x608 /* sleep control, sleep status */
#define ACPI_SLEEP_OFF	 5     /* SLP_TYP of S5 */

/** Write the tables at ACPI_BASE; the devices are there. 0, or -1 with err. */
int machine_build_acpi(struct machine *m, struct mmvm_error *err);

#endif
