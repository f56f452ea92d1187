"""cyr_expire: what is old goes, and nothing else."""
import os
import signal
import subprocess
import time
from email.utils import formatdate

import pytest

from lib import places
from lib.bench import Bench

DAY = 86400
EXPIRE = "/vendor/cmu/cyrus-imapd/expire"
DELETE = "/vendor/cmu/cyrus-imapd/delete"


@pytest.fixture
def bench(root):
    bench = Bench(root)
    bench.do("create user.bob", "create user.bob.old", "create user.bob.old.deep", "create user.amy", "create shared")
    bench.log_lines()
    return bench


def append(bench, name, *ages, flags=()):
    """Messages sent so many days ago; without a Date field for None."""
    for age in ages:
        date = "" if age is None else f"Date: {formatdate(time.time() - age * DAY)}\r\n"
        file = bench.message(f"From: a@b\r\nTo: c@d\r\nSubject: {age}\r\n{date}\r\nBody.\r\n")
        bench.do(" ".join(["append", name, str(file), *flags]))


def expire(bench, *args):
    """What it says with -v, which it must do well."""
    done = bench.tool("cyr_expire", "-v", *args)
    assert done.returncode == 0 and done.stdout == "", done
    return done.stderr


def said(bench, *args):
    return [line for line in expire(bench, *args).splitlines() if line]


def files(bench, name):
    return sorted(int(p.name[:-1]) for p in bench.directory(name).glob("[0-9]*."))


def live(bench, name):
    return sorted(bench.show(name).live)


def names(bench):
    return [line.split()[1] for line in bench.do("list")]


def deleted(name, age):
    return f"DELETED.{name}.{int(time.time() - age):X}"


def annotate(bench, name, entry, value):
    bench.do(f"mailboxannotation {name} {entry} - {value}")


# ---- the command line -------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [(), ("-v",), ("-a",), ("-x", "-c"), ("-u", "bob"), ("-p", "user/bob")])
def test_nothing_asked_for(bench, args):
    done = bench.tool("cyr_expire", *args)
    assert done.returncode == 64 and done.stderr.startswith("Missing arguments.\nUsage: cyr_expire [OPTIONS]")


@pytest.mark.parametrize("args", [
    ("-E", "x"), ("-E", ""), ("-E", "-1"), ("-X", "1x"), ("-X", "1d2h"), ("-X", "."), ("-X", "1.2.3"), ("-D", "inf"), ("-D", "0x10"),
    ("-A", "soon"), ("-X", "1e3"), ("-X", "99999999999"), ("-z",), ("-h",), ("-X", "3", "user/bob")])
def test_wrong_calls(bench, args):
    done = bench.tool("cyr_expire", *args)
    assert done.returncode == 64 and "Usage: cyr_expire" in done.stderr and "Missing" not in done.stderr


@pytest.mark.parametrize("word, days", [("3", 3), ("0.5", .5), ("36h", 1.5), ("720m", .5), ("86400s", 1), ("1.5d", 1.5), ("1w", 7)])
def test_durations(bench, word, days):
    age = int(days * DAY)
    append(bench, "user.bob", 1, 1, 1)
    bench.do(f"expunge user.bob 1 {age + 100}", f"expunge user.bob 2 {age - 100}")
    assert said(bench, "-X", word)[0] == f"Expunging deleted messages in mailboxes older than {days:.2f} days"
    assert files(bench, "user.bob") == [2, 3]


# ---- -X: expunged messages ----------------------------------------------------------------------------------

