"""What a message or a mailbox is called whatever its place (OBJECTID, RFC 8474; DIGEST=SHA1), and since when it is there (SAVEDATE,
RFC 8514), on a running imapd."""
import hashlib
import re
import time

import pytest

from lib.imap import format_date, parse_date
from lib.imap_values import pairs, text
from lib.server import ONLY_IMAP

MESSAGE = b"Subject: one\r\n\r\ntext\r\n"


@pytest.fixture
def box(server):
    """bob's INBOX with the same message twice and another, selected: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob", "eve")
    with s.imap("bob") as c:
        for message in (MESSAGE, MESSAGE, b"Subject: another\r\n\r\ntext\r\n"):
            c.append("INBOX", message, date=86400 * 365)
        c.select("INBOX")
        yield s, c


def mailboxid(client, name):
    return text(client.status(name, "MAILBOXID")["MAILBOXID"][0])


# ---- OBJECTID ------------------------------------------------------------------------------------------


def test_a_message_is_called_by_what_it_is(box):
    _, c = box
    ids = {uid: text(items["EMAILID"][0]) for uid, items in c.fetch("1:*", "EMAILID").items()}
    assert ids[1] == ids[2] == "M" + hashlib.sha1(MESSAGE).hexdigest()[:24] != ids[3]
    c.ok("CREATE There")
    c.ok("COPY 3 There")
    c.ok("MOVE 1 There")
    c.select("There")
    assert [text(items["EMAILID"][0]) for items in c.fetch("1:*", "EMAILID").values()] == [ids[3], ids[1]]
    assert c.search("EMAILID", ids[1]) == [2] and c.search("EMAILID", ids[1].lower()) == []
    assert c.search("NOT", "EMAILID", ids[1]) == [1]


def test_threads_are_nobodys_here(box):
    _, c = box
    assert all(items["THREADID"] is None for items in c.fetch("1:*", "THREADID").values())
    assert c.search("THREADID", "T0000000000000000") == []


def test_a_mailbox_keeps_its_id(box):
    s, c = box
    made = c.ok("CREATE There").code
    assert made[0] == "MAILBOXID"
    there = text(made[1][0])
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", there)
    assert mailboxid(c, "There") == there != mailboxid(c, "INBOX") == text(c.select("INBOX")["MAILBOXID"][0])
    c.ok("RENAME There Elsewhere")
    assert mailboxid(c, "Elsewhere") == there == text(c.select("Elsewhere")["MAILBOXID"][0])
    c.ok("UNSELECT")
    c.ok("DELETE Elsewhere")
    assert text(c.ok("CREATE Elsewhere").code[1][0]) != there
    c.ok("SETACL Elsewhere eve lr")
    with s.imap("eve") as eve:
        assert mailboxid(eve, "Other Users/bob/Elsewhere") == mailboxid(c, "Elsewhere")


def test_nothing_is_told_of_what_was_not_made(box):
    _, c = box
    assert c.command("CREATE INBOX").code[0] != "MAILBOXID"
    assert c.command("STATUS nosuch (MAILBOXID)").status == "NO"


# ---- DIGEST=SHA1 ---------------------------------------------------------------------------------------


def test_the_digest_is_that_of_the_octets(box):
    _, c = box
    got = c.fetch("1:*", "(DIGEST.SHA1 BODY.PEEK[])")
    assert all(text(items["DIGEST.SHA1"]) == hashlib.sha1(items["BODY[]"]).hexdigest() for items in got.values())


# ---- SAVEDATE ------------------------------------------------------------------------------------------


def test_when_it_came_here(box):
    _, c = box
    before = int(time.time()) - 1
    c.ok("CREATE There")
    c.ok("COPY 1 There")
    c.select("There")
    items = c.fetch("1", "(SAVEDATE INTERNALDATE)")[1]
    assert before <= parse_date(items["SAVEDATE"]) <= time.time() + 1
    assert parse_date(items["INTERNALDATE"]) == 86400 * 365


def test_search_by_it(box):
    _, c = box
    saved = parse_date(c.fetch("1", "SAVEDATE")[1]["SAVEDATE"])
    day = [format_date(saved + 86400 * n).strip().split()[0] for n in (-1, 0, 1)]
    assert c.search("SAVEDON", day[1]) == c.search("SAVEDSINCE", day[1]) == c.search("SAVEDBEFORE", day[2]) == [1, 2, 3]
    assert c.search("SAVEDON", day[0]) == c.search("SAVEDBEFORE", day[1]) == c.search("SAVEDSINCE", day[2]) == []
    assert c.search("NOT SAVEDBEFORE", day[1]) == c.search("SAVEDATESUPPORTED") == [1, 2, 3]
    assert c.search("ON", day[1]) == []


def test_an_odd_date_is_refused(box):
    _, c = box
    for key in ("SAVEDON", "SAVEDSINCE", "SAVEDBEFORE"):
        assert c.command("SEARCH", key, "yesterday").status == "BAD"
        assert c.command("SEARCH", key).status == "BAD"
    assert pairs(c.ok("FETCH 1 SAVEDATE").one("FETCH").values[0]).keys() == {"SAVEDATE"}
