"""imapd and mailboxes as names: namespaces, who sees what, making, renaming and removing them, quota, subscriptions, and
what one session is told of what others do."""
import time

import pytest

from lib.imap import ImapError, Literal
from lib.mail_server import ADMIN, PASSWORD
from lib.server import ONLY_IMAP
from lib.wire import Closed

MESSAGE = b"From: a@b\r\nSubject: x\r\n\r\nhello\r\n"


@pytest.fixture
def s(make):
    return make()


def listed(c, pattern="*", reference="", command="LIST"):
    """{name: attributes}"""
    found = {}
    for r in c.ok(command, f'"{reference}"', f'"{pattern}"').all(command):
        attributes, _, name = r.values
        name = name.decode() if isinstance(name, bytes) else str(name)
        assert name not in found
        found[name] = {str(a).lstrip("\\") for a in attributes}
    return found


def lines(reply):
    return [r.raw.decode() for r in reply.untagged]


def status(c, name, items="MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN"):
    values = c.ok("STATUS", name, f"({items})").one("STATUS").values[1]
    return dict(zip(values[::2], values[1::2]))


# ---- names ----------------------------------------------------------------------------------------------------

NAMESPACES = [
    # altnamespace, unixhierarchysep, a user's names, others', shared; separator
    (True, True, ["INBOX", "Sent", "Sent/a.b", "Other Users/bob/x", "Shared Folders/pub/sub"], "/"),
    (True, False, ["INBOX", "Sent", "Sent.ab", "Other Users.bob.x", "Shared Folders.pub.sub"], "."),
    (False, True, ["INBOX", "INBOX/Sent", "INBOX/Sent/a.b", "user/bob/x", "pub/sub"], "/"),
    (False, False, ["INBOX", "INBOX.Sent", "INBOX.Sent.ab", "user.bob.x", "pub.sub"], "."),
]


@pytest.mark.parametrize("alt, unix, names, sep", NAMESPACES)
def test_names_in_every_namespace(make, alt, unix, names, sep):
    s = make(altnamespace=alt, unixhierarchysep=unix)
    with s.admin() as c:
        for name in (f"user{sep}bob{sep}x", f"pub{sep}sub", f"hidden{sep}sub"):
            c.ok("CREATE", name)
        c.ok("SETACL", f"user{sep}bob{sep}x", "alice", "lrs")
        c.ok("SETACL", f"hidden{sep}sub", "anyone", '""')
        c.ok("SETACL", "hidden", "anyone", '""')
    with s.imap("alice") as c:
        for name in names[1:3]:
            c.ok("CREATE", f'"{name}"')
        for name in names:
            c.select(name)
        everything = listed(c)
        shared_top = names[4].removesuffix(sep + "sub")
        assert set(everything) == {*names, shared_top}
        assert [n for n, a in everything.items() if "HasChildren" in a] == \
            [n for n in everything if any(m.startswith(n + sep) for m in everything)]
        level = listed(c, "%")
        tops = {name.split(sep)[0] for name in everything}
        assert set(level) == tops
        assert {n for n in level if "Noselect" in level[n]} == tops - set(everything)
        # Each level down, and narrowed by a reference or by the pattern itself.
        for name in everything:
            parent, _, _ = name.rpartition(sep)
            if parent:
                assert name in listed(c, "%", parent + sep) and name in listed(c, f"{parent}{sep}%")
            assert name in listed(c, name) and name in listed(c, name[:-1] + "*")
        own, others, shared = c.ok("NAMESPACE").one("NAMESPACE").values
        assert [own, others, shared] == [[[b"" if alt else f"INBOX{sep}".encode(), sep.encode()]],
                                         [[f"{'Other Users' if alt else 'user'}{sep}".encode(), sep.encode()]],
                                         [[f"Shared Folders{sep}".encode() if alt else b"", sep.encode()]]]
        assert c.command("SELECT", f"hidden{sep}sub").code == ["NONEXISTENT"]
    for user, name in ((ADMIN, f"user{sep}bob{sep}x!y"), (ADMIN, f"user{sep}new!x"), ("bob", f"x!user{sep}bob")):
        with s.imap(user) as c:    # "!" is how we keep a domain: what is behind it would be nobody's to see
            assert c.command("CREATE", name).code == ["CANNOT"]
            assert c.command("RENAME", f"pub{sep}sub", name).status == "NO"


