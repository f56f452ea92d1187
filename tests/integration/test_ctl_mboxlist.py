"""ctl_mboxlist: the list of mailboxes as JSON, out and in."""
import json
import shutil
import subprocess

import pytest

from lib.bench import Bench


def dump(bench, *args):
    text = bench.ok("ctl_mboxlist", "-d", *args)
    assert text.startswith("{\n") and text.endswith("\n}\n")
    got = json.loads(text)
    assert text.count("\n") == len(got) + 2 if got else text == "{\n\n}\n"    # one a line
    return got


def undump(bench, entries, **more):
    return bench.tool("ctl_mboxlist", "-u", stdin=entries if isinstance(entries, str) else json.dumps(entries), **more)


def without_times(entries):
    return {name: {key: value for key, value in e.items() if key != "mtime"} for name, e in entries.items()}


@pytest.fixture
def bench(root):
    bench = Bench(root, {"partition-other": root / "other"})
    bench.do("create user.bob bob lrswipkxtecdan", "create user.bob.a^b bob lrs anyone l -joe r", "create news anyone lrs",
             f"append user.bob {bench.message('From: a@b' + chr(10))}", "create user.bob.gone", "entry user.bob.between ei",
             "create user.bobby", "delete user.bob.gone")
    bench.log_lines()
    return bench


def test_a_dump_has_what_scripts_read(bench):
    got = dump(bench)
    assert list(got) == ["DELETED.user.bob.gone." + next(n for n in got if n.startswith("DELETED")).rsplit(".", 1)[1],
                         "news", "user.bob", "user.bob.a^b", "user.bobby"]
    row = got["user.bob.a^b"]
    assert list(row) == ["name", "mtime", "uidvalidity", "createdmodseq", "foldermodseq", "mbtype", "partition", "acl",
                         "uniqueid", "name_history"]
    assert row["name"] == "user.bob.a^b" and row["mbtype"] == "e" and row["partition"] == "default"
    assert list(row["acl"].items()) == [("bob", "lrs"), ("anyone", "l"), ("-joe", "r")]
    assert len(row["uniqueid"]) == 36 and row["foldermodseq"] == "1" and int(row["uidvalidity"]) > 1700000000
    assert set(dump(bench, "-y")) - set(got) == {"user.bob.between"}
    assert dump(bench, "-p", "other") == {}
    assert set(dump(bench, "-p", "default")) == set(got)
    assert dump(bench, "-f", bench.root / "conf/mailboxes.db") == got
    assert bench.tool("ctl_mboxlist", "-d", "-f", "/some/where").returncode == 75
    assert bench.log_lines() == []


def test_the_removed_are_told_of_until_their_name_is_taken(bench):
    bench.do("create user.bob.x", "remove user.bob.x")
    row = dump(bench)["user.bob.x"]
    assert row["mbtype"] == "ed" and row["acl"] == {} and "partition" not in row and len(row["uniqueid"]) == 36
    assert "user.bob.x" not in dump(bench, "-p", "default")
    bench.do("create user.bob.x")
    assert dump(bench)["user.bob.x"]["mbtype"] == "e"
    bench.do("remove user.bob.x", "create user.bob.x", "remove user.bob.x")    # two of that name: the newest
    assert dump(bench)["user.bob.x"]["mbtype"] == "ed"


def test_dump_undump_dump_gives_the_same(bench, roots):
    bench.do("create user.bob.x", "remove user.bob.x")
    before = dump(bench, "-y")
    done = undump(bench, before)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert bench.log_lines()[-2:] == ["MAILBOX user.bob.x", "UNMAILBOX user.bob.x"]    # the test's own, nothing new
    assert dump(bench, "-y") == before
    fresh = Bench(roots())
    done = undump(fresh, before)
    assert (done.returncode, done.stderr) == (0, "")
    assert without_times(dump(fresh, "-y")) == without_times(before)
    assert "MAILBOX user.bob" in fresh.log_lines()
    fresh.do(f"append user.bob {fresh.message('From: a@b' + chr(10))}")    # they are mailboxes


def test_undump_changes_what_differs_and_creates_what_is_missing(bench):
    message = dump(bench)["user.bob"]
    done = undump(bench, {"user.bob": {**message, "acl": {"bob": "lrs", "joe": "lr"}, "partition": "other"},
                          "user.new": {"mbtype": "", "acl": {"new": "lrs"}, "uniqueid": "24thisisanopaqueuniqueid",
                                       "partition": "default", "uidvalidity": 1234}})
    assert (done.returncode, done.stderr) == (0, "")
    got = dump(bench)
    assert got["user.bob"]["acl"] == {"bob": "lrs", "joe": "lr"} and got["user.bob"]["partition"] == "other"
    assert bench.show("user.bob").counters["exists"] == 1
    assert got["user.new"]["uniqueid"] == "24thisisanopaqueuniqueid" and got["user.new"]["uidvalidity"] == "1234"
    assert {"MAILBOX user.bob", "MAILBOX user.new"} <= set(bench.log_lines())


