"""The power fails under several writers of the store: what was acknowledged is there after the disk was mounted again, nothing is
there that nobody asked for, and no mailbox has anything for reconstruct to do. Metadata and mail lie on an ext4 of their own whose
unsynced writes are really dropped (lib.power). test_power_cut_live.py is the same with the daemons."""
import os
import random
import subprocess
import time

import pytest

from lib import places
from lib.power import Cut, Told, how_many, keep, new_seed

STORES, CUTS = how_many(1, 6, 10, 25)
WORKERS = 4
LOST = ("acknowledged as", "! -1 metadata", "another content", "No such file", "missing", "wrong magic", "is short")
# Syncs that are left out in turn: by call, by what is synced.
SYNCS = ["fdatasync", "syncfs", "/mbox.jnl", "/meta/log.", "/stage/"]
MORE_SYNCS = ["fsync", "directory", "/mbox.idx", "/u/", "/meta/"] if os.environ.get("US_LONG") else []


class Site:
    """A store on one disk or two, its load, and the ledger."""

    def __init__(self, root, first, second, seed):
        self.program = places.build() / "tests/progs/power_load"
        if not os.access(self.program, os.X_OK):
            raise places.Missing(f"no {self.program}: run make check in the build tree")
        self.root, self.first, self.second = root, first, second
        for folder in (first.mountpoint / "conf", first.mountpoint / "spool", second.mountpoint / "spool2"):
            folder.mkdir(mode=0o700)
        subprocess.run(["sync", "-f", first.mountpoint, second.mountpoint], check=True)
        self.cut = Cut(root / "cut")
        self.out, self.err = root / "told", root / "log"
        self.ledger, self.random, self.seed = Told(), random.Random(seed), seed
        self.epoch, self.nosync = 0, ""

    def environment(self):
        return {"US_BOOT_ID": f"boot{self.epoch:04}", "US_TEST_NOSYNC": self.nosync, "US_TEST_ROOT": str(self.root)}

    def load(self):
        """Start it, let it run for a moment."""
        self.cut.set(0)
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            return subprocess.Popen([self.program, "run", self.first.mountpoint, self.second.mountpoint, self.cut.path,
                                     str(self.epoch), str(WORKERS), str(self.seed * 1000 + self.epoch)],
                                    stdout=out, stderr=err, env=self.environment(), start_new_session=True)

    def round(self, cut):
        """Load, cut the power of these disks, look. Returns what is wrong."""
        self.epoch += 1
        load = self.load()
        places.wait_until(lambda: b"+" in self.out.read_bytes(), 20, "something was done")
        time.sleep(self.random.uniform(0.02, 0.8))
        self.cut.set(1)
        for disk in cut:
            disk.cut()
        time.sleep(self.random.uniform(0, 0.05))    # they notice
        places.kill_processes_of(self.root)
        load.wait()
        self.ledger.read(self.out.read_bytes())
        for disk in {self.first, self.second}:
            disk.back()
        keep({self.first, self.second})
        self.epoch += 1
        return self.look()

    def look(self):
        done = subprocess.run([self.program, "show", self.first.mountpoint, self.second.mountpoint],
                              env=self.environment() | {"US_TEST_NOSYNC": ""}, capture_output=True, text=True, timeout=60)
        lines = done.stdout.split("\n")
        faults = [line for line in lines if line.startswith("!")]
        if done.returncode or ". shown" not in lines:
            return faults + [f"show ended with {done.returncode}: {done.stderr[-2000:]}"]
        shown = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("!"))
        faults += self.ledger.differences(shown)
        self.ledger.settle(shown)
        return faults


def cuts(site, n, choose):
    """Cut the power up to n times, until something is wrong: what it is. The load may complain of nothing before the power is gone,
    and says nothing after."""
    for i in range(n):
        faults = site.round(choose(site.random)) + site.ledger.failures
        if faults:
            return [f"seed {site.seed}, cut {i + 1} of {n}, {site.ledger.acknowledged} acknowledged:"] + faults[:20]
    return []


@pytest.mark.limit(60 + 15 * CUTS)
@pytest.mark.parametrize("number", STORES)
def test_nothing_acknowledged_is_lost(root, disks, number):
    disk = disks()
    site = Site(root, disk, disk, new_seed(number))
    faults = cuts(site, CUTS, lambda _: [disk])
    assert not faults, "\n".join(faults)
    assert site.ledger.acknowledged > 20 * CUTS


@pytest.mark.limit(60 + 15 * CUTS)
@pytest.mark.parametrize("number", STORES)
def test_one_of_two_disks_fails(root, disks, number):
    a, b = disks(), disks()
    site = Site(root, a, b, new_seed(number))
    faults = cuts(site, CUTS * 2 // 3, lambda r: r.choice([[a], [b], [a, b]]))
    assert not faults, "\n".join(faults)


@pytest.mark.limit(600)
@pytest.mark.parametrize("sync", SYNCS + MORE_SYNCS)
def test_a_sync_that_does_nothing_is_noticed(root, disks, sync):
    """That the tests above can fail: with any kind of sync left out something acknowledged is lost, and they see it. (mbox.hdr is not
    among them: it is a copy for the day the metadata is lost.)"""
    disk = disks()
    site = Site(root, disk, disk, new_seed())
    assert cuts(site, 1, lambda _: [disk]) == []
    site.nosync = sync
    faults = cuts(site, 60, lambda _: [disk])
    assert any(sign in line for line in faults for sign in LOST), f"with {sync} left out: {faults}"
