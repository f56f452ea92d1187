"""quota: limits and what is used of them."""
import json

import pytest

from lib.bench import Bench

HEADER = "   Quota   % Used     Used             Resource Root\n"


@pytest.fixture
def bench(root):
    bench = Bench(root)
    message = bench.message(b"From: a@b\r\n\r\n" + b"x" * 3000 + b"\r\n")
    bench.do("create user.bob", "create user.bob.Sent", "create user.bobby", "create shared", "create user.dot^ted",
             "quota user.bob STORAGE 5000 MESSAGE 100", "quota user.bobby STORAGE 0", "quota shared X-NUM-FOLDERS 7",
             "quota user.dot^ted", f"append user.bob.Sent {message}", f"append user.bob.Sent {message}",
             f"append user.bobby {message}", "annotate user.bob.Sent 1 /comment - " + "y" * 1500)
    bench.log_lines()
    return bench


def rows(text):
    """[(root, resource, limit, percent, used)]; the table has fixed columns."""
    assert text.startswith(HEADER)
    return [(line[48:], line[27:47].strip(), line[:8].strip(), line[9:17].strip(), int(line[18:26]))
            for line in text[len(HEADER):].splitlines()]


def test_the_table(bench):
    assert bench.ok("quota", "shared", "user/bob/", "user/bobby", "user/bob") == HEADER + """\
                         0              STORAGE shared
                         0              MESSAGE shared
                         0 X-ANNOTATION-STORAGE shared
       7       14        1        X-NUM-FOLDERS shared
       0                 2              STORAGE user/bobby
                         1              MESSAGE user/bobby
                         0 X-ANNOTATION-STORAGE user/bobby
                         1        X-NUM-FOLDERS user/bobby
    5000        0        5              STORAGE user/bob
     100        2        2              MESSAGE user/bob
                         1 X-ANNOTATION-STORAGE user/bob
                         2        X-NUM-FOLDERS user/bob
       0                 2              STORAGE user/bobby
                         1              MESSAGE user/bobby
                         0 X-ANNOTATION-STORAGE user/bobby
                         1        X-NUM-FOLDERS user/bobby
"""


def test_all_roots_in_byte_order(bench):
    bench.do("create user.bob-z", "quota user.bob-z", "quota user.bob.Sent STORAGE 1")
    assert [r[0] for r in rows(bench.ok("quota"))][::4] == ["shared", "user/bob", "user/bob-z", "user/bob/Sent",
                                                             "user/bobby", "user/dot.ted"]


def test_a_root_below_takes_its_mailboxes_away(bench):
    bench.do("quota user.bob.Sent STORAGE 1")
    got = {r[:2]: r[2:] for r in rows(bench.ok("quota", "-u", "bob"))}
    assert got["user/bob", "STORAGE"] == ("5000", "0", 0) and got["user/bob", "MESSAGE"] == ("100", "0", 0)
    assert got["user/bob/Sent", "STORAGE"] == ("1", "500", 5) and got["user/bob/Sent", "MESSAGE"] == ("", "", 2)


def test_users_are_not_prefixes(bench):
    assert {r[0] for r in rows(bench.ok("quota", "-u", "bob"))} == {"user/bob"}
    assert {r[0] for r in rows(bench.ok("quota", "user/bob"))} == {"user/bob", "user/bobby"}
    assert {r[0] for r in rows(bench.ok("quota", "-u", "dot.ted", "nosuch"))} == {"user/dot.ted"}
    assert rows(bench.ok("quota", "user.bob")) == []    # an internal name is another name


def test_json_counts_bytes(bench):
    got = json.loads(bench.ok("quota", "-J", "user/bob", "shared"))
    assert list(got) == ["user/bob", "user/bobby", "shared"]
    assert got["user/bob"] == {"STORAGE": {"used": 6030, "limit": 5120000}, "MESSAGE": {"used": 2, "limit": 100},
                               "X-ANNOTATION-STORAGE": {"used": 1500}, "X-NUM-FOLDERS": {"used": 2}}
    assert got["user/bobby"]["STORAGE"] == {"used": 3015, "limit": 0}
    assert json.loads(bench.ok("quota", "-J", "nosuch")) == {}


