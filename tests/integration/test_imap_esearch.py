"""SEARCH RETURN (RFC 4731) and what it saves (RFC 5182) on a running imapd."""
import pytest

from lib.imap_values import pairs
from lib.server import ONLY_IMAP


@pytest.fixture
def box(server):
    """bob's INBOX: UIDs 2 to 9, those with an even number \\Flagged, selected: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob")
    with s.imap("bob") as c:
        for n in range(1, 10):
            c.append("INBOX", b"Subject: number %d\r\n\r\ntext\r\n" % n, flags=["\\Flagged"] if n % 2 == 0 else [])
        c.select("INBOX")
        c.store("1", "+FLAGS.SILENT", "\\Deleted")
        c.ok("EXPUNGE")
        yield s, c


def answer(client, *command):
    """The ESEARCH of an answer: (its tag is the command's, whether it is of UIDs, {what: value})."""
    reply = client.ok(*command)
    assert not reply.all("SEARCH")
    values = list(reply.one("ESEARCH").values)
    tag = values.pop(0)
    assert [str(tag[0]), tag[1].decode()] == ["TAG", reply.tag]
    by_uid = values[:1] == ["UID"]
    return by_uid, {values[i]: values[i + 1] for i in range(by_uid, len(values), 2)}


def shown(client, *command):
    """UIDs of the messages a FETCH shows."""
    return [pairs(r.values[0])["UID"] for r in client.ok(*command).all("FETCH")]


def test_capability(box):
    assert {"ESEARCH", "SEARCHRES"} <= box[1].capabilities()


def test_what_is_returned(box):
    _, c = box
    assert answer(c, "SEARCH RETURN () FLAGGED") == (False, {"ALL": "1,3,5,7"})
    assert answer(c, "SEARCH RETURN (ALL) ALL") == (False, {"ALL": "1:8"})
    assert answer(c, "UID SEARCH RETURN (ALL) FLAGGED") == (True, {"ALL": "2,4,6,8"})
    assert answer(c, "SEARCH RETURN (MIN) FLAGGED") == (False, {"MIN": 1})
    assert answer(c, "UID SEARCH RETURN (MAX) UNFLAGGED") == (True, {"MAX": 9})
    assert answer(c, "UID search return (min max count) CHARSET utf-8 FLAGGED") == (True, {"MIN": 2, "MAX": 8, "COUNT": 4})
    assert answer(c, "UID SEARCH RETURN (COUNT ALL MIN MAX) UID 3:5") == \
        (True, {"MIN": 3, "MAX": 5, "ALL": "3:5", "COUNT": 3})


def test_nothing_is_found(box):
    _, c = box
    assert answer(c, "SEARCH RETURN (MIN MAX ALL) ANSWERED") == (False, {})
    assert answer(c, "UID SEARCH RETURN (ALL COUNT) ANSWERED") == (True, {"COUNT": 0})
    assert c.ok("SEARCH ANSWERED").one("SEARCH").values == []


def test_what_is_wrong(box):
    _, c = box
    for command in ("RETURN", "RETURN MIN ALL", "RETURN (BOGUS) ALL", "RETURN (MIN", "RETURN (MIN) ", "RETURN (MIN)ALL",
                    "RETURN ( MIN) ALL", "RETURN (MIN,MAX) ALL", "$,1", "1:$", "CHARSET UTF-8 RETURN (MIN) ALL"):
        assert c.command("SEARCH", command).status == "BAD", command


def test_what_was_saved_is_used(box):
    _, c = box
    reply = c.ok("SEARCH RETURN (SAVE) FLAGGED")
    assert not reply.untagged
    assert shown(c, "FETCH $ (UID)") == [2, 4, 6, 8] == shown(c, "UID FETCH $ (UID)")
    assert answer(c, "UID SEARCH RETURN (ALL) $ LARGER 1 NOT 3") == (True, {"ALL": "2,6,8"})
    assert answer(c, "SEARCH RETURN (ALL) NOT UID $") == (False, {"ALL": "2,4,6,8"})
    c.ok("STORE $ +FLAGS.SILENT (\\Seen)")
    assert c.search("SEEN") == [2, 4, 6, 8]
    c.ok("CREATE There")
    assert c.ok("UID COPY $ There").code[2:] == ["2,4,6,8", "1:4"]


def test_of_the_lowest_and_the_highest_only_they_are_saved(box):
    _, c = box
    for what, saved in (("MIN", [2]), ("MAX", [8]), ("MIN MAX", [2, 8]), ("MIN ALL", [2, 4, 6, 8]), ("COUNT", [2, 4, 6, 8]),
                        ("MAX COUNT", [2, 4, 6, 8])):
        answer(c, f"UID SEARCH RETURN (SAVE {what}) FLAGGED")
        assert shown(c, "FETCH $ (UID)") == saved, what


def test_nothing_saved_is_no_error(box):
    _, c = box
    assert shown(c, "FETCH $ (UID)") == []
    assert c.ok("SEARCH RETURN (SAVE) ANSWERED").untagged == []
    assert shown(c, "UID FETCH $ (UID)") == []
    assert not c.ok("STORE $ +FLAGS (\\Seen)").untagged
    assert not c.ok("COPY $ INBOX").untagged
    assert c.search("$") == []


def test_what_is_saved_follows_the_messages(box):
    _, c = box
    c.ok("SEARCH RETURN (SAVE) FLAGGED")
    c.store("2,3,4", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    assert shown(c, "FETCH $ (UID)") == [6, 8]                  # other numbers, the same messages
    assert c.command("SEARCH CHARSET nosuch SUBJECT x").status == "NO"
    assert c.command("SEARCH RETURN (SAVE) BOGUS").status == "BAD"
    assert shown(c, "FETCH $ (UID)") == [6, 8]                  # neither was to save anything
    assert c.command("SEARCH RETURN (SAVE) CHARSET nosuch SUBJECT x").status == "NO"
    assert shown(c, "FETCH $ (UID)") == []
    c.ok("SEARCH RETURN (SAVE) ALL")
    c.ok("SEARCH ANSWERED")
    assert shown(c, "FETCH $ (UID)") == [5, 6, 7, 8, 9]
    c.select("INBOX")
    assert shown(c, "FETCH $ (UID)") == []


def test_a_search_that_saves_from_what_was_saved(box):
    _, c = box
    c.ok("SEARCH RETURN (SAVE) FLAGGED")
    c.ok("SEARCH RETURN (SAVE) $ UID 5:*")
    assert shown(c, "FETCH $ (UID)") == [6, 8]
    c.ok("UID MOVE $ INBOX")
    assert shown(c, "FETCH $ (UID)") == []
