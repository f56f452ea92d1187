"""Cyrus's services under our master, and ours under Cyrus's: the contract between the two is binary."""
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from lib import places
from lib.cyrus_peer import CyrusPeer
from lib.places import wait_until
from lib.supervised import PROGRAMS, Client


class Mixed(CyrusPeer):
    """A Cyrus with our master in it, or with a service of ours. Its metad is a stand-in."""
    master_is_ours = True

    def __init__(self, root, tree, **more):
        self.ours = Path(root) / "ours"
        self.ours.mkdir()
        build = places.build()
        for name, built in PROGRAMS.items():
            if not (build / built).exists():
                raise places.Missing(f"no {built} in {build}: make check builds it")
            shutil.copy(build / built, self.ours / name)
        super().__init__(root, tree, **more)

    def program(self, name):
        if name in ("echod", "waitd") or (name == "master" and self.master_is_ours):
            return self.ours / name
        return super().program(name)

    def environment(self):
        return {**super().environment(), "UNDERSTUDY_PATH": str(self.ours)}

    def running(self, program):
        """Pids of the children of master that run a program."""
        with open(f"/proc/{self.master.pid}/task/{self.master.pid}/children") as file:
            children = {int(pid) for pid in file.read().split()}
        return sorted(pid for pid, line in places.processes_of(self.root).items()
                      if pid in children and Path(line.split()[0]).name == program)


class WithCyrusMaster(Mixed):
    master_is_ours = False


def stop(server):
    server.master.send_signal(signal.SIGTERM)
    status = server.master.wait(10)
    server.master = None
    assert places.processes_of(server.root) == {}
    return status


@pytest.fixture
def under_ours(request, roots, cyrus_tree):
    request.node.mail_servers = made = []

    def make(**options):
        made.append(Mixed(roots(), cyrus_tree, **options))
        return made[-1].start()
    yield make
    for one in made:
        one.kill()


def imap_entry(s, more):
    """Cyrus's imapd with other limits; its port stays."""
    s.services["imap"] = {**s.services["imap"], **more}
    s.write_conf()


def test_cyrus_services_run_under_our_master(under_ours):
    s = under_ours(sections={"DAEMON": {"idled": {"cmd": "idled -C {conf}"}},
                             "EVENTS": {"check": {"cmd": "ctl_cyrusdb -C {conf} -c", "period": 30}}})
    s.make_user("bob")
    with s.lmtp() as lmtp:
        assert lmtp.deliver("me@x", ["bob"], b"Subject: hello\r\n\r\nyou\r\n")["bob"].ok
    with s.imap("bob") as c:
        assert c.select("INBOX")["EXISTS"] == 1
        assert len(s.running("imapd")) >= 1
    for name in ("START name:recover", "EVENT name:check"):
        wait_until(lambda: any(re.search(rf"process type:{name} .* exited normally", line) for line in s.log()), 10, name)
    assert s.running("idled")
    assert stop(s) == 0
    assert not [line for line in s.log() if "exited, status" in line or "signaled to death" in line]


def test_prefork_and_maxchild_count_cyrus_processes(under_ours):
    s = under_ours()
    imap_entry(s, {"prefork": 2, "maxchild": 3})
    s.master.send_signal(signal.SIGHUP)
    wait_until(lambda: len(s.running("imapd")) == 2, 10, lambda: f"two ready: {places.processes_of(s.root)}")
    clients = [s.imap() for _ in range(3)]    # greeted
    wait_until(lambda: len(s.running("imapd")) == 3, 5, "no more than three")
    fourth = Client(("127.0.0.1", s.imap_port))
    assert not fourth.greeted_within(1)
    assert len(s.running("imapd")) == 3
    clients[0].logout()
    assert fourth.greeted_within(5)    # by the process that has become ready again
    for client in clients[1:]:
        client.ok("NOOP")
    # one that is killed with a client is replaced, and a reload keeps who is connected
    before = s.running("imapd")
    s.master.send_signal(signal.SIGHUP)
    time.sleep(1)
    for client in clients[1:]:
        client.ok("NOOP")
        client.logout()
    fourth.close()
    wait_until(lambda: len(s.running("imapd")) >= 2 and not set(before) & set(s.running("imapd")), 10,
               lambda: f"new ones, not {before}: {places.processes_of(s.root)}")
    assert stop(s) == 0


def test_a_cyrus_service_that_fails_is_switched_off(under_ours):
    s = under_ours()
    s.services["bad"] = {"cmd": "imapd -C /no/such/file", "listen": s.root / "bad", "prefork": 1}
    s.write_conf()
    s.master.send_signal(signal.SIGHUP)
    text = "too many failures for service bad, disabling until next SIGHUP"
    wait_until(lambda: any(text in line for line in s.log()), 10, text)
    with s.admin() as c:
        c.ok("NOOP")
    assert stop(s) == 0


@pytest.fixture
def under_cyrus(request, roots, cyrus_tree):
    request.node.mail_servers = made = []

    def make(**options):
        made.append(WithCyrusMaster(roots(), cyrus_tree, **options))
        return made[-1].start()
    yield make
    for one in made:
        one.kill()


def test_our_service_runs_under_cyrus_master(under_cyrus):
    port = places.free_ports(1)[0]
    echo = {"cmd": "echod -U 30 -C {conf}", "listen": f"127.0.0.1:{port}", "prefork": 2, "maxchild": 5}
    s = under_cyrus(services={"echo": echo}, sections={"DAEMON": {"wait": {"cmd": "waitd -w 200", "wait": "yes"}}})
    clients = [Client(("127.0.0.1", port)).greeted() for _ in range(12)]
    assert clients[0].who()["name"] == "echo"
    assert len({c.who()["parent"] for c in clients}) <= 2    # Cyrus's master knows no better than to start two
    parents = s.running("echod")
    assert len(parents) == 2 and s.running("waitd")
    os.kill(parents[0], signal.SIGKILL)
    wait_until(lambda: len(s.running("echod")) == 2 and s.running("echod") != parents, 10, "another")
    assert all(c.alive() for c in clients)
    old = s.running("echod")
    s.master.send_signal(signal.SIGHUP)
    wait_until(lambda: len(s.running("echod")) == 2 and not set(old) & set(s.running("echod")), 10, "renewed")
    assert all(c.alive() for c in clients) and Client(("127.0.0.1", port)).greeted().alive()
    assert not [line for line in s.log() if "unrecognized" in line or "not registered" in line]
    s.master.send_signal(signal.SIGTERM)
    assert all(c.ended() for c in clients)
    assert s.master.wait(10) == 0
    s.master = None
    wait_until(lambda: not places.processes_of(s.root), 5, "nobody left")
