"""CONDSTORE and QRESYNC (RFC 7162) on a running imapd: modseqs, changes that depend on them, and clients that come back."""
import random
import subprocess

import pytest

from lib import places
from lib.imap_values import pairs
from lib.server import ONLY_IMAP


@pytest.fixture
def box(server):
    """bob's INBOX with five messages, selected: (server, client)."""
    s = server(services=ONLY_IMAP)
    s.make_user("bob", "eve")
    with s.imap("bob") as c:
        for n in range(1, 6):
            c.append("INBOX", b"Subject: number %d\r\n\r\ntext\r\n" % n)
        c.select("INBOX")
        yield s, c


def fetched(reply):
    """[(number, {item: value})]"""
    return [(r.number, pairs(r.values[0])) for r in reply.all("FETCH")]


def modseqs(client, which="1:*"):
    return {n: items["MODSEQ"][0] for n, items in fetched(client.ok("FETCH", which, "MODSEQ"))}


def highest(client):
    return client.status("INBOX", "HIGHESTMODSEQ")["HIGHESTMODSEQ"]


def members(text):
    """A set as it is written, as a set."""
    out = set()
    for part in str(text).split(","):
        low, _, high = part.partition(":")
        out |= set(range(int(low), int(high or low) + 1))
    return out


def forget(server, client):
    """Take the records of what is expunged out of the mailbox, as an expiry does."""
    gone = set(range(1, client.status("INBOX", "UIDNEXT")["UIDNEXT"])) - set(client.search("ALL"))
    build = places.build()
    done = subprocess.run([build / "tests/progs/store_do", "-C", server.root / "imapd.conf"], text=True, capture_output=True,
                          input="".join(f"unlink user.bob {uid} {uid}\n" for uid in gone))
    assert done.returncode == 0, done.stdout + done.stderr


def vanished(reply):
    """[(earlier?, {uids})]"""
    out = []
    for r in reply.all("VANISHED"):
        values = list(r.values)
        earlier = isinstance(values[0], list)
        assert not earlier or values.pop(0) == ["EARLIER"]
        out.append((earlier, members(values[0])))
    return out


# ---- modseqs -------------------------------------------------------------------------------------------


def test_each_change_has_a_higher_modseq(box):
    s, c = box
    before, top = modseqs(c), highest(c)
    assert sorted(before.values()) == list(before.values()) and max(before.values()) <= top
    c.store("2:3", "+FLAGS.SILENT", "\\Flagged")
    after = modseqs(c)
    assert after[2] == after[3] == highest(c) > top and {n: after[n] for n in (1, 4, 5)} == {n: before[n] for n in (1, 4, 5)}
    c.store("2:3", "+FLAGS.SILENT", "\\Flagged")              # changes nothing
    assert modseqs(c) == after and highest(c) == after[2]
    with s.imap("bob") as other:
        assert other.select("INBOX")["HIGHESTMODSEQ"] == after[2]


def test_who_asked_is_told_of_modseqs(box):
    s, c = box
    with s.imap("bob") as other:
        other.select("INBOX", "SELECT", "(CONDSTORE)")
        c.ok("STORE", "1", "+FLAGS.SILENT", "(\\Seen)")
        told = fetched(other.ok("NOOP"))
        assert [(n, set(items)) for n, items in told] == [(1, {"FLAGS", "MODSEQ"})]
        assert told[0][1]["MODSEQ"] == [highest(c)]
        # Of one's own changes too, silent or not, and of the \\Seen a FETCH sets.
        for command in (("STORE", "2", "+FLAGS", "(\\Draft)"), ("STORE", "2", "+FLAGS.SILENT", "(\\Answered)"),
                        ("FETCH", "3", "BODY[TEXT]")):
            told = fetched(other.ok(*command))
            assert [items["MODSEQ"] for _, items in told] == [[highest(other)]], command
        assert not fetched(other.ok("STORE", "2", "+FLAGS.SILENT", "(\\Answered)"))


@pytest.mark.parametrize("command", ["FETCH 1 MODSEQ", "FETCH 1 FLAGS (CHANGEDSINCE 1)", "SEARCH MODSEQ 1",
                                     "STORE 1 (UNCHANGEDSINCE 1) FLAGS (\\Seen)", "STATUS INBOX (HIGHESTMODSEQ)",
                                     "ENABLE CONDSTORE"])
