"""What the ledger of the power cuts sees: everything acknowledged that is not so, everything there that nobody asked for."""
import pytest

from lib.ledger import Ledger
from lib.power import Told

BOX = {"box.b.name": "user.u0.b", "msg.b.1": "aa/0//0", "box.b.modseq": "7"}


@pytest.fixture
def told():
    out = Told()
    out.read(b"? 0 box.b.name=user.u0.b\n+ 0 box.b.name=user.u0.b\n"
             b"? 1 guid=aa\n+ 1 msg.b.1~aa/0//0 box.b.modseq=7\n")
    return out


def test_as_it_was(told):
    assert told.acknowledged == 2
    assert told.differences(BOX) == []
    assert told.differences({**BOX, "box.b.modseq": "9"}) == []


@pytest.mark.parametrize("changes", [
    {"msg.b.1": None}, {"msg.b.1": "bb/0//0"}, {"msg.b.1": "aa/2//0"}, {"box.b.name": "user.u0.c"}, {"box.b.name": None},
    {"box.b.modseq": "6"}, {"msg.b.2": "cc/0//0"}, {"box.x.name": "user.u0.x"}, {"quota.user.u0": "5"},
    {"sub.u0.a": "1"}])
def test_lost_or_never_asked_for(told, changes):
    shown = {k: v for k, v in {**BOX, **changes}.items() if v is not None}
    assert told.differences(shown)


def test_what_was_begun_may_be_or_not(told):
    told.read(b"? 1 msg.b.1=aa/2//0\n? 2 guid=cc\n? 3 box.b.name=user.u0.c\n")
    for changes in ({}, {"msg.b.1": "aa/2//0"}, {"msg.b.2": "cc/0//0"}, {"box.b.name": "user.u0.c"}):
        assert told.differences({**BOX, **changes}) == []
    assert told.differences({**BOX, "msg.b.1": "aa/4//0"})
    told.settle(BOX)
    assert told.differences({**BOX, "msg.b.1": "aa/2//0"})


def test_a_line_that_was_not_finished_was_not_said(told):
    told.read(b"? 1 msg.b.1=aa/2//0\n+ 1 msg.b.1=aa/2//0")
    assert told.differences(BOX) == []


def test_deleted_with_all_there_was(told):
    told.read(b"? 0 box.b.name=gone\n+ 0 box.b.name=gone\n")
    assert told.differences({}) == []
    assert told.differences({"box.b.name": "user.u0.b"})


def test_another_may_have_changed_a_new_message(told):
    """Flags set by somebody else were told before its arrival was."""
    told.read(b"? 0 msg.b.2=cc/2//0\n+ 0 msg.b.2=cc/2//0\n+ 1 msg.b.2~cc/0//0\n")
    assert told.differences({**BOX, "msg.b.2": "cc/2//0"}) == []


def test_failures_are_kept(told):
    told.read(b"- 1 -1 no such thing\n")
    assert told.failures == ["- 1 -1 no such thing"]


def test_a_name_in_doubt():
    ledger = Ledger()
    ledger.created("user.u0.a")
    ledger.created("user.u0.b", acked=False)
    assert not ledger.in_doubt("user.u0.a") and ledger.in_doubt("user.u0.b") and not ledger.in_doubt("user.u0.c")
    ledger.renamed("user.u0.a", "user.u0.c", acked=False)
    assert ledger.in_doubt("user.u0.a") and ledger.in_doubt("user.u0.c")
