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
# What Linux 6.1 does not have: memory.peak is reset by its opener, memory.reclaim takes a swappiness.
cat >"$dir/newer.wanted" <<'END'
== peaks
mkdir k = 0
peak above current: 1
reset: 8
current: 1, the others' as before: 1 1
it grows: 1
another reset: 1
for itself: 1, the first keeps its own: 1, the third the whole: 1
all see a new peak: 1
and again: 1
now: 1
the child ended with 0
rmdir k = 0
== swappiness
mkdir w = 0
w/memory.reclaim < '1M swappiness=201' = EINVAL
w/memory.reclaim < '1M swappiness=-1' = EINVAL
w/memory.reclaim < '1M swappiness=' = EINVAL
w/memory.reclaim < '1M swappiness=6x' = EINVAL
w/memory.reclaim < '1M nosuch=6' = EINVAL
w/memory.reclaim < 'swappiness=6' = EINVAL
w/memory.reclaim < '1M swappiness=0' = EAGAIN
all there: 1, none in swap: 1
w/memory.reclaim < '1M  swappiness=200' = 0
swapped: 1
peak of swap: 1
reset: 1
peak of swap: 1, for others: 1
the child ended with 0
rmdir w = 0
== end
END
run run --accel lab --memory 256M --exec "$B/user/cgroups.musl" /sys/fs/cgroup newer
tr -d '\r' <"$dir/out" | transcript '/^== peaks$/' '^== end$' >"$dir/newer"
ok "openers' own peaks, and a swappiness for one reclaim" same "$dir/newer" "$dir/newer.wanted"
can_differ "$dir/guest" "$dir/linux" 's/^oom_group_kill 1$/oom_group_kill 0/' '^# < oom_group_kill 0$'
finish
