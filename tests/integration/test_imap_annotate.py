"""Annotations of messages (ANNOTATE-EXPERIMENT-1): read, set, searched, appended, copied; who may; and that they replicate."""

from lib.checker import compare
from lib.imap import Literal
from lib.store import read_store

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\nhello\r\n"


def lines(c, command):
    return [r.raw for r in c.ok(command).untagged]


def found(c, what):
    return [int(v) for v in c.ok(f"SEARCH {what}").one("SEARCH").values]


def test_set_and_fetched(make):
    s = make()
    with s.imap("alice") as c:
        for _ in range(3):
            c.append("INBOX", MESSAGE)
        c.select("INBOX")
        assert lines(c, "FETCH 1 (UID ANNOTATION (/comment (value size)))") == [
            b'* 1 FETCH (UID 1 ANNOTATION (/comment (value.priv NIL size.priv "0" value.shared NIL size.shared "0")))']
        assert c.ok('STORE 1 ANNOTATION (/Comment (value.priv "mine" value.shared "ours") /altsubject (value.shared "y"))').untagged == []
        assert lines(c, "FETCH 1:2 (ANNOTATION ((/comment /altsubject) (value.shared size.priv)))") == [
            b'* 1 FETCH (ANNOTATION (/altsubject (size.priv "0" value.shared "y") /comment (size.priv "4" value.shared "ours")))',
            b'* 2 FETCH (ANNOTATION (/comment (size.priv "0" value.shared NIL) /altsubject (size.priv "0" value.shared NIL)))']
        # A pattern tells what there is.
        assert lines(c, "FETCH 1:2 ANNOTATION (/* value)") == [
            b'* 1 FETCH (ANNOTATION (/altsubject (value.shared "y") /comment (value.priv "mine" value.shared "ours")))',
            b"* 2 FETCH (ANNOTATION ())"]
        c.ok("STORE 1:3 ANNOTATION (/vendor/x/y (value.priv", Literal(b'a"\r\n\xe4', plus=True), ")", ")")
        assert lines(c, "FETCH 3 ANNOTATION (/% value)") == [b"* 3 FETCH (ANNOTATION ())"]
        c.wire.send(b"x FETCH 3 ANNOTATION (/vendor/% value)\r\nx FETCH 3 ANNOTATION (/vendor/%/y value.priv)\r\n")
        assert c.wire.line() == b"* 3 FETCH (ANNOTATION ())" and c.wire.line().startswith(b"x OK")
        assert c.wire.line() == b"* 3 FETCH (ANNOTATION (/vendor/x/y (value.priv {5}"
        assert c.wire.exact(5) == b'a"\r\n\xe4' and c.wire.line() == b")))" and c.wire.line().startswith(b"x OK")
        c.ok("UID STORE 1:2 ANNOTATION (/vendor/x/y (value.priv NIL) /comment (value.shared NIL))")
        c.ok("STORE 99 ANNOTATION (/comment (value.priv \"x\"))")
    s.restart()
    with s.imap("alice") as c:
        c.select("INBOX")
        assert lines(c, "FETCH 1:2 ANNOTATION (* value)") == [
            b'* 1 FETCH (ANNOTATION (/altsubject (value.shared "y") /comment (value.priv "mine")))',
            b"* 2 FETCH (ANNOTATION ())"]
        c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        assert lines(c, "FETCH 1 ANNOTATION (* value)") == [b"* 1 FETCH (ANNOTATION ())"]


def test_searched(make):
    s = make()
    with s.imap("alice") as c:
        for number in range(4):
            c.append("INBOX", MESSAGE)
        c.select("INBOX")
        c.ok('STORE 1,3 ANNOTATION (/comment (value.shared "Some Text"))')
        c.ok('STORE 2 ANNOTATION (/comment (value.priv "text of mine") /x/y (value.priv "other"))')
        for what, numbers in (('/comment value "text"', [1, 2, 3]), ('/comment value.shared text', [1, 3]),
                              ('/comment value.priv text', [2]), ('/x/* value other', [2]), ('/% value other', []),
                              ('/* value other', [2]), ('/comment value nowhere', [])):
            assert found(c, f"ANNOTATION {what}") == numbers
        assert found(c, "NOT ANNOTATION /comment value text") == [4]
        assert found(c, "2:4 ANNOTATION /comment value.shared some") == [3]
        assert c.command("SEARCH ANNOTATION /comment size x").status == "BAD"
        value = b"\0any\xff octets"
        c.wire.send(b"x STORE 1 ANNOTATION (/x/y (value.priv ~{%d+}\r\n%s))\r\n" % (len(value), value))
        assert c.wire.line().startswith(b"x OK")
        assert b"(value.priv ~{%d}\r\n%s)" % (len(value), value) in c.ok("FETCH 1 ANNOTATION (/x/y value.priv)").all("FETCH")[0].raw


