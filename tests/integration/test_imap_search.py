"""SEARCH on a running imapd: every key of RFC 3501, charsets, and sets of numbers."""
import shutil

import pytest

from lib import places
from lib.imap import Literal
from lib.server import ONLY_IMAP, Server

DAY = 86400
NEW_YEAR = 1767225600    # 1-Jan-2026 00:00:00 +0000


def mail(*header, body=b"text\r\n"):
    return "\r\n".join([*header, "", ""]).encode("latin-1") + body


MAILS = [    # message, flags, INTERNALDATE
    (mail('From: "Ann B" <ann@example.com>', 'To: bob@example.com, "C, D" <cd@example.org>',
          "Subject: =?utf-8?q?H=C3=A5vard?= plan", "Date: Thu, 1 Jan 2026 23:00:00 -0800", body=b"first text\r\n"),
     ["\\Seen"], NEW_YEAR + DAY - 1),
    (mail("From: cy@example.com", "Cc: ann@example.com", "X-Odd: one", "X-Odd: two", "Subject: meeting",
          "Date: Fri, 2 Jan 2026 01:00:00 +1300", body=b"second\r\n" + b"long " * 200 + b"\r\n"),
     ["\\Seen", "\\Deleted", "$Work"], NEW_YEAR + DAY),
    (mail("From: dora@example.com", "Bcc: ann@example.com", "Subject: re: plan",
          "Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable",
          body=b"Gr=FC=DFe\r\n"), ["\\Answered", "later"], NEW_YEAR + 2 * DAY - 1),
    (mail("Subject: nobody", body=b"x\r\n"), ["\\Flagged", "\\Draft", "$Work"], NEW_YEAR + 2 * DAY),
]

KEYS = [
    ("ALL", [1, 2, 3, 4]),
    ("ANSWERED", [3]), ("DELETED", [2]), ("DRAFT", [4]), ("FLAGGED", [4]), ("SEEN", [1, 2]),
    ("UNANSWERED", [1, 2, 4]), ("UNDELETED", [1, 3, 4]), ("UNDRAFT", [1, 2, 3]), ("UNFLAGGED", [1, 2, 3]),
    ("UNSEEN", [3, 4]),
    ("KEYWORD $work", [2, 4]), ("UNKEYWORD $Work", [1, 3]), ("KEYWORD none", []), ("UNKEYWORD none", [1, 2, 3, 4]),
    ("RECENT", [1, 2, 3, 4]), ("OLD", []), ("NEW", [3, 4]),
    ("ON 2-Jan-2026", [2, 3]), ("BEFORE 2-Jan-2026", [1]), ("SINCE 2-Jan-2026", [2, 3, 4]),
    ('ON "02-Jan-2026"', [2, 3]),
    ("SENTON 1-Jan-2026", [1]), ("SENTON 2-Jan-2026", [2, 3]), ("SENTSINCE 2-Jan-2026", [2, 3, 4]),
    ("SENTBEFORE 2-Jan-2026", [1]),
    ("LARGER 1000", [2]), ("SMALLER 30", [4]), ("SMALLER 1000 LARGER 100", [1, 3]),
    ("FROM ann", [1]), ('FROM "ann b <ann@"', [1]), ("TO cd@example", [1]), ("CC ann", [2]), ("BCC ann", [3]),
    ("SUBJECT plan", [1, 3]), ("SUBJECT havard", [1]), ('SUBJECT ""', [1, 2, 3, 4]), ('FROM ""', [1, 2, 3]),
    ("HEADER X-Odd two", [2]), ('HEADER X-Odd ""', [2]), ('HEADER X-None ""', []),
    ("BODY text", [1]), ("BODY grusse", [3]), ("TEXT plan", [1, 3]), ("TEXT second", [2]),
    ("2:3", [2, 3]), ("1,*", [1, 4]), ("9", []), ("9:*", [4]), ("UID 1:2", [1, 2]), ("UID 9", []),
    ("NOT 2", [1, 3, 4]), ("NOT NOT SEEN", [1, 2]), ("OR SEEN DRAFT", [1, 2, 4]),
    ("OR (SEEN DELETED) (NOT (OR ANSWERED SEEN))", [2, 4]), ("(SEEN) (SUBJECT plan)", [1]),
    ("SEEN NOT DELETED TEXT first", [1]),
]

