"""cyr_expire and unexpunge, ours and Debian's, over the same data: ours are a primary, a real Cyrus its replica, and both tools are
run once both hold the same. Then the same with replication: what ours do follows to the Cyrus. Each difference is named."""
import re
import subprocess
import time
from email.utils import formatdate

import pytest

from lib.places import wait_until
from lib.site import Site, differences

DAY = 86400
VENDOR = "/vendor/cmu/cyrus-imapd"
TOOLS = {"cyr_expire": "cyr_expire", "unexpunge": "unexpunge"}


@pytest.fixture
def pair(roots, cyrus_peer):
    b = cyrus_peer(imapd={"sync_log": False, "virtdomains": "off", "altnamespace": False})
    with Site(roots(), "a", to=b, programs=TOOLS) as a:
        a.start()
        a.do("create user.bob bob lrswipkxtecdan", "create user.bob.Old bob lrswipkxtecdan", "create user.bob.Old.Deep bob lrswipkxtecdan")
        yield a, b


def append(a, name, *ages, flags=(), more=""):
    for age in ages:
        date = "" if age is None else f"Date: {formatdate(time.time() - age * DAY)}\r\n"
        a.append(name, f"From: Ann <ann@b.test>\r\nTo: bob@b.test\r\nSubject: Sent {age} days ago\r\n{more}{date}\r\nBody.\r\n", *flags)


def annotate(a, name, entry, value):
    a.do(f"mailboxannotation {name} {VENDOR}/{entry} - {value}")


def even(a, b):
    a.said("-u", "bob")
    assert differences(a, b, ["bob"]) == []


def ours(a, *words, status=0):
    done = subprocess.run(a.command(*words), env=a.environment, cwd="/", text=True, capture_output=True, timeout=60)
    assert done.returncode == status, f"{words} -> {done}\n{a.tail()}"
    return done


def lines(text):
    return [line for line in text.splitlines() if line]


def both(pair, *words):
    """What each says, on both outputs together: blank lines are as they fall."""
    a, b = pair
    return tuple(lines(d.stderr + d.stdout) for d in (ours(a, *words), b.tool(*words)))


# ---- cyr_expire -----------------------------------------------------------------------------------------------

def test_expunged_messages(pair):
    a, b = pair
    append(a, "user.bob", *[1] * 6)
    a.do(f"expunge user.bob 1 {9 * DAY}", f"expunge user.bob 2 {9 * DAY}", "expunge user.bob 4")
    even(a, b)
    for words in (("-X", "5"), ("-X", "36h", "-p", "user/bob/Old"), ("-X", "0.5", "-u", "bob"), ("-X", "0"), ("-X", "0"), ("-X", "0", "-x")):
        mine, theirs = both(pair, "cyr_expire", "-v", *words)
        assert mine == theirs, words
    assert mine == []
    even(a, b)


@pytest.mark.parametrize("words", [("-E", "3"), ("-X", "3"), ("-D", "3"), ("-E", "3", "-a"), ("-E", "3", "-x"), ("-t", "-c"), ("-E", "3", "-u", "bob")])
def test_old_messages(pair, words):
    a, b = pair
    append(a, "user.bob", 40, 20, None)
    append(a, "user.bob.Old", 40, 20, 1)
    a.do(f"age user.bob 3 {40 * DAY}", f"age user.bob 1 {DAY}")
    for name, value in (("user.bob", 30), ("user.bob.Old", 10), ("user.bob.Old.Deep", 0)):
        annotate(a, name, "expire", value)
    even(a, b)
    mine, theirs = both(pair, "cyr_expire", "-v", *words)
    assert mine == theirs

    def left(folder):
        with b.admin() as c:
            c.ok("SETACL", f"user/bob{folder}", "admin", "lrs")
            return c.status(f"user/bob{folder}", "MESSAGES")["MESSAGES"]
    for folder in ("", "/Old", "/Old/Deep"):
        name = "user.bob" + folder.replace("/", ".")
        here = sum("expunged=0" in line for line in a.do(f"show {name}") if line.startswith("record"))
        assert here == left(folder), name


