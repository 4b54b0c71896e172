#!/bin/sh
# `mmvm profile`: exact instruction counts by function, twice the same; in the lab and, where KVM emulates ring 0, directly.
#     profile.sh BUILD    exit 0 passed, 1 failed, 77 cannot run
set -u
name=profile
B=$1
. "$(dirname "$0")/lib.inc"

if ! have_lab && ! have_kvm; then
	echo "# skipped: neither /dev/kvm nor the lab can be used"
	exit 77
fi
mode=lab
have_lab || mode=kvm

run profile --list
ok "--list names the operations" said '^anon_fault$'
run profile nothing_such --accel $mode
ok "an operation that is not there" is 2 "there is no operation"
run profile
ok "no operation" is 2 "which operation"
run profile page_0 --format xml
ok "an unknown format" is 2 "none of table folded tree"

# The sums: self over all functions is the total, and the folded stacks add up to it as well.
sums_up() {
	total=$(sed -nE 's/^[a-z_0-9]+: ([0-9]+) instructions.*/\1/p' "$dir/$1.table")
	self=$(awk 'NR > 2 { s += $1 } END { print s }' "$dir/$1.table")
	folded=$(awk '{ s += $NF } END { print s }' "$dir/$1.folded")
	[ -n "$total" ] && [ "$total" = "$self" ] && [ "$total" = "$folded" ]
}
identical() { grep -q 'all identical' "$dir/$1.table"; }
function_called() { awk -v f="$2" '$NF == f && $4 > 0 { found = 1 } END { exit !found }' "$dir/$1.table"; }

# One lab for all of them: it boots once. The second run of each must be the first, to the digit.
cat >"$dir/all.sh" <<END
for op in page_0 syscall anon_fault cow_fault; do
	for form in table table2 folded tree; do
		"$mmvm" profile \$op --accel kvm --format \${form%2} >"$dir/\$op.\$form" 2>>"$dir/err" || exit 1
	done
done
END
if [ $mode = lab ]; then
	limit 240 "$mmvm" lab -- sh "$dir/all.sh" >"$dir/out" 2>&1
else
	limit 240 sh "$dir/all.sh" >"$dir/out" 2>&1
fi
status=$?
ok "all profiles were made" [ $status = 0 ]
for op in page_0 syscall anon_fault cow_fault; do
	ok "$op: the functions and the stacks add up" sums_up $op
	ok "$op: a second run is the same, to the digit" cmp -s "$dir/$op.table" "$dir/$op.table2"
	ok "$op: a tree" grep -q '^ *total *self *calls  function' "$dir/$op.tree"
done
ok "page_0: all repetitions identical" identical page_0
ok "syscall: all repetitions identical" identical syscall
ok "syscall: its handler was called" function_called syscall syscall_dispatch
ok "anon_fault: the fault was followed to the allocator" grep -Eq 'handle_mm_fault.*;__alloc_page' "$dir/anon_fault.folded"
ok "cow_fault: the page is copied below the handler" grep -Eq 'do_user_fault;.*;copy_page' "$dir/cow_fault.folded"
ok "anon_fault: the handler is below the program" grep -q '^\[user\];asm_trap_pf' "$dir/anon_fault.folded"

# Where KVM emulates ring 0, stepping goes another way.
if [ $mode = lab ] && have_kvm && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
	run profile kmalloc_128 --accel kvm
	ok "directly: kmalloc" said '^kmalloc_128: [0-9]+ instructions, 5 repetitions, all identical'
	run profile anon_fault --accel kvm
	ok "directly: a fault" said ' do_user_fault$'
fi