def test_using_it_enables_it(box, command):
    _, c = box
    assert "MODSEQ" not in fetched(c.ok("STORE 5 +FLAGS (\\Draft)"))[0][1]
    assert c.ok(command).untagged_code("HIGHESTMODSEQ")
    assert not c.ok(command).untagged_code("HIGHESTMODSEQ")
    assert "MODSEQ" in fetched(c.ok("STORE 5 -FLAGS (\\Draft)"))[0][1]


def test_enable(box):
    _, c = box
    assert [r.name for r in c.ok("ENABLE NOSUCH").untagged] == []
    assert c.ok("ENABLE qresync NOSUCH").one("ENABLED").values == ["CONDSTORE", "QRESYNC"]
    assert not c.ok("ENABLE CONDSTORE QRESYNC").all("ENABLED")


def test_fetch_of_what_changed(box):
    _, c = box
    top = highest(c)
    assert not fetched(c.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {top})"))
    c.store("2,4", "+FLAGS.SILENT", "\\Flagged")
    told = fetched(c.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {top})"))
    assert [(n, items["UID"], items["MODSEQ"][0] > top) for n, items in told] == [(2, 2, True), (4, 4, True)]
    assert [n for n, _ in fetched(c.ok(f"FETCH 3:5 (FLAGS) (CHANGEDSINCE {top})"))] == [4]
    # What it marks \\Seen does not make it changed.
    assert [n for n, _ in fetched(c.ok(f"FETCH 1:* BODY[TEXT] (CHANGEDSINCE {top})"))] == [2, 4]
    assert c.search("SEEN") == [2, 4]


def test_search_for_modseqs(box):
    _, c = box
    top = highest(c)
    c.store("2", "+FLAGS.SILENT", "\\Flagged")
    c.store("4", "+FLAGS.SILENT", "\\Flagged")
    now = modseqs(c)
    assert c.ok(f"SEARCH MODSEQ {top + 1}").one("SEARCH").values == [2, 4, ["MODSEQ", now[4]]]
    assert c.ok(f"SEARCH MODSEQ \"/flags/\\\\Flagged\" shared {now[4]}").one("SEARCH").values == [4, ["MODSEQ", now[4]]]
    assert c.ok(f"SEARCH NOT MODSEQ {top + 1} 1:2").one("SEARCH").values == [1, ["MODSEQ", now[1]]]
    assert c.ok(f"SEARCH MODSEQ {now[4] + 1}").one("SEARCH").values == []
    for returns, modseq in (("MIN", now[2]), ("MAX", now[4]), ("MIN MAX", now[4]), ("COUNT", now[4])):
        values = c.ok(f"SEARCH RETURN ({returns}) MODSEQ {top + 1}").one("ESEARCH").values
        assert values[-2:] == ["MODSEQ", modseq], returns


# ---- conditional changes -------------------------------------------------------------------------------


def test_store_only_what_is_unchanged(box):
    s, c = box
    top = highest(c)
    with s.imap("bob") as other:
        other.select("INBOX")
        other.store("2,4", "+FLAGS.SILENT", "\\Answered")
    reply = c.ok(f"STORE 1:5 (UNCHANGEDSINCE {top}) +FLAGS (\\Flagged)")
    assert reply.code == ["MODIFIED", "2,4"]
    shown = fetched(reply)
    assert {n for n, items in shown if "\\Flagged" in items["FLAGS"]} == {1, 3, 5}
    assert {n for n, items in shown if "\\Answered" in items["FLAGS"]} == {2, 4}      # the news that made it fail
    assert c.search("FLAGGED") == [1, 3, 5]
    reply = c.ok(f"UID STORE 1:5 (UNCHANGEDSINCE {top}) +FLAGS.SILENT (\\Flagged)")
    assert reply.code == ["MODIFIED", "1:5"] and not fetched(reply)
    reply = c.ok(f"UID STORE 2 (UNCHANGEDSINCE {highest(c)}) +FLAGS.SILENT (\\Flagged)")
    assert reply.code is None and [items["MODSEQ"] for _, items in fetched(reply)] == [[highest(c)]]
    assert c.ok("STORE 1 (UNCHANGEDSINCE 0) -FLAGS (\\Flagged)").code == ["MODIFIED", 1]


