"""What stands between an MTA and the mail store, and Debian's programs of the same names, over the same data. Each difference is
listed with its reason."""
import socket
import subprocess
import time

import pytest

from lib import places
from lib.lmtpd import Lmtpd

MESSAGE = "From: a@b\nSubject: x\nMessage-ID: <{0}@x>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\n.dot\nhello\n"
OWN = {"unixhierarchysep": True, "postuser": "post"}


@pytest.fixture
def pair(roots, cyrus_tree):
    """make(services, **options) gives (ours, theirs), running, with the same users and mailboxes."""
    from lib.cyrus_peer import CyrusPeer
    running = []

    def make(services=(), **options):
        ours_root, their_root = roots(), roots()
        theirs = CyrusPeer(their_root, cyrus_tree, imapd={**OWN, "lmtpsocket": their_root / "lmtp", **options})
        theirs.services["lmtpunix"] = {"cmd": "lmtpd -C {conf}", "listen": str(their_root / "lmtp")}
        for name, program in services:
            theirs.services[name] = {"cmd": f"{program} -C {{conf}}", "listen": str(their_root / name)}
        theirs.write_conf()
        running.append(theirs.start())
        ours = Lmtpd(ours_root, {**OWN, "lmtpsocket": ours_root / "lmtp", **options},
                     programs={program.split()[0]: program.split()[0] for _, program in services})
        for name, program in services:
            ours.services[name] = f'cmd="{program} -C {ours.imapd_conf}" listen="{ours_root / name}" prefork=1'
        running.append(ours.start())
        fill(ours, theirs)
        return ours, theirs
    yield make
    for server in running:
        server.__exit__(None)


def fill(ours, theirs):
    theirs.make_user("bob", "full", "dot.ted")
    with theirs.admin() as c:
        for name in ("shared", "shared/pub", "noseepub", "user/bob/Sent", "user/bob/open"):
            c.ok("CREATE", name)
        for name, who, rights in (("shared/pub", "anyone", "p"), ("shared", "anyone", "lr"), ("user/bob/open", "anyone", "p"),
                                  ("noseepub", "admin", "lrp")):
            c.ok("SETACL", name, who, rights)
        c.ok("SETQUOTA", "user/full", b"(STORAGE 0)")
    all_rights = "lrswipkxtecda"
    ours.do(f"create user.bob bob {all_rights}", f"create user.full full {all_rights}", f"create user.dot^ted dot.ted {all_rights}",
            "create shared anyone lr", "create shared.pub anyone p", f"create user.bob.Sent bob {all_rights}",
            "create noseepub anyone lrs admin lrp", f"create user.bob.open bob {all_rights} anyone p",
            "quota user.full STORAGE 0")


def run_ours(ours, program, *args, text=""):
    done = subprocess.run([places.build() / program, "-C", ours.imapd_conf, *args], input=text, capture_output=True, text=True,
                          env={**ours.environment, "PATH": "/usr/bin:/bin"}, cwd="/", timeout=60)
    return done.returncode, done.stdout, done.stderr


def run_theirs(theirs, program, *args, text=""):
    done = theirs.tool(program, *args, stdin=text, check=False)
    return done.returncode, done.stdout, done.stderr


# ---- deliver ------------------------------------------------------------------------------------------

DELIVER = [("bob",), ("bob", "nosuch", "full"), ("nosuch",), ("nosuch", "full"), ("full", "nosuch"), ("full",), ("-q", "full"), (),
           ("-m", "shared/pub"), ("-m", "shared"), ("-m", "nosuch"), ("-m", "noseepub"), ("-m", "noseepub", "-a", "admin"),
           ("-m", "Sent", "bob"), ("-m", "Sent", "-a", "bob", "bob"), ("-m", "open", "bob", "bob@x.y"), ("-r", "some@one", "bob"),
           ("-r", "<>", "bob"), ("-r", "", "bob"), ("-f", "<a@b>", "bob"), ("-d", "bob"), ("-e", "bob"), ("-D", "bob"),
           ("-F", "x", "bob"), ("-E", "3"), ("-m", "a", "-m", "b", "bob"), ("-a", "a", "-a", "b", "bob"), ("-m", "", "bob"), ("-z",),
           ("-m", ""), ("",), ("bad user",), ("bob>",), ("-a", "bad user!", "bob"), ("-r", "a@b c", "bob")]

