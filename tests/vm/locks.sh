#!/bin/sh
# The order of locks in doc/locks.md: a program (user/libc/locks.c) uses as much of the kernel as it can while the checker
# learns; each class it met and each lock of the source has a line, each edge leads down, no line is stale. And a page
# with two lines exchanged is found out.
#   locks.sh BUILD    exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=locks
. "$(dirname "$0")/lib.inc"

needs_lab
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..
LIMIT=300
truncate -s 16M "$dir/disk" && mke2fs -q -F -b 4096 "$dir/disk"
run run --accel lab --memory 48M --swap 128M --disk "$dir/disk" --append lockdep --exec "$B/user/locks.musl" /dev/vdb
ok "the program ends well, and nothing could deadlock" [ "$status" = 0 ]
mv "$dir/out" "$dir/learnt"
against() { limit 300 python3 "$here/locks.py" "$1" "$root/guestmm" "$B/images/guestmm.elf" "$dir/learnt" >"$dir/out" 2>"$dir/err"; }
against "$root/doc/locks.md"
status=$?
ok "the page agrees with the checker and the source" [ "$status" = 0 ]
where=
awk '/^\| `mm->mmap_lock`/ { keep = $0; next } { print } /^\| `mm->page_table_lock`/ { print keep }' "$root/doc/locks.md" >"$dir/exchanged.md"
against "$dir/exchanged.md"
status=$?
ok "two lines exchanged are named" said 'mm->page_table_lock is taken inside mm->mmap_lock, which stands below it'
awk '!/^\| `vmap_lock`/' "$root/doc/locks.md" >"$dir/missing.md"
against "$dir/missing.md"
status=$?
ok "a missing line is named" said 'vmap_lock .* stands in 0 lines'
finish
