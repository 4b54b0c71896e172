#!/bin/sh
# Traces from outside: a program that uses more memory than there is, recorded; every page's life held against the
# rules, records counted against the guest's counters and the disk's; one address followed; Perfetto's format; what
# is dropped is said; a killed run leaves a readable beginning.    trace.sh BUILD    exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=trace
. "$(dirname "$0")/lib.inc"

lab_or_kvm
LIMIT=240
T=$dir/t.trace
# Small enough for a second or two: 10 MiB of RAM, 12 MiB used
traced() { run run --accel $accel --memory 10M --trace "$T" "$@"; }
count() { # count NAME: as the trace says
	awk -v w="$1" 'index($0, "  " w " ") == 1 { sub("^  " w, ""); print $1; exit }' "$dir/out"
}

traced --exec swapstress --mb 12 --passes 1
ok "a run that swaps is recorded" is 0 'mmvm: trace: [0-9]* records of the guest'
ok "nothing was dropped" sh -c "! grep -q dropped '$dir/err'"
run page "$T" --check
ok "every page's life is legal, all counts are equal" [ "$status" = 0 ]
ok "the check says so of thirteen rules" [ "$(grep -c ' holds$' "$dir/out")" = 13 ]
ok "and of seventeen counts" [ "$(grep -Ec '^  .* +([0-9]+) +\1  ' "$dir/out")" = 17 ]
ok "pages went out" [ "$(count 'pages swapped out')" -gt 100 ]
ok "and came back" [ "$(count 'pages swapped in')" -gt 100 ]

run page "$T" --list 3
ok "the most travelled are listed" said '^0x[0-9a-f]{16} +[0-9]+ swapst'
pid=$(awk '/^0x/ { print $2; exit }' "$dir/out")
pfn=$(awk '/^0x/ { print $NF; exit }' "$dir/out")
# Some came back before they had left, without a read: one that was read is wanted.
"$mmvm" page "$T" --list 200 >"$dir/list"
for addr in $(awk '/^0x/ && $4 == 1 && $5 == 2 { print $1 }' "$dir/list"); do
	run page "$T" "$addr" --pid "$pid"
	for event in fault_begin page_alloc map unmap cache_add swap_out blk_page write_end swap_in read_end fault_end; do
		grep -q " $event " "$dir/out" || status=$event
	done
	[ "$status" != 0 ] || break
done
ok "an address is followed out to the disk and back" [ "${status:-none}" = 0 ]
ok "with what the host saw of it" said 'host swap +blk_page +written to sector [0-9]+'
run page "$T" "$pfn"
ok "and so is the frame it has now" said " page_alloc .* by [a-z_]+\+0x"
run page "$T" 0xdead000 --pid "$pid"
ok "an address that nobody had" said 'no process had a page'

run trace "$T" --format chrome -o "$dir/t.json"
ok "Perfetto's format is written" [ "$status" = 0 ]
if command -v python3 >/dev/null; then
	ok "and is right: fields, order, nesting" python3 - "$dir/t.json" <<-'PY'
		import json, sys
		from decimal import Decimal
		doc = json.load(open(sys.argv[1]), parse_float=Decimal)
		last, stack, ends, opened, seen = Decimal(0), {}, {}, set(), set()
		for e in doc["traceEvents"]:
		    ph, tid = e["ph"], (e["pid"], e["tid"])
		    e["name"], e["ts"]
		    seen.add(ph)
		    if ph == "M":
		        continue
		    assert e["ts"] >= last, e
		    last = e["ts"]
		    if ph == "B":
		        stack.setdefault(tid, []).append(e["name"])
		    elif ph == "E":
		        assert stack[tid].pop() == e["name"], e
		    elif ph == "b":
		        assert e["id"] not in opened
		        opened.add(e["id"])
		    elif ph == "e":
		        opened.remove(e["id"])
		    elif ph == "X":
		        inside = [t for t in ends.get(tid, []) if t > e["ts"]]
		        assert not inside or e["ts"] + e["dur"] <= min(inside), e
		        ends[tid] = inside + [e["ts"] + e["dur"]]
		assert not any(stack.values()) and {"B", "E", "X", "i", "b", "e", "C"} <= seen, seen
		assert doc["otherData"]["dropped_in_rings"] == 0
	PY
fi
run trace "$T" --format csv --only swap
ok "CSV of some categories" [ "$(grep -c ',guest,\|,side,' "$dir/out")" = "$(wc -l <"$dir/out")" ]
run trace "$T" --only process
ok "text: the program by its name" said 'exec +.*swapstre'

# The end is not in a file that was cut; the beginning is.
size=$(stat -c %s "$T")
head -c $((size / 2)) "$T" >"$dir/half"
run page "$dir/half" --check
ok "half a file reads, and says what it is" said 'incomplete: '
ok "and nothing is claimed of it" said 'nothing can be said'
printf x | dd of="$T" bs=1 seek=$((size / 3)) conv=notrunc 2>/dev/null
run page "$T" --list 1
ok "a damaged one, too" said 'incomplete: what follows is damaged'

traced --trace-limit 4K --exec hello
ok "what goes beyond the limit is counted" is 0 'dropped: 0 that found no room in a ring, [1-9][0-9]* beyond'
ok "in a file of that size" [ "$(stat -c %s "$T")" -lt 400000 ]
run page "$T" --list 1
ok "and the file says so" said 'dropped: 0 in rings, [1-9][0-9]* beyond'

run run --trace /nowhere/t --exec hello
ok "a trace that cannot be written" is 2 "nowhere"
echo keep >"$dir/old"
run run --accel $accel --trace "$dir/old" --kernel "$dir/old" --exec hello
ok "a machine that cannot be made leaves the old file as it was" grep -q keep "$dir/old"
run run --accel $accel --trace "$dir/new" --kernel "$dir/old" --exec hello
ok "and makes no new one" [ ! -e "$dir/new" ]
run run --accel $accel --trace-limit 0 --exec hello
ok "a limit that is none" is 2 "not from 1 to"
run page "$dir/out"
ok "a page of what is no trace" is 2 "one of a page"
echo no >"$dir/no"
run page "$dir/no" 5
ok "what is no trace" is 2 "not a trace"
run trace "$T" --format xml
ok "an unknown format" is 2 "none of chrome text csv"
run trace "$T" --only cake
ok "an unknown category" is 2 "no such category"
run trace "$T" -o "$T"
ok "the trace is not overwritten" is 2 "would overwrite"
has_grown() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge 200000 ]; }
have_kvm && accel=kvm
"$mmvm" run --accel $accel --trace "$dir/k.trace" --sample 100 >/dev/null 2>&1 &
await $! has_grown "$dir/k.trace"
kill -9 $!
wait $! 2>/dev/null
run page "$dir/k.trace" --list 1
ok "a killed run leaves a readable beginning" said 'the run was cut short'
finish