def test_appended_and_copied(make):
    s = make(annotation_value_max="1K")
    plus = b"{%d+}\r\n%s\r\n" % (len(MESSAGE), MESSAGE)
    with s.imap("alice") as c:
        for words in (b'ANNOTATION (/comment (value.priv "mine" value.shared "ours"))', b"ANNOTATION (/comment (value.shared {3+}\r\nlit))",
                      b'(\\Seen) "23-Nov-2026 22:07:33 +0000" annotation (/comment (value.priv NIL) /x (value.priv "y"))'):
            c.wire.send(b"x APPEND INBOX " + words + b" " + plus)
            assert c.wire.line().startswith(b"x OK [APPENDUID ")
        for words, answer in ((b'ANNOTATION (/comment (size.priv "x"))', b"BAD"), (b'ANNOTATION (/comment "x")', b"BAD"),
                              (b'ANNOTATION (/comment (value.shared "%s"))' % (b"x" * 1025), b"NO [ANNOTATE TOOBIG]"),
                              (b'ANNOTATION (/flags/seen (value.shared "x"))', b"NO")):
            with s.imap("alice") as d:
                d.wire.send(b"x APPEND INBOX " + words + b" " + plus)
                assert d.wire.line().startswith(b"x " + answer)
        # Several messages, each with its own.
        c.wire.send(b'x APPEND more ANNOTATION (/comment (value.priv "x")) ' + plus)
        assert c.wire.line().startswith(b"x NO [TRYCREATE]")
        c.ok("CREATE more")
        c.wire.send(b'x APPEND more ANNOTATION (/comment (value.priv "1")) ' + plus[:-2] +
                    b" ANNOTATION (/comment (value.shared {1+}\r\n2)) " + plus[:-2] + b" " + plus)
        assert c.wire.line().startswith(b"x OK [APPENDUID ")
        c.select("more")
        assert lines(c, "FETCH 1:* ANNOTATION (* value)") == [
            b'* 1 FETCH (ANNOTATION (/comment (value.priv "1")))', b'* 2 FETCH (ANNOTATION (/comment (value.shared "2")))',
            b"* 3 FETCH (ANNOTATION ())"]
        c.select("INBOX")
        everything = [b'* 1 FETCH (ANNOTATION (/comment (value.priv "mine" value.shared "ours")))',
                      b'* 2 FETCH (ANNOTATION (/comment (value.shared "lit")))', b'* 3 FETCH (ANNOTATION (/x (value.priv "y")))']
        assert lines(c, "FETCH 1:* ANNOTATION (* value)") == everything
        c.ok("CREATE foo")
        c.ok("COPY 1:* foo")
        c.select("foo")
        assert lines(c, "FETCH 1:* ANNOTATION (* value)") == everything
        c.ok("SETACL INBOX bob lrsw")
    with s.imap("bob") as c:    # without the right n
        box = '"Other Users/alice"'
        c.wire.send(b'x APPEND ' + box.encode() + b' ANNOTATION (/comment (value.shared "x")) ' + plus)
        assert c.wire.line().startswith(b"x NO")


def test_who_may(make):
    s = make(annotation_allow_undefined=False, annotation_count_max=2, annotation_value_max="1K")
    with s.imap("alice") as c, s.imap("bob") as d:
        c.ok("CREATE foo")
        c.append("foo", MESSAGE)
        c.ok("SETACL foo bob lr")
        d.select("Other Users/alice/foo")
        c.select("foo")
        c.ok('STORE 1 ANNOTATION (/comment (value.priv "alice\'s" value.shared "ours"))')
        shown = "FETCH 1 ANNOTATION (/comment value)"
        d.ok("NOOP")
        assert lines(d, shown) == [b'* 1 FETCH (ANNOTATION (/comment (value.priv NIL value.shared "ours")))']
        assert d.command('STORE 1 ANNOTATION (/comment (value.shared "bob\'s"))').text == "Permission denied"
        assert d.command('STORE 1 ANNOTATION (/comment (value.shared "x" value.priv "x"))').status == "NO"
        assert c.command('STORE 1 ANNOTATION (/altsubject (value.priv "third"))').code == ["ANNOTATE", "TOOMANY"]
        c.ok("STORE 1 ANNOTATION (/comment (value.priv NIL))")
        d.ok('STORE 1 ANNOTATION (/comment (value.priv "bob\'s"))')
        c.ok("SETACL foo bob lrn")
        d.ok("NOOP")
        d.ok('STORE 1 ANNOTATION (/comment (value.shared "both"))')
        c.ok("NOOP")
        assert lines(c, shown) == [b'* 1 FETCH (ANNOTATION (/comment (value.priv NIL value.shared "both")))']
        for entry in ("/undefined", "/flags/seen", "/vendor/cmu/cyrus-imapd/thrid", "/vendor/cmu/cyrus-imapd/savedate", "/vendor/x/y"):
            assert c.command(f'STORE 1 ANNOTATION ({entry} (value.shared "1"))').text == "Permission denied"
        assert c.command(f'STORE 1 ANNOTATION (/comment (value.shared "{"x" * 1025}"))').code == ["ANNOTATE", "TOOBIG"]
        c.ok("EXAMINE foo")
        assert c.command('STORE 1 ANNOTATION (/comment (value.priv "x"))').status == "NO"
        assert c.ok("EXAMINE foo").untagged_code("ANNOTATIONS") == ["ANNOTATIONS", "READ-ONLY"]
        assert c.ok("SELECT foo").untagged_code("ANNOTATIONS") == ["ANNOTATIONS", 1024]
    with s.admin() as c:
        c.ok("SETQUOTA user/alice (X-ANNOTATION-STORAGE 1)")
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
        c.append("INBOX", MESSAGE)
        c.select("INBOX")
        assert c.command(f'STORE 1:2 ANNOTATION (/comment (value.priv "{"x" * 700}"))').text == "Over quota"
        c.ok(f'STORE 1 ANNOTATION (/comment (value.priv "{"x" * 700}"))')
        c.ok(f'STORE 1 ANNOTATION (/comment (value.priv "{"y" * 900}"))')    # what it replaces does not count


