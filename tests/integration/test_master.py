"""master: from cyrus.conf to running services, and back to nothing."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from lib import places
from lib.failpoints import FailpointPage
from lib.places import wait_until
from lib.supervised import Supervised

VERSION = re.compile(r"^cyrus-imapd 3\.6\.1-Understudy-\d+\.\d+\.\d+\n$")
ASK_METAD = """/usr/bin/python3 -c '
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("{conf}/socket/metad")
print(s.recv(100).decode())' """


@pytest.fixture
def m(roots):
    with Supervised(roots()) as one:
        yield one


@pytest.fixture
def port():
    return places.free_ports(1)[0]


def as_root():
    if os.getuid() != 0:
        raise places.Missing("root, to see what becomes of root's rights")


def run_to_end(m, *args, **more):
    """Start master, and wait for its end: the exit status."""
    process = m.launch(*args, **more)
    try:
        return process.wait(20)
    finally:
        process.kill()
        process.wait()


# ---- start -------------------------------------------------------------------------------------------

def test_start_entries_run_in_order_with_metad_there_and_before_any_listener(m, port):
    order = m.root / "order"
    ask = ASK_METAD.format(conf=m.conf)
    m.start_entries["first"] = f'cmd="{m.tool("one", f"sleep 0.3; {ask} >{order}; echo one $1 >>{order}")} a"'
    m.start_entries["second"] = f'cmd="{m.tool("two", f"echo two >>{order}; exit 75")}"'
    m.start_entries["third"] = f'cmd="{m.tool("three", f"ss -Hltn | grep -c :{port} >>{order}; true")}"'
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    lines = order.read_text().split("\n")
    assert re.fullmatch(r"\d+ unclean=0", lines[0])
    assert lines[2:] == ["one a", "two", "0", ""]
    assert m.client(port).alive()
    assert re.search(r"process type:START name:first path:\S+/one age:0\.\d{3}s pid:\d+ exited normally", m.log())
    assert re.search(r"process type:START name:second path:\S+/two age:0\.\d{3}s pid:\d+ was killed", m.log())


@pytest.mark.parametrize("script, end", [("exit 3", "exited, status 3"),
                                         ("kill -9 $$", "signaled to death by signal 9 (Killed)")])
def test_a_start_entry_that_fails_ends_master(m, port, script, end):
    m.start_entries["bad"] = f'cmd="{m.tool("bad", script)}"'
    m.start_entries["never"] = f'cmd="{m.tool("never", f"touch {m.root}/never")}"'
    m.echo("echo", f"127.0.0.1:{port}")
    assert run_to_end(m) == 1
    assert "can't run startup" in m.log() and end in m.log()
    assert not (m.root / "never").exists() and not m.ready_file.exists()
    assert m.notes("metad")[-1][0] == "end"


def test_a_start_program_that_is_not_there_ends_master(m):
    m.start_entries["bad"] = 'cmd="no-such-program"'
    assert run_to_end(m) == 1
    assert "can't run startup" in m.log() and "no-such-program" in m.log()


def test_a_program_that_cannot_be_executed_is_told(m, port):
    (m.bin / "bad").write_text("#!/no/such/interpreter\n")
    (m.bin / "bad").chmod(0o755)
    m.echo("bad", f"127.0.0.1:{port}", cmd="bad")
    m.start()
    m.wait_log(f"couldn't start a program event=master.exec.failed path={m.bin}/bad")
    m.wait_log("exited, status 71")


def test_term_while_start_runs_ends_it(m):
    m.start_entries["slow"] = f'cmd="{m.tool("slow", "sleep 100")}"'
    m.process = m.launch()
    wait_until(lambda: m.processes("slow") or "sleep 100" in str(places.processes_of(m.root)), 10, "START runs")
    status, seconds = m.stop()
    assert status == 0 and seconds < 2
    assert not m.ready_file.exists()


def test_metad_that_never_gets_ready_ends_master(m):
    m.tool("metad", "exit 3")
    assert run_to_end(m) == 1
    assert "metad does not become ready" in m.log()


def test_without_a_metad_program_master_does_not_start(m):
    (m.bin / "metad").unlink()
    assert run_to_end(m) == 78
    assert "metad" in m.log()


def test_metad_gets_the_configuration_file_and_its_socket(m):
    m.start()
    pid = m.processes("metad")[0]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read().split(b"\0")[:3] == [b"metad", b"-C", str(m.imapd_conf).encode()]
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = file.read().split(b"\0")
    assert b"CYRUS_ISDAEMON=1" in environment and b"CYRUS_SERVICE=metad" in environment
    assert (m.conf / "socket/metad").stat().st_mode & 0o777 == 0o600
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        assert file.read() == ""


# ---- listening ---------------------------------------------------------------------------------------

