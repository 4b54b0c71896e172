#!/bin/sh
# Debian's programs, unmodified, as its packages bring them: each in a fresh machine in the lab, from an ext2 root (--root). Most
# of them run on Linux in the lab as well, from the same root, and have to print the same.
#    run.sh BUILD [NAME...]    exit 0 passed, 1 failed, 77 cannot run here        make test-programs [ONLY="redis fio"]
# The packages come from the mirror that apt-get is set up for, once: BUILD/debian keeps them and the root. What cannot be had is
# skipped, with the reason. Nothing is installed on this machine.
set -u
name=debian
B=$1
shift
jobs=$(cd "$(dirname "$0")/jobs" && pwd)
. "$(dirname "$0")/../vm/lib.inc"
have_lab || { echo "# skipped: QEMU or the lab's image is missing (make lab-image)"; exit 77; }
for p in apt-get dpkg-deb mke2fs; do
	command -v $p >/dev/null || { echo "# skipped: $p is missing"; exit 77; }
done

# ---- the root: packages unpacked, none of their scripts run ----
D=$B/debian
root=$D/root
mkdir -p "$D/archives/partial" "$D/none/partial"
# fetch PACKAGE...: these and all they need, as if nothing were installed. Adds their files' names to $D/want.
fetch() {
	: >"$D/status"
	set -- -o Dir::State::status="$D/status" -o Dir::Cache::archives="$D/archives" -o APT::Install-Recommends=0 -o Debug::NoLocking=1 \
		-o APT::Sandbox::User=root -y install "$@"
	# (what an archive has already is not printed)
	apt-get --print-uris "$@" -o Dir::Cache::archives="$D/none" 2>"$D/apt.log" | sed -n "s/^'.*' \([^ ]*\.deb\) .*/\1/p" >"$D/names" || return
	[ -s "$D/names" ] && apt-get --download-only "$@" >>"$D/apt.log" 2>&1 && cat "$D/names" >>"$D/want"
}
base="base-files bash coreutils dash findutils grep sed mawk diffutils util-linux procps passwd libc-bin"
# What a name needs beyond that
packages() {
	case $1 in
	bash | coreutils) echo bash ;;
	python3) echo python3 ;;
	perl) echo perl ;;
	sqlite3) echo sqlite3 ;;
	gcc) echo gcc libc6-dev ;;
	redis) echo redis-server redis-tools ;;
	postgresql) echo postgresql ;;
	java) echo default-jre-headless ;;
	go) echo golang-go ;;
	*) echo "$1" ;;
	esac
}
all="bash coreutils perl python3 sqlite3 gcc memtester stress-ng numactl redis fio go java postgresql"
: >"$D/want"
fetch $base || { echo "# skipped: apt-get cannot fetch packages: $(tail -n 1 "$D/apt.log")"; exit 77; }
chosen=
for p in ${*:-$all}; do
	if fetch $(packages $p); then
		chosen="$chosen $p"
	else
		skip "$p" "its packages cannot be had: $(grep -m 1 '^E:' "$D/apt.log")"
	fi
done
mkdir -p "$root/usr" "$D/done"
for f in $(sort -u "$D/want"); do
	[ -e "$D/done/$f" ] && continue
	case $f in
	golang-*) to=$D/golang ;; # stays outside: a Go program is one file
	*) to=$root ;;
	esac
	mkdir -p "$to"
	dpkg-deb -x "$D/archives/$f" "$to" && : >"$D/done/$f"
done
# A file system with /bin and /lib in /usr, as an installed Debian has it
for d in bin sbin lib lib32 lib64 libx32; do
	mkdir -p "$root/usr/$d"
	[ -L "$root/$d" ] || { [ -d "$root/$d" ] && cp -a "$root/$d/." "$root/usr/$d/"; rm -rf "${root:?}/$d"; ln -s usr/$d "$root/$d"; }
