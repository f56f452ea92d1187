"""lmtpd under our master: every command and reply, who gets what, and what is stored."""
import base64
import fcntl
import itertools
import os
import re
import socket
import struct
import threading
import time

import pytest

from lib import places
from lib.lmtp import Lmtp, stuffed
from lib.lmtpd import ADMIN, PASSWORD, Lmtpd, message
from lib.places import wait_until

SID = re.compile(r" SESSIONID=<lmtp[a-z]*-\d+-\d+-\d+-\d+>")
UNKNOWN = ["Mailbox unknown.  Either there is no mailbox associated with this",
           "name or you do not have authorization to see it.", "User unknown"]


@pytest.fixture
def make(root):
    """make(imapd) gives a running Lmtpd with bob, his folders, eve and two shared mailboxes; ended at the end."""
    made = []

    def start(imapd=None, **more):
        s = Lmtpd(root, imapd, **more).start()
        made.append(s)
        s.do("create user.bob bob lrswipkxtecdan", "create user.bob.Work bob lrswipkxtecdan anyone p",
             "create user.bob.Work.Deep bob lrswipkxtecdan anyone p", "create user.bob.Private bob lrswipkxtecdan",
             "create user.eve", "create shared anyone lrsp", "create shared.pub anyone lrsp",
             "create closed anyone lrs", "create hidden bob lrsp")
        s.log_lines()
        return s
    yield start
    for s in made:
        s.__exit__(None)


@pytest.fixture
def s(make):
    return make()


class Raw:
    """Lines as they are, each reply in one string, SESSIONID taken out."""

    def __init__(self, address):
        self.client = Lmtp(address)

    def __call__(self, line):
        return shown(self.client.command(line))

    def send(self, data):
        self.client.wire.send(data)

    def reply(self):
        return shown(self.client.reply())


def shown(reply):
    text = "|".join(reply.lines)
    return " ".join(w for w in (str(reply.code), reply.enhanced, SID.sub(" SID", text)) if w)


def talk(s, address=None):
    return Raw(address or ("127.0.0.1", s.port))


# ---- commands -------------------------------------------------------------------------------------------

def test_greeting_and_extensions(s):
    with s.lmtp() as c:
        assert shown(c.greeting) == "220 us.test Cyrus LMTP 3.6.1-Understudy-0.1.0 server ready"
        assert SID.sub(" SID", "|".join(c.lhlo().lines)) == \
            "us.test|8BITMIME|ENHANCEDSTATUSCODES|PIPELINING|SIZE|AUTH EXTERNAL|IGNOREQUOTA|Ok SID"


def test_a_limit_and_mechanisms_are_shown(make):
    s = make({"maxmessagesize": "100K", "serverinfo": "off"}, tls=True)
    with s.lmtp() as c:
        assert shown(c.greeting) == "220 us.test server ready"
        assert c.extensions["SIZE"] == "102400" and "STARTTLS" not in c.extensions
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        assert set(c.extensions["AUTH"].split()) == {"PLAIN", "LOGIN"} and "STARTTLS" in c.extensions
    with s.lmtp(s.socket) as c:
        assert c.extensions["AUTH"] == "EXTERNAL" and "STARTTLS" not in c.extensions


def test_every_command_in_and_out_of_place(s):
    c = talk(s)
    for line, reply in [
        ("HELO x", "500 5.5.2 Syntax error"), ("EHLO x", "500 5.5.2 Syntax error"),
        ("NOOP", "250 2.0.0 ok"), ("noop with words", "250 2.0.0 ok"),
        ("VRFY bob", "252 2.3.3 try RCPT to attempt delivery"), ("VRFY", "500 5.5.2 Syntax error"),
        ("EXPN bob", "500 5.5.2 Syntax error"), ("HELP", "500 5.5.2 Syntax error"), ("", "500 5.5.2 Syntax error"),
        ("A\0B", "500 5.5.2 Syntax error"), ("NOOP\0", "500 5.5.2 Syntax error"),
        ("STARTTLS", "500 5.5.2 Syntax error"),
        ("RCPT TO:<bob>", "503 5.5.1 Need MAIL command"), ("DATA", "503 5.5.1 No recipients"),
        ("RSET", "250 2.0.0 Ok SID"), ("RSET x", "500 5.5.2 Syntax error"),
        ("LHLO", "501 5.5.4 Syntax error in parameters"),
        ("MAIL FROM:a@b", "501 5.5.4 Syntax error in parameters"),
        ("MAIL FROM:<a@b> SIZE=x", "501 5.5.2 SIZE requires a value"),
        ("MAIL FROM:<a@b> BODY=x", "501 5.5.4 Unrecognized BODY type"),
        ("MAIL FROM:<a@b> FOO=x", "501 5.5.4 Unrecognized parameters"),
        ("RCPT TO:<bob>", "503 5.5.1 Need MAIL command"),    # a refused MAIL begins nothing
        ("MAIL FROM:<a@b> SIZE=17 BODY=8BITMIME AUTH=<>", "250 2.1.0 ok"),
        ("MAIL FROM:<a@b>", "503 5.5.1 Nested MAIL command"),
        ("DATA", "503 5.5.1 No recipients"),
        ("RCPT TO:bob", "501 5.5.4 Syntax error in parameters"),
        ("RCPT TO:<bob> FOO", "501 5.5.4 Unrecognized parameters"),
        ("RCPT TO:<nobody>", "550 5.1.1 " + "|".join(UNKNOWN)),
        ("DATA", "503 5.5.1 No recipients"),
        ("RCPT TO:<bob> IGNOREQUOTA", "250 2.1.5 ok"),
        ("RSET", "250 2.0.0 Ok SID"),
        ("DATA", "503 5.5.1 No recipients"),
        ("MAIL FROM:<>", "250 2.1.0 ok"), ("RCPT TO:<bob>", "250 2.1.5 ok"),
    ]:
        assert c(line) == reply, line
    assert c("LHLO again").startswith("250 us.test|")    # ends the transaction
    assert c("RCPT TO:<bob>") == "503 5.5.1 Need MAIL command"
    assert c("AUTH PLAIN") == "504 5.5.4 Unrecognized authentication type."
    assert c("AUTH EXTERNAL =") == "235 2.7.0 Authenticated!"
    assert c("AUTH EXTERNAL") == "334"
    assert c("") == "235 2.7.0 Authenticated!"
    assert c("QUIT now") == "500 5.5.2 Syntax error"
    assert c("QUIT") == "221 2.0.0 bye"
    c.client.wire.expect_closed()


