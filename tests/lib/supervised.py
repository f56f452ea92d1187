"""A master of the build tree with services, daemons and tools made for tests (tests/progs), below a root of its own.

    with Supervised(root) as m:
        m.services["echo"] = f'cmd="echod" listen="127.0.0.1:{port}" prefork=1'
        m.start()
        client = m.connect(port)
        client.who()["uid"]

What it needs is copied to <root>/bin, where the service user can reach it and a test may replace it. The build tree is
that of scripts/check, or the one US_BUILD names."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from lib import places
from lib.places import wait_until

PROGRAMS = {"master": "master", "metad": "tests/progs/test_daemon", "waitd": "tests/progs/test_daemon",
            "otherd": "tests/progs/test_daemon", "echod": "tests/progs/test_service"}
BAD_LINE = re.compile(r"panic|Sanitizer|runtime error:")


class Client:
    """A connection to test_service, greeted."""

    def __init__(self, address, timeout=10):
        family = socket.AF_UNIX if isinstance(address, (str, Path)) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(timeout)
        self.socket.connect(str(address) if family == socket.AF_UNIX else address)
        self.file = self.socket.makefile("rwb")
        self.greeting = None

    def greeted(self):
        """Wait for the banner; returns self."""
        line = self.file.readline().decode()
        assert line.startswith("* "), f"no banner but {line!r}"
        _, self.greeting, pid = line.split()
        self.pid = int(pid)
        return self

    def greeted_within(self, seconds):
        """Does a banner come in that time?"""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)

    def send(self, line):
        self.file.write(line.encode() + b"\n")
        self.file.flush()

    def ask(self, line):
        self.send(line)
        return self.file.readline().decode().rstrip("\n")

    def who(self):
        return dict(word.split("=", 1) for word in self.ask("who").split())

    def alive(self):
        return self.ask("ping") == "ping"

    def ended(self):
        """Wait for the server's end of the connection; True when it came in order."""
        try:
            return self.file.read() == b""
        except ConnectionResetError:
            return False

    def close(self):
        self.file.close()
        self.socket.close()


