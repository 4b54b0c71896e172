#!/bin/sh
# Build the lab's image in a folder, installing nothing on this system:
#
#   lab.sh image DIR INIT   DIR/vmlinux   Debian's kernel, uncompressed: it starts seconds sooner
#                           DIR/initrd    INIT (the compiled lab_init.c) and the modules needed
#   lab.sh bench DIR SRC    DIR/mmvm_bench.ko   SRC (linux_bench.c) built for that kernel
#                           DIR/brd.ko    its RAM disk, to swap to
#
# Packages are fetched with `apt-get download` and unpacked with `dpkg -x`. What is already there is
# not made again. Each failure is one sentence that says what to do.
set -eu

die() {
	echo "mmvm: lab image: $*" >&2
	exit 1
}
# The order matters: what a module needs comes before it. Those of 9p are apart: a sealed run loads
# them when its command has ended.
kvm="irqbypass kvm ccp kvm-amd"
share="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache
	9pnet 9p 9pnet_virtio"
# For a Linux guest in the lab: unpacked only (tests/vm/lab_linux.sh)
guest="virtio_mmio virtio_blk virtio_balloon virtio-rng"

download() {
	(cd "$dir/deb" && apt-get -qq -o APT::Sandbox::User=root download "$1" 2>"$dir/apt.log" >&2)
}