def test_lines_too_long_are_one_error(s):
    c = talk(s)
    for size in (4097, 70000, 1 << 20):
        assert c("N" * size) == "500 5.5.2 Syntax error"
    assert c("NOOP " + "x" * 4091) == "250 2.0.0 ok"    # 4096 are well
    c.send(b"NOOP\n")    # a line of a command may end so
    assert c.reply() == "250 2.0.0 ok"


def test_addresses(s):
    c = talk(s)
    for path, ok in [("bob", 1), ("BOB", 1), ("bob@any.where", 1), ("bob+Work", 1), ("bob+nofolder", 1), ("bob+", 1),
                     ('"bob"@x', 1), ('"bob+Work"@x', 1), ("b\\ob", 1), ("@x,@y:bob@z", 1), ("bob@[192.0.2.1]", 1),
                     ("+shared", 1), ("+shared/pub", 1), ("+shared.pub", 0), ("+nosuch", 0), ("+", 0), ("", 0),
                     ("user/bob", 0), ("+user/bob", 0), ("+user/bob/Work", 1), ("+hidden", 0), ("bob*", 0),
                     ("anyone", 0), ("anonymous", 0), ("admin", 0), ("b" * 3000, 0), ("bob%eve", 0)]:
        c("RSET"), c("MAIL FROM:<a@b>")
        assert c(f"RCPT TO:<{path}>") == ("250 2.1.5 ok" if ok else "550 5.1.1 " + "|".join(UNKNOWN)), path
    assert c("RCPT TO:<+closed>").startswith("550 5.7.1 You do not have permission to post a message to this mailbox.|")
    assert c("RCPT TO:<+closed>").endswith("received this message in error.|Permission denied")


# ---- delivery ---------------------------------------------------------------------------------------------

def test_what_is_stored(s):
    with s.lmtp() as c:
        replies = c.deliver("a@b", ["bob"], message(1, b"..dots\r\n.\xe4\xf6\r\n\r\nend\r\n"))
    assert shown(replies["bob"]) == "250 2.1.5 Success SID"
    session = re.search(r"<(.*)>", replies["bob"].text)[1]
    text = s.stored("user.bob")[0].decode("latin1")
    head = re.match(
        r"Return-Path: <a@b>\r\n"
        r"Received: from client\.test \(\[127\.0\.0\.1\]\)\r\n"
        r"\t by us\.test \(Cyrus 3\.6\.1-Understudy-0\.1\.0\) with LMTPA;\r\n"
        r"\t (\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4})\r\n"
        r"X-Cyrus-Session-Id: ([^\r]*)\r\n", text)
    assert head and head[2] == session
    assert text[head.end():].encode("latin1") == message(1, b"..dots\r\n.\xe4\xf6\r\n\r\nend\r\n")
    record = s.show("user.bob").live[1]
    assert record["size"] == len(text) and record["cached"] and record["flags"] == []
    assert abs(record["internaldate_ns"] / 1e9 - time.time()) < 60
    path = s.directory("user.bob") / "1."
    assert path.stat().st_mtime_ns == record["internaldate_ns"] and path.stat().st_mode & 0o777 == 0o600
    assert s.log_lines() == ["APPEND user.bob", "MAILBOX user.bob"]
    assert f"Delivered: <1@test> to mailbox: user.bob event=lmtp.delivered uid=1 bytes={len(text)}" in s.log()
    assert s.staged() == []


HEAD = b"Message-ID: <x@y>\r\nDate: d\r\n"
MADE = rb"Message-ID: <lmtpd-\d+-\d+-\d+-\d+@us\.test>\r\n"
DATED = rb"Date: \w{3}, \d\d \w{3} \d{4} [0-9:]{8} \+0000\r\n"