def test_expunged_messages_go(bench):
    append(bench, "user.bob", *[1] * 8)
    append(bench, "shared", 1, 1)
    bench.do(*[f"expunge user.bob {uid} {age * DAY}" for uid, age in ((1, 9), (2, 9), (4, 9), (5, 1), (6, 9))],
             f"expunge shared 2 {9 * DAY}")
    before = bench.show("user.bob").counters
    bench.log_lines()
    assert said(bench, "-X", "5") == [
        "Expunging deleted messages in mailboxes older than 5.00 days",
        *[f"cleaning up expunged messages in {name}" for name in
          ("shared", "user.amy", "user.bob", "user.bob.old", "user.bob.old.deep")],
        "Expired 0 and expunged 5 out of 10 messages from 5 mailboxes"]
    box = bench.show("user.bob")
    assert files(bench, "user.bob") == [3, 5, 7, 8] == sorted(box.records) and sorted(box.live) == [3, 7, 8]
    assert files(bench, "shared") == [1]
    # who asks for changes since then has to compare everything; nothing else looks changed
    assert box.counters["deletedmodseq"] > before["deletedmodseq"]
    assert {k: box.counters[k] for k in ("highestmodseq", "uidvalidity", "exists", "last_uid")} == \
        {k: before[k] for k in ("highestmodseq", "uidvalidity", "exists", "last_uid")}
    assert sorted(bench.log_lines()) == ["MAILBOX shared", "MAILBOX user.bob"]
    assert said(bench, "-X", "5")[-1] == "Expired 0 and expunged 0 out of 5 messages from 5 mailboxes"
    assert bench.log_lines() == []
    assert said(bench, "-X", "0")[-1] == "Expired 0 and expunged 1 out of 5 messages from 5 mailboxes"
    assert files(bench, "user.bob") == [3, 7, 8]


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_it_works_in_turns(bench, most):
    bench.options["expire_batch"] = most
    bench.write_conf()
    append(bench, "user.bob", *[1] * 9)
    bench.do(*[f"expunge user.bob {uid}" for uid in (1, 2, 3, 5, 6, 7, 9)])
    bench.log_lines()
    assert said(bench, "-X", "0")[-1].startswith("Expired 0 and expunged 7 out of 9")
    assert files(bench, "user.bob") == [4, 8]
    assert bench.log_lines() == ["MAILBOX user.bob"] * -(-7 // most)
    bench.ok("reconstruct", "user/bob")
    assert live(bench, "user.bob") == [4, 8] == sorted(bench.show("user.bob").records)


def test_records_without_files_go_too(bench):
    bench.options["expunge_mode"] = "immediate"
    bench.write_conf()
    append(bench, "user.bob", 40, 1)
    annotate(bench, "user.bob", EXPIRE, 30)
    assert said(bench, "-E", "3")[-1].startswith("Expired 1 and expunged 0")
    assert files(bench, "user.bob") == [2] and sorted(bench.show("user.bob").records) == [1, 2]
    assert said(bench, "-X", "0")[-1].startswith("Expired 0 and expunged 0 out of 2")    # files are counted, and it has none
    assert sorted(bench.show("user.bob").records) == [2]


# ---- the annotation: old messages ----------------------------------------------------------------------------

def test_messages_expire_by_the_annotation(bench):
    append(bench, "user.bob.old", 40, 20, None)
    append(bench, "user.bob", 40)
    bench.do(f"age user.bob.old 3 {40 * DAY}", f"age user.bob.old 2 {40 * DAY}")
    annotate(bench, "user.bob.old", EXPIRE, 30)
    before = bench.show("user.bob.old").counters["highestmodseq"]
    bench.log_lines()
    assert "expiring messages in user.bob.old older than 30.00 days" in said(bench, "-E", "3")
    # by the Date field; where there is none by the arrival
    assert live(bench, "user.bob.old") == [2] and live(bench, "user.bob") == [1]
    box = bench.show("user.bob.old")
    assert files(bench, "user.bob.old") == [1, 2, 3]
    assert box.counters["highestmodseq"] == before + 1 == box.records[1]["modseq"] == box.records[3]["modseq"]
    assert bench.log_lines() == ["MAILBOX user.bob.old"]


def test_the_annotation_is_inherited(bench):
    for name in ("user.bob", "user.bob.old", "user.bob.old.deep", "user.amy", "shared"):
        append(bench, name, 40, 15, 5)
    annotate(bench, "user.bob", EXPIRE, 30)
    annotate(bench, "user.bob.old", EXPIRE, 0)
    bench.do(f"serverannotation {EXPIRE} - 10")
    assert [line for line in said(bench, "-t") if line.startswith("expiring")] == [
        "expiring messages in shared older than 10.00 days", "expiring messages in user.amy older than 10.00 days",
        "expiring messages in user.bob older than 30.00 days"]
    assert [live(bench, name) for name in ("user.bob", "user.amy", "shared")] == [[2, 3], [3], [3]]
    # for ever, and what is below it as well
    assert live(bench, "user.bob.old") == live(bench, "user.bob.old.deep") == [1, 2, 3]


@pytest.mark.parametrize("args", [("-E", "3"), ("-X", "3"), ("-D", "3"), ("-t",)])
def test_whatever_is_asked_for_messages_expire(bench, args):
    append(bench, "user.bob", 40)
    annotate(bench, "user.bob", EXPIRE, 30)
    expire(bench, *args)
    assert live(bench, "user.bob") == []


@pytest.mark.parametrize("args", [("-E", "3", "-x"), ("-E", "3", "-a"), ("-t", "-a", "-c")])
def test_unless_it_is_told_not_to(bench, args):
    append(bench, "user.bob", 40, 1)
    bench.do(f"expunge user.bob 2 {9 * DAY}")
    annotate(bench, "user.bob", EXPIRE, 30)
    expire(bench, *args)
    assert live(bench, "user.bob") == [1] and files(bench, "user.bob") == [1, 2]


def test_x_leaves_messages_alone(bench):
    append(bench, "user.bob", 1)
    bench.do("expunge user.bob 1")
    assert expire(bench, "-X", "0", "-t", "-x") == ""
    assert files(bench, "user.bob") == [1]


def test_flagged_messages_may_be_kept(bench):
    append(bench, "user.bob", 40, flags=["\\Flagged"])
    append(bench, "user.bob", 40)
    annotate(bench, "user.bob", EXPIRE, 30)
    bench.options["expire_keep_flagged"] = True
    bench.write_conf()
    expire(bench, "-E", "3")
    assert live(bench, "user.bob") == [1]
    bench.options["expire_keep_flagged"] = False
    bench.write_conf()
    expire(bench, "-E", "3")
    assert live(bench, "user.bob") == []


def test_the_date_of_arrival_may_count(bench):
    append(bench, "user.bob", 40, 1)
    bench.do(f"age user.bob 2 {40 * DAY}")
    annotate(bench, "user.bob", EXPIRE, 30)
    bench.options["expire_by_savedate"] = True
    bench.write_conf()
    expire(bench, "-E", "3")
    assert live(bench, "user.bob") == [1]


def test_an_annotation_that_makes_no_sense(bench):
    append(bench, "user.bob.old", 40, 1)
    append(bench, "user.amy", 40)
    annotate(bench, "user.bob.old", EXPIRE, "soon")
    annotate(bench, "user.amy", EXPIRE, 30)
    bench.do("expunge user.bob.old 2")
    done = bench.tool("cyr_expire", "-X", "0")
    assert done.returncode == 65 and done.stderr.splitlines() == [
        f'{name}: the annotation {EXPIRE} is "soon", which is no time' for name in ("user.bob.old", "user.bob.old.deep")]
    assert live(bench, "user.bob.old") == [1] == files(bench, "user.bob.old") and live(bench, "user.amy") == []


# ---- which mailboxes -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("args, touched", [
    (("-p", "user/bob"), {"user.bob", "user.bob.old", "user.bobby"}), (("-p", "user/bob/o"), {"user.bob.old"}),
    (("-p", "user.bob"), set()), (("-u", "bob"), {"user.bob", "user.bob.old", "DELETED.user.bob.gone.6B0DCC0F"}),
    (("-p", "DELETED/user/bob"), {"DELETED.user.bob.gone.6B0DCC0F"}), (("-u", "dot.ted"), {"user.dot^ted"})])
