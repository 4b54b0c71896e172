#!/bin/bash
# The chaos kernel (tests/chaos): a guest that does random things to all devices, to the window that the host reads, to
# trace rings, records and the audit root, with all observers on. The run ends by itself in a documented status, within
# its time and memory, and what was written can be read.
name=chaos
B=${1:-build}
. "$(dirname "$0")/lib.inc"

SEEDS=${CHAOS_SEEDS:-1 2 3}
STEPS=${CHAOS_STEPS:-600}
ended() { [ "$status" = 0 ] || [ "$status" = 1 ] || [ "$status" = 4 ]; }
said_end() { grep -q 'chaos: ends' "$dir/out"; }

for seed in $SEEDS; do
	truncate -s 1M "$dir/disk"
	rm -f "$dir/trace" "$dir/json"
	began=$(date +%s)
	run run --accel lab --kernel "$B/tests/chaos.elf" --memory 8M --swap 1M --disk "$dir/disk" \
		--append "chaos=$seed,$STEPS" --timeout 100 --sample 20 --exit-places --access unmap \
		--stacks "$dir/stacks" --trace "$dir/trace" --trace-limit 16M --json "$dir/json"
	ok "seed $seed: ends in a documented status" ended
	ok "seed $seed: what the audit found makes the status 1" eval '[ "$status" != 0 ] || said "^  audit +(0 findings|none)"'
	ok "seed $seed: its mistakes are counted" grep -Eq '"guest_errors": [1-9]' "$dir/json"
	ok "seed $seed: they are said at most once a second" test "$(grep -c 'broke the rules' "$dir/err")" -le $(($(date +%s) - began + 2))
	ok "seed $seed: after all its steps" said_end
	run trace "$dir/trace" --format csv -o "$dir/csv"
	ok "seed $seed: its trace reads" test "$status" = 0
	run report "$dir/json"
	ok "seed $seed: its result reads" test "$status" = 0
done
finish
