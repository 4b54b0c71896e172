#!/usr/bin/env python3
"""doc/locks.md against the checker and the source.

    locks.py DOC GUESTMM KERNEL LEARNT      LEARNT: what a guest printed, with its /proc/lockdep

Prints a line for each contradiction, and at the end how much was compared. Status 1: there are some.
"""
import fnmatch, os, re, subprocess, sys

doc, source, kernel, learnt = sys.argv[1:5]
wrong = []


def rows():
    """(section, line of the table, patterns of names, files)"""
    section, nr = "", 0
    for line in open(doc):
        if line.startswith("## "):
            section = line[3:].strip()
        cells = [c.strip() for c in line.split("|")]
        if len(cells) == 5 and cells[1].startswith("`"):
            nr += 1
            yield section, nr, re.findall(r"`([^`]+)`", cells[1]), [f.strip() for f in cells[2].split(",")]


ROWS = list(rows())


def find(name, where):
    """The row of a lock that is made in file `where` (None: not known)."""
    # fnmatch's [ ] is not meant here.
    hits = [r for r in ROWS if any(fnmatch.fnmatchcase(name, n.replace("[", "[[]")) for n in r[2])
            and (not where or any(where == f or (f.endswith("/") and where.startswith(f)) for f in r[3]))]
    hits = [r for r in hits if name in r[2]] or hits  # its own line before one of a pattern
    if len(hits) != 1:
        wrong.append("%s (%s) stands in %d lines of the page" % (name, where or "?", len(hits)))
        return None
    return hits[0]


def symbols():
    """Address -> (symbol, file below guestmm/)."""
    out = subprocess.run(["nm", "-l", kernel], capture_output=True, text=True, check=True).stdout
    for line in out.split("\n"):
        p = line.split()
        if len(p) >= 3 and re.fullmatch("[0-9a-f]{16}", p[0]):
            at = p[3].rsplit("guestmm/", 1)[-1].split(":")[0] if len(p) > 3 else None
            yield int(p[0], 16), (p[2], at)


def classes():
    """What the guest printed: {key: name}, [(key, key)]."""
    name, edges, here = {}, [], None
    for line in open(learnt, errors="replace"):
        m = re.match(r"([0-9a-f]{16}) FD: *\d+ BD: *\d+ ....: (.*)", line)
        if m:
            here = int(m.group(1), 16)
            name[here] = m.group(2).strip()
        m = re.match(r" -> \[([0-9a-f]{16})\]", line)
        if m:
            edges.append((here, int(m.group(1), 16)))
    return name, edges


SYM = dict(symbols())
name, edges = classes()
row = {}
for key, text in name.items():
    symbol, where = SYM.get(key, (None, None))
    # A lock with a symbol of its own is called by it; others by the text at the place that makes them.
    text = symbol if symbol and not symbol.startswith("_key") else text.lstrip("&")
    row[key] = find(text, where)
    name[key] = text
for a, b in edges:
    if not row[a] or not row[b]:
        continue
    if row[a][0] == "Innermost" and row[b][0] == "Innermost" and "vmap_lock" not in row[a][2]:
        wrong.append("%s is taken inside %s, which is innermost" % (name[b], name[a]))
    elif row[b][1] <= row[a][1] and row[b][0] != "Innermost":
        wrong.append("%s is taken inside %s, which stands below it or beside it" % (name[b], name[a]))

# Every lock in the source has a line, and every name of a line a lock in the source.
MADE = (r"(?:spin_lock_init|mutex_init|init_rwsem)\(&([\w>.\[\]-]+)\)",
        r"(?:spinlock_t|struct mutex|struct rw_semaphore) (\w+) = (?:SPINLOCK_INIT|MUTEX_INIT|RWSEM_INIT)")
made = {}
for top, _, files in os.walk(source):
    for f in files:
        where = os.path.relpath(os.path.join(top, f), source)
        if f.endswith(".c") and where.split("/")[0] in ("mm", "fs", "kernel", "drivers"):
            for pattern in MADE:
                for lock in re.findall(pattern, open(os.path.join(top, f)).read()):
                    made.setdefault(lock, set()).add(where)
for lock, places in made.items():
    for where in places:
        find(lock, where)
for _, _, patterns, files in ROWS:
    for f in files:
        if not os.path.exists(os.path.join(source, f)):
            wrong.append("%s is no file" % f)
    text = "".join(open(os.path.join(source, f)).read() for f in files if f.endswith(".c"))
    for p in patterns:
        if "*" not in p and not re.search(r"\b%s\b" % re.escape(p.split("->")[-1].split("[")[0]), text):
            wrong.append("no file of its line makes %s" % p)

for w in sorted(set(wrong)):
    print("# " + w)
print("locks: %d classes and %d edges met, %d locks in the source, %d lines" % (len(name), len(edges), len(made), len(ROWS)))
sys.exit(1 if wrong or len(name) < 50 or len(edges) < 100 or len(made) < 60 else 0)
