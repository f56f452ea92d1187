"""STORE, COPY and EXPUNGE on a running imapd: what changes, by whom, who is told, and that it is one change."""
import pytest

from lib import places
from lib.imap import quote
from lib.imap_values import pairs
from lib.server import ONLY_IMAP

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\ntext\r\n"


@pytest.fixture
def box(server):
    """bob's INBOX with three messages, selected: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob", "eve")
    with s.imap("bob") as c:
        for _ in range(3):
            c.append("INBOX", MESSAGE)
        c.select("INBOX")
        yield s, c


def flags(reply):
    """{number: flags without \\Recent} of the FETCH responses of a reply."""
    return {r.number: [f for f in pairs(r.values[0])["FLAGS"] if f != "\\Recent"] for r in reply.all("FETCH")}


def now(client, which="1:*"):
    return flags(client.ok("FETCH", which, "FLAGS"))


def grant(server, mailbox, user, rights):
    with server.admin() as admin:
        admin.ok("SETACL", mailbox, user, rights)


# ---- STORE ---------------------------------------------------------------------------------------------


def test_flags_are_added_removed_and_replaced(box):
    _, c = box
    assert flags(c.ok("STORE", "1:2", "+FLAGS", "(\\Seen $Work)")) == {1: ["\\Seen", "$Work"], 2: ["\\Seen", "$Work"]}
    assert flags(c.ok("STORE", "2", "+FLAGS", "\\Deleted Other")) == {2: ["\\Deleted", "\\Seen", "$Work", "Other"]}
    assert flags(c.ok("STORE", "2", "-FLAGS", "(\\seen $WORK none)")) == {2: ["\\Deleted", "Other"]}
    assert flags(c.ok("STORE", "2", "FLAGS", "(\\Draft)")) == {2: ["\\Draft"]}
    assert flags(c.ok("STORE", "2", "FLAGS", "()")) == {2: []}
    assert now(c) == {1: ["\\Seen", "$Work"], 2: [], 3: []}


def test_silence_and_who_is_told(box):
    s, c = box
    with s.imap("bob") as other:
        other.select("INBOX")
        assert not c.ok("STORE", "1:3", "+FLAGS.SILENT", "(\\Flagged)").untagged
        assert not c.ok("NOOP").untagged                      # he knows
        assert flags(other.ok("NOOP")) == {n: ["\\Flagged"] for n in (1, 2, 3)}
        # What somebody else did meanwhile is told also to the silent.
        other.ok("STORE", "2", "+FLAGS.SILENT", "(\\Answered)")
        assert flags(c.ok("STORE", "1", "+FLAGS.SILENT", "(\\Draft)")) == {2: ["\\Answered", "\\Flagged"]}


def test_new_keywords_are_announced(box):
    _, c = box
    reply = c.ok("STORE", "1", "+FLAGS", "(First)")
    assert [r.name for r in reply.untagged] == ["FLAGS", "OK", "FETCH"]
    assert "First" in reply.one("FLAGS").values[0] and "First" in reply.untagged_code("PERMANENTFLAGS")[1]
    assert [r.name for r in c.ok("STORE", "2", "+FLAGS", "(fIRST)").untagged] == ["FETCH"]
    assert now(c, "2") == {2: ["First"]}                      # in the spelling of the first use
    assert [r.name for r in c.ok("STORE", "1", "-FLAGS", "(Never)").untagged] == ["FETCH"]
    assert "Never" not in c.select("INBOX")["FLAGS"]


def test_uid_store_and_sets(box):
    _, c = box
    c.store("1", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    reply = c.ok("UID STORE", "2", "+FLAGS", "(\\Seen)")
    assert pairs(reply.one("FETCH").values[0])["UID"] == 2 and reply.one("FETCH").number == 1
    assert not c.ok("UID STORE", "99", "+FLAGS", "(\\Seen)").untagged
    assert not c.ok("STORE", "99", "+FLAGS", "(\\Seen)").untagged
    assert flags(c.ok("STORE", "1:99", "+FLAGS", "(\\Draft)")) == {1: ["\\Draft", "\\Seen"], 2: ["\\Draft"]}


def test_a_store_is_one_change_and_none_if_nothing_changes(box):
    s, c = box
    s.failpoints.record()
    c.ok("STORE", "1:3", "+FLAGS", "(\\Seen \\Flagged a b c)")
    assert s.failpoints.hits()["store.journal.write_frame"] == 1
    assert s.failpoints.hits()["store.journal.sync"] == 1
    s.failpoints.record()
    assert len(c.ok("STORE", "1:3", "+FLAGS", "(\\Seen a)").all("FETCH")) == 3
    assert not [name for name in s.failpoints.hits() if name.startswith("store.journal")]


def test_wrong_flags(box):
    _, c = box
    for arguments in ("+FLAGS (\\Bogus)", "+FLAGS (\\Recent)", "+FLAGS (a{b)", 'FLAGS ("a")', "BOGUS (a)", "+FLAGS", ""):
        assert c.command("STORE", "1", arguments).status == "BAD", arguments
    assert c.command("STORE", "1", "+FLAGS", "(\\Bogus)").text == "Invalid system flag in Store command"
    assert now(c, "1") == {1: []}


def test_there_are_128_keywords(box):
    _, c = box
    names = [f"k{i}" for i in range(128)]
    c.ok("STORE", "1", "+FLAGS", "(" + " ".join(names) + ")")
    assert now(c, "1") == {1: names}
    reply = c.command("STORE", "1:3", "+FLAGS", "(\\Seen onemore)")
    assert (reply.status, reply.text) == ("NO", "Too many user flags in mailbox")
    assert now(c) == {1: names, 2: [], 3: []}                 # nothing of it is done
    assert "\\*" not in c.select("INBOX")["PERMANENTFLAGS"]
    assert c.command("STORE", "2", "+FLAGS", "(k127)").status == "OK"


RIGHTS = [    # what eve has, what she stores, whether she may
    ("lrs", "+FLAGS (\\Seen)", True), ("lrs", "+FLAGS (\\Flagged)", False), ("lrs", "+FLAGS (\\Deleted)", False),
    ("lrs", "+FLAGS (key)", False), ("lrs", "+FLAGS (\\Seen \\Flagged)", False),
    ("lrw", "+FLAGS (\\Flagged \\Answered \\Draft key)", True), ("lrw", "+FLAGS (\\Seen)", False),
    ("lrw", "+FLAGS (\\Deleted)", False), ("lrt", "+FLAGS (\\Deleted)", True), ("lrt", "-FLAGS (\\Seen)", False),
    ("lr", "FLAGS ()", False), ("lri", "FLAGS ()", True),
]


def test_rights(box):
    s, c = box
    for rights, what, may in RIGHTS:
        grant(s, "user/bob", "eve", rights)
        with s.imap("eve") as eve:
            eve.select("Other Users/bob")
            reply = eve.command("STORE", "1", what)
            assert reply.status == ("OK" if may else "NO"), (rights, what)
            if not may:
                assert reply.text == "Permission denied"
    assert "\\Seen" not in now(c, "1")[1]                   # what eve has seen is hers


def test_replacing_leaves_what_one_may_not_change(box):
    s, c = box
    c.store("1", "FLAGS", "\\Seen", "\\Deleted", "\\Flagged", "key")
    grant(s, "user/bob", "eve", "lrt")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        eve.ok("STORE", "1", "FLAGS", "()")
    assert now(c, "1") == {1: ["\\Flagged", "\\Seen", "key"]}


def test_seen_of_others_is_their_own(box):
    s, c = box
    grant(s, "user/bob", "eve", "lrsw")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert flags(eve.ok("STORE", "1:2", "+FLAGS", "(\\Seen \\Flagged)")) == \
            {1: ["\\Flagged", "\\Seen"], 2: ["\\Flagged", "\\Seen"]}
        assert flags(eve.ok("STORE", "2", "FLAGS", "(\\Answered)")) == {2: ["\\Answered"]}
        assert now(c) == {1: ["\\Flagged"], 2: ["\\Answered"], 3: []}
        with s.imap("eve") as again:
            again.select("Other Users/bob")
            assert again.search("SEEN") == [1]
            again.ok("STORE", "1", "-FLAGS", "(\\Seen)")
        assert flags(eve.ok("NOOP")).get(1) == ["\\Flagged"]
        assert eve.search("SEEN") == []


def test_what_one_has_seen_in_another_session_counts(box):
    """Two of eve's: what the second changes is what the first has left, though it was not told of that."""
    s, c = box
    grant(s, "user/bob", "eve", "lrswite")
    with s.imap("eve") as one, s.imap("eve") as two:
        for session in (one, two):
            session.select("Other Users/bob")
        one.store("1:3", "+FLAGS.SILENT", "\\Seen")
        assert flags(two.ok("STORE", "1", "-FLAGS", "(\\Seen)"))[1] == []
        one.store("1", "+FLAGS.SILENT", "\\Seen")
        assert flags(two.ok("STORE", "1", "FLAGS", "(key)"))[1] == ["key"]
        assert flags(one.ok("NOOP"))[1] == ["key"] and one.search("SEEN") == [2, 3]
        one.store("1", "+FLAGS.SILENT", "\\Seen")
        one.ok("CREATE", "mine")
        two.ok("MOVE", "1", "mine")
        one.select("mine")
        assert one.search("SEEN") == [1]


