#!/bin/sh
# Build the lab's image in a folder, installing nothing on this system:
#
#   lab.sh image DIR INIT   DIR/vmlinux   Debian's kernel, uncompressed: it starts seconds sooner
#                           DIR/initrd    INIT (the compiled lab_init.c) and the modules needed
#   lab.sh bench DIR SRC    DIR/mmvm_bench.ko   SRC (linux_bench.c) built for that kernel
#                           DIR/brd.ko    its RAM disk, to swap to
#   lab.sh linux DIR KERNEL INIT SRC   both, for another kernel, in a folder below DIR whose name is the only
#                           line of output. KERNEL is the beginning of a release (6.12), of which the newest is
#                           taken that is installed or that apt knows, or a file (it has a /): a bzImage or an
#                           ELF vmlinux with its modules in ../lib/modules of it or in /lib/modules
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
# For a Linux guest in the lab, and for KVM on an emulated Intel processor: unpacked only (tests/vm/lab_linux.sh,
# balloon.sh, pmem.sh, vmx.sh)
guest="kvm-intel virtio_mmio virtio_blk virtio_balloon virtio-rng virtio_console libnvdimm nd_virtio virtio_pmem nd_btt nd_pmem
	crc16 crc32c_generic mbcache jbd2 ext4"
# What some kernels do not have as a module of its own
optional="fscache virtio_pci_legacy_dev virtio_pci_modern_dev"

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

# payload: where what the bzImage has packed begins
payload() {
	echo $((($(od -An -tu1 -j497 -N1 "$bzimage" | tr -d ' ') + 1) * 512 + $(number 584)))
}

# The bzImage carries the ELF kernel as an xz stream with its length behind it (Linux,
# Documentation/x86/boot.rst: setup_sects 0x1f1, payload_offset 0x248, payload_length 0x24c).
# One that is packed differently (or is no bzImage) is used as it is, which costs seconds at the start.
extract_vmlinux() {
	bzimage=$2
	if [ "$(tail -c +515 "$bzimage" | head -c 4)" != HdrS ] ||
		[ "$(tail -c +$(($(payload) + 1)) "$bzimage" | head -c 6 | od -An -tx1 | tr -d ' ')" != fd377a585a00 ]; then
		cp "$bzimage" "$dir/vmlinux.new"
		mv "$dir/vmlinux.new" "$dir/vmlinux"
		return
	fi
	start=$(payload)
	tail -c +$((start + 1)) "$bzimage" | head -c $(($(number 588) - 4)) | xz -dc >"$dir/vmlinux.new" ||
		die "the kernel in linux-image-$1 is not packed as expected (xz)"
	mv "$dir/vmlinux.new" "$dir/vmlinux"
}

# unpack_image RELEASE: Debian's kernel and the modules that are needed, under DIR/pkg
unpack_image() {
	rel=$1
	set -- '*/vmlinuz-*' '*/modules.builtin'
	for m in $kvm $share $guest brd; do
		set -- "$@" "*/$m.ko" "*/$m.ko.*"
	done
	fetch "linux-image-$rel" "$@"
	# A folder filled before these were wanted; the lab goes without them. Each is asked for once: not every
	# kernel has it.
	for m in virtio_pmem kvm-intel virtio_console; do
		if [ ! -e "$dir/pkg/.$m-wanted" ] && [ -z "$(find "$dir/pkg/lib/modules/$rel" -name "$m.ko*")" ]; then
			rm -f "$dir/pkg/.linux-image-$rel"
			(fetch "linux-image-$rel" "$@") || touch "$dir/pkg/.linux-image-$rel"
		fi
		touch "$dir/pkg/.$m-wanted"
	done
	[ -e "$dir/pkg/boot/vmlinuz-$rel" ] || die "cannot unpack linux-image-$rel ($(tail -n 1 "$dir/tar.log"))"
}

