"""What is measured. A case is a function of a machine and the size of the run; it gives its figures as a dict, in the order in
which they are shown. A rate is per second; every other figure has its unit in its name.

The runner (run) calls a case several times and shows the median of each figure."""
import re
import subprocess
import threading
import time
from dataclasses import dataclass

from talk import Delivery, Mail, Session, fill, median, more, percentile, together


@dataclass
class Size:
    """How much is done: of the whole run, and of the short one, which only shows that everything works."""
    seconds: float = 5          # of each timed rate
    box: int = 10_000           # messages in a mailbox
    big: int = 100_000          # in a big one
    pool: int = 800             # different messages
    users: int = 20             # in a first sync, and messages in the INBOX of each
    each: int = 500
    pending: int = 5000         # during an outage
    rolling: float = 20         # seconds
    idle: int = 200             # connections
    flags: int = 10             # changes

    def mail(self):
        return self._once("mix", lambda: Mail(self.pool))

    def small_mail(self):
        return self._once("small", lambda: Mail(self.pool, 1200))

    def _once(self, name, make):
        if name not in self.__dict__:
            self.__dict__[name] = make()
        return self.__dict__[name]


SHORT = Size(seconds=0.2, box=60, big=200, pool=20, users=3, each=5, pending=20, rolling=1, idle=5, flags=3)

# ---- delivery -----------------------------------------------------------------------------------


def deliver(machine, size, recipients):
    """One process a list of recipients, each for some seconds."""
    mail = size.mail()

    def work(k, ready):
        delivery = Delivery(machine.primary, recipients[k])
        delivery.send(mail.next())    # the mailbox is open, the process there
        ready()
        latencies, end = [], time.perf_counter() + size.seconds
        while (now := time.perf_counter()) < end:
            latencies.append(delivery.send(mail.next()) - now)
        return latencies
    latencies = sum(together(len(recipients), work), [])
    count = len(latencies) * len(recipients[0])
    return {"deliveries/s": count / size.seconds, "p50 ms": percentile(latencies, 50) * 1e3,
            "p99 ms": percentile(latencies, 99) * 1e3}


def lmtp_1(machine, size):
    return deliver(machine, size, [["u1"]])


def lmtp_8(machine, size):
    return deliver(machine, size, [[f"u{k}"] for k in range(1, 9)])


def lmtp_8_one_box(machine, size):
    return deliver(machine, size, [["u9"]] * 8)


def lmtp_10_recipients(machine, size):
    return deliver(machine, size, [[f"u{k}" for k in range(11, 21)]])


def append(machine, size):
    """One at a time, the literal after the server's go-ahead."""
    s, mail = Session(machine.primary, "u21"), size.mail()
    latencies, end = [], time.perf_counter() + size.seconds
    while (now := time.perf_counter()) < end:
        s.client.append("INBOX", mail.next(), plus=False)
        latencies.append(time.perf_counter() - now)
    s.close()
    return {"appends/s": len(latencies) / size.seconds, "p50 ms": median(latencies) * 1e3,
            "p99 ms": percentile(latencies, 99) * 1e3}


def append_piped(machine, size, outstanding=8):
    """Eight on their way, none of which waits for the server's word."""
    s, mail, waiting, count = Session(machine.primary, "u23"), size.mail(), [], 0
    began = time.perf_counter()
    while waiting or time.perf_counter() < began + size.seconds:
        while len(waiting) < outstanding and time.perf_counter() < began + size.seconds:
            m = mail.next()
            waiting.append(s.start(b"APPEND INBOX (\\Seen) {%d+}\r\n" % len(m) + m))
        s.finish(waiting.pop(0))
        count += 1
    took = time.perf_counter() - began
    s.close()
    return {"appends/s": count / took}