def test_some_mailboxes(bench, args, touched):
    everybody = {"user.bob", "user.bob.old", "user.bobby", "user.dot^ted", "shared", "DELETED.user.bob.gone.6B0DCC0F"}
    bench.do("create user.bobby", "create user.dot^ted", "create user.bob.gone",
             "rename user.bob.gone DELETED.user.bob.gone.6B0DCC0F")
    for name in everybody:
        append(bench, name, 1)
        bench.do(f"expunge {name} 1")
    expire(bench, "-X", "0", *args)
    assert {name for name in everybody if not files(bench, name)} == touched


def test_a_user_nobody_knows(bench):
    done = bench.tool("cyr_expire", "-X", "0", "-u", "nosuch")
    assert done.returncode == 65 and "nosuch: no such user" in done.stderr


# ---- -t: keywords ---------------------------------------------------------------------------------------------

def test_unused_keywords_go(bench):
    append(bench, "user.bob", 1, flags=["used", "unused"])
    append(bench, "user.bob", 1, flags=["back"])
    append(bench, "user.amy", 1, flags=["used"])
    bench.do("flags user.bob 1 used", f"expunge user.bob 2 {9 * DAY}")
    before = bench.show("user.bob").counters
    assert [line for line in said(bench, "-t") if "user" in line and "cleaning" not in line] == [
        "Expunging userflag 1 (unused) from user.bob", "Expunged 1 user flags"]
    box = bench.show("user.bob")
    # What could come back keeps its keyword.
    assert box.flagnames == {0: "used", 2: "back"} and box.live[1]["flags"] == ["used"]
    assert box.counters["highestmodseq"] == before["highestmodseq"]
    assert said(bench, "-t", "-X", "5")[-1] == "Expunged 1 user flags"
    assert bench.show("user.bob").flagnames == {0: "used"} == bench.show("user.amy").flagnames
    assert said(bench, "-t")[-1] == "Expunged 0 user flags"
    # The bit means something else from now on.
    append(bench, "user.bob", 1, flags=["new"])
    box = bench.show("user.bob")
    assert box.flagnames == {0: "used", 1: "new"} and box.live[3]["flags"] == ["new"]


