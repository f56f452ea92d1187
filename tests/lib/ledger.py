"""The ledger: what servers have acknowledged, so that a test can ask after any disaster whether it is there.

    ledger = Ledger()
    ledger.message("user.bob", sha1=digest, uid=7)          # after the OK
    ledger.flag("user.bob", 7, "\\\\Seen", acked=False)       # sent, the connection died: may be or not
    ledger.check(store)                                     # lines: what acknowledged things are missing
    ledger.observe(store)                                   # lines: what may never happen between two looks

Mailboxes are named as on the csync wire. A store is what lib.store reads. acked=False says that the command
went out and no answer came: afterwards both outcomes are well, until the same thing is acknowledged.

    I1  acknowledged is never lost                check()
    I2  a UID never changes its content           observe()
    I3  UIDVALIDITY stays                         observe()
    I4  modseq never falls                        observe()
    I5  expunged never comes back                 observe()
    I6  once, however often it was sent           check(), for messages with once=True
    I8  a quiet pair is equal                     lib.checker
    I12 quota is the sum of the messages          lib.store, in the store's faults"""
import re
from collections import Counter
from dataclasses import dataclass, field

from lib import sums


@dataclass
class _Message:
    sha1: str
    message_id: str
    uid: int
    acked: bool
    once: bool


@dataclass
class _Box:
    """What is known of a mailbox. For states: True, False, or None where an answer never came."""
    names: list                                      # more than one while a rename is in doubt
    exists: bool = True
    messages: list = field(default_factory=list)
    flags: dict = field(default_factory=dict)        # {(uid, lower-case flag): state}
    expunged: dict = field(default_factory=dict)     # {uid: state}
    acl: dict = field(default_factory=dict)          # {identifier: rights, "" for none, None in doubt}


@dataclass
class _Seen:
    """What a server showed of one mailbox, over all looks."""
    name: str
    uidvalidity: int
    highestmodseq: int
    last_uid: int
    records: dict = field(default_factory=dict)      # {uid: (guid, modseq)}
    gone: set = field(default_factory=set)           # uids seen expunged, or not seen any more


