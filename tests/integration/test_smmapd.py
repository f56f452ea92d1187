"""smmapd: what an MTA is told of addresses, and what becomes of requests that are none."""
import socket
import subprocess
import time

import pytest

from lib import places
from lib.lmtpd import Lmtpd, message

RIGHTS = "lrswipkxtecda"
NOTFOUND, TEMP_QUOTA, PERM_POST = b"NOTFOUND Mailbox does not exist", b"TEMP Over quota", b"PERM Permission denied"


@pytest.fixture
def make(root):
    made = []

    def start(imapd=None):
        s = Lmtpd(root, {"unixhierarchysep": True, "postuser": "post", **(imapd or {})}, programs={"smmapd": "smmapd"})
        s.smmap = root / "smmap"
        s.services["smmap"] = f'cmd="smmapd -C {s.imapd_conf}" listen="{s.smmap}" prefork=1'
        made.append(s.start())
        s.do(f"create user.bob bob {RIGHTS}", f"create user.bob.Work bob {RIGHTS} anyone p", f"create user.full full {RIGHTS}",
             f"create user.dot^ted dot.ted {RIGHTS}", "create shared anyone lrs", "create shared.pub anyone lrsp",
             "create hidden bob lrsp", f"create user.calendar calendar {RIGHTS}", "quota user.full MESSAGE 0")
        with s.lmtp() as c:
            c.deliver("a@b", ["full"], message())
        return s
    yield start
    for s in made:
        s.__exit__(None)


@pytest.fixture
def s(make):
    return make()


def packed(text):
    text = text if isinstance(text, bytes) else text.encode()
    return b"%d:%s," % (len(text), text)


class Client:
    def __init__(self, s):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(s.smmap))
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def reply(self):
        """The next reply; None: the connection has ended."""
        digits = b""
        while True:
            byte = self.file.read(1)
            if not byte:
                assert not digits
                return None
            if byte == b":":
                break
            digits += byte
        text = self.file.read(int(digits))
        assert self.file.read(1) == b","
        return text

    def ask(self, key, name="cyrus"):
        self.send(packed(f"{name} ".encode() + (key if isinstance(key, bytes) else key.encode())))
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def said(s, keys):
    client = Client(s)
    out = {key: client.ask(key) for key in keys}
    client.close()
    return out


def ok(key):
    return b"OK " + key.encode()


# ---- addresses ------------------------------------------------------------------------------------------

def test_addresses(s):
    known = ["bob", "bob@x.test", "BOB", "bob+Work", "bob+nosuch", "bob+", "dot.ted", "bob@", "post+shared/pub", "POST+shared/pub",
             "post+shared/pub@x.test", "calendar"]
    unknown = ["nosuch", "nosuch@x.test", "nosuch+Work", "post+nosuch", "post", "post+", "", "@", "@x.test", "bob smith", "<bob>",
               "user/bob", "user.bob", "bob@x@y", "a" * 300, "a" * 4000, "bob\x00", "b\u00f6b", "post+hidden", "post+user/bob/nosuch"]
    answers = said(s, known + unknown)
    assert {k: v for k, v in answers.items() if v != ok(k)} == {k: NOTFOUND for k in unknown}


def test_what_may_be_posted_to(s):
    assert said(s, ["post+shared", "post+shared/pub"]) == {"post+shared": PERM_POST, "post+shared/pub": ok("post+shared/pub")}


def test_it_says_what_lmtpd_says(s):
    keys = ["bob", "bob+Work", "bob+nosuch", "nosuch", "full", "post+shared", "post+shared/pub", "post+hidden", "dot.ted"]
    with s.lmtp() as c:
        assert c.command("MAIL FROM:<>").ok
        codes = {key: c.command(f"RCPT TO:<{key}>").code for key in keys}
    words = {250: b"OK", 452: b"TEMP", 550: b"NOTFOUND PERM"}
    for key, answer in said(s, keys).items():
        assert answer.split(b" ")[0] in words[codes[key]].split(b" "), key


