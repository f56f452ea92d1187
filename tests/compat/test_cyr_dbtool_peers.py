"""cyr_dbtool beside Cyrus's, on the same data: ours is given what Cyrus's shows, and shows the same."""
import re
import subprocess

from lib.bench import Bench

LINES = ("CREATE user/bob/a.b", "SETACL user/bob anyone lr", "SETACL user/bob joe lrs", "SETACL user/joe bob lr", 'SETMETADATA user/bob (/shared/comment "hello")',
         'SETMETADATA user/bob (/private/comment "mine")', 'SETMETADATA "" (/shared/comment "server-wide")',
         "SETQUOTA user/bob (STORAGE 1000 MESSAGE 7)", "CREATE news")


def show(peer, file, backend="twoskip"):
    done = subprocess.run([peer.program("cyr_dbtool"), "-C", peer.conf, file, backend, "show"], env=peer.environment(),
                          capture_output=True, cwd="/", check=True)
    return done.stdout.decode("latin-1")


def test_what_cyrus_shows_ours_takes_and_shows(cyrus_peer, root):
    peer = cyrus_peer(users=("bob", "joe"))
    peer.make_user("bob")
    peer.make_user("joe")
    with peer.imap("admin") as c:
        for line in LINES:
            c.ok(line)
    with peer.imap("bob") as c:
        for name in ('"INBOX"', '"a.b"', '"Other Users/joe"', '"Shared Folders/news"'):
            c.ok("SUBSCRIBE", name)
    conf, bench = peer.root / "conf", Bench(root)
    bench.ok("ctl_mboxlist", "-u", stdin=peer.tool("ctl_mboxlist", "-d").stdout)

    theirs = show(peer, conf / "mailboxes.db")
    ours = bench.ok("cyr_dbtool", "mailboxes.db", "twoskip", "show")
    times = re.compile(r" M \d+( |\))")
    assert times.sub(r" M 0\1", ours) == times.sub(r" M 0\1", theirs)

    theirs = show(peer, conf / "annotations.db")
    bench.ok("cyr_dbtool", "annotations.db", "twoskip", "set", stdin=theirs)
    assert bench.ok("cyr_dbtool", "annotations.db", "twoskip", "show") == theirs

    theirs = show(peer, conf / "quota", "quotalegacy")
    assert theirs.startswith("user.bob\t%(S (")
    bench.ok("cyr_dbtool", "quota", "quotalegacy", "set", stdin=theirs)
    used = re.compile(r"(S|M|AS|NF) \(\d+|MODSEQ \d+")
    assert used.sub(r"\1 (0", bench.ok("cyr_dbtool", "quota", "quotalegacy", "show")) == used.sub(r"\1 (0", theirs)

    sub = next(conf.rglob("sub.db"))
    theirs = show(peer, sub, "flat")
    assert theirs.count("\n") == 5
    bench.ok("cyr_dbtool", sub, "flat", "set", stdin=theirs)    # by the uniqueid in the path, which both have
    assert bench.ok("cyr_dbtool", sub, "flat", "show") == theirs
    assert bench.ok("cyr_dbtool", "bob.sub", "flat", "show") == "news\t\nuser.bob\t\nuser.bob.a^b\t\nuser.joe\t\n"
