"""Many sessions in one mailbox at once, each doing what comes to its mind: what every one of them is told must make sense in
its order, no UID ever shows other bytes, and in the end the store is whole."""
import fcntl
import hashlib
import os
import random
import struct
import threading
import time
from contextlib import contextmanager

import pytest

from lib.imap import Imap, Literal
from lib.imap_values import pairs
from lib.ledger import Ledger
from lib.store import read_store

SERVICES = {"lmtp": None, "lmtpunix": None}
SESSIONS, ROUNDS = 6, 150
KEEPS_NUMBERS = ("FETCH", "STORE", "SEARCH")


class Session:
    """One client that keeps book of what it was told."""

    def __init__(self, server, number, bodies):
        self.rng, self.bodies = random.Random(number), bodies
        self.c = Imap(("127.0.0.1", server.imap_port), timeout=60)
        self.c.login("bob", "pw")
        self.number, self.faults = number, []
        self.select()

    def select(self):
        self.exists = self.c.select("INBOX")["EXISTS"]

    def do(self, *command):
        reply = self.c.command(*command)
        for r in reply.untagged:
            self.hear(command, r)
        code = (reply.code or [None])[0]
        if reply.status == "BAD" or (reply.status == "NO" and code != "EXPUNGEISSUED" and
                                     not reply.text.startswith("No matching messages")):
            self.faults.append((command[:3], reply.status, reply.code, reply.text))
        return reply

    def hear(self, command, r):
        if r.name == "EXISTS":
            if r.number < self.exists:
                self.faults.append((command[:3], f"EXISTS {r.number} after {self.exists}"))
            self.exists = r.number
        elif r.name == "EXPUNGE":
            if command[0] in KEEPS_NUMBERS:
                self.faults.append((command[:3], "EXPUNGE while numbers are in use"))
            if not 1 <= r.number <= self.exists:
                self.faults.append((command[:3], f"EXPUNGE {r.number} of {self.exists}"))
            self.exists -= 1
        elif r.name == "FETCH":
            if not 1 <= r.number <= self.exists:
                self.faults.append((command[:3], f"FETCH {r.number} of {self.exists}"))
            got = pairs(r.values[0])
            if "BODY[]" in got and "UID" in got:
                digest = hashlib.sha1(got["BODY[]"]).hexdigest()
                if self.bodies.setdefault(got["UID"], digest) != digest:
                    self.faults.append((got["UID"], "another body"))

    def any_set(self):
        if not self.exists:
            return "1"
        a, b = self.rng.randint(1, self.exists), self.rng.randint(1, self.exists)
        return f"{min(a, b)}:{max(a, b)}" if self.rng.random() < .5 else str(a)

    def step(self):
        what = self.rng.randrange(12)
        flags = self.rng.sample(["\\Seen", "\\Flagged", "\\Answered", "k1", "k2", "\\Deleted"], 2)
        if what < 3:
            message = f"Subject: {self.number}.{self.rng.random()}\r\n\r\n{'x' * self.rng.randrange(500)}\r\n".encode()
            self.do("APPEND", "INBOX", "(k1)", Literal(message, plus=True))
        elif what < 6:
            self.do("STORE", self.any_set(), self.rng.choice(["+FLAGS", "-FLAGS", "FLAGS", "+FLAGS.SILENT"]),
                    f"({flags[0]} {flags[1]})")
        elif what == 6:
            self.do("COPY", self.any_set() if self.exists < 200 else "1", self.rng.choice(["INBOX", "other"]))
        elif what == 7:
            self.do("EXPUNGE")
        elif what == 8:
            self.do("FETCH", self.any_set(), "(UID FLAGS BODY.PEEK[])")
        elif what == 9:
            self.do("UID FETCH", f"{self.rng.randint(1, 50)}:*", "(FLAGS BODY[])")
        elif what == 10:
            self.do("SEARCH", self.rng.choice(["UNSEEN", "KEYWORD k1 SUBJECT 1", "TEXT xx", "NOT DELETED"]))
        else:
            self.check_numbers()

    def check_numbers(self):
        self.do("NOOP")
        before = self.exists
        found = [(r.number, pairs(r.values[0])["UID"]) for r in self.do("FETCH", "1:*", "UID").all("FETCH")
                 if "UID" in pairs(r.values[0])]
        if [n for n, _ in found] != sorted({n for n, _ in found}) or [u for _, u in found] != sorted({u for _, u in found}):
            self.faults.append("numbers or UIDs out of order")
        if len(found) > before:
            self.faults.append(f"{len(found)} messages, told of {before}")

    def run(self):
        try:
            for _ in range(ROUNDS):
                self.step()
            self.check_numbers()
        except Exception as error:    # in a thread of its own nobody else would see it
            self.faults.append(repr(error))
        finally:
            self.c.close()


