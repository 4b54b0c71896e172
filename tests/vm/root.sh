#!/bin/sh
# A Debian root: programs of this machine, as its packages brought them, run on guestmm from a folder (--root), dynamic linker,
# libraries and all. What they print is what they print here.
#    root.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=root
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
command -v mke2fs >/dev/null || { echo "# skipped: mke2fs is missing (e2fsprogs)"; exit 77; }
root=$dir/root
mkdir -p "$root/bin" "$root/lib64" "$root/tmp" "$root/proc" "$root/dev" "$root/etc" "$root/job" "$dir/work"
echo "root:x:0:0:root:/:/bin/bash" >"$root/etc/passwd"

# add FILE...: into the root at the same place, and the libraries it needs; links on the way become folders
add() {
	for f in "$@"; do
		[ -e "$f" ] && ! [ -e "$root$f" ] || continue
		mkdir -p "$root$(dirname "$f")"
		cp -L "$f" "$root$f" || return
		ldd "$f" 2>/dev/null | sed -n 's|.*=> \(/[^ ]*\).*|\1|p; s|^[[:space:]]*\(/[^ ]*\) (.*|\1|p' | while read -r lib; do
			[ -e "$root$lib" ] && continue
			mkdir -p "$root$(dirname "$lib")"
			cp -L "$lib" "$root$lib"
		done
	done
}
# program NAME: as /usr/bin/NAME, from wherever it is
program() {
	p=/usr/bin/$1
	[ -x "$p" ] || return
	add "$p"
	[ "$1" = bash ] && cp "$root$p" "$root/bin/bash"
	:
}
for p in bash echo cat cp mv ln ls rm mkdir seq sort head tail tr wc cut uniq sha256sum md5sum dd truncate stat touch find xargs sed grep \
	diff expr printf env tee basename dirname sleep id factor od paste comm join split nl rev mktemp timeout chmod test true false; do
	program "$p"
done
has() { [ -x "/usr/bin/$1" ]; }

# ---- what they are to do: one script a program, run there and here ----
jobs=$(cd "$(dirname "$0")/../debian/jobs" && pwd)
for f in bash.sh coreutils.sh python.py perl.pl sqlite.sql prog.c; do cp "$jobs/$f" "$dir/work/"; done
echo 'gcc -fno-use-linker-plugin -O2 -Wall -o prog prog.c && ./prog works; echo "status $?"; size=$(stat -c %s prog); [ "$size" -gt 10000 ] && echo linked; gcc -S -o - prog.c | grep -c call; rm -f prog' >"$dir/work/gcc.sh"

all="bash:/bin/bash+bash.sh coreutils:/bin/bash+coreutils.sh"
has perl && program perl && all="$all perl:/usr/bin/perl+perl.pl" && for d in $(perl -e 'print "@INC"'); do :; done
has sqlite3 && program sqlite3 && all="$all sqlite3:/bin/bash+sqlite.sh" && echo 'sqlite3 s.db <sqlite.sql; rm -f s.db' >"$dir/work/sqlite.sh"
if has python3; then
	program python3
	lib=$(/usr/bin/python3 -c 'import os; print(os.path.dirname(os.__file__))')
	mkdir -p "$root$lib"
	(cd "$lib" && find . \( -name test -o -name __pycache__ -o -name site-packages -o -name dist-packages -o -name idlelib -o -name tkinter -o -name ensurepip -o -name 'config-*' -o -name lib2to3 \) -prune -o \( -type f -o -type l \) -print0 | cpio -0 -L -pdm "$root$lib" 2>/dev/null)
	for so in "$lib"/lib-dynload/*.so; do
		ldd "$so" 2>/dev/null | sed -n 's|.*=> \(/[^ ]*\).*|\1|p' | while read -r l; do [ -e "$root$l" ] || { mkdir -p "$root$(dirname "$l")"; cp -L "$l" "$root$l"; }; done
	done
	all="$all python3:/usr/bin/python3+python.py"
fi
if has gcc && has as && has ld; then
	program gcc && program as && program ld
	for p in cc1 collect2 liblto_plugin.so lto-wrapper; do add "$(realpath -s "$(/usr/bin/gcc -print-prog-name=$p)")" 2>/dev/null || add "$(realpath -s "$(/usr/bin/gcc -print-file-name=$p)")"; done
	for p in Scrt1.o crti.o crtn.o crtbeginS.o crtendS.o libgcc.a libgcc_s.so libgcc_s.so.1 libc.so libc.so.6 libc_nonshared.a ld-linux-x86-64.so.2; do
		f=$(realpath -s "$(/usr/bin/gcc -print-file-name=$p)")
		[ -e "$f" ] && { mkdir -p "$root$(dirname "$f")"; cp -L "$f" "$root$f"; }
	done
	for l in $(sed -n 's/.*GROUP *(\(.*\)).*/\1/p' "$(/usr/bin/gcc -print-file-name=libc.so)" | tr '()' '  '); do [ -e "$l" ] && { mkdir -p "$root$(dirname "$l")"; cp -L "$l" "$root$l"; }; done
	/usr/bin/gcc -O2 -M "$dir/work/prog.c" | tr -d '\\' | tr ' ' '\n' | grep '^/usr' | while read -r h; do h=$(realpath -s "$h"); mkdir -p "$root$(dirname "$h")"; cp -L "$h" "$root$h"; done
	all="$all gcc:/bin/bash+gcc.sh"
