/*
 * Stepping: a vCPU goes one instruction at a time between two marks that the guest sends
 * (MMVM_REC_PROFILE), and each step is handed to machine_config.step.
 *
 *   record, value 1 -> BEGIN   INSN INSN INSN TRAP INSN ... INSN   END <- record, value 0
 *
 * INSN: the vCPU stands before the instruction at rip. TRAP: the same, and an exception, an
 * interrupt or a system call brought it there; `from` is where it came from. An instruction that
 * faults is seen twice, the second time after its TRAP's handler has returned.
 */
#ifndef VMM_MACHINE_STEP_H
#define VMM_MACHINE_STEP_H

#include <stdint.h>

enum step_kind { STEP_BEGIN, STEP_INSN, STEP_TRAP, STEP_END, STEP_FAILED };

/** What an instruction does to the flow of control or to what stepping leaves in the guest. */
enum step_insn {
	INSN_OTHER,
	INSN_CALL,
	INSN_RET,
	INSN_IRET,
	INSN_SYSCALL,
	INSN_SYSRET,
	INSN_PUSHF,
	INSN_POPF,
	INSN_HLT,
	INSN_STI, /* and MOV and POP to SS: no trap after the next instruction */
};

struct machine_step {
	enum step_kind kind;
	enum step_insn insn;
	uint64_t rip, rsp;
	uint64_t from;	  /* TRAP */
	uint64_t root;	  /* BEGIN: function to profile; 0: all of user mode and what it enters */
	const char *name; /* BEGIN, END: the operation; FAILED: why there can be no stepping */
};

/** Class of the instruction whose first bytes these are (15 or fewer; what is missing is 0). */
enum step_insn step_decode(const unsigned char *bytes, unsigned int n);

#endif
