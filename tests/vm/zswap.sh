#!/bin/sh
# zswap from end to end: a program with more memory than the guest has, whose pages compress. With a pool that is
# large enough the host's disk gets no request at all; with a small one it gets what the guest says it wrote; noise
# passes it by; off it does nothing.    zswap.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=zswap
B=$1
. "$(dirname "$0")/lib.inc"

# counts FILE WHAT: the JSON of a run, by what it is to show
counts() {
	python3 - "$1" "$2" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
what = sys.argv[2]
c = r["guest_counters"]
swap = [d for d in r["disks"] if d["role"] == "swap"][0]
meminfo = r["reports"]["meminfo"]

def expect(text, good):
    if not good:
        print("# %s: %s: zswpout %d zswpin %d zswpwb %d pswpout %d pswpin %d written %d read %d" % (
            what, text, c["zswpout"], c["zswpin"], c["zswpwb"], c["pswpout"], c["pswpin"],
            swap["sectors_written"] // 8, swap["sectors_read"] // 8))
        sys.exit(1)

expect("it ended well", r["outcome"]["kind"] == "exited" and r["outcome"]["exit_status"] == 0)
expect("pages written", c["pswpout"] * 8 == swap["sectors_written"])
expect("pages read, and the header", (c["pswpin"] + 1) * 8 == swap["sectors_read"])
expect("meminfo", "Zswap:" in meminfo and "Zswapped:" in meminfo)
if what == "pool":
    expect("the pool was used", c["zswpout"] > 500 and c["zswpin"] > 500)
    expect("no request but the header", c["pswpout"] == 0 and c["pswpin"] == 0 and swap["writes"] == 0)
elif what == "full":
    expect("pool and disk", c["zswpout"] > 500 and c["zswpwb"] > 0 and c["pswpout"] > 100 and c["pswpin"] > 100)
elif what == "noise":
    # Not the noise, but the pages of the program and its stack may compress. They are few, and may go out again and again.
    expect("the pool took next to nothing", c["zswpout"] * 20 < c["pswpout"])
    expect("the disk took it", c["pswpout"] > 500)
elif what == "off":
    expect("nothing", c["zswpout"] == 0 and c["zswpin"] == 0 and c["zswpwb"] == 0 and c["pswpout"] > 500)
END
}

# try WHAT OPTIONS CONTENTS [RAM MIB]: a program of so many MiB
try() {
	LIMIT=300 run run --accel lab --memory "${4:-15M},high=2M" --swap 48M --json "$dir/$1.json" --append "$2" \
		--exec zswapload --mb "${5:-20}" "$3"
	ok "$1: every word right, and the audit finds nothing" [ "$status" = 0 ]
	ok "$1: counts" counts "$dir/$1.json" "$1"
}

needs_lab
# Under hard pressure the pool gives some to the disk long before its limit. So there is room: of 36 MiB about 8 are in the
# pool, as 2.
try pool "zswap.enabled=1 zswap.max_pool_percent=60" text 32M 36
try full "zswap.enabled=1 zswap.max_pool_percent=5" mixed
try noise "zswap.enabled=1" noise
try off "zswap.enabled=0" text
finish
