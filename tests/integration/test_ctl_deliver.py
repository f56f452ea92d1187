"""ctl_deliver: the marks of deliveries, shown and forgotten, on a server that runs and on one that is down."""
import re
import subprocess
import time

import pytest

from lib import places
from lib.lmtpd import Lmtpd, message

LINE = re.compile(r"id: (.{40,})\tto: (\S+) *\tat: (\d+)\tuid: (\d+)")


@pytest.fixture
def s(root):
    server = Lmtpd(root).start()
    server.do("create user.bob", "create user.eve")
    yield server
    server.__exit__(None)


def run(s, *args):
    return subprocess.run([places.build() / "ctl_deliver", "-C", s.imapd_conf, *args], capture_output=True, text=True, timeout=60,
                          env={**s.environment, "PATH": "/usr/bin:/bin"}, cwd="/")


def dump(s, *args):
    """[(id, uniqueid, time, uid)]"""
    done = run(s, "-d", *args)
    assert done.returncode == 0 and not done.stderr, done
    first, *lines, last = done.stdout.splitlines()
    assert abs(int(re.fullmatch(r"it is NOW: (\d+)", first)[1]) - time.time()) < 60
    assert last == f"got {len(lines)} entries"
    matches = [LINE.fullmatch(line) for line in lines]
    return [(m[1].rstrip(" "), m[2], int(m[3]), int(m[4])) for m in matches]


def send(s, number, *users):
    with s.lmtp() as c:
        replies = c.deliver("a@b", list(users), message(number))
    assert all(r.ok for r in replies.values())


def test_dump(s):
    assert dump(s) == []
    send(s, 2, "bob", "eve")
    send(s, 1, "bob")
    long_id = "<" + "x" * 60 + "@test>"
    with s.lmtp() as c:
        c.deliver("a@b", ["eve"], message(Message_ID=long_id))
        c.deliver("a@b", ["eve"], message(Message_ID="<tab\t\x07@test>"))
        c.deliver("a@b", ["eve"], message(Message_ID=None))    # it gets one
    ids = {s.show(f"user.{user}").counters["uniqueid"]: user for user in ("bob", "eve")}
    marks = dump(s)
    given = [m for m in marks if m[0].startswith("<lmtpd-")]
    assert len(given) == 1 and given[0][3] == 4
    assert [(i, ids[u], uid) for i, u, _, uid in sorted(marks, key=lambda m: (m[0], ids[m[1]])) if uid != 4] == [
        ("<1@test>", "bob", 2), ("<2@test>", "bob", 1), ("<2@test>", "eve", 1), ("<tab??@test>", "eve", 3), (long_id, "eve", 2)]
    assert all(abs(at - time.time()) < 60 for _, _, at, _ in marks)
    assert [m[0] for m in marks] == sorted(m[0] for m in marks)
    assert dump(s, "-f", "/var/lib/cyrus/deliver.db") == dump(s, "-f", "deliver.db") == marks
    s.stop()
    assert dump(s) == marks


def test_prune(s):
    for number in range(600):    # more than go at once
        if number % 100 == 0:
            client = s.lmtp()
        client.deliver("a@b", ["bob"], message(number))
    assert len(dump(s)) == 600
    assert (run(s, "-E", "1").returncode, len(dump(s))) == (0, 600)
    done = run(s, "-E", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert dump(s) == []
    send(s, 1, "bob")                      # nobody knows it any more
    assert len(s.show("user.bob").live) == 601
    send(s, 1, "bob")
    assert len(s.show("user.bob").live) == 601
    s.stop()
    assert len(dump(s)) == 1
    assert (run(s, "-E", "0").returncode, dump(s)) == (0, [])


@pytest.mark.parametrize("args", [(), ("-x",), ("-E",), ("-E", "x"), ("-E", "-1"), ("-E", "36501"), ("-E", "3", "-d"), ("-f", "x"),
                                  ("-E", "3", "-f", "deliver.db")])
def test_a_wrong_command_line(s, args):
    done = run(s, *args)
    assert done.returncode == 255 and done.stdout == "" and "ctl_deliver [-C" in done.stderr


def test_a_file_that_is_no_such_database(s):
    done = run(s, "-d", "-f", "/tmp/other.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "ctl_deliver: unable to init duplicate delivery database\n"


def test_a_wrong_configuration(root):
    bad = root / "bad.conf"
    bad.write_text("duplicatesuppression: nonsense\n")
    done = subprocess.run([places.build() / "ctl_deliver", "-C", bad, "-d"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 78 and done.stderr.startswith("fatal error: ")
