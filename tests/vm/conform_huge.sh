#!/bin/sh
# Huge pages are as on Linux: user/conform_huge (MAP_HUGETLB, MFD_HUGETLB, hugetlbfs, pools, promises, copies, signals) and
# user/conform_thp (transparent huge pages: settings, faults, parts, moves, locks, forks, collapse, prctl; smaps and thp_* counters after each
# step) and user/conform_shmem_thp (huge pages of shared memory) run unchanged on Debian's Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_huge.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_huge
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

LIMIT=300 on_both 128M conform_huge conform_thp conform_shmem_thp
huge=$dir/conform_huge
thp=$dir/conform_thp
shmem=$dir/conform_shmem_thp
ok "Linux: all cases" lines "$huge.linux" 250
ok "guestmm: the program ends well" [ "$(cat "$huge.status")" = 0 ]
ok "guestmm answers as Linux" same "$huge.guest" "$huge.linux"
ok "transparent huge pages, Linux: all cases" lines "$thp.linux" 380
ok "transparent huge pages: the program ends well" [ "$(cat "$thp.status")" = 0 ]
ok "transparent huge pages are as Linux's" same "$thp.guest" "$thp.linux"
ok "huge pages were really made, split and collapsed" grep -q "thp_collapse_alloc [+][1-9]" "$thp.guest"
ok "huge pages of shared memory, Linux: all cases" lines "$shmem.linux" 200
ok "huge pages of shared memory: the program ends well" [ "$(cat "$shmem.status")" = 0 ]
ok "huge pages of shared memory are as Linux's" same "$shmem.guest" "$shmem.linux"
ok "they were really made, mapped and split" grep -q "thp_split_page [+][1-9]" "$shmem.guest"
can_differ "$huge.guest" "$huge.linux" 's/^eight: nr 8 free 8/eight: nr 8 free 7/' '^# < eight: nr 8 free 7'
finish