class Supervised:
    def __init__(self, root, imapd=None, programs=None):
        """programs: more than PROGRAMS, or others in their place: name in bin, path in the build tree."""
        self.root = Path(root)
        self.programs = {**PROGRAMS, **(programs or {})}
        self.bin, self.conf = self.root / "bin", self.root / "conf"
        self.imapd_conf, self.cyrus_conf = self.root / "imapd.conf", self.root / "cyrus.conf"
        self.log_file, self.ready_file = self.root / "log", self.root / "ready"
        self.pid_file = self.root / "master.pid"
        self.start_entries, self.services, self.events, self.daemons = {}, {}, {}, {}
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC", "UNDERSTUDY_PATH": str(self.bin),
                            "US_TEST_ROOT": str(self.root),
                            "ASAN_OPTIONS": f"log_path={self.root}/sanitizer",
                            "UBSAN_OPTIONS": f"log_path={self.root}/sanitizer:print_stacktrace=1"}
        self.options = {"configdirectory": self.conf, "logfile": self.log_file,
                        "master_ready_file": self.ready_file, **(imapd or {})}
        self.process = None
        self.clients = []
        self._install()

    def _install(self):
        build = places.build()
        self.bin.mkdir()
        self.conf.mkdir()
        for name, built in self.programs.items():
            if not (build / built).exists():
                raise places.Missing(f"no {built} in {build}: make check builds it")
            shutil.copy(build / built, self.bin / name)
        places.own_by_service_user(self.root)

    # ---- configuration ---------------------------------------------------------------------------

    def tool(self, name, script):
        """A shell script in bin, for START and EVENTS; returns its name."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return name

    def echo(self, name, listen, more="prefork=1", cmd="echod"):
        """A service entry; -C is what every cmd must bring itself."""
        self.services[name] = f'cmd="{cmd} -C {self.imapd_conf}" listen="{listen}" {more}'

    def write_conf(self):
        places.write_conf(self.imapd_conf, self.options)
        sections = {"START": self.start_entries, "SERVICES": self.services, "EVENTS": self.events,
                    "DAEMON": self.daemons}
        lines = []
        for section, entries in sections.items():
            lines += [section + " {", *(f"  {name} {line}" for name, line in entries.items()), "}"]
        self.cyrus_conf.write_text("\n".join(lines) + "\n")

    # ---- running ---------------------------------------------------------------------------------

    def launch(self, *args, conf=True, **more):
        """Start master, without waiting for anything; returns the process."""
        if conf:
            self.write_conf()
        command = [self.bin / "master", "-C", self.imapd_conf, "-M", self.cyrus_conf, "-p", self.pid_file, *args]
        with open(self.root / "master.out", "ab") as out:
            return subprocess.Popen(command, **{"env": self.environment, "stdin": subprocess.DEVNULL, "stdout": out,
                                                "stderr": out, "cwd": "/", "start_new_session": True, **more})

    def start(self, *args, seconds=20):
        self.process = self.launch(*args)

        def up():
            assert self.process.poll() is None, f"master ended with {self.process.returncode}\n{self.tail()}"
            return self.ready_file.exists() and self.ready_file.read_text() == f"{self.process.pid}\n"
        wait_until(up, seconds, lambda: f"ready\n{self.tail()}")
        return self

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Send a signal and wait; returns (exit status, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        self.process = None
        return status, time.monotonic() - began

    def reload(self):
        """SIGHUP, and wait until it was dealt with."""
        self.write_conf()
        before = self.count("Services reconfigured")
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.count("Services reconfigured") > before, 10, lambda: f"reload\n{self.tail()}")

    def connect(self, address):
        """To a port of 127.0.0.1, a path or a (host, port); not greeted yet."""
        client = Client(("127.0.0.1", address) if isinstance(address, int) else address)
        self.clients.append(client)
        return client

    def client(self, address):
        return self.connect(address).greeted()

    # ---- looking ---------------------------------------------------------------------------------

    def log(self):
        return self.log_file.read_text("utf-8", "backslashreplace") if self.log_file.exists() else ""

    def count(self, text):
        return self.log().count(text)

    def wait_log(self, text, count=1, seconds=10):
        wait_until(lambda: self.count(text) >= count, seconds, lambda: f"{count} times in the log: {text}\n{self.tail()}")

    def tail(self):
        out = self.root / "master.out"
        reports = places.sanitizer_reports(self.root)
        return "\n".join([out.read_text() if out.exists() else "", *self.log().splitlines()[-30:], *reports])

    def notes(self, daemon):
        """What test_daemon noted: [(what, pid, milliseconds, unclean)]."""
        path = self.root / f"{daemon}.log"
        rows = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(what, int(pid), int(ms), unclean == "unclean=1") for what, pid, ms, unclean in rows]

    def processes(self, program=None):
        """Pids of what runs for this root, of one program in bin or of all."""
        found = places.processes_of(self.root)
        return sorted(pid for pid, line in found.items()
                      if not program or Path(line.split()[0]).name == program)

    def children(self, pid, program=None):
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            pids = {int(p) for p in file.read().split()}
        return sorted(pids & set(self.processes(program)))

    def serving(self, program):
        """Pids of its processes that have a client, as their titles tell."""
        found = places.processes_of(self.root)
        return sorted(pid for pid, line in found.items()
                      if re.match(r"\S+ \S+ \[", line) and Path(line.split()[0]).name == program)

    def parents(self):
        """The service processes that were initialised: the echod children of master that accept."""
        return [pid for pid in self.children(self.process.pid, "echod") if self._listens(pid)]

    @staticmethod
    def _listens(pid):
        try:
            return os.readlink(f"/proc/{pid}/fd/4").startswith("socket:") and \
                os.readlink(f"/proc/{pid}/fd/3").startswith("pipe:")
        except OSError:
            return False

    def faults(self):
        reports = places.sanitizer_reports(self.root)
        lines = [line for line in self.tail().splitlines() if BAD_LINE.search(line)]
        return reports + lines

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for client in self.clients:
            client.close()
        try:
            if kind is None and self.process:
                status, _ = self.stop()
                assert status == 0, f"master ended with {status}\n{self.tail()}"
            if kind is None:
                assert self.processes() == [], places.processes_of(self.root)
                faults = self.faults()
                assert not faults, "\n".join(faults)
        finally:
            places.kill_processes_of(self.root)
            if self.process:
                self.process.wait(5)
