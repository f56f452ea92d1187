"""Both sides were written, and Debian's sync_client 3.6.1 brings them together against us as it does against a Cyrus
(csync-protocol 12): same messages, same UIDs, nothing lost, and a run after it sends nothing.

The changes on our side are made over IMAP, as a user would who was let in there."""
import hashlib
import time

import pytest

from lib import messages
from lib.mail_server import ADMIN, ToolFailed
from lib.store import read_store


@pytest.fixture
def p(towards_us):
    """bob with four messages, in sync."""
    p = towards_us()
    p.a.make_user("bob", "carol")
    with p.a.imap("bob") as c:
        for number in range(4):
            c.append("INBOX", messages.plain(number), [["\\Seen"], ["\\Flagged"], [], ["Label"]][number])
    p.sync("-u", "bob", "carol")
    p.must_be_equal()
    return p


def inbox(server):
    return read_store(server.endpoint(), bodies=False).users["bob"].mailboxes["user.bob"]


def texts(p, live):
    """{uid: number of the message}, by its body."""
    guids = {}
    for number in range(100):
        guids[messages_guid(number)] = number
    return {uid: guids[record["GUID"]] for uid, record in live.items()}


def messages_guid(number):
    return hashlib.sha1(messages.plain(number)).hexdigest()


def settled(p, user="bob"):
    """What any split ends in, by the second run at the latest."""
    p.sync("-u", user)
    p.sync("-u", user)
    p.must_be_equal()
    p.must_be_quiet("-u", user)
    return texts(p, inbox(p.b).live)


def test_a_message_only_here_is_copied_back_under_its_uid(p):
    with p.b.imap("bob") as c:
        c.append("INBOX", messages.plain(10), ["\\Seen", "Here"])
    assert settled(p) == {1: 0, 2: 1, 3: 2, 4: 3, 5: 10}
    assert set(inbox(p.a).records[5]["FLAGS"]) == {"\\Seen", "Here"}


def test_two_messages_with_one_uid_both_get_new_ones(p):
    with p.a.imap("bob") as c:
        c.append("INBOX", messages.plain(10))
    with p.b.imap("bob") as c:
        c.append("INBOX", messages.plain(11))
    got = settled(p)
    first, second = sorted((10, 11), key=messages_guid)    # the lower GUID first
    assert got == {1: 0, 2: 1, 3: 2, 4: 3, 6: first, 7: second}


def test_flags_of_the_later_change_win_message_by_message(p):
    with p.a.imap("bob") as c:
        c.select("INBOX")
        c.store("1", "FLAGS", "\\Answered")
        c.store("2", "FLAGS", "OnA")
    time.sleep(1.1)    # LAST_UPDATED has seconds
    with p.b.imap("bob") as c:    # later, and with a higher modseq: both count
        c.select("INBOX")
        c.store("3", "+FLAGS", "\\Flagged")
        c.store("2", "FLAGS", "\\Draft")
        c.store("2", "+FLAGS", "OnB")
    settled(p)
    flags = {uid: set(r["FLAGS"]) for uid, r in inbox(p.b).live.items()}
    assert flags == {1: {"\\Answered"}, 2: {"\\Draft", "OnB"}, 3: {"\\Flagged"}, 4: {"Label"}}


def expunge(server, uids):
    with server.imap("bob") as c:
        c.select("INBOX")
        c.store(uids, "+FLAGS.SILENT", "\\Deleted")
        c.ok("EXPUNGE")


def test_what_either_side_expunged_is_gone(p):
    expunge(p.a, "1")
    expunge(p.b, "2")
    with p.a.imap("bob") as c:
        c.select("INBOX")
        c.store("2", "+FLAGS", "\\Answered")    # of what was expunged there: it stays gone
    expunge(p.a, "3")
    expunge(p.b, "3")
    assert settled(p) == {4: 3}


