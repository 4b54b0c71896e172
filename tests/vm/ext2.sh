#!/bin/sh
# ext2 on a virtual disk: what the guest writes is clean to e2fsck, whatever it did and whenever it was killed; what it
# has fsync'ed is there afterwards; damaged disks cost errors, never the machine.
#    ext2.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
# Where ring 0 is emulated (PVM), everything but one short case runs in the lab: one machine for all of it.
set -u
name=ext2
B=$(cd "$1" && pwd)
PATH=$PATH:/usr/sbin:/sbin
. "$(dirname "$0")/lib.inc"
seed=${SEED:-5}
[ -n "${EXT2_INSIDE:-}" ] && seed=$EXT2_INSIDE

for tool in mke2fs e2fsck debugfs; do
	command -v $tool >/dev/null || { echo "# skipped: $tool is missing (package e2fsprogs)"; exit 77; }
done

# guest MODE ARGS... : run ext2test in a small machine on the disk(s) of $disks
disks=$dir/disk
guest() {
	set -- --exec "${program:-ext2test}" -- "$@"
	for d in $disks; do set -- --disk "$d" "$@"; done
	LIMIT=240 run run --accel kvm --sample 0 --memory 32M --swap 0 "$@"
}
passed() { [ "$status" = 0 ] && said "^$1 passed" && ! said FAIL; }
new_disk() { # new_disk BLOCKSIZE SIZE
	rm -f "$dir/disk"
	mke2fs -q -F -t ext2 -b "$1" "$dir/disk" "$2"
}
clean() {
	e2fsck -fn "$dir/disk" >"$dir/fsck" 2>&1 && return 0
	sed 's/^/# /' "$dir/fsck" | head -n 20
	false
}
valid() { dumpe2fs -h "$dir/disk" 2>/dev/null | grep -q 'Filesystem state: *clean$'; }

if [ -z "${EXT2_INSIDE:-}" ] && ! grep -qwE 'vmx|svm' /proc/cpuinfo; then
	if have_kvm; then
		new_disk 1024 2M
		guest small /dev/vda
		ok "directly: write, sync, read" passed small
		ok "directly: e2fsck is content" clean
		mke2fs -q -F -t ext2 -b 4096 "$dir/disk" 2M
	fi
	needs_lab
	cat >"$dir/inside" <<-EOF
		EXT2_INSIDE=$seed exec sh $(cd "$(dirname "$0")" && pwd)/ext2.sh $B
	EOF
	limit 500 "$mmvm" lab -- sh "$dir/inside" >"$dir/lab" 2>"$dir/err"
	status=$?
	grep -E '^(ok|not ok|#)' "$dir/lab"
	ok "the lab came to its end" grep -q '^ext2: .* 0 failed' "$dir/lab"
	finish
fi
echo "# seed $seed"

# ---- extended attributes: made here and read by e2fsprogs, made there and read here
attrs() { program=$B/user/ext2attrs.musl guest /dev/vda "$1" && grep -av '^\[' "$dir/out" >"$dir/attrs"; }
has() { grep -aqxF -- "$1" "$dir/attrs"; }
ea() { debugfs -R "ea_list $1" "$dir/disk" 2>/dev/null | grep -qF -- "$2"; }
for bs in 1024 4096; do
	rm -f "$dir/disk"
	mke2fs -q -F -t ext2 -I 128 -b $bs "$dir/disk" 2M
	attrs make
	ok "$bs, attributes: each kind is set" has "set 0 0 0 0 0 directory 0 link 0 user.'s of a link -1"
	ok "$bs, attributes: what cannot be is refused" has "create again -17 replace nothing -61 ACL -95 larger than a block -28"
	ok "$bs, attributes: they are in the disk's order" has "list of file: 50 user.one user.two user.empty trusted.t security.s"
	ok "$bs, attributes: changed and taken away" has "list of file: 41 user.one user.empty trusted.t security.s"
	ok "$bs, attributes: e2fsck is content" clean
	ok "$bs, attributes: debugfs reads them" ea file 'user.one (13) = "another value"'
	ok "$bs, attributes: of a symbolic link" ea link 'trusted.l (9) = "of a link"'
	echo text >"$dir/text"
	debugfs -w -R "write $dir/text other" "$dir/disk" >/dev/null 2>&1
	debugfs -w -R "ea_set other user.host written" "$dir/disk" >/dev/null 2>&1
	attrs look
	ok "$bs, attributes: the next boot finds them" has "file user.one: 13 another value"
	ok "$bs, attributes: those of debugfs, too" has "other user.host: 7 written"
	ok "$bs, attributes: a directory's last goes with its block" has "list of dir: 0"
	ok "$bs, attributes: e2fsck is content again" clean
	ok "$bs, attributes: both are there" ea other 'user.guest (4) = "here"'
	ok "$bs, attributes: and nothing is left of the directory's" sh -c "! debugfs -R 'ea_list dir' '$dir/disk' 2>/dev/null | grep -q user"
done

