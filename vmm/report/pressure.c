/* mmvm trace FILE --format pressure: the correct contents of the guest's pressure files, computed by the host. */
#include <errno.h>
#include <inttypes.h>
#include "report/chrome_trace.h"
#include "result/pressure.h"

static int print_reading(FILE *f, struct pressure *p, const struct mmvm_trace_rec *r)
{
	char text[256];

	if (r->arg >= NR_PRESSURES)
		return 0;
	return fprintf(f, "%s at %" PRIu64 " ns\n%s", pressure_name(r->arg), r->addr,
		       pressure_text(p, r->arg, r->addr, text, sizeof(text)));
}

int trace_emit_pressure(FILE *f, const void *output)
{
	const struct trace_data *t = ((const struct trace_output *)output)->trace;
	struct pressure p = {0};

	for (size_t i = 0; i < t->nr; i++) {
		const struct mmvm_trace_rec *r = t->event[i].guest;

		if (t->event[i].host)
			continue;
		if (r->event == TRACE_STALL_READ) {
			if (print_reading(f, &p, r) < 0)
				return -EIO;
		} else if (r->event == TRACE_STALL_BEGIN || r->event == TRACE_STALL_END) {
			if (r->arg < NR_TRACE_STALLS)
				pressure_event(&p, r->arg,
					       r->event == TRACE_STALL_BEGIN ? STALL_BEGIN
									     : STALL_END,
					       r->addr);
		}
	}
	if (t->end.guest_dropped || t->end.file_dropped)
		fprintf(f, "some of the trace was dropped: the figures are not the guest's\n");
	if (p.impossible)
		fprintf(f, "%" PRIu64 " impossible events\n", p.impossible);
	return 0;
}
