import asyncio, ctypes, decimal, gc, hashlib, json, mmap, os, re, signal, socket, struct, subprocess, sys, tempfile, threading, zlib
print(json.dumps({"a": [1, 2.5, None], "b": "\u00e9"}, sort_keys=True), re.sub(r"(\w+) (\w+)", r"\2 \1", "hello world"))
print(hashlib.sha256(b"x" * 100000).hexdigest(), zlib.crc32(b"memory" * 1000), decimal.Decimal(2).sqrt())
t = [threading.Thread(target=lambda i=i: total.append(sum(range(i * 1000)))) for i in range(8)]
total = []
[x.start() for x in t]; [x.join() for x in t]
print(sorted(total)[-1], len(total))
print(subprocess.run(["/bin/bash", "-c", "echo from a child; exit 5"], capture_output=True))
m = mmap.mmap(-1, 1 << 20); m[5000:5005] = b"hello"; print(m[4999:5006], len(m)); m.close()
with tempfile.TemporaryFile(dir="/tmp" if os.path.isdir("/tmp") else ".") as f:
    f.write(b"abc" * 10000); f.flush()
    with mmap.mmap(f.fileno(), 0) as m: print(m.find(b"cab", 100), m.size())
class Node:
    def __init__(self): self.me = self; self.big = bytearray(10000)
gc.disable(); [Node() for _ in range(2000)]; print("collected", gc.collect() >= 2000)
pid = os.fork()
if not pid: os._exit(7)
print("child", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
a, b = socket.socketpair(); r, w = os.pipe()
socket.send_fds(a, [b"take"], [w]); msg, fds, flags, addr = socket.recv_fds(b, 10, 1)
os.write(fds[0], b"through"); print(msg, os.read(r, 10), flags)
async def serve():
    async def one(reader, writer):
        writer.write((await reader.readline()).upper()); await writer.drain(); writer.close()
    path = tempfile.mktemp(); server = await asyncio.start_unix_server(one, path)
    async def ask(i):
        reader, writer = await asyncio.open_unix_connection(path); writer.write(b"ask %d\n" % i); return await reader.readline()
    print(sorted(await asyncio.gather(*[ask(i) for i in range(5)]))); server.close()
asyncio.run(serve())
signal.signal(signal.SIGALRM, lambda *a: print("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.05); signal.pause()
print(ctypes.CDLL(None).abs(-42), struct.pack("<IH", 1, 2), sum(len(bytearray(1 << k)) for k in range(22)))
import multiprocessing
def work(x): return x * x
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(3) as p: print(p.map(work, range(10)))
try:
    import sqlite3
    db = sqlite3.connect("t.db"); db.execute("create table t(a integer primary key, b text)")
    db.executemany("insert into t(b) values(?)", [(str(i * 7 % 1000),) for i in range(5000)]); db.commit()
    print(db.execute("select count(*), sum(a), max(b) from t where b like '9%'").fetchone()); db.close(); os.unlink("t.db")
except ImportError: pass