def test_a_full_mailbox_has_room_again(bench):
    append(bench, "user.bob", 1)
    for start in range(0, 128, 32):
        bench.do("flags user.bob 1 " + " ".join(f"k{n}" for n in range(start, start + 32)))
    assert len(bench.show("user.bob").flagnames) == 128
    with pytest.raises(AssertionError, match="Too many user flags"):
        bench.do("flags user.bob 1 one-more")
    assert said(bench, "-t")[-1] == "Expunged 96 user flags"
    bench.do("flags user.bob 1 one-more")
    assert bench.show("user.bob").live[1]["flags"] == ["one-more"]


# ---- -D: deleted mailboxes ---------------------------------------------------------------------------------------

@pytest.fixture
def graves(bench):
    """Deleted nine days ago, and yesterday; and the trash of a replica likewise."""
    made = {}
    for name, age in (("user.bob.a", 9), ("user.bob.b", 1), ("user.amy.c", 9), ("pub", 9)):
        made[name] = deleted(name, age * DAY)
        bench.do(f"create {name}", f"rename {name} {made[name]}")
        append(bench, made[name], 1, 1)
    bench.log_lines()
    return made


def gone(bench, graves):
    here = names(bench)
    return {name for name, grave in graves.items() if grave not in here}


def test_deleted_mailboxes_go(bench, graves):
    directories = len(list((bench.root / "spool/u").glob("*/*")))
    assert said(bench, "-D", "5", "-x") == [
        "Removing deleted mailboxes older than 5.00 days",
        *[f"Removing: {graves[name]}" for name in ("pub", "user.amy.c", "user.bob.a")], "Removed 3 deleted mailboxes"]
    assert gone(bench, graves) == {"pub", "user.amy.c", "user.bob.a"}
    assert len(list((bench.root / "spool/u").glob("*/*"))) == directories - 3
    assert list((bench.root / "spool/trash").iterdir()) == []
    assert sorted(bench.log_lines()) == sorted(f"UNMAILBOX {graves[n]}" for n in ("pub", "user.amy.c", "user.bob.a"))
    assert said(bench, "-D", "0", "-x")[-1] == "Removed 1 deleted mailboxes"
    assert gone(bench, graves) == set(graves)


