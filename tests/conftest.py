"""Fixtures of all Python tests, and two rules: what a test needs and this machine lacks makes it fail where CI
is set and skip, saying why, elsewhere; and no test takes longer than its limit (LIMIT seconds, or the mark
limit(seconds))."""
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True    # these folders go into the distribution as they are

from lib import beside, places    # noqa: E402
from lib.cyrus_peer import CyrusPeer    # noqa: E402
from lib.power import Disks    # noqa: E402
from lib.server import ONLY_IMAP, Server    # noqa: E402
from lib.site import Site    # noqa: E402
from lib.towards_us import Pair    # noqa: E402

LIMIT = 120


class TooLong(BaseException):
    """No Exception, so that nothing takes it for a fault of the server."""


def pytest_configure(config):
    config.addinivalue_line("markers", f"limit(seconds): how long the test may take, instead of {LIMIT} s")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    mark = item.get_closest_marker("limit")
    seconds = (mark.args[0] if mark else LIMIT) * (3 if beside.wanted(item.path.name) else 1)

    def too_long(_signal, _frame):
        raise TooLong(f"the test took longer than {seconds} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds, 60)    # the end of a test that took too long has a minute
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.when == "call":
        item.went_well = report.passed
    if not call.excinfo:
        return
    if call.excinfo.errisinstance(places.Missing) and not os.environ.get("CI"):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), item.location[1], f"Skipped: {call.excinfo.value}")
    elif report.outcome == "failed":
        for server in getattr(item, "mail_servers", []):
            if server.root.exists():
                report.sections.append((f"the end of {server.name}'s logs ({server.root})", server.tail()))


@pytest.fixture
def roots():
    """make() gives a new short root that everybody can enter; all are removed at the end."""
    made = []

    def make():
        made.append(places.make_root())
        return made[-1]
    yield make
    for root in made:
        places.kill_processes_of(root)
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def root(roots):
    return roots()


@pytest.fixture
def disks(root):
    """make() gives a new disk whose power can be cut; all go at the end."""
    all_of_them = Disks()
    yield all_of_them.make
    places.kill_processes_of(root)
    all_of_them.close()


@pytest.fixture
def sites(roots):
    """make("a", to=b, ...): a running master of ours; all end with the test."""
    made = []

    def make(name, start=True, **more):
        made.append(Site(roots(), name, **more).__enter__())
        return made[-1].start() if start else made[-1]
    yield make
    for site in reversed(made):
        site.__exit__(None)


def _peer_tree(kind):
    tree = Path(os.environ.get("US_PEERS", places.TOP / "build/peers")) / kind / "root"
    if not tree.exists():
        raise places.Missing(f"nothing in {tree}: run scripts/peers {kind}")
    return tree


@pytest.fixture(scope="session")
def cyrus_tree():
    """Debian's Cyrus, unpacked by scripts/peers."""
    return _peer_tree("cyrus")


@pytest.fixture(scope="session")
def dovecot_tree():
    """Debian's Dovecot, unpacked by scripts/peers dovecot."""
    return _peer_tree("dovecot")


def _stop_all(servers):
    errors = []
    for server in reversed(servers):
        try:
            server.stop()
        except Exception as error:    # the others must be stopped all the same
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def cyrus_peer(request, roots, cyrus_tree):
    """make(**options of CyrusPeer) gives one that runs."""
    request.node.mail_servers = made = getattr(request.node, "mail_servers", [])
    mine = []

    def make(**options):
        peer = CyrusPeer(roots(), cyrus_tree, **options)
        made.append(peer)
        mine.append(peer)
        return peer.start()
    yield make
    _stop_all(mine)


@pytest.fixture
def cyrus_pair(request, roots, cyrus_tree):
    """(a, b), running; a's sync_client works towards b."""
    a, b = CyrusPeer.pair(roots(), roots(), cyrus_tree)
    request.node.mail_servers = [a, b]
    try:
        yield a.start(), b.start()
    finally:
        _stop_all([a, b])


@pytest.fixture
def towards_us(request, roots, cyrus_tree):
    """make(**options of lib.towards_us.Pair) gives one that runs: a Cyrus that replicates to us."""
    made = []
    request.node.mail_servers = []

    def make(**options):
        made.append(Pair(roots, cyrus_tree, **options))
        request.node.mail_servers += [made[-1].a, made[-1]]
        made[-1].a.start()
        return made[-1]
    yield make
    for one in made:
        one.stop()


@pytest.fixture
def server(request, roots):
    """make(**options of Server) gives one of ours that runs; each is finished, and must be without fault. With US_REPLICA=1 the tests
    of IMAP have a replica beside each (lib.beside), which is equal in the end if the test went well."""
    request.node.mail_servers = made = getattr(request.node, "mail_servers", [])
    mine, doubled = [], beside.wanted(request.node.path.name)

    def make(**options):
        one = beside.Doubled(roots(), roots(), **options) if doubled else Server(roots(), **options)
        made.extend([one.copy, one] if doubled else [one])
        mine.append(one)
        return one.start()
    yield make
    for one in mine if doubled and request.node.went_well else ():
        differences = one.differences(request.node.originalname)
        assert not differences, f"{one.name} and its replica:\n" + "\n".join(differences[:30])
    for one in mine:
        one.finish()


@pytest.fixture
def make(server):
    """make(key=value...): a server of ours with accounts and these keys in imapd.conf."""
    def one(services=ONLY_IMAP, users=("alice", "bob"), **options):
        s = server(services=services, imapd=options)
        s.make_user(*users)
        return s
    return one
