"""Every option of Debian's tools has a test that compares what ours say, how they end and what they leave with theirs over the same
data. FLAGS is the table of those tests, and is held against the programs; then come those that no other file here has.

Differences are listed where they are met, with their reasons; the manual pages have them in their section COMPATIBILITY."""
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib import places
from lib.bench import Bench
from lib.cyrus_peer import CyrusPeer

HERE = Path(__file__).parent
ADMIN, DELIVERY, EXPIRE = "test_admin_tools.py", "test_delivery_tools.py", "test_cyr_expire_peers.py"
ALL = "test_the_configuration_file"    # -C is an option of each

# {program: {options: the test that compares them, of this file if no other is named}}
FLAGS = {
    "quota": {"J f n q": f"{ADMIN}::test_quota_prints_the_same", "d u Z": "test_quota_of_domains_users_and_lost_roots"},
    "reconstruct": {"G R U o O n q": f"{ADMIN}::test_reconstruct_says_and_does_the_same",
                    "r u V": f"{ADMIN}::test_which_mailboxes_are_done", "s f x M I k g p m d": "test_options_of_reconstruct",
                    "P": "test_reconstruct_makes_rows"},
    "sync_reset": {"f v L": "test_sync_reset"},
    "cyr_synclog": {"u U v m M q n s b": f"{ADMIN}::test_synclog_writes_the_same_line", "a c": "test_lines_of_synclog_that_differ"},
    "cyr_info": {"M": f"{ADMIN}::test_the_lint", "n": "test_info_for_a_service", "s": "test_info_since_a_version"},
    "cyr_buildinfo": {},
    "ctl_cyrusdb": {"r x c": "test_ctl_cyrusdb"},
    "ctl_mboxlist": {"d y u": "test_ctl_mboxlist_peers.py::test_a_cyruss_dump_is_read_and_written_again", "x p": "test_dumps_of_a_partition",
                     "L": "test_a_dump_from_before_json", "v f m a w i r c": "test_other_options_of_ctl_mboxlist"},
    "unexpunge": {"l": f"{EXPIRE}::test_the_list", "a u d t f v": f"{EXPIRE}::test_messages_come_back"},
    "cyr_deny": {"a l m s": f"{DELIVERY}::test_cyr_deny_says_and_writes_the_same"},
    "ctl_deliver": {"d": f"{DELIVERY}::test_ctl_deliver_prints_the_same", "f": f"{DELIVERY}::test_statuses_of_ctl_deliver",
                    "E r": "test_old_options_of_ctl_deliver"},
    "deliver": {"d f r m a F e E q D": f"{DELIVERY}::test_deliver_says_the_same", "l": "test_deliver_speaks_lmtp"},
    "smmapd": {"U T D X": f"{DELIVERY}::test_smmapd_with_the_options_of_services"},
    "cyr_expire": {"E X D a x t u": f"{EXPIRE}::test_old_messages", "p v": f"{EXPIRE}::test_expunged_messages",
                   "A c h": "test_other_options_of_cyr_expire"},
    "master": {"V v l j p L D d M": "test_options_of_master"},
    "mbexamine": {"c": "test_mbexamine_peers.py::test_comparing_with_the_files", "q": "test_mbexamine_peers.py::test_comparing_sizes",
                  "u s": "test_mbexamine_peers.py::test_one_message"},
}


def letters_of(program):
    """What getopt(3) is told by a program of theirs: the longest such string in it that has -C."""
    data = program.read_bytes()
    found = [m.decode() for m in re.findall(rb"(?<=\x00)((?:[A-Za-z0-9]:{0,2}){2,60})(?=\x00)", data) if b"C:" in m]
    return set(max(found, key=len)) - {":"} if found else {"C"}


@pytest.mark.parametrize("program", FLAGS)
def test_every_option_has_its_test(cyrus_tree, program):
    listed = {letter for letters in FLAGS[program] for letter in letters.split()} | {"C"}
    assert letters_of(cyrus_tree / "usr/lib/cyrus/bin" / program) == listed
    for where in FLAGS[program].values():
        file, _, name = where.rpartition("::")
        assert f"\ndef {name}(" in (HERE / (file or __file__)).read_text(), where


# ---- both sides ------------------------------------------------------------------------------------------

def clean(text, *roots):
    """Without where it ran, and without the line of getopt(3), which has the program's path."""
    for root in roots:
        text = text.replace(str(root), "ROOT")
    return re.sub(r"^\S+: (invalid option|option requires an argument) -- .*\n", "", text, flags=re.M)


