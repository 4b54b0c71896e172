#!/bin/sh
# Page tables of four and of five levels (la57=): the same tests of the guest with both, audited from outside, and
# programs in user mode.    levels.sh BUILD
set -u
B=$1
name=levels
. "$(dirname "$0")/lib.inc"
needs_lab

for levels in off on; do
	LIMIT=500 run test --accel lab --append la57=$levels -k 'levels.*' -k 'tlb.*' -k 'fork.*' -k 'arch.*' -k 'mm.*'
	ok "la57=$levels: tests of the guest" [ "$status" = 0 ]
	run run --accel lab --append la57=$levels --swap 32M --memory 32M --exec swapstress --mb 40
	ok "la57=$levels: a program swaps" [ "$status" = 0 ]
done
run run --accel lab --append "la57=on" --cpus 2 --exec forktest
ok "la57=on, two CPUs: a program forks" [ "$status" = 0 ]
# A lab without: refused before the guest starts.
run lab -- "$mmvm" run --accel kvm --append la57=on --exec hello
ok "la57=on without the CPU's: refused" is 2 "no page tables of five levels"
finish
