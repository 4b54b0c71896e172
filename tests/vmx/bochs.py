#!/usr/bin/env python3
"""Run a command where KVM has VMX: in Debian's Linux inside Bochs, which emulates an Intel processor with EPT.

   bochs.py [--cpu MODEL] [--timeout SECONDS] BUILD COMMAND...

The lab's QEMU emulates SVM alone. Bochs has VMX, EPT, PCID and INVPCID; with others of its models
protection keys, too. It has no devices to share files by, so all that is needed is in an initramfs:
Debian's kernel with kvm-intel (from BUILD/lab/pkg), busybox, and of BUILD the program mmvm, the guest and the
static programs of user/. There COMMAND is run by a shell, with PATH to mmvm; its output is ours, as it comes.

Exit status: that of COMMAND. 77 when Bochs, GRUB or the lab's kernel is missing (and it says which), 124 when
nothing was written and no sign of life came for SECONDS of Bochs's own processor time (600), 1 when Bochs fails.
Nothing is left behind but the output.

Needs the Debian packages bochs, bochs-term, bochsbios, vgabios, grub-pc-bin, grub-common, xorriso, busybox-static, cpio.
"""
import argparse
import glob
import os
import pty
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

INIT = """#!/bin/busybox sh
export PATH=/build:/bin HOME=/tmp
/bin/busybox mkdir -p /proc /sys /dev /tmp /var/tmp /bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs tmp $d; done
for m in irqbypass kvm kvm-intel; do insmod /modules/$m.ko || echo "bochs.py: no module $m"; done
(while sleep 10; do echo "@TOKEN@ alive"; done) &
cd /tmp
echo "@TOKEN@ start"
sh /command </dev/null 2>&1
echo "@TOKEN@ exit $?"
while sleep 1000; do :; done # what the serial port has not sent yet would be lost by a power-off
"""

GRUB = """set timeout=0
menuentry linux {
	linux /vmlinuz console=ttyS0 quiet loglevel=1 mitigations=off nohz=off highres=off tsc=reliable no_timer_check
	initrd /initrd
}
"""

