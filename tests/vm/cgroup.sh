#!/bin/sh
# Control groups answer as Linux answers them: user/libc/cgroups.c prints errors, limits, charges, kills and swapping of
# groups, run unchanged on Debian's Linux 6.1 (as a guest) and on guestmm. The transcripts must be equal.
#    cgroup.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=cgroup
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
modules=$(echo "$B"/lab/pkg/lib/modules/*/kernel/drivers)
LIMIT=500

cases() { tr -d '\r' <"$dir/out" | transcript '/^== tree$/' '^== end$'; }

mkdir -p "$dir/root/lib"
for m in virtio/virtio_ring virtio/virtio virtio/virtio_mmio block/virtio_blk; do
	cp "$modules/$m.ko" "$dir/root/lib/"
	strip --strip-debug "$dir/root/lib/${m##*/}.ko"
done
linux_initrd cgroups <<'END'
for m in virtio_ring virtio virtio_mmio virtio_blk; do /bin/busybox insmod /lib/$m.ko; done
/bin/busybox mkswap /dev/vda >/dev/null && /bin/busybox swapon /dev/vda
/bin/busybox mount -t cgroup2 none /sys/fs/cgroup
/bin/cgroups
END
linux_guest --memory 256M --append quiet
cases >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 320
run run --accel lab --memory 256M --exec "$B/user/cgroups.musl"
cases >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"
ok "swap was written for a group" grep -Eq "pages swapped out +[1-9]" "$dir/out"
# The same where CPUs run side by side, with the lock-order checker.
for cpus in 2 4; do
	run run --accel lab --memory 256M --cpus $cpus --append lockdep --exec "$B/user/cgroups.musl"
	cases >"$dir/side"
	ok "guestmm answers as Linux on $cpus CPUs" same "$dir/side" "$dir/linux"
done
can_differ "$dir/guest" "$dir/linux" 's/^oom_group_kill 1$/oom_group_kill 0/' '^# < oom_group_kill 0$'
finish