def test_examined_mailboxes_do_not_change(box):
    _, c = box
    c.examine("INBOX")
    for command in (("STORE", "1", "+FLAGS", "(\\Seen)"), ("EXPUNGE",), ("UID EXPUNGE", "1")):
        assert c.command(*command).text == "Permission denied"


# ---- EXPUNGE -------------------------------------------------------------------------------------------


def test_expunge(box):
    s, c = box
    assert not c.ok("EXPUNGE").untagged
    c.store("1,3", "+FLAGS.SILENT", "\\Deleted")
    with s.imap("bob") as other:
        other.select("INBOX")
        reply = c.ok("EXPUNGE")
        assert [r.number for r in reply.all("EXPUNGE")] == [1, 2] and reply.code[0] == "HIGHESTMODSEQ"
        assert not other.ok("FETCH", "1:3", "UID").all("EXPUNGE")    # not while numbers are in use
        assert [r.number for r in other.ok("NOOP").all("EXPUNGE")] == [1, 2]
    assert c.search("ALL") == [2]
    assert c.select("INBOX")["UIDNEXT"] == 4


def test_uid_expunge_takes_what_is_named(box):
    _, c = box
    c.store("1:2", "+FLAGS.SILENT", "\\Deleted")
    assert [r.number for r in c.ok("UID EXPUNGE", "2:9").all("EXPUNGE")] == [2]
    assert c.search("ALL") == [1, 3]
    assert not c.ok("UID EXPUNGE", "3").untagged


