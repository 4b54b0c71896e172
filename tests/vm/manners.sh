#!/bin/sh
# How mmvm treats files, terminals and signals: outputs never destroy what is read, FIFOs keep nobody waiting, names
# cannot drive a terminal, every signal that ends a run ends it in order.    manners.sh BUILD    exit 0 passed, 1 failed
set -u
B=$1
name=manners
. "$(dirname "$0")/lib.inc"

# ---- outputs and inputs: whatever name leads to the file
kernel=$dir/kernel
cp "$B/images/guestmm.elf" "$kernel"
ln "$kernel" "$dir/hard"
ln -s kernel "$dir/soft"
truncate -s 1M "$dir/disk"
sum=$(cat "$kernel" "$dir/disk" | cksum)
for option in --json --trace --stacks; do
	for other in kernel hard soft ../"$(basename "$dir")"/kernel; do
		run run --kernel "$kernel" $option "$dir/$other" --exec hello
		ok "$option onto the kernel, as $(basename "$(dirname "$other")")/$(basename "$other")" is 2 "would overwrite --kernel"
	done
	run run $option "$dir/disk" --disk "$dir/disk" --exec hello
	ok "$option onto a disk" is 2 "would overwrite --disk"
	run run $option "$dir/disk" --swap "$dir/disk" --exec hello
	ok "$option onto the swap file" is 2 "would overwrite --swap"
done
run run --json "$dir/new" --trace "$dir/../$(basename "$dir")/new" --exec hello
ok "two outputs, one new file" is 2 "would overwrite --trace"
cp "$dir/kernel" "$dir/guest.kallsyms"
run run --perf-symbols "$dir" --kernel "$dir/guest.kallsyms" --exec hello
ok "symbols onto the kernel" is 2 "would overwrite --kernel"
ok "nothing was touched" [ "$sum" = "$(cat "$kernel" "$dir/disk" | cksum)" ]
echo '{}' >"$dir/r.json"
ln "$dir/r.json" "$dir/r2.json"
run report "$dir/r.json" -o "$dir/r2.json"
ok "report onto its input by another name" is 2 "would overwrite"
run report "$dir/r.json" -o "$dir/x" --csv "$dir/x"
ok "two outputs of a report" is 2 "would overwrite"
run report "$dir/r.json" -o "$dir/r3" --bench "$dir/r3"
ok "report onto what it reads beside the run" [ "$status" = 2 ]
# The rule comes from the option tables, so every command has it, before it reads anything.
onto() { # onto TEXT ARGS...: refused, and the file is what it was
	text=$1
	shift
	echo '{"schema": 1}' >"$dir/in"
	run "$@"
	ok "$text" is 2 "would overwrite"
	ok "$text: untouched" grep -q schema "$dir/in"
}
ln "$dir/in" "$dir/in2" 2>/dev/null || { : >"$dir/in" && ln "$dir/in" "$dir/in2"; }
onto "trace onto its input" trace "$dir/in" -o "$dir/in2"
onto "a policy's plot onto the trace" policy "$dir/in" --plot "$dir/in2"
for option in -o --csv --openmetrics --json; do
	onto "report $option onto its input" report "$dir/in" $option "$dir/in2"
done
onto "a bench's result onto the baseline" bench --baseline "$dir/in" --json "$dir/in2"
onto "a bench's costs onto its result" bench --save "$dir/in" --json "$dir/in2"
run bench --baseline "$dir/in" --save "$dir/in" --only none
ok "costs may replace the baseline" is 2 "matches no row"

# ---- FIFOs with nobody at the other end
mkfifo "$dir/fifo"
LIMIT=20
run run --kernel "$dir/fifo" --exec hello
ok "a FIFO as kernel" [ "$status" = 2 ]
run run --initrd "$dir/fifo" --exec hello
ok "a FIFO as initrd" [ "$status" = 2 ]
run run --exec "$dir/fifo"
ok "a FIFO as program" [ "$status" = 2 ]
run run --disk "$dir/fifo" --exec hello
ok "a FIFO as disk" [ "$status" = 2 ]
run report "$dir/fifo"
ok "a FIFO as a run" [ "$status" = 2 ]
run compare "$dir/fifo" "$dir/fifo"
ok "a FIFO as two runs" [ "$status" = 2 ]
run page "$dir/fifo"
ok "a FIFO as a trace" [ "$status" = 2 ]
run bench --baseline "$dir/fifo"
ok "a FIFO as baseline" [ "$status" = 2 ]
mkdir -p "$dir/rt/mmvm"
mkfifo "$dir/rt/mmvm/7.status"
XDG_RUNTIME_DIR=$dir/rt run top --list
ok "a FIFO among the runs" [ "$status" != 124 ]
rm -rf "$dir/rt"

# ---- names that are more than names
bad=$(printf 'a\033]0;title\007\033[2Jb')
clean() { ! grep -q "$(printf '[\001-\010\013-\037\177]')" "$dir/err" "$dir/out"; }
for how in "run --kernel $dir/$bad" "run --exec $dir/$bad" "run --disk $dir/$bad" "run --$bad" "report $dir/$bad" \
	"page $dir/$bad" "test --kernel $dir/$bad" "$bad" "lab --$bad"; do
	# shellcheck disable=SC2086
	run $how
	ok "a name that would drive a terminal is cleaned: ${how%% *}" sh -c "[ '$status' = 2 ]"
	ok "and not a byte of it gets through: ${how%% *}" clean
