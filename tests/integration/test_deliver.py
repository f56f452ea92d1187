"""deliver: a message from a pipe to lmtpd, and what an MTA is told by its exit status."""
import os
import pwd
import resource
import socket
import subprocess
import threading
import time

import pytest

from lib import places
from lib.lmtpd import Lmtpd

TEXT = "From: a@example.net\nSubject: x\nMessage-ID: <{0}@test>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\n.dot\n..\nhello\n"


@pytest.fixture
def make(root):
    made = []

    def start(imapd=None):
        s = Lmtpd(root, {"lmtpsocket": root / "lmtp", "postuser": "post", "unixhierarchysep": True, **(imapd or {})}).start()
        made.append(s)
        s.do("create user.bob bob lrswipkxtecdan", "create user.bob.Work bob lrswipkxtecdan anyone p",
             "create user.bob.Private bob lrswipkxtecdan", "create user.eve", "create user.full",
             "create shared anyone lrs", "create shared.pub anyone lrsp", "create hidden bob lrsp")
        return s
    yield start
    for s in made:
        s.__exit__(None)


@pytest.fixture
def s(make):
    return make()


def deliver(s, *args, text=None, user=None, **more):
    """CompletedProcess with bytes. user: who runs it, instead of root."""
    deliver.number = getattr(deliver, "number", 0) + 1
    data = TEXT.format(deliver.number).encode() if text is None else text
    become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user and os.getuid() == 0 else {}
    return subprocess.run([places.build() / "deliver", "-C", s.imapd_conf, *args], input=data, capture_output=True,
                          timeout=60, env={**s.environment, "PATH": "/usr/bin:/bin"}, cwd="/", **become, **more)


def ok(s, *args, **more):
    done = deliver(s, *args, **more)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done
    return done


def told(done):
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def count(s, mailbox):
    return len(s.show(mailbox).live)


def body(stored):
    return stored.split(b"\r\n\r\n", 1)[1]


def fields(stored, name):
    return [line for line in stored.split(b"\r\n\r\n", 1)[0].split(b"\r\n") if line.lower().startswith(name.lower() + b":")]


# ---- who gets it ----------------------------------------------------------------------------------------

def test_lines_and_dots(s):
    ok(s, "bob")
    ok(s, "bob", text=TEXT.format("crlf").replace("\n", "\r\n").encode())
    ok(s, "bob", text=b"Subject: no end\n\n.")
    first, second, third = s.stored("user.bob")
    assert body(first) == body(second) == b".dot\r\n..\r\nhello\r\n"
    assert body(third) == b".\r\n"


def test_several_users_and_their_outcomes(s):
    done = deliver(s, "bob", "nosuch", "eve@example.net")
    assert told(done) == (65, "nosuch: Mailbox does not exist\n", "")
    assert (count(s, "user.bob"), count(s, "user.eve")) == (1, 1)


def fill(s):
    """The message that crosses the limit is let in."""
    s.do("quota user.full MESSAGE 0")
    ok(s, "full")


def test_quota(s):
    fill(s)
    assert told(deliver(s, "full")) == (75, "", "full: Over quota\n")
    assert told(deliver(s, "nosuch", "full")) == (75, "nosuch: Mailbox does not exist\n", "full: Over quota\n")
    assert told(deliver(s, "full", "nosuch")) == (75, "nosuch: Mailbox does not exist\n", "full: Over quota\n")
    assert count(s, "user.full") == 1
    ok(s, "-q", "full")
    assert count(s, "user.full") == 2


def test_a_full_mailbox_may_be_for_good(make):
    s = make({"lmtp_over_quota_perm_failure": True})
    fill(s)
    assert told(deliver(s, "full")) == (65, "full: Over quota\n", "")


def test_mailboxes(s):
    ok(s, "-m", "Work", "bob")
    ok(s, "-m", "Work", "bob@example.net")
    ok(s, "-m", "Private", "bob")         # nobody may post there: the INBOX gets it
    ok(s, "-m", "Private", "-a", "bob", "bob")
    ok(s, "-m", "nosuch", "bob")
    ok(s, "-m", "", "bob")
    assert (count(s, "user.bob.Work"), count(s, "user.bob.Private"), count(s, "user.bob")) == (2, 1, 3)


def test_shared_mailboxes(s):
    ok(s, "-m", "shared/pub")
    assert told(deliver(s, "-m", "shared")) == (65, "post+shared: Permission denied\n", "")
    assert told(deliver(s, "-m", "nosuch")) == (65, "post+nosuch: Mailbox does not exist\n", "")
    assert deliver(s, "-m", "hidden").returncode == 65
    ok(s, "-m", "hidden", "-a", "bob")
    assert (count(s, "shared.pub"), count(s, "hidden")) == (1, 1)


