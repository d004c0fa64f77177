#!/usr/bin/env python3
"""Runs the attacks of attacks.list: tests/attacks/run.py [-k WORD] [--without BINARY]...

For each it prints `held NAME`, or `GOT THROUGH NAME` with what the test says. The exit status is 1 where one got through, or was
not run: as somebody else than root most of them cannot be. What they need is named in `make test`.
"""

import argparse
import collections
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = {"shim": "shim", "database": "migrate_db"}
ENDED = re.compile(r"^test (\S+) \.\.\. (ok|FAILED)|^(?:test )?(\S+) has been running", re.M)


def listed(path):
    """The attacks by section: `[section]`, then `BINARY NAME` on each line."""
    section = None
    for line in open(path):
        line = line.split("#")[0].strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            yield (section, *line.split())


def cargo(binary, names):
    """What became of each name, and all that was said."""
    target = ["--lib"] if binary == "lib" else ["--test", binary]
    command = [
        "cargo",
        "test",
        "--locked",
        "--quiet",
        "--no-fail-fast",
        *target,
        "--",
        "--exact",
        "--format",
        "pretty",
        *names,
    ]
    return ended(command, lambda said: {name: end == "ok" for name, end, _ in ENDED.findall(said) if name})


def python(folder, names):
    """A law is tried with several versions: it holds where none of them failed."""
    good, said = {}, ""
    for name in names:
        command = ["/usr/bin/python3", os.path.join(ROOT, "tests", folder, "run.py"), "-k", name]
        ends, words = ended(
            command, lambda out: {name: bool(re.search(r"^ok ", out, re.M)) and not re.search(r"^FAILED ", out, re.M)}
        )
        good.update(ends)
        said += words
    return good, said


def ended(command, judge):
    run = subprocess.run(
        command,
        cwd=ROOT,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return judge(run.stdout), run.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="WORD", default="", help="only those with this in binary, name or section")
    parser.add_argument(
        "--without",
        metavar="BINARY",
        action="append",
        default=[],
        help="not those: systemd, migrations, edge, database",
    )
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("tests/attacks/run.py: only root can become the users who attack: run it with sudo")
    attacks = [
        it
        for it in listed(os.path.join(HERE, "attacks.list"))
        if options.k in " ".join(it) and it[1] not in options.without
    ]
    by_binary = collections.defaultdict(list)
    for _, binary, name in attacks:
        by_binary[binary].append(name)
    through = 0
    for binary, names in by_binary.items():
        print("== %s: %d" % (binary, len(names)), flush=True)
        good, said = python(PYTHON[binary], names) if binary in PYTHON else cargo(binary, names)
        for name in names:
            print("%s %s %s" % ("held" if good.get(name) else "GOT THROUGH", binary, name), flush=True)
        bad = [name for name in names if not good.get(name)]
        if bad:
            print(said, flush=True)
        through += len(bad)
    print("%d attacks held, %d got through" % (len(attacks) - through, through))
    return 1 if through or not attacks else 0


if __name__ == "__main__":
    sys.exit(main())