@pytest.mark.parametrize("text", ["", "[]", "{", '{ "a" }', '{ "user.x": ', '{ "user.x": [] }', '{ "user.x": {} "b" }',
                                  '{ 7: {} }'])
def test_what_is_no_dump_is_refused(bench, text):
    before = dump(bench)
    done = undump(bench, text)
    assert done.returncode == 65 and "parse error" in done.stderr, done
    assert set(before) <= set(dump(bench))


def test_a_bad_entry_does_not_stop_the_others(bench):
    rows = dump(bench)
    done = undump(bench, {"user.bob": {**rows["user.bob"], "uniqueid": "somebody-else"}, "user.joe": {"mbtype": "e"},
                          "user.jim": {"mbtype": "e", "uniqueid": rows["user.bob"]["uniqueid"]}})
    assert done.returncode == 65
    assert "user.bob has another uniqueid here" in done.stderr and "user.jim" in done.stderr
    got = dump(bench)
    assert got["user.bob"] == rows["user.bob"] and "user.joe" in got and "user.jim" not in got


def test_a_dump_with_a_line_a_mailbox(bench):
    """As Cyrus wrote it before it had JSON."""
    rights = "lrswipkxtecda"
    text = (f"user.old\t0 default old\t{rights}\t\r\nuser.old.a\t0 default old\tlrs\tanyone\tl\t\nuser.rem\t16 a!default x\tl\t\n\nnothing\n"
            f"a\x00b\t0 default x\tl\t\n{'n' * 5000}\t0 default x\tl\t\nuser.short\t0 default\nuser.last\t0 default last\t{rights}\t")
    done = bench.tool("ctl_mboxlist", "-u", "-L", stdin=text)
    assert done.returncode == 65 and done.stdout == ""
    assert done.stderr.splitlines() == ["line 3: a mailbox of the type 16", "line 4: no partition found", "line 5: no partition found",
                                        "line 6: no text", "line 7: no partition found", "line 8: no acl found"]
    entries = json.loads(bench.ok("ctl_mboxlist", "-d"))
    assert entries["user.old.a"]["acl"] == {"old": "lrs", "anyone": "l"} and entries["user.last"]["acl"] == {"last": rights}
    assert "user.short" not in entries
    bench.ok("reconstruct", "-r", "user/old")
    for done in (bench.tool("ctl_mboxlist", "-u", stdin=text), bench.tool("ctl_mboxlist", "-u", "-L", stdin=bench.ok("ctl_mboxlist", "-d"))):
        assert done.returncode == 65    # each reads its own


def test_x_removes_what_was_dumped_and_replicas_hear_of_it(bench):
    got = dump(bench, "-x", "-p", "default")
    assert {"news", "user.bob", "user.bobby"} <= set(got)
    after = dump(bench, "-y")
    assert {n for n, e in after.items() if "d" not in e["mbtype"]} == {"user.bob.between"}
    assert {f"UNMAILBOX {name}" for name in got} <= set(bench.log_lines())
    assert len(list((bench.root / "spool/trash").iterdir())) == len(got)


def test_x_keeps_everything_when_the_dump_cannot_be_written(bench):
    with open("/dev/full", "w") as full:
        done = subprocess.run([bench.build / "ctl_mboxlist", "-C", bench.conf, "-d", "-x"], stdout=full,
                              stderr=subprocess.PIPE, env=bench.environment(), cwd="/", text=True)
    assert done.returncode != 0 and "nothing is removed" in done.stderr
    assert "user.bob" in dump(bench)


def test_v_names_what_has_no_directory(bench):
    assert bench.ok("ctl_mboxlist", "-v") == ""
    shutil.rmtree(bench.directory("user.bobby"))
    done = bench.tool("ctl_mboxlist", "-v")
    assert done.returncode == 65
    assert done.stdout == "'user.bobby' has a DB entry but no directory on partition 'default'\n"


def test_usage(bench):
    for args in ((), ("-d", "-u"), ("-x",), ("-u", "-x"), ("-d", "what")):
        done = bench.tool("ctl_mboxlist", *args)
        assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("DUMP:\n"), args
