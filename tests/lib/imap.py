"""An IMAP client for tests: strict about what the server says, free in what it lets a test say.

    with Imap(("127.0.0.1", port)) as c:
        c.login("bob", "pw")
        box = c.select("INBOX")                     # {"EXISTS": 3, "UIDVALIDITY": ..., ...}
        c.fetch("1:*", "(FLAGS BODY.PEEK[])")       # {uid: {"FLAGS": [...], "BODY[]": b"..."}}
        reply = c.command("NOOP")                   # a Reply, whatever the server said
        tags = [c.start("NOOP"), c.start("CHECK")]  # pipelined
        replies = [c.finish(tag) for tag in tags]
        c.raw(b"a1 NONSENSE\\r\\n"); c.wire.line()    # no help at all
"""
import base64
import contextlib
import datetime
import time
from dataclasses import dataclass, field

from lib.imap_values import (STATUS, BadResponse, is_status, literal_size, pairs, parse_status, parse_untagged,
                             text)
from lib.wire import Wire


class ImapError(Exception):
    """The server said NO or BAD where the test needed OK."""

    def __init__(self, command, reply):
        super().__init__(f"{command} -> {reply.status} {reply.code or ''} {reply.text}")
        self.reply = reply


class Literal:
    """A string sent as a literal; plus: {n+}, without waiting for the server."""

    def __init__(self, data, plus=False, binary=False):
        self.data = data.encode() if isinstance(data, str) else data
        self.plus, self.binary = plus, binary


@dataclass
class Reply:
    """The tagged answer, and the untagged responses that came before it."""
    tag: str
    status: str                                    # OK, NO, BAD
    code: list = None                              # ["APPENDUID", 1, 2]; None without one
    text: str = ""
    untagged: list = field(default_factory=list)   # of Response

    def all(self, name):
        return [r for r in self.untagged if r.name == name]

    def one(self, name):
        found = self.all(name)
        if len(found) != 1:
            raise BadResponse(f"{len(found)} {name} responses, not one: {found!r}")
        return found[0]

    def untagged_code(self, name):
        """The code [name ...] of an untagged status response, or None."""
        return next((r.code for r in self.untagged if r.code and str(r.code[0]).upper() == name), None)