def test_a_message_here_at_a_uid_that_is_gone_there_is_copied_back_at_a_new_one(p):
    """Cleaned up there, so that no record tells; and ours has a higher modseq, else it would count as stale."""
    with p.b.imap("bob") as c:
        c.append("INBOX", messages.plain(10))    # uid 5
        c.select("INBOX")
        for word in ("one", "two", "three", "four", "five"):
            c.store("5", "+FLAGS", word)
    with p.a.imap("bob") as c:
        c.append("INBOX", messages.plain(11))
        c.append("INBOX", messages.plain(12))
    expunge(p.a, "5")
    p.a.tool("cyr_expire", "-X", "0", "-E", "1")
    got = settled(p)
    assert sorted(got.values()) == [0, 1, 2, 3, 10, 12] and 5 not in got


def test_a_replica_that_slept_through_a_clean_up(p):
    """Expunged and cleaned up there, known here: no message comes back."""
    expunge(p.a, "1:2")
    p.a.tool("cyr_expire", "-X", "0", "-E", "1")
    with p.a.imap("bob") as c:
        c.append("INBOX", messages.plain(13))
    assert settled(p) == {3: 2, 4: 3, 5: 13}


def test_both_clients_at_it_for_a_while(p):
    """A bit of everything on both sides, at once; nothing is lost, and it comes to rest."""
    for round_ in range(3):
        with p.a.imap("bob") as c, p.b.imap("bob") as d:
            for k in range(3):
                c.append("INBOX", messages.plain(20 + 10 * round_ + k), ["\\Flagged"])
                d.append("INBOX", messages.plain(60 + 10 * round_ + k), ["FromB"])
            for side, uid in ((c, "1"), (d, "4")):
                side.select("INBOX")
                side.store(uid, "+FLAGS", f"Round{round_}")
        got = settled(p)
        wanted = set(range(4)) | {n + 10 * r + k for n in (20, 60) for r in range(round_ + 1) for k in range(3)}
        assert set(got.values()) == wanted and len(got) == len(wanted)


# ---- mailboxes -------------------------------------------------------------------------------------

def test_the_same_name_born_twice(p):
    """Ours gives way as long as it is empty; else the client is refused until somebody sees to it."""
    for server, number in ((p.a, 10), (p.b, None)):
        with server.imap("bob") as c:
            c.ok("CREATE", "Empty")
            if number:
                c.append("Empty", messages.plain(number))
    settled(p)
    for server, number in ((p.a, 11), (p.b, 12)):
        with server.imap("bob") as c:
            c.ok("CREATE", "Full")
            c.append("Full", messages.plain(number))
    done = p.sync("-u", "bob", check=False)
    assert done.returncode == 1
    p.b.wait_log("SYNCERROR: mailbox uniqueid changed - retry")
    assert [r["GUID"] for r in read_store(p.b.endpoint(), bodies=False).users["bob"].mailboxes["user.bob.Full"].live.values()] == \
        [messages_guid(12)]


def test_a_mailbox_only_here_stays_and_a_rename_here_is_undone(p):
    with p.a.imap("bob") as c:
        c.ok("CREATE", "One")
        c.append("One", messages.plain(10))
    p.sync("-u", "bob")
    with p.b.imap("bob") as c:
        c.ok("CREATE", "Here")
        c.append("Here", messages.plain(11))
        c.ok("RENAME", "One", "Uno")
    p.sync("-u", "bob")
    p.sync("-u", "bob")
    assert p.differences() == ["mailboxes: user.bob.Here only on b"]


def test_what_was_set_here_is_set_back(p):
    """Rights, annotations, quota, subscriptions: the primary's, always."""
    with p.a.imap(ADMIN) as c:
        c.ok("SETQUOTA", "user/bob", "(STORAGE 1000)")
    with p.a.imap("bob") as c:
        c.ok("SUBSCRIBE", "INBOX")
        c.ok("SETACL", "INBOX", "carol", "lr")
    p.sync("-u", "bob")
    with p.b.csync() as c:
        c.apply("QUOTA", {"ROOT": "user.bob", "LIMIT": 5, "STORAGE": 5, "MODSEQ": 99})
        c.apply("SUB", {"USERID": "bob", "MBOXNAME": "user.bob.nothing"})
        c.apply("UNSUB", {"USERID": "bob", "MBOXNAME": "user.bob"})
        c.apply("SEEN", {"USERID": "bob", "UNIQUEID": "nowhere", "LASTREAD": 1, "LASTUID": 1, "LASTCHANGE": 1, "SEENUIDS": "1"})
    p.sync("-u", "bob")
    p.must_be_equal()


