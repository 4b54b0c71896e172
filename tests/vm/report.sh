#!/bin/sh
# What is made from a run's JSON file: the table, the page (in a browser, when there is one), the timeline, metrics,
# comparisons; bad files and full disks.    report.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=report
B=$1
. "$(dirname "$0")/lib.inc"
needs_kvm "$@"
# No number that is none, no request to anywhere, no script
clean_page() { ! grep -Eq '://|<script|[^a-z]nan[^a-z]|[^a-z]inf[^a-z]' "$1"; }

LIMIT=200 run run --accel kvm --memory 12M,high=2M --swap 32M --exec swapstress --mb 11 --sample 100 --json "$dir/r.json"
ok "a run to report" [ "$status" = 0 ]
sed -n '/^machine$/,$p' "$dir/out" >"$dir/table"

# ---- the same numbers, from the file
run report "$dir/r.json"
ok "the table is the one the run printed" sh -c 'sed 1d "$1" | cmp - "$2"' sh "$dir/out" "$dir/table"
run report - <"$dir/r.json"
ok "from standard input too" sh -c 'sed 1d "$1" | cmp - "$2"' sh "$dir/out" "$dir/table"
run run --accel kvm --memory 16M --access guest,refs --sample 200 --json "$dir/acc.json" --exec accessset --mb 1 --rounds 2
ok "a run whose accesses are sampled" [ "$status" = 0 ]
# One page with everything in it, for the browser; and the times of faults, as mmvm bench fault writes them.
python3 - "$dir" <<'END'
import json, sys
d = sys.argv[1]
r, a = json.load(open(d + "/r.json")), json.load(open(d + "/acc.json"))
r["access"] = a["access"]
json.dump(r, open(d + "/all.json", "w"))
json.dump({"backend": "SVM", "lab": True, "fault": [{"kind": "cow", "log2_ns": [0] * 10 + [5, 80, 10, 1]},
    {"kind": "anon", "log2_ns": [0] * 11 + [70, 30, 0, 2]}, {"kind": "swap"}]}, open(d + "/fault.json", "w"))
END
run report "$dir/all.json" -o "$dir/all.html" --bench "$dir/fault.json"
ok "a page with accesses and times" sh -c 'for t in "Working set, by guest" "Where memory is accessed, by guest" \
	"missed</th>" "Exits to the VMM: how long" "mmvm bench fault on SVM, in the lab"; do
	grep -q "$t" "$1" || { echo "# $t"; exit 1; }; done' sh "$dir/all.html"
ok "that page needs nothing else" clean_page "$dir/all.html"
run report "$dir/r.json" -o "$dir/r.html" --csv "$dir/r.csv" --openmetrics "$dir/r.om"
ok "all outputs at once" [ "$status" = 0 ]
ok "the page needs nothing else" clean_page "$dir/r.html"
ok "the page has its plots" [ "$(grep -c '<svg' "$dir/r.html")" -ge 7 ]
ok "CSV, page and metrics say what the JSON says" python3 - "$dir" <<'END'
import csv, json, sys
d = sys.argv[1]
r = json.load(open(d + "/r.json"))
rows = list(csv.DictReader(open(d + "/r.csv")))
assert len(rows) == len(r["samples"]) > 3, len(rows)
for row, s in zip(rows, r["samples"]):
    for key in ("t_ns", "dirty", "pswpin", "pswpout", "exits"):
        assert int(row[key]) == s[key], key
    assert int(row["nr_active_anon"]) == s["levels"]["nr_active_anon"]
    assert sum(s["heat"]) == s["dirty"], "every dirty page is in the heat map"
page = open(d + "/r.html").read()
for n in (r["guest_counters"]["pswpout"], r["dirty"]["pages_total"], r["exits"][0]["count"]):
    assert format(n, ",") in page, n
om = open(d + "/r.om").read()
assert om.endswith("# EOF\n")
assert 'mmvm_guest_events_total{event="pswpout"} %d\n' % r["guest_counters"]["pswpout"] in om
END
parser='from prometheus_client.openmetrics.parser import text_string_to_metric_families as p
import sys
assert sum(len(f.samples) for f in p(open(sys.argv[1]).read())) > 100'
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
	ok "a parser of OpenMetrics takes it" /usr/bin/python3 -c "$parser" "$dir/r.om"
else
	skip "a parser of OpenMetrics takes it" "python3-prometheus-client is not installed"
fi

