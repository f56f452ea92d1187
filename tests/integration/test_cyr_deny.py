"""cyr_deny: users kept out of services, and what they see of it."""
import base64
import os
import socket
import subprocess
import threading

import pytest

from lib import places
from lib.imap import ImapError
from lib.mail_server import ADMIN, PASSWORD
from lib.server import ONLY_IMAP

MESSAGE = "Access to this service has been blocked"
HEADER = "Username                       Service(s)           Message"


# ---- the tool, without a server ---------------------------------------------------------------------------

class Desk:
    def __init__(self, root, **options):
        self.root, self.conf, self.db = root, root / "imapd.conf", root / "conf/user_deny.db"
        for folder in ("conf", "spool"):
            (root / folder).mkdir()
        self.options = {"configdirectory": root / "conf", "defaultpartition": "default", "partition-default": root / "spool",
                        "admins": "admin", "cyrus_user": places.daemon_user().pw_name, **options}
        places.write_conf(self.conf, self.options)
        places.own_by_service_user(root)

    def __call__(self, *args, ok=True):
        done = subprocess.run([places.build() / "cyr_deny", "-C", self.conf, *args], capture_output=True, cwd="/", timeout=60,
                              env={"PATH": "/usr/bin:/bin", "US_TEST_ROOT": str(self.root)})
        assert not ok or (done.returncode, done.stderr) == (0, b""), done
        return done

    def list(self):
        head, *lines = self("-l").stdout.decode("utf-8", "surrogateescape").splitlines()
        assert head == HEADER
        return lines

    def write(self, data):
        self.db.write_bytes(data)
        user = places.daemon_user()
        if os.getuid() == 0:
            os.chown(self.db, user.pw_uid, user.pw_gid)


@pytest.fixture
def desk(root):
    return Desk(root)


def line(user, services, message):
    return b"%s\t2\xff\x89%s\xff\x89%s\n" % (user, services, message)


def test_the_file_is_a_cyrus_s(desk):
    desk("bob")
    desk("-s", "imap,pop3", "-m", "Go away now", "ted")
    desk("-m", "tab\there", "eve")
    desk("-m", "two\nlines", "Amy")     # she logs in as amy
    assert desk.db.read_bytes() == (line(b"amy", b"*", b"two\xff\x8alines") + line(b"bob", b"*", MESSAGE.encode()) +
                                    line(b"eve", b"*", b"tab\xff\x89here") + line(b"ted", b"imap,pop3", b"Go away now"))
    assert desk.db.stat().st_mode & 0o777 == 0o600
    assert desk.list() == [f"{'amy':30} {'*':20} two", "lines", f"{'bob':30} {'*':20} {MESSAGE}", f"{'eve':30} {'*':20} tab\there",
                           f"{'ted':30} {'imap,pop3':20} Go away now"]


def test_a_line_takes_the_place_of_another(desk):
    desk("-m", "one", "bob")
    desk("-m", "two", "-s", "imap", "bob")
    assert desk.db.read_bytes() == line(b"bob", b"imap", b"two")


def test_allow(desk):
    desk("bob")
    desk("eve")
    before = desk.db.stat().st_ino
    desk("-a", "nobody")
    assert desk.db.stat().st_ino == before    # nothing to do
    desk("-a", "BOB")
    assert desk.db.read_bytes() == line(b"eve", b"*", MESSAGE.encode())
    desk("-a", "eve")
    assert desk.db.read_bytes() == b"" and desk.list() == []


def test_what_others_wrote_stays(desk):
    desk.write(b"# comment\nzed\t2\t*\tby hand\n\nBOB\t1\tx\nbob\t2\timap\told\nlast\t2\t*")
    desk("-m", "new", "bob")
    assert desk.db.read_bytes() == b"# comment\n" + line(b"bob", b"*", b"new") + b"zed\t2\t*\tby hand\n\nBOB\t1\tx\nlast\t2\t*\n"
    desk("-a", "BOB")
    assert desk.db.read_bytes() == b"# comment\nzed\t2\t*\tby hand\n\nlast\t2\t*\n"


