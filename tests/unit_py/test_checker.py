"""The comparison on made-up stores: each difference is told, and what may differ is not."""
import copy

import pytest

from lib.checker import compare
from lib.store import Mailbox, Store, User

HEADER = {"UNIQUEID": "u1", "MBOXNAME": "user.bob", "LAST_UID": "2", "HIGHESTMODSEQ": "9", "RECENTUID": "0",
          "RECENTTIME": "0", "LAST_APPENDDATE": "5", "POP3_LAST_LOGIN": "0", "POP3_SHOW_AFTER": "0",
          "UIDVALIDITY": "77", "PARTITION": "default", "ACL": "bob\tlrs\t", "OPTIONS": "P", "CREATEDMODSEQ": "1",
          "FOLDERMODSEQ": "1"}


def record(uid, **more):
    return {"UID": str(uid), "MODSEQ": "3", "LAST_UPDATED": "5", "FLAGS": ["\\Seen", "Kw"], "INTERNALDATE": "5",
            "SIZE": "10", "GUID": "0" * 39 + str(uid), **more}


def make(name):
    box = Mailbox("user.bob", dict(HEADER), {("/comment", "", "x")}, {
        1: record(1, ANNOTATIONS=[{"ENTRY": "/comment", "USERID": "", "MODSEQ": "4", "VALUE": "n"}]), 2: record(2)})
    user = User({"user.bob": box}, {"user.bob"}, {"u9": {"LASTUID": "3", "SEENUIDS": "1"}},
                {"a.script": ("0" * 40, "0")})
    return Store(name, {"bob": user}, {"dept": Mailbox("dept", {**HEADER, "MBOXNAME": "dept", "UNIQUEID": "u2"})},
                 {"user.bob": {"STORAGE": 10}}, {("/motd", "", "hi")})


@pytest.fixture
def pair():
    return make("a"), make("b")


def box(store):
    return store.users["bob"].mailboxes["user.bob"]


def test_equal(pair):
    assert compare(*pair) == []


HEADER_CHANGES = [(k, "8") for k in HEADER if k not in ("MBOXNAME", "LAST_APPENDDATE", "CREATEDMODSEQ")] + \
    [("MBOXTYPE", "f"), ("XCONVMODSEQ", "4"), ("RACLMODSEQ", "4")]


@pytest.mark.parametrize("key,value", HEADER_CHANGES)
def test_every_field_of_the_header(pair, key, value):
    box(pair[1]).header[key] = value
    assert compare(*pair) == [f"user.bob: {key}: a has {HEADER.get(key)!r}, b has {value!r}"]


@pytest.mark.parametrize("key", ["LAST_APPENDDATE", "CREATEDMODSEQ", "QUOTAROOT"])
def test_fields_that_may_differ(pair, key):
    box(pair[1]).header[key] = "8"
    assert compare(*pair) == []


def test_partitions_if_wanted(pair):
    box(pair[1]).header["PARTITION"] = "p2"
    assert compare(*pair, partitions=False) == []
    assert len(compare(*pair)) == 1


@pytest.mark.parametrize("key", ["MODSEQ", "LAST_UPDATED", "INTERNALDATE", "SIZE", "GUID"])
def test_every_field_of_a_record(pair, key):
    box(pair[1]).records[2][key] = "8"
    old = box(pair[0]).records[2][key]
    assert compare(*pair) == [f"user.bob uid 2: {key}: a has {old!r}, b has '8'"]


def test_flags_whatever_their_order_and_spelling(pair):
    box(pair[1]).records[2]["FLAGS"] = ["kW", "\\seen"]
    assert compare(*pair) == []
    box(pair[1]).records[2]["FLAGS"] = ["\\Seen"]
    assert compare(*pair) == ["user.bob uid 2: FLAGS: a has (\\seen kw), b has (\\seen)"]


def test_expunged(pair):
    for store, uid in ((pair[0], 2), (pair[1], 2), (pair[0], 8), (pair[1], 9)):
        box(store).records[uid] = record(uid, FLAGS=["\\Expunged"], MODSEQ=str(uid))
    box(pair[0]).records[2]["GUID"] = "f" * 40
    assert compare(*pair) == []
    box(pair[0]).records[1]["FLAGS"] = ["\\Expunged"]
    assert compare(*pair) == ["user.bob uid 1: a has expunged, b has the message"]


def test_a_message_on_one_side(pair):
    del box(pair[1]).records[2]
    box(pair[1]).records[3] = record(3)
    assert compare(*pair) == ["user.bob uid 2: a has the message, b has no such message",
                              "user.bob uid 3: a has no such message, b has the message"]


def test_annotations(pair):
    box(pair[1]).annotations = set()
    box(pair[1]).records[1]["ANNOTATIONS"][0]["MODSEQ"] = "5"
    assert compare(*pair) == [
        "user.bob: annotation: ('/comment', '', 'x') only on a",
        "user.bob uid 1: annotation: ('/comment', '', '4', 'n') only on a",
        "user.bob uid 1: annotation: ('/comment', '', '5', 'n') only on b"]


def test_all_that_a_user_has(pair):
    bob = pair[1].users["bob"]
    bob.subscriptions = {"user.x"}
    bob.scripts = {}
    bob.seen = {"u9": {"LASTUID": "4", "SEENUIDS": "1"}, "only here": {}}
    pair[0].users["bob"].seen["only there"] = {}
    assert compare(*pair) == [
        "bob: subscription: 'user.bob' only on a", "bob: subscription: 'user.x' only on b",
        f"bob: script: a.script: a has {('0' * 40, '0')!r}, b has None",
        "bob: seen state of u9: LASTUID: a has '3', b has '4'", "bob: seen state of only there only on a"]


def test_quota(pair):
    pair[0].quota["dept"] = {"STORAGE": 0}
    pair[1].quota["dept"] = {}
    assert compare(*pair) == ["quota dept: STORAGE: a has 0, b has None"]
    del pair[1].quota["dept"]
    assert compare(*pair) == ["quota roots: dept only on a"]


def test_users_mailboxes_server_annotations(pair):
    pair[0].users["carol"] = User()
    del pair[1].shared["dept"]
    pair[1].annotations = {("/motd", "", "ho")}
    assert compare(*pair) == [
        "users: carol only on a", "mailboxes: dept only on a", "server annotation: ('/motd', '', 'hi') only on a",
        "server annotation: ('/motd', '', 'ho') only on b"]


def test_deleted_mailboxes_if_wanted(pair):
    gone = copy.deepcopy(box(pair[1]))
    pair[1].users["bob"].mailboxes["DELETED.user.bob.x.6B04E37E"] = gone
    assert compare(*pair) == []
    assert compare(*pair, deleted=True) == ["mailboxes: DELETED.user.bob.x.6B04E37E only on b"]


def test_an_intermediate_entry_is_a_name(pair):
    for store, uidvalidity in zip(pair, ("0", "4")):
        store.users["bob"].mailboxes["user.bob.i"] = Mailbox(
            "user.bob.i", {"UNIQUEID": "u3", "MBOXTYPE": "ei", "PARTITION": None, "UIDVALIDITY": uidvalidity})
    assert compare(*pair) == []


def test_faults_come_first(pair):
    pair[0].faults, pair[1].faults = ["a: x"], ["b: y"]
    assert compare(*pair) == ["a: x", "b: y"]
