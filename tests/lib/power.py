"""A disk whose power can fail, and the ledger of what was told to be done on it.

    disk = Disk(image, mountpoint)      # an ext4 of its own, mounted; root only
    disk.cut()                          # drops what was not synced, as the end of power does
    disk.back()                         # and is mounted again, after its journal was replayed

cut() is EXT4_IOC_SHUTDOWN with NOLOGFLUSH: neither dirty pages nor what the file system's journal holds in memory
reach the device from then on. What was submitted to the device before is there: a disk without a write cache.

US_POWER_STORES and US_POWER_CUTS say how many stores the tests try, and how often each. US_POWER_SEED repeats a run as far as the
scheduling lets it. US_POWER_KEEP names a directory that has the disks as they were mounted after the last cut."""
import ctypes
import fcntl
import mmap
import os
import random
import stat
import struct
import subprocess
import tempfile
from pathlib import Path

from lib import places
from lib.places import Missing

EXT4_IOC_SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2
LOOP_CTL_GET_FREE = 0x4C82
CLONE_NEWNS = 0x00020000


def how_many(stores, cuts, long_stores, long_cuts):
    """(numbers of the stores to try, cuts of each); the latter two count with US_LONG, which scripts/check --long sets."""
    if os.environ.get("US_LONG"):
        stores, cuts = long_stores, long_cuts
    return range(int(os.environ.get("US_POWER_STORES", stores))), int(os.environ.get("US_POWER_CUTS", cuts))


def new_seed(number=0):
    seed = int(os.environ.get("US_POWER_SEED", random.randrange(1000000))) + number
    print(f"US_POWER_SEED={seed}")
    return seed


def keep(disks):
    """Before anybody looks, for a look changes what it sees."""
    kept = os.environ.get("US_POWER_KEEP")
    for disk in disks if kept else ():
        place = Path(kept) / disk.mountpoint.name
        subprocess.run(["rm", "-rf", place], check=True)
        subprocess.run(["cp", "-a", disk.mountpoint, place], check=True)


def _run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


def own_mounts(root):
    """What this process mounts below root from here on, others do not see. Whoever made a mount namespace of its own meanwhile, as the
    tests with Dovecot do, would hold a file system that we want to be gone. (In a chroot "/" is no mount point, and
    cannot be made a slave; so root becomes one.)"""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise Missing(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    _run("mount", "--bind", root, root)
    _run("mount", "--make-private", root)


def _node(path, kind, major, minor):
    if not path.exists():
        os.mknod(path, kind | 0o600, os.makedev(major, minor))


def loop_device(image):
    """The image as a block device. In a root whose /dev is not the system's own, its nodes are made first."""
    control = Path("/dev/loop-control")
    _node(control, stat.S_IFCHR, 10, 237)
    with open(control, "rb") as file:
        number = fcntl.ioctl(file, LOOP_CTL_GET_FREE)
    _node(Path(f"/dev/loop{number}"), stat.S_IFBLK, 7, number)
    return _run("losetup", "-f", "--show", image)


class Disk:
    def __init__(self, image, mountpoint, mib=256):
        self.image, self.mountpoint = Path(image), Path(mountpoint)
        self.device = None
        self.mounted = False
        with open(self.image, "wb") as file:
            file.truncate(mib << 20)
        _run("mkfs.ext4", "-q", "-F", self.image)
        self.device = loop_device(self.image)
        self.mountpoint.mkdir()
        self._mount()

    def _mount(self):
        _run("mount", "-t", "ext4", self.device, self.mountpoint)
        self.mounted = True

    def cut(self):
        fd = os.open(self.mountpoint, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(fd)

    def back(self):
        """Nobody may have a file open on it any more."""
        self._unmount()
        self._mount()

    def _unmount(self):
        """Wait for its end: a process that is about to die may hold it for a moment, and while anybody does, what is mounted again
        is the same file system, shut down."""
        state = Path("/sys/fs/ext4", Path(self.device).name)
        places.wait_until(lambda: subprocess.run(["umount", self.mountpoint], capture_output=True).returncode == 0, 20,
                          f"{self.mountpoint} can be unmounted")
        self.mounted = False
        places.wait_until(lambda: not state.exists(), 20, f"{state} is gone")

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.mountpoint], check=False)
            self.mounted = False
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)
        self.image.unlink(missing_ok=True)