def test_told_to_others(make):
    s = make()
    with s.imap("alice") as c, s.imap("alice") as d, s.imap("alice") as e:
        c.append("INBOX", MESSAGE)
        c.select("INBOX")
        d.ok("SELECT INBOX (ANNOTATE)")
        e.select("INBOX")
        c.ok('STORE 1 ANNOTATION (/comment (value.priv "x") /x (value.shared "y"))')
        told = [r.raw for r in d.ok("NOOP").untagged if b"FETCH" in r.raw]
        assert len(told) == 1 and told[0].endswith(b' ANNOTATION ("/comment" "/x"))')
        assert not any(b"ANNOTATION" in r.raw for r in e.ok("NOOP").untagged)
        c.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        assert not any(b"ANNOTATION" in r.raw for r in d.ok("NOOP").untagged)
        # With a condition, and MODSEQs told.
        modseq = int(c.ok("FETCH 1 MODSEQ").one("FETCH").values[-1][1][0])
        reply = c.ok(f'STORE 1 (UNCHANGEDSINCE {modseq - 1}) ANNOTATION (/comment (value.priv "z"))')
        assert reply.code == ["MODIFIED", 1] or [str(w) for w in reply.code] == ["MODIFIED", "1"]
        reply = c.ok(f'STORE 1 (UNCHANGEDSINCE {modseq}) ANNOTATION (/comment (value.priv "z"))')
        assert b"MODSEQ (" in reply.one("FETCH").raw and found(c, "ANNOTATION /comment value.priv z") == [1]


def test_message_annotations_replicate(server):
    b = server(name="b", services={"lmtp": None, "lmtpunix": None}, imapd={"annotation_allow_undefined": True})
    a = server(name="a", services={"lmtp": None, "lmtpunix": None}, imapd={"annotation_allow_undefined": True})
    a.replicate_to(b)
    a.restart()
    a.make_user("alice", "bob")
    with a.imap("alice") as c:
        c.append("INBOX", MESSAGE)
        c.append("INBOX", MESSAGE)
        c.ok("SETACL INBOX bob lrn")
        c.select("INBOX")
        c.ok('STORE 1:2 ANNOTATION (/comment (value.priv "mine" value.shared "ours"))')
        with a.imap("bob") as d:
            d.select("Other Users/alice")
            d.ok('STORE 1 ANNOTATION (/comment (value.priv "bob\'s"))')
        a.sync_client("-R", "-1")
        assert compare(read_store(a.endpoint()), read_store(b.endpoint())) == []
        c.ok('STORE 1 ANNOTATION (/comment (value.priv NIL value.shared "other") /x/y (value.priv "z"))')
    assert "MAILBOX user.alice" in (a.root / "conf/sync/log").read_text().splitlines()
    a.sync_client("-R", "-1")
    assert compare(read_store(a.endpoint()), read_store(b.endpoint())) == []
    b.add_users("alice", "bob")
    with b.imap("alice") as c:
        c.select("INBOX")
        assert lines(c, "FETCH 1:* ANNOTATION (* value)") == [
            b'* 1 FETCH (ANNOTATION (/comment (value.shared "other") /x/y (value.priv "z")))',
            b'* 2 FETCH (ANNOTATION (/comment (value.priv "mine" value.shared "ours")))']