@pytest.mark.parametrize("wire, stored", [
    (b"Subject: x\r\n\r\nhi\r\n", rb"Subject: x\r\n" + MADE + DATED + rb"\r\nhi\r\n"),
    (b"", MADE + DATED), (b"\r\n", MADE + DATED + rb"\r\n"), (b"A: b\r\n", rb"A: b\r\n" + MADE + DATED),
    (HEAD + b"Return-Path: <evil@x>\r\n\r\nx\r\n", re.escape(HEAD) + rb"\r\nx\r\n"),
    (HEAD + b"S: \xe4\xf6\r\n\r\n\xe4\r\n", re.escape(HEAD) + rb"S: XX\r\n\r\n\xe4\r\n"),
    (HEAD + b"\nbare\nLF\n\r\nx\r\n", re.escape(HEAD) + rb"\r\nbare\r\nLF\r\n\r\nx\r\n"),
    (HEAD + b"\r\na\rb\r\r\nc\r\n", re.escape(HEAD) + rb"\r\nab\r\nc\r\n"),
    (HEAD + b"\r\na\n.\nRSET\r\nb\r\n", re.escape(HEAD) + rb"\r\na\r\n\.\r\nRSET\r\nb\r\n"),
    (HEAD + b"\r\na\n.\r\nQUIT\r\nb\r\n", re.escape(HEAD) + rb"\r\na\r\n\.\r\nQUIT\r\nb\r\n"),
    (HEAD + b"\r\na\r\n.\nQUIT\r\nb\r\n", re.escape(HEAD) + rb"\r\na\r\n\r\nQUIT\r\nb\r\n"),
    (HEAD + b"\r\n" + b"x" * 200000 + b"\r\n", re.escape(HEAD) + rb"\r\nx{200000}\r\n"),
    (HEAD + b"X: a\r\n \r\n\tb\r\n\r\n", re.escape(HEAD) + rb"X: a\r\n \r\n\tb\r\n\r\n"),
], ids=itertools.count())
def test_messages_of_all_kinds(s, wire, stored):
    c = talk(s)
    c("MAIL FROM:<a@b>"), c("RCPT TO:<bob>"), c("DATA")
    c.send(wire + b".\r\nNOOP\r\n")
    assert c.reply() == "250 2.1.5 Success SID"
    assert c.reply() == "250 2.0.0 ok"    # the connection is where it should be
    assert re.fullmatch(rb"Return-Path: .*?\r\nX-Cyrus-Session-Id: [^\r]*\r\n" + stored, s.stored("user.bob")[0], re.S)


@pytest.mark.parametrize("wire, reply", [
    (b"Subject: n\0ul\r\n\r\nx\r\n", "554 5.6.0 Message contains NUL characters"),
    (HEAD + b"\r\nx\0\r\n", "554 5.6.0 Message contains NUL characters"),
    (b"no header\r\n\r\nx\r\n", "554 5.6.0 Message contains invalid header"),
    (b"From bob Mon Jan 1\r\n" + HEAD + b"\r\nx\r\n", "554 5.6.0 Message contains invalid header"),
    (HEAD + b"X\xe4: b\r\n\r\nx\r\n", "554 5.6.0 Message contains invalid header"),
    (HEAD + b"\r\n" + b"0123456789abcdef" * 8000 + b"\r\n",
     "552 5.2.3 Message size exceeds fixed maximum message size (100000)"),
    (b"S: \xe4\r\n" + HEAD + b"\r\nx\r\n", "554 5.6.0 Message contains non-ASCII characters in headers"),
], ids=itertools.count())
def test_refused_messages_have_a_reply_each(make, wire, reply):
    s = make({"maxmessagesize": 100000, "reject8bit": True})
    c = talk(s)
    c("MAIL FROM:<a@b>"), c("RCPT TO:<bob>"), c("RCPT TO:<nobody>"), c("RCPT TO:<eve>"), c("DATA")
    c.send(wire + b".\r\nNOOP\r\n")
    assert [c.reply() for _ in range(3)] == [reply, reply, "250 2.0.0 ok"]
    assert not s.show("user.bob").records and not s.show("user.eve").records and s.staged() == []
    c("MAIL FROM:<a@b>"), c("RCPT TO:<bob>"), c("DATA")
    c.send(stuffed(message()))
    assert c.reply() == "250 2.1.5 Success SID"


def test_size_is_judged_at_mail(make):
    s = make({"maxmessagesize": 1000})
    c = talk(s)
    for size in ("1001", "99999999999999999999999"):
        assert c(f"MAIL FROM:<a@b> SIZE={size}") == \
            "552 5.2.3 Message SIZE exceeds fixed maximum message size (1000)"
    assert c("RCPT TO:<bob>") == "503 5.5.1 Need MAIL command"
    c("MAIL FROM:<a@b> SIZE=1000"), c("RCPT TO:<bob>"), c("DATA")
    exactly = message(1, b"x" * (1000 - len(message(1, b"\r\n"))) + b"\r\n")
    c.send(stuffed(exactly))
    assert len(exactly) == 1000 and c.reply() == "250 2.1.5 Success SID"    # what we add does not count


def test_return_paths(s):
    with s.lmtp() as c:
        for number, sender in enumerate(["", "a", '"a b"@c', "@x,@y:a@c"]):
            assert c.deliver(sender, ["bob"], message(number))["bob"].ok
    assert [m.split(b"\r\n")[0].decode() for m in s.stored("user.bob")] == \
        ["Return-Path: <>", "Return-Path: <a@us.test>", 'Return-Path: <"a b"@c>', "Return-Path: <a@c>"]


