/*
 * What a crash looked like: registers, the stack by frame pointers with names from the guest's
 * symbol table, and the console's last lines.
 *
 * A crashed guest cannot be trusted: each read may fail, and the chain of frame pointers may loop or
 * lead anywhere. So it is followed only while it rises, within the size of one stack, for 32 frames.
 */
#include "report/report.h"

#include <inttypes.h>
#include <string.h>

#define MAX_FRAMES	32
#define MAX_STACK_BYTES (64u << 10)

static const char *vector_name(uint64_t vector)
{
	static const char *const names[] = {
		"divide error",
		"debug",
		"NMI",
		"breakpoint",
		"overflow",
		"bound range",
		"invalid opcode",
		"device not available",
		"double fault",
		"coprocessor segment",
		"invalid TSS",
		"segment not present",
		"stack fault",
		"general protection",
		"page fault",
		"reserved",
		"x87 error",
		"alignment check",
		"machine check",
		"SIMD error",
	};

	return vector < sizeof(names) / sizeof(names[0]) ? names[vector] : "no exception";
}

static void put_again(FILE *f, unsigned int *again)
{
	if (*again)
		fprintf(f, "    ... %u more of it\n", *again);
	*again = 0;
}

static void put_stack(FILE *f, struct machine *m, const struct mmvm_crash *c,
		      const struct symtab *symbols)
{
	uint64_t frame[2], bp = c->rbp, last = c->rip;
	unsigned int again = 0;
	char name[128];

	fprintf(f, "  stack:\n    %016" PRIx64 " %s\n", c->rip,
		symtab_name(symbols, c->rip, name, sizeof(name)));
	for (unsigned int i = 0; i < MAX_FRAMES && bp && bp % 8 == 0; i++) {
		if (machine_read_virt(m, c->cr3, bp, frame, sizeof(frame)) || !frame[1])
			break;
		/* Recursion is printed as one line. A return address is that of the instruction after the call; print
		 * the call's. */
		if (frame[1] == last) {
			again++;
		} else {
			put_again(f, &again);
			fprintf(f, "    %016" PRIx64 " %s\n", frame[1],
				symtab_name(symbols, frame[1] - 1, name, sizeof(name)));
		}
		last = frame[1];
		if (frame[0] <= bp || frame[0] - bp > MAX_STACK_BYTES)
			break;
		bp = frame[0];
	}
	put_again(f, &again);
}

void report_console_tail(FILE *f, const char *indent, const char *console, unsigned int lines)
{
	const char *start = console + strlen(console);

	while (start > console && lines) {
		start--;
		/* The newline that ends the last line starts no line of its own. */
		if (*start == '\n' && start[1] && --lines == 0)
			start++;
	}
	put_lines(f, indent, start);
}

void report_crash(FILE *f, struct machine *m, const struct machine_outcome *out,
		  const struct symtab *symbols)
{
	const struct mmvm_crash *c = &out->crash;
	const char *console = machine_console(m, NULL);
	char name[128];

	fprintf(f, "guest %s: ", outcome_name(out->kind));
	put_safe(f, out->text, sizeof(out->text));
	putc('\n', f);
	if (out->has_crash) {
		/* a vCPU that was stopped has no vector, and no error either */
		if (c->vector == UINT64_MAX)
			fprintf(f, "  no exception, cr2 %#" PRIx64 "\n", c->cr2);
		else
			fprintf(f,
				"  %s (vector %" PRIu64 "), error %#" PRIx64 ", cr2 %#" PRIx64 "\n",
				vector_name(c->vector), c->vector, c->error, c->cr2);
		fprintf(f,
			"  rip %016" PRIx64 " %s\n"
			"  rax %016" PRIx64 " rbx %016" PRIx64 " rcx %016" PRIx64 " rdx %016" PRIx64
			"\n"
			"  rsi %016" PRIx64 " rdi %016" PRIx64 " rbp %016" PRIx64 " rsp %016" PRIx64
			"\n"
			"  r8  %016" PRIx64 " r9  %016" PRIx64 " r10 %016" PRIx64 " r11 %016" PRIx64
			"\n"
			"  r12 %016" PRIx64 " r13 %016" PRIx64 " r14 %016" PRIx64 " r15 %016" PRIx64
			"\n"
			"  cr3 %016" PRIx64 " rflags %08" PRIx64 " cs %#" PRIx64 " ss %#" PRIx64
			"\n",
			c->rip, symtab_name(symbols, c->rip, name, sizeof(name)), c->rax, c->rbx,
			c->rcx, c->rdx, c->rsi, c->rdi, c->rbp, c->rsp, c->r8, c->r9, c->r10,
			c->r11, c->r12, c->r13, c->r14, c->r15, c->cr3, c->rflags, c->cs, c->ss);
		put_stack(f, m, c, symbols);
	}
	if (console && *console) {
		fputs("  console, last lines:\n", f);
		report_console_tail(f, "    ", console, 20);
	}
}