def test_quota(s):
    assert said(s, ["full", "full@x.test", "full+nosuch", "bob"]) == {
        "full": TEMP_QUOTA, "full@x.test": TEMP_QUOTA, "full+nosuch": TEMP_QUOTA, "bob": ok("bob")}
    client = Client(s)
    assert client.ask("full") == TEMP_QUOTA
    s.do("quota user.full MESSAGE 10")
    assert client.ask("full") == ok("full")    # nothing is remembered
    s.do("quota user.full MESSAGE 0", "create user.newone")
    assert client.ask("full") == TEMP_QUOTA
    assert client.ask("newone") == ok("newone")


def test_quota_for_good(make):
    s = make({"lmtp_over_quota_perm_failure": True})
    assert said(s, ["full", "bob"]) == {"full": b"PERM Over quota", "bob": ok("bob")}


def test_case(make):
    s = make({"lmtp_downcase_rcpt": False})
    assert said(s, ["BOB", "bob"]) == {"BOB": NOTFOUND, "bob": ok("bob")}


def test_no_postuser(make):
    s = make({"postuser": None})
    assert said(s, ["+shared/pub", "+shared", "+nosuch", "+"]) == {
        "+shared/pub": ok("+shared/pub"), "+shared": PERM_POST, "+nosuch": NOTFOUND, "+": NOTFOUND}


def test_names_that_come_near(make):
    s = make({"lmtp_fuzzy_mailbox_match": True})
    assert said(s, ["post+shared/pub/x", "post+nosuch/x"]) == {"post+shared/pub/x": ok("post+shared/pub/x"), "post+nosuch/x": NOTFOUND}


def test_one_who_gets_all_the_rest(make):
    s = make({"lmtp_catchall_mailbox": "bob"})
    assert said(s, ["nosuch", "full"]) == {"nosuch": ok("nosuch"), "full": TEMP_QUOTA}


def test_asking_makes_nobody(make):
    """Who would get an INBOX with his first message is there; he gets it then."""
    s = make({"autocreate_post": True, "autocreate_quota": 1000, "autocreate_users": "newone"})
    assert said(s, ["newone", "newone+x", "other"]) == {"newone": ok("newone"), "newone+x": ok("newone+x"), "other": NOTFOUND}
    assert not any("newone" in line for line in s.do("list"))


def test_virtual_domains(make):
    s = make({"virtdomains": "userid", "defaultdomain": "def.test"})
    s.do("create dom.test!user.vic", "create dom.test!shared anyone p")
    known = ["vic@dom.test", "VIC@DOM.TEST", "bob", "bob@def.test", "bob@DEF.test", "post+shared@dom.test", "post+shared/pub@def.test"]
    unknown = ["vic", "vic@def.test", "bob@dom.test", "bob@other.test", "bob@", "post+shared/pub@dom.test"]
    answers = said(s, known + unknown)
    assert {k: v for k, v in answers.items() if v != ok(k)} == {k: NOTFOUND for k in unknown}


def test_a_replica_answers(make):
    s = make()
    s.options["replicaonly"] = True
    places.write_conf(s.imapd_conf, s.options)
    done = subprocess.run([places.build() / "smmapd", "-C", s.imapd_conf, "-X"], input=packed("cyrus bob"), capture_output=True,
                          env={**s.environment, "PATH": "/usr/bin:/bin"}, timeout=20)
    assert (done.returncode, done.stdout) == (0, b"6:OK bob,")


def test_auditlog(make):
    s = make({"auditlog": True})
    said(s, ["bob", "nosuch", "full", "post+shared"])
    log = (s.root / "log").read_text()
    for words in ("auditlog: ok userid=<bob> client=<", "auditlog: nonexistent userid=<nosuch> client=<",
                  "auditlog: overquota userid=<full> client=<", "auditlog: failed userid=<post+shared> client=<"):
        assert words in log


