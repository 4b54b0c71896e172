#!/bin/sh
# `mmvm bench --linux`: another kernel for the Linux column, from a file and by version; and what is said when there is
# none.    bench_linux.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=bench_linux
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

refused() { # refused KERNEL TEXT
	run bench --linux "$1" --only syscall
	is 2 "$2" && [ "$(grep -c . "$dir/err")" = 1 ]
}
ok "no such version" refused 9.9 'no Linux 9.9 is installed'
ok "a version is whole numbers: 6.1 does not begin 6.12" refused 6.1.0-5 'no Linux 6.1.0-5 is installed'
ok "no version at all" refused 'a b' 'is no version of a kernel'
ok "no such file" refused "$dir/none" 'cannot read the kernel'
cp /bin/sh "$dir/sh"
ok "a program is no kernel" refused "$dir/sh" 'neither a bzImage nor an ELF vmlinux'
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
[ -e "$kernel" ] && [ -d "$B/lab/pkg/usr/src/linux-headers-${kernel##*/vmlinuz-}" ] || {
	skip "a kernel from a file" "the lab has no kernel with its headers (make lab-bench)"
	finish
}
mkdir -p "$dir/boot"
cp "$kernel" "$dir/boot/"
ok "a kernel without its modules" refused "$dir/boot/${kernel##*/}" 'the modules of Linux .* are neither in'

# The lab's own kernel as a file: it is a lab of its own, and counts what the lab counts.
LIMIT=400
run bench --only 'page_0' --json "$dir/own.json"
ok "the lab's own kernel" [ "$status" = 0 ]
run bench --only 'page_0' --json "$dir/file.json" --linux "$kernel"
ok "the same kernel from a file" [ "$status" = 0 ]
ok "made under its release, with the module built for it" [ -e "$B/lab/linux/${kernel##*/vmlinuz-}/mmvm_bench.ko" ]
ok "both counted the same" python3 - "$dir/own.json" "$dir/file.json" <<'END'
import json, sys
own, file = (json.load(open(p)) for p in sys.argv[1:])
assert own["linux"] == file["linux"] and own["linux"].startswith("6."), (own["linux"], file["linux"])
row = lambda r: next(o for o in r["operations"] if o["name"] == "page_0")
a, b = row(own)["linux"]["median_x1000"], row(file)["linux"]["median_x1000"]
assert a > 100000 and abs(a - b) * 100 <= a, (a, b)
END
made=$(stat -c %Y "$B/lab/linux/${kernel##*/vmlinuz-}/made")
run bench --only 'page_0' --linux "$kernel"
ok "made once" [ "$status:$(stat -c %Y "$B/lab/linux/${kernel##*/vmlinuz-}/made")" = "0:$made" ]
# A version, when apt or this system has one of another series. It is downloaded (100 MB): only when asked for.
if [ -n "${BENCH_LINUX:-}" ]; then
	LIMIT=900 run bench --only 'syscall' --linux "$BENCH_LINUX" --json "$dir/version.json"
	ok "Linux $BENCH_LINUX" [ "$status" = 0 ]
	ok "the table names it" said "Linux $(echo "$BENCH_LINUX" | cut -d. -f1-2)"
else
	skip "a version that apt has" "BENCH_LINUX=6.12 asks for it; it downloads a kernel"
fi
finish
