#!/bin/sh
# The knobs of writeback and of the zones, and the errors of swapon(2), swapoff(2) are Linux's: user/conform_reclaim, run unchanged on
# Debian's Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_reclaim.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_reclaim
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

LIMIT=300 on_both 32M conform_reclaim
guest=$dir/conform_reclaim.guest
linux=$dir/conform_reclaim.linux
ok "Linux: all cases" lines "$linux" 225
ok "guestmm: the program ends well" [ "$(cat "$dir/conform_reclaim.status")" = 0 ]
ok "guestmm answers as Linux" same "$guest" "$linux"
can_differ "$guest" "$linux" 's/dirty_bytes: 8192/dirty_bytes: 0/' '^# <   /proc/sys/vm/dirty_bytes: 0$'
finish
