/* `mmvm bench tlb` and `mmvm bench fault`; argv as of `mmvm bench`. Return an exit status. */
#ifndef VMM_BENCH_TLB_H
#define VMM_BENCH_TLB_H

int cmd_bench_tlb(int argc, char **argv);
int cmd_bench_fault(int argc, char **argv);

#endif