class Ledger:
    def __init__(self):
        self._boxes = []
        self._latest = None         # {name: the last of _boxes that has it}; None: to be made again
        self._subscriptions = {}    # {(user, mailbox): state}
        self._quota = {}            # {root: {resource: limit}, None in doubt}
        self._seen = {}             # {server: {uniqueid: _Seen}}

    # ---- recording -------------------------------------------------------------------------------

    def message(self, mailbox, sha1=None, message_id=None, uid=None, acked=True, once=False):
        """A message was stored: known by the SHA-1 of its bytes, or by its Message-ID where the server adds
        to the header (LMTP). once: however often it is recorded, there must be no second copy."""
        if not (sha1 or message_id):
            raise ValueError("a message is known by sha1 or message_id")
        self._box(mailbox).messages.append(_Message(sha1, message_id, uid, acked, once))

    def flag(self, mailbox, uid, flag, on=True, acked=True):
        self._box(mailbox).flags[uid, flag.lower()] = on if acked else None

    def expunged(self, mailbox, uid, acked=True):
        self._box(mailbox).expunged[uid] = True if acked else None

    def created(self, mailbox, acked=True):
        box = self._find(mailbox)
        if box and box.exists is False:
            self._boxes.remove(box)
            box = None
        if not box:
            self._boxes.append(_Box([mailbox], True if acked else None))
            self._latest = None
        elif acked:
            box.exists = True

    def deleted(self, mailbox, acked=True):
        """The mailbox itself; its children are named by themselves."""
        box = self._box(mailbox)
        box.exists = False if acked else None
        if acked:
            box.messages, box.flags, box.expunged, box.acl = [], {}, {}, {}

    def renamed(self, old, new, acked=True):
        """The mailbox with all its children."""
        self._box(old)
        self._latest = None
        for box in self._boxes:
            if box.exists is False:
                continue
            for name in list(box.names):
                if name == old or name.startswith(old + "."):
                    moved = new + name[len(old):]
                    box.names = [moved] if acked else [*box.names, moved]
                    break
        if acked:
            self._boxes.append(_Box([old], False))

    def subscribed(self, user, mailbox, on=True, acked=True):
        self._subscriptions[user, mailbox] = on if acked else None

    def acl(self, mailbox, identifier, rights, acked=True):
        self._box(mailbox).acl[identifier] = rights if acked else None

    def quota(self, root, limits, acked=True):
        """limits: {"STORAGE": KiB, ...} complete; {} for a root without limits."""
        self._quota[root] = dict(limits) if acked else None

    def _find(self, mailbox):
        if self._latest is None:
            self._latest = {name: box for box in self._boxes for name in box.names}
        return self._latest.get(mailbox)

    def _box(self, mailbox):
        box = self._find(mailbox)
        if box is None:
            box = self._latest[mailbox] = _Box([mailbox])
            self._boxes.append(box)
        return box

    def in_doubt(self, mailbox):
        """Was it being made, renamed or deleted when the answer stayed away?"""
        box = self._find(mailbox)
        return bool(box) and (box.exists is None or len(box.names) > 1)

    # ---- is everything there? --------------------------------------------------------------------

    def check(self, store):
        """Lines: what was acknowledged and is not so in this store."""
        boxes, out = store.mailboxes(), []
        latest = {name: box for box in self._boxes for name in box.names}
        for expected in self._boxes:
            names = [n for n in expected.names if latest[n] is expected]
            found = [boxes[n] for n in names if n in boxes and "d" not in boxes[n].kind[1:]]
            if names:
                out += self._check_box(expected, names, found)
        for (user, mailbox), on in self._subscriptions.items():
            has = user in store.users and mailbox in store.users[user].subscriptions
            if on is not None and on != has:
                out.append(f"{user}: {'not ' if on else 'still '}subscribed to {mailbox}")
        for root, limits in self._quota.items():
            if limits is not None and limits != store.quota.get(root, {}):
                out.append(f"quota {root}: acknowledged {limits}, has {store.quota.get(root)}")
        return [f"{store.name}: {line}" for line in out]

    def _check_box(self, expected, names, found):
        where = " or ".join(names)
        if len(found) > 1:
            return [f"{where}: a rename left both"]
        if not found:
            return [f"{where}: no such mailbox"] if expected.exists else []
        if expected.exists is False:
            return [f"{where}: deleted, and there"]
        box = found[0]
        return [f"{box.name} {line}" for line in [*_check_messages(expected, box), *_check_flags(expected, box),
                                                  *_check_acl(expected, box)]]

    # ---- what may never happen -------------------------------------------------------------------

    def observe(self, store, server=None):
        """Lines: what of this store contradicts what the same server showed at earlier looks. server: its
        identity, if not the store's name; give primary and replica the same to look over a failover."""
        history = self._seen.setdefault(server or store.name, {})
        out = []
        for box in store.mailboxes().values():
            if "i" in box.kind[1:] or "d" in box.kind[1:]:
                continue
            before = history.get(box.header["UNIQUEID"])
            if before:
                out += [f"{store.name}: {box.name}{line}" for line in _contradictions(before, box)]
            else:
                out += [f"{store.name}: {box.name}: a new mailbox with UIDVALIDITY {box.number('UIDVALIDITY')}, "
                        f"the former one had {old.uidvalidity}" for old in history.values()
                        if old.name == box.name and old.uidvalidity >= box.number("UIDVALIDITY")]
            history[box.header["UNIQUEID"]] = _look(before, box)
        return out

    def forget(self, server):
        """The server was rightly made to take another's state: start its history anew."""
        self._seen.pop(server, None)


def _key(message):
    return message.sha1 or message.message_id


