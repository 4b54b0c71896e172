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
needs_lab
[ -e "$(echo "$B"/lab/pkg/boot/vmlinuz-*)" ] || {
	echo "# skipped: the lab's folder has no kernel with modules for a guest"
	exit 77
}
LIMIT=900 run versus --policies twolist --runs 2 --memory 96M --swap 64M --json "$dir/v.json" --exec refload loop --mb 40 --turns 1
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