python3 - >"$dir/bench.json" <<'END'
import json
print(json.dumps({"schema": 1, "linux": "6.1.0-0", "operations": [
    {"title": "read fault", "linux": {"median_x1000": 1200400}, "guestmm": {"median_x1000": 300100}},
    {"title": "only ours", "linux": None, "guestmm": {"median_x1000": 77000}}]}))
END
run report "$dir/r.json" --bench "$dir/bench.json" -o "$dir/costs.html"
ok "costs beside the run" sh -c 'grep -q "read fault.*>1,200<.*>300<.*>0\.25<" "$1" && grep -q "only ours.*not measured.*>77<" "$1"' \
	sh "$dir/costs.html"

# ---- two runs
run compare "$dir/r.json" "$dir/r.json"
ok "a run compared with itself" said '^[0-9]+ values are the same in all runs\.$'
python3 - "$dir" <<'END'
import json, sys
for i in range(3):
    for side, base in (("a", 1000), ("b", 1500)):
        r = json.load(open(sys.argv[1] + "/r.json"))
        r["guest_counters"]["pgfault"] = base + 10 * i
        r["guest_counters"]["pgfree"] = 5000 + i
        json.dump(r, open("%s/%s%d.json" % (sys.argv[1], side, i), "w"))
END
run compare "$dir/a0.json,$dir/a1.json,$dir/a2.json" "$dir/b0.json,$dir/b1.json,$dir/b2.json"
ok "several runs: a change and noise told apart" sh -c 'sed -n "/^beyond noise/,/^within/p" "$1" | grep -q "guest pgfault .*+49.5 %" &&
	sed -n "/^within noise/,\$p" "$1" | grep -q "guest pgfree"' sh "$dir/out"

# ---- what goes wrong
head -c 5000 "$dir/r.json" >"$dir/cut.json"
run report "$dir/cut.json" -o "$dir/x.html"
ok "half a file: status 2, with the line" is 2 'cut.json: line [0-9]*, column [0-9]*: '
ok "half a file: one sentence, and no page" sh -c '[ "$(wc -l <"$1")" = 1 ] && [ ! -e "$2" ]' sh "$dir/err" "$dir/x.html"
sed 's/"schema": 1/"schema": 99/' "$dir/r.json" >"$dir/new.json"
run compare "$dir/r.json" "$dir/new.json"
ok "a schema of tomorrow: status 2" is 2 'schema 99, and this mmvm reads 1'
run report /nowhere/r.json
ok "no such file: status 2" is 2 'cannot open /nowhere/r.json'
run report "$dir/r.json" -o "$dir/r.json"
ok "it does not overwrite its input" is 2 'overwrite'
run report "$dir/r.json" --bench "$dir/r.json" -o "$dir/x.html"
ok "a run is no bench result: status 2" is 2 'r.json is no result of mmvm bench: '
run report "$dir/r.json" -o /dev/full
ok "a full disk: status 3" is 3 'cannot write /dev/full: No space left'
run compare "$dir/r.json"
ok "one side only: status 2" is 2 'two sides are needed'

# ---- in a browser
# shot WIDTH SCHEME(0 dark, 1 light): a picture in $dir/WIDTH-SCHEME.png; fails when the page makes the console speak
shot() {
	HOME=$dir TMPDIR=$dir limit 90 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$dir/browser" \
		--enable-logging=stderr --log-level=0 --window-size="$1,4800" --blink-settings=preferredColorScheme="$2" \
		--screenshot="$dir/$1-$2.png" "file://$dir/all.html" >/dev/null 2>"$dir/err"
	[ -s "$dir/$1-$2.png" ] && ! grep -q 'CONSOLE' "$dir/err"
}
# drawn WIDTH SCHEME: of the size asked for, and of more bytes than an empty page takes
drawn() {
	python3 -c 'import struct, sys
d = open(sys.argv[1], "rb").read()
assert struct.unpack(">II", d[16:24]) == (int(sys.argv[2]), 4800), d[16:24]
assert len(d) > 40000, len(d)' "$dir/$1-$2.png" "$1"
}
if command -v chromium >/dev/null; then
	ok "browser: 1200 wide, light, nothing on the console" shot 1200 1
	ok "browser: 400 wide, dark, nothing on the console" shot 400 0
	ok "browser: something is drawn when wide" drawn 1200 1
	ok "browser: something is drawn when narrow" drawn 400 0
else
	skip "in a browser" "chromium is not installed"
fi
finish
