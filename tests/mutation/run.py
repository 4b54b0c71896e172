#!/usr/bin/env python3
"""Planted bugs: does the suite notice them, and does it say the right words?

tests/mutation/*.bugs hold the bugs, one block each:

    bug  NAME
    why  what goes wrong, in one line
    file guestmm/mm/pgtable/fork.c
    test unit/mm_fork            or model/NAME, guest PATTERN, vm NAME
    says words that the failing test must print (a regular expression)
    quick                        runs in `make test`, too
    -    the line(s) as they stand, leading blanks do not matter
    +    what stands there instead

A bug is applied to a copy of the tree, what its test needs is built there, the test runs, the file
is put back. Caught: the test fails with the words. The lines must stand in the file exactly once;
when the file has moved, it is looked for by its name, then by the lines.

    run.py BUILD [--shard K/N] [--only NAME,...] [--quick] [--list] [--results FILE] [--keep DIR]
    run.py --merge FILE...        add up the results of shards
    run.py --flushes              has each place that flushes TLBs a bug that takes the flush away?

Status 0: all were caught with the right words.
"""
import argparse, glob, os, re, shutil, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LIMIT = int(os.environ.get("MUTATION_LIMIT", "300"))
CAUGHT, WORDS, MISSED, TIMED, STALE, BROKEN = (
    "caught", "wrong words", "MISSED", "only a time limit", "does not apply", "does not build")


class Bug:
    def __init__(self, where):
        self.where, self.name, self.why, self.file = where, "", "", ""
        self.tests, self.says, self.quick, self.old, self.new = [], "", False, [], []


def load():
    bugs = []
    for path in sorted(glob.glob(os.path.join(HERE, "*.bugs"))):
        bug = None
        for nr, line in enumerate(open(path), 1):
            line = line.rstrip("\n")
            where = "%s:%d" % (os.path.basename(path), nr)
            if not line.strip() or line.startswith("#"):
                continue
            if line[0] in "-+":
                (bug.old if line[0] == "-" else bug.new).append(line[1:].strip())
                continue
            key, _, value = line.partition(" ")
            value = value.strip()
            if key == "bug":
                bug = Bug(where)
                bug.name = value
                bugs.append(bug)
            elif key == "why":
                bug.why = value
            elif key == "file":
                bug.file = value
            elif key == "test":
                bug.tests.append(value)
            elif key == "says":
                bug.says = value
            elif key == "quick":
                bug.quick = True
            else:
                sys.exit("%s: what is '%s'?" % (where, key))
    names = [b.name for b in bugs]
    for b in bugs:
        if names.count(b.name) > 1:
            sys.exit("%s: two bugs are called %s" % (b.where, b.name))
        if not (b.file and b.tests and b.says and b.old and b.why):
            sys.exit("%s: %s lacks file, test, says, why, or old lines" % (b.where, b.name))
    return bugs


def places(lines, old):
    """Where the lines stand, blanks at their ends aside."""
    stripped = [l.strip() for l in lines]
    n = len(old)
    return [i for i in range(len(lines) - n + 1) if stripped[i:i + n] == old]


def find(tree, bug):
    """(path, index) or (None, reason)."""
    path = os.path.join(tree, bug.file)
    paths = [path] if os.path.exists(path) else glob.glob(
        os.path.join(tree, bug.file.split("/")[0], "**", os.path.basename(bug.file)), recursive=True)
    if not paths:
        paths = [p for d in ("guestmm", "vmm", "devices")
                 for p in glob.glob(os.path.join(tree, d, "**", "*.[ch]"), recursive=True)]
    hits = []
    for p in paths:
        lines = open(p, errors="replace").read().split("\n")
        hits += [(p, i) for i in places(lines, bug.old)]
    if len(hits) == 1:
        return hits[0]
    return None, "its lines stand in %s %d times" % (bug.file, len(hits))


def apply(path, at, bug):
    lines = open(path).read().split("\n")
    indent = re.match(r"\s*", lines[at]).group(0)
    lines[at:at + len(bug.old)] = [indent + l for l in bug.new]
    with open(path, "w") as f:
        f.write("\n".join(lines))


