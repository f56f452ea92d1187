"""Pipelined APPENDs on a running imapd: those that are there share what makes them durable, and nobody can tell but by the clock."""
import random
import threading
import time

import pytest

from lib import beside
from lib.imap import Literal
from lib.places import wait_until
from lib.server import ONLY_IMAP
from lib.wire import WireError


def message(n, more=0):
    return b"Subject: %d\r\n\r\n" % n + b"%d\r\n" % n * more


def piped(*parts):
    """One APPEND, its tag left out: parts as text, messages as literals that wait for nobody."""
    out = b"APPEND"
    for part in parts:
        out += b" " + (part.encode() if isinstance(part, str) else b"{%d+}\r\n" % len(part) + part)
    return out + b"\r\n"


def send(client, *commands):
    """All of them in one go; in a packet of their own as long as they are small. Their tags."""
    tags = [f"p{n}" for n in range(len(commands))]
    client.raw(b"".join(tag.encode() + b" " + command for tag, command in zip(tags, commands)))
    return tags


def together(client, *commands):
    return [client.finish(tag) for tag in send(client, *commands)]


def uids(replies):
    return [reply.code[2] if reply.status == "OK" else reply.status for reply in replies]


def texts(client, name="INBOX"):
    client.examine(name)
    return [got["BODY[]"] for _, got in sorted(client.fetch("1:*", "BODY.PEEK[]").items())]


def frames(us, work):
    """How many commits `work` is, and what it gives."""
    us.failpoints.record()
    out = work()
    hits = us.failpoints.hits()
    us.failpoints.record(False)
    assert hits["store.journal.sync"] == hits["store.journal.write_frame"]
    return hits["store.journal.sync"], out


def make(server, **imapd):
    s = server(services=ONLY_IMAP, imapd={"maxmessagesize": "100K", **imapd})
    s.make_user("bob", "eve")
    return s


@pytest.fixture
def us(server):
    return make(server)


@pytest.fixture
def bob(us):
    with us.imap("bob") as c:
        c.ok("CREATE", "there")
        yield c


EIGHT = [piped("INBOX", message(n)) for n in range(8)]


# ---- one commit --------------------------------------------------------------------------------------------------

