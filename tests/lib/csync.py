"""A csync client for tests, over its own port or inside IMAP.

    c = Csync.connect(("127.0.0.1", port), "admin", "pw")
    c.get("USER", "bob").items                    # [("MAILBOX", {...}), ("LSUB", [...])]
    c.full_mailbox("user.bob")["RECORD"]
    c.apply("MESSAGE", [File("default", guid, data)])
    c.command("NOOP").text

Every untagged line must be written exactly as the protocol says, else WireError (strict=False: no matter)."""
import base64
import re
from dataclasses import dataclass, field

from lib import dlist
from lib.imap import Imap
from lib.wire import Wire

_FINAL = re.compile(rb"(OK|NO|BAD|BYE)(?: (.*))?")


class CsyncError(Exception):
    def __init__(self, command, reply):
        super().__init__(f"{command} -> {reply.status} {reply.text}")
        self.reply = reply


@dataclass
class Reply:
    status: str                                  # OK, NO, BAD, BYE
    text: str                                    # all after the status
    items: list = field(default_factory=list)    # [(key, value)] of the untagged lines

    @property
    def word(self):
        """The error's name: "IMAP_SYNC_CHECKSUM"; "" if there is none."""
        first = self.text.split(" ")[0]
        return first if first.startswith("IMAP_") else ""

    def all(self, key):
        return [value for name, value in self.items if name == key]


class Csync:
    """On the csync port. The banner is in .banner: {"SASL": ["PLAIN"], "STARTTLS": [], ..., "OK": [...]}"""

    def __init__(self, address, timeout=30, strict=True):
        self.strict = strict
        self.wire = Wire(address, timeout)
        self.read_banner()

    @classmethod
    def connect(cls, address, user=None, password=None, timeout=30, strict=True, compress=True, sieve=True):
        """All that comes before the work, in the order of a sync_client. user None: no login (Unix socket)."""
        self = cls(address, timeout, strict)
        if user is not None:
            self.authenticate_plain(user, password)
        if compress and "COMPRESS" in self.banner:
            self.compress()
        if sieve and "SIEVE-MAILBOX" in self.banner:
            self.apply("CAPABILITIES", ["SIEVE-MAILBOX"])
        return self

    def read_banner(self):
        self.banner = {}
        while "OK" not in self.banner:
            line = self.wire.line()
            if not line.startswith(b"* "):
                self.wire.fail(f"no banner: {line!r}")
            word, *rest = line[2:].decode().split(" ")
            self.banner[word.upper()] = rest

    def authenticate_plain(self, user, password, act_as=""):
        token = base64.b64encode(f"{act_as}\0{user}\0{password}".encode()).decode()
        return self.ok("AUTHENTICATE PLAIN " + token)

    def starttls(self):
        self.ok("STARTTLS")
        self.wire.starttls()
        self.read_banner()

    def compress(self):
        self.ok("COMPRESS DEFLATE")
        self.wire.compress()

    # ---- commands --------------------------------------------------------------------------------

    def command(self, line, timeout=None):
        self.send(line)
        return self.reply(timeout)

    def ok(self, line, timeout=None):
        reply = self.command(line, timeout)
        if reply.status != "OK":
            raise CsyncError(line[:200], reply)
        return reply

    def send(self, line):
        """A command without its CRLF; say nothing twice before reply() unless pipelining is the test."""
        self.wire.send((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def reply(self, timeout=None):
        items = []
        while True:
            line = self.wire.line(timeout)
            if line.startswith(b"* "):
                items.append(self._item(line[2:], timeout))
                continue
            match = self._final(line)
            return Reply(match[1].decode(), (match[2] or b"").decode("utf-8", "backslashreplace"), items)

    def get(self, what, value):
        return self._do(b"GET", what, value)

    def apply(self, what, value):
        return self._do(b"APPLY", what, value)

    def try_apply(self, what, value):
        """As apply(), but a refusal is a Reply, not an exception."""
        return self.command(b"APPLY " + what.encode() + b" " + dlist.write(value))

    def restart(self):
        return self.ok("RESTART")

    def exit(self):
        reply = self.command("EXIT")
        self.wire.expect_closed()
        return reply

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _do(self, verb, what, value):
        line = verb + b" " + what.encode() + b" " + dlist.write(value)
        return self.ok(line)

    def _final(self, line):
        return _FINAL.fullmatch(line) or self.wire.fail(f"no reply: {line[:200]!r}")

    def _item(self, line, timeout):
        data = line
        size = dlist.pending(line)
        while size is not None:
            line = self.wire.exact(size, timeout)
            data += b"\r\n" + line
            line = self.wire.line(timeout)
            data += line
            size = dlist.pending(line)
        try:
            if self.strict and not dlist.canonical(data):
                self.wire.fail(f"not written as the protocol says: {data[:400]!r}")
            return dlist.parse_item(data)
        except dlist.BadDlist as error:
            self.wire.fail(f"a line that is no dlist: {error}")

    # ---- what tests ask for most -----------------------------------------------------------------

    def user(self, name):
        return self.get("USER", name).items

    def mailboxes(self, *names):
        return self.get("MAILBOXES", list(names)).all("MAILBOX")

    def full_mailbox(self, name):
        """The MAILBOX with all its records, or None."""
        reply = self.command(b"GET FULLMAILBOX " + dlist.write(name))
        if reply.word == "IMAP_MAILBOX_NONEXISTENT":
            return None
        if reply.status != "OK":
            raise CsyncError("GET FULLMAILBOX " + name, reply)
        return reply.all("MAILBOX")[0]

    def fetch(self, mailbox, uid, guid):
        """The message's bytes, or None if the server does not have them. mailbox: a MAILBOX."""
        wanted = {"MBOXNAME": mailbox["MBOXNAME"], "PARTITION": mailbox["PARTITION"],
                  "UNIQUEID": mailbox["UNIQUEID"], "GUID": guid, "UID": uid}
        reply = self.command(b"GET FETCH " + dlist.write(wanted))
        found = reply.all("MESSAGE")
        return found[0].data if found and found[0] else None


class CsyncOverImap(Csync):
    """The same commands as SYNCGET, SYNCAPPLY ... with tags S0, S1, ... inside an IMAP session."""

    def __init__(self, address, timeout=30, strict=True):
        self.strict = strict
        self.imap = Imap(address, timeout)
        self.wire = self.imap.wire
        self.banner = {"SASL": ["PLAIN"], "OK": [self.imap.greeting.text]}
        self._sent = self._heard = 0

    def authenticate_plain(self, user, password, act_as=""):
        reply = self.imap.authenticate_plain(user, password, act_as)
        capabilities = reply.code[1:] if reply.code and reply.code[0] == "CAPABILITY" else \
            self.imap.capabilities()
        if "X-REPLICATION" not in capabilities:
            self.wire.fail("no X-REPLICATION after login")
        if "X-SIEVE-MAILBOX" in capabilities:
            self.banner["SIEVE-MAILBOX"] = []
        return reply

    def send(self, line):
        line = line.encode() if isinstance(line, str) else line
        super().send(b"S%d SYNC" % self._sent + line)
        self._sent += 1

    def _final(self, line):
        tag = b"S%d " % self._heard
        match = _FINAL.fullmatch(line[len(tag):]) if line.startswith(tag) else None
        self._heard += 1
        return match or self.wire.fail(f"no reply to {tag!r}: {line[:200]!r}")

    def exit(self):
        return self.imap.logout()
