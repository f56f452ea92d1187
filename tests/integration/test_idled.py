"""idled: one instance of inotify for everybody, and nobody who misses it when it is gone.

Instances and watches are limited in a user namespace of the server's own (lib/userns.py)."""
import os
import resource
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lib import places, userns
from lib.places import wait_until
from lib.server import ONLY_IMAP, Server

DAEMON = {"DAEMON": {"idled": {"cmd": "idled -C {conf}"}}}
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
BOXES = ["INBOX.a", "INBOX.b", "INBOX.c"]


class Limited(Server):
    """limits: of /proc/sys/user, for all of its processes together."""

    def __init__(self, *args, limits=None, **more):
        self.limits = limits or {}
        super().__init__(*args, **more)

    def spawn(self, command, output):
        with open(self.root / output, "ab") as out:
            return subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
                                    start_new_session=True, preexec_fn=userns.enter(self.limits))

    def pids(self, program):
        return [pid for pid, line in places.processes_of(self.root).items() if Path(line.split()[0]).name == program]

    def instances(self, program):
        """How many of inotify its processes have open."""
        return sum(instances_of(pid) for pid in self.pids(program))

    @property
    def idlesocket(self):
        return Path(self.options["configdirectory"]) / "socket/idle"


def instances_of(pid):
    folder, n = Path(f"/proc/{pid}/fd"), 0
    for fd in folder.iterdir() if folder.exists() else ():
        try:
            n += os.readlink(fd) == "anon_inode:inotify"
        except OSError:
            pass
    return n


@pytest.fixture
def serve(roots, request):
    request.node.mail_servers = made = []

    def make(limits=None, sections=DAEMON, **imapd):
        s = Limited(roots(), limits=limits, sections=sections, imapd={"altnamespace": False, "unixhierarchysep": False, **imapd},
                    services=ONLY_IMAP)
        made.append(s)
        s.start()
        s.make_user("bob")
        with s.imap("bob") as c:
            for box in BOXES:
                c.ok("CREATE", box)
        return s
    yield make
    try:
        for s in made:
            if s.master:
                s.finish()
    finally:
        for s in made:
            s.kill()


@contextmanager
def idlers(server, n):
    """n sessions in IDLE, over all mailboxes: (client, its mailbox)."""
    with ExitStack() as stack:
        out = []
        for i in range(n):
            client = stack.enter_context(server.imap("bob"))
            client.select(BOXES[i % len(BOXES)])
            stack.enter_context(client.idle())
            out.append((client, BOXES[i % len(BOXES)]))
        yield out


def told(client, exists, seconds):
    """Does it hear of that many messages in that time?"""
    deadline = time.monotonic() + seconds
    while news := client.poll(max(0.01, deadline - time.monotonic())):
        if news.name == "EXISTS" and news.number >= exists:
            return True
    return False


def append_everywhere(server, n=1):
    with server.imap("bob") as c:
        for _ in range(n):
            for box in BOXES:
                c.append(box, MESSAGE)


def all_told(waiting, exists, seconds):
    late = [i for i, (client, _) in enumerate(waiting) if not told(client, exists, seconds)]
    assert not late, f"{late} of {len(waiting)} were not told of message {exists}"


def all_with_idled(server):
    wait_until(lambda: server.instances("imapd") == 0 and server.pids("idled"), 20, "no session listens for itself")


def test_one_instance_is_enough_for_all(serve):
    s = serve({"max_inotify_instances": 1})
    with idlers(s, 12) as waiting:
        time.sleep(1.5)    # whoever had no answer would listen for himself by now
        assert s.instances("imapd") == 0 and s.instances("idled") == 1
        for n in (1, 2, 3):
            append_everywhere(s)
            all_told(waiting, n, 2)
    assert not [line for line in s.log() if "imap.idle.polls" in line]


def test_a_kill_is_a_hand_over(serve):
    """The kill comes while mail does; all of it is told, at once, by whoever rings then."""
    s = serve({"max_inotify_instances": 64})
    with idlers(s, 9) as waiting:
        all_with_idled(s)
        for n in range(1, 13):
            if n % 3 == 0:
                wait_until(lambda: s.kill_program("idled"), 10, "there is one to kill")
            append_everywhere(s)
            all_told(waiting, n, 2)
        all_with_idled(s)
        append_everywhere(s)
        all_told(waiting, 13, 2)
    s.expect("idled")    # master tells of its end by a signal


