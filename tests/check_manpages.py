#!/usr/bin/python3
"""Fails when mandoc warns about a manual page, when a key of conf_options.def does not show in imapd.conf(5), or when a program
that is installed has no page.

Run in the build tree, where imapd.conf(5) was made."""
import glob
import os
import re
import shutil
import subprocess
import sys

BUILT = "doc/man/imapd.conf.5"
ROW = re.compile(r'^CONF_(?:OPTION|NAME)\((\w+),', re.M)


def missing_keys(top):
    page = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=100", BUILT], stdout=subprocess.PIPE, check=True)
    text = re.sub(r".\x08", "", page.stdout.decode("ascii"))
    shown = set(re.findall(r"^\s+(\w+)(?:\s|$)", text, re.M))
    with open(os.path.join(top, "server/base/conf_options.def"), encoding="utf-8") as file:
        keys = ROW.findall(file.read())
    return len(keys), [key for key in keys if key not in shown]


def programs_without_page(top):
    programs, pages = set(), set()
    for path in glob.glob(os.path.join(top, "**/build.am"), recursive=True):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        programs |= {os.path.basename(p) for p in re.findall(r"^(?:bin|sbin|libexec)_PROGRAMS \+= (\S+)", text, re.M)}
        pages |= set(re.findall(r"^dist_man_MANS \+= doc/man/(\w+)\.[18]", text, re.M))
    return programs ^ pages


def main(top):
    if not shutil.which("mandoc"):
        print("mandoc is not installed")
        return 77
    pages = sorted(glob.glob(os.path.join(top, "doc/man/*.[1-8]"))) + [BUILT]
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], stderr=subprocess.STDOUT)
    n_keys, missing = missing_keys(top)
    for key in missing:
        print(f"{BUILT}: {key} is missing")
    pageless = programs_without_page(top)
    for name in sorted(pageless):
        print(f"{name} has no manual page, or the page no program")
    print(f"{len(pages)} pages, {n_keys} keys")
    return int(lint.returncode != 0 or bool(missing or pageless) or not n_keys)


if __name__ == "__main__":
    sys.exit(main(os.environ.get("TEST_SRCDIR", ".")))