def said(host, program, *args, stdin=""):
    """(status, standard output, standard error)"""
    more = {} if isinstance(host, Bench) else {"check": False}
    done = host.tool(program, *args, stdin=stdin, **more)
    return done.returncode, clean(done.stdout, host.root), clean(done.stderr, host.root)


def both(pair, program, *args, stdin=""):
    return [said(host, program, *args, stdin=stdin) for host in pair]


def agree(pair, program, *calls):
    for args in calls:
        ours, theirs = both(pair, program, *args)
        assert ours == theirs, (program, args)


def agree_in_status(pair, program, *calls):
    """Wrong calls: each has a usage of its own, on standard error."""
    for args in calls:
        ours, theirs = both(pair, program, *args)
        assert ours[:2] == theirs[:2] and ours[2] and theirs[2], (program, args, ours, theirs)


@pytest.fixture
def tools(roots, cyrus_tree):
    """make(options) gives (bench, peer): ours and theirs without a server, an empty store each."""
    return lambda **options: (Bench(roots(), {"sync_log": False, **options}), CyrusPeer(roots(), cyrus_tree, imapd=options))


@pytest.fixture
def stores(roots, cyrus_peer):
    """make(options) gives (bench, peer): a store each, theirs with a server."""
    return lambda **options: (Bench(roots(), {"sync_log": False, **options}), cyrus_peer(imapd=options))


CALLS = {"quota": (), "reconstruct": ("user/bob",), "sync_reset": ("-f", "x"), "cyr_synclog": ("-u", "x"), "cyr_info": ("conf",),
         "ctl_cyrusdb": ("-r",), "ctl_mboxlist": ("-d",), "unexpunge": ("-l", "x"), "cyr_deny": ("-l",), "ctl_deliver": ("-d",),
         "cyr_expire": ("-E", "3"), "mbexamine": ("x",), "mbpath": ("x",)}


def test_the_configuration_file(tools):
    pair = tools()
    for program, args in CALLS.items():
        ours, theirs = both(pair, program, "-C", "/nosuch", *args)
        assert ours[:2] == theirs[:2] == (78, "") and "/nosuch" in ours[2] and "/nosuch" in theirs[2], program
    assert [said(host, "cyr_buildinfo", "-C", "/nosuch")[0] for host in pair] == [0, 0]


# ---- quota -----------------------------------------------------------------------------------------------

def domains_of_quota(pair):
    bench, peer = pair
    text = b"From: a@b\r\n\r\n" + b"x" * 3000 + b"\r\n"
    peer.make_user("bob", "kim@dom.test", "zoe@oth.test")
    with peer.admin() as c:
        c.ok("CREATE", "user/bob/old")
        c.ok("SETACL", "user/bob/old", "admin", "lrswipkxtecda")
        for root, limits in (("user/bob/old", b"(STORAGE 3)"), ("user/bob", b"(STORAGE 5000 MESSAGE 100)"), ("user/zoe@oth.test", b"(STORAGE 1)"),
                             ("user/kim@dom.test", b"(STORAGE 7 MESSAGE 3 X-NUM-FOLDERS 4 X-ANNOTATION-STORAGE 1)")):
            c.ok("SETQUOTA", root, limits)
        c.ok("DELETE", "user/bob/old")    # leaves a root that nothing is under
    with peer.imap("bob") as c:
        c.append("INBOX", text)
    bench.do("create user.bob", "create user.bob.old", "create dom.test!user.kim", "create oth.test!user.zoe", "quota user.bob.old STORAGE 3",
             "quota user.bob STORAGE 5000 MESSAGE 100", "quota oth.test!user.zoe STORAGE 1", f"append user.bob {bench.message(text)}",
             "quota dom.test!user.kim STORAGE 7 MESSAGE 3 X-NUM-FOLDERS 4 X-ANNOTATION-STORAGE 1", "delete user.bob.old")