def test_no_file(desk):
    for args in (("-l",), ("-a", "bob")):
        done = desk(*args, ok=False)
        assert done.returncode == 1 and done.stdout == b"" and done.stderr.startswith(b"cyr_deny: failed to open deny db: ")
        assert not desk.db.exists()


def test_a_file_of_another_form(desk):
    desk.write(b"\xa1\x02\x8b\x0dtwoskip file\0\0\0\0")
    for args in (("-l",), ("-a", "bob"), ("bob",)):
        done = desk(*args, ok=False)
        assert done.returncode == 1 and b"not in the flat format" in done.stderr
    assert desk.db.read_bytes().startswith(b"\xa1\x02\x8b\x0d")


@pytest.mark.parametrize("user", ["", "a/b", "bad\tuser", "x" * 300])
def test_who_can_be_nobody(desk, user):
    done = desk(user, ok=False)
    assert done.returncode == 1 and b"failed to deny access for" in done.stderr
    assert not desk.db.exists()


def test_services_that_are_none(desk):
    assert desk("-s", "a\tb", "bob", ok=False).returncode == 1
    assert not desk.db.exists()


@pytest.mark.parametrize("args", [(), ("-l", "x"), ("a", "b"), ("-a", "a", "b"), ("-a",), ("-l", "-a", "x"), ("-x",),
                                  ("-a", "-s", "imap", "bob"), ("-l", "-m", "x"), ("-s",)])
def test_a_wrong_command_line(desk, args):
    done = desk(*args, ok=False)
    assert done.returncode == 64 and b"Usage: cyr_deny" in done.stderr


def test_another_place(root):
    desk = Desk(root, userdeny_db_path=root / "conf/elsewhere")
    desk("bob")
    assert not desk.db.exists() and (root / "conf/elsewhere").read_bytes() == line(b"bob", b"*", MESSAGE.encode())


