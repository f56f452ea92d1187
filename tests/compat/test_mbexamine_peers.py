"""mbexamine, ours and Debian's, over the same messages: delivered to a running Cyrus and appended to a store of ours. What differs, and
why, is all in `as_theirs` and in the tests that name it."""
import os
import re
from pathlib import Path

import pytest

from lib.bench import Bench

PLAIN = ("From: Ann B <a@b.test>\r\nTo: bob@b.test, x@y\r\nCc: c@c\r\nSubject: hello there\r\nMessage-ID: <1@x>\r\n"
         "Date: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nbody\r\n")
ODD = ('From: =?utf-8?q?=C3=84nn?= <a@b.test>, "Q, uoted" <q@q>, c@d (Comment)\r\nTo: g: x@y, z@z;, Foo@Bar.Com\r\nBcc: e@e\r\n'
       'Subject: =?utf-8?q?dr=C3=B6i?=\r\nX-Mailer: abc\r\nReferences: <r@r>\r\nDate: Tue, 2 Jan 2024 23:00:00 +0000\r\n'
       "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nbody\r\n--x\r\nContent-type: text/html\r\n\r\nb\r\n--x--\r\n")
BARE = "X-One: nothing to speak of\r\n\r\n"
NO_DATE = "Subject: a 'thing'\r\nFrom: x@y\r\nDate: nonsense\r\n\r\nx\r\n"
MESSAGES = (PLAIN, ODD, BARE, NO_DATE, PLAIN.replace("hello", "goodbye"))


class Side:
    def __init__(self, host, path):
        self.host, self.path = host, path
        self.owner = os.stat(path / "1.")

    def put(self, name, text):
        (self.path / name).write_text(text)
        os.chown(self.path / name, self.owner.st_uid, self.owner.st_gid)


@pytest.fixture
def sides(roots, cyrus_peer):
    """user.bob with those messages, of which 5 is expunged, and its child Sent."""
    bench, peer = Bench(roots(), {"sync_log": False, "mailbox_default_options": 0}), cyrus_peer()
    peer.make_user("bob")
    bench.do("create user.bob bob lrswipkxtecdan", "create user.bob.Sent bob lrswipkxtecdan")
    with peer.imap("bob") as c:
        c.ok("CREATE", "Sent")
        for i, text in enumerate(MESSAGES, 1):
            c.append("INBOX", text.encode())
            bench.do(f"append user.bob {bench.message(text, f'm{i}')}")
        c.select("INBOX")
        c.ok("UID STORE 1 +FLAGS (\\Seen \\Flagged kw1 Kw2)")
        c.ok("UID STORE 2 +FLAGS (\\Answered \\Draft kw2)")
        c.ok("UID STORE 5 +FLAGS (\\Deleted)")
        c.ok("EXPUNGE")
    bench.do("flags user.bob 1 \\Seen \\Flagged kw1 Kw2", "flags user.bob 2 \\Answered \\Draft Kw2", "flags user.bob 5 \\Deleted",
             "expunge user.bob 5")
    return (Side(bench, bench.directory("user.bob")), Side(peer, Path(peer.tool("mbpath", "user/bob").stdout.strip())))


def run(side, *args):
    done = side.host.tool("mbexamine", *args) if isinstance(side.host, Bench) else side.host.tool("mbexamine", *args, check=False)
    return done.returncode, done.stdout, done.stderr


# What is each server's own: where, when, under which ids.
OWN = [(r"(Path to mailbox: ).*", r"\1-"), (r"(Unique ID: ).*", r"\1-"), (r"(INT_DATE|SAVEDATE|LASTUPD ):\d+", r"\1:-"),
       (r"(Last Append Date: ).*", r"\1-"), (r"(UIDValidity: )\d+", r"\1-"), (r"( Mod Sequence: | MODSEQ:)\d+", r"\1-")]


def shape(text):
    for pattern, replacement in OWN:
        text = re.sub(pattern, replacement, text)
    return text


FORMAT = [
    # The files are others, of another version, generation and size.
    (r"Generation Number: \d+", "Generation Number: 0"), (r"Minor Version: 1\n", "Minor Version: 17\n"),
    (r"Header Size: 4096 bytes  Record Size: 192 bytes", "Header Size: 160 bytes  Record Size: 112 bytes"),
    (r"CACHEVER:1 ", "CACHEVER:11")]
