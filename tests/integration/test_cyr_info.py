"""cyr_info: the configuration, listed and checked."""
import fcntl
import os
import pwd
from contextlib import contextmanager

import pytest

from lib import places
from lib.bench import Bench

CYRUS_CONF = """
SERVICES {
  imap cmd="imapd" listen="143"
}
"""


@pytest.fixture
def bench(root):
    return Bench(root)


def pairs(text):
    return [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in text.splitlines()]


def lint(bench, *options):
    path = bench.root / "cyrus.conf"
    path.write_text(CYRUS_CONF)
    return bench.ok("cyr_info", "-M", path, *options, "conf-lint")


def test_conf_lists_what_differs_from_the_defaults_and_what_is_beyond_the_table(bench):
    bench.options.update({"sync_log": False, "timeout": "60", "expunge_mode": "immediate", "sasl_mech_list": "PLAIN",
                          "sync_timeout": "1800"})    # 30m, the default, in other words
    bench.write_conf()
    got = pairs(bench.ok("cyr_info", "conf"))
    assert ("expunge_mode", "immediate") in got and ("timeout", "60") in got and ("sasl_mech_list", "PLAIN") in got
    assert ("partition-default", str(bench.root / "spool")) in got
    assert not {"sync_log", "sync_timeout", "delete_mode"} & {key for key, _ in got}


def test_conf_all_and_conf_default_list_every_key(bench):
    bench.options["expunge_mode"] = "immediate"
    bench.write_conf()
    everything, defaults = pairs(bench.ok("cyr_info", "conf-all")), pairs(bench.ok("cyr_info", "conf-default"))
    assert len(defaults) > 500 and len(dict(defaults)) == len(defaults)
    assert [key for key, _ in everything[:len(defaults)]] == [key for key, _ in defaults]
    assert dict(everything)["expunge_mode"] == "immediate" and dict(defaults)["expunge_mode"] == "delayed"
    assert dict(everything)["partition-default"] == str(bench.root / "spool")
    assert dict(everything)["sync_host"] == ""


def test_conf_as_a_service_reads_it(bench):
    bench.options.update({"imap_allowplaintext": True, "pop3_allowplaintext": False})
    bench.write_conf()
    assert ("allowplaintext", "yes") in pairs(bench.ok("cyr_info", "-n", "imap", "conf"))
    assert "\nallowplaintext:" not in bench.ok("cyr_info", "-n", "pop3", "conf")


def test_keys_newer_than_a_version_are_marked(bench):
    lines = bench.ok("cyr_info", "-s", "3.6", "conf-default").splitlines()
    assert "sync_log: no" in lines
    assert any(line.startswith("(3.") for line in lines) and any(line.startswith("(0.1) ") for line in lines)
    assert not any(line.startswith("(3.6") for line in lines)


def test_keys_that_an_older_cyrus_had_otherwise_are_marked(bench):
    for version, marked in (("2.3.17", {"sync_timeout", "readonly", "event_groups"}), ("2.5", {"sync_timeout", "readonly", "event_groups"}),
                            ("3.0.18", {"sync_timeout", "readonly"}), ("3.2.1", {"readonly"}), ("3.4", set())):
        lines = bench.ok("cyr_info", "-s", version, "conf-default").splitlines()
        assert {key for key in ("sync_timeout", "readonly", "event_groups", "admins")
                if any(line.startswith("(3") and f") {key}:" in line for line in lines)} == marked, version


@pytest.mark.parametrize("version", ["", "x", "3.x", "3.6x", "-1", ".5", "9999"])
def test_what_is_no_version(bench, version):
    assert bench.tool("cyr_info", "-s", version, "conf").returncode == 255


def test_lint_is_silent_about_a_clean_file_with_overrides_and_channels(bench):
    bench.options.update({"imap_timeout": "45", "sync_log_channels": "east", "east_sync_host": "h", "sasl_foo": "x",
                          "imap_sasl_mech_list": "PLAIN", "east_sync_repeat_interval": "2s"})
    bench.write_conf()
    assert lint(bench) == ""


def test_lint_lists_the_unknown_and_with_v_what_has_no_effect(bench):
    bench.options.update({"nonsense": "1", "pop9_timeout": "45", "httpmodules": "caldav", "tls_cert_file": "/x",
                          "east_sync_repeat_interval": "often"})
    bench.write_conf()
    assert sorted(lint(bench).splitlines()) == ["east_sync_repeat_interval: often", "nonsense: 1", "pop9_timeout: 45",
                                                "tls_cert_file: /x"]
    told = dict(line.split("\t# ") for line in lint(bench, "-v").splitlines() if "without effect" not in line)
    assert told["nonsense: 1"].endswith("unknown")
    assert told["pop9_timeout: 45"].endswith("there is no service pop9")
    assert told["tls_cert_file: /x"].endswith("old name of tls_server_cert")
    assert "ignored: " in told["httpmodules: caldav"] and f"{bench.conf}:" in told["httpmodules: caldav"]


@contextmanager
def held(note):
    """As its process holds it."""
    with open(note) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("place", ["conf/proc", "notes"])
def test_proc_reads_the_notes_of_processes(bench, place):
    folder = bench.root / place
    folder.mkdir()
    if place == "notes":
        bench.options["proc_path"] = str(folder)
        bench.write_conf()
    (folder / "123").write_text("imap\tlocalhost [127.0.0.1]\tbob\tuser.bob\t\n")
    (folder / "124").write_text("imap\tof a process that was killed\tbob\tuser.bob\t\n")
    (folder / "notes").write_text("not a process\n")
    bench.own(folder)
    with held(folder / "123"), held(folder / "notes"):
        assert bench.ok("cyr_info", "proc") == "123 imap localhost [127.0.0.1] bob user.bob \n"
    assert bench.ok("cyr_info", "proc") == ""


def test_proc_without_notes_is_silent(bench):
    assert bench.ok("cyr_info", "proc") == ""


def test_version_begins_with_the_interface(bench):
    assert bench.ok("cyr_info", "version").startswith("cyrus-imapd 3.6.1-Understudy-")


@pytest.mark.parametrize("args, status", [((), 255), (("nonsense",), 255), (("-x", "conf"), 255),
                                          (("-M", "/nonexistent", "conf-lint"), 78)])
def test_a_wrong_call_has_the_status_of_cyrus(bench, args, status):
    done = bench.tool("cyr_info", *args)
    assert (done.returncode, done.stdout) == (status, "") and done.stderr


def test_a_bad_configuration_ends_with_78(bench):
    bench.options["timeout"] = "soon"
    bench.write_conf()
    done = bench.tool("cyr_info", "conf")
    assert done.returncode == 78 and "timeout" in done.stderr and str(bench.conf) in done.stderr


def test_started_by_root_it_becomes_the_user_of_the_services(bench):
    if os.getuid() != 0:
        raise places.Missing("root, to see what becomes of root's rights")
    bench.options["cyrus_user"] = "nobody-of-that-name"
    bench.write_conf()
    assert bench.tool("cyr_info", "conf").returncode == 78
    assert pwd.getpwnam("cyrus")
    bench.options["cyrus_user"] = "cyrus"
    bench.write_conf()
    folder = bench.root / "conf/proc"
    folder.mkdir()
    (folder / "5").write_text("imap\ta\tb\tc\td\n")
    (folder / "5").chmod(0o600)    # root's own: the tool, no longer root, cannot read it
    folder.chmod(0o755)
    with held(folder / "5"):
        assert bench.ok("cyr_info", "proc") == ""
        (folder / "5").chmod(0o644)
        assert bench.ok("cyr_info", "proc") == "5 imap a b c d\n"
