"""Users at work on a server that something is going to happen to, and the ledger of what they were told.

    book = Book(ledger_of(store), known_in(store))
    clients = [Client(server, book, user, USERS, seed, number) for user in USERS]

A client delivers, appends, sets flags, expunges, copies, moves, and makes, renames and deletes mailboxes, as comes to his mind, and tells
the ledger of each thing twice: before he asks for it, and when he was told that it is done. Nobody but him works on his mailboxes; to
his INBOX others deliver. A mailbox whose CREATE, RENAME or DELETE was not answered he does not use any more."""
import hashlib
import random
import re
import threading

from lib.imap import Imap, Literal
from lib.imap_model import expand
from lib.ledger import Ledger
from lib.lmtp import Lmtp, stuffed

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "$Forwarded"]
MOST = 60    # messages of a mailbox: above, more are expunged


def ledger_of(store):
    """A new one that knows all that is there."""
    ledger = Ledger()
    for name, box in store.mailboxes().items():
        if box.kind == "e":
            ledger.created(name)
        for uid, record in box.live.items():
            ledger.message(name, sha1=record["GUID"], uid=uid)
            for flag in FLAGS:
                ledger.flag(name, uid, flag, flag.lower() in {f.lower() for f in record["FLAGS"]})
    for name, user in store.users.items():
        for box in user.subscriptions:
            ledger.subscribed(name, box)
    for root, limits in store.quota.items():
        ledger.quota(root, limits)
    return ledger


def known_in(store):
    return {name: set(box.live) for name, box in store.mailboxes().items()}


class Book:
    """The ledger, and the moment everything ends: what is heard later was perhaps never said."""

    def __init__(self, ledger, known):
        """known: {internal name: {uid}}, messages whose uid the ledger has; what came by LMTP it knows by Message-ID alone."""
        self.ledger, self.known, self.lock = ledger, known, threading.Lock()
        self.is_cut, self.acknowledged = False, 0

    def wish(self, note):
        """About to be asked for: note(acked=False) in the ledger."""
        with self.lock:
            note(False)

    def heard(self, note):
        """An OK came: note(acked=True), if it counts."""
        with self.lock:
            if not self.is_cut:
                self.acknowledged += 1
                note(True)

    def cut(self):
        with self.lock:
            self.is_cut = True


