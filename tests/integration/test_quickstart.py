"""scripts/quickstart, with the installed programs in place of a build of its own: what it prints is so, and --stop ends it."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from lib import places
from lib.imap import Imap
from lib.lmtp import Lmtp
from lib.places import wait_until

SCRIPT = Path(__file__).parents[2] / "scripts/quickstart"


@pytest.fixture
def quickstart(root):
    """quickstart(*arguments): a CompletedProcess; what it left running ends with the test."""
    prefix = os.environ.get("US_PREFIX")
    if not prefix:
        raise places.Missing("US_PREFIX does not name an installation of Understudy")
    prefix = places.reachable(prefix, Path(root) / "prefix")

    def run(*args, check=True):
        return subprocess.run([SCRIPT, "--dir", root / "q", "--prefix", prefix, *args], text=True, capture_output=True, check=check,
                              timeout=100)
    yield run
    run("--stop", check=False)


def running(root):
    """Command lines of what works below that directory."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:    # it has ended
            continue
    return [line for line in lines if f" {root}/" in line and "quickstart" not in line]


def open_imap(side, user, password, tls=False):
    c = Imap((side["host"], side["imaps" if tls else "imap"]), tls=tls)
    c.login(user, password)
    return c


@pytest.mark.limit(300)
def test_a_pair_is_shown_and_left_running(quickstart, root):
    done = quickstart("--json")
    shown = json.loads(done.stdout)    # one object, and nothing beside it
    assert set(shown) == {"primary", "replica", "users", "admin"}
    sides = [shown["primary"], shown["replica"]]
    assert all(set(side) == {"host", "imap", "imaps", "lmtp", "csync", "config"} for side in sides)
    assert done.stderr.count(" on the replica ") == 3 and done.stderr.count(" ms after the acknowledgement") == 3
    assert "Subject: Delivered by LMTP" in done.stderr and "Subject: Stored by APPEND" in done.stderr
    user, admin = shown["users"][0], shown["admin"]
    for side in sides:
        assert Path(side["config"]).owner() == "cyrus" and Path(side["config"]).stat().st_mode & 0o777 == 0o600    # a password is in it
        with open_imap(side, admin["name"], admin["password"]) as c:
            assert {str(name) for _, _, name in c.list("", "user/%")} == {f"user/{u['name']}" for u in shown["users"]}
        with open_imap(side, user["name"], user["password"], tls=True) as c:
            assert c.select("INBOX")["EXISTS"] == 2
    with Lmtp((sides[0]["host"], sides[0]["lmtp"])) as c:
        c.lhlo()
        assert all(reply.ok for reply in c.deliver("a@b.test", [user["name"]], b"Subject: later\r\n\r\nx\r\n").values())
    with open_imap(sides[1], user["name"], user["password"]) as c:
        wait_until(lambda: c.select("INBOX")["EXISTS"] == 3, 5, "the message on the replica")
    quickstart("--json")    # once more: anew, where the first pair was
    assert len([line for line in running(root / "q") if "master -d" in line]) == 2
    done = quickstart("--stop")
    assert done.stdout == "" and running(root / "q") == []


def test_what_it_does_not_understand(quickstart):
    for args in (("--jsn",), ("--dir",), ("--prefix",)):
        done = quickstart(*args, check=False)
        assert done.returncode == 64 and "scripts/quickstart" in done.stderr and done.stdout == ""
