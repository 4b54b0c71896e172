#!/bin/sh
# Control groups answer as Linux answers them: user/libc/cgroups.c prints errors, limits, charges, kills and swapping of
# groups, run unchanged on Debian's Linux 6.1 (as a guest) and on guestmm. The transcripts must be equal.
#    cgroup.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=cgroup
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
modules=$(echo "$B"/lab/pkg/lib/modules/*/kernel/drivers)
busybox=$(command -v busybox)
LIMIT=500

transcript() { tr -d '\r' <"$1" | sed -n '/^== tree$/,/^== end$/p' | grep -v '^\[ *[0-9]*\.[0-9]*\]'; }

mkdir -p "$dir/root/bin" "$dir/root/lib"
cp "$busybox" "$dir/root/bin/busybox"
cp "$B/user/cgroups.musl" "$dir/root/bin/cgroups"
for m in virtio/virtio_ring virtio/virtio virtio/virtio_mmio block/virtio_blk; do
	cp "$modules/$m.ko" "$dir/root/lib/"
	strip --strip-debug "$dir/root/lib/${m##*/}.ko"
done
cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
for d in proc dev sys; do /bin/busybox mkdir -p /$d; done
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
for m in virtio_ring virtio virtio_mmio virtio_blk; do /bin/busybox insmod /lib/$m.ko; done
/bin/busybox mkswap /dev/vda >/dev/null && /bin/busybox swapon /dev/vda
/bin/busybox mount -t cgroup2 none /sys/fs/cgroup
/bin/cgroups
/bin/busybox poweroff -f
END
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"

run run --accel lab --memory 256M --kernel "$kernel" --initrd "$dir/initrd" --append quiet
transcript "$dir/out" >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 320
run run --accel lab --memory 256M --exec "$B/user/cgroups.musl"
transcript "$dir/out" >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"
ok "swap was written for a group" grep -Eq "pages swapped out +[1-9]" "$dir/out"

sed 's/^oom_group_kill 1$/oom_group_kill 0/' "$dir/guest" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# < oom_group_kill 0$' "$dir/found"
finish
