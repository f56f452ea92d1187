"""imapd as a connection: greeting, layers, logging in, limits, what strangers send, how it ends."""
import base64
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from lib.imap import Imap, ImapError, Literal
from lib.mail_server import ADMIN, PASSWORD
from lib.places import wait_until
from lib.server import ONLY_IMAP
from lib.wire import Wire

ALL = ("IMAP4REV1 LITERAL+ ID ENABLE ACL ANNOTATE-EXPERIMENT-1 CHILDREN CONDSTORE CREATE-SPECIAL-USE ESEARCH LIST-EXTENDED LIST-MYRIGHTS LIST-STATUS "
       "METADATA MOVE MULTIAPPEND NAMESPACE OBJECTID QRESYNC QUOTA RIGHTS=KXTEN SAVEDATE SEARCHRES SPECIAL-USE STATUS=SIZE "
       "UIDPLUS UNSELECT DIGEST=SHA1 COMPRESS=DEFLATE IDLE").split()
TOKEN = base64.b64encode(b"\0alice\0" + PASSWORD.encode()).decode()


@pytest.fixture
def make(server):
    """make(key=value...): a server with alice and bob and these keys in imapd.conf."""
    def one(**options):
        s = server(services=ONLY_IMAP, imapd=options)
        s.add_users("alice", "bob")
        with s.imap() as c:    # passwords may need TLS
            c.starttls()
            c.login(ADMIN, PASSWORD)
            for user in ("alice", "bob"):
                c.ok("CREATE", f"user/{user}")
        return s
    return one


@pytest.fixture
def s(make):
    return make()


def wire(s):
    w = Wire(("127.0.0.1", s.imap_port), 20)
    w.greeting = w.line().decode()
    return w


def say(w, line):
    """The tagged answer to one raw command."""
    w.send(line.encode() + b"\r\n" if isinstance(line, str) else line)
    tag = line.split(" ")[0] if isinstance(line, str) else line.split(b" ")[0].decode()
    while True:
        answer = w.line().decode()
        if answer.startswith((tag + " ", "* BAD", "* BYE")):
            return answer


def rss_kib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])


def pid_of(s, w):
    """The process that serves this connection: who has its other end open."""
    port = w.socket.getsockname()[1] if hasattr(w, "socket") else None
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(f":{port:04X}") and fields[1].endswith(f":{s.imap_port:04X}"):
            inode = fields[9]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            for fd in (process / "fd").iterdir():
                if os.readlink(fd) == f"socket:[{inode}]":
                    return int(process.name)
        except OSError:
            pass
    raise AssertionError("nobody serves it")


# ---- greeting and capabilities -----------------------------------------------------------------------

def test_capabilities_are_what_there_is(s):
    with s.imap() as c:
        assert c.greeting.code[0] == "CAPABILITY"
        assert "server ready" in c.greeting.text and "us.test Cyrus IMAP 3.6.1-Understudy-" in c.greeting.text
        before = c.capabilities()
        assert before == {*ALL, "STARTTLS", "AUTH=PLAIN", "AUTH=LOGIN", "SASL-IR"}
        reply = c.login("alice", PASSWORD)
        after = {str(word).upper() for word in reply.code[1:]}
        assert after == {*ALL, "LOGINDISABLED"} == c.capabilities()
        assert re.search(r"User logged in SESSIONID=<imap-\d+-\d+-1-\d+>", reply.text)
    with s.admin() as c:
        assert "X-REPLICATION" in c.capabilities()
    with s.imap("alice") as c:
        c.compress()
        assert "COMPRESS=DEFLATE" not in c.capabilities()


def test_the_operator_hides_capabilities(make):
    s = make(suppress_capabilities="IDLE quota", serverinfo="off", imapidlepoll="60s")
    with s.imap("alice") as c:
        assert not {"IDLE", "QUOTA"} & c.capabilities() and "ACL" in c.capabilities()
        assert "Cyrus" not in c.greeting.text
        assert c.ok("ID", "NIL").one("ID").values == [None]


def test_id(s):
    with s.imap("alice") as c:
        values = c.ok("ID", '("name" "test" "version" "1")').one("ID").values[0]
        pairs = dict(zip(values[::2], values[1::2]))
        assert pairs[b"name"] == b"Cyrus IMAPD" and b"Understudy" in pairs[b"version"]
    wait_until(lambda: any("event=imap.client" in line and "client=test" in line for line in s.log()), 5, "the log")


