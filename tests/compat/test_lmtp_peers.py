"""The same input to our lmtpd and to a real Cyrus's: the same replies and the same mail, but for what stands in DIFFERENCES,
each with its reason. A difference that is not listed fails, and so does one that is listed and not there any more."""
import re
import socket
import time

import pytest

from lib.lmtp import Lmtp
from lib.lmtpd import Lmtpd

SESSION = re.compile(r"SESSIONID=<[^>]*>")

# What we answer otherwise, by line or by the name of a message: (Cyrus, we, why).
DIFFERENCES = {
    # RFC 2034: every 2yz, 4yz and 5yz reply but the greeting and that to LHLO has an enhanced code
    "AUTH EXTERNAL =": ("501 5.5.4 undefined error!", "235 2.7.0 Authenticated!",
                        "both offer it to a client that is trusted: then it works"),
    "AUTH FOO": ("504 Unrecognized authentication type.", "504 5.5.4 Unrecognized authentication type.", "RFC 2034"),
    # RFC 5321, 4.1.1: NOOP takes a string; an argument that is missing is 501
    "NOOP x": ("500 5.5.2 Syntax error", "250 2.0.0 ok", "RFC 5321, 4.1.1.9"),
    "LHLO ": ("250 Ok SID", "501 5.5.4 Syntax error in parameters", "a name is wanted (RFC 2033, 4.1)"),
    "LHLO": ("500 5.5.2 Syntax error", "501 5.5.4 Syntax error in parameters", "RFC 5321, 4.2.2"),
    "MAIL": ("500 5.5.2 Syntax error", "501 5.5.4 Syntax error in parameters", "RFC 5321, 4.2.2"),
    "RCPT": ("500 5.5.2 Syntax error", "501 5.5.4 Syntax error in parameters", "RFC 5321, 4.2.2"),
    "MAIL FROM:<a@>": ("250 2.1.0 ok", "501 5.5.4 Syntax error in parameters", "no domain behind the @"),
    "MAIL FROM:<a@b>  SIZE=10": ("501 5.5.4 Unrecognized parameters", "250 2.1.0 ok", "blanks do no harm"),
    "MAIL FROM:<a@b> SIZE=1 SIZE=2": ("250 2.1.0 ok", "501 5.5.4 Syntax error in parameters", "RFC 5321, 4.1.1.11"),
    # a quoted local part means what is in it (RFC 5321, 4.1.2)
    'RCPT TO:<"alice">': ("550 5.1.1 User unknown", "250 2.1.5 ok", "RFC 5321, 4.1.2"),
    'RCPT TO:<"alice+Work"@x>': ("550 5.1.1 User unknown", "250 2.1.5 ok", "RFC 5321, 4.1.2"),
    'RCPT TO:<"first.last"@x>': ("550 5.1.1 User unknown", "250 2.1.5 ok", "RFC 5321, 4.1.2"),
    'RCPT TO:<"al\\ice">': ("550 5.1.1 User unknown", "250 2.1.5 ok", "RFC 5321, 4.1.2"),
    "LHLO in a transaction": ("250 2.1.5 ok", "503 5.5.1 Need MAIL command", "RFC 5321, 4.1.4: it ends there"),
    "RCPT TO:<alice\\+Work>": ("550 5.1.1 User unknown", "250 2.1.5 ok", "RFC 821's quoting without quotes"),
    # messages
    "LF dot LF": ("ends at the bare LF", "text", "only CRLF . CRLF ends a message: no smuggling"),
    "CRLF dot LF": ("ends at the bare LF", "text", "the same"),
    "LF dot CRLF": ("ends at the bare LF", "text", "the same"),
    "CR in the header": ("begins a field", "is dropped", "nobody shall write a field that way"),
    "an empty Message-ID": ("554 5.6.0 Message contains invalid header", "250 2.1.5 Success SID",
                            "it says nothing, but it is a field"),
    "too big": ("552 once for all recipients", "552 for each", "RFC 2033, 4.2"),
}

@pytest.fixture
def both(root, cyrus_peer):
    """(a real Cyrus, ours), with the same mailboxes."""
    options = {"maxmessagesize": 100000}
    peer = cyrus_peer(imapd=options)
    peer.make_user("alice", "bob", "first.last")
    with peer.admin() as c:
        c.ok("CREATE", "user/alice/Work")
        c.ok("SETACL", "user/alice/Work", "anyone", "p")
        c.ok("CREATE", "user/alice/Private")
        c.ok("CREATE", "shared")
        c.ok("SETACL", "shared", "anyone", "lrsp")
        c.ok("CREATE", "closed")
        c.ok("SETACL", "closed", "anyone", "lrs")
        c.ok("SETQUOTA", "user/bob", "(MESSAGE 0)")
    with Lmtpd(root, options) as ours:
        ours.do("create user.alice alice lrswipkxtecdan", "create user.alice.Work alice lrswipkxtecdan anyone p",
                "create user.alice.Private alice lrswipkxtecdan", "create user.bob bob lrswipkxtecdan",
                "create user.first^last", "create shared anyone lrsp", "create closed anyone lrs",
                "quota user.bob MESSAGE 0")
        yield peer, ours