def test_names_of_virtual_domains(make):
    s = make(users=(), virtdomains="userid", defaultdomain="us.test", loginrealms="one.test two.test")
    with s.admin() as c:
        for name in ("user/kim@one.test", "user/lee@two.test", "user/pat", "user/kim/Sent@one.test", "pub@one.test"):
            c.ok("CREATE", name)
        assert set(listed(c)) == {"user/kim@one.test", "user/kim/Sent@one.test", "pub@one.test", "user/lee@two.test",
                                  "user/pat"}
    for user, names in (("kim@one.test", {"INBOX", "Sent", "Shared Folders/pub"}), ("lee@two.test", {"INBOX"}),
                        ("pat", {"INBOX"})):
        with s.imap() as c:
            c.authenticate_plain(ADMIN, PASSWORD, act_as=user)
            assert set(listed(c)) == names
            assert set(listed(c, "%")) == {name.split("/")[0] for name in names}
            if "Sent" not in names:
                assert c.command('SELECT "Shared Folders/pub"').status == "NO"


def test_the_operator_hides_branches(make):
    s = make(disable_user_namespace=True, disable_shared_namespace=True)
    with s.admin() as c:
        c.ok("CREATE pub")
        c.ok("SETACL user/bob alice lrs")
    with s.imap("alice") as c:
        assert set(listed(c)) == {"INBOX"}
        assert c.ok("NAMESPACE").one("NAMESPACE").values[1:] == [None, None]


def test_list_with_options_of_the_operator(make):
    s = make(ignorereference=True, foolstupidclients=True)
    with s.imap("alice") as c:
        c.ok("CREATE Sent")
        c.ok("CREATE INBOX/x")
        assert set(listed(c, "*", "Sent/")) == {"INBOX", "INBOX/x"}
        assert set(listed(c, "%", "no/such")) == {"INBOX", "Sent"}


# ---- making and removing ---------------------------------------------------------------------------------------

def test_delete_is_delayed_and_can_be_undone(s):
    with s.imap("alice") as c:
        c.ok("CREATE a/b")
        c.append("a/b", MESSAGE)
        assert c.command("DELETE a").code == ["HASCHILDREN"]
        c.ok("DELETE a/b")
        assert set(listed(c)) == {"INBOX", "a"}
        c.ok("CREATE a/b")
        assert status(c, "a/b", "MESSAGES")["MESSAGES"] == 0
    with s.admin() as c:
        [deleted] = listed(c, "DELETED/*")
        assert deleted.startswith("DELETED/user/alice/a/b/")
        reply = c.ok("RENAME", deleted, "user/alice/back")
        assert lines(reply) == [f"* OK rename {deleted} user/alice/back"]
    with s.imap("alice") as c:
        assert c.select("back")["EXISTS"] == 1


def test_delete_at_once(make):
    s = make(delete_mode="immediate", delete_unsubscribe=True)
    with s.imap("alice") as c:
        c.ok("CREATE a")
        c.ok("SUBSCRIBE a")
        c.ok("DELETE a")
        assert listed(c, command="LSUB") == {}
    with s.admin() as c:
        assert not listed(c, "DELETED*")


def test_deleting_a_user_takes_all_of_him(s):
    with s.imap("alice") as c:
        c.ok("CREATE a/b")
        c.ok("SUBSCRIBE a")
    with s.admin() as c:
        c.ok("SETQUOTA user/alice (STORAGE 100)")
        assert c.command("DELETE user/alice").code == ["NOPERM"]
        c.ok("SETACL user/alice", ADMIN, "x")
        c.ok("DELETE user/alice")
        assert not listed(c, "user/alice*")
        assert len(listed(c, "DELETED/user/alice*")) == 3
        assert c.command("GETQUOTA user/alice").status == "NO"
        c.ok("CREATE user/alice")
    with s.imap("alice") as c:
        assert listed(c, command="LSUB") == {} and set(listed(c)) == {"INBOX"}


