"""Our tools and Debian's of the same names, over the same data. Each difference is listed with its reason."""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lib.bench import Bench

# Keys whose defaults differ on purpose: replication is quick, TLS is not old; and a set that is printed with all its words by
# Cyrus, those too that mean the same as another.
OTHER_DEFAULTS = {"sync_repeat_interval", "sync_reconnect_maxwait", "tls_versions", "sieve_extensions"}


@pytest.fixture
def pair(roots, cyrus_peer):
    """(bench, peer): ours without a server, and a running Cyrus."""
    return Bench(roots(), {"sync_log": False}), cyrus_peer()


def lines_of(done):
    assert done.returncode == 0, done
    return done.stdout.splitlines()


def key(line):
    return line.split(":")[0]


# ---- cyr_info -----------------------------------------------------------------------------------------

def test_the_defaults_of_all_keys(pair):
    bench, peer = pair
    ours = {key(line): line for line in lines_of(bench.tool("cyr_info", "conf-default"))}
    theirs = {key(line): line for line in lines_of(peer.tool("cyr_info", "conf-default"))}
    same = set(ours) & set(theirs)
    assert len(same) > 450
    assert {k for k in same if ours[k] != theirs[k]} == OTHER_DEFAULTS
    # What only they list are names that a key had before: we show a key by the name it has now.
    accepted = bench.root / "accepted"
    for name in set(theirs) - set(ours):
        accepted.write_text(bench.conf.read_text() + f"{name}: {theirs[name].split(': ', 1)[1]}\n")
        lint = subprocess.run([bench.build / "cyr_info", "-C", accepted, "-M", peer.cyrus_conf, "-v", "conf-lint"],
                              capture_output=True, text=True, env=bench.environment()).stdout
        assert "# " not in lint or "unknown" not in lint, (name, lint)


def test_what_is_set(pair):
    bench, peer = pair
    same_file = peer.conf    # one file, read by both
    ours = subprocess.run([bench.build / "cyr_info", "-C", same_file, "conf"], capture_output=True, text=True,
                          env=bench.environment(), check=True).stdout.splitlines()
    theirs = lines_of(peer.tool("cyr_info", "conf"))
    # They show a key that is set to its default in other words than the table's; for us that is the default.
    defaults = set(lines_of(peer.tool("cyr_info", "conf-default")))
    assert sorted(line for line in theirs if line not in defaults) == sorted(ours)


def test_the_lint(pair):
    bench, peer = pair
    peer.options.update({"bogus_key": "x", "imap_timeout": "40", "foo_timeout": "32", "sasl_foo": "1", "x_password": "v",
                         "chan_sync_host": "a", "tls_cert_file": "/x", "lmtp_bogus": "3", "partition-two": "/x"})
    peer.write_conf()
    ours = subprocess.run([bench.build / "cyr_info", "-C", peer.conf, "-M", peer.cyrus_conf, "conf-lint"],
                          capture_output=True, text=True, env=bench.environment(), check=True).stdout.splitlines()
    theirs = lines_of(peer.tool("cyr_info", "-M", peer.cyrus_conf, "conf-lint"))
    # We know the forms of keys that channels and other servers' passwords have.
    assert set(theirs) - set(ours) == {"chan_sync_host: a", "x_password: v"}
    assert set(ours) - set(theirs) == set()


@pytest.mark.parametrize("program, args", [
    ("cyr_info", ()), ("cyr_info", ("nonsense",)), ("cyr_info", ("-x", "conf")), ("mbpath", ("-z",)),
    ("mbpath", ("-U", "-S", "user/bob")), ("mbpath", ()), ("quota", ("-x",)), ("reconstruct", ("-z",)),
    ("reconstruct", ("-r",)), ("cyr_expire", ()), ("cyr_expire", ("-z",)), ("cyr_expire", ("-h",)), ("cyr_expire", ("-a", "-v")),
    ("cyr_expire", ("-E", "soon")), ("cyr_expire", ("-X", "-1")), ("cyr_expire", ("-D", "1d2h")), ("unexpunge", ()),
    ("unexpunge", ("-z",)), ("unexpunge", ("-l",)), ("unexpunge", ("-l", "-a", "user/bob")), ("unexpunge", ("-u", "user/bob"))])
