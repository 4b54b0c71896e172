#!/bin/sh
# Programs under memory cgroups and on nodes (user/libc/groupstress.c), on 1, 2 and 4 CPUs with the lock-order checker:
# every group lets itself be removed, its memory is gone, and no counter drifts.
#    groups.sh BUILD    ROUNDS: how many (1); CPUS: on machines with so many ("1 2 4"); SWAP (64M)
# `make test-long` plays many rounds, `make test` a short one (tests/vm/groups.sh).
set -u
B=$1
name=groupstress
. "$(dirname "$0")/../vm/lib.inc"
needs_lab
rounds=${ROUNDS:-1}
steps=${STEPS:-10}
workers=${WORKERS:-8}
seed=${SEED:-7}
swap=${SWAP:-64M}
LIMIT=$((400 + 400 * rounds))
echo "# seed $seed, $rounds rounds"

stress() { # stress CPUS NODE-OPTIONS...
	cpus=$1
	shift
	run run --accel lab --cpus "$cpus" "$@" --swap "$swap" --append lockdep --timeout $LIMIT --json "$dir/r.json" \
		--exec "$B/user/groupstress.musl" --rounds "$rounds" --steps "$steps" --workers "$workers" --random "$seed"
	ok "$cpus CPUs: all workers end well, all groups are removed, nothing drifts" [ "$status" = 0 ]
	grep '^round' "$dir/out" | tail -n 1 | sed 's/^/# /'
	ok "$cpus CPUs: all rounds were played" [ "$(grep -c '^round [1-9]' "$dir/out")" = "$rounds" ]
	ok "$cpus CPUs: there was swapping" said 'pages swapped out +[1-9]'
	ok "$cpus CPUs: the audit from outside finds nothing" said '^  audit +0 findings'
}
for n in ${CPUS:-1 2 4}; do
	case $n in
	1) stress 1 --node memory=24M,cpus=0 --node memory=24M ;;
	2) stress 2 --node memory=24M,cpus=0 --node memory=24M,cpus=1 ;;
	4) stress 4 --node memory=24M,cpus=0-1 --node memory=24M,cpus=2-3 ;;
	esac
done
finish
