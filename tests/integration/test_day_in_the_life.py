"""A day in the life of a primary and its replica, as their operator has it: installed in the morning, twenty users at work with the clients
they have, a line that is cut, a power cut in both houses, a disk that fills up, a message that was not meant to go, the nightly
expiry. At every stage the log says what an operator looks for, and in the end both stores are equal and nothing is lost that anybody
was told is done (lib.kills). US_DAY_SEED repeats what the users choose."""
import hashlib
import os
import random
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import places
from lib.kills import SILENCE, Pair
from lib.mail_server import PASSWORD
from lib.places import wait_until
from lib.power import Disks
from lib.relay import Relay

USERS = [f"u{n:02}" for n in range(20)]
WORK = 30 if os.environ.get("US_LONG") else 3    # seconds of each stage
DISK = 256                                       # MiB of the disk that will be full


class Day(Pair):
    def __init__(self, roots, disk, seed, **more):
        self.disk, self.marks = disk, {}
        super().__init__(roots, seed, users=USERS, **more)

    def prepare(self):
        spool = self.disk.mountpoint / "spool"
        spool.mkdir(mode=0o750)
        shutil.chown(spool, places.SERVICE_USER)
        self.line = Relay(("127.0.0.1", self.b.csync_port))
        self.a.options.update({"partition-default": spool, "expunge_mode": "delayed", "sync_port": self.line.port})

    # ---- the log ---------------------------------------------------------------------------------

    def stage(self, what):
        """What comes now."""
        print(f"{what}: {self}")
        self.marks = {side: len(side.log()) for side in (self.a, self.b)}

    def tells(self, side, pattern):
        """The line of this stage that an operator finds by this; it may take a while until it comes."""
        def found():
            return [line for line in side.log()[self.marks[side]:] if re.search(pattern, line)]
        wait_until(found, SILENCE, lambda: f"{side.name} says {pattern}:\n" + "\n".join(side.log()[self.marks[side]:][-60:]))
        print(f"    {side.name}: {found()[0]}")

    # ---- clients ---------------------------------------------------------------------------------

    def run(self, *command, stdin=""):
        done = subprocess.run(list(map(str, command)), input=stdin, text=True, capture_output=True, timeout=SILENCE)
        assert done.returncode == 0, f"{command} -> {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def sends(self, user):
        """By LMTP, as an MTA."""
        message_id = f"<{self.rounds}.{user}@swaks.test>"
        note = lambda acked: self.book.ledger.message(f"user.{user}", message_id=message_id, acked=acked)    # noqa: E731
        self.book.wish(note)
        self.run("swaks", "--protocol", "LMTP", "--server", "127.0.0.1", "--port", self.a.lmtp_port, "--from", "a@example.net",
                 "--to", user, "--header", f"Message-Id: {message_id}", "--body", "by swaks", "--hide-all")
        self.book.heard(note)

    def files(self, user):
        """A message put into INBOX and read again, by curl."""
        text = f"From: a@example.net\r\nMessage-ID: <{self.rounds}.{user}@curl.test>\r\n\r\nby curl\r\n"
        note = lambda acked: self.book.ledger.message(    # noqa: E731
            f"user.{user}", sha1=hashlib.sha1(text.encode()).hexdigest(), acked=acked)
        path = self.a.root / f"curl-{user}"
        path.write_bytes(text.encode())
        where = ["curl", "-s", "-S", "-u", f"{user}:{PASSWORD}"]
        self.book.wish(note)
        self.run(*where, "-T", path, f"imap://127.0.0.1:{self.a.imap_port}/INBOX")
        self.book.heard(note)
        assert "* STATUS" in self.run(*where, f"imap://127.0.0.1:{self.a.imap_port}", "-X", "STATUS INBOX (MESSAGES)")

    def mirrors(self, user):
        """INBOX and a Maildir, both ways, by mbsync."""
        home = self.a.root / f"home-{user}"
        home.mkdir(exist_ok=True)
        (home / "rc").write_text(
            f"IMAPStore far\nHost 127.0.0.1\nPort {self.a.imap_port}\nUser {user}\nPass {PASSWORD}\nSSLType None\nAuthMechs LOGIN\n\n"
            f"MaildirStore near\nPath {home}/\nInbox {home}/INBOX\n\n"
            f"Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync All\nSyncState {home}/state-\n")
        self.run("mbsync", "-q", "-c", home / "rc", "all")
        assert [p for kind in ("new", "cur") for p in (home / "INBOX" / kind).iterdir()]

    def clients(self):
        """All of them at once; each user has sent, filed and fetched."""
        def one(user):
            self.sends(user)
            self.files(user)
            self.mirrors(user)
        with ThreadPoolExecutor(len(self.users)) as pool:
            list(pool.map(one, self.users))    # raises what one of them raised

    # ---- events ------------------------------------------------------------------------------------

    def goes_on(self, is_well, seconds=WORK, least=50):
        """So long, and until so much more was acknowledged."""
        heard, end = self.book.acknowledged, time.monotonic() + seconds
        wait_until(lambda: not is_well() or time.monotonic() > end and self.book.acknowledged >= heard + least, SILENCE,
                   lambda: f"work goes on: {self.book.acknowledged - heard} things")

    def fill(self):
        """Until nothing more fits; again and again, for what goes leaves room."""
        with open(self.disk.mountpoint / "dump", "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as error:
                    assert error.errno == 28, error


def installed(root):
    """Into a prefix of its own, as INSTALL would have it."""
    subprocess.run(["make", "-s", "-C", places.build(), "install", f"prefix={root / 'prefix'}"], check=True, capture_output=True)
    return root / "prefix"


@pytest.fixture
def day(roots, request):
    seed = int(os.environ.get("US_DAY_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"US_DAY_SEED={seed}")
    disks = Disks()
    try:
        day = Day(roots, disks.make(DISK), seed, prefix=installed(roots()))
        request.node.mail_servers = [day.a, day.b]
        yield day
        day.line.close()
        for side in (day.a, day.b):
            side.kill()
    finally:
        disks.close()


def the_morning(day, is_well):
    day.clients()
    day.goes_on(is_well)


def the_line_is_cut(day, is_well):
    day.line.cut()
    day.goes_on(is_well)    # nobody who works hears of it
    day.tells(day.a, r"event=sync\.link\.lost .*error=")
    day.tells(day.a, r"event=channel\.state\.changed .*to=backing-off")
    day.tells(day.a, r"event=sync\.connect\.failed .*host=\S+ again_ms=\d+ error=")
    day.line.mend()
    day.tells(day.a, r"event=channel\.state\.changed .*from=connecting to=catching-up")


def everything_falls_over(day, is_well):
    day.goes_on(is_well)
    for side in (day.a, day.b):
        side.kill()
    for side in (day.a, day.b):
        side.start(SILENCE)
        day.tells(side, r"event=meta\.unclean")
        day.tells(side, r"event=master\.ready")
    day.tells(day.a, r"event=sync\.full\.begun")
    day.goes_on(is_well)


def the_disk_is_full(day, is_well):
    day.goes_on(is_well, 1)
    end = time.monotonic() + WORK
    while time.monotonic() < end:
        day.fill()
        time.sleep(0.1)
    day.tells(day.a, r"No space left on device")
    (day.disk.mountpoint / "dump").unlink()
    day.goes_on(is_well)    # by itself


def a_message_comes_back(day):
    text = b"From: a@example.net\r\nMessage-ID: <dear@day.test>\r\n\r\nnot meant to go\r\n"
    with day.a.imap("u00") as c:
        uid = c.append("INBOX", text)[1]
        c.select("INBOX")
        c.ok("UID STORE", str(uid), "+FLAGS.SILENT", "(\\Deleted)")
        c.ok("UID EXPUNGE", str(uid))
    assert f"UID: {uid}" in day.a.tool("unexpunge", "-l", "user/u00", uid).stdout
    day.a.tool("unexpunge", "-u", "user/u00", uid)
    day.tells(day.a, r"event=admin\.unexpunge\.done")
    assert day.settle() == []
    for store in (day.store, day.copy):
        box = store.mailboxes()["user.u00"]
        assert "<dear@day.test>" in [box.message_ids[uid] for uid in box.live]


def the_night(day):
    gone = len(day.store.mailboxes())
    day.a.tool("cyr_expire", "-E", "1", "-X", "0", "-D", "0", timeout=SILENCE)
    day.tells(day.a, r"event=admin\.expire\.messages")
    day.tells(day.a, r"event=admin\.expire\.mailboxes")
    assert day.settle() == [] and len(day.store.mailboxes()) <= gone
    for name, box in day.store.mailboxes().items():
        assert box.records.keys() == box.live.keys(), f"{name} still has what was expunged"


@pytest.mark.limit(6 * SILENCE)
def test_a_day(day):
    for event in (the_morning, the_line_is_cut, everything_falls_over, the_disk_is_full):
        day.stage(event.__name__)
        faults = day.busy(lambda is_well: event(day, is_well))
        assert not faults, event.__name__ + ":\n" + "\n".join(faults[:30])
        if event is the_line_is_cut:
            day.tells(day.a, r"event=channel\.state\.changed .*to=live")    # when they work less: the log goes first
        if event is everything_falls_over:
            day.tells(day.a, r"event=sync\.full\.done")
    for event in (a_message_comes_back, the_night):
        day.stage(event.__name__)
        event(day)
    assert day.refusals    # the full disk was heard of, and by nothing worse than "later"
    day.finish()