def test_statuses_of_wrong_calls(roots, cyrus_tree, program, args):
    from lib.cyrus_peer import CyrusPeer
    bench, peer = Bench(roots()), CyrusPeer(roots(), cyrus_tree)
    assert bench.tool(program, *args).returncode == peer.tool(program, *args, check=False).returncode


# ---- quota and mbpath ---------------------------------------------------------------------------------

MESSAGE = b"From: a@b\r\n\r\n" + b"x" * 3000 + b"\r\n"


@pytest.fixture
def filled(pair):
    bench, peer = pair
    message = bench.message(MESSAGE)
    peer.make_user("bob", "bobby", "dot.ted")
    with peer.admin() as c:
        for name in ("user/bob-z", "user/bob/Sent", "user/bob/&AOQ-", "user/bob/a.b", "shared", "shared/news"):
            c.ok("CREATE", name)
        for root, limits in (("user/bob", b"(STORAGE 5000 MESSAGE 100)"), ("user/bobby", b"()"), ("user/bob-z", b"(STORAGE 0)"),
                             ("user/dot.ted", b"(STORAGE 4)"), ("user/bob/Sent", b"(MESSAGE 1)"),
                             ("shared", b"(X-NUM-FOLDERS 7 X-ANNOTATION-STORAGE 10)")):
            c.ok("SETQUOTA", root, limits)
    for user in ("bob", "dot.ted"):
        with peer.imap(user) as c:
            c.append("INBOX", MESSAGE)
    bench.do("create user.bob", "create user.bobby", "create user.dot^ted", "create user.bob-z", "create user.bob.Sent",
             "create user.bob.&AOQ-", "create user.bob.a^b", "create shared", "create shared.news",
             "quota user.bob STORAGE 5000 MESSAGE 100", "quota user.bobby", "quota user.bob-z STORAGE 0",
             "quota user.dot^ted STORAGE 4", "quota user.bob.Sent MESSAGE 1",
             "quota shared X-NUM-FOLDERS 7 X-ANNOTATION-STORAGE 10",
             f"append user.bob {message}", f"append user.dot^ted {message}")
    return bench, peer


@pytest.mark.parametrize("args", [(), ("-J",), ("-q",), ("-f",), ("-f", "-q"), ("-n",), ("user/bob",), ("user/b",), ("user.bob",),
                                  ("-u", "bob"), ("-u", "bob", "dot.ted"), ("-u", "nosuch"), ("shared", "user/dot.ted"),
                                  ("-J", "-u", "dot.ted"), ("nosuch",)])
def test_quota_prints_the_same(filled, args):
    bench, peer = filled
    ours, theirs = bench.tool("quota", *args), peer.tool("quota", *args)
    # Their JSON leaves out a limit of 0, which reads as if there were none.
    assert (ours.stdout.replace(',\n      "limit": 0\n', "\n"), ours.stderr) == (theirs.stdout, theirs.stderr)


def shape(value, root, known):
    """JSON with paths below the root replaced by what kind they are."""
    if isinstance(value, dict):
        return {k: shape(v, root, known) for k, v in value.items()}
    if isinstance(value, str) and value.startswith(str(root)):
        return re.sub(r"/uuid/\w/\w/|/u/\w\w/", "/ID/", value[len(str(root)):]).rsplit("/ID/", 1)[0]
    return value


@pytest.mark.parametrize("args", [("-j", "user/bob"), ("-j", "user/bob/a.b"), ("-j", "user/bob/&AOQ-"), ("-j", "-u", "dot.ted"),
                                  ("-j", "shared/news"), ("-j", "user/bob", "shared")])
