/*
 * The sub-commands of mmvm. argv[0] is the program, argv[1] the sub-command's name; each returns
 * the exit status of the process (enum mmvm_exit, 128+signal when interrupted).
 */
#ifndef VMM_COMMANDS_H
#define VMM_COMMANDS_H

#include "cli/option.h"

extern const struct command command_run, command_test, command_bench, command_profile,
	command_report, command_compare, command_page, command_trace, command_top, command_doctor,
	command_lab, command_policy, command_versus;

#endif
