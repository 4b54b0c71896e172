/*
 * The sub-commands of mmvm. argv[0] is the program, argv[1] the sub-command's name; each returns
 * the exit status of the process (enum mmvm_exit, 128+signal when interrupted).
 */
#ifndef VMM_COMMANDS_H
#define VMM_COMMANDS_H

int cmd_run(int argc, char **argv);
int cmd_test(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_profile(int argc, char **argv);
int cmd_lab(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_page(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_top(int argc, char **argv);

#endif
