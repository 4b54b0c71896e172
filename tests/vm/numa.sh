#!/bin/sh
# Policies of nodes are answered as Linux answers them: user/libc/numa.c prints errors, policies, placement and moves on a
# machine with two nodes, run unchanged on Debian's Linux 6.1 (as a guest, numa=fake=2) and on guestmm (--node twice; the
# second node has memory only). The transcripts must be equal.
#    numa.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=numa
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
busybox=$(command -v busybox)
LIMIT=500

# Which node a first page is on is the machine's matter: Linux's fake nodes share one CPU.
transcript() { tr -d '\r' <"$1" | sed -n '/^== start$/,/^== end$/p' | grep -v '^\[ *[0-9]*\.[0-9]*\]\|^node of a page: '; }

mkdir -p "$dir/root/bin"
cp "$busybox" "$dir/root/bin/busybox"
cp "$B/user/numa.musl" "$dir/root/bin/numa"
cat >"$dir/root/init" <<'END2'
#!/bin/busybox sh
for d in proc dev sys; do /bin/busybox mkdir -p /$d; done
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/numa
/bin/busybox poweroff -f
END2
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"

run run --accel lab --memory 256M --kernel "$kernel" --initrd "$dir/initrd" --append "quiet nosoftlockup numa=fake=2"
transcript "$dir/out" >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 900
run run --accel lab --node memory=128M,cpus=0 --node memory=128M --exec "$B/user/numa.musl"
transcript "$dir/out" >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"
ok "pages were moved" grep -q '^  pages: 11111111$' "$dir/guest"

sed 's/^hole: EFAULT$/hole: 0/' "$dir/guest" >"$dir/wrong"
(same "$dir/wrong" "$dir/linux") >"$dir/found" 2>&1
ok "a difference would be found" grep -q '^# < hole: 0$' "$dir/found"
finish