BAD = ["", "BOGUS", "ALL x", "()", "(ALL", "NOT", "OR SEEN", "ON bogus", "LARGER x", "KEYWORD \\Seen", "SUBJECT",
       "HEADER X", "UID x", "CHARSET", "CHARSET UTF-8", "SEEN  DRAFT", "SMALLER -1", "1,,2"]


@pytest.fixture(scope="module")
def bob():
    """A session of bob's with MAILS in a selected INBOX; one server for the module."""
    root = places.make_root()
    s = Server(root, services=ONLY_IMAP, imapd={"search_nesting_max": 20})
    try:
        s.start()
        s.make_user("bob")
        with s.imap("bob") as c:
            for message, flags, when in MAILS:
                c.append("INBOX", message, flags, when)
            c.select("INBOX")
            yield c
        s.finish()
    finally:
        places.kill_processes_of(root)
        shutil.rmtree(root, ignore_errors=True)


def test_each_key(bob):
    wrong = []
    for key, expected in KEYS:
        reply = bob.command("SEARCH", key)
        found = reply.all("SEARCH")[0].values if reply.all("SEARCH") else reply
        if found != expected:
            wrong.append((key, found, expected))
    assert not wrong


def test_the_tagged_line_counts(bob):
    reply = bob.ok("SEARCH", "SEEN")
    assert reply.text.startswith("Completed (2 msgs in ")
    assert bob.ok("SEARCH", "NOT", "ALL").one("SEARCH").raw == b"* SEARCH"


def test_charsets(bob):
    def search(charset, key, octets):
        parts = ["CHARSET", charset] if charset else []
        return bob.command("SEARCH", *parts, key, Literal(octets)).all("SEARCH")[0].values
    assert search("UTF-8", "SUBJECT", "håvard".encode()) == [1]
    assert search("utf-8", "SUBJECT", "HÅVARD".encode()) == [1]
    assert search("UTF-8", "SUBJECT", "hA\u030avard".encode()) == [1]    # composed or not
    assert search("ISO-8859-1", "SUBJECT", "håvard".encode("latin-1")) == [1]
    assert search("KOI8-R", "BODY", b"grusse") == [3]
    assert search("UTF-8", "BODY", "GRÜSSE".encode()) == [3]
    assert search(None, "SUBJECT", b"havard") == [1]
    reply = bob.command("SEARCH", "CHARSET", "X-NONE", "SUBJECT", "x")
    assert reply.status == "NO" and reply.code[0] == "BADCHARSET" and "UTF-8" in reply.code[1]
    assert bob.command("SEARCH", "CHARSET", "X-NONE", "ALL").status == "NO"
    assert bob.command("SEARCH", "CHARSET", "UTF-16", "SUBJECT", Literal(b"x")).status == "BAD"


def test_uid_search(bob):
    bob.ok("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)")
    bob.ok("UID EXPUNGE", "1")
    assert bob.ok("SEARCH", "UID", "2:3").one("SEARCH").values == [1, 2]
    assert bob.ok("UID SEARCH", "1:2").one("SEARCH").values == [2, 3]
    assert bob.ok("UID SEARCH", "UID", "1").one("SEARCH").values == []


def test_bad_criteria(bob):
    for criteria in BAD:
        assert bob.command("SEARCH", criteria).status == "BAD", criteria


def test_nesting_is_bounded_by_the_configuration(bob):
    assert bob.command("SEARCH", "(" * 19 + "ALL" + ")" * 19).status == "OK"
    reply = bob.command("SEARCH", "(" * 20 + "ALL" + ")" * 20)
    assert (reply.status, reply.code) == ("NO", ["LIMIT"])
    assert bob.command("SEARCH", "NOT " * 1000 + "ALL").status == "OK"    # that nests nothing