# Damaged ones: byte OFFSET of the file's block is 255. None of its attributes is seen, and all else goes on.
for at in 0 8 32 35 37 43; do
	rm -f "$dir/disk"
	mke2fs -q -F -t ext2 -I 128 -b 1024 "$dir/disk" 2M
	attrs make
	block=$(debugfs -R "stat file" "$dir/disk" 2>/dev/null | sed -n 's/.*File ACL: \([0-9]*\).*/\1/p')
	printf '\377' | dd of="$dir/disk" bs=1 seek=$((block * 1024 + at)) conv=notrunc 2>/dev/null
	attrs look
	ok "attributes, byte $at damaged: refused (EUCLEAN)" has "file user.one: -117 "
	ok "attributes, byte $at damaged: of another file they are found" has "dir user.d: 14 of a directory"
done

# ---- inotify: the same events as on Linux's tmpfs. ext2 has no fallocate(2) and no RENAME_EXCHANGE, there and here.
rm -f "$dir/disk"
mke2fs -q -F -t ext2 -b 1024 "$dir/disk" 4M
program=$B/user/inotify.musl guest /inotify /dev/vda
grep -av '^\[' "$dir/out" | sed -n '1,/^end$/p' >"$dir/inotify.ext2"
"$B/user/inotify.musl" 2>/dev/null | sed -e '/^fallocate:$/{N;N;s/.*/fallocate: -11/;}' \
	-e '/^exchange:$/{N;N;N;N;s/.*/exchange: -11/;}' >"$dir/inotify.linux"
ok "inotify on ext2: as Linux's on tmpfs" diff -a "$dir/inotify.ext2" "$dir/inotify.linux"
ok "inotify on ext2: it came to its end" [ "$(tail -n 1 "$dir/inotify.ext2")" = end ]
ok "inotify on ext2: e2fsck is content" clean

# ---- all block sizes: files, directories, links, holes, renames; and again in another boot
for bs in 1024 2048 4096; do
	new_disk $bs 80M
	guest tree /dev/vda "$seed"
	ok "$bs: a tree of files is made, renamed, unmounted and found again" passed tree
	ok "$bs: e2fsck is content" clean
	ok "$bs: the disk says that it was unmounted" valid
	guest verify /dev/vda "$seed"
	ok "$bs: the next boot finds it" passed verify
done
# Revision 0, and what a mount must refuse or only read.
rm -f "$dir/disk" && mke2fs -q -F -t ext2 -r 0 "$dir/disk" 8M 2>/dev/null
guest small /dev/vda
ok "revision 0" passed small
ok "revision 0: e2fsck is content" clean
rm -f "$dir/disk" && mke2fs -q -F -t ext4 "$dir/disk" 8M
guest hostile /dev/vda
ok "ext4 is refused by the name of its features" said 'not mounted: incompatible features'
new_disk 1024 8M && debugfs -w -R 'feature metadata_csum' "$dir/disk" >/dev/null 2>&1
sum=$(cksum <"$dir/disk")
guest hostile /dev/vda
ok "a feature that only readers need not know: read-only" said 'not known: read-only'
ok "and nothing is written" [ "$sum" = "$(cksum <"$dir/disk")" ]

# ---- nothing of a deleted file is seen where a write failed
for bs in 1024 4096; do
	new_disk $bs 1M
	program=stale guest /dev/vda
	ok "$bs: failed writes show nothing of deleted files" passed stale
	ok "$bs: e2fsck is content" clean
done

# ---- full
new_disk 1024 1M
guest full /dev/vda
ok "1 MiB, full, empty, as much free as before" passed full
ok "full: e2fsck is content" clean
new_disk 4096 3M
guest full /dev/vda
ok "3 MiB of 4K blocks, full" passed full
ok "full, 4K: e2fsck is content" clean

# ---- the disk's own file
new_disk 1024 4M
guest raw /dev/vda
ok "/dev/vda is read and written" passed raw

new_disk 1024 4M
guest swap /dev/vda
ok "swapon, swapoff on /dev/vda" passed swap
for bs in 1024 4096; do
	new_disk $bs 40M
	guest swapfile /dev/vda
	ok "$bs: a file is a swap area: what Linux refuses, and more memory than there is" passed swapfile
	ok "$bs: pages went to the disk" said 'pages swapped out +[1-9]'
	ok "$bs: e2fsck is content, though the machine ended with the file in use" clean
	ok "$bs: the disk says that it was unmounted" valid
done

# ---- the root
new_disk 1024 4M
debugfs -w -f - "$dir/disk" >/dev/null 2>&1 <<-EOF
	write $B/user/hello hello
	set_inode_field hello mode 0100755
	mkdir dev
EOF
LIMIT=240 run run --accel kvm --sample 0 --memory 32M --swap 0 --disk "$dir/disk" --append "root=/dev/vda init=/hello" \
	--exec hello -- one
ok "root=/dev/vda: the program comes from the disk" said '^argv\[1\] = one'
ok "root=/dev/vda: e2fsck is content" clean
ok "root=/dev/vda: the disk says that it is whole, mounted as it was to the end" valid