def test_without_idled_they_listen_themselves(serve):
    s = serve({"max_inotify_instances": 16}, sections={})
    with idlers(s, 6) as waiting:
        assert s.instances("imapd") == 6
        append_everywhere(s)
        all_told(waiting, 1, 2)


def test_without_any_instance_they_look(serve):
    s = serve({"max_inotify_instances": 0}, sections={}, imapidlepoll="1s")
    with idlers(s, 3) as waiting:
        append_everywhere(s)
        all_told(waiting, 1, 4)
        wait_until(lambda: [line for line in s.log() if "imap.idle.polls" in line], 10, "it is in the log")


def test_one_that_is_stopped_is_done_without(serve):
    s = serve({"max_inotify_instances": 16})
    (pid,) = s.pids("idled")
    os.kill(pid, signal.SIGSTOP)
    with idlers(s, 3) as waiting:
        wait_until(lambda: s.instances("imapd") == 3, 5, "each listens for himself")
        append_everywhere(s)
        all_told(waiting, 1, 2)
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: s.instances("imapd") == 0, 5, "and stops when it answers")
        append_everywhere(s)
        all_told(waiting, 2, 2)


def test_when_there_are_no_more_watches_it_says_so(serve):
    s = serve({"max_inotify_watches": 2}, imapidlepoll="1s")    # one is for its own socket
    with idlers(s, 3) as waiting:
        append_everywhere(s)
        all_told(waiting, 1, 4)
        assert [line for line in s.log() if "idled.watches.exhausted" in line and "max_user_watches" in line]


def test_a_mailbox_can_go(serve):
    """The bell goes with its mailbox; another mailbox of that name has another."""
    s = serve({"max_inotify_instances": 1})
    with s.imap("bob") as c, s.imap("bob") as other:
        c.select("INBOX.a")
        with c.idle():
            other.ok("DELETE", "INBOX.a")
            other.ok("CREATE", "INBOX.a")
            other.append("INBOX.a", MESSAGE)
    with s.imap("bob") as c:
        c.select("INBOX.a")
        with c.idle():
            append_everywhere(s)
            assert told(c, 2, 2)


# ---- the program -----------------------------------------------------------------------------------------------------

def run(s, *args, **more):
    return subprocess.run([s.program("idled"), "-C", s.conf, *args], env={**s.environment(), **more}, capture_output=True, text=True,
                          timeout=20)


def test_options(serve):
    s = serve(sections={})
    done = run(s, "-x")
    assert done.returncode == 64 and done.stderr == "invalid argument\n" and done.stdout == ""
    done = subprocess.run([s.program("idled"), "-C", "/nowhere", "-d"], capture_output=True, text=True)
    assert done.returncode == 78


@pytest.mark.parametrize("number,status", [(signal.SIGHUP, 0), (signal.SIGTERM, 75), (signal.SIGINT, 75)])
def test_ends_when_told(serve, number, status):
    s = serve(sections={})
    process = subprocess.Popen([s.program("idled"), "-C", s.conf, "-d"], env=s.environment(), stderr=subprocess.PIPE, text=True)
    while "idled.ready" not in process.stderr.readline():
        pass
    assert s.idlesocket.stat().st_mode & 0o777 == 0o600
    if os.getuid() == 0:
        assert s.idlesocket.owner() == places.SERVICE_USER
        assert Path(f"/proc/{process.pid}").stat().st_uid != 0
    process.send_signal(number)
    assert process.wait(5) == status
    process.stderr.close()


