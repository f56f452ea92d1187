"""FETCH on a running imapd: every item, \\Seen as the RFC says, and messages that go while they are looked at."""
import pytest

from lib.imap import ImapError
from lib.imap_values import pairs
from lib.server import ONLY_IMAP


HEADER = (b"From: Ann <ann@example.com>\r\nTo: bob@example.com,\r\n\tcy@example.com\r\nSubject: outer\r\n"
          b"Date: Mon, 23 Nov 2026 22:07:33 +0200\r\nX-Odd: yes\r\nMIME-Version: 1.0\r\n"
          b"Content-Type: multipart/mixed; boundary=a\r\n\r\n")
INNER = b"Subject: inner\r\nX-Odd: inside\r\n\r\nhello"
BODY = (b"--a\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\none\r\n"
        b"--a\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n--a--\r\n")
MESSAGE = HEADER + BODY
WHEN = 1795392453    # 23-Nov-2026 00:07:33 +0000


@pytest.fixture
def box(server):
    """bob's INBOX with three copies of MESSAGE, selected: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob")
    with s.imap("bob") as c:
        for _ in range(3):
            c.append("INBOX", MESSAGE, ["\\Flagged", "$Work"], WHEN)
        c.select("INBOX")
        yield s, c


def fetched(client, items, which="1", command="FETCH"):
    """What is said of the only message of a set."""
    return pairs(client.ok(command, which, items).one("FETCH").values[0])


ITEMS = [
    ("UID", {"UID": 1}),
    ("RFC822.SIZE", {"RFC822.SIZE": len(MESSAGE)}),
    ("INTERNALDATE", {"INTERNALDATE": b"23-Nov-2026 00:07:33 +0000"}),
    ("BODY.PEEK[]", {"BODY[]": MESSAGE}),
    ("BODY.PEEK[HEADER]", {"BODY[HEADER]": HEADER}),
    ("BODY.PEEK[TEXT]", {"BODY[TEXT]": BODY}),
    ("RFC822.HEADER", {"RFC822.HEADER": HEADER}),
    ("BODY.PEEK[1]", {"BODY[1]": b"one"}),
    ("BODY.PEEK[1.MIME]", {"BODY[1.MIME]": b"Content-Type: text/plain; charset=us-ascii\r\n\r\n"}),
    ("BODY.PEEK[2]", {"BODY[2]": INNER}),
    ("BODY.PEEK[2.HEADER]", {"BODY[2.HEADER]": b"Subject: inner\r\nX-Odd: inside\r\n\r\n"}),
    ("BODY.PEEK[2.TEXT]", {"BODY[2.TEXT]": b"hello"}),
    ("BODY.PEEK[2.1]", {"BODY[2.1]": b"hello"}),
    ("BODY.PEEK[1.HEADER]", {"BODY[1.HEADER]": None}),
    ("BODY.PEEK[3]", {"BODY[3]": None}),
    ("BODY.PEEK[2.2]", {"BODY[2.2]": None}),
    ("BODY.PEEK[]<5.9>", {"BODY[]<5>": MESSAGE[5:14]}),
    ("BODY.PEEK[]<9999.9>", {"BODY[]<9999>": b""}),
    ("BODY.PEEK[TEXT]<0.4294967296>", {"BODY[TEXT]<0>": BODY}),
    ("BODY.PEEK[1]<2.5>", {"BODY[1]<2>": b"e"}),
    ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", {"BODY[HEADER.FIELDS (SUBJECT)]": b"Subject: outer\r\n\r\n"}),
    ("BODY.PEEK[HEADER.FIELDS (X-Odd subject)]",
     {"BODY[HEADER.FIELDS (X-ODD SUBJECT)]": b"Subject: outer\r\nX-Odd: yes\r\n\r\n"}),
    ("BODY.PEEK[HEADER.FIELDS (X-None)]", {"BODY[HEADER.FIELDS (X-NONE)]": b"\r\n"}),
    ("BODY.PEEK[2.HEADER.FIELDS.NOT (Subject)]",
     {"BODY[2.HEADER.FIELDS.NOT (SUBJECT)]": b"X-Odd: inside\r\n\r\n"}),
    ("BODY.PEEK[HEADER.FIELDS (To)]<4.3>", {"BODY[HEADER.FIELDS (TO)]<4>": b"bob"}),
]


def test_each_item(box):
    _, c = box
    for items, expected in ITEMS:
        assert fetched(c, items) == expected, items
    assert fetched(c, "(FLAGS)")["FLAGS"] == ["\\Recent", "\\Flagged", "$Work"]    # none of them sets \Seen
    assert fetched(c, "ENVELOPE")["ENVELOPE"][:3] == [
        b"Mon, 23 Nov 2026 22:07:33 +0200", b"outer", [[b"Ann", None, b"ann", b"example.com"]]]
    structure = fetched(c, "BODYSTRUCTURE")["BODYSTRUCTURE"]
    assert structure[0] == [b"TEXT", b"PLAIN", [b"CHARSET", b"us-ascii"], None, None, b"7BIT", 3, 0, None, None, None, None]
    assert structure[1][:2] == [b"MESSAGE", b"RFC822"] and structure[2:4] == [b"MIXED", [b"BOUNDARY", b"a"]]
    assert fetched(c, "BODY")["BODY"][2:] == [b"MIXED"]


def test_macros_and_many_items_at_once(box):
    _, c = box
    assert list(fetched(c, "ALL")) == ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"]
    assert list(fetched(c, "FAST")) == ["FLAGS", "INTERNALDATE", "RFC822.SIZE"]
    assert list(fetched(c, "FULL")) == ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"]
    # in a Cyrus's order, whatever the client's
    got = fetched(c, "(RFC822 BODY[1] BODY[HEADER.FIELDS (To)] RFC822.TEXT RFC822.HEADER BODY UID FLAGS)")
    assert list(got) == ["FLAGS", "UID", "BODY", "RFC822.HEADER", "RFC822.TEXT", "RFC822",
                         "BODY[HEADER.FIELDS (TO)]", "BODY[1]"]
    assert got["RFC822"] == MESSAGE and got["RFC822.TEXT"] == BODY
    everything = "(" + " ".join(items for items, _ in ITEMS) + ")"
    assert fetched(c, everything) == {name: value for _, expected in ITEMS for name, value in expected.items()}


def test_sets_of_numbers_and_uids(box):
    _, c = box
    c.store("2", "+FLAGS", "\\Deleted")
    c.ok("EXPUNGE")

    def uids(which, command="FETCH"):
        reply = c.command(command, which, "(UID)")
        return [(r.number, pairs(r.values[0])["UID"]) for r in reply.all("FETCH")], reply.status
    assert uids("1:*") == ([(1, 1), (2, 3)], "OK")
    assert uids("*") == ([(2, 3)], "OK")
    assert uids("*:1") == ([(1, 1), (2, 3)], "OK")
    assert uids("2,1,1:2") == ([(1, 1), (2, 3)], "OK")
    assert uids("1:99") == ([(1, 1), (2, 3)], "OK")
    assert uids("99:*") == ([(2, 3)], "OK")
    assert uids("99") == ([], "NO")
    assert uids("3", "UID FETCH") == ([(2, 3)], "OK")
    assert uids("2", "UID FETCH") == ([], "OK")
    assert uids("77:*", "UID FETCH") == ([(2, 3)], "OK")
    assert fetched(c, "FLAGS", "3", "UID FETCH")["UID"] == 3


SEEING = ["BODY[]", "BODY[1]", "BODY[HEADER]", "BODY[HEADER.FIELDS (To)]", "BODY[]<0.3>", "BODY[9]", "RFC822",
          "RFC822.TEXT"]


def test_what_is_read_is_seen(box):
    s, c = box
    for items in SEEING:
        c.ok("STORE", "1", "-FLAGS.SILENT", "(\\Seen)")
        got = fetched(c, items)
        assert got["FLAGS"] == ["\\Recent", "\\Flagged", "\\Seen", "$Work"], items    # shown, though not asked for
        assert "FLAGS" not in fetched(c, items), items                               # and only when it is new
        with s.imap("bob") as other:
            other.select("INBOX")
            assert "\\Seen" in fetched(other, "FLAGS")["FLAGS"], items


def test_all_seen_by_one_command_is_one_change(box):
    s, c = box
    s.failpoints.record()
    c.ok("FETCH", "1:*", "BODY[1]")
    assert s.failpoints.hits()["store.journal.sync"] == 1
    s.failpoints.record()
    c.ok("FETCH", "1:*", "BODY[1]")
    assert "store.journal.sync" not in s.failpoints.hits()


def test_nothing_is_seen_where_it_must_not(box):
    s, c = box
    c.examine("INBOX")
    assert "FLAGS" not in fetched(c, "BODY[]")
    with s.admin() as admin:
        admin.ok("SETACL", "user/bob", "eve", "lr")
        s.make_user("eve")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert "FLAGS" not in fetched(eve, "BODY[]")
    assert c.search("UNSEEN") == [1, 2, 3]


def test_others_have_seen_what_they_have_seen(box):
    s, c = box
    s.make_user("eve")
    with s.admin() as admin:
        admin.ok("SETACL", "user/bob", "eve", "lrs")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert fetched(eve, "BODY[1]", "2")["FLAGS"] == ["\\Recent", "\\Flagged", "\\Seen", "$Work"]
        assert eve.search("SEEN") == [2]
        assert c.search("SEEN") == []
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert eve.search("SEEN") == [2]


def test_a_standby_is_only_read(server, box):
    s, c = box
    s.stop()
    s.options["replicaonly"] = True
    s.write_conf()
    s.start()
    with s.imap("bob") as reader:
        assert not reader.select("INBOX").get("READ-WRITE")
        assert "FLAGS" not in fetched(reader, "BODY[]")
        assert reader.command("STORE", "1", "+FLAGS", "(\\Seen)").status == "NO"
        assert reader.command("APPEND", "INBOX", "{3+}\r\nabc").status == "NO"


def test_large_messages_pass_whole(box):
    s, c = box
    big = HEADER + b"--a\r\n\r\n" + b"x" * 78 + (b"\r\n" + b"0123456789" * 7) * 60000 + b"\r\n--a--\r\n"
    c.append("INBOX", big)
    assert fetched(c, "BODY.PEEK[]", "4")["BODY[]"] == big
    assert fetched(c, "BODY.PEEK[]<100000.3000000>", "4")["BODY[]<100000>"] == big[100000:3100000]
    with s.imap("bob") as packed:
        packed.compress()
        packed.select("INBOX")
        assert fetched(packed, "(BODY.PEEK[] UID)", "4") == {"UID": 4, "BODY[]": big}
    with s.imap() as safe:
        safe.starttls()
        safe.login("bob", "pw")
        safe.select("INBOX")
        assert fetched(safe, "BODY.PEEK[TEXT]", "4")["BODY[TEXT]"] == big[len(HEADER):]


def test_messages_that_go_meanwhile(box):
    s, c = box
    with s.imap("bob") as other:
        other.select("INBOX")
        other.store("2", "+FLAGS", "\\Deleted")
        other.ok("EXPUNGE")
        # It has its number, and is still there, as long as we were not told.
        reply = c.ok("FETCH", "1:3", "(UID BODY.PEEK[1])")
        assert [r.number for r in reply.all("FETCH")][:3] == [1, 2, 3] and not reply.all("EXPUNGE")
        assert [r.number for r in c.ok("NOOP").all("EXPUNGE")] == [2]
        assert [r.number for r in c.ok("FETCH", "1:*", "UID").all("FETCH")] == [1, 2]


def test_messages_whose_files_go_meanwhile(server):
    s = server(services=ONLY_IMAP, imapd={"expunge_mode": "immediate"})
    s.make_user("bob")
    with s.imap("bob") as c, s.imap("bob") as other:
        for _ in range(3):
            c.append("INBOX", MESSAGE)
        c.select("INBOX")
        other.select("INBOX")
        other.store("2", "+FLAGS", "\\Deleted")
        other.ok("EXPUNGE")
        reply = c.command("FETCH", "1:3", "BODY.PEEK[1]")
        assert (reply.status, reply.code) == ("NO", ["EXPUNGEISSUED"])
        assert [r.number for r in reply.all("FETCH")] == [1, 3]
        # What needs no file is known of it.
        c.select("INBOX")
        assert [r.number for r in c.ok("FETCH", "1:*", "(UID ENVELOPE)").all("FETCH")] == [1, 2]


def test_what_cannot_be_read_is_said(box):
    """A file that is shorter than it should be costs its own message; nobody waits for octets that do not come."""
    s, c = box
    files = sorted(s.root.glob("spool/u/*/*/2."))
    assert len(files) == 1
    files[0].write_bytes(MESSAGE[:50])
    s.expect("imap.message.unreadable")
    reply = c.command("FETCH", "1:3", "(UID BODY.PEEK[])")
    assert (reply.status, reply.code) == ("NO", ["CORRUPTION"])
    assert [r.number for r in reply.all("FETCH")] == [1, 3]
    assert [r.number for r in c.ok("FETCH", "1:3", "(UID ENVELOPE)").all("FETCH")] == [1, 2, 3]
    reply = c.command("SEARCH", "BODY", "one")
    assert reply.one("SEARCH").values == [1, 3]


def test_a_lost_cache_is_made_again(box):
    s, c = box
    expected = [r.values for r in c.ok("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)").all("FETCH")]
    c.ok("UNSELECT")
    cache, = s.root.glob("spool/u/*/*/mbox.cache.*")
    cache.unlink()
    c.select("INBOX")
    s.failpoints.record()
    assert [r.values for r in c.ok("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)").all("FETCH")] == expected
    hits = s.failpoints.hits()
    assert hits["store.cache.append"] == 3 and hits["store.journal.sync"] == 1    # all of them by one commit
    c.select("INBOX")
    s.failpoints.record()
    assert [r.values for r in c.ok("FETCH", "1:*", "(ENVELOPE BODYSTRUCTURE)").all("FETCH")] == expected
    assert "store.cache.append" not in s.failpoints.hits()


def test_flags_of_others_are_told(box):
    s, c = box
    with s.imap("bob") as other:
        other.select("INBOX")
        other.store("2", "+FLAGS", "\\Answered", "new")
    reply = c.ok("NOOP")
    assert reply.all("FLAGS") and [r.number for r in reply.all("FETCH")] == [2]
    assert pairs(reply.one("FETCH").values[0]) == {"FLAGS": ["\\Recent", "\\Answered", "\\Flagged", "$Work", "new"]}
    assert not c.ok("NOOP").untagged


def test_never_ahead_of_exists(box):
    """A message that came and was not announced has no number yet, and no UID is shown of it."""
    s, c = box
    with s.imap("bob") as other:
        other.append("INBOX", MESSAGE)
        reply = c.ok("UID FETCH", "1:*", "(FLAGS)")
        names = [r.name for r in reply.untagged]
        assert names.index("EXISTS") > max(i for i, r in enumerate(reply.untagged) if r.name == "FETCH")
        assert max(r.number for r in reply.all("FETCH")) == 3
        assert [r.number for r in c.ok("FETCH", "4", "(UID)").all("FETCH")] == [4]


def test_bad_arguments(box):
    _, c = box
    for arguments in ("", "1", "x FLAGS", "1 ()", "1 BOGUS", "1 BODY[0]", "1 BODY[]<1>", "1 (FLAGS", "1 FLAGS x"):
        with pytest.raises(ImapError) as error:
            c.ok("FETCH", arguments)
        assert error.value.reply.status == "BAD", arguments
    assert fetched(c, "UID") == {"UID": 1}    # the session lives
