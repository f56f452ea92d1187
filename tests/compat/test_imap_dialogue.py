"""What imapd says, line by line, against a real Cyrus 3.6.1: the same dialogue with both, whose replies must be equal but
for what NORMAL takes out on both sides, and for the replies listed in DIFFERENT, each with its reason."""
import re

import pytest

from lib.dialogue import Talker, commands
from lib.server import ONLY_IMAP


# (what is replaced, by what): with the reason where it is a decision and no accident of time.
NORMAL = [
    (r"\[CAPABILITY [^\]]*\]", "[CAPABILITY]"),    # test_capabilities looks at them
    (r"^(\* OK \[CAPABILITY\] \S+) Cyrus IMAP \S+", r"\1 Cyrus IMAP VERSION"),
    (r"^\* ID \(.*", "* ID"),                     # another program, version and system
    (r"SESSIONID=<[^>]*>", "SESSIONID=<>"),
    (r"UIDVALIDITY \d+", "UIDVALIDITY n"),
    (r"\([\d.]+ secs?( \d+ calls)?\)", "(time)"),  # what counts as a call is Cyrus's own business
    (r"(DELETED/.*/)[0-9A-F]{8}$", r"\1TIME"),
    # RFC 5530's codes, which 3.6.1 leaves out.
    (r"\[(NONEXISTENT|ALREADYEXISTS|NOPERM|CANNOT|AUTHENTICATIONFAILED|PRIVACYREQUIRED|LIMIT)\] ", ""),
    (r"MAILBOXID \([^)]*\)", "MAILBOXID (id)"),
    (r"HIGHESTMODSEQ \d+", "HIGHESTMODSEQ n"),    # they count other things than messages too
]
# URLAUTH and ANNOTATE are not advertised.
LEFT_OUT = re.compile(r"\* OK \[(URLMECH|ANNOTATIONS)\b")

USER = r"""
NOOP
FOO
NAMESPACE
SELECT INBOX
NOOP x
LOGIN alice
LOGIN alice wrong
LOGIN alice "pw" x
AUTHENTICATE
AUTHENTICATE FOO
AUTHENTICATE PLAIN AGFsaWNlAHdyb25n
ENABLE CONDSTORE
UID FETCH 1 FLAGS
LOGIN alice pw
LOGIN alice pw
AUTHENTICATE PLAIN
FOO
NAMESPACE
ENABLE FOO
ENABLE
NOOP
CHECK
CLOSE
UNSELECT
UID
SELECT
SELECT INBOX x
SELECT nosuch
SELECT INBOX
SELECT INBOX
UID
CLOSE
EXAMINE INBOX
UNSELECT
CREATE foo
CREATE foo
CREATE foo/bar/baz
CREATE INBOX
CREATE ""
CREATE "a%b"
CREATE "a*b"
CREATE "/x"
CREATE "x/"
CREATE "x//y"
CREATE user/carol
CREATE "Other Users/bob/x"
CREATE "Shared Folders/x"
CREATE "Other Users/nobody/x"
CREATE x default
CREATE x.y
CREATE "&AOQ-"
CREATE "&bad"
CREATE "INBOX/sub"
CREATE z2 part ition
LIST "" ""
LIST foo/ ""
LIST "" *
LIST "" %
LIST foo/ %
LIST "" foo/%
LIST "" %/%
LIST "" */sub
LIST "" inbox
LIST "" "Other*"
LIST
LIST x
LIST "" foo* x
LSUB "" *
LSUB "" %
LSUB "" ""
LSUB "" foo* x
SUBSCRIBE foo/bar/baz
SUBSCRIBE nosuch
SUBSCRIBE foo
SUBSCRIBE foo
LSUB "" *
LSUB "" %
UNSUBSCRIBE foo
UNSUBSCRIBE foo
UNSUBSCRIBE nosuch
LSUB "" *
LSUB "" %
STATUS foo (MESSAGES UIDNEXT UNSEEN RECENT UIDVALIDITY)
STATUS foo (FOO)
STATUS foo ()
STATUS foo
STATUS foo MESSAGES
STATUS foo (MESSAGES) x
STATUS nosuch (MESSAGES)
RENAME foo/bar foo2
LIST "" *
LSUB "" *
RENAME nosuch y
RENAME foo foo2
RENAME foo
RENAME foo2 INBOX
RENAME foo user/bob/x
RENAME saved saved
RENAME INBOX saved
RENAME x x/z
SELECT saved
DELETE saved
NOOP
DELETE nosuch
DELETE INBOX
DELETE foo
DELETE foo2
LIST "" *
GETACL INBOX
GETACL nosuch
MYRIGHTS INBOX
MYRIGHTS nosuch
LISTRIGHTS INBOX alice
LISTRIGHTS INBOX bob
LISTRIGHTS INBOX anyone
SETACL INBOX bob lrs
SETACL INBOX bob +w
SETACL INBOX bob -r
GETACL INBOX
SETACL INBOX bob q
SETACL INBOX bob
SETACL INBOX bob ""
GETACL INBOX
SETACL INBOX -bob lr
SETACL INBOX "bad id%" lr
SETACL INBOX bob cd
GETACL INBOX
DELETEACL INBOX -bob
DELETEACL INBOX nosuch
SETACL INBOX alice ""
SETACL INBOX alice lrs
SETACL INBOX alice +w
SETACL INBOX anyone l
SETACL INBOX BOB l
SETACL INBOX group:nosuchgroup l
SETACL INBOX "" l
SETACL INBOX foo l+r
GETACL INBOX
DELETEACL INBOX alice
MYRIGHTS INBOX
GETQUOTA user/alice
GETQUOTA INBOX
GETQUOTAROOT INBOX
GETQUOTAROOT nosuch
SETQUOTA INBOX (STORAGE 10)
COMPRESS
COMPRESS FOO
SYNCGET USER alice
SELECT "a
LOGOUT x
LOGOUT
"""

