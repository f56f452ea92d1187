"""What a Debian Cyrus (lib.cyrus_peer) and our own server (lib.server) have in common under test: a root with
imapd.conf and cyrus.conf in it, a master on free ports of 127.0.0.1, tools, clients, a log.

Every account's password is PASSWORD; ADMIN is the only administrator, on the csync port too."""
import os
import shutil
import subprocess
from pathlib import Path

from lib import places
from lib.csync import Csync, CsyncOverImap
from lib.imap import Imap
from lib.lmtp import Lmtp
from lib.places import wait_until
from lib.store import Endpoint

PASSWORD = "pw"
ADMIN = "admin"


class ToolFailed(Exception):
    pass


class MailServer:
    """Subclasses have program(name), environment() and default_services(), and prepare the root.

    Entries of cyrus.conf are dicts, where {conf} stands for imapd.conf and the first word of a cmd is looked up
    by program(). What a test gives goes over the defaults, key by key; an option or an entry of None is left
    out."""

    def __init__(self, root, name, options, services=None, sections=None):
        """services: {"imap": {"prefork": 3}, "pop3": None, ...}; sections: the rest of cyrus.conf, such as
        {"EVENTS": {"expire": {"cmd": "cyr_expire -E 3 -C {conf}", "period": 5}}}"""
        self.root, self.name = Path(root), name
        self.conf, self.cyrus_conf = self.root / "imapd.conf", self.root / "cyrus.conf"
        self.log_file = self.root / "log"
        self.master = None
        self.options = {**self._common(), **options}
        self.services, self.sections = self.default_services(), sections or {}
        for entry, more in (services or {}).items():
            self.services[entry] = more if more is None else {**self.services.get(entry, {}), **more}

    def _common(self):
        root = self.root
        return {
            "configdirectory": root / "conf", "defaultpartition": "default", "partition-default": root / "spool",
            "sievedir": root / "sieve", "servername": f"{self.name}.test", "admins": ADMIN,
            "sasl_pwcheck_method": "auxprop", "sasl_auxprop_plugin": "sasldb",
            "sasl_sasldb_path": root / "sasldb2", "sasl_mech_list": "PLAIN LOGIN", "allowplaintext": True,
            "failedloginpause": "0s", "annotation_allow_undefined": True, "allowusermoves": True,
            "sync_try_imap": False, "cyrus_user": places.daemon_user().pw_name,
        }

    def make_root(self, folders, users):
        for folder in [self.root / f for f in folders] + [self.root / "sieve", *self.partitions()]:
            folder.mkdir(parents=True, exist_ok=True)
        places.make_users(self.root / "sasldb2", self.options["servername"], {ADMIN: PASSWORD})
        self.add_users(*users)
        self.write_conf()
        places.own_by_service_user(self.root)

    def write_conf(self):
        """Write imapd.conf and cyrus.conf as options, services and sections are now."""
        def command(line):
            program, *words = line.format(conf=self.conf).split()
            return " ".join([str(self.program(program)), *words])

        def filled(entries):
            return {n: e and {k: command(v) if k == "cmd" else v for k, v in e.items()}
                    for n, e in entries.items()}
        places.write_conf(self.conf, self.options)
        sections = {"START": {}, "SERVICES": self.services, "EVENTS": {}, "DAEMON": {}, **self.sections}
        places.write_cyrus_conf(self.cyrus_conf, {name: filled(e) for name, e in sections.items()})

    def partitions(self):
        return [Path(v) for k, v in self.options.items() if k.startswith("partition-") and v]

    def replicate_to(self, other, channel="", **options):
        """Log for a channel, and make another server its replica. Without a channel name: the nameless one."""
        prefix = channel + "_" if channel else ""
        self.options.update({"sync_log": True, prefix + "sync_host": "127.0.0.1",
                             prefix + "sync_port": other.csync_port, prefix + "sync_authname": ADMIN,
                             prefix + "sync_password": PASSWORD, **options})
        self.write_conf()

    # ---- running ---------------------------------------------------------------------------------

    def start_master(self, ready, seconds):
        """Start it, and return when ready() is true."""
        command = [self.program("master"), "-C", self.conf, "-M", self.cyrus_conf, "-p", self.root / "master.pid"]
        self.master = self.spawn(command, "master.out")

        def up():
            if self.master.poll() is not None:
                raise ToolFailed(f"master ended with {self.master.returncode}:\n{self.tail()}")
            return ready()
        wait_until(up, seconds, lambda: f"{self.name} is up\n{self.tail()}")
        return self

    def spawn(self, command, output):
        """Start something that stays, in a session of its own; its output goes to a file in the root."""
        with open(self.root / output, "ab") as out:
            return subprocess.Popen(command, env=self.environment(), stdin=subprocess.DEVNULL, stdout=out,
                                    stderr=out, cwd="/", start_new_session=True)

    def kill(self):
        """SIGKILL to every process at once: the machine fell over."""
        places.kill_processes_of(self.root)
        if self.master:
            self.master.wait(5)
            self.master = None

    def restart(self):
        self.stop()
        return self.start()

    def wipe(self):
        self.kill()
        shutil.rmtree(self.root)

    def tool(self, program, *args, check=True, stdin="", timeout=60):
        """Run one of its programs with our -C: a CompletedProcess with text. check: a bad status raises."""
        command = [str(self.program(program)), "-C", str(self.conf), *map(str, args)]
        done = subprocess.run(command, env=self.environment(), input=stdin, text=True, timeout=timeout,
                              capture_output=True, cwd="/")
        if check and done.returncode != 0:
            raise ToolFailed(f"{' '.join(command)} -> {done.returncode}\n{done.stdout}{done.stderr}{self.tail()}")
        return done

    def sync_client(self, *args, check=True, timeout=120):
        return self.tool("sync_client", *args, check=check, timeout=timeout)

    # ---- looking ---------------------------------------------------------------------------------

    def log(self):
        if not self.log_file.exists():
            return []
        return self.log_file.read_text("utf-8", "backslashreplace").splitlines()

    def tail(self, count=25):
        """The end of all it said: for a test that failed."""
        files = [*sorted(self.root.glob("*.out")), *sorted(self.root.glob("sanitizer*"))]
        return "\n".join([f.read_text("utf-8", "backslashreplace") for f in files] + self.log()[-count:])

    def endpoint(self, over_imap=False):
        """For lib.store and lib.checker."""
        return Endpoint(self.name, ("127.0.0.1", self.csync_port), ("127.0.0.1", self.imap_port), ADMIN, PASSWORD,
                        over_imap)

    def imap(self, user=None, password=PASSWORD, **more):
        client = Imap(("127.0.0.1", self.imap_port), **more)
        if user:
            client.login(user, password)
        return client

    def admin(self):
        return self.imap(ADMIN)

    def lmtp(self, **more):
        return Lmtp(("127.0.0.1", self.lmtp_port), **more)

    def csync(self, over_imap=False, **more):
        kind, port = (CsyncOverImap, self.imap_port) if over_imap else (Csync, self.csync_port)
        return kind.connect(("127.0.0.1", port), ADMIN, PASSWORD, **more)

    def add_users(self, *users):
        """Accounts that can log in; no mailbox is made."""
        places.make_users(self.root / "sasldb2", self.options["servername"], {u: PASSWORD for u in users})
        if os.getuid() == 0:
            shutil.chown(self.root / "sasldb2", places.SERVICE_USER)

    def make_user(self, *users):
        """Accounts with an INBOX."""
        self.add_users(*users)
        separator = "/" if self.options.get("unixhierarchysep", True) else "."
        with self.admin() as c:
            for user in users:
                c.ok("CREATE", f"user{separator}{user}")
