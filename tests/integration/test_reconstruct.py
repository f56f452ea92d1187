"""reconstruct: the tool, over stores that were damaged or edited. What it does to every byte of a mailbox is shown in
tests/unit/store/test_reconstruct.c."""
import os
import shutil
import time

import pytest

from lib.bench import Bench
from lib.failpoints import FailpointPage


@pytest.fixture
def bench(root):
    """user.bob with messages 1 to 5, all \\Seen and with keyword kw; 3 is expunged."""
    bench = Bench(root)
    bench.do("create user.bob bob lrswipkxtecda")
    for i in range(1, 6):
        path = bench.message(f"From: a@b\r\nSubject: m{i}\r\n\r\nbody {i}\r\n", f"m{i}")
        bench.do(f"append user.bob {path} \\Seen kw")
    bench.do("annotate user.bob 2 /comment - note", "expunge user.bob 3")
    bench.log_lines()
    bench.box = bench.show("user.bob")
    bench.path = bench.directory("user.bob")
    return bench


def put(bench, name, data):
    path = bench.path / name
    path.write_bytes(data)
    bench.own(path)
    return path


def listing(bench):
    return sorted(p.name for p in bench.path.iterdir() if not p.name.startswith("mbox."))


def run(bench, *args):
    done = bench.tool("reconstruct", *args)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def unchanged(bench, now, uids):
    """These messages are in every detail as they were."""
    return all(now.records[uid] == bench.box.records[uid] for uid in uids)


def settled(bench):
    """A second look finds nothing."""
    bench.log_lines()
    return run(bench, "-q", "-G") == [] and bench.log_lines() == []


# ---- which mailboxes ---------------------------------------------------------------------------------

@pytest.fixture
def many(bench):
    bench.do("create user.bob.Sent", "create user.bob.Sent.old", "create user.bobby", "create user.dot^ted",
             "create shared", "create shared.news", "create user.bob.gone", "delete user.bob.gone",
             "entry user.bob.between ei")
    return bench


@pytest.mark.parametrize("args, names", [
    (["user/bob"], ["user/bob"]),
    (["user/bob", "shared"], ["user/bob", "shared"]),
    (["-r", "user/bob"], ["user/bob", "user/bob/Sent", "user/bob/Sent/old"]),
    (["user/b%"], ["user/bob", "user/bobby"]),
    (["-r", "user/bob%"], ["user/bob", "user/bob/Sent", "user/bob/Sent/old", "user/bobby"]),
    (["user/*"], ["user/bob", "user/bob/Sent", "user/bob/Sent/old", "user/bobby", "user/dot.ted"]),
    (["*/S*"], ["user/bob/Sent", "user/bob/Sent/old"]),
    (["-u", "dot.ted"], ["user/dot.ted"]),
    (["user/bob/Entwü*"], ["user/bob/Entw&APw-rfe", "user/bob/Entw&APw-rfe/alt"]),
    (["user/bob/%ürf%"], ["user/bob/Entw&APw-rfe"]),
    (["user/bob/Entw&APw-%"], ["user/bob/Entw&APw-rfe"]),
    (["-r", "user/bob/%ürfe"], ["user/bob/Entw&APw-rfe", "user/bob/Entw&APw-rfe/alt"]),
    (["-r", "user/bob/Entwürfe"], ["user/bob/Entw&APw-rfe", "user/bob/Entw&APw-rfe/alt"]),
    (["-V", "max", "-r", "shared"], ["shared", "shared/news"]),
])
def test_names_and_patterns(many, args, names):
    if "Entw" in args[-1] or "ü" in args[-1]:
        many.do("create user.bob.Entw&APw-rfe", "create user.bob.Entw&APw-rfe.alt")
    assert run(many, *args) == names


def test_all_and_those_of_a_user_include_the_deleted(many):
    everything = run(many)
    assert set(everything) >= {"user/bob", "user/bob/Sent", "user/bobby", "user/dot.ted", "shared", "shared/news"}
    assert len(everything) == 8 and sum(name.startswith("DELETED/user/bob/gone/") for name in everything) == 1
    his = run(many, "-u", "bob")
    assert len(his) == 4 and sum(name.startswith("DELETED/user/bob/gone/") for name in his) == 1


