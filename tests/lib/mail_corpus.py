"""Mail as it comes: a seeded corpus with the headers, shapes and sizes of an ordinary mailbox. Message i is the same on every
run. Sizes are log-normal (median 8 KiB, cut at `most`); texts, alternatives of text and HTML, and texts with an attachment
in base64. One in a hundred has each of the words MARKS in its subject, sender or text, to be searched for."""
import base64
import math
import random

FIRST = "ada bela cyra dov edda finn gus hana ivo jana kai lena milo nora otto pia quin rosa sven tara ugo".split()
LAST = "adler birk cohn drake eder falk glass hart imhof jost kern lund mohr nagel orth pohl quast rieger".split()
DOMAINS = "example.com example.net example.org mail.example lists.example corp.example".split()
MARKS = {"subject": "quarterly", "from": "zebedee", "text": "zanzibar"}
BLOB = random.Random("blob").randbytes(1 << 20)


def _words():
    rng = random.Random("words")
    syllables = [c + v for c in "bcdfghjklmnprstvw" for v in "aeiou"]
    return ["".join(rng.choice(syllables) for _ in range(rng.choice((1, 2, 2, 3, 4)))) for _ in range(2000)]


WORDS = _words()


def _text(rng, size, mark=""):
    lines, length = [mark] if mark else [], 0
    while length < size:
        lines.append(" ".join(rng.choices(WORDS, k=rng.randint(5, 11))))
        length += len(lines[-1]) + 2
    return "\r\n".join(lines) + "\r\n"


def _header(rng, i, date):
    domain = rng.choice(DOMAINS)
    first, last = MARKS["from"] if i % 100 == 17 else rng.choice(FIRST), rng.choice(LAST)
    subject = " ".join(rng.choices(WORDS, k=rng.randint(2, 7)))
    lines = [f"Message-ID: <{i}@corpus.test>"]
    for k in range(rng.randint(1, 3)):
        lines.append(f"Received: from mx{k}.{domain} (mx{k}.{domain} [192.0.2.{rng.randrange(1, 254)}])\r\n\tby "
                     f"relay{k}.example.com (Postfix) with ESMTPS id {rng.getrandbits(48):012X}\r\n\t"
                     f"for <user@example.com>; {date}")
    if rng.random() < .7:
        signature = "\r\n\t ".join(base64.b64encode(rng.randbytes(48)).decode() for _ in range(5))
        lines.append(f"DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=s1;\r\n\th=from:to:subject;\r\n\tb={signature}")
    lines.append(f'From: "{first.title()} {last.title()}" <{first}.{last}@{domain}>')
    to = [f"{rng.choice(FIRST)}.{rng.choice(LAST)}@example.com" for _ in range(rng.choice((1, 1, 2, 5)))]
    lines.append("To: " + ",\r\n\t".join(to))
    lines.append("Subject: " + (MARKS["subject"] + " " if i % 100 == 42 else "") + subject)
    lines.append(f"Date: {date}")
    if rng.random() < .4:
        lines.append(f"In-Reply-To: <{rng.getrandbits(64):x}@{domain}>\r\nReferences: <{rng.getrandbits(64):x}@{domain}>"
                     f" <{rng.getrandbits(64):x}@{domain}>")
    if rng.random() < .25:
        lines.append(f"List-Id: <{rng.choice(WORDS)}.lists.example>\r\nPrecedence: list")
    return [*lines, "MIME-Version: 1.0"]


def _attachment(rng, size):
    at, size = rng.randrange(1 << 19), max(57, min(size * 3 // 4, 1 << 19) // 57 * 57)
    text = base64.b64encode(BLOB[at:at + size]).decode()
    return "\r\n".join(text[k:k + 76] for k in range(0, len(text), 76))


def _body(rng, i, size, mark):
    """(Content-Type, body)"""
    boundary = f"=_{rng.getrandbits(64):016x}"
    plain = "Content-Type: text/plain; charset=utf-8"
    if size < 2500 or (size < 16384 and rng.random() < .5):
        return plain, _text(rng, size, mark)
    if size < 16384:
        html = "<html><body>\r\n<p>" + _text(rng, size // 2) + "</p></body></html>\r\n"
        return f'Content-Type: multipart/alternative; boundary="{boundary}"', (
            f"--{boundary}\r\n{plain}\r\n\r\n{_text(rng, size // 3, mark)}\r\n"
            f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--{boundary}--\r\n")
    return f'Content-Type: multipart/mixed; boundary="{boundary}"', (
        f"--{boundary}\r\n{plain}\r\n\r\n{_text(rng, min(size // 4, 6000), mark)}\r\n"
        f'--{boundary}\r\nContent-Type: application/pdf; name="f{i}.pdf"\r\n'
        f'Content-Disposition: attachment; filename="f{i}.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        f"{_attachment(rng, size)}\r\n--{boundary}--\r\n")


def message(i, most=1 << 20):
    rng = random.Random(f"corpus {i}")
    size = int(min(most, max(900, 8192 * math.exp(rng.gauss(0, 1.5)))))
    day = 1 + i % 28
    date = f"{'Wed Thu Fri Sat Sun Mon Tue'.split()[(day - 1) % 7]}, {day} Jan 2025 " \
           f"{i % 24:02d}:{i * 7 % 60:02d}:{i * 13 % 60:02d} +0{i % 3}00"
    head = _header(rng, i, date)
    kind, body = _body(rng, i, size - sum(map(len, head)), MARKS["text"] if i % 100 == 71 else "")
    return ("\r\n".join([*head, kind]) + "\r\n\r\n" + body).encode()


def corpus(count, most=1 << 20):
    return [message(i, most) for i in range(count)]
