#!/bin/sh
# Files that are not guest kernels, given to `mmvm run` and `mmvm test`: one clear sentence and status 2, whatever
# is wrong with them.    kernels.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=kernels
B=$1
. "$(dirname "$0")/lib.inc"
needs_kvm "$@"

# bad NAME FILE TEXT
bad() {
	run run --accel kvm --kernel "$2" --exec hello
	ok "$1" is 2 "$3"
	ok "$1: one line" [ "$(grep -c . "$dir/err")" = 1 ]
}

: >"$dir/empty"
bad "an empty file" "$dir/empty" "shorter than an ELF header"
bad "a program of this system" /bin/true "not a guest kernel"
bad "a folder" / "not a regular file"
bad "a device" /dev/zero "not a regular file"
bad "no such file" "$dir/none" "cannot open kernel"
head -c 65536 /dev/urandom >"$dir/random"
bad "random bytes" "$dir/random" "not an ELF file"
: >"$dir/secret"
chmod 000 "$dir/secret"
if [ "$(id -u)" != 0 ]; then
	bad "a file that may not be read" "$dir/secret" "cannot open kernel"
fi

# Copies of the real kernel with one thing wrong.
python3 - "$B/images/guestmm.elf" "$dir" <<'END'
import struct, sys
good = open(sys.argv[1], "rb").read()
phoff, shoff = struct.unpack_from("<QQ", good, 32)
phnum = struct.unpack_from("<H", good, 56)[0]
loads = [phoff + 56 * i for i in range(phnum) if struct.unpack_from("<I", good, phoff + 56 * i)[0] == 1]

def variant(name, *changes):
    image = bytearray(good)
    for at, fmt, value in changes:
        struct.pack_into(fmt, image, at, value)
    open(sys.argv[2] + "/" + name, "wb").write(image)

variant("bits32", (4, "<B", 1))
variant("bigend", (5, "<B", 2))
variant("arm", (18, "<H", 183))
variant("shared", (16, "<H", 3))
variant("noheaders", (56, "<H", 0))
variant("farheaders", (32, "<Q", 1 << 40))
variant("entry", (24, "<Q", 0x1234))
variant("low", (loads[0] + 24, "<Q", 0))
variant("high", (loads[0] + 24, "<Q", 1 << 40))
variant("huge", (loads[0] + 40, "<Q", 1 << 60))
variant("offset", (loads[0] + 8, "<Q", (1 << 64) - 4096))
variant("wrap", (loads[0] + 24, "<Q", (1 << 64) - 4096))
note = [phoff + 56 * i for i in range(phnum) if struct.unpack_from("<I", good, phoff + 56 * i)[0] == 4][0]
at = struct.unpack_from("<Q", good, note + 8)[0] + 12
assert good[at:at + 5] == b"mmvm\0"
variant("version", (at + 8, "<I", 99))
variant("noname", (at, "<I", 0))
# Behind the last segment there are only symbols, which a kernel can do without.
end = max(sum(struct.unpack_from("<QxxxxxxxxxxxxxxxxQ", good, p + 8)) for p in loads)
for i in range(1, 8):
    open(sys.argv[2] + "/cut%d" % i, "wb").write(good[:end * i // 8])
END
bad "a 32-bit ELF" "$dir/bits32" "not a 64-bit"
bad "a big-endian ELF" "$dir/bigend" "not a 64-bit little-endian"
bad "an ELF for another CPU" "$dir/arm" "not for x86-64"
bad "a shared object" "$dir/shared" "not a static executable"
bad "no program headers" "$dir/noheaders" "no usable program headers"
bad "program headers outside the file" "$dir/farheaders" "outside the file"
bad "an entry point outside" "$dir/entry" "entry point"
bad "a segment below 1 MiB" "$dir/low" "below 1 MiB"
bad "a segment above RAM" "$dir/high" "larger --memory"
bad "a segment larger than memory" "$dir/huge" "dir\|memory"
bad "a segment outside the file" "$dir/offset" "past the end"
bad "a segment that wraps" "$dir/wrap" "larger --memory"
bad "another contract version" "$dir/version" "contract version 99"
bad "no contract note" "$dir/noname" "no contract note"
status=0
for i in 1 2 3 4 5 6 7; do
	limit 60 "$mmvm" run --accel kvm --kernel "$dir/cut$i" --exec hello >"$dir/out" 2>"$dir/err"
	status=$?
	[ $status = 2 ] && grep -q "mmvm: .*is not a guest kernel" "$dir/err" || break
done
ok "a kernel cut short, at seven lengths" is 2 "is not a guest kernel"
run test --accel kvm --kernel "$dir/bits32"
ok "a 32-bit ELF for mmvm test" is 2 "not an x86-64 ELF file"
run test --accel kvm --kernel "$dir/cut7"
ok "a kernel cut short for mmvm test" is 2 "ELF"
finish
