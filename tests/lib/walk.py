"""A walk over every place where the daemons of a replicated pair die, or see a disk that is full or fails.

    walk = Walk(roots)                              # a, replicating to b; both run
    known = walk.record(op)                         # what it passes, in which program, and what it leaves
    for point in known.points(): walk.disturb(known, point)
    walk.settle_accounts(); walk.finish()           # both are equal, without anybody's help
    assert walk.wrong == []

An operation (lib.walk_ops) is tried on users of its own each time. It is done twice undisturbed: what the primary shows before
and after it is all that it may ever leave, and the points that its programs passed both times are those to be broken. Then
again and again: one program of one side, and no other, dies or is refused something at one passing of one point (each program
has a failpoint page of its own). What was acknowledged must be there; what was not is wholly there or wholly not; the user can go
on; and in the end the replica is equal by itself, as lib.checker judges by bodies and sums. Nobody is told to replicate:
master starts again what died, sync_client goes on, and a partition that was poisoned by a failing sync is recovered as it
would be by an operator, by a restart of that server.

Names of users are written A, B and C in all that is compared."""
import hashlib
import os
import re
import time
from collections import namedtuple
from contextlib import suppress
from dataclasses import dataclass, field

from lib.checker import compare
from lib.csync import CsyncError
from lib.failpoints import FailpointPage
from lib.imap import ImapError
from lib.ledger import Ledger
from lib.places import wait_until
from lib.server import Server
from lib.store import read_store
from lib.wire import WireError

UNREADABLE = (CsyncError, ImapError, WireError, OSError)
DAEMONS = ("imapd", "lmtpd", "sync_server", "sync_client", "metad", "master")
PROGRAMS = (*DAEMONS, "ctl_cyrusdb")    # it recovers at the start
WRITES = re.compile(r"write|append|extend")
FAILED_SYNC = re.compile(r"event=store\.partition\.poisoned")
ORPHAN = "its owner has no INBOX"    # what a rename of a user, cut off in its middle, leaves: its end removes it
# Whether it is passed is chance: directories that are named by a hash and may be there, stages that others have left, bodies that the
# replica finds in a mailbox if both come in one batch.
BY_CHANCE = re.compile(r"_hash$|^store\.tree\.|^store\.stage\.adopt$")
HEALED_WITHIN = 90    # seconds; what was set aside is tried again after five, then ten

Point = namedtuple("Point", "side program name action hit")


class Walked(Server):
    """One server of the pair."""

    def __init__(self, root, name, **more):
        imapd = {"partition-other": root / "spool2", "sync_log_chain": name == "a", "allowusermoves": True,
                 "sync_reconnect_maxwait": "1s"}
        if name == "a":    # and the replica keeps what is expunged for a while
            imapd["expunge_mode"] = "immediate"
        super().__init__(root, name=name, imapd=imapd, services={"imaps": None, "lmtpunix": None},
                         sections={"START": {"recover": {"cmd": "ctl_cyrusdb -r -C {conf}"}}}, **more)
        (self.root / "points").mkdir()
        self.points = {program: FailpointPage(self.root / "points" / program) for program in PROGRAMS}
        self.heard = 0

    def environment(self):
        return {**super().environment(), "US_FAILPOINTS": f"{self.root}/points/"}

    def poisoned(self):
        """Has a partition been, since this was last asked?"""
        with open(self.log_file, "rb") as file:
            file.seek(self.heard)
            new = file.read()
        self.heard += len(new)
        return bool(FAILED_SYNC.search(new.decode("utf-8", "backslashreplace")))

    def unsent(self):
        """Sync logs with lines, or in work."""
        with os.scandir(self.root / "conf/sync") as entries:
            return [e.name for e in entries if e.name.startswith("log-") or e.name == "log" and _size(e)]

    def set_aside(self):
        path = self.root / "conf/sync/set-aside"
        return path.read_text().splitlines() if path.exists() else []


