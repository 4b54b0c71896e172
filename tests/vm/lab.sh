#!/bin/sh
# The lab, from outside: output, status and files as if local; every failure a sentence with status 3;
# nothing left behind however it ends.    lab.sh BUILD    exit 0 passed, 1 failed, 77 cannot run here
set -u
B=$(cd "$1" && pwd) || exit 3
mmvm=${MMVM:-$B/mmvm}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mmvm-lab-test.XXXXXX")
trap 'rm -rf "$dir"' EXIT
passed=0
failed=0

check() { # check NAME COMMAND...: passes when the command does
	name=$1
	shift
	if "$@" >"$dir/said" 2>&1; then
		passed=$((passed + 1))
		echo "ok - lab: $name"
	else
		failed=$((failed + 1))
		echo "not ok - lab: $name"
		tail -n 20 "$dir/said" | sed 's/^#* */# the check: /'
		sed 's/^/# /' "$dir/err" 2>/dev/null | tail -n 5
	fi
}
# lab ARGS...: status in $status, output in $dir/out and $dir/err
lab() {
	"$B/tests/limit" 150 "$mmvm" lab "$@" >"$dir/out" 2>"$dir/err"
	status=$?
}
status_is() { [ "$status" = "$1" ] || { echo "# status $status, expected $1"; false; }; }
says() { grep -q "$1" "$dir/err"; }
# The one child of a process whose command is QEMU
qemu_of() { pgrep -P "$1" qemu-system || true; }
# Gone, or dead and only waiting for init to take notice
gone() {
	for _ in $(seq 300); do
		case $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) in
		'' | Z | X) return 0 ;;
		esac
		sleep 0.2
	done
	false
}

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "# skipped: qemu-system-x86_64 is not installed"
	exit 77
fi
if [ ! -e "$B/lab/initrd" ]; then
	echo "# skipped: the lab's image is not built (make lab-image)"
	exit 77
fi

lab -- sh -c 'echo out; echo err >&2; [ -c /dev/kvm ] && exit 7'
check "exit status comes back" status_is 7
check "stdout alone" [ "$(cat "$dir/out")" = out ]
check "stderr alone" [ "$(cat "$dir/err")" = err ]

lab -- sh -c 'kill -SEGV $$'
check "death by a signal is 128 + its number" status_is 139

"$B/tests/limit" 20 "$mmvm" lab -- true
status=$?
check "a trivial run takes under 20 s of own time" status_is 0

lab -- no-such-command
check "a command that is not there is 127" status_is 127

head -c 1000000 /dev/urandom >"$dir/random"
(cd "$dir" && lab -- sh -c 'cat random; cp random copied')
check "a megabyte comes out byte for byte" cmp -s "$dir/random" "$dir/out"
check "files are shared, the folder is ours" cmp -s "$dir/random" "$dir/copied"

MMVM_TESTED=yes lab -- sh -c 'echo $MMVM_TESTED $MMVM_LAB_INSIDE $TMPDIR'
check "environment" [ "$(cat "$dir/out")" = "yes svm /dev/shm" ]

lab -- sh -c 'echo $#' sh $(seq 3000)
check "three thousand arguments" [ "$(cat "$dir/out")" = 3000 ]

# ---- what it sees of this machine: what the system needs, to read; the folders that are named
other=$(mktemp -d /var/tmp/mmvm-lab-other.XXXXXX)
echo secret >"$other/file"
(cd "$dir" && lab -- sh -c "cat $other/file; touch /etc/mmvm-was-here /usr/mmvm-was-here; echo new >made; echo end")
check "a folder that nobody named is not there" sh -c '! grep -q secret "$1" && grep -q end "$1"' sh "$dir/out"
check "the system can only be read" sh -c '[ "$(grep -c "Read-only file system" "$1")" = 2 ]' sh "$dir/err"
check "the working folder can be written" grep -q new "$dir/made"
(cd "$dir" && lab -- cat "$other/file")
check "a file that is named is there" grep -q secret "$dir/out"
rm -rf "$other"

# ---- output: every byte arrives, whoever reads and however slowly
check "a non-blocking pipe and a slow reader: every byte" python3 - "$mmvm" <<'END'
import fcntl, os, subprocess, sys, time
r, w = os.pipe()
fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
fcntl.fcntl(w, 1031, 4096)
p = subprocess.Popen([sys.argv[1], "lab", "--", "seq", "1", "60000"], stdout=w)
os.close(w)
data = b""
while True:
    piece = os.read(r, 4096)
    if not piece:
        break
    data += piece
    time.sleep(0.002)
assert p.wait() == 0
assert data == b"".join(b"%d\n" % i for i in range(1, 60001)), len(data)
END
# stalled WHAT STATUS COMMAND...: the reader reads nothing; WHAT ends the command: a signal's number, or 0
stalled() {
	python3 - "$@" <<'END'
import os, select, signal, subprocess, sys, time
what, status, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
r, w = os.pipe()
p = subprocess.Popen(command, stdout=w, stderr=subprocess.DEVNULL)
# Full is what poll says. A count of bytes does not tell: a page of the pipe that no further write fits into stays part empty.
full = lambda: not select.select([], [w], [], 0)[1]
end = time.time() + 600
while time.time() < end and p.poll() is None and not full():
    time.sleep(0.2)
if what:
    assert full()
    time.sleep(3)
    p.send_signal(what)
got = p.wait(timeout=300)
assert got in (status, status - 256 if status > 128 else status), got
END
}
check "nobody reads: SIGTERM ends it" stalled 15 143 "$mmvm" lab -- yes
check "nobody reads: the time limit ends it" stalled 0 124 "$mmvm" run --accel lab --swap 0 --sample 0 --timeout 20 \
	--exec "$B/user/spew"

