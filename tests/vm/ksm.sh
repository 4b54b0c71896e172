#!/bin/sh
# Merging of equal pages is as on Linux: user/conform_ksm (settings, arguments, merging within a process and with a child, writes, unmerging,
# max_page_sharing, zero pages, moves, mlock; the counts after each step, and which pages share a frame) runs unchanged on Debian's Linux 6.1 in
# the lab and on guestmm. The transcripts must be equal.
#    ksm.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=ksm
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

LIMIT=120 on_both 128M conform_ksm
guest=$dir/conform_ksm.guest
linux=$dir/conform_ksm.linux
ok "Linux: all cases" lines "$linux" 85
ok "guestmm: the program ends well" [ "$(cat "$dir/conform_ksm.status")" = 0 ]
ok "pages were really merged" grep -q '^merged: shared 1 sharing 7' "$guest"
ok "guestmm answers as Linux" same "$guest" "$linux"
can_differ "$guest" "$linux" 's/^merged: shared 1 sharing 7/merged: shared 1 sharing 6/' '^# < merged: shared 1 sharing 6'
finish
