#!/bin/sh
# Policies of nodes are answered as Linux answers them: user/libc/numa.c prints errors, policies, placement and moves on a
# machine with two nodes, run unchanged on Debian's Linux 6.1 (as a guest, numa=fake=2) and on guestmm (--node twice; the
# second node has memory only). The transcripts must be equal. So must those of user/libc/numa_huge.c, which moves huge
# pages between the nodes.
#    numa.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=numa
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
LIMIT=500

# Which node a first page is on is the machine's matter: Linux's fake nodes share one CPU.
cases() { tr -d '\r' <"$dir/out" | transcript '/^== start$/' '^== end$' | grep -v '^node of a page: '; }

mkdir -p "$dir/root/bin"
cp "$B/user/numa_huge.musl" "$dir/root/bin/numa_huge"
linux_initrd numa <<END
/bin/numa
/bin/numa_huge
END
linux_guest --memory 256M --append "quiet nosoftlockup numa=fake=2"
cases >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 900
huge_cases() { tr -d '\r' <"$dir/out" | transcript '/^== huge start$/' '^== huge end$'; }
huge_cases >"$dir/huge.linux"
ok "huge pages, Linux: all cases" lines "$dir/huge.linux" 70
run run --accel lab --node memory=128M,cpus=0 --node memory=128M --exec "$B/user/numa.musl"
cases >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"
ok "pages were moved" grep -q '^  pages: 11111111$' "$dir/guest"
run run --accel lab --node memory=128M,cpus=0 --node memory=128M --exec "$B/user/numa_huge.musl"
huge_cases >"$dir/huge.guest"
ok "huge pages: the program ends well" [ "$status" = 0 ]
ok "huge pages move as on Linux" same "$dir/huge.guest" "$dir/huge.linux"
ok "they moved as a whole" grep -q 'huge 4096 pgmigrate_success +512 thp_migration_success +1' "$dir/huge.guest"
can_differ "$dir/guest" "$dir/linux" 's/^hole: EFAULT$/hole: 0/' '^# < hole: 0$'
finish
