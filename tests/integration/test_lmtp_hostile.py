"""What strangers and real clients send: endless everything in bounded memory, and swaks as it comes from Debian."""
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from lib import places
from lib.lmtp import Lmtp, stuffed
from lib.lmtpd import ADMIN, PASSWORD, Lmtpd, message

MIB = 1 << 20
MOST_ABOVE_IDLE = 8 * MIB


@pytest.fixture
def s(root):
    with Lmtpd(root, tls=True) as s:
        s.do("create user.bob", "create user.eve")
        yield s


def private_memory(pid):
    """Bytes that are the process's own: what its heap and stack have, not files it has mapped."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


class Watched:
    """A connection, and the most memory its process had above what it had when idle."""

    def __init__(self, s):
        self.sanitized = b"__asan_init" in (s.bin / "lmtpd").read_bytes()
        before = set(s.lmtpd())
        self.client = Lmtp(("127.0.0.1", s.port), timeout=120)
        self.pid, = set(s.lmtpd()) - before
        self.client.command("NOOP")
        self.idle = self.most = private_memory(self.pid)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while not self.stop.is_set():
            try:
                self.most = max(self.most, private_memory(self.pid))
            except OSError:
                return
            time.sleep(0.005)

    def send(self, chunk, total):
        """The chunk again and again; an answer that came early stops nothing."""
        sent = 0
        while sent < total:
            self.client.wire.socket.sendall(chunk)
            sent += len(chunk)

    def begin(self):
        for line in ("MAIL FROM:<a@b>", "RCPT TO:<bob>", "RCPT TO:<eve>", "DATA"):
            self.client.command(line)

    def end(self, *codes):
        """End the message; the replies; memory stayed where it should, and the connection lives."""
        self.client.wire.send(b"\r\n.\r\n")
        replies = [self.client.reply(timeout=300).code for _ in codes]
        assert replies == list(codes)
        assert self.client.command("NOOP").ok
        self.stop.set()
        self.thread.join()
        self.client.close()
        grown = self.most - self.idle
        # the sanitizers' own memory is none of ours
        assert self.sanitized or grown <= MOST_ABOVE_IDLE, f"{grown / MIB:.1f} MiB above idle"


GIB = 1024 * MIB


@pytest.mark.limit(600)
@pytest.mark.parametrize("first, chunk, total, codes", [
    # refused from the start: nothing of it is kept
    (b"X: y\r\n\r\n\0", b"x" * MIB, GIB, (554, 554)),
    (b"no header", b"x" * MIB, GIB, (554, 554)),
    (b"", b"n" * MIB, GIB, (554, 554)),                            # a field name without end
    (b"X: y\r\n\r\n", b"\0" * MIB, GIB, (554, 554)),
    # larger than is allowed
    (b"X: y\r\n\r\n", b"x" * MIB, GIB, (552, 552)),               # one line
    (b"X: y\r\n\r\n", (b"z" * 998 + b"\r\n") * 1000, GIB, (552, 552)),
    (b"X: y\r\n\r\n", b"\r" * MIB, 300 * MIB, (250, 250)),        # bare CRs are nothing
    (b"X: y\r\n\r\n", b"\n" * MIB, 300 * MIB, (552, 552)),        # each becomes two bytes
    (b"X: ", b"v" * MIB, GIB, (552, 552)),                         # a header in one field
    (b"", b"X-A: b\r\n" * 100000, GIB, (552, 552)),                # fields without end
    (b"Message-ID: ", b"<a@b>\r\n " * 100000, GIB, (552, 552)),    # a value that is wanted
    (b"X: y\r\n\r\n", b".\r\r\n..\n.\n" * 100000, 300 * MIB, (552, 552)),
], ids=range(12))
def test_endless_messages(root, first, chunk, total, codes):
    with Lmtpd(root, {"maxmessagesize": 100 * MIB}) as s:
        s.do("create user.bob", "create user.eve")
        w = Watched(s)
        w.begin()
        w.client.wire.send(first)
        w.send(chunk, total)
        w.end(*codes)
        assert s.staged() == []


@pytest.mark.limit(300)
def test_a_large_message_is_stored_in_little_memory(s):
    w = Watched(s)
    w.begin()
    w.client.wire.send(message(1)[:-len(b"hello\r\n")])
    w.send((b"z" * 998 + b"\r\n") * 1000, 300 * MIB)
    w.end(250, 250)
    record, = s.show("user.bob").live.values()
    assert record["size"] > 300 * MIB and (s.directory("user.bob") / "1.").stat().st_nlink == 2


@pytest.mark.limit(300)
def test_endless_commands(s):
    w = Watched(s)
    w.send(b"x" * MIB, 512 * MIB)    # a line without end
    w.client.wire.send(b"\r\n")
    assert w.client.reply().code == 500
    for _ in range(2000):    # as many errors as you like, in one go
        w.client.wire.send(b"FOO\r\n" * 50)
        assert all(w.client.reply().code == 500 for _ in range(50))
    w.client.command("MAIL FROM:<a@b>")
    for _ in range(50):
        w.client.wire.send(b"RCPT TO:<bob>\r\n" * 100)
        codes = {w.client.reply().code for _ in range(100)}
    assert codes == {452}
    w.client.command("RSET")
    w.begin()
    w.client.wire.send(message(1))
    w.end(250, 250)


def test_bytes_of_all_kinds(s):
    """Whatever is said, each line is answered once, and the next connection is as good as new."""
    lines = [bytes(range(256)).replace(b"\n", b""), b"\xff" * 1000, b"MAIL FROM:<" + b"@a," * 500 + b"@b:c>",
             b"MAIL FROM:<\"" + b"\\\"" * 1000 + b"\"@x>", b"RCPT TO:<" + b"+" * 3000 + b">", b"\r\r\r", b"\0",
             b"AUTH " + b"A" * 4000, b"LHLO " + b"\x80" * 100]
    for line in lines:
        with s.lmtp() as c:
            c.send(line)
            assert c.reply().code // 100 in (2, 5)
            assert c.command("NOOP").ok
    with s.lmtp(("127.0.0.1", s.auth_port)) as c:
        c.send("AUTH PLAIN")
        assert c.reply().code == 334
        c.send(b"A" * 200000)
        assert c.reply().code == 501
        assert c.command("NOOP").ok


def test_slow_and_cut_up(s):
    """A byte at a time, and a client that resets in every state."""
    wire = b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<bob>\r\nDATA\r\n" + stuffed(message(1, b"..\r\n.x\r\n")) + b"QUIT\r\n"
    c = socket.create_connection(("127.0.0.1", s.port))
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in wire:
        c.sendall(bytes([byte]))
    got = b""
    while piece := c.recv(4096):
        got += piece
    assert b"250 2.1.5 Success" in got and got.endswith(b"221 2.0.0 bye\r\n")
    for end in range(0, len(wire) - 20, 7):
        c = socket.create_connection(("127.0.0.1", s.port))
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")    # a reset, no goodbye
        c.sendall(wire[:end])
        c.close()
    places.wait_until(lambda: s.staged() == [], 20, "stages are empty")
    assert len(s.show("user.bob").live) == 1 and s.lmtp().command("NOOP").ok


# ---- swaks ----------------------------------------------------------------------------------------------

def swaks(s, *args, status=0, data=None):
    program = shutil.which("swaks")
    if not program:
        raise places.Missing("no swaks: run scripts/bootstrap")
    command = [program, "--protocol", "LMTP", "--from", "ann@example.net", "--helo", "mx.example.net", "--timeout", "20s",
               *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=data,
                          env={**os.environ, "HOME": str(s.root)})
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_swaks_delivers(s):
    server = f"127.0.0.1:{s.port}"
    out = swaks(s, "--server", server, "--to", "bob@x,eve@x", "--header", "Subject: from swaks", "--body", "hi\n.\n..\nend")
    assert out.count("<~  250 2.1.5 Success") + out.count("<-  250 2.1.5 Success") == 2
    stored, = s.stored("user.bob")
    assert b"Received: from mx.example.net ([127.0.0.1])" in stored and b"Subject: from swaks\r\n" in stored
    assert stored.rstrip(b"\r\n").endswith(b"\r\nhi\r\n.\r\n..\r\nend")
    out = swaks(s, "--server", server, "--to", "bob,nobody", "--pipeline")
    assert re.search(r"<\*\* 550 5\.1\.1 User unknown", out) and "250 2.1.5 Success" in out
    assert "550" in swaks(s, "--server", server, "--to", "nobody", status=24)
    swaks(s, "--socket", s.socket, "--to", "eve")
    assert len(s.show("user.bob").live) == 2 and len(s.show("user.eve").live) == 2


def test_swaks_logs_in(s):
    server = f"127.0.0.1:{s.auth_port}"
    login = ("--auth-user", ADMIN, "--auth-password", PASSWORD)
    assert "430 4.7.0 Authentication required" in swaks(s, "--server", server, "--to", "bob", status=23)
    for mechanism in ("PLAIN", "LOGIN"):
        assert "235 2.7.0" in swaks(s, "--server", server, "--to", "bob", "--auth", mechanism, *login)
    swaks(s, "--server", server, "--to", "bob", "--auth", "PLAIN", "--auth-user", "bob", "--auth-password", PASSWORD,
          status=28)
    out = swaks(s, "--server", server, "--to", "bob", "--tls", "--auth", "PLAIN", *login)
    assert "=== TLS started with cipher TLSv1.3" in out
    stored = s.stored("user.bob")
    assert len(stored) == 3 and b" with LMTPSA\r\n" in stored[2] and b" with LMTPA;\r\n" in stored[0]
