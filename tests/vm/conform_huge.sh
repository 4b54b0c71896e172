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
here=$(cd "$B" && pwd)

# transcript FILE: what the program said, without the kernel's lines and what mmvm says afterwards
transcript() { sed -E '/^end of the cases$/q' "$1" | grep -v -e '^\[ *[0-9]*\.[0-9]*\]' -e '^mmvm: running in the lab'; }

cat >"$dir/inside" <<END
$here/user/conform_huge >$dir/linux </dev/null
$here/mmvm run --accel kvm --memory 128M --exec conform_huge >$dir/guest 2>$dir/err
echo \$? >$dir/status
$here/user/conform_thp >$dir/thp.linux </dev/null
$here/mmvm run --accel kvm --memory 128M --exec conform_thp >$dir/thp.guest 2>$dir/thp.err
echo \$? >$dir/thp.status
$here/user/conform_shmem_thp >$dir/shm.linux </dev/null
$here/mmvm run --accel kvm --memory 128M --exec conform_shmem_thp >$dir/shm.guest 2>$dir/shm.err
echo \$? >$dir/shm.status
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
transcript "$dir/guest" >"$dir/guest.cases"
ok "Linux: all cases" lines "$dir/linux" 250
ok "guestmm: the program ends well" [ "$(cat "$dir/status")" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest.cases" "$dir/linux"
transcript "$dir/thp.guest" >"$dir/thp.cases"
ok "transparent huge pages, Linux: all cases" lines "$dir/thp.linux" 380
ok "transparent huge pages: the program ends well" [ "$(cat "$dir/thp.status")" = 0 ]
ok "transparent huge pages are as Linux's" same "$dir/thp.cases" "$dir/thp.linux"
ok "huge pages were really made, split and collapsed" grep -q "thp_collapse_alloc [+][1-9]" "$dir/thp.guest"

transcript "$dir/shm.guest" >"$dir/shm.cases"
ok "huge pages of shared memory, Linux: all cases" lines "$dir/shm.linux" 200
ok "huge pages of shared memory: the program ends well" [ "$(cat "$dir/shm.status")" = 0 ]
ok "huge pages of shared memory are as Linux's" same "$dir/shm.cases" "$dir/shm.linux"
ok "they were really made, mapped and split" grep -q "thp_split_page [+][1-9]" "$dir/shm.guest"

# The comparison can fail: one number changed.
sed 's/^eight: nr 8 free 8/eight: nr 8 free 7/' "$dir/guest.cases" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# < eight: nr 8 free 7' "$dir/found"
finish