def test_the_annotation_is_inherited_here_and_not_there(pair):
    """Their manual says that it is, their program looks at the mailbox alone."""
    a, b = pair
    append(a, "user.bob.Old.Deep", 40)
    annotate(a, "user.bob", "expire", 30)
    even(a, b)
    mine, theirs = both(pair, "cyr_expire", "-v", "-E", "3")
    expiring = [line for line in mine if line.startswith("expiring")]
    assert expiring == [f"expiring messages in {n} older than 30.00 days" for n in ("user.bob", "user.bob.Old", "user.bob.Old.Deep")]
    assert [line for line in theirs if line.startswith("expiring")] == expiring[:1]
    assert mine[-1].startswith("Expired 1 and") and theirs[-1].startswith("Expired 0 and")


def test_unused_keywords(pair):
    a, b = pair
    append(a, "user.bob", 1, flags=["used", "unused"])
    append(a, "user.bob", 1, flags=["back"])
    a.do("flags user.bob 1 used", f"expunge user.bob 2 {9 * DAY}")
    with b.admin() as c:    # what there is of names there came with flags of messages
        even(a, b)
        c.ok("SETACL", "user/bob", "admin", "lrswite")
        c.select("user/bob")
        c.store("1", "+FLAGS", "unused")
        c.store("1", "-FLAGS", "unused")
    mine, theirs = both(pair, "cyr_expire", "-v", "-t")
    flag = re.compile(r"Expunging userflag \d+ \((\w+)\) from (\S+)")
    # Ours keeps the keywords of a message that could come back; and it looks behind the expunged messages.
    assert sorted(flag.findall("\n".join(mine))) == [("unused", "user.bob")]
    assert sorted(flag.findall("\n".join(theirs))) == [("back", "user.bob"), ("unused", "user.bob")]
    assert [line for line in mine if not flag.match(line)][:-1] == [line for line in theirs if not flag.match(line)][:-1]


def test_deleted_mailboxes(pair):
    a, b = pair
    names = {}
    for name, age in (("a", 9), ("b", 1), ("c", 9)):
        names[name] = f"DELETED.user.bob.{name}.{int(time.time() - age * DAY):X}"
        a.do(f"create user.bob.{name} bob lrswipkxtecdan")
    even(a, b)
    a.do(*[f"rename user.bob.{name} {deleted}" for name, deleted in names.items()])
    annotate(a, names["c"], "delete", 30)
    with a.rolling():
        wait_until(lambda: not a.pending(), 30, a.tail)
    for words in (("-D", "5", "-x", "-p", "user/bob"), ("-D", "5", "-x", "-u", "bob"), ("-D", "0", "-x", "-a")):
        mine, theirs = both(pair, "cyr_expire", "-v", *words)
        # Theirs first opens each, and says so.
        assert mine == [line for line in theirs if not line.startswith("Cleaning up")], words
    assert mine[-1] == "Removed 2 deleted mailboxes"


# ---- unexpunge ---------------------------------------------------------------------------------------------------

def test_the_list(pair):
    a, b = pair
    append(a, "user.bob", 3, more="Cc: c@c.test, D <d@d.test>\r\nBcc: e@e.test\r\n")
    append(a, "user.bob", 1, None)
    a.do(f"expunge user.bob 1 {DAY}", "expunge user.bob 3")
    even(a, b)
    mine, theirs = both(pair, "unexpunge", "-l", "user/bob")
    assert mine == theirs and len(mine) == 20
    mine, theirs = both(pair, "unexpunge", "-l", "user/bob", "3", "1", "3")
    assert mine == theirs
    mine, theirs = both(pair, "unexpunge", "-l", "user/bob/Old")
    assert mine == theirs == []


def test_what_the_list_decodes(pair):
    """Theirs decodes it too, and shows it as an IMAP literal."""
    a, b = pair
    a.append("user.bob", "From: =?utf-8?q?=C3=84nn?= <a@b.test>\r\nTo: x@b.test\r\nTo: y@b.test\r\nSubject: =?utf-8?q?dr=C3=B6i?=\r\n\r\n.\r\n")
    a.do("expunge user.bob 1")
    even(a, b)
    mine, theirs = both(pair, "unexpunge", "-l", "user/bob")
    assert '\tSubj: "dr\u00f6i"' in mine and '\tFrom: "\u00c4nn" <a@b.test>' in mine and "\tTo  : <x@b.test>,<y@b.test>" in mine
    assert "dr\u00f6i" in theirs and "\tTo  : <y@b.test>" in theirs


