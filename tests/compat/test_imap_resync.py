"""MOVE, MULTIAPPEND, ESEARCH, CONDSTORE, QRESYNC, SAVEDATE, OBJECTID and DIGEST=SHA1, line by line, against a real Cyrus 3.6.1:
the same dialogue with both, whose replies must be equal but for what NORMAL takes out on both sides, and for DIFFERENT, each
with its reason.

Modseqs are compared by what they tell apart: a Cyrus gives each message of a change a modseq of its own, we one to all of
them. Where a command needs one, {since} stands for a HIGHESTMODSEQ that was seen, each server's own."""
import re

import pytest

from lib.dialogue import Talker, commands
from lib.server import ONLY_IMAP


NORMAL = [
    (r"\[CAPABILITY [^\]]*\]", "[CAPABILITY]"),
    (r"^(\* OK \[CAPABILITY\] \S+) Cyrus IMAP \S+", r"\1 Cyrus IMAP VERSION"),
    (r"SESSIONID=<[^>]*>", "SESSIONID=<>"),
    (r"UIDVALIDITY \d+", "UIDVALIDITY n"),
    (r"(COPYUID|APPENDUID) \d+", r"\1 n"),
    (r"\([\d.]+ secs?\)", "(time)"),
    (r"in [\d.]+ secs\)", "in time)"),
    (r"MAILBOXID \(.*?\)(?=[\])])", "MAILBOXID (id)"),    # in STATUS a Cyrus shows memory that is no longer its
    (r"(MODSEQ \(?)\d+", r"\1n"),
    (r'"[ \d]\d-\w{3}-\d{4} \d\d:\d\d:\d\d \+0000"', '"date"'),
    # RFC 5530's codes, which 3.6.1 leaves out.
    (r"\[(NONEXISTENT|NOPERM|LIMIT)\] ", ""),
]
# URLAUTH and ANNOTATE are not advertised.
LEFT_OUT = re.compile(r"\* OK \[(URLMECH|ANNOTATIONS)\b")

MESSAGES = [f"Subject: number {n}\r\nMessage-ID: <{n}@x>\r\n\r\ntext {n}\r\n" for n in range(1, 10)]

GOOD, OTHER_ONE, NONE = MESSAGES[0], MESSAGES[1], "no message"


def literal(text):
    return f"{{{len(text)}+}}\r\n{text}"


# What stands behind "Several" in the dialogue: APPENDs of several messages.
SEVERAL = {
    "good": f"APPEND There (\\Seen k) {literal(GOOD)} {literal(OTHER_ONE)} (\\Draft) "
            f"\"03-Nov-2026 01:02:03 +0000\" {literal(GOOD)}",
    "second bad": f"APPEND There {literal(GOOD)} {literal(NONE)}",
    "second empty": f"APPEND There {literal(GOOD)} {literal('')}",
    "junk behind": f"APPEND There {literal(GOOD)} x",
    "bad flag": f"APPEND There {literal(GOOD)} (\\Bogus) {literal(GOOD)}",
    "bad date": f"APPEND There {literal(GOOD)} \"yesterday\" {literal(GOOD)}",
    "nowhere": f"APPEND nosuch {literal(GOOD)} {literal(GOOD)}",
}

