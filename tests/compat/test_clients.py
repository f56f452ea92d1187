"""Our test clients against a real Cyrus: what they say is understood, what they hear is read to the last byte."""
import hashlib
import subprocess

import pytest

from lib import messages
from lib.csync import Csync, CsyncError
from lib.dlist import File
from lib.imap import Imap, ImapError, Literal, quote
from lib.imap_values import text
from lib.wire import Closed


@pytest.fixture
def peer(cyrus_peer):
    one = cyrus_peer(users=["bob"])
    one.make_user("bob")
    return one


@pytest.fixture
def tls_peer(cyrus_peer, roots):
    place = roots()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=peer.test", "-keyout", place / "key.pem", "-out", place / "cert.pem"],
                   check=True, capture_output=True)
    (place / "key.pem").chmod(0o644)
    return cyrus_peer(imapd={"tls_server_cert": place / "cert.pem", "tls_server_key": place / "key.pem"},
                      services={"lmtp": {"cmd": "lmtpd -C {conf}"}})    # a peer trusted by -a gets no STARTTLS


def test_imap_fetches_what_was_appended(peer):
    with peer.imap("bob") as c:
        for number, message in enumerate(messages.corpus(10)):
            validity, uid = c.append("INBOX", message, ["\\Seen", "$Label1"], 1769940000 + number, plus=number % 2)
            assert uid == number + 1
        box = c.select("INBOX")
        assert (box["EXISTS"], box["UIDNEXT"], box["UIDVALIDITY"]) == (10, 11, validity)
        got = c.fetch("1:*", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[] "
                             "BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.20> MODSEQ)")
        for number, message in enumerate(messages.corpus(10)):
            item = got[number + 1]
            assert item["BODY[]"] == message and item["RFC822.SIZE"] == len(message)
            assert set(item["FLAGS"]) - {"\\Recent"} == {"\\Seen", "$Label1"}
            assert item["ENVELOPE"][9] == f"<m{number}@messages.test>".encode()
            assert item["BODY[HEADER.FIELDS (SUBJECT)]<0>"].startswith(b"Subject: ")
        structure = got[5]["BODYSTRUCTURE"]    # nested(): a message beside a text
        assert structure[0][:2] == [b"MESSAGE", b"RFC822"] and structure[2] == b"MIXED"
        assert c.search("SUBJECT", quote("plain")) == [1, 6]
        assert c.status("INBOX", "MESSAGES", "UNSEEN") == {"MESSAGES": 10, "UNSEEN": 0}


def test_imap_pipelines_and_says_no(peer):
    with peer.imap("bob") as c:
        tags = [c.start("NOOP"), c.start("SELECT", "nothing"), c.start("NONSENSE"), c.start("NOOP")]
        assert [c.finish(tag).status for tag in tags] == ["OK", "NO", "BAD", "OK"]
        with pytest.raises(ImapError) as error:
            c.append("nothing", b"A: b\r\n\r\nx\r\n", plus=False)    # refused at the literal or after it
        assert error.value.reply.code == ["TRYCREATE"]
        assert c.ok("NOOP").status == "OK"    # still in step
        c.raw(b"x1 NOOP\r\n")
        assert c.wire.line() == b"x1 OK Completed"
        assert c.logout().one("BYE")


def test_imap_odd_names_and_strings(peer):
    names = ["a b", "(par)", "Entw&APw-rfe", "007", "NIL", "x.y", "st*r"]
    with peer.imap("bob") as c:
        for name in names:
            c.ok("CREATE", quote(name))
            assert c.status(name, "MESSAGES") == {"MESSAGES": 0}
        assert {name for _, _, name in c.list()} == {"INBOX", *names}
        reply = c.command("CREATE", quote('a "quoted\\ name"'))
        assert (reply.status, reply.text) == ("NO", "Invalid mailbox name")
        c.ok("SETMETADATA", "INBOX", "(/private/comment", Literal("two\r\nlines \u00e9", plus=True), b")")
        values = c.ok("GETMETADATA", "INBOX", "/private/comment").one("METADATA").values
        assert text(values[1][1]) == "two\r\nlines \u00e9"


def test_imap_idle_and_compress(peer):
    with peer.imap("bob") as c, peer.imap("bob") as other:
        c.compress()
        c.select("INBOX")
        other.append("INBOX", messages.plain(1))
        assert [r.number for r in c.ok("NOOP").all("EXISTS")] == [1]
        with c.idle():
            assert c.poll(0.2) is None


