"""The model of IMAP sessions on made-up dialogues: what a server may say passes, and of what it may not each kind is found."""
import pytest

from lib.imap import Reply
from lib.imap_model import Box, Change, Violation, expand
from lib.imap_values import parse_status, parse_untagged
from lib.imap_view import Command, Members, View, appended

THREE = ("1 FETCH (UID 1 FLAGS () MODSEQ (4))", "2 FETCH (UID 2 FLAGS (\\Deleted) MODSEQ (5))", "3 FETCH (UID 4 FLAGS (\\Recent k) MODSEQ (6))")


def reply(lines, tagged):
    status, _, rest = tagged.encode().partition(b" ")
    code, text = parse_status(rest)
    return Reply("t1", status.decode(), code, text, [parse_untagged(b"* " + line.encode()) for line in lines])


class Server:
    """A mailbox with three messages, 1, 2 and 4, that one session has appended, and others that open it."""

    def __init__(self, own_seen=True):
        self.box = Box("INBOX", 7, own_seen)
        self.box.new_round()
        for uid, flags in ((1, []), (2, ["\\Deleted"]), (4, ["k"])):
            self.append("writer", uid, flags)
        self.box.end_round()
        self.box.new_round()

    def append(self, who, uid, flags=(), tagged=None):
        appended(who, Command("APPEND", to=self.box, messages=[(flags, b"x" * uid)]), reply([], tagged or f"OK [APPENDUID 7 {uid}] done"))

    def opens(self, who="s1", kind="condstore", lines=THREE, exists=3, modseq=6, uidnext=5, name="SELECT", **more):
        command = Command(name, condstore=kind == "condstore", qresync=kind == "qresync", user="bob", **more)
        first = [f"{exists} EXISTS", "1 RECENT", "OK [UIDVALIDITY 7] Ok", f"OK [UIDNEXT {uidnext}] Ok", f"OK [HIGHESTMODSEQ {modseq}] Ok"]
        mode = "ONLY" if name == "EXAMINE" else "WRITE"
        view = View.opened(self.box, who, command, reply(first + list(lines if "resync" in more else ()), f"OK [READ-{mode}] done"))
        if lines and "resync" not in more:
            says(view, Command("FETCH", members=Members("1:*")), *lines)
        return view

    def settles(self, told, uidnext=5, modseq=6):
        self.box.end_round()
        self.box.settle({uid: (frozenset(flags), m, uid) for uid, (flags, m) in told.items()}, uidnext, modseq)


def says(view, command, *lines, tagged="OK Completed"):
    view.take(command, reply(lines, tagged))


def store(which, how="+", flags=("\\flagged",), by_uid=False, silent=False, since=None, who="s1", round=2):
    return Command("STORE", by_uid, Members(which), Change(how, frozenset(flags), who, since, round), silent)


def search(wants, by_uid=False, returns=None):
    return Command("SEARCH", by_uid, wants=wants, returns=returns, tag="t1")


NOOP, EXPUNGE, MOVE = Command("NOOP"), Command("EXPUNGE"), Command("MOVE", members=Members("1"))
UNCHANGED = {1: ((), 4), 2: (("\\deleted",), 5), 4: (("k",), 6)}


@pytest.fixture
def server():
    return Server()


# ---- what may be -----------------------------------------------------------------------------------------


