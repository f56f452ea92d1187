"""What is true of a mailbox on which many IMAP sessions work at once: a model, which shares nothing with any server.

    box = Box("INBOX", uidvalidity)                   # what is true of a mailbox, as far as anybody was told
    view = View.opened(box, "s3", command, reply)     # what one session was told of it, since its SELECT
    box.new_round()                                   # what was answered before this was there before all that comes now
    view.take(command, reply)                         # a Command that was sent, and the lib.imap.Reply
    box.end_round()                                   # all that was sent in this round is answered
    box.settle(shown, ...); box.forget()              # nobody works: does a new session see what everybody's orders left?
    view.compare(shown)                               # and this session has been told all of it

A Violation is raised by what may not be: by RFC 3501 (numbers, 7.4.1; \\Recent, 2.3.2; UIDs, 2.3.1.1), by RFC 7162 (modseqs), or
because flags and messages are not what somebody ordered.

How orders given at the same time are told apart: each commit to a mailbox has a modseq of its own, so the flags of a message
are a row of versions, (modseq, flags). Everybody who sees one of them must see the same; who ordered a change is shown the version
it made; and settle() demands for each version somebody whose order makes it of the one before it. Sessions without CONDSTORE are
not told of modseqs: what they ordered is held for possible anywhere since the last settle().

Flags are sets of lower-case names without \\Recent, which belongs to a session and not to the message."""
from dataclasses import dataclass, field

SEEN, DELETED, RECENT = "\\seen", "\\deleted", "\\recent"


class Violation(AssertionError):
    """who: names of the sessions it concerns."""

    def __init__(self, text, *who):
        super().__init__(text)
        self.who = who


def expand(text):
    """A set of numbers, as it is written, as a list in its order."""
    out = []
    for part in str(text).split(","):
        low, _, high = part.partition(":")
        low, high = int(low), int(high or low)
        out += range(low, high + 1) if low <= high else range(high, low + 1)
    return out


def plain(flags):
    return frozenset(str(f).lower() for f in flags) - {RECENT}


def shown(flags):
    return "(" + " ".join(sorted(flags)) + ")"


@dataclass(frozen=True)
class Change:
    """An order to change flags. how: "+", "-" or "" for a replacement."""
    how: str
    flags: frozenset
    who: str = ""
    since: int = None    # UNCHANGEDSINCE
    round: int = 0

    def on(self, flags):
        return {"+": flags | self.flags, "-": flags - self.flags, "": self.flags}[self.how]

    def sets(self, flag):
        """What becomes of one flag: True, False, or None for nothing."""
        if flag in self.flags:
            return self.how != "-"
        return False if self.how == "" else None

    def without(self, flag):
        return Change(self.how, self.flags - {flag}, self.who, self.since, self.round)

    def __str__(self):
        return f"{self.who} {self.how}FLAGS {shown(self.flags)}"


@dataclass
class Message:
    """All that was told of one message since the last settle()."""
    uid: int
    round: int
    digest: str = None
    size: int = None
    base: tuple = None                                # sets of flags it may have begun with; None: it is not known where it came from
    source: object = None                             # the Message it is a copy of: it begins with one of that one's
    blurred: bool = False                             # ... perhaps with another \\Seen
    versions: dict = field(default_factory=dict)      # {modseq: flags}
    rounds: dict = field(default_factory=dict)        # {modseq: the round in which it was first told}
    makers: dict = field(default_factory=dict)        # {modseq: [Change]}
    hidden: list = field(default_factory=list)        # [Change] of sessions that are told no modseqs
    settled: int = 0                                  # modseq of its version at the last settle()

    def last(self):
        return max(self.versions, default=0)

    def beginnings(self):
        """What it may have begun with; (): anything."""
        if not self.source:
            return self.base or ()
        if self.source.hidden:
            return ()
        flags = {*self.source.versions.values(), *(self.source.beginnings() if not self.source.settled else ())}
        if self.blurred:
            flags = {x for f in flags for x in (f - {SEEN}, f | {SEEN})}
        return tuple(flags)