def test_a_mailbox_that_is_deleted_under_a_session(s):
    with s.imap("alice") as one, s.imap("alice") as two:
        one.ok("CREATE a")
        for c in (one, two):
            c.select("a")
        one.ok("DELETE a")
        assert one.ok("NOOP").status == "OK"    # whose own doing it was: nothing is selected any more
        assert one.command("FETCH 1 FLAGS").status == "BAD"
        two.raw(b"x NOOP\r\n")
        assert two.wire.line() == b"* BYE Selected mailbox was deleted"


def test_ones_own_inbox_is_made_as_at_login(make):
    s = make(autocreate_quota=0, users=())
    s.add_users("new")
    with s.imap("new") as c, s.admin() as admin:
        admin.ok("SETACL user/new admin lrx")
        admin.ok("DELETE user/new")
        assert c.command("CREATE INBOX (USE (\\Archive))").code == ["USEATTR"]
        assert not listed(c)
        made = c.ok("CREATE INBOX").code
        assert made[0] == "MAILBOXID"
        assert made[1] == c.select("INBOX")["MAILBOXID"]


def test_a_protected_special_use(make):
    s = make(autocreate_quota=0, autocreate_inbox_folders="Sent|Drafts", users=())
    s.stop()
    s.options["xlist-Sent"] = "Sent"
    s.write_conf()
    s.start()
    s.add_users("new")
    with s.imap("new") as c:
        assert set(listed(c)) == {"INBOX", "Sent", "Drafts"}
        reply = c.command("DELETE Sent")
        assert reply.code == ["USEATTR"] and reply.text == "SPECIAL-USE flag conflict"
        c.ok("DELETE Drafts")
    s.stop()
    s.options["specialuse_protect"] = "\\Trash"
    s.write_conf()
    s.start()
    with s.imap("new") as c:
        c.ok("DELETE Sent")


def test_a_new_user_of_all_that_is_shared(make):
    s = make(users=(), autocreate_quota=0, autocreate_subscribe_sharedfolders_all=True)
    with s.admin() as c:
        for name in ("pub", "pub/sub", "hidden"):
            c.ok("CREATE", name)
        c.ok("SETACL", "hidden", "anyone", '""')
    s.add_users("new")
    with s.imap("new") as c:
        assert set(listed(c, command="LSUB")) == {"INBOX", "Shared Folders/pub", "Shared Folders/pub/sub"}


def test_a_new_user(make):
    s = make(users=(), autocreate_quota=5000, autocreate_quota_messages=50, autocreate_inbox_folders="Sent | a b",
             autocreate_subscribe_folders="Sent|nosuch", autocreate_subscribe_sharedfolders="pub",
             autocreate_acl="Sent anyone lr")
    with s.admin() as c:
        c.ok("CREATE pub")
    s.add_users("new", "friend")
    with s.imap("new") as c:
        assert set(listed(c)) == {"INBOX", "Sent", "a b", "Shared Folders", "Shared Folders/pub"} - {"Shared Folders"}
        assert set(listed(c, command="LSUB")) == {"INBOX", "Sent", "Shared Folders/pub"}
        assert lines(c.ok("GETQUOTAROOT INBOX"))[1] == "* QUOTA INBOX (STORAGE 0 5000 MESSAGE 0 50)"
        assert "anyone lr" in lines(c.ok("GETACL Sent"))[0]
    with s.imap("new") as c:
        c.ok("DELETE Sent")
    with s.imap("new") as c:    # only once
        assert "Sent" not in listed(c)
    s.expect("session.autocreate.failed")    # nosuch


# ---- RENAME -----------------------------------------------------------------------------------------------------