@dataclass
class Known:
    """An operation, undisturbed."""
    op: object
    before: dict
    after: dict
    hits: dict = field(default_factory=dict)    # {(side, program): {point: how often}}

    def missing(self):
        """Points that were to be passed and were not: the operation is not what it was meant to be."""
        return {key: must - set(self.hits.get(key, ())) for key, must in self.op.must.items()
                if must - set(self.hits.get(key, ()))}

    def points(self):
        """All there is to break. The first passing of a point, and the last: a sync for each of ten mailboxes is one idea."""
        for (side, program), hits in sorted(self.hits.items()):
            for name, count in sorted(hits.items()):
                for action in ways(name):
                    for hit in sorted({0, count - 1}):
                        yield Point(side, program, name, action, hit)

    def sample(self, each):
        """A few of each program, the same every time and spread over all there is."""
        return [p for key in sorted(self.hits) for p in spread((p for p in self.points() if p[:2] == key), self.op.name)[:each]]


def spread(points, seed=""):
    """In an order that looks like chance, and is the same every time."""
    return sorted(points, key=lambda p: hashlib.sha1(f"{seed} {p}".encode()).digest())


def ways(name):
    """A write can also be cut off in its middle."""
    return ("kill", "torn", "enospc", "eio") if WRITES.search(name) else ("kill", "enospc", "eio")


class World:
    """The users of one try, with sessions open and everything that prepares it across at the replica."""

    def __init__(self, walk, number, letters):
        self.walk = walk
        self.names = {letter: f"w{number:05d}{letter.lower()}" for letter in letters}
        self.a, self.b = walk.a, walk.b
        self.admin = self.a.admin()
        self.user = self.other = None    # sessions of A and of B

    def session(self, letter):
        return self.a.endpoint().open_imap(self.names[letter])

    def name(self, mailbox):
        """ "A/here" as the administrator names it."""
        letter, slash, rest = mailbox.partition("/")
        return f"user/{self.names[letter]}{slash}{rest}"

    def plain(self, text):
        """With letters for the users' names, and no times in the names of what was deleted."""
        for letter, name in self.names.items():
            text = text.replace(name, letter)
        return re.sub(r"\.[0-9A-F]{8}(?![0-9A-F])", ".TIME", text)

    def close(self):
        for client in (self.admin, self.user, self.other):
            if client:
                client.close()


