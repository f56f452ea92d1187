#!/usr/bin/python3
"""Fails when the code logs an event or a key that doc/logkeys.txt does not list, or the list has one too many."""
import os
import re
import sys

EVENT = re.compile(r'log_(?:event|write)\(\s*[^,"]+,\s*"([a-z0-9_.]+)"')
KEY = re.compile(r'(?:LF_(?:STR|SPAN|NUM)|log_context)\(\s*"([a-z0-9_]+)"')


def used(top):
    events, keys = {}, {"error": "LF_ERR"}
    for folder, _, names in os.walk(top):
        if "/tests" in folder[len(top):] or "/build" in folder[len(top):]:
            continue
        for name in names:
            if name.endswith((".c", ".h")):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                for found, pattern in ((events, EVENT), (keys, KEY)):
                    for word in pattern.findall(text):
                        found.setdefault(word, os.path.relpath(path, top))
    return events, keys


def listed(path):
    out = {"event": set(), "key": set()}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                kind, word = line.split(None, 2)[:2]
                out[kind].add(word)
    return out["event"], out["key"]


def main(top):
    faults = []
    for kind, found, known in zip(("event", "key"), used(top), listed(os.path.join(top, "doc/logkeys.txt"))):
        faults += [f"{found[w]}: {kind} {w} is not in doc/logkeys.txt" for w in sorted(found) if w not in known]
        faults += [f"doc/logkeys.txt: {kind} {w} is logged nowhere" for w in sorted(known) if w not in found]
    print("\n".join(faults) or "every logged word is listed")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TEST_SRCDIR", ".")))