def test_rename_takes_children_along(s):
    with s.imap("alice") as c:
        c.ok("CREATE a/b/c")
        c.append("a/b", MESSAGE, ["\\Seen", "work"])
        before = status(c, "a/b")
        reply = c.ok("RENAME a/b z/y")
        assert lines(reply) == ["* OK rename a/b z/y", "* OK rename a/b/c z/y/c"]
        assert set(listed(c)) == {"INBOX", "a", "z", "z/y", "z/y/c"}
        assert status(c, "z/y") == before
        assert any("Rename: user.alice.a.b -> user.alice.z.y " in line for line in s.log())
        with s.imap("bob") as other:    # what he may not see is no answer to a guess either
            other.ok("CREATE mine")
            for name in ("z", "nosuch"):
                assert other.command(f'RENAME mine "Other Users/alice/{name}"').code == ["NOPERM"]
        c.ok("CREATE q/c")
        assert c.command("RENAME z/y q").code == ["ALREADYEXISTS"]
        assert set(listed(c)) == {"INBOX", "a", "z", "z/y", "z/y/c", "q", "q/c"}


def test_renaming_inbox_moves_its_messages(s):
    with s.imap("alice") as c, s.imap("alice") as other:
        for number in range(3):
            c.append("INBOX", MESSAGE + b"%d\r\n" % number, [["\\Flagged"], ["work"], []][number], 1769940000)
        c.ok("CREATE INBOX/child")
        c.select("INBOX")
        other.select("INBOX")
        bodies = c.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        c.ok("RENAME INBOX old")
        assert [r.raw for r in other.ok("NOOP").all("EXPUNGE")] == [b"* 1 EXPUNGE"] * 3
        assert c.select("INBOX")["EXISTS"] == 0
        c.select("old")
        moved = c.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")
        for uid in (1, 2, 3):
            assert moved[uid]["BODY[]"] == bodies[uid]["BODY[]"]
            assert moved[uid]["INTERNALDATE"] == bodies[uid]["INTERNALDATE"]
            assert set(moved[uid]["FLAGS"]) - {"\\Recent"} == set(bodies[uid]["FLAGS"]) - {"\\Recent"}
        assert {"INBOX/child", "old"} <= set(listed(c))


def test_renaming_inbox_is_an_expunge(make):
    s = make(expunge_mode="immediate")
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
        c.ok("RENAME INBOX old")
    assert len(list(s.root.glob("spool/u/*/*/1."))) == 1


def test_renaming_a_user(s):
    with s.imap("alice") as c:
        c.ok("CREATE a/b")
        c.append("a", MESSAGE)
        c.ok("SUBSCRIBE a")
        c.ok("SETACL a bob lrs")
    with s.imap("bob") as c:
        c.select("Other Users/alice/a")
        c.store("1", "+FLAGS", "\\Seen")
    with s.admin() as c:
        c.ok("CREATE pub")
        c.ok("SETACL pub alice lrs")
        c.ok("SETQUOTA user/alice (STORAGE 1000)")
    with s.imap("alice") as c:
        c.ok('SUBSCRIBE "Shared Folders/pub"')
    with s.admin() as c:
        assert c.command("RENAME user/alice pub/alice").code == ["CANNOT"]
        reply = c.ok("RENAME user/alice user/anna")
        assert lines(reply)[0] == "* OK rename user/alice user/anna" and len(reply.untagged) == 3
        assert lines(c.ok("GETACL user/anna/a")) == ["* ACL user/anna/a anna lrswipkxtecdan bob lrs"]
        assert lines(c.ok("GETQUOTA user/anna")) == ["* QUOTA user/anna (STORAGE 0 1000)"]
        assert c.command("GETQUOTA user/alice").status == "NO"
    s.add_users("anna")
    with s.imap("anna") as c:
        assert set(listed(c, command="LSUB")) == {"a", "Shared Folders/pub"}
        assert c.select("a")["EXISTS"] == 1
    with s.imap("bob") as c:
        assert set(listed(c, "Other Users/*")) == {"Other Users/anna/a"}
        c.select("Other Users/anna/a")
        assert "\\Seen" in c.fetch("1", "(FLAGS)")[1]["FLAGS"]


def test_users_are_renamed_only_if_that_is_allowed(make):
    s = make(allowusermoves=False)
    with s.admin() as c:
        assert c.command("RENAME user/alice user/anna").code == ["CANNOT"]
        assert "user/alice" in listed(c)
    with s.imap("alice") as c:
        assert c.command('RENAME INBOX "Other Users/anna"').status == "NO"


