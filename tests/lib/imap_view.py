"""What one IMAP session was told of the mailbox it has selected: lib.imap_model has the mailbox itself.

Numbers are what EXISTS, EXPUNGE and VANISHED make of them; flags, \\Recent and modseqs are as last announced. What a session was not
told of is None. Something that had to be shown and was not (a search does not find it, FETCH passes it over) is well if the message
turns out to be expunged: it is a suspect until the next command that tells of all."""
import hashlib
from dataclasses import dataclass

from lib.imap_model import DELETED, RECENT, SEEN, Change, Violation, expand, plain, shown
from lib.imap_values import pairs

KEEP_NUMBERS = {"FETCH", "STORE", "SEARCH"}    # without UID: no EXPUNGE while they run
TELLS_ALL = {"NOOP", "CHECK", "IDLE"}


class Members:
    """A sequence set: "2:4,7" or "5:*"."""

    def __init__(self, text):
        self.text = text
        self.ranges = [(p.partition(":")[0], p.partition(":")[2] or p.partition(":")[0]) for p in text.split(",")]

    def holds(self, number, top):
        for pair in self.ranges:
            low, high = sorted(top if one == "*" else int(one) for one in pair)
            if low <= number <= high:
                return True
        return False


@dataclass
class Saved:
    """What a client with QRESYNC remembers of a mailbox that it left."""
    uidvalidity: int
    modseq: int
    flags: dict    # {uid: (flags, modseq)}
    last_uid: int


@dataclass
class Command:
    name: str
    by_uid: bool = False
    members: Members = None
    change: Change = None         # of STORE; of a FETCH that makes messages \\Seen
    silent: bool = False
    since: int = None             # FETCH: CHANGEDSINCE
    earlier: bool = False         # VANISHED (EARLIER) may come: FETCH with VANISHED
    wants: object = None          # SEARCH: wants(number, entry) -> True, False, or None if the client cannot know
    returns: tuple = None         # of ESEARCH
    to: object = None             # the Box of COPY, MOVE, APPEND
    messages: list = None         # APPEND: [(flags, bytes)]
    resync: Saved = None          # SELECT with QRESYNC
    known: str = None             # ... and the UIDs it names
    qresync: bool = False         # SELECT: what is enabled then
    condstore: bool = False
    user: str = ""
    tag: str = ""


class Entry:
    """A message in a session's numbering. None: the client was not told."""
    __slots__ = ("uid", "flags", "recent", "modseq")

    def __init__(self, uid=None, flags=None, modseq=None):
        self.uid, self.flags, self.modseq, self.recent = uid, flags, modseq, None