def test_quota_of_domains_users_and_lost_roots(stores):
    pair = stores(virtdomains="userid", defaultdomain="def.test")
    domains_of_quota(pair)
    agree(pair, "quota", (), ("-d", "dom.test"), ("-d", "def.test"), ("-d", "none"), ("-d", ""), ("-d", "dom.test", "user/kim"),
          ("-d", "dom.test", "-u", "kim"), ("-d", "dom.test", "-u", "kim@dom.test"), ("-d", "oth.test", "-u", "kim@dom.test"),
          ("-u", "kim@dom.test"), ("-u", "bob", "zoe@oth.test"), ("-u",), ("-d", "dom.test", "-u"), ("user/kim@dom.test",), ("-J",),
          ("-J", "-q"), ("-J", "-d", "dom.test"), ("-J", "-u", "bob"), ("-n",), ("-n", "-q"))
    # First only told of, then done, then nothing more.
    agree(pair, "quota", ("-f", "-n"), ("-f", "-n", "-q"), ("-f", "-n", "-J"), ("-f", "-n", "-d", "dom.test"), ("-f", "-n", "-u", "bob"),
          ("-f", "-q"), ("-f", "-q"), ("-f",), ("-f", "-J"), ("-f", "-u", "bob"), ("-f", "-d", "dom.test"), ())
    agree_in_status(pair, "quota", ("-z",), ("-d",))
    # -Z makes theirs break its own counts, for tests of it.
    assert [r[0] for r in both(pair, "quota", "-Z")] == [64, 0]


# ---- reconstruct -----------------------------------------------------------------------------------------

def fill(pair):
    bench, peer = pair
    text = b"From: a@b\r\n\r\nx\r\n"
    peer.make_user("bob", "amy")
    with peer.admin() as c:
        c.ok("CREATE", "user/bob/Sent")
    with peer.imap("bob") as c:
        c.append("INBOX", text)
        c.append("INBOX", text + text)
    rights = "lrswipkxtecdan"
    bench.do(f"create user.bob bob {rights}", f"create user.bob.Sent bob {rights}", f"create user.amy amy {rights}",
             f"append user.bob {bench.message(text)}", f"append user.bob {bench.message(text + text)}")


def directories(pair, name="user/bob"):
    return [host.tool("mbpath", name).stdout.strip() for host in pair]


def test_options_of_reconstruct(stores):
    pair = stores()
    fill(pair)
    agree(pair, "reconstruct", *[(option, "user/bob") for option in ("-s", "-x", "-f", "-k", "-g", "-M", "-I")], ("-u", "bob", "amy"),
          ("-r", "-u", "bob"), ("-r", "user/bob", "user/amy"), ("-r", "-f", "user/bob"), ("-n", "-f"), ("-R", "-U", "user/bob"),
          ("-o", "-O", "user/bob"), ("-V", "17", "user/bob"), ("-V", "zzz", "user/bob"), ("-V", "max", "-u", "bob"), ("-k", "-q", "user/amy"))
    agree_in_status(pair, "reconstruct", ("-z",), ("-p",), ("-V",), ("-u",), ("-r",))
    different = {
        # To be rid of, or to be found: theirs wants the one or the other, ours looks on that partition and does what is there.
        ("-p", "default", "user/bob"): (0, 64), ("-p", "nosuch", "user/bob"): (78, 64),
        # Who misspelt a name believes that it was looked at.
        ("-u", "nosuch"): (65, 0), ("-f", "user/nosuch"): (65, 0), ("-P", "/nosuch"): (65, 0), ("-P", "/tmp"): (65, 0),
        # There is one version of our files.
        ("-V", "3", "user/bob"): (0, 70),
        # Theirs does not do these any more, or not without words.
        ("-m",): (0, 64), ("-d",): (0, 64), ("-P",): (64, 0)}
    for args, statuses in different.items():
        assert tuple(r[0] for r in both(pair, "reconstruct", *args)) == statuses, args


def test_reconstruct_does_not_look_at_files_with_s(stores):
    pair = stores()
    fill(pair)
    for path in directories(pair):
        with open(Path(path) / "2.", "r+b") as file:
            file.truncate(3)
    agree(pair, "reconstruct", ("-s", "-n", "user/bob"), ("-n", "user/bob"), ("-s", "user/bob"))
    for path in directories(pair):
        (Path(path) / "1.").unlink()
    ours, theirs = both(pair, "reconstruct", "-s", "user/bob")
    assert ours == theirs


def lose_rows(pair):
    bench, peer = pair
    peer.tool("ctl_mboxlist", "-d", "-x")    # which leaves the directories, there
    shutil.rmtree(bench.root / "conf/meta")


def names(pair):
    """Of mailboxes that are there: ours remembers who is gone, to tell replicas, where theirs does so for a DELETE only."""
    return [[name for name, e in json.loads(host.tool("ctl_mboxlist", "-d").stdout).items() if "d" not in e["mbtype"]] for host in pair]