def ports(both):
    peer, ours = both
    return ("127.0.0.1", peer.lmtp_port), ("127.0.0.1", ours.port)


def one_line(reply):
    """A reply as its last line; the lines above it are compared by their number."""
    words = [str(reply.code), reply.enhanced, SESSION.sub("SID", reply.lines[-1])]
    return " ".join(w for w in words if w)


def say(address, *lines):
    """The reply to the last of these lines, after LHLO and those before it."""
    with Lmtp(address) as c:
        for line in lines:
            c.send(line)
            reply = c.reply()
        return one_line(reply), len(reply.lines)


COMMANDS = ["NOOP", "NOOP x", "RSET", "RSET x", "DATA", "DATA x", "RCPT TO:<alice>", "VRFY alice", "VRFY", "HELP", "EXPN x",
            "HELO x", "EHLO x", "FOO", "", "   ", "QUIT x", "QUIT", "STARTTLS", "AUTH", "AUTH FOO", "AUTH EXTERNAL =",
            "LHLO", "LHLO ", "noop", "MAIL", "RCPT", "X" * 3000]
SENDERS = ["<>", " <a@b>", "a@b", "<a b@c>", '<"a b"@c>', "<a@b", "<a>", "<a@>", "<@b>", "<a@b@c>", '<"a\\"b"@c>',
           "<a@[1.2.3.4]>", "<\xe4@b>", "<a..b@c>", "<.a@c>", "<@x,@y:a@b>", "<a@b> SIZE=100", "<a@b> SIZE=x", "<a@b> SIZE=",
           "<a@b> SIZE=100001", "<a@b> BODY=8BITMIME", "<a@b> BODY=7BIT", "<a@b> BODY=x", "<a@b> AUTH=<>", "<a@b> AUTH=x+3Dy",
           "<a@b> FOO=bar", "<a@b> FOO", "<a@b>SIZE=1", "<a@b>  SIZE=10", "<a@b> SIZE=1 SIZE=2", "<a@b> RET=HDRS ENVID=q"]
RECIPIENTS = ["<alice>", "<ALICE>", "<alice@any.dom>", "<alice+Work>", "<alice+work>", "<alice+nope@x>", "<alice+>",
              "<+shared>", "<+closed>", "<+nope>", "<+>", "<nobody>", "<>", "<@x:alice>", "<@x,@y:alice@z>", "alice",
              " <alice>", "<alice", "<first.last>", '<"alice">', '<"alice+Work"@x>', '<"al\\ice">', '<"first.last"@x>',
              "<user/alice>", "<+user/alice>", "<+user/alice/Work>", "<alice> IGNOREQUOTA", "<alice> FOO",
              "<alice> NOTIFY=NEVER", "<alice@x@y>", "<alice\xe4>", "<alice*>", "<a:b>", "<alice bob>", "<alice@[1.2.3.4]>",
              "<postmaster>", "<" + "a" * 300 + ">", "<anonymous>", "<anyone>", "<admin>", "<alice\\+Work>", "<alice+W*k>",
              "<alice+..>", "<alice+Work//x>"]
CASES = [(line,) for line in COMMANDS] + [("MAIL FROM:" + s,) for s in SENDERS] + \
    [("MAIL FROM:<a@b>", "RCPT TO:" + r) for r in RECIPIENTS] + \
    [("MAIL FROM:<a@b>", "MAIL FROM:<a@b>"), ("MAIL FROM:<a@b>", "DATA"), ("MAIL FROM:<a@b>", "RCPT TO:<nobody>", "DATA"),
     ("MAIL FROM:<a@b>", "RSET", "RCPT TO:<alice>")]


def without_numbers(text):
    """Texts that name the limit do so in parentheses; Cyrus's sometimes more than that."""
    return re.sub(r" \(\d+\)", "", text)