def test_tls_everywhere(tls_peer):
    with tls_peer.imap() as c:
        assert "STARTTLS" in c.capabilities()
        c.starttls()
        c.login("admin", "pw")
    with tls_peer.lmtp() as c:
        assert c.starttls().ok and "STARTTLS" not in c.extensions
    with Csync(("127.0.0.1", tls_peer.csync_port)) as c:
        assert {"STARTTLS", "COMPRESS", "SIEVE-MAILBOX"} < set(c.banner)
        c.starttls()
        assert not {"STARTTLS", "COMPRESS"} & set(c.banner)
        c.authenticate_plain("admin", "pw")
        assert c.exit().text == "Finished"


def test_wrong_password(peer):
    with pytest.raises(ImapError):
        peer.imap("bob", "wrong")
    with pytest.raises(CsyncError):
        Csync.connect(("127.0.0.1", peer.csync_port), "admin", "wrong")
    with Csync.connect(("127.0.0.1", peer.csync_port), "bob", "pw", compress=False, sieve=False) as c:
        assert c.command("NOOP").text == "Permission denied"


@pytest.mark.parametrize("pipelined", [False, True])
def test_lmtp_answers_for_each_recipient(peer, pipelined):
    message = b"Message-ID: <dots@test>\r\n\r\n.\r\n..\r\n.x\r\nend"
    with peer.lmtp() as c:
        assert "PIPELINING" in c.extensions
        replies = c.deliver("a@test", ["bob", "nobody"], message, pipelined=pipelined)
        assert (replies["bob"].code, replies["bob"].enhanced) == (250, "2.1.5")
        assert (replies["nobody"].code, replies["nobody"].text.split("\n")[-1]) == (550, "User unknown")
        assert list(c.deliver("a@test", ["nobody"], message, pipelined=pipelined)) == ["nobody"]
        assert c.deliver("a@test", ["bob"], messages.plain(1))["bob"].ok    # still in step
        assert c.quit().code == 221
    with peer.imap("bob") as c:
        c.select("INBOX")
        assert c.fetch("1", "BODY[]")[1]["BODY[]"].endswith(b"\r\n\r\n.\r\n..\r\n.x\r\nend\r\n")


@pytest.mark.parametrize("over_imap", [False, True])
def test_csync_carries_a_message(peer, over_imap):
    data = messages.plain(1)
    guid = hashlib.sha1(data).hexdigest()
    with peer.csync(over_imap=over_imap) as c:
        box = c.mailboxes("user.bob", "user.nobody")
        assert len(box) == 1
        reserve = {"PARTITION": "default", "MBOXNAME": ["user.bob"], "GUID": [guid]}
        assert c.apply("RESERVE", reserve).all("MISSING") == [[guid]]
        c.apply("MESSAGE", [File("default", guid, data)])
        assert c.apply("RESERVE", reserve).items == []
        c.restart()
        assert c.apply("RESERVE", reserve).all("MISSING") == [[guid]]
        c.apply("MESSAGE", [File("default", guid, data)])
        record = {"UID": 1, "MODSEQ": 2, "LAST_UPDATED": 1769940000, "FLAGS": ["odd"], "INTERNALDATE": 1769940000,
                  "SIZE": len(data), "GUID": guid}
        c.apply("MAILBOX", {**box[0], "LAST_UID": 1, "HIGHESTMODSEQ": 2, "SYNC_CRC": 0, "SYNC_CRC_ANNOT": 0,
                            "RECORD": [record]})
        full = c.full_mailbox("user.bob")
        assert full["RECORD"][0]["GUID"] == guid and c.full_mailbox("user.nobody") is None
        assert c.fetch(full, 1, guid) == data
        assert c.fetch(full, 1, "0" * 40) is None
        reply = c.try_apply("MAILBOX", {**box[0], "LAST_UID": 0, "RECORD": []})
        assert (reply.status, reply.word) == ("NO", "IMAP_SYNC_CHECKSUM")
        assert c.command("GET NOSUCH x").word == "IMAP_PROTOCOL_ERROR"
        c.exit()


def test_a_server_that_goes_away(peer):
    with peer.imap("bob") as c:
        peer.kill()
        with pytest.raises((Closed, ConnectionError)):
            c.ok("NOOP")
    with pytest.raises(OSError):
        Imap(("127.0.0.1", peer.imap_port), timeout=2)
