#!/bin/sh
# Huge pages wherever they may be: tests that were written for small ones pass with transparent_hugepage=always, and
# those of shared memory with transparent_hugepage_shmem=always as well.    thp_always.sh BUILD
set -u
B=$1
name=thp_always
. "$(dirname "$0")/lib.inc"
needs_lab

LIMIT=500 run test --accel lab --append "transparent_hugepage=always transparent_hugepage_shmem=always" -k 'mm.*' -k 'fork.*' \
	-k 'cma.*' -k 'compact.*' -k 'zone.*' -k 'shmem.*' -k 'swap.*' -k 'allocfail.*'
ok "tests of the guest" [ "$status" = 0 ]
run run --accel lab --append transparent_hugepage=always --swap 32M --memory 32M --exec swapstress --mb 40
ok "a program swaps" [ "$status" = 0 ]
run run --accel lab --append transparent_hugepage_shmem=always --swap 64M --memory 32M --exec sharetest
ok "programs share memory" [ "$status" = 0 ]
finish
