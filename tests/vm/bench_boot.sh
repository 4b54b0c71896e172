#!/bin/sh
# `mmvm bench boot`: the same Linux in mmvm and in QEMU's microvm machine (and kvmtool, where there is one), measured in one run
# of the lab.    bench_boot.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=bench_boot
B=$1
. "$(dirname "$0")/lib.inc"

run bench boot --kernel /bin/sh
ok "a program is no kernel" is 2 'not a bzImage'
needs_lab
[ -e "$(echo "$B"/lab/pkg/boot/vmlinuz-*)" ] || {
	skip "the comparison" "the lab's folder has no kernel for a guest"
	finish
}
LIMIT=900 run bench boot --json "$dir/b.json"
ok "all that are here start it" [ "$status" = 0 ]
ok "the table" said '^start to first guest instruction .*[0-9]'
ok "every value is there, and mmvm's are the smallest" python3 - "$dir/b.json" <<'END'
import json, sys
result = json.load(open(sys.argv[1]))
m = {x["name"]: x for x in result["monitors"]}
ours, qemu, kvmtool = m["mmvm"], m["qemu-microvm"], m["kvmtool"]
ram = result["ram_bytes"]
for x in (ours, qemu):
    assert 0 < x["first_ns"] < x["exit_ns"], x
    assert 0 < x["memory_bytes"] < ram / 2, x
    # A Linux kernel of this size executes this much at least before its first process.
    assert x["exit_ns"] - x["first_ns"] > 500_000_000, x
for key in ("first_ns", "exit_ns", "memory_bytes"):
    assert ours[key] < qemu[key], (key, ours[key], qemu[key])
assert ours["memory_bytes"] < 5 << 20
if kvmtool["exit_ns"] is None:
    assert "kvmtool is not installed" in result["notes"], result["notes"]
END
finish
