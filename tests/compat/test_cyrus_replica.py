"""Our sync_client and a real Cyrus 3.6.1 as the replica: every mode, every kind of object, every conflict; afterwards both hold the same,
as judged by lib.checker, and a second run sends nothing."""
import time

import pytest

from lib.places import wait_until
from lib.site import Site, bob, differences, follows, steps_of_a_user
from lib.tap import Tap


@pytest.fixture
def pair(roots, cyrus_peer):
    made = []

    def make(replica=None, **more):
        b = cyrus_peer(imapd={"sync_log": False, "virtdomains": "off", **(replica or {})})
        b.options["partition-p2"] = b.root / "spool2"
        a = Site(roots(), "a", to=b, **more).__enter__()
        made.append(a)
        a.start()
        return a, b
    yield make
    for site in reversed(made):
        site.__exit__(None)


def users(a, *names):
    a.do(*(f"create user.{name} {name} lrswipkxtecdan" for name in names))


def test_a_user_comes_over_and_a_second_run_says_only_his_name(pair):
    a, b = pair()
    bob(a)
    follows(a, b, ["USER bob", "MAILBOX user.bob", "MAILBOX user.bob.Sent"])


@pytest.mark.parametrize("words, wanted", [((), []), (("-z",), ["DEFLATE"])], ids=["on one machine", "asked for"])
def test_compression_is_its_own(pair, words, wanted):
    a, b = pair()
    bob(a)
    tap = Tap(b)
    a.options["sync_port"] = tap.port
    a.write_conf()
    a.append("user.bob", "Subject: long\r\n\r\n" + "0123456789abcdef\r\n" * 20000)
    assert "MAILBOX user.bob" in a.said("-u", *words, "bob")
    assert tap.compressions() == wanted
    assert (len(tap.said) < 100000) == bool(wanted)
    assert differences(a, b, ["bob"]) == []


def test_every_change_of_a_user_follows(pair):
    a, b = pair()
    bob(a)
    a.do("create shared")
    uniqueid = a.do("show shared")[0].split("uniqueid=")[1].split()[0]
    a.said("-u", "bob")
    for changes, said in steps_of_a_user(uniqueid):
        a.do(*changes)
        follows(a, b, ["USER bob", *said])


def test_renames_in_a_circle(pair):
    a, b = pair()
    bob(a)
    a.do("create user.bob.A", "create user.bob.B", "create user.bob.C")
    for name in "ABC":
        a.append(f"user.bob.{name}", f"in {name}\r\n")
    a.said("-u", "bob")
    a.do("rename user.bob.A user.bob.T", "rename user.bob.B user.bob.A", "rename user.bob.C user.bob.B",
         "rename user.bob.T user.bob.C")
    a.append("user.bob.C", "more\r\n")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert a.said("-u", "bob") == ["USER bob"]


def test_delete_and_create_again(pair):
    a, b = pair()
    bob(a)
    a.append("user.bob.Sent", "old\r\n")
    a.said("-u", "bob")
    a.do("remove user.bob.Sent", "create user.bob.Sent")
    a.append("user.bob.Sent", "new\r\n")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    a.do("remove user.bob.Sent", "create user.bob.X")
    a.said("-u", "bob")
    a.do("create user.bob.Sent", "rename user.bob.X user.bob.Y", "rename user.bob.Sent user.bob.X")
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == [] and a.said("-u", "bob") == ["USER bob"]


def test_delayed_deletes_and_their_end_follow(pair):
    a, b = pair()
    bob(a)
    a.said("-u", "bob")
    a.do("delete user.bob.Sent")
    deleted = a.said("-u", "bob")[1].split(" -> ")[1].split(" ")[0]
    assert differences(a, b, ["bob"]) == []
    a.do(f"remove {deleted}")
    follows(a, b, ["USER bob", f"UNMAILBOX {deleted}"])


