#!/bin/sh
# Pressure (PSI). user/libc/pressure.c prints the files' form, errors of triggers, triggers that fire, and the same of
# groups without a controller, unchanged on Debian's Linux 6.1 (as a guest) and on guestmm: the transcripts must be equal. Then programs stall for memory, the disk
# and the CPU; what /proc/pressure says each time it is read must be, to the last digit, what the host adds up from the
# trace.    pressure.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=pressure
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
LIMIT=400

cases() { tr -d '\r' <"$dir/out" | transcript '/^== pressure$/' '^== end$'; }

linux_initrd pressure <<END
/bin/pressure
END
linux_guest --memory 128M --append "quiet psi=1"
cases >"$dir/linux"
ok "Linux: all cases" lines "$dir/linux" 75
run run --accel lab --exec "$B/user/pressure.musl"
cases >"$dir/guest"
ok "guestmm: the program ends well" [ "$status" = 0 ]
ok "guestmm answers as Linux" same "$dir/guest" "$dir/linux"

# A busy host may read the trace too slowly, and says that some was dropped: once more. (With one CPU the trace takes
# minutes.)
for _ in 1 2; do
	run run --accel lab --cpus 2 --memory 12M --swap 32M --trace "$dir/t" --trace-limit 4G \
		--exec "$B/user/pressure.musl" stall 13
	ran=$status
	tr -d '\r' <"$dir/out" | sed -n 's/^reading //p; /^some /p; /^full /p' >"$dir/said"
	run trace "$dir/t" --format pressure
	sed 's/ at [0-9]* ns$//' "$dir/out" >"$dir/added"
	rm -f "$dir/t"
	grep -q dropped "$dir/added" || break
done
ok "2 CPUs: programs that stall" [ "$ran" = 0 ]
ok "readings of two lines each" [ "$(grep -c '^some' "$dir/said")" -ge 18 ]
ok "the host adds up the same, to the last digit" cmp "$dir/said" "$dir/added"
ok "there was pressure: io" sh -c "grep -A1 '^io' '$dir/said' | grep -q 'some .*total=[1-9]'"
for what in memory cpu; do
	ok "there was pressure: $what" sh -c "grep -A1 '^$what' '$dir/said' | grep -Eq 'some avg10=([1-9]|0.0[1-9]|0.[1-9])'"
done
ok "no state is impossible" sh -c "! grep -q 'impossible\|dropped' '$dir/added'"
finish
