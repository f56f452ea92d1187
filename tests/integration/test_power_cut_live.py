"""The power fails under a whole server: master, metad, lmtpd and imapd, with metadata and mail on an ext4 whose unsynced writes are
really dropped (lib.power). Clients deliver, append, set flags, expunge, copy, and make, rename and delete mailboxes; what they were
told is done before the cut is there after the next start, as IMAP and csync show it, and the tools find nothing to mend.
test_power_cut.py has the store alone."""
import hashlib
import random
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from lib import places
from lib.imap import Imap, Literal
from lib.ledger import Ledger
from lib.lmtp import Lmtp, stuffed
from lib.power import how_many, keep, new_seed
from lib.store import read_store

STORES, CUTS = how_many(1, 4, 6, 12)
USERS = ["u0", "u1", "u2", "u3"]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "$Forwarded"]


class Book:
    """The ledger, and the moment the power goes: what is heard later was perhaps never said."""

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

    def cut(self, disk):
        with self.lock:
            self.is_cut = True
        disk.cut()


class Client(threading.Thread):
    """One user who does what comes to his mind, until the connection is gone. He knows of his mailboxes what he was told."""

    def __init__(self, server, book, user, seed, number):
        super().__init__(daemon=True)
        self.s, self.book, self.ledger, self.user = server, book, book.ledger, user
        self.random, self.number, self.count = random.Random(seed), number, 0
        self.fault = None

    def run(self):
        try:
            with Imap(("127.0.0.1", self.s.imap_port), timeout=30) as self.imap, \
                    Lmtp(("127.0.0.1", self.s.lmtp_port), timeout=30) as self.lmtp:
                self.imap.login(self.user, "pw")
                self.boxes = [name for _, _, name in self.imap.list() if re.fullmatch(r"[cr]\d+-\d+", name)]
                while not self.book.is_cut:
                    self.step()
        except Exception as error:    # nobody else sees it in a thread of its own
            if not self.book.is_cut:
                self.fault = repr(error)

    def step(self):
        self.count += 1
        steps = [self.deliver] * 4 + [self.append] * 3 + [self.flags] * 4 + [self.expunge] * 2 + [self.copy] * 2 + \
            [self.create] * 2 + [self.rename, self.delete, self.subscribe]
        self.random.choice(steps)()

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
        """One command of which note() tells the ledger; was it done?"""
        self.book.wish(note)
        reply = self.imap.command(*command)
        if reply.status == "OK":
            self.book.heard(note)
        elif not self.book.is_cut:
            raise AssertionError(f"{command[:3]} -> {reply.status} {reply.text}")
        return reply

    def text(self):
        body = "A line of a message.\r\n" * self.random.randrange(400)
        return f"From: a@example.net\r\nMessage-ID: <{self.user}.{self.number}.{self.count}@test>\r\n\r\n{body}".encode()

    # ---- what he does ----------------------------------------------------------------------------------

    def deliver(self):
        to = [self.user, *self.random.sample([u for u in USERS if u != self.user], self.random.randrange(3))]
        message_id = f"{self.user}.{self.number}.{self.count}@test"
        notes = [lambda acked, u=u: self.ledger.message(f"user.{u}", message_id=f"<{message_id}>", acked=acked) for u in to]
        for note in notes:
            self.book.wish(note)
        for line in ("MAIL FROM:<a@example.net>", *[f"RCPT TO:<{u}>" for u in to], "DATA"):
            reply = self.lmtp.command(line)
            if not reply.ok and reply.code != 354:
                if self.book.is_cut:
                    return
                raise AssertionError(f"{line} -> {reply}")
        self.lmtp.wire.send(stuffed(self.text()))
        for note in notes:
            reply = self.lmtp.reply()
            if reply.ok:
                self.book.heard(note)
            elif not self.book.is_cut:
                raise AssertionError(f"DATA -> {reply}")

    def append(self):
        box, text = self.any_box(), self.text()
        sha1 = hashlib.sha1(text).hexdigest()
        self.book.wish(lambda _: self.ledger.message(self.internal(box), sha1=sha1, acked=False))
        reply = self.imap.command("APPEND", box, "(\\Flagged)", Literal(text, plus=True))
        if reply.status == "OK":
            uid = reply.code[2]
            self.known(box).add(uid)
            self.book.heard(lambda _: self.ledger.message(self.internal(box), sha1=sha1, uid=uid))
        elif not self.book.is_cut:
            raise AssertionError(f"APPEND {box} -> {reply}")

    def some_uids(self, box, among=None):
        """Up to three live ones of a mailbox, which is selected."""
        self.imap.select(box)
        uids = [uid for uid in self.imap.search("ALL") if among is None or uid in among]
        at = self.random.randrange(len(uids)) if uids else 0
        return uids[at:at + 3]

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

    def copy(self):
        box, to = self.any_box(), self.any_box()
        uids = self.some_uids(box)
        if not uids or box == to:
            return
        bodies = self.imap.fetch(",".join(map(str, uids)), "(BODY.PEEK[])")
        sums = {uid: hashlib.sha1(bodies[uid]["BODY[]"]).hexdigest() for uid in uids}

        def wish(_):
            for sha1 in sums.values():
                self.ledger.message(self.internal(to), sha1=sha1, acked=False)
        self.book.wish(wish)
        reply = self.imap.command("UID COPY", ",".join(map(str, uids)), to)
        if reply.status != "OK":
            assert self.book.is_cut, f"COPY {box} {to} -> {reply}"
            return
        new = [uid for part in str(reply.code[3]).split(",") for uid in expand(part)]
        self.known(to).update(new)

        def note(_):
            for sha1, uid in zip(sums.values(), new):
                self.ledger.message(self.internal(to), sha1=sha1, uid=uid)
        self.book.heard(note)

    def create(self):
        box = self.fresh("c")
        if len(self.boxes) < 8:
            self.asked(("CREATE", box), lambda acked: self.ledger.created(self.internal(box), acked))
            self.boxes.append(box)

    def rename(self):
        if self.boxes:
            old, new = self.random.choice(self.boxes), self.fresh("r")
            self.asked(("RENAME", old, new), lambda acked: self.ledger.renamed(self.internal(old), self.internal(new), acked))
            self.book.known[self.internal(new)] = self.book.known.pop(self.internal(old), set())
            self.boxes[self.boxes.index(old)] = new

    def delete(self):
        if len(self.boxes) > 3:
            box = self.random.choice(self.boxes)
            self.asked(("DELETE", box), lambda acked: self.ledger.deleted(self.internal(box), acked))
            self.boxes.remove(box)

    def subscribe(self):
        box, on = self.any_box(), self.random.random() < .7
        if box != "INBOX":
            self.asked(("SUBSCRIBE" if on else "UNSUBSCRIBE", box),
                       lambda acked: self.ledger.subscribed(self.user, self.internal(box), on, acked))