class Walk:
    """The pair, and what was wrong with it."""

    def __init__(self, roots):
        self.b = Walked(roots(), "b")
        self.a = Walked(roots(), "a")
        self.sides = {"a": self.a, "b": self.b}
        self.a.replicate_to(self.b)
        self.a.sections["DAEMON"] = {"sync": {"cmd": "sync_client -R -C {conf}"}}
        self.a.write_conf()
        self.b.start()
        self.a.start()
        self.made = 0
        self.wrong = []
        self.tried = 0
        self.ledger = Ledger()
        self.owed = {}    # {user whose replica was not looked at since: what was done to him}
        self.settled()

    # ---- looking ---------------------------------------------------------------------------------

    def sent(self):
        return not self.a.unsent()

    def settled(self, seconds=20):
        wait_until(self.sent, seconds, lambda: f"every line is worked off: {self.a.unsent()}\n{self.a.tail()}")

    def look(self, world, exact=True):
        """What the primary holds for these users: {what: text}, and its faults are noted."""
        try:
            store = read_store(world.a.endpoint(), list(world.names.values()))
        except UNREADABLE as error:
            return {}, [f"a cannot be read: {error}"]
        faults = [line for line in store.faults if not line.endswith(ORPHAN)] + self.ledger.observe(store)
        return {world.plain(k): world.plain(repr(v)) for k, v in _shown(store, exact).items()}, faults

    # ---- an operation ----------------------------------------------------------------------------

    def fresh(self, op):
        self.made += 1
        world = World(self, self.made, op.users)
        op.prepare(world)
        self.settled()
        return world

    def record(self, op, times=2):
        known = None
        pages = {(s, p): self.sides[s].points[p] for s, p in (("a", op.program), *op.behind)}
        for _ in range(times):
            world = self.fresh(op)
            before, faults = self.look(world, op.exact)
            for page in pages.values():
                page.record()
            answered = op.run(world)
            world.close()
            self.settled()
            time.sleep(0.1)    # who is not waited for: the end of a session, a metad's checkpoint
            hits = {key: page.hits() for key, page in pages.items()}
            for page in pages.values():
                page.record(False)
            self._recover()
            after, more = self.look(world, op.exact)
            self.owed.update(dict.fromkeys(world.names.values(), op.name))
            good = all(answered.values()) if isinstance(answered, dict) else answered
            assert good and not faults + more, (op.name, answered, faults + more)
            if known:
                assert (known.before, known.after) == (before, after), f"{op.name} leaves something else each time: {known.before}, {before}; {known.after}, {after}"
                hits = {key: _least(known.hits[key], hits[key]) for key in pages}
            known = Known(op, before, after, hits)
        assert known.before != known.after, f"{op.name} does nothing"
        return known

    def disturb(self, known, point):
        """Break that point; complaints go to self.wrong. A point that is never passed again is one, if it is not by chance."""
        self.tried += 1
        for fewer in (1, 2, 1 << 30):
            if self._try(known, point._replace(hit=point.hit // fewer)):    # metad commits for several at once, or not
                return
        if not BY_CHANCE.search(point.name) or point.name in known.op.must.get(point[:2], ()):
            self.complain(known, point, "never passed again")

    def complain(self, known, point, what):
        self.wrong.append(f"{known.op.name} {point.side}:{point.program} {point.name} {point.action} {point.hit}: {what}")

    def _try(self, known, point):
        world = self.fresh(known.op)
        page = self.sides[point.side].points[point.program]
        page.arm(point.name, point.action, point.hit)
        with suppress(ConnectionError):
            answered = _answer(known.op, world)
        world.close()
        fired = self._wait_fired(page)
        self.settled()
        for armed in (page, *self.b.points.values()):
            armed.disarm()
        for side in self._recover():
            if not known.op.poisons and \
                    (side != point.side or "sync" not in point.name or point.action not in ("enospc", "eio")):
                self.complain(known, point, f"a partition of {side} is poisoned")
        seen, faults = self.look(world, known.op.exact)
        self._judge(known, point, answered, seen)
        for line in faults:
            self.complain(known, point, line)
        if known.op.finish:
            known.op.finish(world)
        self._go_on(known, point, world)
        self.owed.update(dict.fromkeys(world.names.values(), f"{known.op.name} {point}"))
        return fired

    def _wait_fired(self, page):
        """True when it has; False when all there was to do is done, and it has not."""
        with suppress(TimeoutError):
            wait_until(lambda: page.fired or self.sent(), 20, "")
            wait_until(lambda: page.fired, 0.5, "")
        return page.fired == 1

    def _recover(self):
        """As the operator would, after a disk failed: the sides that were started again."""
        sides = [side for side, server in self.sides.items() if server.poisoned()]
        for side in sides:
            self.sides[side].restart()
        return sides

    def _judge(self, known, point, answered, seen):
        before, after = known.before, known.after
        if isinstance(answered, dict):    # of several recipients each is answered, and stored, by itself
            for what in sorted({**before, **after, **seen}):
                well = (after,) if answered.get(what) else (before, after)
                if all(seen.get(what) != state.get(what) for state in well):
                    self.complain(known, point, f"{what}: answered {answered.get(what)}: {_differing(seen, after)}")
        elif answered and seen != after:
            self.complain(known, point, f"acknowledged and not so: {_differing(seen, after)}")
        elif seen not in (before, after, *known.op.between(before, after)):
            self.complain(known, point, f"answered {answered}, half done: {_differing(seen, before)} AND {_differing(seen, after)}")

    def _go_on(self, known, point, world):
        """Whoever comes next finds a store like any other."""
        try:
            with self.a.admin() as c:
                letter = next((x for x in world.names if x != "B" and c.list("", world.name(x))), "A")
                if not c.list("", world.name(letter)):
                    c.ok("CREATE", world.name(letter))
                c.ok("CREATE", world.name(f"{letter}/next"))
                c.ok("SETACL", world.name(f"{letter}/next"), "admin", "lrswipkxtecda")
                c.append(world.name(f"{letter}/next"), b"Subject: next\r\n\r\ngoes on\r\n", ["\\Flagged"])
        except (ImapError, WireError, OSError) as error:
            self.complain(known, point, f"the next one fails: {error}")

    def refuse_line(self, op):
        """No line can be written to the sync log: the operation is refused and nothing has changed; later it can be done."""
        world = self.fresh(op)
        before, _ = self.look(world, op.exact)
        page = self.a.points[op.program]
        page.arm("synclog.append", "eio")
        answered = _answer(op, world)
        page.disarm()
        after, faults = self.look(world, op.exact)
        answers = answered.values() if isinstance(answered, dict) else [answered]
        self.wrong += [f"{op.name}: {line}" for line in faults]
        if page.fired != 1 or False not in answers or None in answers:
            self.wrong.append(f"{op.name}: answered {answered} without a line in the log")
        for what in {**before, **after}:
            refused = not (isinstance(answered, dict) and answered.get(what))
            if refused and before.get(what) != after.get(what):
                self.wrong.append(f"{op.name}: {what} changed without a line: {_differing(after, before)}")
        self.owed.update(dict.fromkeys(world.names.values(), f"{op.name} without a line"))
        world.close()

    # ---- the end ---------------------------------------------------------------------------------

    def settle_accounts(self):
        """Without anybody's help the replica becomes equal, for all who were disturbed since the last time."""
        names, self.owed = self.owed, {}
        began = time.monotonic()
        with suppress(TimeoutError):
            wait_until(lambda: self.sent() and not self.a.set_aside(), HEALED_WITHIN, "")
        lines = self._differences(names)
        while lines and time.monotonic() < began + HEALED_WITHIN:
            time.sleep(0.5)
            lines = self._differences(names)
        for line in lines:
            cause = [what for name, what in names.items() if name in line]
            self.wrong.append(f"not equal after {HEALED_WITHIN} s: {line} ({', '.join(cause)})")
        return time.monotonic() - began

    def _differences(self, names):
        try:
            return compare(*(read_store(server.endpoint(), list(names)) for server in (self.a, self.b)))
        except UNREADABLE as error:
            return [f"one of them cannot be read: {error}"]

    def finish(self):
        for server in (self.a, self.b):
            server.expect(EXPECTED)
            server.tool("ctl_cyrusdb", "-r")    # as at each start: it sweeps stages on partitions where nothing came afterwards
            server.finish()


# What the log says of it when a disk is full or fails, or a process is gone: it would be strange if nothing did. But nobody panics.
EXPECTED = r"event=(?!process\.panic)"


def _shown(store, exact):
    """{what: value}: what somebody could see, without times, modseqs and ids that are new each time."""
    out, names = {}, {}
    for name, box in store.mailboxes().items():
        names[box.header["UNIQUEID"]] = name
        records = {uid: (box.message_ids.get(uid), exact and r["GUID"], sorted(f.lower() for f in r["FLAGS"]))
                   for uid, r in sorted(box.live.items())}
        out[name] = (box.kind, box.header.get("ACL"), box.header.get("PARTITION"), sorted(box.annotations), records)
    for user, held in store.users.items():
        out[f"{user} subscriptions"] = sorted(held.subscriptions)
        out[f"{user} scripts"] = sorted(held.scripts.items())
        out[f"{user} seen"] = sorted((names.get(i, "?"), s["LASTUID"], s["SEENUIDS"]) for i, s in held.seen.items())
    out.update({f"quota {root}": sorted(limits.items()) for root, limits in store.quota.items()})
    return out


def _size(entry):
    try:
        return entry.stat().st_size
    except FileNotFoundError:    # taken meanwhile
        return 1


def _differing(seen, wanted):
    keys = sorted(k for k in {**seen, **wanted} if seen.get(k) != wanted.get(k))
    return "; ".join(f"{k} is {_short(seen.get(k))}, not {_short(wanted.get(k))}" for k in keys)


def _short(text):
    """Whole GUIDs and a whole ACL help nobody."""
    return text and re.sub(r"'(\w{6})\w{34}'|'\w\\\\tlrswipkxtecdan\\\\t'", r"\1", text)


def _answer(op, world):
    """True: acknowledged. False: refused. None: no answer. Or one of these for each recipient."""
    try:
        return op.run(world)
    except ImapError as error:
        assert error.reply.status == "NO", error
        return False
    except (WireError, OSError):
        return None


def _least(one, other):
    return {name: min(count, other[name]) for name, count in one.items() if name in other}
