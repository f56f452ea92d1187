"""The ledger on made-up stores: what was acknowledged and is gone, and what may never happen."""
import pytest

from lib.ledger import Ledger
from lib.store import Mailbox, Store, User

A, B = "a" * 40, "b" * 40


def make(*boxes, subscriptions=(), quota=None):
    mailboxes = {box.name: box for box in boxes}
    return Store("s", {"bob": User(mailboxes, set(subscriptions))}, quota=quota or {})


def box(name="user.bob", *records, uniqueid="u1", uidvalidity=100, modseq=50, last_uid=10, acl="", kind=None, ids=()):
    header = {"UNIQUEID": uniqueid, "UIDVALIDITY": str(uidvalidity), "HIGHESTMODSEQ": str(modseq),
              "LAST_UID": str(last_uid), "ACL": acl, "MBOXTYPE": kind}
    return Mailbox(name, header, records={r["UID"]: r for r in records}, message_ids=dict(ids))


def record(uid, guid=A, *flags, modseq=5):
    return {"UID": uid, "GUID": guid, "FLAGS": list(flags), "MODSEQ": str(modseq)}


@pytest.fixture
def ledger():
    return Ledger()


def test_a_message_lost_found_and_doubled(ledger):
    ledger.message("user.bob", A)
    ledger.message("user.bob", A)
    assert ledger.check(make(box("user.bob", record(1), record(2)))) == []
    assert ledger.check(make(box("user.bob", record(1), record(2, A, "\\Expunged")))) == [
        f"s: user.bob message {A}: acknowledged 2 times, there 1 times"]
    assert ledger.check(make()) == ["s: user.bob: no such mailbox"]


def test_a_message_that_must_be_there_once(ledger):
    ledger.message("user.bob", message_id="<1>", acked=False, once=True)
    assert ledger.check(make(box())) == []
    ledger.message("user.bob", message_id="<1>", once=True)
    assert ledger.check(make(box("user.bob", record(1), ids={1: "<1>"}))) == []
    assert len(ledger.check(make(box()))) == 1
    assert ledger.check(make(box("user.bob", record(1), record(2), ids={1: "<1>", 2: "<1>"}))) == [
        "s: user.bob message <1>: there 2 times"]


def test_a_uid_with_another_content(ledger):
    ledger.message("user.bob", A, uid=1)
    assert f"s: user.bob uid 1: stored as {A}, is {B}" in ledger.check(make(box("user.bob", record(1, B), record(2))))


@pytest.mark.parametrize("acked", [True, False])
def test_expunged(ledger, acked):
    ledger.message("user.bob", A, uid=1)
    ledger.flag("user.bob", 1, "\\Seen")
    ledger.expunged("user.bob", 1, acked)
    assert ledger.check(make(box())) == []
    assert ledger.check(make(box("user.bob", record(1, A)))) == (
        ["s: user.bob uid 1: expunged, and there"] if acked else [])


def test_flags(ledger):
    ledger.flag("user.bob", 1, "\\Seen")
    ledger.flag("user.bob", 1, "Kw", on=False)
    assert ledger.check(make(box("user.bob", record(1, A, "\\seen")))) == []
    assert ledger.check(make(box("user.bob", record(1, A, "kw")))) == [
        "s: user.bob uid 1: \\seen is not set", "s: user.bob uid 1: kw is set"]
    ledger.flag("user.bob", 1, "\\Seen", on=False, acked=False)
    ledger.flag("user.bob", 1, "kW", acked=False)
    assert ledger.check(make(box("user.bob", record(1, A, "kw")))) == []
    ledger.flag("user.bob", 2, "x")
    assert ledger.check(make(box("user.bob", record(1, A)))) == [
        "s: user.bob uid 2: x was set, and the message is not there"]


def test_rename_takes_the_children_along(ledger):
    ledger.message("user.bob.a", A)
    ledger.message("user.bob.a.b", B)
    ledger.created("user.bob.ab")
    ledger.renamed("user.bob.a", "user.bob.c")
    good = make(box("user.bob.c", record(1, A)), box("user.bob.c.b", record(1, B)), box("user.bob.ab"))
    assert ledger.check(good) == []
    good.users["bob"].mailboxes["user.bob.a"] = box("user.bob.a")
    assert ledger.check(good) == ["s: user.bob.a: deleted, and there"]
    ledger.created("user.bob.a")
    assert ledger.check(good) == []