def test_silence_means_health(many):
    assert run(many, "-q", "-G") == [] and run(many, "-q") == [] and run(many, "-q", "-G", "-n") == []
    many.log_lines()
    assert run(many, "-q", "-G", "-r", "user/bob") == []
    assert many.log_lines() == []


def test_what_is_not_there(many):
    for args in (["user/nosuch"], ["user.bob"], ["user/bob/between"], ["-r", "user/nosuch"], ["-u", "nosuch"],
                 ["user/nothing*"], ["-r", "user/nöthing%"]):
        done = many.tool("reconstruct", *args)
        assert (done.returncode, done.stdout) == (65, "") and "does not exist" in done.stderr, args
    done = many.tool("reconstruct", "user/nosuch", "user/bob")
    assert (done.returncode, done.stdout) == (65, "user/bob\n")


@pytest.mark.parametrize("args, message", [
    (["-r"], "please specify a mailbox to recurse from\n"), (["-u"], "please specify a user\n"), (["-z"], None),
    (["-m", "user/bob"], None)])
def test_a_wrong_command_line(bench, args, message):
    done = bench.tool("reconstruct", *args)
    assert done.returncode == 64 and done.stdout == "" and (done.stderr == message if message else done.stderr)


# ---- files that somebody removed, added, renamed, changed ---------------------------------------------