# They have "Bad protocol" for whatever is not to their liking; ours says what the server said. Who posts is sent in the form
# that RFC 4954 wants, so that any id can be named.
OTHER_WORDS = {("bad user",), ("bob>",), ("-r", "a@b c", "bob")}
OTHER_STATUS = {("-a", "bad user!", "bob")}


def test_deliver_says_the_same(pair):
    ours, theirs = pair()
    for number, args in enumerate(DELIVER):
        text = MESSAGE.format(number)
        mine, other = run_ours(ours, "deliver", *args, text=text), run_theirs(theirs, "deliver", *args, text=text)
        if args in OTHER_STATUS:
            assert (mine[0], other[0]) == (0, 65), args
            continue
        assert mine[0] == other[0], (args, mine, other)
        if args not in OTHER_WORDS:
            assert mine[1] == other[1], args
        # On standard error we add the reasons of those refused for now, and what else the usage has to tell.
        assert [line for line in other[2].splitlines() if line.startswith("deliver: ")] == \
            [line for line in mine[2].splitlines() if line.startswith("deliver: ")], args


def stored(bodies):
    """What does not depend on where and when it was delivered."""
    out = []
    for text in bodies:
        head, body = text.split(b"\r\n\r\n", 1)
        out.append((sorted(line for line in head.split(b"\r\n") if line.startswith((b"Return-Path", b"Subject", b"From"))), body))
    return out


def test_deliver_stores_the_same(pair):
    ours, theirs = pair()
    for text in (MESSAGE.format(1), MESSAGE.format(2) + "no end", MESSAGE.format(3) + ".\n", MESSAGE.format(4).replace("\n", "\r\n"),
                 MESSAGE.format(5) + "a\rb\r\r\n"):
        assert run_ours(ours, "deliver", "-r", "x@y", "bob", text=text) == (0, "", "")
        assert run_theirs(theirs, "deliver", "-r", "x@y", "bob", text=text) == (0, "", "")
    with theirs.imap("bob") as c:
        c.ok("SELECT", "INBOX")
        bodies = [bytes(r.values[0][1]) for r in c.ok("FETCH", "1:*", b"(BODY.PEEK[])").untagged if r.name == "FETCH"]
    assert stored(ours.stored("user.bob")) == stored(bodies)


# ---- ctl_deliver ---------------------------------------------------------------------------------------

def test_statuses_of_ctl_deliver(pair):
    ours, theirs = pair()
    run_theirs(theirs, "deliver", "bob", text=MESSAGE.format(1))    # else there is no database
    for args in ((), ("-x",), ("-E",), ("-E", "3", "-d"), ("-f", "x"), ("-d", "-f", "/nosuch/x"), ("-d", "word")):
        mine, other = run_ours(ours, "ctl_deliver", *args), run_theirs(theirs, "ctl_deliver", *args)
        assert mine[0] == other[0], (args, mine, other)


def test_ctl_deliver_prints_the_same(pair):
    ours, theirs = pair()
    for number in range(3):
        for users in (("bob", "dot.ted"), ("bob",)):
            run_ours(ours, "deliver", *users, text=MESSAGE.format(number))
            run_theirs(theirs, "deliver", *users, text=MESSAGE.format(number))
    dumps = [run_ours(ours, "ctl_deliver", "-d"), run_theirs(theirs, "ctl_deliver", "-d")]
    assert [d[0] for d in dumps] == [0, 0]
    shapes = []
    for _, out, _ in dumps:
        uniqueids, lines = {}, []
        for line in out.splitlines():
            words = line.split("\t")
            if line.startswith("id: "):    # ids and times are each server's own; ours are UUIDs
                words[1] = "to: " + str(uniqueids.setdefault(words[1], None))
                words[2] = words[2][:4]
            lines.append("\t".join(words) if not line.startswith("it is NOW") else line[:11])
        shapes.append(lines)
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 2 + 6


# ---- smmapd ---------------------------------------------------------------------------------------------