def test_a_rename_in_doubt(ledger):
    ledger.message("user.bob.a", A)
    ledger.renamed("user.bob.a", "user.bob.c", acked=False)
    old, new = box("user.bob.a", record(1, A)), box("user.bob.c", record(1, A))
    assert ledger.check(make(old)) == ledger.check(make(new)) == []
    assert ledger.check(make(old, new)) == ["s: user.bob.a or user.bob.c: a rename left both"]
    assert ledger.check(make()) == ["s: user.bob.a or user.bob.c: no such mailbox"]
    ledger.renamed("user.bob.a", "user.bob.c")    # tried again, and done
    assert ledger.check(make(new)) == []
    assert len(ledger.check(make(old))) == 2


@pytest.mark.parametrize("acked", [True, False])
def test_delete(ledger, acked):
    ledger.message("user.bob.a", A)
    ledger.deleted("user.bob.a", acked)
    assert ledger.check(make()) == []
    assert ledger.check(make(box("user.bob.a", kind="ed"))) == []    # a tombstone
    assert ledger.check(make(box("user.bob.a", record(1)))) == (
        ["s: user.bob.a: deleted, and there"] if acked else [])


def test_subscriptions_acls_quotas(ledger):
    ledger.subscribed("bob", "user.bob")
    ledger.subscribed("bob", "user.x", on=False)
    ledger.acl("user.bob", "carol", "lr")
    ledger.acl("user.bob", "dave", "")
    ledger.quota("user.bob", {"STORAGE": 5})
    acl = "carol\trl\tdave\tw\t"
    assert ledger.check(make(box(acl="carol\trl\t"), subscriptions=["user.bob"],
                             quota={"user.bob": {"STORAGE": 5}})) == []
    assert ledger.check(make(box(acl=acl), subscriptions=["user.x"])) == [
        "s: user.bob ACL: dave was given '', has 'w'", "s: bob: not subscribed to user.bob",
        "s: bob: still subscribed to user.x", "s: quota user.bob: acknowledged {'STORAGE': 5}, has None"]
    ledger.subscribed("bob", "user.bob", acked=False)
    ledger.subscribed("bob", "user.x", acked=False)
    ledger.acl("user.bob", "dave", "x", acked=False)
    ledger.quota("user.bob", {}, acked=False)
    assert ledger.check(make(box(acl=acl), subscriptions=["user.x"])) == []


def look(ledger, *boxes):
    return ledger.observe(make(*boxes))


def test_what_may_happen(ledger):
    assert look(ledger, box("user.bob", record(1), record(2))) == []
    assert look(ledger, box("user.new", record(1, A, "\\Seen", modseq=60), record(2, A, "\\Expunged"),
                            record(11), modseq=60, last_uid=11)) == []
    assert look(ledger, box("user.new", record(11), modseq=60, last_uid=11)) == []    # cleaned up


@pytest.mark.parametrize("now,line", [
    (box("user.bob", record(1, B)), f" uid 1: its content was {A}, is {B}"),
    (box("user.bob", record(1), uidvalidity=101), ": UIDVALIDITY was 100, is 101"),
    (box("user.bob", record(1), modseq=49), ": HIGHESTMODSEQ fell from 50 to 49"),
    (box("user.bob", record(1), last_uid=9), ": LAST_UID fell from 10 to 9"),
    (box("user.bob", record(1, modseq=4)), " uid 1: its modseq fell from 5 to 4"),
    (box("user.bob", record(1), record(2)), " uid 2: was expunged, and is back"),
    (box("user.bob", record(1), record(3)), " uid 3: was not there when LAST_UID was 10"),
    (box("user.bob", uniqueid="u2", uidvalidity=100),
     ": a new mailbox with UIDVALIDITY 100, the former one had 100"),
])
def test_what_may_never_happen(ledger, now, line):
    assert look(ledger, box("user.bob", record(1), record(2, A, "\\Expunged"))) == []
    assert look(ledger, now) == [f"s: user.bob{line}"]


def test_memory_is_longer_than_one_look(ledger):
    look(ledger, box("user.bob", record(1), modseq=50))
    look(ledger, box("user.bob", modseq=40, last_uid=5))
    assert look(ledger, box("user.bob", record(1), modseq=45, last_uid=10)) == [
        "s: user.bob: HIGHESTMODSEQ fell from 50 to 45", "s: user.bob uid 1: was expunged, and is back"]


def test_over_a_failover(ledger):
    store = make(box("user.bob", record(1)))
    assert ledger.observe(store, "account") == []
    store.name = "other"
    store.users["bob"].mailboxes["user.bob"] = box("user.bob", record(1, B))
    assert ledger.observe(store) == []
    assert len(ledger.observe(store, "account")) == 1
    ledger.forget("account")
    assert ledger.observe(store, "account") == []
