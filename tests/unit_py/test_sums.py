"""The checksums against the vectors of the protocol reference and against every recorded state."""
import zlib

import pytest

from lib import captures, sums

FLAGS = {"\\deleted": 301770925, "\\answered": 2050749261, "\\flagged": 3986028895, "\\draft": 1255147686,
         "\\seen": 3201761491, "$forwarded": 2528186923, "nonjunk": 3204112192, "important": 3399560672,
         "$label1": 979321343, "mixedcase": 918642429}

# name, capture, mailbox, uid, modseq, last_updated, flags, flag value, internaldate, guid, basic, annot
VECTORS = """
V1  01 user.bob 1 2 1795472229 () 0 1769940000 ced09b6dfee673f3470d6a96e4f9b3d19a8d8dae 3085398726 971447896
V2  01 user.bob 3 4 1795472229 (\\Answered,\\Seen) 3303863198 1770112800 0db6feaf28a8e6cf76846d73fd06e85d0e0e46e9 3210643261 3054863318
V3  01 user.bob 5 6 1795472229 (\\Draft,\\Seen) 4094101621 1770285600 fcb02c53d720ae43e50e9a436d7e9f5a95bce473 3029478313 4087917367
V4  01 user.bob.Work 1 2 1795472229 ($Forwarded) 2528186923 1770372000 279b3f328d80ae71abbfe16ffdabb4612132d0c3 250196377 971447896
V5  01 user.bob.Work 2 3 1795472229 (\\Deleted,MixedCase) 658372176 1770458400 1677bbbd516354839a675a2e52718ccb771421a4 2734305085 4135651592
V6  01 user.bob.Work 3 4 1795472229 (\\Seen,NonJunk,mixedcase2) 3653381729 1770544800 a855249c693502ae64e63f4e58d5a03a910d9921 217524209 3054863318
V7  02 user.bob 1 7 1795472230 (\\Answered,\\Flagged,Important) 1561274354 1769940000 ced09b6dfee673f3470d6a96e4f9b3d19a8d8dae 337235456 971447896
V8  02 user.bob 4 10 1795472230 (\\Flagged,Important,$Label1) 493589824 1770199200 a00ac6363e0f95a07ab17406f51a03a29c2a3c14 1178535048 3025266160
V9  03 user.bob 2 13 1795472231 (\\Deleted,\\Expunged) - 1770026400 cfeccccbabc7a22e0f58f48d0dc79a802b88270a 0 0
V10 15 user.bob 1 21 1795472238 (\\Answered,\\Flagged,Important) 1561274354 1769940000 ced09b6dfee673f3470d6a96e4f9b3d19a8d8dae 553675018 3529389731
V11 15 user.bob 4 25 1795472238 (\\Flagged,Important,$Label1) 493589824 1770199200 a00ac6363e0f95a07ab17406f51a03a29c2a3c14 3654295124 1740903591
V12 28 user.bob 1 6 1795471896 (\\Flagged) 3986028895 1769940000 4628b61ac144fd4f12dd0cc2fedae572c714f5eb 3618749800 854363506
V13 28 user.bob.Work 1 5 1795471895 (\\Seen) 3201761491 1770112800 0db6feaf28a8e6cf76846d73fd06e85d0e0e46e9 2887606153 3942085298
V14 25 user.zoe 4 5 1795471904 () 0 1770199200 9be30f8001944a3a64f44076ddc341e8f0baa3e1 278003850 1301861909
V15 20b user.ivan 4 5 1795471358 (\\Seen) 3201761491 1770631200 b7ba5d484263c975bd3e88e49dac170642784687 581540260 2673903224
V16 11 user.bob.#sieve 2 10 1795472240 () 0 1795472239 da85ceead361f622467ec93783a0d9cc3fe8b238 1386498868 4019861577
""".strip().splitlines()