def test_every_form_of_listen(m):
    a, b, c, d, e = places.free_ports(5)
    path = m.root / "sock"
    m.echo("host", f"127.0.0.1:{a}")
    m.echo("port", f"{b}")
    m.echo("six", f"[::1]:{c}")
    m.echo("path", path)
    m.echo("four", f"{d}", "proto=tcp4 prefork=1")
    m.echo("onlysix", f"{e}", "proto=tcp6")
    m.start()
    assert m.client(a).who()["local"] == f"[127.0.0.1]:{a}"
    both = [m.client(("127.0.0.1", b)).who(), m.client(("::1", b)).who()]
    assert {w["id"] for w in both} == {"0", "1"} and both[0]["parent"] != both[1]["parent"]
    assert both[1]["local"] == f"[::1]:{b}" and re.fullmatch(r"\[::1\]:\d+", both[1]["remote"])
    assert m.client(("::1", c)).who()["name"] == "six"
    unix = m.client(path).who()
    assert unix["unix"] == "1" and unix["peer_uid"] == str(os.getuid()) and unix["local"] == f"[{path}]"
    assert path.stat().st_mode & 0o777 == 0o777
    assert m.client(d).alive() and m.client(("::1", e)).alive()
    for refused in (("::1", d), ("127.0.0.1", e), ("::1", a)):
        with pytest.raises(ConnectionRefusedError):
            m.connect(refused)


def test_a_service_that_cannot_listen_does_not_stop_the_others(m, port):
    taken = socket.create_server(("127.0.0.1", 0))
    in_use = taken.getsockname()[1]
    m.echo("taken", f"127.0.0.1:{in_use}")
    m.echo("nonsense", "[::1")
    m.echo("nohost", f"no.such.host.invalid:{in_use}")
    m.echo("noport", "127.0.0.1:no-such-port")
    m.echo("noproto", f"{in_use}", "proto=sctp")
    m.echo("noprogram", f"127.0.0.1:{places.free_ports(1)[0]}", cmd="no-such-program")
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    assert m.client(port).alive()
    log = m.log()
    assert re.search(rf"unable to create taken listener socket: 127\.0\.0\.1:{in_use}: Address already in use", log)
    assert "cannot find executable for service 'noprogram'" in log
    for name in ("nonsense", "nohost", "noport", "noproto"):
        assert re.search(rf"service disabled.*service={name}\b", log), name
    # when the place is free again a reload takes it
    taken.close()
    m.reload()
    assert m.client(in_use).alive()


def test_bind_errors_end_master_where_so_configured(m, port):
    taken = socket.create_server(("127.0.0.1", 0))
    m.options["master_bind_errors_fatal"] = True
    m.echo("echo", f"127.0.0.1:{port}")
    m.echo("taken", f"127.0.0.1:{taken.getsockname()[1]}")
    assert run_to_end(m) == 69
    assert not m.ready_file.exists()
    taken.close()
    m.start()
    assert m.client(port).alive()


def test_a_low_port_is_bound_by_root_and_served_by_the_user(m):
    as_root()
    low = next(p for p in range(600, 1024) if not places.listening(p))
    m.echo("low", f"127.0.0.1:{low}")
    m.start()
    assert m.client(low).who()["uid"] == str(places.service_user().pw_uid)
    # and after a reload, when master has long stepped down
    other = next(p for p in range(low + 1, 1024) if not places.listening(p))
    m.echo("other", f"127.0.0.1:{other}")
    m.reload()
    assert m.client(other).alive()


def test_a_place_that_is_in_use_is_waited_for_a_moment(m, port):
    """Somebody who is about to leave: processes of a killed master, or of an entry that has just been changed."""
    taken = socket.create_server(("127.0.0.1", port))
    m.options["master_bind_errors_fatal"] = True
    m.echo("echo", f"127.0.0.1:{port}")
    m.process = m.launch()
    wait_until(lambda: m.notes("metad"), 10, "it starts")
    time.sleep(0.5)
    assert not m.ready_file.exists() and m.process.poll() is None
    taken.close()
    wait_until(m.ready_file.exists, 2, "ready")
    client, old = m.client(port), m.parents()
    # from one address to all of them: the old listener stands in the way until its process has gone
    m.echo("echo", f"{port}")
    m.reload()
    wait_until(lambda: len(m.parents()) == 2 and not set(old) & set(m.parents()), 5, "both addresses")
    assert client.alive() and m.client(port).alive() and m.client(("::1", port)).alive()
    assert "Address already in use" not in m.log()


def test_an_old_socket_file_is_replaced(m):
    path = m.root / "sock"
    old = socket.socket(socket.AF_UNIX)
    old.bind(str(path))
    os.chown(path, (m.conf).stat().st_uid, -1)
    m.echo("path", path)
    m.start()
    assert m.client(path).alive()
    old.close()


# ---- processes ---------------------------------------------------------------------------------------

def test_children_are_unprivileged_and_inherit_nothing(m, port):
    as_root()
    m.echo("echo", f"127.0.0.1:{port}", "maxfds=77")
    stray = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(stray, True)
    m.process = m.launch(pass_fds=[stray])
    os.close(stray)
    wait_until(m.ready_file.exists, 10, "ready")
    user = places.service_user()
    who = m.client(port).who()
    assert [who["uid"], who["euid"], who["gid"]] == [str(user.pw_uid), str(user.pw_uid), str(user.pw_gid)]
    groups = {int(g) for g in who["groups"].split(",") if g}
    assert groups == set(os.getgrouplist(user.pw_name, user.pw_gid)) and 0 not in groups
    assert who["maxfds"] == "77"
    fds = dict(word.split(":", 1) for word in who["fds"].strip(",").split(","))
    kinds = {fd: target.split(":")[0] for fd, target in fds.items()}
    own = [fd for fd, target in fds.items() if target in (f"/proc/{who['pid']}/fd", str(m.log_file),
                                                          str(m.conf / "proc" / who["pid"]))]
    sockets = [fd for fd, kind in kinds.items() if kind == "socket"]
    assert set(kinds) - set(own) - set(sockets) == {"0", "1", "2"}    # the connection: no listener, no pipe
    assert all(fds[n] == "/dev/null" for n in "012")
    parent = m.parents()[0]
    inherited = {fd: os.readlink(f"/proc/{parent}/fd/{fd}") for fd in os.listdir(f"/proc/{parent}/fd")}
    assert inherited["3"].startswith("pipe:") and inherited["4"].startswith("socket:")
    assert not any("hostname" in target or "master.pid" in target for target in inherited.values())
    for pid in (parent, m.processes("metad")[0]):
        status = open(f"/proc/{pid}/status").read()
        assert re.search(rf"^Uid:(\t{user.pw_uid}){{4}}$", status, re.M)
        assert re.search(r"^CapPrm:\t0+$", status, re.M) and re.search(r"^SigBlk:\t0+$", status, re.M)


