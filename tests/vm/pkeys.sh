#!/bin/sh
# Protection keys: user/libc/pkeys.c answers on guestmm as on Debian's Linux 6.1, whose CPU (QEMU's, in the lab) has keys;
# on two CPUs; and with nopku, where there are none.
#    pkeys.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=pkeys
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
here=$(cd "$B" && pwd)
program=$here/user/pkeys

# said FILE: without the kernel's lines and what mmvm says afterwards
said() { sed '/^end$/q' "$1" | grep -av '^$\|^\[ *[0-9]*\.[0-9]*\]\|^mmvm:'; }

cat >"$dir/inside" <<END
$program.musl >$dir/linux
$here/mmvm run --accel kvm --append lockdep --exec $program.musl </dev/null >$dir/guest 2>>$dir/err
$here/mmvm run --accel kvm --cpus 2 --exec $program.glibc </dev/null >$dir/guest2 2>>$dir/err
$here/mmvm run --accel kvm --append nopku --exec $program.musl </dev/null >$dir/none 2>>$dir/err
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
for w in linux guest guest2 none; do said "$dir/$w" >"$dir/$w.said"; done
ok "Linux's CPU has keys" grep -q '^keys: 15, then -28$' "$dir/linux.said"
ok "Linux's transcript is whole" [ "$(wc -l <"$dir/linux.said")" -ge 35 ]
ok "guestmm answers as Linux" diff -a "$dir/guest.said" "$dir/linux.said"
ok "with glibc and two CPUs" diff -a "$dir/guest2.said" "$dir/linux.said"
ok "nopku: no key can be had" grep -q '^alloc -22$' "$dir/none.said"
ok "nopku: what is executable can be read" grep -q '^without keys: executable 0, read yes$' "$dir/none.said"
# The kernel that runs this machine answers as well, if its CPU has none.
if ! grep -q '^flags.* pku' /proc/cpuinfo; then
	"$program.musl" >"$dir/host.said"
	ok "nopku: as this machine's Linux without keys" diff -a "$dir/none.said" "$dir/host.said"
fi
finish
