"""A replicated pair under clients, while random processes of both sides are killed.

    pair = Pair(roots, seed, every=1.5)    # seconds between two kills, in the mean
    faults = pair.round(60)      # so many seconds of work and kills; then, with nobody's help, both are equal
    pair.finish()

Each round begins with a ledger of what is there and ends with: what was acknowledged is on both sides, both are equal as
lib.checker judges by bodies and sums, nothing went back since the last round (modseqs, UIDs, UIDVALIDITY, what was expunged), and
reconstruct has nothing to say but of files of messages that nobody was told are there."""
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from lib import places
from lib.at_work import Book, Client, known_in, ledger_of
from lib.checker import compare
from lib.imap import ImapError
from lib.ledger import Ledger, Unfinished
from lib.places import wait_until
from lib.store import read_store
from lib.walk import UNREADABLE, Walked
from lib.wire import Closed

USERS = [f"u{n}" for n in range(8)]
VICTIMS = ["imapd", "lmtpd", "metad", "sync_client", "sync_server"]
OF_MASTER = 25          # one kill of so many is of a master
PAUSE = 0.1             # seconds between two things a client does, in the mean: what is done is to be looked at, too
SILENCE = 600           # seconds in which nobody is answered, or nothing becomes more equal: too long on any machine
# What may be refused while those who should do it are gone. All else is a fault.
LATER = re.compile(r"UNAVAILABLE|INUSE|4\d\d ")
# What the log may say when processes are killed.
EXPECTED = r"event=(?!process\.panic|store\.partition\.poisoned|store\.guid|sync\.body|csync\.body)"
GONE = (Closed, OSError)


class Worker(Client):
    """One who connects again."""

    def __init__(self, *args):
        super().__init__(*args)
        self.patience = SILENCE
        self.imap = self.lmtp = None
        self.boxes = None
        self.lost = 0
        self.refusals = Counter()

    def work(self):
        heard, since = -1, time.monotonic()
        while not self.book.is_cut:
            if self.book.acknowledged != heard:
                heard, since = self.book.acknowledged, time.monotonic()
            elif time.monotonic() > since + SILENCE:
                raise AssertionError(f"nothing is acknowledged for {SILENCE} s")
            try:
                self.connect()
                self.step()
                time.sleep(self.random.expovariate(1 / PAUSE))
            except GONE as error:
                if isinstance(error, TimeoutError):
                    raise
                self.lost += 1
                self.hang_up()
                time.sleep(0.02)
            except ImapError as error:    # LOGIN, SELECT, FETCH
                self.refused(error, error.reply)
        self.hang_up()

    def connect(self):
        if not self.imap:
            self.imap = self.open_imap()
            if self.boxes is None:
                self.boxes = self.own_boxes()
        if not self.lmtp:
            self.lmtp = self.open_lmtp()
            if self.lmtp.greeting.code != 220:
                raise Closed(str(self.lmtp.greeting))

    def hang_up(self):
        for client in (self.imap, self.lmtp):
            if client:
                client.close()
        self.imap = self.lmtp = None

    def refused(self, what, reply):
        text = f"{getattr(reply, 'code', '')} {reply.text}"
        self.refusals[text] += 1
        if not LATER.search(text):
            raise AssertionError(f"{what} -> {reply}")
        time.sleep(0.05)


class Operator(Worker):
    """Who sets quotas, far above what is there."""

    def connect(self):
        self.imap = self.imap or self.open_imap()

    def step(self):
        user, limits = self.random.choice(self.users), {"STORAGE": self.random.randrange(10**6, 10**7), "MESSAGE": 10**6}
        if self.random.random() < .3:
            del limits["MESSAGE"]
        words = " ".join(f"{k} {v}" for k, v in limits.items())
        self.asked(("SETQUOTA", f"user/{user}", f"({words})"), lambda acked: self.ledger.quota(f"user.{user}", limits, acked))
        time.sleep(0.2)


class Killer(threading.Thread):
    def __init__(self, pair, every):
        """every: seconds between two kills, in the mean."""
        super().__init__(daemon=True)
        self.pair, self.random, self.every = pair, random.Random(pair.random.random()), every
        self.done, self.kills, self.fault = threading.Event(), Counter(), None

    def run(self):
        try:
            while not self.done.wait(min(self.random.expovariate(1 / self.every), 5 * self.every)):
                side = self.random.choice([self.pair.a, self.pair.b])
                if self.random.randrange(OF_MASTER):
                    self.kill(side, self.random.choice(VICTIMS))
                else:
                    self.kill_master(side)
        except Exception as error:    # nobody else sees it
            self.fault = f"the killer: {error!r}"

    def kill(self, side, program):
        pids = [pid for pid, line in places.processes_of(side.root).items() if Path(line.split()[0]).name == program]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(self.random.choice(pids), signal.SIGKILL)
                self.kills[f"{side.name}:{program}"] += 1

    def kill_master(self, side):
        """It is started again as soon as its metad has ended, as by a supervisor that does not wait for the others: connections are
        served on, and a sync_client may hang on a lock of theirs."""
        os.kill(side.master.pid, signal.SIGKILL)
        side.master.wait()
        self.kills[f"{side.name}:master"] += 1
        wait_until(lambda: not any(line.startswith("metad ") for line in places.processes_of(side.root).values()), SILENCE,
                   lambda: f"the metad of a dead master ends: {places.processes_of(side.root)}")
        side.start(SILENCE)


