"""A Debian Cyrus whose sync_client replicates to our sync_server.

    p = Pair(roots, cyrus_tree)    # ours runs; p.a.start() starts the Cyrus
    p.sync("-u", "bob")
    p.must_be_equal()
    p.orders()                     # ["APPLY MAILBOX", ...]

Our side also runs imapd, for tests that change something there."""
import hashlib
import re

from lib.checker import compare
from lib.cyrus_peer import CyrusPeer
from lib.replica import Replica
from lib.store import read_store

ORDER = re.compile(rb"<\d+<(APPLY [A-Z_]+)|\n(APPLY [A-Z_]+)")


class Pair:
    """A Cyrus that replicates to us."""

    def __init__(self, roots, cyrus_tree, peer=None, **more):
        self.b = Replica(roots(), imap=True, **more).start()
        self.b.begin_telemetry()
        root = roots()
        self.a = CyrusPeer(root, cyrus_tree, name="a",
                           imapd={"sync_log": True, "partition-p2": root / "spool2", **(peer or {})})
        self.a.replicate_to(self.b)
        self.text = b""

    @property
    def root(self):
        return self.b.root

    name = "b"

    def tail(self):
        """For a test that failed (conftest.py)."""
        return self.b.tail()

    def stop(self):
        self.a.stop()
        self.b.__exit__(None)

    def sync(self, *args, **more):
        return self.a.sync_client(*args, **more)

    def roll(self):
        """Work through the log once."""
        return self.sync("-R", "-1")

    def orders(self):
        """What was ordered since the last call, but CAPABILITIES: ["APPLY MAILBOX", ...]"""
        text = self.b.telemetry()
        assert text[:len(self.text)] == self.text    # files of sessions, in the order they ended
        new, self.text = text[len(self.text):], text
        found = [(m[1] or m[2]).decode() for m in ORDER.finditer(new)]
        return [o for o in found if o != "APPLY CAPABILITIES"]

    def differences(self):
        stores = [read_store(one.endpoint()) for one in (self.a, self.b)]
        return compare(*stores, deleted=True) + self.wrong_bodies(stores[1])

    def wrong_bodies(self, store):
        """Every body of ours is fetched, and must be the one its record names."""
        with self.b.endpoint().open_csync() as c:
            return [f"{box.name} uid {uid}: not its message" for box in store.mailboxes().values()
                    for uid, record in box.live.items()
                    if hashlib.sha1(c.fetch(box.header, uid, record["GUID"]) or b"").hexdigest() != record["GUID"]]

    def must_be_equal(self, what="", but=None):
        """but: a mailbox that is none of this test's business."""
        told = [line for line in self.differences() if not but or not line.startswith(but)]
        assert told == [], what

    def must_be_quiet(self, *args):
        """The same again sends nothing."""
        self.orders()
        self.sync(*args)
        assert self.orders() == []
