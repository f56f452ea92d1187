"""What imapd shows and finds of messages, against a real Cyrus 3.6.1 and a real Dovecot 2.3: over ordinary mail all three agree
but for habits that NORMAL and the readers below name; over the odd messages of tests/messages each difference is listed with
its reason."""
import shutil

import pytest

from lib import places
from lib.cyrus_peer import CyrusPeer
from lib.dovecot_peer import DovecotPeer
from lib.imap import Literal, parse_date
from lib.mail_corpus import MARKS, corpus
from lib.messages import FOLDER
from lib.server import ONLY_IMAP, Server


ORDINARY = {f"corpus {i}": message for i, message in enumerate(corpus(120, most=60000))}


def mixed(*parts):
    return b"Subject: made\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" + \
        b"".join(b"--a\r\n" + part + b"\r\n" for part in parts) + b"--a--\r\n"


INNER = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"
ORDINARY |= {
    "forwarded": mixed(b"\r\nsee below", b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n" + INNER + b"\r\n"),
    "closed inside": mixed(INNER + b"\r\n", b"\r\nlast"),
    "with an epilogue": mixed(INNER + b"\r\nbye", b"\r\nlast"),
    "with a blank epilogue": mixed(INNER + b"\r\n\r\n", b"\r\nlast"),
    "html and charsets": mixed(
        b"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"<p>Gr=FC=DFe aus <b>K=F6ln</b></p>",
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nbsOkY2h0aWc=",
        b'Content-Type: application/pdf; name="angebot.pdf"\r\n\r\nnothing to read'),
    "encoded header": b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.com>\r\nTo: a@b, \"C, D\" <c@d>\r\n"
                      b"Subject: =?iso-8859-1?q?H=E5vard?= und =?utf-8?b?w4RyZ2Vy?=\r\n"
                      b"Date: Thu, 1 Jan 2026 23:00:00 -0800\r\n\r\ntext\r\n",
    "no date": b"Subject: undated\r\n\r\ntext\r\n",
}
ODD = {path.stem: path.read_bytes() for path in sorted((FOLDER / "odd").glob("*.eml"))}


class Filled:
    """A server with bob's INBOX full, selected."""

    def __init__(self, server, messages):
        self.server, self.uid, self.refused = server, {}, {}
        self.c = server.imap("bob")
        for name, message in messages.items():
            reply = self.c.command("APPEND", "INBOX", '" 1-Jan-2026 00:00:00 +0000"', Literal(message))
            if reply.status == "OK":
                self.uid[name] = reply.code[2]
            else:
                self.refused[name] = reply.text
        self.c.select("INBOX")
        self.name = {uid: name for name, uid in self.uid.items()}

    def fetch(self, name, items):
        uid = self.uid[name]
        got = self.c.fetch(str(uid), items)[uid]
        got.pop("UID")
        return got

    def search(self, *criteria):
        reply = self.c.command("UID SEARCH", *criteria)
        return {self.name[uid] for uid in reply.one("SEARCH").values} if reply.status == "OK" else reply.status


@pytest.fixture(scope="module")
def trio(cyrus_tree, dovecot_tree):
    servers = [Server(places.make_root(), services=ONLY_IMAP, users=["bob"]),
               CyrusPeer(places.make_root(), cyrus_tree, users=["bob"]),
               DovecotPeer(places.make_root(), dovecot_tree, users=["bob"])]
    try:
        for one in servers:
            one.start()
        for one in servers[:2]:
            one.make_user("bob")
        yield [Filled(one, ORDINARY | ODD) for one in servers]
    finally:
        for one in servers:
            one.stop()
            places.kill_processes_of(one.root)
            shutil.rmtree(one.root, ignore_errors=True)


# ---- readers: what is habit, not content ---------------------------------------------------------------


def lower(value):
    """Types, encodings and parameter names have no case; Dovecot writes them in lower case."""
    if isinstance(value, list):
        return [lower(v) for v in value]
    return value.lower() if isinstance(value, bytes) else value


def charset_is_implied(structure):
    """Dovecot gives every text without a charset us-ascii, RFC 3501 shows parameters that are there."""
    if not isinstance(structure, list):
        return structure
    out = [charset_is_implied(v) for v in structure]
    if len(out) > 2 and out[0] == b"text" and isinstance(out[1], bytes):
        pairs = out[2] or []
        kept = [v for i in range(0, len(pairs), 2) for v in pairs[i:i + 2] if pairs[i:i + 2] != [b"charset", b"us-ascii"]]
        out[2] = kept or None
    return out


def structure(value):
    return charset_is_implied(lower(value))


def nothing(value):
    """Dovecot says "" of a section that is not there."""
    return value or None


def paths(structure, path=""):
    """The numbers of all parts of a BODYSTRUCTURE."""
    if isinstance(structure[0], list):
        parts = [p for p in structure if isinstance(p, list) and p and isinstance(p[0], (list, bytes))]
        parts = parts[:next((i for i, p in enumerate(structure) if not isinstance(p, list)), len(parts))]
        for i, part in enumerate(parts, 1):
            number = f"{path}.{i}" if path else str(i)
            yield number
            yield from inside(part, number)
    else:
        number = f"{path}.1" if path else "1"
        yield number
        yield from inside(structure, number)


def inside(part, number):
    if isinstance(part[0], list):
        yield from paths(part, number)
    elif lower(part[:2]) == [b"message", b"rfc822"]:
        yield from paths(part[8], number)


def sections(structure):
    texts = ["HEADER", "TEXT", "HEADER.FIELDS (FROM SUBJECT X-NONE)", "HEADER.FIELDS.NOT (FROM X-ODD)", "77"]
    for path in paths(structure):
        texts += [path, path + ".MIME", path + ".HEADER", path + ".TEXT"]
    out = [f"BODY.PEEK[{text}]" for text in texts]
    return "(" + " ".join(out) + " BODY.PEEK[]<7.21> BODY.PEEK[TEXT]<999999.2> BODY.PEEK[1]<1.5>)"


def differences(us, peer, name):
    """The items of which the two say different things."""
    what = "(ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE INTERNALDATE BODY.PEEK[])"
    ours, theirs = us.fetch(name, what), peer.fetch(name, what)
    if ours["BODY[]"] != theirs["BODY[]"]:
        return {"BODY[]"}
    different = {item for item in ("ENVELOPE", "RFC822.SIZE") if ours[item] != theirs[item]}
    if parse_date(ours["INTERNALDATE"]) != parse_date(theirs["INTERNALDATE"]):    # " 1-Jan" or "01-Jan"
        different.add("INTERNALDATE")
    for item in ("BODYSTRUCTURE", "BODY"):
        if structure(ours[item]) != structure(theirs[item]):
            different.add(item)
    asked = sections(ours["BODYSTRUCTURE"])
    ours, theirs = us.fetch(name, asked), peer.fetch(name, asked)
    return different | {item for item in ours if nothing(ours[item]) != nothing(theirs.get(item))}


# ---- FETCH ---------------------------------------------------------------------------------------------


@pytest.mark.limit(300)
def test_ordinary_messages_are_shown_alike(trio):
    us, cyrus, dovecot = trio
    wrong = []
    for name in ORDINARY:
        for peer in (cyrus, dovecot):
            found = differences(us, peer, name)
            if found:
                wrong.append((type(peer.server).__name__, name, sorted(found)))
    assert not wrong


STRUCTURE = {"BODY", "BODYSTRUCTURE"}
FIRST = {"BODY[1]", "BODY[1]<1>"}      # the first part is elsewhere
MIME = {"BODY[1.MIME]"}
NESTED = STRUCTURE | {"BODY[1.1.MIME]", "BODY[1.1]", "BODY[1.HEADER]", "BODY[1.TEXT]"}

# {why: {message: items}}
CYRUS = {
    "a parameter it cannot read makes it drop all of them; we keep what can be read": {
        "ct-no-semicolon": STRUCTURE, "ct-param-without-value": STRUCTURE, "ct-unclosed-quote": STRUCTURE,
        "ct-unquoted-blanks": STRUCTURE},
    "\"base64;\" is base64 to us": {"cte-semicolon": STRUCTURE},
    "a multipart without a part shows nothing; we show what is there as text": {
        "digest-empty": STRUCTURE | FIRST, "mp-boundary-never-seen": STRUCTURE | FIRST,
        "mp-empty-boundary-param": STRUCTURE | FIRST | MIME,
        "mp-no-boundary-param": STRUCTURE | FIRST | MIME | {"BODY[TEXT]"},
        "mp-only-closing": STRUCTURE | FIRST | MIME | {"BODY[TEXT]"}},
    "blanks at the end of a boundary are not part of it (RFC 2046, 5.1.1)": {
        "mp-boundary-trailing-blank": STRUCTURE | FIRST | MIME},
    "an outer delimiter ends what is open inside it (RFC 2046, 5.1.2)": {
        "mp-boundary-extends-outer-inner-open": STRUCTURE | {"BODY[1]", "BODY[2.MIME]", "BODY[2]"},
        "mp-equal-boundaries": STRUCTURE | {"BODY[1]", "BODY[2.MIME]", "BODY[2]"},
        "mp-inner-unclosed": STRUCTURE | {"BODY[1]", "BODY[2.MIME]", "BODY[2]"},
        "rfc822-same-boundary-inside": STRUCTURE | {"BODY[1]", "BODY[1.TEXT]"}},
    "a header that begins with what is no field is text": {
        "mp-part-without-blank-line": STRUCTURE | FIRST | MIME, "digest-part-without-blank-line": NESTED,
        "rfc822-base64": NESTED},
    "the line end of a last field belongs to the field, not to the delimiter": {
        "mp-inner-header-cut-by-outer": {"BODY[1]", "BODY[1.1.MIME]"},
        "mp-part-header-only": {"BODY[1.MIME]", "BODY[2.MIME]"}},
    "it shows a line that is no field among the fields": {
        "continuation-first": {"BODY[HEADER.FIELDS.NOT (FROM X-ODD)]"},
        "mbox-line-first": {"BODY[HEADER.FIELDS.NOT (FROM X-ODD)]"}},
    "CR CR LF is a blank line to its APPEND and none to its parser": {
        "double-cr": STRUCTURE | FIRST | MIME | {"BODY[HEADER]", "BODY[TEXT]", "ENVELOPE"}},
    "addresses: what cannot be read costs as little as possible (address.h)": {
        name: {"ENVELOPE"} for name in ("env-comments", "env-odd-addresses", "env-routes", "env-separators",
                                        "env-unclosed")},
    "destinations in several fields are one list (RFC 5322, 4.5.3)": {"env-repeated": {"ENVELOPE"}},
    "blanks around a value are no part of it": {"env-folded": {"ENVELOPE"}},
}
DOVECOT = {
    "it keeps 8-bit characters of a header, and rewrites line ends": {
        "8bit-in-header": {"BODY[]"}, "double-cr": {"BODY[]"}},
    "fields that are there and empty are \"\", not NIL": {"content-fields-empty": STRUCTURE},
    "a Content-Type or an encoding that cannot be read is text/plain and 7bit, or what can be read of it": {
        name: STRUCTURE for name in ("ct-empty", "ct-missing-slash", "ct-no-semicolon", "ct-only-slash",
                                     "ct-param-without-value", "ct-repeated", "ct-unclosed-comment",
                                     "ct-unclosed-quote", "ct-unquoted-blanks", "cte-semicolon", "cte-unknown",
                                     "cte-with-comment", "mp-boundary-unquoted-specials")},
    "RFC 2231: continuations are joined, and a plus or a percent sign is itself": {
        "ct-2231-encoded": STRUCTURE, "ct-2231-shuffled": STRUCTURE},
    "a multipart without a part shows nothing; we show what is there as text": {
        "digest-empty": STRUCTURE | FIRST, "mp-boundary-never-seen": STRUCTURE | FIRST,
        "mp-empty-boundary-param": STRUCTURE | FIRST | MIME, "mp-no-boundary-param": STRUCTURE | FIRST,
        "mp-only-closing": STRUCTURE | FIRST},
    "boundaries: blanks at the end are not part of them, long ones are not cut, a delimiter stands alone in its line": {
        "mp-boundary-trailing-blank": STRUCTURE | FIRST | MIME, "mp-boundary-long": STRUCTURE | FIRST,
        "mp-text-behind-delimiter": STRUCTURE | FIRST},
    "a part that begins where the text ends is a part": {"mp-delimiter-at-end-unended": STRUCTURE},
    "a header that begins with what is no field is text": {
        "mp-part-without-blank-line": STRUCTURE | FIRST | MIME,
        "digest-part-without-blank-line": NESTED | {"BODY[1]"}, "rfc822-base64": NESTED},
    "it adds a blank line to a header that has none": {
        "mp-adjacent-delimiters": {"BODY[2.MIME]"}, "mp-inner-header-cut-by-outer": {"BODY[1.1.MIME]"},
        "mp-part-header-only": {"BODY[1.MIME]", "BODY[2.MIME]"}, "mp-part-only-blank-line": {"BODY[1.MIME]"},
        "rfc822-empty": {"BODY[1.MIME]"}, "no-body": {"BODY[HEADER.FIELDS.NOT (FROM X-ODD)]"}},
    "it shows a line that is no field among the fields": {
        "continuation-first": {"BODY[HEADER.FIELDS.NOT (FROM X-ODD)]"},
        "mbox-line-first": {"BODY[HEADER.FIELDS.NOT (FROM X-ODD)]"}},
    "addresses and blanks are kept as they are written; nothing is called MISSING_MAILBOX": {
        name: {"ENVELOPE"} for name in ("env-comments", "env-control-bytes", "env-empty-fields", "env-folded",
                                        "env-missing-parts", "env-odd-addresses", "env-phrases", "env-routes",
                                        "env-separators", "env-unclosed", "whitespace-line-in-header")},
    "of a field that may stand once the last one counts, as in Cyrus": {"env-repeated": {"ENVELOPE"}},
}


def flat(listed):
    return {name: (items, why) for why, messages in listed.items() for name, items in messages.items()}


@pytest.mark.limit(300)
@pytest.mark.parametrize("number, listed", [(1, flat(CYRUS)), (2, flat(DOVECOT))], ids=["Cyrus", "Dovecot"])
def test_odd_messages_differ_as_listed(trio, number, listed):
    us, peer = trio[0], trio[number]
    wrong = []
    for name in ODD:
        if name in us.uid and name in peer.uid:
            found, expected = differences(us, peer, name), listed.get(name, (set(), None))[0]
            if found != expected:
                wrong.append((name, sorted(found - expected), sorted(expected - found)))
    assert not wrong
    assert not set(listed) - (set(us.uid) & set(peer.uid))


def test_append_refuses_what_a_cyrus_refuses(trio):
    us, cyrus, _ = trio
    assert us.refused == cyrus.refused and len(us.refused) == 10


# ---- SEARCH --------------------------------------------------------------------------------------------

SEARCHES = [
    f"SUBJECT {MARKS['subject']}", f"FROM {MARKS['from']}", f"BODY {MARKS['text']}", f"TEXT {MARKS['text']}",
    "FROM example.com", "TO example.com", "CC a", "BCC a", 'HEADER Message-ID "<7@corpus"', 'HEADER List-Id ""',
    "HEADER Precedence LIST", 'HEADER X-None ""', "SINCE 1-Jan-2026", "BEFORE 1-Jan-2026", "ON 1-Jan-2026",
    "SENTON 5-Jan-2025", "SENTBEFORE 5-Jan-2025", "SENTSINCE 20-Jan-2025", "LARGER 20000", "SMALLER 1000",
    "LARGER 5000 SMALLER 9000", "1:7,20:*", "UID 3:9", "NOT 1:100", "OR SUBJECT made SUBJECT undated",
    "NOT (OR FROM example.com LARGER 3000)", "SUBJECT havard", 'SUBJECT "und jarger"', "SUBJECT made BODY last",
    "BODY wichtig", "BODY koln", 'BODY "grusse aus koln"', "TEXT multipart", "ALL", "UNSEEN", "NEW", "OLD",
    "KEYWORD nonesuch", "UNKEYWORD nonesuch", 'SUBJECT ""', 'TEXT ""', "FROM joerg", 'FROM "jorg"', 'TO "C, D"',
]


UNDATED = {name for name, message in ORDINARY.items() if b"\nDate:" not in message}
# {criteria: (why, what a Cyrus finds otherwise, what Dovecot finds otherwise)}
FOUND = {
    "SENTBEFORE 5-Jan-2025": ("to Dovecot what has no date was sent in 1970", set(), UNDATED),
    "SENTSINCE 20-Jan-2025": ("to Dovecot what has no date was sent in 1970", set(), UNDATED),
    "SUBJECT havard": ("Dovecot tells letters with and without a diacritic apart", set(), {"encoded header"}),
    'FROM "jorg"': ("Dovecot tells letters with and without a diacritic apart", set(), {"encoded header"}),
    "BODY koln": ("the same, and a Cyrus loses the last line of quoted-printable text", {"html and charsets"},
                  {"html and charsets"}),
    'BODY "grusse aus koln"': ("HTML is searched as text, and a sharp s is two of s", {"html and charsets"},
                               {"html and charsets"}),
}


@pytest.mark.limit(300)
def test_searches(trio):
    us, cyrus, dovecot = trio
    wrong = []
    for criteria in SEARCHES:
        ours, theirs, others = (one.search(criteria) & set(ORDINARY) for one in trio)
        found = (ours ^ theirs, ours ^ others)
        if found != FOUND.get(criteria, (None, set(), set()))[1:]:
            wrong.append((criteria, len(ours), *map(sorted, found)))
    assert not wrong
    assert not set(FOUND) - set(SEARCHES)


# {criteria: what a Cyrus finds otherwise of the odd messages}
ODD_SEARCHES = {
    "SUBJECT odd": set(), "FROM ann": set(), "TO bob": set(), "TEXT inner": set(), "SENTON 23-Nov-2026": set(),
    "HEADER Content-Type html": set(),
    "BODY text": {"mp-boundary-never-seen"},    # it shows nothing of it either
}


def test_searches_of_odd_messages(trio):
    us, cyrus, _ = trio
    both = set(us.uid) & set(cyrus.uid) & set(ODD)
    for criteria, otherwise in ODD_SEARCHES.items():
        assert (us.search(criteria) ^ cyrus.search(criteria)) & both == otherwise, criteria