def test_json_of_limits_without_end(bench):
    most = 2**63 - 1
    for limit, said in ((most, most), (most // 1024 + 1, most), (most // 1024, most // 1024 * 1024)):
        bench.do(f"quota user.bob STORAGE {limit} MESSAGE {limit}")
        got = json.loads(bench.ok("quota", "-J", "-u", "bob"))["user/bob"]
        assert (got["STORAGE"]["limit"], got["MESSAGE"]["limit"]) == (said, limit)


def test_expunged_messages_do_not_count(bench):
    bench.do("expunge user.bob.Sent 1")
    got = json.loads(bench.ok("quota", "-J", "-u", "bob"))["user/bob"]
    assert (got["STORAGE"]["used"], got["MESSAGE"]["used"], got["X-ANNOTATION-STORAGE"]["used"]) == (3015, 1, 0)


def test_a_sound_store_has_nothing_to_fix(bench):
    done = bench.tool("quota", "-f", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert bench.ok("quota", "-f") == bench.ok("quota") == bench.ok("quota", "-f", "-n") == bench.ok("quota", "-q")
    assert bench.log_lines() == []


def test_a_root_without_mailboxes_is_removed_and_replicas_are_told(bench):
    bench.do("create user.bob.old", "quota user.bob.old STORAGE 1", "delete user.bob.old")
    bench.log_lines()
    done = bench.tool("quota", "-f", "-q", "-n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "user.bob.old: removed\n")
    assert bench.log_lines() == []
    assert ("user/bob/old", "STORAGE", "1", "0", 0) in rows(bench.ok("quota"))
    done = bench.tool("quota", "-f", "user/bob")
    assert (done.returncode, done.stderr) == (0, "user.bob.old: removed\n")
    assert {r[0] for r in rows(done.stdout)} == {"user/bob", "user/bobby"}
    assert bench.log_lines() == ["QUOTA user.bob.old"]
    assert bench.tool("quota", "-f", "-q").stderr == ""


def test_with_n_what_would_go_is_not_listed(bench):
    bench.do("create user.bob.old", "quota user.bob.old STORAGE 1", "remove user.bob.old")
    done = bench.tool("quota", "-f", "-n", "user/bob/old")
    assert done.stderr == "user.bob.old: removed\n" and rows(done.stdout) == [] and rows(bench.ok("quota", "user/bob/old"))


def test_only_what_the_arguments_name_is_fixed(bench):
    bench.do("create other", "quota other STORAGE 1", "remove other")
    assert bench.tool("quota", "-f", "-q", "user/bob", "shared").stderr == ""
    assert bench.tool("quota", "-f", "-q", "oth").stderr == "other: removed\n"


def test_domains(roots):
    bench = Bench(roots(), {"virtdomains": "userid", "defaultdomain": "x.test"})
    bench.do("create dom.example!user.kim", "create user.bob", "quota dom.example!user.kim MESSAGE 3", "quota user.bob")
    only_kim = [("user/kim@dom.example", "MESSAGE", "3", "0", 0)]
    for args in (("-d", "dom.example"), ("-d", "dom.example", "user/k"), ("user/kim@dom.example",),
                 ("-u", "kim@dom.example"), ("-d", "dom.example", "-u", "kim@dom.example"), ("-d", "dom.example", "-u")):
        assert [r for r in rows(bench.ok("quota", *args)) if r[1] == "MESSAGE"] == only_kim, args
    assert rows(bench.ok("quota", "-d", "other.example")) == rows(bench.ok("quota", "-d", "dom.example", "-u", "kim")) == []
    assert {r[0] for r in rows(bench.ok("quota"))} == {"user/kim@dom.example", "user/bob"}


def test_a_mailbox_that_cannot_be_read_is_told_and_the_others_are_listed(bench):
    (bench.directory("user.bob.Sent") / "mbox.idx").write_bytes(b"not an index")
    done = bench.tool("quota")
    assert done.returncode == 65 and "user.bob.Sent" in done.stderr
    assert {r[0] for r in rows(done.stdout)} == {"shared", "user/bobby", "user/dot.ted"}


def test_a_wrong_command_line(bench):
    done = bench.tool("quota", "-x")
    assert done.returncode == 64 and done.stdout == "" and "usage: quota" in done.stderr