def test_close_expunges_in_silence(box):
    _, c = box
    c.store("2", "+FLAGS.SILENT", "\\Deleted")
    assert not c.ok("CLOSE").untagged
    assert c.select("INBOX")["EXISTS"] == 2
    c.store("1", "+FLAGS.SILENT", "\\Deleted")
    c.ok("UNSELECT")
    assert c.select("INBOX")["EXISTS"] == 2
    c.examine("INBOX")
    c.ok("CLOSE")
    assert c.select("INBOX")["EXISTS"] == 2


def test_a_close_that_fails_leaves_nothing(box):
    s, c = box
    c.store("1", "+FLAGS.SILENT", "\\Deleted")
    s.expect("imap.command.failed|store")
    s.failpoints.arm("store.journal.write_frame", "enospc")
    assert c.command("CLOSE").status == "NO"
    s.failpoints.disarm()
    assert c.ok("FETCH", "1", "(UID)").all("FETCH")
    c.ok("CLOSE")
    assert c.command("FETCH", "1", "(UID)").status == "BAD"


def test_expunge_takes_the_right_e(box):
    s, c = box
    c.store("1", "+FLAGS.SILENT", "\\Deleted")
    grant(s, "user/bob", "eve", "lrt")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert eve.command("EXPUNGE").text == "Permission denied"
        eve.ok("CLOSE")
    grant(s, "user/bob", "eve", "lre")
    with s.imap("eve") as eve:
        eve.select("Other Users/bob")
        assert [r.number for r in eve.ok("EXPUNGE").all("EXPUNGE")] == [1]


