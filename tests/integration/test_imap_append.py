"""APPEND on a running imapd: what is taken, what is refused and when, and who sees it."""
import time

import pytest

from lib import places
from lib.imap import Literal, quote
from lib.imap_values import pairs
from lib.server import ONLY_IMAP

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\ntext\r\n"


@pytest.fixture
def us(server):
    s = server(services=ONLY_IMAP, imapd={"maxmessagesize": "100K"})
    s.make_user("bob", "eve")
    return s


@pytest.fixture
def bob(us):
    with us.imap("bob") as c:
        yield c


def stored(client, uid):
    client.examine("INBOX")
    return client.fetch(str(uid), "(FLAGS INTERNALDATE BODY.PEEK[])")[uid]


def test_flags_and_date(bob):
    validity, uid = bob.append("INBOX", MESSAGE, ["\\Seen", "\\flagged", "key", "$Work"], 1700000000)
    got = stored(bob, uid)
    assert got["BODY[]"] == MESSAGE and got["INTERNALDATE"] == b"14-Nov-2023 22:13:20 +0000"
    assert got["FLAGS"] == ["\\Recent", "\\Flagged", "\\Seen", "key", "$Work"]
    assert validity == bob.status("INBOX", "UIDVALIDITY")["UIDVALIDITY"]
    bob.ok("APPEND", "INBOX", '"03-Nov-2026 01:02:03 +0130"', Literal(MESSAGE))
    assert stored(bob, uid + 1)["INTERNALDATE"] == b" 2-Nov-2026 23:32:03 +0000"


@pytest.mark.parametrize("date", ["31-Dec-1969 23:59:59 +0000", "01-Jan-1970 00:00:00 +0001", "01-Jan-0001 00:00:00 +0000"])
def test_dates_before_1970_are_refused_as_by_cyrus(bob, date):
    reply = bob.command("APPEND", "INBOX", f'"{date}"', Literal(MESSAGE))
    assert (reply.status, reply.text) == ("BAD", "Invalid date-time in Append command")


@pytest.mark.parametrize("date, kept", [("01-Jan-1970 00:00:01 +0000", b" 1-Jan-1970 00:00:01 +0000"),
                                        ("07-Feb-2106 06:28:15 +0000", b" 7-Feb-2106 06:28:15 +0000"),
                                        ("07-Feb-2106 06:28:16 +0000", b" 7-Feb-2106 06:28:15 +0000"),
                                        ("31-Dec-9999 23:59:59 +0000", b" 7-Feb-2106 06:28:15 +0000")])
def test_dates_stay_within_what_a_replica_can_keep(bob, date, kept):
    uid = int(bob.ok("APPEND", "INBOX", f'"{date}"', Literal(MESSAGE)).code[2])
    assert stored(bob, uid)["INTERNALDATE"] == kept


def test_the_first_second_of_1970_is_now_as_with_cyrus(bob):
    uid = int(bob.ok("APPEND", "INBOX", '"01-Jan-1970 00:00:00 +0000"', Literal(MESSAGE)).code[2])
    assert not stored(bob, uid)["INTERNALDATE"].endswith(b"1970 00:00:00 +0000")


def test_without_a_date_it_is_now(bob):
    before = time.time()
    bob.ok("APPEND", "INBOX", Literal(MESSAGE, plus=True))
    bob.select("INBOX")
    today = time.strftime("%-d-%b-%Y", time.gmtime(before))
    later = time.strftime("%-d-%b-%Y", time.gmtime())
    assert bob.search("ON", today) == [1] or bob.search("ON", later) == [1]
    assert bob.ok("APPEND", "INBOX", "()", Literal(MESSAGE)).code[0] == "APPENDUID"


def test_the_name_may_be_a_literal(bob):
    reply = bob.ok("APPEND", Literal("INBOX"), "(\\Seen)", Literal(MESSAGE))
    assert reply.code[2] == 1
    assert bob.ok("APPEND", Literal("INBOX", plus=True), Literal(MESSAGE, plus=True)).code[2] == 2