@pytest.mark.limit(300)
@pytest.mark.parametrize("mode", ["delayed", "immediate"])
def test_many_at_once(server, mode):
    s = server(services=SERVICES, imapd={"expunge_mode": mode})
    s.make_user("bob")
    if mode == "immediate":
        s.expect("imap.message.unreadable")    # whose file another session has just taken away
    with s.imap("bob") as c:
        c.ok("CREATE", "other")
        for i in range(10):
            c.append("INBOX", b"Subject: %d\r\n\r\nfirst\r\n" % i)
    ledger, bodies = Ledger(), {}
    sessions = [Session(s, number, bodies) for number in range(SESSIONS)]
    threads = [threading.Thread(target=one.run) for one in sessions]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        store = read_store(s.endpoint(), users=["bob"], bodies=False)
        assert ledger.observe(store) == []
        threads[0].join(0.5)
    assert [one.faults for one in sessions] == [[]] * SESSIONS
    store = read_store(s.endpoint())
    assert store.faults + ledger.observe(store) == []
    with s.imap("bob") as c:
        box = c.select("INBOX")
        assert box["EXISTS"] == len(c.search("ALL")) and box["UIDNEXT"] > max(c.search("ALL"), default=0)


@contextmanager
def locked(*paths):
    """The locks that a writer holds, as a writer holds them: byte 0, by open file description."""
    files = [open(path, "r+b") for path in paths]
    try:
        for file in files:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0))
        yield
    finally:
        for file in files:
            file.close()


def test_readers_do_not_wait_for_a_writer(server):
    s = server(services=SERVICES)
    s.make_user("bob")
    with s.imap("bob") as c:
        for n in range(3):
            c.append("INBOX", b"Subject: %d\r\n\r\nx\r\n" % n)
        c.select("INBOX")
        c.store("1", "+FLAGS", "\\Seen")
    with s.imap("bob") as writer:
        writer.select("INBOX")
        locks = [*s.root.glob("spool/u/*/*/mbox.lk"), *(path for path in s.root.glob("conf/lock/ns/*/*") if path.is_file())]
        assert len(locks) >= 2
        with locked(*locks), s.imap("bob") as c, s.csync() as peer:
            began = time.monotonic()
            assert c.select("INBOX")["EXISTS"] == 3
            assert [str(name) for _, _, name in c.list()] == ["INBOX"]
            assert c.status("INBOX", "MESSAGES", "UNSEEN") == {"MESSAGES": 3, "UNSEEN": 2}
            assert c.search("UNSEEN", "SUBJECT", "2") == [3]
            assert len(c.fetch("1:3", "(FLAGS ENVELOPE BODY.PEEK[])")) == 3
            c.ok("GETQUOTAROOT", "INBOX")
            c.ok("MYRIGHTS", "INBOX")
            c.ok("NOOP")
            assert len(peer.full_mailbox("user.bob")["RECORD"]) == 3 and peer.user("bob")
            assert time.monotonic() - began < 2
            tag = writer.start("UID STORE 1 +FLAGS.SILENT (\\Flagged)")
            with pytest.raises(TimeoutError):    # it is the lock that writers wait for
                writer.finish(tag, 1)
        assert writer.finish(tag).status == "OK"