@pytest.mark.parametrize("mode, left", [("delayed", 3), ("immediate", 1)])
def test_the_files_of_the_expunged(server, mode, left):
    s = server(services=ONLY_IMAP, imapd={"expunge_mode": mode})
    s.make_user("bob")
    with s.imap("bob") as c:
        for _ in range(3):
            c.append("INBOX", MESSAGE)
        c.select("INBOX")
        c.store("1,3", "+FLAGS.SILENT", "\\Deleted")
        c.ok("EXPUNGE")
        assert len(list(s.root.glob("spool/u/*/*/[0-9]*."))) == left
        c.append("INBOX", MESSAGE)
        assert c.search("ALL") == [2, 4]


# ---- COPY ----------------------------------------------------------------------------------------------


def test_copy_keeps_what_a_message_is(box):
    s, c = box
    c.append("INBOX", MESSAGE, ["\\Flagged", "\\Draft", "$Work", "x"], 1700000000)
    c.ok("NOOP")
    c.ok("CREATE", "Sent")
    c.ok("APPEND", "Sent", "(y $work)", "{%d+}\r\n%s" % (len(MESSAGE), MESSAGE.decode()))
    reply = c.ok("COPY", "2,4", "Sent")
    assert reply.code[0] == "COPYUID" and reply.code[2:] == ["2,4", "2:3"] and not reply.untagged
    assert reply.code[1] == c.status("Sent", "UIDVALIDITY")["UIDVALIDITY"]
    c.select("Sent")
    got = c.fetch("3", "(FLAGS INTERNALDATE BODY.PEEK[] ENVELOPE)")[3]
    assert got["FLAGS"] == ["\\Recent", "\\Flagged", "\\Draft", "$work", "x"] and got["BODY[]"] == MESSAGE
    assert got["INTERNALDATE"] == b"14-Nov-2023 22:13:20 +0000"
    inodes = [p.stat().st_ino for p in s.root.glob("spool/u/*/*/[0-9]*.")]
    assert len(inodes) == 7 and len(set(inodes)) == 5       # copies are links


def test_copy_within_a_mailbox(box):
    _, c = box
    c.store("2", "+FLAGS.SILENT", "\\Seen", "key")
    reply = c.ok("COPY", "1:2", "INBOX")
    assert reply.code[2:] == ["1:2", "4:5"]
    assert [(r.name, r.number) for r in reply.untagged] == [("EXISTS", 5), ("RECENT", 5)]
    assert now(c) == {1: [], 2: ["\\Seen", "key"], 3: [], 4: [], 5: ["\\Seen", "key"]}
    assert c.ok("UID COPY", "5,77", "INBOX").code[2:] == [5, 6]


def test_copy_sets(box):
    _, c = box
    assert c.command("COPY", "9", "INBOX").text == "No matching messages"
    assert c.ok("UID COPY", "9", "INBOX").code is None
    assert c.ok("COPY", "2:9", "INBOX").code[2:] == ["2:3", "4:5"]
    for arguments in ("", "1", "x INBOX", "1 INBOX x"):
        assert c.command("COPY", arguments).status == "BAD", arguments


