"""cyr_synclog, sync_reset, ctl_cyrusdb and cyr_buildinfo."""
import fcntl
import json
import os
import shutil
import signal
import subprocess

import pytest

from lib.bench import Bench
from lib.failpoints import FailpointPage
from lib.places import wait_until


@pytest.fixture
def bench(root):
    return Bench(root, {"sync_log_channels": '"" east'})


# ---- cyr_synclog ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, lines", [
    (["-u", "bob"], ["USER bob"]),
    (["-u", "bob", "a b"], ["USER bob", 'USER "a b"']),
    (["-U", "bob"], ["UNUSER bob"]),
    (["-v", "bob"], ["META bob"]),
    (["-m", "user.bob", "user.bob.My Folder"], ["MAILBOX user.bob", 'MAILBOX "user.bob.My Folder"']),
    (["-M", "user.bob"], ["UNMAILBOX user.bob"]),
    (["-a", "user.bob"], ["APPEND user.bob"]),
    (["-c", "user.bob"], ["MAILBOX user.bob"]),
    (["-q", 'a"b'], ['QUOTA "a\\"b"']),
    (["-n", ""], ['ANNOTATION ""']),
    (["-s", "bob", "id"], ["SEEN bob id"]),
    (["-b", "bob", "user.amy", "bob", "user.tom"], ["SUB bob user.amy", "SUB bob user.tom"]),
    (["MAILBOX", "user.bob"], ["MAILBOX user.bob"]),
    (["mailbox user.bob"], ["MAILBOX user.bob"]),
    (["DOUBLEMAILBOX", "user.a", "user.b"], ["DOUBLEMAILBOX user.a user.b"]),
])
def test_a_line_in_every_channel(bench, args, lines):
    assert bench.ok("cyr_synclog", *args) == ""
    assert bench.log_lines() == lines
    assert (bench.root / "conf/sync/east/log").read_text().splitlines() == lines


@pytest.mark.parametrize("args", [[], ["-m"], ["-z"], ["-s", "bob"], ["-m", "-u", "bob"], ["-q", ""], ["nonsense"], ["MAILBOX"],
                                  ["USER a\nUSER b"], ["-u", "a\nb"], ["MAILBOX", "user.a", "user.b"]])
def test_what_is_no_line_is_not_written(bench, args):
    done = bench.tool("cyr_synclog", *args)
    assert done.returncode == 255 and done.stdout == "" and "usage: cyr_synclog" in done.stderr
    assert bench.log_lines() == []


def test_without_a_log_it_says_so(roots):
    bench = Bench(roots(), {"sync_log": False})
    done = bench.tool("cyr_synclog", "-u", "bob")
    assert done.returncode == 0 and "sync_log is off" in done.stderr
    assert not (bench.root / "conf/sync").exists()


# ---- sync_reset ----------------------------------------------------------------------------------------

def everything_of_bob(bench):
    bench.do("create user.bob", "create user.bob.Sent", "create user.bob.old", "delete user.bob.old", "create user.bobby",
             "create shared", f"append user.bob {bench.message('From: a@b' + chr(10))}", "quota user.bob STORAGE 5",
             "quota user.bob.Sent STORAGE 1", "quota user.bobby STORAGE 6", "subscribe bob shared", "subscribe bobby shared")
    scripts = bench.root / bench.ok("mbpath", "-u", "-S", "bob").rstrip("\n")
    scripts.mkdir(parents=True)
    (scripts / "a.script").write_text("keep;")
    bench.own(bench.root / "sieve")
    bench.log_lines()
    return scripts


def names(bench):
    return sorted(line.split()[1] for line in bench.do("list"))


