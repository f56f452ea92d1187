"""The control page as Python writes it, against the header and the code it is for."""
import os
import signal
import subprocess

import pytest

from lib.failpoints import SIZE, FailpointPage
from lib.places import TOP

LAYOUT = r"""
#include <stddef.h>
#include <stdio.h>
#include "server/base/failpoint.h"
#define SHOW(x) printf("%s %zu\n", #x, offsetof(struct failpoint_page, x))
int main(void)
{
	SHOW(name); SHOW(action); SHOW(countdown); SHOW(fired); SHOW(recording); SHOW(hit);
	printf("size %zu\n", sizeof(struct failpoint_page));
	printf("actions %d %d %d %d %d %d\n", FAILPOINT_OFF, FAILPOINT_KILL, FAILPOINT_TORN, FAILPOINT_ENOSPC,
	       FAILPOINT_EIO, FAILPOINT_STOP);
	return 0;
}
"""
# Passes "a.b" argv[1] times and says what each passing came to.
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "server/base/failpoint.h"
int main(int argc, char **argv)
{
	failpoint_init();
	failpoint_hit(FP("other.point"));
	for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--)
		printf("%d\n", failpoint_hit(FP("a.b"))), fflush(stdout);
	return 0;
}
"""


def compiled(place, text, *objects):
    source = place / "program.c"
    source.write_text(text)
    command = ["cc", "-std=gnu17", "-D_GNU_SOURCE", f"-I{TOP}", "-o", place / "program", source, *objects]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place / "program"


def test_layout_is_that_of_the_header(tmp_path):
    told = subprocess.run([compiled(tmp_path, LAYOUT)], capture_output=True, text=True, check=True).stdout
    assert told.split("\n")[:-1] == ["name 8", "action 72", "countdown 76", "fired 80", "recording 84", "hit 88",
                                     f"size {SIZE}", "actions 0 1 2 3 4 5"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    base = TOP / "server/base"
    sources = [base / f"{name}.c" for name in ("failpoint", "err", "mem", "log", "buf", "span")]
    return compiled(tmp_path_factory.mktemp("failpoint"), PROGRAM, *sources)


@pytest.fixture
def page(tmp_path):
    return FailpointPage(tmp_path / "page")


def run(program, page, times):
    return subprocess.run([program, str(times)], env={**os.environ, "US_FAILPOINTS": str(page.path)}, text=True,
                          capture_output=True, timeout=20)


def test_hits_are_counted_over_processes(program, page):
    run(program, page, 2)
    assert page.hits() == {}
    page.record()
    run(program, page, 2)
    run(program, page, 1)
    assert page.hits() == {"other.point": 2, "a.b": 3}
    page.record(False)
    run(program, page, 1)
    assert page.hits()["a.b"] == 3


def test_an_armed_point_acts_once_after_its_countdown(program, page):
    page.arm("a.b", "enospc", 1)
    assert run(program, page, 4).stdout.split() == ["0", "28", "0", "0"]
    assert page.fired == 1
    page.arm("a.b", "kill", 2)
    done = run(program, page, 4)
    assert (done.returncode, done.stdout.split(), page.fired) == (-signal.SIGKILL, ["0", "0"], 1)
    page.arm("a.b", "eio")
    page.disarm()
    assert run(program, page, 1).stdout.split() == ["0"]


def test_a_page_for_each_program(program, page, tmp_path):
    """US_FAILPOINTS ends in a slash: each program maps the page of its name, and only that."""
    own = FailpointPage(tmp_path / "program")
    page.arm("a.b", "enospc")
    own.arm("a.b", "eio")

    def said(name):
        environment = {**os.environ, "US_FAILPOINTS": f"{tmp_path}/"}
        return subprocess.run([name, "1"], executable=program, env=environment, text=True, capture_output=True).stdout
    assert said("/somewhere/other") == "0\n"
    assert said("/somewhere/program") == "5\n"
    assert own.fired == 1 and page.fired == 0


def test_a_name_too_long_is_refused(page):
    with pytest.raises(ValueError):
        page.arm("x" * 64, "kill")
