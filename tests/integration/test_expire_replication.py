"""cyr_expire and unexpunge on a primary, and what its replica of ours makes of it."""
import time

import pytest

from lib.places import wait_until
from lib.site import Site, differences

TOOLS = {"cyr_expire": "cyr_expire", "unexpunge": "unexpunge"}
EXPIRE = "/vendor/cmu/cyrus-imapd/expire"


@pytest.fixture
def pair(roots):
    b = Site(roots(), "b", programs=TOOLS)
    a = Site(roots(), "a", to=b, programs=TOOLS)
    with b, a:
        b.start()
        a.start()
        yield a, b


def tool(site, *words):
    import subprocess
    done = subprocess.run(site.command(*words), env=site.environment, cwd="/", text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{words} -> {done.returncode}\n{done.stdout}{done.stderr}{site.tail()}"


def fill(a):
    a.do("create user.bob bob lrswipkxtecdan", "create user.bob.old bob lrswipkxtecdan")
    for n in range(5):
        a.append("user.bob", f"Subject: {n}\r\nDate: Mon, 02 Feb 2026 10:01:00 +0000\r\n\r\nold\r\n", "\\Seen")
    a.append("user.bob.old", "Subject: x\r\n\r\nx\r\n", "kw")
    a.do("mailboxannotation user.bob " + EXPIRE + " - 1", "flags user.bob 3 \\Flagged", "expunge user.bob 4")


def uids(site, name):
    lines = [line for line in site.do(f"show {name}") if line.startswith("record")]
    return {int(line.split("uid=")[1].split()[0]): "expunged=1" not in line for line in lines}


def files(site):
    return len(list(site.root.glob("spool/u/*/*/[0-9]*.")))


def followed(a, b):
    wait_until(lambda: not a.pending() and differences(a, b, ["bob"]) == [], 30,
               lambda: "\n".join(differences(a, b, ["bob"])) + a.tail())


def test_all_of_it_follows(pair):
    a, b = pair
    fill(a)
    with a.rolling():
        followed(a, b)
        assert files(b) == files(a) == 6
        # what is too old is expunged, here and there
        tool(a, "cyr_expire", "-E", "3")
        followed(a, b)
        assert uids(a, "user.bob") == uids(b, "user.bob") == dict.fromkeys(range(1, 6), False)
        # what comes back comes back there too, from the body that is still there
        tool(a, "unexpunge", "-u", "-d", "-f", "Back", "user/bob", "2", "4")
        followed(a, b)
        live = {6: True, 7: True}
        assert {u: l for u, l in uids(b, "user.bob").items() if l} == live == {u: l for u, l in uids(a, "user.bob").items() if l}
        # a purge is each server's own business, and the other does not bring back what went
        tool(a, "cyr_expire", "-X", "0", "-a")
        followed(a, b)
        assert uids(a, "user.bob") == live
        assert {u: l for u, l in uids(b, "user.bob").items() if l} == live
        tool(b, "cyr_expire", "-X", "0", "-a")
        assert uids(b, "user.bob") == live and files(a) == files(b) == 3
        a.append("user.bob", "Subject: new\r\n\r\nnew\r\n")
        followed(a, b)
        assert uids(b, "user.bob") == uids(a, "user.bob") == {**live, 8: True}
        # deleted mailboxes go from both, and from the replica's trash
        a.do("delete user.bob.old")
        followed(a, b)
        time.sleep(1.1)
        tool(a, "cyr_expire", "-D", "0", "-x")
        wait_until(lambda: not [line for line in b.do("list") if "DELETED" in line], 30, lambda: b.tail())
        assert not [line for line in a.do("list") if "DELETED" in line]
        tool(b, "cyr_expire", "-D", "0", "-x")
        assert list((b.root / "spool/trash").iterdir()) == [] == list((a.root / "spool/trash").iterdir())
        assert files(b) == files(a) == 3
        followed(a, b)
    assert a.said("-u", "bob") == ["USER bob", "MAILBOX user.bob"] or a.said("-u", "bob") == ["USER bob"]


def test_a_purge_of_what_the_replica_never_heard_of(pair):
    """Expunged and purged here before the replica could follow: it must not bring the messages back."""
    a, b = pair
    fill(a)
    a.said("-u", "bob")
    a.do("expunge user.bob 1", "expunge user.bob 2")
    tool(a, "cyr_expire", "-X", "0", "-a")
    assert sorted(uids(a, "user.bob")) == [3, 5]
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert sorted(u for u, live in uids(b, "user.bob").items() if live) == [3, 5] == sorted(uids(a, "user.bob"))


def test_a_restored_message_the_replica_never_saw_expunged(pair):
    a, b = pair
    fill(a)
    a.said("-u", "bob")
    a.do("expunge user.bob 1")
    tool(a, "unexpunge", "-a", "user/bob")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert sorted(u for u, live in uids(b, "user.bob").items() if live) == [2, 3, 5, 6, 7]


def test_the_replica_takes_a_purge_before_its_primary(pair):
    a, b = pair
    fill(a)
    a.do("expunge user.bob 1")
    a.said("-u", "bob")
    tool(b, "cyr_expire", "-X", "0", "-a", "-t")
    assert sorted(uids(b, "user.bob")) == [2, 3, 5]
    a.do("flags user.bob 2 \\Answered kw2")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == [] and sorted(uids(b, "user.bob")) == [2, 3, 5]
    tool(a, "unexpunge", "-a", "user/bob")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == [] and sorted(uids(b, "user.bob")) == [2, 3, 5, 6, 7]