THEIR_FIELDS = {"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID"}


def cached_header(match):
    """We keep fields that they keep in other forms, and as they stand; without the blank line behind them."""
    lines = [line for line in match.group(2).split("\n") if line and line.split(":")[0] not in THEIR_FIELDS]
    return "CacHdr>" + "".join(line + "\n" for line in lines)


def as_theirs(text):
    """Our text with what we have and they have not taken out."""
    for pattern, replacement in FORMAT:
        text = re.sub(pattern, replacement, text)
    return re.sub(r"CacHdr>\{(\d+)\}(.*?)\n(?= From>)", cached_header, text, flags=re.S)


def as_ours(text):
    """And theirs: every message has the sequence number 1; without a Date the day of arrival is that when it was sent."""
    number = iter(range(1, 100))
    text = re.sub(r"^000001>", lambda m: f"{next(number):06}>", text, flags=re.M)
    text = re.sub(r"SENTDATE:(\d+)", lambda m: "SENTDATE:0" if int(m.group(1)) > 1.75e9 else m.group(0), text)
    return re.sub(r"CacHdr>\{(\d+)\}(.*?)\n(?= From>)", cached_header, text, flags=re.S)


def test_the_dump(sides):
    ours, theirs = sides
    (status, mine, err), (their_status, other, their_err) = run(ours, "user/bob"), run(theirs, "user/bob")
    assert (status, err) == (their_status, their_err) == (0, "")
    assert as_theirs(shape(mine)) == as_ours(shape(other))
    assert len(re.findall("> UID:", mine)) == 4


def test_a_mailbox_without_messages(sides):
    texts = [run(side, "user/bob/Sent") for side in sides]
    assert as_theirs(shape(texts[0][1])) == shape(texts[1][1])
    assert texts[0][::2] == texts[1][::2] == (0, "")


@pytest.mark.parametrize("args, status", [(("-u", "2", "user/bob"), 0), (("-s", "1", "user/bob"), 0), (("-u", "9", "user/bob"), 65),
                                          (("-u", "5", "user/bob"), 65), (("-s", "5", "user/bob"), 65)])
def test_one_message(sides, args, status):
    (ours, mine, _), (theirs, other, _) = [run(side, *args) for side in sides]
    assert as_theirs(shape(mine)).replace("000002>", "000001>") == as_ours(shape(other))
    # Nothing of that number: both say so, ours in its status as well.
    assert (ours, theirs) == (status, 0)


def test_sequence_numbers_behind_the_first(sides):
    """There all have the number 1, so the second is not found."""
    ours, theirs = [run(side, "-s", "2", "user/bob") for side in sides]
    assert "Desired message not found" in theirs[1] and theirs[0] == 0
    assert ours[0] == 0 and ours[1] == run(sides[0], "-u", "2", "user/bob")[1] and "000002> UID:00000002 " in ours[1]


def names(text):
    return sorted(re.findall(r"Examining (\S+)\.\.\.", text))


@pytest.mark.parametrize("args", [(), ("user/b%",), ("user/*",), ("*",), ("user/bob/*", "user/bob"), ("user/bob", "user/bob")])
def test_which_mailboxes(sides, args):
    for option in ("-q", "-c"):
        (status, mine, err), (_, other, _) = [run(side, option, *args) for side in sides]
        assert names(mine) == names(other) != [] and (status, err) == (0, "")


@pytest.mark.parametrize("args", [("user/nosuch",), ("-q", "nosuch*"), ("-c", "user.bob")])
def test_mailboxes_that_are_not_there(sides, args):
    """They say nothing and succeed: whoever misspelt a name believes all is well."""
    ours, theirs = [run(side, *args) for side in sides]
    assert theirs == (0, "", "")
    assert ours[:2] == (65, "") and args[-1].replace("/", ".").rstrip("*") in ours[2].replace("/", ".")


def lines(text):
    return [line.rstrip() for line in text.splitlines() if "Path to mailbox" not in line]


def intact(_):
    pass


def changed(side):
    side.put("1.", "From: changed@x\r\nSubject: other\r\nDate: Wed, 3 Jan 2024 10:00:00 +0000\r\n\r\n")


def gone(side):
    (side.path / "2.").unlink()


def stray(side):
    side.put("77.", "From: stray@x\r\nSubject: other\r\n\r\n")
    side.put("notes", "x")


