#!/bin/sh
# Accessed pages with nested paging: as access.sh, in the lab; with swapping; the page in a browser is report.sh's.
#    lab_access.sh BUILD
set -u
B=$1
name=lab_access
. "$(dirname "$0")/lib.inc"
. "$(dirname "$0")/access.inc"

needs_lab
seed=${SEED:-7}
echo "# seed $seed"
run run --accel lab --memory 32M,high=8M --access all --sample 500 --json "$dir/r.json" \
	--exec accessset --mb 6 --percent 12 --rounds 3 --phases 2 --ms 3000 --seed "$seed"
ok "all methods, a program that compares" [ "$status" = 0 ]
scores "$dir/r.json"
# Reclaim reads the bits that sampling clears: it must go on as before, and every word be right.
# Without the dirty log: on a busy host 20 ms are too short for its faults and for work.
run run --accel lab --memory 24M --dirty none --access guest --sample 20 --exec swapstress --mb 30
ok "sampled 50 times a second while swapping, every word right" [ "$status" = 0 ]
ok "and there was swapping" said 'pages swapped in +[1-9]'
finish
