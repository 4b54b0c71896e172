/*
 * Random address-space operations against an array of pages: 150,000 of them, with the seed
 * printed. vma [SEED [OPS]]
 */
#include "vma_ops.h"

static u64 rng;

static u64 next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

int main(int argc, char **argv)
{
	u64 seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20261121;
	u64 ops = argc > 2 ? strtoull(argv[2], NULL, 0) : 150000;

	printf("vma model: seed %lu, %lu operations\n", (long)seed, (long)ops);
	fflush(stdout);
	vma_ops_init();
	rng = seed * 2 + 1;
	for (u64 i = 0; i < ops; i++) {
		u64 r = next_random(), q = next_random();
		struct vma_op op = {r, r >> 8, r >> 16, r >> 24, r >> 32, r >> 48};

		/* Long runs of accesses are dear: mostly small steps. */
		if (op.kind % 22 >= 8 && op.kind % 22 <= 9 && q % 8)
			op.len &= ~1;
		vma_op_run(&op, q | 1);
		if (i % 1000 == 0)
			vma_ops_check();
	}
	vma_ops_check();
	printf("vma model: ok; %lu swapped out, %lu in, %lu faults\n", (long)sum_vm_event(PSWPOUT),
	       (long)sum_vm_event(PSWPIN), (long)sum_vm_event(PGFAULT));
	MUST(sum_vm_event(PSWPOUT) > 100 && sum_vm_event(PSWPIN) > 100, "reclaim took part");
	for (int i = 0; i < NR_SPACES; i++)
		mmput(space[i].mm);
	check_all();
	MUST(swap_areas[0].inuse == 0, "slots are left");
	MUST(vm_committed() == 0, "commitments are left");
	return 0;
}
