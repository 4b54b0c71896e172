#!/bin/sh
# What programs need beside memory, as Linux answers it: user/libc/events.c (epoll, eventfd, timerfd), jobs.c (stopping and
# continuing), creds.c (users, groups, capabilities), pidfds.c (signalfd, pidfd, /proc), remote.c (other processes' memory),
# futexpi.c, sysv.c, splices.c, iocounts.c (/proc/PID/io), sockets.c, cores.c (core dumps) and the like,
# run unchanged on Debian's Linux 6.1 in the lab and on guestmm. The transcripts must be equal.
#    conform_programs.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
name=conform_programs
B=$1
. "$(dirname "$0")/lib.inc"
needs_lab
programs="events jobs restart timers memcalls secrets poison parts xattrs creds pidfds remote procmem futexpi condpi sysv splices iocounts sockets userfault userfault_wp userfault_events cores inotify binds asyncio"

whole() { [ "$(tail -n 1 "$1")" = end ] && [ "$(wc -l <"$1")" -ge "$2" ]; }

for p in $programs; do
	cat <<END
$B/user/$p.musl >$dir/$p.linux
$B/mmvm run --accel kvm --append lockdep --exec $B/user/$p.musl </dev/null >$dir/$p.guest 2>>$dir/err
$B/mmvm run --accel kvm --cpus 2 --exec $B/user/$p.glibc </dev/null >$dir/$p.guest2 2>>$dir/err
END
done >"$dir/inside"
echo "$B/mmvm run --accel kvm --exec $B/user/futexpi.musl exact </dev/null >$dir/exact 2>>$dir/err" >>"$dir/inside"
echo "$B/mmvm run --accel kvm --append lockdep --exec $B/user/userfault_wp.musl unpopulated </dev/null >$dir/unpopulated 2>>$dir/err" >>"$dir/inside"
LIMIT=500 run lab -- sh "$dir/inside"
ok "the lab ran them" [ "$status" = 0 ]
for p in $programs; do
	for w in guest guest2; do
		transcript 1 '^end$' <"$dir/$p.$w" | grep -av '^$' >"$dir/$p.$w.said"
	done
	ok "$p: Linux's transcript is whole" whole "$dir/$p.linux" 15
	ok "$p: guestmm answers as Linux, in its order of locks" diff -a "$dir/$p.guest.said" "$dir/$p.linux"
	ok "$p: with glibc and two CPUs" diff -a "$dir/$p.guest2.said" "$dir/$p.linux"
done
ok "futexpi: a turn is inherited by way of another lock" grep -q "^exactly 20$" "$dir/exact"
# UFFD_FEATURE_WP_UNPOPULATED came with Linux 6.4. This is what Linux 6.18 printed.
cat >"$dir/unpopulated.linux" <<'END'
API 0
protect 0 0
nothing is there: pppppppppppppp--
read 0
then: pppppppppppppp--
what was read: 32 event 12 flags 3 page 0 before 0 answer 0 after 61
what was not: 32 event 12 flags 3 page 1 before 0 answer 0 after 62
given up 0
then: ----pppppppppp--
it is not protected: 0
written by a child: 70
by its parent: 32 event 12 flags 3 page 6 before 0 answer 0 after 71
moved away: 0
no longer 0
then: --.---.p--pppp--
half is nobody's: --.---.---pppp--
both 0 0
copy 0 and another 0 zeroes -17
then: p.pppppp--pppp--
closed: ...---.---------
end
END
transcript 1 '^end$' <"$dir/unpopulated" | grep -av '^$' >"$dir/unpopulated.said"
ok "userfault_wp: private memory without pages is protected as by Linux 6.18" diff -a "$dir/unpopulated.said" "$dir/unpopulated.linux"
# The comparison can fail.
sed 's/^drop/DROP/; s/closed: no more: 0/closed: no more: 1/' "$dir/events.guest.said" >"$dir/wrong"
if diff "$dir/wrong" "$dir/events.linux" >/dev/null; then ok "a difference would be found" false; else ok "a difference would be found" true; fi
finish
