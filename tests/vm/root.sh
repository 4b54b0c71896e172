#!/bin/sh
# A Debian root: programs of this machine, as its packages brought them, run on guestmm from a folder (--root), dynamic linker,
# libraries and all. What they print is what they print here.
#    root.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=root
B=$1
. "$(dirname "$0")/lib.inc"
have_lab || { echo "# skipped: QEMU or the lab's image is missing (make lab-image)"; exit 77; }
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
cat >"$dir/work/bash.sh" <<'END'
declare -A squares
for i in 1 2 3 4 5; do squares[$i]=$((i * i)); done
for k in 1 3 5; do printf '%s:%s ' "$k" "${squares[$k]}"; done; echo
f() { local x=$1; ((x < 2)) && { echo 1; return; }; echo $((x * $(f $((x - 1))))); }
echo "10! = $(f 10)"
echo hello | { read -r w; echo "${w^^} ${w:1:3} ${#w}"; }
(exit 3); echo "status $?"
sleep 0.1 & wait $!; echo "waited $?"
trap 'echo trapped' USR1; kill -USR1 $$; echo after
mapfile -t lines < <(seq 1 5); echo "${lines[@]}"
echo $((0x7fffffff * 2)) lower | tr a-z A-Z
diff <(seq 1 4) <(seq 2 5); echo "diff $?"
[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[2]}"
END
cat >"$dir/work/coreutils.sh" <<'END'
seq 1 20000 >n; wc -l n; sort -rn n | head -n 3; sha256sum n; md5sum <n; tail -c 20 n | od -An -tx1
cut -c1 n | sort | uniq -c | sort -k1,1nr -k2 | head -n 4
dd if=n of=m bs=1000 count=7 skip=3 2>/dev/null; stat -c '%s %a %F' m; truncate -s 1M m; stat -c '%s' m
mkdir -p d/e; cp n d/e/; ln -s e/n d/l; ln n d/h; stat -c '%h' n; mv d/e/n d/x; find d | sort
chmod 640 d/x; stat -c '%a' d/x; ls d; rm -r d; ls
split -l 7000 n part.; ls part.*; cat part.* | diff - n && echo same; rm part.*
seq 1 50 | xargs -n 10 echo; seq 1 5 | paste -sd+ ; factor 1234567890; expr 6 \* 7
seq 3 3 30 >a; seq 5 5 30 >b; comm -12 <(sort a) <(sort b); nl a | tail -n 1; grep -c 1 n; sed -n '5p;$p' n
timeout 0.2 sleep 5; echo "timeout $?"; basename /a/b/c; cat nothing 2>/dev/null; echo "status $?"; rm -f a b n m
END
cat >"$dir/work/python.py" <<'END'
import asyncio, ctypes, decimal, gc, hashlib, json, mmap, os, re, signal, socket, struct, subprocess, sys, tempfile, threading, zlib
print(json.dumps({"a": [1, 2.5, None], "b": "\u00e9"}, sort_keys=True), re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"))
print(hashlib.sha256(b"x" * 100000).hexdigest(), zlib.crc32(b"memory" * 1000), decimal.Decimal(2).sqrt())
t = [threading.Thread(target=lambda i=i: total.append(sum(range(i * 1000)))) for i in range(8)]
total = []
[x.start() for x in t]; [x.join() for x in t]
print(sorted(total)[-1], len(total))
print(subprocess.run(["/bin/bash", "-c", "echo from a child; exit 5"], capture_output=True))
m = mmap.mmap(-1, 1 << 20); m[5000:5005] = b"hello"; print(m[4999:5006], len(m)); m.close()
with tempfile.TemporaryFile(dir="/tmp" if os.path.isdir("/tmp") else ".") as f:
    f.write(b"abc" * 10000); f.flush()
    with mmap.mmap(f.fileno(), 0) as m: print(m.find(b"cab", 100), m.size())
class Node:
    def __init__(self): self.me = self; self.big = bytearray(10000)
gc.disable(); [Node() for _ in range(2000)]; print("collected", gc.collect() >= 2000)
pid = os.fork()
if not pid: os._exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
a, b = socket.socketpair(); r, w = os.pipe()
socket.send_fds(a, [b"take"], [w]); msg, fds, flags, addr = socket.recv_fds(b, 10, 1)
os.write(fds[0], b"through"); print(msg, os.read(r, 10), flags)
async def serve():
    async def one(reader, writer):
        writer.write((await reader.readline()).upper()); await writer.drain(); writer.close()
    path = tempfile.mktemp(); server = await asyncio.start_unix_server(one, path)
    async def ask(i):
        reader, writer = await asyncio.open_unix_connection(path); writer.write(b"ask %d\n" % i); return await reader.readline()
    print(sorted(await asyncio.gather(*[ask(i) for i in range(5)]))); server.close()
asyncio.run(serve())
signal.signal(signal.SIGALRM, lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
print(ctypes.CDLL(None).abs(-42), struct.pack("<IH", 1, 2), sum(len(bytearray(1 << k)) for k in range(22)))
import multiprocessing
def work(x): return x * x
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as p: print(p.map(work, range(10)))
try:
    import sqlite3
    db = sqlite3.connect("t.db"); db.execute("create table t(a integer primary key, b text)")
    db.executemany("insert into t(b) values(?)", [(str(i * 7 % 1000),) for i in range(5000)]); db.commit()
    print(db.execute("select count(*), sum(a), max(b) from t where b like '9%'").fetchone()); db.close(); os.unlink("t.db")
except ImportError: pass
END
cat >"$dir/work/perl.pl" <<'END'
my %h; $h{$_ % 7} += $_ for 1 .. 10000; print join(" ", map {"$_=$h{$_}"} sort keys %h), "\n";
my $s = "the quick brown fox"; $s =~ s/(\w+)/\u$1/g; print "$s\n"; print join(",", reverse sort { $a <=> $b } (10, 9, 100, 1)), "\n";
open(my $f, ">", "p.txt") or die; print $f "line $_\n" for 1 .. 1000; close $f; open($f, "<", "p.txt"); my $n = () = <$f>; close $f; unlink "p.txt"; print "$n\n";
my $pid = fork; exit 4 unless $pid; waitpid $pid, 0; print $? >> 8, "\n"; print `echo from a shell`; my @a = map { "x" x 1000 } 1 .. 5000; print length(join "", @a), "\n";
END
cat >"$dir/work/sqlite.sql" <<'END'
create table t(id integer primary key, v text, n real); with recursive c(x) as (select 1 union all select x+1 from c where x<20000) insert into t select x, printf('%05d', x*7919%20000), x/3.0 from c;
create index i on t(v); select count(*), min(v), max(v), round(sum(n),2) from t; select id from t where v='00777'; update t set n=n*2 where id%3=0; delete from t where id>15000; vacuum; select count(*), round(avg(n),3) from t; pragma integrity_check;
END
cat >"$dir/work/prog.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct tree { struct tree *l, *r; int v; };
static struct tree *add(struct tree *t, int v) { if (!t) { t = calloc(1, sizeof(*t)); t->v = v; } else if (v < t->v) t->l = add(t->l, v); else t->r = add(t->r, v); return t; }
static long sum(struct tree *t) { return t ? t->v + sum(t->l) + sum(t->r) : 0; }
int main(int argc, char **argv) { struct tree *t = 0; unsigned x = 1; for (int i = 0; i < 100000; i++) t = add(t, (x = x * 1103515245 + 12345) >> 8 & 0xfffff); printf("%ld %d %s\n", sum(t), argc, argv[1]); return 3; }
END
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
