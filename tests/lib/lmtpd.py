"""lmtpd of the build tree under our own master and metad, below a root of its own.

    with Lmtpd(root, imapd={"maxmessagesize": 100000}) as s:     # runs
        s.do("create user.bob")                                  # words of tests/progs/store_do.c
        with s.lmtp() as c: c.deliver("a@b", ["bob"], message)
        s.show("user.bob").live                                  # what the mailbox holds
        s.stored("user.bob")                                     # [bytes of each message file, by uid]

args: more words for lmtpd. Three services: s.port (-a), s.auth_port (needs a login), s.socket (a Unix socket)."""
import subprocess

from lib import places
from lib.bench import Bench
from lib.failpoints import FailpointPage
from lib.lmtp import Lmtp
from lib.supervised import Supervised

PASSWORD, ADMIN = "pw", "admin"
PROGRAMS = {"metad": "metad", "lmtpd": "lmtpd", "store_do": "tests/progs/store_do"}


class Lmtpd(Supervised):
    def __init__(self, root, imapd=None, tls=False, partitions=("default",), programs=None, args=""):
        super().__init__(root, {}, {**PROGRAMS, **(programs or {})})
        self.port, self.auth_port = places.free_ports(2)
        self.socket = self.root / "lmtp"
        own = {"servername": "us.test", "admins": ADMIN, "sasl_pwcheck_method": "auxprop",
               "sasl_auxprop_plugin": "sasldb", "sasl_sasldb_path": self.root / "sasldb2",
               "sasl_mech_list": "PLAIN LOGIN", "allowplaintext": True, "failedloginpause": "0s",
               "defaultpartition": partitions[0], "cyrus_user": places.daemon_user().pw_name,
               **{f"partition-{p}": self.root / f"spool-{p}" for p in partitions}}
        if tls:
            self._make_certificate()
            own |= {"tls_server_cert": self.root / "cert.pem", "tls_server_key": self.root / "key.pem"}
        self.options |= {"sync_log": True, **own, **(imapd or {})}
        places.make_users(self.root / "sasldb2", "us.test", {ADMIN: PASSWORD, "bob": PASSWORD})
        self.bench = Bench(self.root, self.options)
        self.failpoints = FailpointPage(self.root / "failpoints")
        self.environment["US_FAILPOINTS"] = str(self.failpoints.path)
        for name, listen, more in (("lmtp", f"127.0.0.1:{self.port}", " -a"),
                                   ("lmtpauth", f"127.0.0.1:{self.auth_port}", ""), ("lmtpunix", self.socket, "")):
            self.services[name] = f'cmd="lmtpd -C {self.imapd_conf}{more}{args}" listen="{listen}" prefork=1'
        self.do, self.show, self.log_lines = self.bench.do, self.bench.show, self.bench.log_lines

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "3650", "-subj", "/CN=us.test", "-keyout", self.root / "key.pem",
                        "-out", self.root / "cert.pem"], check=True, capture_output=True)
        places.own_by_service_user(self.root)

    def lmtp(self, address=None, **more):
        """A client, of the trusted port unless another address or a path is given."""
        address = address or ("127.0.0.1", self.port)
        return Lmtp(address if isinstance(address, tuple) else str(address), **more)

    def lmtpd(self):
        """Pids of the processes that serve a connection."""
        return self.serving("lmtpd")

    def spools(self):
        return [p for p in self.root.glob("spool-*")]

    def directory(self, mailbox):
        storeid = self.show(mailbox).counters["storeid"]
        return next(d for spool in self.spools() for d in (spool / "u").glob(f"*/{storeid}"))

    def stored(self, mailbox):
        folder = self.directory(mailbox)
        return [(folder / f"{uid}.").read_bytes() for uid in sorted(self.show(mailbox).live)]

    def staged(self):
        """Message files in the staging directories; one of those may go while we look."""
        return [p for spool in self.spools() for p in places.files_below(spool / "stage")]

    def __enter__(self):
        return self if self.process else self.start()


def message(number=0, body=b"hello\r\n", **fields):
    """A message; message_id=None leaves that field out."""
    head = {"From": "a@example.net", "Subject": f"number {number}", "Message-ID": f"<{number}@test>",
            "Date": "Mon, 1 Jan 2024 00:00:00 +0000", **{k.replace("_", "-"): v for k, v in fields.items()}}
    return "".join(f"{k}: {v}\r\n" for k, v in head.items() if v is not None).encode() + b"\r\n" + body
