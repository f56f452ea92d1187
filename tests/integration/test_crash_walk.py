"""The walk over real daemons (lib.walk): every operation, and every order that replicates it, with one program dying, or its disk
full or failing, at every point it passes. Nothing acknowledged is missing, nothing is half done, and the replica becomes equal
by itself.

Here a few points of each operation, with US_WALK=short only of every fourth operation, with US_WALK=long (scripts/check --long)
every point of all. Each point that any of the programs
has must be passed by some operation, or by the first start of a server, or stand below with a reason; and a point that an
operation passed undisturbed, but not when it was to be broken, is an error."""
import os
from contextlib import suppress
from fnmatch import fnmatch

import pytest

from lib.checker import compare
from lib.csync import CsyncError
from lib.imap import ImapError
from lib.mail_server import ADMIN, ToolFailed
from lib.places import wait_until
from lib.store import read_store
from lib.walk import DAEMONS, EXPECTED, Point, Walk, Walked, spread, ways
from lib.walk_ops import OPS
from lib.wire import WireError

LONG = os.environ.get("US_WALK") == "long"
SHORT = os.environ.get("US_WALK") == "short"    # under sanitizers
MINE = OPS[::4] if SHORT else OPS
IN_PROCESS = "walked inside one process: tests/unit/store/test_walk.c"


def because(reason, *names):
    return dict.fromkeys(names, reason)


UNREACHABLE = {
    **because("an order of more than 256 KiB of records; broken in tests/unit/csync/test_spool.c",
              "csync.spool.create", "csync.spool.write"),
    **because("two things must fail: a sync, then this", "meta.mark.create", "meta.mark.sync", "meta.mark.sync_dir"),
    **because("Berkeley DB gives back space only when a table is compacted; none is", "meta.db.truncate"),
    **because("Berkeley DB removes logs only when told to; we do it ourselves", "meta.db.unlink"),
    **because("logs and former copies go after a new copy of much metadata; tests/unit/store/meta/test_rescue.c",
              "meta.db.remove_log", "meta.backup.unlink"),
    **because("the tables must be damaged; tests/unit/store/meta/test_rescue.c", "meta.rescue.*", "meta.restore.*",
              "meta.copy.*"),
    **because("the start of metad after its disk failed a sync, which is when nothing is armed; " + IN_PROCESS,
              "meta.refresh.create", "meta.refresh.write", "meta.refresh.sync", "meta.refresh.rename",
              "meta.refresh.sync_dir", "meta.refresh.unlink", "meta.refresh.sync_end"),
    **because("master has made that directory for its own socket", "meta.socket.mkdir"),
    **because("whoever opens a channel has made that directory, at channels.mkdir", "synclog.mkdir"),
    **because("annotations of messages, which none of these operations sets; " + IN_PROCESS,
              "store.annots.create", "store.annots.write", "store.annots.sync"),
    **because("partitions on different file systems; " + IN_PROCESS,
              "store.commit.create_copy", "store.commit.write_copy", "store.commit.sync_copy"),
    **because("whoever comes after a death, which is when nothing is armed; " + IN_PROCESS,
              "store.commit.unlink_leftover", "store.message.unlink", "store.repair.sync"),
    **because("whoever recovers after a failed sync or a crash of the machine; " + IN_PROCESS,
              "store.recover.blot", "store.recover.sync"),
    **because("a delivery that waits in vain for a mailbox's lock and comes again; " + IN_PROCESS, "store.stage.sync_file"),
    **because("RESTART among the orders of a connection; " + IN_PROCESS, "store.stage.unlink"),
    **because("ctl_cyrusdb, of a directory that was lost for a day; " + IN_PROCESS, "store.lost.rename"),
    **because("what an administrator says to all by SETMETADATA: nothing of the store", "session.notice.*"),
}


# ---- operations --------------------------------------------------------------------------------------


@pytest.fixture
def walk(request, roots):
    walk = Walk(roots)
    request.node.mail_servers = [walk.a, walk.b]
    yield walk
    walk.finish()
    assert walk.wrong == [], "\n" + "\n".join(walk.wrong)