done

# ---- signals
LIMIT=200
if have_kvm; then accel=kvm; elif have_lab; then accel=lab; else finish; fi
place --accel $accel
XDG_RUNTIME_DIR=$dir/rt
export XDG_RUNTIME_DIR
mkdir "$dir/rt" "$dir/tmp"
for s in HUP:129 QUIT:131 INT:130 TERM:143; do
	: >"$dir/out" # what the run before said is not this one's
	TMPDIR=$dir/tmp "$mmvm" run --accel $accel --json "$dir/s.json" --exec swapstress --passes 500 >"$dir/out" 2>"$dir/err" &
	p=$!
	await $p said "up:"
	kill "-${s%:*}" $p
	wait $p
	status=$?
	ok "SIG${s%:*} ends a run" [ "$status" = "${s#*:}" ]
	ok "SIG${s%:*}: nothing is left for mmvm top" [ -z "$(ls -A "$dir/rt/mmvm" 2>/dev/null)" ]
	ok "SIG${s%:*}: nor in the folder for temporary files" empty "$dir/tmp"
	[ $accel = lab ] || ok "SIG${s%:*}: the result is whole" grep -q '"reports"' "$dir/s.json"
	rm -f "$dir/s.json"
done
# A reader who has seen enough.
(
	"$mmvm" run --accel $accel --swap 0 --json "$dir/s.json" --exec spew 2>"$dir/err"
	echo $? >"$dir/status"
) | head -n 3 >/dev/null
status=$(cat "$dir/status")
ok "SIGPIPE ends a run" [ "$status" = 141 ]
ok "SIGPIPE: nothing is left for mmvm top" [ -z "$(ls -A "$dir/rt/mmvm" 2>/dev/null)" ]
# It begins with the signal ignored, and gets it until it has ended.
trap '' HUP
"$mmvm" run --accel $accel --exec hello >"$dir/out" 2>"$dir/err" &
p=$!
trap - HUP
while kill -HUP $p 2>/dev/null; do sleep 0.1; done
wait $p
status=$?
ok "under nohup SIGHUP ends nothing" [ "$status" = 0 ]

# ---- mmvm top and its terminal
"$mmvm" run --accel $accel --sample 100 --exec swapstress --passes 500 >"$dir/out" 2>"$dir/err" &
vm=$!
await $vm said "up:"
ok "top: the terminal is as before after every signal, and while it is stopped" python3 - "$mmvm" <<'END'
import os, pty, signal, sys, termios, time
def until(what):
    while not what():  # tests/run ends a script in which nothing moves
        time.sleep(0.05)
for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if not pid:
        os.setsid()
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.execv(sys.argv[1], [sys.argv[1], "top", "--interval", "100"])
    os.set_blocking(master, False)
    seen = b""
    def read():
        global seen
        try:
            seen += os.read(master, 65536)
        except BlockingIOError:
            pass
        return seen
    until(lambda: b"mmvm top: process" in read())
    assert termios.tcgetattr(slave)[3] != before[3], sig
    os.kill(pid, sig)
    if sig == signal.SIGTSTP:
        until(lambda: read() and os.waitpid(pid, os.WUNTRACED | os.WNOHANG)[0] == pid)
        assert termios.tcgetattr(slave) == before, "stopped"
        seen = b""
        os.kill(pid, signal.SIGCONT)
        until(lambda: b"mmvm top: process" in read())
        assert termios.tcgetattr(slave)[3] != before[3], "goes on"
        os.kill(pid, signal.SIGTERM)
    until(lambda: read() is not None and os.waitpid(pid, os.WNOHANG)[0] == pid)
    assert termios.tcgetattr(slave) == before, sig
    assert read().endswith(b"\033[?25h\033[?1049l"), sig
    os.close(master)
    os.close(slave)
END
kill $vm
wait $vm 2>/dev/null

# ---- swap checks compare what the guest calls swapping
busybox=$(command -v busybox) && ! ldd "$busybox" >/dev/null 2>&1 || finish
for command in 'swapoff /dev/vda && swapon /dev/vda' 'dd if=/dev/vda of=/dev/null bs=4k count=5'; do
	run run --accel $accel --sample 0 --dirty none --exec "$busybox" sh -c "$command"
	ok "other reads of the swap disk are no difference: ${command%% *}" [ "$status" = 0 ]
	ok "and both rows are there: ${command%% *}" [ "$(grep -c '  equal ' "$dir/out")" = 2 ]
done

# ---- the command that was typed
if have_lab; then
	run run --accel lab --sample 0 --json "$dir/typed.json" --trace "$dir/typed.trace" --exec hello
	ok "in the lab: the report shows what was typed" grep -q "\"command\": \"$mmvm run --accel lab --sample 0" "$dir/typed.json"
	run page "$dir/typed.trace" --list 1
	ok "in the lab: so does the trace" sh -c "grep -q -- '--accel lab' '$dir/out'"
fi
finish
