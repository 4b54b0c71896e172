#!/bin/sh
# The dirty log, exact: a program says which pages it wrote, and KVM's log, the guest's dirty bits and the host's own
# page tables must agree, page by page (user/dirtyset.c, vmm/observe/dirty_exact.c). Here directly on this host's KVM;
# lab_dirty.sh has the ring and nested paging.    dirty.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=dirty
. "$(dirname "$0")/lib.inc"

needs_kvm "$@"
seed=${SEED:-7}
echo "# seed $seed"
# set_of ARGS...: in a machine of 24 MiB
set_of() { run run --accel kvm --memory 24M "$@"; }
exact() { # all rounds were compared, and all witnesses agree
	[ "$status" = 0 ] && said 'rounds compared, 0 differences' &&
		said 'written pages in the dirty log .* equal' && said 'written pages with dirty PTEs .* equal' &&
		said 'dirty pages without a reason .* equal' && ! said DIFFER
}

for mode in bitmap bitmap-manual; do
	set_of --dirty $mode --exec dirtyset --mb 3 --rounds 4 --seed "$seed"
	ok "$mode, every page as the program says" exact
done
for chunk in 1 100 511; do
	set_of --dirty bitmap-manual --dirty-chunk $chunk --sample 50 --exec dirtyset --mb 2 --rounds 2 --seed "$seed"
	ok "cleared $chunk pages at a time, sampled 20 times a second" exact
done
run run --accel kvm --memory 9M --exec dirtyset --mb 8 --rounds 3 --percent 20 --seed "$seed"
ok "with more memory than there is RAM" exact
ok "and there was swapping" sh -c "grep -Eq 'pages swapped in +[1-9]' '$dir/out'"
# Pages that are read again while they are still in the swap cache: clean PTEs, and no device wrote their frames.
# Whether there are any in a run is a matter of timing.
for try in 1 2 3 4 5 6 7 8; do
	run run --accel kvm --memory 9M --exec dirtyset --mb 8 --rounds 6 --percent 40 --pageout 500
	! exact || said 'mapped again from the swap cache +[1-9]' && break
done
ok "with pages that come back from the swap cache" exact
ok "and some did" said 'mapped again from the swap cache +[1-9]'
set_of --exec dirtyset --mb 2 --rounds 2 --lie 1 --seed "$seed"
ok "a program that hides a page and claims another fails the run" [ "$status" = 1 ]
ok "the hidden page is named" grep -q 'of the region is in the log and was not written' "$dir/err"
ok "the claimed page is named" grep -q 'was written and is not in the dirty log' "$dir/err"

set_of --dirty none --exec dirtyset --mb 1 --rounds 2
ok "no log: nobody compares" said 'nobody compared'
ok "no log: and it says nothing of dirty pages" sh -c "! grep -q 'dirty log' '$dir/out'"
set_of --dirty none --json "$dir/r.json" --exec hello
ok "no log: no samples but the last" [ "$(grep -c '"t_ns"' "$dir/r.json")" = 1 ]
ok "no log: null, not 0" grep -q '"dirty": null' "$dir/r.json"

set_of --dirty often
ok "unknown mode" is 2 "none of bitmap"
set_of --dirty bitmap --dirty-chunk 5
ok "chunks without clearing" is 2 "goes with --dirty bitmap-manual"
set_of --dirty-chunk 0
ok "chunks of nothing" is 2 "not a number"
if grep -qwE 'vmx|svm' /proc/cpuinfo; then
	set_of --dirty ring --exec dirtyset --mb 4 --rounds 4 --seed "$seed"
	ok "ring, every page as the program says" exact
else
	set_of --dirty ring
	ok "a ring that loses pages is refused" is 3 "lets its dirty ring overflow"
fi

# ---- what it costs
lines() { # lines MODE: all lines of the kernel's dirty_log_perf_test are there
	said "^$1, 2 MiB" && said '^Test iterations: 2$' && said '^Populate memory time: [0-9]+\.[0-9]{9}s$' &&
		said '^Enabling dirty logging time: [0-9]+\.[0-9]{9}s$' && said '^Disabling dirty logging time: [0-9]+\.' &&
		said '^Iteration 2 dirty memory time: [0-9]+\.[0-9]{9}s$' && said '^Iteration 2 get dirty log time: [0-9]+\.' &&
		said '^Get dirty log over 2 iterations took [0-9.]{11,}s\. \(Avg [0-9.]{11,}s/iteration\)$'
}
run bench dirty --memory 2M --mode bitmap,bitmap-manual --iterations 2 --reps 2 --json "$dir/b.json"
ok "bench dirty" [ "$status" = 0 ]
ok "bench dirty: lines of a bitmap" lines bitmap
ok "bench dirty: lines of one that is cleared" sh -c "grep -q '^Clear dirty log over 2 iterations' '$dir/out'"
# The log has every page, and a fault each is more than 100 ns. (The noise is the host's: not a matter for a test.)
python3 - "$dir/b.json" >"$dir/checks" <<'END'
import json, sys

for d in json.load(open(sys.argv[1]))["dirty"]:
    good = d["measured"] == 2 and d["passes"][1]["pages"]["min"] >= d["pages"]
    good = good and d["again_ps_per_page"]["max"] > 100000 and "median" in d["noise_ps_per_page"]
    print("ok" if good else "not ok %s" % d)
END
ok "bench dirty: every page, and a fault each" sh -c "[ \$(grep -c '^ok' '$dir/checks') = 2 ]"
run bench dirty --mode sometimes
ok "bench dirty: unknown kind" is 2 "none of bitmap"
run bench dirty --memory 4K
ok "bench dirty: odd size" is 2 "no size of whole MiB"
finish