# Of packages of their own: bochs depends on these or on seabios, which QEMU brings along.
FIRMWARE = {"bios": "/usr/share/bochs/BIOS-bochs-latest", "vga": "/usr/share/vgabios/vgabios.bin"}
BOCHSRC = """config_interface: textconfig
display_library: term
memory: guest=1024, host=1024
romimage: file={bios}
vgaromimage: file={vga}
cpu: model={cpu}, count=1, ips=200000000, reset_on_triple_fault=0
clock: sync=none, time0=local
ata0-master: type=cdrom, path={dir}/disk.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={dir}/serial
log: {dir}/log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


def missing(text):
    print(f"bochs.py: skipped: {text}", file=sys.stderr)
    sys.exit(77)


def module(build, name):
    found = glob.glob(f"{build}/lab/pkg/lib/modules/*/kernel/**/{name}.ko*", recursive=True)
    if not found:
        missing(f"the lab's kernel has no module {name} in {build}/lab/pkg (make lab-image)")
    return found[0]


def libraries(program):
    """What the dynamic loader would load for `program`, itself included."""
    out = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", out)


def fill(root, build, command, token):
    os.makedirs(f"{root}/bin")
    os.makedirs(f"{root}/modules")
    os.makedirs(f"{root}/build/images")
    os.makedirs(f"{root}/build/user")
    shutil.copy(shutil.which("busybox"), f"{root}/bin/busybox")
    for name in ("irqbypass", "kvm", "kvm-intel"):
        file = module(build, name)
        if file.endswith(".xz"):
            with open(f"{root}/modules/{name}.ko", "wb") as out:
                subprocess.run(["xz", "-dc", file], check=True, stdout=out)
        else:
            shutil.copy(file, f"{root}/modules/{name}.ko")
    subprocess.run(["strip", "-o", f"{root}/build/mmvm", f"{build}/mmvm"], check=True)
    shutil.copy(f"{build}/images/guestmm.elf", f"{root}/build/images")
    for lib in libraries(f"{build}/mmvm"):
        os.makedirs(root + os.path.dirname(lib), exist_ok=True)
        shutil.copy(lib, root + lib)
    for program in glob.glob(f"{build}/user/*"):
        if "." not in os.path.basename(program) and os.access(program, os.X_OK) and os.path.isfile(program):
            shutil.copy(program, f"{root}/build/user")
    with open(f"{root}/command", "w") as f:
        f.write(command + "\n")
    with open(f"{root}/init", "w") as f:
        f.write(INIT.replace("@TOKEN@", token))
    os.chmod(f"{root}/init", 0o755)


def make_disk(directory, build, command, token):
    kernel = glob.glob(f"{build}/lab/pkg/boot/vmlinuz-*")
    if not kernel:
        missing(f"no kernel in {build}/lab/pkg/boot (make lab-image)")
    fill(f"{directory}/root", build, command, token)
    os.makedirs(f"{directory}/iso/boot/grub")
    subprocess.run(f"cd {directory}/root && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 >../iso/initrd",
                   shell=True, check=True)
    shutil.copy(kernel[0], f"{directory}/iso/vmlinuz")
    with open(f"{directory}/iso/boot/grub/grub.cfg", "w") as f:
        f.write(GRUB)
    done = subprocess.run(["grub-mkrescue", "-o", f"{directory}/disk.iso", f"{directory}/iso"], capture_output=True,
                          text=True)
    if done.returncode:
        print(f"bochs.py: grub-mkrescue failed: {done.stderr[-500:]}", file=sys.stderr)
        sys.exit(1)


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Output:
    """The serial port's file, line by line: what is between "start" and "exit" is the command's."""

    def __init__(self, path, token):
        self.path, self.token = path, token.encode()
        self.offset, self.rest = 0, b""
        self.begun, self.status = False, None

    def read(self):
        """Print what is new. True: there was something."""
        try:
            with open(self.path, "rb") as f:
                f.seek(self.offset)
                data = f.read()
        except OSError:
            return False
        self.offset += len(data)
        lines = (self.rest + data).replace(b"\r", b"").split(b"\n")
        self.rest = lines.pop()
        for line in lines:
            # A sign of life can come in the middle of a line of the command.
            line = line.replace(self.token + b" alive", b"")
            if line == self.token + b" start":
                self.begun = True
            elif line.startswith(self.token + b" exit "):
                self.status = int(line.split()[-1])
            elif self.begun and line and self.status is None:
                sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
        return bool(data)


class Terminals:
    """Bochs's own terminal, where its debugger asks what to do, and the one that it opens for the guest's screen. Both
    are read, or Bochs would wait in the end."""

    def __init__(self, fd):
        self.fds, self.said = [fd], b""

    def drain(self):
        """False: Bochs has closed its terminal."""
        for i, fd in enumerate(self.fds):
            try:
                while data := os.read(fd, 65536):
                    if i == 0:
                        self.answer(data)
            except BlockingIOError:
                pass
            except OSError:
                return False
        return True

    def answer(self, data):
        self.said += data
        screen = re.search(rb'connected to screen "(/dev/pts/\d+)"', self.said)
        if screen and len(self.fds) == 1:
            self.fds.append(os.open(screen[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK))
        if b"<bochs:1>" in self.said:  # Debian's Bochs begins in its debugger
            os.write(self.fds[0], b"c\n")
            self.said = b""

    def close(self):
        for fd in self.fds:
            os.close(fd)


def watch(pid, terminals, out, limit):
    """Until the command has ended, Bochs has, or nothing came for `limit` seconds of its processor time."""
    last = 0
    while out.status is None:
        used = cpu_seconds(pid)
        if not terminals.drain() or used is None:
            out.read()
            return
        if out.read():
            last = used
        elif used - last > limit:
            print(f"bochs.py: no sign of life for {limit} s of processor time", file=sys.stderr)
            out.status = 124
        time.sleep(0.1)


def run(directory, cpu, token, limit):
    with open(f"{directory}/bochsrc", "w") as f:
        f.write(BOCHSRC.format(cpu=cpu, dir=directory, **FIRMWARE))
    out = Output(f"{directory}/serial", token)
    pid, screen = pty.fork()
    if not pid:
        os.environ["TERM"] = "xterm"
        os.execlp("bochs", "bochs", "-q", "-f", f"{directory}/bochsrc")
    os.set_blocking(screen, False)
    terminals = Terminals(screen)
    try:
        watch(pid, terminals, out, limit)
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
        terminals.close()
    if out.status is None:
        print("bochs.py: Bochs ended before the command; the end of its log:", file=sys.stderr)
        with open(f"{directory}/log", errors="replace") as f:
            print(f.read()[-500:], file=sys.stderr)
        return 1
    return out.status


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cpu", default="corei7_haswell_4770")
    parser.add_argument("--timeout", type=float, default=600)
    parser.add_argument("build")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    for tool in ("bochs", "grub-mkrescue", "xorriso", "busybox", "cpio"):
        if not shutil.which(tool):
            missing(f"{tool} is not installed (images/packages.txt has the packages)")
    for file in FIRMWARE.values():
        if not os.path.exists(file):
            missing(f"{file} is not installed (Debian's bochsbios and vgabios)")
    token = "@" + secrets.token_hex(8)
    directory = tempfile.mkdtemp(prefix="mmvm-bochs-")
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda *_: sys.exit(1))
    try:
        make_disk(directory, args.build, " ".join(args.command), token)
        return run(directory, args.cpu, token, args.timeout)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


sys.exit(main())
