"""The rules of tests/conftest.py: what is missing fails in CI and is skipped elsewhere; no test runs for ever."""
import os
import subprocess
import sys

import pytest

from lib.places import TOP

TESTS = """
import time, pytest
from lib import places
from lib.server import Server

@pytest.fixture
def lacking():
    raise places.Missing("no Cyrus here")

def test_in_a_fixture(lacking): pass
def test_in_the_test(): raise places.Missing("no US_PREFIX here")
@pytest.mark.limit(0.3)
def test_for_ever(): time.sleep(60)
def test_no_peer(cyrus_peer): pass
"""


def run(place, ci):
    (place / "test_it.py").write_text(TESTS)
    env = {k: v for k, v in os.environ.items() if k != "CI"}
    env.update(PYTHONPATH=str(TOP / "tests"), US_PEERS=str(place / "nowhere"), **({"CI": "1"} if ci else {}))
    return subprocess.run([sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rs", "-q",
                           "test_it.py"], cwd=place, env=env, capture_output=True, text=True, timeout=60).stdout


def test_elsewhere_what_is_missing_is_skipped_and_why(tmp_path):
    out = run(tmp_path, ci=False)
    assert "1 failed, 3 skipped" in out
    assert "no Cyrus here" in out and "no US_PREFIX here" in out and "run scripts/peers" in out


@pytest.mark.parametrize("ci", [False, True])
def test_a_test_has_a_limit(tmp_path, ci):
    assert "the test took longer than 0.3 s" in run(tmp_path, ci)


def test_in_ci_what_is_missing_fails(tmp_path):
    out = run(tmp_path, ci=True)
    assert "2 failed, 2 errors" in out and "skipped" not in out