@pytest.mark.parametrize("args, path", [
    (("-r", "ann@x.test"), b"<ann@x.test>"), (("-f", "ann@x.test"), b"<ann@x.test>"), (("-r", "<ann@x.test>"), b"<ann@x.test>"),
    (("-r", ""), b"<>"), (("-r", "<>"), b"<>"), (("-r", "first@x", "-f", "ann@x.test"), b"<ann@x.test>")])
def test_the_sender(s, args, path):
    ok(s, *args, "bob")
    assert fields(s.stored("user.bob")[0], b"Return-Path") == [b"Return-Path: " + path]


def test_the_sender_is_who_runs_us(s):
    ok(s, "bob")
    name = places.daemon_user().pw_name.encode()
    assert fields(s.stored("user.bob")[0], b"Return-Path")[0].startswith(b"Return-Path: <" + name)


def test_options_without_effect(s):
    for option in ("-d", "-e", "-D"):
        ok(s, option, "bob")
    assert count(s, "user.bob") == 3


# ---- what is refused -----------------------------------------------------------------------------------------

USAGE = "421-4.3.0 usage: deliver "


@pytest.mark.parametrize("args, first", [
    ((), USAGE), (("-m", ""), USAGE), (("-z",), None), (("-F", "x", "bob"), "deliver: 'F' option no longer supported"),
    (("-E", "3"), "deliver: 'E' option no longer supported"), (("-m", "a", "-m", "b", "bob"), "deliver: multiple -m options"),
    (("-a", "a", "-a", "b", "bob"), "deliver: multiple -a options")])
def test_a_wrong_command_line(s, args, first):
    status, out, err = told(deliver(s, *args))
    assert (status, out) == (64, "") and USAGE in err
    assert not first or err.startswith(first)
    assert count(s, "user.bob") == 0


@pytest.mark.parametrize("user", ["bad user", "bob>", "bob> IGNOREQUOTA", "", "a\r\nDATA", "bob\x7f", "b\nRCPT TO:<eve>"])
def test_addresses_that_are_none(s, user):
    done = deliver(s, user)
    assert done.returncode == 65 and done.stdout.decode().startswith(user + ": ")
    assert (count(s, "user.bob"), count(s, "user.eve")) == (0, 0)


def test_a_sender_that_is_none(s):
    for sender in ("a@b c", "a@b>\r\nRCPT TO:<eve>"):
        assert deliver(s, "-r", sender, "bob").returncode == 65
    assert (count(s, "user.bob"), count(s, "user.eve")) == (0, 0)


def test_a_message_that_is_none(s):
    assert told(deliver(s, "bob", text=b"no header\n")) == (65, "bob: Message contains invalid header\n", "")
    assert told(deliver(s, "bob", text=b"Subject: x\n\na\0b\n")) == (65, "bob: Message contains NUL characters\n", "")
    assert count(s, "user.bob") == 0


def test_too_large_a_message(make):
    s = make({"maxmessagesize": "64K"})
    done = deliver(s, "bob", text=b"Subject: x\n\n" + b"y" * 79 * 2000)
    assert done.returncode == 65 and b"Message size exceeds" in done.stdout
    assert count(s, "user.bob") == 0


def test_a_wrong_configuration(root):
    bad = root / "bad.conf"
    bad.write_text("lmtptxn_timeout: nonsense\n")
    done = subprocess.run([places.build() / "deliver", "-C", bad, "bob"], input=b"", capture_output=True, timeout=20)
    assert done.returncode == 78 and b"lmtptxn_timeout" in done.stderr


# ---- trouble on the way ------------------------------------------------------------------------------------------

def test_no_lmtpd(make):
    s = make()
    s.options["lmtpsocket"] = s.root / "nobody"
    places.write_conf(s.imapd_conf, s.options)
    done = deliver(s, "bob")
    assert done.returncode == 75 and b"couldn't connect to lmtpd" in done.stderr
    done = deliver(s, "-l")
    assert done.returncode == 75 and b"couldn't connect to lmtpd" in done.stderr


class Silent:
    """A socket whose server says what a test wants, and nothing else."""

    def __init__(self, path, *says):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen()
        self.says, self.got = says, b""
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        client, _ = self.listener.accept()
        for text, wait_for in self.says:
            client.sendall(text)
            while wait_for not in self.got:
                data = client.recv(65536)
                if not data:
                    return
                self.got += data
        client.close()


CONVERSATION = [(b"220 x\r\n", b"LHLO"), (b"250 x\r\n", b"MAIL"), (b"250 ok\r\n", b"RCPT"), (b"250 ok\r\n", b"DATA"),
                (b"354 go\r\n", b"\r\n.\r\n")]