def test_messages_come_back(pair):
    a, b = pair
    append(a, "user.bob", *[1] * 6, flags=["\\Deleted", "kw"])
    a.do(f"expunge user.bob 1 {9 * DAY}", *[f"expunge user.bob {uid}" for uid in (2, 3, 5)])
    even(a, b)
    for words in (("-u", "-v", "user/bob", "3"), ("-t", "1d", "-v", "-d", "-f", "Back", "user/bob"), ("-a", "-v", "user/bob"),
                  ("-a", "-v", "user/bob"), ("-a", "user/bob/Old")):
        mine, theirs = both(pair, "unexpunge", *words)
        assert mine == theirs, words

    def flags_there():
        with b.imap("bob") as c:
            c.select("INBOX")
            return {uid: sorted(v["FLAGS"]) for uid, v in c.fetch("1:*", "(FLAGS)").items()}
    b.add_users("bob")
    here = {}
    for line in a.do("show user.bob"):
        if line.startswith("record") and "expunged=0" in line:
            got = re.search(r"flags=(\S*)", line).group(1)
            here[int(re.search(r"uid=(\d+)", line).group(1))] = sorted(f for f in got.split(",") if f)
    there = {uid: [f for f in flags if f != "\\Recent"] for uid, flags in flags_there().items()}
    assert here == there and sorted(here) == [4, 6, 7, 8, 9, 10]


def test_what_theirs_passes_over(pair):
    a, b = pair
    append(a, "user.bob", 1, 1)
    a.do("expunge user.bob 1")
    even(a, b)
    for words, status in ((("-l", "user/nosuch"), 65), (("-u", "user/bob", "2"), 65), (("-t", "soon", "user/bob"), 255),
                          (("-a", "user/bob/Old", "1"), 255), (("-u", "user/bob", "x"), 255)):
        ours(a, "unexpunge", *words, status=status)
        assert b.tool("unexpunge", *words).returncode == 0, words


# ---- replicated ------------------------------------------------------------------------------------------------------

def test_all_of_it_follows_to_a_cyrus(pair):
    a, b = pair
    append(a, "user.bob", *[40] * 5)
    append(a, "user.bob.Old", 1)
    annotate(a, "user.bob", "expire", 30)
    a.do("expunge user.bob 4")
    even(a, b)

    def follows(what):
        wait_until(lambda: not a.pending() and differences(a, b, ["bob"]) == [], 30,
                   lambda: f"{what} followed: " + "\n".join(differences(a, b, ["bob"])))
    with a.rolling():
        ours(a, "cyr_expire", "-E", "3")
        follows("expiry")
        ours(a, "unexpunge", "-u", "-d", "-f", "Back", "user/bob", "2", "4")
        follows("unexpunge")
        ours(a, "cyr_expire", "-X", "0", "-a", "-t")
        follows("the purge")
        b.tool("cyr_expire", "-X", "0", "-a")
        a.do("delete user.bob.Old.Deep")
        append(a, "user.bob", 1)
        follows("what came after")
        time.sleep(1.1)
        ours(a, "cyr_expire", "-D", "0", "-x")
        follows("the deletion")
    records = [line for line in a.do("show user.bob") if line.startswith("record")]
    assert sorted(int(re.search(r"uid=(\d+)", line).group(1)) for line in records) == [6, 7, 8]


def test_a_purge_of_what_the_cyrus_never_heard_of(pair):
    a, b = pair
    append(a, "user.bob", *[1] * 4)
    even(a, b)
    a.do("expunge user.bob 1", "expunge user.bob 3")
    ours(a, "cyr_expire", "-X", "0")
    even(a, b)
    records = [line for line in a.do("show user.bob") if line.startswith("record")]
    assert sorted(int(re.search(r"uid=(\d+)", line).group(1)) for line in records) == [2, 4]