def test_those_that_are_there_share_a_commit(us, bob):
    with us.imap("bob") as other:
        before = other.select("INBOX", "SELECT", "(CONDSTORE)")
        count, replies = frames(us, lambda: together(bob, *EIGHT))
        assert count == 1
        assert [r.code for r in replies] == [["APPENDUID", before["UIDVALIDITY"], n + 1] for n in range(8)]
        assert [r.number for r in other.ok("NOOP").all("EXISTS")] == [8]
        modseqs = {got["MODSEQ"][0] for got in other.fetch("1:*", "MODSEQ").values()}
        assert modseqs == {other.status("INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]}
        assert min(modseqs) > before["HIGHESTMODSEQ"]
    assert texts(bob) == [message(n) for n in range(8)]
    assert not us.staged()


def test_each_has_its_own_flags_date_and_annotations(us, bob):
    count, replies = frames(us, lambda: together(
        bob, piped("there", "(\\Seen one)", message(0)), piped("there", message(1)),
        piped("there", "(\\Flagged two)", '"03-Nov-2026 01:02:03 +0000"', message(2)),
        piped("there", 'ANNOTATION (/comment (value.priv "mine"))', message(3)),
        piped("there", "(one)", message(4), "(two)", message(5)), piped(b"there", message(6))))
    assert (count, uids(replies)) == (1, [1, 2, 3, 4, "5:6", 7])
    bob.select("there")
    got = bob.fetch("1:*", "(FLAGS INTERNALDATE)")
    assert [set(got[uid]["FLAGS"]) - {"\\Recent"} for uid in range(1, 8)] == [
        {"\\Seen", "one"}, set(), {"\\Flagged", "two"}, set(), {"one"}, {"two"}, set()]
    assert got[3]["INTERNALDATE"] == b" 3-Nov-2026 01:02:03 +0000"
    assert bob.search("ANNOTATION", "/comment", "value.priv", '"mine"') == [4]


@pytest.mark.parametrize("layer", ["compress", "tls"])
def test_behind_a_layer(us, bob, layer):
    with us.imap() as c:
        if layer == "tls":
            c.starttls()
        c.login("bob", "pw")
        if layer == "compress":
            c.compress()
        assert uids(together(c, *EIGHT)) == list(range(1, 9))
    assert texts(bob) == [message(n) for n in range(8)]


def test_news_come_once_and_before_the_first_answer(us, bob):
    bob.select("there")
    first, *others = together(bob, *[piped("there", message(n)) for n in range(4)])
    assert [r.number for r in first.all("EXISTS")] == [4]
    assert not any(r.all("EXISTS") for r in others)
    assert sorted(bob.fetch("1:*", "FLAGS")) == [1, 2, 3, 4]


def test_a_resync_tells_all_of_them(us, bob):
    together(bob, *EIGHT[:2])
    bob.ok("ENABLE", "QRESYNC")
    had = bob.select("INBOX")
    bob.ok("UNSELECT")
    together(bob, *EIGHT[2:])
    told = bob.ok("SELECT", "INBOX", f"(QRESYNC ({had['UIDVALIDITY']} {had['HIGHESTMODSEQ']}))")
    assert sorted(r.number for r in told.all("FETCH")) == [3, 4, 5, 6, 7, 8]


def test_seen_of_another_user(us, bob):
    bob.ok("SETACL", "INBOX", "eve", "lrsi")
    with us.imap("eve") as eve:
        box = '"Other Users/bob"'
        assert uids(together(eve, piped(box, "(\\Seen)", message(0)), piped(box, message(1)),
                             piped(box, "(\\Seen)", message(2)))) == [1, 2, 3]
        eve.select("Other Users/bob")
        assert eve.search("SEEN") == [1, 3]
    bob.select("INBOX")
    assert bob.search("SEEN") == []


# ---- those that are refused ----------------------------------------------------------------------------------------

BIG = b"Subject: x\r\n\r\n" + b"x" * 102400
WRONG = [    # the command, how it is answered; what is behind it is well
    (piped("INBOX", "(\\Bogus)", message(9)), "BAD"), (piped("INBOX", b"no message"), "NO"), (piped("INBOX", b""), "NO"),
    (piped("INBOX", BIG), "NO"), (piped("nosuch", message(9)), "NO"), (piped("INBOX", "junk"), "BAD"),
    (piped("INBOX", '"yesterday"', message(9)), "BAD"), (piped("INBOX", message(9), b"no message"), "NO"),
    (piped("INBOX", "CATENATE (URL \"/INBOX;UIDVALIDITY=1/;UID=1\")"), "BAD"), (piped("INBOX", message(9), "junk"), "BAD"),
    (b"APPEND INBOX ~{5+}\r\nhello\r\n", "BAD"), (piped('"Other Users/eve"', message(9)), "NO"),
    (b"APPEND INBOX {%d}\r\n" % len(BIG), "NO"), (b"APPEND nosuch {5}\r\n", "NO"), (b"BOGUS\r\n", "BAD"),
]


@pytest.mark.parametrize("wrong, status", WRONG)
def test_one_that_is_wrong_is_refused_alone(us, bob, wrong, status):
    good = [piped("INBOX", message(n)) for n in range(6)]
    replies = together(bob, *good[:3], wrong, *good[3:], piped("there", message(6)))
    assert uids(replies) == [1, 2, 3, status, 4, 5, 6, 1]
    assert texts(bob) == [message(n) for n in range(6)] and texts(bob, "there") == [message(6)]
    assert not us.staged()


def test_answers_stand_in_the_order_of_the_commands(us, bob):
    commands = [command for n in range(6) for command in (piped("INBOX", message(n)), piped("there", message(n)), WRONG[n][0],
                                                          piped("INBOX", message(n)), piped("INBOX", message(n)))]
    tags = send(bob, *commands)
    heard = [bob.wire.line().split(b" ")[0].decode() for _ in commands]
    assert heard == tags


def test_a_quota_is_met_by_whom_it_concerns(us, bob):
    with us.admin() as admin:
        admin.ok("SETQUOTA", "user/bob", "(MESSAGE 3)")
        assert uids(together(bob, *EIGHT[:5])) == [1, 2, 3, "NO", "NO"]
        admin.ok("SETQUOTA", "user/bob", "(STORAGE 50)")
        big = piped("INBOX", message(1, 20000))
        assert uids(together(bob, EIGHT[0], big, EIGHT[1], EIGHT[2])) == [4, "NO", 5, 6]
    assert texts(bob) == [message(n) for n in (0, 1, 2, 0, 1, 2)]


def test_flags_that_are_too_many(us, bob):
    many = piped("INBOX", "(" + " ".join(f"k{n}" for n in range(129)) + ")", message(9))
    replies = together(bob, EIGHT[0], many, piped("INBOX", "(last)", message(1)))
    assert uids(replies) == [1, "NO", 2] and replies[1].code == ["LIMIT"]
    assert set(bob.select("INBOX")["FLAGS"]) >= {"last"} and not {"k0"} & set(bob.select("INBOX")["FLAGS"])


def test_without_its_line_in_the_log_nothing_comes(server):
    s = make(server, sync_log=True)
    s.expect("event=imap.command.failed|event=channels")
    with s.imap("bob") as c:
        together(c, *EIGHT)
        if not beside.wanted("test_imap_append_piped.py"):    # where a sync_client takes them
            lines = (s.root / "conf/sync/log").read_text().splitlines()
            assert lines[-2:] == ["APPEND user.bob", "MAILBOX user.bob"] and lines.count("APPEND user.bob") == 1
        s.failpoints.arm("synclog.append", "enospc")
        assert uids(together(c, *EIGHT[:3])) == ["NO"] * 3
        s.failpoints.disarm()
        assert uids(together(c, *EIGHT[:3])) == [9, 10, 11]


# ---- bounds --------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, commits", [
    ({"append_join_messages": 1}, 8), ({"append_join_messages": 3}, 3), ({"append_join_messages": 8}, 1),
    ({"append_join_bytes": "0"}, 8), ({"append_join_bytes": "60"}, 4), ({"append_join_bytes": "1M"}, 1)])
