"""The two checksums of a mailbox, by the protocol's rules: basic and annotations, both XOR of CRC-32.

A record is the dict of a RECORD as lib.dlist reads it. An expunged record counts nothing."""
import zlib

from lib.dlist import to_bytes

NS = "/vendor/cmu/cyrus-imapd/"
EMPTY = (0, 12345678)


def flag_value(flags):
    """XOR over the lower-case names, each once."""
    out = 0
    for name in {to_bytes(str(flag)).lower() for flag in flags} - {b"\\expunged", b"\\recent"}:
        out ^= zlib.crc32(name)
    return out


def expunged(record):
    return any(flag.lower() == "\\expunged" for flag in record["FLAGS"])


def basic(record):
    if expunged(record):
        return 0
    words = (int(record["UID"]), int(record["MODSEQ"]), int(record["LAST_UPDATED"]), flag_value(record["FLAGS"]),
             int(record["INTERNALDATE"]), record["GUID"].lower())
    return zlib.crc32(b"%d %d %d (%d) %d %s" % (*words[:5], words[5].encode()))


def annotation(uid, entry, user, value):
    """One annotation of a message. user None counts nothing. The virtual ones have values of their own form."""
    if user is None:
        return 0
    if user == "" and entry == NS + "thrid":
        value = f"{int(value, 16):x}"
    if user == "" and entry in (NS + "thrid", NS + "savedate", NS + "createdmodseq") and value == "0":
        return 0
    data = b"" if value is None else to_bytes(value)
    return zlib.crc32(b"%d %s %s " % (int(uid), to_bytes(entry), to_bytes(user)) + data)


def annotations(record):
    out = 0
    if not expunged(record):
        for item in record.get("ANNOTATIONS") or []:
            out ^= annotation(record["UID"], item["ENTRY"], item["USERID"], item["VALUE"])
    return out


def mailbox(records):
    """(SYNC_CRC, SYNC_CRC_ANNOT)"""
    out = list(EMPTY)
    for record in records:
        out[0] ^= basic(record)
        out[1] ^= annotations(record)
    return tuple(out)