def test_partitions(server):
    s = server(services=ONLY_IMAP)
    s.stop()
    s.options["partition-p2"] = s.root / "spool2"
    (s.root / "spool2").mkdir()
    (s.root / "spool2").chmod(0o777)
    s.write_conf()
    s.start()
    s.make_user("alice")
    with s.imap("alice") as c:
        c.ok("CREATE a/b")
        c.append("a", MESSAGE, ["\\Flagged"])
        before = status(c, "a")
        assert c.command("RENAME a a p2").code == ["NOPERM"]
    with s.admin() as c:
        assert c.command("RENAME user/alice/a user/alice/a nosuch").text == "Unknown/invalid partition"
        assert c.command("RENAME user/alice/a user/alice/z p2").status == "NO"
        s.expect("imap.command.failed")
        s.failpoints.arm("store.move.create", "enospc")
        reply = c.command("RENAME user/alice/a user/alice/a p2")
        assert reply.status == "NO" and not reply.untagged    # it is told when it is done
        s.failpoints.disarm()
        c.ok("RENAME user/alice/a user/alice/a p2")
        assert len(list((s.root / "spool2").glob("u/*/*/1."))) == 1
        reply = c.ok("RENAME user/alice user/alice p2")    # all of him
        assert len(lines(reply)) == 3
        c.ok("CREATE pub p2")
        c.ok("CREATE pub/sub")
    assert not list((s.root / "spool").glob("u/*/*/mbox.idx"))
    with s.imap("alice") as c:
        assert status(c, "a") == before
        c.select("a")
        assert c.fetch("1", "(FLAGS BODY.PEEK[])")[1]["BODY[]"] == MESSAGE


# ---- rights ---------------------------------------------------------------------------------------------------

RIGHTS = [    # what bob needs on alice's mailbox, and what he then may say
    ("r", 'SELECT "{box}"'), ("r", 'STATUS "{box}" (MESSAGES)'), ("a", 'GETACL "{box}"'),
    ("a", 'SETACL "{box}" eve l'), ("a", 'DELETEACL "{box}" eve'), ("a", 'LISTRIGHTS "{box}" eve'),
    ("k", 'CREATE "{box}/x"'), ("x", 'RENAME "{box}" mine'), ("x", 'DELETE "{box}"'), ("l", 'SUBSCRIBE "{box}"'),
    ("r", 'GETQUOTAROOT "{box}"'),
]


@pytest.mark.parametrize("right, command", RIGHTS)
def test_each_command_needs_its_right(s, right, command):
    box = "Other Users/alice/box"
    command = command.format(box=box)
    with s.imap("alice") as alice, s.imap("bob") as bob:
        alice.ok("CREATE box")
        reply = bob.command(command)
        assert (reply.status, reply.code[0]) in (("NO", "NONEXISTENT"), ("NO", "NOPERM"))
        alice.ok("SETACL box bob", "lrswipkxtean".replace(right, ""))
        reply = bob.command(command)
        assert reply.status == "NO" and reply.code[0] == ("NONEXISTENT" if right == "l" else "NOPERM"), reply
        alice.ok("SETACL box bob", right + ("" if right == "l" else "l"))
        bob.ok(command)


def test_rights_that_are_taken_away_meanwhile(s):
    with s.imap("alice") as alice, s.imap("bob") as bob:
        alice.ok("CREATE box")
        alice.append("box", MESSAGE)
        alice.ok("SETACL box bob lrs")
        bob.select("Other Users/alice/box")
        alice.ok("DELETEACL box bob")
        bob.raw(b"x NOOP\r\n")
        assert bob.wire.line() == b"* BYE Selected mailbox was deleted"


def test_negative_rights_and_anyone(s):
    with s.imap("alice") as alice, s.imap("bob") as bob:
        alice.ok("CREATE box")
        alice.ok("SETACL box anyone lrs")
        alice.ok("SETACL box -bob s")
        assert lines(bob.ok('MYRIGHTS "Other Users/alice/box"')) == ['* MYRIGHTS "Other Users/alice/box" lr']
        alice.ok("SETACL box -bob lrs")
        assert bob.command('SELECT "Other Users/alice/box"').status == "NO"


