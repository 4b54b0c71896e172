#!/bin/sh
# Debian's busybox, as it comes, in guestmm: what it prints is compared with what it prints on this machine, and what it reads
# of /proc with itself.
#    busybox.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=busybox
B=$1
. "$(dirname "$0")/lib.inc"
PATH=$PATH:/usr/sbin:/sbin # mke2fs
[ -x /bin/busybox ] || { echo "# skipped: /bin/busybox is missing (Debian's busybox-static)"; exit 77; }
needs_lab

# inside SCRIPT OPTIONS...: what busybox sh prints in the guest, without the kernel's lines and mmvm's
inside() {
	script=$1
	shift
	LIMIT=200 run run --accel lab --memory 64M "$@" --exec /bin/busybox sh -c "$script"
	sed -n '/^machine$/q; /^\[ *[0-9.]*\]/d; p' "$dir/out" | sed '${/^$/d}' >"$dir/said"
	[ "$status" = 0 ]
}

# ---- the same text comes out of it here and there
cat >"$dir/script" <<'END'
mkdir -p /tmp/bbt && cd /tmp/bbt || exit 1
for i in 1 2 3 4 5; do seq 1 $((i * 700)) >f$i; done
cat f1 f2 f3 | sort -n | uniq -c | awk '$1 == 3' | wc -l
find . -type f | sort | xargs md5sum
dd if=/dev/zero of=z bs=4k count=100 2>/dev/null; md5sum <z
tar cf a.tar f? && mkdir x && tar xf a.tar -C x && cmp f5 x/f5 && echo same
(echo one; echo two; echo three) | while read w; do echo "got $w"; done | tac
f() { [ $1 -gt 1 ] && echo $(($1 * $(f $(($1 - 1))))) || echo 1; }; f 6
sed -n '/^69/p' f1 | tr '\n' ' '; echo
ln -s f1 link; readlink link; mv f2 g2; ls; rm -r x; rmdir none 2>&1; echo $?
trap 'echo trapped' USR1; kill -USR1 $$; sleep 0.01
timeout 5 sh -c 'exit 3'; echo $?
sh -c 'kill -9 $$' >/dev/null 2>&1; echo $?
gzip -c f5 | gunzip | md5sum; head -c 3000 f5 | od -c | tail -n 1
cd /; rm -r /tmp/bbt
END
/bin/busybox sh "$dir/script" >"$dir/here" 2>&1
inside "mkdir -p /tmp; $(cat "$dir/script")" </dev/null
ok "a script of pipelines, files and signals ends well" [ "$status" = 0 ]
ok "and prints what it prints here" diff "$dir/here" "$dir/said"
inside 'sleep 100000 & (while :; do :; done) & cat /proc/self/status >/dev/null & exit 0' --cpus 2 </dev/null
ok "programs that are left are ended for the audit at the end" [ "$status" = 0 ]
ok "which finds nothing" said '^  audit +0 findings'
# shellcheck disable=SC2009
ok "unknown system calls are named once" [ -z "$(grep -o 'system call [0-9]* is not known' "$dir/out" | sort | uniq -d)" ]

# ---- /proc/config.gz: gunzip checks its sum; in pieces it is the same
inside 'zcat /proc/config.gz >/c; echo "read $?"; grep -c ^CONFIG_ /c; grep -v "^#" /c | grep -cv "^CONFIG_[A-Z0-9_]*=y$"
	sort /c | uniq -d | grep -c CONFIG; grep -x CONFIG_USERFAULTFD=y /c; cat /proc/config.gz >/a; dd if=/proc/config.gz of=/b bs=7 2>/dev/null
	cmp /a /b && echo same' 2>&1
printf 'read 0\n%d\n0\n0\nCONFIG_USERFAULTFD=y\nsame\n' "$(sed -n '/define OPTIONS/,/clang-format on/p' "$(dirname "$0")/../../guestmm/fs/proc/config.c" | grep -o 'Y([A-Z0-9_]*)' | wc -l)" >"$dir/want"
ok "/proc/config.gz names the options, and is whole" diff "$dir/want" "$dir/said"