def test_the_message_of_the_day(s):
    (s.root / "conf/msg").mkdir()
    (s.root / "conf/msg/motd").write_text("[ALERT] be nice\nsecond line\n")
    w = wire(s)
    assert w.line() == b"* OK [ALERT] ALERT] be nice"


def test_a_closed_door(s):
    with s.imap("alice") as c, s.admin() as boss, s.imap("bob") as idler:
        tag = idler.start("IDLE")
        assert idler.continuation(tag) is None
        (s.root / "conf/msg").mkdir()
        (s.root / "conf/msg/shutdown").write_text("[back at ten\n")
        boss.ok("NOOP")
        c.raw(b"x NOOP\r\n")
        assert c.wire.line() == b"x OK Completed"
        assert c.wire.line() == b"* BYE [ALERT] back at ten"
        c.wire.expect_closed()
        with s.imap() as late:
            late.raw(f"x LOGIN bob {PASSWORD}\r\n".encode())
            assert late.wire.line().startswith(b"x OK")
            assert late.wire.line().startswith(b"* BYE [ALERT]")


# ---- TLS --------------------------------------------------------------------------------------------------

def tls_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_starttls(make):
    s = make(allowplaintext=False, sasl_mech_list="PLAIN LOGIN")
    with Imap(("127.0.0.1", s.imap_port)) as c:
        assert {"STARTTLS", "LOGINDISABLED"} <= c.capabilities() and "AUTH=PLAIN" not in c.capabilities()
        with pytest.raises(ImapError, match="Login only available under a layer"):
            c.login("alice", PASSWORD)
        assert c.command("AUTHENTICATE", "PLAIN", TOKEN).status == "NO"
        c.starttls()
        assert {"AUTH=PLAIN"} <= c.capabilities() and not {"STARTTLS", "LOGINDISABLED"} & c.capabilities()
        assert c.command("STARTTLS").status == "BAD"
        reply = c.authenticate_plain("alice", PASSWORD)
        assert "tls protection" in reply.text
        c.select("INBOX")


def test_what_was_said_before_tls_does_not_count(s):
    """RFC 3501 6.2.1: a command that came in the clear behind STARTTLS must not be carried out."""
    w = wire(s)
    w.send(f"a STARTTLS\r\nb LOGIN alice {PASSWORD}\r\n".encode())
    assert w.line() == b"a OK Begin TLS negotiation now"
    w.expect_closed()


def test_implicit_tls(s):
    raw = socket.create_connection(("127.0.0.1", s.imaps_port), 10)
    with tls_context().wrap_socket(raw) as connection:
        file = connection.makefile("rwb")
        assert file.readline().startswith(b"* OK [CAPABILITY IMAP4rev1")
        file.write(f"a LOGIN alice {PASSWORD}\r\n".encode())
        file.flush()
        assert file.readline().startswith(b"a OK")


def test_tls_required(make):
    s = make(tls_required=True)
    with Imap(("127.0.0.1", s.imap_port)) as c:
        assert "LOGINDISABLED" in c.capabilities() and "AUTH=PLAIN" not in c.capabilities()
        assert c.command("LOGIN", "alice", PASSWORD).code == ["PRIVACYREQUIRED"]
        c.starttls()
        c.login("alice", PASSWORD)


def test_compression(s):
    with s.imap("alice") as c:
        assert c.command("COMPRESS", "LZW").status == "NO"
        c.compress()
        for number in range(20):
            c.append("INBOX", b"Subject: %d\r\n\r\n" % number + b"x" * 5000)
        c.select("INBOX")
        assert len(c.fetch("1:*", "(BODY.PEEK[])")) == 20
        assert c.command("COMPRESS", "DEFLATE").code == ["COMPRESSIONACTIVE"]


# ---- logging in ----------------------------------------------------------------------------------------------