class Pair:
    def __init__(self, roots, seed, every=1, users=USERS, **more):
        """more: for both servers. A subclass may prepare() them."""
        self.random, self.every, self.users = random.Random(seed), every, users
        self.b, self.a = Walked(roots(), "b", **more), Walked(roots(), "a", **more)
        self.a.replicate_to(self.b)
        self.a.sections["DAEMON"] = {"sync": {"cmd": "sync_client -R -C {conf}"}}
        self.prepare()
        self.a.write_conf()
        self.b.start(SILENCE)
        self.a.start(SILENCE)
        self.a.make_user(*users)
        self.histories = Ledger()
        self.kills, self.refusals = Counter(), Counter()
        self.rounds = self.acknowledged = self.lost = 0
        self.unfinished = Unfinished()
        faults = self.settle()
        assert not faults, faults

    def prepare(self):
        """Before the first start."""

    # ---- work ----------------------------------------------------------------------------------------

    def round(self, seconds):
        """Work and kills; then what is wrong."""
        killer = Killer(self, self.every)

        def kill(is_well):
            killer.start()
            end = time.monotonic() + seconds
            while time.monotonic() < end and is_well() and not killer.fault:
                time.sleep(0.1)
            killer.done.set()
            killer.join(2 * SILENCE)
            assert not killer.is_alive()
            self.kills += killer.kills
        return self.busy(kill, lambda: [killer.fault] * bool(killer.fault))

    def busy(self, act, more_faults=list):
        """Everybody works while act(is_well) does something; then what is wrong."""
        self.rounds += 1
        self.book = book = Book(ledger_of(self.store), known_in(self.store))
        clients = [Worker(self.a, book, user, self.users, self.random.random(), self.rounds) for user in self.users]
        clients.append(Operator(self.a, book, "admin", self.users, self.random.random(), self.rounds))
        for client in clients:
            client.start()
        act(lambda: not any(c.fault for c in clients))
        book.cut()
        for client in clients:
            client.join(2 * SILENCE)
        assert not any(client.is_alive() for client in clients)
        for client in clients:
            self.refusals += client.refusals
            self.lost += client.lost
        self.acknowledged += book.acknowledged
        faults = [client.fault for client in clients if client.fault] + more_faults()
        return faults + self.settle() + self.judge(book.ledger)

    def settle(self):
        """Wait until both are equal, and read them; lines: what still differs when nothing has changed for long."""
        before, since, lines = None, time.monotonic(), ["never read"]
        while lines and time.monotonic() < since + SILENCE:
            try:
                waits = [*self.a.unsent(), *self.a.set_aside()]
                self.store, self.copy = (read_store(side.endpoint(), self.users) for side in (self.a, self.b))
                lines = compare(self.store, self.copy) + [f"waits: {line}" for line in waits]
            except UNREADABLE as error:
                lines = [f"one of them cannot be read: {error}"]
            if lines != before:
                before, since = lines, time.monotonic()
            if lines:
                time.sleep(0.5)
        return lines

    def judge(self, ledger):
        faults = []
        for side, store in ((self.a, self.store), (self.b, self.copy)):
            faults += ledger.check(store) + self.histories.observe(store)
            if side.poisoned():
                faults.append(f"{side.name}: a partition is poisoned")
            found = side.tool("reconstruct", "-q", "-G", "-n", timeout=600).stdout.splitlines()
            faults += [f"{side.name}: reconstruct: {line}" for line in self.unfinished.others(found, ledger, store, side.log())]
        return faults

    # ---- the end -------------------------------------------------------------------------------------

    def finish(self):
        for side in (self.a, self.b):
            side.expect(EXPECTED)
            side.tool("ctl_cyrusdb", "-r", timeout=600)    # as at each start: it sweeps stages where nothing came afterwards
            side.finish()

    def __str__(self):
        kills = ", ".join(f"{name} {n}" for name, n in sorted(self.kills.items()))
        refusals = ", ".join(f"{text!r} {n}" for text, n in self.refusals.most_common(5))
        return (f"{self.rounds} rounds, {self.acknowledged} acknowledged, {self.kills.total()} killed ({kills}), {self.lost} connections "
                f"lost, refused: {refusals or 'nothing'}")
