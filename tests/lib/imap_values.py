"""What an IMAP server says, as Python values (RFC 3501 section 9, and the extensions we speak).

    atom, flag, BODY[...]<n>   str       "FETCH", "\\\\Seen", "BODY[HEADER.FIELDS (FROM)]<0>"
    string, literal            bytes
    number                     int       (only if written the usual way; "007" stays a str)
    NIL                        None
    (...)                      list

The parser is strict: one blank between values, none inside a bracket, no 8-bit or control bytes in a quoted
string, no backslash before anything but a quote or a backslash. A server that needs leniency is wrong."""
import re
from dataclasses import dataclass, field


class BadResponse(Exception):
    pass


@dataclass
class Response:
    """One untagged response: "* 12 FETCH (...)", "* LIST (...) ...", "* OK [code] text"."""
    name: str                                    # upper case
    number: int = None
    values: list = field(default_factory=list)
    code: list = None                            # of a status response: ["UIDVALIDITY", 7]
    text: str = ""                               # of a status response
    raw: bytes = b""


STATUS = ("OK", "NO", "BAD", "BYE", "PREAUTH")
_LITERAL_END = re.compile(rb"~?\{(\d+)\}$")
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_QUOTED = re.compile(rb'"((?:[\x01-\x09\x0b\x0c\x0e-\x1f !#-\x5b\x5d-\x7f]|\\["\\])*)"')
_SECTION = re.compile(rb'(?:BODY|BINARY|BINARY\.SIZE)\[(?:[^\]"\r\n]|"(?:[^"\\]|\\.)*")*\](?:<\d+>)?', re.I)
_ATOM = re.compile(rb'\\\*|\\?[^\x00-\x20\x7f-\xff(){%*"\\]+')
_CODE_ATOM = re.compile(rb'\\\*|\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_NUMBER = re.compile(rb"0|[1-9][0-9]*")


def literal_size(line):
    """The size of the literal that this line, or what goes on after a literal, announces at its end; or None."""
    match = _LITERAL_END.search(line)
    return int(match[1]) if match else None


def is_status(line):
    """Is this the first line of a response that ends in text for a human, where a brace means nothing?"""
    words = line.split(b" ", 2)
    return len(words) > 1 and words[1].decode("ascii", "replace").upper() in STATUS


class _Reader:
    def __init__(self, data, atom=_ATOM):
        self.data, self.at, self.atom = data, 0, atom

    def fail(self, what):
        raise BadResponse(f"{what} at byte {self.at} of {self.data[:400]!r}")

    def peek(self):
        return self.data[self.at:self.at + 1]

    def take(self, pattern):
        match = pattern.match(self.data, self.at)
        if match:
            self.at = match.end()
        return match

    def values(self, end):
        """Values with one blank between them (two lists may touch) up to, not over, a byte of `end`."""
        out = []
        if self.peek() and self.peek() in end:
            return out
        while True:
            out.append(self.value())
            if self.at == len(self.data) or self.peek() in end:
                return out
            if self.peek() == b" ":
                self.at += 1
            elif not (isinstance(out[-1], list) and self.peek() == b"("):
                self.fail("no blank between values")

    def value(self):
        first = self.peek()
        if first == b"(":
            self.at += 1
            out = self.values(b")")
            if self.peek() != b")":
                self.fail("a list without end")
            self.at += 1
            return out
        if first == b'"':
            match = self.take(_QUOTED) or self.fail("a bad quoted string")
            return re.sub(rb"\\(.)", rb"\1", match[1])
        match = self.take(_LITERAL)
        if match:
            start, self.at = self.at, self.at + int(match[1])
            if self.at > len(self.data):
                self.fail("a literal without end")
            return self.data[start:self.at]
        match = self.take(_SECTION) or self.take(self.atom) or self.fail("no value")
        return _atom(match[0])


def _atom(text):
    if _NUMBER.fullmatch(text):
        return int(text)
    return None if text.upper() == b"NIL" else text.decode("ascii")


def parse_values(data):
    reader = _Reader(data)
    out = reader.values(b"") if data else []
    if reader.at != len(data):
        reader.fail("left over")
    return out


def parse_status(rest):
    """"[CODE ...] text" -> (code or None, text). A code we cannot read is one string."""
    if not rest.startswith(b"["):
        return None, rest.decode("utf-8", "backslashreplace")
    reader = _Reader(rest, _CODE_ATOM)
    reader.at = 1
    try:
        code = reader.values(b"]")
        if reader.peek() != b"]":
            reader.fail("a response code without end")
        end = reader.at
    except BadResponse:
        end = rest.find(b"]")
        if end < 0:
            raise
        code = rest[1:end].decode("utf-8", "backslashreplace").split(" ", 1)
    if rest[end + 1:end + 2] not in (b" ", b""):
        raise BadResponse(f"no blank after the response code of {rest[:200]!r}")
    return code, rest[end + 2:].decode("utf-8", "backslashreplace")


def parse_untagged(raw):
    """raw: one untagged response with its literals, from "* " on, without the last CRLF."""
    if not raw.startswith(b"* "):
        raise BadResponse(f"no untagged response: {raw[:200]!r}")
    word, blank, rest = raw[2:].partition(b" ")
    if _NUMBER.fullmatch(word) and blank:
        number = int(word)
        name, blank, rest = rest.partition(b" ")
        out = Response(name.decode("ascii").upper(), number, raw=raw)
    else:
        out = Response(word.decode("ascii").upper(), raw=raw)
    if blank and not rest:
        raise BadResponse(f"a blank at the end of {raw[:200]!r}")
    if out.name in STATUS:
        out.code, out.text = parse_status(rest)
    else:
        out.values = parse_values(rest)
    return out


def text(value):
    """A mailbox name, an identifier, an entry: an astring as str, whichever way it was sent."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "NIL" if value is None else str(value)


def pairs(values):
    """["UID", 7, "FLAGS", [...]] -> {"UID": 7, ...}, names in upper case."""
    if len(values) % 2:
        raise BadResponse(f"an odd number of names and values: {values!r}")
    return {str(name).upper(): value for name, value in zip(values[::2], values[1::2])}