ADMIN = r"""
LOGIN admin pw
NAMESPACE
LIST "" *
LIST "" %
CREATE shared
CREATE shared/pub
CREATE shared/a/b/c
CREATE dept nopart
CREATE dept default
CREATE user/carol
CREATE user/carol/Sent
CREATE user/newone/Sent
CREATE user
CREATE user/x.y
CREATE user.dot
CREATE user/alice/INBOX/INBOX
GETACL shared
GETACL user/carol
GETACL user/carol/Sent
MYRIGHTS shared
MYRIGHTS user/carol
LISTRIGHTS shared bob
LISTRIGHTS user/carol carol
LISTRIGHTS user/carol bob
SETACL shared bob lrsip
SETACL shared anyone lrswi
SELECT user/carol
SELECT shared
CLOSE
EXAMINE user/alice
STATUS user/alice (MESSAGES)
DELETE shared/pub
SETACL shared/pub admin x
DELETE shared/pub
DELETE shared
LIST "" *
SETQUOTA user/alice (STORAGE 10 MESSAGE 5)
GETQUOTA user/alice
GETQUOTAROOT user/alice
GETQUOTAROOT user/alice/foo2
SETQUOTA user/alice ()
GETQUOTA user/alice
GETQUOTA user/bob
GETQUOTA nosuch
SETQUOTA nosuch (STORAGE 10)
SETQUOTA user/bob
SETQUOTA user/bob (STORAGE x)
SETQUOTA user/bob STORAGE 10
SETQUOTA user/bob (STORAGE 10 X-NUM-FOLDERS 3)
GETQUOTAROOT user/bob
RENAME user/carol user/dora
LIST "" user/*
GETACL user/dora
GETACL user/dora/Sent
RENAME dept dept default
RENAME dept dept2 default
RENAME dept user/nobody
RENAME user/dora shared/dora
LISTRIGHTS nosuch bob
MYRIGHTS nosuch
DELETE user/dora
SETACL user/dora admin x
DELETE user/dora
RENAME DELETED/nosuch dept3
LIST "" *
LIST "shared" "/x"
LIST "shared/" "a/*"
SYNCRESTART
SYNCFOO
SETACL user/alice/x bob lrk
SETACL user/alice/foo2 bob kxtecd
LOGOUT
"""

