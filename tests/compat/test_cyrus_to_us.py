"""Debian's own sync_client 3.6.1 replicates to our sync_server: everything there is, every kind of change, by every mode and
transport; each run leaves both sides equal, and the run after it sends nothing.

What our side has is read by lib.csync (GET FULLMAILBOX, GET FETCH) and judged by lib.checker."""
import hashlib

import pytest

from lib import messages
from lib.filled import SCRIPT, fill, sync_all
from lib.imap import ImapError, Literal
from lib.mail_server import ADMIN
from lib.store import read_store
from lib.tap import Tap

# ---- everything, by every mode -------------------------------------------------------------------------

def test_everything_at_once_then_nothing(towards_us):
    p = towards_us()
    fill(p.a)
    sync_all(p.a)
    assert {"APPLY MESSAGE", "APPLY MAILBOX", "APPLY QUOTA", "APPLY SUB", "APPLY SEEN", "APPLY ANNOTATION"} <= set(p.orders())
    p.must_be_equal()
    store = read_store(p.b.endpoint(), bodies=False)    # and it did look
    assert set(store.users) == {"bob", "carol", "dave", "first.last"}
    assert store.users["bob"].subscriptions == {"user.bob.Sent", "user.bob.a b^c"}
    assert len(store.users["carol"].seen) == 1 and store.annotations == {("/comment", "", "of a")}
    assert store.users["dave"].scripts == {"main.script": (hashlib.sha1(SCRIPT.encode()).hexdigest(), "0"),
                                           "main.bc": ("0" * 40, "1")}
    assert store.quota["user.bob"] == {"STORAGE": 1000, "MESSAGE": 100, "X-NUM-FOLDERS": 10}
    p.must_be_quiet("-A")
    again = p.sync("-v", "-A").stdout.split("\n")
    assert [line for line in again if line.startswith(("MAILBOX ", "SUB", "SEEN", "QUOTA", "SIEVE"))] == []


def test_one_user_one_mailbox_only_meta(towards_us):
    p = towards_us()
    fill(p.a)
    p.sync("-u", "bob")
    assert set(read_store(p.b.endpoint(), bodies=False).users) == {"bob"}
    p.must_be_quiet("-u", "bob")
    p.sync("-u", "carol", "dave", "first.last")
    p.sync("-m", "dept", "closed", "full")
    p.must_be_quiet("-m", "dept", "closed", "full", "user/bob")
    with p.a.imap("bob") as c:
        c.append("Sent", messages.plain(50))
        c.append("INBOX", messages.plain(51))
        c.ok("UNSUBSCRIBE", "Sent")
    p.sync("-m", "user/bob/Sent")
    told = p.differences()
    assert told and not [line for line in told if "user.bob.Sent:" in line]    # the rest is still to come
    p.sync("-s", "bob")
    assert not [line for line in p.differences() if "subscription" in line]
    p.must_be_quiet("-s", "bob")
    sync_all(p.a)
    p.must_be_equal()