def test_replies(both):
    wrong, met = [], set()
    for case in CASES:
        name = case[-1].encode("latin1", "replace").decode("latin1")
        lines = [line.encode("latin1") for line in case]
        theirs, ours = (say(a, *lines) for a in ports(both))
        if name in DIFFERENCES and len(case) <= 2:
            met.add(name)
            if (theirs[0], ours[0]) != DIFFERENCES[name][:2]:
                wrong.append((case, theirs, ours))
        elif (without_numbers(theirs[0]), theirs[1]) != (without_numbers(ours[0]), ours[1]):
            # capabilities are compared below
            if not case[-1].startswith("LHLO"):
                wrong.append((case, theirs, ours))
    assert not wrong, "\n".join(f"{c}\n  Cyrus {t}\n  we    {o}" for c, t, o in wrong)
    lhlo = "LHLO in a transaction"
    assert met == {d for d in DIFFERENCES if re.match(r"[A-Z]{4}\b", d)} - {lhlo, *SMUGGLED}
    transaction = ("MAIL FROM:<a@b>", "RCPT TO:<alice>", "LHLO x", "RCPT TO:<alice>")
    assert tuple(say(a, *transaction)[0] for a in ports(both)) == DIFFERENCES[lhlo][:2]
    assert all(why for _, _, why in DIFFERENCES.values())


def test_extensions(both):
    theirs, ours = (Lmtp(a).extensions for a in ports(both))
    for e in (theirs, ours):
        e.pop("OK")
    assert theirs == ours
    greetings = [Lmtp(a).greeting.text for a in ports(both)]
    assert [re.sub(r"3\.6\.1-\S+", "VERSION", g.split(" ", 1)[1]) for g in greetings] == \
        ["Cyrus LMTP VERSION server ready"] * 2


# ---- messages ---------------------------------------------------------------------------------------------

SMUGGLED = ("LF dot LF", "CRLF dot LF", "LF dot CRLF")
MESSAGES = {
    "plain": b"Subject: x\r\nMessage-ID: <1@x>\r\nDate: d\r\n\r\nhi\r\n",
    "no id, no date": b"Subject: x\r\n\r\nhi\r\n",
    "own Return-Path": b"Return-Path: <evil@x>\r\nSubject: x\r\n\r\nhi\r\n",
    "dots": b"Subject: dots\r\n\r\n..one\r\n...two\r\n.x\r\na.\r\n",
    "bare LF": b"Subject: lf\n\nline1\nline2\r\n",
    "bare CR": b"Subject: cr\r\n\r\nab\rcd\r\r\nx\r\n",
    "CR dot CRLF": b"Subject: crdot\r\n\r\nab\r.\r\nx\r\n",
    "NUL": b"Subject: nul\r\n\r\nab\0cd\r\n",
    "NUL in the header": b"Subject: n\0ul\r\n\r\nabcd\r\n",
    "8-bit header": b"Subject: \xe4\xf6\r\n\r\nabc\xe4\r\n",
    "8-bit name": b"X-\xe4: x\r\n\r\nabc\r\n",
    "no blank line": b"Subject: nb\r\nFoo: x\r\n",
    "empty": b"",
    "only a blank line": b"\r\n",
    "no header": b"hello world\r\nmore\r\n",
    "body first": b"\r\nhello world\r\n",
    "a bad line": b"Subject: x\r\nnot a header\r\nFoo: y\r\n\r\nbody\r\n",
    "folded first": b" folded\r\nSubject: x\r\n\r\nbody\r\n",
    "From of an mbox": b"From alice Mon Jan 1\r\nSubject: x\r\n\r\nbody\r\n",
    "a long line": b"Subject: long\r\n\r\n" + b"x" * 5000 + b"\r\n",
    "odd fields": b"1Foo: x\r\nX-Foo : x\r\nX_y!: y\r\nX-Empty:\r\nX:nospace\r\n\r\nx\r\n",
    "folds": b"X-Foo: a\r\n \r\n\tb\r\nX: z\r\n\r\nx\r\n",
    "two of each": b"Message-ID: <z@z>\r\nMessage-ID: <z2@z>\r\nDate: x\r\nDate: y\r\n\r\nx\r\n",
    "a folded id": b"Message-ID: \r\n <zz@z>\r\nDate: x\r\n\r\nx\r\n",
    "an odd id": b"Message-ID: garbage\r\nDate: x\r\n\r\nx\r\n",
    "LF dot LF": b"Subject: lfdot\r\n\r\nline1\n.\nline2\r\n",
    "CRLF dot LF": b"Subject: crlfdotlf\r\n\r\nline1\r\n.\nline2\r\n",
    "LF dot CRLF": b"Subject: lfdotcrlf\r\n\r\nline1\n.\r\nRSET\r\n",
    "CR in the header": b"X-Foo: a\rInj: b\r\nX: z\r\n\r\nx\r\n",
    "an empty Message-ID": b"Message-ID:\r\nDate:\r\n\r\nx\r\n",
}


def canonical(data):
    """What may differ between two servers and two moments is taken out."""
    data = re.sub(rb"\r\nReceived: from (\S+) .*?\r\n\t .*?with (\S+);\r\n\t [^\r]*", rb"\r\nReceived: \1 \2", data, count=1,
                  flags=re.S)
    data = re.sub(rb"\r\nX-Cyrus-Session-Id: [^\r]*", b"", data)
    data = re.sub(rb"\r\nX-Sieve: [^\r]*", b"", data)    # there is no Sieve here yet, so we do not say so
    data = re.sub(rb"<(cmu-)?lmtpd-[^>]*>", b"<made>", data)
    return re.sub(rb"\r\nDate: \w{3}, \d\d? \w{3} 20\d\d [0-9:]{8} [+-]\d{4}", b"\r\nDate: now", data)