def command(tree, build, test):
    """What to build, and what to run."""
    kind, _, rest = test.partition(" ") if " " in test else test.partition("/")
    b = os.path.join(tree, build)
    if kind in ("unit", "model"):
        return ["%s/tests/%s/%s" % (build, kind, rest)], ["%s/tests/%s/%s" % (b, kind, rest)]
    if kind == "guest":
        return ["all"], ["%s/mmvm" % b, "test", "--accel", "lab", "-k", rest]
    if kind == "vm":
        return ["all"], ["%s/tests/vm/%s.sh" % (tree, rest), b]
    sys.exit("%s is no test" % test)


def run(cmd, cwd, limit):
    """(status, output); status None: the limit."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(cmd, cwd=cwd, stdout=out, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = p.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            p.wait()
            status = None
        out.seek(0)
        return status, out.read().decode(errors="replace")


def spoken(out):
    """What the test said first, for who writes `says`."""
    for pattern in (r".*panic: .*", r"broken: .*", r"ERROR: AddressSanitizer: [\w-]+", r".*runtime error: .*",
                    r"Test: .* \.\.\.(?=FAILED)", r".*not found$", r"(?i).*fail.*"):
        hit = re.search(pattern, out, re.M)
        if hit:
            return hit.group(0).strip()[:120]
    return out.strip()[-120:]


def try_bug(tree, build, bug):
    """(verdict, detail)"""
    path, at = find(tree, bug)
    if path is None:
        return STALE, at
    before = open(path).read()
    verdict, detail = MISSED, "%s passes" % ", ".join(bug.tests)
    try:
        apply(path, at, bug)
        for test in bug.tests:
            targets, cmd = command(tree, build, test)
            status, out = run(["make", "-s", "SETUP=no", "B=" + build] + targets, tree, 3600)
            if status:
                verdict, detail = BROKEN, out.strip().split("\n")[-1][:150]
                break
            status, out = run(cmd, tree, LIMIT)
            if status is None:
                verdict, detail = TIMED, test
            elif status:
                hit = re.search(bug.says, out)
                if hit:
                    return CAUGHT, "%s: %s" % (test, hit.group(0)[:80].replace("\n", " "))
                verdict, detail = WORDS, "%s fails without '%s': %s" % (test, bug.says, spoken(out))
    finally:
        with open(path, "w") as f:
            f.write(before)
    return verdict, detail


def copy(names, target):
    os.makedirs(target)
    subprocess.check_call(["cp", "-a", "--reflink=auto"] + names + [target])


def copy_tree(build, where):
    """The sources and what is built, as tree/build wherever it lies. Not the logs of the tests: the copy itself
    may be among them."""
    build, tree = os.path.abspath(build), os.path.join(where, "tree")
    copy([os.path.join(ROOT, n) for n in os.listdir(ROOT)
          if n not in (".git", "build") and os.path.join(ROOT, n) != build], tree)
    copy([os.path.join(build, n) for n in os.listdir(build) if n != "test-logs"], os.path.join(tree, "build"))
    return tree


FLUSH = re.compile(r"\b(flush_tlb_\w+|tlb_batch_flush)\(")


def flush_places(tree):
    """[(path, line number, line)]: where mm/ flushes TLBs."""
    for path in sorted(glob.glob(os.path.join(tree, "guestmm/mm", "**", "*.[ch]"), recursive=True)):
        text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), open(path).read(), flags=re.S)
        for nr, line in enumerate(text.split("\n"), 1):
            if FLUSH.search(line) and not re.match(r"(static inline )?void ", line):
                yield path, nr, line.strip()


def spared():
    """{(file, call)}: flushes that tests/mutation/flushes.spared excuses."""
    path = os.path.join(HERE, "flushes.spared")
    lines = [l.split(None, 2) for l in open(path) if l.strip() and l[0] != "#"]
    return {(l[0], l[1]) for l in lines if len(l) == 3}


def check_flushes(tree, bugs):
    """Each place that flushes has a planted bug that takes the flush away, so a test that notices. Returns a status."""
    planted, bare, n, excused = set(), [], 0, spared()
    for b in bugs:
        path, at = find(tree, b)
        if path:
            planted |= {(path, at + i + 1) for i in range(len(b.old))}
    for path, nr, line in flush_places(tree):
        n += 1
        if (path, nr) not in planted and (os.path.relpath(path, tree), FLUSH.search(line).group(1)) not in excused:
            bare.append("%s:%d: no planted bug takes this flush away: %s" % (os.path.relpath(path, tree), nr, line))
    for line in bare:
        print(line)
    print("%d places that flush TLBs, %d without a planted bug" % (n, len(bare)))
    return 1 if bare or not n else 0


def check_apply(bugs):
    """Do the lines of each bug still stand in the tree, once? Returns a status."""
    stale = [(b, find(ROOT, b)[1]) for b in bugs if find(ROOT, b)[0] is None]
    for b, why in stale:
        print("  %-18s %-36s %s" % (STALE, b.name, why))
    print("%d bugs, %d do not apply" % (len(bugs), len(stale)))
    return 1 if stale else 0


def summary(rows):
    count = {}
    for verdict, _ in rows:
        count[verdict] = count.get(verdict, 0) + 1
    print("mutation: %d bugs: %s" % (len(rows), ", ".join("%d %s" % (n, v) for v, n in sorted(count.items()))))
    return 0 if count.get(CAUGHT, 0) == len(rows) and rows else 1


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--shard", default="1/1")
    p.add_argument("--only", default="")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--list", action="store_true")
    p.add_argument("--check", action="store_true", help="only whether all apply")
    p.add_argument("--flushes", action="store_true", help="has each place that flushes TLBs its bug?")
    p.add_argument("--results", default="")
    p.add_argument("--keep", default="", help="make or use the copy here, and leave it")
    p.add_argument("--tap", action="store_true", help="ok and not ok, for tests/run")
    p.add_argument("--merge", nargs="+")
    o = p.parse_args()
    if o.merge:
        rows = [tuple(l.rstrip("\n").split("\t")[:2]) for f in o.merge for l in open(f)]
        for verdict, name in rows:
            if verdict != CAUGHT:
                print("  %-18s %s" % (verdict, name))
        return summary(rows)
    bugs = load()
    if o.flushes:
        return check_flushes(ROOT, bugs)
    if o.only:
        names = o.only.split(",")
        unknown = [n for n in names if n not in [b.name for b in bugs]]
        if unknown:
            sys.exit("no bug is called " + ", ".join(unknown))
        bugs = [b for b in bugs if b.name in names]
    if o.quick:
        bugs = [b for b in bugs if b.quick]
    k, n = (int(x) for x in o.shard.split("/"))
    if not 1 <= k <= n:
        sys.exit("--shard K/N: K from 1 to N")
    bugs = bugs[k - 1::n]
    if o.list:
        for b in bugs:
            print("%-36s %-24s %s" % (b.name, b.tests[0], b.why))
        return 0
    if o.check:
        return check_apply(bugs)
    if o.tap:
        print("%sok - mutation: every bug still applies" % ("not " if check_apply(load()) else ""))
        print("%sok - mutation: every flush of a TLB has its bug" % ("not " if check_flushes(ROOT, load()) else ""))
    where = o.keep or tempfile.mkdtemp(prefix="mmvm-mutation-")
    rows, results = [], open(o.results, "a") if o.results else None
    try:
        tree = os.path.join(where, "tree")
        if not os.path.isdir(tree):
            tree = copy_tree(o.build, where)
        for b in bugs:
            begin = time.time()
            verdict, detail = try_bug(tree, "build", b)
            rows.append((verdict, b.name))
            if o.tap:
                print("%sok - mutation: %s: %s (%s)" % ("" if verdict == CAUGHT else "not ", b.name, verdict, detail))
            else:
                print("  %-18s %-36s %4d s  %s" % (verdict, b.name, time.time() - begin, detail))
            sys.stdout.flush()
            if results:
                results.write("%s\t%s\t%s\n" % (verdict, b.name, detail))
                results.flush()
    finally:
        if not o.keep:
            shutil.rmtree(where, ignore_errors=True)
    return summary(rows)


if __name__ == "__main__":
    sys.exit(main())
