#!/bin/sh
# The vDSO: user/libc/vdso.c answers on guestmm as on Debian's Linux 6.1 in the lab; a million readings of the clock make no
# system call; with vdso=0 there is none; where user mode does not read the guest's TSC (KVM-PVM) programs ask the kernel
# and get the same answers.
#    vdso.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=vdso
B=$1
. "$(dirname "$0")/lib.inc"
here=$(cd "$B" && pwd)
program=$here/user/vdso

# said FILE: without the kernel's lines and what mmvm says afterwards
said() { sed '/^end$/q' "$1" | grep -av '^$\|^\[ *[0-9]*\.[0-9]*\]\|^mmvm:'; }
# calls FILE: how many system calls the trace has of the program
calls() { "$mmvm" trace "$1" --format text 2>/dev/null | grep -c 'sys_enter'; }

if have_kvm; then
	LIMIT=200 run run --accel kvm --cpus 2 --exec "$program.musl"
	said "$dir/out" >"$dir/directly"
	ok "directly: the program ends well" [ "$status" = 0 ]
	ok "directly: agrees with the system call" [ "$(grep -c '200 of 200 agree' "$dir/directly")" = 8 ]
	ok "directly: never goes back" grep -q '^went backwards: 0$' "$dir/directly"
else
	skip "directly" "/dev/kvm cannot be opened"
fi

needs_lab
cat >"$dir/inside" <<END
$program.musl >$dir/linux
$here/mmvm run --accel kvm --append lockdep --exec $program.musl </dev/null >$dir/guest 2>>$dir/err
$here/mmvm run --accel kvm --cpus 4 --exec $program.glibc </dev/null >$dir/guest4 2>>$dir/err
$here/mmvm run --accel kvm --append vdso=0 --exec $program.glibc none </dev/null >$dir/none 2>>$dir/err
$here/mmvm run --accel kvm --trace $dir/trace --exec $program.musl count </dev/null >$dir/count 2>>$dir/err
$here/mmvm run --accel kvm --append vdso=0 --trace $dir/trace0 --exec $program.glibc none </dev/null >/dev/null 2>>$dir/err
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
for w in linux guest guest4; do said "$dir/$w" >"$dir/$w.said"; done
ok "Linux's transcript is whole" [ "$(wc -l <"$dir/linux.said")" -ge 40 ]
ok "guestmm answers as Linux" diff -a "$dir/guest.said" "$dir/linux.said"
ok "with glibc and four CPUs" diff -a "$dir/guest4.said" "$dir/linux.said"
ok "vdso=0: it is not there, and the clock is" grep -q '^image none, clock_gettime 0$' "$dir/none"
n=$(calls "$dir/trace") # 250,000 readings of each of four functions
ok "a million readings make no system call: $n calls in all" [ "$n" -gt 3 -a "$n" -lt 300 ]
ok "a system call is seen in the trace: $(calls "$dir/trace0") calls" [ "$(calls "$dir/trace0")" -gt 3 ]
finish
