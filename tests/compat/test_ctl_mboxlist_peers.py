"""ctl_mboxlist beside Cyrus's: each reads what the other wrote, and writes the same again."""
import json

from lib.bench import Bench

MORE = ("CREATE user/bob/a.b", "CREATE user/bob/x/y", "SETACL user/bob anyone lr", "SETACL user/bob/x/y -joe r", "CREATE news",
        "SETACL news bob lrswipkxtecdan", "CREATE user/bob/gone", "SETACL user/bob/gone admin lrswipkxtecdan",
        "DELETE user/bob/gone", "CREATE user/bob/old", "RENAME user/bob/old user/bob/new")


def ours(bench):
    return json.loads(bench.ok("ctl_mboxlist", "-d", "-y"))


def theirs(peer):
    return json.loads(peer.tool("ctl_mboxlist", "-d", "-y").stdout)


def without_times(entries):
    return {name: {key: value for key, value in e.items() if key != "mtime"} for name, e in entries.items()}


def make_peer(cyrus_peer):
    peer = cyrus_peer(users=("bob",))
    peer.make_user("bob")
    with peer.imap("admin") as c:
        for line in MORE:
            c.ok(line)
    return peer


def test_a_cyruss_dump_is_read_and_written_again(cyrus_peer, root):
    peer = make_peer(cyrus_peer)
    text = peer.tool("ctl_mboxlist", "-d", "-y").stdout
    bench = Bench(root)
    done = bench.tool("ctl_mboxlist", "-u", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected = without_times(json.loads(text))
    # One mailbox has one tombstone or none: a name it only left is not dead here.
    living = {e["uniqueid"] for e in expected.values() if "d" not in e["mbtype"]}
    left = [name for name, e in expected.items() if "d" in e["mbtype"] and e["uniqueid"] in living]
    assert left == ["user.bob.gone", "user.bob.old"]
    for name in left:
        del expected[name]
    got = without_times(ours(bench))
    assert got == expected
    assert list(got) == list(expected)
    # Letter by letter, but for times.
    lines = {line.split('"')[1]: line.rstrip(",") for line in text.splitlines() if line.startswith('"')}
    for line in bench.ok("ctl_mboxlist", "-d", "-y").splitlines():
        if line.startswith('"'):
            name, mtime = line.split('"')[1], json.loads("{" + line.rstrip(",") + "}").popitem()[1]["mtime"]
            theirs_mtime = json.loads("{" + lines[name] + "}").popitem()[1]["mtime"]
            assert line.rstrip(",").replace(f'"mtime": "{mtime}"', f'"mtime": "{theirs_mtime}"') == lines[name]


def test_our_dump_is_read_by_a_cyrus_and_written_again(cyrus_peer, root):
    bench = Bench(root)
    bench.do("create user.bob bob lrswipkxtecdan", "create user.bob.a^b bob lrs anyone l", "create news anyone lrs",
             "entry user.joe ei", "create user.joe.x joe lrs")
    text = bench.ok("ctl_mboxlist", "-d")    # Cyrus's -u drops intermediate entries without a word
    peer = cyrus_peer(users=("bob",))
    peer.tool("ctl_mboxlist", "-u", stdin=text)
    assert without_times(theirs(peer)) == without_times(json.loads(text))