def test_a_rename_below_parents_nobody_made(p):
    with p.a.imap("bob") as c:
        c.ok("CREATE", "a/b/c")
        c.append("a/b/c", messages.plain(10))
    p.sync("-u", "bob")
    with p.a.imap("bob") as c:
        c.ok("RENAME", "a/b/c", "q/r/s")
    p.sync("-R", "-1")
    settled(p)


def test_a_removed_user_goes_by_his_log_line(p):
    with p.a.imap(ADMIN) as c:
        c.ok("SETACL", "user/carol", ADMIN, "lrsxc")
        c.ok("DELETE", "user/carol")
    p.sync("-R", "-1")
    assert "APPLY UNUSER" in p.orders()
    p.must_be_equal()
    assert set(read_store(p.b.endpoint(), bodies=False).users) == {"bob"}


def test_immediate_deletes(towards_us):
    p = towards_us(peer={"delete_mode": "immediate", "expunge_mode": "immediate"})
    p.a.make_user("bob", "carol")
    with p.a.imap("bob") as c:
        for name in ("INBOX", "one", "two"):
            if name != "INBOX":
                c.ok("CREATE", name)
            c.append(name, messages.plain(1))
    p.sync("-u", "bob", "carol")
    with p.a.imap("bob") as c:
        c.ok("DELETE", "one")
        c.select("INBOX")
        c.store("1", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
    p.sync("-R", "-1")
    assert "APPLY UNMAILBOX" in p.orders()
    p.must_be_equal("by a log line")
    with p.a.imap("bob") as c:
        c.ok("DELETE", "two")
    p.sync("-u", "bob")
    p.must_be_equal("by comparing the user")
    assert len([*(p.b.root / "spool/trash").iterdir()]) == 2    # the bytes wait


def test_no_copyback_sets_us_back(p):
    """-O, which against a Cyrus ends in a checksum failure and a dead process (csync-protocol 18)."""
    with p.b.imap("bob") as c:
        c.append("INBOX", messages.plain(10))
        c.select("INBOX")
        c.store("1", "+FLAGS", "OnB")
    with p.a.imap("bob") as c:
        c.select("INBOX")
        c.store("2", "+FLAGS", "OnA")
    with pytest.raises(ToolFailed):
        p.sync("-O", "-u", "bob")
    assert p.b.faults() == []
    assert 10 in settled(p).values()    # and an ordinary run finds everything still there


# ---- rolling -----------------------------------------------------------------------------------------

def test_rolling(p):
    p.a.start_rolling()
    for round_ in range(5):
        with p.a.imap("bob") as c:
            uid = int(c.append("INBOX", messages.plain(30 + round_))[1])
            c.ok("CREATE", f"box{round_}")
            c.select("INBOX")
            c.store(str(uid), "+FLAGS", "\\Flagged")
            c.ok("UID COPY", str(uid), f"box{round_}")
            if round_:
                c.ok("RENAME", f"box{round_ - 1}", f"old{round_}")
        time.sleep(0.3)
    p.a.wait_synced(60)
    p.a.stop_rolling()
    p.must_be_equal()
    settled(p)


def test_we_are_restarted_in_the_middle_of_rolling(p):
    """The client goes on by itself when we are back (its own wait is 15 seconds), and nothing is missing."""
    p.a.start_rolling()
    with p.a.imap("bob") as c:
        c.append("INBOX", messages.plain(30))
    p.a.wait_synced(60)
    p.b.stop()
    with p.a.imap("bob") as c:
        for number in range(31, 36):
            c.append("INBOX", messages.plain(number))
    time.sleep(2)
    p.b.start()
    p.a.stop_rolling()    # a 3.6.1 ends after an error; an operator's supervisor starts it again
    p.a.start_rolling()
    p.a.wait_synced(60)
    p.a.stop_rolling()
    p.must_be_equal()
    assert set(settled(p).values()) == {*range(4), *range(30, 36)}
