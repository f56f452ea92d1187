"""Annotations of mailboxes and of the server (METADATA): who may, what is refused, what they do, and that they replicate."""
import re

import pytest

from lib.checker import compare
from lib.imap import Literal
from lib.server import ONLY_IMAP
from lib.store import read_store

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\nhello\r\n"
VENDOR = "/shared/vendor/cmu/cyrus-imapd/"


@pytest.fixture
def make(server):
    def one(services=ONLY_IMAP, **options):
        s = server(services=services, imapd=options)
        s.make_user("alice", "bob")
        return s
    return one


def get(c, mailbox, entries, options=""):
    """{entry: value}; a value that is not there is None."""
    values = {}
    for r in c.ok(f'GETMETADATA {options}"{mailbox}" {entries}').all("METADATA"):
        assert (r.values[0] or b"") in (mailbox, mailbox.encode())
        flat = r.values[1]
        values.update(zip([str(e, "ascii") for e in flat[::2]], flat[1::2]))
    return values


def put(c, mailbox, *pairs):
    """pairs: entry, value, entry, value...; None is NIL."""
    words = []
    for entry, value in zip(pairs[::2], pairs[1::2]):
        words += [entry, "NIL" if value is None else Literal(value, plus=True)]
    words[0] = "(" + words[0]
    return c.command(f'SETMETADATA "{mailbox}"', *words, ")") if isinstance(words[-1], Literal) else \
        c.command(f'SETMETADATA "{mailbox}"', *words[:-1], words[-1] + ")")


# ---- a mailbox's ----------------------------------------------------------------------------------------------

def test_private_and_shared_values(make):
    s = make()
    with s.imap("alice") as c:
        c.ok("CREATE foo")
        c.ok("SETACL foo bob lr")
        assert get(c, "foo", "/private/comment") == {"/private/comment": None}
        assert put(c, "foo", "/private/comment", "mine", "/SHARED/Comment", "ours").status == "OK"
        both = "(/private/comment /shared/comment)"
        assert get(c, "foo", both) == {"/private/comment": b"mine", "/shared/comment": b"ours"}
        with s.imap("bob") as d:
            theirs = "Other Users/alice/foo"
            assert get(d, theirs, both) == {"/private/comment": None, "/shared/comment": b"ours"}
            assert put(d, theirs, "/private/comment", "bobs").status == "OK"
            # Nothing is set where not all may be.
            reply = put(d, theirs, "/private/comment", "other", "/shared/comment", "theirs")
            assert (reply.status, reply.text) == ("NO", "Permission denied")
            assert get(d, theirs, both) == {"/private/comment": b"bobs", "/shared/comment": b"ours"}
            c.ok("SETACL foo bob lrw")
            assert put(d, theirs, "/shared/comment", "theirs").status == "OK"
            assert put(d, theirs, VENDOR + "expire", "3").text == "Permission denied"
            c.ok("SETACL foo bob l")
            assert d.command(f'GETMETADATA "{theirs}" /shared/comment').text == "Permission denied"
            c.ok("SETACL foo bob", '""')
            assert d.command(f'GETMETADATA "{theirs}" /shared/comment').code == ["NONEXISTENT"]
        assert get(c, "foo", both) == {"/private/comment": b"mine", "/shared/comment": b"theirs"}
        # They go with the mailbox; an empty value is one; NIL takes away.
        c.ok("RENAME foo bar")
        assert put(c, "bar", "/private/comment", "", "/shared/comment", None).status == "OK"
        assert get(c, "bar", both) == {"/private/comment": b"", "/shared/comment": None}
        # Any octets; NUL in a literal8 only.
        value = bytes(range(1, 256)) * 3
        assert put(c, "bar", "/private/comment", value).status == "OK"
        assert get(c, "bar", "/private/comment") == {"/private/comment": value}
        assert put(c, "bar", "/private/comment", value + b"\0").status == "BAD"
        value += b"\0end"
        for plus in (False, True):
            c.ok("SETMETADATA bar (/private/comment", Literal(value, plus, binary=True), ")")
            assert get(c, "bar", "/private/comment") == {"/private/comment": value}
        assert b"~{%d}" % len(value) in c.ok("GETMETADATA bar /private/comment").one("METADATA").raw
    with s.admin() as c:
        assert put(c, "user/alice/bar", VENDOR + "expire", "30").status == "OK"
    s.restart()
    with s.imap("alice") as c:
        assert get(c, "bar", f"(/private/comment {VENDOR}expire)") == {"/private/comment": value, VENDOR + "expire": b"30"}


