"""A private Debian Cyrus 3.6.1, run from the tree that scripts/peers unpacks.

    with CyrusPeer(make_root(), tree) as peer:
        peer.make_user("bob")
        with peer.imap("bob") as c: ...
        peer.tool("cyr_expire", "-E", "1")

    a, b = CyrusPeer.pair(make_root(), make_root(), tree)      # a replicates to b; neither is started
    a.sync_client("-A")
    a.start_rolling()

Everything is below its root; nothing on the machine is touched. Its log lines are in <root>/log, by a preloaded
syslog() (syslog_to_file.c), since a bare machine has no /dev/log and any other one should not hear of this.

Debian's Cyrus takes uniqueids from a generator seeded with the time: two servers that create mailboxes in the
same second may give different mailboxes the same id. Create on one side of a pair, or a second apart."""
import signal
import subprocess
from pathlib import Path

from lib import places
from lib.mail_server import MailServer
from lib.places import Missing


class CyrusPeer(MailServer):
    def __init__(self, root, tree, name="peer", imapd=None, services=None, sections=None, users=()):
        """imapd, services, sections: over the defaults, see MailServer; users: accounts beside the
        administrator."""
        self.tree = places.reachable(tree, Path(root) / "tree")
        if not self.program("master").exists():
            raise Missing(f"no Cyrus in {tree}: run scripts/peers")
        self.imap_port, self.lmtp_port, self.csync_port, self.pop3_port = places.free_ports(4)
        recover = {"START": {"recover": {"cmd": "ctl_cyrusdb -C {conf} -r"}}}
        super().__init__(root, name, {"popminpoll": 0, **(imapd or {})}, services,
                         {**recover, **(sections or {})})
        self.rolling = None
        self.log_file.touch()
        self.log_file.chmod(0o666)
        source = Path(__file__).parent / "syslog_to_file.c"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.root / "syslog_to_file.so", source], check=True)
        self.make_root(["conf/db", "conf/socket", "conf/proc", "conf/lock"], users)

    @classmethod
    def pair(cls, root_a, root_b, tree, **more):
        """(primary, replica), not started. more: as for CyrusPeer, given to both."""
        a, b = cls(root_a, tree, "a", **more), cls(root_b, tree, "b", **more)
        a.replicate_to(b)
        return a, b

    def default_services(self):
        def entry(program, port, more=""):
            return {"cmd": f"{program} -C {{conf}}{more}", "listen": f"127.0.0.1:{port}", "maxchild": 60}
        return {"imap": entry("imapd", self.imap_port), "lmtp": entry("lmtpd", self.lmtp_port, " -a"),
                "csync": entry("sync_server", self.csync_port), "pop3": entry("pop3d", self.pop3_port)}

    def program(self, name):
        return self.tree / "usr/lib/cyrus/bin" / name

    def environment(self):
        libs = next(self.tree.glob("usr/lib/*-linux-gnu*"))
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": str(libs), "HOME": str(self.root),
                "LD_PRELOAD": str(self.root / "syslog_to_file.so"), "US_SYSLOG_FILE": str(self.log_file),
                "US_TEST_ROOT": str(self.root), "TZ": "UTC",
                "PERL5LIB": f"{self.tree}/usr/share/perl5:{libs}/perl5/5.36"}

    def start(self, seconds=20):
        ports = [int(e["listen"].rsplit(":", 1)[1]) for e in self.services.values()
                 if e and e["listen"].startswith("127.0.0.1:")]
        return self.start_master(lambda: all(map(places.listening, ports)), seconds)

    def stop(self, seconds=3):
        """End it in order; or, where Cyrus's master spins because it missed the death of a child that the same
        signal met in its first moments, by force."""
        self.stop_rolling()
        if self.master and self.master.poll() is None:
            self.master.send_signal(signal.SIGQUIT)
            try:
                self.master.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def start_rolling(self, *args):
        """sync_client -R, until stop_rolling()."""
        command = [self.program("sync_client"), "-C", self.conf, "-R", "-d", "0", *args]
        self.rolling = self.spawn(command, "rolling.out")

    def stop_rolling(self):
        if self.rolling:
            self.rolling.kill()
            self.rolling.wait(5)
            self.rolling = None

    def wait_synced(self, seconds=20, channel=""):
        """Until the rolling client has nothing left to do. (Do not ask a Cyrus replica instead: one that is
        read while it takes a first subscription may show a mailbox "VER", its database's version mark.)"""
        folder = self.root / "conf/sync" / channel
        places.wait_until(lambda: not [*folder.glob("log*")], seconds,
                          lambda: f"the sync log of {self.name} is empty\n{self.tail()}")

    def __enter__(self):
        return self if self.master else self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.wipe()