def test_nothing_is_left_of_a_user(bench):
    scripts = everything_of_bob(bench)
    assert bench.ok("sync_reset", "-f", "bob") == ""
    assert names(bench) == ["shared", "user.bobby"]
    assert not scripts.exists()
    quota = bench.ok("quota")
    assert "user/bobby" in quota and "user/bob\n" not in quota and "Sent" not in quota
    lines = bench.log_lines()
    assert {"UNUSER bob", "UNMAILBOX user.bob", "UNMAILBOX user.bob.Sent"} <= set(lines)
    assert any(line.startswith("UNMAILBOX DELETED.user.bob.old.") for line in lines)
    assert not any("bobby" in line for line in lines)
    assert bench.ok("reconstruct", "-q", "-G") == ""
    bench.do("create user.bob", "show user.bob")


def test_nothing_is_done_without_f(bench):
    everything_of_bob(bench)
    before = names(bench)
    for args in ([], ["bob"], ["-v", "bob"], ["-x", "-f", "bob"], ["-f"]):
        done = bench.tool("sync_reset", *args)
        assert done.returncode == 64 and done.stdout == "" and "obligatory" in done.stderr
    assert names(bench) == before and bench.log_lines() == []


def test_it_stops_at_one_who_is_not_there(bench):
    everything_of_bob(bench)
    done = bench.tool("sync_reset", "-v", "-f", "bobby", "nosuch", "bob")
    assert (done.returncode, done.stdout) == (65, "bobby\n") and done.stderr.endswith("Bailing out!\n")
    assert "user.bob" in names(bench) and "user.bobby" not in names(bench)


def test_who_dies_leaves_nothing_that_nobody_finds(roots):
    """Scripts lie where the INBOX says: while there are some there must be an INBOX."""
    passed, fired = 0, True
    while fired:
        bench = Bench(roots())
        scripts = everything_of_bob(bench)
        page = FailpointPage(bench.root / "failpoints")
        page.arm("store.tree.rmdir", "kill", passed)
        bench.tool("sync_reset", "-f", "bob", env={"US_FAILPOINTS": str(page.path)})
        fired = page.fired
        assert not scripts.exists() or "user.bob" in names(bench), passed
        if "user.bob" in names(bench):
            bench.ok("sync_reset", "-f", "bob")
        assert not scripts.exists() and "user.bob" not in names(bench)
        passed += 1
    assert passed > 3


# ---- ctl_cyrusdb -----------------------------------------------------------------------------------------

def test_recovery_is_there_and_sweeps_what_dead_connections_left(bench):
    bench.do("create user.bob")
    dead = bench.root / "spool/stage" / ("0" * 32)
    dead.mkdir()
    (dead / "1").write_text("half a message")
    bench.own(dead)
    assert bench.ok("ctl_cyrusdb", "-r", "-x") == "" and dead.exists()
    assert bench.ok("ctl_cyrusdb", "-r") == "" and not dead.exists()
    log = (bench.root / "log").read_text()
    assert "recovering cyrus databases" in log and "done recovering cyrus databases" in log


def test_recovery_opens_a_partition_whose_disk_failed(bench):
    page = FailpointPage(bench.root / "failpoints")
    message = bench.message("From: a@b\r\n\r\nx\r\n")
    bench.do("create user.bob", f"append user.bob {message}")
    page.arm("store.journal.sync", "eio")
    append = f"append user.bob {message}\n"
    done = bench.run("tests/progs/store_do", stdin=append, env={"US_FAILPOINTS": str(page.path)})
    assert done.returncode == 1 and page.fired
    for _ in range(2):
        done = bench.run("tests/progs/store_do", stdin=append)
        assert done.returncode == 1 and "poisoned" in done.stdout
    bench.ok("ctl_cyrusdb", "-r")
    assert bench.do(append) == ["uid 2"]
    assert len(bench.show("user.bob").live) == 2 and bench.ok("reconstruct", "-q", "-G") == ""


def lose_metadata_and_restore(bench, copy):
    shutil.rmtree(bench.root / "conf/meta")
    shutil.copytree(bench.root / "conf" / copy, bench.root / "conf/meta")
    bench.own(bench.root / "conf/meta")


