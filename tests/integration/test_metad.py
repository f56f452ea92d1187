"""metad under our master: kills of it and of its clients, failing disks, unclean stops, one owner."""
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from lib import places
from lib.failpoints import FailpointPage
from lib.metad import CHANGED, DEL, EXPECT, PUT, SERIAL, MetaConn, MetaError, item
from lib.places import wait_until
from lib.supervised import Supervised

REAL = {"metad": "metad", "metaclient": "tests/progs/test_metaclient"}
EIO, EBUSY = -1, -2


class Metad(Supervised):
    def __init__(self, root, imapd=None):
        super().__init__(root, imapd, REAL)
        self.failpoints = FailpointPage(self.root / "failpoints")
        self.environment["US_FAILPOINTS"] = str(self.failpoints.path)
        # What Berkeley DB loses when it cannot open an environment; its functions have no frame pointers.
        (self.root / "lsan").write_text("leak:__env_remove_env\nleak:__log_open\n")
        self.environment["ASAN_OPTIONS"] += ":fast_unwind_on_malloc=0:malloc_context_size=8"
        self.environment["LSAN_OPTIONS"] = f"suppressions={self.root}/lsan:print_suppressions=0"
        self.tools = []

    def metad_pid(self):
        found = self.children(self.process.pid, "metad") if self.process else []
        return found[0] if found else None

    def kill_metad(self, number=signal.SIGKILL):
        pid = wait_until(self.metad_pid, 10, "metad")
        os.kill(pid, number)
        return pid

    def wire(self, timeout=20):
        return MetaConn(self.conf / "socket/metad", timeout)

    def client(self, *args, **more):
        """test_metaclient as the service user; a Popen with its output in a file."""
        out = self.root / f"client-{len(self.tools)}"
        user = {"user": places.SERVICE_USER, "group": "mail", "extra_groups": []} if os.getuid() == 0 else {}
        env = {name: value for name, value in self.environment.items() if name != "US_FAILPOINTS"}
        with open(out, "wb") as file:
            p = subprocess.Popen([self.bin / "metaclient", self.conf, *map(str, args)], stdout=file, cwd="/",
                                 stderr=subprocess.STDOUT, env=env, **user, **more)
        p.out = out
        self.tools.append(p)
        return p

    def run_client(self, *args):
        p = self.client(*args)
        status = p.wait(60)
        return status, p.out.read_text()

    def __exit__(self, kind, *rest):
        for p in self.tools:
            if p.poll() is None:
                p.kill()
            p.wait()
        return super().__exit__(kind, *rest)


def acknowledged(client):
    """How many rows a writer was told are durable, and the longest it waited for one (ms)."""
    lines = [line for line in client.out.read_text().split("\n")[:-1] if not line.startswith("!")]
    return (int(lines[-1].split()[0]) + 1, int(lines[-1].split()[1])) if lines else (0, 0)


def errors(client):
    return [line for line in client.out.read_text().split("\n") if line.startswith("!")]


def check_all(m, writers):
    """Everything acknowledged is there. A number too many is well: committed, and not told any more."""
    for i, w in enumerate(writers):
        n, _ = acknowledged(w)
        status, out = m.run_client("check", f"w{i}", n)
        assert status == 0, out


@pytest.fixture
def m(roots):
    with Metad(roots()) as one:
        yield one


# ---- the protocol, from its page -----------------------------------------------------------------------

def test_every_request_of_the_protocol_is_answered(m):
    m.start()
    with m.wire() as meta:
        version = meta.put("mailboxes", b"user\x1fbob", b"%(T e)")
        row = meta.get("mailboxes", b"user\x1fbob")
        assert (row.version, row.serial, row.payload) == (version, 0, b"%(T e)")
        assert meta.get("mailboxes", b"user\x1fjoe") is None
        with pytest.raises(MetaError) as e:
            meta.commit(item(EXPECT, "mailboxes", b"user\x1fbob", number=version + 1),
                        item(DEL, "mailboxes", b"user\x1fbob"))
        assert e.value.code == CHANGED
        meta.commit(item(SERIAL, "mailboxes", b"user\x1fbob", number=7))
        assert meta.get("mailboxes", b"user\x1fbob") == row._replace(serial=7)
        for i in range(10):
            meta.put("quota", b"root%d" % i, b"x" * 100000)
        page = meta.range("quota", b"root2", b"root5")
        assert [key for key, _ in page] == [b"root2", b"root3", b"root4"]
        assert all(r.payload == b"x" * 100000 for _, r in page)
        assert len(meta.range("quota")) == 3                 # 256 KiB are enough for a page
        assert len(meta.range("quota", most=2)) == 2
        keys = meta.range("quota", keys_only=True)
        assert len(keys) == 10 and all(r.payload == b"" and r.version for _, r in keys)
        large = os.urandom(3 << 20)
        meta.put("seen", b"large", large)
        assert meta.get("seen", b"large").payload == large
        meta.barrier()
        stat = meta.stat()
        assert int(stat["version"]) == meta.get("seen", b"large").version and int(stat["clients"]) == 1


