"""The Python dlist: what it reads, what it refuses, and every recorded line there and back."""
import pytest

from lib import captures, dlist
from lib.dlist import File, Flag

GUID = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
WRITTEN = [
    (None, b"NIL"), ("", b'""'), ("NIL", b'"NIL"'), ("nil", b"nil"), ("a.b", b"a.b"), (7, b"7"),
    ("private note", b'"private note"'), ('say "x" 100%', b'{12+}\r\nsay "x" 100%'), ("\\Sent", b"{5+}\r\n\\Sent"),
    ("bob\tlrs\t", b'"bob\tlrs\t"'), ("}[]!^&#./@", b"}[]!^&#./@"), ("a{b", b'"a{b"'), ("a(b", b'"a(b"'),
    ("a*b", b'"a*b"'), ("x" * 1023, b"x" * 1023), ("x" * 1024, b"{1024+}\r\n" + b"x" * 1024),
    ("x " * 512, b"{1024+}\r\n" + b"x " * 512), ("\u00e9", b"{2+}\r\n\xc3\xa9"), ("\udcff", b"{1+}\r\n\xff"),
    ("a\0b", b"{3+}\r\na\0b"), ("a\r\nb", b"{4+}\r\na\r\nb"), (Flag("\\Seen"), b"\\Seen"),
    (["a", ["b", None]], b"(a (b NIL))"), ([], b"()"), ({}, b"%()"), ({"A": "1", "B": ["c"]}, b"%(A 1 B (c))"),
    ([File("default", GUID, b"xy"), File("p 2", GUID, b"")],
     b"(%{default " + GUID.encode() + b" 2}\r\nxy %{\"p 2\" " + GUID.encode() + b" 0}\r\n)"),
]
LENIENT = [
    (b"( a  b )", ["a", "b"]), (b"%(A  1 A 2)", {"A": "1"}), (b'"a\\"b\\x"', 'a"bx'), (b"{2}\r\nab", "ab"),
    (b"a%b", "a%b"), (b"{2}\nab", "ab"), (b"(a\r\nb)", ["a", "b"]), (b'(a"b")', ["a", "b"]),
]
BAD = [b"", b" ", b"(", b"(a", b"%(A", b"%(A 1", b"% (", b"%a", b'"a', b'"a\r\nb"', b"{5}\r\nab", b"a b", b")",
       b"%{p " + GUID.encode() + b" 3}\r\nab", b"%{p x 1}\r\na"]


@pytest.mark.parametrize("value,data", WRITTEN, ids=lambda v: repr(v)[:30])
def test_written_and_read(value, data):
    assert dlist.write(value) == data
    assert dlist.parse(data) == (str(value) if isinstance(value, int) else value)


@pytest.mark.parametrize("data,value", LENIENT)
def test_read_leniently_and_told_from_canonical(data, value):
    assert dlist.parse(data) == value
    assert not dlist.canonical(b"K " + data)


@pytest.mark.parametrize("data", BAD)
def test_refused(data):
    with pytest.raises(dlist.BadDlist):
        dlist.parse(data)


def test_flags_are_told_from_strings():
    flag, text = dlist.parse(b'(\\Seen "\\\\Seen")')
    assert isinstance(flag, Flag) and flag == "\\Seen"
    assert not isinstance(text, Flag) and text == "\\Seen"


def test_every_recorded_line_there_and_back():
    seen = 0
    for path in captures.files():
        for title, client, server in captures.streams(path):
            by_hand = path.name.startswith("24-")    # lines malformed on purpose
            for line in captures.messages(client):
                verb, _, rest = line.partition(b" ")
                if verb.upper() in (b"GET", b"APPLY", b"RESTORE") and not by_hand:
                    assert dlist.canonical(rest), (path.name, title, line[:200])
                    seen += 1
            for line in captures.messages(server):
                if line.startswith((b"* MAILBOX ", b"* MESSAGE", b"* QUOTA", b"* LSUB", b"* SEEN", b"* SIEVE %",
                                    b"* ANNOTATION", b"* MISSING", b"* ENABLED")):
                    assert dlist.canonical(line[2:]), (path.name, title, line[:200])
                    seen += 1
    assert seen > 800
