"""MOVE (RFC 6851) on a running imapd: what goes where, who may, who is told, and that nothing is ever lost or doubled."""
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import beside
from lib.imap import Literal, quote
from lib.server import ONLY_IMAP
from lib.wire import Closed


def message(n):
    return b"From: a@b\r\nSubject: number %d\r\n\r\ntext %d\r\n" % (n, n)


@pytest.fixture
def box(server):
    """bob's INBOX with five messages, selected, and a folder There: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob", "eve")
    with s.imap("bob") as c:
        for n in range(1, 6):
            c.append("INBOX", message(n), flags=["\\Flagged", f"k{n}"])
        c.ok("CREATE", "There")
        c.select("INBOX")
        yield s, c


def texts(client, name):
    """{uid: subject's number} of a mailbox, by another look at it."""
    client.select(name)
    got = client.fetch("1:*", "BODY.PEEK[]")
    return {uid: int(items["BODY[]"].split()[-1]) for uid, items in got.items()}


def test_capability(box):
    assert "MOVE" in box[1].capabilities()


def test_messages_go_with_all_they_have(box):
    _, c = box
    before = c.fetch("2:3", "(INTERNALDATE FLAGS)")
    reply = c.ok("MOVE", "2:3", "There")
    assert [(r.name, r.number) for r in reply.untagged] == [("OK", None), ("EXPUNGE", 2), ("EXPUNGE", 2)]
    uidvalidity = c.status("There", "UIDVALIDITY")["UIDVALIDITY"]
    assert reply.untagged[0].code == ["COPYUID", uidvalidity, "2:3", "1:2"]
    assert texts(c, "INBOX") == {1: 1, 4: 4, 5: 5} and texts(c, "There") == {1: 2, 2: 3}
    after = c.fetch("1:2", "(INTERNALDATE FLAGS)")
    for old, new in ((2, 1), (3, 2)):
        assert after[new]["INTERNALDATE"] == before[old]["INTERNALDATE"]
        assert set(after[new]["FLAGS"]) - {"\\Recent"} == set(before[old]["FLAGS"]) - {"\\Recent"}


def test_uid_move_passes_over_what_is_not_there(box):
    _, c = box
    reply = c.ok("UID MOVE", "5,9,1:2", "There")
    assert reply.untagged[0].code[2:] == ["1:2,5", "1:3"]
    assert [r.number for r in reply.all("EXPUNGE")] == [1, 1, 3]
    assert not c.ok("UID MOVE", "1:2,99", "There").untagged
    assert c.command("MOVE", "9", "There").status == "NO"
    assert texts(c, "There") == {1: 1, 2: 2, 3: 5}


def test_within_a_mailbox_they_get_new_uids(box):
    _, c = box
    reply = c.ok("MOVE", "1:2", "INBOX")
    assert reply.untagged[0].code[2:] == ["1:2", "6:7"]
    assert [(r.name, r.number) for r in reply.untagged[1:4]] == [("EXPUNGE", 1), ("EXPUNGE", 1), ("EXISTS", 5)]
    assert texts(c, "INBOX") == {3: 3, 4: 4, 5: 5, 6: 1, 7: 2}


def test_others_are_told(box):
    s, c = box
    with s.imap("bob") as source, s.imap("bob") as target:
        source.select("INBOX")
        target.select("There")
        c.ok("MOVE", "1,4", "There")
        assert [(r.name, r.number) for r in source.ok("NOOP").untagged] == [("EXPUNGE", 1), ("EXPUNGE", 3)]
        assert target.ok("NOOP").one("EXISTS").number == 2


def test_no_such_mailbox(box):
    _, c = box
    reply = c.command("MOVE", "1", "nosuch")
    assert (reply.status, reply.code) == ("NO", ["TRYCREATE"])
    assert len(texts(c, "INBOX")) == 5


RIGHTS = [    # eve's in the source, in the target, whether she may
    ("lrte", "lrwsi", True), ("lrt", "lrwsi", False), ("lre", "lrwsi", False), ("lr", "lrwsi", False),
    ("lrte", "lrws", False),
]


def test_rights(box):
    s, c = box
    for source, target, may in RIGHTS:
        c.ok("SETACL", "INBOX", "eve", source)
        c.ok("SETACL", "There", "eve", target)
        with s.imap("eve") as eve:
            eve.select("Other Users/bob")
            before = c.status("There", "MESSAGES")["MESSAGES"]
            reply = eve.command("MOVE", "1", '"Other Users/bob/There"')
            assert reply.status == ("OK" if may else "NO"), (source, target)
            assert c.status("There", "MESSAGES")["MESSAGES"] == before + may, (source, target)
            if not may:
                assert reply.text == "Permission denied"
    assert len(texts(c, "INBOX")) == 4


def test_what_is_only_examined_stays(box):
    _, c = box
    c.examine("INBOX")
    assert c.command("MOVE", "1", "There").status == "NO"
    assert len(texts(c, "INBOX")) == 5 and not texts(c, "There")


def test_a_full_root_takes_what_stays_in_it(box):
    s, c = box
    with s.admin() as admin:
        admin.ok("SETQUOTA", "user/bob", "(MESSAGE 5)")
        admin.ok("SETQUOTA", "user/eve", "(MESSAGE 2)")
        admin.ok("SETACL", "user/eve", "bob", "lrswi")
    assert c.command("COPY", "1", "There").status == "NO"
    assert c.command("MOVE", "1:2", "There").status == "OK"
    assert c.command("MOVE", "1:3", '"Other Users/eve"').status == "NO"
    assert c.command("MOVE", "1:2", '"Other Users/eve"').status == "OK"
    assert c.status("There", "MESSAGES") == {"MESSAGES": 2} and c.status("INBOX", "MESSAGES") == {"MESSAGES": 1}


def test_two_who_move_the_same_messages_move_each_once(server):
    s = server(services=ONLY_IMAP)
    s.make_user("bob")
    with s.imap("bob") as c:
        for n in range(40):
            c.append("INBOX", message(n))
        c.ok("CREATE", "There")
        c.ok("CREATE", "Here")

    def move(way):
        source, target = way
        with s.imap("bob") as one:
            for _ in range(4):
                one.select(source)
                for uid in range(1, 200, 3):
                    one.ok("UID MOVE", f"{uid}:{uid + 4}", target)

    ways = [("INBOX", "There"), ("INBOX", "There"), ("INBOX", "Here"), ("There", "Here"), ("Here", "INBOX")]
    with ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(move, ways))    # raises what one of them raised
    with s.imap("bob") as c:
        left = sorted(n for name in ("INBOX", "There", "Here") for n in texts(c, name).values())
    assert left == list(range(40))


