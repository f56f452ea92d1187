"""Our master with metad, sync_server and, if asked for, imapd: a replica under test.

    with Replica(root) as r:
        r.start()
        with r.csync() as c: ...

ADMIN is the only administrator; its password and everybody's is PASSWORD. `socket` is the Unix socket, where nobody
logs in. There is a second service, checker, with a name and port of its own: what a test does for itself is kept apart from
what a peer does. Programs come from the build tree (lib.supervised)."""
import subprocess
import time
from pathlib import Path

from lib import places
from lib.csync import Csync
from lib.imap import Imap
from lib.mail_server import ADMIN, PASSWORD
from lib.store import Endpoint
from lib.supervised import Supervised
from lib.wire import Wire

PROGRAMS = {"metad": "metad", "sync_server": "sync_server/sync_server", "imapd": "imapd"}


class Replica(Supervised):
    def __init__(self, root, imapd=None, args="", users=(), tls=False, imap=False, programs=None):
        """imapd: options over the defaults. args: more words for sync_server. users: accounts beside ADMIN. imap:
        with imapd, too; a string: more words for it."""
        root = Path(root)
        self.port, self.imap_port, self.checker_port = places.free_ports(3)
        self.csync_port = self.port    # what lib.mail_server calls it
        self.socket = root / "csync"
        options = {
            "servername": "b.test", "admins": ADMIN, "defaultpartition": "default",
            "partition-default": root / "spool", "partition-p2": root / "spool2",
            "sasl_pwcheck_method": "auxprop", "sasl_auxprop_plugin": "sasldb", "sasl_sasldb_path": root / "sasldb2",
            "sasl_mech_list": "PLAIN LOGIN", "allowplaintext": True, "failedloginpause": "0s",
            "cyrus_user": places.daemon_user().pw_name,
        }
        if tls:
            options.update({"tls_server_cert": root / "cert.pem", "tls_server_key": root / "key.pem"})
        super().__init__(root, {**options, **(imapd or {})}, {**PROGRAMS, **(programs or {})})
        for folder in ("spool", "spool2"):
            (root / folder).mkdir()
        if tls:
            self._make_certificate()
        places.make_users(root / "sasldb2", "b.test", {user: PASSWORD for user in (ADMIN, *users)})
        command = f'cmd="sync_server -C {self.imapd_conf}{args}"'
        self.services["csync"] = f'{command} listen="127.0.0.1:{self.port}"'
        self.services["checker"] = f'{command} listen="127.0.0.1:{self.checker_port}"'
        if imap:
            words = imap if isinstance(imap, str) else ""
            self.services["imap"] = f'cmd="imapd -C {self.imapd_conf}{words}" listen="127.0.0.1:{self.imap_port}"'
        self.services["csyncunix"] = f'{command} listen="{self.socket}"'
        places.own_by_service_user(root)

    def _make_certificate(self):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-days", "3650", "-subj", "/CN=b.test", "-keyout", self.root / "key.pem",
                   "-out", self.root / "cert.pem"]
        subprocess.run(command, check=True, capture_output=True)

    @property
    def address(self):
        return "127.0.0.1", self.port

    def csync(self, user=ADMIN, **more):
        """A client that has logged in; user None: over the Unix socket."""
        return Csync.connect(self.address if user else str(self.socket), user, PASSWORD, **more)

    def imap(self, user):
        """As that user; the administrator's password is enough."""
        client = Imap(("127.0.0.1", self.imap_port))
        client.authenticate_plain(ADMIN, PASSWORD, "" if user == ADMIN else user)
        return client

    def endpoint(self):
        """For lib.store and lib.checker; with imapd only."""
        return Endpoint("b", ("127.0.0.1", self.checker_port), ("127.0.0.1", self.imap_port), ADMIN, PASSWORD)

    def wire(self, greeted=True):
        """A bare connection."""
        wire = Wire(self.address)
        while greeted and not wire.line().startswith(b"* OK"):
            pass
        return wire

    def connections(self):
        """Pids of the processes that serve a client."""
        return self.serving("sync_server")

    def telemetry(self, user=ADMIN):
        """Everything said to csync, not to checker, in sessions of that user so far, one text; begin_telemetry() first."""
        files = sorted((self.conf / "log" / user).glob("csync-*"), key=lambda p: p.stat().st_mtime_ns)
        return b"".join(p.read_bytes() for p in files)

    def begin_telemetry(self, user=ADMIN):
        (self.conf / "log" / user).mkdir(parents=True, exist_ok=True)
        places.own_by_service_user(self.conf / "log")


def memory_kib(pid, key):
    """A line of /proc/pid/status or smaps_rollup, in KiB."""
    for name in ("status", "smaps_rollup"):
        for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def settle(seconds=0.3):
    """Give a process time to give back what it holds."""
    time.sleep(seconds)