def expunged(side):
    side.put("5.", "Subject: other\r\n\r\n")


def empty(side):
    side.put("3.", "")


def all_at_once(side):
    for edit in (changed, gone, stray, expunged):
        edit(side)


EDITS = [intact, changed, gone, stray, expunged, all_at_once]


@pytest.mark.parametrize("edit", EDITS)
def test_comparing_with_the_files(sides, edit):
    for side in sides:
        edit(side)
    (ours, mine, err), (theirs, other, _) = [run(side, "-c", "user/bob") for side in sides]
    assert lines(mine) == lines(other)
    assert (ours, err) == (0 if edit is intact else 65, "") and theirs == 0


def test_an_empty_file(sides):
    """To them that is as if there were none."""
    for side in sides:
        empty(side)
    mine, other = [lines(run(side, "-c", "user/bob")[1]) for side in sides]
    assert [line.split("\t")[0].rstrip() for line in mine] == [line.split("\t")[0].rstrip() for line in other]
    assert any("\tda39a3ee5e6b4b0d3255bfef95601890afd80709" in line for line in mine)


@pytest.mark.parametrize("edit", [intact, changed, stray, expunged])
def test_comparing_sizes(sides, edit):
    for side in sides:
        edit(side)
    (ours, mine, err), (theirs, other, _) = [run(side, "-q", "user/bob") for side in sides]
    # At the first wrong size they stop; ours has the sum at the end in any case.
    assert mine.startswith(other) and (mine == other or edit is changed)
    assert (ours, theirs, err) == (65 if edit is changed else 0, 0, "")


def test_sizes_without_a_file(sides):
    ours, theirs = sides
    for side in sides:
        gone(side)
    (status, mine, err), (_, other, _) = [run(side, "-q", "user/bob") for side in sides]
    assert mine == other == "Examining user/bob...  Mailbox has INCORRECT total quota usage\n"
    # They tell the log alone which.
    assert status != 0 and "UID 2: Can not open message file" in err
    assert any("Can not open message file" in line for line in theirs.host.log())


@pytest.mark.parametrize("args", [("-z",), ("-u",), ("-u", "1", "-s", "1", "user/bob"), ("-s", "1", "-s", "1", "user/bob")])
def test_wrong_calls(sides, args):
    ours, theirs = [run(side, *args) for side in sides]
    assert ours[:2] == theirs[:2] == (64, "") and ours[2].splitlines()[1:] == theirs[2].splitlines()[1:]


@pytest.mark.parametrize("args", [("-u", "x", "user/bob"), ("-u", "0", "user/bob"), ("-q", "-c", "user/bob"), ("-c", "-u", "1", "user/bob")])
def test_calls_without_sense(sides, args):
    """They take no notice of part of it."""
    ours, theirs = [run(side, *args) for side in sides]
    assert ours[:2] == (64, "") and theirs[0] == 0


@pytest.mark.parametrize("header, mine, other", [
    # A control of a stranger's does not reach the terminal.
    ("From: \x01\x1b[31m <a@b>\r\nSubject: \x1b]0;x", [' From>{14}"??[31m" <a@b>', ' Subjct>{7}"?]0;x"'], "\x1b"),
    # A quote in a string does not make it a literal: that is how our server has it in ENVELOPE, too.
    ('Subject: a "quoted" \\ thing', [' Subjct>{23}"a \\"quoted\\" \\\\ thing"'], ' Subjct>{24}{18}\na "quoted" \\ thing'),
    # A domain that is not there is not made up.
    ("From: x", [" From>{3}<x>"], " From>{22}<x@unspecified-domain>"),
    # Every To field counts, and not the last alone.
    ("To: a@b\r\nTo: c@d", [" To>{11}<a@b>,<c@d>"], " To>{5}<c@d>")])
def test_strings_that_are_shown_otherwise(sides, header, mine, other):
    message = header + "\r\n\r\nx\r\n"
    ours, theirs = sides
    ours.host.do(f"append user.bob.Sent {ours.host.message(message)}")
    with theirs.host.imap("bob") as c:
        c.append("Sent", message.encode())
    shown, shown_there = run(ours, "user/bob/Sent")[1], run(theirs, "user/bob/Sent")[1]
    assert other in shown_there and other not in shown and set(mine) <= set(shown.split("\n"))
