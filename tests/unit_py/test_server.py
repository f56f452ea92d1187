"""lib.server with an installation of scripts in place of our daemons: what it starts, and what it holds against
a server at the end."""
import os
import shutil
import stat
import subprocess

import pytest

from lib import places
from lib.mail_server import ToolFailed
from lib.places import Missing, wait_until
from lib.server import Server

# Reads imapd.conf, does what its option "misdeed" says, writes the ready file, and stays until SIGTERM.
MASTER = r"""#!/usr/bin/python3
import os, signal, subprocess, sys
conf = dict(line.split(": ", 1) for line in open(sys.argv[sys.argv.index("-C") + 1]).read().splitlines())
misdeed = conf.get("misdeed", "")
if misdeed == "exit":
    sys.exit(78)
log = open(conf["logfile"], "a")
log.write(f"now us/master[1]: {misdeed}\n")
log.write("failpoints " + os.environ["US_FAILPOINTS"] + "\n")
log.close()
helper = os.path.join(os.path.dirname(sys.argv[0]), "imapd")
if misdeed == "leave":
    subprocess.Popen([helper, "1000"], start_new_session=True)
if misdeed == "stage":
    os.makedirs(conf["partition-default"] + "/stage/1")
    open(conf["partition-default"] + "/stage/1/guid", "w")
if misdeed == "leak":
    open(os.environ["ASAN_OPTIONS"].split("=")[1].split(":")[0] + ".77", "w").write(
        "==77==ERROR: LeakSanitizer: detected memory leaks\n")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if misdeed != "silent":
    open(conf["master_ready_file"], "w")
signal.sigwait([signal.SIGTERM])
os.unlink(conf["master_ready_file"])
sys.exit(3 if misdeed == "status" else 0)
"""
TOOL = '#!/bin/sh\necho "$@"\ncat\n[ "$3" != fail ]\n'


@pytest.fixture
def prefix():
    top = places.make_root("us-prefix-")
    programs = {"libexec/master": MASTER, "sbin/cyr_tool": TOOL, "libexec/lmtpd": "#!/bin/sh\n",
                "libexec/sync_server": "#!/bin/sh\n"}
    for name, text in programs.items():
        path = top / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    (top / "libexec/imapd").symlink_to("/bin/sleep")
    yield top
    shutil.rmtree(top)


@pytest.fixture
def make(prefix, roots):
    def build(misdeed=None, **more):
        return Server(roots(), prefix, imapd={"misdeed": misdeed}, users=["bob"], **more)
    return build


def test_the_files_it_writes(make, prefix):
    s = make(services={"imaps": None, "lmtp": {"prefork": 3}},
             sections={"EVENTS": {"tool": {"cmd": "cyr_tool -C {conf}", "period": 5}}})
    entries = s.cyrus_conf.read_text()
    assert f'imap cmd="{prefix}/libexec/imapd -C {s.conf}" listen="127.0.0.1:{s.imap_port}"' in entries
    assert f'lmtp cmd="{prefix}/libexec/lmtpd -C {s.conf} -a" listen="127.0.0.1:{s.lmtp_port}" prefork="3"' in entries
    assert f'tool cmd="{prefix}/sbin/cyr_tool -C {s.conf}" period="5"' in entries
    assert "imaps" not in entries and "csync" in entries and "lmtpunix" in entries
    conf = s.conf.read_text()
    assert f"logfile: {s.root}/log\n" in conf and "allowplaintext: yes\n" in conf and "misdeed" not in conf
    assert len(str(s.lmtp_socket)) < 60 and stat.S_IMODE(s.root.stat().st_mode) == 0o755
    for name in ("imapd.conf", "spool", "key.pem", "sasldb2", "failpoints"):
        assert os.getuid() != 0 or (s.root / name).stat().st_uid == places.service_user().pw_uid
    users = subprocess.run(["/usr/sbin/sasldblistusers2", "-f", s.root / "sasldb2"], capture_output=True, text=True)
    assert "admin@us.test" in users.stdout and "bob@us.test" in users.stdout


def test_a_good_run(make):
    with make() as s:
        assert any(str(s.failpoints.path) in line for line in s.log())
        assert s.faults() == []
        assert s.tool("cyr_tool", "-x", stdin="in").stdout == f"-C {s.conf} -x\nin"
        with pytest.raises(ToolFailed):
            s.tool("cyr_tool", "fail")
        assert s.tool("cyr_tool", "fail", check=False).returncode == 1
        s.restart()
    assert not s.root.exists()


@pytest.mark.parametrize("misdeed,fault", [
    ("IOERROR: opening index", "log: now us/master[1]: IOERROR: opening index"),
    ("event=process.panic", "log: now us/master[1]: event=process.panic"),
    ("leak", "sanitizer.77: ==77==ERROR: LeakSanitizer: detected memory leaks"),
    ("leave", "left behind: process"),
    ("stage", "left behind: "),
])
def test_what_it_holds_against_a_server(make, misdeed, fault):
    s = make(misdeed).start()
    if misdeed == "leave":    # else it may not be another program yet
        wait_until(lambda: any("1000" in line for line in places.processes_of(s.root).values()), 5, "left")
    with pytest.raises(AssertionError) as error:
        s.finish()
    assert fault in str(error.value)
    assert places.processes_of(s.root) == {}


def test_what_a_test_expects_is_no_fault(make):
    with make("IOERROR: opening index") as s:
        s.expect("IOERROR: opening index")


@pytest.mark.parametrize("misdeed", ["exit", "silent"])
def test_a_master_that_does_not_come_up(make, misdeed):
    s = make(misdeed)
    with pytest.raises((ToolFailed, TimeoutError)):
        s.start(seconds=1)


def test_a_master_that_ends_badly(make):
    with pytest.raises(ToolFailed, match="ended with 3"):
        with make("status"):
            pass


def test_killing(make):
    s = make("leave").start()
    wait_until(lambda: any("sleep" in line or "imapd" in line for line in places.processes_of(s.root).values()), 5,
               "the helper runs")
    assert len(s.kill_program("imapd")) == 1
    s.kill()
    assert places.processes_of(s.root) == {}
    s.start()
    s.kill()


def test_missing_programs_are_missing(make, monkeypatch, root):
    with pytest.raises(Missing, match="no program nothing"):
        make(services={"x": {"cmd": "nothing -C {conf}", "listen": "1"}})
    monkeypatch.delenv("US_PREFIX", raising=False)
    with pytest.raises(Missing, match="US_PREFIX"):
        Server(root)