def test_many_at_once(desk):
    """Nobody's change is lost."""
    threads = [threading.Thread(target=desk, args=(f"user{n}",)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(desk.list()) == 20


def test_a_disk_that_is_full(desk):
    """The old file stays whole."""
    desk("bob")
    before = desk.db.read_bytes()
    for point in ("admin.deny.write", "admin.deny.sync", "admin.deny.rename"):
        page = desk.root / "failpoints"
        from lib.failpoints import FailpointPage
        points = FailpointPage(page)
        points.arm(point, "eio")
        done = subprocess.run([places.build() / "cyr_deny", "-C", desk.conf, "eve"], capture_output=True, cwd="/", timeout=60,
                              env={"PATH": "/usr/bin:/bin", "US_FAILPOINTS": str(page), "US_TEST_ROOT": str(desk.root)})
        assert done.returncode == 1 and b"failed to deny access for eve" in done.stderr, (point, done)
        assert desk.db.read_bytes() == before
        page.unlink()


# ---- what it does -------------------------------------------------------------------------------------------

@pytest.fixture
def s(server):
    s = server(services={**ONLY_IMAP, "lmtpunix": None})
    s.make_user("bob", "eve")
    return s


def login(s, user, password=PASSWORD):
    """The tagged answer to LOGIN, and to AUTHENTICATE PLAIN."""
    out = []
    token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    for command in (f"a LOGIN {user} {password}\r\n", f"a AUTHENTICATE PLAIN {token}\r\n"):
        with socket.create_connection(("127.0.0.1", s.imap_port)) as c, c.makefile("rwb") as f:
            f.readline()
            f.write(command.encode())
            f.flush()
            out.append(f.readline().decode().rstrip())
    return out


def test_a_login_is_refused_with_the_message(s):
    s.tool("cyr_deny", "-m", "Go away, 50% of you", "bob")
    assert login(s, "bob") == ["a NO [AUTHORIZATIONFAILED] Login failed: Go away, 50% of you",
                               "a NO [AUTHORIZATIONFAILED] Go away, 50% of you"]
    assert login(s, "BOB") == login(s, "bob")
    assert all("AUTHENTICATIONFAILED" in a for a in login(s, "bob", "wrong"))    # to whom nothing is told
    assert all(a.startswith("a OK") for a in login(s, "eve"))
    assert any("badlogin: " in line and "user 'bob' is denied access to service 'imap'" in line for line in s.log())
    s.tool("cyr_deny", "-m", "a\r\nb OK\x01", "bob")
    assert login(s, "bob")[0] == "a NO [AUTHORIZATIONFAILED] Login failed: a??b OK?"
    s.tool("cyr_deny", "-m", "", "bob")
    assert login(s, "bob")[1] == f"a NO [AUTHORIZATIONFAILED] {MESSAGE}"
    s.tool("cyr_deny", "-a", "bob")
    assert all(a.startswith("a OK") for a in login(s, "bob"))


def test_services(s):
    s.tool("cyr_deny", "-s", "pop3,sieve", "bob")
    assert login(s, "bob")[0].startswith("a OK")
    s.tool("cyr_deny", "-s", "imaps", "bob")
    assert login(s, "bob")[0].startswith("a OK")
    with pytest.raises(ImapError):
        s.imaps("bob")
    s.tool("cyr_deny", "-s", "!imaps,*", "bob")
    s.imaps("bob").close()
    assert login(s, "bob")[0].startswith("a NO")


def test_administrators_are_never_kept_out(s):
    s.tool("cyr_deny", ADMIN)
    s.tool("cyr_deny", "bob")
    assert all(a.startswith("a OK") for a in login(s, ADMIN))
    token = base64.b64encode(f"bob\0{ADMIN}\0{PASSWORD}".encode()).decode()    # but who acts as bob is bob
    with socket.create_connection(("127.0.0.1", s.imap_port)) as c, c.makefile("rwb") as f:
        f.readline()
        f.write(f"a AUTHENTICATE PLAIN {token}\r\n".encode())
        f.flush()
        assert f.readline().startswith(b"a NO [AUTHORIZATIONFAILED]")


def test_a_session_ends(s):
    """With its next command; those of others go on."""
    with socket.create_connection(("127.0.0.1", s.imap_port)) as c, c.makefile("rwb") as f, s.imap("eve") as eve:
        f.readline()

        def say(text):
            f.write(text.encode() + b"\r\n")
            f.flush()
        say(f"a LOGIN bob {PASSWORD}")
        assert f.readline().startswith(b"a OK")
        say("b NOOP")
        assert f.readline().startswith(b"b OK")
        s.tool("cyr_deny", "eve2")
        s.tool("cyr_deny", "-m", "[ALERT] the end", "bob")
        say("c NOOP")
        answers = f.read()    # to the end of the connection
        assert b"* BYE [ALERT] ALERT] the end\r\n" in answers
        eve.ok("NOOP")


def test_a_file_that_cannot_be_read(s):
    """Users come in, and the operator is told."""
    s.expect("session.userdeny.unreadable")
    (s.root / "conf/user_deny.db").write_bytes(b"\xa1\x02\x8b\x0dskiplist file")
    os.chmod(s.root / "conf/user_deny.db", 0o644)
    assert all(a.startswith("a OK") for a in login(s, "bob"))
    assert any("session.userdeny.unreadable" in line for line in s.log())


def test_mail_comes_in_all_the_same(server):
    s = server()
    s.make_user("bob")
    s.tool("cyr_deny", "bob")
    with s.lmtp() as c:
        assert all(r.ok for r in c.deliver("a@b", ["bob"], b"Subject: x\r\n\r\ny\r\n").values())
