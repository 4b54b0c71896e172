#!/bin/sh
# The OOM killer chooses as Linux does: user/libc/oomtable.c plays generated cases in a cgroup, unchanged on Debian's
# Linux 6.1 (as a guest) and on guestmm. The transcripts must be equal.
#    oomtable.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here. CASES: how many (10; 200 take long)
set -u
name=oomtable
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
cases=${CASES:-10}
LIMIT=$((600 + 60 * cases))

table() { tr -d '\r' <"$dir/out" | transcript '/^== table$/' '^== end$'; }

linux_initrd oomtable <<END
/bin/busybox mount -t cgroup2 none /sys/fs/cgroup
/bin/oomtable $cases
END
linux_guest --memory 256M --append "quiet loglevel=0"
table >"$dir/linux"
ok "Linux: all cases" [ "$(grep -c -- '-> [0-4], oom_kill [12]$' "$dir/linux")" = "$cases" ]
# Now and then Linux kills a second process while the first one still ends: by chance, and so not compared.
echo "# Linux killed a second process in $(grep -c 'oom_kill 2$' "$dir/linux") of $cases cases"
grep -v 'oom_kill 2$' "$dir/linux" >"$dir/linux_one"
run run --accel lab --memory 128M --swap 0 --exec "$B/user/oomtable.musl" "$cases"
table >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
awk 'NR == FNR { if (/oom_kill 2$/) two[$2]; next } !($2 in two)' "$dir/linux" "$dir/guest" >"$dir/guest_one"
ok "guestmm kills one in each case" [ "$(grep -c -- '-> [0-4], oom_kill 1$' "$dir/guest")" = "$cases" ]
ok "guestmm chooses as Linux" same "$dir/guest_one" "$dir/linux_one"
ok "the largest is not always the victim" grep -q -- '-> [1-4], oom_kill 1$' "$dir/guest"
can_differ "$dir/guest_one" "$dir/linux_one" '0,/-> 0,/s//-> 1,/' '^# <.*-> 1, oom_kill 1$'
finish