def syncs(machine, size):
    """System calls that make data durable, of all processes of the server, per item that was acknowledged."""
    delivery, s = Delivery(machine.primary, ["u22"]), Session(machine.primary, "u22")
    mail, count = size.mail(), 20
    delivery.send(mail.next())
    s.client.append("INBOX", mail.next())
    s.exists(b"INBOX")

    def store(k=iter(range(1 << 30))):
        s.ok(b"STORE 1 %cFLAGS.SILENT (\\Flagged)" % b"+-"[next(k) % 2])
    out = {}
    for name, once in (("a delivery", lambda: delivery.send(mail.next())),
                       ("an APPEND", lambda: s.client.append("INBOX", mail.next())), ("a STORE", store)):
        once()
        out[name] = count_syncs(machine, lambda: [once() for _ in range(count)]) / count
    out["a piped APPEND"] = count_syncs(machine, lambda: s.append_all(b"INBOX", mail, count * 4)) / (count * 4)
    s.close()
    return out


def count_syncs(machine, work):
    """How many such calls the server makes meanwhile."""
    calls = ("fsync", "fdatasync", "syncfs", "sync", "sync_file_range", "msync")
    pids = machine.processes()
    strace = subprocess.Popen(["strace", "-f", "-e", "trace=" + ",".join(calls), "-e", "signal=none",
                               *(word for pid in pids for word in ("-p", str(pid)))], stderr=subprocess.PIPE, text=True)
    for _ in pids:    # it says so when it has taken hold of one
        strace.stderr.readline()
    work()
    strace.terminate()
    return len(re.findall(rf"\b(?:{'|'.join(calls)})\(", strace.communicate()[1]))

# ---- reading ------------------------------------------------------------------------------------


def select(machine, size, box, count):
    """The first SELECT of a new connection."""
    fill(machine, "u30", box, size.small_mail(), count, by_copy_from=size.box)
    times = []
    for _ in range(7):
        s = Session(machine.primary, "u30")
        times.append(s.seconds(b"SELECT " + box))
        s.close()
    return {"ms": median(times) * 1e3}


def select_10k(machine, size):
    return select(machine, size, b"small", size.box)


def select_100k(machine, size):
    return select(machine, size, b"big", size.big)


def over_all(machine, size, *commands):
    """Seconds of commands over a whole mailbox, each once before the clock runs."""
    fill(machine, "u31", b"mix", size.mail(), size.box)
    s = Session(machine.primary, "u31")
    s.exists(b"mix")
    for command in commands:
        s.ok(command)
    times = [s.seconds(command) for command in commands]
    s.close()
    return {"ms": median(times) * 1e3}


def fetch_flags(machine, size):
    return over_all(machine, size, b"FETCH 1:* (UID FLAGS)")


def fetch_structure(machine, size):
    return over_all(machine, size, b"FETCH 1:* (ENVELOPE BODYSTRUCTURE)")


def fetch_headers(machine, size):
    return over_all(machine, size, b"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])")


def fetch_bodies(machine, size):
    return over_all(machine, size, b"FETCH 1:* BODY.PEEK[]")


def store_silent(machine, size):
    return over_all(machine, size, b"STORE 1:* +FLAGS.SILENT (\\Flagged)", b"STORE 1:* -FLAGS.SILENT (\\Flagged)")

# ---- waiting ------------------------------------------------------------------------------------


def idle_exists(machine, size):
    """From the 250 of a delivery to EXISTS at a client that waits in IDLE."""
    delivery, s, mail = Delivery(machine.primary, ["u40"]), Session(machine.primary, "u40"), size.mail()
    delivery.send(mail.next())
    s.exists(b"INBOX")
    s.start(b"IDLE")
    s.socket.settimeout(20)
    lags = []
    for _ in range(max(3, int(size.seconds * 4))):
        time.sleep(0.05)
        done, data = delivery.send(mail.next()), b""
        while b"EXISTS" not in data:
            data += more(s.socket)
        lags.append(time.perf_counter() - done)
    s.close()
    return {"p50 ms": median(lags) * 1e3, "p99 ms": percentile(lags, 99) * 1e3}