TAKEN = [    # as it came, as it is kept
    (b"Subject: x\r\n", b"Subject: x\r\n"),
    (b"Subject: x\r\n\r\nx\r", b"Subject: x\r\n\r\nx\r"),
    (b"\r\n", b"\r\n"),
    (b"Subject: \xe5\xff\r\nX: \x80\r\n\r\n\xe5\r\n", b"Subject: XX\r\nX: X\r\n\r\n\xe5\r\n"),
]

REFUSED = [
    (b"", "Zero-length message literal"),
    (b"hello", "Message contains invalid header"),
    (b"hello\r\n", "Message contains invalid header"),
    (b"Subject: x", "Message contains invalid header"),
    (b"Subject: x\n\r\nx", "Message contains bare newlines"),
    (b"Subject: x\r\n\r\nx\n", "Message contains bare newlines"),
    (b"Subject: x\r\n\r\n\0", "Message contains NUL characters"),
    (b"Subject: \0\r\n\r\n", "Message contains NUL characters"),
]


def test_what_is_a_message(us, bob):
    for plus in (False, True):
        for message, text in REFUSED:
            reply = bob.command("APPEND", "INBOX", Literal(message, plus))
            assert (reply.status, reply.text) == ("NO", text), message
    assert bob.status("INBOX", "MESSAGES", "UIDNEXT") == {"MESSAGES": 0, "UIDNEXT": 1}
    for uid, (message, kept) in enumerate(TAKEN, 1):
        assert bob.ok("APPEND", "INBOX", Literal(message)).code[2] == uid
        assert stored(bob, uid)["BODY[]"] == kept
    assert not us.staged()    # nothing stays behind


@pytest.mark.parametrize("options, status, kept", [
    ({"reject8bit": True}, "NO", None),
    ({"munge8bit": False}, "OK", b"Subject: \xe5\r\n\r\nx"),
])
def test_8_bits_in_a_header(server, options, status, kept):
    s = server(services=ONLY_IMAP, imapd=options)
    s.make_user("bob")
    with s.imap("bob") as c:
        reply = c.command("APPEND", "INBOX", Literal(b"Subject: \xe5\r\n\r\nx"))
        assert reply.status == status
        if kept:
            assert stored(c, 1)["BODY[]"] == kept
        else:
            assert reply.text == "Message contains non-ASCII characters in headers"
        assert c.command("APPEND", "INBOX", Literal(b"Subject: x\r\n\r\n\xe5")).status == "OK"


def test_what_is_refused_is_not_asked_for(us, bob):
    """A literal that waits for the server's word is not sent in vain, one that does not wait is passed over."""
    big = b"Subject: x\r\n\r\n" + b"x" * 102400
    with us.admin() as admin:
        admin.ok("SETACL", "user/eve", "bob", "lrs")
    cases = [("INBOX", big, "TOOBIG", "Message size exceeds fixed limit"),
             ("nosuch", MESSAGE, "TRYCREATE", "Mailbox does not exist"),
             (quote("Other Users/nobody"), MESSAGE, "NONEXISTENT", "Mailbox does not exist"),
             (quote("Other Users/eve"), MESSAGE, "NOPERM", "Permission denied")]
    for name, message, code, text in cases:
        reply = bob.command("APPEND", name, Literal(message, plus=True))
        assert (reply.status, reply.code, reply.text) == ("NO", [code], text)
        bob.raw(b"w APPEND %s {%d}\r\n" % (name.encode(), len(message)))
        assert bob.wire.line() == f"w NO [{code}] {text}".encode()
    for words in ("INBOX (\\Bogus)", "INBOX \\Seen", 'INBOX "bogus"', "INBOX (a{b)"):
        assert bob.command("APPEND", words, Literal(MESSAGE, plus=True)).status == "BAD", words
        assert bob.command("APPEND", words, Literal(MESSAGE)).status == "BAD", words
    for arguments in ("", "INBOX", "INBOX (\\Seen)", 'INBOX "x"'):
        assert bob.command("APPEND", arguments).status == "BAD", arguments
    assert bob.command("APPEND", "INBOX", Literal(MESSAGE), "junk").status == "BAD"
    assert bob.command("APPEND", "INBOX", Literal(MESSAGE, binary=True)).status == "BAD"
    assert bob.status("INBOX", "MESSAGES") == {"MESSAGES": 0}


