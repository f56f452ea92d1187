"""The independent checker: do two servers hold the same, and does each keep its own word?

    python3 -m lib.checker [option...] HOST:CSYNC,IMAP [HOST:CSYNC,IMAP]        (in tests/)

The first server is the primary, the second its replica; with one server only that one's own word is checked.
Prints a line for every difference and ends with status 1 if there is any. compare() is the same for tests, and
lib.ledger remembers what a server has acknowledged.

What may differ after the best of replications, and is not told: records expunged on both sides or expunged and
on one side only; LAST_APPENDDATE, QUOTAROOT and CREATEDMODSEQ (sent, never compared); the spelling of
keywords; seen state that only the replica has; mailboxes below DELETED (unless asked for); quota MODSEQs."""
import argparse
import sys

from lib import sums
from lib.store import Endpoint, read_store

HEADER = ("UNIQUEID", "MBOXTYPE", "LAST_UID", "HIGHESTMODSEQ", "RECENTUID", "RECENTTIME", "POP3_LAST_LOGIN",
          "POP3_SHOW_AFTER", "XCONVMODSEQ", "RACLMODSEQ", "UIDVALIDITY", "PARTITION", "ACL", "OPTIONS",
          "FOLDERMODSEQ")
RECORD = ("MODSEQ", "LAST_UPDATED", "INTERNALDATE", "SIZE", "GUID")
# An intermediate entry is a name: the rest of its fields mean nothing.
INTERMEDIATE = ("UNIQUEID", "MBOXTYPE")


def compare(a, b, deleted=False, partitions=True):
    """Lines telling how store b, the replica, differs from store a; both stores' own faults first.
    deleted: compare what is below DELETED too. partitions: their names must be the same."""
    return a.faults + b.faults + _Comparison(a, b, deleted, partitions).lines()


def check(endpoint_a, endpoint_b, users=None, bodies=True, deleted=False):
    return compare(read_store(endpoint_a, users, bodies), read_store(endpoint_b, users, bodies), deleted)


class _Comparison:
    def __init__(self, a, b, deleted, partitions):
        self.a, self.b, self.deleted = a, b, deleted
        self.header = [k for k in HEADER if partitions or k != "PARTITION"]
        self.out = []

    def lines(self):
        for user in self.both("users", self.a.users, self.b.users):
            self.user(user, self.a.users[user], self.b.users[user])
        self.mailboxes(self.a.shared, self.b.shared)
        for root in self.both("quota roots", self.a.quota, self.b.quota):
            self.values(f"quota {root}", self.a.quota[root], self.b.quota[root])
        self.sets("server annotation", self.a.annotations, self.b.annotations)
        return self.out

    def differ(self, what, a, b):
        self.out.append(f"{what}: {self.a.name} has {a}, {self.b.name} has {b}")

    def both(self, what, a, b):
        """The keys on both sides; each key on one side only is a line."""
        for key in sorted(set(a) ^ set(b)):
            self.out.append(f"{what}: {key} only on {self.a.name if key in a else self.b.name}")
        return [key for key in a if key in b]

    def values(self, where, a, b, keys=None):
        for key in keys or sorted({**a, **b}):
            if _plain(a.get(key)) != _plain(b.get(key)):
                self.differ(f"{where}: {key}", repr(a.get(key)), repr(b.get(key)))

    def sets(self, where, a, b):
        for item in sorted(a ^ b, key=repr):
            self.out.append(f"{where}: {item!r} only on {self.a.name if item in a else self.b.name}")

    def user(self, name, a, b):
        self.mailboxes(a.mailboxes, b.mailboxes)
        self.sets(f"{name}: subscription", a.subscriptions, b.subscriptions)
        self.values(f"{name}: script", a.scripts, b.scripts)
        for uniqueid, seen in a.seen.items():
            if uniqueid not in b.seen:
                self.out.append(f"{name}: seen state of {uniqueid} only on {self.a.name}")
            else:
                self.values(f"{name}: seen state of {uniqueid}", seen, b.seen[uniqueid])

    def mailboxes(self, a, b):
        if not self.deleted:
            a, b = ({n: m for n, m in side.items() if not n.rpartition("!")[2].startswith("DELETED.")}
                    for side in (a, b))
        for name in self.both("mailboxes", a, b):
            self.mailbox(name, a[name], b[name])

    def mailbox(self, name, a, b):
        intermediate = "i" in a.kind[1:] and "i" in b.kind[1:]
        self.values(name, a.header, b.header, INTERMEDIATE if intermediate else self.header)
        self.sets(f"{name}: annotation", a.annotations, b.annotations)
        for uid in sorted({**a.records, **b.records}):
            self.record(f"{name} uid {uid}", a.records.get(uid), b.records.get(uid))

    def record(self, where, a, b):
        gone_a, gone_b = a is None or sums.expunged(a), b is None or sums.expunged(b)
        if gone_a and gone_b:
            return
        if gone_a or gone_b:
            words = {True: "expunged", None: "no such message", False: "the message"}
            self.differ(where, words[a and gone_a], words[b and gone_b])
            return
        self.values(where, a, b, RECORD)
        flags = [sorted({str(f).lower() for f in r["FLAGS"]}) for r in (a, b)]
        if flags[0] != flags[1]:
            self.differ(f"{where}: FLAGS", *(f"({' '.join(f)})" for f in flags))
        self.sets(f"{where}: annotation", *({(n["ENTRY"], n["USERID"], n["MODSEQ"], n["VALUE"])
                                             for n in r.get("ANNOTATIONS") or []} for r in (a, b)))


def _plain(value):
    """A field of the wire that is left out counts as 0. (A quota limit of 0 is an int, and not the same.)"""
    return "0" if value is None or value == "" else value


def _endpoint(text, name, options):
    host, _, ports = text.rpartition(":")
    csync, _, imap = ports.partition(",")
    if not (host and csync.isdigit() and imap.isdigit()):
        sys.exit(f"checker: {text}: a server is given as HOST:CSYNCPORT,IMAPPORT")
    return Endpoint(name, (host, int(csync)), (host, int(imap)), options.admin, options.password,
                    over_imap=csync == imap, timeout=options.timeout)


def main():
    parser = argparse.ArgumentParser(prog="checker", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", nargs="+", metavar="HOST:CSYNC,IMAP",
                        help="the same port twice: csync inside IMAP")
    parser.add_argument("--admin", default="admin", help="an administrator of both servers [admin]")
    parser.add_argument("--password", default="pw", help="his password [pw]")
    parser.add_argument("--user", action="append", help="only this user; may be given again")
    parser.add_argument("--no-bodies", action="store_true", help="do not look by IMAP")
    parser.add_argument("--deleted", action="store_true", help="compare what is below DELETED too")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one answer [60]")
    options = parser.parse_args()
    if len(options.server) > 2:
        parser.error("one server or two")
    stores = [read_store(_endpoint(text, name, options), options.user, not options.no_bodies)
              for text, name in zip(options.server, "ab")]
    lines = stores[0].faults if len(stores) == 1 else compare(*stores, deleted=options.deleted)
    for line in lines:
        print(line)
    boxes = stores[0].mailboxes().values()
    print(f"checker: {len(boxes)} mailboxes, {sum(len(b.live) for b in boxes)} messages, {len(lines)} differences",
          file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