def test_several_recipients_one_body(s):
    names = ["bob", "nobody", "bob+Work", "eve", "+shared", "+closed", "bob+Work/Deep", "bob+Private"]
    with s.lmtp() as c:
        replies = c.deliver("a@b", names, message(1), pipelined=True)
    assert [replies[n].code for n in names] == [250, 550, 250, 250, 250, 550, 250, 250]
    boxes = ["user.bob", "user.bob.Work", "user.eve", "shared", "user.bob.Work.Deep"]
    assert [len(s.show(b).live) for b in boxes] == [1] * 5
    assert not s.show("user.bob.Private").records    # no right to post: the INBOX, which has it already
    assert len({(s.directory(b) / "1.").stat().st_ino for b in boxes}) == 1
    assert (s.directory("user.bob") / "1.").stat().st_nlink == 5
    assert sorted(s.log_lines()) == sorted(f"{w} {b}" for b in boxes for w in ("APPEND", "MAILBOX"))
    assert s.staged() == []


def test_forty_recipients(s):
    users = [f"u{i}" for i in range(40)]
    s.do(*[f"create user.{u}" for u in users])
    with s.lmtp() as c:
        for number in range(2):
            replies = c.deliver("a@b", users + ["nobody"], message(number), pipelined=True)
            assert [replies[u].code for u in users] == [250] * 40 and replies["nobody"].code == 550
    assert all(len(s.show(f"user.{u}").live) == 2 for u in users)


def test_too_many_recipients(make):
    s = make({"lmtp_max_recipients": 2})
    with s.lmtp() as c:
        replies = c.deliver("a@b", ["bob", "nobody", "eve", "bob+Work"], message(1))
    assert shown(replies["bob+Work"]) == "452 4.5.3 Too many recipients"
    assert [replies[n].code for n in ("bob", "nobody", "eve")] == [250, 550, 250]


def test_partitions(root, make):
    s = make(partitions=("default", "other"))
    s.do("rename user.eve user.eve other")
    for number, names in enumerate((["bob", "eve", "+shared"], ["eve", "bob"], ["eve"])):
        with s.lmtp() as c:
            assert all(r.ok for r in c.deliver("a@b", names, message(number, b"x" * 100000 + b"\r\n")).values())
    assert s.directory("user.eve").is_relative_to(root / "spool-other")
    for bob, eve in zip(s.stored("user.bob"), s.stored("user.eve")):
        assert bob == eve
    times = {(s.directory(b) / "1.").stat().st_mtime_ns for b in ("user.bob", "user.eve")}
    assert len(times) == 1 and s.staged() == []


def test_pipelining_answers_a_group_in_one_segment(s):
    """A whole transaction goes out in one write, and so does what is answered to it."""
    wire = socket.create_connection(("127.0.0.1", s.port))
    wire.settimeout(10)
    wire.recv(1000)
    wire.sendall(b"LHLO x\r\n")
    wire.recv(4096)
    began = time.monotonic()
    for number in range(10):
        wire.sendall(b"MAIL FROM:<a@b>\r\nRCPT TO:<bob>\r\nRCPT TO:<nobody>\r\nRCPT TO:<eve>\r\nDATA\r\n" +
                     stuffed(message(number)) + b"NOOP\r\n")
        got = b""
        pieces = 0
        while not got.endswith(b"250 2.0.0 ok\r\n"):
            got += wire.recv(65536)
            pieces += 1
        lines = got.decode().splitlines()
        assert [line[:4] for line in lines] == ["250 ", "250 ", "550-", "550-", "550 ", "250 ", "354 ", "250 ",
                                                "250 ", "250 "]
        assert pieces == 1
    assert time.monotonic() - began < 0.04 * 10    # nobody waited for an acknowledgement
    wire.close()


def test_a_client_that_leaves_delivers_nothing(s):
    c = talk(s)
    c("MAIL FROM:<a@b>"), c("RCPT TO:<bob>"), c("DATA")
    c.send(b"Subject: cut off\r\n\r\n" + b"x" * 300000)
    c.client.close()
    wait_until(lambda: s.staged() == [], 10, "the stage is swept")
    assert not s.show("user.bob").records


# ---- duplicates -------------------------------------------------------------------------------------------

def deliver(s, number, names=("bob",), **more):
    with s.lmtp() as c:
        return [shown(r) for r in c.deliver("a@b", list(names), message(number, **more)).values()]


def test_a_second_copy_is_dropped(s):
    ok = ["250 2.1.5 Success SID"]
    assert deliver(s, 1) == deliver(s, 1) == ok
    assert deliver(s, 1, Date="another") == deliver(s, 2) == ok
    assert deliver(s, 1, ["eve"]) == ok
    assert len(s.show("user.bob").live) == 3 and len(s.show("user.eve").live) == 1
    uniqueid = s.show("user.bob").counters["uniqueid"]
    assert s.count(f"dupelim: eliminated duplicate message to {uniqueid} id <1@test> "
                   "date Mon, 1 Jan 2024 00:00:00 +0000 (delivery)") == 1


def test_one_recipient_named_twice(s):
    with s.lmtp() as c:
        for line in ("MAIL FROM:<a@b>", "RCPT TO:<bob>", "RCPT TO:<BOB@x>", "RCPT TO:<bob+nosuch>", "DATA"):
            c.command(line)
        assert [r.code for r in c.data(message(1, Message_ID=None), 3)] == [250] * 3
    assert len(s.show("user.bob").live) == 1 and s.count("dupelim:") == 2


