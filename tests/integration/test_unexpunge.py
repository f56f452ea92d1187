"""unexpunge: expunged messages, shown and given back."""
import time

import pytest

from lib.bench import Bench

DAY = 86400
USAGE = "unexpunge [-C <altconfig>] -l <mailbox> [<uid>...]\n"


@pytest.fixture
def bench(root):
    bench = Bench(root)
    bench.do("create user.bob", "create user.bob.Sub", "create user.amy")
    return bench


def append(bench, name, header="", *flags):
    file = bench.message(f"From: Ann <ann@b.test>\r\nTo: bob@b.test\r\n{header}\r\nBody.\r\n")
    bench.do(" ".join(["append", name, str(file), *flags]))


@pytest.fixture
def expunged(bench):
    """Four messages of which 1, 2 and 3 were expunged: nine days, an hour, and a moment ago."""
    for n in range(1, 5):
        append(bench, "user.bob", f"Subject: number {n}\r\nDate: Mon, 02 Feb 2026 10:01:00 +0000\r\n", "\\Deleted", "\\Seen", f"k{n}")
    bench.do(f"expunge user.bob 1 {9 * DAY}", "expunge user.bob 2 3600", "expunge user.bob 3")
    bench.log_lines()
    return bench


def live(bench):
    return {uid: sorted(r["flags"]) for uid, r in bench.show("user.bob").live.items()}


def listed(bench, *uids):
    return [int(line[5:]) for line in bench.ok("unexpunge", "-l", "user/bob", *uids).splitlines() if line.startswith("UID")]


# ---- the command line ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [
    (), ("-z",), ("-l",), ("user/bob",), ("-d", "user/bob"), ("-l", "-a", "user/bob"), ("-a", "-u", "user/bob", "1"), ("-u", "user/bob"),
    ("-a", "user/bob", "1"), ("-t", "1d", "user/bob", "1"), ("-t", "x", "user/bob"), ("-t", "", "user/bob"), ("-t", "-5", "user/bob"),
    ("-t", "5x", "user/bob"), ("-u", "user/bob", "x"), ("-u", "user/bob", "0"), ("-u", "user/bob", "4294967296"),
    ("-l", "user/bob", "1:3"), ("-a", "-f", "two words", "user/bob"), ("-a", "-f", "", "user/bob"), ("-a", "-f", "\u00e4", "user/bob"),
    ("-a", "-f", "a]", "user/bob"), ("-a", "-a", "user/bob")])
def test_wrong_calls(expunged, args):
    done = expunged.tool("unexpunge", *args)
    assert done.returncode == 255 and USAGE in done.stderr and done.stdout == ""
    assert sorted(live(expunged)) == [4]


def test_no_system_flag_can_be_set(expunged):
    done = expunged.tool("unexpunge", "-a", "-f", "\\Flagged", "user/bob")
    assert done.returncode == 255 and "can't set a system flag" in done.stderr


@pytest.mark.parametrize("args", [("-l",), ("-a",), ("-t", "1d")])
def test_no_such_mailbox(bench, args):
    done = bench.tool("unexpunge", *args, "user/nosuch")
    assert done.returncode == 65 and "Failed to open mailbox 'user/nosuch'" in done.stderr
    assert bench.tool("unexpunge", "-u", "user.bob", "1").returncode == 65    # an internal name is another name


# ---- -l --------------------------------------------------------------------------------------------------------