def test_of_two_who_claim_a_message_one_gets_it(box):
    s, c = box
    since = highest(c)
    with s.imap("bob") as other:
        other.select("INBOX")
        replies = [one.ok(f"STORE 3 (UNCHANGEDSINCE {since}) +FLAGS.SILENT ({key})")
                   for one, key in ((c, "mine"), (other, "yours"))]
    assert [r.code for r in replies] == [None, ["MODIFIED", 3]]


# ---- \\Seen of others ----------------------------------------------------------------------------------


def test_what_another_user_has_seen_has_a_modseq(box):
    s, c = box
    c.ok("SETACL", "INBOX", "eve", "lrs")
    with s.imap("eve") as one, s.imap("eve") as two:
        one.select("Other Users/bob", "SELECT", "(CONDSTORE)")
        two.ok("ENABLE QRESYNC")
        known = two.select("Other Users/bob")
        two.ok("UNSELECT")
        told = fetched(one.ok("STORE 2:3 +FLAGS (\\Seen)"))
        assert all(items["MODSEQ"][0] > known["HIGHESTMODSEQ"] and "\\Seen" in items["FLAGS"] for _, items in told)
        one.ok("FETCH 4 BODY[TEXT]")
        reply = two.ok(f'SELECT "Other Users/bob" (QRESYNC ({known["UIDVALIDITY"]} {known["HIGHESTMODSEQ"]}))')
        assert {items["UID"] for _, items in fetched(reply) if "\\Seen" in items["FLAGS"]} == {2, 3, 4}
    assert c.search("SEEN") == []


# ---- coming back ---------------------------------------------------------------------------------------


def resync(client, known, modseq=None, more=""):
    modseq = known["HIGHESTMODSEQ"] if modseq is None else modseq
    return client.ok(f"SELECT INBOX (QRESYNC ({known['UIDVALIDITY']} {modseq}{more}))")


@pytest.fixture
def again(box):
    """(server, a client who changes things, one who knew the mailbox before, what he knew)"""
    s, c = box
    with s.imap("bob") as other:
        other.ok("ENABLE QRESYNC")
        known = other.select("INBOX")
        other.ok("UNSELECT")
        yield s, c, other, known


def test_what_changed_and_what_vanished(again):
    _, c, other, known = again
    c.store("2,5", "+FLAGS.SILENT", "\\Deleted")
    c.store("4", "+FLAGS.SILENT", "key")
    c.ok("EXPUNGE")
    c.append("INBOX", b"Subject: new\r\n\r\ntext\r\n")
    reply = resync(other, known)
    names = [r.name for r in reply.untagged]
    assert names.index("EXISTS") < names.index("VANISHED") < names.index("FETCH")
    assert vanished(reply) == [(True, {2, 5})]
    told = fetched(reply)
    assert [(n, items["UID"]) for n, items in told] == [(3, 4), (4, 6)]
    assert told[0][1]["FLAGS"] == ["key"]
    # Nothing happened since.
    reply = resync(other, known, highest(c))
    assert not vanished(reply) and not fetched(reply)