def test_how_many_are_joined(server, options, commits):
    s = make(server, **options)
    with s.imap("bob") as c:
        count, replies = frames(s, lambda: together(c, *EIGHT))
    assert (count, uids(replies)) == (commits, list(range(1, 9)))


def test_what_one_command_brings_counts(server):
    s = make(server, append_join_messages=4)
    with s.imap("bob") as c:
        count, replies = frames(s, lambda: together(c, EIGHT[0], piped("INBOX", *[message(n) for n in range(6)]), EIGHT[1], EIGHT[2]))
    assert (count, uids(replies)) == (3, [1, "2:7", 8, 9]) or uids(replies) == [1, "2:7", 8, 9]


# ---- other commands, and clients who wait ---------------------------------------------------------------------------

def test_another_command_sees_what_came_before_it(us, bob):
    bob.select("INBOX")
    replies = together(bob, *EIGHT[:2], b"STATUS INBOX (MESSAGES)\r\n", EIGHT[2], b"UID SEARCH ALL\r\n", EIGHT[3],
                       b"DELETE there\r\n", piped("there", message(0)), EIGHT[4], b"STORE 1:* +FLAGS (\\Deleted)\r\n", b"EXPUNGE\r\n",
                       EIGHT[5], b"UID FETCH 6 FLAGS\r\n")
    assert [r.status for r in replies] == ["OK"] * 7 + ["NO"] + ["OK"] * 5
    assert replies[2].one("STATUS").values[1] == ["MESSAGES", 2] and replies[4].one("SEARCH").values == [1, 2, 3]
    assert len(replies[10].all("EXPUNGE")) == 5 and replies[12].one("FETCH").number == 1


def test_a_logout_behind_them(us, bob):
    with us.imap("bob") as c:
        assert [r.status for r in together(c, *EIGHT, b"LOGOUT\r\n")] == ["OK"] * 9
    assert texts(bob) == [message(n) for n in range(8)]