def test_master_keeps_only_the_way_back_to_root(m):
    as_root()
    m.start()
    user = places.service_user()
    status = open(f"/proc/{m.process.pid}/status").read()
    assert re.search(rf"^Uid:\t0\t{user.pw_uid}\t0\t{user.pw_uid}$", status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M)
    assert (m.conf / "socket/metad").stat().st_uid == user.pw_uid
    # a service that went bad cannot end master
    kill = ["/usr/bin/setpriv", f"--reuid={user.pw_uid}", "--clear-groups", f"--regid={user.pw_gid}",
            "/bin/kill", str(m.process.pid)]
    assert subprocess.run(kill, capture_output=True).returncode != 0
    assert m.process.poll() is None


def test_prefork_starts_a_process_before_the_first_client(m):
    a, b, c = places.free_ports(3)
    m.echo("none", f"127.0.0.1:{a}", "prefork=0")
    m.echo("one", f"127.0.0.1:{b}", "prefork=1")
    m.echo("five", f"127.0.0.1:{c}", "prefork=5")
    m.start()
    wait_until(lambda: len(m.parents()) == 2, 5, "two parents")
    assert m.client(a).alive() and m.client(c).alive()
    time.sleep(1.3)    # longer than master gives a program to say what it is
    assert len(m.parents()) == 3    # one that forks for each client is enough, whatever prefork says


def test_at_maxchild_clients_wait_and_are_served_in_turn(m, port):
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1 maxchild=3")
    m.start()
    served = [m.client(port) for _ in range(3)]
    waiting = [m.connect(port), m.connect(port)]
    assert not waiting[0].greeted_within(0.5)
    assert all(c.alive() for c in served)
    served[1].close()
    assert waiting[0].greeted_within(3)
    assert not waiting[1].greeted_within(0.5)
    os.kill(served[0].pid, signal.SIGKILL)
    assert waiting[1].greeted_within(3)


def test_survivors_of_a_killed_parent_count_against_maxchild(m, port):
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1 maxchild=3")
    m.start()
    served = [m.client(port), m.client(port)]
    parent = m.parents()[0]
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: m.parents() not in ([], [parent]), 5, "a new parent")
    third = m.client(port)
    fourth = m.connect(port)
    assert not fourth.greeted_within(0.5)
    assert all(c.alive() for c in served + [third])
    served[0].close()
    assert fourth.greeted_within(3)
    assert served[1].alive()


def test_kill_of_parents_and_connections_is_noticed_by_nobody_else(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    old = [m.client(port) for _ in range(5)]
    for round_number in range(12):
        parents = m.parents()
        for pid in parents:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: m.parents() and m.parents() != parents, 10, f"a new parent\n{m.tail()}")
        new = m.client(port)
        os.kill(new.pid, signal.SIGKILL)
        new.ended()
        m.wait_log(f"pid:{new.pid} signaled to death by signal 9 (Killed)")
        assert all(c.alive() for c in old), round_number
    assert m.count("signaled to death by signal 9 (Killed)") == 24
    assert "disabling" not in m.log()
    assert m.client(port).alive()


def test_a_process_waits_for_the_next_client(m, port):
    """It holds nothing of its parent's, serves who comes next, counts for nothing, and does not outlive its parent."""
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1 maxchild=3")
    m.start()
    [parent] = wait_until(m.parents, 5, "a parent")
    time.sleep(0.3)
    assert m.children(parent) == []    # nobody came yet
    served = [m.client(port)]

    def spares():
        return sorted(set(m.children(parent)) - {c.pid for c in served})
    for _ in range(2):
        wait_until(lambda: len(spares()) == 1, 5, "one that waits")
        [spare] = spares()
        wait_until(lambda: places.processes_of(m.root)[spare].endswith("waits for a client"), 5, "it has closed what is not its own")
        assert not {3, 4} & {int(fd) for fd in os.listdir(f"/proc/{spare}/fd")}
        served.append(m.client(port))
        assert served[-1].pid == spare
    assert not m.connect(port).greeted_within(0.5)    # that was maxchild
    assert all(c.alive() for c in served) and spares() == []
    served.pop().close()
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: parent not in m.parents() and len(m.parents()) == 1, 5, "another parent")
    assert all(c.alive() for c in served)


