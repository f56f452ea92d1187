#!/usr/bin/python3
"""What the table of keys says of each is so: an OBEYED one is read by the code and set by some test, the others are not read.

A key that is read and has no effect to speak of yet is in the list below, with the reason."""
import os
import re
import sys
from pathlib import Path

FOLDERS = ("server", "synclog", "channels", "reconcile", "sync_client", "sync_server")
READ_BUT_NOT_OBEYED = {
    "mupdate_server": "whether partitions are required depends on it",
    "mupdate_config": "as above",
    "conversations": "whether XCONVMODSEQ is compared in replication",
    "reverseacls": "whether RACLMODSEQ is",
}


def texts(top, folders, suffixes):
    files = [p for folder in folders for p in (top / folder).rglob("*") if p.suffix in suffixes]
    return "\n".join(p.read_text(errors="replace") for p in sorted(files))


SETTINGS = (r"\b(\w+): ", r"""["'](\w+)["']\s*:""", r"""\["(\w+)"\]\s*=\s""", r"[(,]\s*(\w+)=(?!=)", r"""\("(\w+)", \"""")


def keys_set(tests):
    """Words that stand where a test sets a key: in a line of imapd.conf, in a dict, as an argument by name, beside its value."""
    return {word for setting in SETTINGS for word in re.findall(setting, tests)}


def main():
    top = Path(os.environ.get("TEST_SRCDIR", Path(__file__).resolve().parent.parent))
    table = (top / "server/base/conf_options.def").read_text()
    rows = re.findall(r'^CONF_OPTION\((\w+),.*?,\s*(OBEYED|ACCEPTED|IGNORED),', table, re.S | re.M)
    code = set(re.findall(r"\bCONF_(\w+)\b", texts(top, FOLDERS, {".c", ".h"})))
    tests = keys_set(texts(top, ["tests"], {".c", ".py"}))
    wrong = []
    for key, status in rows:
        if status == "OBEYED" and key not in code:
            wrong.append(f"{key}: said to be obeyed, and nothing reads it")
        elif status == "OBEYED" and key not in tests:
            wrong.append(f"{key}: obeyed, and no test sets it")
        elif status != "OBEYED" and key in code and key not in READ_BUT_NOT_OBEYED:
            wrong.append(f"{key}: read, and said to be {status.lower()}")
    print("\n".join(wrong) or f"{len(rows)} keys")
    return bool(wrong) or len(rows) < 500


if __name__ == "__main__":
    sys.exit(main())
