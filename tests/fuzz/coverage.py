#!/usr/bin/python3
"""Do the seeds of each fuzzer reach every production of its grammar? And what else of its parsers?

	tests/fuzz/coverage.py [--build DIR] [--regions] [NAME...]

DIR (build/cov) is configured with CC=clang CFLAGS="-O1 -g -fprofile-instr-generate -fcoverage-mapping", its fuzzers are
built. grammar.txt says what productions there are and which line stands for each: one that no seed reaches is a fault.
Of the parsers' files is told how many functions and regions are reached; with --regions where the others are.
"""
import argparse
import collections
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
Region = collections.namedtuple("Region", "begin end count")
Production = collections.namedtuple("Production", "text path pattern")


def read_grammar():
    """The productions of each fuzzer; and why regions stay unreached: (kind, pattern of their first line)."""
    fuzzers, excuses, section = {}, [], None
    with open(os.path.join(HERE, "grammar.txt"), encoding="ascii") as file:
        for line in file:
            line = line.rstrip("\n")
            if not line or line[0] == "#":
                continue
            if line[0] != "\t":
                section = line
                fuzzers.setdefault(section, [])
                continue
            text, pattern = (part.strip() for part in line.split("\t@ ", 1))
            if section == "unreached":
                excuses.append((text, re.compile(pattern)))
            else:
                path, pattern = pattern.split(": ", 1)
                fuzzers[section].append(Production(text, path, pattern))
    fuzzers.pop("unreached", None)
    return fuzzers, excuses


def replay(build, name, scratch):
    """What llvm-cov knows of the functions after a run over the seeds."""
    fuzzer = os.path.join(build, "tests/fuzz", "fuzz_" + name)
    raw, merged = os.path.join(scratch, name + ".raw"), os.path.join(scratch, name + ".data")
    seeds = sorted(glob.glob(os.path.join(HERE, "corpus", name, "*")))
    subprocess.run([fuzzer, *seeds], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env={**os.environ, "LLVM_PROFILE_FILE": raw})
    subprocess.run(["llvm-profdata", "merge", "-o", merged, raw], check=True)
    out = subprocess.run(["llvm-cov", "export", "-skip-expansions", "-instr-profile", merged, fuzzer], check=True,
                         stdout=subprocess.PIPE).stdout
    return json.loads(out)["data"][0]["functions"]


class Sources:
    def __init__(self):
        self.lines = {}

    def of(self, path):
        if path not in self.lines:
            with open(os.path.join(TOP, path), encoding="utf-8") as file:
                self.lines[path] = file.read().split("\n")
        return self.lines[path]

    def place_of(self, path, pattern):
        """(line, column) of where this text ends in the one line of the file that has it."""
        found = [(n, line.find(pattern) + len(pattern)) for n, line in enumerate(self.of(path), 1) if pattern in line]
        if len(found) != 1:
            sys.exit(f"grammar.txt: {path} has \"{pattern}\" in {len(found)} lines")
        return found[0]


def code_regions(function):
    return [Region((r[0], r[1]), (r[2], r[3]), r[4]) for r in function["regions"] if r[7] == 0 and r[5] == 0]


def count_at(functions, place):
    """How often the innermost region around this place was run."""
    inner = None
    for region in (r for f in functions for r in code_regions(f)):
        if region.begin <= place < region.end and (not inner or region.begin >= inner.begin):
            inner = region
    return inner.count if inner else 0


def tell_regions(path, functions, sources, excuses, every):
    """One line for the file: how much of it is reached, and of what kinds the rest is."""
    kinds, rest = collections.Counter(), []
    total = reached = 0
    unused = [f["name"].split(":")[-1] for f in functions if not f["count"]]
    for function in (f for f in functions if f["count"]):
        for region in code_regions(function):
            total += 1
            reached += region.count > 0
            if region.count:
                continue
            text = sources.of(path)[region.begin[0] - 1].strip()
            kind = next((kind for kind, pattern in excuses if pattern.search(text)), None)
            kinds[kind] += kind is not None
            if kind is None:
                rest.append(f"{path}:{region.begin[0]}: {text}")
    told = "".join(f", {n} {kind}" for kind, n in kinds.items() if n)
    print(f"  {path}: {len(functions) - len(unused)} of {len(functions)} functions; in them {reached} of {total} regions"
          f"{told}{f', {len(rest)} others' if rest else ''}")
    if every:
        if unused:
            print("    not called:", *sorted(unused))
        for line in rest:
            print("    " + line)


def judge(name, productions, functions, sources, excuses, every):
    by_path = collections.defaultdict(list)
    for function in functions:
        by_path[os.path.relpath(os.path.realpath(function["filenames"][0]), TOP)].append(function)
    missing = [p for p in productions if not count_at(by_path[p.path], sources.place_of(p.path, p.pattern))]
    print(f"{name}: {len(productions) - len(missing)} of {len(productions)} productions", flush=True)
    for path in sorted({p.path for p in productions}):
        tell_regions(path, by_path[path], sources, excuses, every)
    for p in missing:
        print(f"  no seed reaches: {p.text} ({p.path}: {p.pattern})")
    return not missing and bool(productions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(TOP, "build/cov"))
    parser.add_argument("--regions", action="store_true")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    grammar, excuses = read_grammar()
    fuzzers = {os.path.basename(path)[5:-2] for path in glob.glob(os.path.join(HERE, "fuzz_*.c"))}
    well = fuzzers == set(grammar)
    if not well:
        print("a fuzzer without a grammar, or a grammar without a fuzzer:", *sorted(fuzzers ^ set(grammar)))
    sources = Sources()
    with tempfile.TemporaryDirectory(prefix="us-coverage-") as scratch:
        for name in sorted(fuzzers & set(grammar)):
            if not args.names or name in args.names:
                functions = replay(args.build, name, scratch)
                well &= judge(name, grammar[name], functions, sources, excuses, args.regions)
    return not well


if __name__ == "__main__":
    sys.exit(main())
