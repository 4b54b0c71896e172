/* `mmvm bench tlb` and `mmvm bench fault`; argv as of `mmvm bench`. Return an exit status. */
#ifndef VMM_BENCH_TLB_H
#define VMM_BENCH_TLB_H

#include <stdint.h>

int cmd_bench_tlb(int argc, char **argv);
int cmd_bench_fault(int argc, char **argv);
/** MiB that the program may use of guest RAM: most of it, and nothing is swapped. ram_mb >= 24. */
uint64_t bench_tlb_region_mb(uint64_t ram_mb);

#endif