def test_depth_and_size(make):
    s = make(annotation_allow_undefined=True)
    with s.imap("alice") as c:
        c.ok("CREATE foo")
        for entry, value in (("/shared/a", "1"), ("/shared/a/b", "22"), ("/shared/a/b/c", "333"), ("/private/a/b", "4"),
                             ("/shared/ab", "5")):
            assert put(c, "foo", entry, value).status == "OK"
        assert get(c, "foo", "/shared/a") == {"/shared/a": b"1"} == get(c, "foo", "/shared/a", "(DEPTH 0) ")
        assert get(c, "foo", "/shared/a", "(DEPTH 1) ") == {"/shared/a": b"1", "/shared/a/b": b"22"}
        everything = {"/shared/a": b"1", "/shared/a/b": b"22", "/shared/a/b/c": b"333"}
        assert get(c, "foo", "/shared/a", "(DEPTH infinity) ") == everything
        assert get(c, "foo", "(/shared/a /shared/a/b)", "(DEPTH infinity) ") == everything    # each once
        raw = c.ok('GETMETADATA foo (DEPTH infinity MAXSIZE 2) (/shared/a /private/a)')
        assert raw.code == ["METADATA", "LONGENTRIES", 3]
        assert [r.raw for r in raw.untagged] == \
            [b'* METADATA foo ("/shared/a" "1" "/shared/a/b" "22" "/private/a/b" "4" "/private/a" NIL)']
        c.ok(r'SETMETADATA foo ("/private/a\"b\\c" "x")')
        assert get(c, "foo", r'"/private/a\"b\\c"') == {r'/private/a"b\c': b"x"}
        c.ok(r'SETMETADATA foo ("/private/a\"b\\c" NIL)')
        top = get(c, "foo", "/private", "(DEPTH infinity) ")
        assert top == {"/private/a/b": b"4"}
        assert get(c, "foo", "/shared", "(DEPTH 1) ") == {"/shared/a": b"1", "/shared/ab": b"5"}


def test_what_is_refused(make):
    s = make(annotation_allow_undefined=False, annotation_value_max="1K", annotation_count_max=3)
    with s.imap("alice") as c:
        for bad in ("/comment x", "/shared x", "/sharedx x", "/shared/a//b x", "/shared/a/ x", "/shared/a*b x", "/shared/comment"):
            assert c.command(f"SETMETADATA INBOX ({bad})").status == "BAD"
        for entry in ("/shared/undefined", "/private/vendor/x/y", VENDOR + "size", VENDOR + "uniqueid", VENDOR + "nosuch",
                      "/private/vendor/cmu/cyrus-imapd/expire", "/shared/specialuse", "/shared/vendor/cmu/cyrus-imapd/sortorder"):
            assert put(c, "INBOX", entry, "1").text == "Permission denied"
        for entry, value in (("expire", "x"), ("expire", "30d"), ("expire", "99999999999"), ("sharedseen", "maybe"),
                             ("pop3showafter", "yesterday")):
            assert put(c, "INBOX", VENDOR + entry, value).text == "Invalid annotation value"
        assert put(c, "INBOX", "/private/comment", "x" * 1024).status == "OK"
        assert put(c, "INBOX", "/private/comment", "x" * 1025).code == ["METADATA", "MAXSIZE", 1024]
        assert put(c, "INBOX", "/private/sort", "x", "/private/thread", "x", "/shared/sort", "x").code == ["METADATA", "TOOMANY"]
        assert get(c, "INBOX", "/private", "(DEPTH infinity) ") == {"/private/comment": b"x" * 1024}
        assert put(c, "INBOX", "/private/sort", "x", "/private/thread", "x").status == "OK"
        assert put(c, "INBOX", "/private/sort", "y", "/private/comment", "y").status == "OK"    # what is there may change
        assert put(c, "nosuch", "/private/comment", "x").code == ["NONEXISTENT"]


