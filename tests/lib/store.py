"""All that a server holds, read from outside: state by csync, bodies and flags again by IMAP.

    store = read_store(Endpoint("a", csync=(host, 2005), imap=(host, 143)))
    store.faults                                   # what one server says that does not fit together
    store.users["bob"].mailboxes["user.bob"].records[7]["FLAGS"]

While reading, each server is held to its own word: both sums of every mailbox are computed from its records,
every body's SHA-1 is its GUID, IMAP shows the very messages csync shows, and quota usage is the sum of the
sizes. Reading takes no snapshot: nobody may write meanwhile."""
import hashlib
import re
from dataclasses import dataclass, field

from lib import sums
from lib.csync import Csync, CsyncOverImap
from lib.imap import Imap, ImapError, parse_date, quote
from lib.imap_values import text

_MESSAGE_ID = re.compile(rb"(?im)^message-id:\s*(<[^>\r\n]*>)")
CHUNK_BYTES, CHUNK_MESSAGES = 16 << 20, 200


@dataclass
class Endpoint:
    """Where a server is, and an administrator who may act as any user."""
    name: str
    csync: tuple
    imap: tuple
    admin: str = "admin"
    password: str = "pw"
    over_imap: bool = False    # csync inside IMAP
    timeout: float = 60

    def open_csync(self, sieve=True):
        kind, address = (CsyncOverImap, self.imap) if self.over_imap else (Csync, self.csync)
        return kind.connect(address, self.admin, self.password, timeout=self.timeout, sieve=sieve)

    def open_imap(self, user=""):
        client = Imap(self.imap, self.timeout)
        client.authenticate_plain(self.admin, self.password, user)
        return client


@dataclass
class Mailbox:
    name: str
    header: dict                                      # the MAILBOX, without RECORD and ANNOTATIONS
    annotations: set = field(default_factory=set)     # {(entry, user, value)}
    records: dict = field(default_factory=dict)       # {uid: RECORD}
    message_ids: dict = field(default_factory=dict)   # {uid: Message-ID}, where bodies were read

    @property
    def live(self):
        return {uid: r for uid, r in self.records.items() if not sums.expunged(r)}

    @property
    def kind(self):
        return self.header.get("MBOXTYPE") or "e"

    def number(self, key):
        return int(self.header.get(key) or 0)


@dataclass
class User:
    mailboxes: dict = field(default_factory=dict)       # {internal name: Mailbox}
    subscriptions: set = field(default_factory=set)
    seen: dict = field(default_factory=dict)            # {uniqueid: {LASTREAD, LASTUID, LASTCHANGE, SEENUIDS}}
    scripts: dict = field(default_factory=dict)         # {file name: (guid, is active)}


@dataclass
class Store:
    name: str
    users: dict = field(default_factory=dict)           # {user: User}
    shared: dict = field(default_factory=dict)          # {internal name: Mailbox}; DELETED ones of nobody too
    quota: dict = field(default_factory=dict)           # {root: {resource: limit}}
    annotations: set = field(default_factory=set)       # of the server: {(entry, user, value)}
    faults: list = field(default_factory=list)

    def mailboxes(self):
        out = dict(self.shared)
        for user in self.users.values():
            out.update(user.mailboxes)
        return out


def read_store(endpoint, users=None, bodies=True):
    """users: read only these, and no shared mailboxes. bodies: also all that IMAP shows."""
    with endpoint.open_csync() as csync, endpoint.open_csync(sieve=False) as plain, endpoint.open_imap() as imap:
        return _Reader(endpoint, csync, plain, imap).read(users, bodies)


def internal(path, separator):
    """Parts of an external name, joined as on the wire."""
    return ".".join(path) if separator == "." else ".".join(part.replace(".", "^") for part in path)


def external(name, separator):
    """The name an administrator uses over IMAP."""
    domain, _, local = name.rpartition("!")
    local = local if separator == "." else local.replace(".", "/").replace("^", ".")
    return local + ("@" + domain if domain else "")


