#!/bin/sh
# Programs that nobody made for guestmm: static Linux executables, with musl and with glibc.
#    programs.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=programs
B=$1
. "$(dirname "$0")/lib.inc"
cases=$(grep -c '^		{"' "$(dirname "$0")/../../user/libc/threads.c")

# threads LIBRARY WHERE N COMMAND...: N cases of user/libc/threads.c, each ends with "ok"
threads() {
	library=$1 where=$2 n=$3
	shift 3
	LIMIT=200 run "$@"
	ok "$library, $where: POSIX threads, the program ends well" [ "$status" = 0 ]
	ok "$library, $where: $n cases" [ "$(grep -c '^threads [a-z_]*: ok$' "$dir/out")" = "$n" ]
	ok "$library, $where: none went wrong" grep -q "^threads: $n ran, 0 failed$" "$dir/out"
}
# doc/linux.md says which system calls there are.
top=$(dirname "$0")/../..
awk -f "$(dirname "$0")/syscall_table.awk" "$top/include/mmvm/syscalls.h" >"$dir/kernel"
sed -n '/system calls: tests/,/^$/p' "$top/doc/linux.md" | sed '1,3d; /^$/d' >"$dir/readme"
ok "doc/linux.md names the system calls there are, and no others" diff "$dir/kernel" "$dir/readme"

if have_lab; then
	threads musl "in the lab" "$cases" run --accel lab --exec "$B/user/threads.musl"
	threads glibc "in the lab" "$cases" run --accel lab --exec "$B/user/threads.glibc"
	threads musl "in the lab, two CPUs" "$cases" run --accel lab --cpus 2 --exec "$B/user/threads.musl"
else
	skip "in the lab" "QEMU or the lab's image is missing (make lab-image)"
fi

# layout ARGS...: the line of addresses that user/libc/layout.c prints
layout() {
	LIMIT=100 run run --accel "$accel" "$@"
	grep -o '^layout .*' "$dir/out"
}
alike() { [ -n "$1" ] && [ "$1" = "$2" ]; }
differ() { [ -n "$1" ] && [ -n "$2" ] && [ "$1" != "$2" ]; }
program=$B/user/layout.musl
have_kvm && accel=kvm || accel=lab
if have_kvm || have_lab; then
	a=$(layout --seed 1 --exec "$program") b=$(layout --seed 2 --exec "$program") again=$(layout --seed 1 --exec "$program")
	ok "addresses are random: another seed, other places" differ "$a" "$b"
	ok "and repeatable: the same seed, the same places" alike "$a" "$again"
	a=$(layout --seed 1 --append norandmaps --exec "$program") b=$(layout --seed 2 --append norandmaps --exec "$program")
	ok "norandmaps: all seeds alike" alike "$a" "$b"
	a=$(layout --seed 1 --exec "$program" fixed) b=$(layout --seed 2 --exec "$program" fixed)
	ok "personality(ADDR_NO_RANDOMIZE): the same" alike "$a" "$b"
else
	skip "random addresses" "neither /dev/kvm nor the lab"
fi
if have_kvm; then
	# Not those that are mostly page faults: ring 0 is slow there.
	threads musl "directly" 5 run --accel kvm --exec "$B/user/threads.musl" \
		mutexes conditions signals shared_between_processes robust_mutexes
else
	skip "directly" "/dev/kvm cannot be opened"
fi
finish
