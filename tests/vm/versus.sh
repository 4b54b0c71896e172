#!/bin/sh
# mmvm versus: a program that swaps, on Linux and on guestmm: both have the same memory, both count what the host counts,
# guestmm's runs repeat to the digit.    versus.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=versus
B=$1
. "$(dirname "$0")/lib.inc"

ok "a program is needed" sh -c '"$1" versus 2>&1 | grep -q -- "--exec PROGRAM is needed"' sh "$mmvm"
run versus --exec refload --policies lifo
ok "a policy that there is not" is 2 'no policy lifo'
# The observer of the curves, on this Linux; and the page, from a file.
limit 120 "$B/user/observe" curve=5 "$B/user/refload" phases --mb 32 --turns 60 >"$dir/out" 2>"$dir/err"
status=$?
ok "the observer runs a program" [ "$status" = 0 ]
ok "and takes samples of its memory" awk '/^curve: / { if (NF != 5 || $2 <= last || $4 > $3) bad = 1; last = $2; n++ } END { exit bad || n < 3 }' "$dir/out"
cat >"$dir/two.json" <<'END'
{"schema": 1, "linux": "6.1.0", "program": "/x/refload", "arguments": ["zipf"], "sysctl": [], "swap_bytes": 67108864, "curve_ms": 20,
 "systems": [{"name": "linux", "ram_bytes": 100663296, "repeats": [], "runs": [{"pgfault": 10}],
              "curve": [{"ticks": 20000000, "rss_kib": 4096, "referenced_kib": 2048, "swap_kib": 0}]},
             {"name": "twolist", "ram_bytes": 37748736, "repeats": [], "runs": [{"pgfault": 11}], "curve": []}]}
END
run report "$dir/two.json"
ok "mmvm report prints the table" said '^page faults +10 +11'
ok "and the curves" said '^ +20 ms +2048 +ended'
run report "$dir/two.json" -o "$dir/page.html"
ok "and makes a page" grep -q 'Working set: memory referenced in an interval' "$dir/page.html"
run report "$dir/two.json" --csv "$dir/csv"
ok "no CSV of it" is 2 'of mmvm versus'
needs_lab
[ -e "$(echo "$B"/lab/pkg/boot/vmlinuz-*)" ] || {
	echo "# skipped: the lab's folder has no kernel with modules for a guest"
	exit 77
}
LIMIT=900 run versus --policies twolist --runs 2 --memory 96M --swap 64M --json "$dir/v.json" --exec refload loop --mb 40 --turns 2
ok "both ran it" [ "$status" = 0 ]
ok "the table names them" said 'linux +twolist'
ok "the same memory, the host's counts, and what repeats" python3 - "$dir/v.json" <<'END'
import json, sys
v = json.load(open(sys.argv[1]))
linux, guest = v["systems"]
assert linux["name"] == "linux" and guest["name"] == "twolist" and v["linux"].startswith("6.")
assert len(linux["runs"]) == len(guest["runs"]) == 2
l, g = linux["runs"][0], guest["runs"][0]
assert abs(l["MemAvailable"] - g["MemAvailable"]) <= 512, (l["MemAvailable"], g["MemAvailable"])
for r in linux["runs"] + guest["runs"]:
    assert r["status"] == 0 and r["pswpout"] > 500 and r["pswpin"] > 0 and r["ticks"] > 1000000
    assert r["host_swap_pages_written"] >= r["pswpout"], r["pswpout"]
    assert r["host_swap_writes"] > 0
# kswapd is ahead: no larger a part is taken directly than on Linux.
share = lambda r: r["pgsteal_direct"] / (r["pgsteal_direct"] + r["pgsteal_kswapd"])
assert share(g) <= share(l), (share(g), share(l))
same = sum(guest["runs"][1].get(k) == x for k, x in g.items())
assert same * 10 >= len(g) * 9, "%d of %d values of guestmm repeat" % (same, len(g))
END
finish