def test_metad_is_away(make):
    """Nobody is refused for good because of trouble of ours."""
    s = make({"metad_timeout": "1s"})
    client = Client(s)
    assert client.ask("bob") == ok("bob")
    s.stop()    # the client's process is told to end; one by hand finds no metad, and no right to be one
    done = subprocess.run([places.build() / "smmapd", "-C", s.imapd_conf, "-X"], input=packed("cyrus bob"), capture_output=True,
                          env={**s.environment, "PATH": "/usr/bin:/bin"}, timeout=60)
    assert b"NOTFOUND" not in done.stdout and b"PERM" not in done.stdout, done


# ---- the protocol ------------------------------------------------------------------------------------------

def test_many_requests_at_once_and_in_pieces(s):
    client = Client(s)
    client.send(packed("cyrus bob") * 300 + packed("a b") + packed("other nosuch"))
    assert [client.reply() for _ in range(302)] == [ok("bob")] * 300 + [NOTFOUND, NOTFOUND]
    for byte in packed("cyrus bob@x.test"):
        client.send(bytes([byte]))
        time.sleep(0.002)
    assert client.reply() == ok("bob@x.test")
    client.send(packed("cyrus bo")[:-1])
    time.sleep(0.1)
    client.send(b"," + packed("cyrus bob"))
    assert [client.reply(), client.reply()] == [NOTFOUND, ok("bob")]


def test_a_request_without_a_key(s):
    client = Client(s)
    client.send(packed("bob") + packed("") + packed(" bob") + packed("cyrus bob"))
    assert [client.reply() for _ in range(4)] == [b"PERM Bad protocol (missing key)"] * 2 + [ok("bob"), ok("bob")]


@pytest.mark.parametrize("data, why", [
    (b":,", b"missing length"), (b"abc,", b"missing length"), (b"9 :cyrus bob,", b"missing length"), (b"\n9:cyrus bob,", b"missing length"),
    (b"-9:cyrus bob,", b"missing length"), (b"GET / HTTP/1.0\r\n\r\n", b"missing length"), (b"8:cyrus bob,", b"missing terminator"),
    (b"9:cyrus bobx", b"missing terminator"), (b"4097:", b"request is too long"), (b"99999999999:x", b"request is too long"),
    (b"9" * 100_000, b"request is too long")])
def test_what_is_no_netstring(s, data, why):
    """It is said why, and what was asked before is answered."""
    client = Client(s)
    client.send(packed("cyrus bob") + data)
    assert [client.reply(), client.reply()] == [ok("bob"), b"PERM Bad protocol (" + why + b")"]
    try:
        assert client.reply() is None
    except ConnectionResetError:    # what he had sent beyond it was not read
        pass
    assert said(s, ["bob"]) == {"bob": ok("bob")}


def test_a_request_that_stops_in_the_middle(s):
    client = Client(s)
    client.send(b"9:cyrus")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.reply() == b"PERM Bad protocol (request size doesn't match length)"
    assert client.reply() is None


def test_the_largest_request(s):
    client = Client(s)
    key = "x" * (4096 - len("cyrus "))
    assert client.ask(key) == NOTFOUND
    assert client.ask("bob") == ok("bob")


def test_a_client_who_says_nothing(make):
    s = make({"lmtp_timeout": "10s"})
    client = Client(s)
    started = time.monotonic()
    assert client.reply() is None
    assert 8 < time.monotonic() - started < 19


def test_memory_stays(s):
    client = Client(s)
    assert client.ask("bob") == ok("bob")
    pid = max(s.processes("smmapd"), key=rss)
    for _ in range(2):
        client.send(packed("cyrus " + "y" * 4000) * 500)
        assert {client.reply() for _ in range(500)} == {NOTFOUND}
    before = rss(pid)
    for _ in range(10):
        client.send(packed("cyrus " + "y" * 4000) * 500)
        assert {client.reply() for _ in range(500)} == {NOTFOUND}
    sanitized = b"__asan_init" in (s.bin / "smmapd").read_bytes()    # freed memory is kept for a while
    assert sanitized or rss(pid) - before < 2000


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
