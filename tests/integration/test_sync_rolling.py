"""Rolling replication between masters of ours: quick, and not to be stopped by anything that happens to the network, the replica, one
user or the client itself."""
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from lib import places
from lib.places import wait_until
from lib.site import differences


@pytest.fixture
def pair(sites):
    def make(replica=None, **more):
        b = sites("b", **(replica or {}))
        return sites("a", to=b, **more), b
    return make


def users(a, *names):
    a.do(*(f"create user.{name} {name} lrswipkxtecdan" for name in names))


@contextmanager
def hole():
    """The port of something that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


RELAY = """
import os, socket, sys, threading
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
with socket.create_server(("10.231.7.2", 2005)) as server:
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX)
        far.connect(sys.argv[1])
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
"""


class FarAway:
    """A way to a replica through a network of its own, which can lose every packet without a word."""
    HOST = "10.231.7.2"

    def __init__(self, path):
        self.path = path

    def ip(self, words, far=False):
        inside = ["nsenter", f"--net=/proc/{self.relay.pid}/ns/net"] if far else []
        subprocess.run([*inside, "ip", *words.split()], check=True, capture_output=True)

    def __enter__(self):
        here = os.readlink("/proc/self/ns/net")
        self.relay = subprocess.Popen(["unshare", "-n", "sh", "-c", 'read _ && exec "$@"', "sh", sys.executable, "-c",
                                       RELAY, str(self.path)], stdin=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL)    # it complains of connections that break
        wait_until(lambda: os.readlink(f"/proc/{self.relay.pid}/ns/net") != here, 10, "it has its own network")
        self.ip(f"link add us-near type veth peer name us-far netns {self.relay.pid}")
        self.ip("addr add 10.231.7.1/24 dev us-near")
        self.ip("addr add 10.231.7.2/24 dev us-far", far=True)
        self.ip("link set us-far up", far=True)
        self.ip("link set us-near up")
        self.relay.stdin.write(b"\n")
        self.relay.stdin.close()

        def listens():
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((self.HOST, 2005)) == 0
        wait_until(listens, 10, "the relay listens")
        return self

    def cut(self, off=True):
        """The far end is unplugged: packets go out and no answer ever comes."""
        self.ip(f"link set us-far {'down' if off else 'up'}", far=True)

    def __exit__(self, *_):
        self.relay.kill()    # its network goes with it, and both ends of the line
        self.relay.wait(5)


# ---- the ordinary day ----------------------------------------------------------------------------------

def test_what_was_there_comes_first_then_every_change_at_once(pair):
    a, b = pair()
    users(a, "bob", "ann")
    a.append("user.bob", "before\r\n")
    with a.rolling():
        assert differences(a, b, ["bob", "ann"]) == []
        slowest = 0
        for n in range(10):
            began = time.monotonic()
            a.append("user.bob", f"message {n}\r\n")
            a.wait_synced(seconds=5)
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 1
        a.do("flags user.bob 1 \\Seen", "expunge user.bob 2", "create user.bob.New", "rename user.bob.New user.bob.Newer",
             "quota user.bob STORAGE 100", "subscribe bob user.bob", "annotate user.bob 3 /comment - hi",
             "mailboxannotation user.bob /comment - hi", "acl user.ann ann lrs bob lr", "create shared", "append shared "
             + str(a.message("s\r\n")), "serverannotation /motd - hello", "delete user.bob.Newer")
        a.wait_synced()
        assert differences(a, b, ["bob", "ann"], ["shared"]) == []
        page = a.page()
        assert page.state == "live" and page.connections == 1 and page.sent > 0 and page.lag_ns < 2_000_000_000
        assert page.pid == a.clients_of[""].pid and page.aside == 0 and page.oldest_ns == 0
        assert (page.confirmed, page.confirmed_at) == (page.taken, page.taken_at)
        octets = page.sent
        time.sleep(0.5)
        assert a.page().sent == octets    # nothing is said while nothing happens
    assert a.page().state == "idle" and a.page().pid == 0
    assert a.said("-A") == ["USER ann", "USER bob", "QUOTA user.bob"] or differences(a, b, ["bob", "ann"], ["shared"]) == []


def test_users_are_renamed_and_removed(pair):
    a, b = pair()
    users(a, "bob", "ann")
    a.append("user.bob", "mail\r\n")
    a.do("create user.bob.Sub", "subscribe bob user.bob", "subscribe ann user.ann")
    with a.rolling():
        a.do("rename user.bob.Sub user.joe.Sub", "rename user.bob user.joe")
        a.wait_synced()
        assert differences(a, b, ["joe", "ann"]) == []
        a.do("removeuser ann")
        a.wait_synced()
        with b.csync() as c:
            assert c.mailboxes("user.ann", "user.bob") == [] and c.get("META", "ann").items == []
        assert differences(a, b, ["joe"]) == []


def test_a_star_keeps_two_replicas(sites):
    b, c = sites("b"), sites("c")
    a = sites("a", to={"": b, "west": c})
    users(a, "bob")
    with a.rolling(), a.rolling(channel="west"):
        a.append("user.bob", "one\r\n")
        a.wait_synced()
        a.wait_synced(channel="west")
        assert differences(a, b, ["bob"]) == [] and differences(a, c, ["bob"]) == []
        assert b.stop()[0] == 0    # one that is away does not hold up the other
        a.append("user.bob", "two\r\n")
        a.wait_synced(channel="west")
        assert differences(a, c, ["bob"]) == []
        assert a.pending() and a.page("west").state == "live"
        b.start()
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_a_chain_passes_it_on(sites):
    c = sites("c")
    b = sites("b", to=c, chain=True)
    a = sites("a", to=b)
    users(a, "bob")
    with b.rolling(), a.rolling():
        for n in range(5):
            a.append("user.bob", f"{n}\r\n")
        a.do("flags user.bob 2 \\Flagged", "subscribe bob user.bob", "create user.bob.S", "quota user.bob MESSAGE 100")
        a.wait_synced()
        wait_until(lambda: b.page().lag_ns and not b.pending(), 20, "b is through")
        assert differences(a, b, ["bob"]) == [] and differences(b, c, ["bob"]) == []
        assert differences(a, c, ["bob"]) == []


def test_without_chain_nothing_is_passed_on(sites):
    c = sites("c")
    b = sites("b", to=c)
    a = sites("a", to=b)
    users(a, "bob")
    a.sync("-u", "bob")
    assert not b.pending()


# ---- ends ------------------------------------------------------------------------------------------------

def test_it_ends_by_signal_and_by_file(pair):
    a, b = pair()
    users(a, "bob")
    for number in (signal.SIGTERM, signal.SIGINT):
        a.start_rolling()
        a.wait_state("live")
        assert a.stop_rolling(number=number) == 0
    stop = a.root / "conf" / "stop"
    client = a.start_rolling("-F", str(stop))
    a.wait_state("live")
    stop.touch()
    assert client.wait(10) == 0 and not stop.exists()
    a.options["sync_shutdown_file"] = stop
    a.write_conf()
    client = a.start_rolling()
    a.wait_state("live")
    stop.touch()
    assert client.wait(10) == 0 and not stop.exists()
    del a.clients_of[""]


def test_in_the_background_it_says_when_it_has_begun(pair):
    a, b = pair()
    users(a, "bob")
    assert a.sync("-r").returncode == 0
    a.wait_state("live")
    pid = a.page().pid
    a.append("user.bob", "one\r\n")
    a.wait_synced()
    assert differences(a, b, ["bob"]) == []
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: a.page().state == "idle", 10, "it ends")
    done = a.sync("-r", "-n", "west", check=False)
    assert done.returncode == 0    # has the common keys
    a.wait_state("live", channel="west")
    os.kill(a.page("west").pid, signal.SIGTERM)
    wait_until(lambda: a.page("west").state == "idle", 10, "it ends")


def test_as_a_daemon_of_master(sites):
    b = sites("b")
    a = sites("a", to=b, start=False)
    a.daemons["syncclient"] = f'cmd="sync_client -C {a.imapd_conf} -r"'
    a.start()
    users(a, "bob")
    a.wait_state("live")
    first = a.page().pid
    assert a.children(a.process.pid, "sync_client") == [first]    # it stays where master sees it
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: a.page().pid not in (first, 0) and a.page().state == "live", 20, "master starts another")
    a.append("user.bob", "one\r\n")
    a.wait_synced()
    assert differences(a, b, ["bob"]) == []
    a.drop_hand()
    assert a.stop()[0] == 0
    assert a.page().state == "idle"
    a.start()


def test_one_log_and_one_file(pair):
    a, b = pair()
    users(a, "bob")
    assert a.sync("-R", "-1").returncode == 0
    assert differences(a, b, ["bob"]) == [] and not a.pending()
    assert a.sync("-R", "-1").returncode == 0    # nothing to do is well
    a.append("user.bob", "one\r\n")
    log = a.root / "mylog"
    log.write_text("MAILBOX user.bob\nnonsense here too\nMAILBOX \"user.bob\"\n")
    log.chmod(0o666)
    assert a.said("-R", "-f", str(log)) == ["MAILBOX user.bob"]
    assert log.exists() and differences(a, b, ["bob"]) == []


def test_what_is_set_aside_is_a_failure_of_a_single_pass(pair):
    a, b = pair()
    users(a, "bob", "ann")
    b.do("create user.bob")
    b.append("user.bob", "another bob's\r\n")
    done = a.sync("-R", "-1", check=False)
    assert done.returncode == 1 and "USER bob" in done.stderr
    assert differences(a, b, ["ann"]) == [] and len(a.aside()) == 1 and not a.pending()


def test_a_link_is_renewed_from_time_to_time(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling("-t", "1"):
        began = a.page().connections
        for n in range(5):
            time.sleep(0.5)
            a.append("user.bob", f"{n}\r\n")
            a.wait_synced()
        assert a.page().connections > began
        assert differences(a, b, ["bob"]) == []


@pytest.mark.parametrize("option, key", [(("-d", "2"), {}), ((), {"sync_repeat_interval": "2s"})])
def test_passes_can_be_kept_apart(pair, option, key):
    a, b = pair(imapd=key)
    users(a, "bob")
    with a.rolling(*option):
        a.append("user.bob", "1\r\n")
        a.wait_synced()
        began = time.monotonic()
        a.append("user.bob", "2\r\n")
        a.append("user.bob", "3\r\n")
        a.wait_synced()
        assert time.monotonic() - began > 1
        assert differences(a, b, ["bob"]) == []


def test_what_is_known_of_the_replica_is_bounded(pair):
    """Changes of two mailboxes in turn: what was left of the other is known still, or was never kept."""
    for most, asked in ((10, 0), (0, 6)):
        a, b = pair(imapd={"sync_known_max": most})
        users(a, "ann", "bob")
        b.begin_telemetry()
        with a.rolling():
            for n in range(2 + 6):
                if n == 2:    # both have been asked about
                    before = b.telemetry().count(b"GET MAILBOXES")
                a.append(("user.ann", "user.bob")[n % 2], f"{n}\r\n")
                a.wait_synced()
            assert b.telemetry().count(b"GET MAILBOXES") - before == asked
            assert differences(a, b, ["ann", "bob"]) == []


# ---- the network -------------------------------------------------------------------------------------------

def test_a_replica_that_is_away_is_found_again(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling() as client:
        assert b.stop()[0] == 0
        a.wait_state("backing-off")
        for n in range(20):
            a.append("user.bob", f"{n}\r\n")
        page = a.page()
        assert page.error and page.error_text and client.poll() is None
        wait_until(lambda: a.page().oldest_ns > 0, 10, "the oldest line is told")
        time.sleep(1)
        b.start()
        a.wait_synced(seconds=10)
        assert differences(a, b, ["bob"]) == []
        a.wait_state("live")


def test_a_replica_that_falls_over_in_the_middle(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling():
        for n in range(60):
            a.append("user.bob", f"Subject: {n}\r\n\r\n" + "x" * 2000)
            if n in (15, 40):
                b.kill()
                b.start()
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_a_move_to_another_partition_while_the_replica_is_asked(pair):
    """What is sent then has the new partition, but moves nothing there: the move must not be taken for done."""
    a, b = pair()
    users(a, "bob")
    a.append("user.bob", "1\r\n")
    with a.rolling():
        a.wait_synced()
    with a.rolling():    # a client that has not asked for him yet
        a.wait_state("live")
        [connection] = b.connections()
        os.kill(connection, signal.SIGSTOP)
        a.append("user.bob", "2\r\n")
        wait_until(lambda: list(a.sync_dir().glob("log-*")), 10, "the client has taken the log")
        time.sleep(0.5)    # it reads what is here and asks
        a.do("rename user.bob user.bob p2")
        os.kill(connection, signal.SIGCONT)
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_one_connection_killed_is_replaced_at_once(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling():
        time.sleep(1.1)    # a link that has lasted
        for pid in b.connections():
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: a.page().connections == 2, 5, "another connection")
        assert time.monotonic() - began < 0.5
        a.append("user.bob", "1\r\n")
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_a_hole_in_the_network_ends_nothing(pair):
    a, b = pair(imapd={"sync_connect_timeout": "1s", "sync_timeout": "3s"})
    users(a, "bob")
    good = a.options["sync_port"]
    with hole() as silent:
        a.options["sync_port"] = silent
        a.write_conf()
        client = a.start_rolling()
        wait_until(lambda: (a.sync_dir() / "state").exists() and a.page().error, 20, "it gave up waiting")
        assert client.poll() is None
        assert a.stop_rolling() == 0    # in the middle of waiting
    a.options["sync_port"] = good
    a.write_conf()
    with a.rolling():
        assert differences(a, b, ["bob"]) == []


def test_packets_that_vanish_end_nothing(pair):
    a, b = pair(imapd={"sync_connect_timeout": "1s", "sync_silence_max": "2s"})
    users(a, "bob")
    with FarAway(b.socket) as far:
        a.options.update({"sync_host": f"{far.HOST}/noauth", "sync_port": 2005})
        a.write_conf()
        with a.rolling() as client:
            far.cut()
            a.append("user.bob", "1\r\n")
            wait_until(lambda: a.page().state == "backing-off", 20, "it noticed that nobody answers")
            time.sleep(3)    # and that nobody takes its connections
            assert client.poll() is None and a.pending()
            far.cut(False)
            a.wait_synced(seconds=30)
            assert differences(a, b, ["bob"]) == []


def test_a_refusal_is_not_the_end(pair):
    a, b = pair(imapd={"sync_reconnect_maxwait": "1s"})
    users(a, "bob")
    places.make_users(b.root / "sasldb2", "b.test", {"admin": "another"})
    places.own_by_service_user(b.root)
    client = a.start_rolling()
    a.wait_state("refused")
    a.append("user.bob", "1\r\n")
    places.make_users(b.root / "sasldb2", "b.test", {"admin": "pw"})
    places.own_by_service_user(b.root)
    a.wait_state("live")
    assert client.poll() is None
    assert differences(a, b, ["bob"]) == []


# ---- one bad user --------------------------------------------------------------------------------------------

def test_one_bad_user_stops_nobody(pair):
    a, b = pair()
    users(a, "bob", "ann")
    b.do("create user.bob")
    b.append("user.bob", "another bob's\r\n")
    with a.rolling() as client:
        wait_until(lambda: a.aside(), 10, "bob is aside")
        for n in range(10):
            a.append("user.bob", f"{n}\r\n")
            a.append("user.ann", f"{n}\r\n")
        a.wait_synced()
        assert differences(a, b, ["ann"]) == []
        assert [line for line in a.aside() if "USER bob" in line] == a.aside()
        assert a.page().aside == 1 and a.page().state == "live" and client.poll() is None
        b.do("remove user.bob")    # an operator settles it
        wait_until(lambda: not a.aside(), 30, "bob is tried again")
        wait_until(lambda: a.page().aside == 0, 5, "nobody is aside")
        assert differences(a, b, ["bob", "ann"]) == []


def test_how_long_he_waits_is_the_operators_to_say(pair):
    a, b = pair(imapd={"sync_aside_wait": "1s", "sync_aside_maxwait": "1s"})
    users(a, "bob")
    b.do("create user.bob")
    b.append("user.bob", "another bob's\r\n")
    with a.rolling():
        wait_until(lambda: a.aside(), 10, "bob is aside")
        began = time.monotonic()
        # (time attempts line reason): with the defaults the third attempt comes after 15 seconds, the fifth after 75
        wait_until(lambda: any(int(line.strip("(").split()[1]) >= 5 for line in a.aside()), 40, "the fifth attempt")
        assert 3 <= time.monotonic() - began


def test_who_is_aside_is_remembered(pair):
    a, b = pair()
    users(a, "bob", "ann")
    b.do("create user.bob")
    b.append("user.bob", "another bob's\r\n")
    client = a.start_rolling()
    wait_until(lambda: a.aside(), 10, "bob is aside")
    client.kill()
    client.wait(5)
    b.do("remove user.bob")
    with a.rolling():
        wait_until(lambda: not a.aside(), 30, "bob is tried again")
        assert differences(a, b, ["bob", "ann"]) == []


# ---- the client itself -----------------------------------------------------------------------------------------

def test_a_dead_clients_log_comes_first(pair):
    a, b = pair(imapd={"sync_timeout": "60s"})
    users(a, "bob")
    client = a.start_rolling()
    a.wait_state("live")
    server = [b.process.pid, *b.processes("sync_server")]
    for pid in server:
        os.kill(pid, signal.SIGSTOP)
    a.append("user.bob", "1\r\n")
    wait_until(lambda: list(a.sync_dir().glob("log-*")), 10, "the client has taken the log")
    client.kill()
    client.wait(5)
    del a.clients_of[""]
    for pid in server:
        os.kill(pid, signal.SIGCONT)
    [left] = a.sync_dir().glob("log-*")
    a.append("user.bob", "2\r\n")
    with a.rolling():
        a.wait_synced()
        assert not left.exists()
        assert differences(a, b, ["bob"]) == []


def test_killed_at_any_moment_it_loses_nothing(pair):
    a, b = pair()
    users(a, "bob", "ann")
    for n in range(12):
        client = a.start_rolling()
        for k in range(4):
            a.append("user.bob", f"Subject: {n} {k}\r\n\r\n" + "x" * 500)
            a.append("user.ann", f"Subject: {n} {k}\r\n\r\n")
            a.do(f"flags user.ann {k + 1} \\Seen")
        time.sleep(0.02 * n)
        client.kill()
        client.wait(5)
    with a.rolling():
        a.wait_synced()
        assert differences(a, b, ["bob", "ann"]) == []


# ---- the log ---------------------------------------------------------------------------------------------------

def test_what_cannot_be_logged_does_not_happen(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling():
        pass
    log = a.sync_dir() / "log"
    log.mkdir()    # nothing can be appended to that
    text = a.message("Subject: lost\r\n\r\n")
    before = a.do("show user.bob")
    for line in (f"append user.bob {text}", "create user.bob.New", "subscribe bob user.bob", "quota user.bob STORAGE 1",
                 "acl user.bob bob l"):
        a.hand.stdin.write(line + "\n")
        a.hand.stdin.flush()
        assert a.hand.stdout.readline().startswith("NO "), line
    assert a.do("show user.bob") == before
    assert a.do("list") == ["name user.bob e"]
    log.rmdir()
    a.append("user.bob", "kept\r\n")
    with a.rolling():
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_a_change_announced_is_waited_for(pair):
    """The line is in the log before the change is committed: whoever reads it waits until it is, or never will be."""
    a, b = pair()
    users(a, "bob")
    text = a.message("Subject: slow\r\n\r\n")
    with a.rolling():
        for line, point in ((f"append user.bob {text}", "store.journal.sync"), ("flags user.bob 1 \\Seen", "store.journal.sync")):
            a.failpoints.arm(point, "stop")
            a.hand.stdin.write(line + "\n")
            a.hand.stdin.flush()
            wait_until(lambda: a.failpoints.fired, 10, "it stopped between line and commit")
            wait_until(lambda: [p for p in a.pending() if "-" in p.name], 10, "the log is taken")
            time.sleep(0.5)
            assert a.pending(), "taken for nothing"
            a.failpoints.disarm()
            a.hand.send_signal(signal.SIGCONT)
            while a.hand.stdout.readline() != "OK\n":
                pass
            a.wait_synced()
            assert differences(a, b, ["bob"]) == []


def test_a_change_announced_by_one_who_died(pair):
    a, b = pair()
    users(a, "bob")
    text = a.message("Subject: never\r\n\r\n")
    with a.rolling():
        a.failpoints.arm("store.journal.write_frame", "kill")
        a.hand.stdin.write(f"append user.bob {text}\n")
        a.hand.stdin.flush()
        a.hand.wait(10)
        a.hand = None
        a.failpoints.disarm()
        a.wait_synced()
        a.append("user.bob", "after\r\n")
        a.wait_synced()
        assert differences(a, b, ["bob"]) == []


def test_an_outage_with_five_thousand_lines(pair):
    a, b = pair()
    names = [f"u{n}" for n in range(50)]
    users(a, *names)
    with a.rolling():
        assert b.stop()[0] == 0
        a.wait_state("backing-off")
        text = a.message("Subject: x\r\n\r\nbody\r\n")
        for n in range(1700):    # three lines
            a.do(f"append user.u{n % 50} {text}", f"flags user.u{n % 50} {n // 50 + 1} \\Seen")
        lines = sum(1 for p in a.pending() for _ in p.open())
        assert lines >= 5000
        b.start()
        began = time.monotonic()
        a.wait_synced(seconds=60)
        seconds = time.monotonic() - began
        assert differences(a, b, names) == []
        print(f"{lines} lines, {seconds:.1f} s")
        assert seconds < 45


def test_a_backlog_above_the_bound_collapses(pair):
    a, b = pair(imapd={"sync_backlog_max": "4K"})
    users(a, "bob", "ann", "joe")
    with a.rolling():
        assert b.stop()[0] == 0
        a.wait_state("backing-off")
        for n in range(100):
            a.append("user.bob", f"{n}\r\n")
            a.append("user.ann", f"{n}\r\n")
        a.do("create shared", "create user.ann.Gone")
        a.append("shared", "s\r\n")
        a.do("remove user.ann.Gone", "removeuser joe")
        b.start()
        a.wait_synced(seconds=30)
        a.wait_state("live")
        assert a.count("sync.log.collapsed") == 1
        assert differences(a, b, ["bob", "ann"], ["shared"]) == []
        with b.csync() as c:
            assert c.mailboxes("user.joe", "user.ann.Gone") == []


def test_too_many_users_for_the_bound_means_everything(pair):
    a, b = pair(imapd={"sync_backlog_max": "4K"})
    names = [f"user-with-a-longer-name-{n}" for n in range(120)]
    users(a, *names[:60])
    with a.rolling():
        assert b.stop()[0] == 0
        a.wait_state("backing-off")
        users(a, *names[60:])
        for name in names:
            a.append(f"user.{name}", "1\r\n")
        b.start()
        wait_until(lambda: a.count("sync.full.done") == 2, 40, "a second full comparison")
        a.wait_synced(seconds=30)
        assert differences(a, b, names) == []


def test_after_a_crash_of_the_machine_everything_is_compared(pair):
    a, b = pair()
    users(a, "bob")
    with a.rolling():
        pass
    a.append("user.bob", "lost from the log\r\n")
    a.drop_hand()
    a.kill()
    for path in a.sync_dir().glob("log*"):    # it was not on the disk yet
        path.unlink()
    a.start()
    with a.rolling():
        wait_until(lambda: a.count("sync.full.done") == 2, 20, "the full comparison")
        assert a.count("reason=unclean") == 1
        assert differences(a, b, ["bob"]) == []


def test_everything_is_compared_while_the_log_goes_on(pair):
    a, b = pair()
    names = [f"u{n}" for n in range(80)]
    users(a, *names)
    for name in names:
        a.append(f"user.{name}", "1\r\n")
    (a.sync_dir() / "log").unlink()    # so that it is the comparison that finds them
    a.start_rolling()
    wait_until(lambda: a.count("sync.full.begun"), 10, "it begins")
    a.append("user.u79", "quick\r\n")
    a.wait_synced(seconds=60)
    assert not a.count("sync.full.done")
    wait_until(lambda: a.count("sync.full.done"), 60, "it ends")
    assert differences(a, b, names) == []
    assert a.stop_rolling() == 0


def test_what_is_logged_while_digests_are_asked_for(pair):
    """Each answer is heard by who asked: what is done between our own sums has questions of its own."""
    a, b = pair()
    names = [f"u{n:02}" for n in range(40)]
    users(a, *names)
    for name in names:
        a.append(f"user.{name}", "1\r\n")
    client = a.start_rolling()
    while not a.count("sync.full.done"):
        a.append("user.u39", "quick\r\n")
        assert client.poll() is None
    a.wait_synced(seconds=60)
    for event in ("sync.work.promoted", "sync.object.aside", "sync.digests.failed", "sync.mailbox.failed"):
        assert not a.count(event), a.tail()
    assert differences(a, b, names) == []
    assert a.stop_rolling() == 0
