"""Our master with a store that is changed and replicated, by csync alone: no IMAP, no LMTP.

    with Site(roots(), "b") as b, Site(roots(), "a", to=b) as a:
        b.start(), a.start()
        a.do("create user.bob", f"append user.bob {a.message('text')}")
        a.sync("-u", "bob")
        assert differences(a, b, ["bob"]) == []

    with a.rolling(): ...            # sync_client -R; TERM at the end, and status 0

to: the replica, or {channel: replica} for several. Changes are made by tests/progs/store_do, whose words `do` takes; it runs as a
process of its own beside metad, as a tool would, and every change is in the sync logs."""
import signal
import subprocess
from contextlib import contextmanager

from lib import checker, places
from lib.failpoints import FailpointPage
from lib.mail_server import ADMIN, PASSWORD
from lib.places import wait_until
from lib.replica import Replica
from lib.store import Endpoint, _Reader

PROGRAMS = {"sync_client": "sync_client/sync_client", "store_do": "tests/progs/store_do"}


def port_of(server):
    """Where csync is, of a master of ours or a real Cyrus."""
    return server.port if isinstance(server, Replica) else server.csync_port


class Site(Replica):
    def __init__(self, root, name="a", to=None, imapd=None, chain=False, programs=None, **more):
        self.name = name
        channels = to if isinstance(to, dict) else {"": to} if to else {}
        options = {"servername": "b.test", "sync_try_imap": False, "annotation_allow_undefined": True,
                   "sync_log": bool(channels), "sync_log_chain": chain}
        for channel, other in channels.items():
            prefix = channel + "_" if channel else ""
            options.update({prefix + "sync_host": "127.0.0.1", prefix + "sync_port": port_of(other),
                            prefix + "sync_authname": ADMIN, prefix + "sync_password": PASSWORD})
        if channels:
            options["sync_log_channels"] = " ".join(channel or '""' for channel in channels)
        super().__init__(root, imapd={**options, **(imapd or {})}, programs={**PROGRAMS, **(programs or {})}, **more)
        self.hand = None
        self.failpoints = FailpointPage(self.root / "failpoints")    # of store_do alone
        self.clients_of = {}

    # ---- changes ---------------------------------------------------------------------------------

    def do(self, *lines):
        """Lines of store_do, each of which must succeed; what they print."""
        if not self.hand:
            self.hand = self._spawn("store_do", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                    env={**self.environment, "US_FAILPOINTS": str(self.failpoints.path)})
        out = []
        for line in lines:
            self.hand.stdin.write(line + "\n")
            self.hand.stdin.flush()
            while True:
                answer = self.hand.stdout.readline().rstrip("\n")
                assert answer and not answer.startswith("NO "), f"{line} -> {answer}\n{self.tail()}"
                if answer == "OK":
                    break
                out.append(answer)
        return out

    def drop_hand(self):
        if self.hand:
            self.hand.stdin.close()
            self.hand.wait(10)
            self.hand = None

    def message(self, text, name="message"):
        """A file with that text, for `append`."""
        path = self.root / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def append(self, name, text, *flags):
        return self.do(f"append {name} {self.message(text)} {' '.join(flags)}".rstrip())

    # ---- replication -------------------------------------------------------------------------------

    def command(self, program, *args):
        return [str(self.bin / program), "-C", str(self.imapd_conf), *map(str, args)]

    def _spawn(self, program, *args, **more):
        return subprocess.Popen(self.command(program, *args), **{"env": self.environment, "cwd": "/", **more})

    def sync(self, *args, check=True, timeout=60, channel=""):
        """sync_client -v with these arguments, to its end: a CompletedProcess with text."""
        named = ["-n", channel] if channel else []
        done = subprocess.run(self.command("sync_client", "-v", *named, *args), env=self.environment, cwd="/", text=True,
                              capture_output=True, timeout=timeout)
        if check:
            assert done.returncode == 0, f"{args} -> {done.returncode}\n{done.stdout}{done.stderr}{self.tail()}"
        return done

    def said(self, *args, **more):
        """The actions of such a run."""
        return [line for line in self.sync(*args, **more).stdout.splitlines() if not line.startswith("ENABLE")]

    def start_rolling(self, *args, channel=""):
        named = ["-n", channel] if channel else []
        with open(self.root / f"rolling{channel}.out", "ab") as out:
            client = self._spawn("sync_client", "-R", *named, *args, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.clients_of[channel] = client
        return client

    def stop_rolling(self, channel="", number=signal.SIGTERM, seconds=10):
        client = self.clients_of.pop(channel)
        client.send_signal(number)
        return client.wait(seconds)

    @contextmanager
    def rolling(self, *args, channel=""):
        """Live when it begins: the comparison a new channel owes is through."""
        client = self.start_rolling(*args, channel=channel)
        self.wait_state("live", channel=channel)
        yield client
        if channel in self.clients_of:
            assert self.stop_rolling(channel) == 0, self.tail()

    def sync_dir(self, channel=""):
        return self.conf / "sync" / channel

    def pending(self, channel=""):
        """Logs that wait or are in work. One that goes while we look counts: it may have got another name."""
        return [p for p in self.sync_dir(channel).glob("log*") if "-" in p.name or places.size_of(p) != 0]

    def page(self, channel=""):
        return Page((self.sync_dir(channel) / "state").read_bytes())

    def wait_state(self, state, channel="", seconds=20):
        path = self.sync_dir(channel) / "state"
        wait_until(lambda: path.exists() and self.page(channel).state == state, seconds,
                   lambda: f"{state}; it is {self.page(channel).state}\n{self.tail()}")

    def wait_synced(self, channel="", seconds=20):
        wait_until(lambda: not self.pending(channel), seconds, lambda: f"no log waits: {self.pending(channel)}\n{self.tail()}")

    def aside(self, channel=""):
        path = self.sync_dir(channel) / "set-aside"
        return path.read_text().splitlines() if path.exists() else []

    # ---- ending --------------------------------------------------------------------------------------

    def __exit__(self, kind, *rest):
        self.drop_hand()
        for client in self.clients_of.values():
            client.kill()
            client.wait(5)
        self.clients_of = {}
        super().__exit__(kind, *rest)

    def kill(self):
        """The machine falls over."""
        places.kill_processes_of(self.root)
        self.process.wait(5)
        self.process = self.hand = None
        self.clients_of = {}


STATES = ("idle", "connecting", "live", "catching-up", "collapsed", "paused", "refused", "backing-off")


class Page:
    """A channel's state page (doc/FORMATS.md 11)."""
    FIELDS = {"generation": 16, "taken": 24, "taken_at": 32, "confirmed": 40, "confirmed_at": 48, "state_number": 56,
              "pid": 72, "lines": 80, "oldest_ns": 88, "success_ns": 96, "error_ns": 104, "error": 112, "aside": 120,
              "sent": 128, "received": 136, "connections": 144, "lag_ns": 152, "worst_ns": 160}

    def __init__(self, data):
        assert data[:6] == b"USCHN1"
        for name, at in self.FIELDS.items():
            setattr(self, name, int.from_bytes(data[at:at + 8], "little"))
        self.state = STATES[self.state_number]
        self.error_text = data[256:512].split(b"\0")[0].decode()


def read(site, users, shared=()):
    """A lib.store.Store of these users and shared mailboxes of a site or a peer, without IMAP."""
    with site.csync() as csync, site.csync(sieve=False) as plain:
        reader = _Reader(Endpoint(site.name, ("127.0.0.1", port_of(site)), None, ADMIN, PASSWORD), csync, plain, None)
        for user in users:
            reader.read_user(user)
        for name in shared:
            reader.read_shared(name)
        reader.store.annotations = {(a["ENTRY"], a["USERID"], a["VALUE"])
                                    for a in csync.get("ANNOTATION", "").all("ANNOTATION")}
        for box in reader.store.mailboxes().values():
            reader.check_sums(box)
        return reader.store


def differences(a, b, users, shared=(), deleted=True):
    return checker.compare(read(a, users, shared), read(b, users, shared), deleted)


def bob(a):
    """Somebody with two mailboxes and two messages."""
    a.do("create user.bob bob lrswipkxtecdan", "create user.bob.Sent bob lrswipkxtecdan")
    a.append("user.bob", "Subject: one\r\n\r\nbody\r\n", "\\Seen", "$Work")
    a.append("user.bob", "Subject: two\r\n\r\nbody\r\n")


def steps_of_a_user(uniqueid):
    """[(changes of what bob() made, what sync_client -u -v says beside the name)]; uniqueid: that of the mailbox "shared"."""
    return [
        (["flags user.bob 2 \\Flagged Other"], ["MAILBOX user.bob"]),
        (["expunge user.bob 1"], ["MAILBOX user.bob"]),
        (["annotate user.bob 2 /comment - note", "annotate user.bob 2 /comment bob mine"], ["MAILBOX user.bob"]),
        (["acl user.bob.Sent bob lrs joe lr"], ["MAILBOX user.bob.Sent"]),
        (["mailboxannotation user.bob.Sent /comment - hello"], ["MAILBOX user.bob.Sent"]),
        (["quota user.bob STORAGE 5000 MESSAGE 10"], ["QUOTA user.bob"]),
        (["unquota user.bob"], ["UNQUOTA user.bob"]),
        (["subscribe bob user.bob.Sent", "subscribe bob shared"], ["SUB bob shared", "SUB bob user.bob.Sent"]),
        (["unsubscribe bob shared"], ["UNSUB bob shared"]),
        ([f"seen bob {uniqueid} 3 1:3"], [f"SEEN bob {uniqueid}"]),
        (["create user.bob.New"], ["MAILBOX user.bob.New"]),
        (["rename user.bob.New user.bob.Newer"],
         ["RENAME user.bob.New -> user.bob.Newer (default)", "MAILBOX user.bob.Newer"]),
        (["remove user.bob.Newer"], ["UNMAILBOX user.bob.Newer"]),
        (["expunge user.bob 2", "unlink user.bob 1 2"], ["FULLMAILBOX user.bob", "MAILBOX user.bob"]),
    ]


def follows(a, b, said, users=("bob",), shared=(), mode=("-u", "bob")):
    """The mode brings all over and says so; then nothing is left to say but the user's name."""
    assert a.said(*mode) == said
    assert differences(a, b, users, shared) == []
    assert [line for line in a.said(*mode) if not line.startswith("USER ")] == []
