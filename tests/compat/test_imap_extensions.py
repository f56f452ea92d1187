"""Extensions of IMAP, reply by reply against a real Cyrus 3.6.1, as in test_imap_dialogue: replies must be equal but for what
NORMAL takes out on both sides, and for those in a table of differences, each with its reason."""

import re

import pytest

from test_imap_dialogue import LEFT_OUT, NORMAL, ONLY_IMAP

from lib.checker import compare
from lib.dialogue import Talker, commands
from lib.imap import Literal
from lib.store import read_store

LISTS = r"""
CREATE foo
CREATE foo/bar
CREATE foo/bar/baz
CREATE quux
CREATE gone
CREATE sent (USE (\Sent))
CREATE sent2 (USE (\Sent))
CREATE two (USE (\Drafts \Junk))
CREATE foo/deep (USE (\Trash))
CREATE odd (USE (\Flagged))
CREATE odd (USE (\All))
CREATE odd2 (USE ())
CREATE odd3 (USE \Archive)
CREATE odd4 (PARTITION default)
CREATE odd6 (USE (\Important))
CREATE odd8 (USE (\snoozed \ARCHIVE))
SUBSCRIBE foo/bar/baz
SUBSCRIBE quux
SUBSCRIBE foo
SUBSCRIBE gone
DELETE gone
DELETE odd3
LIST "" *
LIST (SUBSCRIBED) "" *
LIST (SUBSCRIBED) "" %
LIST (RECURSIVEMATCH SUBSCRIBED) "" *
LIST (RECURSIVEMATCH SUBSCRIBED) "" %
LIST (RECURSIVEMATCH) "" %
LIST (REMOTE) "" %
LIST (REMOTE SUBSCRIBED) "" %
LIST (RECURSIVEMATCH REMOTE) "" %
LIST (SPECIAL-USE) "" %
LIST (SPECIAL-USE) "" *
LIST (SPECIAL-USE SUBSCRIBED) "" *
LIST (SPECIAL-USE RECURSIVEMATCH) "" *
LIST (FOO) "" *
LIST () "" *
LIST () "" (foo qu*)
LIST () "" ()
LIST () "" (% foo/%)
LIST "" (foo %)
LIST "" % RETURN (SUBSCRIBED)
LIST "" % RETURN (CHILDREN)
LIST "" % RETURN (SPECIAL-USE)
LIST "" % RETURN ()
LIST "" % RETURN
LIST "" % RETURN (FOO)
LIST "" % RETURN (MYRIGHTS)
LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
LIST "" % RETURN (STATUS ())
LIST "" % RETURN (STATUS (SIZE) MYRIGHTS SUBSCRIBED CHILDREN SPECIAL-USE)
LIST "" % FOO
LIST "" % RETURN (SUBSCRIBED) x
LIST (SUBSCRIBED) "" % RETURN (CHILDREN STATUS (MESSAGES SIZE))
LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES) MYRIGHTS)
LIST (RECURSIVEMATCH SUBSCRIBED) "" % RETURN (STATUS (MESSAGES) MYRIGHTS)
LIST (SUBSCRIBED) foo/ (% bar/%)
LIST "" "" RETURN (SUBSCRIBED)
LIST () "" ""
LIST () foo/ ""
LIST () "" foo/bar RETURN (SUBSCRIBED STATUS (MESSAGES))
LIST (subscribed) "" * return (children)
LIST "" nosuch RETURN (STATUS (MESSAGES))
LIST "" (foo foo foo/%) RETURN (CHILDREN)
LIST "" "foo" RETURN (CHILDREN SUBSCRIBED CHILDREN)
STATUS foo (SIZE)
STATUS foo (MESSAGES SIZE UNSEEN)
STATUS foo (SIZE SIZE)
DELETE sent
RENAME sent Sent2
LIST (SPECIAL-USE) "" *
SETACL foo bob lrs
SETACL Sent2 bob lrs
LOGOUT
"""

