"""The tools on servers that run: beside clients and deliveries, after deaths, and with a replica."""
import itertools
import os
import threading
import time
from pathlib import Path

import pytest

from lib.checker import compare
from lib.messages import plain
from lib.places import own_by_service_user
from lib.server import Server
from lib.store import read_store


class Load:
    """Clients that append, flag, copy, move and expunge, and deliveries, until stopped."""

    def __init__(self, server, users):
        self.server, self.stopping, self.errors, self.done = server, threading.Event(), [], 0
        self.numbers = itertools.count(1)
        jobs = [(self._client, user) for user in users] + [(self._deliver, user) for user in users]
        self.threads = [threading.Thread(target=self._run, args=job) for job in jobs]
        for thread in self.threads:
            thread.start()

    def _run(self, job, user):
        try:
            job(user)
        except Exception as error:    # told by stop()
            if not self.stopping.is_set():
                self.errors.append(error)

    def _client(self, user):
        with self.server.imap(user) as c:
            c.command("CREATE", "Kept")
            while not self.stopping.is_set():
                for _ in range(5):
                    c.append("INBOX", plain(next(self.numbers)))
                c.select("INBOX")
                c.ok("STORE 1:3 +FLAGS.SILENT", b"(\\Seen work)")
                c.ok("STORE 2 +FLAGS.SILENT", b"(\\Deleted)")
                c.ok("COPY 1 Kept")
                c.command("MOVE 3 Kept")
                c.ok("EXPUNGE")
                self.done += 1

    def _deliver(self, user):
        while not self.stopping.is_set():
            with self.server.lmtp() as c:
                for _ in range(5):
                    c.deliver("a@b.test", [user], plain(next(self.numbers)))
            self.done += 1

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
        assert not self.errors, self.errors


@pytest.mark.limit(300)
def test_silence_beside_clients_and_deliveries(server):
    s = server()
    s.make_user("bob", "amy")
    load = Load(s, ["bob", "amy"])
    try:
        end, runs = time.monotonic() + 12, 0
        while time.monotonic() < end:
            for tool in (("reconstruct", "-q", "-G"), ("quota", "-f", "-q"), ("reconstruct", "-q"), ("reconstruct", "-q", "-n", "-G")):
                done = s.tool(*tool)
                assert (done.stdout, done.stderr) == ("", ""), tool
            runs += 1
    finally:
        load.stop()
    assert runs >= 3 and load.done >= 10
    store = read_store(s.endpoint())
    assert store.faults == []


@pytest.mark.limit(300)
def test_after_deaths_there_is_nothing_but_what_was_never_acknowledged(server):
    """A kill may leave the file of a message that nobody was told of: it is found, once. No message is missing."""
    s = server()
    s.make_user("bob", "amy")
    for _ in range(4):
        load = Load(s, ["bob", "amy"])
        time.sleep(1.5)
        load.stopping.set()
        s.kill()
        load.stop()
        s.start()
        lines = s.tool("reconstruct", "-q", "-G").stdout.splitlines()
        assert all(line.endswith(" found - adding") for line in lines) and len(lines) <= 12, lines
        assert s.tool("reconstruct", "-q", "-G").stdout == ""
        assert s.tool("quota", "-f", "-q").stderr == ""
    s.tool("ctl_cyrusdb", "-r")    # sweeps what the dead had staged
    assert s.staged() == []
    assert read_store(s.endpoint()).faults == []


def edit(s, user):
    """A message lost, one renamed, one changed, one added."""
    path = Path(s.tool("mbpath", f"user/{user}").stdout.rstrip("\n"))
    files = sorted((p for p in path.iterdir() if p.name[:-1].isdigit()), key=lambda p: int(p.name[:-1]))
    owner = os.stat(files[0])
    files[0].unlink()
    files[1].rename(path / "500.")
    files[2].write_bytes(plain(1000))
    (path / "600.").write_bytes(plain(1001))
    os.chown(path / "600.", owner.st_uid, owner.st_gid)


@pytest.mark.limit(300)
def test_clients_see_what_was_edited_and_the_replica_follows(roots, server, request):
    replica = server(name="b")
    primary = Server(roots(), name="a")
    request.node.mail_servers.append(primary)
    primary.replicate_to(replica)
    primary.start()
    try:
        primary.make_user("bob")
        replica.add_users("bob")
        with primary.imap("bob") as c:
            for i in range(6):
                c.append("INBOX", plain(i), flags=["\\Seen"])
            primary.sync_client("-u", "bob")
            box = c.select("INBOX")
            log = primary.root / "conf/sync/log"
            log.unlink(missing_ok=True)
            edit(primary, "bob")
            primary.expect("SYNCERROR: guid mismatch")
            lines = primary.tool("reconstruct", "-R", "user/bob").stdout.splitlines()
            assert lines[-1] == "user/bob" and len(lines) == 8, lines
            assert log.read_text() == "MAILBOX user.bob\n"
            now = c.select("INBOX")
            assert now["UIDVALIDITY"] == box["UIDVALIDITY"] and now["UIDNEXT"] == 602 and now["EXISTS"] == 6
        primary.sync_client("-m", "user/bob")
        a, b = read_store(primary.endpoint()), read_store(replica.endpoint())
        assert a.faults + b.faults == [] and compare(a, b) == []
        assert sorted(a.users["bob"].mailboxes["user.bob"].live) == [4, 5, 6, 500, 600, 601]
        # The other way round: the replica forgets him, and gets him again.
        replica.tool("sync_reset", "-f", "bob")
        assert "bob" not in read_store(replica.endpoint()).users
        primary.sync_client("-u", "bob")
        assert compare(read_store(primary.endpoint()), read_store(replica.endpoint())) == []
        for s in (primary, replica):
            done = s.tool("reconstruct", "-q", "-G")
            assert (done.stdout, done.stderr) == ("", "")
    finally:
        primary.finish()


def test_a_damaged_mailbox_is_refused_until_it_is_reconstructed(server):
    s = server()
    s.make_user("bob", "amy")
    with s.imap("bob") as c:
        for i in range(3):
            c.append("INBOX", plain(i), flags=["\\Flagged"])
    path = Path(s.tool("mbpath", "user/bob").stdout.rstrip("\n"))
    index = (path / "mbox.idx").read_bytes()
    (path / "mbox.idx").write_bytes(b"\0" * len(index))
    own_by_service_user(path)
    with s.imap("amy") as c:
        c.select("INBOX")    # others do not notice
    with s.imap("bob") as c:
        assert c.command("SELECT INBOX").status == "NO"
        lines = s.tool("reconstruct", "user/bob").stdout.splitlines()
        assert lines == ["user.bob: failed to read index header", "user/bob"]    # the journal has all of it
        box = c.select("INBOX")
        assert box["EXISTS"] == 3
        assert all("\\Flagged" in item["FLAGS"] for item in c.fetch("1:*", "(FLAGS)").values())
    s.expect("index|user.bob")