OTHER = r"""
AUTHENTICATE PLAIN AGJvYgBwdw==
LIST "" *
LIST "" %
LIST "" "Other Users/%"
LIST "Other Users/" %
LIST "" "Other Users/alice/%"
MYRIGHTS "Other Users/alice/x"
MYRIGHTS "Other Users/alice/foo2"
GETACL "Other Users/alice/x"
GETACL "Other Users/alice/foo2"
SELECT "Other Users/alice"
SELECT "Other Users/alice/x"
SELECT "Other Users/alice/foo2"
SELECT "Other Users"
CREATE "Other Users/alice/x/new"
CREATE "Other Users/alice/foo2/new"
DELETE "Other Users/alice/x"
DELETE "Other Users/alice"
SUBSCRIBE "Other Users/alice/x"
SUBSCRIBE "Other Users/alice/foo2"
LSUB "" *
LSUB "" %
STATUS "Other Users/alice/x" (MESSAGES UNSEEN RECENT)
RENAME "Other Users/alice/x" bar
LISTRIGHTS "Other Users/alice/x" bob
GETQUOTAROOT "Other Users/alice/x"
SELECT "Shared Folders/shared"
UNSELECT
LOGOUT
"""

# (user, command): (why, what a Cyrus says, what we say)
DIFFERENT = {
    ("alice", 'LOGIN alice "pw" x'): (
        "the spelling of other commands",
        ["a BAD Unexpected extra arguments to LOGIN"], ["a BAD Unexpected extra arguments to Login"]),
    ("alice", 'LIST "" inbox'): (
        "INBOX is INBOX in any spelling (RFC 3501, 5.1)",
        ["a OK Completed (time)"], ['* LIST (\\HasChildren) "/" INBOX', "a OK Completed (time)"]),
    ("alice", "RENAME INBOX saved"): (
        "a Cyrus makes the mailbox and says NO when INBOX is empty",
        ["a NO No matching messages"], ["a OK Completed"]),
    ("alice", "RENAME x x/z"): (
        "a Cyrus says OK and leaves a new mailbox behind",
        ["a OK Completed"], ["a NO Operation is not supported on mailbox"]),
    ("alice", "COMPRESS"): (
        "a Cyrus still has the arguments of SETQUOTA to read, two commands before",
        ["* BAD Invalid tag", "a BAD Missing required argument to Compress"],
        ["a BAD Missing required argument to Compress"]),
}
# What RENAME x x/z of a Cyrus left.
STRAY = re.compile(r'.* "/" (user/alice/)?x/z$')


@pytest.mark.limit(240)
def test_the_same_dialogue(server, cyrus_peer):
    peer = cyrus_peer(name="x")
    us = server(name="x", services=ONLY_IMAP)
    for one in (peer, us):
        one.make_user("alice", "bob")
    unused, wrong = set(DIFFERENT), []
    for user, text in (("alice", USER), ("admin", ADMIN), ("bob", OTHER)):
        theirs, ours = (Talker(one.imap_port, NORMAL, LEFT_OUT) for one in (peer, us))
        assert theirs.greeting == ours.greeting
        for command in commands(text):
            said = [line for line in theirs.say(command) if not STRAY.match(line)], ours.say(command)
            why, *listed = DIFFERENT.get((user, command), (None,))
            unused.discard((user, command))
            if said != tuple(listed) if why else said[0] != said[1]:
                wrong.append(f"{user}: {command}\n  {said[0]}\n  {said[1]}")
    assert not wrong, "\n".join(wrong)
    assert not unused
