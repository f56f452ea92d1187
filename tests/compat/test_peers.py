"""Two Debian Cyruses replicate, and the checker says that they are equal; then one of them is damaged in every
way we know of, and the checker must say exactly that. What is trusted to judge us is judged here first."""
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from lib import messages
from lib.checker import check, compare
from lib.filled import SCRIPT, fill, sync_all
from lib.ledger import Ledger
from lib.places import TOP
from lib.store import read_store

def body_file(peer, guid):
    found = [p for p in (peer.root / "spool").rglob("*.") if p.is_file() and
             hashlib.sha1(p.read_bytes()).hexdigest() == guid]
    assert len(found) == 1
    return found[0]


def test_sync_makes_a_pair_equal(cyrus_pair):
    a, b = cyrus_pair
    fill(a)
    sync_all(a)
    stores = [read_store(peer.endpoint()) for peer in cyrus_pair]
    assert compare(*stores, deleted=True) == []
    for store in stores:    # and it did look
        assert set(store.users) == {"bob", "carol", "dave", "first.last"}
        assert set(store.shared) == {"dept", "closed", "full"}
        boxes = store.mailboxes()
        assert {"user.bob.a b^c", "user.bob.Entw&APw-rfe", "user.dave.#sieve", "user.first^last"} <= set(boxes)
        assert len(boxes["user.bob"].live) == 3 and len(boxes["user.bob"].records) == 4
        assert boxes["user.bob"].message_ids == {1: "<m0@messages.test>", 2: "<m1@messages.test>",
                                                 3: "<m2@messages.test>"}
        assert store.users["bob"].subscriptions == {"user.bob.Sent", "user.bob.a b^c"}
        assert len(store.users["carol"].seen) == 1
        assert store.users["dave"].scripts == {"main.script": (hashlib.sha1(SCRIPT.encode()).hexdigest(), "0"),
                                               "main.bc": ("0" * 40, "1")}
        assert store.quota == {"user.bob": {"STORAGE": 1000, "MESSAGE": 100, "X-NUM-FOLDERS": 10},
                               "full": {"STORAGE": 0}}
        assert store.annotations == {("/comment", "", "of a")}


def test_equal_through_either_door(cyrus_pair):
    a, b = cyrus_pair
    a.make_user("bob")
    with a.imap("bob") as c:
        c.append("INBOX", messages.nested(1))
    a.sync_client("-u", "bob")
    assert compare(read_store(a.endpoint()), read_store(b.endpoint(over_imap=True))) == []


