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
run run --accel lab --append reclaim_policy=no_chance --exec hello
ok "reclaim_policy: one that is not there is named" grep -Eqs 'no_chance' "$dir/out" "$dir/err"

run test --accel lab -k example.
ok "guest_test: found and passed" said 'ok +example.a_new_page_has_one_owner'
finish