def idle_memory(machine, size):
    """PSS that a connection in IDLE adds to the server."""
    Delivery(machine.primary, ["u41"]).send(size.mail().next())
    time.sleep(0.5)
    before, sessions = machine.pss_kib(), []
    for _ in range(size.idle):
        sessions.append(Session(machine.primary, "u41"))
        sessions[-1].exists(b"INBOX")
        sessions[-1].start(b"IDLE")
        while b"+" not in more(sessions[-1].socket):
            pass
    time.sleep(2)
    after = machine.pss_kib()
    for s in sessions:
        s.close()
    return {"KiB": (after - before) / size.idle}

# ---- replication --------------------------------------------------------------------------------


def wait_for(machine, user, box, count, seconds=300):
    """Until the replica has so many messages there; the session that saw it."""
    end, s = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            s = s or Session(machine.replica, user)
            if s.messages(box) >= count:
                return s
        except Exception:    # the user, or the mailbox, or the replica itself is not there yet
            s = None
        time.sleep(0.02)
    raise TimeoutError(f"the replica never had {count} messages in {box} of {user}")


def messages_of(machine, user, box):
    s = Session(machine.primary, user)
    count = s.messages(box)
    s.close()
    return count


def first_sync(machine, size):
    """sync_client -A of users that the replica does not know, and again when nothing has changed. Only the first run on a pair
    has a first sync in it."""
    users = [f"u{k}" for k in range(1, size.users + 1)]
    if machine.filled.get("synced"):
        return {"unchanged ms": timed(machine.sync_all) * 1e3}
    for user in users:
        s = Session(machine.primary, user)
        s.append_all(b"INBOX", size.mail(), size.each)
        s.close()
    first = timed(machine.sync_all)
    for user in users:
        wait_for(machine, user, b"INBOX", size.each, 1).close()
    machine.filled["synced"] = True
    return {"messages/s": size.users * size.each / first, "unchanged ms": timed(machine.sync_all) * 1e3}


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rolling(machine, size):
    """20 deliveries a second: from the primary's 250 to EXISTS on the replica, asked by NOOP every 3 ms."""
    user, count, rate = "u50", max(5, int(size.rolling * 20)), 20
    delivery, mail = Delivery(machine.primary, [user]), size.mail()
    machine.start_rolling()
    delivery.send(mail.next())
    have = messages_of(machine, user, b"INBOX")
    s = wait_for(machine, user, b"INBOX", have)
    have = s.exists(b"INBOX")
    acknowledged, seen = {}, {}

    def feed():
        began = time.perf_counter()
        for k in range(count):
            time.sleep(max(0, began + k / rate - time.perf_counter()))
            acknowledged[have + k + 1] = delivery.send(mail.next())
    thread = threading.Thread(target=feed)
    thread.start()
    last, end = have, time.monotonic() + size.rolling + 60
    while last < have + count and time.monotonic() < end:
        found = re.findall(rb"\* (\d+) EXISTS", s.ok(b"NOOP"))
        for n in range(last + 1, int(found[-1]) + 1 if found else 0):
            seen[n] = time.perf_counter()
            last = n
        time.sleep(0.003)
    thread.join()
    s.close()
    machine.stop_rolling()
    if last < have + count:
        raise TimeoutError(f"the replica got {last - have} of {count} messages")
    lags = [seen[n] - acknowledged[n] for n in seen]
    return {"p50 ms": percentile(lags, 50) * 1e3, "p99 ms": percentile(lags, 99) * 1e3}