def test_a_batch_that_is_sent_again_is_recognised(m):
    m.start()
    with m.wire() as meta:
        items = item(EXPECT, "quota", b"a", number=0), item(PUT, "quota", b"a", b"1")
        version = meta.commit(*items, nonce=4711)
        assert meta.commit(*items, nonce=4711) == version
        with pytest.raises(MetaError):
            meta.commit(*items, nonce=4712)


# ---- kills ----------------------------------------------------------------------------------------------

def stop_writers(m, writers, least=30):
    """All is well with them; returns (batches acknowledged, longest wait in ms)."""
    for w in writers:
        w.terminate()
        assert w.wait(30) == 0, errors(w)
    check_all(m, writers)
    rows = [acknowledged(w) for w in writers]
    assert all(n > least for n, _ in rows), rows
    return sum(n for n, _ in rows), max(ms for _, ms in rows)


def test_kills_of_metad_lose_nothing_and_clients_merely_wait(m):
    m.start()
    writers = [m.client("write", f"w{i}") for i in range(8)]
    wait_until(lambda: all(acknowledged(w)[0] > 0 for w in writers), 20, "writers")
    chance, before = random.Random(4711), None
    for _ in range(12):    # master restarts it more and more slowly
        wait_until(lambda: m.metad_pid() not in (None, before), 10, "metad")
        time.sleep(chance.uniform(0.0, 0.4))
        before = m.kill_metad()
    wait_until(lambda: m.metad_pid() not in (None, before), 10, "metad")
    time.sleep(0.5)
    batches, longest = stop_writers(m, writers)
    print(f"12 kills, {batches} batches acknowledged, longest wait {longest} ms")


class Nurse:
    """What master does for metad, without its pauses: the socket, and another at once."""

    def __init__(self, m):
        self.m = m
        m.write_conf()
        (m.conf / "socket").mkdir()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(m.conf / "socket/metad"))
        self.socket.listen(100)
        places.own_by_service_user(m.root)
        self.start()

    def start(self):
        number = self.socket.fileno()
        self.process = start_metad_by_hand(self.m, pass_fds=(4, number), preexec_fn=lambda: os.dup2(number, 4))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(10) == os.EX_TEMPFAIL
        self.socket.close()


def test_many_kills_of_metad_lose_nothing(m):
    nurse = Nurse(m)
    writers = [m.client("write", f"w{i}") for i in range(8)]
    end, kills, chance = time.monotonic() + 12, 0, random.Random(4711)
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.0, 0.4))
        nurse.kill()
        kills += 1
    time.sleep(0.5)
    batches, longest = stop_writers(m, writers)
    nurse.stop()
    print(f"{kills} kills, {batches} batches acknowledged, longest wait {longest} ms")
    assert longest < 5000


def test_metad_dies_at_every_point_it_passes(m):
    m.start()
    m.failpoints.record()
    with m.wire() as meta:
        meta.put("quota", b"a", b"1")
    m.kill_metad()
    with m.wire() as meta:
        meta.put("quota", b"a", b"2")
    points = [p for p in m.failpoints.hits() if p.startswith("meta.")]
    m.failpoints.record(False)
    assert {"meta.db.write", "meta.db.fsync", "meta.db.sync_dir"} <= set(points), points
    writer = m.client("write", "w0")
    for point in sorted(points):
        for action in ("kill", "torn"):
            m.failpoints.arm(point, action)
            with contextlib.suppress(ProcessLookupError):    # it has died at that point already
                m.kill_metad()    # some are passed at the start only
            wait_until(lambda: m.failpoints.fired or wait_metad_up(m, writer), 20, f"{point} {action}")
            m.failpoints.disarm()
            n, _ = acknowledged(writer)
            wait_until(lambda: acknowledged(writer)[0] > n + 2, 20, lambda: f"{point}\n{m.tail()}")
    stop_writers(m, [writer])


def wait_metad_up(m, writer):
    n, _ = acknowledged(writer)
    time.sleep(0.3)
    return acknowledged(writer)[0] > n + 20


def test_kills_of_clients_disturb_nobody(m):
    m.start()
    steady = [m.client("write", f"w{i}") for i in range(2)]
    chance = random.Random(4712)
    for round in range(25):
        victims = [m.client("write", f"v{round}-{i}") for i in range(4)]
        time.sleep(chance.uniform(0.02, 0.15))
        for v in victims:
            v.kill()
            v.wait()
    assert stop_writers(m, steady)[1] < 2000
    with m.wire() as meta:
        wait_until(lambda: meta.stat()["clients"] == "1", 5, lambda: str(meta.stat()))
    assert m.count("metad cannot go on") == 0


