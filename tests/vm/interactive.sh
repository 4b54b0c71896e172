#!/bin/sh
# A person at the console, played by a pseudo-terminal: keys, signals, window, monitor, ways out; and programs that read what is
# no terminal.    interactive.sh BUILD
set -u
B=$1
name=interactive
. "$(dirname "$0")/lib.inc"
here=$(dirname "$0")
needs_lab
[ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || { echo "SKIP: busybox-static is missing"; exit 77; }

# ---- without a terminal: --exec reads standard input
stream() { # stream FILE ARGS...: what the program prints, without the kernel's lines
	input=$1
	shift
	limit 240 "$mmvm" run --accel lab "$@" <"$input" >"$dir/out" 2>"$dir/err"
	status=$?
	sed '/^machine$/,$d; /^\[ *[0-9.]*\]/d' "$dir/out" | sed '${/^$/d}' >"$dir/said"
}
head -c 70000 /dev/urandom >"$dir/bytes"
stream "$dir/bytes" --exec /bin/busybox md5sum
ok "every byte of a stream arrives" [ "$(cut -c1-32 "$dir/said")" = "$(md5sum <"$dir/bytes" | cut -c1-32)" ]
printf 'one\ntwo' >"$dir/lines"
stream "$dir/lines" --exec /bin/busybox sh -c 'read a; read b || echo last $b; read c || echo end; [ -t 0 ] || echo no terminal; echo $a'
ok "lines of a stream, its end, no terminal" [ "$(tr '\n' ';' <"$dir/said")" = "last two;end;no terminal;one;" ]
stream /dev/null --exec /bin/busybox cat
ok "an empty stream ends at once" [ "$status" = 0 -a ! -s "$dir/said" ]
run run --accel lab --icount -i --exec /bin/busybox sh
ok "nobody types to a counted run" is 2 'icount makes the same run'

# ---- with one
command -v python3 >/dev/null || { skip "the terminal" "python3 is missing"; finish; }
python3 "$here/interactive.py" "$mmvm" lab || failed=1
CONSOLE=virtio python3 "$here/interactive.py" "$mmvm" lab || failed=1
run run --accel lab --console virtio --exec /bin/busybox cat
ok "a virtio-console has no end of input: refused" is 2 'cannot tell the guest that standard input is at its end'
run run --accel lab --console vt100 --exec /bin/busybox cat
ok "a console of another kind is refused" is 2 'console'

# ---- Linux as the guest
kernel=$(echo "$B"/lab/pkg/boot/vmlinuz-*)
if [ -e "$kernel" ] && command -v cpio >/dev/null; then
	mkdir -p "$dir/root/bin"
	cp /bin/busybox "$dir/root/bin/"
	cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox --install -s /bin
export PATH=/bin PS1='ready# '
exec setsid cttyhack sh
END
	chmod +x "$dir/root/init"
	pack "$dir/root" "$dir/initrd"
	python3 "$here/interactive.py" "$mmvm" lab "$kernel" "$dir/initrd" || failed=1
	module=$(find "$B/lab/pkg" -name virtio_console.ko)
	if [ -n "$module" ]; then
		mkdir -p "$dir/root/lib"
		for m in virtio/virtio_ring virtio/virtio virtio/virtio_mmio char/virtio_console; do
			cp "${module%/char/*}/$m.ko" "$dir/root/lib/"
		done
		sed -i '$d' "$dir/root/init"
		cat >>"$dir/root/init" <<'END'
for m in virtio_ring virtio virtio_mmio virtio_console; do insmod /lib/$m.ko; done
exec setsid sh -c 'exec sh </dev/hvc0 >/dev/hvc0 2>&1'
END
		pack "$dir/root" "$dir/initrd"
		CONSOLE=virtio python3 "$here/interactive.py" "$mmvm" lab "$kernel" "$dir/initrd" || failed=1
	else
		skip "a shell in Linux on a virtio-console" "the lab's kernel has no such module"
	fi
else
	skip "a shell in Linux" "no kernel in the lab's folder, or no cpio"
fi
finish