@pytest.mark.parametrize("where", [0, 1], ids=["copies not durable", "copies durable"])
def test_a_death_in_the_middle_loses_nothing(box, where):
    s, c = box
    s.failpoints.arm("store.journal.sync", "kill", where)
    with pytest.raises((Closed, ConnectionError)):
        c.ok("MOVE", "1:3", "There")
    s.failpoints.disarm()
    with s.imap("bob") as again:
        here, there = set(texts(again, "INBOX").values()), set(texts(again, "There").values())
        # Whoever is next to change the mailbox finishes it: sync_client may be that, where there is one.
        assert here == {1, 2, 3, 4, 5} or (beside.wanted("test_imap_move.py") and (here, there) == ({4, 5}, {1, 2, 3}))
        assert there in (set(), {1, 2, 3}) and (not where or there == {1, 2, 3})
        shown = again.select("INBOX")["EXISTS"]
        assert len(again.ok("UID MOVE", "1:5", "There").all("EXPUNGE")) == shown
        assert texts(again, "INBOX") == {} and set(texts(again, "There").values()) == {1, 2, 3, 4, 5}


def test_what_cannot_be_marked_seen_moves_all_the_same(server):
    """Another's \\Seen is a change of its own, behind the one that brings the messages: it fails by itself."""
    s = server(services=ONLY_IMAP, imapd={"sync_log": True})
    s.make_user("bob", "eve")
    with s.imap("bob") as c:
        c.ok("CREATE There")
        c.ok("SETACL There eve lrswipkxte")
    there = "Other Users/bob/There"
    s.expect("imap.seen.unset|synclog")
    with s.imap("eve") as c:
        c.append("INBOX", message(1), flags=["\\Seen"])
        c.select("INBOX")
        s.failpoints.arm("synclog.append", "eio", 1)
        c.ok("MOVE 1", quote(there))
        assert s.failpoints.fired == 1 and s.log_file.read_text().count("imap.seen.unset") == 1
        s.failpoints.arm("synclog.append", "eio", 1)
        c.ok("APPEND", quote(there), "(\\Seen)", Literal(message(2)))
        assert s.failpoints.fired == 1
        s.failpoints.disarm()
        assert texts(c, "INBOX") == {}
        assert texts(c, there) == {1: 1, 2: 2}
        assert c.status(there, "UNSEEN") == {"UNSEEN": 2}