# fetch PACKAGE [PATTERN...]: unpack it, or what matches, under DIR/pkg once
fetch() {
	[ ! -e "$dir/pkg/.$1" ] || return 0
	rm -f "$dir/deb/$1"_*.deb
	# lists grow stale: packages of yesterday are no longer where they say
	download "$1" || { [ "$(id -u)" = 0 ] && apt-get update -qq >/dev/null 2>&1 && download "$1"; } ||
		die "cannot download $1 ($(tail -n 1 "$dir/apt.log")); check the network, run \`apt-get update\` as root, or remove $dir to start afresh"
	package=$1
	shift
	# tar complains of patterns that match nothing: what is needed is looked for by its user
	if [ $# = 0 ]; then
		dpkg -x "$dir/deb/$package"_*.deb "$dir/pkg" || die "cannot unpack $package; is the disk full?"
	else
		dpkg --fsys-tarfile "$dir/deb/$package"_*.deb |
			tar -x -C "$dir/pkg" --wildcards "$@" 2>"$dir/tar.log" || true
		! grep -q 'Cannot write\|No space' "$dir/tar.log" || die "cannot unpack $package; is the disk full?"
	fi
	rm -f "$dir/deb/$package"_*.deb
	touch "$dir/pkg/.$package"
}

# depends PACKAGE PATTERN: the first dependency that matches
depends() {
	apt-cache depends "$1" 2>/dev/null | sed -n "s/.*Depends: \($2\)\$/\1/p" | head -n 1
}

release() {
	command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
		die "needs apt-get and dpkg to fetch Debian's kernel; on other systems use --accel kvm"
	if [ -e "$dir/release" ]; then
		cat "$dir/release"
		return
	fi
	package=$(depends linux-image-amd64 'linux-image-.*-amd64')
	if [ -z "$package" ] && [ "$(id -u)" = 0 ]; then
		apt-get update -qq >/dev/null 2>&1 || true
		package=$(depends linux-image-amd64 'linux-image-.*-amd64')
	fi
	[ -n "$package" ] || die "apt knows no linux-image-amd64; run \`apt-get update\` as root, then try again"
	echo "${package#linux-image-}" >"$dir/release"
	cat "$dir/release"
}

# number OFFSET: a little-endian 32-bit number of the kernel's setup header
number() {
	od -An -tu4 -j"$1" -N4 "$bzimage" | tr -d ' '
}

# The bzImage carries the ELF kernel as an xz stream with its length behind it (Linux,
# Documentation/x86/boot.rst: setup_sects 0x1f1, payload_offset 0x248, payload_length 0x24c).
extract_vmlinux() {
	bzimage=$dir/pkg/boot/vmlinuz-$1
	sectors=$(od -An -tu1 -j497 -N1 "$bzimage" | tr -d ' ')
	start=$(((sectors + 1) * 512 + $(number 584)))
	tail -c +$((start + 1)) "$bzimage" | head -c $(($(number 588) - 4)) | xz -dc >"$dir/vmlinux.new" ||
		die "the kernel in linux-image-$1 is not packed as expected (xz)"
	mv "$dir/vmlinux.new" "$dir/vmlinux"
}

image() {
	init=$1
	rel=$(release)
	set -- '*/vmlinuz-*' '*/modules.builtin'
	for m in $kvm $share $guest brd; do
		set -- "$@" "*/$m.ko"
	done
	fetch "linux-image-$rel" "$@"
	# A folder filled before these were wanted; the lab goes without them.
	if [ -z "$(find "$dir/pkg/lib/modules/$rel" -name virtio-rng.ko)" ]; then
		rm -f "$dir/pkg/.linux-image-$rel"
		(fetch "linux-image-$rel" "$@") || touch "$dir/pkg/.linux-image-$rel"
	fi
	[ -e "$dir/pkg/boot/vmlinuz-$rel" ] || die "cannot unpack linux-image-$rel ($(tail -n 1 "$dir/tar.log"))"
	[ -e "$dir/vmlinux" ] || extract_vmlinux "$rel"
	rm -rf "$dir/root"
	mkdir -p "$dir/root/lib/modules"
	cp "$init" "$dir/root/init"
	for m in $kvm -- $share; do
		if [ "$m" = -- ]; then
			echo -- >>"$dir/root/modules"
			continue
		fi
		file=$(find "$dir/pkg/lib/modules/$rel/kernel" -name "$m.ko" | head -n 1)
		# built into this kernel
		if [ -z "$file" ]; then
			grep -q "/$m\.ko\$" "$dir/pkg/lib/modules/$rel/modules.builtin" ||
				die "linux-image-$rel has no module $m"
			continue
		fi
		cp "$file" "$dir/root/lib/modules/"
		strip --strip-debug "$dir/root/lib/modules/$m.ko"
		echo "$m.ko" >>"$dir/root/modules"
	done
	(cd "$dir/root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) >"$dir/initrd.new" ||
		die "cpio failed"
	rm -rf "$dir/root"
	mv "$dir/initrd.new" "$dir/initrd"
}

# A module for that kernel, out of its tree: Debian's header packages name each other by absolute
# paths, which are turned to where they lie here.
bench() {
	source=$1
	rel=$(release)
	headers=linux-headers-$rel
	common=linux-headers-${rel%-amd64}-common
	fetch "$headers"
	fetch "$common"
	kbuild=$(depends "$headers" 'linux-kbuild-.*')
	[ -n "$kbuild" ] || kbuild=linux-kbuild-${rel%.*-*-*}
	fetch "$kbuild"
	tree=$dir/pkg/usr/src/$headers
	sed -i "s,[^ ]*/usr/src/$common,$dir/pkg/usr/src/$common,g" "$tree/Makefile"
	rm -rf "$dir/module"
	mkdir "$dir/module"
	cp "$source" "$dir/module/mmvm_bench.c"
	echo "obj-m := mmvm_bench.o" >"$dir/module/Makefile"
	MAKEFLAGS= make -s -C "$tree" M="$dir/module" CC=gcc modules >"$dir/module.log" 2>&1 ||
		die "the Linux module does not build; see $dir/module.log"
	strip --strip-debug "$dir/module/mmvm_bench.ko"
	cp "$dir/pkg/lib/modules/$rel/kernel/drivers/block/brd.ko" "$dir/brd.ko" ||
		die "linux-image-$rel has no RAM disk module (brd)"
	strip --strip-debug "$dir/brd.ko"
	mv "$dir/module/mmvm_bench.ko" "$dir/mmvm_bench.ko"
	rm -rf "$dir/module"
}

[ $# = 3 ] || die "usage: lab.sh image DIR INIT | lab.sh bench DIR SOURCE"
action=$1
mkdir -p "$2/deb" "$2/pkg"
dir=$(cd "$2" && pwd)
case $action in
image) image "$3" ;;
bench) bench "$3" ;;
*) die "no such action: $action" ;;
esac
