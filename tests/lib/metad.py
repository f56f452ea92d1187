"""The protocol of metad's socket (doc/FORMATS.md 10), written from that page and not from our C.

    with MetaConn(conf / "socket/metad") as meta:
        meta.put("quota", b"user.bob", b"%(STORAGE 10)")
        meta.get("quota", b"user.bob").payload"""
import os
import socket
import struct
from collections import namedtuple

TABLES = ("mailboxes", "by_uniqueid", "tombstones", "users", "subscriptions", "annotations", "seen", "quota",
          "duplicates", "vacation", "channels", "counters", "grants")
HELLO, GET, RANGE, BATCH, BARRIER, STAT = range(1, 7)
EXPECT, PUT, DEL, SERIAL = range(1, 5)
NOENT, CHANGED = -3, -15
_HEAD = struct.Struct("<IHHQ")

Row = namedtuple("Row", "version nonce serial payload")


class MetaError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


def _padded(data):
    return data + bytes(-len(data) % 8)


def _row(value):
    return Row(*struct.unpack_from("<QQQ", value), value[24:])


def item(what, table, key, payload=b"", number=0):
    head = struct.pack("<BBHIIIQ", what, TABLES.index(table), 0, len(key), len(payload), 0, number)
    return head + _padded(key) + _padded(payload)


class MetaConn:
    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.number = 0
        assert struct.unpack("<I", self.ask(HELLO, struct.pack("<I", 1))) == (1,)

    def send(self, kind, body):
        self.number += 1
        while len(body) > (1 << 20) - 16:
            piece, body = body[:(1 << 20) - 16], body[(1 << 20) - 16:]
            self.socket.sendall(_HEAD.pack(16 + len(piece), kind, 1, self.number) + piece)
        self.socket.sendall(_HEAD.pack(16 + len(body), kind, 0, self.number) + body)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise ConnectionError("metad closed the connection")
            data += more
        return data

    def receive(self, kind):
        body, more = b"", 1
        while more:
            length, answered, more, number = _HEAD.unpack(self._exactly(16))
            assert (answered, number) == (kind | 0x8000, self.number), (answered, number)
            body += self._exactly(length - 16)
        status, text_len = struct.unpack_from("<iI", body)
        text, rest = body[8:8 + text_len], body[8 + text_len + -text_len % 8:]
        if status:
            raise MetaError(status, text.decode())
        return rest

    def ask(self, kind, body=b""):
        self.send(kind, body)
        return self.receive(kind)

    def get(self, table, key):
        """A Row, or None."""
        try:
            return _row(self.ask(GET, struct.pack("<B3xI", TABLES.index(table), len(key)) + key))
        except MetaError as e:
            if e.code != NOENT:
                raise
            return None

    def range(self, table, first=b"", end=b"", most=1000, keys_only=False):
        """One page: [(key, Row)]."""
        head = struct.pack("<BBHIII", TABLES.index(table), keys_only, 0, most, len(first), len(end))
        body, rows = self.ask(RANGE, head + first + end), []
        while body:
            key_len, value_len = struct.unpack_from("<II", body)
            rows.append((body[8:8 + key_len], _row(body[8 + key_len:8 + key_len + value_len])))
            body = body[8 + key_len + value_len:]
        return rows

    @staticmethod
    def batch(*items, lazy=False, nonce=None):
        nonce = nonce or int.from_bytes(os.urandom(8), "little")
        return struct.pack("<IIQ", lazy, len(items), nonce) + b"".join(items)

    def commit(self, *items, lazy=False, nonce=None):
        """The version given."""
        return struct.unpack("<Q", self.ask(BATCH, self.batch(*items, lazy=lazy, nonce=nonce)))[0]

    def put(self, table, key, payload, **more):
        return self.commit(item(PUT, table, key, payload), **more)

    def barrier(self):
        assert self.ask(BARRIER) == b""

    def stat(self):
        return dict(line.split("=", 1) for line in self.ask(STAT).decode().splitlines())

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