def test_a_dialogue_without_fault(server):
    one, two, plain = server.opens(), server.opens("s2", "qresync", ("1 FETCH (UID 1)", "2 FETCH (UID 2)", "3 FETCH (UID 4)")), \
        server.opens("s3", "plain", ("1 FETCH (UID 1 FLAGS ())",))
    says(one, store("1,3"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))", "3 FETCH (FLAGS (\\Recent k \\Flagged) MODSEQ (7))")
    says(one, EXPUNGE, "2 EXPUNGE", tagged="OK [HIGHESTMODSEQ 8] done")
    says(two, search(lambda n, e: n != 2), "SEARCH 1 3")    # 2 is not found, for it is expunged
    says(two, NOOP, "VANISHED 2", "1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (7))", "2 FETCH (UID 4 FLAGS (k \\Flagged) MODSEQ (7))")
    says(plain, store("1", "-", ("\\flagged",), who="s3"), "1 FETCH (FLAGS ())", "2 FETCH (FLAGS (\\Deleted))")
    says(plain, NOOP, "2 EXPUNGE")
    server.append("s2", 5, ["k"])
    says(one, NOOP, "3 EXISTS", "2 RECENT", "1 FETCH (FLAGS () MODSEQ (9))", "3 FETCH (FLAGS (\\Recent k) MODSEQ (10))")
    says(two, NOOP, "3 EXISTS", "0 RECENT", "1 FETCH (UID 1 FLAGS () MODSEQ (9))")
    says(plain, NOOP, "3 EXISTS", "0 RECENT")
    told = {1: ((), 9), 4: (("k", "\\flagged"), 7), 5: (("k",), 10)}
    server.settles(told, uidnext=6, modseq=10)
    for view in (one, two, plain):
        view.compare({uid: (flags, m, uid) for uid, (flags, m) in told.items()})
    server.box.forget()
    assert server.box.gone.keys() == {2}


def test_a_client_that_comes_back(server):
    saved = server.opens("s1", "qresync").saved()
    other = server.opens("s2", lines=tuple(line.replace("\\Recent ", "") for line in THREE))
    says(other, store("1", who="s2"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))")
    says(other, EXPUNGE, "2 EXPUNGE")
    server.append("s2", 5)
    lines = ("VANISHED (EARLIER) 2:3", "1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (7))", "3 FETCH (UID 5 FLAGS (\\Recent) MODSEQ (9))")
    view = server.opens("s1", "qresync", lines, 3, 9, 6, resync=saved)
    assert [(e.uid, e.flags, e.modseq) for e in view.entries] == [(1, {"\\flagged"}, 7), (4, {"k"}, 6), (5, set(), 9)]
    for bad, what in ((lines[1:], "4 messages, there are 3"), (lines[:1], "2 messages, there are 3"),
                      (("VANISHED (EARLIER) 1:3", *lines[1:]), "vanished, and is there"),
                      ((*lines[:2], lines[2].replace("3 FETCH", "2 FETCH")), "tells uid 5 as 2")):
        with pytest.raises(Violation, match=what):
            server.opens("s1", "qresync", bad, 3, 9, 6, resync=saved)


def test_sets():
    assert expand("1,4:6,9:8") == [1, 4, 5, 6, 8, 9]
    members = Members("2:3,7:*")
    assert [n for n in range(1, 10) if members.holds(n, 5)] == [2, 3, 5, 6, 7]    # 7:* is 5:7
    assert [n for n in range(1, 10) if members.holds(n, 9)] == [2, 3, 7, 8, 9]


# ---- what a session may not be told ----------------------------------------------------------------------