def test_size_limits(bob):
    just = b"Subject: x\r\n\r\n" + b"x" * (102400 - 14)
    assert bob.command("APPEND", "INBOX", Literal(just)).status == "OK"
    bob.raw(b"w APPEND INBOX {4294967296}\r\n")
    assert bob.wire.line() == b"w NO [TOOBIG] Message size exceeds fixed limit"


def test_quota(us, bob):
    with us.admin() as admin:
        admin.ok("SETQUOTA", "user/bob", "(STORAGE 2)")
    small, large = b"A: b\r\n\r\n" + b"x" * 1000, b"A: b\r\n\r\n" + b"x" * 2041
    reply = bob.command("APPEND", "INBOX", Literal(large))
    assert (reply.status, reply.text) == ("NO", "Over quota")
    assert bob.command("APPEND", "INBOX", Literal(small)).status == "OK"
    assert bob.command("APPEND", "INBOX", Literal(small)).status == "OK"
    assert bob.command("APPEND", "INBOX", Literal(small)).text == "Over quota"
    assert bob.status("INBOX", "MESSAGES") == {"MESSAGES": 2}


def test_the_selected_mailbox_hears_of_it(us, bob):
    bob.select("INBOX")
    reply = bob.ok("APPEND", "INBOX", "(new)", Literal(MESSAGE))
    assert [(r.name, r.number) for r in reply.untagged[:2]] == [("EXISTS", 1), ("RECENT", 1)]
    assert "new" in reply.one("FLAGS").values[0]
    with us.imap("bob") as other:
        other.append("INBOX", MESSAGE)
    assert [(r.name, r.number) for r in bob.ok("NOOP").untagged] == [("EXISTS", 2), ("RECENT", 2)]


ALLOWED = [("lri", []), ("lris", ["\\Seen"]), ("lrit", ["\\Deleted"]), ("lriw", ["\\Flagged", "key"])]


def test_rights(us, bob):
    for number, (rights, expected) in enumerate(ALLOWED, 1):
        with us.admin() as admin:
            admin.ok("SETACL", "user/eve", "bob", rights)
        bob.ok("APPEND", quote("Other Users/eve"), "(\\Seen \\Deleted \\Flagged key)", Literal(MESSAGE))
        bob.examine("Other Users/eve")
        flags = pairs(bob.ok("FETCH", str(number), "FLAGS").one("FETCH").values[0])["FLAGS"]
        assert [f for f in flags if f != "\\Recent"] == expected, rights
    with us.imap("eve") as eve:
        eve.select("INBOX")
        assert eve.search("SEEN") == []


def test_many_literals_without_waiting(bob):
    tags = [bob.start("APPEND", "INBOX", Literal(b"Subject: %d\r\n\r\n" % i, plus=True)) for i in range(50)]
    assert [bob.finish(tag).code[2] for tag in tags] == list(range(1, 51))
    bob.select("INBOX")
    assert bob.fetch("37", "BODY.PEEK[]")[37]["BODY[]"] == b"Subject: 36\r\n\r\n"


def test_a_client_who_goes_in_the_middle(us):
    with us.imap("bob") as c:
        c.raw(b"a APPEND INBOX {1000+}\r\nSubject: x\r\n\r\nhalf")
        time.sleep(0.3)
    with us.imap("bob") as c:
        assert c.status("INBOX", "MESSAGES") == {"MESSAGES": 0}


def test_a_large_message_is_not_kept_in_memory(server):
    s = server(services=ONLY_IMAP)
    s.make_user("bob")
    big = b"Subject: x\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 500000    # 36 MB
    with s.imap("bob", timeout=100) as c:
        c.raw(b"a APPEND INBOX {%d+}\r\n" % len(big) + big[:-10])
        time.sleep(1)
        sizes = [_anonymous_kb(pid) for pid, line in places.processes_of(s.root).items() if "imapd" in line]
        assert sizes and max(sizes) < 20000
        c.raw(big[-10:] + b"\r\n")
        assert c.wire.line().startswith(b"a OK [APPENDUID ")
        c.select("INBOX")
        assert c.fetch("1", "BODY.PEEK[]", timeout=100)[1]["BODY[]"] == big


def _anonymous_kb(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))