def test_reconstruct_makes_rows(stores):
    pair = stores()
    fill(pair)
    ids = [{name: e["uniqueid"] for name, e in json.loads(host.tool("ctl_mboxlist", "-d").stdout).items()} for host in pair]
    places_of = {name: directories(pair, name.replace(".", "/")) for name in ids[0]}

    def each(*args, name="user.bob"):
        """The same with the path of each, without uniqueids."""
        out = []
        for host, known, path in zip(pair, ids, places_of[name]):
            status, stdout, stderr = said(host, "reconstruct", *args, "-P", path)
            out.append((status, re.sub(r"\(\S+\)", lambda m, k=known: "(its own)" if m.group()[1:-1] == k[name] else "(another)", stdout), stderr))
        return out
    lose_rows(pair)
    ours, theirs = each()
    assert ours == theirs == (0, "created mbentry for user.bob (its own)\n", "")
    ours, theirs = each("-q", name="user.amy")
    assert ours == theirs
    assert names(pair) == [["user.amy", "user.bob"]] * 2
    # Of a row that is there, ours says so; theirs says that it made one, as it does with -n.
    assert [r[1].split()[0] for r in each()] == ["user.bob", "created"]
    ours, theirs = each("-n", name="user.bob.Sent")
    assert ours[1].startswith("would create") and theirs[1].startswith("created")
    # -x makes ours forget the uniqueid, too, as their manual says; their program keeps it.
    lose_rows(pair)
    assert [r[1].split("(")[1] for r in each("-x")] == ["another)\n", "its own)\n"]
    # -f finds what lost its row wherever it is. Theirs looks where directories had names, and here they have none.
    lose_rows(pair)
    ours, theirs = both(pair, "reconstruct", "-f", "user/bob")
    assert ours[0] == theirs[0] == 0 and "created mbentry for user.bob " in ours[1] and theirs[1] == ""


# ---- sync_reset -------------------------------------------------------------------------------------------

def test_sync_reset(stores):
    pair = stores()
    fill(pair)
    agree(pair, "sync_reset", ("-f", "amy"), ("-L", "-f", "bob"))
    assert names(pair) == [[], []]
    agree_in_status(pair, "sync_reset", ("-z",), ("-z", "-f", "x"))
    fill(pair)
    # -v tells who is gone; theirs has no word for it. What does nothing does not succeed.
    assert [r[:2] for r in both(pair, "sync_reset", "-v", "-f", "amy")] == [(0, "amy\n"), (0, "")]
    different = {(): 64, ("-f",): 64, ("bob",): 64, ("-v", "bob"): 64, ("-f", "nosuch"): 65, ("-v", "-f", "nosuch"): 65}
    for args, status in different.items():
        ours, theirs = both(pair, "sync_reset", *args)
        assert ours[:2] == (status, "") and theirs[:2] == (0, ""), args
        assert ours[2].splitlines()[-1:] == [line for line in theirs[2].splitlines() if "Bailing" in line] or status == 64
    assert names(pair) == [["user.bob", "user.bob.Sent"]] * 2


# ---- cyr_synclog --------------------------------------------------------------------------------------------

def logged(pair):
    """What is in the log of each channel, which is taken away."""
    out = []
    for host in pair:
        logs = {}
        for channel in ("", "east"):
            path = host.root / "conf/sync" / channel / "log"
            logs[channel] = path.read_text() if path.exists() else ""
            path.unlink(missing_ok=True)
        assert logs[""] == logs["east"]
        out.append(logs[""])
    return out


def test_lines_of_synclog(tools):
    pair = tools(sync_log=True, sync_log_channels='"" east')
    for args in (("-m", "a b"), ("-m", 'a"b\\c'), ("-m", "user.\u00e4"), ("-m", "{3}"), ("-n", "user.a"), ("-q", "x y"), ("-s", "bob", "id"),
                 ("UNUSER bob",), ("SUB bob user.x",), ("DOUBLEMAILBOX user.a user.b",), ("APPEND user.bob",)):
        assert [r for r in both(pair, "cyr_synclog", *args)] == [(0, "", "")] * 2, args
        ours, theirs = logged(pair)
        assert ours == theirs != "", args
    agree_in_status(pair, "cyr_synclog", (), ("-z",), ("-s", "bob"), ("-b", "bob"), ("-q", ""), ("-u",), ("-a",), ("-c",))
    assert logged(pair) == ["", ""]