class Box:
    """own_seen: \\Seen is a flag like any other; in a mailbox that nobody owns each user has his own, which no modseq orders."""

    def __init__(self, name, uidvalidity, own_seen=True):
        self.name, self.uidvalidity, self.own_seen = name, uidvalidity, own_seen
        self.messages = {}        # {uid: Message}, all that are not known to be gone for good
        self.gone = {}            # {uid: digest}
        self.round = 0
        self.top_uid = self.top_modseq = 0            # told to anybody
        self.floor_uid = self.floor_modseq = 0        # ... before this round
        self.recent = {}          # {(user, uid): View that has it}
        self.deliveries = {}      # {token: round}: delivered, and no uid known yet
        self.hidden = []          # like Message.hidden, for messages without a known uid
        self.removals = []        # [of an EXPUNGE or CLOSE: uid -> can it have meant that?]
        self.moved = {}           # {uid: who}
        self.must_go = []         # [(uid, modseq at which it was \\Deleted, who)]
        self.missed = []          # [(uid, who, how)]: not told of in this round; well if somebody removed it
        self.told_gone = set()    # uids of which somebody was told that they are expunged
        self.live = set()         # at the last settle()

    def new_round(self):
        self.round += 1
        self.floor_uid, self.floor_modseq = self.top_uid, self.top_modseq

    def end_round(self):
        """Only now all is heard that was done meanwhile."""
        for uid, who, how in self.missed:
            if not self.may_be_gone(uid):
                since = self.messages[uid].round
                raise Violation(f"{self.name}: uid {uid} is there since round {since}, and {how} does not tell of it", who)
        self.missed = []

    def fact(self, flags):
        return frozenset(flags) if self.own_seen else frozenset(flags) - {SEEN}

    def note_modseq(self, modseq):
        self.top_modseq = max(self.top_modseq, modseq)

    # ---- messages ----------------------------------------------------------------------------------

    def message(self, uid):
        """Seen by somebody; perhaps before it is known where it came from."""
        if uid not in self.messages:
            self.messages[uid] = Message(uid, self.round)
        return self.messages[uid]

    def made(self, who, uid, digest, flags=None, source=None, blurred=False):
        """By an APPEND with these flags; or by a COPY or MOVE of source, a Message, if it is known."""
        if uid <= self.floor_uid:
            raise Violation(f"{self.name}: new message has uid {uid}, there was {self.floor_uid}", who)
        if uid in self.gone or uid in self.messages and self.messages[uid].base is not None:
            raise Violation(f"{self.name}: uid {uid} is given again", who)
        message = self.message(uid)
        message.base = () if flags is None else (self.fact(flags),)
        message.source, message.blurred = source, blurred
        self.has_digest(uid, digest, who)
        self.top_uid = max(self.top_uid, uid)

    def delivered(self, token):
        """Acknowledged by LMTP."""
        self.deliveries[token] = self.round

    def found(self, uid, token, digest, size, who):
        """The body of a message of which nobody knew: it must be a delivery."""
        if token not in self.deliveries:
            raise Violation(f"{self.name}: uid {uid} is a message that nobody sent here: {token}", who)
        del self.deliveries[token]
        message = self.message(uid)
        message.base = (frozenset(),)
        self.has_digest(uid, digest, who)
        self.has_size(uid, size, who)
        self.top_uid = max(self.top_uid, uid)

    def unknown(self, uids):
        """Those of which nobody knows where they came from."""
        return [uid for uid in uids if uid not in self.messages or self.messages[uid].base is None]

    def has_digest(self, uid, digest, who):
        if uid in self.gone:
            return
        message = self.message(uid)
        if message.digest and digest and message.digest != digest:
            raise Violation(f"{self.name}: uid {uid} has another body", who)
        message.digest = message.digest or digest

    def has_size(self, uid, size, who):
        message = self.message(uid)
        if message.size not in (None, size):
            raise Violation(f"{self.name}: uid {uid} had {message.size} octets, has {size}", who)
        message.size = size

    def saw(self, who, uid, modseq, flags):
        """Somebody was told that a message has these flags at this modseq."""
        if uid in self.gone:    # he has not heard of it yet
            return
        message, flags = self.message(uid), self.fact(flags)
        known = message.versions.get(modseq)
        if known is not None and known != flags:
            raise Violation(f"{self.name}: uid {uid} has flags {shown(flags)} at modseq {modseq}, and had {shown(known)}", who)
        if known is None:
            if modseq < message.settled:
                raise Violation(f"{self.name}: uid {uid} has modseq {modseq}, which it never had; {message.settled} was before", who)
            message.versions[modseq] = flags
            message.rounds[modseq] = self.round
        self.note_modseq(modseq)
        self.top_uid = max(self.top_uid, uid)

    def ordered(self, uid, modseq, change):
        """Who ordered this change was shown this version: perhaps he made it."""
        if uid not in self.gone:
            self.message(uid).makers.setdefault(modseq, []).append(change)

    def ordered_somewhere(self, uid, change):
        """He was shown no modseq."""
        if uid in self.gone:
            return
        (self.hidden if uid is None else self.message(uid).hidden).append(change)

    def may_be_gone(self, uid):
        return uid in self.gone or uid in self.moved or any(meant(uid) for meant in self.removals)

    # ---- what is told of the whole -----------------------------------------------------------------

    def check_floor(self, who, what, uidnext=None, modseq=None):
        """Told by a command that began in this round."""
        if uidnext is not None and uidnext <= self.floor_uid:
            raise Violation(f"{self.name}: {what} says UIDNEXT {uidnext}, there was uid {self.floor_uid}", who)
        if modseq is not None and modseq < self.floor_modseq:
            raise Violation(f"{self.name}: {what} says HIGHESTMODSEQ {modseq}, there was {self.floor_modseq}", who)
        if modseq is not None:
            self.note_modseq(modseq)

    def status(self, who, items):
        if items.get("UIDVALIDITY", self.uidvalidity) != self.uidvalidity:
            raise Violation(f"{self.name}: UIDVALIDITY was {self.uidvalidity}, is {items['UIDVALIDITY']}", who)
        self.check_floor(who, "STATUS", items.get("UIDNEXT"), items.get("HIGHESTMODSEQ"))

    # ---- when nobody works -------------------------------------------------------------------------

    def settle(self, told, uidnext, highestmodseq, who="a new session"):
        """told: {uid: (flags, modseq, size)}, all there is. Unknown messages must have been told with found()."""
        self.check_floor(who, "SELECT", uidnext, highestmodseq)
        for uid, (flags, modseq, size) in told.items():
            if uid in self.gone:
                raise Violation(f"{self.name}: uid {uid} was expunged, and is back", who)
            if uid >= uidnext:
                raise Violation(f"{self.name}: uid {uid}, and UIDNEXT is {uidnext}", who)
            if modseq > highestmodseq:
                raise Violation(f"{self.name}: uid {uid} has modseq {modseq}, and HIGHESTMODSEQ is {highestmodseq}", who)
            self.saw(who, uid, modseq, flags)
            self.has_size(uid, size, who)
            if modseq < self.messages[uid].last():
                self._complain(uid, f"has modseq {modseq}, and had {self.messages[uid].last()}")
            if self.messages[uid].base is None:
                raise Violation(f"{self.name}: uid {uid} is a message that nobody sent here", who)
        if self.deliveries:
            raise Violation(f"{self.name}: delivered, and not there: {sorted(self.deliveries)}", who)
        rounds = self._rounds()
        for message in self.messages.values():
            self._explain(message, rounds, message.uid in told)
            if message.uid not in told:
                self._explain_absence(message)
        for uid, modseq, by in self.must_go:
            hidden = self.hidden or uid in told and self.messages[uid].hidden
            if uid in told and not hidden and not any(m > modseq and DELETED not in v for m, v in self.messages[uid].versions.items()):
                self._complain(uid, f"was \\Deleted when {by} expunged, and is there", by)
        for uid in self.moved:
            if uid in told:
                self._complain(uid, f"was moved by {self.moved[uid]}, and is there", self.moved[uid])
        self.live = set(told)

    def _complain(self, uid, what, *who):
        message = self.messages[uid]
        row = "; ".join(f"{m} {shown(v)} <- {', '.join(map(str, message.makers.get(m, ()))) or 'nobody'}"
                        for m, v in sorted(message.versions.items()))
        hidden = "".join(f"; somewhere {c}" for c in message.hidden)
        base = " or ".join(shown(f) for f in message.base or ())
        makers = [c.who for changes in message.makers.values() for c in changes] + [c.who for c in message.hidden]
        raise Violation(f"{self.name}: uid {uid} {what}\nit was {base}: {row}{hidden}", *who, *dict.fromkeys(makers))

    def _rounds(self):
        """[(modseq, the first round in which it or a higher one was told)], ascending."""
        first = {}
        for message in self.messages.values():
            for modseq, number in message.rounds.items():
                first[modseq] = min(number, first.get(modseq, number))
        out, least = [], None
        for modseq in sorted(first, reverse=True):
            out.append((modseq, least))
            least = first[modseq] if least is None else min(least, first[modseq])
        return dict(out)

    def _explain(self, message, rounds, is_there):
        """Each version is made of the one before by somebody's order."""
        states, before = message.beginnings(), message.settled
        if self.hidden and not before and message.source:
            states = ()
        states = tuple({self.fact(f) for f in states})
        hidden = [*message.hidden, *self.hidden]
        for modseq in sorted(m for m in message.versions if m > message.settled):
            flags = message.versions[modseq]
            makers = [c if self.own_seen else c.without(SEEN) for c in message.makers.get(modseq, ())]
            good = [c for c in makers if states == () or any(c.on(s) == flags for s in states)]
            born = not before and (states == () or flags in states)
            # Who was not told yet that it is expunged may be shown it with the modseq of that.
            dead = not is_there and modseq == message.last() and flags in states
            if not good and not born and not dead and not self._is_possible(states, flags, makers, hidden):
                self._complain(message.uid, f"has flags {shown(flags)} at modseq {modseq}, which nobody ordered")
            if good and not born and not dead and not hidden:
                self._check_order(message, modseq, before, good, rounds)
            states, before = (flags,), modseq

    def _is_possible(self, states, flags, makers, hidden):
        """With orders that were given somewhere: is there one for each flag that is another?"""
        if not hidden or not states:
            return bool(hidden)
        changes = hidden + makers
        return any(all(any(c.sets(f) is (f in flags) for c in changes) for f in s ^ flags) for s in states)

    def _check_order(self, message, modseq, before, changes, rounds):
        later = rounds.get(modseq)
        if later is not None and all(c.round > later for c in changes):
            self._complain(message.uid, f"was given modseq {modseq} when a higher one was known")
        if before and all(c.since is not None and c.since < before for c in changes):
            self._complain(message.uid, f"had modseq {before}, and was changed if not since {changes[0].since}")

    def _explain_absence(self, message):
        uid = message.uid
        if uid in self.moved:
            return
        begun = message.beginnings()
        deleted = [message.versions[message.last()]] if message.versions else begun
        possible = not message.versions and begun == () or any(DELETED in flags for flags in deleted) or \
            any(c.sets(DELETED) for c in [*message.hidden, *self.hidden])
        if not possible:
            self._complain(uid, "is gone, and was not \\Deleted")
        if not any(meant(uid) for meant in self.removals):
            self._complain(uid, "is gone, and nobody expunged it")

    def forget(self):
        """What was settled is where the next orders begin. After the settle() of all boxes: copies refer to their sources."""
        for uid, message in list(self.messages.items()):
            if uid not in self.live:
                self.gone[uid] = message.digest
                del self.messages[uid]
                continue
            last = message.last()
            message.versions = {last: message.versions[last]}
            message.base, message.source, message.settled = (message.versions[last],), None, last
            message.makers, message.hidden, message.rounds = {}, [], {last: self.round}
        self.hidden, self.removals, self.moved, self.must_go = [], [], {}, []