# take_module FILE TO: a copy without debugging information, unpacked
take_module() {
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*.gz) gzip -dc "$1" >"$2" ;;
	*.zst) zstd -qdc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac || die "cannot unpack $1"
	strip --strip-debug "$2"
}

# find_module NAME: the file in $modules
find_module() {
	find "$modules/kernel" -name "$1.ko" -o -name "$1.ko.*" 2>/dev/null | head -n 1
}

# pack RELEASE INIT: DIR/initrd from INIT and what lies in $modules
pack() {
	rm -rf "$dir/root"
	mkdir -p "$dir/root/lib/modules"
	cp "$2" "$dir/root/init"
	: >"$dir/root/modules"
	for m in $kvm -- $share; do
		if [ "$m" = -- ]; then
			echo -- >>"$dir/root/modules"
			continue
		fi
		file=$(find_module "$m")
		# built into this kernel, or a part of another
		if [ -z "$file" ]; then
			grep -q "/$m\.ko\$" "$modules/modules.builtin" 2>/dev/null ||
				case " $optional " in *" $m "*) true ;; *) false ;; esac ||
				die "Linux $1 has no module $m in $modules"
			continue
		fi
		take_module "$file" "$dir/root/lib/modules/$m.ko"
		echo "$m.ko" >>"$dir/root/modules"
	done
	(cd "$dir/root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 --reproducible) >"$dir/initrd.new" ||
		die "cpio failed"
	rm -rf "$dir/root"
	mv "$dir/initrd.new" "$dir/initrd"
}

image() {
	rel=$(release)
	unpack_image "$rel"
	modules=$dir/pkg/lib/modules/$rel
	[ -e "$dir/vmlinux" ] || extract_vmlinux "$rel" "$dir/pkg/boot/vmlinuz-$rel"
	pack "$rel" "$1"
}

# A module for that kernel, out of its tree: Debian's header packages name each other by absolute
# paths, which are turned to where they lie here. Sets $tree.
unpack_headers() {
	headers=linux-headers-$1
	common=linux-headers-$(echo "$1" | sed 's/-\(\(cloud\|rt\)-\)\?amd64$//')-common
	fetch "$headers"
	fetch "$common"
	kbuild=$(depends "$headers" 'linux-kbuild-.*')
	[ -n "$kbuild" ] || kbuild=linux-kbuild-${1%.*-*-*}
	fetch "$kbuild"
	tree=$dir/pkg/usr/src/$headers
	sed -i "s,[^ ]*/usr/src/$common,$dir/pkg/usr/src/$common,g" "$tree/Makefile"
}

# build_module SOURCE: DIR/mmvm_bench.ko with the headers in $tree, and DIR/brd.ko
build_module() {
	rm -rf "$dir/module"
	mkdir "$dir/module"
	cp "$1" "$dir/module/mmvm_bench.c"
	echo "obj-m := mmvm_bench.o" >"$dir/module/Makefile"
	# Type information needs pahole, and nobody reads it here.
	MAKEFLAGS= make -s -C "$tree" M="$dir/module" CC=gcc CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$dir/module.log" 2>&1 ||
		die "the Linux module does not build; see $dir/module.log"
	strip --strip-debug "$dir/module/mmvm_bench.ko"
	file=$(find_module brd)
	[ -n "$file" ] || die "Linux $rel has no RAM disk module (brd)"
	take_module "$file" "$dir/brd.ko"
	mv "$dir/module/mmvm_bench.ko" "$dir/mmvm_bench.ko"
	rm -rf "$dir/module"
}

bench() {
	rel=$(release)
	unpack_headers "$rel"
	modules=$dir/pkg/lib/modules/$rel
	build_module "$1"
}

