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
here=$(cd "$B" && pwd)

transcript() { sed -E '/^end of the cases$/q' "$1" | grep -v -e '^\[ *[0-9]*\.[0-9]*\]' -e '^mmvm: running in the lab'; }

cat >"$dir/inside" <<END
$here/user/conform_ksm >$dir/linux </dev/null
$here/mmvm run --accel kvm --memory 128M --exec conform_ksm >$dir/guest 2>$dir/err
echo \$? >$dir/status
END
LIMIT=120 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
transcript "$dir/guest" >"$dir/guest.cases"
ok "Linux: all cases" lines "$dir/linux" 85
ok "guestmm: the program ends well" [ "$(cat "$dir/status")" = 0 ]
ok "pages were really merged" grep -q '^merged: shared 1 sharing 7' "$dir/guest.cases"
ok "guestmm answers as Linux" same "$dir/guest.cases" "$dir/linux"

# The comparison can fail: one number changed.
sed 's/^merged: shared 1 sharing 7/merged: shared 1 sharing 6/' "$dir/guest.cases" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# < merged: shared 1 sharing 6' "$dir/found"
finish