done
rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale "$root"/usr/share/info
# What the packages' scripts would have made
[ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
ln -sf mawk "$root/usr/bin/awk"
for j in "$root"/usr/lib/jvm/java-*-openjdk-*/bin/java; do [ -e "$j" ] && ln -sf "${j#"$root"}" "$root/usr/bin/java"; done
mkdir -p "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/run" "$root/root" "$root/job"
chmod 1777 "$root/tmp"
printf '%s\n' root:x:0:0:root:/root:/bin/bash postgres:x:100:100:postgres:/tmp:/bin/bash nobody:x:65534:65534:nobody:/:/bin/false >"$root/etc/passwd"
printf '%s\n' root:x:0: postgres:x:100: nogroup:x:65534: >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
echo 127.0.0.1 localhost >"$root/etc/hosts"
cp "$jobs"/* "$root/job/"
echo 'export PATH=/usr/bin:/usr/sbin HOME=/root LC_ALL=C.UTF-8 TMPDIR=/tmp PYTHONDONTWRITEBYTECODE=1; unset COLUMNS LINES; cd /job' >"$root/job/env"
case " $chosen " in *" go "*)
	go=$(echo "$D"/golang/usr/lib/go-*/bin/go)
	if [ -x "$go" ] && CGO_ENABLED=0 GOFLAGS= GO111MODULE=off GOROOT=${go%/bin/go} GOCACHE=$D/gocache "$go" build -o "$root/usr/bin/gc-go" "$jobs/gc.go" 2>"$D/go.log"; then :; else
		skip go "the compiler fails: $(head -n 1 "$D/go.log")"
		chosen=$(echo "$chosen" | sed 's/ go\b//')
	fi ;;
esac
size=$(du -sm "$root" | cut -f 1)
rm -f "$D/image"
mke2fs -q -F -t ext2 -b 4096 -d "$root" "$D/image" $((size + size / 8 + 400))M || { echo "not ok - $name: the image"; exit 1; }

# ---- Linux: the kernel of the lab, in the same root ----
alone=" stress-ng " # what only passes or fails
rm -rf "$D/jobs" "$D"/linux.*
cp -r "$jobs" "$D/jobs"
cp "$root/job/env" "$D/jobs/env"
{
	echo "mount -t proc proc $root/proc; mount -t sysfs sysfs $root/sys; mount -t devtmpfs dev $root/dev; ln -s /proc/self/fd $root/dev/fd; mkdir -p $root/dev/shm; mount -t tmpfs shm $root/dev/shm"
	for p in $chosen; do
		case $alone in *" $p "*) continue ;; esac
		echo "mount -t tmpfs tmp $root/tmp; cp -r $D/jobs $root/tmp/job; mount --bind $root/tmp/job $root/job"
		echo "chroot $root /bin/bash -c '. /job/env; . /job/$p.sh 2>&1; echo \"<<< end\"' >$D/linux.$p </dev/null; umount $root/job; umount $root/tmp"
	done
} >"$D/run-linux"
LIMIT=1500 run lab -- sh "$D/run-linux"

# ---- guestmm ----
whole() { [ "$(tail -n 1 "$1")" = "<<< end" ] && [ "$(wc -l <"$1")" -ge 3 ]; }
passed_all() { [ "$(grep -c ': passed$' "$1")" -ge 10 ] && ! grep -q ': FAILED' "$1"; }
for p in $chosen; do
	cp --sparse=always "$D/image" "$dir/image"
	memory=256M
	[ $p = java ] && memory=448M
	LIMIT=1500 run run --accel lab --memory $memory --swap 64M --root "$dir/image" --exec /bin/bash -c ". /job/env; . /job/$p.sh 2>&1; echo '<<< end'"
	sed '/^<<< end/q' "$dir/out" | grep -av '^\[ *[0-9]*\.[0-9]*\]' >"$D/guest.$p"
	ok "$p: it ends well, nothing found by the audit" [ "$status" = 0 ]
	case $alone in
	*" $p "*)
		sed -n "s/^\(.*\): not here: \(.*\)/ok - $name: $p \1 # SKIP \2/p" "$D/guest.$p"
		ok "$p: what ran has passed" passed_all "$D/guest.$p"
		;;
	*)
		ok "$p: Linux's transcript is whole" whole "$D/linux.$p"
		ok "$p: prints what it prints on Linux" same "$D/guest.$p" "$D/linux.$p"
		;;
	esac
	grep -a 'is not known here' "$dir/out" | sed 's/^\[[^]]*\] /# /' | sort -u
done
finish
