#!/bin/sh
# Programs whose threads get into each other's way, under the lock-order checker, on 2 and 4 CPUs, with ext2, a device's own file
# and swap together. A wrong order is a panic with both locks named, a deadlock a time limit.
#    races.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=races
B=$(cd "$1" && pwd)
. "$(dirname "$0")/lib.inc"
PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs >/dev/null || { echo "# skipped: mke2fs is missing (package e2fsprogs)"; exit 77; }
needs_lab
rounds=${ROUNDS:-40}

mkdir "$dir/root" && cp "$B/user/race.musl" "$dir/root/race" || exit 1
for cpus in 2 4; do
	rm -f "$dir/raw"
	truncate -s 4M "$dir/raw"
	mke2fs -q -F -t ext2 -d "$dir/root" "$dir/disk" 16M
	LIMIT=300 run run --accel lab --cpus $cpus --memory 32M --swap 64M --sample 0 --disk "$dir/disk" --disk "$dir/raw" --append lockdep \
		--exec /bin/busybox sh -c "mkdir -p /mnt; mount -t ext2 /dev/vdb /mnt && /mnt/race /dev/vdc /mnt $rounds"
	ok "$cpus CPUs: device, ext2, shared memory, swap, forks: no wrong order, no deadlock" said '^race passed$'
	ok "$cpus CPUs: the checker was on" said 'lockdep: lock order is checked'
	ok "$cpus CPUs: pages went to swap" grep -Eq "pages swapped out +[1-9]" "$dir/out"
	e2fsck -fn "$dir/disk" >"$dir/fsck" 2>&1
	ok "$cpus CPUs: the disk is clean" [ $? = 0 ]
done
finish
