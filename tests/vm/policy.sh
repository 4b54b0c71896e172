#!/bin/sh
# The laboratory for policies: a run that swaps is recorded with its references; replayed with the policy and the
# memory that it had, the simulator predicts its major faults within 5 %, and those of all policies together within 3 %; no
# policy beats OPT.
#   policy.sh BUILD    exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=policy
. "$(dirname "$0")/lib.inc"

needs_lab
LIMIT=900
T=$dir/t.trace
misses() { awk -v p="$1" '$2 == p { print $3; exit }' "$dir/out"; }
# within A B PERCENT: do they differ by at most so much of A? (One policy: 0.9 to 3.8 % was measured, by seed and build. Together
# they have three times the faults, and what a build happens to change in one is not in all: 1.4 %.)
within() { [ "$1" -gt 500 ] && [ $((($1 - $2) * 100)) -le $(($3 * $1)) ] && [ $((($2 - $1) * 100)) -le $(($3 * $1)) ]; }
all_major=0
all_predicted=0

for policy in twolist s3fifo mglru; do
	# By instructions, so that it does not depend on how busy this machine is; and with enough work at each use that a millisecond's
	# sample has few of them.
	run run --accel lab --icount --memory 16M --swap 64M --append reclaim_policy=$policy --trace "$T" --refs 1 \
		--exec refload zipf --mb 40 --turns 3 --alone 1 --work 8000
	ok "$policy: a run that swaps is recorded" is 0 'mmvm: trace: [0-9]* records'
	ok "$policy: nothing was dropped" sh -c "! grep -q dropped '$dir/err'"
	run policy "$T" --memory run
	major=$(sed -n 's/.*its pgmajfault: //p' "$dir/out")
	ok "$policy: predicted $(misses $policy) of $major major faults" within "$major" "$(misses $policy)" 5
	all_major=$((all_major + major))
	all_predicted=$((all_predicted + $(misses $policy)))
	opt=$(misses opt)
	for p in twolist s3fifo lru fifo clock arc; do
		ok "$policy: $p does not miss less than OPT" [ "$(misses $p)" -ge "$opt" ]
	done
done
ok "together: predicted $all_predicted of $all_major major faults" within $all_major $all_predicted 3
# ---- the table of doc/policy.md: the workload of it that repeats best, within 5 % or 25 misses (doc/policy.md says what
# does not repeat, and why)
"$(dirname "$0")/../bench/policy_table.sh" "$B" zipf >"$dir/table" 2>"$dir/err"
ok "doc/policy.md's table is what is measured" python3 - "$dir/table" "$(dirname "$0")/../../doc/policy.md" <<'END'
import re, sys
rows = lambda f: {m[1]: [int(c.split()[0].replace(",", "")) for c in m[2].split("|")] for m in
                  re.finditer(r"^\| (zipf \| \d+ %) \| (.*) \|$", open(f).read(), re.M)}
now, doc = rows(sys.argv[1]), rows(sys.argv[2])
assert len(now) == 3 and now.keys() == doc.keys(), (now, doc)
for size in now:
    assert len(now[size]) == len(doc[size]) and all(opt <= n for n in now[size] for opt in now[size][-1:])
    for n, d in zip(now[size], doc[size]): # of a few hundred, 25 are chance
        assert abs(n - d) * 20 <= max(d, 500), (size, n, d)
END
run policy "$T" --json --memory 25%,50%
ok "the same as JSON" [ "$(grep -c '"policy"' "$dir/out")" = 16 ]
run policy "$T" --plot "$dir/plot" --policies lru,opt --memory 50%
ok "a line of the plot a size" [ "$(grep -vc '^#' "$dir/plot")" = 20 ]
run policy "$T" --policies lifo
ok "a policy that is none is refused" is 2 'there is no such policy'
finish
