#!/usr/bin/python3
"""Plants the bugs of plants.txt, one at a time, and sees each fuzzer find its own within a minute, from its seeds.

	tests/fuzz/plants.py [--build DIR] [--seconds N] [NAME...]

All happens in a copy of the tree and of build/clang, which scripts/check clang makes. The minute is one of the processor,
so that a busy machine says the same. A plant that a seed meets proves nothing, and counts as a fault of the plant.
"""
import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ["channels", "reconcile", "server", "sync_client", "sync_server", "synclog", "tests"]
NEEDED = (".o", ".a", ".h", ".Po")  # of a build, to build a fuzzer anew


class Plant:
    def __init__(self, text):
        head, *lines = text.splitlines()
        self.name, self.path, self.what = re.fullmatch(r"(\S+) (\S+): (.*)", head).groups()
        self.old = "".join(line[1:] + "\n" for line in lines if line[0] == "-")
        self.new = "".join(line[1:] + "\n" for line in lines if line[0] == "+")


def read_plants():
    with open(os.path.join(TOP, "tests/fuzz/plants.txt"), encoding="ascii") as file:
        text = re.sub(r"(?m)^#.*\n", "", file.read())
    return [Plant(part) for part in text.strip().split("\n\n")]


def copy_sources(to):
    for folder in SOURCES:
        shutil.copytree(os.path.join(TOP, folder), os.path.join(to, folder),
                        ignore=lambda at, names: [name for name in names if name == "corpus"
                                                  or (os.path.isfile(os.path.join(at, name))
                                                      and not name.endswith((".c", ".h", ".def")))])


def copy_build(build, to):
    """Times stay: what is not planted is not built anew."""
    def useless(at, names):
        return [name for name in names if os.path.isfile(os.path.join(at, name))
                and not name.endswith(NEEDED) and name not in ("Makefile", ".dirstamp")]
    shutil.copytree(build, to, ignore=useless)


class Scratch:
    def __init__(self, at, build):
        self.sources, self.build = os.path.join(at, "src"), os.path.join(at, "build")
        copy_sources(self.sources)
        copy_build(build, self.build)

    def plant(self, plant):
        """Gives the file and the text it had."""
        path = os.path.join(self.sources, plant.path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if text.count(plant.old) != 1:
            sys.exit(f"{plant.path}: these lines stand there {text.count(plant.old)} times:\n{plant.old}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace(plant.old, plant.new))
        return path, text

    def make(self, name):
        target = f"tests/fuzz/fuzz_{name}"
        subprocess.run(["make", "-s", "-C", self.build, "-o", "Makefile", "-o", "config.h",
                        *(f"{variable}={self.sources}" for variable in ("VPATH", "srcdir", "top_srcdir")), target],
                       check=True, stdout=subprocess.DEVNULL)
        return os.path.join(self.build, target)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(fuzzer, log, *args, seconds=600):
    """Its exit status, and how long it took of the processor."""
    before = cpu_seconds()
    with open(log, "wb") as out:
        status = subprocess.run([fuzzer, "-rss_limit_mb=2048", "-timeout=10", "-seed=1", *args], stdout=out, stderr=out,
                                cwd=os.path.dirname(log), check=False,
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))).returncode
    return status, cpu_seconds() - before


def judge(scratch, at, plant, seconds):
    """None: found."""
    corpus = os.path.join(TOP, "tests/fuzz/corpus", plant.name)
    log, grown = os.path.join(at, plant.name + ".log"), os.path.join(at, plant.name)
    os.mkdir(grown)
    path, text = scratch.plant(plant)
    fuzzer = scratch.make(plant.name)
    with open(path, "w", encoding="utf-8") as file:  # and no longer there for the next one
        file.write(text)
    if run(fuzzer, log, "-runs=0", corpus)[0]:
        return "a seed meets it"
    status, took = run(fuzzer, log, grown, corpus, seconds=seconds)
    if status <= 0:  # an end by a signal is that of the minute
        return f"not found in {took:.0f} s"
    print(f"{plant.name}: found in {took:.1f} s", flush=True)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(TOP, "build/clang"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    plants = read_plants()
    fuzzers = {name.removeprefix("fuzz_").removesuffix(".c") for name in os.listdir(os.path.join(TOP, "tests/fuzz"))
               if name.startswith("fuzz_")}
    missing = fuzzers ^ {plant.name for plant in plants}
    failed = bool(missing)
    if missing:
        print("a fuzzer without a plant, or a plant without a fuzzer:", *sorted(missing))
    with tempfile.TemporaryDirectory(prefix="us-plants-") as at:
        scratch = Scratch(at, args.build)
        for plant in plants:
            if args.names and plant.name not in args.names:
                continue
            why = judge(scratch, at, plant, args.seconds)
            if why:
                print(f"{plant.name}: {why}: {plant.what}", flush=True)
                failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