def flag_lag(machine, size):
    """One flag in a mailbox of many: from the primary's OK to the FETCH response on the replica."""
    user, box = "u51", b"INBOX"
    count = messages_of(machine, user, box) or size.box
    s = Session(machine.primary, user)
    if not machine.filled.get(user):
        s.append_all(box, size.small_mail(), count)
        machine.filled[user] = count
    machine.start_rolling()
    s.exists(box)
    r = wait_for(machine, user, box, count)
    r.exists(box)
    lags = []
    for k in range(size.flags):
        sign = b"+-"[machine.filled.setdefault("sign", 0) % 2]
        s.ok(b"STORE %d %cFLAGS (\\Answered)" % (count // 2 + k, sign))
        began = time.perf_counter()
        while b"FETCH" not in r.ok(b"NOOP"):
            time.sleep(0.003)
            if time.perf_counter() > began + 60:
                raise TimeoutError("the replica never got the flag")
        lags.append(time.perf_counter() - began)
        time.sleep(0.1 + 0.013 * k)
    machine.filled["sign"] += 1
    s.close()
    r.close()
    machine.stop_rolling()
    return {"p50 ms": median(lags) * 1e3, "worst ms": max(lags) * 1e3}


def catch_up(machine, size):
    """The replica comes back and finds messages waiting: from the start of rolling replication to the last of them."""
    users = [f"u{k}" for k in range(52, 60)]
    machine.sync_all()
    machine.replica.stop()
    mail = size.mail()

    def work(k, ready):
        delivery = Delivery(machine.primary, [users[k]])
        ready()
        for _ in range(size.pending // len(users)):
            delivery.send(mail.next())
    together(len(users), work)
    wanted = {user: messages_of(machine, user, b"INBOX") for user in users}
    machine.replica.start()
    began = time.perf_counter()
    machine.start_rolling()
    for user in users:
        wait_for(machine, user, b"INBOX", wanted[user]).close()
    took = time.perf_counter() - began
    machine.stop_rolling()
    return {"messages/s": size.pending // len(users) * len(users) / took}


def far(case):
    """The same over a line of 40 ms round trip."""
    def measure(machine, size):
        with machine.long_line(0.04):
            return case(machine, size)
    return measure


@dataclass
class Case:
    name: str
    text: str
    measure: object
    pair: bool = False        # wants a replica too
    runs: int = 0             # 0: as many as the runner was told


CASES = [
    Case("lmtp-1", "LMTP, 1 connection", lmtp_1),
    Case("lmtp-8", "LMTP, 8 connections, a mailbox each", lmtp_8),
    Case("lmtp-8-one-box", "LMTP, 8 connections, one mailbox", lmtp_8_one_box),
    Case("lmtp-10-recipients", "LMTP, 10 recipients", lmtp_10_recipients),
    Case("append", "APPEND, one at a time", append),
    Case("append-piped", "APPEND, 8 on their way", append_piped),
    Case("syncs", "sync calls for", syncs, runs=1),
    Case("select-10k", "SELECT of 10 000, new connection", select_10k),
    Case("select-100k", "SELECT of 100 000, new connection", select_100k),
    Case("fetch-flags", "FETCH 1:* FLAGS of 10 000", fetch_flags),
    Case("fetch-structure", "FETCH 1:* ENVELOPE BODYSTRUCTURE", fetch_structure),
    Case("fetch-headers", "FETCH 1:* four header fields", fetch_headers),
    Case("fetch-bodies", "FETCH 1:* BODY[]", fetch_bodies),
    Case("store-silent", "STORE 1:* FLAGS.SILENT", store_silent),
    Case("idle-exists", "IDLE: EXISTS after the 250", idle_exists, runs=1),
    Case("idle-memory", "IDLE: PSS a connection", idle_memory, runs=1),
    Case("first-sync", "first sync of everything; -A again", first_sync, pair=True),
    Case("rolling", "rolling at 20 messages a second: lag", rolling, pair=True, runs=1),
    Case("flag-lag", "rolling, one flag of 10 000: lag", flag_lag, pair=True, runs=1),
    Case("catch-up", "catching up after an outage", catch_up, pair=True, runs=1),
    Case("far-rolling", "rolling, 40 ms round trip: lag", far(rolling), pair=True, runs=1),
    Case("far-catch-up", "catching up, 40 ms round trip", far(catch_up), pair=True, runs=1),
]