def test_authenticate_conversations(s):
    w = wire(s)
    w.send(b"a AUTHENTICATE PLAIN\r\n")
    assert w.line() == b"+ "
    w.send(b"*\r\n")
    assert w.line() == b"a BAD Client canceled authentication"
    w.send(b"a AUTHENTICATE PLAIN\r\n")
    assert w.line() == b"+ "
    w.send(b"!!!\r\n")
    assert w.line().startswith(b"a BAD Error reading client response")
    w.send(b"a AUTHENTICATE PLAIN\r\n")
    assert w.line() == b"+ "
    w.send(b"x" * 100000 + b"\r\n")
    assert w.line().startswith(b"a BAD")
    assert say(w, "a AUTHENTICATE PLAIN =").startswith("a NO")
    assert say(w, "a AUTHENTICATE GSSAPI") == "a NO no mechanism available"
    w.send(b"a AUTHENTICATE LOGIN\r\n")
    assert w.line() == b"+ " + base64.b64encode(b"Username:")
    w.send(base64.b64encode(b"alice") + b"\r\n")
    assert w.line() == b"+ " + base64.b64encode(b"Password:")
    w.send(base64.b64encode(PASSWORD.encode()) + b"\r\n")
    assert w.line().startswith(b"a OK [CAPABILITY ")


def test_an_administrator_acts_as_a_user(s):
    with s.imap() as c:
        c.authenticate_plain(ADMIN, PASSWORD, act_as="alice")
        assert "X-REPLICATION" not in c.capabilities()
        c.select("INBOX")
        assert c.command("SETQUOTA INBOX (STORAGE 1)").code == ["NOPERM"]
    with s.imap() as c:
        with pytest.raises(ImapError, match="authentication failure"):
            c.authenticate_plain("alice", PASSWORD, act_as="bob")


def test_a_failed_login_is_logged_and_costs_time(make):
    s = make(failedloginpause="1s")
    with s.imap() as c:
        began = time.monotonic()
        reply = c.command("LOGIN", "alice", "wrong")
        assert time.monotonic() - began >= 1
        assert (reply.status, reply.code, reply.text) == ("NO", ["AUTHENTICATIONFAILED"],
                                                          "Login failed: authentication failure")
        c.login("alice", PASSWORD)
    lines = s.log()
    assert any(re.search(r"badlogin: \[127\.0\.0\.1\] plaintext alice ", line) for line in lines)
    assert any(re.search(r" login: \[127\.0\.0\.1\] alice plaintext User logged in SESSIONID=<", line) for line in lines)
    assert not any("wrong" in line or PASSWORD in line.split() for line in lines)


@pytest.fixture
def saslauthd(root):
    """saslauthd(server): Debian's own, which asks that server's IMAP about each password; the path of its socket."""
    running = []

    def start(other):
        place = root / "saslauthd"
        place.mkdir(mode=0o755)
        running.append(subprocess.Popen(["/usr/sbin/saslauthd", "-d", "-n", "1", "-a", "rimap", "-O", f"127.0.0.1/{other.imap_port}",
                                         "-m", place], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True))    # it ends its whole group
        wait_until((place / "mux").exists, 10, "saslauthd")
        return place / "mux"
    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def test_passwords_that_saslauthd_knows(make, server, saslauthd):
    knows = make()
    s = server(services=ONLY_IMAP)
    s.make_user("alice")
    s.stop()
    (s.root / "sasldb2").unlink()
    s.options.update({"sasl_pwcheck_method": "saslauthd", "sasl_saslauthd_path": saslauthd(knows)})
    s.write_conf()
    s.start()
    with s.imap() as c:
        assert c.command("LOGIN", "alice", "wrong").code == ["AUTHENTICATIONFAILED"]
        assert c.command("AUTHENTICATE", "PLAIN", base64.b64encode(b"\0alice\0wrong").decode()).status == "NO"
        c.login("alice", PASSWORD)
    with s.imap() as c:
        c.authenticate_plain("alice", PASSWORD)
        c.select("INBOX")


def test_limits_on_logins(make):
    s = make(maxlogins_per_user=2, maxlogins_per_host=4)
    held = [s.imap("alice"), s.imap("alice")]
    for _ in range(20):    # a place is free before the end of LOGOUT is told
        held.pop().logout()
        held.append(s.imap("alice"))
    with s.imap() as c:
        reply = c.command("LOGIN", "alice", PASSWORD)
        assert reply.code == ["LIMIT"] and "Too many open connections (2 of 2 for alice)" in reply.text
        c.login("bob", PASSWORD)
        held += [s.imap("bob")]
        with s.imap() as fifth:
            assert "for 127.0.0.1" in fifth.command("LOGIN", ADMIN, PASSWORD).text
    pid = pid_of(s, held[0].wire)
    os.kill(pid, signal.SIGKILL)    # a place is given back whatever ends its holder
    wait_until(lambda: s.imap().command("LOGIN", "alice", PASSWORD).status == "OK", 5, "a free place")
    for one in held:
        one.close()
    s.expect("signaled to death")