def test_behind_a_barrier_nothing_of_the_dead_comes(m):
    m.start()
    with m.wire() as meta:
        for round in range(30):
            victims = [m.client("write", f"b{round}-{i}", "lazy") for i in range(2)]
            time.sleep(0.05)
            for v in victims:
                v.kill()
                v.wait()
            meta.barrier()
            before = [meta.get("quota", b"counter/b%d-%d" % (round, i)) for i in range(2)]
            version = meta.stat()["version"]
            time.sleep(0.02)
            assert meta.stat()["version"] == version
            m.kill_metad() if round % 10 == 9 else None
            with m.wire() as again:
                assert [again.get("quota", b"counter/b%d-%d" % (round, i)) for i in range(2)] == before
            if round % 10 == 9:
                meta.close()
                meta = m.wire()
        meta.close()


def test_lazy_batches_are_on_the_disk_within_a_second(m):
    m.start()
    with m.wire() as meta:
        meta.put("duplicates", b"lazy", b"1", lazy=True)
    time.sleep(1.3)
    m.kill_metad()
    with m.wire() as meta:
        assert meta.get("duplicates", b"lazy").payload == b"1"


# ---- one owner ------------------------------------------------------------------------------------------

def start_metad_by_hand(m, **more):
    return subprocess.Popen([m.bin / "metad", "-C", m.imapd_conf], env=m.environment, cwd="/",
                            stdin=subprocess.DEVNULL, **more)


def test_a_second_owner_is_refused(m):
    m.start()
    second = start_metad_by_hand(m)
    assert second.wait(20) == os.EX_TEMPFAIL
    assert m.count("IOERROR: opening the metadata") == 1
    assert m.run_client("try", "a")[0] == 0


def test_a_tool_owns_the_tables_when_no_metad_runs_and_metad_waits_for_it(m):
    m.write_conf()
    places.own_by_service_user(m.root)
    tool = m.client("hold")
    wait_until(lambda: tool.out.read_text() == "held\n", 10, "the tool")
    status, out = m.run_client("hold")
    assert status == 1 and out.startswith(f"{EBUSY} "), out
    process = start_metad_by_hand(m)
    time.sleep(0.5)
    assert process.poll() is None and not (m.conf / "socket/metad").exists()
    tool.terminate()
    assert tool.wait(10) == 0
    wait_until((m.conf / "socket/metad").exists, 10, "metad's own socket")
    assert (m.conf / "socket/metad").stat().st_mode & 0o777 == 0o600
    assert m.run_client("try", "a")[0] == 0
    process.terminate()
    assert process.wait(10) == os.EX_TEMPFAIL


def test_metad_ends_in_order_and_loses_nothing_lazy(m):
    m.start()
    with m.wire() as meta:
        meta.put("duplicates", b"lazy", b"1", lazy=True)
    status, seconds = m.stop()
    assert status == 0 and seconds < 3
    assert (m.conf / "master.clean").exists()
    m.start()
    with m.wire() as meta:
        assert meta.get("duplicates", b"lazy").payload == b"1"


# ---- disks that fail ------------------------------------------------------------------------------------

def test_a_failed_sync_costs_a_restart_and_nothing_else(m):
    m.start()
    writers = [m.client("write", f"w{i}") for i in range(4)]
    wait_until(lambda: all(acknowledged(w)[0] > 0 for w in writers), 20, "writers")
    for round in range(5):
        pid = m.metad_pid()
        m.failpoints.arm("meta.db.fsync", "eio")
        wait_until(lambda: m.failpoints.fired, 10, "the failing sync")
        wait_until(lambda: m.metad_pid() not in (pid, None), 10, "another metad")
        m.wait_log("a sync had failed; its files are written anew", round + 1)
        seen = [acknowledged(w)[0] for w in writers]
        wait_until(lambda: all(acknowledged(w)[0] > n for w, n in zip(writers, seen)), 20, "writers")
    stop_writers(m, writers, least=5)
    assert not (m.conf / "meta/sync.failed").exists()


def test_a_full_disk_is_refused_and_survived(m):
    m.start()
    assert m.run_client("try", "a")[0] == 0
    for _ in range(3):
        m.failpoints.arm("meta.db.write", "enospc")
        m.run_client("try", "b")      # refused, or repeated after a restart
        assert m.failpoints.fired == 1
        assert m.run_client("try", "c")[0] == 0
    with m.wire() as meta:
        assert {key for key, _ in meta.range("quota")} >= {b"a", b"c"}


