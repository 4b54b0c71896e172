#!/bin/sh
# The calls about files answer as Linux answers them: user/conform_files prints more than 700 results (open, read, write, names,
# links, renames, nodes, locks, descriptors, memfd, mounts) and thousands of random operations; run unchanged on Debian's
# Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_files.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_files
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab

cat >"$dir/inside" <<END
$B/user/conform_files >$dir/linux </dev/null
umount /conform
$B/user/conform_files random 7 3000 >$dir/linux.7 </dev/null
umount /conform
$B/user/conform_files random 11 10000 >$dir/linux.11 </dev/null
umount /conform
$B/mmvm run --accel kvm --memory 32M --exec conform_files >$dir/guest 2>$dir/err
echo \$? >$dir/status
$B/mmvm run --accel kvm --memory 32M --exec conform_files -- random 7 3000 >$dir/guest.7 2>>$dir/err
$B/mmvm run --accel kvm --memory 32M --exec conform_files -- random 11 10000 >$dir/guest.11 2>>$dir/err
END
LIMIT=300 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
for f in guest guest.7 guest.11; do
	transcript 1 '^(end of the cases|[0-9]+ operations)$' <"$dir/$f" >"$dir/$f.cases"
done
ok "Linux: all cases" lines "$dir/linux" 700
ok "Linux: the random ones" lines "$dir/linux.11" 10000
ok "guestmm: the program ends well" [ "$(cat "$dir/status")" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest.cases" "$dir/linux"
ok "3000 random operations" same "$dir/guest.7.cases" "$dir/linux.7"
ok "10000 random operations" same "$dir/guest.11.cases" "$dir/linux.11"
can_differ "$dir/guest.cases" "$dir/linux" 's/^sys_rename("d", "x") = 0$/sys_rename("d", "x") = -39/' \
	'^# < sys_rename("d", "x") = -39$'
finish