class View:
    def __init__(self, box, who, user="", qresync=False, condstore=False, read_only=False):
        self.box, self.who, self.user = box, who, user
        self.qresync, self.condstore, self.read_only = qresync, condstore or qresync, read_only
        self.entries, self.gone = [], set()
        self.uidnext = self.highestmodseq = 0    # at SELECT
        self.modseq = 0             # all up to it is told (after what TELLS_ALL)
        self.best = 0               # highest told of a message
        self.suspects = {}          # {uid: why}: must be expunged, or it had to be shown
        self.told = {}              # of the command at hand: {Entry: [(flags, modseq)]}
        self.opened_in = box.round

    def bad(self, text):
        raise Violation(f"{self.box.name}: {text}", self.who)

    # ---- SELECT ------------------------------------------------------------------------------------

    @classmethod
    def opened(cls, box, who, command, reply):
        self = cls(box, who, command.user, command.qresync, command.condstore, reply.code == ["READ-ONLY"])
        told = reply.untagged
        closed = [i for i, r in enumerate(told) if r.code == ["CLOSED"]]
        told = told[closed[0] + 1:] if closed else told
        codes = {str(r.code[0]).upper(): r.code[1] for r in told if r.code and len(r.code) == 2}
        if codes.get("UIDVALIDITY") != box.uidvalidity:
            self.bad(f"UIDVALIDITY was {box.uidvalidity}, is {codes.get('UIDVALIDITY')}")
        self.uidnext, self.highestmodseq = codes["UIDNEXT"], codes["HIGHESTMODSEQ"]
        box.check_floor(who, command.name, self.uidnext, self.highestmodseq)
        self.modseq = self.best = self.highestmodseq
        exists = [r.number for r in told if r.name == "EXISTS"]
        if len(exists) != 1:
            self.bad(f"{len(exists)} EXISTS at {command.name}")
        if command.resync:
            self._resync(command, exists[0], [r for r in told if r.name == "VANISHED"], [r for r in told if r.name == "FETCH"])
        else:
            self.entries = [Entry() for _ in range(exists[0])]
        for r in told:
            if r.name not in ("EXISTS", "VANISHED"):
                self.hears(command, r)
        return self

    def _resync(self, command, exists, vanished, fetches):
        """What the client had, without what vanished, and what changed or came."""
        saved, told = dict(command.resync.flags), {}
        for r in vanished:
            if r.values[0] != ["EARLIER"]:
                self.bad("VANISHED without EARLIER at SELECT")
            for uid in expand(r.values[1]):
                saved.pop(uid, None)
                self.gone.add(uid)
        for r in fetches:
            uid = pairs(r.values[0]).get("UID") or self.bad("FETCH without UID at SELECT with QRESYNC")
            told[uid] = r.number
            if uid in self.gone:
                self.bad(f"uid {uid} vanished, and is there")
        uids = sorted({*saved, *told})
        missing = exists - len(uids)
        if missing and (missing < 0 or not command.known):
            self.bad(f"QRESYNC leaves the client with {len(uids)} messages, there are {exists}: {uids}")
        self.entries = [Entry(uid, *saved.get(uid, (None, None))) for uid in uids] + [Entry() for _ in range(missing)]
        for uid, number in told.items():
            if uids.index(uid) != number - 1:
                self.bad(f"QRESYNC tells uid {uid} as {number}, which the client has as {uids.index(uid) + 1}")

    def saved(self):
        """What a client remembers when it leaves; only after a command that told all."""
        flags = {e.uid: (e.flags, e.modseq) for e in self.entries}
        if None in flags or any(f is None for f, _ in flags.values()):
            return None
        return Saved(self.box.uidvalidity, self.modseq, flags, max(flags, default=0))

    # ---- untagged responses ------------------------------------------------------------------------

    def hears(self, command, r):
        if r.name == "EXISTS":
            if r.number < len(self.entries):
                self.bad(f"EXISTS {r.number} after {len(self.entries)}")
            self.entries += [Entry() for _ in range(r.number - len(self.entries))]
        elif r.name == "RECENT":
            self._recent(r.number)
        elif r.name == "EXPUNGE":
            self._expunge(command, r.number)
        elif r.name == "VANISHED":
            self._vanished(command, r.values)
        elif r.name == "FETCH":
            self._fetch(r.number, pairs(r.values[0]))
        elif r.name in ("BAD", "BYE", "PREAUTH") or r.name == "NO" and "ALERT" not in (r.code or ()):
            self.bad(f"untagged {r.name} {r.text}")

    def _recent(self, number):
        least = sum(1 for e in self.entries if e.recent)
        most = sum(1 for e in self.entries if e.recent is not False)
        if not least <= number <= most:
            self.bad(f"RECENT {number}, of which {least} to {most} can be")

    def _may_renumber(self, command, what):
        if command.name in KEEP_NUMBERS and not command.by_uid:
            self.bad(f"{what} during {command.name}")

    def _expunge(self, command, number):
        self._may_renumber(command, "EXPUNGE")
        if self.qresync:
            self.bad("EXPUNGE where VANISHED is enabled")
        if not 1 <= number <= len(self.entries):
            self.bad(f"EXPUNGE {number} of {len(self.entries)}")
        self._remove(number - 1)

    def _remove(self, at, uid=None):
        uid = self.entries.pop(at).uid or uid
        if uid is not None:
            self.gone.add(uid)
            self.suspects.pop(uid, None)
            self.box.told_gone.add(uid)

    def _vanished(self, command, values):
        if not self.qresync:
            self.bad("VANISHED where it is not enabled")
        earlier = values[0] == ["EARLIER"]
        uids = expand(values[-1])
        if earlier and not command.earlier:
            self.bad("VANISHED (EARLIER) where nobody asked")
        if not earlier:
            self._may_renumber(command, "VANISHED")
        for uid in uids:
            if earlier:
                if any(e.uid == uid for e in self.entries):
                    self.bad(f"uid {uid} vanished earlier, and is there")
                continue
            self._remove(self._place(uid), uid)

    def _place(self, uid):
        """Where a message is that may not have been told of by its UID yet."""
        after = 0
        for at, entry in enumerate(self.entries):
            if entry.uid == uid:
                return at
            if entry.uid and entry.uid < uid:
                after = at + 1
        if uid in self.gone or after == len(self.entries) or self.entries[after].uid:
            self.bad(f"uid {uid} vanished, which is none of those told")
        return after

    def _fetch(self, number, got):
        if not 1 <= number <= len(self.entries):
            self.bad(f"FETCH {number} of {len(self.entries)}")
        entry = self.entries[number - 1]
        if "UID" in got:
            self._learn(number, entry, got["UID"])
        elif self.qresync:
            self.bad(f"FETCH {number} without UID where QRESYNC is enabled")
        modseq = got["MODSEQ"][0] if "MODSEQ" in got else None
        if modseq is not None:
            if modseq < (entry.modseq or 0):
                self.bad(f"modseq of {number} (uid {entry.uid}) falls from {entry.modseq} to {modseq}")
            self.best = max(self.best, modseq)
        if "FLAGS" in got:
            self._flags(number, entry, got["FLAGS"], modseq)
        elif modseq is not None and entry.modseq not in (None, modseq):
            entry.flags = None    # they changed, and he was not told how
        if modseq is not None:
            entry.modseq = modseq
        self.told.setdefault(entry, []).append((entry.flags if "FLAGS" in got else None, modseq))
        if entry.uid and "BODY[]" in got:
            self.box.has_digest(entry.uid, hashlib.sha1(got["BODY[]"]).hexdigest(), self.who)
        if entry.uid and "RFC822.SIZE" in got and entry.uid not in self.box.gone:
            self.box.has_size(entry.uid, got["RFC822.SIZE"], self.who)

    def _learn(self, number, entry, uid):
        if entry.uid == uid:
            return
        if entry.uid:
            self.bad(f"{number} is uid {uid}, and was told as {entry.uid}")
        if uid in self.gone:
            self.bad(f"{number} is uid {uid}, which was expunged")
        lower = [e.uid for e in self.entries[:number - 1] if e.uid]
        higher = [e.uid for e in self.entries[number:] if e.uid]
        if lower and max(lower) >= uid or higher and min(higher) <= uid:
            self.bad(f"{number} is uid {uid}, which is not between those beside it")
        entry.uid = uid

    def _flags(self, number, entry, flags, modseq):
        recent = RECENT in {str(f).lower() for f in flags}
        if self.condstore and modseq is None:
            self.bad(f"flags of {number} without MODSEQ where CONDSTORE is enabled")
        if entry.recent and not recent:
            self.bad(f"{number} (uid {entry.uid}) is no longer \\Recent")
        if recent and entry.recent is False:
            self.bad(f"{number} (uid {entry.uid}) becomes \\Recent")
        entry.recent, entry.flags = recent, plain(flags)
        if entry.uid is None:
            return
        if recent and not self.read_only:
            owner = self.box.recent.setdefault((self.user, entry.uid), self)
            if owner is not self:
                raise Violation(f"{self.box.name}: uid {entry.uid} is \\Recent in {self.who} and was in {owner.who}",
                                self.who, owner.who)
        if modseq is not None:
            self.box.saw(self.who, entry.uid, modseq, entry.flags)

    # ---- whole commands ----------------------------------------------------------------------------

    def take(self, command, reply):
        """A command that was sent with the mailbox selected, and all that was answered. (SELECT, CLOSE and UNSELECT: closed().)"""
        self.told, targets, before = {}, self._targets(command, self.entries), list(self.entries)
        known = {entry: (entry.flags, entry.modseq) for entry in self.entries}
        if command.name == "STORE" and command.silent and reply.status == "OK" and not self.condstore:
            for entry in targets:    # the client knows itself what it did
                if entry.flags is not None:
                    entry.flags = frozenset(command.change.on(entry.flags))
        for r in reply.untagged:
            self.hears(command, r)
        if reply.status != "OK" and not self._is_excused(command, reply):
            self.bad(f"{command.name} -> {reply.status} {reply.code or ''} {reply.text}")
        if command.by_uid:    # some may have been told of by their UIDs only now
            targets = self._targets(command, before)
        judge = getattr(self, "_after_" + command.name.lower(), None)
        if judge:
            judge(command, reply, targets, before, known)
        if command.name not in KEEP_NUMBERS or command.by_uid:
            self.modseq = self.best
        if command.name in TELLS_ALL:
            self._after_news(command)

    def _is_excused(self, command, reply):
        code = (reply.code or [""])[0]
        if reply.status != "NO":
            return False
        if self.read_only and command.name in ("STORE", "EXPUNGE", "MOVE"):
            return True
        return code == "EXPUNGEISSUED" and command.name in ("FETCH", "COPY", "MOVE")

    def _targets(self, command, entries):
        if not command.members:
            return []
        if command.by_uid:
            top = max((e.uid for e in entries if e.uid), default=0)
            return [e for e in entries if e.uid and command.members.holds(e.uid, top)]
        return [e for n, e in enumerate(entries, 1) if command.members.holds(n, len(entries))]

    def _suspect(self, entry, why):
        """It is well only if the message is expunged."""
        if entry in self.entries and entry.uid:
            self.suspects.setdefault(entry.uid, why)

    def _after_news(self, command):
        """All that was acknowledged before this command was sent is told, and none of what is gone is there."""
        for uid, why in self.suspects.items():
            if any(e.uid == uid for e in self.entries):
                self.bad(f"uid {uid} {why}, and is not expunged")
        self.suspects = {}
        here = {e.uid for e in self.entries}
        for uid, message in self.box.messages.items():
            if message.base is None or uid in here or None in here or self.box.may_be_gone(uid):
                continue
            if message.round < self.box.round:
                self.box.missed.append((uid, self.who, command.name))
        for entry in self.entries:
            message = self.box.messages.get(entry.uid)
            if message and entry.modseq is not None:
                newer = [m for m, number in message.rounds.items() if m > entry.modseq and number < self.box.round]
                if newer:
                    self.bad(f"uid {entry.uid} has modseq {max(newer)}, and {command.name} leaves it at {entry.modseq}")

    def _after_store(self, command, reply, targets, before, known):
        if reply.status != "OK":
            return
        change = command.change
        modified = self._modified(command, reply)
        for entry in targets:
            told = self.told.get(entry, [])
            number = before.index(entry) + 1
            if (entry.uid if command.by_uid else number) in modified:
                self._check_modified(entry, change)
                continue
            satisfied = any(f is not None and change.on(f) == f for f, _ in told)
            if told and not satisfied and not command.silent:
                self.bad(f"STORE {change} on {number} (uid {entry.uid}), which is shown with {shown(told[0][0] or ())}")
            flags = known[entry][0]
            if not told and (not command.silent or self.condstore and flags is not None and change.on(flags) != flags):
                self._suspect(entry, f"was not shown after STORE {change}")
            self._note_order(entry, change, told)

    def _note_order(self, entry, change, told):
        if not self.condstore:
            self.box.ordered_somewhere(entry.uid, change)
        elif entry.uid:
            for _, modseq in told:
                if modseq is not None:
                    self.box.ordered(entry.uid, modseq, change)
        elif told:
            self.box.ordered_somewhere(None, change)

    def _modified(self, command, reply):
        if (reply.code or [""])[0] != "MODIFIED":
            return set()
        if command.change.since is None:
            self.bad("MODIFIED where nobody asked")
        return set(expand(reply.code[1]))

    def _check_modified(self, entry, change):
        """It must have changed, as the news in the same answer say."""
        if entry.modseq is not None and entry.modseq <= change.since:
            self._suspect(entry, f"is MODIFIED since {change.since}, has modseq {entry.modseq}")

    def _after_fetch(self, command, reply, targets, before, known):
        for entry in targets:
            told = self.told.get(entry, [])
            flags, modseq = known[entry]
            if command.since is not None:
                if not told and modseq is not None and modseq > command.since:
                    self._suspect(entry, f"has modseq {modseq} and was not shown as changed since {command.since}")
                # Where \Seen is each user's own it may be seen a moment before its modseq.
                if told and self.box.own_seen and max(m or 0 for _, m in told) <= command.since:
                    self.bad(f"uid {entry.uid} is shown as changed since {command.since}, has modseq {told[-1][1]}")
                continue
            if not told:
                self._suspect(entry, "was not shown by FETCH")
            elif command.change and not self.read_only and flags is not None and SEEN not in flags and \
                    not any(f is not None and SEEN in f for f, _ in told):
                self._suspect(entry, "was fetched, and is not \\Seen")
            if command.change and not self.read_only:
                self._note_order(entry, command.change, told)

    def _after_search(self, command, reply, targets, before, known):
        found, whole = self._found(command, reply)
        sure, possible = set(), set()
        for number, entry in enumerate(before, 1):
            name = entry.uid if command.by_uid else number
            wanted = None if entry in self.told else command.wants(number, entry)
            if name is None:
                possible = None
                continue
            if wanted is not False and possible is not None:
                possible.add(name)
            if wanted:
                sure.add(name)
                if whole and name not in found:
                    self._suspect(entry, f"was not found by SEARCH, has flags {shown(entry.flags or ())}, modseq {entry.modseq}")
            if wanted is False and name in found:
                self.bad(f"SEARCH finds {name} (uid {entry.uid}), which has flags {shown(entry.flags or ())}, modseq {entry.modseq}")
        if possible is not None and not found <= possible:
            self.bad(f"SEARCH finds {sorted(found - possible)}, which are no messages")

    def _found(self, command, reply):
        """What was found, and is it all?"""
        if command.returns is None:
            values = reply.one("SEARCH").values
            return {v for v in values if not isinstance(v, list)}, True
        values = reply.one("ESEARCH").values
        if values[0] != ["TAG", command.tag.encode()]:
            self.bad(f"ESEARCH of {values[0]}, not {command.tag}")
        values = values[1:]
        if (values[:1] == ["UID"]) != command.by_uid:
            self.bad(f"ESEARCH {values}")
        got = pairs(values[1:] if command.by_uid else values)
        found = set(expand(got["ALL"])) if "ALL" in got else set()
        whole = "ALL" in command.returns
        if whole:
            wanted = {"COUNT": len(found), "MIN": min(found, default=None), "MAX": max(found, default=None)}
            if any(got.get(k) != v for k, v in wanted.items() if k in command.returns):
                self.bad(f"ESEARCH says {got}, which is not the same")
        return found or {got[k] for k in ("MIN", "MAX") if k in got}, whole

    def _after_copy(self, command, reply, targets, before, known):
        moves = command.name == "MOVE"
        codes = [r.code for r in reply.untagged if r.code] if moves else [reply.code or []]
        code = next((c for c in codes if c[:1] == ["COPYUID"]), None)
        copied = {}
        if code:
            if reply.status != "OK" or code[1] != command.to.uidvalidity or len(expand(code[2])) != len(expand(code[3])):
                self.bad(f"{command.name}: {code}")
            copied = dict(zip(expand(code[2]), expand(code[3])))
        for entry in targets:
            if entry.uid not in copied and (copied or reply.status == "OK"):
                self._suspect(entry, f"was left out by {command.name}")
        uids = {e.uid for e in targets}
        if None not in uids and not set(copied) <= uids:
            self.bad(f"{command.name} took {sorted(set(copied) - uids)}, too")
        for here, there in copied.items():
            self._copied(command, here, there, moves)

    _after_move = _after_copy

    def _copied(self, command, here, there, moves):
        box, to = self.box, command.to
        source = box.messages.get(here)
        to.made(self.who, there, source.digest if source else box.gone.get(here), source=source,
                blurred=not (box.own_seen and to.own_seen))
        if not moves:
            return
        if here in box.moved:
            raise Violation(f"{box.name}: uid {here} is moved by {self.who} and was by {box.moved[here]}", self.who, box.moved[here])
        box.moved[here] = self.who
        if any(e.uid == here for e in self.entries):
            self.bad(f"uid {here} was moved, and not told to be expunged")

    def _after_expunge(self, command, reply, targets, before, known):
        if reply.status != "OK":
            return
        self.expunged(before, known, command.members)
        code = reply.code or [""]
        if code[0] == "HIGHESTMODSEQ" and code[1] < self.box.floor_modseq:
            self.bad(f"EXPUNGE says HIGHESTMODSEQ {code[1]}, there was {self.box.floor_modseq}")

    def expunged(self, entries=None, known=None, members=None):
        """By EXPUNGE or CLOSE: what it can have taken, and what it must have."""
        entries = self.entries if entries is None else entries
        uids = {e.uid for e in entries if e.uid and (not members or members.holds(e.uid, 0))}
        named = {e.uid for e in entries}
        self.box.removals.append(lambda uid: uid in uids or
                                 None in named and uid not in named and (not members or members.holds(uid, 0)))
        for entry in entries:
            flags, modseq = known[entry] if known else (entry.flags, entry.modseq)
            if entry.uid in uids and flags is not None and modseq is not None and DELETED in flags:
                self.box.must_go.append((entry.uid, modseq, self.who))

    def _after_append(self, command, reply, targets, before, known):
        appended(self.who, command, reply)

    # ---- when nobody works -------------------------------------------------------------------------

    def compare(self, told):
        """told: {uid: (flags, modseq, size)}, what a new session of the same user sees; this one was told all by a NOOP."""
        uids = sorted(told)
        if len(self.entries) != len(uids):
            self.bad(f"it was told of {len(self.entries)} messages, a new session of {len(uids)}")
        for number, (entry, uid) in enumerate(zip(self.entries, uids), 1):
            flags, modseq, _ = told[uid]
            if entry.uid not in (None, uid):
                self.bad(f"{number} was told as uid {entry.uid}, a new session sees {uid}")
            if entry.flags is not None and entry.flags != plain(flags):
                self.bad(f"uid {uid} was told with flags {shown(entry.flags)}, a new session sees {shown(plain(flags))}")
            if entry.modseq not in (None, modseq):
                self.bad(f"uid {uid} was told with modseq {entry.modseq}, a new session sees {modseq}")


def appended(who, command, reply):
    """An APPEND was answered, of a session that may have any mailbox selected or none."""
    if reply.status != "OK":
        raise Violation(f"{command.to.name}: APPEND -> {reply.status} {reply.code or ''} {reply.text}", who)
    code = reply.code or [""]
    uids = expand(code[2]) if code[0] == "APPENDUID" else []
    if len(uids) != len(command.messages) or code[1] != command.to.uidvalidity:
        raise Violation(f"{command.to.name}: APPEND of {len(command.messages)} messages -> {code}", who)
    for uid, (flags, data) in zip(uids, command.messages):
        command.to.made(who, uid, hashlib.sha1(data).hexdigest(), plain(flags))
        command.to.has_size(uid, len(data), who)
