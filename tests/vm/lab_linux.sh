#!/bin/sh
# Debian's unmodified kernel in the same machine, with nested paging: console, disk, memory map, the ways
# it ends; and what goes with which kernel.    lab_linux.sh BUILD
set -u
B=$1
name=lab_linux
. "$(dirname "$0")/lib.inc"

kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
modules=$(echo "$B"/lab/pkg/lib/modules/*/kernel/drivers)
needs_lab
[ -e "$kernel" ] && [ -e "$modules/virtio/virtio_mmio.ko" ] && [ -e "$modules/block/virtio_blk.ko" ] || {
	echo "SKIP: the lab's folder has no kernel with modules for a guest (remove $B/lab, make lab-image)"
	exit 77
}
busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 || {
	echo "SKIP: busybox-static is missing"
	exit 77
}

# ---- said at once, wherever it runs
refused() { # refused FILE TEXT ARGS...
	file=$1
	why=$2
	shift 2
	run run --accel lab --kernel "$file" "$@"
	is 2 "$why"
}
ok "--exec is guestmm's" refused "$kernel" '--exec goes with guestmm' --exec hello
ok "--initrd is an archive" refused "$B/images/guestmm.elf" 'not a cpio archive' --initrd "$kernel"
if ! grep -Eq '^flags.* (vmx|svm)( |$)' /proc/cpuinfo && have_kvm; then
	run run --accel kvm --kernel "$kernel"
	ok "where ring 0 is emulated, status 3" is 3 'emulates ring 0'
else
	skip "where ring 0 is emulated, status 3" "not on this host"
fi

# ---- the real thing
LIMIT=200
mkdir -p "$dir/root/bin" "$dir/root/lib"
cp "$busybox" "$dir/root/bin/busybox"
for m in virtio/virtio_ring virtio/virtio virtio/virtio_mmio block/virtio_blk; do
	cp "$modules/$m.ko" "$dir/root/lib/"
	strip --strip-debug "$dir/root/lib/${m##*/}.ko"
done
cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
for d in proc dev; do /bin/busybox mkdir -p /$d; done
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
for m in virtio_ring virtio virtio_mmio virtio_blk; do /bin/busybox insmod /lib/$m.ko; done
/bin/busybox grep MemTotal /proc/meminfo
/bin/busybox grep -E 'ttyS0|virtio' /proc/interrupts
/bin/busybox dd if=/dev/vdb bs=4k count=1024 2>/dev/null | /bin/busybox md5sum
/bin/busybox dd if=/dev/vdb of=/dev/vda bs=64k count=16 2>&1
/bin/busybox sync
/bin/busybox sleep 1
/bin/busybox $(/bin/busybox sed 's/.*how=//' /proc/cmdline) -f
END
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"
head -c 4194304 /dev/urandom >"$dir/disk"
sum=$(md5sum <"$dir/disk" | cut -d' ' -f1)

# Of 160 MiB in all the kernel itself takes some 30, and bounce buffers for devices 64.
memory_fits() {
	kb=$(sed -n 's/^MemTotal: *\([0-9]*\) kB.*/\1/p' "$dir/out")
	echo "# MemTotal ${kb:=0} kB"
	[ "$kb" -gt 20000 ] && [ "$kb" -lt 163840 ]
}
run run --accel lab --kernel "$kernel" --initrd "$dir/initrd" --memory 160M,high=16M --swap 4M \
	--disk "$dir/disk" --sample 1000 --access all --json "$dir/r.json" --append "quiet nokaslr how=poweroff"
ok "boots, runs a shell script, powers off: status 0" [ "$status" = 0 ]
ok "it has the memory it was given, less its own" memory_fits
ok "interrupts of the serial port and of both disks" \
	[ "$(grep -Ec '^ *[0-9]+: +[1-9][0-9]* +IO-APIC +[0-9]+-edge' "$dir/out")" = 3 ]
ok "the disk's bytes" said "^$sum"
ok "the host saw the reads" said 'disk disk0 .*[1-9][0-9]* reads \([45]\.[0-9] MiB\)'
ok "and the writes" said 'disk swap .*[1-9][0-9]* writes \(1 MiB\)'
ok "the dirty log is kept" said 'dirty log +[1-9][0-9,]* pages found dirty'
ok "KVM's statistics" said 'pf_taken +[1-9]'
ok "no guest counters, and no zeros for them" said 'none: this guest keeps no statistics page'
# ---- seen from outside as guestmm is
ok "no audit, and the reason" said '^  audit +none: a Linux guest'
ok "accesses: what the guest would have to tell is not there" said 'guest +n/a: a Linux guest does not send samples'
ok "accesses: the host's own method" said '^  unmap +[1-9]'
ok "accesses: where" said '^ +0\.0 MiB \|.*[^ |].*\|$'
ok "over time, adding up" python3 - "$dir/r.json" <<'END'
import json, sys
r = json.load(open(sys.argv[1]))
s = r["samples"]
assert len(s) > 3 and s[-1]["exits"] > 100, len(s)
assert sum(x["dirty"] for x in s) == r["dirty"]["pages_total"] > 1000
assert all(sum(x["heat"]) == x["dirty"] for x in s)
a = {x["method"]: x for x in r["access"]}["unmap"]
assert len(a["points"]) > 3 and a["points"][-1]["window"][3] > 1000
assert all(sum(p["heat"]) == p["window"][0] for p in a["points"])
assert not r["guest_counters"] and not r["zones"] and not r["checks"]
END
run report "$dir/r.json" -o "$dir/r.html"
ok "the page has what the host saw" sh -c 'for t in "Guest memory being written" "address × time" "Working set, by unmap" \
	"Faults KVM took" "Exits to the VMM"; do grep -q "$t" "$1" || { echo "# $t"; exit 1; }; done' sh "$dir/r.html"
ok "and nothing the guest does not tell" sh -c '! grep -q "Free memory by zone\|Page faults in the guest" "$1"' sh "$dir/r.html"

run run --accel lab --kernel "$kernel" --initrd "$dir/initrd" --memory 160M --sample 0 --swap 4M --disk "$dir/disk" \
	--append "quiet nokaslr how=reboot"
ok "restarts through the ACPI reset register: status 0" [ "$status" = 0 ]
ok "nothing compared with what the guest does not tell" eval '! said "DIFFER|swap pages written"'
finish