def test_a_mailbox_that_goes_ends_the_session_once(us, bob):
    bob.select("there")
    with us.imap("bob") as other:
        other.ok("DELETE", "there")
    send(bob, EIGHT[0], EIGHT[1], b"FETCH 1 FLAGS\r\n", EIGHT[2])
    rest = bob.wire.rest().split(b"\r\n")
    assert sum(line.startswith(b"* BYE") for line in rest) == 1
    assert [line.split()[1] for line in rest if line[:1] == b"p"] == [b"OK", b"OK"]
    with us.imap("bob") as c:
        assert texts(c) == [message(0), message(1)]


HALVES = [b"h", b"h APPEND INBOX", b"h APPEND INBOX {40+}\r\n", b"h APPEND INBOX {40+}\r\nSubject: half", b"h APPEND there {40+}\r\n",
          b"h APPEND INBOX {15+}\r\n" + message(5), b"h SEARCH SUBJECT {9+}\r\nhalf", b"h APPEND nosuch {9000+}\r\nhalf", b"h NOOP\r"]


@pytest.mark.parametrize("half", HALVES)
def test_nobody_waits_for_half_a_command(us, bob, half):
    """A client may send the half of his next one and wait; and if he goes, what was answered is there, and nothing of the half."""
    with us.imap("bob") as c:
        c.raw(b"a " + EIGHT[0] + b"b " + EIGHT[1] + half)
        assert [c.finish(tag, timeout=20).code[2] for tag in "ab"] == [1, 2]
    assert texts(bob) == [message(0), message(1)]
    wait_until(lambda: not us.staged(), 10, "what the half had staged is gone")


def test_the_other_half_may_come_later(us, bob):
    for cut in range(1, len(EIGHT[2]) + 2):
        with us.imap("bob") as c:
            bob.ok("CREATE", "box")
            first, half = b"a " + piped("box", message(0)), b"b " + piped("box", message(1))
            c.raw(first + half[:cut])
            assert c.finish("a", timeout=20).code[2] == 1
            c.raw(half[cut:])
            assert c.finish("b", timeout=20).code[2] == 2
            bob.ok("DELETE", "box")


def test_the_word_to_go_ahead_comes_behind_the_answers(us, bob):
    bob.raw(b"a " + EIGHT[0] + b"b " + EIGHT[1] + b"c APPEND INBOX {%d}\r\n" % len(message(2)))
    assert [bob.wire.line().split(b" ")[0] for _ in range(3)] == [b"a", b"b", b"+"]
    bob.raw(message(2) + b"\r\n")
    assert bob.finish("c").code[2] == 3
    assert bob.append("INBOX", message(3), plus=False)[1] == 4


def test_who_goes_without_hearing(us, bob):
    """What was whole is there wholly or not; the next one finds a mailbox like any other."""
    for _ in range(5):
        with us.imap("bob") as c:
            c.raw(b"a " + EIGHT[0] + b"b " + EIGHT[1] + b"c APPEND INBOX {400+}\r\nSubject")
    wait_until(lambda: not us.staged(), 10, "what they had staged is gone")
    bob.append("INBOX", message(7))
    found = texts(bob)
    assert set(found) <= {message(0), message(1), message(7)} and found[-1] == message(7)


def test_long_ones_whose_next_is_never_there_wholly(us, bob):
    """Literals larger than what is read at once; eight on their way, as a client does who fills a mailbox."""
    sent, waiting, got = [message(n, random.Random(n).randrange(12000)) for n in range(60)], [], []
    for n, body in enumerate(sent):
        waiting.append(bob.start("APPEND", "there", Literal(body, plus=True)))
        if len(waiting) == 8:
            got.append(bob.finish(waiting.pop(0)))
    got += [bob.finish(tag) for tag in waiting]
    assert uids(got) == list(range(1, 61))
    assert texts(bob, "there") == sent


# ---- death ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("point", ["store.commit.sync_file", "store.journal.sync"])
def test_nobody_is_told_before_it_is_durable(us, bob, point):
    us.failpoints.arm(point, "kill")
    send(bob, *EIGHT[:3])
    assert bob.wire.rest() == b""
    us.failpoints.disarm()
    with us.imap("bob") as c:
        assert uids(together(c, *EIGHT[3:5])) in ([1, 2], [4, 5])


