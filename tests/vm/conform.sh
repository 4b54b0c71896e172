#!/bin/sh
# The memory calls answer as Linux answers them: user/conform prints more than 730 cases (results, layout, contents), run
# unchanged on Debian's Linux 6.1 in the lab and on guestmm, in the lab and directly. The transcripts must be equal.
#    conform.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
directly="mremap advice"

# answers WHAT FILE: what the program said up to the line "N WHAT", without the blank lines
answers() { transcript 1 "^[0-9]+ $1\$" <"$2" | grep -v '^$'; }
# same A B: equal; else where they part, with the case it happens in
same() {
	diff "$1" "$2" >"$dir/diff" && return 0
	line=$(sed -nE '1s/^([0-9]+).*/\1/p' "$dir/diff")
	echo "# first difference at line $line ($(wc -l <"$dir/diff") lines of differences); < guestmm, > Linux"
	sed -n "1,${line}p" "$1" | grep '^[a-z_]*\.[0-9]*$' | tail -n 1 | sed 's/^/# in /'
	head -n 12 "$dir/diff" | sed 's/^/# /'
	false
}
cases() { [ "$(sed -nE 's/^([0-9]+) cases$/\1/p' "$1")" -ge "$2" ]; }

# One lab for all: Linux's answers, ours, and those at the limit of 65,530 mappings.
cat >"$dir/inside" <<END
$B/user/conform >$dir/linux
$B/user/conform max_map_count >$dir/linux.max
$B/user/conform $directly >$dir/linux.part
$B/mmvm run --accel kvm --exec conform >$dir/guest 2>$dir/err
echo \$? >$dir/status
$B/mmvm run --accel kvm --exec conform -- max_map_count >$dir/guest.max 2>>$dir/err
# Through a pipe: the limit on the size of files holds for its output, too.
timeout 1000 $B/user/conform_calls.musl 2>&1 | cat >$dir/linux.calls
$B/mmvm run --accel kvm --exec conform_calls.musl >$dir/guest.calls 2>>$dir/err
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
for f in guest guest.max; do
	answers cases "$dir/$f" >"$dir/$f.cases"
done
ok "Linux: all cases" cases "$dir/linux" 730
ok "guestmm: the program ends well" [ "$(cat "$dir/status")" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest.cases" "$dir/linux"
ok "guestmm answers as Linux with as many mappings as there may be" same "$dir/guest.max.cases" "$dir/linux.max"
answers groups "$dir/guest.calls" >"$dir/guest.calls.cases"
ok "Linux: all groups of calls" grep -q '^[0-9]* groups$' "$dir/linux.calls"
ok "processes, limits, signals, locks, seals: guestmm answers as Linux" same "$dir/guest.calls.cases" "$dir/linux.calls"
ok "pages were really swapped out on request" grep -Eq "pages swapped out +[1-9]" "$dir/guest"
ok "and disk and guest count the same" [ "$(grep -c '  equal ' "$dir/guest")" = 2 ]

# The comparison can fail: one page that is not where it should be.
sed '/^mremap\.16$/,/^mremap\.17$/s/ = .*/ = empty/' "$dir/guest.cases" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found, and its case named" grep -q "^# in mremap.16$" "$dir/found"

# Directly, where ring 0 is another one.
if have_kvm; then
	# shellcheck disable=SC2086
	LIMIT=200 run run --accel kvm --exec conform -- $directly
	answers cases "$dir/out" >"$dir/direct"
	ok "directly: $directly" same "$dir/direct" "$dir/linux.part"
else
	skip "directly" "/dev/kvm cannot be opened"
fi
finish
