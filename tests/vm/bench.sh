#!/bin/sh
# `mmvm bench`: every row has both columns, and guestmm stays below its limits: at most half of
# Linux's instructions, and a VMM of less than 5 MiB.    bench.sh BUILD    exit 0 passed, 1 failed, 77 cannot run
set -u
B=$1
mmvm=${MMVM:-$B/mmvm}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mmvm-bench-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "# skipped: qemu-system-x86_64 is not installed"
	exit 77
fi
if [ ! -e "$B/lab/mmvm_bench.ko" ]; then
	echo "# skipped: the Linux side is not built (make lab-bench)"
	exit 77
fi
timeout -k 5 400 "$mmvm" bench --json "$dir/json" >"$dir/out" 2>"$dir/err"
status=$?
sed 's/^/# /' "$dir/out"
if [ $status != 0 ]; then
	sed 's/^/# /' "$dir/err"
	echo "not ok - bench: status $status"
	exit 1
fi
python3 - "$dir/json" <<'END'
import json, sys

result = json.load(open(sys.argv[1]))
failed = 0


def check(name, good):
    global failed
    failed += not good
    print(("ok" if good else "not ok") + " - bench: " + name)


rows = result["operations"]
check("there are rows", len(rows) >= 21)
for row in rows:
    linux, ours = row["linux"], row["guestmm"]
    check(row["name"] + " has both columns", bool(linux and ours))
    if linux and ours:
        ratio = ours["median_x1000"] / linux["median_x1000"]
        check("%s: %.2f of Linux, at most 0.50" % (row["name"], ratio), ratio <= 0.5)
vmm = result["vmm"]
check("VMM memory below 5 MiB", 0 < (vmm["memory_bytes"] or 0) < 5 << 20)
check("exits were measured", bool(vmm["exit_ps"] and vmm["bare_exit_ps"]))
if vmm["exit_ps"] and vmm["bare_exit_ps"]:
    ratio = vmm["exit_ps"] / vmm["bare_exit_ps"]
    check("exit and return: %.2f of a bare ioctl loop, at most 1.10" % ratio, ratio <= 1.1)
sys.exit(failed > 0)
END