def test_the_list(bench):
    append(bench, "user.bob", "Cc: c@c.test,\r\n D <d@d.test>\r\nBcc: e@e.test\r\nSubject: =?utf-8?q?dr=C3=B6=1B[2Ji?=\r\n"
           "Date: Sun, 01 Feb 2026 23:59:00 -0800\r\n")
    append(bench, "user.bob", "To: f@f.test\r\nDate: Mon, 02 Feb 2026 00:01:00 +1300\r\nSubject: folded\r\n\tline\r\n")
    append(bench, "user.bob")
    expg = int(time.time()) - 3600
    bench.do("age user.bob 3 86400", *[f"expunge user.bob {uid} {int(time.time()) - expg}" for uid in (1, 2, 3)])
    size = {uid: r["size"] for uid, r in bench.show("user.bob").records.items()}

    def when(seconds):
        return time.strftime("%a %b %e %H:%M:%S %Y", time.gmtime(seconds))
    text = bench.ok("unexpunge", "-l", "user/bob")
    blocks = text.split("\n\n")
    assert blocks[3] == "" and len(blocks) == 4
    fields = [dict(line.lstrip("\t").split(": ", 1) for line in block.splitlines()) for block in blocks[:3]]
    assert abs(time.mktime(time.strptime(fields[0].pop("Expg"))) - time.timezone - expg) < 5
    arrival = fields[0].pop("Recv")
    assert abs(time.mktime(time.strptime(arrival)) - time.timezone - time.time()) < 60
    assert fields[0] == {"UID": "1", "Size": str(size[1]), "Sent": "Sun Feb  1 00:00:00 2026", "From": "Ann <ann@b.test>",
                         "To  ": "<bob@b.test>", "Cc  ": "<c@c.test>,D <d@d.test>", "Bcc ": "<e@e.test>",
                         "Subj": '"dr\u00f6?[2Ji"'}
    assert fields[1]["Sent"] == "Mon Feb  2 00:00:00 2026" and fields[1]["Subj"] == '"folded line"'
    assert fields[1]["To  "] == "<bob@b.test>,<f@f.test>" and fields[1]["Cc  "] == ""
    assert fields[2]["Sent"] == when(time.time() - 86400)[:11] + "00:00:00" + when(time.time() - 86400)[19:]
    assert fields[2]["Subj"] == "NIL"


def test_some_are_listed(expunged):
    assert listed(expunged) == [1, 2, 3] == listed(expunged, 3, 2, 1)
    assert listed(expunged, 2) == [2]
    done = expunged.tool("unexpunge", "-l", "user/bob", 2, 4, 9)
    assert done.returncode == 65 and done.stdout.startswith("UID: 2\n") and done.stderr.splitlines() == [
        f"user/bob: no expunged message of UID {uid} can be restored" for uid in (4, 9)]
    assert expunged.ok("unexpunge", "-l", "user/amy") == ""
    assert expunged.log_lines() == []


def test_what_was_purged_is_not_listed(expunged):
    expunged.ok("cyr_expire", "-X", "5")
    assert listed(expunged) == [2, 3]


def test_a_file_that_is_gone_is_told_of(expunged):
    (expunged.directory("user.bob") / "2.").unlink()
    done = expunged.tool("unexpunge", "-l", "user/bob")
    assert done.returncode == 65 and "UID: 2\n" in done.stdout and "\tERROR: " in done.stdout and "UID: 3\n" in done.stdout
    done = expunged.tool("unexpunge", "-a", "-v", "user/bob")
    assert done.returncode == 65 and "UID 2 of user/bob was not restored" in done.stderr
    assert done.stdout.splitlines()[1:] == ["Unexpunged user/bob: 1 => 5", "Unexpunged user/bob: 3 => 6", "restored 2 expunged messages"]


# ---- giving back -------------------------------------------------------------------------------------------------

def test_all_come_back(expunged):
    before = expunged.show("user.bob")
    assert expunged.ok("unexpunge", "-a", "-v", "user/bob") == (
        "restoring all expunged messages in mailbox 'user/bob'\nUnexpunged user/bob: 1 => 5\nUnexpunged user/bob: 2 => 6\n"
        "Unexpunged user/bob: 3 => 7\nrestored 3 expunged messages\n")
    assert live(expunged) == {4: ["\\Deleted", "\\Seen", "k4"],
                              **{n + 4: ["\\Deleted", "\\Seen", f"k{n}"] for n in (1, 2, 3)}}
    after = expunged.show("user.bob")
    assert sorted(after.records) == [4, 5, 6, 7] and after.records[5]["guid"] == before.records[1]["guid"]
    assert after.records[5]["modseq"] > before.counters["highestmodseq"]
    assert set(expunged.log_lines()) == {"APPEND user.bob", "MAILBOX user.bob"}
    assert sorted(p.name for p in expunged.directory("user.bob").glob("[0-9]*.")) == ["4.", "5.", "6.", "7."]
    assert expunged.ok("unexpunge", "-a", "-v", "user/bob").endswith("restored 0 expunged messages\n")
    assert expunged.log_lines() == [] == listed(expunged)
    expunged.ok("reconstruct", "-G", "user/bob")
    assert sorted(expunged.show("user.bob").records) == [4, 5, 6, 7]
    assert any("restored 3 expunged messages in mailbox 'user/bob'" in line
               for line in (expunged.root / "log").read_text().splitlines())