def test_telemetry_has_everything_but_passwords(s):
    folder = s.root / "conf/log/alice"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with s.imap("alice") as c:
        c.select("INBOX")
        c.ok("NOOP")
        c.logout()
    [file] = folder.iterdir()
    text = file.read_text()
    assert re.fullmatch(r"imap-\d+", file.name)
    assert "SELECT" in text and "* 0 EXISTS" in text and PASSWORD not in text.split()


def test_a_read_only_server(server):
    s = server(services=ONLY_IMAP)
    s.make_user("alice")
    with s.imap("alice") as c:
        c.append("INBOX", b"Subject: x\r\n\r\nx\r\n")
    s.stop()
    s.options["replicaonly"] = True
    s.write_conf()
    s.start()
    with s.imap("alice") as c:
        assert c.select("INBOX")["READ-ONLY"]
        assert c.select("INBOX")["RECENT"] == 1    # shown, never taken
        for command in ("CREATE x", "DELETE x", "RENAME x y", "SUBSCRIBE INBOX", "SETACL INBOX bob l"):
            reply = c.command(command)
            assert reply.status == "NO" and reply.code == ["READ-ONLY"], command
        assert c.command("APPEND", "INBOX", Literal(b"Subject: x\r\n\r\nx\r\n")).status == "NO"


# ---- what strangers send ----------------------------------------------------------------------------------

