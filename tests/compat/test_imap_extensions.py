"""Extensions of IMAP, reply by reply against a real Cyrus 3.6.1, as in test_imap_dialogue: replies must be equal but for what
NORMAL takes out on both sides, and for those in a table of differences, each with its reason."""

import pytest

from test_imap_dialogue import LEFT_OUT, NORMAL, ONLY_IMAP

from lib.dialogue import Talker, commands

LISTS = r"""
CREATE foo
CREATE foo/bar
CREATE foo/bar/baz
CREATE quux
CREATE gone
CREATE sent (USE (\Sent))
CREATE sent2 (USE (\Sent))
CREATE two (USE (\Drafts \Junk))
CREATE foo/deep (USE (\Trash))
CREATE odd (USE (\Flagged))
CREATE odd (USE (\All))
CREATE odd2 (USE ())
CREATE odd3 (USE \Archive)
CREATE odd4 (PARTITION default)
CREATE odd6 (USE (\Important))
CREATE odd8 (USE (\snoozed \ARCHIVE))
SUBSCRIBE foo/bar/baz
SUBSCRIBE quux
SUBSCRIBE foo
SUBSCRIBE gone
DELETE gone
DELETE odd3
LIST "" *
LIST (SUBSCRIBED) "" *
LIST (SUBSCRIBED) "" %
LIST (RECURSIVEMATCH SUBSCRIBED) "" *
LIST (RECURSIVEMATCH SUBSCRIBED) "" %
LIST (RECURSIVEMATCH) "" %
LIST (REMOTE) "" %
LIST (REMOTE SUBSCRIBED) "" %
LIST (RECURSIVEMATCH REMOTE) "" %
LIST (SPECIAL-USE) "" %
LIST (SPECIAL-USE) "" *
LIST (SPECIAL-USE SUBSCRIBED) "" *
LIST (SPECIAL-USE RECURSIVEMATCH) "" *
LIST (FOO) "" *
LIST () "" *
LIST () "" (foo qu*)
LIST () "" ()
LIST () "" (% foo/%)
LIST "" (foo %)
LIST "" % RETURN (SUBSCRIBED)
LIST "" % RETURN (CHILDREN)
LIST "" % RETURN (SPECIAL-USE)
LIST "" % RETURN ()
LIST "" % RETURN
LIST "" % RETURN (FOO)
LIST "" % RETURN (MYRIGHTS)
LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
LIST "" % RETURN (STATUS ())
LIST "" % RETURN (STATUS (SIZE) MYRIGHTS SUBSCRIBED CHILDREN SPECIAL-USE)
LIST "" % FOO
LIST "" % RETURN (SUBSCRIBED) x
LIST (SUBSCRIBED) "" % RETURN (CHILDREN STATUS (MESSAGES SIZE))
LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES) MYRIGHTS)
LIST (RECURSIVEMATCH SUBSCRIBED) "" % RETURN (STATUS (MESSAGES) MYRIGHTS)
LIST (SUBSCRIBED) foo/ (% bar/%)
LIST "" "" RETURN (SUBSCRIBED)
LIST () "" ""
LIST () foo/ ""
LIST () "" foo/bar RETURN (SUBSCRIBED STATUS (MESSAGES))
LIST (subscribed) "" * return (children)
LIST "" nosuch RETURN (STATUS (MESSAGES))
LIST "" (foo foo foo/%) RETURN (CHILDREN)
LIST "" "foo" RETURN (CHILDREN SUBSCRIBED CHILDREN)
STATUS foo (SIZE)
STATUS foo (MESSAGES SIZE UNSEEN)
STATUS foo (SIZE SIZE)
DELETE sent
RENAME sent Sent2
LIST (SPECIAL-USE) "" *
SETACL foo bob lrs
SETACL Sent2 bob lrs
LOGOUT
"""

LISTS_OTHER = r"""
LIST "" * RETURN (SPECIAL-USE MYRIGHTS STATUS (MESSAGES))
LIST (SPECIAL-USE) "" *
LIST "" % RETURN (MYRIGHTS STATUS (MESSAGES))
CREATE "Other Users/alice/foo/x" (USE (\Junk))
SUBSCRIBE "Other Users/alice/foo"
LIST (SUBSCRIBED) "" *
LIST (SUBSCRIBED RECURSIVEMATCH) "" %
LOGOUT
"""

LISTS_ADMIN = r"""
LIST "" user/alice RETURN (MYRIGHTS STATUS (MESSAGES))
LIST (SUBSCRIBED) "" *
LIST (SPECIAL-USE) "" *
CREATE user/alice/adm (USE (\Trash))
CREATE shared (USE (\Junk))
CREATE shared3 (PARTITION default)
CREATE shared4 (PARTITION nopart)
LOGOUT
"""