def test_without_a_mark_of_the_failed_sync_metad_stays_and_refuses(m):
    if os.getuid() != 0:
        raise places.Missing("root, to change modes of what belongs to the service user")
    m.start()
    assert m.run_client("try", "a")[0] == 0
    pid = m.metad_pid()
    os.chmod(m.conf / "meta", 0o500)
    m.failpoints.arm("meta.db.fsync", "eio")
    began = time.monotonic()
    status, out = m.run_client("try", "b")
    assert status == 1 and out.startswith(f"{EIO} "), out
    assert time.monotonic() - began < 5
    status, out = m.run_client("try", "c")
    assert status == 1 and out.startswith(f"{EIO} "), out
    assert m.metad_pid() == pid
    os.chmod(m.conf / "meta", 0o700)
    wait_until(lambda: m.metad_pid() not in (pid, None), 10, "another metad")
    assert m.run_client("try", "d")[0] == 0


def test_tables_beyond_recovery_are_reported_not_waited_for(m):
    m.start()
    assert m.run_client("try", "a")[0] == 0
    tables = m.conf / "meta/tables.db"
    good = tables.read_bytes()
    tables.write_bytes(b"x" * len(good))
    for log in (m.conf / "meta").glob("log.*"):
        log.write_bytes(b"y" * log.stat().st_size)
    m.kill_metad()
    began = time.monotonic()
    status, out = m.run_client("try", "b")
    assert status == 1 and out.startswith(f"{EIO} "), out
    assert time.monotonic() - began < 5
    m.wait_log("IOERROR: opening the metadata")


def test_tables_that_were_damaged_while_nobody_looked_are_whole_again(m):
    m.start()
    writer = m.client("write", "w0")
    m.wait_log("the tables are copied")
    wait_until(lambda: acknowledged(writer)[0] > 100, 20, "writer")
    writer.send_signal(signal.SIGSTOP)
    m.stop()
    tables = m.conf / "meta/tables.db"
    good = tables.read_bytes()
    tables.write_bytes(b"x" * len(good))
    m.start()
    m.wait_log("metadata is whole again")
    writer.send_signal(signal.SIGCONT)
    n, _ = acknowledged(writer)
    wait_until(lambda: acknowledged(writer)[0] > n + 20, 20, "writer")
    stop_writers(m, [writer])


def test_the_tables_are_copied_as_often_as_is_said(roots):
    with Metad(roots(), {"metad_backup_interval": "1s"}) as m:
        m.start()
        m.wait_log("the tables are copied", 3, 20)
    assert sorted(p.name[:6] for p in (m.conf / "meta/backup").iterdir()) == ["note", "tables"]


def test_logs_call_for_a_copy_that_takes_its_time(roots):
    with Metad(roots(), {"metad_backup_log": "1M", "metad_backup_log_percent": "10", "metad_backup_rate": "64K"}) as m:
        began = time.monotonic()
        m.start()
        m.wait_log("the tables are copied", 1, 30)
        assert time.monotonic() - began > (m.conf / "meta/tables.db").stat().st_size / 65536 / 2
        with m.wire() as meta:
            for _ in range(40):
                meta.put("quota", b"a", bytes(os.urandom(30000)))
        m.wait_log("the tables are copied", 2, 30)


# ---- after an unclean stop --------------------------------------------------------------------------------

def reasons(meta):
    rows = {key.decode(): row.payload.decode() for key, row in meta.range("channels")}
    return {key: (re.search(r"FULL (\S+?)\)?$", text) or [None, None])[1] for key, text in rows.items()}


def test_after_an_unclean_stop_every_channel_owes_a_full_comparison(m):
    m.start()
    with m.wire() as meta:
        meta.put("channels", b'""', b"%(SINCE 1)")
        meta.put("channels", b"west", b"%(SINCE 2 FULL off)")
        meta.put("channels", b"east", b"%(SINCE 3)")
    assert m.stop()[0] == 0
    m.start()
    with m.wire() as meta:
        assert reasons(meta) == {'""': None, "west": "off", "east": None}
    m.process.kill()
    m.process.wait()
    m.start()
    with m.wire() as meta:
        assert reasons(meta) == {'""': "unclean", "west": "unclean", "east": "unclean"}
        meta.put("channels", b"east", b"%(SINCE 5)")    # it was compared
        m.kill_metad()
    with m.wire() as meta:                              # a death of metad alone is no unclean stop
        assert reasons(meta)["east"] is None
    assert m.stop()[0] == 0


def test_files_are_the_service_users_and_closed_to_others(m):
    m.start()
    for path in [m.conf / "meta", *(m.conf / "meta").iterdir(), m.conf / "socket/metad"]:
        assert path.stat().st_mode & 0o077 == 0, path
        if os.getuid() == 0:
            assert path.owner() == places.SERVICE_USER, path
    assert (Path(m.conf) / "meta/generations").stat().st_size == 64 + 65536 * 8
