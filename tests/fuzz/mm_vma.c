/*
 * libFuzzer target: the input is a sequence of address-space operations, 8 bytes each, run against
 * the array-of-pages reference (tests/model/vma_ops.h). Everything is checked at the end.
 */
#include "../model/vma_ops.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static bool booted;
	struct vma_op op;
	u64 value = 1;

	if (!booted) {
		vma_ops_init();
		booted = true;
	}
	for (; size >= sizeof(op) && value < 200; data += sizeof(op), size -= sizeof(op)) {
		memcpy(&op, data, sizeof(op));
		vma_op_run(&op, value++);
	}
	vma_ops_check();
	vma_ops_reset();
	MUST(swap_areas[0].inuse == 0, "slots are left");
	return 0;
}
