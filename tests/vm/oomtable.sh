#!/bin/sh
# The OOM killer chooses as Linux does: user/libc/oomtable.c plays generated cases in a cgroup, unchanged on Debian's
# Linux 6.1 (as a guest) and on guestmm. The transcripts must be equal.
#    oomtable.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here. CASES: how many (10; 200 take long)
set -u
name=oomtable
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
busybox=$(command -v busybox)
cases=${CASES:-10}
LIMIT=900

transcript() { tr -d '\r' <"$1" | sed -n '/^== table$/,/^== end$/p' | grep -v '^\[ *[0-9]*\.[0-9]*\]'; }

mkdir -p "$dir/root/bin"
cp "$busybox" "$dir/root/bin/busybox"
cp "$B/user/oomtable.musl" "$dir/root/bin/oomtable"
cat >"$dir/root/init" <<'END_INIT'
#!/bin/busybox sh
for d in proc sys; do /bin/busybox mkdir -p /$d; done
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t cgroup2 none /sys/fs/cgroup
/bin/oomtable CASES
/bin/busybox poweroff -f
END_INIT
sed -i "s/CASES/$cases/" "$dir/root/init"
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"

run run --accel lab --memory 256M --kernel "$kernel" --initrd "$dir/initrd" --append "quiet loglevel=0"
transcript "$dir/out" >"$dir/linux"
ok "Linux: all cases" [ "$(grep -c -- '-> [0-4], oom_kill 1$' "$dir/linux")" = "$cases" ]
run run --accel lab --memory 128M --swap 0 --exec "$B/user/oomtable.musl" "$cases"
transcript "$dir/out" >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm chooses as Linux" same "$dir/guest" "$dir/linux"
# The comparison can fail, and not all victims are those that grow.
ok "the largest is not always the victim" grep -q -- '-> [1-4], oom_kill 1$' "$dir/guest"
sed '0,/-> 0,/s//-> 1,/' "$dir/guest" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# <.*-> 1, oom_kill 1$' "$dir/found"
finish