def test_mailboxes_meta_and_everything(pair):
    a, b = pair()
    bob(a)
    users(a, "ann")
    a.do("create shared anyone lrs", "create shared.sub anyone lrs", "quota shared STORAGE 5", "serverannotation /comment - hi",
         "subscribe ann shared")
    a.append("shared", "s\r\n")
    assert a.said("-m", "shared") == ["MAILBOX shared"]
    assert a.said("-m", "shared") == []
    assert a.said("-u", "ann")[0] == "USER ann"
    a.do("unsubscribe ann shared", "subscribe ann user.ann")
    assert a.said("-s", "ann") == ["META ann", "SUB ann user.ann", "UNSUB ann shared"]
    assert a.said("-s", "ann") == ["META ann"]
    a.sync("-A")
    assert differences(a, b, ["ann", "bob"], ["shared", "shared.sub"]) == []
    a.do("removeuser ann", "remove shared.sub", "unquota shared", "serverannotation /comment - -")
    a.sync("-A")
    assert differences(a, b, ["bob"], ["shared"]) == []
    with b.csync() as c:
        assert c.mailboxes("shared.sub", "user.ann") == [] and c.get("META", "ann").items == []
    assert a.said("-A") == ["USER bob", "UNQUOTA shared"]


def test_names_of_all_sorts(pair):
    a, b = pair()
    bob(a)
    names = ["user.first^last", "user.first^last.x^y", "user.bob.Entw&APw-rfe", "user.bob.NIL", "user.bob.pa(re)n",
             "user.bob.deep", "user.bob.deep.er"]
    a.do(*(f"create {name}" for name in names))
    for name in names:
        a.append(name, f"in {name}\r\n")
    a.sync("-A")
    assert differences(a, b, ["bob", "first.last"]) == []
    assert [line for line in a.said("-A") if not line.startswith("USER")] == []


def test_over_imap(pair):
    a, b = pair(imapd={"sync_try_imap": True})
    bob(a)
    where = ("-S", f"127.0.0.1:{b.imap_port}")
    assert "SYNCAPPLY MAILBOX" in a.sync("-v", "-u", *where, "bob").stderr
    assert differences(a, b, ["bob"]) == []
    a.append("user.bob", "more\r\n")
    follows(a, b, ["USER bob", "MAILBOX user.bob"], mode=("-u", *where, "bob"))


def test_many_messages_in_steps(pair):
    a, b = pair(imapd={"sync_batchsize": 20})
    users(a, "bob")
    for n in range(95):
        a.append("user.bob", f"Subject: {n}\r\n\r\n{n}\r\n")
    a.do(*(f"expunge user.bob {n}" for n in range(10, 60, 7)))
    done = a.sync("-v", "-u", "bob")
    assert done.stderr.count("APPLY MAILBOX") == 5
    assert differences(a, b, ["bob"]) == []
    assert a.said("-u", "bob") == ["USER bob"]


def test_rolling(pair):
    a, b = pair()
    bob(a)
    with a.rolling():
        assert differences(a, b, ["bob"]) == []
        for n in range(20):
            a.append("user.bob", f"{n}\r\n")
            a.do(f"flags user.bob {n + 1} \\Seen")
        a.do("create user.bob.New", "rename user.bob.New user.bob.Newer", "delete user.bob.Newer", "subscribe bob user.bob",
             "quota user.bob STORAGE 100", "create shared anyone lrs", "acl user.bob bob lrs")
        a.wait_synced()
        assert differences(a, b, ["bob"], ["shared"]) == []


def test_a_renamed_user_keeps_his_subscriptions(pair):
    """In a Cyrus the UNUSER of the old name takes them away (it looks them up by the INBOX's identity)."""
    a, b = pair(replica={"allowusermoves": True})
    bob(a)
    a.do("subscribe bob user.bob", "subscribe bob user.bob.Sent")
    a.sync("-u", "bob")
    a.do("rename user.bob.Sent user.joe.Sent", "rename user.bob user.joe", "subscribe joe user.joe", "unsubscribe bob user.bob",
         "unsubscribe bob user.bob.Sent")
    log = a.root / "log-of-a-rename"
    log.write_text("RENAME user.bob user.joe\nMAILBOX user.bob\nMAILBOX user.joe\nRENAME user.bob.Sent user.joe.Sent\n"
                   "MAILBOX user.joe.Sent\nUSER joe\nUNUSER bob\n")
    log.chmod(0o666)
    said = a.said("-R", "-f", str(log))
    assert "UNUSER bob" in said and differences(a, b, ["joe"]) == []
    with b.csync() as c:
        assert c.get("META", "joe").all("LSUB") == [["user.joe"]]


# ---- both were written to ------------------------------------------------------------------------------------

def there(b, *commands):
    """Change the Cyrus as a client of it."""
    with b.imap("bob") as c:
        c.select("INBOX")
        for command in commands:
            c.ok(*command)