def expand(part):
    low, _, high = part.partition(":")
    return range(int(low), int(high or low) + 1)


class Rig:
    def __init__(self, server, disk, seed, environment=None):
        self.disk, self.random, self.seed = disk, random.Random(seed), seed
        for name in ("conf", "spool"):
            (disk.mountpoint / name).mkdir(mode=0o750)
            shutil.chown(disk.mountpoint / name, places.SERVICE_USER)
        self.s = server(imapd={"configdirectory": disk.mountpoint / "conf", "partition-default": disk.mountpoint / "spool"},
                        environment={"US_BOOT_ID": "boot-0", **(environment or {})})
        self.s.make_user(*USERS)
        with self.s.admin() as c:
            for user in USERS:
                c.ok("SETQUOTA", f"user/{user}", "(STORAGE 1000000 MESSAGE 100000)")
        subprocess.run(["sync", "-f", disk.mountpoint], check=True)
        self.history = Ledger()    # what was seen at every look
        self.store = read_store(self.s.endpoint())
        self.acknowledged = self.cuts = 0
        self.without_copy = set()    # mailboxes that were just being made

    def ledger(self, store):
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

    def cut(self, ledger, known):
        """Clients work, the power goes, and comes back. Lines: what was wrong before it went."""
        self.cuts += 1
        book = Book(ledger, known)
        clients = [Client(self.s, book, user, self.random.random(), self.cuts) for user in USERS]
        for client in clients:
            client.start()
        places.wait_until(lambda: book.acknowledged > 20 or not any(c.is_alive() for c in clients), 30, "work is done")
        time.sleep(self.random.uniform(0, 1))
        faults = self.s.faults()
        book.cut(self.disk)
        time.sleep(self.random.uniform(0, 0.1))
        self.s.kill()
        for client in clients:
            client.join(30)
            assert not client.is_alive(), client
        self.acknowledged += book.acknowledged
        self.s.log_file.unlink(missing_ok=True)    # a failing disk may be spoken of
        self.disk.back()
        keep([self.disk])
        self.s.more_environment["US_BOOT_ID"] = f"boot-{self.cuts}"    # or the store believes that memory is as it was
        return faults + [client.fault for client in clients if client.fault]

    def round(self):
        """One cut: what is wrong afterwards."""
        ledger, known = self.ledger(self.store), {name: set(box.live) for name, box in self.store.mailboxes().items()}
        faults = self.cut(ledger, known)
        self.s.start()
        self.store = store = read_store(self.s.endpoint())
        faults += store.faults + ledger.check(store) + self.history.observe(store)
        found = self.s.tool("reconstruct", "-q", "-G", "-n").stdout.splitlines()
        return faults + [line for line in found if not self.is_unfinished(line, ledger)]

    def is_unfinished(self, line, ledger):
        """Is what reconstruct says of something nobody was told is done? A message file whose record was still to come, or its bytes,
        too; the copy of a row, which is written after the row and before the OK, and made up for by the first commit."""
        if re.fullmatch(r"\S+ uid \d+ (found - adding|is empty - removing its file)", line):
            return True
        match = re.fullmatch(r"(\S+): mbox.hdr is missing or damaged", line)
        if not match:
            return False
        if ledger.in_doubt(match[1]):
            self.without_copy.add(match[1])
        return match[1] in self.without_copy and self.store.mailboxes()[match[1]].number("LAST_UID") == 0

    def sweep(self):
        """What lay in stages when the power went goes when the next message comes."""
        with self.s.lmtp() as c:
            assert c.deliver("a@example.net", USERS[:1], b"Subject: after all\r\n\r\n")[USERS[0]].ok
        assert not self.s.staged()


@pytest.mark.limit(90 + 30 * CUTS)
@pytest.mark.parametrize("number", STORES)
def test_what_clients_were_told_is_there(disks, server, number):
    rig = Rig(server, disks(), new_seed(number))
    for i in range(CUTS):
        faults = rig.round()
        assert not faults, f"cut {i + 1} of {CUTS}, {rig.acknowledged} acknowledged:\n" + "\n".join(faults[:20])
    assert rig.acknowledged > 20 * CUTS
    rig.sweep()


def test_a_server_that_does_not_sync_is_noticed(disks, server, root):
    """That the one above can fail: without syncs what was acknowledged is lost, and seen to be."""
    library = root / "nosync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(places.__file__).parent / "nosync.c"], check=True)
    library.chmod(0o755)
    rig = Rig(server, disks(), new_seed(), environment={"LD_PRELOAD": str(library)})
    faults = rig.round()
    assert any("acknowledged" in line or "no such mailbox" in line for line in faults), faults
    rig.sweep()