# find_release PREFIX: the newest one that begins so and is installed or known to apt
find_release() {
	{
		for f in /boot/vmlinuz-*-amd64; do
			[ ! -e "$f" ] || echo "${f#/boot/vmlinuz-}"
		done
		apt-cache --names-only search '^linux-image-[0-9].*-amd64$' 2>/dev/null | sed 's/^linux-image-\([^ ]*\) .*/\1/'
	} | grep -E '^[0-9]+\.[0-9]+\.[0-9]+[^ ]*-amd64$' | awk -v want="$1" '
		$0 == want || $0 == want "-amd64" { exact = $0 }
		index($0, want) == 1 && substr($0, length(want) + 1, 1) ~ /[.+-]/ && !/-(cloud|rt)-/ { print }
		END { if (exact) print "exact " exact }' | sort -V >"$dir/releases"
	sed -n 's/^exact //p' "$dir/releases" | grep . || tail -n 1 "$dir/releases"
	rm -f "$dir/releases"
}

# file_release FILE: what a bzImage (setup header: kernel_version, 0x20e) or a vmlinux calls itself
file_release() {
	bzimage=$1
	if [ "$(tail -c +515 "$1" | head -c 4)" = HdrS ]; then
		at=$(od -An -tu2 -j526 -N2 "$1" | tr -d ' ')
		tail -c +$((at + 512 + 1)) "$1" | head -c 200 | tr '\0' ' ' | cut -d' ' -f1
	elif [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; then
		strings -n 20 "$1" | sed -n 's/^Linux version \([^ ]*\) .*/\1/p' | head -n 1
	fi
}

# Another kernel: see above.
linux() {
	root=
	case $1 in
	*/*)
		[ -f "$1" ] && [ -r "$1" ] || die "cannot read the kernel $1"
		rel=$(file_release "$1")
		[ -n "$rel" ] || die "$1 is neither a bzImage nor an ELF vmlinux of Linux for x86-64"
		kernel=$(realpath "$1")
		root=$(dirname "$(dirname "$kernel")")
		;;
	*)
		case $1 in '' | *[!A-Za-z0-9.+~-]*) die "$1 is no version of a kernel" ;; esac
		rel=$(find_release "$1")
		[ -n "$rel" ] || die "no Linux $1 is installed, and apt knows no linux-image-$1*-amd64; run \`apt-get update\` as root, or name a file"
		kernel=/boot/vmlinuz-$rel
		;;
	esac
	dir=$dir/$rel
	mkdir -p "$dir/deb" "$dir/pkg"
	if [ ! -r "$kernel" ] || { [ -z "$root" ] && [ ! -d "/lib/modules/$rel" ]; }; then
		unpack_image "$rel"
		kernel=$dir/pkg/boot/vmlinuz-$rel
		root=$dir/pkg
	fi
	modules=$root/lib/modules/$rel
	[ -d "$modules" ] || modules=/lib/modules/$rel
	[ -d "$modules" ] || die "the modules of Linux $rel are neither in $root/lib/modules nor in /lib/modules"
	made="$(stat -Lc '%n %s %Y' "$kernel" "$2" "$3") $(cksum <"$0")"
	if [ "$made" != "$(cat "$dir/made" 2>/dev/null)" ]; then
		rm -f "$dir/made" "$dir/mmvm_bench.ko"
		extract_vmlinux "$rel" "$kernel"
		pack "$rel" "$2"
		tree=/lib/modules/$rel/build
		[ -d "$root/usr/src/linux-headers-$rel" ] && tree=$root/usr/src/linux-headers-$rel
		[ -d "$tree" ] || unpack_headers "$rel"
		build_module "$3"
		echo "$rel" >"$dir/release"
		echo "$made" >"$dir/made"
	fi
	echo "$dir"
}

usage="usage: lab.sh image DIR INIT | lab.sh bench DIR SOURCE | lab.sh linux DIR KERNEL INIT SOURCE"
case $1:$# in
image:3 | bench:3) mkdir -p "$2/deb" "$2/pkg" ;;
linux:5) mkdir -p "$2" ;;
*) die "$usage" ;;
esac
dir=$(cd "$2" && pwd)
action=$1
shift 2
$action "$@"