fi
[ -e "$root/bin/sh" ] || cp "$root/bin/bash" "$root/bin/sh"
cp "$dir/work/"* "$root/job"

# One boot for all of them: each between two lines that say which it is.
{
	echo "cd /job; export PATH=/usr/bin:/bin HOME=/ LC_ALL=C PYTHONDONTWRITEBYTECODE=1 TMPDIR=/tmp"
	for p in $all; do
		echo "echo '>>> ${p%%:*}'; $(echo "${p#*:}" | sed 's/+/ /') 2>&1; echo '<<< ${p%%:*}'"
	done
} >"$root/all.sh"
LIMIT=900 run run --accel lab --memory 448M --swap 0 --root "$root" --exec /bin/bash /all.sh
ok "the root starts and ends well" [ "$status" = 0 ]
cp "$dir/out" "$dir/guest"
(
	cd "$dir/work" && unset COLUMNS LINES
	export PATH=/usr/bin:/bin HOME=/ LC_ALL=C PYTHONDONTWRITEBYTECODE=1 TMPDIR=/tmp
	for p in $all; do
		sh -c "$(echo "${p#*:}" | sed 's/+/ /') 2>&1" >"$dir/here.${p%%:*}" </dev/null
	done
)
for p in $all; do
	p=${p%%:*}
	sed -n "/^>>> $p\$/,/^<<< $p\$/p" "$dir/guest" | sed '1d;$d' | grep -av '^\[ *[0-9]*\.[0-9]*\]' >"$dir/there.$p"
	ok "$p: prints what it prints on Linux" diff -a "$dir/there.$p" "$dir/here.$p"
	ok "$p: it has printed something" [ "$(wc -l <"$dir/here.$p")" -ge 3 ]
done
# An image that is used in place keeps what the guest has written.
mke2fs -q -F -t ext2 -d "$root" "$dir/image" 600M
LIMIT=300 run run --accel lab --memory 96M --root "$dir/image" --exec /bin/bash -c 'echo kept >/job/kept; sync'
ok "an image is written to" [ "$(debugfs -R 'cat /job/kept' "$dir/image" 2>/dev/null)" = kept ]
# Swapping beside a disk that is the root: what both sides count still agrees (else status 7 and "check failed").
LIMIT=300 run run --accel lab --memory 48M --swap 64M --root "$dir/image" --exec /bin/bash -c 'seq 1 8000000 | head -c 50M | tail -c 45M | wc -c'
ok "with the root on a disk, swapped pages are counted as the disks saw them" [ "$status" = 0 ]
ok "and there were some" [ "$(sed -n 's/^ *pages swapped out *\([0-9,]*\)$/\1/p' "$dir/out" | tr -d ,)" -gt 1000 ]
LIMIT=60 run run --accel lab --root "$dir/nowhere" --exec /bin/bash
ok "a root that is not there" is 2 "--root"
finish