# ---- tmpfs keeps to its limits, and mounts to their flags
inside 'mkdir /t; mount -t tmpfs -o size=8M,nr_inodes=5,mode=700 none /t; dd if=/dev/zero of=/t/f bs=1M count=20 2>&1 | grep -v copied
	df /t | tail -n 1; df -i /t | tail -n 1; grep " /t " /proc/mounts; stat -c %a /t; for i in 1 2 3 4; do touch /t/$i; done; ls /t | tr "\n" " "; echo
	mount -o remount,size=2M /t; echo "smaller than what is there: $?"; rm /t/f; df /t | tail -n 1
	mount -o remount,size=2M,noexec,noatime /t; grep " /t " /proc/mounts; rm /t/1; cp /bin/busybox /t/sh 2>/dev/null; ls /t | wc -l
	rm /t/sh; echo "#!/bin/true" >/t/sh; chmod 755 /t/sh; /t/sh; echo "noexec $?"; umount /t
	mount -t tmpfs -o nosuchoption none /t; echo "unknown option $?"' 2>&1
cat >"$dir/want" <<'END'
dd: error writing '/t/f': No space left on device
9+0 records in
8+0 records out
none                      8192      8192         0 100% /t
none                         5         2         3  40% /t
none /t tmpfs rw,relatime,size=8192k,nr_inodes=5,mode=700 0 0
700
touch: /t/4: No space left on device
1 2 3 f 
mount: mounting none on /t failed: Invalid argument
smaller than what is there: 255
none                      8192         0      8192   0% /t
none /t tmpfs rw,noexec,noatime,size=2048k,nr_inodes=5,mode=700 0 0
3
sh: /t/sh: Permission denied
noexec 126
mount: mounting none on /t failed: Invalid argument
unknown option 255
END
ok "tmpfs: size=, nr_inodes=, mode= are kept, shown and changed; noexec acts" diff "$dir/want" "$dir/said"
inside 'mount -o remount,size=60M /; mkdir /t; mount -t tmpfs none /t; dd if=/dev/zero bs=1M count=45 2>/dev/null | tr "\0" r >/big
	md5sum /big | cut -d " " -f 1; dd if=/dev/zero bs=1M count=45 2>/dev/null | tr "\0" r | md5sum | cut -d " " -f 1
	awk "/^pswpout/{print (\$2 > 1000)}" /proc/vmstat' --memory 40M --swap 64M
ok "the root is swapped like any tmpfs" [ "$(sed -n 1p "$dir/said")$(sed -n 3p "$dir/said")" = "$(sed -n 2p "$dir/said")1" ]

# ---- /proc, read by programs made for Linux
inside 'free; echo ---; cat /proc/meminfo; echo ---; ps; echo ---; top -b -n 1; echo ---; cat /proc/self/maps; echo ---;
	ls /proc/self/fd | wc -l; readlink /proc/self/exe; cat /proc/self/comm; tr "\0" " " </proc/1/cmdline | head -c 15; echo;
	echo 35 >/proc/sys/vm/swappiness; cat /proc/sys/vm/swappiness; echo 999 >/proc/sys/vm/swappiness; echo refused $?;
	sleep 0.2; cat /proc/uptime /proc/loadavg; cat /proc/self/smaps_rollup; mount; echo 3 >/proc/sys/vm/drop_caches; echo $?'