def test_without_an_id_nothing_is_dropped(s):
    for _ in range(3):
        deliver(s, 1, Message_ID=None)
    assert len(s.show("user.bob").live) == 3
    for _ in range(2):
        deliver(s, 1, Message_ID="<" + "x" * 2000 + "@y>")    # too long to be remembered
    assert len(s.show("user.bob").live) == 5


def test_an_expunged_copy_counts_until_it_is_gone(s):
    deliver(s, 1)
    s.do("expunge user.bob 1")
    deliver(s, 1)
    assert not s.show("user.bob").live
    s.do("unlink user.bob 1 1")
    deliver(s, 1)
    assert list(s.show("user.bob").live) == [2]


def test_marks_survive_a_kill_of_metad(s):
    deliver(s, 1)
    for pid in s.children(s.process.pid, "metad"):
        os.kill(pid, 9)
    deliver(s, 1)
    assert len(s.show("user.bob").live) == 1


def test_duplicates_where_they_are_wanted(make):
    s = make({"duplicatesuppression": False})
    deliver(s, 1, ["bob", "BOB"])
    deliver(s, 1)
    assert len(s.show("user.bob").live) == 3


# ---- quota ------------------------------------------------------------------------------------------------

BIG = b"x" * 3000 + b"\r\n"


def test_the_message_that_crosses_is_let_in(s):
    s.do("quota user.bob STORAGE 4", "quota user.eve MESSAGE 1")
    assert deliver(s, 1, body=BIG) == deliver(s, 2, body=BIG) == ["250 2.1.5 Success SID"]
    c = talk(s)
    c("MAIL FROM:<a@b>")
    assert c("RCPT TO:<bob>") == c("RCPT TO:<bob+Work>") == "452 4.2.2 Over quota SID"
    assert c("RCPT TO:<bob> IGNOREQUOTA") == "250 2.1.5 ok"
    c("DATA")
    c.send(stuffed(message(3)))
    assert c.reply() == "250 2.1.5 Success SID"
    assert deliver(s, 1, ["eve"]) == deliver(s, 2, ["eve"]) == ["250 2.1.5 Success SID"]
    assert deliver(s, 3, ["eve"]) == ["452 4.2.2 Over quota SID"]


def test_two_recipients_under_one_root(s):
    s.do("quota user.bob MESSAGE 0")
    assert deliver(s, 1, ["bob", "bob+Work", "eve"]) == \
        ["250 2.1.5 Success SID", "452 4.2.2 Over quota SID", "250 2.1.5 Success SID"]
    assert not s.show("user.bob.Work").records


@pytest.mark.parametrize("options, reply", [({}, "501 5.5.4"), ({"lmtp_strict_rfc2821": False}, "250 2.1.0")])
def test_addresses_of_eight_bits_where_they_are_allowed(make, options, reply):
    assert talk(make(options))("MAIL FROM:<\xe9@b>").startswith(reply)


def test_strict_and_for_good(make):
    s = make({"lmtp_strict_quota": True, "lmtp_over_quota_perm_failure": True})
    s.do("quota user.bob STORAGE 1")
    assert deliver(s, 1, body=BIG) == ["552 5.2.2 Over quota SID"]
    assert deliver(s, 1) == ["250 2.1.5 Success SID"]
    c = talk(s)
    c("MAIL FROM:<a@b> SIZE=4000")
    assert c("RCPT TO:<bob>") == "552 5.2.2 Over quota SID"    # no need to wait for the message
    assert c("RCPT TO:<bob> IGNOREQUOTA") == "250 2.1.5 ok"


# ---- names ------------------------------------------------------------------------------------------------

def landed(s, name, number, sender_options=""):
    """Which mailbox a message to `name` comes into."""
    before = s.log().splitlines()
    with s.lmtp() as c:
        reply = c.deliver("a@b", [name], message(number), sender_options)[name]
    if not reply.ok:
        return reply.code
    return [m[1] for line in s.log().splitlines()[len(before):]
            if (m := re.search(r"to mailbox: (\S+) event=", line))][0]


def test_folders(s):
    for number, (name, box) in enumerate([
        ("bob+Work", "user.bob.Work"), ("bob+Work/Deep", "user.bob.Work.Deep"), ("bob+work", "user.bob"),
        ("bob+Work/Nope", "user.bob"), ("bob+Work.Deep", "user.bob"), ("bob+Private", "user.bob"),
        ("bob+Work+x", "user.bob"), ("bob+../eve", "user.bob"), ("BOB+Work", "user.bob.Work"),
    ]):
        assert landed(s, name, number) == box, name
    assert landed(s, "bob+Private", 20, " AUTH=bob") == "user.bob.Private"    # the poster has the right
    assert landed(s, "bob+Private", 21, " AUTH=eve") == "user.bob"
    assert landed(s, "+hidden", 22, " AUTH=bob") == "hidden"
    assert landed(s, "+hidden", 23) == 550


def test_fuzzy_and_catch_all(make):
    s = make({"lmtp_fuzzy_mailbox_match": True, "lmtp_catchall_mailbox": "eve"})
    for number, (name, box) in enumerate([
        ("bob+work/DEEP/nope", "user.bob.Work.Deep"), ("bob+work/nope", "user.bob.Work"), ("bob+nope", "user.bob"),
        ("nobody", "user.eve"), ("nobody+Work", "user.eve"), ("+nope", "user.eve"), ("+shared/pub/zz", "shared.pub"),
    ]):
        assert landed(s, name, number) == box, name


