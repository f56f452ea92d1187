"""The power fails under a whole server: master, metad, lmtpd and imapd, with metadata and mail on an ext4 whose unsynced writes are
really dropped (lib.power). Clients deliver, append, set flags, expunge, copy, and make, rename and delete mailboxes; what they were
told is done before the cut is there after the next start, as IMAP and csync show it, and the tools find nothing to mend.
test_power_cut.py has the store alone."""
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lib import places
from lib.at_work import Book, Client, known_in, ledger_of
from lib.ledger import Ledger, Unfinished
from lib.power import how_many, keep, new_seed
from lib.store import read_store

STORES, CUTS = how_many(1, 4, 6, 12)
USERS = ["u0", "u1", "u2", "u3"]


class Rig:
    def __init__(self, server, disk, seed, environment=None):
        self.disk, self.random, self.seed = disk, random.Random(seed), seed
        for name in ("conf", "spool"):
            (disk.mountpoint / name).mkdir(mode=0o750)
            shutil.chown(disk.mountpoint / name, places.SERVICE_USER)
        self.s = server(imapd={"configdirectory": disk.mountpoint / "conf", "partition-default": disk.mountpoint / "spool"},
                        environment={"US_BOOT_ID": "boot-0", **(environment or {})})
        self.s.make_user(*USERS)
        with self.s.admin() as c:
            for user in USERS:
                c.ok("SETQUOTA", f"user/{user}", "(STORAGE 1000000 MESSAGE 100000)")
        subprocess.run(["sync", "-f", disk.mountpoint], check=True)
        self.history = Ledger()    # what was seen at every look
        self.store = read_store(self.s.endpoint())
        self.acknowledged = self.cuts = 0
        self.unfinished = Unfinished()

    def cut(self, ledger, known):
        """Clients work, the power goes, and comes back. Lines: what was wrong before it went."""
        self.cuts += 1
        book = Book(ledger, known)
        clients = [Client(self.s, book, user, USERS, self.random.random(), self.cuts) for user in USERS]
        for client in clients:
            client.start()
        places.wait_until(lambda: book.acknowledged > 20 or not any(c.is_alive() for c in clients), 30, "work is done")
        time.sleep(self.random.uniform(0, 1))
        faults = self.s.faults()
        book.cut()
        self.disk.cut()
        time.sleep(self.random.uniform(0, 0.1))
        self.s.kill()
        for client in clients:
            client.join(30)
            assert not client.is_alive(), client
        self.acknowledged += book.acknowledged
        self.s.log_file.unlink(missing_ok=True)    # a failing disk may be spoken of
        self.disk.back()
        keep([self.disk])
        self.s.more_environment["US_BOOT_ID"] = f"boot-{self.cuts}"    # or the store believes that memory is as it was
        return faults + [client.fault for client in clients if client.fault]

    def round(self):
        """One cut: what is wrong afterwards."""
        ledger, known = ledger_of(self.store), known_in(self.store)
        faults = self.cut(ledger, known)
        self.s.start()
        self.store = store = read_store(self.s.endpoint())
        faults += store.faults + ledger.check(store) + self.history.observe(store)
        found = self.s.tool("reconstruct", "-q", "-G", "-n").stdout.splitlines()
        return faults + self.unfinished.others(found, ledger, store)

    def sweep(self):
        """What lay in stages when the power went goes when the next message comes."""
        with self.s.lmtp() as c:
            assert c.deliver("a@example.net", USERS[:1], b"Subject: after all\r\n\r\n")[USERS[0]].ok
        assert not self.s.staged()


@pytest.mark.limit(90 + 30 * CUTS)
@pytest.mark.parametrize("number", STORES)
def test_what_clients_were_told_is_there(disks, server, number):
    rig = Rig(server, disks(), new_seed(number))
    for i in range(CUTS):
        faults = rig.round()
        assert not faults, f"cut {i + 1} of {CUTS}, {rig.acknowledged} acknowledged:\n" + "\n".join(faults[:20])
    assert rig.acknowledged > 20 * CUTS
    rig.sweep()


def test_a_server_that_does_not_sync_is_noticed(disks, server, root):
    """That the one above can fail: without syncs what was acknowledged is lost, and seen to be."""
    library = root / "nosync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(places.__file__).parent / "nosync.c"], check=True)
    library.chmod(0o755)
    rig = Rig(server, disks(), new_seed(), environment={"LD_PRELOAD": str(library)})
    faults = rig.round()
    assert any("acknowledged" in line or "no such mailbox" in line for line in faults), faults
    rig.sweep()
