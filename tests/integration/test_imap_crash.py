"""Death and a full disk at every named point of STORE, EXPUNGE, COPY and APPEND: what was to be changed is changed wholly or not
at all, whatever was acknowledged is there, and the mailbox is as good as before."""
import hashlib

import pytest

from lib.ledger import Ledger
from lib.imap import Literal
from lib.store import read_store
from lib.wire import Closed

SERVICES = {"lmtp": None, "lmtpunix": None}
MESSAGES = [b"Subject: %d\r\n\r\ntext\r\n" % i for i in range(3)]


def store(c):
    return c.command("STORE", "1:3", "+FLAGS", "(\\Seen fresh)")


def expunge(c):
    return c.command("EXPUNGE")


def copy(c):
    return c.command("COPY", "1:3", "there")


def copy_within(c):
    return c.command("COPY", "1:3", "here")


def append(c):
    return c.command("APPEND", "there", "(\\Flagged fresh)", Literal(MESSAGES[0], plus=True))


def append_piped(c):
    """Three at once, of which none is answered another way than the others."""
    body = b"{%d+}\r\n%s\r\n" % (len(MESSAGES[0]), MESSAGES[0])
    c.raw(b"".join(b"p%d APPEND there (\\Flagged piped) %s" % (n, body) for n in range(3)))
    replies = [c.finish(f"p{n}") for n in range(3)]
    assert len({reply.status for reply in replies}) == 1
    return replies[0]


OPERATIONS = [store, expunge, copy, copy_within, append, append_piped]


def look(c):
    """What there is, as a client sees it: {mailbox: {uid: (flags, body)}}."""
    out = {}
    for name in ("here", "there"):
        c.examine(name)
        out[name] = {uid: (sorted(set(got["FLAGS"]) - {"\\Recent"}), got["BODY[]"])
                     for uid, got in c.fetch("1:*", "(FLAGS BODY.PEEK[])").items()}
    return out


class Rig:
    def __init__(self, server, **imapd):
        self.s = server(services=SERVICES, imapd=imapd)
        self.s.make_user("bob")
        self.made = 0

    def fresh(self):
        """Two mailboxes as they are before: a user of their own, who is logged in, with `here` selected."""
        self.made += 1
        self.user = f"u{self.made}"
        self.s.make_user(self.user)
        c = self.s.imap(self.user)
        c.ok("CREATE", "here")
        c.ok("CREATE", "there")
        for message in MESSAGES:
            c.append("here", message, ["\\Deleted", "old"])
        c.append("there", MESSAGES[2])
        c.select("here")
        return c

    def look(self):
        with self.s.imap(self.user) as c:
            return look(c)

    def ledger(self, seen):
        ledger = Ledger()
        for name, messages in seen.items():
            for uid, (flags, body) in messages.items():
                ledger.message(f"user.{self.user}.{name}", sha1=hashlib.sha1(body).hexdigest(), uid=uid)
                for flag in flags:
                    ledger.flag(f"user.{self.user}.{name}", uid, flag)
        return ledger


def points(rig, operation):
    """[(failpoint, hit)] that the operation passes, up to three hits of each; and what it leaves."""
    with rig.fresh() as c:
        rig.s.failpoints.record()
        assert operation(c).status == "OK"
        hits = rig.s.failpoints.hits()
        rig.s.failpoints.record(False)
    names = [(name, hit) for name, n in sorted(hits.items()) if name.startswith("store.") for hit in range(min(n, 3))]
    assert len(names) >= 4
    return names, rig.look()


@pytest.mark.limit(600)
@pytest.mark.parametrize("operation, mode", [(o, "delayed") for o in OPERATIONS] + [(expunge, "immediate")])
def test_death_at_each_point(server, operation, mode):
    rig = Rig(server, expunge_mode=mode)
    names, after = points(rig, operation)
    wrong = []
    for name, hit in names:
        for action in ("kill", "torn") if "write" in name or "append" in name else ("kill",):
            with rig.fresh() as c:
                before = rig.look()
                rig.s.failpoints.arm(name, action, hit)
                try:
                    reply = operation(c)
                except Closed:
                    reply = None
                died = rig.s.failpoints.fired
                rig.s.failpoints.disarm()
            seen = rig.look()
            if died and reply:
                wrong.append((name, hit, action, "answered after its death"))
            if died and seen not in (before, after):
                wrong.append((name, hit, action, seen))
            if not died and seen != after:
                wrong.append((name, hit, action, "not reached, and not done"))
            # Who comes next finds a mailbox like any other.
            with rig.s.imap(rig.user) as c:
                c.select("here")
                if operation(c).status != "OK":
                    wrong.append((name, hit, action, "the next one fails"))
            wrong += [(name, hit, action, line) for line in rig.ledger(rig.look()).check(read_store(rig.s.endpoint(),
                                                                                                users=[rig.user]))]
    assert not wrong
    assert not read_store(rig.s.endpoint()).faults
    assert not rig.s.staged()


@pytest.mark.limit(600)
@pytest.mark.parametrize("operation", OPERATIONS[:-1])    # the last has three answers: test_imap_append_piped.py
def test_a_full_disk_at_each_point(server, operation):
    rig = Rig(server)
    rig.s.expect("event=imap.command.failed|store.cache.unwritable|imap.recent.unclaimed|event=store")
    names, after = points(rig, operation)
    wrong = []
    for name, hit in names:
        if "sync" in name:    # a sync that fails poisons the partition: tests of the store
            continue
        with rig.fresh() as c:
            before = rig.look()
            rig.s.failpoints.arm(name, "enospc", hit)
            reply = operation(c)
            rig.s.failpoints.disarm()
            seen = rig.look()
            if seen != (after if reply.status == "OK" else before):
                wrong.append((name, hit, reply, seen))
            if operation(c).status != "OK":    # the session goes on
                wrong.append((name, hit, "the next one fails"))
    assert not wrong
    assert not read_store(rig.s.endpoint()).faults