def test_lines_of_synclog_that_differ(tools):
    pair = tools(sync_log=True, sync_log_channels='"" east')
    different = {
        # What their manual says of it, where their program writes a name that nobody can read.
        ("-a", "user.bob"): ("APPEND user.bob\n", "user.bob\n"), ("-c", "user.bob"): ("MAILBOX user.bob\n", "user.bob\n"),
        # A line for each value; theirs takes the first. A line in several words; theirs takes the first, which is half a line.
        ("-u", "bob", "amy"): ("USER bob\nUSER amy\n", "USER bob\n"), ("MAILBOX", "user.bob"): ("MAILBOX user.bob\n", "MAILBOX\n"),
        ("-b", "bob", "user.x", "amy", "user.y"): ("SUB bob user.x\nSUB amy user.y\n", "SUB bob user.x\n"),
        # As it would be written.
        ("mailbox user.bob",): ("MAILBOX user.bob\n", "mailbox user.bob\n"),
        # The server's annotations.
        ("-n", ""): ('ANNOTATION ""\n', ""),
        # No lines, which theirs writes all the same.
        ("nonsense",): ("", "nonsense\n"), ("MAILBOX",): ("", "MAILBOX\n"), ("-m", "-u", "bob"): ("", "USER bob\n"),
        ("-s", "bob", "id", "x"): ("", "SEEN bob id\n")}
    for args, lines in different.items():
        statuses = [r[0] for r in both(pair, "cyr_synclog", *args)]
        assert statuses == [0 if line else 255 for line in lines], args
        assert tuple(logged(pair)) == lines, args


# ---- cyr_info --------------------------------------------------------------------------------------------

def info(host, conf, *args):
    """cyr_info over one file, which both read: {key: line}"""
    command = [host.build / "cyr_info" if isinstance(host, Bench) else host.program("cyr_info"), "-C", conf, *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=host.environment(), cwd="/")
    assert done.returncode == 0 and done.stderr == "", done
    return {re.sub(r"^\(\S+\) ", "", line).split(":")[0]: line for line in done.stdout.splitlines()}


@pytest.mark.parametrize("command", ["conf", "conf-all"])
def test_info_for_a_service(tools, command):
    bench, peer = tools()
    peer.options.update({"imap_timeout": "45", "pop3_timeout": "46", "imap_sasl_mech_list": "PLAIN", "postuser": "post"})
    peer.write_conf()
    for service in ("imap", "pop3", "nosuch"):
        ours, theirs = [info(host, peer.conf, "-n", service, command) for host in (bench, peer)]
        for key in ("timeout", "sasl_mech_list", "postuser"):
            assert ours.get(key) == theirs.get(key), (service, key)
        if command == "conf":    # theirs has those as well that are set to their default in other words
            assert {k: theirs.get(k) for k in ours} == ours


# Still to be released where they were changed, says theirs.
UNRELEASED = {"maxargssize", "maxliteral"}


@pytest.mark.parametrize("command", ["conf-default", "conf-all", "conf"])
def test_info_since_a_version(tools, command):
    bench, peer = tools()
    for version in ("2.4", "2.4.20", "2.5", "2.5.17", "3", "3.0.18", "3.1.6", "3.2.12", "3.4.8", "3.6", "3.6.1", "3.8.4", "9.9"):
        ours, theirs = [info(host, peer.conf, "-s", version, command) for host in (bench, peer)]
        both_know = set(ours) & set(theirs) - UNRELEASED
        marks = [{key: lines[key].split(")")[0] for key in both_know if lines[key].startswith("(")} for lines in (ours, theirs)]
        assert marks[0] == marks[1], version
        # Ours alone are marked always: they are new to whoever comes from a Cyrus.
        assert all(line.startswith("(") for key, line in ours.items() if key.startswith("metad_"))
    for bad in ("x", "3.6x", ".5"):
        agree_in_status((bench, peer), "cyr_info", ("-s", bad, command))


def test_info_of_the_rest(stores):
    pair = stores()
    bench, peer = pair
    agree(pair, "cyr_info", ("-M", peer.cyrus_conf, "conf-lint"), ("-n", "imap", "-M", peer.cyrus_conf, "conf-lint"))
    agree_in_status(pair, "cyr_info", (), ("nonsense",), ("-n",), ("-z", "conf"))
    ours, theirs = both(pair, "cyr_info", "-M", "/nosuch", "conf-lint")
    assert ours[:2] == theirs[:2] == (78, "")
    versions = [r[1] for r in both(pair, "cyr_info", "version")]
    assert all(re.fullmatch(r"cyrus-imapd 3\.6\.1-\S+\n", text) for text in versions)
    # -v is ours.
    assert [r[0] for r in both(pair, "cyr_info", "-v", "-M", peer.cyrus_conf, "conf-lint")] == [0, 255]


