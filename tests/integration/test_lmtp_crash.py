"""lmtpd dies: at every point a delivery passes, and with everything else at once. What was acknowledged is there, nothing is
half there, and the message that comes again is there once."""
import hashlib
import os
import re
import subprocess
import threading
import time

import pytest

from lib import places
from lib.failpoints import FailpointPage
from lib.lmtp import Lmtp, stuffed
from lib.lmtpd import Lmtpd, message
from lib.wire import WireError

MAILBOXES = {"bob": "user.bob", "eve": "user.eve", "+shared": "shared"}
BODY = b"x" * 70000 + b"\r\n"    # goes to the file before it is whole


@pytest.fixture
def s(root):
    with Lmtpd(root, partitions=("default", "other"), args=" -U 1") as s:
        s.do("create user.bob", "create user.eve", "rename user.eve user.eve other", "create shared anyone lrsp",
             *[f"create user.u{i}" for i in range(10)])
        yield s


def attempt(s, names, number):
    """Deliver, whatever happens meanwhile: {name: code}, of those that were answered."""
    out = {}
    try:
        with Lmtp(("127.0.0.1", s.port), timeout=60) as c:
            for line in ("MAIL FROM:<a@b>", *[f"RCPT TO:<{n}>" for n in names], "DATA"):
                assert c.command(line).code in (250, 354), line
            c.wire.send(stuffed(message(number, BODY)))
            for name in names:
                out[name] = c.reply().code
    except (WireError, OSError):
        pass
    return out


def guids(s, mailbox):
    """What the mailbox shows, after every file was held against its record: [subject number] in the order of uids."""
    box, folder = s.show(mailbox), s.directory(mailbox)
    numbers = []
    for uid, record in sorted(box.live.items()):
        data = (folder / f"{uid}.").read_bytes()
        assert len(data) == record["size"] and hashlib.sha1(data).hexdigest() == record["guid"], (mailbox, uid)
        assert data.endswith(BODY) and record["cached"]
        numbers.append(re.search(rb"Subject: number (\S+)\r\n", data)[1].decode())
    assert box.counters["exists"] == len(box.live)
    files = {int(p.name[:-1]) for p in folder.glob("[0-9]*.")}
    assert files == set(box.records), f"{mailbox}: files {files - set(box.records)} without a record"
    return numbers


def check(s, boxes, answered, number):
    """After an attempt that may have died: the next message finds the mailbox in order, and the same one again makes it
    exactly one."""
    assert set(attempt(s, list(boxes), f"{number}-after").values()) == {250}
    for name, box in boxes.items():
        seen = guids(s, box)
        assert seen.count(number) <= 1 and seen.count(f"{number}-after") == 1
        if answered.get(name) == 250:
            assert number in seen, f"{box}: acknowledged and lost"
    assert set(attempt(s, list(boxes), number).values()) == {250}
    for box in boxes.values():
        assert guids(s, box).count(number) == 1
    places.wait_until(lambda: s.staged() == [], 10, "stages are empty")


def points_of(s):
    done = subprocess.run([s.bin / "lmtpd"], env={**s.environment, "US_FAILPOINTS": "list"}, capture_output=True,
                          text=True, check=True)
    return set(done.stdout.split())


def passed(s, names):
    """{point: how often} of one delivery, connection and all, counted after the mailboxes are warm."""
    attempt(s, names, f"warm-{len(names)}")
    s.failpoints.record()
    assert set(attempt(s, names, f"count-{len(names)}").values()) == {250}
    time.sleep(0.2)    # the process ends after the client went
    s.failpoints.record(False)
    known = points_of(s)
    hits = {p: n for p, n in s.failpoints.hits().items() if p in known and not p.startswith("meta.")}
    # Removing stages: how many there are depends on who was here before.
    return {p: 1 if p.startswith("store.tree.") else n for p, n in hits.items()}


