#!/bin/sh
# Programs that nobody made for guestmm: static Linux executables, with musl and with glibc.
#    programs.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=programs
B=$1
. "$(dirname "$0")/lib.inc"
cases=$(grep -c '^		{"' "$(dirname "$0")/../../user/libc/threads.c")

# threads LIBRARY WHERE COMMAND...: every case of user/libc/threads.c ends with "ok"
threads() {
	library=$1 where=$2
	shift 2
	LIMIT=200 run "$@" --exec "$B/user/threads.$library"
	ok "$library, $where: POSIX threads, the program ends well" [ "$status" = 0 ]
	ok "$library, $where: all $cases cases" [ "$(grep -c '^threads [a-z_]*: ok$' "$dir/out")" = "$cases" ]
	ok "$library, $where: none went wrong" grep -q "^threads: $cases ran, 0 failed$" "$dir/out"
}
if have_lab; then
	threads musl "in the lab" run --accel lab
	threads glibc "in the lab" run --accel lab
	threads musl "in the lab, two CPUs" run --accel lab --cpus 2
else
	skip "in the lab" "QEMU or the lab's image is missing (make lab-image)"
fi

# layout ARGS...: the line of addresses that user/libc/layout.c prints
layout() {
	LIMIT=100 run run --accel "$accel" --exec "$B/user/layout.musl" "$@"
	grep -o '^layout .*' "$dir/out"
}
alike() { [ -n "$1" ] && [ "$1" = "$2" ]; }
differ() { [ -n "$1" ] && [ -n "$2" ] && [ "$1" != "$2" ]; }
have_kvm && accel=kvm || accel=lab
if have_kvm || have_lab; then
	a=$(layout --seed 1) b=$(layout --seed 2) again=$(layout --seed 1)
	ok "addresses are random: another seed, other places" differ "$a" "$b"
	ok "and repeatable: the same seed, the same places" alike "$a" "$again"
	a=$(layout --seed 1 --append norandmaps) b=$(layout --seed 2 --append norandmaps)
	ok "norandmaps: all seeds alike" alike "$a" "$b"
	a=$(layout --seed 1 -- fixed) b=$(layout --seed 2 -- fixed)
	ok "personality(ADDR_NO_RANDOMIZE): the same" alike "$a" "$b"
else
	skip "random addresses" "neither /dev/kvm nor the lab"
fi
if have_kvm; then
	threads musl "directly" run --accel kvm
else
	skip "directly" "/dev/kvm cannot be opened"
fi
finish
