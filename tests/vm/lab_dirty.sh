#!/bin/sh
# The dirty log, exact, with nested paging: as dirty.sh, and the ring.    lab_dirty.sh BUILD
set -u
B=$1
name=lab_dirty
. "$(dirname "$0")/lib.inc"

needs_lab
seed=${SEED:-7}
echo "# seed $seed"
exact() {
	[ "$status" = 0 ] && said 'rounds compared, 0 differences' &&
		said 'written pages seen by the host .* equal' && said 'dirty pages without a reason .* equal' && ! said DIFFER
}
for mode in bitmap bitmap-manual; do
	run run --accel lab --memory 24M --dirty $mode --exec dirtyset --mb 12 --rounds 6 --seed "$seed"
	ok "$mode, every page as the program says" exact
done
# More writes than a ring has entries: the guest must leave and come back.
run run --accel lab --memory 48M --dirty ring --sample 0 --exec dirtyset --mb 36 --rounds 4 --percent 200 --seed "$seed"
ok "ring, and more pages than it holds, every page as the program says" exact
ok "the ring was full" said 'dirty_ring_full +[1-9]'
run bench dirty --accel lab --memory 4M --mode ring --iterations 2 --reps 1
ok "bench dirty with a ring" [ "$status" = 0 ]
ok "its lines" said '^Clear dirty log over 2 iterations took [0-9.]{11,}s'
finish