def test_some_come_back(expunged):
    assert expunged.ok("unexpunge", "-u", "-d", "-f", "Back", "user/bob", 3, 1, 3) == (
        "restoring expunged messages in mailbox 'user/bob'\nrestored 2 expunged messages\n")
    assert live(expunged) == {4: ["\\Deleted", "\\Seen", "k4"], 5: ["Back", "\\Seen", "k1"], 6: ["Back", "\\Seen", "k3"]}
    assert listed(expunged) == [2]
    done = expunged.tool("unexpunge", "-u", "-v", "user/bob", 1, 2)
    assert done.returncode == 65 and "no expunged message of UID 1 can be restored" in done.stderr
    assert "Unexpunged user/bob: 2 => 7" in done.stdout


@pytest.mark.parametrize("interval, back", [("0", 0), ("600", 1), ("3000s", 1), ("50m", 1), ("1.5h", 2), ("1d", 2), ("2w", 3), ("9.1d", 3)])
def test_those_of_the_last_while(expunged, interval, back):
    text = expunged.ok("unexpunge", "-t", interval, "-v", "user/bob")
    # A message that was expunged in this very second may be of the last 0 seconds.
    assert text.splitlines()[0] == "restoring expunged messages in mailbox 'user/bob'"
    assert int(text.split("restored ")[1].split()[0]) in ({back} if back else {0, 1})


def test_annotations_come_back(bench):
    append(bench, "user.bob")
    bench.do("annotate user.bob 1 /comment - ours", "annotate user.bob 1 /comment amy hers", "expunge user.bob 1")
    bench.ok("unexpunge", "-a", "user/bob")
    assert {k: v[1] for k, v in bench.show("user.bob").annotations.items()} == {(2, "/comment", ""): "ours", (2, "/comment", "amy"): "hers"}


def test_the_quota_holds(expunged):
    expunged.do("quota user.bob MESSAGE 3")
    done = expunged.tool("unexpunge", "-a", "-v", "user/bob")
    assert done.returncode == 69 and done.stderr.startswith("UID 3 of user/bob was not restored: ")
    assert done.stdout.splitlines()[1:] == ["Unexpunged user/bob: 1 => 5", "Unexpunged user/bob: 2 => 6", "restored 2 expunged messages"]
    assert listed(expunged) == [3]
    expunged.do("quota user.bob MESSAGE 4")
    expunged.ok("unexpunge", "-a", "user/bob")
    assert sorted(live(expunged)) == [4, 5, 6, 7]


def test_in_pieces(bench):
    bench.options["expire_batch"] = 3
    bench.write_conf()
    for _ in range(8):
        append(bench, "user.bob")
    bench.do(*[f"expunge user.bob {uid}" for uid in range(1, 9)])
    bench.log_lines()
    bench.ok("unexpunge", "-a", "user/bob")
    assert sorted(live(bench)) == list(range(9, 17))
    assert bench.log_lines() == ["APPEND user.bob", "MAILBOX user.bob"] * 3


def test_a_deleted_mailbox_can_be_looked_at(bench):
    append(bench, "user.bob.Sub")
    bench.do("expunge user.bob.Sub 1", "rename user.bob.Sub DELETED.user.bob.Sub.6B0DCC0F")
    assert "UID: 1\n" in bench.ok("unexpunge", "-l", "DELETED/user/bob/Sub/6B0DCC0F")
