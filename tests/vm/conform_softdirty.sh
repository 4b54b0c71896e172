#!/bin/sh
# clear_refs and soft-dirty bits are those of Linux: user/conform_softdirty, run unchanged on
# Debian's Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_softdirty.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_softdirty
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

LIMIT=300 on_both 64M conform_softdirty
guest=$dir/conform_softdirty.guest
linux=$dir/conform_softdirty.linux
ok "Linux: all cases" lines "$linux" 80
ok "guestmm: the program ends well" [ "$(cat "$dir/conform_softdirty.status")" = 0 ]
ok "guestmm answers as Linux" same "$guest" "$linux"
can_differ "$guest" "$linux" 's/^cleared: -cc/cleared: -Sc/' '^# < cleared: -Sc'
finish