def settled(a, b, live):
    """A run makes both equal, with so many live messages, and another one has nothing to do."""
    a.sync("-u", "bob")
    assert differences(a, b, ["bob"]) == []
    assert a.said("-u", "bob") == ["USER bob"]
    with b.csync() as c:
        records = c.full_mailbox("user.bob")["RECORD"]
    assert len([r for r in records if "\\Expunged" not in map(str, r["FLAGS"])]) == live


@pytest.fixture
def split(pair):
    a, b = pair()
    b.add_users("bob")
    bob(a)
    a.append("user.bob", "Subject: three\r\n\r\n")
    a.sync("-u", "bob")
    time.sleep(1.1)    # LAST_UPDATED counts in seconds
    return a, b


def append_there(b, text):
    with b.imap("bob") as c:
        c.append("INBOX", text.encode())


def test_split_what_came_there(split):
    a, b = split
    append_there(b, "Subject: theirs\r\n\r\n")
    settled(a, b, 4)


def test_split_one_uid_two_messages(split):
    a, b = split
    append_there(b, "Subject: theirs\r\n\r\n")
    a.append("user.bob", "Subject: ours\r\n\r\n")
    settled(a, b, 5)


def test_split_flags(split):
    a, b = split
    there(b, ("UID STORE", "1 +FLAGS (\\Flagged)"), ("UID STORE", "1 +FLAGS (\\Answered)"))
    a.do("flags user.bob 1 \\Draft", "flags user.bob 2 \\Draft")
    settled(a, b, 3)
    with b.csync() as c:
        flags = [sorted(map(str, r["FLAGS"])) for r in c.full_mailbox("user.bob")["RECORD"]]
    assert flags[0] == ["$Work", "\\Answered", "\\Flagged", "\\Seen"] and flags[1] == ["\\Draft"]


def test_split_expunged_there_changed_here(split):
    a, b = split
    there(b, ("UID STORE", "1 +FLAGS (\\Deleted)"), ("EXPUNGE",))
    a.do("flags user.bob 1 \\Draft")
    settled(a, b, 2)


def test_split_expunged_here_changed_there(split):
    a, b = split
    there(b, ("UID STORE", "1 +FLAGS (\\Flagged)"))
    a.do("expunge user.bob 1")
    settled(a, b, 2)


def test_split_stale_replica_that_was_written_to(split):
    a, b = split
    a.do("expunge user.bob 1", "expunge user.bob 2", "unlink user.bob 1 2")
    a.append("user.bob", "Subject: ours\r\n\r\n")
    append_there(b, "Subject: theirs\r\n\r\n")
    settled(a, b, 3)


def test_split_same_name_two_mailboxes(split):
    a, b = split
    a.do("create user.bob.Twice", "create user.bob.Empty")
    a.append("user.bob.Twice", "ours\r\n")
    time.sleep(1.1)
    with b.imap("bob") as c:
        c.ok("CREATE", "Twice")
        c.append("Twice", b"Subject: theirs\r\n\r\n")
        c.ok("CREATE", "Empty")    # gives way
    done = a.sync("-u", "bob", check=False)
    assert done.returncode == 1
    lines = [line for line in differences(a, b, ["bob"]) if "Twice" not in line]
    assert lines == []


def test_split_only_there_is_left(split):
    a, b = split
    with b.imap("bob") as c:
        c.ok("CREATE", "Theirs")
    a.sync("-u", "bob")
    assert differences(a, b, ["bob"]) == ["mailboxes: user.bob.Theirs only on " + b.name]


def test_split_headers_the_master_wins(split):
    a, b = split
    with b.admin() as c:
        c.ok("SETACL", "user/bob joe lr")
        c.ok("SETQUOTA", "user/bob (STORAGE 77)")
    with b.imap("bob") as c:
        c.ok("SUBSCRIBE", "INBOX")
        c.ok("SETMETADATA", 'INBOX (/shared/comment "theirs")')
    a.do("subscribe bob user.bob.Sent")
    settled(a, b, 3)


def test_a_cyrus_that_goes_away_and_comes_back(pair):
    a, b = pair()
    bob(a)
    with a.rolling() as client:
        b.stop()
        for n in range(10):
            a.append("user.bob", f"{n}\r\n")
        wait_until(lambda: a.page().error, 10, "it noticed")
        b.start()
        a.wait_synced(seconds=40)
        assert client.poll() is None
        assert differences(a, b, ["bob"]) == []
