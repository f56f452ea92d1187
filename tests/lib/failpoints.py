"""The control page of failpoints: server/base/failpoint.h has the layout, test_failpoints.py compares the two.

    page = FailpointPage(root / "failpoints")        # daemons get US_FAILPOINTS=<that path>
    page.record(); ...; page.hits()                  # {"store.message.sync": 3, ...}
    page.arm("store.message.sync", "kill", 2)        # at the third hit from now
    page.fired                                       # how often it acted"""
import mmap
import struct
from enum import IntEnum
from pathlib import Path

NAME_MAX, HITS = 64, 512
_HEAD = struct.Struct(f"=8s{NAME_MAX}sIiII")
_HIT = struct.Struct(f"={NAME_MAX}sI")
_NAME_AT, _ACTION_AT = 8, 8 + NAME_MAX
_COUNTDOWN_AT, _FIRED_AT, _RECORDING_AT = _ACTION_AT + 4, _ACTION_AT + 8, _ACTION_AT + 12
SIZE = _HEAD.size + HITS * _HIT.size
MAGIC = b"USFAIL1\n"


class Action(IntEnum):
    OFF, KILL, TORN, ENOSPC, EIO, STOP = range(6)


class FailpointPage:
    def __init__(self, path):
        self.path = Path(path)
        self.path.write_bytes(MAGIC.ljust(SIZE, b"\0"))
        self.path.chmod(0o666)    # root makes it, the service user's processes count in it
        with open(self.path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)

    def arm(self, name, action, countdown=0):
        """At the hit after `countdown` more have passed: "kill", "torn", "enospc", "eio" or "stop"."""
        encoded = name.encode()
        if len(encoded) >= NAME_MAX:
            raise ValueError(f"a failpoint's name is shorter than {NAME_MAX} bytes: {name}")
        self.disarm()
        self._map[_NAME_AT:_ACTION_AT] = encoded.ljust(NAME_MAX, b"\0")
        struct.pack_into("=i", self._map, _COUNTDOWN_AT, countdown)
        struct.pack_into("=I", self._map, _FIRED_AT, 0)
        struct.pack_into("=I", self._map, _ACTION_AT, Action[action.upper()])    # last: now it counts

    def disarm(self):
        struct.pack_into("=I", self._map, _ACTION_AT, Action.OFF)

    @property
    def fired(self):
        return struct.unpack_from("=I", self._map, _FIRED_AT)[0]

    def record(self, on=True):
        """Count the hits of every point from here on, from zero."""
        struct.pack_into("=I", self._map, _RECORDING_AT, 0)
        if on:
            self._map[_HEAD.size:SIZE] = bytes(SIZE - _HEAD.size)
            struct.pack_into("=I", self._map, _RECORDING_AT, 1)

    def hits(self):
        out = {}
        for i in range(HITS):
            name, hits = _HIT.unpack_from(self._map, _HEAD.size + i * _HIT.size)
            name = name.split(b"\0")[0].decode()
            if not name:
                break
            out[name] = hits
        return out