class Client(threading.Thread):
    """Works until the book is cut, or its connection is gone."""

    def __init__(self, server, book, user, users, seed, number):
        """number: no two that ever work for this user have the same."""
        super().__init__(daemon=True)
        self.s, self.book, self.ledger, self.user, self.users = server, book, book.ledger, user, users
        self.random, self.number, self.count = random.Random(seed), number, 0
        self.fault = None
        self.patience = 30    # seconds for one answer

    def run(self):
        try:
            self.work()
        except Exception as error:    # nobody else sees it in a thread of its own
            if not self.book.is_cut:
                self.fault = f"{self.user}: {error!r}"

    def work(self):
        with self.open_imap() as self.imap, self.open_lmtp() as self.lmtp:
            self.boxes = self.own_boxes()
            while not self.book.is_cut:
                self.step()

    def open_imap(self):
        client = Imap(("127.0.0.1", self.s.imap_port), timeout=self.patience)
        client.login(self.user, "pw")
        return client

    def open_lmtp(self):
        return Lmtp(("127.0.0.1", self.s.lmtp_port), timeout=self.patience)

    def own_boxes(self):
        return [name for _, _, name in self.imap.list() if re.fullmatch(r"[cr]\d+-\d+", name)]

    def step(self):
        self.count += 1
        steps = [self.deliver] * 4 + [self.append] * 3 + [self.flags] * 4 + [self.expunge] * 2 + [self.copy] * 2 + \
            [self.create] * 2 + [self.rename, self.delete, self.subscribe, self.move, self.acl]
        self.random.choice(steps)()

    def refused(self, what, reply):
        """Neither OK nor silence."""
        if not self.book.is_cut:
            raise AssertionError(f"{what} -> {reply}")

    # ---- names ---------------------------------------------------------------------------------------

    def internal(self, box):
        return f"user.{self.user}" if box == "INBOX" else f"user.{self.user}.{box}"

    def known(self, box):
        return self.book.known.setdefault(self.internal(box), set())

    def any_box(self):
        return self.random.choice(["INBOX", *self.boxes])

    def fresh(self, kind):
        return f"{kind}{self.number}-{self.count}"

    def asked(self, command, note):
        """One command of which note() tells the ledger: was it done?"""
        self.book.wish(note)
        reply = self.imap.command(*command)
        if reply.status == "OK":
            self.book.heard(note)
            return True
        self.refused(command[:3], reply)
        return False

    def text(self):
        body = "A line of a message.\r\n" * self.random.randrange(400)
        return f"From: a@example.net\r\nMessage-ID: <{self.user}.{self.number}.{self.count}@test>\r\n\r\n{body}".encode()

    # ---- what he does ----------------------------------------------------------------------------------

    def deliver(self):
        to = [self.user, *self.random.sample([u for u in self.users if u != self.user], self.random.randrange(3))]
        message_id = f"{self.user}.{self.number}.{self.count}@test"
        notes = [lambda acked, u=u: self.ledger.message(f"user.{u}", message_id=f"<{message_id}>", acked=acked) for u in to]
        for note in notes:
            self.book.wish(note)
        for line in ("MAIL FROM:<a@example.net>", *[f"RCPT TO:<{u}>" for u in to], "DATA"):
            reply = self.lmtp.command(line)
            if not reply.ok and reply.code != 354:
                self.refused(line, reply)
                return self.lmtp.command("RSET")
        self.lmtp.wire.send(stuffed(self.text()))
        for note in notes:
            reply = self.lmtp.reply()
            if reply.ok:
                self.book.heard(note)
            else:
                self.refused("DATA", reply)

    def append(self):
        """One, or several that are all sent before the first is answered."""
        box = self.any_box()
        waiting = [self.send_append(box) for _ in range(self.random.choice([1, 1, 3, 10]))]
        for tag, sha1 in waiting:
            self.hear_append(box, tag, sha1)

    def send_append(self, box):
        self.count += 1
        text = self.text()
        sha1 = hashlib.sha1(text).hexdigest()
        self.book.wish(lambda _: self.ledger.message(self.internal(box), sha1=sha1, acked=False))
        return self.imap.start("APPEND", box, "(\\Flagged)", Literal(text, plus=True)), sha1

    def hear_append(self, box, tag, sha1):
        reply = self.imap.finish(tag)
        if reply.status == "OK":
            uid = reply.code[2]
            self.known(box).add(uid)
            self.book.heard(lambda _: self.ledger.message(self.internal(box), sha1=sha1, uid=uid))
        else:
            self.refused(f"APPEND {box}", reply)

    def some_uids(self, box, among=None):
        """Up to three live ones of a mailbox, which is selected; many if it is full."""
        self.imap.select(box)
        uids = [uid for uid in self.imap.search("ALL") if among is None or uid in among]
        at = self.random.randrange(len(uids)) if uids else 0
        return uids[at:at + (3 if len(uids) < MOST or among is None else MOST // 2)]

    def flags(self):
        box = self.any_box()
        uids, flag, on = self.some_uids(box), self.random.choice(FLAGS), self.random.random() < .6

        def note(acked):
            for uid in uids:
                self.ledger.flag(self.internal(box), uid, flag, on, acked)
        if uids:
            self.asked(("UID STORE", ",".join(map(str, uids)), "+FLAGS" if on else "-FLAGS", f"({flag})"), note)

    def expunge(self):
        box = self.any_box()
        uids = self.some_uids(box, self.known(box))

        def note(acked):
            for uid in uids:
                self.ledger.expunged(self.internal(box), uid, acked)
        if uids:
            known = ",".join(map(str, uids))
            if self.imap.command("UID STORE", known, "+FLAGS.SILENT", "(\\Deleted)").status == "OK":
                self.asked(("UID EXPUNGE", known), note)

    def sums(self, uids):
        bodies = self.imap.fetch(",".join(map(str, uids)), "(BODY.PEEK[])")
        return {uid: hashlib.sha1(bodies[uid]["BODY[]"]).hexdigest() for uid in uids}

    def copy(self):
        box, to = self.any_box(), self.any_box()
        uids = self.some_uids(box)
        if uids and box != to:
            self.transfer("UID COPY", box, to, uids, lambda acked: None)

    def move(self):
        box, to = self.any_box(), self.any_box()
        uids = self.some_uids(box, self.known(box))[:3]

        def gone(acked):
            for uid in uids:
                self.ledger.expunged(self.internal(box), uid, acked)
        if uids and box != to:
            self.transfer("UID MOVE", box, to, uids, gone)

    def transfer(self, command, box, to, uids, also):
        sums = self.sums(uids)

        def wish(_):
            for sha1 in sums.values():
                self.ledger.message(self.internal(to), sha1=sha1, acked=False)
            also(False)
        self.book.wish(wish)
        reply = self.imap.command(command, ",".join(map(str, uids)), to)
        if reply.status != "OK":
            return self.refused(f"{command} {box} {to}", reply)
        code = reply.untagged_code("COPYUID") or reply.code
        new = expand(code[3])
        self.known(to).update(new)

        def note(_):
            for sha1, uid in zip(sums.values(), new):
                self.ledger.message(self.internal(to), sha1=sha1, uid=uid)
            also(True)
        self.book.heard(note)

    def create(self):
        box = self.fresh("c")
        if len(self.boxes) < 8 and self.asked(("CREATE", box), lambda acked: self.ledger.created(self.internal(box), acked)):
            self.boxes.append(box)

    def rename(self):
        if not self.boxes:
            return
        old, new = self.random.choice(self.boxes), self.fresh("r")
        self.boxes.remove(old)
        if self.asked(("RENAME", old, new), lambda acked: self.ledger.renamed(self.internal(old), self.internal(new), acked)):
            self.book.known[self.internal(new)] = self.book.known.pop(self.internal(old), set())
            self.boxes.append(new)

    def delete(self):
        if len(self.boxes) > 3:
            box = self.random.choice(self.boxes)
            self.boxes.remove(box)
            self.asked(("DELETE", box), lambda acked: self.ledger.deleted(self.internal(box), acked))

    def subscribe(self):
        box, on = self.any_box(), self.random.random() < .7
        if box != "INBOX":
            self.asked(("SUBSCRIBE" if on else "UNSUBSCRIBE", box),
                       lambda acked: self.ledger.subscribed(self.user, self.internal(box), on, acked))

    def acl(self):
        box, who = self.any_box(), self.random.choice([u for u in self.users if u != self.user])
        rights = self.random.choice(["lr", "lrs", "lrswip", ""])
        if box != "INBOX":
            self.asked(("SETACL", box, who, rights or '""'), lambda acked: self.ledger.acl(self.internal(box), who, rights, acked))
