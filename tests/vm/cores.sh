#!/bin/sh
# A core that guestmm has written to an ext2 disk, as this machine's readelf and gdb see it: registers, floating-point
# registers, memory, names. (user/libc/cores.c compares what is in a core with Linux's.)
#    cores.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=cores
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
for p in mke2fs debugfs readelf; do
	command -v $p >/dev/null || { echo "# skipped: $p is missing"; exit 77; }
done
mkdir -p "$dir/root/tmp" "$dir/root/proc" "$dir/root/dev"
cp "$B/user/cores.musl" "$dir/root/dump"
mke2fs -q -F -t ext2 -b 4096 -d "$dir/root" "$dir/image" 16M || exit 1
run run --accel lab --root "$dir/image" --exec /dump leave /tmp
ok "the program ends well, nothing found by the audit" [ "$status" = 0 ]
ok "there is a core" said '^it died: signal 11, core$'
debugfs -R "dump /tmp/core $dir/core" "$dir/image" 2>/dev/null
readelf -hln "$dir/core" >"$dir/elf" 2>"$dir/elf.err"
ok "readelf reads it" grep -q 'CORE (Core file)' "$dir/elf"
ok "and has nothing to complain of" [ ! -s "$dir/elf.err" ]
for n in NT_PRSTATUS NT_PRPSINFO NT_SIGINFO NT_AUXV NT_FILE NT_FPREGSET; do
	ok "$n" grep -q "$n" "$dir/elf"
done
ok "a mapping at a known place, written in part" grep -q '0x0000100000000000 ' "$dir/elf"

# With suid_dumpable=2 the core of a process that has changed its user is root's, at an absolute path, and replaces nothing.
run run --accel lab --root "$dir/image" --exec /dump absolute
ok "suid_dumpable=2" [ "$status" = 0 ]
for line in 'an absolute path: signal 6, core' 'file: 0, of 0, mode 100600, empty 0' 'there is one: signal 6' \
	'file: 0, of 0, mode 100644, empty 1' 'a link: signal 6' 'elsewhere: -2' 'chrooted: signal 6, core' 'there: yes' \
	'none: signal 6'; do
	ok "suid_dumpable=2: $line" said "^$line\$"
done

if command -v gdb >/dev/null; then
	gdb -nx -batch -ex 'info registers' -ex 'p $xmm7.v2_double' -ex 'x/1xb 0x100000003005' -ex 'x/1xb 0x100000001000' -ex 'x/1i $pc' \
		-ex 'p $_siginfo.si_signo' -ex 'p $_siginfo._sifields._sigfault.si_addr' "$B/user/cores.musl" "$dir/core" >"$dir/gdb" 2>&1
	ok "gdb: the signal" grep -q 'Program terminated with signal SIGSEGV' "$dir/gdb"
	for r in 'rbx 0x1111' 'r12 0x2222' 'r13 0x3333' 'r14 0x4444' 'r15 0x5555' 'r11 0x6666' 'rsi 0x7777' 'rdi 0x8888' 'rax 0x10'; do
		ok "gdb: ${r% *}" grep -Eq "^${r% *} +${r#* } " "$dir/gdb"
	done
	ok "gdb: a floating-point register" grep -q '{1.5, -2.25}' "$dir/gdb"
	ok "gdb: memory" grep -q '0x100000003005:.*0x64' "$dir/gdb"
	ok "gdb: a hole is zeroes" grep -q '0x100000001000:.*0x00' "$dir/gdb"
	ok "gdb: the instruction" grep -Eq 'movb +\$0x1,\(%rax\)' "$dir/gdb"
	ok "gdb: the address" grep -q '(void \*) 0x10$' "$dir/gdb"
else
	skip "gdb" "it is missing"
fi
finish