@pytest.mark.parametrize("length", range(len(CONVERSATION) + 1))
def test_a_server_that_goes_away(s, length):
    """Wherever that is, the message is to be tried again."""
    path = s.root / "silent"
    s.options["lmtpsocket"] = path
    places.write_conf(s.imapd_conf, s.options)
    Silent(path, *CONVERSATION[:length])
    assert deliver(s, "bob").returncode == 75


def test_a_server_that_falls_silent(make):
    s = make({"lmtptxn_timeout": 1})
    s.options["lmtpsocket"] = path = s.root / "silent"
    places.write_conf(s.imapd_conf, s.options)
    Silent(path, (b"220 x\r\n", b"never"))
    started = time.monotonic()
    assert deliver(s, "bob").returncode == 75
    assert time.monotonic() - started < 15


def test_it_needs_no_right_but_that_to_connect(s):
    """An MTA runs it as a user of its own, who cannot read the store nor write the log."""
    nobody = pwd.getpwnam("nobody")
    os.chmod(s.socket, 0o666)
    s.imapd_conf.chmod(0o644)
    done = deliver(s, "bob", user=nobody)
    assert done.returncode == 0, done
    assert fields(s.stored("user.bob")[0], b"Return-Path")[0].startswith(b"Return-Path: <nobody")


# ---- size ---------------------------------------------------------------------------------------------------------

def test_memory_does_not_depend_on_the_message(s):
    """50 MB pass through a process that may have no more than 12 MB of data."""
    line = b"x" * 77 + b"\n"
    text = TEXT.format("large").encode() + line * (50_000_000 // len(line))

    def small():
        resource.setrlimit(resource.RLIMIT_DATA, (12 << 20, 12 << 20))
    sanitized = b"__asan_init" in (places.build() / "deliver").read_bytes()    # it maps far more for itself
    done = deliver(s, "bob", text=text, **({} if sanitized else {"preexec_fn": small}))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    stored = s.stored("user.bob")[0]
    assert body(stored) == b".dot\r\n..\r\nhello\r\n" + line.replace(b"\n", b"\r\n") * (50_000_000 // len(line))


# ---- whole sessions ---------------------------------------------------------------------------------------------------

def test_a_session(s):
    said = b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob>\r\nDATA\r\n" + TEXT.format(1).replace("\n", "\r\n").replace(
        "\r\n.", "\r\n..").encode() + b".\r\nQUIT\r\n"
    done = deliver(s, "-l", text=said)
    lines = done.stdout.decode().split("\r\n")
    assert done.returncode == 0 and lines[0].startswith("220 ") and lines[-2] == "221 2.0.0 bye"
    assert body(s.stored("user.bob")[0]) == b".dot\r\n..\r\nhello\r\n"


def test_a_session_that_just_stops(s):
    """What was asked before standard input ended is answered."""
    done = deliver(s, "-l", text=b"LHLO x\r\n")
    assert done.returncode == 0 and b"250 Ok" in done.stdout


def test_a_session_turn_by_turn(s):
    """Each answer comes while the next command has not been said, and a large message goes through."""
    client = subprocess.Popen([places.build() / "deliver", "-C", s.imapd_conf, "-l"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env={**s.environment, "PATH": "/usr/bin:/bin"}, cwd="/")

    def say(line):
        client.stdin.write(line + b"\r\n")
        client.stdin.flush()

    def hear():
        line = client.stdout.readline()
        while line[3:4] == b"-":
            line = client.stdout.readline()
        return int(line[:3])
    assert hear() == 220
    for line, code in ((b"LHLO x", 250), (b"MAIL FROM:<>", 250), (b"RCPT TO:<bob>", 250), (b"DATA", 354)):
        say(line)
        assert hear() == code
    say(b"Subject: x\r\n\r\n" + b"y" * 300_000 + b"\r\n.")
    assert hear() == 250
    say(b"QUIT")
    assert hear() == 221
    assert client.wait(20) == 0
    assert count(s, "user.bob") == 1


def test_a_session_with_a_server_that_is_gone(s):
    path = s.root / "silent"
    s.options["lmtpsocket"] = path
    places.write_conf(s.imapd_conf, s.options)
    Silent(path, (b"421 4.3.2 closed\r\n", b""))
    done = deliver(s, "-l", text=b"LHLO x\r\n" * 1000)
    assert done.returncode == 0 and done.stdout == b"421 4.3.2 closed\r\n"


# ---- twice ---------------------------------------------------------------------------------------------------------------

def test_trying_again_brings_it_once(s):
    fill(s)
    text = TEXT.format("again").encode()
    assert deliver(s, "bob", "full", text=text).returncode == 75
    s.do("quota user.full MESSAGE 10")
    ok(s, "bob", "full", text=text)
    assert (count(s, "user.bob"), count(s, "user.full")) == (1, 2)