def test_from_start_it_goes_on_in_the_background(serve):
    """As Debian's cyrus.conf has it; it ends with master (finish() looks), and the next takes the place of one that did not."""
    s = serve({"max_inotify_instances": 8}, sections={"START": {"idled": {"cmd": "idled -C {conf}"}}})
    (first,) = s.pids("idled")
    with idlers(s, 3) as waiting:
        time.sleep(1.2)
        assert s.instances("imapd") == 0
        done = run(s)
        assert done.returncode == 0 and done.stderr == done.stdout == ""
        wait_until(lambda: s.pids("idled") and first not in s.pids("idled"), 5, "the first leaves")
        append_everywhere(s)
        all_told(waiting, 1, 2)
        all_with_idled(s)
        (second,) = s.pids("idled")    # not master's child: ended by hand
        os.kill(second, signal.SIGTERM)
        wait_until(lambda: not s.pids("idled"), 10, "it ends")


def test_its_socket_can_be_elsewhere(serve, roots):
    path = roots() / "sub/idle"
    path.parent.parent.chmod(0o777)
    s = serve({"max_inotify_instances": 1}, idlesocket=path)
    assert path.is_socket() and not s.idlesocket.exists()
    with idlers(s, 3) as waiting:
        append_everywhere(s)
        all_told(waiting, 1, 2)


def test_hup_starts_it_anew(serve):
    s = serve({"max_inotify_instances": 16})
    before = s.pids("idled")
    with idlers(s, 3) as waiting:
        s.master.send_signal(signal.SIGHUP)
        wait_until(lambda: s.pids("idled") and s.pids("idled") != before, 10, "another one")
        append_everywhere(s)
        all_told(waiting, 1, 2)
        all_with_idled(s)


# ---- whoever else speaks to it ---------------------------------------------------------------------------------------

def connect(s):
    one = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.settimeout(5)
    one.connect(str(s.idlesocket))
    return one


def watch(partition, storeid):
    return b"USB\x01" + (1).to_bytes(4, "little") + storeid + partition


def word(packet):
    assert packet[:4] == b"USB\x01" and len(packet) == 8
    return ["HUNG", "RING", "FELL", "REFUSED"][packet[4] - 2]


@pytest.mark.parametrize("packet", [
    b"x", b"\0" * 279, b"USB\x01", b"USB\x01\2\0\0\0", b"x" * 5000, watch(b"", bytes(16)), watch(b"nowhere", bytes(16)),
    watch(b"default", bytes(16)), watch(b"../../../etc", bytes(16)), watch(b"default\0", bytes(16)), watch(b"x" * 256, bytes(16))])
def test_nonsense_is_refused(serve, packet):
    s = serve()
    with connect(s) as one:
        one.send(packet)
        assert word(one.recv(100)) == "REFUSED"
    with connect(s) as one:    # it goes on
        one.send(packet)
        assert word(one.recv(100)) == "REFUSED"


def test_who_does_not_fetch_costs_nothing_and_loses_nothing(serve):
    """He has a RING in his queue, or FELL, or the end: he will look."""
    s = serve({"max_inotify_instances": 1})
    append_everywhere(s)    # else nobody has locked them yet
    ids = [bytes.fromhex(p.parent.name) for p in (s.root / "spool/u").glob("*/*/mbox.lk")]
    assert len(ids) >= len(BOXES)
    deaf = [connect(s) for _ in ids]
    for one, storeid in zip(deaf, ids):
        one.send(watch(b"default", storeid))
        assert word(one.recv(100)) == "HUNG"
    with idlers(s, 3) as waiting:
        append_everywhere(s, 300)
        all_told(waiting, 301, 5)
    rung = 0
    for one in deaf:
        one.setblocking(False)
        try:
            for fetched in range(1000):
                assert word(one.recv(100)) == "RING"
        except BlockingIOError:
            pass
        assert fetched < 20
        rung += fetched > 0
        one.close()
    assert rung == len(BOXES)


def test_out_of_descriptors_it_sends_them_away(serve):
    s = serve({"max_inotify_instances": 64})
    resource.prlimit(s.pids("idled")[0], resource.RLIMIT_NOFILE, (20, 20))
    with ExitStack() as stack:
        many = [stack.enter_context(connect(s)) for _ in range(30)]
        wait_until(lambda: [line for line in s.log() if "idled.descriptors.exhausted" in line], 5, "it says so")
        with idlers(s, 3) as waiting:
            wait_until(lambda: s.instances("imapd") == 3, 5, "each listens for himself")
            append_everywhere(s)
            all_told(waiting, 1, 2)
        assert many
