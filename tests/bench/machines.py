"""The servers that are measured: a private instance of ours, of Debian's Cyrus and of Debian's Dovecot, each below a root of
its own on the disk under test; one alone, or a primary with its replica.

    m = Machine("ours", folder)             # starts it; everything is removed by close()
    m = Machine("cyrus", folder, pair=True) # m.primary, m.replica; m.start_rolling(), m.sync_all()

Dovecot is measured alone: it has no part in the protocol by which the other two replicate."""
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from lib import places
from lib.cyrus_peer import CyrusPeer
from lib.dovecot_peer import DovecotPeer
from lib.relay import Relay
from lib.server import Server

KINDS = ("ours", "cyrus", "dovecot")
USERS = [f"u{n}" for n in range(1, 61)]
ROOMY = {"maxchild": 2000, "prefork": 4}
DOVECOT = """
auth_cache_size = 10M
mail_max_userip_connections = 5000
service imap-login {
  service_count = 0
  process_min_avail = 2
  client_limit = 4000
}
service imap {
  process_limit = 2000
}
service lmtp {
  service_count = 0
  process_min_avail = 2
}
"""


def new_root(folder):
    """Short, and open to the service user; no tmpfs, where a sync costs nothing."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", folder], check=True, capture_output=True, text=True).stdout.strip()
    if kind in ("tmpfs", "ramfs"):
        raise places.Missing(f"{folder} is on {kind}: benchmarks need a real disk, see --dir")
    root = Path(tempfile.mkdtemp(prefix="usb-", dir=folder))
    root.chmod(0o755)
    return root


def peer_tree(kind):
    return Path(os.environ.get("US_PEERS", places.TOP / "build/peers")) / kind / "root"


class Machine:
    def __init__(self, kind, folder, pair=False):
        self.kind, self.roots, self.rolling = kind, [], None
        self.primary = self.replica = None
        self.filled = {}    # what cases share: {mailbox: messages}
        try:
            self.primary = self._make(folder, "a")
            if pair:
                self.replica = self._make(folder, "b")
                self.primary.replicate_to(self.replica)
                self.replica.start()
            self.primary.start()
            if kind != "dovecot":    # which makes an INBOX when it is needed
                self._make_inboxes()
        except BaseException:
            self.close()
            raise

    def _make(self, folder, name):
        self.roots.append(new_root(folder))
        root, services = self.roots[-1], {"imap": ROOMY, "lmtp": {**ROOMY, "maxchild": 100}}
        if self.kind == "ours":
            prefix = os.environ.get("US_PREFIX", places.TOP / "build/prefix/gcc")
            return Server(root, prefix, name, services=services, users=USERS)
        if self.kind == "cyrus":
            return CyrusPeer(root, peer_tree("cyrus"), name, services=services, users=USERS,
                             sections={"DAEMON": {"idled": {"cmd": "idled -C {conf}"}}})
        return DovecotPeer(root, peer_tree("dovecot"), name, USERS, DOVECOT)

    def _make_inboxes(self):
        with self.primary.admin() as admin:
            separator = "/" if self.primary.options.get("unixhierarchysep", True) else "."
            for user in USERS:
                admin.ok("CREATE", f"user{separator}{user}")

    def servers(self):
        return [s for s in (self.primary, self.replica) if s]

    # ---- replication -----------------------------------------------------------------------------

    def sync_all(self):
        self.primary.sync_client("-A", timeout=900)

    def start_rolling(self):
        """The primary's sync_client, without a pause between two looks at its log."""
        p = self.primary
        self.rolling = p.spawn([p.program("sync_client"), "-C", p.conf, "-R", "-d", "0"], "rolling.out")

    @contextmanager
    def long_line(self, seconds):
        """Meanwhile there is a line between the two whose round trip takes so long."""
        port = self.primary.options["sync_port"]
        line = Relay(("127.0.0.1", int(port)), seconds / 2)
        try:
            self._sync_port(line.port)
            yield
        finally:
            self._sync_port(port)
            line.close()

    def _sync_port(self, port):
        self.primary.options["sync_port"] = port
        self.primary.write_conf()

    def stop_rolling(self):
        if self.rolling:
            self.rolling.kill()
            self.rolling.wait(10)
            self.rolling = None

    # ---- looking ---------------------------------------------------------------------------------

    def processes(self):
        """Ids of the primary's processes: master and what descends from it."""
        children = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_text().rpartition(")")[2].split()[1])
            except OSError:    # ended meanwhile
                continue
            children.setdefault(parent, []).append(int(path.parent.name))
        out, todo = [], [self.primary.master.pid]
        while todo:
            out.append(todo.pop())
            todo += children.get(out[-1], [])
        return out

    def pss_kib(self):
        """Memory of the primary, what is shared divided among the sharers."""
        total = 0
        for pid in self.processes():
            try:
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    total += int(line.split()[1]) if line.startswith("Pss:") else 0
            except OSError:
                continue
        return total

    def close(self):
        self.stop_rolling()
        for server in self.servers():
            server.stop()
        for root in self.roots:
            places.kill_processes_of(root)
            shutil.rmtree(root, ignore_errors=True)
