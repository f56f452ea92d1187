"""cyr_dbtool: metad's tables in the form of a Cyrus's database files."""
import pytest

from lib.bench import Bench


@pytest.fixture
def bench(root):
    bench = Bench(root)
    bench.do("create user.bob bob lrs", "create user.bob.a^b bob lrs anyone l", "create user.joe joe lrs", "entry user.bob.x ei",
             "mailboxannotation user.bob /comment - hello", "mailboxannotation user.bob /comment bob mine",
             "quota user.bob STORAGE 1000 MESSAGE 7", "subscribe bob user.bob.a^b", "subscribe bob user.bob",
             f"append user.bob {bench.message('From: a@b' + chr(10) + chr(10) + 'xy')}", "create user.bob.gone",
             "remove user.bob.gone")
    bench.log_lines()
    return bench


def db(bench, file, *args, status=0, **more):
    done = bench.tool("cyr_dbtool", file, "twoskip", *args, **more)
    assert done.returncode == status, done
    return done.stdout if status == 0 else done.stderr


def shown(bench, file, *args):
    return dict(line.split("\t", 1) for line in db(bench, file, "show", *args).splitlines())


def uniqueid(bench, name):
    return bench.show(name).counters["uniqueid"]


def test_mailboxes_by_name_and_by_uniqueid(bench):
    got = shown(bench, "/var/imap/mailboxes.db")
    names = [key for key in got if key.startswith("N")]
    assert names == ["Nuser\x1fbob", "Nuser\x1fbob\x1fa.b", "Nuser\x1fbob\x1fgone", "Nuser\x1fbob\x1fx", "Nuser\x1fjoe"]
    bob, box = uniqueid(bench, "user.bob"), bench.show("user.bob.a^b").counters
    assert got["Nuser\x1fbob\x1fa.b"].startswith(f"%(T e I {box['uniqueid']} P default V {box['uidvalidity']} C 1 F 1 M ")
    assert got["Nuser\x1fbob\x1fa.b"].endswith(" A %(bob lrs anyone l))")
    assert got["I" + bob].startswith("%(T e N user\x1fbob P default V ") and got["I" + bob].endswith(" H ())")
    assert got["Nuser\x1fbob\x1fgone"].startswith("%(T ed I ") and " A " not in got["Nuser\x1fbob\x1fgone"]
    assert got["Nuser\x1fbob\x1fx"].startswith("%(T ei I ")
    assert shown(bench, "mailboxes.db", "Nuser\x1fbob\x1f").keys() == set(names[1:4])
    for key in ("Nuser\x1fbob", "I" + bob, "Nuser\x1fbob\x1fgone"):
        assert db(bench, "mailboxes.db", "get", key) == got[key] + "\n"
    assert db(bench, "mailboxes.db", "get", "Nnope") == db(bench, "mailboxes.db", "get", "x") == "\n"
    assert db(bench, "mailboxes.db", "get", stdin="Nuser\x1fbob\nNnope\n") == got["Nuser\x1fbob"] + "\n\n"
    bench.do("rename user.bob.a^b user.bob.c")
    assert shown(bench, "mailboxes.db")["I" + box["uniqueid"]].endswith(" H (%(N user\x1fbob\x1fa.b)))")


def test_a_mailbox_is_set_and_deleted_and_replicas_hear_of_it(bench):
    db(bench, "mailboxes.db", "set", "Nuser\x1fnew", "%(T e I abc P default V 5 A %(new lrs))")
    assert bench.show("user.new").counters["uniqueid"] == "abc" and bench.show("user.new").counters["uidvalidity"] == 5
    db(bench, "mailboxes.db", "set", "Nuser\x1fbob", "%(A %(joe lr))")
    assert " A %(joe lr))" in db(bench, "mailboxes.db", "get", "Nuser\x1fbob")
    db(bench, "mailboxes.db", "delete", "Nuser\x1fjoe")
    db(bench, "mailboxes.db", "delete", "Nuser\x1fjoe")
    assert db(bench, "mailboxes.db", "get", "Nuser\x1fjoe").startswith("%(T ed ")
    assert bench.log_lines() == ["MAILBOX user.new", "MAILBOX user.bob", "UNMAILBOX user.joe"]
    assert "no list" in db(bench, "mailboxes.db", "set", "Nnews", "nonsense(", status=65)
    assert "uniqueids follow" in db(bench, "mailboxes.db", "set", "Iabc", "%(T e)", status=69)
    assert "value is missing" in db(bench, "mailboxes.db", "set", "Nnews", status=65)