TRANSPORTS = {
    "plain": lambda p: {"sync_port": Tap(p.b, b"* COMPRESS DEFLATE\r\n").port},
    "deflate": lambda p: {},
    "tls": lambda p: {},    # there is no mechanism before it: the only reason this client has to use it
    "unix": lambda p: {"sync_host": str(p.b.socket), "sync_port": None},
    "imap": lambda p: {"sync_try_imap": True, "sync_port": p.b.imap_port},
}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_over_every_transport(towards_us, transport):
    p = towards_us(tls=transport == "tls", imapd={"csync_allowplaintext": False} if transport == "tls" else None)
    p.a.options.update(TRANSPORTS[transport](p))
    p.a.write_conf()
    fill(p.a)
    sync_all(p.a)
    # Over a Unix socket no capability is offered, as in Cyrus: scripts go as files, and are other messages here.
    but = "user.dave.#sieve" if transport == "unix" else None
    p.must_be_equal(but=but)
    p.must_be_quiet("-A")
    with p.a.imap("carol") as c:
        c.append("INBOX", b"Subject: long\r\n\r\n" + b"0123456789abcdef\r\n" * 60000)    # more than a megabyte
        c.select("INBOX")
        c.store("1", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
    p.roll()
    p.must_be_equal(but=but)
    said = {"tls": "PLAIN+TLS User", "unix": "", "imap": ""}.get(transport, "PLAIN User")
    assert said in p.b.log()


def test_a_client_that_tries_imap_first(towards_us):
    """On our csync port: it finds out by itself, in the ten seconds it takes for that against a Cyrus too."""
    p = towards_us(peer={"sync_try_imap": True})
    p.a.make_user("bob")
    p.sync("-u", "bob")
    p.must_be_equal()


def test_an_older_peer_without_sieve_mailbox(towards_us):
    """It sends scripts as files; ours are messages all the same, and give way when the mailbox comes."""
    p = towards_us()
    p.a.options["sync_port"] = Tap(p.b, b"* SIEVE-MAILBOX\r\n").port
    p.a.write_conf()
    p.a.make_user("dave")
    with p.a.csync(sieve=False) as c:
        for name in ("main", "vac two"):
            c.apply("SIEVE", {"USERID": "dave", "FILENAME": name + ".script", "LAST_UPDATE": 1, "CONTENT": SCRIPT})
        c.apply("ACTIVATE_SIEVE", {"USERID": "dave", "FILENAME": "main.bc"})
    p.sync("-u", "dave")
    digest = hashlib.sha1(SCRIPT.encode()).hexdigest()

    def scripts():
        with p.b.endpoint().open_csync(sieve=False) as c:
            return {s["FILENAME"]: s["GUID"] for s in c.get("META", "dave").all("SIEVE")}
    assert scripts() == {"main.script": digest, "main.bc": "0" * 40, "vac two.script": digest}
    p.must_be_quiet("-u", "dave")
    with p.a.csync(sieve=False) as c:
        c.apply("ACTIVATE_SIEVE", {"USERID": "dave", "FILENAME": "vac two.bc"})
        c.apply("UNSIEVE", {"USERID": "dave", "FILENAME": "main.script"})
    p.sync("-s", "dave")
    assert scripts() == {"vac two.script": digest, "vac two.bc": "0" * 40}
    p.a.options["sync_port"] = p.b.port
    p.a.write_conf()
    p.sync("-u", "dave")
    p.must_be_equal()
    p.must_be_quiet("-u", "dave")


# ---- every kind of change ------------------------------------------------------------------------------

def as_user(*steps, user="bob"):
    """A change made over IMAP: commands as tuples."""
    def change(a):
        with a.imap(user) as c:
            for step in steps:
                c.append(*step[1:]) if step[0] == "APPEND" else c.ok(*step)
    return change


def script(a, what, **more):
    with a.csync(sieve=False) as c:
        c.apply(what, {"USERID": "dave", **more})


def append_all(name, texts):
    def change(a):
        with a.imap("bob") as c:
            c.ok("CREATE", name)
            for text in texts:
                try:
                    c.append(name, text)
                except ImapError as error:    # some of the odd ones no Cyrus takes
                    assert "essage" in str(error)
    return change


def odd_messages():
    return [p.read_bytes() for p in sorted((messages.FOLDER / "odd").iterdir())]


INBOX = ("SELECT", "INBOX")
CHANGES = {
    "system flags": as_user(INBOX, ("UID STORE", "1", "FLAGS", "(\\Seen \\Answered)"), ("UID STORE", "2", "-FLAGS", "(\\Seen)")),
    "keywords": as_user(INBOX, ("UID STORE", "1:3", "+FLAGS", "(NonJunk $Label1)"), ("UID STORE", "3", "-FLAGS", "(Important)")),
    "append": as_user(("APPEND", "INBOX", messages.plain(60)), ("APPEND", "Sent", messages.alternative(61), ["\\Seen", "New"])),
    "the same message twice": as_user(("APPEND", "INBOX", messages.plain(62)), ("APPEND", "INBOX", messages.plain(62))),
    "expunge": as_user(INBOX, ("UID STORE", "1", "+FLAGS.SILENT", "(\\Deleted)"), ("EXPUNGE",)),
    "expunged for good": lambda a: a.tool("cyr_expire", "-X", "0", "-E", "1"),
    "append behind a gap": as_user(("APPEND", "INBOX", messages.plain(63)),),
    "copy": as_user(INBOX, ("UID COPY", "2:3", "Sent"),),
    "move": as_user(INBOX, ("UID MOVE", "2", "Sent"),),
    "a new mailbox and its child": as_user(("CREATE", "Work"), ("CREATE", "Work/Sub"), ("APPEND", "Work/Sub", messages.plain(64))),
    "rename with a child": as_user(("RENAME", "Work", "Projects"),),
    "rename below new parents": as_user(("CREATE", "p"), ("RENAME", "p", "q/r/s")),
    "delayed delete": as_user(("DELETE", "Projects/Sub"),),
    "a mailbox born again": as_user(("CREATE", "Projects/Sub"), ("APPEND", "Projects/Sub", messages.plain(65))),
    "rights": as_user(("SETACL", "INBOX", "carol", "lrsi"), ("SETACL", "Sent", "anyone", "l"), ("DELETEACL", "Sent", "anyone")),
    "annotations of mailboxes": as_user(("SETMETADATA", "Sent", '(/shared/comment "another")'),
                                        ("SETMETADATA", "INBOX", "(/private/comment", Literal("mé!\r\n".encode()), ")")),
    "annotations of messages": as_user(INBOX, ("UID STORE", "3", "ANNOTATION", '(/comment (value.shared "x" value.priv "y"))')),
    "no annotation any more": as_user(INBOX, ("UID STORE", "3", "ANNOTATION", "(/comment (value.shared NIL))"),
                                      ("SETMETADATA", "Sent", "(/shared/comment NIL)")),
    "quota": as_user(("SETQUOTA", "user/bob", "(STORAGE 5000 X-ANNOTATION-STORAGE 7)"), user=ADMIN),
    "no limits": as_user(("SETQUOTA", "user/bob", "()"), user=ADMIN),
    "subscriptions": as_user(("SUBSCRIBE", "Projects"), ("UNSUBSCRIBE", "Sent"), ("SUBSCRIBE", "INBOX")),
    "seen in another's mailbox": as_user(("SELECT", '"Other Users/bob"'), ("UID STORE", "3:*", "+FLAGS", "(\\Seen)"), user="carol"),
    "a script": lambda a: script(a, "SIEVE", FILENAME="vac.script", LAST_UPDATE=1, CONTENT="keep;\r\n"),
    "another script active": lambda a: script(a, "ACTIVATE_SIEVE", FILENAME="vac.bc"),
    "a script less": lambda a: script(a, "UNSIEVE", FILENAME="main.script"),
    "shared mailboxes": as_user(("CREATE", "dept/sub"), ("SETACL", "dept/sub", "bob", "lrsip"), ("RENAME", "dept/sub", "dept2"),
                                user=ADMIN),
    "a server annotation": as_user(("SETMETADATA", '""', '(/shared/comment "of a, changed")'), user=ADMIN),
    "odd messages": append_all("odd", odd_messages()),
    "many messages": append_all("many", [messages.plain(n, size=50 + n) for n in range(300)]),
    "many flags": as_user(("SELECT", "many"), ("UID STORE", "1:*", "+FLAGS", "(\\Seen Read)"), ("UID STORE", "1:200", "+FLAGS", "(\\Deleted)"),
                          ("EXPUNGE",)),
    "another partition": as_user(("RENAME", "user/bob/Sent", "user/bob/Sent", "p2"), user=ADMIN),
    "a user removed": as_user(("SETACL", "user/first.last", ADMIN, "lrsxc"), ("DELETE", "user/first.last"), user=ADMIN),
}


# What -A does not carry: users that are gone, what is below DELETED of nobody, server annotations.
BY_LOG_ONLY = {"a user removed", "a server annotation"}
# What the old Sieve commands change is in no log.
NOT_LOGGED = {"a script", "another script active", "a script less"}


@pytest.mark.limit(600)
@pytest.mark.parametrize("mode", ["log", "users"])
def test_every_kind_of_change(towards_us, mode):
    """One after the other, each replicated by its log lines, or by comparing all users."""
    p = towards_us()
    fill(p.a)
    sync_all(p.a)
    p.must_be_equal("to begin with")
    for what, change in CHANGES.items():
        change(p.a)
        by_log = what in BY_LOG_ONLY or mode == "log" and what not in NOT_LOGGED
        p.roll() if by_log else p.sync("-A")
        if mode == "users" and what not in BY_LOG_ONLY:
            p.orders()
            p.roll()    # the lines say nothing new; of what is not a mailbox they are sent unseen
            assert set(p.orders()) <= {"APPLY QUOTA", "APPLY UNQUOTA", "APPLY SUB", "APPLY UNSUB", "APPLY SEEN"}, what
        p.must_be_equal(what)
