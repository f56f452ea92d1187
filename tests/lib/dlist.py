"""The value syntax of csync, read and written by rules of its own (doc/PROTOCOL.md has the grammar).

    string   str     bytes of any kind survive: UTF-8 with surrogateescape
    NIL      None
    flag     Flag    "\\\\Seen" in a list of flags, written raw
    (...)    list
    %(...)   dict    in the order of the wire; of a key given twice the first counts
    %{...}   File

parse() is as lenient as a receiver must be. canonical() says whether bytes are exactly what a sender must
write; strict clients ask it about every line."""
import re
from dataclasses import dataclass


class BadDlist(Exception):
    pass


class Flag(str):
    """Something that begins with a backslash and is written without quotes."""


@dataclass(frozen=True)
class File:
    partition: str
    guid: str
    data: bytes


_SPACE = re.compile(rb"[ \t\r\n]*")
_WORD = re.compile(rb'[^\s()"\0]+')
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\[^\r\n])*)"')
_LITERAL = re.compile(rb"\{(\d{1,10})\+?\}\r?\n")
_FILE = re.compile(rb"%\{([^\s{}]+|\"[^\"\r\n]*\") ([0-9a-f]{40}) (\d{1,10})\}\r?\n")
# What a line must end with for bytes to follow it; nothing but a literal or a file can end so.
_PENDING = re.compile(rb"(?:\{|%\{\S+ [0-9a-f]{40} |%\{\"[^\"]*\" [0-9a-f]{40} )(\d{1,10})\+?\}$")
# Printable ASCII without blank ( ) " % * \ { and not NIL. The opening brace only: "}" is an atom's byte.
_BARE = re.compile(rb'[\x21\x23\x24\x26\x27\x2b-\x5b\x5d-\x7a\x7c-\x7e]{1,1023}')
_PLAIN = re.compile(rb'[\x01-\x09\x0b\x0c\x0e-\x21\x23\x24\x26-\x5b\x5d-\x7f]{0,1023}')


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def to_text(data):
    return data.decode("utf-8", "surrogateescape")


def pending(line):
    """How many bytes of a literal or a file follow this line (without CRLF); None: the line is whole."""
    match = _PENDING.search(line)
    return int(match[1]) if match else None


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def fail(self, what):
        raise BadDlist(f"{what} at byte {self.at}: {self.data[self.at:self.at + 80]!r}")

    def take(self, pattern):
        match = pattern.match(self.data, self.at)
        if match:
            self.at = match.end()
        return match

    def skip(self, data):
        if self.data.startswith(data, self.at):
            self.at += len(data)
            return True
        return False

    def octets(self, size):
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            self.fail("bytes missing")
        return self.data[start:self.at]

    def string(self):
        """(text, was it a bare word?)"""
        match = self.take(_QUOTED)
        if match:
            return to_text(re.sub(rb"\\(.)", rb"\1", match[1], flags=re.S)), False
        match = self.take(_LITERAL)
        if match:
            return to_text(self.octets(int(match[1]))), False
        match = self.take(_WORD) or self.fail("no value")
        return to_text(match[0]), True

    def value(self):
        self.take(_SPACE)
        if self.skip(b"%("):
            return self.kvlist()
        match = self.take(_FILE)
        if match:
            return File(to_text(match[1].strip(b'"')), match[2].decode(), self.octets(int(match[3])))
        if self.data.startswith(b"%", self.at):
            self.fail("a percent sign before neither list nor file")
        if self.skip(b"("):
            out = []
            while not self.closed():
                out.append(self.value())
            return out
        text, bare = self.string()
        if bare and text == "NIL":
            return None
        return Flag(text) if bare and text.startswith("\\") else text

    def kvlist(self):
        out = {}
        while not self.closed():
            key, _ = self.string()
            out.setdefault(key, self.value())
        return out

    def closed(self):
        self.take(_SPACE)
        if self.at == len(self.data):
            self.fail("a list without end")
        return self.skip(b")")


def parse(data):
    reader = _Reader(data)
    out = reader.value()
    reader.take(_SPACE)
    if reader.at != len(data):
        reader.fail("left over")
    return out


def parse_item(data):
    """"KEY value" -> (key, value), as after "* " and after GET or APPLY."""
    reader = _Reader(data)
    key, _ = reader.string()
    return key, parse(data[reader.at:])


def write_string(data, plus):
    if not data:
        return b'""'
    if _BARE.fullmatch(data) and data != b"NIL":
        return data
    if _PLAIN.fullmatch(data):
        return b'"' + data + b'"'
    return b"{%d%s}\r\n" % (len(data), b"+" if plus else b"") + data


def write(value, plus=True):
    """plus: literals as a client writes them."""
    if value is None:
        return b"NIL"
    if isinstance(value, Flag):
        return to_bytes(value)
    if isinstance(value, dict):
        return b"%(" + b" ".join(write(k, plus) + b" " + write(v, plus) for k, v in value.items()) + b")"
    if isinstance(value, (list, tuple)):
        return b"(" + b" ".join(write(v, plus) for v in value) + b")"
    if isinstance(value, File):
        name = write_string(to_bytes(value.partition), plus)
        return b"%%{%s %s %d}\r\n" % (name, value.guid.encode(), len(value.data)) + value.data
    return write_string(value if isinstance(value, bytes) else to_bytes(str(value)), plus)


def canonical(data):
    """True if this "KEY value" is written the way section 3.1 of the protocol asks, literals either way."""
    key, value = parse_item(data)
    return data in (write(key, plus) + b" " + write(value, plus) for plus in (False, True))