def test_the_json_of_mbpath(filled, args):
    bench, peer = filled
    ours, theirs = bench.tool("mbpath", *args).stdout, peer.tool("mbpath", *args).stdout

    def objects(text, root):
        return [shape(json.loads(part + "\n}"), root, None) for part in text.split("\n}\n") if part.strip()]
    assert objects(ours, bench.root) == objects(theirs, peer.root)
    # Indentation and the order of keys too: they agree but for what the paths are.
    assert re.sub(r'"/[^"]*"', '"/"', ours) == re.sub(r'"/[^"]*"', '"/"', theirs)


@pytest.mark.parametrize("args", [("user/nosuch",), ("-q", "user/nosuch"), ("user.bob",), ("-s", "user/nosuch", "user/bob"),
                                  ("-u", "nosuch")])
def test_mbpath_says_the_same_of_what_is_nowhere(filled, args):
    bench, peer = filled
    ours, theirs = bench.tool("mbpath", *args), peer.tool("mbpath", *args, check=False)
    # Theirs ends some messages with an empty line more.
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr.rstrip("\n") + "\n"
                                                           if theirs.stderr else "")


@pytest.mark.parametrize("option", ["-a", "-A", "-D", "-M", "-m", "-S", "-U"])
def test_lines_of_mbpath(filled, option):
    bench, peer = filled
    for name in ("user/bob/a.b", "shared"):
        ours, theirs = bench.ok("mbpath", option, name), peer.tool("mbpath", option, name).stdout
        assert len(ours.splitlines()) == len(theirs.splitlines())
        assert [line.split("/")[0] for line in ours.splitlines()] == [line.split("/")[0] for line in theirs.splitlines()]


# ---- reconstruct ---------------------------------------------------------------------------------------

class Side:
    """One of the two, with user.bob holding messages 1 to 5, of which 3 is expunged."""

    def __init__(self, host, path, run):
        self.host, self.path, self.run = host, path, run
        self.owner = os.stat(path / "1.")

    def put(self, name, data):
        (self.path / name).write_bytes(data)
        os.chown(self.path / name, self.owner.st_uid, self.owner.st_gid)

    def reconstruct(self, *args):
        done = self.run("reconstruct", *args)
        return sorted(line.replace(str(self.path), "PATH") for line in done.stdout.splitlines())

    def files(self):
        return {p.name: p.read_bytes() for p in self.path.iterdir() if re.fullmatch(r"\d+\.", p.name)}


def text(i):
    return f"From: a@b\r\nSubject: m{i}\r\n\r\nbody {i}\r\n".encode()