CONFLICT = "RFC 6154 wants the code wherever the use is why"
LISTS_DIFFERENT = {
    ("alice", r"CREATE foo/deep (USE (\Trash))"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("alice", "DELETE sent"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    ("bob", r'CREATE "Other Users/alice/foo/x" (USE (\Junk))'): (
        "what he may not do he may not do with a use either",
        ["a NO SPECIAL-USE flag conflict"], ["a NO Permission denied"]),
    ("admin", r"CREATE shared (USE (\Junk))"): (
        CONFLICT, ["a NO SPECIAL-USE flag conflict"], ["a NO [USEATTR] SPECIAL-USE flag conflict"]),
    **{("alice", rf"CREATE odd (USE (\{use}))"): (
        "it is no annotation that he asked for",
        ["a NO [USEATTR] Invalid annotation entry"], ["a NO [USEATTR] Invalid special use"]) for use in ("Flagged", "All")},
    ("alice", r"CREATE odd3 (USE \Archive)"): (
        "a Cyrus reads what is no list as an empty one, and says OK to what it does not do",
        ["a OK [MAILBOXID (id)] Completed"], ["a BAD Invalid parameter in Create"]),
    ("alice", "DELETE odd3"): (
        "so it is not there", ["a OK Completed"], ["a NO Mailbox does not exist"]),
    ("bob", 'LIST "" % RETURN (MYRIGHTS STATUS (MESSAGES))'): (
        "a Cyrus gives a level that is no mailbox the figures and rights of the first one below",
        ['* LIST (\\HasNoChildren) "/" INBOX', "* STATUS INBOX (MESSAGES 0)", "* MYRIGHTS INBOX lrswipkxtecdan",
         '* LIST (\\NonExistent \\HasChildren) "/" "Other Users"', '* STATUS "Other Users" (MESSAGES 0)',
         '* MYRIGHTS "Other Users" lrs', "a OK Completed (time)"],
        ['* LIST (\\HasNoChildren) "/" INBOX', "* STATUS INBOX (MESSAGES 0)", "* MYRIGHTS INBOX lrswipkxtecdan",
         '* LIST (\\NonExistent \\HasChildren) "/" "Other Users"', "a OK Completed (time)"]),
    ("bob", 'LIST (SUBSCRIBED) "" *'): (
        "what is below it is not for him to know of",
        ['* LIST (\\Subscribed \\HasChildren) "/" "Other Users/alice/foo"', "a OK Completed (time)"],
        ['* LIST (\\Subscribed \\HasNoChildren) "/" "Other Users/alice/foo"', "a OK Completed (time)"]),
    ("admin", 'LIST "" user/alice RETURN (MYRIGHTS STATUS (MESSAGES))'): (
        "figures are for those who may read, as with STATUS itself",
        ['* LIST (\\HasChildren) "/" user/alice', "* STATUS user/alice (MESSAGES 0)", "* MYRIGHTS user/alice la",
         "a OK Completed (time)"],
        ['* LIST (\\HasChildren) "/" user/alice', "* MYRIGHTS user/alice la", "a OK Completed (time)"]),
}


# After some errors a Cyrus reads the rest of the line as another command.
STRAY = ["* BAD Invalid tag"]


def hold(peer, us, dialogues, different, adapt=lambda _command, lines: lines):
    """Say every dialogue, {user: commands}, to both; adapt(command, lines) takes out of a reply what may differ."""
    unused, wrong = set(different), []
    for user, text in dialogues:
        theirs, ours = Talker(peer.imap_port, NORMAL, LEFT_OUT), Talker(us.imap_port, NORMAL, LEFT_OUT)
        for one in (theirs, ours):
            assert one.say(f"LOGIN {user} pw")[-1].startswith("a OK")
        for command in commands(text):
            said = tuple(adapt(command, [line for line in one.say(command) if line not in STRAY])
                         for one in (theirs, ours))
            why, *listed = different.get((user, command), (None,))
            unused.discard((user, command))
            if said != tuple(listed) if why else said[0] != said[1]:
                wrong.append(f"{user}: {command}\n  {said[0]}\n  {said[1]}")
    assert not wrong, "\n".join(wrong)
    assert not unused


@pytest.fixture
def pair(server, cyrus_peer):
    """(a Cyrus, ours), with alice and bob."""
    both = cyrus_peer(name="x"), server(name="x", services=ONLY_IMAP)
    for one in both:
        one.make_user("alice", "bob")
    return both


@pytest.mark.limit(240)
def test_lists(pair):
    hold(*pair, [("alice", LISTS), ("bob", LISTS_OTHER), ("admin", LISTS_ADMIN)], LISTS_DIFFERENT)