def test_info_of_processes(stores, server):
    _, peer = stores()
    ours = server(services={"lmtp": None, "lmtpunix": None, "csync": None})
    lines = []
    for s in (ours, peer):
        s.make_user("bob")
        with s.imap("bob") as c, s.imap():
            c.select("INBOX")
            places.wait_until(lambda s=s: "user.bob" in s.tool("cyr_info", "proc").stdout, 10, "bob is there")
            lines.append(sorted(re.sub(r"^\d+ ", "", line) for line in s.tool("cyr_info", "proc").stdout.splitlines()))
    # Theirs asks the name service who that is, before it greets; ours keeps nobody waiting for that.
    assert lines[0] == [re.sub(r"\S+ (?=\[)", "", line) for line in lines[1]] and len(lines[0]) == 2


# ---- cyr_buildinfo -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("format_", [(), ("pretty",), ("dense",), ("flat",)])
def test_forms_of_buildinfo(tools, format_):
    pair = tools()
    (status, mine, err), (their_status, other, their_err) = both(pair, "cyr_buildinfo", *format_)
    assert (status, err) == (their_status, their_err) == (0, "")
    mine, other = [re.sub(r'\b(true|false)\b|"(none|ngrams)"', "-", text) for text in (mine, other)]
    # Newer ones have the version of the mailbox format as well.
    mine = re.sub(r',\s*"version": \{\s*"MAILBOX_MINOR_VERSION": 17\s*\}|version\.MAILBOX_MINOR_VERSION=17\n', "", mine)
    assert mine == other
    agree(pair, "cyr_buildinfo", ("xml",), ("-x",))


# ---- ctl_cyrusdb --------------------------------------------------------------------------------------------

def marks(host, pattern):
    path = host.root / "log"
    return re.findall(pattern, path.read_text()) if path.exists() else []


def test_ctl_cyrusdb(stores):
    pair = stores()
    fill(pair)
    words = "(?:done )?(?:recovering|checkpointing) cyrus databases"
    before = [len(marks(host, words)) for host in pair]
    for args in (("-c",), ("-r",), ("-r", "-x"), ("-c",), ("-c",), ("-r", "word")):
        assert both(pair, "ctl_cyrusdb", *args) == [(0, "", "")] * 2, args
    ours, theirs = [marks(host, words)[n:] for host, n in zip(pair, before)]
    assert ours == theirs and len(ours) == 12
    for host in pair:    # the last two
        assert sorted(p.name for p in (host.root / "conf").glob("db.backup*")) == ["db.backup1", "db.backup2"]
    agree_in_status(pair, "ctl_cyrusdb", (), ("-z",), ("-r", "-c"), ("-x",))
    assert [r[0] for r in both(pair, "ctl_cyrusdb", "-r", "-r")] == [0, 255]    # said twice
    assert names(pair) == [["user.amy", "user.bob", "user.bob.Sent"]] * 2


# ---- ctl_mboxlist ----------------------------------------------------------------------------------------------

OWN = re.compile(r'"(mtime|uidvalidity|uniqueid|createdmodseq|foldermodseq)": "[^"]*"')


def lists(pair, *args):
    """Without what is each one's own."""
    return [(r[0], OWN.sub(r'"\1": "-"', r[1]), r[2]) for r in both(pair, "ctl_mboxlist", *args)]


def test_dumps_of_a_partition(roots, cyrus_peer):
    ours, theirs = roots(), roots()
    bench = Bench(ours, {"sync_log": False, "partition-two": ours / "two"})
    peer = CyrusPeer(theirs, cyrus_peer().tree, imapd={"partition-two": theirs / "two"}).start()
    pair = bench, peer
    try:
        fill(pair)
        with peer.admin() as c:
            c.ok("CREATE", "user/tw", "two")
        bench.do("create user.tw tw lrswipkxtecdan")
        dump = json.loads(bench.ok("ctl_mboxlist", "-d"))
        dump["user.tw"]["partition"] = "two"
        bench.ok("ctl_mboxlist", "-u", stdin=json.dumps({"user.tw": dump["user.tw"]}))
        for args in (("-d",), ("-d", "-y"), ("-d", "-p", "two"), ("-d", "-y", "-p", "two"), ("-d", "-p", "nosuch"), ("-d", "-x", "-p", "nosuch"),
                     ("-d", "-x", "-p", "two"), ("-d", "-p", "two")):
            mine, other = lists(pair, *args)
            assert mine == other, args
        assert names(pair) == [["user.amy", "user.bob", "user.bob.Sent"]] * 2
    finally:
        peer.__exit__(None, None, None)


