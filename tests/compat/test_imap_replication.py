"""A real Cyrus replicates to our imapd through its IMAP port (SYNCGET, SYNCAPPLY), as it does where sync_try_imap is on."""
import hashlib

from lib import messages
from lib.checker import compare
from lib.mail_server import ADMIN, PASSWORD
from lib.server import ONLY_IMAP
from lib.store import read_store


def test_a_cyrus_replicates_into_imapd(server, cyrus_peer):
    us = server(services=ONLY_IMAP)
    peer = cyrus_peer(imapd={"sync_log": True, "sync_try_imap": True, "sync_host": "127.0.0.1",
                             "sync_port": us.imap_port, "sync_authname": ADMIN, "sync_password": PASSWORD})
    peer.make_user("bob")
    with peer.imap("bob") as c:
        for number, message in enumerate(messages.corpus(20)):
            c.append("INBOX", message, [[], ["\\Seen"], ["\\Flagged", "Work"]][number % 3], 1769940000 + number)
        c.ok("CREATE a/b")
        c.ok("SUBSCRIBE a/b")
        c.append("a/b", messages.plain(30))
    with us.imap(ADMIN) as watcher:    # somebody else's session does not get in the way
        peer.sync_client("-u", "bob")
        assert watcher.ok("NOOP").status == "OK"
    assert compare(read_store(peer.endpoint()), read_store(us.endpoint(over_imap=True))) == []
    with peer.imap("bob") as c:
        c.select("INBOX")
        c.store("1:5", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
        c.ok("RENAME a z")
        c.store("6:9", "+FLAGS", "\\Answered")
    peer.sync_client("-u", "bob")
    assert compare(read_store(peer.endpoint()), read_store(us.endpoint(over_imap=True))) == []
    us.add_users("bob")
    with us.imap("bob") as c, peer.imap("bob") as their:
        assert c.select("INBOX")["EXISTS"] == their.select("INBOX")["EXISTS"] == 15
        digests = [{uid: hashlib.sha1(m["BODY[]"]).hexdigest() for uid, m in one.fetch("1:*", "(BODY.PEEK[])").items()}
                   for one in (c, their)]
        assert digests[0] == digests[1]


def test_sync_commands_are_for_administrators(server):
    us = server(services=ONLY_IMAP)
    us.make_user("bob")
    with us.imap("bob") as c:
        for command in ("SYNCGET USER bob", "SYNCAPPLY UNUSER bob", "SYNCRESTART", "SYNCRESTORE x"):
            assert c.command(command).text == "Unrecognized command"
    with us.admin() as c:
        w = c.wire
        w.send(b"S1 SYNCRESTART\r\nS2 SYNCGET\r\nS3 SYNCGET NONSENSE x\r\nS4 NOOP\r\nS5 SYNCGET USER nosuch\r\n")
        assert w.line() == b"S1 OK Restarting"
        assert w.line() == b"S2 BAD Replication parse failure in Syncget"
        assert w.line().startswith((b"S3 BAD", b"S3 NO"))
        assert w.line() == b"S4 OK Completed"
        assert w.line().startswith(b"S5 OK")