def quote(value):
    """A string as an argument: quoted, or a literal where it must be."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    if len(data) < 1000 and all(32 <= c < 127 for c in data):
        return '"' + data.decode().replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Literal(data)


class Imap:
    def __init__(self, address, timeout=30, tls=False):
        self.wire = Wire(address, timeout, tls)
        self._count = 0
        self._finished = {}      # tag -> Reply, of commands that ended before they were asked for
        self.unsolicited = []    # untagged responses of no command
        self.greeting = self._untagged(self._gather())
        if self.greeting.name not in ("OK", "PREAUTH", "BYE"):
            self.wire.fail(f"no greeting: {self.greeting.raw!r}")

    # ---- saying and hearing ----------------------------------------------------------------------

    def command(self, *parts, timeout=None):
        return self.finish(self.start(*parts), timeout)

    def ok(self, *parts, timeout=None):
        reply = self.command(*parts, timeout=timeout)
        if reply.status != "OK":
            shown = " ".join("{...}" if isinstance(p, Literal) else str(p) for p in parts)
            raise ImapError(shown, reply)
        return reply

    def start(self, *parts):
        """Send a command and return its tag at once. parts: text sent as it is, and Literals; one blank
        between any two, none before a ")". A Literal without plus waits for the server's continuation."""
        self._count += 1
        tag = f"t{self._count}"
        out = tag.encode()
        for part in parts:
            out += b"" if part in (")", b")") else b" "
            if isinstance(part, Literal):
                out += b"%s{%d%s}\r\n" % (b"~" if part.binary else b"", len(part.data), b"+" if part.plus else b"")
                if not part.plus:
                    self.wire.send(out)
                    out = b""
                    refused = self.continuation(tag)
                    if refused:
                        self._finished[tag] = refused
                        return tag
                out += part.data
            else:
                out += part.encode() if isinstance(part, str) else part
        self.wire.send(out + b"\r\n")
        return tag

    def finish(self, tag, timeout=None):
        end = time.monotonic() + (timeout or self.wire.timeout)
        while tag not in self._finished:
            self._step(end - time.monotonic())
        return self._finished.pop(tag)

    def continuation(self, tag):
        """Wait for "+ ...": None when it came, the Reply when the command was refused instead."""
        while tag not in self._finished:
            if self._step(None) is not None:
                return None
        return self._finished.pop(tag)

    def poll(self, seconds):
        """The next untagged response that comes by itself, or None."""
        if not self.unsolicited:
            try:
                self._step(seconds)
            except TimeoutError:
                return None
        return self.unsolicited.pop(0) if self.unsolicited else None

    def raw(self, data):
        self.wire.send(data)

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _gather(self, timeout=None):
        """One response: a line, and while it announces a literal that and the line that goes on."""
        line = out = self.wire.line(timeout)
        if is_status(line):
            return out
        while literal_size(line) is not None:
            out += b"\r\n" + self.wire.exact(literal_size(line), timeout)
            line = self.wire.line(timeout)
            out += line
        return out

    def _untagged(self, raw):
        try:
            return parse_untagged(raw)
        except (BadResponse, UnicodeDecodeError) as error:
            self.wire.fail(f"a bad response: {error}")

    def _step(self, timeout):
        """Take one response in. Returns the text of a continuation, None for all else."""
        raw = self._gather(timeout)
        if raw.startswith(b"+ ") or raw == b"+":
            return raw[2:]
        if raw.startswith(b"* "):
            self.unsolicited.append(self._untagged(raw))
            return None
        tag, _, rest = raw.partition(b" ")
        status, blank, rest = rest.partition(b" ")
        if not blank or status.decode("ascii", "replace") not in STATUS[:3]:
            self.wire.fail(f"no response: {raw[:200]!r}")
        code, words = parse_status(rest)
        self._finished[tag.decode()] = Reply(tag.decode(), status.decode(), code, words, self.unsolicited)
        self.unsolicited = []
        return None

    # ---- sessions --------------------------------------------------------------------------------

    def login(self, user, password):
        return self.ok("LOGIN", quote(user), quote(password))

    def authenticate_plain(self, user, password, act_as=""):
        """act_as: the user whose session it becomes (an administrator may)."""
        token = base64.b64encode(f"{act_as}\0{user}\0{password}".encode()).decode()
        return self.ok("AUTHENTICATE", "PLAIN", token)

    def starttls(self):
        self.ok("STARTTLS")
        self.wire.starttls()

    def compress(self):
        self.ok("COMPRESS", "DEFLATE")
        self.wire.compress()

    def capabilities(self):
        return {text(v).upper() for v in self.ok("CAPABILITY").one("CAPABILITY").values}

    def logout(self):
        reply = self.command("LOGOUT")
        self.wire.expect_closed()
        return reply

    @contextlib.contextmanager
    def idle(self):
        """Within, poll() shows what comes."""
        tag = self.start("IDLE")
        refused = self.continuation(tag)
        if refused:
            raise ImapError("IDLE", refused)
        yield
        self.raw(b"DONE\r\n")
        reply = self.finish(tag)
        if reply.status != "OK":
            raise ImapError("IDLE", reply)

    # ---- mailboxes and messages ------------------------------------------------------------------

    def select(self, name, how="SELECT", *more):
        """{"EXISTS": n, "RECENT": n, "FLAGS": [...], "UIDVALIDITY": n, ..., "READ-WRITE": True}"""
        reply = self.ok(how, quote(name), *more)
        out = {r.name: r.number for r in reply.untagged if r.number is not None and r.name != "FETCH"}
        out["FLAGS"] = [flag for r in reply.all("FLAGS") for flag in r.values[0]]
        for code in [r.code for r in reply.untagged if r.code] + [reply.code or []]:
            if code:
                out[str(code[0]).upper()] = code[1] if len(code) == 2 else code[1:] or True
        return out

    def examine(self, name, *more):
        return self.select(name, "EXAMINE", *more)

    def fetch(self, uids, items, timeout=None):
        """UID FETCH: {uid: {item: value}}. A message told of in several responses is one entry."""
        out = {}
        for response in self.ok("UID FETCH", uids, items, timeout=timeout).all("FETCH"):
            got = pairs(response.values[0])
            if "UID" in got:
                out.setdefault(got["UID"], {}).update(got)
        return out

    def search(self, *criteria):
        return self.ok("UID SEARCH", *criteria).one("SEARCH").values

    def append(self, name, message, flags=(), date=None, plus=True):
        """(uidvalidity, uid) of the new message. date: seconds since 1970."""
        parts = [quote(name)]
        if flags:
            parts.append("(" + " ".join(flags) + ")")
        if date is not None:
            parts.append('"' + format_date(date) + '"')
        code = self.ok("APPEND", *parts, Literal(message, plus)).code or []
        return tuple(code[1:3]) if code[:1] == ["APPENDUID"] else None

    def store(self, uids, how, *flags):
        return self.ok("UID STORE", uids, how, "(" + " ".join(flags) + ")")

    def status(self, name, *items):
        values = self.ok("STATUS", quote(name), "(" + " ".join(items) + ")").one("STATUS").values
        return pairs(values[1])

    def list(self, reference="", pattern="*"):
        """[(attributes, separator, name)]"""
        reply = self.ok("LIST", quote(reference), quote(pattern))
        return [(r.values[0], text(r.values[1]), text(r.values[2])) for r in reply.all("LIST")]


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def format_date(seconds):
    t = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f"{t.day:2d}-{_MONTHS[t.month - 1]}-{t.year} {t:%H:%M:%S} +0000"


def parse_date(value):
    """An INTERNALDATE as seconds since 1970."""
    day, _, rest = text(value).strip().partition("-")
    month, _, rest = rest.partition("-")
    number = _MONTHS.index(month) + 1
    return int(datetime.datetime.strptime(f"{int(day):02d}-{number:02d}-{rest}", "%d-%m-%Y %H:%M:%S %z").timestamp())