def test_only_what_is_known_is_told(again):
    _, c, other, known = again
    c.store("1:5", "+FLAGS.SILENT", "key")
    c.store("2:3", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    reply = resync(other, known, more=" 1:2")
    assert vanished(reply) == [(True, {2})] and [items["UID"] for _, items in fetched(reply)] == [1]


def test_another_uidvalidity_is_another_mailbox(again):
    _, c, other, known = again
    c.store("2", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    reply = resync(other, known | {"UIDVALIDITY": known["UIDVALIDITY"] + 1})
    assert not vanished(reply) and not fetched(reply)


def test_a_modseq_from_the_future_knows_nothing(again):
    _, _, other, known = again
    reply = resync(other, known, known["HIGHESTMODSEQ"] + 1000)
    assert [items["UID"] for _, items in fetched(reply)] == [1, 2, 3, 4, 5]


def test_it_has_to_be_enabled(box):
    _, c = box
    assert c.command("SELECT INBOX (QRESYNC (1 1))").status == "BAD"
    assert c.ok("FETCH 1 FLAGS").status == "OK"               # still selected
    assert c.command("UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)").status == "BAD"


def test_what_is_expunged_vanishes(again):
    _, c, other, _ = again
    other.select("INBOX")
    c.store("1,3", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    reply = other.ok("FETCH 5 FLAGS")
    assert not vanished(reply)                                # it keeps numbers
    assert vanished(other.ok("NOOP")) == [(False, {1, 3})]
    other.store("4", "+FLAGS.SILENT", "\\Deleted")
    reply = other.ok("EXPUNGE")
    assert vanished(reply) == [(False, {4})] and reply.code == ["HIGHESTMODSEQ", highest(c)] and not reply.all("EXPUNGE")
    c.ok("CREATE There")
    assert vanished(other.ok("UID MOVE 5 There")) == [(False, {5})]
    assert fetched(other.ok("FETCH 1 (UID)"))[0] == (1, {"UID": 2})


def test_uid_fetch_of_what_vanished(again):
    _, c, other, known = again
    other.select("INBOX")
    c.store("1,3,4", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    since = f"(CHANGEDSINCE {known['HIGHESTMODSEQ']} VANISHED)"
    # What still has a number here is told as news, not as old.
    assert vanished(other.ok(f"UID FETCH 1:* FLAGS {since}")) == [(False, {1, 3, 4})]
    assert vanished(other.ok(f"UID FETCH 1:3 FLAGS {since}")) == [(True, {1, 3})]
    assert not vanished(other.ok(f"UID FETCH 2 FLAGS {since}"))
    # Above the last message, and where none is left.
    c.store("2", "+FLAGS.SILENT", "\\Deleted")
    c.store("5", "+FLAGS.SILENT", "\\Deleted")
    c.ok("UID EXPUNGE 5")
    other.ok("NOOP")
    assert vanished(other.ok(f"UID FETCH 1:* FLAGS {since}")) == [(True, {1, 3, 4, 5})]
    assert vanished(other.ok(f"UID FETCH 4,5:9 FLAGS {since}")) == [(True, {4, 5})]
    c.ok("EXPUNGE")
    other.ok("NOOP")
    assert vanished(other.ok(f"UID FETCH 1:* FLAGS {since}")) == [(True, {1, 2, 3, 4, 5})]


def test_records_that_are_gone(again):
    """What was taken out of the mailbox altogether has no record that could tell: every UID is told of that is no message's, but
    for those the client shows that it knows."""
    s, c, other, known = again
    c.store("2,4", "+FLAGS.SILENT", "\\Deleted")
    c.ok("EXPUNGE")
    middle = highest(c)
    forget(s, c)
    assert vanished(resync(other, known)) == [(True, {2, 4})]
    assert not vanished(resync(other, known, middle))
    # He knew 1 as 1 and 3 as 2: whoever has that does not have 2.
    assert vanished(resync(other, known, more=" 1:5 (1:2 1,3)")) == [(True, {4})]
    assert vanished(resync(other, known, more=" 1:5 (1:3 1:3)")) == [(True, {2, 4})]


# ---- a model -------------------------------------------------------------------------------------------


class Model:
    """A client that keeps what it was told, and comes back with QRESYNC."""

    def __init__(self, server):
        self.client = server.imap("bob").__enter__()
        self.client.ok("ENABLE QRESYNC")
        self.flags, self.order = {}, None                      # {uid: flags}; [uid of number 1, ...] while selected
        self.modseq = self.uidvalidity = 0

    def place(self, uid):
        """Of a message in the order; it may not have said its UID yet, and then lies between those that did."""
        if uid in self.order:
            return self.order.index(uid)
        after = next((i for i, other in enumerate(self.order) if other and other > uid), len(self.order))
        assert after and self.order[after - 1] is None, "a number it never had"
        return after - 1

    def take(self, reply):
        for r in reply.untagged:
            if r.name == "EXISTS" and self.order is not None:
                assert r.number >= len(self.order)
                self.order += [None] * (r.number - len(self.order))
            elif r.name == "VANISHED":
                values = list(r.values)
                earlier = isinstance(values[0], list)
                uids = members(values[-1])
                if not earlier:
                    for uid in sorted(uids):
                        del self.order[self.place(uid)]
                for uid in uids:
                    self.flags.pop(uid, None)
            elif r.name == "FETCH":
                items = pairs(r.values[0])
                assert 1 <= r.number <= len(self.order), "above the last EXISTS"
                assert self.order[r.number - 1] in (None, items["UID"])
                self.order[r.number - 1] = items["UID"]
                if "FLAGS" in items:
                    self.flags[items["UID"]] = {f for f in items["FLAGS"] if f != "\\Recent"}
            else:
                assert r.name != "EXPUNGE"
        return reply

    def come(self):
        uids = sorted(self.flags)
        shown = ""
        if uids and random.random() < 0.5:
            shown = f" {','.join(map(str, uids))}"
            some = sorted(random.sample(range(len(uids)), min(len(uids), 3)))
            if random.random() < 0.5:
                shown += f" ({','.join(str(i + 1) for i in some)} {','.join(str(uids[i]) for i in some)})"
        how = f"(QRESYNC ({self.uidvalidity} {self.modseq}{shown}))" if self.uidvalidity else ""
        self.order = []
        reply = self.client.ok("SELECT INBOX", how) if how else self.client.ok("SELECT INBOX")
        self.take(reply)
        self.modseq = reply.untagged_code("HIGHESTMODSEQ")[1]
        self.uidvalidity = reply.untagged_code("UIDVALIDITY")[1]
        self.learn()

    def learn(self):
        """What is new, and only that: a client fetches what it has no flags of."""
        self.take(self.client.ok("NOOP"))
        if None in self.order:
            self.take(self.client.ok("FETCH 1:* (UID)"))
        new = set(self.order) - set(self.flags)
        if new:
            self.take(self.client.ok(f"UID FETCH {','.join(map(str, new))} (FLAGS)"))

    def go(self):
        self.client.ok("UNSELECT")
        self.order = None


@pytest.mark.limit(240)
@pytest.mark.parametrize("seed", range(4))
def test_who_comes_back_knows_all(server, seed):
    """Whatever others do between his visits, and during them: what a client keeps is the mailbox."""
    random.seed(seed)
    s = server(services=ONLY_IMAP, imapd={"expunge_mode": random.choice(["delayed", "immediate"])})
    s.make_user("bob")
    c, model, serial = s.imap("bob").__enter__(), Model(s), 0
    c.ok("CREATE There")
    c.select("INBOX")

    def something():
        nonlocal serial
        what = random.random()
        uids = c.search("ALL")
        some = ",".join(map(str, random.sample(uids, min(len(uids), random.randint(1, 4))))) if uids else None
        if what < 0.35 or not some:
            serial += 1
            c.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % serial, flags=random.sample(["\\Flagged", "k1", "k2"], 1))
        elif what < 0.7:
            c.store(some, random.choice(["+FLAGS", "-FLAGS", "FLAGS"]), random.choice(["\\Seen", "\\Draft", "k1", "k3"]))
        elif what < 0.85:
            c.store(some, "+FLAGS", "\\Deleted")
            c.ok("UID EXPUNGE", some)
        elif what < 0.93:
            c.ok("UID MOVE", some, random.choice(["There", "INBOX"]))
        else:
            forget(s, c)

    try:
        for _ in range(12):
            for _ in range(random.randint(0, 8)):
                something()
            model.come()
            for _ in range(random.randint(0, 3)):
                something()
                model.take(model.client.ok(random.choice(["NOOP", "UID FETCH 1:* (FLAGS)", "FETCH 1:* (UID)", "UID SEARCH ALL"])
                                           if model.order else "NOOP"))
            model.learn()
            now = {uid: {f for f in items["FLAGS"] if f != "\\Recent"} for uid, items in c.fetch("1:*", "FLAGS").items()} \
                if c.search("ALL") else {}
            assert model.flags == now and model.order == sorted(now)
            model.go()
    finally:
        c.close()
        model.client.close()
