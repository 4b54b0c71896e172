#!/bin/sh
# Pressure (PSI). user/libc/pressure.c prints the files' form, errors of triggers, and triggers that fire, unchanged on
# Debian's Linux 6.1 (as a guest) and on guestmm: the transcripts must be equal. Then programs stall for memory, the disk
# and the CPU; what /proc/pressure says each time it is read must be, to the last digit, what the host adds up from the
# trace.    pressure.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=pressure
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
busybox=$(command -v busybox)
LIMIT=400

transcript() { tr -d '\r' <"$1" | sed -n '/^== pressure$/,/^== end$/p' | grep -v '^\[ *[0-9]*\.[0-9]*\]'; }

mkdir -p "$dir/root/bin"
cp "$busybox" "$dir/root/bin/busybox"
cp "$B/user/pressure.musl" "$dir/root/bin/pressure"
cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc
/bin/busybox mount -t proc proc /proc
/bin/pressure
/bin/busybox poweroff -f
END
chmod +x "$dir/root/init"
pack "$dir/root" "$dir/initrd"

run run --accel lab --memory 128M --kernel "$kernel" --initrd "$dir/initrd" --append "quiet psi=1"
transcript "$dir/out" >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 35
run run --accel lab --exec "$B/user/pressure.musl"
transcript "$dir/out" >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"

for cpus in 2; do # with one CPU the trace takes minutes
	# A busy host may read the trace too slowly, and says that some was dropped: once more.
	for _ in 1 2; do
		run run --accel lab --cpus $cpus --memory 12M --swap 32M --trace "$dir/t" --trace-limit 4G \
			--exec "$B/user/pressure.musl" stall 13
		ran=$status
		tr -d '\r' <"$dir/out" | sed -n 's/^reading //p; /^some /p; /^full /p' >"$dir/said"
		run trace "$dir/t" --format pressure
		sed 's/ at [0-9]* ns$//' "$dir/out" >"$dir/added"
		rm -f "$dir/t"
		grep -q dropped "$dir/added" || break
	done
	ok "$cpus CPUs: programs that stall" [ "$ran" = 0 ]
	ok "readings of two lines each" [ "$(grep -c '^some' "$dir/said")" -ge 18 ]
	ok "the host adds up the same, to the last digit" cmp "$dir/said" "$dir/added"
	ok "there was pressure: io" sh -c "grep -A1 '^io' '$dir/said' | grep -q 'some .*total=[1-9]'"
	for what in memory cpu; do
		ok "there was pressure: $what" sh -c "grep -A1 '^$what' '$dir/said' | grep -Eq 'some avg10=([1-9]|0.0[1-9]|0.[1-9])'"
	done
done
ok "no state is impossible" sh -c "! grep -q 'impossible\|dropped' '$dir/added'"
finish
