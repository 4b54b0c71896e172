#!/bin/sh
# clear_refs and soft-dirty bits are those of Linux: user/conform_softdirty, run unchanged on
# Debian's Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_softdirty.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_softdirty
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
here=$(cd "$B" && pwd)

transcript() { sed -E '/^end of the cases$/q' "$1" | grep -v '^\[ *[0-9]*\.[0-9]*\]'; }
cat >"$dir/inside" <<END
$here/user/conform_softdirty >$dir/linux </dev/null
$here/mmvm run --accel kvm --memory 64M --exec conform_softdirty >$dir/guest 2>$dir/err
echo \$? >$dir/status
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
transcript "$dir/guest" >"$dir/guest.cases"
ok "Linux: all cases" lines "$dir/linux" 80
ok "guestmm: the program ends well" [ "$(cat "$dir/status")" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest.cases" "$dir/linux"
# The comparison can fail.
sed 's/^cleared: -cc/cleared: -Sc/' "$dir/guest.cases" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# < cleared: -Sc' "$dir/found"
finish