def deliver(address, data):
    """The reply after the data, and whether the connection is where it should be."""
    with Lmtp(address) as c:
        for line in ("MAIL FROM:<a@b>", "RCPT TO:<alice>", "DATA"):
            c.command(line)
        c.wire.send(data + b".\r\n")
        reply = one_line(c.reply())
        c.send("NOOP")
        return reply, one_line(c.reply())


def newest_of_cyrus(peer, seen):
    files = [p for p in (peer.root / "spool").rglob("*.") if p.is_file() and "stage." not in str(p) and p not in seen]
    seen.update(files)
    return [p.read_bytes() for p in files]


def test_messages(both):
    peer, ours = both
    seen, count = set(), 0
    for name, data in MESSAGES.items():
        (their_reply, their_noop), (our_reply, our_noop) = (deliver(a, data) for a in ports(both))
        theirs = newest_of_cyrus(peer, seen)
        mine = ours.stored("user.alice")[count:]
        count += len(mine)
        assert our_noop == "250 2.0.0 ok", name
        if name in SMUGGLED:
            # theirs ends early, and the rest is taken for commands; ours is all there
            assert their_noop != "250 2.0.0 ok" and theirs[0].endswith(b"\r\n\r\nline1\r\n"), name
            assert mine[0].endswith((b"\r\nline2\r\n", b"\r\nRSET\r\n")), name
        elif name == "an empty Message-ID":
            assert (their_reply, our_reply) == DIFFERENCES[name][:2] and b"\r\nMessage-ID:\r\n" in mine[0]
        elif name == "CR in the header":
            assert b"\r\nInj: b\r\n" in theirs[0] and b"X-Foo: aInj: b\r\n" in mine[0]
        else:
            assert our_reply == their_reply, name
            assert list(map(canonical, mine)) == list(map(canonical, theirs)), name


def test_several_recipients(both):
    names = ["alice", "nobody", "alice+Work", "+shared", "first.last", "alice", "bob"]
    got = []
    for address in ports(both):
        with Lmtp(address) as c:
            out = []
            for _ in range(2):    # the second is a duplicate; bob is over his limit after the first
                out += [one_line(c.command("MAIL FROM:<a@b>"))]
                out += [one_line(c.command(f"RCPT TO:<{n}>")) for n in names]
                out += [one_line(c.command("DATA"))]
                data = b"Message-ID: <many@x>\r\nDate: d\r\n\r\nx\r\n.\r\n"
                accepted = sum(r.startswith("250 2.1.5") for r in out[-len(names) - 1:-1])
                c.wire.send(data)
                out += [one_line(c.reply()) for _ in range(accepted)] + [one_line(c.command("NOOP"))]
            got.append(out)
    assert got[0] == got[1]
    peer, ours = both
    dropped = [sum("dupelim: eliminated duplicate message to" in line for line in log)
               for log in (peer.log(), ours.log().splitlines())]
    assert dropped[0] == dropped[1] > 0


def test_too_big(both):
    """One reply for each recipient; Cyrus has one for all."""
    theirs, ours = [], []
    for address, out in zip(ports(both), (theirs, ours)):
        with Lmtp(address) as c:
            for line in ("MAIL FROM:<a@b>", "RCPT TO:<alice>", "RCPT TO:<first.last>", "DATA"):
                c.command(line)
            c.wire.send(b"A: b\r\n\r\n" + b"x" * 120000 + b"\r\n.\r\nNOOP\r\n")
            while not out or not out[-1].startswith("250"):
                out.append(one_line(c.reply()))
    assert [r[:9] for r in theirs] == ["552 5.2.3", "250 2.0.0"]
    assert [r[:9] for r in ours] == ["552 5.2.3", "552 5.2.3", "250 2.0.0"]


def test_nobody_waits_for_an_acknowledgement(both):
    """A transaction sent in one piece: Cyrus's replies come one write each."""
    def pieces(address):
        wire = socket.create_connection(address)
        wire.settimeout(10)
        wire.recv(4096)
        wire.sendall(b"LHLO x\r\n")
        time.sleep(0.2)
        wire.recv(4096)
        wire.sendall(b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<alice>\r\nRCPT TO:<nobody>\r\n" * 5 + b"DATA\r\nA: b\r\n\r\n.\r\n")
        got, count = b"", 0
        while got.count(b"Success") < 5:
            got += wire.recv(65536)
            count += 1
        wire.close()
        return count
    ours = pieces(ports(both)[1])
    assert ours == 1