ok "reading /proc ends well" [ "$status" = 0 ]
ok "free, ps, top, maps agree with what they are made from" python3 - "$dir/said" <<'END'
import sys
free, meminfo, ps, top, maps, rest = open(sys.argv[1]).read().split("---\n")
info = {l.split(":")[0]: int(l.split()[1]) for l in meminfo.splitlines()}
mem = free.splitlines()[1].split()
assert int(mem[1]) == info["MemTotal"], (mem, info)
assert abs(int(mem[3]) - info["MemFree"]) < 4096, (mem, info["MemFree"])
swap = free.splitlines()[2].split()
assert int(swap[1]) == info["SwapTotal"] and int(swap[3]) == info["SwapFree"]
assert info["Active"] == info["Active(anon)"] + info["Active(file)"]
assert info["Slab"] == info["SReclaimable"] + info["SUnreclaim"]
pids = [l.split()[0] for l in ps.splitlines()[1:]]
assert "1" in pids and len(set(pids)) == len(pids) >= 2, ps
assert top.startswith("Mem: ") and "Load average:" in top and "%CPU COMMAND" in top, top
rows = [l.split(None, 5) for l in maps.splitlines()]
ends = [tuple(int(x, 16) for x in r[0].split("-")) for r in rows]
assert all(a < b for a, b in ends) and all(x[1] <= y[0] for x, y in zip(ends, ends[1:])), maps
names = [r[5] for r in rows if len(r) > 5]
assert "/bin/busybox" in names and "[stack]" in names, names
assert any(r[1] == "r-xp" and r[-1] == "/bin/busybox" for r in rows)
rest = rest.splitlines()
assert rest[1] == "/bin/busybox" and rest[2] == "cat" and rest[3] == "/bin/busybox sh", rest[:4]
assert rest[4] == "35" and "refused 1" in rest[5:7], rest[4:8]
END
ok "and the kernel's account of one process adds up" python3 - "$dir/said" <<'END'
import sys
text = open(sys.argv[1]).read()
roll = {l.split(":")[0]: int(l.split()[1]) for l in text.splitlines() if l.endswith(" kB") and ":" in l}
assert roll["Rss"] == roll["Shared_Clean"] + roll["Shared_Dirty"] + roll["Private_Clean"] + roll["Private_Dirty"], roll
assert roll["Pss"] <= roll["Rss"] and roll["Anonymous"] <= roll["Rss"]
assert abs(roll["Pss"] - roll["Pss_Anon"] - roll["Pss_File"] - roll["Pss_Shmem"]) <= 3
END

# ---- a program that runs is not written to, and one that is written to does not run
inside 'mkdir -p /tmp; cp /bin/busybox /tmp/sleep; /tmp/sleep 10000 & until [ "$(readlink /proc/$!/exe)" = /tmp/sleep ]; do sleep 0.1; done
	echo x >>/tmp/sleep || echo busy; kill $!; wait;
	echo x >>/tmp/sleep && echo written; exec 9>>/tmp/sleep; /tmp/sleep 0 || echo not run $?'
ok "a running program cannot be written to, nor an open one be run" \
	[ "$(grep -c '^busy$\|^written$\|^not run 126$' "$dir/said")" = 3 ]

# ---- files of a disk
mkdir -p "$dir/files/sub/deep"
for i in 1 2 3 4 5 6 7 8 9; do seq $i $((i * i * 500)) >"$dir/files/sub/f$i"; done
cp /bin/busybox "$dir/files/sub/deep/"
mke2fs -q -t ext2 -d "$dir/files" "$dir/disk" 24M 2>"$dir/err" >"$dir/out"
(cd "$dir/files" && find . -type f | sort | xargs md5sum) >"$dir/here"
inside 'mkdir /mnt; mount -t ext2 /dev/vdb /mnt && cd /mnt && find . -type f | sort | xargs md5sum;
	tar cf all.tar sub && mkdir copy && tar xf all.tar -C copy && rm -r sub && mv copy/sub sub2; seq 1 5000 >new; sync; cd /; umount /mnt' \
	--disk "$dir/disk"
ok "find | sort | md5sum over an ext2 disk" [ "$status" = 0 ]
ok "and the sums are those of the files here" diff "$dir/here" "$dir/said"
ok "written to by tar, rm, mv, the disk is clean" e2fsck -fn "$dir/disk"
debugfs -R "cat sub2/deep/busybox" "$dir/disk" 2>/dev/null >"$dir/copy"
ok "and holds what was written" cmp -s "$dir/copy" /bin/busybox

# ---- an initramfs of one's own
mkdir -p "$dir/root/bin" "$dir/root/etc"
cp /bin/busybox "$dir/root/bin/"
echo "text from the initramfs" >"$dir/root/etc/motd"
ln -s busybox "$dir/root/bin/cat"
(cd "$dir/root" && find . | cpio -o -H newc --quiet >"$dir/root.cpio")
LIMIT=100 run run --accel lab --memory 64M --initrd "$dir/root.cpio" --exec /bin/busybox sh -c '/bin/cat /etc/motd; readlink /bin/cat'
ok "--initrd: programs and files of an initramfs" [ "$status" = 0 ]
ok "--initrd: its text and its link" [ "$(grep -cx 'text from the initramfs\|busybox' "$dir/out")" = 2 ]
gzip "$dir/root.cpio"
LIMIT=100 run run --accel lab --initrd "$dir/root.cpio.gz" --exec /bin/busybox true
ok "--initrd: a compressed one is refused" is 2 "not a cpio archive in newc format"

finish