DIALOGUE = r"""
LOGIN alice pw
CREATE There
STATUS There (MESSAGES HIGHESTMODSEQ)
STATUS There (MAILBOXID)
APPEND
SELECT INBOX
FETCH 1 (UID FLAGS INTERNALDATE SAVEDATE EMAILID DIGEST.SHA1 RFC822.SIZE)
FETCH 1 THREADID
FETCH 1 SAVEDATE
SEARCH SAVEDSINCE 1-Jan-2020
SEARCH SAVEDBEFORE 1-Jan-2020
SEARCH SAVEDON 1-Jan-2020
SEARCH NOT SAVEDBEFORE 1-Jan-2020
SEARCH SAVEDATESUPPORTED
SEARCH SAVEDON
SEARCH EMAILID M1
SEARCH EMAILID Mc346fb6d99cbbc0f8c1ba0c2
SEARCH THREADID T0000000000000001
SEARCH RETURN () ALL
SEARCH RETURN (MIN MAX ALL COUNT) 2:4
UID SEARCH RETURN (MIN MAX ALL COUNT) ALL
UID SEARCH RETURN (COUNT) 1,3,5:7
SEARCH RETURN (MIN MAX ALL) ANSWERED
SEARCH RETURN (COUNT) ANSWERED
SEARCH RETURN (MIN) CHARSET utf-8 SUBJECT "number 3"
SEARCH RETURN (BOGUS) ALL
SEARCH RETURN ALL
SEARCH RETURN () BOGUS
SEARCH MODSEQ x
SEARCH MODSEQ
FETCH 1:2 (MODSEQ)
SEARCH MODSEQ 1
SEARCH MODSEQ "/flags/\\Seen" all 1
SEARCH MODSEQ 99999
SEARCH NOT MODSEQ 1
SEARCH RETURN (MIN MAX ALL COUNT) MODSEQ 1
UID SEARCH RETURN (MIN) MODSEQ 1
SEARCH RETURN (COUNT) MODSEQ 99999
FETCH 1 FLAGS
STORE 1 +FLAGS (\Seen)
STORE 1 +FLAGS.SILENT (\Answered)
STORE 1 +FLAGS.SILENT (\Answered)
UID STORE 1 +FLAGS (\Draft)
STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS (\Flagged)
UID STORE 1:2 (UNCHANGEDSINCE 1) +FLAGS (\Flagged)
STORE 1:2 (UNCHANGEDSINCE 99999) +FLAGS (\Flagged)
STORE 1:2 (UNCHANGEDSINCE 99999) +FLAGS.SILENT (\Flagged)
STORE 1:2 (UNCHANGEDSINCE 99999) +FLAGS.SILENT (\Draft)
STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS (\Flagged)
STORE 1:2 (UNCHANGEDSINCE) +FLAGS (\Draft)
STORE 1:2 (BOGUS 1) +FLAGS (\Draft)
STORE 1:2 (UNCHANGEDSINCE x) +FLAGS (\Draft)
FETCH 1:* (FLAGS) (CHANGEDSINCE {since})
STORE 2:3 +FLAGS.SILENT (\Answered)
FETCH 1:* (UID) (CHANGEDSINCE {since})
FETCH 1:* FLAGS (CHANGEDSINCE 99999)
FETCH 1:* (FLAGS) (CHANGEDSINCE)
FETCH 1:* (FLAGS) (CHANGEDSINCE x)
FETCH 1:* (FLAGS) (BOGUS)
FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)
UID FETCH 1:* (FLAGS) (CHANGEDSINCE 5 VANISHED)
UID FETCH 1:* (FLAGS) (VANISHED)
FETCH 5 BODY[TEXT]
UID MOVE 1 There
MOVE 1 There
MOVE 99 There
UID MOVE 99 There
MOVE 1 nosuch
MOVE 1
MOVE x There
MOVE 1 INBOX
STORE 1 +FLAGS (\Deleted)
EXPUNGE
CLOSE
SELECT INBOX (CONDSTORE)
SELECT INBOX (BOGUS)
SELECT INBOX (QRESYNC (1 1))
UNSELECT
EXAMINE INBOX (CONDSTORE)
MOVE 1 There
UNSELECT
STATUS INBOX (HIGHESTMODSEQ)
ENABLE CONDSTORE
ENABLE QRESYNC
ENABLE QRESYNC CONDSTORE
ENABLE FOO
SELECT INBOX (QRESYNC ({uidvalidity} 1))
SELECT INBOX (QRESYNC ({uidvalidity} 1 1:5))
SELECT INBOX (QRESYNC ({uidvalidity} 1 4:99 (1:2 5:6)))
SELECT INBOX (QRESYNC ({uidvalidity} 1 2:3))
SELECT INBOX (QRESYNC ({uidvalidity} {since}))
SELECT INBOX (QRESYNC (1 1))
SELECT INBOX (QRESYNC ({uidvalidity} 1) CONDSTORE)
SELECT INBOX (QRESYNC (x 1))
SELECT INBOX (QRESYNC 1)
SELECT INBOX (QRESYNC (1))
SELECT INBOX
UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)
UID FETCH 2:3 (FLAGS) (CHANGEDSINCE 1 VANISHED)
STORE 1 +FLAGS (\Deleted)
STORE 1 +FLAGS.SILENT (\Answered)
FETCH 2 BODY[TEXT]
UID EXPUNGE 1:*
STORE 1 +FLAGS.SILENT (\Deleted)
CLOSE
SELECT There
MOVE 1 INBOX
UID MOVE 1:* There
Several good
FETCH 1:* (FLAGS EMAILID)
Several second bad
Several second empty
Several junk behind
Several bad flag
Several bad date
Several nowhere
NOOP
LOGOUT
"""
# Each in a session of its own, with a mailbox selected: what says first that a client wants MODSEQs.
FIRST = ["FETCH 1 MODSEQ", "FETCH 1 FLAGS (CHANGEDSINCE 1)", "STORE 1 (UNCHANGEDSINCE 1) FLAGS (\\Seen)", "SEARCH MODSEQ 1",
         "STATUS INBOX (HIGHESTMODSEQ)", "ENABLE CONDSTORE", "ENABLE QRESYNC"]

NOTHING_FOUND = ("the highest modseq of nothing is none (RFC 7162, 3.1.5)",
                 ["* SEARCH (MODSEQ n)", "a OK Completed (0 msgs in time)"],
                 ["* SEARCH", "a OK Completed (0 msgs in time)"])
