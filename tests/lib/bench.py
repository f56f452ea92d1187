"""A store without a server, for tests of tools: programs of the build tree work on a root of its own.

    bench = Bench(root)
    bench.do("create user.bob", "append user.bob {msg} \\\\Seen work")      # tests/progs/store_do.c has the words
    box = bench.show("user.bob")                    # all it holds: box.counters, box.records[uid], box.annotations
    done = bench.tool("reconstruct", "-r", "user/bob")     # done.returncode, done.stdout, done.stderr
    bench.log_lines()                               # what the sync log of the nameless channel has got since

The build tree is that of scripts/check, or the one US_BUILD names. As root, everything runs as the service user."""
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lib import places

_WORD = re.compile(r"(\w+)=(.*?)(?= \w+=|$)", re.S)


@dataclass
class Box:
    """What store_do shows of a mailbox."""
    counters: dict = field(default_factory=dict)       # numbers, where they are numbers
    flagnames: dict = field(default_factory=dict)      # {bit: name}
    records: dict = field(default_factory=dict)        # {uid: {key: value}}
    annotations: dict = field(default_factory=dict)    # {(uid, entry, user): (modseq, value)}

    @property
    def live(self):
        return {uid: r for uid, r in self.records.items() if not r["expunged"]}


def _values(line):
    out = {}
    for key, value in _WORD.findall(line):
        out[key] = int(value) if re.fullmatch(r"-?\d+", value) and key not in ("name", "guid", "value", "user") else value
    if "flags" in out:
        out["flags"] = sorted(f for f in str(out["flags"]).split(",") if f)
    return out


class Bench:
    def __init__(self, root, imapd=None, build=None):
        self.root = Path(root)
        self.build = Path(build or places.build())
        self.conf = self.root / "imapd.conf"
        self.options = {"configdirectory": self.root / "conf", "defaultpartition": "default",
                        "partition-default": self.root / "spool", "sievedir": self.root / "sieve",
                        "servername": "bench.test", "admins": "admin", "sync_log": True, "logfile": self.root / "log",
                        "cyrus_user": places.daemon_user().pw_name, **(imapd or {})}
        for folder in (self.root / "conf", self.root / "sieve", *self.partitions()):
            folder.mkdir(exist_ok=True)
        self.write_conf()
        places.own_by_service_user(self.root)
        self._log_read = 0

    def partitions(self):
        return [Path(v) for k, v in self.options.items() if k.startswith("partition-")]

    def write_conf(self):
        places.write_conf(self.conf, self.options)

    def environment(self):
        reports = f"log_path={self.root}/sanitizer"
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "US_TEST_ROOT": str(self.root),
                "ASAN_OPTIONS": reports, "UBSAN_OPTIONS": reports + ":print_stacktrace=1"}

    def run(self, program, *args, stdin="", timeout=60, env=None):
        path = self.build / program
        if not path.exists():
            raise places.Missing(f"no {program} in {self.build}: make check builds it")
        done = subprocess.run([str(path), "-C", str(self.conf), *map(str, args)], input=stdin, text=True, cwd="/",
                              capture_output=True, timeout=timeout, env={**self.environment(), **(env or {})},
                              errors="surrogateescape")
        reports = places.sanitizer_reports(self.root)
        assert not reports, "\n".join(reports)
        return done

    tool = run

    def ok(self, program, *args, **more):
        """Run a tool that must succeed; its output."""
        done = self.run(program, *args, **more)
        assert done.returncode == 0, f"{program} {args} -> {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def do(self, *lines):
        """Carry out lines of store_do, each of which must succeed; its output without the OKs."""
        done = self.run("tests/progs/store_do", stdin="".join(line + "\n" for line in lines))
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in done.stdout.splitlines() if line != "OK"]

    def message(self, text, name="message"):
        """A file with that text, for `append`; its path."""
        path = self.root / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(0o644)
        return path

    def show(self, name):
        box = Box()
        for line in self.do(f"show {name}"):
            kind, rest = line.split(" ", 1)
            values = _values(rest)
            if kind == "mailbox":
                box.counters = values
            elif kind == "flagname":
                box.flagnames[values["bit"]] = values["name"]
            elif kind == "record":
                box.records[values["uid"]] = values
            elif kind == "annotation":
                box.annotations[values["uid"], values["entry"], values["user"]] = values["modseq"], values["value"]
        return box

    def directory(self, name):
        """Where a mailbox's files are."""
        storeid = self.show(name).counters["storeid"]
        return next(p for part in self.partitions() for p in part.glob(f"u/*/{storeid}"))

    def own(self, *paths):
        """What a test put there belongs to whom it would belong to."""
        for path in paths:
            places.own_by_service_user(path)
            if os.getuid() == 0 and not Path(path).is_dir():
                user = places.service_user()
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)

    def log_lines(self):
        """Lines of the nameless channel's sync log that were not given before."""
        path = self.root / "conf/sync/log"
        lines = path.read_text().splitlines() if path.exists() else []
        new, self._log_read = lines[self._log_read:], len(lines)
        return new