def test_every_damage_is_told(cyrus_pair):
    a, b = cyrus_pair
    fill(a)
    sync_all(a)
    b.add_users("bob", "carol", "dave", "first.last")
    with b.imap("bob") as c:
        c.select("INBOX")
        c.store("1", "+FLAGS", "\\Draft")
        c.ok("UID STORE", "3", "ANNOTATION", '(/comment (value.shared "new"))')
        c.ok("UNSUBSCRIBE", "Sent")
        c.ok("SETMETADATA", "Sent", "(/shared/comment NIL)")
        c.ok("SETACL", '"a b.c"', "carol", "l")
        c.ok("CREATE", "extra")
    with b.imap("carol") as c:
        c.select("INBOX")
        c.store("2", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
        c.append("INBOX", messages.plain(99))
    with b.admin() as c:
        c.ok("SETQUOTA", "user/bob", "(STORAGE 1000 MESSAGE 5)")
        c.ok("SETMETADATA", '""', '(/shared/comment "of b")')
        c.ok("SETACL", "user/first.last", "admin", "lrsx")
        c.ok("DELETE", "user/first.last")
        c.ok("SETACL", "closed", "admin", "lrsx")
        c.ok("DELETE", "closed")
    with a.csync() as c:
        carol = next(v["UNIQUEID"] for v in c.mailboxes("user.carol"))
        bob = next(v["UNIQUEID"] for v in c.mailboxes("user.bob"))
        dave = c.full_mailbox("user.dave")["RECORD"]
    with b.csync(sieve=False) as c:
        c.apply("SEEN", {"USERID": "carol", "UNIQUEID": bob, "LASTREAD": 1, "LASTUID": 1, "LASTCHANGE": 1,
                         "SEENUIDS": ""})
        c.apply("SEEN", {"USERID": "carol", "UNIQUEID": carol, "LASTREAD": 1, "LASTUID": 1, "LASTCHANGE": 1,
                         "SEENUIDS": "1"})    # only on the replica: no difference
        c.apply("SIEVE", {"USERID": "dave", "FILENAME": "more.script", "LAST_UPDATE": 1, "CONTENT": "keep;\r\n"})
    path = body_file(b, dave[1]["GUID"])
    path.write_bytes(path.read_bytes().replace(b"Subject: p", b"Subject: q"))

    expected = [
        # its own word
        rf"b: user.dave uid 2: GUID {dave[1]['GUID']}, but the body is [0-9a-f]{{40}}",
        # bob
        r"user.bob: HIGHESTMODSEQ: a has '\d+', b has '\d+'",
        r"user.bob uid 1: MODSEQ: a has '\d+', b has '\d+'",
        r"user.bob uid 1: FLAGS: a has \(\), b has \(\\draft\)",
        r"user.bob uid 3: MODSEQ: a has '\d+', b has '\d+'",
        r"user.bob uid 3: annotation: \('/comment', '', '\d+', 'new'\) only on b",
        r"bob: subscription: 'user.bob.Sent' only on a",
        r"user.bob.Sent: HIGHESTMODSEQ: a has '\d+', b has '\d+'",
        r"user.bob.Sent: FOLDERMODSEQ: a has '\d+', b has '\d+'",
        r"""user.bob.Sent: annotation: \('/comment', '', 'of "Sent"'\) only on a""",
        r"user.bob.a b\^c: HIGHESTMODSEQ: a has '\d+', b has '\d+'",
        r"user.bob.a b\^c: FOLDERMODSEQ: a has '\d+', b has '\d+'",
        r"user.bob.a b\^c: ACL: a has 'bob\\tlrswipkxtecdan\\t', b has '.*carol\\tl\\t'",
        r"mailboxes: user.bob.extra only on b",
        r"quota user.bob: MESSAGE: a has 100, b has 5",
        r"quota user.bob: X-NUM-FOLDERS: a has 10, b has None",
        # carol
        r"user.carol: LAST_UID: a has '3', b has '4'",
        r"user.carol: HIGHESTMODSEQ: a has '\d+', b has '\d+'",
        r"user.carol: RECENT(UID|TIME): a has '\d+', b has '\d+'",
        r"user.carol uid 2: a has the message, b has expunged",
        r"user.carol uid 4: a has no such message, b has the message",
        rf"carol: seen state of {bob}: LASTREAD: a has '\d+', b has '1'",
        rf"carol: seen state of {bob}: LASTUID: a has '\d+', b has '1'",
        rf"carol: seen state of {bob}: LASTCHANGE: a has '\d+', b has '1'",
        rf"carol: seen state of {bob}: SEENUIDS: a has '1', b has ''",
        # dave
        r"user.dave.#sieve: LAST_UID: a has '1', b has '2'",
        r"user.dave.#sieve: HIGHESTMODSEQ: a has '\d+', b has '\d+'",
        r"user.dave.#sieve uid 2: a has no such message, b has the message",
        r"dave: script: more.script: a has None, b has .*",
        # the rest
        r"users: first.last only on a",
        r"mailboxes: closed only on a",
        r"server annotation: \('/comment', '', 'of a'\) only on a",
        r"server annotation: \('/comment', '', 'of b'\) only on b",
    ]
    told = [line for line in check(a.endpoint(), b.endpoint()) if ": LAST_UPDATED: " not in line]
    unexpected = [line for line in told if not any(re.fullmatch(e, line) for e in expected)]
    untold = [e for e in expected if not any(re.fullmatch(e, line) for line in told)]
    assert (unexpected, untold) == ([], [])


def spoil(peer, name):
    """Change a byte in the only message of a mailbox; its GUID."""
    with peer.csync() as c:
        guid = c.full_mailbox(name)["RECORD"][0]["GUID"]
    path = body_file(peer, guid)
    path.write_bytes(path.read_bytes().replace(b"F", b"G", 1))
    return guid


def test_bodies_are_read_wherever_they_are(cyrus_peer):
    """By IMAP as the owner or as another user; what nobody can read, and scripts, by csync."""
    peer = cyrus_peer()
    fill(peer)
    with peer.imap("carol") as c:
        c.append("Shared Folders/dept", messages.plain(50))
    with peer.admin() as c:
        c.ok("SETACL", "closed", "admin", "lrsi")
        c.append("closed", messages.plain(51))
    assert read_store(peer.endpoint()).faults == []
    guids = {name: spoil(peer, name) for name in ("user.bob.Sent", "dept", "closed", "user.dave.#sieve")}
    faults = read_store(peer.endpoint()).faults
    assert sorted(f.split(", but")[0] for f in faults) == sorted([
        f"peer: user.bob.Sent uid 1: GUID {guids['user.bob.Sent']}", f"peer: dept uid 1: GUID {guids['dept']}",
        "peer: closed uid 1: GET FETCH has no message", "peer: user.dave.#sieve uid 1: GET FETCH has no message"])


def test_a_server_that_breaks_its_word(cyrus_peer):
    """Wrong quota usage, and a body that is gone."""
    peer = cyrus_peer()
    peer.make_user("bob")
    with peer.imap("bob") as c:
        c.append("INBOX", messages.plain(1, size=5000))
    with peer.admin() as c:
        c.ok("SETQUOTA", "user/bob", "(STORAGE 100)")
    assert read_store(peer.endpoint()).faults == []
    file = next((peer.root / "conf/quota").rglob("user.bob"))
    wrong = re.sub(r"S \((\d+)", lambda m: f"S ({int(m[1]) + 3000}", file.read_text())
    assert wrong != file.read_text()
    file.write_text(wrong)
    with peer.csync() as c:
        record = c.full_mailbox("user.bob")["RECORD"][0]
    body_file(peer, record["GUID"]).unlink()
    assert read_store(peer.endpoint(), bodies=False).faults == [
        "peer: quota user.bob: STORAGE used 8, the messages give 5"]
    assert "peer: user.bob uid 1: only csync shows it" in read_store(peer.endpoint()).faults


def test_the_command_line(cyrus_pair):
    a, b = cyrus_pair
    a.make_user("bob")
    with a.imap("bob") as c:
        c.append("INBOX", messages.plain(1))

    def run(*servers):
        return subprocess.run([sys.executable, "-m", "lib.checker", *servers], cwd=TOP / "tests", text=True,
                              capture_output=True, timeout=60)
    servers = [f"127.0.0.1:{p.csync_port},{p.imap_port}" for p in cyrus_pair]
    done = run(*servers)
    assert (done.returncode, done.stdout) == (1, "users: bob only on a\n")
    a.sync_client("-A")
    done = run(*servers)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "1 mailboxes, 1 messages, 0 differences" in done.stderr
    assert run("nonsense").returncode not in (0, 1) or "is given as" in run("nonsense").stderr


def test_rolling_and_the_ledger(cyrus_pair):
    """What A acknowledged is on B soon after, by sync_client -R; the ledger tells what is then taken away."""
    a, b = cyrus_pair
    ledger = Ledger()
    a.make_user("bob")
    ledger.created("user.bob")
    assert ledger.observe(read_store(b.endpoint()), "bob's account") == []
    a.start_rolling()
    with a.lmtp() as c:
        assert c.deliver("x@messages.test", ["bob"], messages.plain(1))["bob"].code == 250
        ledger.message("user.bob", message_id="<m1@messages.test>", once=True)
    with a.imap("bob") as c:
        for number in (2, 3):
            data = messages.plain(number)
            _, uid = c.append("INBOX", data)
            ledger.message("user.bob", hashlib.sha1(data).hexdigest(), uid=uid)
        c.select("INBOX")
        c.store("2", "+FLAGS", "\\Flagged")
        ledger.flag("user.bob", 2, "\\Flagged")
        c.ok("CREATE", "Work")
        ledger.created("user.bob.Work")
        c.ok("RENAME", "Work", "Play")
        ledger.renamed("user.bob.Work", "user.bob.Play")
        c.ok("SUBSCRIBE", "Play")
        ledger.subscribed("bob", "user.bob.Play")
        c.ok("SETACL", "Play", "carol", "lr")
        ledger.acl("user.bob.Play", "carol", "lr")
    with a.admin() as c:
        c.ok("SETQUOTA", "user/bob", "(STORAGE 100)")
        ledger.quota("user.bob", {"STORAGE": 100})
    a.wait_synced()
    stores = [read_store(peer.endpoint()) for peer in cyrus_pair]
    assert compare(*stores) == []
    for store in stores:
        assert ledger.check(store) + ledger.observe(store, "bob's account") == []

    a.stop_rolling()
    b.add_users("bob")
    with b.imap("bob") as c:
        c.select("INBOX")
        c.store("2", "-FLAGS", "\\Flagged")
        c.store("3", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
        c.ok("UNSUBSCRIBE", "Play")
        c.ok("DELETE", "Play")
    store = read_store(b.endpoint())
    lost = hashlib.sha1(messages.plain(3)).hexdigest()
    assert sorted(ledger.check(store)) == [
        "b: bob: not subscribed to user.bob.Play",
        f"b: user.bob message {lost}: acknowledged 1 times, there 0 times",
        "b: user.bob uid 2: \\flagged is not set",
        "b: user.bob.Play: no such mailbox",
    ]
    assert ledger.observe(store, "bob's account") == []    # lost is not contradicted
    assert any("is back" in line for line in ledger.observe(read_store(a.endpoint()), "bob's account"))


def test_killed_and_started_again(cyrus_peer):
    peer = cyrus_peer()
    peer.make_user("bob")
    with peer.imap("bob") as c:
        c.append("INBOX", messages.plain(1))
    peer.kill()
    peer.start()
    with peer.imap("bob") as c:
        assert c.select("INBOX")["EXISTS"] == 1
    assert any("login: " in line and "bob" in line for line in peer.log())


def test_a_closed_checkout_is_copied(tmp_path, roots, cyrus_tree):
    """A checkout in somebody's closed home: the peer runs from a copy that the service user can reach."""
    from lib.cyrus_peer import CyrusPeer
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    (closed / "tree").symlink_to(cyrus_tree)
    if os.getuid() == 0:
        import shutil
        (closed / "tree").unlink()
        shutil.copytree(cyrus_tree, closed / "tree", symlinks=True)
    with CyrusPeer(roots(), closed / "tree") as peer:
        assert os.getuid() != 0 or Path(peer.tree).is_relative_to(peer.root)
        peer.make_user("bob")