def test_unix_groups(make):
    """The system's own user daemon is in its group daemon."""
    s = make(users=("alice", "daemon", "bob"))
    with s.imap("alice") as alice, s.imap("daemon") as member, s.imap("bob") as bob:
        alice.ok("CREATE box")
        alice.ok("SETACL box group:daemon lrs")
        assert alice.command("SETACL box group:nosuchgroup lrs").text == "Invalid identifier"
        member.select("Other Users/alice/box")
        assert set(listed(member)) == {"INBOX", "Other Users/alice/box"}
        assert set(listed(bob)) == {"INBOX"}
        assert bob.command('SELECT "Other Users/alice/box"').status == "NO"
    s = make(users=("alice", "daemon"), unix_group_enable=False)
    with s.imap("alice") as alice:
        alice.ok("CREATE box")
        assert alice.command("SETACL box group:daemon lrs").text == "Invalid identifier"


# ---- quota ----------------------------------------------------------------------------------------------------------

def test_quota(s):
    with s.admin() as c:
        c.ok("SETQUOTA user/alice (STORAGE 10 MESSAGE 4 X-NUM-FOLDERS 3)")
    with s.imap("alice") as c:
        big = b"Subject: x\r\n\r\n" + b"y" * 5000 + b"\r\n"
        c.append("INBOX", big)
        assert lines(c.ok("GETQUOTAROOT INBOX")) == \
            ["* QUOTAROOT INBOX INBOX", "* QUOTA INBOX (STORAGE 4 10 MESSAGE 1 4 X-NUM-FOLDERS 1 3)"]
        with pytest.raises(ImapError, match="OVERQUOTA.*Over quota"):
            c.append("INBOX", big + b"z" * 5000)
        c.append("INBOX", big)
        alerts = [r.raw.decode() for r in c.ok("SELECT INBOX").untagged if r.raw.startswith(b"* NO")]
        assert alerts == ["* NO [ALERT] Mailbox is at 90% of STORAGE quota"]
        c.ok("CREATE a/b")
        assert c.command("CREATE a/b/c").code == ["OVERQUOTA"]
        c.store("1", "+FLAGS", "\\Deleted")
        c.ok("EXPUNGE")
        assert "STORAGE 4 10 MESSAGE 1 4" in lines(c.ok("GETQUOTA INBOX"))[0]
    with s.admin() as c:    # the limit falls below what is used
        c.ok("SETQUOTA user/alice (STORAGE 1)")
    with s.imap("alice") as c:
        alerts = [r.raw.decode() for r in c.ok("SELECT INBOX").untagged if r.raw.startswith(b"* NO")]
        assert alerts == ["* NO [ALERT] Mailbox is over STORAGE quota"]


# ---- subscriptions -----------------------------------------------------------------------------------------------------

def test_subscriptions(s):
    with s.imap("alice") as c:
        c.ok("CREATE a/b")
        for name in ("INBOX", "a/b"):
            c.ok("SUBSCRIBE", name)
        assert listed(c, command="LSUB") == {"INBOX": set(), "a/b": set()}
        assert listed(c, "%", command="LSUB") == {"INBOX": set(), "a": {"Noselect", "HasChildren"}}
        c.ok("DELETE a/b")
        assert listed(c, command="LSUB") == {"INBOX": set()}
        c.ok("CREATE a/b")    # it was kept
        assert listed(c, command="LSUB") == {"INBOX": set(), "a/b": set()}
        assert c.command("SUBSCRIBE nosuch").text == "Subscribe: Mailbox does not exist"


def test_subscriptions_to_anything(make):
    s = make(allowallsubscribe=True)
    with s.imap("alice") as c:
        c.ok("SUBSCRIBE nosuch")
        assert listed(c, command="LSUB") == {"nosuch": set()}


# ---- \Recent, \Seen, news ---------------------------------------------------------------------------------------------