def test_special_uses_that_take_no_mail(make):
    s = make({"lmtp_exclude_specialuse": "\\Snoozed \\Junk"})
    s.do("mailboxannotation user.bob.Work /specialuse bob \\junk")
    assert landed(s, "bob+Work", 1) == "user.bob" and landed(s, "bob+Work/Deep", 2) == "user.bob.Work.Deep"


def test_dots_and_postuser(make):
    s = make({"unixhierarchysep": False, "postuser": "post", "lmtp_downcase_rcpt": False})
    for number, (name, box) in enumerate([
        ("bob+Work.Deep", "user.bob.Work.Deep"), ("post+shared.pub", "shared.pub"), ("+shared", 550),
        ("POST+shared", 550), ("Bob", 550), ("bob.Work", 550), ("post", 550),
    ]):
        assert landed(s, name, number) == box, name


def test_virtual_domains(make):
    s = make({"virtdomains": "userid", "defaultdomain": "def.test"})
    s.do("create dom.test!user.kim", "create dom.test!user.kim.Work anyone p", "create dom.test!sh anyone p")
    for number, (name, box) in enumerate([
        ("bob", "user.bob"), ("bob@DEF.test", "user.bob"), ("bob@dom.test", 550), ("kim", 550),
        ("kim@dom.test", "dom.test!user.kim"), ("KIM+Work@Dom.Test", "dom.test!user.kim.Work"),
        ("+sh@dom.test", "dom.test!sh"), ("+sh", 550), ("kim@[127.0.0.1]", 550),
    ]):
        assert landed(s, name, number) == box, name


def test_mailboxes_that_take_no_mail(s):
    s.do("create user.gone", "trash user.gone", "entry user.mid ei", "entry user.far er", "create old",
         "delete old")
    deleted = next(line.split()[1] for line in s.do("list") if "DELETED.old" in line)
    assert landed(s, "gone", 1) == 550 and landed(s, "mid", 2) == 550
    c = talk(s)
    c("MAIL FROM:<a@b>")
    assert c("RCPT TO:<far>") == "451 4.4.3 Remote server unavailable"
    assert c("RCPT TO:<+" + deleted.replace(".", "/") + ">").startswith("550 5.1.1")


def test_autocreate(make):
    s = make({"autocreate_post": True, "autocreate_quota": 1000, "autocreate_users": "newbie joe",
              "autocreate_inbox_folders": "Sent|Work", "autocreate_subscribe_folders": "Sent"})
    assert landed(s, "newbie", 1) == "user.newbie" and landed(s, "stranger", 2) == 550
    assert landed(s, "JOE+Sent", 3) == "user.joe"
    names = {line.split()[1] for line in s.do("list")}
    assert {"user.newbie", "user.newbie.Sent", "user.newbie.Work", "user.joe.Sent"} <= names
    assert s.show("user.newbie").counters["exists"] == 1


def test_a_folder_that_vanishes_before_the_message(s):
    s.do("create shared.brief anyone p")
    c = talk(s)
    c("MAIL FROM:<a@b>"), c("RCPT TO:<bob+Work>"), c("RCPT TO:<+shared/brief>"), c("RCPT TO:<eve>"), c("DATA")
    s.do("remove user.bob.Work.Deep", "remove user.bob.Work", "remove shared.brief")
    c.send(stuffed(message(1)))
    assert c.reply() == "250 2.1.5 Success SID"    # the INBOX instead
    assert c.reply().startswith("550 5.1.1 ")
    assert c.reply() == "250 2.1.5 Success SID"
    assert len(s.show("user.bob").live) == 1


def test_mailboxes_that_are_kept_open(s):
    """A connection keeps mailboxes open: what happens to them in between must not matter."""
    s.do(*[f"create user.u{i}" for i in range(20)])
    with s.lmtp() as c:
        numbers = iter(range(100))

        def send(*names):
            replies = c.deliver("a@b", list(names), message(next(numbers)))
            return [replies[n].code for n in names]
        everybody = [f"u{i}" for i in range(20)] + ["bob", "eve", "bob+Work", "+shared"]
        for _ in range(3):
            assert set(send(*everybody)) == {250}
        with s.lmtp() as other:    # somebody else appends
            assert other.deliver("a@b", ["bob"], message("other"))["bob"].ok
        s.do("compact user.bob", "expunge user.bob 1", "compact user.eve", "quota user.u1 MESSAGE 1")
        assert send("bob", "eve", "u1", "u2") == [250, 250, 452, 250]
        assert sorted(s.show("user.bob").live) == [2, 3, 4, 5] and len(s.show("user.eve").live) == 4
        s.do("remove user.bob.Work.Deep", "rename user.bob.Work user.bob.Old")
        assert send("bob+Work") == [250] and len(s.show("user.bob.Old").live) == 3    # there is no Work
        s.do("create user.bob.Work bob lrswipkxtecdan anyone p", "remove user.eve", "create user.eve",
             "remove shared.pub", "remove shared")
        assert send("bob+Work", "eve", "+shared") == [250, 250, 550]
        assert len(s.show("user.bob.Work").live) == len(s.show("user.eve").live) == 1
        for line in ("MAIL FROM:<a@b>", "RCPT TO:<eve>", "RCPT TO:<bob>", "DATA"):
            c.command(line)
        s.do("remove user.eve")
        assert [r.code for r in c.data(message("last"), 2)] == [550, 250]