def die_everywhere(s, boxes, hits, actions):
    tried = 0
    for point, count in sorted(hits.items()):
        for action in actions(point):
            for hit in range(count):
                number = f"{point}-{action}-{hit}-{len(boxes)}"
                s.failpoints.arm(point, action, hit)
                answered = attempt(s, list(boxes), number)
                places.wait_until(lambda: s.failpoints.fired == 1, 5, f"death at {number}")    # some come after QUIT
                s.failpoints.disarm()
                check(s, boxes, answered, number)
                tried += 1
    return tried


def ways_to_die(point):
    return ["kill", "torn"] if "write" in point or "extend" in point else ["kill"]


@pytest.mark.limit(900)
def test_death_at_every_point_of_three_deliveries(s):
    hits = passed(s, list(MAILBOXES))
    for point in ("store.stage.create", "store.stage.write", "store.commit.link", "store.commit.sync_file",
                  "store.commit.sync_names", "store.journal.write_frame", "store.journal.sync"):
        assert point in hits, sorted(hits)
    assert hits["store.journal.write_frame"] == hits["store.journal.sync"] == 3
    assert hits["store.stage.create"] == 2    # two partitions
    assert {"store.commit.publish", "store.commit.meta", "store.commit.bell"} <= set(hits)
    tried = die_everywhere(s, MAILBOXES, hits, ways_to_die)
    assert tried >= 25


@pytest.mark.limit(900)
def test_death_where_many_share_a_sync(s):
    boxes = {f"u{i}": f"user.u{i}" for i in range(10)}
    hits = passed(s, list(boxes))
    assert hits["store.commit.syncfs"] == hits["store.commit.syncfs_frames"] == 1
    few = {p: n for p, n in hits.items()
           if "syncfs" in p or p in ("store.journal.write_frame", "store.commit.publish", "store.commit.meta")}
    assert die_everywhere(s, boxes, few, lambda p: ["kill"]) == 2 + 10 + 10 + 1


def test_death_of_a_parent_is_not_noticed(s):
    """The process that accepts connections dies: those it made go on, and new ones find another."""
    with s.lmtp() as c:
        before = c.command("NOOP").ok
        parents = [pid for pid in s.children(s.process.pid, "lmtpd")]
        for pid in parents:
            os.kill(pid, 9)
        assert before and all(r.ok for r in c.deliver("a@b", ["bob", "eve"], message("x", BODY)).values())
    places.wait_until(lambda: set(attempt(s, ["bob"], "y").values()) == {250}, 10, "a new parent accepts")
    assert guids(s, "user.bob") == ["x", "y"]


@pytest.mark.limit(300)
def test_everything_dies_at_once(s):
    """SIGKILL to every process under four clients, again and again: what got its 250 is there after the start, once."""
    acked, sent, stop, lock = [], [], threading.Event(), threading.Lock()

    def client(number, turn):
        i = 0
        while not stop.is_set():
            name = f"{turn}-{number}-{i}"
            i += 1
            with lock:
                sent.append(name)
            answered = attempt(s, list(MAILBOXES), name)
            with lock:
                acked.extend((name, who) for who, code in answered.items() if code == 250)
            if len(answered) < len(MAILBOXES):
                return

    for turn in range(5):
        stop.clear()
        threads = [threading.Thread(target=client, args=(n, turn)) for n in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.4 + 0.13 * turn)
        s.process.kill()    # master first, or it would start others
        places.kill_processes_of(s.root)
        s.process.wait()
        stop.set()
        for t in threads:
            t.join(60)
        s.failpoints = FailpointPage(s.root / "failpoints")
        s.process = None
        s.ready_file.unlink(missing_ok=True)
        s.start()
        for name in sent[-4:]:    # the relay sends again what was not answered
            assert set(attempt(s, list(MAILBOXES), name).values()) == {250}
        for who, box in MAILBOXES.items():
            seen = guids(s, box)
            assert len(seen) == len(set(seen))
            missing = [n for n, w in acked if w == who and n not in seen]
            assert not missing, f"{box}: acknowledged and lost: {missing}"
    assert len(acked) > 30
