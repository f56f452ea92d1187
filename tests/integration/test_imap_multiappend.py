"""APPEND of several messages (RFC 3502) on a running imapd: all of them, by one change, or none."""
import pytest

from lib.imap import Literal, parse_date
from lib.places import wait_until
from lib.server import ONLY_IMAP
from lib.wire import Closed


def message(n):
    return b"From: a@b\r\nSubject: number %d\r\n\r\ntext %d\r\n" % (n, n)


@pytest.fixture
def us(server):
    s = server(services=ONLY_IMAP, imapd={"maxmessagesize": "100K"})
    s.make_user("bob", "eve")
    return s


@pytest.fixture
def bob(us):
    with us.imap("bob") as c:
        yield c


def literals(*numbers, plus=True):
    return [Literal(message(n), plus=plus) for n in numbers]


def texts(client):
    client.examine("INBOX")
    got = client.fetch("1:*", "BODY.PEEK[]") if client.status("INBOX", "MESSAGES")["MESSAGES"] else {}
    return [items["BODY[]"] for _, items in sorted(got.items())]


def test_capability(bob):
    assert "MULTIAPPEND" in bob.capabilities()


@pytest.mark.parametrize("plus", [True, False])
def test_each_has_its_own_flags_and_date(bob, plus):
    reply = bob.ok("APPEND", "INBOX", "(\\Seen one)", Literal(message(1), plus=plus), Literal(message(2), plus=plus),
                   "(\\Flagged)", '"03-Nov-2026 01:02:03 +0000"', Literal(message(3), plus=plus))
    assert reply.code == ["APPENDUID", bob.status("INBOX", "UIDVALIDITY")["UIDVALIDITY"], "1:3"]
    assert texts(bob) == [message(n) for n in (1, 2, 3)]
    got = bob.fetch("1:3", "(FLAGS INTERNALDATE)")
    assert [set(got[n]["FLAGS"]) - {"\\Recent"} for n in (1, 2, 3)] == [{"\\Seen", "one"}, set(), {"\\Flagged"}]
    assert parse_date(got[3]["INTERNALDATE"]) == 1793667723


def test_it_is_one_change(us, bob):
    with us.imap("bob") as other:
        other.select("INBOX")
        us.failpoints.record()
        bob.ok("APPEND", "INBOX", *literals(*range(20)))
        hits = us.failpoints.hits()
        assert hits["store.journal.write_frame"] == 1 and hits["store.journal.sync"] == 1
        assert [r.number for r in other.ok("NOOP").all("EXISTS")] == [20]
        modseqs = {r["MODSEQ"][0] for r in other.fetch("1:*", "MODSEQ").values()}
        assert modseqs == {other.status("INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]}


WRONG = [    # what follows two good messages
    ([Literal(b"no message", plus=True)], "NO"), ([Literal(b"", plus=True)], "NO"), (["junk"], "BAD"),
    (["(\\Bogus)", Literal(b"Subject: x\r\n\r\n", plus=True)], "BAD"), (["()"], "BAD"),
    (['"yesterday"', Literal(b"Subject: x\r\n\r\n", plus=True)], "BAD"),
    ([Literal(b"Subject: x\r\n\r\n" + b"x" * 102400, plus=True)], "NO"),
    ([Literal(b"Subject: x\r\n\r\n" + b"x" * 102400)], "NO"), ([Literal(b"")], "NO"), (["junk", Literal(b"x")], "BAD"),
    ([Literal(b"Subject: x\r\n\r\n", binary=True)], "BAD"),
]


@pytest.mark.parametrize("parts, status", WRONG)
def test_one_that_is_wrong_takes_all_with_it(us, bob, parts, status):
    assert bob.command("APPEND", "INBOX", *literals(1, 2), *parts).status == status
    assert not texts(bob) and not us.staged()
    bob.ok("APPEND", "INBOX", *literals(3, 4))
    assert texts(bob) == [message(3), message(4)]


def test_no_such_mailbox(bob):
    reply = bob.command("APPEND", "nosuch", *literals(1, 2))
    assert (reply.status, reply.code) == ("NO", ["TRYCREATE"])
    assert bob.ok("NOOP")


def test_quota_counts_all_of_them(us, bob):
    with us.admin() as admin:
        admin.ok("SETQUOTA", "user/bob", "(MESSAGE 3)")
    assert bob.command("APPEND", "INBOX", *literals(1, 2, 3, 4)).status == "NO"
    assert bob.command("APPEND", "INBOX", *literals(1, 2, 3, 4, plus=False)).status == "NO"
    assert not texts(bob)
    assert bob.ok("APPEND", "INBOX", *literals(1, 2, 3)).code[2] == "1:3"


def test_seen_of_another_user(us, bob):
    bob.ok("SETACL", "INBOX", "eve", "lrsi")
    with us.imap("eve") as eve:
        eve.ok("APPEND", '"Other Users/bob"', "(\\Seen)", *literals(1, 2), "(\\Seen)", *literals(3))
        eve.select("Other Users/bob")
        assert eve.search("SEEN") == [1, 3]
    bob.select("INBOX")
    assert bob.search("SEEN") == []


def test_as_many_as_a_command_may_have_literals(server):
    s = server(services=ONLY_IMAP, imapd={"maxliterals": 30})
    s.make_user("bob")
    with s.imap("bob") as c:
        assert c.command("APPEND", "INBOX", *literals(*range(31))).status == "BAD"
        assert not texts(c)
        assert c.ok("APPEND", "INBOX", *literals(*range(30))).code[2] == "1:30"


@pytest.mark.parametrize("point", ["store.journal.write_frame", "store.journal.sync"])
def test_a_death_leaves_all_or_none(us, bob, point):
    us.failpoints.arm(point, "kill", 0)
    with pytest.raises((Closed, ConnectionError)):
        bob.ok("APPEND", "INBOX", *literals(1, 2, 3))
    us.failpoints.disarm()
    with us.imap("bob") as c:
        assert texts(c) in ([], [message(n) for n in (1, 2, 3)])
        assert c.ok("APPEND", "INBOX", *literals(4, 5))
        assert texts(c)[-2:] == [message(4), message(5)]


def test_a_client_who_goes_in_the_middle(us, bob):
    for n in (1, 2):
        with us.imap("bob") as c:
            c.raw(b"a APPEND INBOX {%d+}\r\n%s {40+}\r\nSubject:" % (len(message(n)), message(n)))
    assert bob.ok("APPEND", "INBOX", *literals(1)).code[2] == 1
    assert texts(bob) == [message(1)]
    wait_until(lambda: not us.staged(), 10, "what the two had staged is gone")