# ---- who may come -----------------------------------------------------------------------------------------

def test_authentication(make):
    s = make({"soft_noauth": False})
    c = talk(s, ("127.0.0.1", s.auth_port))

    def plain(user, password):
        return base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    for line, reply in [
        ("MAIL FROM:<a@b>", "530 5.7.0 Authentication required"),
        ("AUTH FOO", "504 5.5.4 Unrecognized authentication type."),
        ("AUTH PLAIN !!!", "501 5.5.2 cannot decode the response"),
        ("AUTH PLAIN", "334"), ("!!!", "501 5.5.2 cannot decode the response"),
        ("AUTH PLAIN", "334"), ("*", "501 5.5.4 client canceled authentication"),
        ("AUTH PLAIN " + plain(ADMIN, "wrong"), "535 5.7.8 authentication failure"),
        ("AUTH PLAIN " + plain("bob", PASSWORD), "535 5.7.8 authentication failure"),
        ("MAIL FROM:<a@b>", "530 5.7.0 Authentication required"),
        ("AUTH LOGIN", "334 VXNlcm5hbWU6"), ("YWRtaW4=", "334 UGFzc3dvcmQ6"), ("cHc=", "235 2.7.0 Authenticated!"),
        ("AUTH PLAIN", "503 5.5.0 already authenticated"),
        ("MAIL FROM:<a@b>", "250 2.1.0 ok"),
    ]:
        if line == "AUTH LOGIN":
            assert c(line).startswith("334 "), line
        elif reply.startswith("334 "):
            assert c(line).startswith("334 "), line
        else:
            assert c(line) == reply, line
    assert "AUTH" not in c.client.lhlo().text
    assert s.count("badlogin: [127.0.0.1] PLAIN") == 2 and s.count("login: [127.0.0.1] admin LOGIN User logged in") == 1
    assert PASSWORD + '"' not in s.log() and "wrong" not in s.log()


def test_soft_refusal_and_the_service_s_own_admins(make):
    s = make({"lmtpauth_admins": "bob"})
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        assert shown(c.command("MAIL FROM:<a@b>")) == "430 4.7.0 Authentication required"
        assert c.auth_plain(ADMIN, PASSWORD).code == 535
        assert c.auth_plain("bob", PASSWORD).code == 235
        assert c.deliver("a@b", ["bob"], message(1))["bob"].ok
    assert b" with LMTPA;" in s.stored("user.bob")[0]


def test_telemetry_of_a_login(make):
    s = make()
    folder = s.conf / "log" / ADMIN
    folder.mkdir(parents=True)
    places.own_by_service_user(s.conf / "log")
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        c.auth_plain(ADMIN, "wrong-secret")
        c.auth_plain(ADMIN, PASSWORD)
        assert c.deliver("a@b", ["bob"], message(1))["bob"].ok
    copy, = folder.iterdir()
    text = wait_until(lambda: b"250 2.1.5 Success" in copy.read_bytes() and copy.read_bytes(), 10, "telemetry")
    assert b"MAIL FROM:<a@b>" in text and b"Subject: number 1" in text and b"AUTH" not in text


def test_tls(make):
    s = make({"allowplaintext": False}, tls=True)
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        assert "AUTH" not in c.extensions
        assert c.auth_plain(ADMIN, PASSWORD).code == 535
        assert shown(c.starttls()) == "220 2.0.0 Begin TLS negotiation now"
        assert "STARTTLS" not in c.extensions and "PLAIN" in c.extensions["AUTH"]
        assert shown(c.command("STARTTLS")) == "503 5.5.1 TLS is active already"
        assert c.auth_plain(ADMIN, PASSWORD).code == 235
        assert shown(c.command("STARTTLS")) == "503 5.5.0 already authenticated"
        assert c.deliver("a@b", ["bob"], message(1, b"x" * 500000 + b"\r\n"))["bob"].ok
    assert re.search(rb" with LMTPSA\r\n\t \(version=TLSv1\.[23] cipher=\S+ bits=\d+\);", s.stored("user.bob")[0])


