"""Where daemons under test live: short roots open to the service user, free ports, the files that configure
them, and the processes they leave."""
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
SERVICE_USER = "cyrus"    # scripts/bootstrap makes it
_given = set()


class Missing(Exception):
    """What a test needs is not on this machine. conftest.py turns it into a skip, or a failure in CI."""


def wait_until(condition, seconds, what):
    """Return condition()'s first true value; TimeoutError naming `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds} s still not so: {what() if callable(what) else what}")
        time.sleep(0.01)


def size_of(path):
    """Bytes in a file, or None if it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def sanitizer_reports(root):
    """What sanitizers found in programs below root: name of the file and text. A process that is killed while it looks for leaks at its
    end leaves a line about that, or the file for it, and nothing else: no fault."""
    killed = re.compile(r"(==\d+==Unable to get registers from thread \d+\.\n?)*")
    texts = {p.name: p.read_text("utf-8", "replace") for p in sorted(Path(root).glob("sanitizer*"))}
    return [f"{name}: {text}" for name, text in texts.items() if not killed.fullmatch(text)]


def files_below(directory):
    """The files in a directory's subdirectories, each of which may go while we look."""
    found = []
    for path, _, names in os.walk(directory):    # skips what it cannot open
        found += [Path(path) / name for name in names if Path(path) != directory]
    return found


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on, none given twice in this run."""
    out, held = [], []
    while len(out) < count:
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        held.append(s)
        if s.getsockname()[1] not in _given:
            out.append(s.getsockname()[1])
    for s in held:
        s.close()
    _given.update(out)
    return out


def listening(port):
    """Does anybody listen there? Looks without connecting: that would start a service's process."""
    wanted = f":{port:04X}"
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(path):
            for line in Path(path).read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == "0A" and local.endswith(wanted):
                    return True
    return False


def build():
    """The tree that the programs of the tests were built in: that of scripts/check, or what US_BUILD names."""
    return Path(os.environ.get("US_BUILD", TOP / "build/gcc"))


def make_root(prefix="us-"):
    """A new directory, 0755, with a short path: sockets have 108 bytes for theirs."""
    root = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    root.chmod(0o755)
    return root


def service_user():
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        raise Missing(f"no user {SERVICE_USER}: run scripts/bootstrap") from None


def daemon_user():
    """Whom the daemons run as: the service user if we are root, else ourselves."""
    return service_user() if os.getuid() == 0 else pwd.getpwuid(os.getuid())


def own_by_service_user(path):
    """The whole tree belongs to the service user, if we are root; else it is ours and stays so."""
    if os.getuid() != 0:
        return
    user = service_user()
    for folder, _, names in os.walk(path):
        for name in [folder] + [os.path.join(folder, n) for n in names]:
            os.chown(name, user.pw_uid, user.pw_gid, follow_symlinks=False)


def open_to_all(path):
    """Can every user reach this path?"""
    path = Path(path).resolve()
    return all(p.stat().st_mode & stat.S_IXOTH for p in [path, *path.parents])


def reachable(path, copy_to):
    """`path` if the service user can reach it, else a copy of it below `copy_to`: a checkout may lie in
    somebody's closed home directory."""
    if os.getuid() != 0 or open_to_all(path):
        return Path(path).resolve()
    if not copy_to.exists():
        shutil.copytree(path, copy_to, symlinks=True)
        copy_to.chmod(0o755)
    return copy_to


# ---- processes ----------------------------------------------------------------------------------
# Every daemon under test is started with US_TEST_ROOT=<its root> in the environment, which children
# inherit: so those that ran away from their process group are found too.

def processes_of(root):
    """{pid: command line} of all that runs for this root."""
    mark = f"US_TEST_ROOT={root}\0".encode()
    out = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes() + b"\0":
                    out[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:    # gone meanwhile, or another user's
                continue
    return {pid: line for pid, line in out.items() if line}    # a zombie has no command line


def kill_processes_of(root, seconds=5):
    """Kill what is left, by process id."""
    def none_left():
        for pid in processes_of(root):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not processes_of(root)
    wait_until(none_left, seconds, lambda: f"no process of {root} left: {processes_of(root)}")


def make_users(sasldb, realm, passwords):
    """Accounts in a sasldb: {user: password}."""
    tool = shutil.which("saslpasswd2", path="/usr/sbin:/usr/bin")
    if not tool:
        raise Missing("no saslpasswd2: run scripts/bootstrap")
    for user, password in passwords.items():
        subprocess.run([tool, "-p", "-c", "-f", sasldb, "-u", realm, user], input=password.encode(), check=True)


def write_conf(path, options):
    """An imapd.conf: {option: value}; an option of None is left out."""
    words = {True: "yes", False: "no"}
    path.write_text("".join(f"{k}: {words.get(v, v) if isinstance(v, bool) else v}\n"
                            for k, v in options.items() if v is not None))


def write_cyrus_conf(path, sections):
    """A cyrus.conf: {"SERVICES": {name: {"cmd": ..., "listen": ...}}}; an entry of None is left out."""
    lines = []
    for section, entries in sections.items():
        lines.append(section + " {")
        for name, options in entries.items():
            if options is not None:
                lines.append("  " + name + "".join(f' {k}="{v}"' for k, v in options.items()))
        lines.append("}")
    path.write_text("\n".join(lines) + "\n")