def test_copy_to_what_is_not_there(box):
    s, c = box
    reply = c.command("COPY", "1", "nosuch")
    assert (reply.status, reply.code, reply.text) == ("NO", ["TRYCREATE"], "Mailbox does not exist")
    reply = c.command("COPY", "1", quote("Other Users/eve"))
    assert (reply.code, reply.text) == (["NONEXISTENT"], "Mailbox does not exist")
    grant(s, "user/eve", "bob", "lrs")
    reply = c.command("COPY", "1", quote("Other Users/eve"))
    assert (reply.code, reply.text) == (["NOPERM"], "Permission denied")


COPIED = [    # bob's rights there, and which of \\Seen \\Deleted \\Flagged key come along
    ("li", []), ("lis", ["\\Seen"]), ("lit", ["\\Deleted"]), ("liw", ["\\Flagged", "key"]),
    ("listw", ["\\Flagged", "\\Deleted", "\\Seen", "key"]),
]


def test_copied_flags_take_rights(box):
    s, c = box
    c.store("1", "FLAGS", "\\Seen", "\\Deleted", "\\Flagged", "key")
    for rights, expected in COPIED:
        grant(s, "user/eve", "bob", rights)
        uid = int(c.ok("COPY", "1", quote("Other Users/eve")).code[3])
        grant(s, "user/eve", "bob", "lrs")
        with s.imap("bob") as reader:
            reader.examine("Other Users/eve")
            assert [f for f in reader.fetch(str(uid), "FLAGS")[uid]["FLAGS"] if f != "\\Recent"] == expected, rights
    with s.imap("eve") as eve:    # \\Seen came for bob, who is not the owner, alone
        eve.select("INBOX")
        assert eve.search("SEEN") == []


def test_copy_over_quota(box):
    s, c = box
    c.ok("CREATE", "full")
    with s.admin() as admin:
        admin.ok("SETQUOTA", "user/bob/full", "(MESSAGE 2)")
    assert c.command("COPY", "1:3", "full").text == "Over quota"
    assert c.status("full", "MESSAGES") == {"MESSAGES": 0}   # all or nothing
    assert c.ok("COPY", "1:2", "full")
    assert c.command("COPY", "3", "full").text == "Over quota"


def test_copy_from_another_partition(server, roots):
    far = roots()
    places.own_by_service_user(far)
    s = server(services=ONLY_IMAP, imapd={"partition-two": far})
    s.make_user("bob")
    with s.admin() as admin:
        admin.ok("CREATE", "user/bob/far", "two")
    with s.imap("bob") as c:
        c.append("far", MESSAGE, ["\\Flagged", "key"], 1700000000)
        c.select("far")
        c.ok("COPY", "1", "INBOX")
        c.select("INBOX")
        got = c.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        assert got["BODY[]"] == MESSAGE and got["FLAGS"] == ["\\Recent", "\\Flagged", "key"]
        assert got["INTERNALDATE"] == b"14-Nov-2023 22:13:20 +0000"
        c.ok("COPY", "1", "far")
        assert c.status("far", "MESSAGES") == {"MESSAGES": 2}


def test_copy_of_what_went_meanwhile(box):
    s, c = box
    c.ok("CREATE", "there")
    with s.imap("bob") as other:
        other.select("INBOX")
        other.store("2", "+FLAGS", "\\Deleted")
        other.ok("EXPUNGE")
        # That it is gone is known with the next command that looks, its number not taken away yet.
        c.ok("STORE", "1", "+FLAGS.SILENT", "(\\Seen)")
        reply = c.command("COPY", "1:3", "there")
        assert (reply.status, reply.code) == ("NO", ["EXPUNGEISSUED"])
        assert c.status("there", "MESSAGES") == {"MESSAGES": 0}
        assert c.ok("UID COPY", "1:3", "there").code[2:] == ["1,3", "1:2"]