def test_recent_and_seen_of_two_readers(s):
    with s.imap("alice") as alice, s.imap("bob") as bob:
        alice.ok("CREATE box")
        alice.ok("SETACL box bob lrs")
        for _ in range(3):
            alice.append("box", MESSAGE)
        name = '"Other Users/alice/box"'
        assert status(bob, name) == {**status(alice, "box")}
        bob.select("Other Users/alice/box")
        bob.store("1:2", "+FLAGS", "\\Seen")
        assert status(bob, name, "UNSEEN RECENT") == {"UNSEEN": 1, "RECENT": 3}
        assert status(alice, "box", "UNSEEN RECENT") == {"UNSEEN": 3, "RECENT": 3}
        got = alice.select("box")
        assert (got["RECENT"], got["UNSEEN"]) == (3, 1)
        assert status(bob, name, "UNSEEN")["UNSEEN"] == 1
        with s.imap("bob") as again:
            got = again.select("Other Users/alice/box")
            assert (got["RECENT"], got["UNSEEN"]) == (0, 3)
            assert again.fetch("1:*", "(FLAGS)")[2]["FLAGS"] == ["\\Seen"]


def test_news_come_in_order_and_when_they_may(s):
    with s.imap("alice") as one, s.imap("alice") as two:
        for _ in range(5):
            one.append("INBOX", MESSAGE)
        one.select("INBOX")
        two.select("INBOX")
        one.store("1,3", "+FLAGS.SILENT", "\\Deleted")
        one.ok("EXPUNGE")
        one.append("INBOX", MESSAGE)
        one.ok("STORE 2 +FLAGS (\\Flagged $new)")
        reply = two.ok("FETCH 3 (UID)")    # EXPUNGE must wait, numbers stand
        assert not reply.all("EXPUNGE")
        assert [r.number for r in reply.all("EXISTS")] == [6]
        reply = two.ok("NOOP")
        assert [r.number for r in reply.all("EXPUNGE")] == [1, 2]
        reply = two.ok("FETCH 1:* (UID FLAGS)")
        assert [(r.number, r.values[0][r.values[0].index("UID") + 1]) for r in reply.all("FETCH")] == \
            [(1, 2), (2, 4), (3, 5), (4, 6)]