class _Reader:
    def __init__(self, endpoint, csync, plain, imap):
        self.endpoint, self.csync, self.plain, self.imap = endpoint, csync, plain, imap
        self.store = Store(endpoint.name)

    def fault(self, what):
        self.store.faults.append(f"{self.endpoint.name}: {what}")

    def read(self, users, bodies):
        all_users, shared = self.names()
        for user in all_users if users is None else users:
            self.read_user(user)
        if users is None:
            for name in shared:
                if name not in self.store.mailboxes():    # what a user has below DELETED came with him
                    self.read_shared(name)
            self.store.annotations = {(a["ENTRY"], a["USERID"], a["VALUE"])
                                      for a in self.csync.get("ANNOTATION", "").all("ANNOTATION")}
        for box in self.store.mailboxes().values():
            self.check_sums(box)
        self.check_usage()
        if bodies:
            self.check_users(all_users)
            self.check_shared(all_users)
        return self.store

    # ---- what there is ---------------------------------------------------------------------------

    def names(self):
        """Users who have an INBOX, and the names, internal, of all mailboxes of nobody."""
        users, owners, shared = [], {}, []
        self.separator = "/"
        for attributes, separator, name in self.imap.list():
            self.separator = separator
            path = name.split(separator)
            if path[0] != "user":
                if "\\Noselect" not in attributes and "\\NonExistent" not in attributes:
                    shared.append(name)
            elif len(path) == 2:
                users.append(path[1])
            elif len(path) > 2:
                owners.setdefault(path[1], name)
        known = {u.split("@")[0] for u in users}
        for owner, name in owners.items():
            if owner not in known:
                self.fault(f"{name}: its owner has no INBOX")
        return users, [n for n in map(self.find_shared, shared) if n]

    def find_shared(self, name):
        """The internal name: of "x@y" it depends on virtdomains whether y is a domain."""
        local, _, domain = name.rpartition("@")
        guesses = [internal(name.split(self.separator), self.separator)]
        if local:
            guesses.append(domain + "!" + internal(local.split(self.separator), self.separator))
        for guess in guesses:
            if self.csync.mailboxes(guess):
                return guess
        self.fault(f"{name}: in LIST, but GET MAILBOXES does not know {' or '.join(guesses)}")
        return None

    def read_user(self, user):
        out = self.store.users[user] = User()
        for key, value in self.csync.user(user):
            if key == "MAILBOX":
                self.read_mailbox(value, out.mailboxes)
            elif key == "QUOTA":
                self.add_quota(value)
            elif key == "SEEN":
                out.seen[value["UNIQUEID"]] = {k: v for k, v in value.items() if k != "UNIQUEID"}
            elif key == "LSUB":
                out.subscriptions = set(value)
        out.scripts = {s["FILENAME"]: (s["GUID"], s["ISACTIVE"])
                       for s in self.plain.get("META", user).all("SIEVE")}

    def read_shared(self, name):
        for found in self.csync.mailboxes(name):
            self.read_mailbox(found, self.store.shared)
            root = found.get("QUOTAROOT")
            if root and root not in self.store.quota:
                for value in self.csync.get("QUOTA", root).all("QUOTA"):
                    self.add_quota(value)

    def add_quota(self, value):
        self.store.quota[value["ROOT"]] = {k: int(v) for k, v in value.items()
                                           if k not in ("ROOT", "LIMIT", "MODSEQ")}

    def read_mailbox(self, summary, into):
        name = summary["MBOXNAME"]
        box = into[name] = Mailbox(name, {k: v for k, v in summary.items() if k != "ANNOTATIONS"})
        if "i" in box.kind[1:]:    # an intermediate entry: a name and nothing in it
            return
        full = self.csync.full_mailbox(name)
        if full is None:
            return self.fault(f"{name}: listed, but GET FULLMAILBOX does not know it")
        told = {k: v for k, v in full.items() if k != "RECORD"}
        if told != summary:
            self.fault(f"{name}: GET FULLMAILBOX and the list tell different states: {_differing(told, summary)}")
        box.annotations = {(a["ENTRY"], a["USERID"], a["VALUE"]) for a in full.get("ANNOTATIONS") or []}
        box.records = {int(r["UID"]): r for r in full["RECORD"]}
        if list(box.records) != sorted(box.records) or len(box.records) != len(full["RECORD"]):
            self.fault(f"{name}: records not in ascending order of UID")

    # ---- a server's own word ---------------------------------------------------------------------

    def check_sums(self, box):
        if "SYNC_CRC_ANNOT" not in box.header:
            return
        told = box.number("SYNC_CRC"), box.number("SYNC_CRC_ANNOT")
        counted = sums.mailbox(box.records.values())
        if told != counted:
            self.fault(f"{box.name}: its sums are {told}, its records give {counted}")
        for uid, record in box.records.items():
            if uid > box.number("LAST_UID"):
                self.fault(f"{box.name} uid {uid}: above LAST_UID {box.number('LAST_UID')}")
            if int(record["MODSEQ"]) > box.number("HIGHESTMODSEQ"):
                self.fault(f"{box.name} uid {uid}: modseq {record['MODSEQ']} above HIGHESTMODSEQ "
                           f"{box.number('HIGHESTMODSEQ')}")

    def check_usage(self):
        for root, limits in self.store.quota.items():
            boxes = [b for b in self.store.mailboxes().values() if b.header.get("QUOTAROOT") == root]
            size = sum(int(r["SIZE"]) for b in boxes for r in b.live.values())
            expected = {"STORAGE": size // 1024, "MESSAGE": sum(len(b.live) for b in boxes)}
            reply = self.imap.ok("GETQUOTA", quote(external(root, self.separator)))
            told = reply.one("QUOTA").values[1]
            told = {told[i]: told[i + 1:i + 3] for i in range(0, len(told), 3)}
            for resource in limits:
                if resource not in told:
                    self.fault(f"quota {root}: {resource} limited, but GETQUOTA does not show it")
                elif resource in expected and told[resource][0] != expected[resource]:
                    self.fault(f"quota {root}: {resource} used {told[resource][0]}, the messages give "
                               f"{expected[resource]}")

    def check_users(self, all_users):
        for name, user in self.store.users.items():
            boxes = [b for b in user.mailboxes.values() if b.header["PARTITION"] is not None]
            self.check_bodies(boxes, name if name in all_users else None)

    def check_shared(self, all_users):
        by_reader = {}
        for box in self.store.shared.values():
            rights = box.header["ACL"].split("\t")
            readers = [who for who, what in zip(rights[::2], rights[1::2]) if "l" in what and "r" in what]
            domain = box.name.rpartition("!")[0]    # "anyone" is anyone of this domain
            reader = next((u for u in all_users if u.partition("@")[2] == domain and (u in readers or "anyone" in readers)), None)
            by_reader.setdefault(reader, []).append(box)
        for reader, boxes in by_reader.items():
            self.check_bodies(boxes, reader)

    def check_bodies(self, boxes, user):
        """By IMAP as that user, where he may read; what IMAP does not show to anybody by GET FETCH."""
        shown = []
        if user:
            with self.endpoint.open_imap(user) as imap:
                view = _View(imap, user, self.separator)
                shown = [b for b in boxes if view.may_read(b)]
                for box in shown:
                    self.check_by_imap(box, imap, view)
        for box in boxes:
            if box not in shown and "d" not in box.kind[1:] and "i" not in box.kind[1:]:
                self.check_by_fetch(box)

    def check_by_fetch(self, box):
        for uid, record in box.live.items():
            data = self.csync.fetch(box.header, uid, record["GUID"])
            if data is None:
                self.fault(f"{box.name} uid {uid}: GET FETCH has no message")
            else:
                self.check_body(box, record, data)

    def check_body(self, box, record, data):
        where, uid = box.name, int(record["UID"])
        found = _MESSAGE_ID.search(data.partition(b"\r\n\r\n")[0])
        if found:
            box.message_ids[uid] = found[1].decode("ascii", "replace")
        digest = hashlib.sha1(data).hexdigest()
        if digest != record["GUID"]:
            self.fault(f"{where} uid {uid}: GUID {record['GUID']}, but the body is {digest}")
        if len(data) != int(record["SIZE"]):
            self.fault(f"{where} uid {uid}: SIZE {record['SIZE']}, but the body has {len(data)} bytes")

    def check_by_imap(self, box, imap, view):
        try:
            selected = imap.examine(view.name(box.name))
        except ImapError as error:
            return self.fault(f"{box.name}: not readable by IMAP: {error}")
        expected = {"EXISTS": len(box.live), "UIDVALIDITY": box.number("UIDVALIDITY"),
                    "UIDNEXT": box.number("LAST_UID") + 1}
        if view.modseq:
            expected["HIGHESTMODSEQ"] = box.number("HIGHESTMODSEQ")
        items = f"(FLAGS INTERNALDATE RFC822.SIZE{' MODSEQ' if view.modseq else ''} BODY.PEEK[])"
        for key, value in expected.items():
            if selected.get(key) != value:
                self.fault(f"{box.name}: IMAP shows {key} {selected.get(key)}, csync {value}")
        shown = set()
        for low, high in _chunks(box.live):
            for uid, message in imap.fetch(f"{low}:{high}", items).items():
                shown.add(uid)
                if uid in box.live:
                    self.check_message(box, box.live[uid], message, view.owns(box.name))
        for uid in sorted(shown ^ set(box.live)):
            self.fault(f"{box.name} uid {uid}: {'only IMAP' if uid in shown else 'only csync'} shows it")

    def check_message(self, box, record, message, owned):
        self.check_body(box, record, message["BODY[]"])
        hidden = {"\\recent"} if owned else {"\\recent", "\\seen"}    # others have a \Seen of their own
        flags = {f.lower() for f in record["FLAGS"]} - hidden
        told = {str(f).lower() for f in message["FLAGS"]} - hidden
        pairs_ = {"FLAGS": (sorted(told), sorted(flags)),
                  "INTERNALDATE": (parse_date(message["INTERNALDATE"]), int(record["INTERNALDATE"])),
                  "RFC822.SIZE": (message["RFC822.SIZE"], int(record["SIZE"]))}
        if "MODSEQ" in message:
            pairs_["MODSEQ"] = (message["MODSEQ"][0], int(record["MODSEQ"]))
        for key, (by_imap, by_csync) in pairs_.items():
            if by_imap != by_csync:
                self.fault(f"{box.name} uid {record['UID']}: IMAP shows {key} {by_imap}, csync {by_csync}")


class _View:
    """Names as one user sees them, by what NAMESPACE tells him."""

    def __init__(self, imap, user, separator):
        spaces = [s and (text(s[0][0]), text(s[0][1])) for s in imap.ok("NAMESPACE").one("NAMESPACE").values]
        self.personal, self.others, self.shared = spaces
        self.modseq = "CONDSTORE" in imap.capabilities()    # what it does not advertise is not asked for
        local, _, domain = user.partition("@")
        self.user = (domain + "!" if domain else "") + "user." + internal([local], separator)

    def owns(self, name):
        return name == self.user or name.startswith(self.user + ".")

    def may_read(self, box):
        if not self.owns(box.name):
            return self.shared and not box.name.rpartition("!")[2].startswith(("user.", "DELETED."))
        rights = box.header["ACL"].split("\t")
        owner = external(self.user, "/")[len("user/"):]
        mine = "".join(what for who, what in zip(rights[::2], rights[1::2]) if who in (owner, "anyone"))
        return box.kind == "e" and "r" in mine

    def name(self, name):
        if name == self.user:
            return "INBOX"
        prefix, separator = self.personal if self.owns(name) else self.shared
        rest = name[len(self.user) + 1:] if self.owns(name) else name.rpartition("!")[2]
        return prefix + (rest if separator == "." else rest.replace(".", "/").replace("^", "."))


def _differing(a, b):
    return ", ".join(f"{k} {a.get(k)!r} / {b.get(k)!r}" for k in {**a, **b} if a.get(k) != b.get(k))


def _chunks(records):
    """Ranges of UIDs that are fetched at once."""
    low = high = None
    size = count = 0
    for uid, record in records.items():
        if low is not None and (count == CHUNK_MESSAGES or size + int(record["SIZE"]) > CHUNK_BYTES):
            yield low, high
            low, size, count = None, 0, 0
        low, high = low or uid, uid
        size, count = size + int(record["SIZE"]), count + 1
    if low is not None:
        yield low, high