def ask(path, *requests, wait=1.0):
    """What comes back within that time, or until enough has, or the end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.settimeout(wait)
        client.sendall(b"".join(requests))
        out = b""
        try:
            while len(out) < 2000:
                data = client.recv(4096)
                if not data:
                    break
                out += data
        except TimeoutError:
            pass
        return out


def packed(key):
    request = b"cyrus " + key.encode()
    return b"%d:%s," % (len(request), request)


def differing(ours, theirs, keys):
    """{key: (our answer, theirs)} where they differ; one by one, so that one answer cannot be mistaken for another's."""
    out = {}
    for key in keys:
        mine, other = ask(ours.root / "smmap", packed(key), wait=0.4), ask(theirs.root / "smmap", packed(key), wait=0.4)
        assert mine and other, key
        if mine != other:
            out[key] = mine, other
    return out


SMMAP = [("smmap", "smmapd")]
NOTFOUND = b"31:NOTFOUND Mailbox does not exist,"


def fill_full(ours, theirs):
    for run, server in ((run_ours, ours), (run_theirs, theirs)):
        run(server, "deliver", "-q", "full", text=MESSAGE.format("full"))


KEYS = ["bob", "bob@x.y", "BOB", "Bob", "bob+Sent", "bob+open", "bob+open@x.y", "nosuch", "nosuch@x", "full", "full@x", "dot.ted", "bob@",
        "post+shared/pub", "post+shared", "post+nosuch", "post+noseepub", "post", "bob+", "", "bob smith", "<bob>", "a" * 300, "@x",
        "user/bob", "user.bob", "ad min"]


def test_smmapd_says_the_same(pair):
    ours, theirs = pair(SMMAP)
    fill_full(ours, theirs)
    assert differing(ours, theirs, KEYS) == {}
    # To lmtpd, theirs too, the folder is a wish: the INBOX gets the message if the folder cannot. Ours says so, theirs that
    # there is no such mailbox.
    assert differing(ours, theirs, ["bob+nosuch", "bob+sent", "bob+Sent/x"]) == {
        key: (b"%d:OK %s," % (len(key) + 3, key.encode()), NOTFOUND) for key in ("bob+nosuch", "bob+sent", "bob+Sent/x")}


def test_smmapd_without_a_post_user(pair):
    ours, theirs = pair(SMMAP, postuser=None, lmtp_over_quota_perm_failure=True)
    fill_full(ours, theirs)
    assert differing(ours, theirs, ["full", "+shared/pub", "+shared", "+nosuch", "+", "bob"]) == {}


def test_smmapd_and_virtual_domains(pair):
    ours, theirs = pair(SMMAP, virtdomains="userid", defaultdomain="def.test", admins="admin")
    with theirs.admin() as c:
        c.ok("CREATE", "user/vic@dom.test")
        c.ok("CREATE", "user/vic/sub@dom.test")
    ours.do("create dom.test!user.vic vic@dom.test lrswipkxtecda", "create dom.test!user.vic.sub vic@dom.test lrswipkxtecda")
    assert differing(ours, theirs, ["vic@dom.test", "vic+sub@dom.test", "vic", "bob@def.test", "bob@DEF.test", "bob", "bob@other.test",
                                    "VIC@DOM.TEST", "post+shared/pub@def.test", "post+shared@dom.test"]) == {}


def test_smmapd_and_what_lmtpd_would_do(pair):
    """Keys that make lmtpd take mail for whom there is no mailbox: their smmapd does not know them, and has such mail refused."""
    ours, theirs = pair(SMMAP, lmtp_catchall_mailbox="bob", lmtp_fuzzy_mailbox_match=True)
    different = differing(ours, theirs, ["nosuch", "post+shared/pub/x", "bob", "full"])
    assert different == {"nosuch": (b"9:OK nosuch,", NOTFOUND), "post+shared/pub/x": (b"20:OK post+shared/pub/x,", NOTFOUND)}


def test_smmapd_and_requests_that_are_none(pair):
    ours, theirs = pair(SMMAP)
    bob = packed("bob")
    for data in (bob + bob, b"3:bob," + bob, b"0:," + bob, b"6:cyrus ," + bob, b"009:cyrus bob," + bob, b"10:other  bob," + bob):
        assert ask(ours.root / "smmap", data) == ask(theirs.root / "smmap", data), data
    # From here on nobody can say where the next request begins. Both say why; then ours ends the connection, while theirs looks for one
    # in what remains, and where there is no digit it says so without end.
    for data in (b"9:cyrus bobx", b"abc,", b":,"):
        mine, other = ask(ours.root / "smmap", data), ask(theirs.root / "smmap", data)
        assert other.startswith(mine) and mine.startswith((b"38:PERM Bad protocol (missing terminator),",
                                                           b"34:PERM Bad protocol (missing length),")), data
    # Theirs dies of that (and is started again), without a word.
    assert ask(ours.root / "smmap", b"99999999999:x") == b"39:PERM Bad protocol (request is too long),"