def test_a_waiting_process_that_dies_is_missed_by_nobody(m, port):
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1")
    m.start()
    first = m.client(port)
    parent = m.parents()[0]
    wait_until(lambda: len(m.children(parent)) == 2, 5, "one that waits")
    [spare] = set(m.children(parent)) - {first.pid}
    os.kill(spare, signal.SIGKILL)
    m.wait_log(f"pid:{spare} signaled to death by signal 9 (Killed)")
    time.sleep(0.3)
    assert m.children(parent) == [first.pid]    # no other before there is reason to
    second = m.client(port)
    wait_until(lambda: len(m.children(parent)) == 3, 5, "one that waits")
    [spare] = set(m.children(parent)) - {first.pid, second.pid}
    os.kill(parent, signal.SIGKILL)
    wait_until(lambda: spare not in m.processes(), 5, "it goes with its parent")
    assert first.alive() and second.alive()


@pytest.fixture
def in_turn(m, port):
    """A service whose processes serve one client after the other."""
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1 maxchild=2", cmd="echod -a -U 20 -T 1")
    m.start()
    return m


def next_client(m, port, *held):
    """Once one waits: nobody is forked for him."""
    parent = m.parents()[0]
    wait_until(lambda: len(m.children(parent)) > len(held), 5, "one that waits")
    return m.client(port)


def descriptors(client):
    return re.sub(r"socket:\[\d+\]", "socket", client.who()["fds"])


def test_a_process_whose_client_has_left_serves_the_next(in_turn, port):
    m = in_turn
    first = m.client(port)
    second = next_client(m, port, first)
    fds = descriptors(second)
    third = m.connect(port)
    assert not third.greeted_within(0.5)    # that was maxchild
    second.close()
    assert third.greeted().pid == second.pid
    for _ in range(5):
        assert descriptors(third) == fds
        third.close()
        third = m.client(port)
        assert third.pid == second.pid and first.alive()
    third.close()
    wait_until(lambda: places.processes_of(m.root)[second.pid].endswith("waits for a client"), 5, "it waits")
    assert m.children(m.parents()[0]) == sorted({first.pid, second.pid})


def test_it_does_so_for_so_many_clients(in_turn, port):
    m = in_turn
    pids = []
    for _ in range(60):
        client = m.client(port)
        pids.append(client.pid)
        client.close()
    assert max(pids.count(pid) for pid in set(pids)) in range(10, 21)
    assert "signaled" not in m.log()


def test_or_for_one_each(m, port):
    m.echo("echo", f"127.0.0.1:{port}", cmd="echod -a -U 1")
    m.start()
    pids = []
    for _ in range(10):
        client = m.client(port)
        pids.append(client.pid)
        client.close()
    assert len(set(pids)) == 10


def test_of_those_that_wait_one_stays(in_turn, port):
    m = in_turn
    first = m.client(port)
    second = next_client(m, port, first)
    first.close()
    second.close()
    third = m.client(port)
    fourth = next_client(m, port, third)
    parent = m.parents()[0]
    third.close()
    fourth.close()
    wait_until(lambda: len(m.children(parent)) == 1, 10, "the others have waited a second")
    time.sleep(1.5)
    [left] = m.children(parent)
    assert m.client(port).pid == left


def test_one_of_those_that_dies_is_told_and_harms_nobody(in_turn, port):
    m = in_turn
    first = m.client(port)
    second = next_client(m, port, first)
    second.close()
    again = m.client(port)
    assert again.pid == second.pid
    again.send("abort")
    assert again.ended()
    m.wait_log(f"pid:{again.pid} signaled to death by signal 6 (Aborted)")
    worse = next_client(m, port, first)    # its place was free again
    worse.send("exit 9")
    assert worse.ended()
    m.wait_log(f"pid:{worse.pid} exited, status 9")    # what fails serves nobody more
    last = next_client(m, port, first)
    assert last.pid not in (again.pid, worse.pid) and first.alive()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_one_that_waits_leaves_with_its_parent_and_one_that_serves_with_its_client(in_turn, port, number):
    m = in_turn
    first = m.client(port)
    second = next_client(m, port, first)
    parent = m.parents()[0]
    first.close()
    os.kill(parent, number)
    wait_until(lambda: parent not in m.parents() and m.parents(), 5, "another parent")
    assert second.alive()
    second.close()
    wait_until(lambda: second.pid not in m.processes(), 5, "it has no parent to wait for")


def test_one_that_serves_again_hears_of_the_end(in_turn, port):
    m = in_turn
    m.client(port).close()
    client = next_client(m, port)
    client.close()
    client = m.client(port)
    m.stop()
    assert client.ended()