def test_two_copies_are_kept(bench):
    for name in ("user.one", "user.two", "user.three"):
        bench.do(f"create {name}")
        assert bench.ok("ctl_cyrusdb", "-c") == ""
    bench.do("create user.four")
    lose_metadata_and_restore(bench, "db.backup2")
    assert names(bench) == ["user.one", "user.two"]
    lose_metadata_and_restore(bench, "db.backup1")
    assert names(bench) == ["user.one", "user.three", "user.two"]
    assert [line for line in bench.ok("reconstruct", "-m").splitlines()][0].startswith("created mbentry for user.four (")
    assert not (bench.root / "conf/db.backup.new").exists()


def test_a_copy_that_fails_leaves_the_others(bench):
    page = FailpointPage(bench.root / "failpoints")
    env = {"US_FAILPOINTS": str(page.path)}
    bench.do("create user.one")
    bench.ok("ctl_cyrusdb", "-c")
    page.record()
    bench.ok("ctl_cyrusdb", "-c", env=env)
    hits = {name: n for name, n in page.hits().items() if name.startswith(("admin.", "meta.copy."))}
    page.record(False)
    assert {"meta.copy.create", "meta.copy.write", "admin.backup.rename"} <= set(hits)
    for name in hits:
        for action in ("kill", "enospc"):
            page.arm(name, action)
            done = bench.tool("ctl_cyrusdb", "-c", env=env)
            assert page.fired and done.returncode != 0, (name, action)
            page.disarm()
            kept = [p for p in ("db.backup1", "db.backup2") if (bench.root / "conf" / p).exists()]
            assert kept, (name, action)
            bench.ok("ctl_cyrusdb", "-c")
    lose_metadata_and_restore(bench, "db.backup1")
    assert names(bench) == ["user.one"]