def test_smmapd_with_the_options_of_services(pair):
    """A process that serves one client and then goes, or waits a second for the next, or for a debugger that is not configured: all are
    answered. With -X it talks to a terminal, and to nobody else."""
    ours, theirs = pair([("smmap", "smmapd -U 1 -T 1"), ("smmapd", "smmapd -T 0 -D"), ("stdio", "smmapd -X")])
    for wait in (0, 0, 1.3, 0):
        time.sleep(wait)
        for name in ("smmap", "smmapd"):
            answers = [ask(server.root / name, packed("bob"), packed("nosuch"), wait=1.5) for server in (ours, theirs)]
            assert answers[0] == answers[1] == b"6:OK bob," + NOTFOUND, name
    assert [ask(server.root / "stdio", packed("bob"), wait=0.5) for server in (ours, theirs)] == [b"", b""]


# ---- cyr_deny -------------------------------------------------------------------------------------------

DENY = [("-l",), ("-a", "bob"), ("bob",), ("-l",), ("-s", "imap,pop3", "-m", "Go away now", "ted"), ("-m", "tab\there", "eve"), ("-l",),
        ("-a", "ted"), ("-a", "nosuch"), ("-l", "x"), ("a", "b"), ("-a", "a", "b"), ("-a",), ("-l", "-a", "x"), ("-x",),
        ("-a", "-s", "imap", "bob"), ("-l", "-s", "imap"), ("a" * 45,), ("-s", "", "-m", "", "zed"), ("-m", "two\nlines", "bob"),
        ("-s", "a\tb", "bob"), ("-m", "a\x01\xc3b", "-s", "imap", "dot.ted"), ("-l",), ()]
# Nobody can be called so; they take it.
DENY_NOBODY = [("",), ("bad\tuser",), ("a/b",)]


def test_cyr_deny_says_and_writes_the_same(pair):
    ours, theirs = pair()
    files = [server.root / "conf/user_deny.db" for server in (ours, theirs)]
    for args in DENY:
        mine, other = run_ours(ours, "cyr_deny", *args), run_theirs(theirs, "cyr_deny", *args)
        assert mine[:2] == other[:2], args
        if mine[0] == 64:    # getopt's own line has the program's path
            assert mine[2].splitlines()[-3:] == other[2].splitlines()[-3:], args
        else:
            assert mine[2].split(":")[:2] == other[2].split(":")[:2], args
        assert files[0].exists() == files[1].exists()
        assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes(), args
    for args in DENY_NOBODY:
        assert run_ours(ours, "cyr_deny", *args)[0] == 1
        assert run_theirs(theirs, "cyr_deny", *args)[0] == 0


def can_log_in(server):
    with socket.create_connection(("127.0.0.1", server.imap_port)) as c, c.makefile("rwb") as f:
        f.readline()
        f.write(b"a LOGIN bob pw\r\n")
        f.flush()
        return f.readline().startswith(b"a OK")


PATTERNS = ["*", "imap", "imap*", "IMAP", "pop3,imap", "imap?", "i[mn]ap", "i[^m]ap", "i[a-m]ap", "!imap,*", "*,!imap", "!imap", "@imap,*",
            "*,@imap", "", ",", "!", "pop3,!imap,*", "imap,!imap", "!*,imap", "im*p", "*p", "**", "[imap", "\\imap", "pop3"]


def test_cyr_deny_keeps_the_same_out(pair, server):
    """Their file and ours, read by both servers."""
    _, theirs = pair()
    ours = server(services={"lmtp": None, "lmtpunix": None, "csync": None})
    ours.make_user("bob")
    different = {}
    for services in PATTERNS:
        answers = []
        for s in (ours, theirs):
            s.tool("cyr_deny", "-s", services, "bob")
            answers.append(can_log_in(s))
        if answers[0] != answers[1]:
            different[services] = answers
        mine = (ours.root / "conf/user_deny.db").read_bytes()
        assert mine == (theirs.root / "conf/user_deny.db").read_bytes()
    assert different == {}
