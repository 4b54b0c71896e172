#!/bin/sh
# The examples of doc/internals.md, tests/examples/NAME.patch: each applies to the tree as it is and touches no more
# files than its head says. All of them together are built in a copy of the tree, and each is seen at work.
#   examples.sh BUILD    exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=examples
. "$(dirname "$0")/lib.inc"

needs_lab
LIMIT=900
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$dir/tree
# The sources, and what is built of the program and the guest: the rest of the build is not needed.
copy() {
	mkdir -p "$tree/build/lab" &&
		cp -a --reflink=auto "$root/Makefile" "$root/devices" "$root/guestmm" "$root/images" "$root/include" "$root/tests" \
			"$root/user" "$root/vmm" "$tree" &&
		cp -a --reflink=auto "$B/.setup" "$B/host" "$B/guest" "$B/policy" "$B/user" "$B/images" "$B/mmvm" "$tree/build" &&
		for f in vmlinux initrd release lab_init; do
			[ ! -e "$B/lab/$f" ] || cp -a --reflink=auto "$B/lab/$f" "$tree/build/lab" || return 1
		done
}
touched() { grep -c '^+++ ' "$1"; }
apply() { patch -d "$tree" -p1 -s --no-backup-if-mismatch "$@"; }
build() { (cd "$tree" && limit 3000 make -s SETUP=no B=build build/mmvm build/images/guestmm.elf) >"$dir/out" 2>"$dir/err"; }

ok "a copy of the tree" copy
for p in "$root"/tests/examples/*.patch; do
	n=$(basename "$p" .patch)
	ok "$n: no more than $(sed -n 's/^files //p' "$p") files" [ "$(touched "$p")" -le "$(sed -n 's/^files //p' "$p")" ]
	ok "$n: applies" apply -i "$p"
done
build
status=$?
ok "all of them are built" [ $status = 0 ]
[ $status = 0 ] || finish
mmvm=$tree/build/mmvm

# Device and driver: the guest throws at boot. Observer: it has an option, and counts. System call: a program makes it.
musl-gcc -O2 -static -o "$dir/program" "$root/tests/examples/system_call.c"
run run --accel lab --ports --exec "$dir/program"
ok "system_call: the number, then EINVAL" said '^lookup_dcookie: 42, then -1 with errno 22'
ok "device: the driver found it" grep -Eqs 'dice: threw [1-6]$' "$dir/out" "$dir/err"
ok "observer: it counted" grep -Eqs 'ports: [1-9][0-9]* accesses' "$dir/out" "$dir/err"
ok "the guest's memory is in order" said 'audit +0 findings'

# Policy: a program that needs more memory than there is, swaps with it; it is compiled into the simulator, too.
run run --accel lab --memory 16M --swap 64M --append reclaim_policy=second_chance --trace "$dir/t" --refs 1 \
	--exec refload zipf --mb 40 --turns 2 --alone 1
ok "reclaim_policy: the program ends well" [ "$status" = 0 ]
ok "reclaim_policy: pages were swapped out" said 'pages swapped out +[1-9]'
ok "reclaim_policy: the guest's memory is in order" said 'audit +0 findings'
run policy "$dir/t" --policies second_chance,opt --memory 50%
ok "reclaim_policy: the simulator knows it" said '^ *[^ ]+ +second_chance '
# doc/new-policy.md's table: one workload of it, within 8 % (3 % was seen between builds).
limit 900 "$tree/tests/bench/policy_table.sh" "$tree/build" zipf >"$dir/table" 2>"$dir/err"
ok "reclaim_policy: doc/new-policy.md says what is measured" python3 - "$dir/table" "$root/doc/new-policy.md" <<'END'
import re, sys
def table(path):
    rows, head = {}, None
    for line in open(path):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if cells[0] == "workload":
            head = cells
        elif cells[0] == "zipf" and head:
            rows[cells[1]] = {h: int(c.split()[0].replace(",", "")) for h, c in zip(head[2:], cells[2:])}
    return rows
now, doc = table(sys.argv[1]), table(sys.argv[2])
assert len(now) == 3 and now.keys() == doc.keys(), (now, doc)
for size in doc:
    assert "second_chance" in doc[size]
    for policy, n in doc[size].items():
        assert abs(now[size][policy] - n) * 12 <= max(n, 200), (size, policy, now[size][policy], n)
END
run run --accel lab --append reclaim_policy=no_chance --exec hello
ok "reclaim_policy: one that is not there is named" grep -Eqs 'no_chance' "$dir/out" "$dir/err"

run test --accel lab -k example.
ok "guest_test: found and passed" said 'ok +example.a_new_page_has_one_owner'
finish