def test_some_deleted_mailboxes(bench, graves):
    expire(bench, "-D", "5", "-u", "bob")
    assert gone(bench, graves) == {"user.bob.a"}
    expire(bench, "-D", "5", "-p", "user/amy")
    assert gone(bench, graves) == {"user.bob.a"}
    expire(bench, "-D", "5", "-p", "DELETED/user/amy")
    assert gone(bench, graves) == {"user.bob.a", "user.amy.c"}


def test_deleted_mailboxes_have_an_annotation_of_their_own(bench, graves):
    annotate(bench, graves["user.bob.a"], DELETE, 0)
    annotate(bench, graves["user.amy.c"], DELETE, 30)
    annotate(bench, graves["user.bob.b"], DELETE, "0.5")
    expire(bench, "-D", "5")
    assert gone(bench, graves) == {"user.bob.b", "pub"}    # one's annotation is nobody else's
    expire(bench, "-D", "5", "-a")
    assert gone(bench, graves) == set(graves)


def test_what_is_no_deleted_mailbox_stays(bench):
    odd = ["DELETED", "DELETED.6B0DCC0F", "DELETED.user.bob.x", "DELETED.user.bob.x.6B0DCC0", "DELETED.user.bob.x.6B0DCC0G",
           "DELETED.user.bob.x.6B0DCC0F.more", "user.bob.6B0DCC0F", "DELETEDx.user.bob.6B0DCC0F"]
    bench.do(*[f"create {name}" for name in odd])
    expire(bench, "-D", "0")
    assert set(odd) <= set(names(bench))


def test_the_trash_is_emptied(bench):
    bench.do("create a", "create b", "trash a")
    for age, name in ((9, "a"), (1, "b")):
        if name == "b":
            bench.do("trash b")
        there = [p for p in (bench.root / "spool/trash").iterdir() if p.name.split(".")[1] > f"{int(time.time()) - DAY // 2:x}"]
        there[0].rename(there[0].with_name(f"{there[0].name.split('.')[0]}.{int(time.time()) - age * DAY:x}"))
    trash = bench.root / "spool/trash"
    for args in (("-D", "5", "-u", "bob"), ("-D", "5", "-p", "user"), ("-X", "5", "-E", "5")):
        expire(bench, *args)
        assert len(list(trash.iterdir())) == 2
    assert "Removed 1 mailboxes from the trash of partition default" in said(bench, "-D", "5")
    assert len(list(trash.iterdir())) == 1
    expire(bench, "-D", "0")
    assert list(trash.iterdir()) == []


# ---- -E: marks of deliveries -----------------------------------------------------------------------------------------

def marks(bench):
    text = bench.ok("cyr_dbtool", bench.root / "conf/deliver.db", "twoskip", "show")
    return {word for word in ("old", "kept", "shorter", "young", "orphan") if f"<{word}@x>" in text}


@pytest.fixture
def marked(bench):
    bench.do(f"mark user.amy <old@x> 1 {9 * DAY}", f"mark user.amy <young@x> 1 {DAY}",
             f"mark user.bob.old <kept@x> 1 {90 * DAY}", f"mark user.bob <shorter@x> 1 {3 * DAY}",
             "create user.bob.gone", f"mark user.bob.gone <orphan@x> 1 {9 * DAY}", "remove user.bob.gone")
    annotate(bench, "user.bob.old", EXPIRE, 0)
    annotate(bench, "user.bob", EXPIRE, 2)
    return bench


def test_old_marks_go(marked):
    assert marks(marked) == {"old", "kept", "shorter", "young", "orphan"}
    expire(marked, "-X", "0", "-D", "0", "-t")
    assert len(marks(marked)) == 5
    expire(marked, "-E", "5")
    assert marks(marked) == {"kept", "young"}
    expire(marked, "-E", "0", "-x")
    assert marks(marked) == {"kept"}
    expire(marked, "-E", "5", "-a", "-x")
    assert marks(marked) == set()