def test_annotations(bench):
    bob = uniqueid(bench, "user.bob")
    text = db(bench, "annotations.db", "show")
    assert f"{bob}\0/comment\0\0\t\0\0\0\x05\0\0\0\0hello\0text/plain\0" in text
    assert f"{bob}\0/comment\0bob\0\t\0\0\0\x04\0\0\0\0mine\0text/plain\0" in text
    db(bench, "annotations.db", "set", stdin="\0/admin\0\0\tserver's\n" + f"{bob}\0/comment\0\0\tother\n")
    text = db(bench, "annotations.db", "show")
    assert text.startswith("\0/admin\0\0\t\0\0\0\x08\0\0\0\0server's\0") and "\0\0\0\0other\0" in text
    assert bench.log_lines() == ['ANNOTATION ""', "MAILBOX user.bob"]
    db(bench, "annotations.db", "delete", stdin=f"{bob}\0/comment\0\0\n")
    assert "other" not in db(bench, "annotations.db", "show")
    assert "uniqueid, entry and user" in db(bench, "annotations.db", "set", "nokey", "x", status=65)


def test_quotas(bench):
    used = bench.show("user.bob").counters["bytes_live"]
    assert shown(bench, "quota") == shown(bench, "/x/quotas.db") == {
        "user.bob": f"%(S ({used} 1000) M (1 7) AS (9) NF (2) MODSEQ 1)"}    # hello, mine
    db(bench, "quota", "set", "user.joe", "%(S (0 5) X (7))")
    assert shown(bench, "quota", "user.joe")["user.joe"].startswith("%(S (0 5) M (0) AS (0) NF (1) MODSEQ ")
    db(bench, "quota", "delete", "user.bob")
    assert list(shown(bench, "quota")) == ["user.joe"]
    assert [line for line in bench.log_lines() if line.startswith("QUOTA")] == ["QUOTA user.joe", "QUOTA user.bob"]


def test_subscriptions_and_seen(bench):
    path = "/var/imap/user/b/bob.sub"
    assert shown(bench, path) == {"user.bob": "", "user.bob.a^b": ""}
    db(bench, path, "set", "user.joe", "")
    db(bench, path, "delete", "user.bob")
    assert list(shown(bench, path)) == ["user.bob.a^b", "user.joe"]
    assert bench.log_lines() == ["SUB bob user.joe", "SUB bob user.bob"]
    inbox = bench.show("user.bob").counters
    for directory in (inbox["uniqueid"], inbox["storeid"]):
        assert shown(bench, f"/x/user/uuid/a/b/{directory}/sub.db") == {"\x1fVER\x1f": "2", "NINBOX\x1fa.b": "", "Nuser\x1fjoe": ""}
    db(bench, f"/x/{inbox['uniqueid']}/sub.db", "set", "NINBOX", "")
    assert list(shown(bench, path)) == ["user.bob", "user.bob.a^b", "user.joe"]
    assert shown(bench, "/x/user/b/nobody.sub") == {}
    seen = "/var/imap/user/j/joe.seen"
    db(bench, seen, "set", inbox["uniqueid"], "1 1700000000 1 1700000001 1:3,5")
    assert shown(bench, seen) == {inbox["uniqueid"]: "1 1700000000 1 1700000001 1:3,5"}
    assert shown(bench, seen.replace("joe", "bob")) == {}
    assert "is not" in db(bench, seen, "set", inbox["uniqueid"], "nonsense", status=65)


def test_users_of_domains_and_with_dots(bench):
    bench.do("subscribe bob.smith user.bob", "subscribe bob@dom.example user.joe")
    assert list(shown(bench, "/v/user/b/bob^smith.sub")) == ["user.bob"]
    assert list(shown(bench, "/v/domain/d/dom.example/user/b/bob.sub")) == ["user.joe"]


def test_tables_as_they_are(bench):
    assert shown(bench, "users")["bob"].startswith("%(")
    dump = db(bench, "mailboxes.db", "dump").splitlines()
    assert len(dump) == 4 and dump[0].startswith("mailboxes user%1fbob ")
    assert "by hand" in db(bench, "users", "set", "bob", "x", status=69)
    assert db(bench, "deliver.db", "show") == ""


def test_consistent_and_the_rest(bench):
    for file in ("mailboxes.db", "annotations.db", "quota", "deliver.db", "tombstones"):
        assert db(bench, file, "consistent") == "Yes, consistent\n"
    assert db(bench, "mailboxes.db", "repack") == ""
    text = db(bench, "quota", "batch", stdin="SHOW\nSET user.joe %(S (0 5))\nGET user.joe\nDELETE user.bob\nSHOW user.b\n")
    assert [line.split("\t")[0] for line in text.splitlines()][0] == "user.bob" and "%(S (0 5)" in text
    assert text.count("\n") == 2


def test_what_is_not_there(bench):
    assert "can't open database" in db(bench, "/x/conversations.db", "show", status=75)
    assert "can't open database" in db(bench, "/x/user/uuid/a/b/nobody/sub.db", "show", status=75)
    done = bench.tool("cyr_dbtool", "mailboxes.db", "nobackend", "show")
    assert done.returncode == 78 and "cyrusdb backend nobackend not supported" in done.stderr
    for args in ((), ("mailboxes.db",), ("mailboxes.db", "flat"), ("-z", "a", "b", "c"), ("a", "flat", "x", "1", "2", "3")):
        done = bench.tool("cyr_dbtool", *args)
        assert done.returncode == 255 and done.stderr, args
    assert db(bench, "mailboxes.db", "bad", status=255) == "Unknown action bad\n"
