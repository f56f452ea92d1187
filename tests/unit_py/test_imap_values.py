"""The IMAP response parser: what it reads, and how strict it is."""
import pytest

from lib.imap import format_date, parse_date, quote
from lib.imap_values import BadResponse, is_status, literal_size, pairs, parse_untagged, text

GOOD = [
    (b"* CAPABILITY IMAP4rev1 AUTH=PLAIN", "CAPABILITY", None, ["IMAP4rev1", "AUTH=PLAIN"]),
    (b"* 12 EXISTS", "EXISTS", 12, []),
    (b"* SEARCH", "SEARCH", None, []),
    (b"* search 1 3 5", "SEARCH", None, [1, 3, 5]),
    (b'* LIST (\\Noselect) "/" ""', "LIST", None, [["\\Noselect"], b"/", b""]),
    (b"* LIST (\\HasNoChildren) NIL {3}\r\na\"b", "LIST", None, [["\\HasNoChildren"], None, b'a"b']),
    (b"* FLAGS (\\Seen $X)", "FLAGS", None, [["\\Seen", "$X"]]),
    (b'* NAMESPACE (("" "/")) NIL (("a" "/")("b" "."))', "NAMESPACE", None,
     [[[b"", b"/"]], None, [[b"a", b"/"], [b"b", b"."]]]),
    (b"* 1 FETCH (UID 7 FLAGS () BODY[TEXT]<0> {2}\r\nhi)", "FETCH", 1,
     [["UID", 7, "FLAGS", [], "BODY[TEXT]<0>", b"hi"]]),
    (b'* 1 FETCH (BODY[HEADER.FIELDS ("A]" B)] "" BINARY[1.2] ~{3}\r\na\0b)', "FETCH", 1,
     [['BODY[HEADER.FIELDS ("A]" B)]', b"", "BINARY[1.2]", b"a\0b"]]),
    (b'* 1 FETCH (BODYSTRUCTURE ((NIL NIL)("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 7 1) "MIXED"))',
     "FETCH", 1, [["BODYSTRUCTURE", [[None, None], [b"TEXT", b"PLAIN", [b"CHARSET", b"utf-8"], None, None, b"7BIT", 7,
                                                     1], b"MIXED"]]]),
    (b'* 2 FETCH (ENVELOPE ("a \\"q\\" \\\\" NIL))', "FETCH", 2, [["ENVELOPE", [b'a "q" \\', None]]]),
    (b"* STATUS 007 (MESSAGES 0)", "STATUS", None, ["007", ["MESSAGES", 0]]),
    (b"* VANISHED (EARLIER) 1:3,5", "VANISHED", None, [["EARLIER"], "1:3,5"]),
    (b"* THREAD (1)(2 3)(4 (5)(6))", "THREAD", None, [[1], [2, 3], [4, [5], [6]]]),
    (b"* ESEARCH (TAG \"t1\") UID ALL 1:3", "ESEARCH", None, [["TAG", b"t1"], "UID", "ALL", "1:3"]),
    (b"* QUOTA user/a ()", "QUOTA", None, ["user/a", []]),
]
STATUS = [
    (b"* OK ready (a {5}", None, "ready (a {5}"),
    (b"* OK [UIDVALIDITY 7] Ok", ["UIDVALIDITY", 7], "Ok"),
    (b"* OK [PERMANENTFLAGS (\\Seen \\*)] Ok", ["PERMANENTFLAGS", ["\\Seen", "\\*"]], "Ok"),
    (b"* OK [CAPABILITY A B=C] x y", ["CAPABILITY", "A", "B=C"], "x y"),
    (b"* NO [ALERT] Mailbox is at 100%", ["ALERT"], "Mailbox is at 100%"),
    (b"* OK [REFERRAL imap://a;b@c/%20] moved", ["REFERRAL", "imap://a;b@c/%20"], "moved"),
    (b"* OK [CLOSED]", ["CLOSED"], ""),
]
BAD = [b"* LIST (\\Noselect)  \"/\" a", b"* LIST ( a) NIL b", b"* LIST (a ) NIL b", b"* LIST (a", b'* LIST () "a',
       b'* LIST () "a\\b" c', b'* LIST () "\xe9" c', b"* LIST () a\xe9 c", b"* SEARCH ", b"* SEARCH 1 ", b"LIST a",
       b"* 1 FETCH (UID 1)x", b"* LIST () NIL {9}\r\nab", b"* OK [ALERT]now", b"* LIST () NIL a%b", b"* SEARCH 1)"]


@pytest.mark.parametrize("raw,name,number,values", GOOD, ids=lambda v: str(v)[:30])
def test_read(raw, name, number, values):
    got = parse_untagged(raw)
    assert (got.name, got.number, got.values) == (name, number, values)


@pytest.mark.parametrize("raw,code,words", STATUS)
def test_status(raw, code, words):
    got = parse_untagged(raw)
    assert (got.code, got.text) == (code, words)
    assert is_status(raw)


@pytest.mark.parametrize("raw", BAD)
def test_refused(raw):
    with pytest.raises(BadResponse):
        parse_untagged(raw)


def test_a_number_keeps_its_spelling():
    assert [parse_untagged(b"* X " + n).values[0] for n in (b"0", b"10", b"010", b"-1")] == [0, 10, "010", "-1"]
    assert [text(v) for v in (7, "007", None, b"a")] == ["7", "007", "NIL", "a"]


def test_literals_are_announced_at_the_end_of_a_line():
    assert literal_size(b"* 1 FETCH (BODY[] {12}") == 12
    assert literal_size(b"* 1 FETCH (BINARY[1] ~{3}") == 3
    assert literal_size(b"* 1 FETCH (X {3} )") is None
    assert not is_status(b"* LIST () NIL OK") and is_status(b"t1 NO [X] {3}")


def test_pairs():
    assert pairs(["UID", 7, "flags", []]) == {"UID": 7, "FLAGS": []}
    with pytest.raises(BadResponse):
        pairs(["UID"])


def test_dates_there_and_back():
    for seconds in (0, 1769940000, 1795482198, 951782400):
        assert parse_date(format_date(seconds).encode()) == seconds
    assert format_date(1769940000) == " 1-Feb-2026 10:00:00 +0000"
    assert parse_date(b"01-Feb-2026 12:00:00 +0200") == 1769940000


def test_quote():
    assert quote('a"b\\c') == '"a\\"b\\\\c"'
    assert quote("\u00e9").data == b"\xc3\xa9" and quote("a\r\nb").data == b"a\r\nb"
