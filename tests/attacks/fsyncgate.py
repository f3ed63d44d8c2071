#!/usr/bin/python3
"""A failed fdatasync as Linux means it: EIO is said once, the pages stay in the cache, are called clean, and are not on
the disk. One sync of a translog fails (libfaulty), the disk is sound again, more is written and acknowledged, and the
power goes: the bytes whose sync failed are zeroed (they never reached the disk), the node starts again.

usage: fsyncgate.py [kill]      (root not needed; $PROJECT: a built checkout with `make test-tools`)
kill: the node is killed right after the failed sync, so that a new process opens the shard
"""
import errno, os, re, struct, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig

d = tempfile.mkdtemp(prefix="gate-")
ctl = d + "/faulty"


def faulty(under="", sync=0, times=-1):
    with open(ctl, "r+b" if os.path.exists(ctl) else "w+b") as f:
        f.write(struct.pack("<iiiiII", 0, 0, 0, times, 0, 0) + (b"" if os.path.getsize(ctl) > 40 else bytes(16)))
        f.flush()
        f.seek(40)
        f.write(under.encode().ljust(256, b"\0"))
        f.flush()
        f.seek(0)
        f.write(struct.pack("<iiiiII", sync, 0, 0, times, 0, 0))


faulty()
node = rig.Node({"node.name": "g", "cluster.routing.allocation.disk.threshold_enabled": "false"}, data=d + "/data",
                env={"LD_PRELOAD": rig.PROJECT + "/build/tests/libfaulty.so", "QD_FAULTY": ctl})
os.mkdir(node.data)
bad = []
try:
    node.start()
    s, a = node.req("PUT", "/x", {"settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}})
    assert s == 200, a
    for i in range(100):
        s, a = node.req("PUT", f"/x/_doc/a{i}", {"n": i})
        assert s == 201, a
    logs = lambda: subprocess.run(f"find {node.data}/hot -name 'translog-*'", shell=True, capture_output=True, text=True).stdout.split()
    log = max(logs(), key=os.path.getmtime)
    begin = os.path.getsize(log)
    faulty("translog-", sync=errno.EIO, times=1)
    s, a = node.req("PUT", "/x/_doc/hole", {"t": "q" * 60000}, timeout=60)
    end = os.path.getsize(log)
    print("write whose sync fails:", s, str(a)[:160])
    faulty()
    if "kill" in sys.argv:
        node.kill()
        node.start()
    rig.until("the shard is open", lambda: node.req("GET", "/x/_doc/a0", timeout=30)[0] == 200, must=False)
    s, a = node.req("GET", "/x/_doc/hole", timeout=30)
    shown = s == 200 and a.get("found")
    print("then a get of it:", s, "found" if shown else str(a)[:160])
    acked = []
    for i in range(50):
        s, a = node.req("PUT", f"/x/_doc/b{i}", {"n": i}, timeout=30)
        if s in (200, 201):
            acked.append(f"b{i}")
    print("acknowledged after it:", len(acked), "" if acked else a)
    print("translogs:", [(os.path.basename(x), os.path.getsize(x)) for x in logs()])
    node.kill()
    with open(log, "r+b") as f:  # never on the disk; a whole block of it that was there before stays
        f.seek((begin + 4095) // 4096 * 4096)
        f.write(bytes(max(0, end - f.tell())))
    print(f"not on the disk: {os.path.basename(log)} [{begin}, {end})")
    node.start()
    rig.until("the shard is open", lambda: node.req("GET", "/_cluster/health")[1]["status"] != "red", 20, must=False)
    print("after the loss of power:", node.req("GET", "/_cluster/health")[1]["status"])
    lost = []
    for i in [f"a{k}" for k in range(100)] + acked:
        s, a = node.req("GET", f"/x/_doc/{i}", timeout=60) if not lost[:3] else (0, {})
        if not (s == 200 and a.get("found")):
            lost.append(i)
    if lost:
        bad.append(f"{len(lost)} of {100 + len(acked)} acknowledged documents are not there ({lost[:3]}...)")
    print(subprocess.run(f"grep -hE 'translog|fail|opened' {node.log} | cut -c1-250 | tail -8", shell=True, capture_output=True, text=True).stdout)
finally:
    node.wipe()
print("WRONG:" if bad else "held", *bad, sep="\n  ")
sys.exit(1 if bad else 0)