LISTS_OTHER = r"""
LIST "" * RETURN (SPECIAL-USE MYRIGHTS STATUS (MESSAGES))
LIST (SPECIAL-USE) "" *
LIST "" % RETURN (MYRIGHTS STATUS (MESSAGES))
CREATE "Other Users/alice/foo/x" (USE (\Junk))
SUBSCRIBE "Other Users/alice/foo"
LIST (SUBSCRIBED) "" *
LIST (SUBSCRIBED RECURSIVEMATCH) "" %
LOGOUT
"""

LISTS_ADMIN = r"""
LIST "" user/alice RETURN (MYRIGHTS STATUS (MESSAGES))
LIST (SUBSCRIBED) "" *
LIST (SPECIAL-USE) "" *
CREATE user/alice/adm (USE (\Trash))
CREATE shared (USE (\Junk))
CREATE shared3 (PARTITION default)
CREATE shared4 (PARTITION nopart)
LOGOUT
"""

CONFLICT = "RFC 6154 wants the code wherever the use is why"
LISTS_DIFFERENT = {
    ("alice", 'LIST (RECURSIVEMATCH SUBSCRIBED) "" *'): (
        "whether the child fits is no matter (RFC 5258, 3.1), and so says a Dovecot",
        *(['* LIST (\\Subscribed \\HasChildren) "/" foo' + told, '* LIST (\\Subscribed \\HasNoChildren) "/" foo/bar/baz',
           '* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" gone', '* LIST (\\Subscribed \\HasNoChildren) "/" quux',
           "a OK Completed (time)"] for told in ("", ' (CHILDINFO ("SUBSCRIBED"))'))),
    ("alice", r"CREATE foo/deep (USE (\Trash))"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("alice", "DELETE sent"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("bob", r'CREATE "Other Users/alice/foo/x" (USE (\Junk))'): (
        "what he may not do he may not do with a use either",
        ["a NO SPECIAL-USE flag conflict"], ["a NO Permission denied"]),
    ("admin", r"CREATE shared (USE (\Junk))"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    **{("alice", rf"CREATE odd (USE (\{use}))"): (
        "it is no annotation that he asked for",
        ["a NO [USEATTR] Invalid annotation entry"], ["a NO [USEATTR] Invalid special use"]) for use in ("Flagged", "All")},
    ("alice", r"CREATE odd3 (USE \Archive)"): (
        "a Cyrus reads what is no list as an empty one, and says OK to what it does not do",
        ["a OK [MAILBOXID (id)] Completed"], ["a BAD Invalid parameter in Create"]),
    ("alice", "DELETE odd3"): (
        "so it is not there", ["a OK Completed"], ["a NO Mailbox does not exist"]),
    ("bob", 'LIST "" % RETURN (MYRIGHTS STATUS (MESSAGES))'): (
        "a Cyrus gives a level that is no mailbox the figures and rights of the first one below",
        ['* LIST (\\HasNoChildren) "/" INBOX', "* STATUS INBOX (MESSAGES 0)", "* MYRIGHTS INBOX lrswipkxtecdan",
         '* LIST (\\NonExistent \\HasChildren) "/" "Other Users"', '* STATUS "Other Users" (MESSAGES 0)',
         '* MYRIGHTS "Other Users" lrs', "a OK Completed (time)"],
        ['* LIST (\\HasNoChildren) "/" INBOX', "* STATUS INBOX (MESSAGES 0)", "* MYRIGHTS INBOX lrswipkxtecdan",
         '* LIST (\\NonExistent \\HasChildren) "/" "Other Users"', "a OK Completed (time)"]),
    ("bob", 'LIST (SUBSCRIBED) "" *'): (
        "what is below it is not for him to know of",
        ['* LIST (\\Subscribed \\HasChildren) "/" "Other Users/alice/foo"', "a OK Completed (time)"],
        ['* LIST (\\Subscribed \\HasNoChildren) "/" "Other Users/alice/foo"', "a OK Completed (time)"]),
    ("admin", 'LIST "" user/alice RETURN (MYRIGHTS STATUS (MESSAGES))'): (
        "figures are for those who may read, as with STATUS itself",
        ['* LIST (\\HasChildren) "/" user/alice', "* STATUS user/alice (MESSAGES 0)", "* MYRIGHTS user/alice la",
         "a OK Completed (time)"],
        ['* LIST (\\HasChildren) "/" user/alice', "* MYRIGHTS user/alice la", "a OK Completed (time)"]),
}


# After some errors a Cyrus reads the rest of the line as another command.
STRAY = ["* BAD Invalid tag"]


METADATA = r"""
CREATE foo
CREATE odd
GETMETADATA "" /shared/comment
GETMETADATA "" (/shared/comment /private/comment)
GETMETADATA INBOX /private/comment
GETMETADATA nosuch /private/comment
SETMETADATA INBOX (/private/comment "mine")
GETMETADATA INBOX (/shared/comment /private/comment)
SETMETADATA INBOX (/shared/comment "ours" /private/comment NIL)
GETMETADATA INBOX (/shared/comment /private/comment)
SETMETADATA INBOX (/shared/comment)
SETMETADATA INBOX /shared/comment x
SETMETADATA INBOX ()
SETMETADATA INBOX
SETMETADATA INBOX (/comment "x")
SETMETADATA odd (/shared "x")
SETMETADATA odd (/shared/a/ "x")
SETMETADATA INBOX (/shared/undefined "x")
GETMETADATA INBOX /shared/undefined
SETMETADATA INBOX (/shared/vendor/foo/bar "x" /private/vendor/foo/bar/baz "abc")
GETMETADATA INBOX (DEPTH 0) /shared/vendor
GETMETADATA INBOX (DEPTH 1) /shared/vendor/foo
GETMETADATA INBOX (DEPTH infinity) /shared/vendor
GETMETADATA INBOX (DEPTH infinity) /private
GETMETADATA (DEPTH infinity) INBOX (/shared /private)
GETMETADATA (MAXSIZE 3) INBOX (/shared/comment /private/vendor/foo/bar/baz)
GETMETADATA (MAXSIZE 4 DEPTH infinity) foo (/shared/vendor/cmu/cyrus-imapd/sharedseen)
GETMETADATA (FOO) INBOX /shared
GETMETADATA INBOX
GETMETADATA
GETMETADATA INBOX /shared/comment x
GETMETADATA INBOX ()
GETMETADATA INBOX /comment
GETMETADATA INBOX /SHARED/COMMENT
GETMETADATA INBOX /shared/Comment
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/expire "30")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/expire "x")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/archive "3")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/delete "3")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/expire "30d")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/sharedseen "true")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/sharedseen "maybe")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/sharedseen NIL)
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/duplicatedeliver "TRUE")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/pop3showafter "23-Nov-2026 22:07:33 +0000")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/pop3showafter "yesterday")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/size "1")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/uniqueid "1")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/nosuch "1")
SETMETADATA INBOX (/private/vendor/cmu/cyrus-imapd/sharedseen "true")
SETMETADATA INBOX (/private/vendor/cmu/cyrus-imapd/nosuch "true")
SETMETADATA INBOX (/private/vendor/cmu/cyrus-imapd/expire "3")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/squat "true")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/sieve "x")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/news2mail "a@b")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/search-fuzzy-always "on")
SETMETADATA INBOX (/private/vendor/cmu/cyrus-imapd/search-fuzzy-always "on")
SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/sortorder "1")
SETMETADATA INBOX (/private/vendor/cmu/cyrus-imapd/sortorder "1")
SETMETADATA INBOX (/shared/sort "x" /shared/thread "x" /private/sort "y")
SETMETADATA INBOX (/shared/check "true" /shared/checkperiod "10")
SETMETADATA INBOX (/private/check "foo")
SETMETADATA INBOX (/private/checkperiod "foo")
SETMETADATA INBOX (/shared/specialuse "\\Archive")
SETMETADATA foo (/private/specialuse "\\Archive")
SETMETADATA INBOX (/private/specialuse "\\Archive")
SETMETADATA INBOX (/private/specialuse "\\Foo")
GETMETADATA INBOX (DEPTH infinity) (/shared /private)
GETMETADATA foo (DEPTH infinity) (/shared /private)
SETMETADATA "" (/private/comment "srv")
SETMETADATA "" (/shared/comment "srv")
SETMETADATA "" (/private/foo "srv")
SETMETADATA "" (/private/motd "x")
SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/expire "1")
GETMETADATA "" (DEPTH infinity) (/shared /private)
SETMETADATA nosuch (/private/comment "x")
SETACL foo bob lr
SETMETADATA foo (/shared/comment "fooshared" /private/comment "fooprivate")
LOGOUT
"""

METADATA_OTHER = r"""
GETMETADATA "Other Users/alice/foo" (/shared/comment /private/comment)
SETMETADATA "Other Users/alice/foo" (/private/comment "bobs")
SETMETADATA "Other Users/alice/foo" (/shared/comment "bobs")
SETMETADATA "Other Users/alice/foo" (/shared/vendor/cmu/cyrus-imapd/expire "9")
GETMETADATA "Other Users/alice/foo" (DEPTH infinity) (/shared /private)
GETMETADATA "Other Users/alice" /shared/comment
SETMETADATA "Other Users/alice" (/shared/comment "x")
LOGOUT
"""

METADATA_ADMIN = r"""
SETMETADATA "" (/shared/comment "srv" /shared/admin "mailto:x" /private/comment "adm")
SETMETADATA "" (/shared/motd "hello")
GETMETADATA "" /shared/motd
SETMETADATA "" (/shared/motd NIL)
SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/expire "30")
SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/freespace "30")
SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/squat "true")
SETMETADATA "" (/shared/vendor/cmu/cyrus-imapd/usermodseq "3")
SETMETADATA "" (/shared/undefined "x" /shared/vendor/x/y "x")
GETMETADATA "" (DEPTH infinity) (/shared /private)
GETMETADATA user/alice (DEPTH infinity) (/shared /private)
SETMETADATA user/alice (/shared/vendor/cmu/cyrus-imapd/expire "9")
SETMETADATA user/alice (/shared/vendor/cmu/cyrus-imapd/squat "on")
SETMETADATA user/alice (/shared/comment "by admin" /private/comment "by admin")
GETMETADATA user/alice (/private/comment /shared/comment)
LOGOUT
"""

# Values of this machine, this moment or this server. Of conversations, which a Cyrus counts there, we keep none.
OF_THE_PLACE = re.compile(r"(uniqueid|lastupdate|synccrcs|foldermodseq|freespace.*|usermodseq|usercounters)$")


def as_values(command, lines):
    """METADATA as what it tells: sorted, each entry once. Of entries found below another a Cyrus tells those without a value,
    too. What is wrong with a line that cannot be read, each says in words of its own."""
    told, text = [], "\n".join(lines)
    while literal := re.search(r"\{(\d+)\}\n", text):
        end = literal.end() + int(literal[1])
        text = text[:literal.start()] + '"' + text[literal.end():end] + '"' + text[end:]
    for line in text.split("\n"):
        if line.startswith("* METADATA "):
            pairs = re.findall(r'"(/(?:shared|private)[^"]*)" (NIL|"[^"]*")', line.replace(r"\\", "\\"))
            told += [pair for pair in pairs if not OF_THE_PLACE.search(pair[0])
                     and ("DEPTH" not in command or pair[1] != "NIL")]
        else:
            told.append("a BAD" if line.startswith("a BAD") else line)
    return sorted(map(str, told))


USEATTR = "the code tells that it is the use"
METADATA_DIFFERENT = {
    **{("alice", f'SETMETADATA odd (/shared{entry} "x")'): (
        "an entry has a name (RFC 5464, 4.1)", ["a OK Completed"], ["a BAD"]) for entry in ("", "/a/")},
    ("alice", "GETMETADATA (MAXSIZE 3) INBOX (/shared/comment /private/vendor/foo/bar/baz)"): (
        "a Cyrus does not say that something was left out, and tells of entries nobody asked for",
        ["('/private/comment', 'NIL')", "('/private/vendor/foo/bar/baz', '\"abc\"')", "('/shared/vendor/foo/bar/baz', 'NIL')",
         "a OK Completed"],
        ["('/private/vendor/foo/bar/baz', '\"abc\"')", "a OK [METADATA LONGENTRIES 4] Completed"]),
    ("alice", "GETMETADATA (MAXSIZE 4 DEPTH infinity) foo (/shared/vendor/cmu/cyrus-imapd/sharedseen)"): (
        "the same", ["a OK Completed"], ["a OK [METADATA LONGENTRIES 5] Completed"]),
    ("alice", 'SETMETADATA INBOX (/shared/vendor/cmu/cyrus-imapd/pop3showafter "yesterday")'): (
        "as with every other value", ["a NO Syntax error in parameters"], ["a NO Invalid annotation value"]),
    ("alice", r'SETMETADATA INBOX (/private/specialuse "\\Archive")'): (
        USEATTR, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("alice", r'SETMETADATA INBOX (/private/specialuse "\\Foo")'): (
        USEATTR, ["a NO Invalid annotation entry"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("bob", 'GETMETADATA "Other Users/alice" /shared/comment'): (
        "a mailbox one may not know of does not exist", ["a OK Completed"], ["a NO Mailbox does not exist"]),
}


def hold(peer, us, dialogues, different, adapt=lambda _command, lines: lines):
    """Say every dialogue, {user: commands}, to both; adapt(command, lines) takes out of a reply what may differ."""
    unused, wrong = set(different), []
    for user, text in dialogues:
        theirs, ours = Talker(peer.imap_port, NORMAL, LEFT_OUT), Talker(us.imap_port, NORMAL, LEFT_OUT)
        for one in (theirs, ours):
            assert one.say(f"LOGIN {user} pw")[-1].startswith("a OK")
        for command in commands(text):
            said = tuple(adapt(command, [line for line in one.say(command) if line not in STRAY])
                         for one in (theirs, ours))
            why, *listed = different.get((user, command), (None,))
            unused.discard((user, command))
            if said != tuple(listed) if why else said[0] != said[1]:
                wrong.append(f"{user}: {command}\n  {said[0]}\n  {said[1]}")
    assert not wrong, "\n".join(wrong)
    assert not unused


@pytest.fixture
def pair(server, cyrus_peer):
    """(a Cyrus, ours), with alice and bob."""
    both = cyrus_peer(name="x"), server(name="x", services=ONLY_IMAP)
    for one in both:
        one.make_user("alice", "bob")
    return both


@pytest.mark.limit(240)
def test_lists(pair):
    hold(*pair, [("alice", LISTS), ("bob", LISTS_OTHER), ("admin", LISTS_ADMIN)], LISTS_DIFFERENT)


@pytest.mark.limit(240)
def test_metadata(pair):
    hold(*pair, [("alice", METADATA), ("bob", METADATA_OTHER), ("admin", METADATA_ADMIN)], METADATA_DIFFERENT, as_values)


def test_a_cyrus_takes_the_annotations(server, cyrus_peer):
    peer = cyrus_peer()
    us = server(name="us", services={"lmtp": None, "lmtpunix": None})
    us.replicate_to(peer)
    us.restart()
    us.make_user("alice", "bob")
    vendor = "/shared/vendor/cmu/cyrus-imapd/"
    with us.imap("alice") as c:
        c.ok("CREATE Sent (USE (\\Sent))")
        c.ok("CREATE foo")
        c.ok("SETACL foo bob lr")
        c.ok('SETMETADATA foo (/private/comment "mine" /shared/comment "ours" /shared/gone "x" /private/big', Literal(b"x" * 9000), ")")
        c.ok(f'SETMETADATA foo (/shared/gone NIL {vendor}expire "30" {vendor}sharedseen "true")')
    with us.imap("bob") as c:
        c.ok('SETMETADATA "Other Users/alice/foo" (/private/comment "bob\'s")')
    with us.admin() as c:
        c.ok('SETMETADATA "" (/shared/comment "the server\'s" /private/comment "admin\'s")')
    us.sync_client("-R", "-1")
    assert compare(read_store(us.endpoint()), read_store(peer.endpoint())) == []
    peer.add_users("alice", "bob")
    both = "(/private/comment /shared/comment)"
    with peer.imap("alice") as c:
        said = c.ok(f"GETMETADATA foo (/private/comment /shared/comment {vendor}expire {vendor}sharedseen)").one("METADATA").values[1]
        assert {entry.decode(): value for entry, value in zip(said[::2], said[1::2]) if value is not None} == {
            "/private/comment": b"mine", "/shared/comment": b"ours", vendor + "expire": b"30", vendor + "sharedseen": b"true"}
        assert [r.values[2] for r in c.ok('LIST (SPECIAL-USE) "" *').all("LIST")] == ["Sent"]
    with peer.imap("bob") as c:
        said = c.ok(f'GETMETADATA "Other Users/alice/foo" {both}').one("METADATA").values[1]
        assert sorted(said[1::2]) == [b"bob's", b"ours"]
    with peer.admin() as c:
        assert sorted(c.ok(f'GETMETADATA "" {both}').one("METADATA").values[1][1::2]) == [b"admin's", b"the server's"]

ANNOTATE = r"""
SELECT INBOX
FETCH 1:* (ANNOTATION (/comment value))
FETCH 1:* (UID ANNOTATION (/comment (value.priv value.shared)))
FETCH 1 ANNOTATION (/comment value.shared)
FETCH 1 (ANNOTATION ((/comment /altsubject) (value size)))
FETCH 1 (ANNOTATION (/% value))
FETCH 1 (ANNOTATION (/comment size))
FETCH 1 (ANNOTATION (/comment foo))
FETCH 1 (ANNOTATION)
FETCH 1 (ANNOTATION (/comment))
FETCH 1 (ANNOTATION ())
FETCH 1 (ANNOTATION (/nosuch value))
STORE 1 ANNOTATION (/comment (value.shared "s1"))
STORE 1 ANNOTATION (/comment (value.priv "p2" value.shared "s2") /altsubject (value.priv "alt"))
FETCH 1:* (ANNOTATION (/* value))
FETCH 1:* (ANNOTATION (/% (value size)))
FETCH 1 (ANNOTATION ((/comment /altsubject) (value.priv size.priv)))
STORE 1 ANNOTATION (/comment (value.priv NIL))
FETCH 1 (ANNOTATION (/comment value))
STORE 1 ANNOTATION (/undef (value.priv "x"))
STORE 1 ANNOTATION (/vendor/foo/bar (value.shared "x"))
STORE 1 ANNOTATION (/comment (value "x"))
STORE 1 ANNOTATION (/comment (size.priv "x"))
STORE 1 ANNOTATION (/flags/seen (value.shared "1"))
STORE 1 ANNOTATION (comment (value.shared "1"))
STORE 1 ANNOTATION (/comment "x")
STORE 1 ANNOTATION ()
STORE 1 ANNOTATION
STORE 1:2 +ANNOTATION (/comment (value.shared "1"))
STORE 9 ANNOTATION (/comment (value.shared "1"))
UID STORE 1:99 ANNOTATION (/comment (value.shared "both"))
UID STORE 1 ANNOTATION (/comment (value.shared "lit"))
FETCH 1:* (FLAGS ANNOTATION (/* value))
STORE 1 ANNOTATION (/vendor/cmu/cyrus-imapd/thrid (value.shared "1"))
STORE 1 ANNOTATION (/vendor/cmu/cyrus-imapd/nosuch (value.shared "1"))
STORE 1 FLAGS.SILENT ANNOTATION (/comment (value.shared "1"))
SEARCH ANNOTATION /comment value "both"
SEARCH ANNOTATION /comment value.shared "both"
SEARCH ANNOTATION /comment value.priv "both"
SEARCH ANNOTATION /comment value.shared NIL
SEARCH ANNOTATION /* value "t"
SEARCH ANNOTATION /% value "t"
SEARCH ANNOTATION /comment size "x"
SEARCH ANNOTATION /comment
SEARCH NOT ANNOTATION /comment value "both"
CREATE foo
COPY 1 foo
SELECT INBOX (ANNOTATE)
SELECT INBOX (FOO)
SELECT foo
FETCH 1 (ANNOTATION ((/comment /undef /vendor/foo/bar /altsubject) value))
SETACL INBOX bob lr
LOGOUT
"""

ANNOTATE_OTHER = r"""
SELECT "Other Users/alice"
FETCH 1:2 (ANNOTATION ((/comment /altsubject) value))
STORE 1 ANNOTATION (/comment (value.shared "bob's"))
STORE 1 ANNOTATION (/comment (value.priv "bob's"))
FETCH 1:2 (ANNOTATION ((/comment /altsubject) value))
LOGOUT
"""

ANNOTATE_DIFFERENT = {
    ("alice", "FETCH 1 (ANNOTATION (/comment foo))"): (
        "it is no attribute", ["* 1 FETCH (ANNOTATION ())", "a OK Completed (time)"], ["a BAD"]),
    **{("alice", f"STORE 1 ANNOTATION (/comment ({what} \"x\"))"): (
        "nor is this one that can be set", ["a NO Permission denied"], ["a BAD"]) for what in ("value", "size.priv")},
    ("alice", 'STORE 1 ANNOTATION (comment (value.shared "1"))'): (
        "entries begin with a slash (RFC 5257, 3.1)", ["a OK Completed"], ["a BAD"]),
    ("alice", 'STORE 1 ANNOTATION (/vendor/cmu/cyrus-imapd/thrid (value.shared "1"))'): (
        "it is the server's, and compared by replication", ["a OK Completed"], ["a NO Permission denied"]),
}


def as_annotations(command, lines):
    """Entries and attributes in one order; of what a pattern found only what has a value, and none of a Cyrus's own, which we keep
    elsewhere. A Cyrus tells the flags after a STORE that changes none."""
    told = []
    for line in lines:
        if command.startswith(("STORE", "UID STORE")) and " FETCH (FLAGS " in line:
            continue
        if match := re.match(r"(.* FETCH \(.*)ANNOTATION \((.*)\)\)$", line):
            entries = []
            for entry, values in re.findall(r"(/\S+) \(([^)]*)\)", match[2]):
                pairs = re.findall(r'([\w.]+) (NIL|"[^"]*")', values)
                if "*" in command or "%" in command:
                    pairs = [p for p in pairs if p[1] not in ("NIL", '"0"')]
                if pairs and "/cmu/" not in entry:
                    entries.append((entry, *sorted(pairs)))
            line = f"{match[1]}{sorted(entries)}" if entries else f"{match[1]}ANNOTATION ())"
        told.append("a BAD" if line.startswith("a BAD") else re.sub(r" in [\d.]+ secs|(?<=COPYUID )\d+", "", line))
    return told


@pytest.mark.limit(240)
def test_annotations_of_messages(pair):
    for one in pair:
        with one.imap("alice") as c:
            for number in range(3):
                c.append("INBOX", b"From: a@b\r\nSubject: %d\r\n\r\nhi\r\n" % number, [], 1769940000)
    hold(*pair, [("alice", ANNOTATE), ("bob", ANNOTATE_OTHER)], ANNOTATE_DIFFERENT, as_annotations)


def test_a_cyrus_takes_the_annotations_of_messages(server, cyrus_peer):
    peer = cyrus_peer()
    us = server(name="us", services={"lmtp": None, "lmtpunix": None})
    us.replicate_to(peer)
    us.restart()
    us.make_user("alice", "bob")
    with us.imap("alice") as c:
        for number in range(3):
            c.append("INBOX", b"From: a@b\r\nSubject: %d\r\n\r\nhi\r\n" % number)
        c.ok("SETACL INBOX bob lrn")
        c.select("INBOX")
        c.ok('STORE 1:2 ANNOTATION (/comment (value.priv "mine" value.shared "ours"))')
        with us.imap("bob") as d:
            d.select("Other Users/alice")
            d.ok('STORE 1 ANNOTATION (/comment (value.priv "bob\'s"))')
        us.sync_client("-R", "-1")
        assert compare(read_store(us.endpoint()), read_store(peer.endpoint())) == []
        c.ok('STORE 1 ANNOTATION (/comment (value.priv NIL value.shared "other") /x/y (value.priv', Literal(b"z" * 3000), ")", ")")
    us.sync_client("-R", "-1")
    assert compare(read_store(us.endpoint()), read_store(peer.endpoint())) == []
    peer.add_users("alice", "bob")
    with peer.imap("alice") as c:
        c.select("INBOX")
        raw = [r.raw for r in c.ok("FETCH 1:3 ANNOTATION (/comment (value.priv value.shared))").untagged]
        assert [b'"other"' in raw[0], b'"ours"' in raw[1] and b'"mine"' in raw[1], raw[2].count(b"NIL")] == [True, True, 2]
