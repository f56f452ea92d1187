"""A private Debian Dovecot 2.3 (IMAP and LMTP), run from the tree that `scripts/peers dovecot` unpacks.

    with DovecotPeer(make_root(), tree, users=["bob"]) as peer:
        with peer.imap("bob") as c: ...

Its programs look for each other and for their libraries in /usr/lib/dovecot and /usr/bin. So it runs in a mount
namespace of its own, in which the unpacked tree lies over /usr: the machine's /usr does not change, nobody
else sees it, and the mount goes with the last process. Its processes erase their environment, by which we know
those of other servers; so they have a process namespace too, and end with its first. That takes root. The users
it wants are borrowed: the service user, and nobody for the log-in processes."""
import os
import shutil
import signal
import subprocess
from pathlib import Path

from lib import places
from lib.imap import Imap
from lib.lmtp import Lmtp
from lib.mail_server import PASSWORD
from lib.places import Missing, wait_until

CONF = """
instance_name = {name}
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = {user}
default_internal_group = {group}
default_login_user = nobody
first_valid_uid = 1
mail_uid = {user}
mail_gid = {group}
mail_location = {location}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {root}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {root}/users
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
"""

# In a namespace of mounts: none of ours shall be seen outside. In a chroot whose root is no mount this fails, and
# then it depends on the machine: _mounts_stay_inside() finds out.
PRIVATE = "mount --make-rprivate / 2>/dev/null; "
UNSHARE = ["unshare", "--mount", "--propagation", "unchanged"]


class DovecotPeer:
    def __init__(self, root, tree, name="dovecot", users=(), extra="", storage="sdbox"):
        """extra: more lines of dovecot.conf; storage: sdbox, mdbox or maildir."""
        if os.getuid() != 0:
            raise Missing("Dovecot runs unpacked in a mount namespace, and only root can make one")
        if not (Path(tree) / "usr/sbin/dovecot").exists():
            raise Missing(f"no Dovecot in {tree}: run scripts/peers dovecot")
        self.root, self.name = Path(root), name
        self.tree = places.reachable(tree, self.root / "tree")
        self.imap_port, self.lmtp_port = places.free_ports(2)
        self.conf, self.log_file = self.root / "dovecot.conf", self.root / "log"
        self.master = None
        self._mounts_stay_inside()
        owner = places.service_user()
        for folder in ("run", "state", "mail", "home"):
            (self.root / folder).mkdir(mode=0o755)
        for folder in ("mail", "home"):
            os.chown(self.root / folder, owner.pw_uid, owner.pw_gid)
        (self.root / "users").write_text("".join(
            f"{u}:{{PLAIN}}{PASSWORD}:{owner.pw_uid}:{owner.pw_gid}::{self.root}/home/{u}::\n" for u in users))
        self.conf.write_text(CONF.format(
            root=self.root, name=name, user=owner.pw_name, group="mail", imap=self.imap_port, lmtp=self.lmtp_port,
            location=f"{storage}:{self.root}/mail/%u") + extra)

    def _mounts_stay_inside(self):
        probe = self.root / "probe"
        probe.mkdir()
        subprocess.run([*UNSHARE, "sh", "-c", PRIVATE + 'mount -t tmpfs none "$1"', "sh", probe], check=True)
        if probe.is_mount():
            subprocess.run(["umount", probe], check=True)
            raise Missing("a mount in a namespace of its own is seen outside it: this chroot's mounts are shared")

    def start(self, seconds=20):
        script = PRIVATE + 'mount -t overlay -o "lowerdir=$1/usr:/usr" overlay /usr && exec dovecot -F -c "$2"'
        with open(self.root / "master.out", "ab") as out:
            self.master = subprocess.Popen(
                [*UNSHARE, "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh", self.tree,
                 self.conf],
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "US_TEST_ROOT": str(self.root), "TZ": "UTC"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True)

        def up():
            if self.master.poll() is not None:
                raise RuntimeError(f"dovecot ended with {self.master.returncode}:\n{self.tail()}")
            return places.listening(self.imap_port) and places.listening(self.lmtp_port)
        wait_until(up, seconds, lambda: f"Dovecot is up\n{self.tail()}")
        return self

    def stop(self, seconds=10):
        if not self.master:
            return
        try:    # self.master is unshare(1); its child is Dovecot's master
            for child in Path(f"/proc/{self.master.pid}/task/{self.master.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
            self.master.wait(seconds)
        finally:
            self.master.kill()
            self.master.wait(5)
            self.master = None

    def wipe(self):
        shutil.rmtree(self.root)

    def __enter__(self):
        return self if self.master else self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.wipe()

    def tail(self, count=25):
        files = [p for p in (self.root / "master.out", self.log_file) if p.exists()]
        return "\n".join("\n".join(p.read_text().splitlines()[-count:]) for p in files)

    def imap(self, user=None):
        client = Imap(("127.0.0.1", self.imap_port))
        if user:
            client.login(user, PASSWORD)
        return client

    def lmtp(self):
        return Lmtp(("127.0.0.1", self.lmtp_port))