@pytest.mark.parametrize("selected", ["INBOX", "Other Users/alice/box"])
def test_idle_is_told_within_milliseconds(s, selected):
    with s.imap("alice") as c, s.imap("bob") as idler:
        c.ok("CREATE box")
        c.ok("SETACL box bob lrs")
        idler.select(selected)
        target, writer = ("INBOX", s.imap("bob")) if selected == "INBOX" else ("box", c)
        took = []
        with idler.idle():
            for number in range(1, 21):
                writer.append(target, MESSAGE)
                answered = time.monotonic()
                while (news := idler.poll(5)).name != "EXISTS":
                    pass
                took.append(time.monotonic() - answered)
                assert news.number == number
            writer.select(target)
            writer.store("1", "+FLAGS", "\\Flagged" if selected == "INBOX" else "\\Deleted")
            while (news := idler.poll(5)).name != "FETCH":
                pass
            assert news.number == 1
        # It may come before the writer's own answer: the bell rings before that.
        assert sorted(took)[len(took) // 2] < 0.02, took


def test_many_idlers_hear_of_a_change(s):
    idlers = [s.imap("alice") for _ in range(20)]
    for c in idlers:
        c.select("INBOX")
        assert c.continuation(c.start("IDLE")) is None
    with s.imap("alice") as c:
        c.append("INBOX", MESSAGE)
    recent = 0
    for c in idlers:
        while (news := c.poll(5)).name != "RECENT":
            assert news.name == "EXISTS" and news.number == 1
        recent += news.number
    assert recent == 1    # to exactly one of them
    for c in idlers:
        c.close()


def test_idle_without_a_mailbox(s):
    with s.imap("alice") as c:
        with c.idle():
            assert c.poll(0.2) is None
        c.raw(b"x IDLE\r\n")
        assert c.wire.line() == b"+ idling"
        c.raw(b"NOTDONE\r\n")
        assert c.wire.line() == b"x BAD Invalid Idle continuation"


# ---- all at once ---------------------------------------------------------------------------------------------------------

def test_many_make_and_remove_the_same_names(s):
    """Whatever the order, each command is answered, and the names that are there are those of the last OKs."""
    clients = [s.imap("alice") for _ in range(4)]
    tags = [[c.start("CREATE", f"x/{n}") for n in range(10)] + [c.start("DELETE", f"x/{n}") for n in range(0, 10, 2)]
            for c in clients]
    replies = [[c.finish(tag) for tag in mine] for c, mine in zip(clients, tags)]
    for number in range(10):
        oks = [r[number].status for r in replies].count("OK")
        assert oks >= 1
    assert set(listed(clients[0])) >= {"INBOX", "x", *(f"x/{n}" for n in range(1, 10, 2))}
    for c in clients:
        c.close()


def test_literals_as_names(s):
    with s.imap("alice") as c:
        c.ok("CREATE", Literal(b'quote"back\\slash'))
        assert 'quote"back\\slash' in listed(c)
        c.select('quote"back\\slash')


def test_a_disk_that_fails_is_an_answer(s):
    """NO, with a code that says whether to try again; nothing was made, and the session goes on."""
    with s.imap("alice") as c:
        s.failpoints.record()
        c.ok("CREATE first")
        # A failed sync comes last: behind it the partition takes nothing.
        points = sorted((name for name in s.failpoints.hits() if name.startswith("store.")), key=lambda name: "sync" in name)
        s.failpoints.record(False)
        refused = 0
        for number, point in enumerate(points):
            s.failpoints.arm(point, "enospc")
            reply = c.command("CREATE", f"x{number}")
            s.failpoints.disarm()
            assert reply.status in ("OK", "NO")
            if reply.status == "NO":
                refused += 1
                assert reply.code == ["UNAVAILABLE"] and reply.text == "System I/O error", point
                assert f"x{number}" not in listed(c)
        assert refused > 2
        assert c.ok("NOOP").status == "OK"
    s.expect("imap.command.failed|No space left|store.partition.poisoned")


# ---- deaths -------------------------------------------------------------------------------------------------------------

def test_metad_dies_and_nobody_notices(s):
    with s.imap("alice") as c:
        c.select("INBOX")
        for number in range(5):
            s.kill_program("metad")
            c.ok("CREATE", f"a/{number}")
            s.kill_program("metad")
            assert f"a/{number}" in listed(c)
            c.append(f"a/{number}", MESSAGE)
    s.expect("signaled to death")


def messages_of(c, *names):
    """The Message-IDs in these mailboxes, of those that are there."""
    found = []
    for name in names:
        if name in listed(c, name):
            c.examine(name)
            found += [m["BODY[]"] for m in c.fetch("1:*", "(BODY.PEEK[])").values()]
    return found


@pytest.mark.limit(240)
def test_renaming_inbox_loses_nothing_wherever_it_dies(s):
    bodies = [MESSAGE + b"%d\r\n" % number for number in range(3)]

    def prepare(c):
        for body in bodies:
            c.append("INBOX", body)

    with s.imap("alice") as c:
        prepare(c)
        c.ok("NOOP")
        s.failpoints.record()
        c.ok("RENAME INBOX first")
        hits = s.failpoints.hits()
        s.failpoints.record(False)
    points = [(name, skip) for name, times in hits.items() if name.startswith("store.") for skip in range(min(times, 3))]
    assert len(points) > 8
    s.expect("signaled to death|process.panic")
    deaths = 0
    for number, (point, skip) in enumerate(points):
        with s.imap("alice") as c:
            prepare(c)
        s.failpoints.arm(point, "kill", skip)
        with s.imap("alice") as c:
            c.raw(f"x RENAME INBOX old{number}\r\n".encode())
            try:
                died = not c.wire.line().startswith(b"x ")
            except Closed:
                died = True
        s.failpoints.disarm()
        deaths += s.failpoints.fired
        with s.imap("alice") as c:
            left = messages_of(c, "INBOX", f"old{number}")
            assert set(left) == set(bodies), point    # nothing is lost
            assert len(left) <= (6 if died else 3), point
            if c.select("INBOX")["EXISTS"]:
                c.ok("STORE 1:* +FLAGS (\\Deleted)")
                c.ok("EXPUNGE")
    assert deaths > 8