LINES = ("user.old\t0 default old\tlrswipkxtecda\t\nuser.old.a\t0 default old\tlrs\tanyone\tl\t\nuser.noacl\t0 default \n")


def test_a_dump_from_before_json(stores):
    pair = stores()
    assert both(pair, "ctl_mboxlist", "-u", "-L", stdin=LINES) == [(0, "", "")] * 2
    entries = [json.loads(host.tool("ctl_mboxlist", "-d", "-y").stdout) for host in pair]
    kept = [{name: {k: e.get(k) for k in ("name", "mbtype", "partition", "acl")} for name, e in dump.items()} for dump in entries]
    assert kept[0] == kept[1] and len(kept[0]) == 3
    # A row has its directory here, hence its uniqueid.
    assert [bool(dump["user.old"].get("uniqueid")) for dump in entries] == [True, False]
    # What is no line is told of, and the others are taken; theirs has no status for it.
    ours, theirs = both(pair, "ctl_mboxlist", "-u", "-L", stdin="user.x\n\nuser.y\t0 default y\tl\t\n")
    assert ours[1:] == theirs[1:] == ("", "line 1: no partition found\nline 2: no partition found\n") and (ours[0], theirs[0]) == (65, 0)
    assert [("user.y" in dump) for dump in names(pair)] == [True, True]
    # Mailboxes of other servers are not here; other types end theirs by an assertion.
    for type_, status in ((16, 0), (4, 70)):
        ours, theirs = both(pair, "ctl_mboxlist", "-u", "-L", stdin=f"user.z\t{type_} back.test!default z\tl\t\n")
        assert (ours[0], theirs[0]) == (65, status) and ours[2] == f"line 1: a mailbox of the type {type_}\n"


def test_other_options_of_ctl_mboxlist(stores):
    pair = stores()
    fill(pair)
    agree_in_status(pair, "ctl_mboxlist", (), ("-z",), ("-d", "-u"), ("-d", "-v"), ("-x",), ("-y",), ("-a",), ("-w",), ("-i",), ("-L",), ("-r",),
                    ("-c",), ("-p", "two"), ("-v", "-v"), ("-u", "-x"), ("-m",), ("-m", "-w"), ("-m", "-a", "-i"))
    for args in (("-d", "-f", "/nosuch/x"), ("-u", "-f", "/nosuch/x"), ("-v", "-f", "/nosuch/x")):
        ours, theirs = both(pair, "ctl_mboxlist", *args)
        assert ours[:2] == theirs[:2] == (75, "") and ours[2].startswith(theirs[2].strip()), args
    for host in pair:    # the file that is there in a Cyrus
        assert said(host, "ctl_mboxlist", "-d", "-f", host.root / "conf/mailboxes.db")[:2] == said(host, "ctl_mboxlist", "-d")[:2]
    # They take every mailbox for one without a directory, as long as those lie where they make them.
    ours, theirs = both(pair, "ctl_mboxlist", "-v")
    assert ours == (0, "", "") and theirs[0] == 0 and len(theirs[1].splitlines()) == 3
    shutil.rmtree(directories(pair)[0])
    ours, _ = both(pair, "ctl_mboxlist", "-v")
    assert ours == (65, next(line for line in theirs[1].splitlines(True) if "'user.bob'" in line), "")
    # What is no dump: theirs says so, or not, and succeeds.
    for text in ("garbage", "", "[]"):
        ours, theirs = both(pair, "ctl_mboxlist", "-u", stdin=text)
        assert (ours[:2], theirs[:2]) == ((65, ""), (0, "")) and "parse error" in ours[2], text
    # Words mean nothing; ours refuses them.
    assert [r[0] for r in both(pair, "ctl_mboxlist", "-d", "word")] == [1, 0]


# ---- ctl_deliver, deliver, cyr_expire ---------------------------------------------------------------------------