@pytest.fixture
def metad(bench):
    """A metad of its own for the bench, as master would start it."""
    with open(bench.root / "metad.out", "wb") as out:
        process = subprocess.Popen([bench.build / "metad", "-C", bench.conf], env=bench.environment(), cwd="/",
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_until(lambda: bench.tool("ctl_cyrusdb", "-r").returncode == 0 and process.poll() is None, 20,
                   lambda: (bench.root / "metad.out").read_text())
        yield process
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()


class Writer:
    """Makes mailboxes one after the other, each with a limit."""

    def __init__(self, bench):
        self.made = 0
        self.process = subprocess.Popen([bench.build / "tests/progs/store_do", "-C", bench.conf], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=bench.environment(), text=True, cwd="/")

    def make(self, count):
        for i in range(self.made, self.made + count):
            self.process.stdin.write(f"create user.u{i}\nquota user.u{i} STORAGE {i}\n")
        self.process.stdin.flush()
        for _ in range(2 * count):
            assert self.process.stdout.readline() == "OK\n"
        self.made += count


def test_copies_made_under_load_are_whole_and_have_what_was_acknowledged(bench, metad):
    writer = Writer(bench)
    writer.make(20)
    copies = []
    for number in range(4):
        floor = writer.made
        copier = subprocess.Popen([bench.build / "ctl_cyrusdb", "-C", bench.conf, "-c"], env=bench.environment(), cwd="/",
                                  stderr=subprocess.PIPE, text=True)
        while copier.poll() is None:
            writer.make(5)
        assert copier.returncode == 0, copier.stderr.read()
        shutil.copytree(bench.root / "conf/db.backup1", bench.root / f"copy{number}")
        copies.append((bench.root / f"copy{number}", floor, writer.made))
    writer.process.communicate()
    metad.send_signal(signal.SIGTERM)
    metad.wait(20)
    for path, floor, ceiling in copies:
        shutil.rmtree(bench.root / "conf/meta")
        shutil.copytree(path, bench.root / "conf/meta")
        bench.own(bench.root / "conf/meta")
        found = names(bench)
        assert floor <= len(found) <= ceiling and set(found) == {f"user.u{i}" for i in range(len(found))}
        limits = json.loads(bench.ok("quota", "-J"))
        assert len(found) - 1 <= len(limits) <= len(found)
        assert all(root["STORAGE"].get("limit") == 1024 * int(name[6:]) for name, root in limits.items())
    assert copies[-1][2] > copies[0][1]


def test_a_damaged_page_costs_a_copy_and_nothing_else(bench, metad):
    """metad has the page in memory; who copies it sees what is on the disk, as if it had been torn while it was read."""
    bench.do("create user.one")
    bench.ok("ctl_cyrusdb", "-c")
    with open(bench.root / "conf/meta/tables.db", "r+b") as tables:
        good = os.pread(tables.fileno(), 100, 4096 + 400)
        os.pwrite(tables.fileno(), b"x" * 100, 4096 + 400)
        done = bench.tool("ctl_cyrusdb", "-c")
        os.pwrite(tables.fileno(), good, 4096 + 400)
    assert done.returncode != 0 and "the copy: " in done.stderr and "made again" not in done.stderr, done.stderr
    assert sorted(p.name for p in (bench.root / "conf").glob("db.*")) == ["db.backup1"]
    bench.ok("ctl_cyrusdb", "-c")
    assert sorted(p.name for p in (bench.root / "conf").glob("db.*")) == ["db.backup1", "db.backup2"]


def test_copies_with_directories_in_them_go_like_others(bench):
    bench.do("create user.one")
    for name in ("db.backup2", "db.backup.new"):
        (bench.root / "conf" / name / "broken-1").mkdir(parents=True)
        (bench.root / "conf" / name / "broken-1" / "tables.db").write_bytes(b"x")
        bench.own(bench.root / "conf" / name)
    for _ in range(2):
        bench.ok("ctl_cyrusdb", "-c")
    assert not list((bench.root / "conf").glob("db.*/broken-1")) and not (bench.root / "conf/db.backup.new").exists()


def test_one_copy_at_a_time(bench):
    bench.do("create user.one")
    bench.ok("ctl_cyrusdb", "-c")
    folder = os.open(bench.root / "conf", os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    done = bench.tool("ctl_cyrusdb", "-c")
    os.close(folder)
    assert done.returncode == 75 and "another copy" in done.stderr


@pytest.mark.parametrize("args", [[], ["-c", "-r"], ["-z"]])
def test_a_wrong_command_line(bench, args):
    assert bench.tool("ctl_cyrusdb", *args).returncode == 255


# ---- cyr_buildinfo ---------------------------------------------------------------------------------------

def test_buildinfo_tells_what_is_installed(bench):
    info = json.loads(bench.ok("cyr_buildinfo"))
    assert info["component"]["replication"] is (bench.build / "sync_client").exists()
    assert info["component"]["httpd"] is False and info["dependency"]["openssl"] is True
    assert info["version"]["MAILBOX_MINOR_VERSION"] == 17
    beside = bench.root / "bin"
    beside.mkdir()
    shutil.copy(bench.build / "cyr_buildinfo", beside)
    shutil.copy("/bin/true", beside / "idled")
    done = subprocess.run([beside / "cyr_buildinfo", "flat"], capture_output=True, text=True, check=True)
    assert "component.idled=true\n" in done.stdout
    assert json.loads(bench.ok("cyr_buildinfo", "dense")) == json.loads(bench.ok("cyr_buildinfo", "pretty"))


def test_buildinfo_knows_three_formats(bench):
    assert bench.ok("cyr_buildinfo", "dense").count("\n") == 1
    assert 'search.xapian_cjk_tokens="none"\n' in bench.ok("cyr_buildinfo", "flat")
    for args in (["xml"], ["-x"]):
        done = bench.tool("cyr_buildinfo", *args)
        assert done.returncode == 255 and done.stdout == ""
