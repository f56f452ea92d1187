"""What costs nothing, and what costs the same however much there is: system calls and bytes are counted, no clock is read."""
import re
import subprocess
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.places import wait_until
from lib.site import differences


def wakeups(pid):
    """How often the threads of a process went to sleep, or lost the processor."""
    return sum(int(n) for task in Path(f"/proc/{pid}/task").iterdir()
               for n in re.findall(r"ctxt_switches:\s*(\d+)", (task / "status").read_text()))


def test_an_idle_channel_costs_nothing(sites):
    b = sites("b")
    a = sites("a", to=b)
    a.do("create user.bob bob lrswipkxtecdan")
    a.append("user.bob", "1\r\n")
    with a.rolling() as client:
        a.wait_synced()
        ends = [client.pid, *b.connections()]
        assert len(ends) == 2
        time.sleep(2)    # what can wait is done after a second of silence, once
        before = [wakeups(pid) for pid in ends]
        time.sleep(4)
        assert [wakeups(pid) for pid in ends] == before
        a.append("user.bob", "2\r\n")    # and it was not dead
        a.wait_synced()
        assert wakeups(ends[0]) > before[0] and differences(a, b, ["bob"]) == []


# ---- SELECT --------------------------------------------------------------------------------------------------------

def imapd_of(site, client):
    """The process that serves this client, the only one there is once those of earlier ones have ended."""
    client.ok("NOOP")
    wait_until(lambda: len(site.serving("imapd")) == 1, 10, "one imapd serves")
    return site.serving("imapd")[0]


def fill(client, name, n):
    client.ok("CREATE", name)
    client.append(name, b"Subject: x\r\n\r\nx\r\n", ["\\Seen"])
    client.select(name)
    have = 1
    while have < n:
        more = min(have, n - have)
        client.ok("COPY", f"1:{more}", name)
        have += more
    client.ok("UNSELECT")


@contextmanager
def calls_of(pid, out, which="all"):
    """out: how often the process makes each system call while the block runs; a read that found nothing yet is none. What strace says of
    all must fit into a pipe."""
    strace = subprocess.Popen(["strace", "-f", "-e", f"trace={which}", "-p", str(pid)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert "attached" in strace.stderr.readline()
    yield
    strace.terminate()
    lines = [line for line in strace.communicate(timeout=20)[1].splitlines() if "= -1 EAGAIN" not in line]
    out.update(Counter(re.findall(r"^(?:\[pid +\d+\] )?(\w+)\(", "\n".join(lines), re.M)))


def faults(pid):
    """Pages it touched first. A file that is mapped comes by 16 of them at a time."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def cost_of_select(site, name, exists):
    """The second SELECT of a new process, for the first loads what any would: system calls, page faults; page faults of a SEARCH."""
    calls = Counter()
    with site.imap("bob") as client:
        pid = imapd_of(site, client)
        client.ok("SELECT", "INBOX")
        client.ok("UNSELECT")
        seen = [faults(pid)]
        with calls_of(pid, calls):
            assert client.select(name)["EXISTS"] == exists
        seen.append(faults(pid))
        assert client.search("ANSWERED") == []
        seen.append(faults(pid))
    wait_until(lambda: not site.serving("imapd"), 10, "imapd ends")
    for waiting in ("ppoll", "rt_sigprocmask", "restart_syscall"):    # for the command; they depend on when it comes
        calls.pop(waiting, None)
    return calls, seen[1] - seen[0], seen[2] - seen[1]


@pytest.mark.limit(300)
def test_select_does_the_same_whatever_the_size(sites):
    """The owner's, all seen. The same calls, and no more of the records touched, which a SEARCH does touch."""
    a = sites("a", imap=" -U 1", programs={"imapd": "imapd"})
    a.do("create user.bob bob lrswipkxtecdan")
    sizes = {"INBOX.few": 100, "INBOX.many": 10000}
    with a.imap("bob") as client:
        for name, n in sizes.items():
            fill(client, name, n)
    (few, few_faults, few_searched), (many, many_faults, many_searched) = (cost_of_select(a, name, n) for name, n in sizes.items())
    if b"__asan_init" in (a.bin / "imapd").read_bytes():    # its allocator maps more, and the shadow of what is mapped is touched
        few.pop("mmap"), many.pop("mmap")
        assert few == many and few["openat"]
        return
    assert few == many and few["openat"] and few["mmap"]
    assert many_searched > few_searched + 4 and many_faults <= few_faults + 4


# ---- comparing everybody -------------------------------------------------------------------------------------------

def sends_of_comparing(a, b, last):
    """What both sides send, to metad and to each other, when all users are equal: (sync_client -A, who answers it)."""
    done = subprocess.run(["strace", "-f", "-e", "trace=sendto", "-o", "/dev/stderr", *a.command("sync_client", "-A")],
                          # nobody looks for leaks in a process that is traced
                          env={**a.environment, "ASAN_OPTIONS": a.environment["ASAN_OPTIONS"] + ":detect_leaks=0"}, cwd="/", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not b.connections(), 10, "sync_server has heard that they are gone")
    calls = Counter()
    with b.csync() as client:
        pids = b.connections()
        assert len(pids) == 1
        with calls_of(pids[0], calls, "sendto"):
            assert len(client.get("DIGESTS", ["u0000", last]).items) == 1
    wait_until(lambda: not b.connections(), 10, "sync_server ends")
    assert calls["sendto"] > 0
    return done.stderr.count("sendto("), calls["sendto"]


@pytest.mark.limit(300)
def test_comparing_users_asks_metad_little(sites):
    """A question to metad is for many users: four hundred more, with folders, subscriptions, quotas and annotations, take some more."""
    b = sites("b")
    a = sites("a", to=b)
    counts, have = [], 0
    for number in (100, 500):
        for u in (f"u{i:04}" for i in range(have, number)):
            a.do(f"create user.{u} {u} lrswipkxtecdan", f"create user.{u}.f", f"subscribe {u} user.{u}.f",
                 f"quota user.{u} STORAGE 1000", f"mailboxannotation user.{u}.f /specialuse {u} \\Sent")
        have = number
        a.sync("-A", timeout=120)
        assert a.said("-A") == []
        counts.append(sends_of_comparing(a, b, f"u{number - 1:04}"))
    (few, few_there), (many, many_there) = counts
    assert many <= few + 25 and many_there <= few_there + 25, counts