SELECTED = "who uses or enables it with a mailbox selected is told how far he has been told (RFC 7162, 3.1.2)"
ENABLED = "* OK [HIGHESTMODSEQ n] CONDSTORE enabled by "
# command: (why, what a Cyrus says, what we say)
DIFFERENT = {
    "FETCH 1 THREADID": (
        "NIL is not an id (RFC 8474, 5.2)", ["* 1 FETCH (THREADID (NIL))", "a OK Completed (time)"],
        ["* 1 FETCH (THREADID NIL)", "a OK Completed (time)"]),
    "FETCH 1:2 (MODSEQ)": (
        "to us STATUS (HIGHESTMODSEQ) was the first that said so (RFC 7162, 3.1)",
        [ENABLED + "MODSEQ fetch", "* 1 FETCH (MODSEQ (n))", "* 2 FETCH (MODSEQ (n))", "a OK Completed (time)"],
        ["* 1 FETCH (MODSEQ (n))", "* 2 FETCH (MODSEQ (n))", "a OK Completed (time)"]),
    "SEARCH MODSEQ 99999": NOTHING_FOUND,
    "SEARCH NOT MODSEQ 1": NOTHING_FOUND,
    "UID SEARCH RETURN (MIN) MODSEQ 1": (
        "we look no further than the first",
        ['* ESEARCH (TAG "a") UID MIN 1 MODSEQ n', "a OK Completed (9 msgs in time)"],
        ['* ESEARCH (TAG "a") UID MIN 1 MODSEQ n', "a OK Completed (1 msgs in time)"]),
    "Several junk behind": (
        "a Cyrus takes what it left of the APPEND before for a command",
        ["* BAD Invalid tag", "a BAD Missing required argument to Append command"],
        ["a BAD Missing required argument to Append command"]),
    "first SEARCH MODSEQ 1": (
        SELECTED, ["* SEARCH 1 2 3 4 (MODSEQ n)", "a OK Completed (4 msgs in time)"],
        [ENABLED + "MODSEQ search", "* SEARCH 1 2 3 4 (MODSEQ n)", "a OK Completed (4 msgs in time)"]),
    "first STATUS INBOX (HIGHESTMODSEQ)": (
        SELECTED, ["* STATUS INBOX (HIGHESTMODSEQ n)", "a OK Completed"],
        [ENABLED + "STATUS (HIGHESTMODSEQ)", "* STATUS INBOX (HIGHESTMODSEQ n)", "a OK Completed"]),
    "first ENABLE CONDSTORE": (
        SELECTED, ["* ENABLED CONDSTORE", "a OK Completed"],
        ["* ENABLED CONDSTORE", ENABLED + "ENABLE", "a OK Completed"]),
    "first ENABLE QRESYNC": (
        SELECTED, ["* ENABLED CONDSTORE QRESYNC", "a OK Completed"],
        ["* ENABLED CONDSTORE QRESYNC", ENABLED + "ENABLE", "a OK Completed"]),
}


class Pupil(Talker):
    """A Talker who can fill in what he has heard."""
    uidvalidity = since = "1"

    def line(self):
        line = self.wire.line().decode("utf-8", "backslashreplace")
        for name in ("uidvalidity", "since"):
            found = re.search(r"\[%s (\d+)" % {"since": "HIGHESTMODSEQ"}.get(name, name.upper()), line)
            if found:
                setattr(self, name, found[1])
        for pattern, by in self.normal:
            line = re.sub(pattern, by, line)
        return line

    def say(self, command):
        command = SEVERAL.get(command.removeprefix("Several "), command)
        return super().say(command.replace("{since}", self.since).replace("{uidvalidity}", self.uidvalidity))

    def append(self):
        lines = []
        for text in MESSAGES:
            lines += self.say(f"APPEND INBOX {{{len(text)}+}}\r\n{text}")
        return lines


@pytest.fixture
def both(server, cyrus_peer):
    peer = cyrus_peer(name="x")
    us = server(name="x", services=ONLY_IMAP)
    for one in (peer, us):
        one.make_user("alice")
    return peer, us


def compare(said, unused, key, wrong):
    why, *listed = DIFFERENT.get(key, (None,))
    unused.discard(key)
    if said != tuple(listed) if why else said[0] != said[1]:
        wrong.append(f"{key}\n  {said[0]}\n  {said[1]}")


@pytest.mark.limit(240)
def test_the_same_dialogue(both):
    unused, wrong = set(DIFFERENT), []
    theirs, ours = (Pupil(one.imap_port, NORMAL, LEFT_OUT) for one in both)
    for command in commands(DIALOGUE):
        said = tuple(one.append() if command == "APPEND" else one.say(command) for one in (theirs, ours))
        compare(said, unused, command, wrong)
    for command in FIRST:
        talkers = [Pupil(one.imap_port, NORMAL, LEFT_OUT) for one in both]
        for one in talkers:
            one.say("LOGIN alice pw")
            one.say("SELECT There")
        compare(tuple(one.say(command) for one in talkers), unused, "first " + command, wrong)
    assert not wrong, "\n".join(wrong)
    assert not unused