# ---- killed while it writes
# content ID GENERATION SIZE: what ext2test has written
content() {
	awk -v id="$1" -v gen="$2" -v size="$3" 'BEGIN {
		dots = "..............................................................."
		for (n = 0; n * 64 < size; n++)
			print substr(sprintf("file %06d generation %06d line %09d", id, gen, n) dots, 1, 63)
	}' | head -c "$3"
}
synced_files() { [ "$(grep -c '^synced .* .* .*' "$dir/out")" -ge "$1" ]; }
i=0
lost=0
promised=0
unrepaired=0
while [ $i -lt 6 ]; do
	case $((i % 3)) in 0) bs=1024 ;; 1) bs=4096 ;; *) bs=2048 ;; esac
	new_disk $bs 8M
	seed=$(((seed * 1103515245 + 12345) % 2147483648))
	: >"$dir/out"
	"$mmvm" run --accel kvm --sample 0 --memory 24M --swap 0 --disk "$dir/disk" --exec ext2test -- \
		synced /dev/vda $((seed % 10000)) >"$dir/out" 2>"$dir/err" &
	p=$!
	# After some files were promised, at a moment of chance
	await $p synced_files $((4 + seed / 65536 % 14))
	sleep "0.$(printf %03d $((seed / 256 % 1000)))"
	kill -9 $p
	wait $p 2>/dev/null
	e2fsck -fy "$dir/disk" >"$dir/fsck" 2>&1
	[ $? -lt 4 ] && clean || unrepaired=$((unrepaired + 1))
	# The last state of each file: what is being written again has no promise.
	awk '/^writing/ { delete last[$2] } /^synced .* .* .*/ && NF == 5 { last[$2] = $0 }
		END { for (f in last) print last[f] }' "$dir/out" >"$dir/promises"
	awk -v dir="$dir" '{ print "dump " $2 " " dir "/got-" $3 }' "$dir/promises" >"$dir/dump"
	rm -f "$dir"/got-*
	debugfs -f "$dir/dump" "$dir/disk" >/dev/null 2>&1
	while read -r _ file id gen size; do
		promised=$((promised + 1))
		content "$id" "$gen" "$size" | cmp -s - "$dir/got-$id" || {
			lost=$((lost + 1))
			echo "# kill $i, blocks of $bs: $file, generation $gen, $size bytes is not there"
		}
	done <"$dir/promises"
	i=$((i + 1))
done
echo "# killed 6 times, $promised files were promised"
ok "killed 6 times: e2fsck repairs it" [ $unrepaired = 0 ]
ok "killed 6 times: something was promised" [ $promised -gt 6 ]
ok "killed 6 times: all that was promised is there" [ $lost = 0 ]

# ---- damaged
# damage SEED N: disks bad0 to badN-1 from seed1 and seed4: bytes, words and bits changed, where the metadata is
damage() {
	python3 -S - "$dir" "$@" <<-'EOF'
		import random, sys
		dir, seed, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
		base = [(s, open(f"{dir}/seed{s >> 10}", "rb").read()) for s in (1024, 4096)]
		# Blocks that hold something, most of what is chosen near the beginning: tables, directories, indirect blocks.
		used = {s: [b for b in range(len(d) // s) if d.count(0, b * s, b * s + s) < s] for s, d in base}
		for i in range(n):
		    r = random.Random(seed + i)
		    size, data = base[i % 2]
		    data = bytearray(data)
		    for _ in range(r.choice((1, 3, 20, 100))):
		        kind = r.random()
		        if kind < 0.1:
		            at = 1024 + r.randrange(264)               # the super block
		        elif kind < 0.2:
		            at = max(2048, size) + r.randrange(64)     # descriptors
		        else:
		            at = r.choice(used[size][:1 + int(len(used[size]) * r.random() ** 2)]) * size + r.randrange(size)
		        what = r.random()
		        if what < 0.3:
		            data[at] = r.randrange(256)
		        elif what < 0.5:
		            data[at] ^= 1 << r.randrange(8)
		        else:
		            word = r.choice((0, 0xffffffff, 0x7fffffff, r.randrange(1 << 32), r.randrange(20000), r.randrange(64)))
		            data[at & ~3:(at & ~3) + 4] = word.to_bytes(4, "little")
		    open(f"{dir}/bad{i}", "wb").write(data)
	EOF
}
new_disk 1024 1M
guest plant /dev/vda
cp "$dir/disk" "$dir/seed1"
new_disk 4096 2M
guest plant /dev/vda
cp "$dir/disk" "$dir/seed4"
damage "$seed" 14
mounted=0
for first in 0 7; do
	disks=
	for i in 0 1 2 3 4 5 6; do disks="$disks $dir/bad$((first + i))"; done
	guest hostile /dev/vda /dev/vdb /dev/vdc /dev/vdd /dev/vde /dev/vdf /dev/vdg
	mounted=$((mounted + $(grep -c '^hostile: .* names' "$dir/out")))
	ok "seven damaged disks: errors, and the machine goes on" passed hostile
done
echo "# 14 damaged disks, $mounted mounted"
ok "some of them were mounted" [ $mounted -gt 2 ]
finish