def test_entries_that_are_something_of_the_mailbox(make):
    s = make()
    with s.imap("alice") as c:
        c.ok("CREATE foo")
        c.append("foo", MESSAGE)
        values = get(c, "foo", "/shared", "(DEPTH infinity) ")
        uniqueid = values.pop(VENDOR + "uniqueid")
        assert re.fullmatch(rb"[0-9a-f-]{36}", uniqueid)
        assert re.fullmatch(rb"\d?\d-\w{3}-\d{4} \d\d:\d\d:\d\d \+0000", values.pop(VENDOR + "lastupdate"))
        assert re.fullmatch(rb"\d+ \d+", values.pop(VENDOR + "synccrcs"))
        assert int(values.pop(VENDOR + "foldermodseq")) >= 1
        assert values == {VENDOR + name: value for name, value in {
            "annotsize": b"0", "duplicatedeliver": b"false", "hasalarms": b"false", "partition": b"default",
            "pop3newuidl": b"true", "sharedseen": b"false", "size": b"%d" % len(MESSAGE)}.items()}
        # sharedseen: one \Seen for everybody.
        c.ok("SETACL foo bob lrs")
        assert put(c, "foo", VENDOR + "sharedseen", "TRUE", "/shared/comment", "with it").status == "OK"
        assert get(c, "foo", f"({VENDOR}sharedseen /shared/comment)") == {VENDOR + "sharedseen": b"true",
                                                                       "/shared/comment": b"with it"}
        with s.imap("bob") as d:
            d.select("Other Users/alice/foo")
            d.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        c.select("foo")
        assert c.fetch("1", "FLAGS")[1]["FLAGS"] and "\\Seen" in map(str, c.fetch("1", "FLAGS")[1]["FLAGS"])
        assert put(c, "foo", VENDOR + "sharedseen", None, VENDOR + "duplicatedeliver", "true", VENDOR + "pop3newuidl", "false",
                   VENDOR + "pop3showafter", "23-Nov-2026 22:07:33 +0100").status == "OK"
        names = ("duplicatedeliver", "pop3newuidl", "pop3showafter", "sharedseen")
        assert get(c, "foo", "(" + " ".join(VENDOR + n for n in names) + ")") == dict(zip(
            (VENDOR + n for n in names), (b"true", b"false", b"23-Nov-2026 21:07:33 +0000", b"false")))
        put(c, "foo", VENDOR + "pop3newuidl", None, VENDOR + "pop3showafter", None)
        assert get(c, "foo", f"({VENDOR}pop3newuidl {VENDOR}pop3showafter)") == {VENDOR + "pop3newuidl": b"true",
                                                                                   VENDOR + "pop3showafter": None}


def test_special_uses_as_an_annotation(make):
    s = make()
    with s.imap("alice") as c:
        c.ok("CREATE Sent (USE (\\Sent))")
        c.ok("CREATE foo")
        c.ok("CREATE foo/bar")
        entry = "/private/specialuse"
        assert get(c, "Sent", entry) == {entry: b"\\Sent"}
        for mailbox, value in (("foo", "\\Sent"), ("foo", "\\Foo"), ("foo", "\\Archive \\Sent"), ("foo/bar", "\\Archive")):
            assert put(c, mailbox, entry, value).code == ["USEATTR"]
        assert put(c, "foo", entry, "\\archive").status == "OK"
        assert get(c, "foo", entry) == {entry: b"\\Archive"}
        assert put(c, "Sent", entry, None).status == put(c, "foo", entry, "\\Sent").status == "OK"
        c.ok("DELETE Sent")
        c.ok("SETACL foo bob lr")
    with s.imap("bob") as c:
        assert put(c, "Other Users/alice/foo", entry, "\\Junk").text == "Permission denied"


def test_annotations_need_room(make):
    s = make()
    with s.admin() as c:
        c.ok("SETQUOTA user/alice (X-ANNOTATION-STORAGE 1)")
    with s.imap("alice") as c:
        assert put(c, "INBOX", "/private/comment", "x" * 1000).status == "OK"
        reply = put(c, "INBOX", "/shared/comment", "y" * 500)
        assert (reply.status, reply.text) == ("NO", "Over quota")
        assert put(c, "INBOX", "/private/comment", "x" * 500, "/shared/comment", "y" * 500).status == "OK"
        assert get(c, "INBOX", "/shared/comment") == {"/shared/comment": b"y" * 500}


# ---- the server's -----------------------------------------------------------------------------------------------

