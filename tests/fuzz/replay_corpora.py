#!/usr/bin/python3
"""Runs each fuzzer once over every file of its seed corpus: tests/fuzz/corpus/<parser>/*."""
import glob
import os
import subprocess
import sys


def main():
    top = os.environ["TEST_SRCDIR"]
    failed = 0
    for fuzzer in os.environ["FUZZERS"].split():
        name = os.path.basename(fuzzer).removeprefix("fuzz_")
        corpus = sorted(glob.glob(os.path.join(top, "tests/fuzz/corpus", name, "*")))
        if not corpus:
            print(f"{name}: no corpus")
            failed = 1
            continue
        status = subprocess.run([fuzzer, *corpus], stderr=subprocess.STDOUT).returncode
        print(f"{name}: {len(corpus)} files, exit status {status}")
        failed |= status != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
