#!/bin/sh
# Files that are memory, end to end: what a guest stores by a mapping is in the host's file after msync(2), and there
# at the next boot; guestmm's ext2 with dax beside Linux's; what the command line refuses.    pmem.sh BUILD
set -u
B=$1
name=pmem
. "$(dirname "$0")/lib.inc"

# ---- said at once
refused() { # refused TEXT ARGS...
	why=$1
	shift
	run run --accel lab "$@"
	is 2 "$why"
}
truncate -s 3M "$dir/odd"
truncate -s 32M "$dir/disk"
ok "a file" refused 'cannot open disk' --pmem "$dir/none" --exec hello
needs_lab
LIMIT=200
ok "of whole units" refused 'its size must be a multiple of 2 MiB' --pmem "$dir/odd" --exec hello
exec 9<>"$dir/disk"
flock -x 9
ok "that nobody else uses" refused 'in use by another machine' --pmem "$dir/disk" --exec hello
exec 9>&-

command -v mke2fs >/dev/null && command -v debugfs >/dev/null && command -v e2fsck >/dev/null || {
	skip "files on it" "mke2fs, debugfs or e2fsck is missing"
	finish
}
format() { mke2fs -q -F -t ext2 -b 4096 "$1" >/dev/null 2>&1; }
whole() { e2fsck -fn "$1" >/dev/null 2>&1; }
pattern() { # pattern SEED: what daxtest stores
	python3 -c 'import sys
s = int(sys.argv[1])
sys.stdout.buffer.write(bytes((s * 31 + i * 7 + (i >> 8)) & 255 for i in range(64 * 4096)))' "$1"
}

# ---- a store is in the host's file
format "$dir/disk"
run run --accel lab --pmem "$dir/disk" --json "$dir/r.json" --exec daxtest store
ok "guestmm stores" [ "$status" = 0 ]
ok "and says so" said '^stored$'
for f in by_msync:7 by_fsync:8; do
	pattern "${f#*:}" >"$dir/want"
	debugfs -R "cat /${f%:*}" "$dir/disk" >"$dir/got" 2>/dev/null
	ok "what it has stored is in the host's file (${f%:*})" cmp -s "$dir/want" "$dir/got"
done
ok "both sides count the flushes" python3 - "$dir/r.json" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
p = r["pmem"]
assert len(p) == 1 and p[0]["role"] == "pmem0" and p[0]["size_bytes"] == 32 << 20, p
assert p[0]["flushes"] == r["guest_counters"]["mmvm_pmem_flush"] >= 2, (p, r["guest_counters"]["mmvm_pmem_flush"])
assert p[0]["errors"] == 0 and r["audit_findings"] == 0
assert r["guest_counters"]["mmvm_fault_dax"] >= 128
END
run run --accel lab --pmem "$dir/disk" --exec daxtest verify
ok "the next boot finds it" [ "$status" = 0 ]
ok "and the file system is whole" whole "$dir/disk"

# ---- only to be read
cp "$dir/disk" "$dir/before"
run run --accel lab --pmem "$dir/disk,ro" --exec daxtest verify
ok "read-only: what must write cannot" [ "$status" = 1 ]
ok "read-only: the file is as it was" cmp -s "$dir/disk" "$dir/before"

# ---- what is refused
format "$dir/disk"
truncate -s 16M "$dir/vda"
format "$dir/vda"
run run --accel lab --swap 0 --disk "$dir/vda" --pmem "$dir/disk" --exec daxtest refused
ok "options, and a disk that is no memory" [ "$status" = 0 ]
ok "which is said" said 'DAX unsupported by block device. Turning off DAX.'

# ---- beside Linux
format "$dir/disk"
run run --accel lab --pmem "$dir/disk" --exec daxtest cases
ok "guestmm: the cases" [ "$status" = 0 ]
transcript '/^mount: /' '^end of the cases' <"$dir/out" >"$dir/guestmm"
ok "guestmm: the file system is whole" whole "$dir/disk"
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
modules=$(echo "$B"/lab/pkg/lib/modules/*/kernel)
busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 && [ -e "$kernel" ] &&
	[ -e "$modules/drivers/nvdimm/virtio_pmem.ko" ] && [ -e "$modules/fs/ext4/ext4.ko" ] || {
	skip "the same on Linux" "busybox-static, or the lab's kernel with virtio_pmem and ext4, is missing"
	finish
}
mkdir -p "$dir/root/bin" "$dir/root/lib"
cp "$busybox" "$dir/root/bin/busybox"
cp "$B/user/daxtest" "$dir/root/bin/"
load="virtio_ring virtio virtio_mmio libnvdimm nd_virtio virtio_pmem nd_btt nd_pmem crc16 crc32c_generic mbcache jbd2 ext4"
for m in $load; do
	file=$(find "$modules" -name "$m.ko" | head -n 1)
	[ -z "$file" ] || { cp "$file" "$dir/root/lib/" && strip --strip-debug "$dir/root/lib/$m.ko"; }
done
cat >"$dir/root/init" <<END
#!/bin/busybox sh
b=/bin/busybox
\$b mkdir -p /proc /dev /sys
\$b mount -t proc proc /proc
\$b mount -t sysfs sysfs /sys
\$b mount -t devtmpfs dev /dev
for m in $load; do [ ! -e /lib/\$m.ko ] || \$b insmod /lib/\$m.ko; done
until [ -e /dev/pmem0 ]; do \$b sleep 1; done
\$b ls -l /dev/pmem0
/bin/daxtest cases
\$b poweroff -f
END
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"
format "$dir/disk"
run run --accel lab --kernel "$kernel" --initrd "$dir/initrd" --memory 224M --swap 0 --dirty none --pmem "$dir/disk" \
	--json "$dir/r.json" --append "quiet nokaslr"
ok "Linux: powers off" [ "$status" = 0 ]
tr -d '\r' <"$dir/out" | transcript '/^mount: /' '^end of the cases' >"$dir/linux"
ok "Linux: its driver flushes our device" python3 -c 'import json, sys
p = json.load(open(sys.argv[1]))["pmem"][0]
assert p["flushes"] >= 2 and p["errors"] == 0, p' "$dir/r.json"
ok "the cases are those of Linux" same "$dir/guestmm" "$dir/linux"
ok "there are some" lines "$dir/linux" 40
can_differ "$dir/guestmm" "$dir/linux" 's/^MAP_SYNC: .*/MAP_SYNC: 0/' MAP_SYNC
finish