def test_nothing_is_smuggled_past_starttls(make):
    s = make(tls=True)
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        c.wire.send(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        assert c.reply().code == 220
        c.wire.expect_closed()


def test_the_unix_socket(s):
    with s.lmtp(s.socket) as c:
        assert c.deliver("a@b", ["bob"], message(1))["bob"].ok
    assert b"Received: from client.test ([unix socket])\r\n" in s.stored("user.bob")[0]


# ---- when it cannot ---------------------------------------------------------------------------------------

def test_a_replica_takes_no_mail(make):
    s = make({"replicaonly": True})
    assert shown(s.lmtp().command("MAIL FROM:<a@b>")) == "451 4.3.2 this server is a replica and takes no mail"


def test_a_store_that_cannot_log(s):
    """The sync log is a directory: nothing may change."""
    log = s.conf / "sync/log"
    log.rename(log.with_name("aside"))
    log.mkdir()
    assert deliver(s, 1, ["bob", "eve"]) == ["451 4.3.0 System I/O error"] * 2
    assert not s.show("user.bob").records and not s.show("user.eve").records
    assert not list(s.directory("user.bob").glob("[0-9]*.")) and s.staged() == []
    log.rmdir()
    assert deliver(s, 1, ["bob", "eve"]) == ["250 2.1.5 Success SID"] * 2


@pytest.mark.parametrize("point, action, replies", [
    ("store.stage.create", "enospc", ["452 4.3.1 Insufficient system storage"] * 3),
    ("store.stage.write", "enospc", ["452 4.3.1 Insufficient system storage"] * 3),
    ("store.stage.write", "eio", ["451 4.3.0 System I/O error"] * 3),
    ("store.commit.link", "enospc", ["452 4.3.1 Insufficient system storage"] + ["250 2.1.5 Success SID"] * 2),
    ("store.journal.write_frame", "enospc", ["452 4.3.1 Insufficient system storage"] + ["250 2.1.5 Success SID"] * 2),
])
def test_disks_that_are_full_or_fail(s, point, action, replies):
    s.failpoints.arm(point, action)
    assert sorted(deliver(s, 1, ["bob", "eve", "+shared"])) == sorted(replies)
    assert s.failpoints.fired == 1 and s.staged() == []
    deliver(s, 1, ["bob", "eve", "+shared"])
    assert [len(s.show(b).live) for b in ("user.bob", "user.eve", "shared")] == [1, 1, 1]


@pytest.mark.parametrize("point", ["store.commit.sync_file", "store.commit.sync_names", "store.journal.sync"])
def test_a_failed_sync_poisons_the_partition(s, point):
    s.failpoints.arm(point, "eio")
    assert deliver(s, 1, ["bob", "eve"]) == ["451 4.3.0 System I/O error"] * 2
    assert deliver(s, 2, ["bob"]) == ["451 4.3.0 System I/O error"]
    assert not s.show("user.bob").live


def test_a_locked_mailbox_delays_only_its_own(make):
    """A rename holds bob's namespace; eve's copy is in before bob's."""
    s = make()
    lock = next((s.conf / "lock/ns").glob("*/bob"))
    with open(lock, "r+b") as file:
        fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))    # F_OFD_SETLK
        got = []
        thread = threading.Thread(target=lambda: got.append(deliver(s, 1, ["bob", "eve"])))
        thread.start()
        wait_until(lambda: s.count("to mailbox: user.eve"), 10, "eve has hers")
        time.sleep(0.1)
        assert not got and not s.count("to mailbox: user.bob ")
    thread.join(20)
    assert got == [["250 2.1.5 Success SID"] * 2] and len(s.show("user.bob").live) == 1


def test_a_damaged_mailbox_is_not_a_missing_one(s):
    folder = s.directory("user.bob")
    (folder / "mbox.idx").unlink()
    assert deliver(s, 1, ["bob", "eve"])[0].startswith("451 4.")
    assert len(s.show("user.eve").live) == 1


def test_the_door_is_shut(s):
    (s.conf / "msg").mkdir()
    (s.conf / "msg/shutdown").write_text("back at noon\nmore\n")
    with Lmtp.__new__(Lmtp) as c:
        from lib.wire import Wire
        c.wire, c.name = Wire(("127.0.0.1", s.port), 10), "x"
        assert c.reply().code == 220
        assert shown(c.command("LHLO x")) == "421 4.3.2 back at noon"
        c.wire.expect_closed()


def test_the_end_of_the_server(make):
    s = make()
    c = talk(s)
    c("MAIL FROM:<a@b>")
    s.process.terminate()
    assert c.reply() == "421 4.3.2 service is going down"
    c.client.wire.expect_closed()
    s.process.wait(20)
    s.process = None


def test_silence(make):
    s = make({"lmtp_timeout": "10s"})
    c = talk(s)
    assert shown(c.client.reply(timeout=20)) == "421 4.4.2 timeout, closing connection"
    c.client.wire.expect_closed()


def test_auditlog(make):
    s = make({"auditlog": True})
    with s.lmtp() as c:
        reply = c.deliver("a@b", ["bob"], message(1))["bob"]
    session = re.search(r"<(.*)>", reply.text)[1]
    box = s.show("user.bob")
    record = box.live[1]
    assert (f"auditlog: append sessionid=<{session}> mailbox=<user.bob> uniqueid=<{box.counters['uniqueid']}> uid=<1> "
            f"modseq=<{record['modseq']}> sysflags=<> guid=<{record['guid']}> messageid=<1@test> "
            f"size=<{record['size']}>") in s.log()


def test_eight_clients_one_mailbox(s):
    failed = []

    def client(number):
        with s.lmtp() as c:
            for i in range(20):
                if not c.deliver("a@b", ["bob"], message(f"{number}-{i}"), pipelined=True)["bob"].ok:
                    failed.append((number, i))
    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    box = s.show("user.bob")
    assert not failed and sorted(box.live) == list(range(1, 161)) and box.counters["exists"] == 160


def test_connections_leave_nothing(s):
    before = set(s.lmtpd())
    for _ in range(5):
        deliver(s, 1)
    wait_until(lambda: set(s.lmtpd()) == before, 10, "their processes are gone")
    assert [p for spool in s.spools() for p in (spool / "stage").iterdir()] == []
    assert places.processes_of(s.root)
