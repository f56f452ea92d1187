"""cyr_expire and unexpunge beside a running server: sessions go on, and learn of what went."""
import threading
import time

import pytest

from lib.ledger import Ledger
from lib.store import read_store

MESSAGE = b"From: a@b.test\r\nSubject: x\r\nDate: Mon, 02 Feb 2026 10:01:00 +0000\r\n\r\nBody.\r\n"


def test_a_client_that_was_away_hears_of_what_was_purged(server):
    s = server(services={"imaps": None, "lmtp": None, "lmtpunix": None})
    s.make_user("bob")
    with s.imap("bob") as c:
        for _ in range(6):
            c.append("INBOX", MESSAGE)
        box = c.select("INBOX")
        known = box["UIDVALIDITY"], box["HIGHESTMODSEQ"]
        c.store("2,3,5", "+FLAGS", "\\Deleted")
        c.ok("UID EXPUNGE 2,3,5")
    s.tool("cyr_expire", "-X", "0")
    with s.imap("bob") as c:
        c.ok("ENABLE", "QRESYNC")
        reply = c.ok("SELECT", "INBOX", f"(QRESYNC ({known[0]} {known[1]}))")
        vanished = reply.all("VANISHED")
        assert len(vanished) == 1 and str(vanished[0].values[-1]) in ("2:3,5", "b'2:3,5'")
        assert c.search("ALL") == [1, 4, 6]


def test_a_selected_mailbox(server):
    s = server(services={"imaps": None, "lmtp": None, "lmtpunix": None})
    s.make_user("bob")
    with s.imap("bob") as c, s.imap("bob") as other:
        for _ in range(4):
            c.append("INBOX", MESSAGE, flags=["kw"])
        c.select("INBOX")
        other.select("INBOX")
        other.fetch("1", "(FLAGS)")    # from now on it has numbers for messages
        c.store("2", "+FLAGS", "\\Deleted")
        c.store("1:4", "-FLAGS", "kw")
        c.ok("UID EXPUNGE 2")
        s.tool("cyr_expire", "-X", "0", "-t")
        assert [r.number for r in other.ok("NOOP").all("EXPUNGE")] == [2]
        assert sorted(other.fetch("1:*", "(FLAGS BODY[])")) == [1, 3, 4]
        c.store("3", "+FLAGS", "new")
        assert "new" in other.fetch("3", "(FLAGS)")[3]["FLAGS"]
        c.store("3", "+FLAGS", "\\Deleted")
        c.ok("UID EXPUNGE 3")
        s.tool("unexpunge", "-a", "-d", "user/bob")
        other.ok("NOOP")
        assert other.search("KEYWORD", "new") == [5] and sorted(other.fetch("1:*", "(FLAGS)")) == [1, 4, 5]


class Session(threading.Thread):
    def __init__(self, server, number):
        super().__init__()
        self.s, self.number, self.fault = server, number, None

    def run(self):
        try:
            with self.s.imap("bob") as c:
                c.select("INBOX")
                for n in range(25):
                    c.append("INBOX", MESSAGE + b"%d %d\r\n" % (self.number, n), flags=[f"k{n % 5}"])
                    uids = c.search("ALL")
                    if len(uids) > 3:
                        c.store(str(uids[self.number % len(uids)]), "+FLAGS", "\\Deleted")
                        c.ok("EXPUNGE")
                    c.ok("UID FETCH", "1:*", "(FLAGS ENVELOPE)")
        except Exception as error:    # in a thread nobody else would see it
            self.fault = repr(error)


@pytest.mark.limit(300)
def test_beside_sessions(server):
    s = server(services={"imaps": None, "lmtp": None, "lmtpunix": None}, imapd={"expire_batch": 2})
    s.make_user("bob")
    s.expect("imap.message.unreadable")    # whose file was taken away just then
    ledger = Ledger()
    threads = [Session(s, number) for number in range(3)]
    for thread in threads:
        thread.start()
    turn = 0
    while any(thread.is_alive() for thread in threads):
        words = (("cyr_expire", "-X", "0"), ("unexpunge", "-t", "1s", "-d", "user/bob"), ("cyr_expire", "-X", "0", "-t", "-E", "3"))[turn % 3]
        done = s.tool(*words, check=False)
        # A message that another run of these has just given back or removed cannot be given back.
        assert done.returncode == 0 or (words[0] == "unexpunge" and done.returncode == 65), done
        store = read_store(s.endpoint(), users=["bob"], bodies=False)
        assert ledger.observe(store) == []
        turn += 1
    assert turn > 3 and [thread.fault for thread in threads] == [None] * 3
    time.sleep(1.1)
    s.tool("cyr_expire", "-X", "0", "-t")
    store = read_store(s.endpoint())
    assert store.faults + ledger.observe(store) == []
    with s.imap("bob") as c:
        box = c.select("INBOX")
        assert box["EXISTS"] == len(c.search("ALL")) == len(list((s.root / "spool/u").glob("*/*/[0-9]*.")))