# A baseline: kept, then made to look as if kmalloc had been cheaper.
if have_lab && [ -e "$B/lab/mmvm_bench.ko" ]; then
	run bench --baseline "$dir/no_such_file"
	ok "a baseline that is not there" is 2 "cannot open"
	run bench --only kmalloc_128 --save "$dir/then.json"
	ok "a baseline is kept" [ $status = 0 -a -s "$dir/then.json" ]
	python3 - "$dir/then.json" <<-'END'
		import json, sys
		kept = json.load(open(sys.argv[1]))
		assert [o["name"] for o in kept["operations"]] == ["kmalloc_128"]
		kept["operations"][0]["median_x1000"] -= 12000
		kept["operations"][0]["functions"]["kmalloc"] -= 12
		json.dump(kept, open(sys.argv[1], "w"))
	END
	ok "it holds the costs that were asked for" [ $? = 0 ]
	run bench --only kmalloc_128 --baseline "$dir/then.json" --save "$dir/now.json"
	ok "a cost that rose fails, and the function is named" \
		is 1 "kmalloc: [0-9]* -> [0-9]* instructions"
	ok "costs are kept all the same" [ -s "$dir/now.json" ]
else
	skip "a baseline" "the lab or its Linux module is missing"
fi

# Sampled stacks and the processor's counts, on whatever there is. Where ring 0 is emulated a boot is long enough to be seen.
accel=kvm
have_kvm || accel=lab
run run --accel $accel --memory 16M --swap 0 --exec hello --stacks "$dir/stacks" --counters
ok "--stacks: the run goes on" [ $status = 0 ]
samples=$(sed -nE 's/^ +stacks +([0-9,]+) .* different ones, 0 lost$/\1/p' "$dir/out" | tr -d ,)
folded_sum() { [ "$(awk '{ s += $NF } END { print s + 0 }' "$dir/stacks")" = "$samples" ]; }
well_formed() { ! grep -Evq '^[^ ;]+(;[^ ;]+)* [0-9]+$' "$dir/stacks"; }
ok "--stacks: every sample is in the file" folded_sum
ok "--stacks: folded lines" well_formed
ok "--counters: a count, or why there is none" grep -Eq '^cpu0 instructions retired: ([0-9]+|n/a \(.+\))$' "$dir/err"
if [ $accel = kvm ] && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
	ok "--stacks: the kernel's start" grep -Eq '(^|;)start_kernel;' "$dir/stacks"
fi

# Symbols for perf, in the form of /proc/kallsyms.
kallsyms=$dir/guest.kallsyms
run run --perf-symbols "$dir/no/such/folder" --exec hello
ok "--perf-symbols: a folder that is not there" is 1 "cannot write"
if have_kvm; then
	run run --perf-symbols "$dir" --accel kvm --memory 16M --swap 0 --sample 0 --exec hello
else
	run run --perf-symbols "$dir" --accel lab --memory 16M --swap 0 --sample 0 --exec hello
fi
ok "--perf-symbols: the run goes on" [ $status = 0 ]
in_form() { [ "$(wc -l <"$kallsyms")" -gt 500 ] && ! grep -Evq '^[0-9a-f]{16} [tTdDbBrR] [!-~]+$' "$kallsyms"; }
unique() { [ -z "$(cut -d ' ' -f 3 "$kallsyms" | sort | uniq -d)" ]; }
as_nm_says() {
	[ "$(nm "$B/images/guestmm.elf" | grep ' T handle_mm_fault$')" = "$(grep ' handle_mm_fault$' "$kallsyms")" ]
}
ok "kallsyms: address, type, name" in_form
ok "kallsyms: by address" sort -c -k 1,1 "$kallsyms"
ok "kallsyms: no name twice" unique
ok "kallsyms: begins with the code" [ "$(head -n 1 "$kallsyms" | cut -d ' ' -f 2-)" = "T _stext" ]
ok "kallsyms: an address as nm has it" as_nm_says
ok "modules: none" [ -f "$dir/guest.modules" -a ! -s "$dir/guest.modules" ]
if command -v perf >/dev/null && perf record -q -e cpu-clock -o "$dir/perf.data" -- sleep 0.1 >"$dir/out" 2>"$dir/err"; then
	perf_reads() {
		perf kvm --guest --guestkallsyms="$kallsyms" --guestmodules="$dir/guest.modules" \
			-i "$dir/perf.data" report --stdio >"$dir/out" 2>"$dir/err" && ! grep -qi 'error\|failed' "$dir/err"
	}
	ok "perf takes the files" perf_reads
else
	skip "perf takes the files" "no perf that can record here"
fi
finish