BAD = {
    "an EXPUNGE during FETCH": (Command("FETCH", members=Members("1")), ["1 FETCH (FLAGS () MODSEQ (4))", "2 EXPUNGE"], "EXPUNGE during FETCH"),
    "an EXPUNGE during STORE": (store("1"), ["1 FETCH (FLAGS (\\Flagged) MODSEQ (7))", "2 EXPUNGE"], "EXPUNGE during STORE"),
    "an EXPUNGE during SEARCH": (search(lambda n, e: True), ["SEARCH 1 2 3", "2 EXPUNGE"], "EXPUNGE during SEARCH"),
    "an EXPUNGE of no message": (NOOP, ["4 EXPUNGE"], "EXPUNGE 4 of 3"),
    "an EXPUNGE of number 0": (NOOP, ["0 EXPUNGE"], "EXPUNGE 0 of 3"),
    "a VANISHED that is not enabled": (NOOP, ["VANISHED 2"], "where it is not enabled"),
    "an EXISTS that falls": (NOOP, ["2 EXISTS"], "EXISTS 2 after 3"),
    "a RECENT too many": (NOOP, ["2 RECENT"], "RECENT 2, of which 1 to 1"),
    "a RECENT too few": (NOOP, ["0 RECENT"], "RECENT 0, of which 1 to 1"),
    "a number above EXISTS": (NOOP, ["4 FETCH (FLAGS () MODSEQ (9))"], "FETCH 4 of 3"),
    "a wrong number": (NOOP, ["1 FETCH (UID 2 FLAGS () MODSEQ (9))"], "1 is uid 2, and was told as 1"),
    "flags without MODSEQ": (NOOP, ["1 FETCH (FLAGS (\\Flagged))"], "without MODSEQ where CONDSTORE"),
    "a modseq that falls": (NOOP, ["3 FETCH (FLAGS (k) MODSEQ (5))"], "falls from 6 to 5"),
    "other flags at the same modseq": (NOOP, ["1 FETCH (FLAGS (\\Seen) MODSEQ (4))"], "has flags .* at modseq 4, and had"),
    "\\Recent that goes": (NOOP, ["3 FETCH (FLAGS (k) MODSEQ (6))"], "no longer .Recent"),
    "\\Recent that comes": (NOOP, ["1 FETCH (FLAGS (\\Recent) MODSEQ (4))"], "becomes .Recent"),
    "a STORE that is shown undone": (store("1"), ["1 FETCH (FLAGS (k) MODSEQ (7))"], "which is shown with"),
    "a STORE that takes too little": (store("3", "-", ("k",)), ["3 FETCH (FLAGS (\\Recent k) MODSEQ (6))"], "which is shown with"),
    "a refusal": (store("1"), [], "STORE -> NO"),
    "a search that finds too much": (search(lambda n, e: "k" in e.flags), ["SEARCH 2 3"], "SEARCH finds 2"),
    "a search that finds nothing known": (search(lambda n, e: True), ["SEARCH 1 2 3 4"], "SEARCH finds .4., which are no messages"),
    "a search by UID that finds numbers": (search(lambda n, e: e.uid != 3, True), ["SEARCH 1 2 3 4"], "which are no messages"),
    "figures that are not of this set": (search(lambda n, e: True, returns=("ALL", "COUNT")), ['ESEARCH (TAG "t1") COUNT 2 ALL 1:3'], "not the same"),
    "an answer to another": (search(lambda n, e: True, returns=("ALL",)), ['ESEARCH (TAG "t2") ALL 1:3'], "ESEARCH of"),
    "UIDs where numbers are asked for": (search(lambda n, e: True, returns=("ALL",)), ['ESEARCH (TAG "t1") UID ALL 1:3'], "ESEARCH .'UID'"),
    "what did not change": (Command("FETCH", members=Members("1:*"), since=5), ["2 FETCH (UID 2 MODSEQ (5))", "3 FETCH (UID 4 MODSEQ (6))"],
                            "changed since 5, has modseq 5"),
    "VANISHED (EARLIER) unasked": (Command("FETCH", True, Members("1:*")), ["VANISHED (EARLIER) 3"], "where it is not enabled"),
    "a message moved and still there": (Command("MOVE", members=Members("1")), ["OK [COPYUID 7 1 9] done"], "was moved, and not told"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_session_is_told(server, name):
    command, lines, what = BAD[name]
    command.to = Box("other", 7)
    with pytest.raises(Violation, match=what) as caught:
        says(server.opens(), command, *lines, tagged="NO no" if name == "a refusal" else "OK done")
    assert caught.value.who == ("s1",)


QRESYNC = {
    "an EXPUNGE": (NOOP, ["2 EXPUNGE"], "EXPUNGE where VANISHED is enabled"),
    "no UID": (NOOP, ["1 FETCH (FLAGS () MODSEQ (4))"], "without UID"),
    "what is no message": (NOOP, ["VANISHED 3"], "none of those told"),
    "it twice": (NOOP, ["VANISHED 2", "VANISHED 2"], "none of those told"),
    "it during FETCH": (Command("FETCH", members=Members("1")), ["1 FETCH (UID 1)", "VANISHED 2"], "VANISHED during FETCH"),
    "earlier what is there": (Command("FETCH", True, Members("1:*"), since=6, earlier=True), ["VANISHED (EARLIER) 2"], "vanished earlier, and is there"),
    "earlier, unasked": (NOOP, ["VANISHED (EARLIER) 3"], "where nobody asked"),
}


@pytest.mark.parametrize("name", QRESYNC)
def test_a_session_with_qresync_is_told(server, name):
    command, lines, what = QRESYNC[name]
    with pytest.raises(Violation, match=what):
        says(server.opens(kind="qresync"), command, *lines)


def test_a_message_that_is_back_in_a_session(server):
    view = server.opens()
    says(view, NOOP, "2 EXPUNGE", "3 EXISTS")
    with pytest.raises(Violation, match="3 is uid 2, which was expunged"):
        says(view, NOOP, "3 FETCH (UID 2 FLAGS () MODSEQ (9))")
    view = server.opens("s2", lines=())
    says(view, NOOP, "2 FETCH (UID 4)")
    with pytest.raises(Violation, match="not between"):
        says(view, NOOP, "3 FETCH (UID 2)")


def test_what_is_left_out_must_be_expunged(server):
    for command, lines, what in (
            (search(lambda n, e: True), ["SEARCH 1 3"], "was not found by SEARCH"),
            (Command("FETCH", members=Members("1:2")), ["1 FETCH (UID 1)"], "was not shown by FETCH"),
            (store("2"), [], "was not shown after STORE"),
            (store("2", silent=True), [], "was not shown after STORE"),
            (Command("FETCH", members=Members("1:*"), since=4), ["3 FETCH (UID 4 MODSEQ (6))"], "has modseq 5 and was not shown as changed since 4"),
            (Command("COPY", members=Members("1:2"), to=Box("other", 7)), [], "was left out by COPY")):
        tagged = "OK [COPYUID 7 1 9] done" if command.name == "COPY" else "OK done"
        view = server.opens(f"s of {command.name}", lines=tuple(line.replace("\\Recent ", "") for line in THREE))
        says(view, command, *lines, tagged=tagged)
        with pytest.raises(Violation, match=f"uid 2 {what}.* is not expunged"):
            says(view, NOOP)
        view = server.opens(f"s of {command.name} again", lines=tuple(line.replace("\\Recent ", "") for line in THREE))
        command.to = Box("other", 7)
        says(view, command, *lines, tagged=tagged)
        says(view, NOOP, "2 EXPUNGE")


def test_recent_in_two_sessions(server):
    server.opens()
    server.opens("reader", name="EXAMINE")    # who only looks takes it from nobody
    with pytest.raises(Violation, match="is .Recent in s2 and was in s1") as caught:
        server.opens("s2")
    assert caught.value.who == ("s2", "s1")


def test_a_modified_message_that_did_not_change(server):
    view = server.opens()
    says(view, store("3", since=6), tagged="OK [MODIFIED 3] done")
    with pytest.raises(Violation, match="is MODIFIED since 6, has modseq 6"):
        says(view, NOOP)


def test_what_was_there_before_must_be_told(server):
    view, other = server.opens(), server.opens("s2", lines=())
    server.append("s3", 5)
    says(other, store("1", who="s2"), "1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (7))")
    says(view, NOOP)    # at the same time: it may not know yet
    server.box.end_round()
    server.box.new_round()
    with pytest.raises(Violation, match="uid 1 has modseq 7, and NOOP leaves it at 4"):
        says(view, NOOP)
    server.box.missed = []
    says(view, NOOP, "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))")
    with pytest.raises(Violation, match="uid 5 is there since round 2, and NOOP does not tell of it"):
        server.box.end_round()


def test_figures_that_fall(server):
    server.opens()
    server.box.new_round()
    for more, what in ((dict(uidnext=4), "UIDNEXT 4, there was uid 4"), (dict(modseq=5), "HIGHESTMODSEQ 5, there was 6")):
        with pytest.raises(Violation, match=what):
            server.opens("s2", **more)
        with pytest.raises(Violation, match=what):
            server.box.status("s2", {{"uidnext": "UIDNEXT", "modseq": "HIGHESTMODSEQ"}[k]: v for k, v in more.items()})
    with pytest.raises(Violation, match="UIDVALIDITY was 7, is 8"):
        server.box.status("s2", {"UIDVALIDITY": 8})


def test_a_uid_that_is_given_again(server):
    with pytest.raises(Violation, match="new message has uid 4, there was 4"):
        server.append("s1", 4)
    server.append("s1", 9)
    with pytest.raises(Violation, match="uid 9 is given again"):
        server.append("s2", 9)
    server.append("s2", 8)    # at the same time as 9: nobody knows who was first
    with pytest.raises(Violation, match="APPEND of 1 messages"):
        server.append("s2", 10, tagged="OK done")


def test_a_message_with_another_body(server):
    view = server.opens()
    says(view, Command("FETCH", members=Members("1")), "1 FETCH (UID 1 BODY[] x RFC822.SIZE 1)".replace(" x ", ' "x" '))
    with pytest.raises(Violation, match="another body"):
        says(view, Command("FETCH", members=Members("2")), '2 FETCH (UID 2 BODY[] "xy")')
    with pytest.raises(Violation, match="had 4 octets, has 5"):
        says(view, Command("FETCH", members=Members("3")), "3 FETCH (UID 4 RFC822.SIZE 5)")


# ---- what may not be true --------------------------------------------------------------------------------


def test_flags_that_nobody_ordered(server):
    with pytest.raises(Violation, match="uid 1 has flags .k. at modseq 7, which nobody ordered"):
        server.settles({**UNCHANGED, 1: (("k",), 7)}, modseq=7)


def test_a_modseq_that_rises_for_nothing(server):
    server.opens()
    with pytest.raises(Violation, match="which nobody ordered"):
        server.settles({**UNCHANGED, 1: ((), 7)}, modseq=7)


def test_a_change_that_takes_another_one_back(server):
    """Two set a flag each; the second wrote what it had read before the first."""
    one, two = server.opens(), server.opens("s2", lines=tuple(line.replace("\\Recent ", "") for line in THREE))
    says(one, store("1"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))")
    says(two, store("1", flags=("\\draft",), who="s2"), "1 FETCH (FLAGS (\\Draft) MODSEQ (8))")
    with pytest.raises(Violation, match="uid 1 has flags .*draft.* at modseq 8, which nobody ordered") as caught:
        server.settles({**UNCHANGED, 1: (("\\draft",), 8)}, modseq=8)
    assert caught.value.who == ("s1", "s2")


def test_a_change_that_is_lost(server):
    says(server.opens(), store("1"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))")
    with pytest.raises(Violation, match="uid 1 has modseq 4, and had 7"):
        server.settles(UNCHANGED, modseq=7)


def test_a_condition_that_was_not_kept(server):
    one, two = server.opens(), server.opens("s2", lines=tuple(line.replace("\\Recent ", "") for line in THREE))
    says(one, store("1"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (7))")
    says(two, store("1", flags=("k",), since=4, who="s2"), "1 FETCH (FLAGS (\\Flagged k) MODSEQ (8))")
    with pytest.raises(Violation, match="had modseq 7, and was changed if not since 4"):
        server.settles({**UNCHANGED, 1: (("\\flagged", "k"), 8)}, modseq=8)


def test_a_modseq_below_a_known_one(server):
    view = server.opens()
    says(view, store("1"), "1 FETCH (FLAGS (\\Flagged) MODSEQ (9))")
    server.box.new_round()
    says(view, store("2", round=3), "2 FETCH (FLAGS (\\Deleted \\Flagged) MODSEQ (8))")
    with pytest.raises(Violation, match="uid 2 was given modseq 8 when a higher one was known"):
        server.settles({**UNCHANGED, 1: (("\\flagged",), 9), 2: (("\\deleted", "\\flagged"), 8)}, modseq=9)


def test_a_message_that_is_lost(server):
    server.opens()
    without = {uid: state for uid, state in UNCHANGED.items() if uid != 1}
    with pytest.raises(Violation, match="uid 1 is gone, and was not .Deleted"):
        server.settles(without)


def test_a_message_that_nobody_expunged(server):
    view = server.opens()
    without = {uid: state for uid, state in UNCHANGED.items() if uid != 2}
    with pytest.raises(Violation, match="uid 2 is gone, and nobody expunged it"):
        server.settles(without)
    says(view, Command("EXPUNGE", True, Members("1")))    # this one was not meant
    with pytest.raises(Violation, match="uid 2 is gone, and nobody expunged it"):
        server.settles(without)
    says(view, Command("EXPUNGE", True, Members("1:2")), "2 EXPUNGE")
    server.settles(without)


def test_a_message_that_was_not_expunged(server):
    view = server.opens()
    view.expunged()    # by CLOSE
    with pytest.raises(Violation, match="uid 2 was .Deleted when s1 expunged, and is there"):
        server.settles(UNCHANGED)


def test_a_message_that_is_back(server):
    says(server.opens(), EXPUNGE, "2 EXPUNGE")
    server.settles({uid: state for uid, state in UNCHANGED.items() if uid != 2})
    server.box.forget()
    with pytest.raises(Violation, match="uid 2 was expunged, and is back"):
        server.settles(UNCHANGED)


def test_messages_that_nobody_sent(server):
    server.opens()
    with pytest.raises(Violation, match="uid 6 is a message that nobody sent here"):
        server.settles({**UNCHANGED, 6: ((), 7)}, 7, 7)
    with pytest.raises(Violation, match="nobody sent here: b'token'"):
        server.box.found(6, b"token", "digest", 6, "a look")
    server.box.delivered(b"token")
    with pytest.raises(Violation, match="uid 2 has flags .* which nobody ordered|delivered, and not there"):
        server.settles(UNCHANGED)
    server.box.found(6, b"token", "digest", 6, "a look")
    server.settles({**UNCHANGED, 6: ((), 7)}, 7, 7)


def test_moves_and_copies(server):
    view, other, to = server.opens(), server.opens("s2", lines=tuple(line.replace("\\Recent ", "") for line in THREE)), Box("other", 7)
    says(view, Command("MOVE", members=Members("1"), to=to), "OK [COPYUID 7 1 1] done", "1 EXPUNGE")
    with pytest.raises(Violation, match="uid 1 is moved by s2 and was by s1"):
        says(other, Command("MOVE", members=Members("1"), to=to), "OK [COPYUID 7 1 2] done", "1 EXPUNGE")
    with pytest.raises(Violation, match="uid 1 was moved by s1, and is there"):
        server.settles(UNCHANGED)
    says(view, Command("COPY", members=Members("2"), to=to), tagged="OK [COPYUID 7 4 3] done")
    server.settles({uid: state for uid, state in UNCHANGED.items() if uid != 1})
    for flags, good in ((("k",), True), ((), False)):    # it comes with the flags it had
        to.messages[3].versions.clear()
        told = {1: (frozenset(), 1, 1), 2: (frozenset(), 1, 1), 3: (frozenset(flags), 2, 4)}
        if good:
            to.settle(told, 4, 2)
        else:
            with pytest.raises(Violation, match="uid 3 has flags .. at modseq 2, which nobody ordered"):
                to.settle(told, 4, 2)


def test_a_session_that_knows_something_else(server):
    told = {uid: (frozenset(flags), m, uid) for uid, (flags, m) in UNCHANGED.items()}
    view = server.opens()
    view.compare(told)
    for change, what in (({1: (frozenset("k"), 4, 1)}, "uid 1 was told with flags .., a new session sees .k."),
                         ({1: (frozenset(), 9, 1)}, "uid 1 was told with modseq 4, a new session sees 9"),
                         ({5: (frozenset(), 9, 1)}, "it was told of 3 messages, a new session of 4")):
        with pytest.raises(Violation, match=what):
            view.compare({**told, **change})
    with pytest.raises(Violation, match="1 was told as uid 1, a new session sees 3"):
        view.compare({uid + 2: state for uid, state in told.items()})
