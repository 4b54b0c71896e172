#!/bin/sh
# The memory balloon end to end: guestmm and its two truths, Linux's own driver against our device, and what
# the command line refuses; and Linux's driver of the random bytes.    balloon.sh BUILD
set -u
B=$1
name=balloon
. "$(dirname "$0")/lib.inc"

# ---- said at once
refused() { # refused TEXT ARGS...
	why=$1
	shift
	run run --accel lab "$@"
	is 2 "$why"
}
ok "a size" refused 'not a size of whole pages' --balloon x --exec hello
ok "of whole pages" refused 'not a size of whole pages' --balloon 1000 --exec hello
ok "and no more than there is" refused 'the machine has 48 MiB' --memory 48M --balloon 49M --exec hello

needs_lab
LIMIT=200

# ---- guestmm
busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 || {
	skip "guestmm's and Linux's drivers" "busybox-static is missing"
	finish
}
run run --accel lab --memory 48M --balloon 16M --json "$dir/r.json" --exec "$busybox" sh -c \
	'until grep -q "balloon_inflate 4096" /proc/vmstat; do sleep 1; done' </dev/null
ok "guestmm: status 0" [ "$status" = 0 ]
ok "guestmm: both sides count the same" said 'balloon pages in +4,096 +4,096 +equal'
ok "guestmm: the line of the report" said '^  balloon +16 MiB of 16 MiB wanted; the host has taken back [0-9.]+ MiB$'
ok "guestmm: the result" python3 - "$dir/r.json" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
b = r["balloon"]
assert b["target"] == b["actual"] == b["pages"] == b["inflated"] == 4096, b
assert b["given_back"] == b["inflated"] + b["reported"], b
assert b["deflated"] == b["refused"] == 0
assert r["guest_counters"]["balloon_inflate"] == 4096
assert r["audit_findings"] == 0
assert r["memory"]["guest_ram_resident_bytes"] < 33 << 20
END
run run --accel lab --memory 48M --json "$dir/r.json" --exec hello
ok "without --balloon there is none" python3 -c 'import json, sys
assert json.load(open(sys.argv[1]))["balloon"] is None' "$dir/r.json"

# ---- Linux
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
modules=$(echo "$B"/lab/pkg/lib/modules/*/kernel/drivers)
[ -e "$kernel" ] && [ -e "$modules/virtio/virtio_balloon.ko" ] && [ -e "$modules/char/hw_random/virtio-rng.ko" ] || {
	skip "Linux's drivers" "the lab's kernel, virtio_balloon.ko or virtio-rng.ko is missing"
	finish
}
mkdir -p "$dir/root/bin" "$dir/root/lib"
cp "$busybox" "$dir/root/bin/busybox"
for m in virtio/virtio_ring virtio/virtio virtio/virtio_mmio virtio/virtio_balloon char/hw_random/virtio-rng; do
	cp "$modules/$m.ko" "$dir/root/lib/"
	strip --strip-debug "$dir/root/lib/${m##*/}.ko"
done
# Memory that was used and is free again; then the driver.
cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /tmp /dev
$b mount -t proc proc /proc
$b mount -t devtmpfs dev /dev
$b mount -t tmpfs tmpfs /tmp
$b dd if=/dev/zero of=/tmp/f bs=1M count=48 2>/dev/null
$b rm /tmp/f
for m in virtio_ring virtio virtio_mmio virtio_balloon virtio-rng; do $b insmod /lib/$m.ko; done
echo "hwrng $($b dd if=/dev/hwrng bs=32 count=1 2>/dev/null | $b od -An -v -tx1 | $b tr -d ' \n')"
until [ "$($b sed -n 's/^balloon_inflate //p' /proc/vmstat)" -ge 4096 ]; do $b sleep 1; done
# It reports free pages two seconds after it has them. Many short sleeps, because a long one is over before others have had a
# turn where the host is busy.
i=0
while [ $i -lt 15 ]; do
	$b sleep 1
	i=$((i + 1))
done
$b grep -E '^balloon_(inflate|deflate)' /proc/vmstat
$b poweroff -f
END
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"
run run --accel lab --kernel "$kernel" --initrd "$dir/initrd" --memory 224M --swap 0 --dirty none --balloon 16M --rng --seed 7 \
	--json "$dir/r.json" --append "quiet nokaslr"
ok "Linux: powers off" [ "$status" = 0 ]
ok "Linux: its driver has inflated" said '^balloon_inflate 4096'
# It resets its devices when it powers off: then the balloon is empty. A page that moves goes in and out once more.
ok "Linux: what the device got, and what free pages it was told of" python3 - "$dir/r.json" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
b = r["balloon"]
print("#", b)
assert b["target"] == 4096 <= b["inflated"] == b["deflated"], b
assert b["reported"] >= 8192 and b["reported"] % 512 == 0, b
assert b["given_back"] == b["inflated"] + b["reported"] and b["refused"] == 0, b
END
# Its driver reads ahead: somewhere among the first bytes of the seed.
ok "Linux: random bytes are those of the seed" python3 - "$dir/out" <<'END'
import re, struct, sys
state, stream, M = 7, b"", (1 << 64) - 1
for _ in range(4096):
    state = z = (state + 0x9e3779b97f4a7c15) & M
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & M
    z = (z ^ z >> 27) * 0x94d049bb133111eb & M
    stream += struct.pack("<Q", z ^ z >> 31)
got = bytes.fromhex(re.search(r"^hwrng ([0-9a-f]{64})", open(sys.argv[1], errors="replace").read(), re.M).group(1))
assert got[:8] in stream and got[-8:] in stream, got.hex()
END
finish
