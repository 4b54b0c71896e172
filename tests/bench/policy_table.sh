#!/bin/sh
# The table of misses against OPT: six workloads, recorded with enough memory, replayed with a quarter, a half and three
# quarters of their pages by every policy. As Markdown, on standard output. By instructions (--icount): the same numbers on
# every machine.    policy_table.sh BUILD [WORKLOAD...]
set -eu
B=$1
shift
[ $# -gt 0 ] || set -- zipf loop scan phases mix fork
dir=$(mktemp -d "${TMPDIR:-/tmp}/mmvm-policies.XXXXXX")
trap 'rm -rf "$dir"' EXIT
for w in "$@"; do
	"$B/mmvm" run --accel lab --icount --sample 0 --memory 64M --trace "$dir/trace" --refs 1 --exec refload "$w" --mb 8 \
		--turns 4 --work 6000 >"$dir/out" 2>&1 || {
		tail -n 5 "$dir/out" >&2
		exit 1
	}
	"$B/mmvm" policy "$dir/trace" --json --memory 25%,50%,75% >"$dir/$w.json"
done
python3 - "$dir" "$@" <<'END'
import json, sys
dir, loads = sys.argv[1], sys.argv[2:]
head = None
for load in loads:
    results = json.load(open(f"{dir}/{load}.json"))["results"]
    policies = [r["policy"] for r in results if r["memory_pages"] == results[0]["memory_pages"]]
    if head is None:
        head = policies
        print("| workload | memory |", " | ".join(head), "|")
        print("|---|---:|" + "---:|" * len(head))
    for size, share in zip(sorted({r["memory_pages"] for r in results}), ("25 %", "50 %", "75 %")):
        row = {r["policy"]: r["misses"] for r in results if r["memory_pages"] == size}
        cells = [f"{row[p]:,}" + (f" ({row[p] / row['opt']:.2f})" if row["opt"] and p != "opt" else "") for p in head]
        print(f"| {load} | {share} |", " | ".join(cells), "|")
END