echo before >"$dir/changed"
echo victim >"$dir/victim"
ln -s victim "$dir/changed.lab"
lab --icount -- /bin/sh -c ': >>"$1"; echo after >"$1"; echo new >"$2"' sh "$dir/changed" "$dir/new"
check "sealed run" status_is 0
check "sealed: a changed file comes back" grep -q after "$dir/changed"
check "sealed: a new file comes back" grep -q new "$dir/new"
check "sealed: a link that somebody laid is not followed" grep -qx victim "$dir/victim"
check "sealed: nothing else is left" [ "$(ls "$dir" | grep -c '\.lab')" = 1 ]

lab --icount -- "$B/user/bench_mem"
mv "$dir/out" "$dir/first"
lab --icount -- "$B/user/bench_mem"
check "icount: there are counts" grep -q '^bench anon_fault [1-9]' "$dir/first"
check "icount: two runs count the same" cmp -s "$dir/first" "$dir/out"

# Threads on two CPUs that wait for each other. It ends with an error after these rows: the lab has no RAM disk.
lab --icount --cpus 2 -- "$B/user/bench_smp" 2
check "icount, several CPUs: they take turns" grep -q '^bench fault_2cpu [1-9]' "$dir/out"

# The whole report, exits and times and all: everything in it is counted, nothing is timed.
for run in first second; do
	rm -f "$dir/result.json"
	(cd "$dir" && "$B/tests/limit" 150 "$mmvm" run --icount --memory 16M,high=4M --swap 32M \
		--json result.json >$run.txt 2>err)
	status=$?
	check "icount: $run run of a swapping guest" status_is 0
done
check "icount: two runs of a swapping guest are the same" cmp -s "$dir/first.txt" "$dir/second.txt"
check "icount: the JSON file comes back" grep -q '"schema"' "$dir/result.json"

# ---- disks are locked outside, where locks count
truncate -s 1M "$dir/disk"
"$mmvm" run --accel lab --swap 0 --sample 0 --disk "$dir/disk" --exec /bin/busybox sleep 300 >/dev/null 2>&1 &
pid=$!
until [ -n "$(qemu_of $pid)" ] || ! kill -0 $pid; do sleep 0.1; done
"$mmvm" run --accel lab --swap 0 --disk "$dir/disk" --exec hello >"$dir/out" 2>"$dir/err"
status=$?
check "a disk that another machine in the lab has: status 2" status_is 2
check "a disk that another machine in the lab has: said" says 'in use by another machine'
kill $pid
wait $pid 2>/dev/null
"$mmvm" run --accel lab --swap 0 --disk /dev/null --exec hello >"$dir/out" 2>"$dir/err"
status=$?
check "a device that is no disk" status_is 2

lab -- sh -c 'echo c >/proc/sysrq-trigger; sleep 60'
check "kernel crash: status 3" status_is 3
check "kernel crash: a sentence" says '^mmvm: the lab.s kernel crashed'

(
	PATH=/nonexistent
	"$mmvm" lab -- true >"$dir/out" 2>"$dir/err"
)
status=$?
check "no QEMU: status 3" status_is 3
check "no QEMU: says the package" says 'package qemu-system-x86'
MMVM_LAB=$dir lab -- true
check "no image: status 3" status_is 3
check "no image: says what to do" says 'make lab-image'
cp "$B/lab/vmlinux" "$B/lab/initrd" "$dir"
truncate -s 100000 "$dir/vmlinux"
MMVM_LAB=$dir lab -- true
check "broken kernel image: status 3" status_is 3
check "broken kernel image: a sentence" says '^mmvm: '
rm -f "$dir/vmlinux" "$dir/initrd"
lab
check "no command: usage" status_is 2

for signal in 15 9; do
	sandbox=
	"$mmvm" lab -- sleep 10000 >"$dir/out" 2>"$dir/err" &
	pid=$!
	# It is there, and then in its sandbox, as soon as it can.
	until [ "${sandbox:=0}" = 2 ] || ! kill -0 $pid; do
		sleep 0.2
		qemu=$(qemu_of $pid)
		[ -z "$qemu" ] || sandbox=$(sed -n 's/^Seccomp:[^0-9]*//p' "/proc/$qemu/status")
	done
	kill -s $(kill -l $signal) $pid
	wait $pid 2>/dev/null
	status=$?
	check "signal $signal: status" status_is $((128 + signal))
	check "signal $signal: QEMU was there" [ -n "$qemu" ]
	[ "$signal" = 9 ] || check "QEMU was in its sandbox" [ "$sandbox" = 2 ]
	check "signal $signal: QEMU is gone" gone "${qemu:-1}"
done

echo "# lab: $passed passed, $failed failed"
[ $failed = 0 ]
