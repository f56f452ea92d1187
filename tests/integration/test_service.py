"""The skeleton of services, without a master."""
import os
import socket
import subprocess

import pytest

from lib.supervised import Client, Supervised


@pytest.fixture
def m(roots):
    with Supervised(roots()) as one:
        one.write_conf()
        yield one


def run(m, *args, **more):
    return subprocess.run([m.bin / "echod", "-C", m.imapd_conf, *args], env=m.environment, capture_output=True,
                          text=True, timeout=20, **{"input": "who\nbye\n", **more})


@pytest.mark.parametrize("args", [[], ["-X"], ["-U", "30", "-T", "60", "-X"]])
def test_serves_stdin_and_stdout_once(m, args):
    done = run(m, *args, "-g", "hi")
    assert done.returncode == 0, done.stderr
    banner, who, bye, end = done.stdout.split("\n")
    assert banner.startswith("* hi ") and (bye, end) == ("bye", "")
    who = dict(word.split("=", 1) for word in who.split())
    assert who["alone"] == "1" and who["remote"] == "stdio" and who["name"] == "test"
    if os.getuid() == 0:    # somebody started it as root: it does not serve as root
        assert who["uid"] != "0" and who["groups"] != "0,"


def test_serves_a_socket_it_was_given_as_stdio(m):
    """As inetd does."""
    server = socket.create_server(("127.0.0.1", 0))
    client = Client(server.getsockname())
    accepted, address = server.accept()
    process = subprocess.Popen([m.bin / "echod", "-C", m.imapd_conf], env=m.environment, stdin=accepted, stdout=accepted)
    accepted.close()
    who = client.greeted().who()
    assert who["remote"] == f"[127.0.0.1]:{address[1]}" and who["local"] == f"[127.0.0.1]:{server.getsockname()[1]}"
    client.send("exit 5")
    assert process.wait(10) == 5
    client.close()
    server.close()


@pytest.mark.parametrize("args", [["-U30"], ["-XD"], ["-gword"], ["-Q"], ["word"], ["-C"]])
def test_bad_options_are_usage_errors(m, args):
    assert run(m, *args).returncode == 64


def test_without_a_configuration_it_does_not_start(m):
    m.imapd_conf.unlink()
    done = run(m)
    assert done.returncode == 78 and "imapd.conf" in done.stderr and done.stdout == ""


def test_init_that_fails_ends_it(m):
    done = run(m, "-b", m.imapd_conf)
    assert done.returncode not in (0, 75) and "told to fail" in done.stderr and done.stdout == ""


def test_term_ends_it_at_the_next_wait(m):
    process = subprocess.Popen([m.bin / "echod", "-C", m.imapd_conf], env=m.environment, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    process.stdout.readline()
    process.terminate()
    assert process.wait(5) == 75
    process.stdin.close()
    process.stdout.close()
