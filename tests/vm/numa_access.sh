#!/bin/sh
# Who accesses what, by node: two workers on two nodes (user/libc/nodegroups.c) access their own memory, then run on each
# other's CPUs, then have their memory moved to them. The matrix of the access sampler shows each phase.
#    numa_access.sh BUILD
set -u
B=$1
name=numa_access
. "$(dirname "$0")/lib.inc"
needs_lab
# The dirty log, which nobody asks for here, would make every page fault again in every sample.
machine="--accel lab --cpus 2 --node memory=32M,cpus=0 --node memory=32M,cpus=1 --dirty none --access guest --sample 100"

# pairs EXPRESSION [after]: with m[cpu][page] summed over points, moves at the end. With `after` only those points count whose
# window, from the point before to this one, lies wholly behind the last move.
pairs() {
	python3 - "$dir/r.json" "$@" <<'END'
import json, sys
a = json.load(open(sys.argv[1]))["access"][0]
p = a["points"]
assert a["nodes"] == 2 and a["points_dropped"] == 0, a["nodes"]
# A page that was accessed is in at least one pair, and in no more rows than there are.
assert all(x["window"][0] <= sum(x["pairs"]) <= 3 * x["window"][0] for x in p)
moves = p[-1]["moves"]
if "after" in sys.argv:
    p = [x for before, x in zip(p, p[1:]) if before["moves"]["pgmigrate_success"] == moves["pgmigrate_success"]]
# nodegroups makes whole passes in each of five times 200 ms, and a sample is taken every 100: in some they are seen.
busy = sum(x["window"][0] >= 100 for x in p)
sums = [sum(x["pairs"][i] for x in p) for i in range(6)]
m, several = [sums[0:2], sums[2:4]], sums[4:6]
if busy < 3 or not eval(sys.argv[2]):
    print("#", len(p), "points,", busy, "with a worker; from CPUs of 0, 1, several:", m, several, moves)
    print("#", [x["pairs"] for x in a["points"]])
    sys.exit(1)
END
}

run run $machine --json "$dir/r.json" --exec "$B/user/nodegroups.musl" --mb 3 --ms 1000 local
ok "workers on their own nodes" [ "$status" = 0 ]
ok "each accesses its own node" pairs 'm[0][0] > 4 * m[0][1] and m[1][1] > 4 * m[1][0] and m[0][0] > 1500 and m[1][1] > 1500'
ok "nothing moved" pairs 'moves["pgmigrate_success"] == 0'
ok "the groups' memory is where their workers are" said '^local +group a: anon on node 0 +3.0 MiB, on node 1 +0.0'

run run $machine --json "$dir/r.json" --exec "$B/user/nodegroups.musl" --mb 3 --ms 1000 crossed
ok "workers on each other's nodes" [ "$status" = 0 ]
ok "each accesses the other node" pairs 'm[0][1] > 2 * m[0][0] and m[1][0] > 2 * m[1][1] and m[0][1] > 1500 and m[1][0] > 1500'
ok "the table shows the matrix" said 'from CPUs of +pages of node 0 +pages of node 1'
ok "and each pair over time" said 'node 0 to node 1 +\|'
run report "$dir/r.json" -o "$dir/r.html"
ok "the page has it" grep -q 'Accesses by node of the CPU and node of the page' "$dir/r.html"

run run $machine --json "$dir/r.json" --exec "$B/user/nodegroups.musl" --mb 3 --ms 1000 crossed moved
ok "memory follows its worker" [ "$status" = 0 ]
ok "migrations are beside it" pairs 'moves["pgmigrate_success"] >= 1500'
ok "then each accesses its own node" pairs 'm[0][0] > 2 * m[0][1] and m[1][1] > 2 * m[1][0] and m[0][0] > 1500 and m[1][1] > 1500' after

# ---- one node, or nobody looks: no matrix
run run --accel lab --memory 32M --access guest --sample 100 --json "$dir/r.json" --exec accessset --mb 1 --rounds 1
ok "one node: no matrix" sh -c 'grep -q "\"nodes\": 0" "$1" && ! grep -q "\"pairs\"" "$1"' sh "$dir/r.json"
finish
