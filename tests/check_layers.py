#!/usr/bin/python3
"""Fails when a file includes one that its layer may not see, or when includes form a cycle.

The table is the architecture (doc/ARCHITECTURE.md): lowest layer first, and for each what it may include
beside itself. A name that ends in .h is that one header. A folder of its own inside a layer (store/mime) is
part of it for all others; its row says what it may see itself."""
import os
import re
import sys

LAYERS = {
    "server/base": [],
    "server/store/mime": ["server/base"],
    "server/store": ["server/base"],
    "reconcile": ["server/base", "server/store/state.h"],
    "synclog": ["server/base"],
    "channels": ["server/base", "synclog"],
    "server/session": ["server/base", "server/store", "synclog", "channels"],
    "server/csync": ["server/base", "server/store", "server/session", "reconcile/wire.h"],
    "server/imap": ["server/base", "server/store", "server/session", "server/csync"],
    "server/lmtp": ["server/base", "server/store", "server/session", "server/csync"],
    "server/idle": ["server/base", "server/store", "server/session"],
    "sync_client": ["server/base", "server/store", "reconcile", "synclog", "channels", "server/session",
                    "server/csync"],
    "sync_server": ["server/base", "server/store", "reconcile", "synclog", "channels", "server/session",
                    "server/csync"],
    "server/master": ["server/base"],
    "server/admin": ["server/base", "server/store", "server/session", "synclog", "channels"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def layer_of(path):
    fits = [layer for layer in LAYERS if path.startswith(layer + "/")]
    return max(fits, key=len) if fits else None


def sources(top):
    for layer in LAYERS:
        for folder, _, names in os.walk(os.path.join(top, layer)):
            for name in names:
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), top)


def is_within(layer, other):
    """A layer inside another's folder is seen by all who see that other, and by that other itself."""
    return layer == other or (layer or "").startswith(other + "/")


def allowed(source, target):
    layer = layer_of(source)
    if layer_of(target) == layer:
        return target.endswith("_private.h") is False or \
            os.path.dirname(source) == os.path.dirname(target)
    for may in LAYERS[layer] + [layer]:
        if target == may or (not may.endswith(".h") and is_within(layer_of(target), may)):
            return not target.endswith("_private.h")
    return False


def cycles(edges):
    done, path = set(), []

    def visit(name):
        if name in path:
            yield path[path.index(name):] + [name]
            return
        if name in done:
            return
        path.append(name)
        for to in sorted(edges.get(name, ())):
            yield from visit(to)
        path.pop()
        done.add(name)

    for name in sorted(edges):
        yield from visit(name)


def main(top):
    faults, edges = [], {}
    for source in sorted(set(sources(top))):
        with open(os.path.join(top, source), encoding="utf-8") as file:
            targets = INCLUDE.findall(file.read())
        for target in targets:
            if target == "config.h":
                continue
            if not os.path.exists(os.path.join(top, target)):
                faults.append(f"{source}: includes {target}, which is not there from the top of the tree")
            elif not allowed(source, target):
                faults.append(f"{source}: may not include {target}")
            edges.setdefault(source, set()).add(target)
    faults += ["include cycle: " + " -> ".join(c) for c in cycles(edges)]
    print("\n".join(faults) or f"{len(edges)} files keep to their layers")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TEST_SRCDIR", ".")))