def test_a_connection_that_crashes_is_told_and_harms_nobody(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    other, bad = m.client(port), m.client(port)
    bad.send("abort")
    assert bad.ended()
    m.wait_log(f"pid:{bad.pid} signaled to death by signal 6 (Aborted)")
    worse = m.client(port)
    worse.send("exit 9")
    m.wait_log(f"pid:{worse.pid} exited, status 9")
    assert other.alive()
    assert not list(m.root.rglob("core*"))


def test_a_service_that_fails_at_start_is_switched_off_until_the_next_hup(m):
    a, b = places.free_ports(2)
    broken = m.root / "broken"
    broken.touch()
    m.echo("bad", f"127.0.0.1:{a}", cmd=f"echod -b {broken}")
    m.echo("good", f"127.0.0.1:{b}")
    m.start()
    m.wait_log("too many failures for service bad, disabling until next SIGHUP")
    with pytest.raises(ConnectionRefusedError):
        m.connect(a)
    starts = m.count("process type:SERVICE name:bad")
    time.sleep(1.2)
    assert m.count("process type:SERVICE name:bad") == starts == 5
    assert m.client(b).alive()
    broken.unlink()
    m.reload()
    assert m.client(a).alive()


def test_a_failing_service_without_prefork_keeps_its_clients_waiting(m, port):
    broken = m.root / "broken"
    broken.touch()
    m.echo("bad", f"127.0.0.1:{port}", "prefork=0", cmd=f"echod -b {broken}")
    m.start()
    client = m.connect(port)
    m.wait_log("process type:SERVICE name:bad", count=3)
    broken.unlink()
    assert client.greeted().alive()


def test_a_babysat_service_rests_and_is_not_given_up(m, port):
    broken = m.root / "broken"
    broken.touch()
    m.echo("bad", f"127.0.0.1:{port}", "babysit=yes", cmd=f"echod -b {broken}")
    m.start()
    m.wait_log("too many failures for service bad, resting")
    client = m.connect(port)    # the listener stays
    broken.unlink()
    assert client.greeted_within(15)
    assert "lost all children for service: bad. Applying babysitter." in m.log()


def test_maxforkrate_slows_down_a_flood(m, port):
    m.echo("echo", f"127.0.0.1:{port}", "prefork=1 maxforkrate=5")
    m.start()
    began = time.monotonic()
    for _ in range(25):
        m.client(port).close()
    assert 2 < time.monotonic() - began < 15
    assert m.client(port).alive()


def test_a_replaced_program_serves_the_next_client(m, port):
    m.echo("echo", f"127.0.0.1:{port}", cmd="echod -g old")
    m.start()
    old = m.client(port)
    new_program = m.bin / "echod.new"
    new_program.write_bytes((m.bin / "echod").read_bytes())
    new_program.chmod(0o755)
    new_program.rename(m.bin / "echod")
    new = m.client(port)
    assert new.who()["parent"] != old.who()["parent"]
    assert old.alive()
    m.wait_log("the program was replaced")


# ---- reload ------------------------------------------------------------------------------------------

def test_hup_adds_removes_and_changes_services_under_connected_clients(m):
    a, b, c, d = places.free_ports(4)
    m.echo("stays", f"127.0.0.1:{a}", cmd="echod -g one")
    m.echo("goes", f"127.0.0.1:{b}")
    m.echo("moves", f"127.0.0.1:{c}")
    m.start()
    old = [m.client(p) for p in (a, b, c)]
    parents = set(m.parents())
    del m.services["goes"]
    m.echo("stays", f"127.0.0.1:{a}", cmd="echod -g two")
    m.echo("moves", f"127.0.0.1:{d}")
    m.echo("comes", m.root / "sock")
    m.reload()
    wait_until(lambda: len(m.parents()) == 3 and not parents & set(m.parents()), 5, "new parents")
    assert all(client.alive() for client in old)
    assert m.client(a).greeting == "two"
    assert m.client(d).alive() and m.client(m.root / "sock").alive()
    for gone in (b, c):
        with pytest.raises(ConnectionRefusedError):
            m.connect(gone)
    assert all(client.alive() for client in old)
    assert "got SIGHUP" in m.log()
    for client in old:
        client.close()
    wait_until(lambda: not set(m.processes("echod")) & {c.pid for c in old}, 5, "the old connections end")


def test_no_client_is_refused_while_services_are_renewed(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    for _ in range(10):
        m.process.send_signal(signal.SIGHUP)
        for _ in range(5):
            assert m.client(port).alive()


def test_hup_with_a_bad_file_changes_nothing(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    client = m.client(port)
    parents = m.parents()
    m.cyrus_conf.write_text("SERVICES {\n  ec/ho cmd=echod listen=1\n}\n")
    m.process.send_signal(signal.SIGHUP)
    m.wait_log("configuration stays as it was")
    assert re.search(r"cyrus\.conf:2: ", m.log())
    assert client.alive() and m.client(port).alive() and m.parents() == parents
    m.reload()
    assert m.client(port).alive()


@pytest.mark.parametrize("entry, message", [
    ("echo listen={listen}", "it has no cmd"), ("echo cmd=echod", "it has no listen"),
    ("other cmd=echod listen={listen}\n  other cmd=echod listen={listen}", "its name is taken"),
    ("echo cmd=echod listen=nosuchservice", "stays as it was"),
    ("echo cmd=echod listen={listen} proto=carrier-pigeon", "stays as it was")])
def test_hup_with_an_entry_that_cannot_be_run_ends_no_service(m, port, entry, message):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    client = m.client(port)
    good = m.cyrus_conf.read_text()
    m.cyrus_conf.write_text(f"SERVICES {{\n  {entry.format(listen=f'127.0.0.1:{port}')}\n}}\n")
    m.process.send_signal(signal.SIGHUP)
    m.wait_log(message)
    for _ in range(5):
        assert client.alive() and m.client(port).alive()
    m.cyrus_conf.write_text(good)
    m.process.send_signal(signal.SIGHUP)
    m.wait_log("Services reconfigured")
    assert client.alive() and m.client(port).alive()


# ---- events ------------------------------------------------------------------------------------------

def test_events_run_at_start_and_again_after_hup(m):
    seen = m.root / "seen"
    tool = m.tool("mark", f'echo "$1 [$CYRUS_SERVICE$CYRUS_ID] $(ls -l /proc/self/fd | grep -cE "socket|pipe")" >>{seen}')
    m.events["once"] = f'cmd="{tool} once"'
    m.events["often"] = f'cmd="{tool} often" period=60'
    m.events["fails"] = f'cmd="{m.tool("fail", "exit 4")}" period=60'
    m.events["missing"] = 'cmd="no-such-tool" period=60'
    m.start()

    def lines():
        return sorted(seen.read_text().splitlines()) if seen.exists() else []
    wait_until(lambda: len(lines()) == 2, 5, "both events")
    m.wait_log("process type:EVENT name:fails")
    assert [line.split()[0] for line in lines()] == ["often", "once"]
    assert all("[]" in line for line in lines())
    assert re.search(r"process type:EVENT name:fails \S+ age:\S+s pid:\d+ exited, status 4", m.log())
    assert "can't run event" in m.log()
    m.reload()
    wait_until(lambda: len(lines()) == 4, 5, "both again")
    time.sleep(0.5)
    assert len(lines()) == 4


def test_an_event_of_a_time_of_day_waits_for_it(m):
    """A zone whose clock shows two seconds before a whole minute now."""
    seen = m.root / "seen"
    now = int(time.time())
    ahead = (58 - now % 60) % 60
    m.environment["TZ"] = f"XYZ-00:00:{ahead:02}"
    local = time.gmtime(now + ahead + 60)
    m.events["daily"] = f'cmd="{m.tool("mark", f"date +%s >>{seen}")}" at={local.tm_hour:02}{local.tm_min:02} period=60'
    m.start()
    time.sleep(0.5)
    assert not seen.exists()    # not at start
    wait_until(seen.exists, 5, "the event")
    wait_until(lambda: seen.read_text(), 1, "its line")
    assert (int(seen.read_text()) + ahead) % 60 in (0, 1)
    m.reload()
    time.sleep(1)
    assert len(seen.read_text().split()) == 1    # a reload is no reason to run it again today


# ---- daemons -----------------------------------------------------------------------------------------

def test_wait_daemons_are_ready_in_order_before_master_is(m, port):
    m.daemons["later"] = 'cmd="otherd -e 100"'
    m.daemons["one"] = 'cmd="waitd -w 400 -e 100" wait=y'
    m.daemons["two"] = f'cmd="{m.bin}/waitd -w 200 -e 100" wait=yes'
    m.echo("echo", f"127.0.0.1:{port}")
    m.process = m.launch()
    wait_until(lambda: m.notes("waitd"), 5, "the first")
    assert not m.ready_file.exists()
    wait_until(m.ready_file.exists, 10, "ready")
    first, second = m.notes("waitd")
    assert second[2] - first[2] >= 400
    wait_until(lambda: m.notes("otherd"), 5, "the third")
    assert m.notes("otherd")[0][2] - second[2] >= 200
    # the end: services and plain daemons, then those that others waited for, last first, then metad
    m.stop()
    last = {pid: ms for what, pid, ms, _ in m.notes("waitd") + m.notes("otherd") + m.notes("metad") if what == "end"}
    order = sorted(last, key=last.get)
    assert order == [m.notes("otherd")[0][1], second[1], first[1], m.notes("metad")[0][1]]


@pytest.mark.parametrize("args", ["-n", "-x 0", "-x 5"])
def test_a_wait_daemon_that_does_not_say_ok_ends_master(m, port, args):
    m.daemons["bad"] = f'cmd="waitd {args}" wait=y'
    m.echo("echo", f"127.0.0.1:{port}")
    assert run_to_end(m) == 1
    assert "wait daemon did not become ready" in m.log()
    assert not m.ready_file.exists()


def test_a_wait_daemon_that_is_not_there_ends_master(m):
    m.daemons["bad"] = 'cmd="no-such-daemon" wait=y'
    assert run_to_end(m) == 78
    assert "cannot find executable for waitdaemon 'bad'" in m.log()


def test_a_daemon_is_restarted_and_one_that_keeps_failing_told_and_slowed(m):
    m.daemons["good"] = 'cmd="waitd" wait=y'
    m.daemons["bad"] = 'cmd="otherd -x 7"'
    m.daemons["missing"] = 'cmd="no-such-daemon"'
    m.start()
    pid = m.processes("waitd")[0]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: m.processes("waitd") not in ([], [pid]), 5, "another")
    m.wait_log("daemon bad is repeatedly failing")
    assert "cannot find executable for daemon 'missing'" in m.log()
    time.sleep(2)
    starts = len(m.notes("otherd"))
    time.sleep(3)
    assert 1 <= len(m.notes("otherd")) - starts <= 4    # once a second by now


def test_reload_renews_and_removes_daemons(m):
    m.daemons["stays"] = 'cmd="waitd"'
    m.daemons["goes"] = 'cmd="otherd -i"'
    m.start()
    wait_until(lambda: m.processes("waitd") and m.processes("otherd"), 5, "both")
    metad, pid = m.processes("metad"), m.processes("waitd")
    del m.daemons["goes"]
    m.tool("third", "exec sleep 1000")
    m.daemons["comes"] = 'cmd="third"'
    m.reload()
    wait_until(lambda: m.processes("waitd") not in ([], pid), 5, "renewed, for it ends on HUP")
    wait_until(lambda: "sleep 1000" in str(places.processes_of(m.root)), 5, "the new one")
    assert m.processes("metad") == metad    # is not in cyrus.conf, and not disturbed
    for pid in m.processes("otherd"):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)
    assert m.processes("otherd") == []


def test_clients_of_metad_queue_while_it_is_away(m):
    m.start()
    path = str(m.conf / "socket/metad")
    for _ in range(8):
        pid = m.processes("metad")[0]
        os.kill(pid, signal.SIGSTOP)    # so that nobody takes us before it dies
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(path)
        os.kill(pid, signal.SIGKILL)
        answer = client.recv(100).decode()
        assert int(answer.split()[0]) != pid
        client.close()


# ---- stop --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_leaves_nothing_behind(m, port, number):
    m.echo("echo", f"127.0.0.1:{port}")
    m.echo("path", m.root / "sock")
    m.start_entries["orphan"] = f'cmd="{m.tool("orphan", "(setsid sleep 1000 &) ; exit 0")}"'
    m.events["slow"] = f'cmd="{m.tool("slow", "sleep 1000")}" period=60'
    m.daemons["wait"] = 'cmd="waitd" wait=y'
    m.start()
    clients = [m.client(port) for _ in range(20)] + [m.client(m.root / "sock")]
    os.kill(m.parents()[0], signal.SIGKILL)    # so that there are survivors
    assert m.ready_file.exists() and "sleep 1000" in str(places.processes_of(m.root))
    status, seconds = m.stop(number)
    assert (status, m.processes()) == (0, []) and seconds < 2
    assert "sleep 1000" not in str(places.processes_of(m.root))
    assert all(c.ended() for c in clients)
    assert not m.ready_file.exists() and m.pid_file.exists()
    assert "All children have exited, closing down" in m.log()
    assert not list(m.root.rglob("core*"))


def test_what_does_not_want_to_go_is_killed_within_two_seconds(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.daemons["deaf"] = 'cmd="otherd -i"'
    m.daemons["deafwait"] = 'cmd="waitd -i" wait=y'
    m.start()
    client = m.client(port)
    wait_until(lambda: m.notes("otherd"), 5, "the deaf one")
    os.kill(client.pid, signal.SIGSTOP)    # a stopped one is woken to hear it
    status, seconds = m.stop()
    assert status == 0 and seconds < 2.2
    assert m.processes() == []
    assert "processes do not end, killing them" in m.log()


def test_term_gives_connections_status_75_and_no_line_of_failure(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    clients = [m.client(port) for _ in range(3)]
    m.stop()
    assert all(c.ended() for c in clients)
    assert re.search(r"process type:SERVICE name:echo \S+ age:\S+s pid:\d+ was killed", m.log())
    assert "exited, status" not in m.log() and "signaled" not in m.log()
    assert "graceful shutdown" in m.log()


def test_when_master_is_killed_clients_are_served_on_and_the_next_can_start(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.daemons["wait"] = 'cmd="waitd" wait=y'
    m.start()
    client = m.client(port)
    m.process.kill()
    m.process.wait()
    wait_until(lambda: m.processes() == [client.pid], 5, lambda: f"only the connection: {places.processes_of(m.root)}")
    assert client.alive()
    m.start()
    assert m.client(port).alive() and client.alive()
    client.close()    # nobody's child any more


# ---- files -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("more", [[], ["-d"]])
def test_a_second_master_is_refused(m, port, more):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start()
    assert run_to_end(m, *more, conf=False) == 71
    assert "cannot get exclusive lock on pidfile" in m.log()
    assert m.ready_file.exists() and m.client(port).alive()
    assert int(m.pid_file.read_text()) == m.process.pid


def test_pid_file_is_no_way_to_overwrite_another(m):
    victim = m.root / "victim"
    victim.write_text("precious")
    m.pid_file.symlink_to(victim)
    assert run_to_end(m) == 71
    m.pid_file.unlink()
    os.link(victim, m.pid_file)
    assert run_to_end(m) == 71
    assert victim.read_text() == "precious"
    m.pid_file.unlink()


def test_places_of_pid_and_ready_file(m):
    as_root()
    m.options.update(master_pid_file=m.root / "other.pid", master_ready_file=m.conf / "is-ready")
    m.write_conf()
    command = [m.bin / "master", "-C", m.imapd_conf, "-M", m.cyrus_conf]
    m.process = subprocess.Popen(command, env=m.environment, cwd="/", start_new_session=True)
    wait_until((m.conf / "is-ready").exists, 10, "ready")
    assert (m.root / "other.pid").read_text() == f"{m.process.pid}\n"
    m.stop()
    assert not (m.conf / "is-ready").exists()
    m.process = subprocess.Popen([*command, "-p", m.root / "third.pid", "-r", m.root / "third"], env=m.environment,
                                 cwd="/", start_new_session=True)
    wait_until((m.root / "third").exists, 10, "ready")
    assert (m.root / "third").read_text() == (m.root / "third.pid").read_text() == f"{m.process.pid}\n"


def test_a_ready_file_of_yesterday_goes_at_once(m):
    m.ready_file.write_text("1\n")
    os.chown(m.ready_file, m.conf.stat().st_uid, -1)
    m.start_entries["look"] = f'cmd="{m.tool("look", f"test ! -e {m.ready_file}")}"'
    m.start()


def test_clean_mark_comes_with_an_orderly_stop_only(m, port):
    mark = m.conf / "master.clean"
    (m.conf / "store").write_text("understudy-store 1\n")
    seen = m.root / "seen"
    m.start_entries["look"] = f'cmd="{m.tool("look", f"ls {mark} >>{seen} 2>&1; echo U=$CYRUS_UNCLEAN >>{seen}")}"'
    m.echo("echo", f"127.0.0.1:{port}")
    # a store, no mark: unclean for everybody
    m.start()
    assert "No such file" in seen.read_text() and seen.read_text().endswith("U=1\n")
    assert m.client(port).who()["unclean"] == "1" and m.notes("metad")[-1][3]
    # metad that was ready has noted it, and is not told again
    os.kill(m.processes("metad")[0], signal.SIGKILL)
    wait_until(lambda: len(m.notes("metad")) == 2, 5, "metad again")
    assert not m.notes("metad")[-1][3]
    assert not mark.exists()
    m.stop()
    assert mark.exists()
    # with the mark: clean, and the mark is gone before anything runs
    seen.unlink()
    m.start()
    assert "No such file" in seen.read_text() and seen.read_text().endswith("U=\n")
    assert m.client(port).who()["unclean"] == "0" and not m.notes("metad")[-1][3]
    m.process.kill()
    m.process.wait()
    assert not mark.exists()
    wait_until(lambda: len(m.processes()) == 0 or m.clients[-1].close(), 5, "nobody left")
    m.start()
    assert m.notes("metad")[-1][3]


def test_without_a_store_nothing_is_unclean(m):
    m.start()
    assert not m.notes("metad")[-1][3]


def test_a_start_that_fails_before_metad_knows_leaves_no_mark(m):
    (m.conf / "store").write_text("understudy-store 1\n")
    good = (m.bin / "metad").read_bytes()
    m.tool("metad", "exit 1")
    assert run_to_end(m) == 1
    assert not (m.conf / "master.clean").exists()
    (m.bin / "metad").write_bytes(good)
    m.start()
    assert m.notes("metad")[-1][3]


def test_mark_that_cannot_be_removed_or_written_is_an_error(m):
    page = FailpointPage(m.root / "failpoints")
    m.environment["US_FAILPOINTS"] = str(page.path)
    mark = m.conf / "master.clean"
    m.start()
    page.arm("master.mark.sync", "enospc")
    assert m.stop()[0] == 74
    assert page.fired and not mark.exists()
    m.start()
    m.stop()
    assert mark.exists()
    starts = len(m.notes("metad"))
    page.arm("master.mark.unlink-sync", "eio")
    assert run_to_end(m) == 74
    assert len(m.notes("metad")) == starts    # nothing was run
    for point in ("write", "sync", "rename", "sync-dir"):    # dying in the middle of it leaves no false mark
        mark.unlink(missing_ok=True)
        m.start()
        page.arm(f"master.mark.{point}", "kill")
        assert m.stop()[0] == -9
        assert mark.exists() == (point == "sync-dir")


# ---- the command line --------------------------------------------------------------------------------

def test_version_and_usage(m):
    done = subprocess.run([m.bin / "master", "-V"], capture_output=True, text=True)
    assert done.returncode == 0 and VERSION.match(done.stdout)
    for args in (["-x"], ["more"], ["-l", "many"]):
        assert subprocess.run([m.bin / "master", *args], capture_output=True).returncode == 64
    assert subprocess.run([m.bin / "master", "-d", "-D"], capture_output=True).returncode == 78


def test_detached_it_returns_when_the_lock_is_held(m, port):
    (m.conf / "cores").mkdir()
    places.own_by_service_user(m.conf)
    m.echo("echo", f"127.0.0.1:{port}")
    assert run_to_end(m, "-d") == 0
    pid = int(m.pid_file.read_text())
    wait_until(m.ready_file.exists, 10, "ready")
    assert os.getsid(pid) == pid and os.getpgid(pid) == pid
    assert os.readlink(f"/proc/{pid}/cwd") == str(m.conf / "cores")
    assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in "012"} == {"/dev/null"}
    assert m.client(port).alive()
    os.kill(pid, signal.SIGHUP)    # relative or not, it finds its files again
    m.wait_log("Services reconfigured")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not m.processes(), 5, "the end")


def test_output_of_children_goes_where_it_was_told(m):
    m.start_entries["loud"] = f'cmd="{m.tool("loud", "echo from START; echo to stderr >&2")}"'
    m.start()
    m.stop()
    assert "from START" not in (m.root / "master.out").read_text()
    m.start("-L", str(m.root / "output"))
    m.stop()
    assert (m.root / "output").read_text() == "from START\nto stderr\n"
    m.start("-D")
    assert "from START\nto stderr\n" in (m.root / "master.out").read_text()


@pytest.mark.parametrize("text, what", [("SERVICES {\n  a/b cmd=x listen=1\n}\n", "cyrus.conf:2: "), (None, "cyrus.conf")])
def test_a_bad_cyrus_conf_is_told_with_its_place(m, text, what):
    m.write_conf()
    if text:
        m.cyrus_conf.write_text(text)
    else:
        m.cyrus_conf.unlink()
    assert run_to_end(m, conf=False) == 78
    said = (m.root / "master.out").read_text()
    assert "cyrus.conf" in said and what in said and what in m.log()


def test_a_bad_imapd_conf_is_told(m):
    del m.options["configdirectory"]
    assert run_to_end(m) == 78
    assert "configdirectory" in (m.root / "master.out").read_text()
    m.imapd_conf.unlink()
    assert run_to_end(m, conf=False) == 78


def test_verbose_is_passed_on(m, port):
    m.echo("echo", f"127.0.0.1:{port}")
    m.start("-v", "-v")
    wait_until(m.parents, 5, "the parent")
    with open(f"/proc/{m.parents()[0]}/environ", "rb") as file:
        assert b"CYRUS_VERBOSE=2" in file.read().split(b"\0")