HOSTILE = [
    ("a" * 200000 + " NOOP", "* BAD"), ("x " + "y" * 200000, "x BAD Word too long"),
    ('x SELECT "' + "y" * 200000 + '"', "x BAD Quoted string too long"),
    ("x " + "y " * 1200000, "x BAD Command too long"),
    ("x NOOP " + "(" * 100000, "x BAD"), ("x \0", "x BAD"), ("\0 NOOP", "* BAD"), ("x SELECT a\0b", "x BAD"),
    ("", "* BAD Invalid tag"), (" ", "* BAD Invalid tag"), ("x", "* BAD Invalid tag"), ("x ", "x BAD Null command"),
    ("(x) NOOP", "* BAD"), ("x NOOP\xff", "x BAD"), ("x SELECT {10", "x BAD"), ("x SELECT {abc}", "x BAD"),
    ("x UID", "x BAD"), ("x LIST \"\" " + "%*" * 50000, "* LIST"),
    ("x STATUS INBOX " + "(" * 5000, "x BAD Bad status string"),
    ("x SEARCH " + "(" * 50000, "x BAD"), ("x FETCH 1 " + "BODY[" * 2000, "x BAD"),
    ("x FETCH " + ",".join(["1:*"] * 30000) + " FLAGS", "x"),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_lines(s, number):
    line, wanted = HOSTILE[number]
    with s.imap("alice") as c:
        c.append("INBOX", b"Subject: x\r\n\r\nx\r\n")
        c.select("INBOX")
        w = c.wire
        w.send(line.encode("latin-1") + b"\r\n")
        answer = w.line().decode()
        while wanted == "x" and not answer.startswith("x "):
            answer = w.line().decode()
        assert answer.startswith(wanted), answer
        assert say(w, "y NOOP") == "y OK Completed"    # and the connection lives


def test_long_literals(s):
    with s.imap("alice") as c:
        w = c.wire
        assert say(w, "x SELECT {200000}") == "x NO [TOOBIG] Literal too long"    # and is not asked for
        assert say(w, "y NOOP") == "y OK Completed"
        w.send(b"x SELECT {200000+}\r\n" + b"z" * 200000 + b"\r\ny NOOP\r\n")
        assert w.line() == b"x NO [TOOBIG] Literal too long"
        assert w.line() == b"y OK Completed"
        w.send(b"x LOGIN" + b" {3+}\r\nabc" * 1200 + b"\r\ny NOOP\r\n")
        assert w.line() == b"x BAD Too many literals"
        assert w.line() == b"y OK Completed"
        assert say(w, "x SELECT {99999999999999999999999}").startswith("x BAD")
        w.send(b"x CREATE {5}\r\n")
        assert w.line() == b"+ go ahead"
        w.send(b"a \"\\b\r\n")
        assert w.line().startswith(b"x ")


@pytest.mark.limit(300)
def test_a_gigabyte_costs_no_memory(s):
    with s.imap("alice") as c:
        w = c.wire
        say(w, "x NOOP")
        pid = pid_of(s, w)
        before = rss_kib(pid)
        chunk = b"z" * (1 << 20)
        w.send(b"x SELECT {%d+}\r\n" % (1 << 30))
        for _ in range(1 << 10):
            w.send(chunk)
        w.send(b"\r\n")
        assert w.line(120) == b"x NO [TOOBIG] Literal too long"
        w.send(b"x ")
        for _ in range(200):
            w.send(chunk)
        w.send(b"\r\n")
        assert w.line(120) == b"x BAD Word too long"
        assert say(w, "y NOOP") == "y OK Completed"
        assert rss_kib(pid) - before <= 8192


def test_pipelined_commands_are_answered_in_order(s):
    with s.imap("alice") as c:
        c.append("INBOX", b"Subject: x\r\n\r\nx\r\n")
        tags = [c.start(*command) for command in (["SELECT", "INBOX"], ["UID FETCH", "1:*", "(FLAGS)"],
                                                  ["CREATE", Literal(b"a b", plus=True)], ["LIST", '""', "*"],
                                                  ["CLOSE"], ["LOGOUT"])]
        replies = [c.finish(tag) for tag in tags]
        assert [r.status for r in replies] == ["OK"] * 6
        assert len(replies[1].all("FETCH")) == 1 and len(replies[3].all("LIST")) == 2


# ---- how it ends -----------------------------------------------------------------------------------------------

def test_a_killed_connection_is_noticed_by_nobody(s):
    with s.imap("alice") as victim, s.imap("alice") as other, s.imap("bob") as third:
        for c in (victim, other):
            c.select("INBOX")
        os.kill(pid_of(s, victim.wire), signal.SIGKILL)
        victim.wire.expect_closed()
        other.append("INBOX", b"Subject: x\r\n\r\nx\r\n")
        assert other.ok("NOOP").status == "OK"
        third.select("INBOX")
        with s.imap("alice") as late:
            assert late.select("INBOX")["EXISTS"] == 1
    s.expect("signaled to death")


def test_a_stop_tells_clients(s):
    with s.imap("alice") as c, s.imap("bob") as idler:
        tag = idler.start("IDLE")
        assert idler.continuation(tag) is None
        s.stop()
        assert c.wire.line() == b"* BYE server shutting down"
        c.wire.expect_closed()


def test_idle_ends_when_the_client_is_silent_too_long(make):
    s = make(imapidletimeout="1s")
    with s.imap("alice") as c:
        tag = c.start("IDLE")
        assert c.continuation(tag) is None
        assert c.wire.line() == b"* BYE idle for too long"
        c.wire.expect_closed()


def test_it_serves_stdin_and_stdout(s):
    done = s.tool("imapd", "-X", stdin=f"a LOGIN alice {PASSWORD}\r\nb SELECT INBOX\r\nc LOGOUT\r\n")
    assert "b OK [READ-WRITE] Completed" in done.stdout and "c OK Completed" in done.stdout


def test_without_a_certificate_there_are_no_imaps(server):
    s = server(services={**ONLY_IMAP, "imaps": None}, imapd={"tls_server_cert": None, "tls_server_key": None})
    s.make_user("alice")
    with s.imap("alice") as c:
        assert "STARTTLS" not in c.capabilities()
        assert c.command("STARTTLS").text == "Unrecognized command"
    s.expect("process.fatal")
    done = s.tool("imapd", "-s", "-X", check=False)
    assert done.returncode == 78 and "tls_server_cert" in done.stderr


def busy_session(s, how):
    """alice does what leaves most behind in a process, and goes."""
    c = Imap(("127.0.0.1", s.imap_port))
    if how % 2:
        c.starttls()
    c.login("alice", PASSWORD)
    if how % 3 == 0:
        c.compress()
    c.ok("ENABLE QRESYNC")
    c.append("INBOX", b"Subject: hers\r\n\r\n" + b"x" * 100000)
    c.select("INBOX")
    c.ok("SEARCH RETURN (SAVE) ALL")
    c.fetch("1:*", "(BODY.PEEK[] ENVELOPE)")
    c.wire.send(b"i IDLE\r\n" if how % 4 == 1 else b"x LOGOUT\r\n" if how % 4 == 3 else b"z FETCH 1:* (BODY[")
    if how % 4 == 1:
        while not c.wire.line().startswith(b"+ "):
            pass
    c.wire.close()


def test_who_comes_next_to_a_process_finds_nothing_of_who_was_there(s):
    """A process serves one client after the other: no right, no mailbox, no option, no descriptor of the last one stays."""
    seen = {}
    wire(s).close()
    for how in range(24):
        busy_session(s, how)
        with wire(s) as w:
            pid = pid_of(s, w)
            assert say(w, "a SELECT INBOX").startswith("a BAD Please login first")
            assert say(w, "b SEARCH $").startswith("b BAD Please login first")
            assert say(w, f"c LOGIN bob {PASSWORD}").startswith("c OK")
            assert say(w, "d CHECK").startswith("d BAD Please select a mailbox first")
            assert say(w, "e SELECT user.alice").startswith("e NO")
            w.send(b"f ENABLE QRESYNC\r\n")
            assert w.line() == b"* ENABLED CONDSTORE QRESYNC" and w.line().startswith(b"f OK")
            assert say(w, "g SELECT INBOX").startswith("g OK")
            w.send(b"h SEARCH $\r\n")
            assert w.line() == b"* SEARCH" and w.line().startswith(b"h OK")
            fds = sorted(re.sub(r"\d", "", os.readlink(fd)) for fd in Path(f"/proc/{pid}/fd").iterdir())
            assert seen.setdefault(pid, fds) == fds
            assert say(w, "y LOGOUT").startswith("* BYE")
    assert len(seen) < 16    # or nobody came to a process that had served


def test_cyr_info_tells_who_is_connected_and_forgets_whoever_ends(s):
    def shown():
        return s.tool("cyr_info", "proc").stdout.splitlines()
    wait_until(lambda: shown() == [], 20, "connections of the preparation")
    with s.imap("alice") as c, wire(s) as w:
        mine, theirs = pid_of(s, c.wire), pid_of(s, w)
        wait_until(lambda: f"{theirs} imap [127.0.0.1]   " in shown(), 20, "the second connection")
        assert f"{mine} imap [127.0.0.1] alice  " in shown()
        c.select("INBOX")
        assert f"{mine} imap [127.0.0.1] alice user.alice " in shown()
        c.ok("UNSELECT")
        assert f"{mine} imap [127.0.0.1] alice  " in shown()
        c.ok("CREATE gone")
        c.select("gone")
        c.ok("DELETE gone")
        assert f"{mine} imap [127.0.0.1] alice  " in shown()
        os.kill(theirs, signal.SIGKILL)
        wait_until(lambda: len(shown()) == 1, 20, "the note of a process that was killed")
    wait_until(lambda: not list((s.root / "conf/proc").iterdir()), 20, "notes without processes")


def test_auditlog_has_the_lines_of_cyrus_for_mailboxes(make):
    s = make(auditlog=True)
    with s.imap("alice") as c:
        c.ok("CREATE", "a")
        c.ok("RENAME", "a", "b")
        c.ok("DELETE", "b")
    lines = [re.sub(r"sessionid=<[^>]*>", "sessionid=<S>", line[line.index("auditlog:"):line.rindex(">", 0, line.index(" event=")) + 1])
             for line in s.log() if "auditlog: " in line and "user.alice." in line]
    unique = re.search(r"uniqueid=<([^>]+)>", lines[0])[1]
    assert re.fullmatch(rf"auditlog: create sessionid=<S> mailbox=<user.alice.a> uniqueid=<{unique}> uidvalidity=<\d+>", lines[0])
    assert lines[1:] == [
        f"auditlog: rename sessionid=<S> oldmailbox=<user.alice.a> newmailbox=<user.alice.b> uniqueid=<{unique}>",
        f"auditlog: delete sessionid=<S> mailbox=<user.alice.b> uniqueid=<{unique}>"]
