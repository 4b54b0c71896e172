#!/bin/sh
# mmvm top from outside: a run's status file, found, read, taken for stale when its owner is gone; frames as lines and
# on a terminal of a given size, which is as before afterwards.    top.sh BUILD    exit 0 passed, 1 failed, 77 cannot
set -u
B=$1
name=top
. "$(dirname "$0")/lib.inc"

needs_kvm "$@"
accel=kvm
XDG_RUNTIME_DIR=$dir/rt
export XDG_RUNTIME_DIR
mkdir "$XDG_RUNTIME_DIR"
files=$XDG_RUNTIME_DIR/mmvm

run top --once
ok "nothing runs" is 1 "nothing is running"
run top 1
ok "no run of that number" is 1 "process 1 is no run"
run top --interval 1
ok "an interval too short" is 2 "number from 10"

"$mmvm" run --accel $accel --memory 24M --sample 100 --exec swapstress --passes 1000 \
	>"$dir/run.out" 2>"$dir/run.err" &
vm=$!
# The first frame comes with the first sample; one with rates needs two.
full_frame() { run top --once && said '^  total +[1-9]' && said '^  pio_out +[0-9]+ +[1-9]'; }
await $vm [ -e "$files/$vm.status" ]
ok "a run says where it is" [ -e "$files/$vm.status" ]
ok "one frame" await $vm full_frame
ok "of that run" said "^mmvm top: process $vm, .* 1 CPU, 24 MiB"
ok "with its memory" said '^  total +[1-9][0-9]*  free +[0-9]+  anon +[0-9]+'
ok "its zones" said '^  DMA +[1-9][0-9]* '
ok "its rates" said '^  faults +[0-9]+  major'
ok "its disk" said '^  disk swap +reads'
ok "and its exits" said '^  pio_out +[0-9]+ +[1-9][0-9]* +[0-9.]+ %'
ok "no escape sequences in a file" sh -c "! grep -q '$(printf '\033')' '$dir/out'"
run top --list
ok "it is listed" said "^ +$vm +[0-9.]+ s  .*swapstress"
"$mmvm" top "$vm" --interval 200 >"$dir/out" 2>"$dir/err" &
top=$!
frames() { [ "$(grep -c '^mmvm top: process' "$dir/out")" -ge "$1" ]; }
ok "frame after frame" await $top frames 3
kill $top
wait $top 2>/dev/null
if command -v python3 >/dev/null; then
	ok "a terminal of 40 by 12: cut to it, and as before after q" limit 60 python3 - "$mmvm" <<-'PY'
		import fcntl, os, pty, re, struct, sys, termios
		go, sized = os.pipe()
		pid, fd = pty.fork()
		if not pid:
		    os.read(go, 1)
		    os.execv(sys.argv[1], [sys.argv[1], "top", "--interval", "100"])
		fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 40, 0, 0))
		before = termios.tcgetattr(fd)
		os.write(sized, b".")
		out, asked = b"", False
		while True:
		    try:
		        data = os.read(fd, 65536)
		    except OSError:
		        break
		    out += data
		    if not asked and out.count(b"mmvm top: process") >= 3:
		        assert not termios.tcgetattr(fd)[3] & termios.ECHO
		        after_keys = os.write(fd, b"q")
		        asked = True
		    if out.endswith(b"\033[?25h\033[?1049l"):
		        assert termios.tcgetattr(fd)[3] == before[3]
		status = os.waitpid(pid, 0)[1]
		assert status == 0, status
		text = out.decode()
		assert text.startswith("\033[?1049h\033[?25l") and text.rstrip().endswith("\033[?1049l"), text[-80:]
		for frame in text.split("\033[H")[1:]:
		    lines = [re.sub(r"\033\[[0-9;?]*[A-Za-z]", "", l) for l in frame.split("\r\n")]
		    assert len([l for l in lines if l]) <= 11, lines
		    assert max(map(len, lines)) <= 40, lines
	PY
	ok "and after ^C" limit 60 python3 - "$mmvm" <<-'PY'
		import os, pty, sys, termios
		pid, fd = pty.fork()
		if not pid:
		    os.execv(sys.argv[1], [sys.argv[1], "top", "--interval", "100"])
		before, out = termios.tcgetattr(fd), b""
		while b"mmvm top: process" not in out:
		    out += os.read(fd, 65536)
		os.write(fd, b"\x03")
		while not out.endswith(b"\033[?25h\033[?1049l"):
		    out += os.read(fd, 65536)
		assert os.waitpid(pid, 0)[1] == 0
	PY
fi
cp "$files/$vm.status" "$dir/copy.status"
kill -9 $vm
wait $vm 2>/dev/null
ok "killed, it leaves its file" [ -e "$files/$vm.status" ]
run top --once
ok "which is nobody's" is 1 "nothing is running"
ok "and is removed" empty "$files"
printf 'nonsense' >"$files/5.status"
head -c 9000 "$dir/copy.status" >"$files/6.status"
run top --list
ok "other files are no runs" [ "$status" = 0 ]
ok "and are not listed" [ ! -s "$dir/out" ]

"$mmvm" run --accel $accel --memory 24M --sample 100 --exec hello >/dev/null 2>&1
ok "a run that ends removes its file" empty "$files"
ln -s "$dir" "$dir/rt2"
rm -rf "$files"
ln -s "$dir" "$files"
"$mmvm" run --accel $accel --memory 24M --exec hello >"$dir/out" 2>"$dir/err"
status=$?
ok "a folder that is a link is not used, and the run goes on" [ "$status" = 0 ]
ok "and nothing is put there" [ -z "$(ls "$dir" | grep 'status$' | grep -v copy)" ]
finish