def test_without_annotations_all_marks_are_alike(marked):
    expire(marked, "-E", "5", "-a")
    assert marks(marked) == {"young", "shorter"}


def test_thousands_of_marks(bench):
    bench.do(*[f"mark user.amy <m{n}@x> 1 {9 * DAY}" for n in range(1201)], f"mark user.amy <young@x> 1 {DAY}")
    expire(bench, "-E", "5")
    assert bench.ok("cyr_dbtool", bench.root / "conf/deliver.db", "twoskip", "show").count("@x>") == 1
    assert any("duplicate_prune: purged 1201 out of 1202 entries" in line for line in (bench.root / "log").read_text().splitlines())


# ---- -A ------------------------------------------------------------------------------------------------------------

def test_archiving_is_not_pretended(bench):
    append(bench, "user.bob", 1)
    bench.do("expunge user.bob 1")
    done = bench.tool("cyr_expire", "-A", "7d", "-X", "0")
    assert done.returncode == 0 and "no archive partitions, nothing is archived" in done.stderr
    assert files(bench, "user.bob") == []
    bench.options.update({"archive_enabled": True, "archivepartition-default": bench.root / "archive"})
    bench.write_conf()
    done = bench.tool("cyr_expire", "-A", "7d", "-x")
    assert done.returncode == 78 and "no archive partitions, nothing is archived" in done.stderr


# ---- when something is wrong -----------------------------------------------------------------------------------------

def test_one_mailbox_does_not_keep_the_others_waiting(bench):
    for name in ("user.amy", "user.bob", "shared"):
        append(bench, name, 1)
        bench.do(f"expunge {name} 1")
    index = bench.directory("user.amy") / "mbox.idx"
    index.write_bytes(b"rubbish" * 1000)
    done = bench.tool("cyr_expire", "-X", "0", "-v")
    assert done.returncode not in (0, 64, 75) and "user.amy" in done.stderr
    assert "Expired 0 and expunged 2" in done.stderr
    assert files(bench, "user.bob") == files(bench, "shared") == []


def test_a_locked_mailbox_is_told_of(bench):
    import fcntl
    import struct
    for name in ("user.amy", "user.bob"):
        append(bench, name, 1)
        bench.do(f"expunge {name} 1")
    lock = os.open(bench.directory("user.amy") / "mbox.lk", os.O_RDWR)
    fcntl.fcntl(lock, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))    # F_OFD_SETLK
    try:
        done = bench.tool("cyr_expire", "-X", "0", timeout=110)
    finally:
        os.close(lock)
    assert done.returncode == 75 and "user.amy" in done.stderr
    assert files(bench, "user.amy") == [1] and files(bench, "user.bob") == []


def test_a_signal_ends_it_between_two_turns(bench):
    bench.options["expire_batch"] = 1
    bench.write_conf()
    file = bench.message("From: a@b\r\n\r\nBody.\r\n")
    bench.do(*[f"append user.bob {file}"] * 400, *[f"expunge user.bob {uid}" for uid in range(1, 401)])
    tool = subprocess.Popen([bench.build / "cyr_expire", "-C", bench.conf, "-X", "0"], env=bench.environment(), cwd="/",
                            stderr=subprocess.PIPE, text=True)
    places.wait_until(lambda: len(files_of(bench)) < 400, 20, lambda: "it has begun")
    tool.send_signal(signal.SIGTERM)
    said_last = tool.communicate(timeout=20)[1]
    assert tool.returncode == 75 and "stopped by a signal" in said_last
    left = files(bench, "user.bob")
    assert 0 < len(left) < 400 and sorted(bench.show("user.bob").records) == left
    expire(bench, "-X", "0")
    assert files(bench, "user.bob") == []


def files_of(bench):
    return list((bench.root / "spool/u").glob("*/*/[0-9]*."))