def test_a_file_that_is_gone(bench):
    (bench.path / "1.").unlink()
    assert run(bench, "-n", "user/bob") == ["user.bob uid 1 not found", "user/bob"]
    assert bench.show("user.bob").records == bench.box.records and bench.log_lines() == []
    assert run(bench, "user/bob") == ["user.bob uid 1 not found", "user/bob"]
    assert bench.log_lines() == ["MAILBOX user.bob"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [2, 4, 5] and unchanged(bench, now, [2, 3, 4, 5])
    assert now.records[1]["unlinked"] and now.records[1]["modseq"] > bench.box.counters["highestmodseq"]
    assert now.annotations == bench.box.annotations
    assert now.counters["uidvalidity"] == bench.box.counters["uidvalidity"] and now.counters["last_uid"] == 5
    assert settled(bench)


def test_an_empty_file_is_as_good_as_none(bench):
    put(bench, "2.", b"")
    assert run(bench, "user/bob") == ["user.bob uid 2 not found", "user/bob"]
    assert sorted(bench.show("user.bob").live) == [1, 4, 5] and listing(bench) == ["1.", "3.", "4.", "5."]
    assert settled(bench)


def test_a_message_that_was_lost_and_is_brought_back(bench):
    data = (bench.path / "1.").read_bytes()
    (bench.path / "1.").unlink()
    run(bench, "user/bob")
    put(bench, "1.", data)
    assert run(bench, "user/bob") == ["user.bob uid 1 rediscovered - appending", "user/bob"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [2, 4, 5, 6] and listing(bench) == ["2.", "3.", "4.", "5.", "6."]
    assert now.records[6]["guid"] == bench.box.records[1]["guid"] and now.records[6]["flags"] == []
    assert now.counters["last_uid"] == 6 and settled(bench)


def test_a_file_of_a_message_that_was_expired_and_is_brought_back(bench):
    data = (bench.path / "3.").read_bytes()
    bench.do("unlink user.bob 3 3")
    time.sleep(0.05)    # the clock of files is a coarse one
    put(bench, "3.", data)
    assert run(bench, "user/bob") == ["user.bob uid 3 rediscovered - appending", "user/bob"]
    assert sorted(bench.show("user.bob").live) == [1, 2, 4, 5, 6] and settled(bench)


def test_what_a_removal_cut_short_has_left_does_not_come_back(bench):
    """The commit that takes a message away is there; the process died before it removed the file."""
    keep = bench.root / "keep"
    os.link(bench.path / "3.", keep)
    bench.do("unlink user.bob 3 3")
    before = os.stat(keep)
    time.sleep(0.02)    # the kernel's time of a change is that of its last tick, which may lie before the removal
    os.link(keep, bench.path / "3.")    # as if it had stayed; but a link is a change of the file today
    os.utime(keep, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(bench, "user/bob")[0] == "user.bob uid 3 rediscovered - appending"    # so this one is somebody's doing
    bench.do("expunge user.bob 6", "unlink user.bob 6 6")
    assert listing(bench) == ["1.", "2.", "4.", "5."] and settled(bench)


def test_a_new_file(bench):
    put(bench, "20.", b"From: c@d\r\nSubject: new\r\nDate: Mon, 02 Feb 2026 10:01:00 +0000\r\n\r\nnew\r\n")
    os.utime(bench.path / "20.", (1700000000, 1700000000))
    assert run(bench, "user/bob") == ["user.bob uid 20 found - adding", "user/bob"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [1, 2, 4, 5, 20] and unchanged(bench, now, [1, 2, 3, 4, 5])
    new = now.records[20]
    assert new["internaldate_ns"] == 1700000000 * 10**9 and new["gmtime"] == 1770026460
    assert new["modseq"] == new["createdmodseq"] == bench.box.counters["highestmodseq"] + 1
    assert now.counters["last_uid"] == 20 and settled(bench)
    assert bench.do(f"append user.bob {bench.message('x')}") == ["uid 21"]


def test_a_renamed_file(bench):
    (bench.path / "2.").rename(bench.path / "20.")
    assert run(bench, "user/bob") == ["user.bob uid 2 not found", "user.bob uid 20 found - adding", "user/bob"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [1, 4, 5, 20] and now.records[20]["guid"] == bench.box.records[2]["guid"]
    assert settled(bench)


def test_new_uids_are_above_those_of_new_files(bench):
    (bench.path / "1.").unlink()
    run(bench, "user/bob")
    put(bench, "1.", b"one\r\n")
    put(bench, "0.", b"zero\r\n")
    put(bench, "6.", b"six\r\n")
    assert run(bench, "-q", "user/bob") == ["user.bob uid 6 found - adding", "user.bob uid 0 rediscovered - appending",
                                            "user.bob uid 1 rediscovered - appending"]
    assert listing(bench) == ["2.", "3.", "4.", "5.", "6.", "7.", "8."]
    assert [(bench.path / n).read_bytes() for n in ("6.", "7.", "8.")] == [b"six\r\n", b"zero\r\n", b"one\r\n"]
    assert settled(bench)


@pytest.mark.parametrize("how, notice_without_G", [("truncated", True), ("changed", False)])
def test_a_changed_file(bench, how, notice_without_G):
    data = (bench.path / "4.").read_bytes()
    put(bench, "4.", data[:10] if how == "truncated" else data.replace(b"body", b"BODY"))
    advice = "run reconstruct with -R to fix or -U to remove"
    plain = ["user.bob uid 4 guid mismatch", advice] if notice_without_G else []
    assert run(bench, "-q", "user/bob") == plain
    assert run(bench, "-q", "-s", "user/bob") == []
    assert run(bench, "-q", "-G", "-n", "user/bob") == ["user.bob uid 4 guid mismatch"]
    assert run(bench, "-q", "-G", "user/bob") == ["user.bob uid 4 guid mismatch", advice]
    assert bench.show("user.bob").records == bench.box.records and bench.log_lines() == []
    assert run(bench, "-q", "-G", "-R", "user/bob") == [
        "user.bob uid 4 guid mismatch", "user.bob uid 4 marking for uid upgrade", "user.bob uid 4 rediscovered - appending"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [1, 2, 5, 6] and unchanged(bench, now, [1, 2, 3, 5])
    assert listing(bench) == ["1.", "2.", "3.", "5.", "6."] and bench.log_lines() == ["MAILBOX user.bob"]
    assert settled(bench)


def test_a_changed_file_that_is_to_go(bench):
    put(bench, "4.", b"nonsense")
    assert run(bench, "-q", "-U", "user/bob") == ["user.bob uid 4 guid mismatch",
                                                  "user.bob uid 4 unlinking as requested with -U"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [1, 2, 5] and listing(bench) == ["1.", "2.", "3.", "5."] and settled(bench)


def test_odd_files(bench):
    for name in ("notes", "007.", "99999999999.", "5.bak"):
        put(bench, name, b"odd\r\n")
    (bench.path / "folder").mkdir()
    told = sorted(f"user.bob odd file {bench.path}/{name}" for name in ("notes", "007.", "99999999999.", "5.bak"))
    lines = run(bench, "-q", "user/bob")
    assert sorted(line for line in lines if line.startswith("user.bob odd file")) == told
    assert lines.count("run reconstruct with -O to remove odd files") == 4
    assert run(bench, "-q", "-o", "user/bob") == [] and bench.log_lines() == []
    assert sorted(run(bench, "-q", "-O", "user/bob")) == told
    assert listing(bench) == ["1.", "2.", "3.", "4.", "5.", "folder"]
    assert bench.show("user.bob").records == bench.box.records


def test_what_a_power_cut_leaves_of_a_message_that_was_coming(bench):
    """A name with nothing behind it, above all that were given."""
    told = ["user.bob uid 20 is empty - removing its file"]
    put(bench, "20.", b"")
    assert run(bench, "-q", "-n", "user/bob") == told and "20." in listing(bench)
    assert run(bench, "-q", "user/bob") == told and listing(bench) == ["1.", "2.", "3.", "4.", "5."]
    assert bench.show("user.bob").records == bench.box.records and settled(bench)


def test_a_file_that_cannot_be_read_is_told_and_the_rest_is_done(bench):
    path = bench.path / "30."
    path.write_bytes(b"root's own\r\n")
    path.chmod(0o600)
    if os.getuid() != 0:
        path.chmod(0)
    put(bench, "20.", b"new\r\n")
    lines = run(bench, "-q", "user/bob")
    assert lines[0] == "user.bob uid 20 found - adding" and lines[1].startswith("user.bob uid 30 cannot be read: ")
    assert 20 in bench.show("user.bob").live and 30 not in bench.show("user.bob").records


# ---- damage --------------------------------------------------------------------------------------------

def test_a_mailbox_without_index_and_journal(bench):
    for path in bench.path.glob("mbox.*"):
        if path.name not in ("mbox.hdr", "mbox.lk"):
            path.unlink()
    done = bench.tool("quota", "-f", "-q")
    assert done.returncode == 0    # nobody has limits, so nobody looks
    lines = run(bench, "user/bob")
    assert lines[0] == "user.bob: failed to read index header"
    assert lines[1:] == [f"user.bob uid {uid} found - adding" for uid in range(1, 6)] + ["user/bob"]
    now = bench.show("user.bob")
    assert sorted(now.live) == [1, 2, 3, 4, 5]    # that 3 was expunged only the index knew
    assert all(now.records[uid]["guid"] == bench.box.records[uid]["guid"] for uid in range(1, 6))
    assert now.counters["uidvalidity"] == bench.box.counters["uidvalidity"]
    assert now.counters["highestmodseq"] > bench.box.counters["highestmodseq"]
    assert bench.log_lines() == ["MAILBOX user.bob"] and settled(bench)


def test_while_others_deliver(bench):
    """It takes the mailbox's lock: what is delivered meanwhile is neither lost nor found."""
    import subprocess
    message = bench.message("From: x@y\r\n\r\nbusy\r\n", "busy")
    busy = subprocess.Popen([bench.build / "tests/progs/store_do", "-C", bench.conf], stdin=subprocess.PIPE,
                            stdout=subprocess.DEVNULL, env=bench.environment(), text=True, cwd="/")
    # Only one can own the metadata without a metad: they take turns.
    busy.communicate("".join(f"append user.bob {message}\n" for _ in range(40)))
    for _ in range(5):
        (bench.path / "mbox.hdr").write_bytes(b"damaged")
        assert run(bench, "-q", "-G", "user/bob") == ["user.bob: mbox.hdr is missing or damaged"]
    assert len(bench.show("user.bob").live) == 44


# ---- interrupted ---------------------------------------------------------------------------------------

def edit(bench):
    """Something of everything: a file gone, one renamed, one changed, one new, and the index cut off."""
    (bench.path / "1.").unlink()
    (bench.path / "2.").rename(bench.path / "0.")
    put(bench, "4.", b"changed\r\n")
    put(bench, "20.", b"new\r\n")
    index = (bench.path / "mbox.idx").read_bytes()
    put(bench, "mbox.idx", index[:100])
    put(bench, "odd", b"odd\r\n")


def outcome(bench):
    """What does not depend on how often it was tried: contents, and the flags of those that were not touched."""
    box = bench.show("user.bob")
    return (sorted((r["guid"], r["size"], tuple(r["flags"])) for r in box.live.values()),
            {uid: r for uid, r in box.records.items() if uid in (3, 5)}, box.counters["uidvalidity"])


@pytest.mark.limit(600)
def test_it_can_die_or_fail_anywhere_and_be_run_again(bench):
    page = FailpointPage(bench.root / "failpoints")
    env = {"US_FAILPOINTS": str(page.path)}
    image = bench.root / "image"
    shutil.copytree(bench.path, image)
    args = ("-q", "-G", "-R", "-O", "user/bob")

    def restore():
        for path in bench.path.iterdir():
            if path.name != "mbox.lk":
                path.unlink()
        for path in image.iterdir():
            if path.name != "mbox.lk":
                shutil.copy2(path, bench.path / path.name)
                bench.own(bench.path / path.name)
        edit(bench)

    restore()
    page.record()
    assert bench.tool("reconstruct", *args, env=env).returncode == 0
    hits = {name: n for name, n in page.hits().items() if name.startswith("store.")}
    page.record(False)
    wanted = outcome(bench)
    assert {"store.reconstruct.rename", "store.reconstruct.remove", "store.compact.switch", "store.index.sync",
            "store.hdr.rename"} <= set(hits), hits
    tried = 0
    for name, count in hits.items():
        for action in ("kill", "eio"):
            for at in range(count):
                restore()
                page.arm(name, action, at)
                done = bench.tool("reconstruct", *args, env=env)
                assert page.fired and (done.returncode < 0 if action == "kill" else True), (name, at, done)
                page.disarm()
                bench.ok("ctl_cyrusdb", "-r")    # a sync that failed has closed the partition
                run(bench, *args)
                assert outcome(bench) == wanted, (name, action, at)
                assert run(bench, "-q", "-G") == [], (name, action, at)
                tried += 1
    assert tried > 30


# ---- rows ----------------------------------------------------------------------------------------------

def forget_rows(bench):
    """The metadata is lost."""
    shutil.rmtree(bench.root / "conf/meta")


def rows(bench):
    return sorted(line.split()[1] for line in bench.do("list"))


def test_all_rows_come_back_from_the_headers(many):
    many.do("mailboxannotation user.bob /comment - ours", "quota user.bob STORAGE 77 MESSAGE 5")
    before, names = many.show("user.bob"), rows(many)
    names.remove("user.bob.between")    # an entry without a directory
    forget_rows(many)
    assert many.tool("reconstruct", "user/bob").returncode == 65
    many.log_lines()
    lines = run(many, "-n", "-m")
    assert len(lines) == len(names) and all(line.startswith("would create mbentry for ") for line in lines)
    assert rows(many) == [] and many.log_lines() == []
    lines = run(many, "-m")
    assert f"created mbentry for user.bob ({before.counters['uniqueid']})" in lines and len(lines) == len(names)
    assert set(many.log_lines()) == {"QUOTA user.bob", *(f"MAILBOX {name}" for name in names)}
    assert rows(many) == names and run(many, "-m") == []
    assert many.show("user.bob") == before
    assert "      77" in many.ok("quota") and settled(many)


def test_a_removed_mailbox_comes_back_from_the_trash(bench):
    bench.do("quota user.bob STORAGE 9", "trash user.bob")
    assert bench.tool("mbpath", "user/bob").returncode == 65
    trash = next((bench.root / "spool/trash").iterdir())
    storeid = trash.name.split(".")[0]
    place = bench.root / "spool/u" / storeid[:2] / storeid
    place.parent.mkdir(exist_ok=True)
    trash.rename(place)
    bench.own(place.parent)
    bench.log_lines()
    uniqueid = bench.box.counters["uniqueid"]
    done = bench.tool("reconstruct", "-f", "user/bob")
    assert done.returncode == 65 and done.stdout.startswith("user.bob: was deleted") and bench.log_lines() == []
    assert run(bench, "-P", place) == [f"created mbentry for user.bob ({uniqueid})"]
    assert "MAILBOX user.bob" in bench.log_lines() and run(bench, "user/bob") == ["user/bob"]
    assert bench.show("user.bob") == bench.box and settled(bench)


def test_only_what_is_named_is_looked_for(many):
    many.do("create user.bobby.Entw&APw-rfe")
    forget_rows(many)
    assert sorted(line.split()[3] for line in run(many, "-f", "-r", "user/bob") if line.startswith("created")) == [
        "user.bob", "user.bob.Sent", "user.bob.Sent.old"]
    assert [line.split()[3] for line in run(many, "-f", "user/bobby") if line.startswith("created")] == ["user.bobby"]
    assert [line.split()[3] for line in run(many, "-f", "user/bobby/Entwü*") if line.startswith("created")] == [
        "user.bobby.Entw&APw-rfe"]
    assert [line.split()[3] for line in run(many, "-f", "-u", "dot.ted") if line.startswith("created")] == ["user.dot^ted"]
    assert "shared" not in rows(many)
    done = many.tool("reconstruct", "-p", "nosuch", "shared")
    assert done.returncode == 78 and "partition-nosuch" in done.stderr
    assert "created mbentry for shared (" in many.ok("reconstruct", "-p", "default", "shared")


def test_options_that_have_no_effect_say_so(many):
    for option in ("-g", "-k"):
        done = many.tool("reconstruct", option, "shared")
        assert (done.returncode, done.stdout, done.stderr) == (0, "shared\n", f"reconstruct: deprecated option {option} ignored\n")
    done = many.tool("reconstruct", "-P")    # which would have none
    assert (done.returncode, done.stdout, done.stderr) == (64, "", "please specify a directory\n")


def test_one_directory(many):
    path, other = many.path, many.directory("shared")
    forget_rows(many)
    assert run(many, "-P", path, other / "mbox.hdr")[1].startswith("created mbentry for shared (")
    assert rows(many) == ["shared", "user.bob"]
    assert run(many, "-P", path) == ["user.bob has its row"]
    assert many.tool("reconstruct", "-P", "/tmp").returncode == 65


def test_fresh_metadata(bench):
    bench.do("mailboxannotation user.bob /comment - ours")
    forget_rows(bench)
    line, name = run(bench, "-f", "-x", "user/bob")
    assert name == "user/bob" and bench.box.counters["uniqueid"] not in line
    now = bench.show("user.bob")
    assert now.counters["uniqueid"] in line and now.records == bench.box.records


def test_two_directories_for_one_name(bench):
    """The row of user.bob was lost, and made again meanwhile: the older one keeps its directory, and is told."""
    forget_rows(bench)
    bench.do("create user.bob")
    lines = run(bench, "-m")
    assert len(lines) == 1 and lines[0].startswith("user.bob: two mailboxes claim the name")
    assert bench.show("user.bob").records == {}


def test_a_unique_id_that_another_mailbox_has(bench):
    forget_rows(bench)
    header = (bench.path / "mbox.hdr").read_bytes()
    run(bench, "-m")
    bench.do("rename user.bob user.tom")
    (bench.path / "mbox.hdr").write_bytes(header)    # the copy of the new row was never written
    assert run(bench, "-m") == []    # it is user.tom's directory: no second mailbox is made of it
    assert rows(bench) == ["user.tom"]
    assert run(bench, "-q") == [] and b"user.tom" in (bench.path / "mbox.hdr").read_bytes()
