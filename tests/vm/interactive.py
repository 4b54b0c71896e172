#!/usr/bin/env python3
"""Type at a program on a pseudo-terminal and look at what it shows. Prints one line "ok"/"not ok" a check.

interactive.py MMVM ACCEL [KERNEL INITRD]    with KERNEL: a Linux guest's shell instead of guestmm's
CONSOLE=virtio in the environment: the terminal is a virtio-console, and only what depends on that is looked at.
"""
import fcntl, hashlib, os, pty, re, select, signal, struct, subprocess, sys, termios, time

PATIENCE = int(os.environ.get('PATIENCE', 240))  # seconds without a byte before a wait has failed


class Session:
    """A command on a terminal of its own, its bytes, and the terminal's settings before it began."""

    def __init__(self, argv, rows=30, cols=100):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        self.slave = slave  # held, so that its settings can be looked at after the command's end
        self.before = termios.tcgetattr(slave)
        self.all = b""
        self.pos = 0
        self.pid = os.fork()
        Session.last = self
        if self.pid == 0:
            os.close(self.master)
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.execv(argv[0], argv)

    def pump(self, seconds):
        """Take what comes within so many seconds; False: nothing did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.all += os.read(self.master, 65536)
        return True

    def wait(self, pattern, end=False):
        """Until the pattern has been shown since the last wait; with end, or the command has ended."""
        quiet = time.time()
        while not re.search(pattern, self.all[self.pos:]):
            if self.pump(0.5):
                quiet = time.time()
            elif time.time() - quiet > PATIENCE:
                raise TimeoutError(f"waited for {pattern!r}, the last was {self.all[-300:]!r}")
        self.pos += re.search(pattern, self.all[self.pos:]).end()

    def send(self, keys):
        os.write(self.master, keys)

    def status(self):
        """Of the command, when it has ended by itself."""
        quiet = time.time()
        while True:
            pid, st = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.pump(0.1):
                    pass
                return os.waitstatus_to_exitcode(st)
            if self.pump(0.5):
                quiet = time.time()
            elif time.time() - quiet > PATIENCE:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise TimeoutError(f"it did not end, the last was {self.all[-300:]!r}")

    def restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ISIG | termios.ECHO)


failed = 0


def ok(text, good, session=None):
    global failed
    failed += not good
    print(("ok" if good else "not ok") + " - interactive: " + text + (" (virtio)" if VIRTIO else ""), flush=True)
    if not good and session:
        print("# " + repr(session.all[-600:]), flush=True)


def check(text):
    """Decorator: a check that ends by an exception has failed."""
    def wrap(fn):
        try:
            fn()
        except Exception as e:
            ok(f"{text}: {e}", False)
            try:
                os.kill(Session.last.pid, signal.SIGTERM)
                os.waitpid(Session.last.pid, 0)
            except OSError:
                pass
    return wrap


mmvm, accel = sys.argv[1:3]
VIRTIO = os.environ.get("CONSOLE") == "virtio"
RUN = [mmvm, "run", "--accel", accel] + (["--console", "virtio"] if VIRTIO else [])
SHELL = RUN + ["-i", "--exec", "/bin/busybox", "sh"]

if len(sys.argv) > 3:
    @check("a shell in Linux")
    def _():
        s = Session(RUN + ["-i", "--kernel", sys.argv[3], "--initrd", sys.argv[4]])
        s.wait(rb"ready# ")
        s.send(b"echo an''swer $((6 * 7))\r")
        s.wait(rb"answer 42")
        # The shell's line editor echoes by itself, and flushes input when it hands the terminal over: type when it has.
        s.send(b"echo it is cat''s turn; cat\r")
        s.wait(rb"it is cats turn")
        s.send(b"back and forth\r")
        s.wait(rb"forth[\r\n]+back and forth")
        s.send(b"\x03")
        s.wait(rb"# ")
        if VIRTIO:
            s.send(b"stty size\r")
            s.wait(rb"30 100")
            fcntl.ioctl(s.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
            s.send(b"until stty size | grep '40 120'; do sleep 1; done; echo it f''its\r")
            s.wait(rb"it fits")
            ok("a shell in Linux: it knows the window, and a new one", True)
            s.send(b"yes 0123456789abcde | head -c 200000 | md5sum; yes 0123456789abcde | head -c 200000; echo; echo fi''n\r")
            s.wait(rb"fin")
            ok("a shell in Linux: 200,000 bytes arrive", s.all.count(b"0123456789abcde\r") == 12500, s)
        s.send(b"\x01c")
        s.wait(rb"\(mmvm\) ")
        s.send(b"stats\r")
        s.wait(rb"RAM with memory of the host")
        ok("a shell in Linux: typing, ^C, the monitor", True)
        s.send(b"\x01x")
        ok("a shell in Linux: Ctrl-A x leaves it", s.status() == 0 and s.restored(), s)
    sys.exit(failed != 0)


@check("a shell in guestmm")
def _():
    s = Session(SHELL)
    s.wait(rb"/ # ")
    ok("raw while it runs", s.is_raw(), s)
    s.send(b"stty size; tty\r")
    s.wait(rb"30 100[\r\n]+/dev/console")
    ok("the window's size", True)
    s.send(b"sh -c 'trap \"echo resized to \\$(stty size)\" WINCH; echo wai''ting; while :; do sleep 1; done'\r")
    s.wait(rb"waiting")
    fcntl.ioctl(s.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    s.wait(rb"resized to 40 120")
    s.send(b"\x03")
    s.wait(rb"/ # ")
    ok("a new size reaches the guest: SIGWINCH", True)
    s.send(b"sh -c 'echo run''ning; exec sleep 1000'\r")
    s.wait(rb"running")
    s.send(b"\x03")
    s.wait(rb"/ # ")
    s.send(b"echo status $?\r")
    s.wait(rb"status 130")
    ok("^C ends the foreground, not the shell", True)
    s.send(b"\x01c")
    s.wait(rb"\(mmvm\) ")
    s.send(b"auditx\x7f\r")
    s.wait(rb"audit: 0 findings in \d+ frames")
    ok("monitor: audit, with a mistake taken back", True)
    for line, answer in ((b"stats", rb"pgfault +\d+"), (b"dirty", rb"\d+ pages written since the last look"),
                         (b"page 0x200000", rb"frame 0x200: \w+"), (b"page nonsense", rb"page ADDR: "),
                         (b"balloon", rb"this machine has none"), (b"trace on", rb"--trace FILE"), (b"help", rb"quit  ")):
        s.send(b"\x01c")
        s.wait(rb"\(mmvm\) ")
        s.send(line + b"\r")
        s.wait(answer)
    ok("monitor: stats, dirty, page, balloon, trace, help", True)
    s.send(b"echo still he''re\r")
    s.wait(rb"still here")
    s.send(b"exit 7\r")
    ok("it ends with the shell", s.status() == 1 and b"exited with status 7" in s.all, s)
    ok("the terminal is as it was", s.restored(), s)


@check("much of everything")
def _():
    if not VIRTIO:
        return
    s = Session(SHELL)
    s.wait(rb"/ # ")
    s.send(b"ls -l /dev/hvc0; ls /dev/ttyS0; yes 0123456789abcde | head -c 200000; echo; echo fi''n\r")
    s.wait(rb"229, +0 ")
    s.wait(rb"ttyS0: No such file")
    s.wait(rb"fin")
    ok("200,000 bytes are printed", s.all.count(b"0123456789abcde\r") == 12500, s)
    # More than the buffers of the guest, and than a line of its terminal: they wait here.
    s.send(b"stty raw -echo; echo wai''ting; head -c 60000 | md5sum; stty sane\r")
    s.wait(rb"waiting")
    data = bytes(range(48, 123)) * 800
    sender = os.fork()
    if sender == 0:
        at = 0
        while at < len(data):
            at += os.write(s.master, data[at:at + 1000])
        os._exit(0)
    s.wait(hashlib.md5(data).hexdigest().encode())
    os.waitpid(sender, 0)
    ok("60,000 bytes that are typed arrive", True)
    s.send(b"exit\r")
    ok("and it ends", s.status() == 0, s)


@check("a balloon on the monitor line")
def _():
    if VIRTIO:
        return
    s = Session(RUN + ["--balloon", "0"] + SHELL[len(RUN):])
    s.wait(rb"/ # ")
    for line, answer in ((b"balloon x", rb"balloon SIZE: "), (b"balloon 900G", rb"balloon SIZE: "),
                         (b"balloon 8M", rb"balloon: target 8192 KiB, guest says \d+ KiB")):
        s.send(b"\x01c")
        s.wait(rb"\(mmvm\) ")
        s.send(line + b"\r")
        s.wait(answer)
    s.send(b"until grep -q 'balloon_inflate 2048' /proc/vmstat; do sleep 1; done; echo th''ere\r")
    s.wait(rb"[\r\n]there")
    # What it has is what the guest says; a second look has the guest's statistics.
    for answer in (rb"guest says 8192 KiB, device has 8192 KiB", rb"free-memory +[1-9]"):
        s.send(b"\x01c")
        s.wait(rb"\(mmvm\) ")
        s.send(b"balloon\r")
        s.wait(answer)
    ok("monitor: a target, and what came of it", True)
    s.send(b"exit\r")
    ok("and ends well", s.status() == 0, s)

def keys_at_cat(argv):
    """What a terminal shows while these keys are typed at cat, without carriage returns."""
    s = Session(argv)
    s.wait(rb"go[\r\n]+")
    s.all = b""
    s.pos = 0
    for keys, shown in ((b"plain\r", rb"plain[\r\n]+plain"), (b"ab\x7f\x7fcd\r", rb"\ncd"),
                        (b"one two\x17three\r", rb"\none three"), (b"all gone\x15new\r", rb"\nnew"),
                        (b"tab\there\x7f\x7f\x7f\x7f\x7fx\r", rb"\ntabx"),
                        (b"\x16\x03quoted\r", rb"\n\x03quoted"), (b"half\x04", rb"halfhalf"),
                        (b"\r", rb"\n\r*\n"), (b"a\x02b\x7f\x7f\r", rb"\na[\r\n]"), (b"end\r", rb"end\r*\nend\r*\n")):
        s.send(keys)
        s.wait(shown)
    # The end of the line before the first keys may come before or after they are typed.
    shown = s.all.replace(b"\r", b"").lstrip(b"\n")
    s.send(b"\x04")
    s.status()
    return shown


@check("the keys that edit")
def _():
    cat = ["/bin/busybox", "sh", "-c", "echo go; cat"]
    here, there = keys_at_cat(cat), keys_at_cat(RUN + ["-i", "--exec"] + cat)
    ok("the keys that edit a line show what they show here", here == there)
    if here != there:
        print(f"# here  {here!r}\n# there {there!r}")


if VIRTIO:
    sys.exit(failed != 0)


@check("-i without a terminal")
def _():
    # The end of what is no terminal is typed as ^D, again and again: a shell that drops what was typed ahead ends as well.
    for what, given in (("nothing", b""), ("a line", b"echo an''swer\n")):
        p = subprocess.run(SHELL, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        ok(f"-i without a terminal: {what} on stdin, and it ends", p.returncode == 0 and b"exited with status 0" in p.stdout)
        if p.returncode:
            print("# " + repr(p.stdout[-600:]))


@check("ways out")
def _():
    s = Session(SHELL)
    s.wait(rb"/ # ")
    s.send(b"\x01x")
    ok("Ctrl-A x leaves: status 0, terminal restored", s.status() == 0 and s.restored(), s)
    s = Session(SHELL)
    s.wait(rb"/ # ")
    os.kill(s.pid, signal.SIGTERM)
    ok("SIGTERM: status 143, terminal restored", s.status() in (143, -15) and s.restored(), s)
    s = Session(SHELL)
    s.wait(rb"/ # ")
    os.kill(s.pid, signal.SIGQUIT)
    ok("SIGQUIT: it dies of it, terminal restored", s.status() in (131, -3) and s.restored(), s)


sys.exit(failed != 0)
