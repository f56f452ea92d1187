"""An LMTP client for tests (RFC 2033): one reply per recipient, pipelined if asked.

    with Lmtp(("127.0.0.1", port)) as c:
        replies = c.deliver("a@example.net", ["bob", "nobody"], message)
        replies["bob"].code == 250
"""
import base64
import re
from dataclasses import dataclass

from lib.wire import Wire

_REPLY = re.compile(rb"([2345]\d\d)([ -])(?:([245]\.\d{1,3}\.\d{1,3}) )?(.*)", re.S)


@dataclass
class Reply:
    code: int
    enhanced: str      # "2.1.5", or "" without one
    lines: list        # the texts

    @property
    def ok(self):
        return self.code // 100 == 2

    @property
    def text(self):
        return "\n".join(self.lines)


class Lmtp:
    def __init__(self, address, timeout=30, name="client.test"):
        self.wire = Wire(address, timeout)
        self.name = name
        self.greeting = self.reply()
        self.extensions = {}
        if self.greeting.code == 220:
            self.lhlo()

    def reply(self, timeout=None):
        """One reply, all its lines. Lines of one reply with different codes are a fault."""
        code = enhanced = None
        lines = []
        while True:
            line = self.wire.line(timeout)
            match = _REPLY.fullmatch(line) or self.wire.fail(f"no LMTP reply: {line!r}")
            if code not in (None, int(match[1])):
                self.wire.fail(f"two codes in one reply: {line!r}")
            code, enhanced = int(match[1]), enhanced or (match[3] or b"").decode()
            lines.append(match[4].decode("utf-8", "backslashreplace"))
            if match[2] == b" ":
                return Reply(code, enhanced, lines)

    def command(self, line):
        self.send(line)
        return self.reply()

    def send(self, line):
        self.wire.send((line.encode() if isinstance(line, str) else line) + b"\r\n")

    def lhlo(self):
        answer = self.command("LHLO " + self.name)
        words = [line.split(" ", 1) for line in answer.lines[1:] or []]
        self.extensions = {w[0].upper(): w[1] if len(w) > 1 else "" for w in words}
        return answer

    def auth_plain(self, user, password):
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command("AUTH PLAIN " + token)

    def starttls(self):
        answer = self.command("STARTTLS")
        if answer.ok:
            self.wire.starttls()
            self.lhlo()
        return answer

    def data(self, message, count):
        """The message after a 354: `count` replies, one for each accepted recipient, in their order."""
        self.wire.send(stuffed(message))
        return [self.reply() for _ in range(count)]

    def deliver(self, sender, recipients, message, options="", pipelined=False):
        """{recipient: Reply}: the reply to RCPT where it was refused, else the one after the data."""
        envelope = [f"MAIL FROM:<{sender}>{options}"] + [f"RCPT TO:<{r}>" for r in recipients] + ["DATA"]
        if pipelined:
            self.wire.send("".join(line + "\r\n" for line in envelope).encode())
            replies = [self.reply() for _ in envelope]
        else:
            replies = [self.command(line) for line in envelope[:-1]]
            replies.append(self.command("DATA") if any(r.ok for r in replies[1:]) else None)
        if not replies[0].ok:
            raise LmtpError(f"MAIL: {replies[0]}")
        out = dict(zip(recipients, replies[1:-1]))
        if replies[-1] and replies[-1].code == 354:
            accepted = [r for r in recipients if out[r].ok]
            out.update(zip(accepted, self.data(message, len(accepted))))
        else:
            self.command("RSET")
        return out

    def quit(self):
        answer = self.command("QUIT")
        self.wire.expect_closed()
        return answer

    def close(self):
        self.wire.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class LmtpError(Exception):
    pass


def stuffed(message):
    """The message as it goes over the wire: dots doubled, a CRLF at its end, the final dot."""
    data = message if message.endswith(b"\r\n") else message + b"\r\n"
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") + b".\r\n"