# what is hashed: uid, entry, user, value, sum
ANNOTATIONS = [
    (1, sums.NS + "savedate", "", "1795472229", 740991109),
    (1, sums.NS + "createdmodseq", "", "2", 365805277),
    (1, "/comment", "", "shared msg note", 2774011388),
    (1, "/comment", "bob", "private msg note", 1323377927),
    (4, "/altsubject", "", "NIL", 3099482230),
    (4, "/comment", "", "line one\r\nline two \u00e9 end", 1798023457),
    (4, sums.NS + "savedate", "", "1795472229", 2008306459),
    (4, sums.NS + "createdmodseq", "", "5", 3286611691),
    (1, sums.NS + "thrid", "", "d7db6ffbca2df65d", 2305563748),
    (1, sums.NS + "savedate", "", "1795471895", 3645513565),
    (1, sums.NS + "createdmodseq", "", "3", 1657441867),
    (1, sums.NS + "thrid", "", "9c45274e23c1eddd", 3088336529),
    (1, sums.NS + "createdmodseq", "", "5", 2343119742),
    (4, sums.NS + "thrid", "", "0a10d6610afd4128", 2880335317),    # hashed without the zero in front
    (4, sums.NS + "savedate", "", "1795471904", 634588459),
]


def records_of(value):
    """The records of a MAILBOX; capture 24 has some that lack fields on purpose."""
    if isinstance(value, dict):
        records = value.get("RECORD")
        yield from (r for r in records if "MODSEQ" in r) if isinstance(records, list) else ()


def recorded():
    """(capture number, mailbox, record) of everything on any wire and in any state."""
    for path in captures.files():
        number = path.name.split("-")[0]
        for _, items, _ in captures.states(path):
            for _, value in items:
                for record in records_of(value):
                    yield number, value["MBOXNAME"], record
        for _, client, server in captures.streams(path):
            for line in captures.messages(client) + captures.messages(server):
                for start in (b"APPLY ", b"* "):
                    if line.startswith(start + b"MAILBOX %("):
                        _, value = captures.dlist.parse_item(line[len(start):])
                        for record in records_of(value):
                            yield number, value["MBOXNAME"], record


@pytest.fixture(scope="module")
def known():
    return list(recorded())


def test_crc_is_the_one_of_the_protocol():
    assert zlib.crc32(b"123456789") == 3421780262
    assert zlib.crc32(b"") == 0


@pytest.mark.parametrize("flag", FLAGS)
def test_single_flag(flag):
    assert sums.flag_value([flag]) == sums.flag_value([flag.upper()]) == FLAGS[flag]


def test_a_flag_in_two_spellings_counts_once():
    assert sums.flag_value(["NonJunk", "nonjunk", "\\Recent", "\\Expunged"]) == FLAGS["nonjunk"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v.split()[0])
def test_vector(vector, known):
    (_, capture, mailbox, uid, modseq, updated, flags, value, date, guid, basic, annot) = vector.split()
    flags = [f for f in flags[1:-1].split(",") if f]
    if value != "-":
        assert sums.flag_value(flags) == int(value)
    record = {"UID": uid, "MODSEQ": modseq, "LAST_UPDATED": updated, "FLAGS": flags, "INTERNALDATE": date,
              "GUID": guid}
    assert sums.basic(record) == int(basic)
    found = [r for n, m, r in known if (n, m, r["UID"], r["MODSEQ"], r["GUID"]) ==
             (capture, mailbox, uid, modseq, guid)]
    assert found, "the vector's record is in no capture"
    for record in found:
        assert (sums.basic(record), sums.annotations(record)) == (int(basic), int(annot))


@pytest.mark.parametrize("uid,entry,user,value,expected", ANNOTATIONS)
def test_annotation(uid, entry, user, value, expected):
    assert sums.annotation(uid, entry, user, value) == expected


def test_annotations_that_count_nothing():
    assert sums.annotation(1, "/comment", None, "x") == 0
    assert sums.annotation(1, sums.NS + "thrid", "", "0" * 16) == 0
    assert sums.annotation(1, sums.NS + "savedate", "", "0") == 0


def test_empty_mailbox():
    assert sums.mailbox([]) == (0, 12345678)


def test_every_recorded_state():
    compared = 0
    for path in captures.files():
        for title, items, expected in captures.states(path):
            boxes = {v["MBOXNAME"]: v for k, v in items if k == "MAILBOX" and "RECORD" in v}
            assert set(expected) <= set(boxes), (path.name, title)
            for name, pair in expected.items():
                box = boxes[name]
                assert sums.mailbox(box["RECORD"]) == pair, (path.name, title, name)
                assert pair == (int(box["SYNC_CRC"]), int(box["SYNC_CRC_ANNOT"])), (path.name, title, name)
                compared += 1
    assert compared == 191