@pytest.fixture
def sides(pair):
    bench, peer = pair
    peer.make_user("bob")
    with peer.imap("bob") as c:
        for i in range(1, 6):
            c.append("INBOX", text(i))
        c.select("INBOX")
        c.ok("UID STORE 3 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
    bench.do("create user.bob")
    for i in range(1, 6):
        bench.do(f"append user.bob {bench.message(text(i), f'm{i}')}")
    bench.do("expunge user.bob 3")
    return (Side(bench, bench.directory("user.bob"), bench.tool),
            Side(peer, Path(peer.tool("mbpath", "user/bob").stdout.strip()), peer.tool))


def gone(side):
    (side.path / "1.").unlink()


def emptied(side):
    side.put("2.", b"")


def added(side):
    side.put("20.", text(20))


def renamed(side):
    (side.path / "2.").rename(side.path / "20.")


def brought_back(side):
    gone(side)
    side.reconstruct("user/bob")
    side.put("1.", text(1))


def zero(side):
    side.put("0.", text(0))


def truncated(side):
    side.put("4.", text(4)[:10])


def changed(side):
    side.put("4.", text(4).upper())


def odd(side):
    side.put("notes", b"odd\r\n")
    side.put("99999999999.", b"odd\r\n")


def everything(side):
    for edit in (gone, renamed, changed, odd):
        edit(side)


@pytest.mark.parametrize("args", [("user/bob",), ("-n", "user/bob"), ("-G", "user/bob"), ("-G", "-R", "-q", "user/bob"),
                                  ("-G", "-U", "user/bob"), ("-o", "user/bob"), ("-O", "-q", "user/bob")])
@pytest.mark.parametrize("edit", [gone, emptied, added, renamed, brought_back, zero, truncated, changed, odd, everything])
def test_reconstruct_says_and_does_the_same(sides, edit, args):
    ours, theirs = sides
    for side in sides:
        edit(side)
    assert ours.reconstruct(*args) == theirs.reconstruct(*args)
    assert ours.files() == theirs.files()


def test_which_mailboxes_are_done(filled):
    bench, peer = filled
    for args in (("user/bob",), ("-r", "user/bob"), ("user/b%",), ("user/*",), ("-u", "bob"), ("-u", "dot.ted"), ("-q", "-G"), (),
                 ("-V", "max", "user/bob"), ("-r", "user/bob%")):
        ours, theirs = bench.ok("reconstruct", *args), peer.tool("reconstruct", *args).stdout
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines()), args
    # Of mailboxes that do not exist Cyrus says nothing, and succeeds: whoever misspelt a name believes it was looked at.
    for name in ("user/nosuch", "nothing*"):
        assert bench.tool("reconstruct", name).returncode == 65
        assert peer.tool("reconstruct", name).returncode == 0


# ---- the small ones --------------------------------------------------------------------------------------

@pytest.mark.parametrize("args", [["-u", "bob"], ["-U", "bob"], ["-v", "bob"], ["-m", "user.bob"], ["-m", "user.bob.My Folder"],
                                  ["-M", "user.bob"], ["-q", 'a"b'], ["-n", "user.bob"], ["-s", "bob", "id"],
                                  ["-b", "bob", "user.amy"], ["USER bob"]])
def test_synclog_writes_the_same_line(roots, cyrus_tree, args):
    from lib.cyrus_peer import CyrusPeer
    bench, peer = Bench(roots()), CyrusPeer(roots(), cyrus_tree, imapd={"sync_log": True})
    bench.ok("cyr_synclog", *args)
    peer.tool("cyr_synclog", *args)
    assert (bench.root / "conf/sync/log").read_text() == (peer.root / "conf/sync/log").read_text()


def test_buildinfo_has_their_keys(roots, cyrus_tree):
    from lib.cyrus_peer import CyrusPeer
    bench, peer = Bench(roots()), CyrusPeer(roots(), cyrus_tree)
    ours, theirs = json.loads(bench.ok("cyr_buildinfo")), json.loads(peer.tool("cyr_buildinfo").stdout)
    assert ours.pop("version")    # newer Cyruses have it
    assert {k: list(v) for k, v in ours.items()} == {k: list(v) for k, v in theirs.items()}
    flat = peer.tool("cyr_buildinfo", "flat").stdout.splitlines()
    assert [key(line).split("=")[0] for line in bench.ok("cyr_buildinfo", "flat").splitlines()][:-1] == \
        [key(line).split("=")[0] for line in flat]


@pytest.mark.parametrize("program, args", [("cyr_synclog", ()), ("cyr_synclog", ("-m",)), ("cyr_synclog", ("-z",)),
                                           ("ctl_cyrusdb", ()), ("ctl_cyrusdb", ("-c", "-r")), ("ctl_cyrusdb", ("-z",)),
                                           ("cyr_buildinfo", ("xml",)), ("cyr_buildinfo", ("-x",)), ("sync_reset", ("-x",))])
def test_statuses_of_the_small_ones(roots, cyrus_tree, program, args):
    from lib.cyrus_peer import CyrusPeer
    bench, peer = Bench(roots()), CyrusPeer(roots(), cyrus_tree)
    assert bench.tool(program, *args).returncode == peer.tool(program, *args, check=False).returncode