def test_the_servers(make):
    s = make(annotation_allow_undefined=True)
    with s.admin() as c, s.imap("alice") as d:
        assert put(c, "", "/shared/comment", "ours", "/private/comment", "admin's", "/shared/admin", "mailto:a@b").status == "OK"
        assert put(d, "", "/shared/comment", "x").text == put(d, "", VENDOR + "expire", "1").text == "Permission denied"
        assert put(d, "", "/private/comment", "alice's").status == "OK"
        asked = "(/shared/comment /private/comment /shared/admin)"
        assert get(d, "", asked) == {"/shared/comment": b"ours", "/private/comment": b"alice's", "/shared/admin": b"mailto:a@b"}
        assert get(c, "", "/private/comment") == {"/private/comment": b"admin's"}
        assert put(c, "", VENDOR + "freespace", "1").text == "Permission denied"
        space = get(d, "", VENDOR + "freespace", "(DEPTH infinity) ")
        total = space[VENDOR + "freespace/total"]
        assert re.fullmatch(rb"\d+;\d+", total) and total.split(b";")[0] == space[VENDOR + "freespace"]
        # What is read at the door.
        assert put(c, "", "/shared/motd", "come in").status == "OK"
        assert get(d, "", "/shared/motd") == {"/shared/motd": b"come in"}
        with s.imap() as e:
            assert b"[ALERT] come in" in e.wire.line()
        # One line of a size that is read again.
        for bad in ("two\r\nlines", "two\nlines", "\r"):
            assert put(c, "", "/shared/motd", bad).text == "Invalid annotation value"
        assert put(c, "", VENDOR + "shutdown", "x" * 4097).code == ["METADATA", "MAXSIZE", 4096]
        assert put(c, "", "/shared/motd", "x" * 4096).status == "OK"
        assert get(d, "", "/shared/motd") == {"/shared/motd": b"x" * 4096}
        (s.root / "conf/msg/motd").write_text("y" * 5000)    # an operator's own
        assert get(d, "", "/shared/motd") == {"/shared/motd": b"y" * 4096}
        # A notice that cannot be written leaves the rest as it was.
        s.expect("imap.command.failed")
        s.failpoints.arm("session.notice.write", "eio")
        assert put(c, "", "/shared/comment", "other", "/shared/motd", "z").status == "NO"
        assert get(d, "", "(/shared/comment /shared/motd)") == {"/shared/comment": b"ours", "/shared/motd": b"y" * 4096}
        assert put(c, "", "/shared/motd", None).status == "OK"
        assert get(d, "", "/shared/motd") == {"/shared/motd": None}
        assert put(c, "", VENDOR + "shutdown", "closing").status == "OK"
        d.wire.send(b"x NOOP\r\nx NOOP\r\n")
        assert b"* BYE [ALERT] closing" in d.wire.rest()
        assert put(c, "", VENDOR + "shutdown", None).status == "OK"
    with s.imap("alice") as d:
        assert d.ok("NOOP").status == "OK"


def test_nothing_is_written_on_a_replica(make):
    s = make()
    s.stop()
    s.options["replicaonly"] = True
    s.write_conf()
    s.start()
    with s.imap("alice") as c:
        assert put(c, "INBOX", "/private/comment", "x").status == "NO"
        assert get(c, "INBOX", "/private/comment") == {"/private/comment": None}


# ---- replication -------------------------------------------------------------------------------------------------

def annotate_all(s):
    """Every kind of change there is."""
    with s.imap("alice") as c:
        c.ok("CREATE Sent (USE (\\Sent))")
        c.ok("CREATE foo")
        c.ok("SETACL foo bob lr")
        assert put(c, "foo", "/private/comment", "mine", "/shared/comment", "ours", "/shared/gone", "x").status == "OK"
        assert put(c, "foo", "/shared/gone", None, VENDOR + "expire", "30", VENDOR + "sharedseen", "true").status == "OK"
    with s.imap("bob") as c:
        assert put(c, "Other Users/alice/foo", "/private/comment", "bob's").status == "OK"
    with s.admin() as c:
        assert put(c, "", "/shared/comment", "the server's", "/private/comment", "admin's").status == "OK"


def test_annotations_replicate(server):
    b = server(name="b", services={"lmtp": None, "lmtpunix": None}, imapd={"annotation_allow_undefined": True})
    a = server(name="a", services={"lmtp": None, "lmtpunix": None}, imapd={"annotation_allow_undefined": True})
    a.replicate_to(b)
    a.restart()
    a.make_user("alice", "bob")
    annotate_all(a)
    log = (a.root / "conf/sync/log").read_text().splitlines()
    assert "MAILBOX user.alice.foo" in log and 'ANNOTATION ""' in log
    a.sync_client("-R", "-1")
    assert compare(read_store(a.endpoint()), read_store(b.endpoint())) == []
    with b.admin() as c:
        assert get(c, "", "(/shared/comment /private/comment)") == {"/shared/comment": b"the server's",
                                                                    "/private/comment": b"admin's"}
        assert get(c, "user/alice/foo", f"(/shared/comment /shared/gone {VENDOR}expire {VENDOR}sharedseen)") == {
            "/shared/comment": b"ours", "/shared/gone": None, VENDOR + "expire": b"30", VENDOR + "sharedseen": b"true"}
