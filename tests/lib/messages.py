"""Messages for tests: each a function of its arguments, the same on every run; and those of tests/messages.

    plain(7)                          a small text
    plain(7, message_id="<x@y>")      "" leaves the header line out
    corpus(100)                       a hundred of mixed kinds and sizes"""
import base64
import random
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "messages"
WORDS = ("alder birch cedar dogwood elder fir gorse hazel ivy juniper larch maple nettle oak pine quince rowan "
         "spruce thyme willow yew").split()


def _random(kind, number):
    return random.Random(f"{kind} {number}")    # a str seeds by its SHA-512: the same everywhere


def _header(number, subject, message_id, more=()):
    if message_id is None:
        message_id = f"<m{number}@messages.test>"
    lines = ["From: Sender <sender@messages.test>", "To: Reader <reader@messages.test>", f"Subject: {subject}",
             f"Date: Mon, 02 Feb 2026 {number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d} +0000"]
    if message_id:
        lines.append(f"Message-ID: {message_id}")
    return "\r\n".join([*lines, "MIME-Version: 1.0", *more, "", ""]).encode()


def _text(rng, size):
    out = ""
    while len(out) < size:
        out += " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 11))) + "\r\n"
    return out[:max(size - 2, 0)] + "\r\n"


def plain(number, size=300, message_id=None):
    body = _text(_random("plain", number), size)
    return _header(number, f"plain {number}", message_id, ["Content-Type: text/plain; charset=us-ascii"]) + \
        body.encode()


def eight_bit(number, message_id=None):
    body = f"na\u00efve caf\u00e9 {number}: \u00e4\u00f6\u00fc \u4e2d\u6587\r\n"
    body += _text(_random("eight", number), 200)
    return _header(number, f"=?utf-8?Q?caf=C3=A9_{number}?=", message_id,
                   ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]) + \
        body.encode("utf-8")


def _multipart(number, kind, parts, message_id):
    boundary = f"=_{kind}_{number}"
    out = _header(number, f"{kind} {number}", message_id,
                  [f'Content-Type: multipart/{kind}; boundary="{boundary}"']) + b"A preamble.\r\n"
    for head, body in parts:
        out += f"--{boundary}\r\n{head}\r\n\r\n".encode() + body + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


def alternative(number, message_id=None):
    rng = _random("alternative", number)
    text = _text(rng, 400)
    html = "<html><body><p>" + text.replace("\r\n", "<br>\r\n") + "</p></body></html>\r\n"
    return _multipart(number, "alternative", [("Content-Type: text/plain", text.encode()),
                                              ("Content-Type: text/html", html.encode())], message_id)


def attachment(number, size=3000, message_id=None):
    """A text and `size` bytes in base64."""
    rng = _random("attachment", number)
    data = base64.encodebytes(rng.randbytes(size)).replace(b"\n", b"\r\n")
    head = (f'Content-Type: application/octet-stream; name="file{number}.bin"\r\n'
            f'Content-Disposition: attachment; filename="file{number}.bin"\r\nContent-Transfer-Encoding: base64')
    return _multipart(number, "mixed", [("Content-Type: text/plain", _text(rng, 200).encode()), (head, data)],
                      message_id)


def nested(number, message_id=None):
    """A message in a message, beside an alternative."""
    inner = alternative(number + 1, message_id="")
    return _multipart(number, "mixed", [("Content-Type: message/rfc822", inner),
                                        ("Content-Type: text/plain", b"after it\r\n")], message_id)


def big(number, size=1 << 20, message_id=None):
    return attachment(number, size * 3 // 4, message_id)


KINDS = (plain, eight_bit, alternative, attachment, nested)


def corpus(count, start=0):
    """Of all kinds in turn; sizes as mail has them, a few KiB mostly, now and then much more."""
    for number in range(start, start + count):
        kind = KINDS[number % len(KINDS)]
        if kind in (plain, attachment):
            yield kind(number, min(int(_random("size", number).lognormvariate(8, 1.2)), 1 << 20))
        else:
            yield kind(number)


def files(suffix=".eml"):
    """{"odd/bare-lf": bytes} of all that tests/messages has with that suffix; ".envelope" and ".bodystructure"
    have what FETCH answers for the message of the same name."""
    return {str(p.relative_to(FOLDER).with_suffix("")): p.read_bytes() for p in sorted(FOLDER.rglob("*" + suffix))}
