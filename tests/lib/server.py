"""Our own server under test: an installation run below a root of its own.

    with Server(make_root()) as s:              # US_PREFIX names the installation
        s.make_user("bob")
        with s.imap("bob") as c: ...
        s.failpoints.arm("store.message.sync", "kill")
        s.expect("IOERROR: opening index")      # such lines are well from here on

At the end of the with, finish() stops it and raises if anything is left that must not be: a process, a staged
file, a log line with ERROR or panic, a sanitizer's report, an exit status of master other than 0."""
import os
import re
import signal
import subprocess
from pathlib import Path

from lib import places
from lib.failpoints import FailpointPage
from lib.imap import Imap
from lib.lmtp import Lmtp
from lib.mail_server import PASSWORD, MailServer, ToolFailed
from lib.places import Missing

ONLY_IMAP = {"lmtp": None, "lmtpunix": None, "csync": None}    # services=: of those that a Server has by itself

FOLDERS = ("libexec", "libexec/cyrus-imapd", "sbin", "bin", "cyrus/bin")    # where programs are installed
BAD_LINE = re.compile(r"ERROR|panic|process\.fatal|Sanitizer|runtime error:")


class Server(MailServer):
    def __init__(self, root, prefix=None, name="us", imapd=None, services=None, sections=None, users=(),
                 environment=None):
        """imapd, services, sections: over the defaults, see MailServer; users: accounts beside the
        administrator; environment: more of it for its programs."""
        prefix = prefix or os.environ.get("US_PREFIX")
        if not prefix:
            raise Missing("US_PREFIX does not name an installation of Understudy")
        self.prefix = places.reachable(prefix, Path(root) / "prefix")
        self.imap_port, self.imaps_port, self.lmtp_port, self.csync_port = places.free_ports(4)
        self.ready_file, self.lmtp_socket = Path(root) / "ready", Path(root) / "lmtp"
        own = {"tls_server_cert": Path(root) / "cert.pem", "tls_server_key": Path(root) / "key.pem",
               "lmtpsocket": self.lmtp_socket, "logfile": Path(root) / "log", "master_ready_file": self.ready_file}
        super().__init__(root, name, {**own, **(imapd or {})}, services, sections)
        self.expected, self.more_environment = [], environment or {}
        self.failpoints = FailpointPage(self.root / "failpoints")
        self._make_certificate()
        self.make_root(["conf"], users)

    def default_services(self):
        def entry(program, listen, more=""):
            return {"cmd": f"{program} -C {{conf}}{more}", "listen": listen}
        return {"imap": entry("imapd", f"127.0.0.1:{self.imap_port}"),
                "imaps": entry("imapd", f"127.0.0.1:{self.imaps_port}", " -s"),
                "lmtp": entry("lmtpd", f"127.0.0.1:{self.lmtp_port}", " -a"),
                "lmtpunix": entry("lmtpd", self.lmtp_socket),
                "csync": entry("sync_server", f"127.0.0.1:{self.csync_port}")}

    def _make_certificate(self):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                   "-days", "3650", "-subj", f"/CN={self.name}.test",
                   "-keyout", self.root / "key.pem", "-out", self.root / "cert.pem"]
        subprocess.run(command, check=True, capture_output=True)

    def program(self, name):
        for folder in FOLDERS:
            if os.access(self.prefix / folder / name, os.X_OK):
                return self.prefix / folder / name
        raise Missing(f"no program {name} in {self.prefix}")

    def environment(self):
        reports = f"log_path={self.root}/sanitizer"
        where = ":".join(str(self.prefix / folder) for folder in ("libexec", "sbin"))
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.root), "TZ": "UTC",
                "UNDERSTUDY_PATH": where, "US_TEST_ROOT": str(self.root), "US_FAILPOINTS": str(self.failpoints.path),
                "ASAN_OPTIONS": reports + ":detect_leaks=1", "UBSAN_OPTIONS": reports + ":print_stacktrace=1",
                **self.more_environment}

    def start(self, seconds=20):
        """Start master and return when its ready file is there."""
        self.ready_file.unlink(missing_ok=True)
        return self.start_master(self.ready_file.exists, seconds)

    def stop(self, seconds=20):
        """End it in order, as an operator would; what stays behind is for finish() to tell of."""
        if not self.master:
            return
        if self.master.poll() is None:
            self.master.send_signal(signal.SIGTERM)
            self.master.wait(seconds)
        status, self.master = self.master.returncode, None
        if status != 0:
            raise ToolFailed(f"master ended with {status}:\n{self.tail()}")

    def kill_program(self, name):
        """SIGKILL to the processes of one program; their ids."""
        pids = [pid for pid, line in places.processes_of(self.root).items()
                if Path(line.split()[0]).name == name]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return pids

    def expect(self, pattern):
        """Log lines and reports that match are no faults from here on."""
        self.expected.append(re.compile(pattern))

    def finish(self):
        """Stop, and raise AssertionError if anything is wrong that no test asked for."""
        try:
            self.stop()
            faults = self.faults()
        finally:
            self.kill()
        assert not faults, f"{self.name}: " + "\n".join(faults)

    def faults(self):
        """Lines: what must not be found after a run, or in the middle of one."""
        out = []
        for path in [self.log_file, self.root / "master.out", *sorted(self.root.glob("sanitizer*"))]:
            lines = path.read_text("utf-8", "backslashreplace").splitlines() if path.exists() else []
            out += [f"{path.name}: {line}" for line in lines
                    if BAD_LINE.search(line) and not any(e.search(line) for e in self.expected)]
        if not self.master:
            out += [f"left behind: process {pid}: {line}" for pid, line in places.processes_of(self.root).items()]
            out += [f"left behind: {path}" for path in self.staged()]
        return out

    def staged(self):
        """Files that wait in staging directories; none may, once the connections are gone."""
        return [p for part in self.partitions() for p in sorted(places.files_below(part / "stage"))]

    def __enter__(self):
        return self if self.master else self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.finish()
        finally:
            self.wipe()

    def failpoint_names(self, program):
        """The points that are linked into a program."""
        done = subprocess.run([self.program(program)], env={**self.environment(), "US_FAILPOINTS": "list"},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.split()

    def imaps(self, user=None):
        """By TLS from the first byte."""
        client = Imap(("127.0.0.1", self.imaps_port), tls=True)
        if user:
            client.login(user, PASSWORD)
        return client

    def lmtp_unix(self):
        return Lmtp(str(self.lmtp_socket))