def test_a_full_disk_is_met_by_whom_it_concerns(us, bob):
    """Whatever fails, who hears OK has his message, and nobody else."""
    us.expect("event=imap.command.failed|store.cache.unwritable|imap.recent.unclaimed|event=store")
    commands = [piped("there", "(flag)", message(n)) for n in range(3)]
    us.failpoints.record()
    together(bob, *commands)
    points = [(name, hit) for name, n in us.failpoints.hits().items() if name.startswith("store.") and "sync" not in name
              for hit in range(min(n, 3))]
    us.failpoints.record(False)
    there, answers = texts(bob, "there"), set()
    for name, hit in points:
        us.failpoints.arm(name, "enospc", hit)
        replies = together(bob, *commands)
        us.failpoints.disarm()
        there += [message(n) for n in range(3) if replies[n].status == "OK"]
        assert texts(bob, "there") == there, (name, hit)
        answers.add(tuple(reply.status for reply in replies))
    assert ("OK", "NO", "OK") in answers and len(points) >= 12


def test_a_failed_sync_is_everybodys_failure(us, bob):
    us.expect("event=imap.command.failed|poison|event=store")
    us.failpoints.arm("store.journal.sync", "eio")
    assert uids(together(bob, *EIGHT[:3], b"NOOP\r\n")[:3]) == ["NO"] * 3
    us.failpoints.disarm()


POINTS = [("store.stage.create", 6), ("store.stage.write", 6), ("store.commit.link", 6), ("store.commit.sync_file", 6),
          ("store.commit.sync_names", 6), ("store.commit.syncfs", 12), ("store.journal.write_frame", 6), ("store.journal.write_frame", 12),
          ("store.journal.sync", 6), ("store.commit.publish", 12), ("store.commit.bell", 6)]


@pytest.mark.limit(300)
@pytest.mark.parametrize("point, many", POINTS)
def test_what_was_acknowledged_survives(us, bob, point, many):
    """Clients who have many on their way, and a death at the point after some time: each OK stands for one message, under the UID
    that was told, and of the others none is there twice."""
    chance, told, sent = random.Random(point), {}, []
    for turn in range(4):
        us.failpoints.arm(point, "kill", chance.randrange(8))
        with us.imap("bob") as c:
            waiting = []
            try:
                for n in range(100):
                    body = message(turn * 1000 + n, chance.choice((0, 3, 900)))
                    sent.append(body)
                    waiting.append((c.start("APPEND", "there", Literal(body, plus=True)), body))
                    while len(waiting) == many:
                        tag, body = waiting.pop(0)
                        told[c.finish(tag).code[2]] = body
                died = False
            except (WireError, ConnectionError):
                died = True
        assert died, "the point was not passed so often"
        us.failpoints.disarm()
        bob.examine("there")
        there = {uid: got["BODY[]"] for uid, got in bob.fetch("1:*", "BODY.PEEK[]").items()} if bob.status(
            "there", "MESSAGES")["MESSAGES"] else {}
        assert {uid: there.get(uid) for uid in told} == told
        assert len(set(there.values())) == len(there) and set(there.values()) <= set(sent)
    bob.append("there", message(1))    # who is next to stage sweeps
    assert not us.staged()


def test_several_clients_at_once(us, bob):
    """Two who fill one mailbox, and one who removes from it."""
    done, wrong = [], []

    def fill(user):
        try:
            with us.imap("bob") as c:
                for turn in range(15):
                    got = uids(together(c, *[piped("there", message(user * 1000 + turn * 10 + n)) for n in range(5)]))
                    done.extend(got)
        except Exception as error:
            wrong.append(error)
    threads = [threading.Thread(target=fill, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    bob.select("there")
    removed = set()
    while any(thread.is_alive() for thread in threads):
        bob.ok("UID STORE", "1:*", "+FLAGS.SILENT", "(\\Deleted)")
        before = set(bob.search("ALL"))
        bob.ok("EXPUNGE")
        removed |= before - set(bob.search("ALL"))
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert not wrong and sorted(done) == list(range(1, 151))
    bob.ok("NOOP")    # hears of those that came since
    assert set(bob.search("ALL")) | removed == set(done)
