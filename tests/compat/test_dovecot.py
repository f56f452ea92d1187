"""Dovecot, the other server we are compared with: it runs unpacked, and our clients speak with it."""
import os

import pytest

from lib import messages
from lib.dovecot_peer import DovecotPeer
from lib.places import listening


@pytest.mark.parametrize("storage", ["sdbox", "maildir"])
def test_dovecot_runs_unpacked(roots, dovecot_tree, storage):
    with DovecotPeer(roots(), dovecot_tree, users=["bob"], storage=storage) as peer:
        with peer.lmtp() as c:
            replies = c.deliver("a@messages.test", ["bob", "nobody"], messages.nested(1), pipelined=True)
            assert [replies[r].code for r in ("bob", "nobody")] == [250, 550]
        with peer.imap("bob") as c:
            c.append("INBOX", messages.eight_bit(2), ["\\Seen", "Kw"], 1769940000)
            assert c.select("INBOX")["EXISTS"] == 2
            got = c.fetch("1:*", "(FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
            assert got[2]["BODY[]"] == messages.eight_bit(2)
            assert got[1]["BODYSTRUCTURE"][0][:2] == [b"message", b"rfc822"]
            c.logout()
    assert not listening(peer.imap_port)
    if not os.path.exists("/var/lib/dpkg/info/dovecot-core.list"):
        assert not os.path.exists("/usr/lib/dovecot/imap") and not os.path.exists("/usr/sbin/dovecot")
