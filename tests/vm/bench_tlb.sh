#!/bin/sh
# What misses and faults cost: the commands run, each kind of fault took its path as often as there are samples, and
# what is printed parses. The figures themselves are judged only where they cannot be otherwise: a fault takes longer
# than no fault.    bench_tlb.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$1
name=bench_tlb
. "$(dirname "$0")/lib.inc"

run bench tlb --memory 4K
ok "tlb: RAM that is too small" is 2 "not whole MiB"
run bench tlb --often
ok "tlb: unknown option" is 2 "unknown option"
run bench fault --pages 1
ok "fault: too few pages" is 2 "not a number from 16"
needs_kvm "$@"

run bench fault --quick --json "$dir/f.json"
ok "fault: every path is proved" [ "$status" = 0 ]
ok "fault: histograms" said '^ +< [0-9.]+ (ns|us|ms) +[1-9][0-9]*  #+$'
ok "fault: nothing is left unproved" sh -c "! grep -q 'NOT PROVED' '$dir/out'"
python3 - "$dir/f.json" >"$dir/checks" <<'END'
import json, sys

kinds = {k["kind"]: k for k in json.load(open(sys.argv[1]))["fault"]}
# both swap kinds share one lot of pages; one page of eight for s2_mapped, of sixteen for file
want = {k: 128 for k in ("none", "zero", "cow", "cow_fork", "anon", "shared", "s2_cached", "s2_none", "wp")}
want["s2_mapped"] = 16
want["file"] = 8
for name, n in want.items():
    k = kinds[name]
    good = k["samples"] == n and k["proved"] and k["witnessed"] >= n and sum(k["log2_ns"]) == n
    good = good and k["min_ns"] <= k["median_ns"] <= k["p99_ns"] <= k["max_ns"]
    good = good and (name == "none" or k["median_ns"] > kinds["none"]["median_ns"])
    print("ok" if good else "not ok", name, k if not good else "")
swap = kinds["swap"]["samples"] + kinds["swap_ahead"]["samples"]
print("ok" if swap == 128 and kinds["swap"]["samples"] >= 64 and kinds["swap"]["proved"] else "not ok", "swap")
END
ok "fault: JSON, each kind with its samples and witness" sh -c "[ \$(grep -c '^ok' '$dir/checks') = 12 ] || ! cat '$dir/checks'"

run bench tlb --quick --memory 24M --reps 1 --steps 5000 --json "$dir/t.json"
ok "tlb" [ "$status" = 0 ]
ok "tlb: references of both walks" said 'guest 4K on host 4K: 24 +guest 4K on host 2M: 19 .* guest 2M on host 2M: 15'
ok "tlb: a counter, or why there is none" said '^ +dtlb_misses .*(n/a \(..+\)|a step)'
python3 - "$dir/t.json" >"$dir/checks" <<'END'
import json, sys

r = json.load(open(sys.argv[1]))
seen = set()
for h in r["tlb"]:
    kib = [f["kib"] for f in h["footprints"]]
    good = kib == [16, 64, 256, 1024, 4096, 16384, 24576] and all(
        f["samples"] == 1 and 0 < f["min_ps"] <= f["median_ps"] for f in h["footprints"])
    huge = h["host_page"] == "2M"
    seen.add((h["guest_page"], h["host_page"]))
    # a kind of page that was not to be had says why; one that was measured was there
    good = good and (h["huge_bytes"] > 0) == huge or huge and not kib and h["note"]
    print("ok" if good else "not ok", h)
print("ok" if len(seen) == 4 else "not ok", seen)
w = r["walk_nested"], r["walk_shadow"]
print("ok" if [list(x.values()) for x in w] == [[24, 19, 19, 15], [4, 4, 4, 3]] else "not ok", w)
END
ok "tlb: JSON, all kinds of pages and footprints, as they are said to be" sh -c "[ \$(grep -c '^ok' '$dir/checks') = 6 ] || ! cat '$dir/checks'"
finish