class Disks:
    """make() gives a new disk, its image in memory if that can be; close() takes all away."""

    def __init__(self):
        if os.getuid() != 0:
            raise Missing("only root can mount a disk and cut its power")
        self.root = Path(tempfile.mkdtemp(prefix="us-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/var/tmp"))
        self.root.chmod(0o755)
        own_mounts(self.root)
        self.made = []

    def make(self, mib=256):
        n = len(self.made)
        self.made.append(Disk(self.root / f"image{n}", self.root / f"disk{n}", mib))
        return self.made[-1]

    def close(self):
        for disk in self.made:
            disk.close()
        subprocess.run(["umount", "-l", self.root], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", self.root], check=True)


class Cut:
    """The byte that says, in memory all share, that the power is about to go: what is told to be done before it is set
    was durable before."""

    def __init__(self, path):
        self.path = Path(path)
        self.path.write_bytes(b"\0")
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 1)

    def set(self, value):
        self._map[0] = value


class Told:
    """The ledger of a store without a server: keys and values, as tests/progs/power/power_load.c tells them."""

    def __init__(self):
        self.known = {}      # acknowledged
        self.begun = {}      # {worker: [(key, value)]}: may be so, or not
        self.guids = set()   # messages that may be there
        self.failures = []   # lines "- ..."
        self.acknowledged = 0

    def read(self, text):
        """Lines of the load. A last one that is not whole was never said."""
        for line in text.decode().split("\n")[:-1]:
            what, worker, rest = line.split(" ", 2)
            if what == "?":
                self.begun[worker] = [tuple(word.split("=", 1)) for word in rest.split()]
                self.guids.update(value for key, value in self.begun[worker] if key == "guid")
            elif what == "+":
                self.acknowledged += 1
                self._done(rest.split())
                self.begun.pop(worker, None)
            else:
                self.failures.append(line)

    def _done(self, words):
        for word in words:
            at = min(i for i in (word.find("="), word.find("~")) if i >= 0)
            key, value = word[:at], word[at + 1:]
            if word[at] == "~" and key in self.known:
                continue
            self.known[key] = value
            if key.endswith(".name") and value == "gone":
                uniqueid = key[len("box."):-len(".name")]
                mine = (f"msg.{uniqueid}.", f"ann.{uniqueid}.", f"box.{uniqueid}.")
                self.known = {k: v for k, v in self.known.items() if not k.startswith(mine)}
                self.known[key] = value

    def wishes(self):
        out = {}
        for begun in self.begun.values():
            for key, value in begun:
                out.setdefault(key, set()).add(value)
        return out

    def differences(self, shown):
        """shown: {key: value}. Lines: what was acknowledged and is not so, what is there and was never asked for."""
        wishes, out = self.wishes(), []
        doubtful = tuple(f"{kind}.{key[len('box.'):-len('.name')]}." for key, values in wishes.items()
                         if "gone" in values and key.endswith(".name") for kind in ("msg", "ann", "box"))
        for key, value in self.known.items():
            is_now = shown.get(key, "0" if key.startswith("sub.") else "gone")
            if key.endswith(".modseq"):
                if is_now == "gone" and not key.startswith(doubtful) or is_now != "gone" and int(is_now) < int(value):
                    out.append(f"{key} was {value} and is {is_now}")
            elif is_now != value and is_now not in wishes.get(key, ()) and \
                    not (is_now == "gone" and doubtful and key.startswith(doubtful)):
                out.append(f"{key} was acknowledged as {value} and is {is_now}")
        for key, value in shown.items():
            if key in self.known or value in wishes.get(key, ()):
                continue
            if key.startswith("msg.") and value.split("/")[0] in self.guids:
                continue
            if key.startswith("box.") and not key.endswith(".name") or key.startswith("box.news.") or \
                    key.startswith("box.user.u"):
                continue    # what a new mailbox has, whose name was compared
            out.append(f"{key} is {value}, which nobody asked for")
        return out

    def settle(self, shown):
        """Go on from what is there."""
        self.known, self.begun, self.guids = dict(shown), {}, set()
