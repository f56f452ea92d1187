"""mbpath: where files lie, as lines and as JSON."""
import json

import pytest

from lib.bench import Bench


@pytest.fixture
def bench(root):
    bench = Bench(root)
    bench.do("create user.bob", "create user.bob.a^b.Sent", "create user.dot^ted", "create shared.news",
             f"append user.bob {bench.message('From: a@b' + chr(10))}", "entry user.bob.between ei")
    return bench


def test_the_data_directory_holds_the_messages(bench):
    path = bench.ok("mbpath", "user/bob").rstrip("\n")
    assert path == str(bench.directory("user.bob"))
    assert (bench.directory("user.bob") / "1.").read_text() == "From: a@b\n"
    assert bench.ok("mbpath", "-D", "user/bob") == bench.ok("mbpath", "-u", "bob") == path + "\n"
    assert bench.ok("mbpath", "-p", path) == path + "\n"
    assert bench.ok("mbpath", "-A", "user/bob", "user/bob/a.b/Sent").count("\n") == 2


def test_all_kinds_with_their_names(bench):
    data, sieve, user = (bench.ok("mbpath", f"-{kind}", "user/bob").rstrip("\n") for kind in "DSU")
    assert bench.ok("mbpath", "-a", "user/bob").splitlines() == [
        f"Archive: {data}", f"Data: {data}", f"Meta: {data}", f"Sieve: {sieve}", f"User: {user}"]
    assert sieve.startswith(f"{bench.root}/sieve/") and user.startswith(f"{bench.root}/conf/user/")
    assert bench.ok("mbpath", "-S", "user/bob/a.b/Sent").rstrip("\n") == sieve    # the user's, not the mailbox's
    assert bench.ok("mbpath", "-S", "-u", "dot.ted").rstrip("\n") != sieve
    assert bench.ok("mbpath", "-S", "shared/news") == f"{bench.root}/sieve/global\n"
    assert bench.ok("mbpath", "-U", "shared/news") == f"{bench.root}/conf\n"


def test_the_json_form(bench):
    got = json.loads(bench.ok("mbpath", "-j", "user/bob/a.b/Sent"))
    data = str(bench.directory("user.bob.a^b.Sent"))
    assert got["data"] == got["archive"] == got["meta"] == data
    assert got["mbname"] == {"boxes": ["a.b", "Sent"], "intname": "user.bob.a^b.Sent", "localpart": "bob", "userid": "bob"}
    assert got["user"]["sieve"] == bench.ok("mbpath", "-S", "user/bob").rstrip("\n")
    assert set(got["user"]) == {"sieve", "conversations", "counters", "dav", "seen", "sub", "xapianactive"}
    assert got["xapian"] == {}
    user = json.loads(bench.ok("mbpath", "-j", "-u", "dot.ted"))
    assert user["mbname"] == {"boxes": [], "intname": "user.dot^ted", "localpart": "dot.ted", "userid": "dot.ted"}
    shared = json.loads(bench.ok("mbpath", "-j", "shared/news"))
    assert "user" not in shared and "xapian" not in shared
    assert shared["mbname"] == {"boxes": ["shared", "news"], "intname": "shared.news"}


def test_a_deleted_mailbox_says_when(bench):
    bench.do("delete user.bob.a^b.Sent")
    name = next(line.split()[1] for line in bench.do("list") if "DELETED" in line)
    got = json.loads(bench.ok("mbpath", "-j", name.replace(".", "/").replace("^", ".")))
    assert got["mbname"]["isdeleted"] == int(name.rsplit(".", 1)[1], 16)
    assert got["mbname"]["boxes"] == ["a.b", "Sent"] and got["mbname"]["userid"] == "bob"


def test_names_of_a_domain(roots):
    bench = Bench(roots(), {"virtdomains": "userid", "defaultdomain": "x.test"})
    bench.do("create dom.example!user.kim")
    got = json.loads(bench.ok("mbpath", "-j", "-u", "kim@dom.example"))
    assert got["mbname"] == {"boxes": [], "domain": "dom.example", "intname": "dom.example!user.kim",
                             "localpart": "kim", "userid": "kim@dom.example"}
    assert bench.ok("mbpath", "user/kim@dom.example").rstrip("\n") == got["data"]


def test_utf8_is_converted_and_ascii_is_not(bench):
    bench.do("create user.bob.&AOQ-")
    path = str(bench.directory("user.bob.&AOQ-")) + "\n"
    assert bench.ok("mbpath", "user/bob/&AOQ-") == bench.ok("mbpath", "user/bob/ä") == path
    assert bench.ok("mbpath", "-7", "user/bob/&AOQ-") == path
    assert bench.tool("mbpath", "-7", "user/bob/ä").returncode == 65


@pytest.mark.parametrize("args, status, message", [
    (("user/nosuch",), 65, "Invalid mailbox name: 'user/nosuch'\n"),
    (("user.bob",), 65, "Invalid mailbox name: 'user.bob'\n"),            # an internal name
    (("user/bob/between",), 65, "Invalid mailbox name: 'user/bob/between'\n"),
    (("-u", "nosuch"), 65, "Invalid mailbox name: 'nosuch' ('user/nosuch')\n"),
    (("-p", "/tmp"), 65, "Invalid mailbox name: '/tmp'\n"),
    (("-q", "user/nosuch"), 65, ""),
    (("-j", "user/nosuch"), 65, "Invalid mailbox name: 'user/nosuch'\n"),
])
def test_what_is_nowhere(bench, args, status, message):
    done = bench.tool("mbpath", *args)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", message)


def test_errors_stop_it_only_with_s(bench):
    done = bench.tool("mbpath", "user/nosuch", "user/bob")
    assert done.returncode == 65 and done.stdout.count("\n") == 1
    done = bench.tool("mbpath", "-s", "user/nosuch", "user/bob")
    assert done.returncode == 65 and done.stdout == "" and done.stderr.endswith("Stopping\n")


def test_a_partition_that_is_not_configured(bench):
    bench.options["partition-other"] = bench.options.pop("partition-default")
    bench.options["defaultpartition"] = "other"
    bench.write_conf()
    for args in ((), ("-j",)):
        done = bench.tool("mbpath", *args, "user/bob")
        assert (done.returncode, done.stdout, done.stderr) == (78, "", "user/bob: no partition-default is configured\n")


def test_a_wrong_command_line(bench):
    for args in (("-z",), ("-U", "-S", "user/bob"), ("-a", "-m", "user/bob")):
        done = bench.tool("mbpath", *args)
        assert done.returncode == 64 and done.stdout == "" and "usage: mbpath" in done.stderr
    assert bench.ok("mbpath") == ""    # no argument is none too many
