"""The recordings in tests/captures (their README has the form), as bytes and values."""
import re
from pathlib import Path

from lib import dlist

FOLDER = Path(__file__).parent.parent / "captures"
_SUM = re.compile(rb"## recomputed (.+) basic=(\d+) annot=(\d+) match=(\w+)")


def files():
    return sorted(FOLDER.glob("*.txt"))


def _sections(path):
    """(title, body) for each "=== title" line. Titles stand at the start of a line; no literal has one."""
    parts = re.split(rb"(?m)^=== (.*)\n", path.read_bytes())
    return zip(parts[1::2], parts[2::2])


def _dlist_line(body, at):
    """The line at `at` with the literals in it, and where the next begins."""
    end = body.find(b"\n", at)
    end = len(body) if end < 0 else end
    line = body[at:end].rstrip(b"\r")
    size = dlist.pending(line)
    while size is not None:
        tail_end = body.find(b"\n", end + 1 + size)
        tail_end = len(body) if tail_end < 0 else tail_end
        tail = body[end + 1 + size:tail_end].rstrip(b"\r")
        line += b"\r\n" + body[end + 1:end + 1 + size] + tail
        end, size = tail_end, dlist.pending(tail)
    return line, end + 1


def states(path):
    """[(title, [(key, value)], {mailbox: (basic, annot)})] for each STATE: what was read, and its sums."""
    out = []
    for title, body in _sections(path):
        if not title.startswith(b"STATE"):
            continue
        items, at = [], 0
        while at < len(body):
            line, at = _dlist_line(body, at)
            if line.startswith(b"* "):
                items.append(dlist.parse_item(line[2:]))
        sums = {dlist.to_text(m[1]): (int(m[2]), int(m[3])) for m in _SUM.finditer(body)}
        out.append((title.decode(), items, sums))
    return out


def streams(path):
    """[(title, what the client sent, what the server sent)] for each recording."""
    out = []
    for title, body in _sections(path):
        sides = {b"C": b"", b"S": b""}
        for line in body.split(b"\n"):
            if line[1:3] in (b": ", b"> ") and line[:1] in sides:
                sides[line[:1]] += line[3:] + (b"\r\n" if line[1:2] == b":" else b"")
        out.append((title.decode(), sides[b"C"], sides[b"S"]))
    return out


def messages(stream):
    """The lines of one side, each with its literals, without the last CRLF."""
    out, at = [], 0
    while at < len(stream):
        end = stream.find(b"\r\n", at)
        start, end = at, len(stream) if end < 0 else end
        size = dlist.pending(stream[at:end])
        while size is not None:
            at = end + 2 + size
            end = stream.find(b"\r\n", at)
            end = len(stream) if end < 0 else end
            size = dlist.pending(stream[at:end])
        out.append(stream[start:end])
        at = end + 2
    return out
