"""A server under test with a replica beside it, of which the test knows nothing.

    s = Doubled(roots(), roots(), imapd={...})     # as Server; the copy runs as long as it does
    s.start(); ...
    assert s.differences() == []                   # when the channel is quiet; before finish()

The channel is called "beside", so that what a test does with the nameless one stays as it was; what another server replicates to this one
goes on to the copy, as in a chain. The stores are compared by lib.checker, with bodies, and by the digests that both servers give for
their users. For that the server has an imapd and a sync_server of their own, with a configuration that lets the checker in
where the test's lets in nobody: the store is the same."""
import os
import time

from lib import places
from lib.checker import compare
from lib.mail_server import ADMIN, PASSWORD
from lib.server import Server
from lib.site import Page
from lib.store import Endpoint, read_store

CHANNEL = "beside"
SILENCE = 120    # seconds in which a busy machine may do nothing that anybody sees
# What would keep the checker out, or would be in its way.
OPEN = {"allowplaintext": True, "tls_required": None, "sasl_mech_list": "PLAIN LOGIN", "sasl_pwcheck_method": "auxprop",
        "maxlogins_per_user": None, "maxlogins_per_host": None, "suppress_capabilities": None, "failedloginpause": "0s", "imapidletimeout": None,
        "readonly": None, "annotation_allow_undefined": True, "autocreate_quota": None, "autocreate_inbox_folders": None,
        "ignorereference": None, "foolstupidclients": None}
# {name of a test that makes damage on purpose: the mailbox, and how an operator repairs it before both are compared}
REPAIRED = {"test_a_damaged_mailbox_costs_its_own_figures_only": ["user/alice/b"],
            "test_what_cannot_be_read_is_said": ["-G", "-R", "user/bob"]}


class Doubled(Server):
    def __init__(self, root, other_root, imapd=None, services=None, sections=None, **more):
        imapd, sections = dict(imapd or {}), dict(sections or {})
        self.check_ports, self.check_conf = places.free_ports(2), root / "check.conf"
        self.copy = self._make_copy(other_root, imapd, more.get("name", "us"), more.get("prefix"))
        imapd.setdefault("sync_log_chain", True)
        channel = {f"{CHANNEL}_sync_{key}": value for key, value in
                   {"host": "127.0.0.1", "port": self.copy.csync_port, "authname": ADMIN, "password": PASSWORD,
                    "reconnect_maxwait": "1s"}.items()}
        imapd.update(channel, sync_log_channels=CHANNEL, sync_log=True)
        sections["DAEMON"] = {CHANNEL: {"cmd": f"sync_client -R -n {CHANNEL} -C {{conf}}"}, **sections.get("DAEMON", {})}
        imap, csync = self.check_ports
        services = {**(services or {}), "checkimap": {"cmd": f"imapd -C {self.check_conf}", "listen": f"127.0.0.1:{imap}"},
                    "checksync": {"cmd": f"sync_server -C {self.check_conf}", "listen": f"127.0.0.1:{csync}"}}
        super().__init__(root, imapd=imapd, services=services, sections=sections, **more)

    def _make_copy(self, root, imapd, name, prefix):
        own = {key: root / key if key.startswith("partition-") else value for key, value in imapd.items()
               if not key.startswith(("sync_", "tls_"))}
        copy = Server(root, prefix=prefix, name=name, imapd={**own, **OPEN}, services={"lmtp": None, "lmtpunix": None})
        copy.name = "the copy"    # its realm is that of the first: who names a domain there must be known here
        return copy

    def write_conf(self):
        super().write_conf()
        places.write_conf(self.check_conf, {**self.options, **OPEN, "sasl_sasldb_path": self.copy.root / "sasldb2"})

    def replicate_to(self, other, channel="", **options):
        super().replicate_to(other, channel, sync_log_channels=f'{channel or chr(34) * 2} {CHANNEL}', **options)

    def start(self, seconds=20):
        if not self.copy.master:
            self.copy.start(seconds)
        return super().start(seconds)

    # ---- the end ---------------------------------------------------------------------------------

    def differences(self, test=""):
        """Lines: what differs when the channel has nothing left to do, or what it does not get done. test: which comes to its end."""
        (self.root / "conf/msg/shutdown").unlink(missing_ok=True)
        if not self.master or self.master.poll() is not None:
            self.kill()    # the test's last word: what it left behind is not what is asked here
            self.start()
        if test in REPAIRED:
            self.expect(r"event=store\.guid\.mismatch")
            self.tool("reconstruct", *REPAIRED[test])
        before, since, quiet = None, time.monotonic(), 0
        while time.monotonic() < since + SILENCE:
            quiet = quiet + 1 if not self.waiting() else 0
            lines = self.waiting() + self.compared()
            if not lines or quiet > 2:    # it was quiet before, too: nobody will mend that
                return lines
            if lines != before:
                before, since = lines, time.monotonic()
            time.sleep(0.5)
        return lines

    def waiting(self):
        """What the channel still has to do."""
        folder = self.root / "conf/sync" / CHANNEL
        out = [f"waits: {p.name}" for p in folder.glob("log*") if "-" in p.name or places.size_of(p)]
        aside = folder / "set-aside"
        out += [f"set aside: {line}" for line in (aside.read_text().splitlines() if aside.exists() else [])]
        state = Page((folder / "state").read_bytes()).state if (folder / "state").exists() else "none"
        return out + ([] if state == "live" else [f"the channel is {state}"])

    def compared(self):
        here = Endpoint(self.name, *(("127.0.0.1", port) for port in reversed(self.check_ports)), ADMIN, PASSWORD)
        there = self.copy.endpoint()
        a, b = read_store(here), read_store(there)
        return compare(a, b) + _by_digests(here, there, sorted(a.users))

    def finish(self):
        try:
            super().finish()
        finally:
            self.copy.finish()

    def wipe(self):
        super().wipe()
        self.copy.wipe()


def _by_digests(here, there, users):
    """Each user by himself, and all of them in one range."""
    ranges = [(user, user) for user in users] + [(users[0], users[-1])] * bool(users)
    sums = []
    for endpoint in (here, there):
        with endpoint.open_csync() as c:
            sums.append(c.get("DIGESTS", [end for pair in ranges for end in pair]).all("DIGESTS")[0] if ranges else [])
    return [f"the digests of {low} to {high} differ" for (low, high), a, b in zip(ranges, *sums) if a != b]


def wanted(module):
    """US_REPLICA=1: for the tests of what IMAP does."""
    return bool(os.environ.get("US_REPLICA")) and module.startswith("test_imap_")