@pytest.mark.limit(900)
def test_some_points_of_every_operation(walk, roots):
    known = [walk.record(op) for op in MINE]
    assert {k.op.name: k.missing() for k in known if k.missing()} == {}
    if not SHORT:
        every_point_is_passed(walk, roots, known)
    for k in known:
        mine = [p for p in k.sample(1) if p[:2] in (("a", k.op.program), ("b", "sync_server"))]
        for point in mine or k.sample(1)[:1]:
            walk.disturb(k, point)
    for k in known[::3]:    # and those in the background, whoever it is they work for
        for point in k.sample(1)[-2:]:
            walk.disturb(k, point)
    walk.settle_accounts()


def every_point_is_passed(walk, roots, known):
    """By some operation or by the first start of a server, or there is a reason."""
    passed = {name for k in known for hits in k.hits.values() for name in hits}
    passed |= {name for hits in FirstStart(roots, walk.b).record().values() for name in hits}
    every = {name for program in DAEMONS for name in walk.a.failpoint_names(program)}
    excused = {name for name in every if any(fnmatch(name, pattern) for pattern in UNREACHABLE)}
    assert every - passed - excused == set(), "passed by nobody, and no reason is given"
    assert passed & excused == set(), "passed, and said to be out of reach"


@pytest.mark.limit(300)
def test_what_cannot_be_logged_does_not_happen(walk):
    for op in MINE:
        if not op.poisons:
            walk.refuse_line(op)
    walk.settle_accounts()


if LONG:
    @pytest.mark.limit(7200)
    @pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
    def test_every_point(walk, op):
        known = walk.record(op)
        for number, point in enumerate(known.points()):
            walk.disturb(known, point)
            if number % 100 == 99:
                walk.settle_accounts()
        walk.settle_accounts()


# ---- the first start of a server ---------------------------------------------------------------------

class FirstStart:
    """A server on an empty disk, up to its first user and the next start; whoever dies meanwhile, or master, is started again.
    It replicates to b, which stays: each has a user of its own."""

    def __init__(self, roots, b):
        self.roots, self.b = roots, b

    def make(self):
        a = Walked(self.roots(), "a")
        a.replicate_to(self.b)
        a.sections["DAEMON"] = {"sync": {"cmd": "sync_client -R -C {conf}"}}
        a.write_conf()
        a.user = f"first-{a.root.name}".replace("_", "-").lower()
        return a

    def record(self):
        a = self.make()
        for page in a.points.values():
            page.record()
        self.twice(a)
        self.equal(a)
        a.stop()
        a.wipe()
        return {("a", program): page.hits() for program, page in a.points.items()}

    def twice(self, a):
        a.start()
        self.use(a)
        a.restart()

    def use(self, a):
        """As far as it has not come yet."""
        with a.admin() as c:
            for name in (f"user/{a.user}", f"user/{a.user}/folder"):
                if not c.list("", name):
                    c.ok("CREATE", name)
            c.ok("SETACL", f"user/{a.user}", ADMIN, "lrswipkxtecda")
            c.append(f"user/{a.user}", b"Subject: first\r\n\r\n")

    def equal(self, a):
        def differences():
            return compare(*(read_store(server.endpoint(), [a.user]) for server in (a, self.b)))
        wait_until(lambda: differences() == [], 30, lambda: f"the replica is equal: {differences()}")

    def disturb(self, point):
        a = self.make()
        page = a.points[point.program]
        page.arm(point.name, point.action, point.hit)
        with suppress(ToolFailed, TimeoutError, CsyncError, ImapError, WireError, OSError):
            self.twice(a)
            self.equal(a)
        page.disarm()
        a.kill()
        a.start()
        self.use(a)
        self.equal(a)
        a.expect(EXPECTED)
        a.finish()
        a.wipe()
        assert page.fired == 1, "never passed again"


@pytest.mark.limit(7200 if LONG else 300)
def test_first_start(roots):
    with Walked(roots(), "b") as b:
        first = FirstStart(roots, b)
        points = [Point("a", program, name, action, 0) for (_, program), hits in first.record().items() for name in hits
                  for action in ways(name)]
        wrong = []
        for point in points if LONG else spread(points)[:4 if SHORT else 8]:
            try:
                first.disturb(point)
            except Exception as error:    # all that is wrong at once
                wrong.append(f"{point}: {error!r}")
        b.expect(EXPECTED)
    assert wrong == [], "\n" + "\n".join(wrong)