def _check_messages(expected, box):
    guids = Counter(r["GUID"] for r in box.live.values())
    ids = Counter(box.message_ids.values())
    by_key = {}
    for message in expected.messages:
        by_key.setdefault(_key(message), []).append(message)
    for key, same in by_key.items():
        gone = [expected.expunged.get(m.uid, False) for m in same]
        must = sum(1 for m, g in zip(same, gone) if m.acked and g is False)
        has = (guids if same[0].sha1 else ids)[key]
        once = any(m.once for m in same)
        if has < (min(must, 1) if once else must):
            yield f"message {key}: acknowledged {must} times, there {has} times"
        elif once and has > 1:
            yield f"message {key}: there {has} times"
        for m, g in zip(same, gone):
            if m.uid and m.acked and g is False and m.sha1 and m.uid in box.live and \
                    box.live[m.uid]["GUID"] != m.sha1:
                yield f"uid {m.uid}: stored as {m.sha1}, is {box.live[m.uid]['GUID']}"
    for uid, state in expected.expunged.items():
        if state and uid in box.live:
            yield f"uid {uid}: expunged, and there"


def _check_flags(expected, box):
    for (uid, flag), on in expected.flags.items():
        if on is None or expected.expunged.get(uid, False) is not False:
            continue
        if uid not in box.live:
            yield f"uid {uid}: {flag} was {'set' if on else 'cleared'}, and the message is not there"
        elif on != (flag in {f.lower() for f in box.live[uid]["FLAGS"]}):
            yield f"uid {uid}: {flag} is {'not set' if on else 'set'}"


def _check_acl(expected, box):
    words = box.header["ACL"].split("\t")
    has = dict(zip(words[::2], words[1::2]))
    for who, rights in expected.acl.items():
        if rights is not None and set(rights) != set(has.get(who, "")):
            yield f"ACL: {who} was given {rights!r}, has {has.get(who, '')!r}"


def _contradictions(before, box):
    if box.number("UIDVALIDITY") != before.uidvalidity:
        yield f": UIDVALIDITY was {before.uidvalidity}, is {box.number('UIDVALIDITY')}"
    for key, old in (("HIGHESTMODSEQ", before.highestmodseq), ("LAST_UID", before.last_uid)):
        if box.number(key) < old:
            yield f": {key} fell from {old} to {box.number(key)}"
    for uid, record in box.records.items():
        guid, modseq = before.records.get(uid, (None, 0))
        if guid and guid != record["GUID"]:
            yield f" uid {uid}: its content was {guid}, is {record['GUID']}"
        if int(record["MODSEQ"]) < modseq:
            yield f" uid {uid}: its modseq fell from {modseq} to {record['MODSEQ']}"
        if not sums.expunged(record):
            if uid in before.gone:
                yield f" uid {uid}: was expunged, and is back"
            elif guid is None and uid <= before.last_uid:
                yield f" uid {uid}: was not there when LAST_UID was {before.last_uid}"


def _look(before, box):
    out = before or _Seen(box.name, box.number("UIDVALIDITY"), 0, 0)
    out.records.update({uid: (r["GUID"], int(r["MODSEQ"])) for uid, r in box.records.items()})
    out.gone |= set(out.records) - set(box.live)
    out.name, out.uidvalidity = box.name, box.number("UIDVALIDITY")
    out.highestmodseq = max(out.highestmodseq, box.number("HIGHESTMODSEQ"))
    out.last_uid = max(out.last_uid, box.number("LAST_UID"))
    return out


class Unfinished:
    """What a look by `reconstruct -n` may tell after a disaster: of things that nobody was told are done."""

    def __init__(self):
        self.without_copy = set()    # mailboxes that were just being made

    def others(self, lines, ledger, store, log=()):
        """Those lines that tell of something else. log: of the server, which says itself what it could not write."""
        return [line for line in lines if not self._is_so(line, ledger, store, log)]

    def _is_so(self, line, ledger, store, log):
        """A message file whose record was still to come, or its bytes, too; the copy of a row, which is written after the row and before
        the OK, if the disk is not full, and made up for by the first commit."""
        if re.fullmatch(r"\S+ uid \d+ (found - adding|is empty - removing its file)", line):
            return True
        match = re.fullmatch(r"(\S+): mbox.hdr is missing or damaged", line)
        if not match:
            return False
        said = re.compile(rf"event=store\.hdr\.unwritable .*mailbox={re.escape(match[1])} .*No space left")
        if ledger.in_doubt(match[1]) or any(map(said.search, log)):
            self.without_copy.add(match[1])
        return match[1] in self.without_copy and store.mailboxes()[match[1]].number("LAST_UID") == 0