def test_old_options_of_ctl_deliver(stores):
    pair = stores()
    agree_in_status(pair, "ctl_deliver", ("-r",), ("-d", "-r"))
    # Theirs hands it to cyr_expire(8), where Debian does not have it.
    ours, theirs = both(pair, "ctl_deliver", "-E", "3")
    assert ours == (0, "", "") and theirs[0] != 0 and "using cyr_expire" in theirs[2]


def talk(host, *lines):
    """deliver -l: what is answered to each line, as codes."""
    command = [host.program("deliver"), "-C", host.conf, "-l"]
    with subprocess.Popen(command, env=host.environment(), cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        codes = []
        for line in (None, *lines):
            if line:
                process.stdin.write(line + "\r\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            while answer[3:4] == "-":
                answer = process.stdout.readline()
            codes.append(re.match(r"\d+( \d\.\d\.\d)?", answer).group())
        process.stdin.close()
        assert process.stdout.read() == ""
    return codes, process.returncode


def test_deliver_speaks_lmtp(cyrus_peer, server):
    ours, theirs = server(services={"csync": None}), cyrus_peer()
    theirs.options["lmtpsocket"] = theirs.root / "lmtp"
    theirs.services["lmtpunix"] = {"cmd": "lmtpd -C {conf}", "listen": str(theirs.root / "lmtp")}
    theirs.write_conf()
    theirs.restart()
    for host in (ours, theirs):
        host.make_user("bob")
    said_to = ("LHLO x", "MAIL FROM:<a@b>", "RCPT TO:<bob>", "RCPT TO:<nosuch>", "DATA", "Subject: x\r\n\r\nx\r\n.", "RSET", "NONSENSE", "QUIT")
    assert talk(ours, *said_to) == talk(theirs, *said_to)


def test_other_options_of_cyr_expire(stores):
    pair = stores()
    fill(pair)
    agree(pair, "cyr_expire", ("-E", "1", "-c"), ("-t", "-v"), ("-E", "3", "-p", "user/bob", "-v"), ("-X", "1h", "-v"), ("-D", "1m", "-v"),
          ("-E", "3", "-c", "-x", "-a", "-u", "bob", "-v"))
    agree_in_status(pair, "cyr_expire", ("-h",), ("-c",), ("-A", "x"), ("-A",))
    # There are no archive partitions, and ours says so.
    ours, theirs = both(pair, "cyr_expire", "-A", "3", "-v")
    assert ours[:2] == theirs[:2] == (0, "") and ours[2].split("\n", 1)[1] == theirs[2] and "no archive partitions" in ours[2]


# ---- master -----------------------------------------------------------------------------------------------------

def test_options_of_master(tools):
    """As far as it goes before it serves: what comes then is in test_master_peers.py and in tests/integration/test_master.py."""
    bench, peer = tools()

    def both_masters(*args):
        out = []
        for program in (bench.build / "master", peer.program("master")):
            done = subprocess.run([program, *map(str, args)], env={**peer.environment(), "UNDERSTUDY_PATH": str(bench.build)}, cwd="/",
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
            out.append((done.returncode, re.sub(r"(3\.6\.1)-\S+", r"\1", done.stdout), done.stderr))
        return out
    log = bench.root / "output"
    for args in ((), ("-v",), ("-l", "5"), ("-j", "2"), ("-D",), ("-d",), ("-L", log), ("-p", "/nosuch"), ("word",)):
        ours, theirs = both_masters(*args, "-V")
        assert ours == theirs == (0, "cyrus-imapd 3.6.1\n", ""), args
    # Statuses of what it cannot begin with. Theirs tells the log alone, ours standard error too.
    for args, status in ((("-d", "-D"), 78), (("-C", "/nosuch"), 78), (("-C", peer.conf, "-M", "/nosuch"), 78),
                         (("-C", peer.conf, "-M", peer.cyrus_conf, "-p", "/nosuch/pid"), 71)):
        ours, theirs = both_masters(*args)
        assert ours[:2] == theirs[:2] == (status, "") and ours[2] and not theirs[2], args
    # A wrong call is no fault of the configuration; and numbers are read as such.
    for args, statuses in ((("-z",), (64, 78)), (("-p",), (64, 78)), (("-j", "x"), (64, 78)), (("-l", "x", "-V"), (64, 0)), (("-j", "0", "-V"), (0, 78))):
        assert tuple(r[0] for r in both_masters(*args)) == statuses, args
