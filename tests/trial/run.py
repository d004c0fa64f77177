#!/usr/bin/env python3
"""Shows that several machines on one database migrate nothing twice and tell the truth, whatever befalls them.

    OSTLER_ROUNDS=100 python3 tests/trial/run.py [--database postgresql|mariadb] [--machines 2|3] [--seed N] [--only rounds|kills]

Each machine is a set of namespaces with its own ostlerd, gunicorn and release; the database server is reached over a bridge.
`kills`: one machine; each kind of migration meets each end at a random moment, and what is told of it is held against the
database. `rounds`: two or three machines deploy the same release at once, and something befalls one of them. The same seed
has the same things happen at the same moments. What is false is printed with its seed; notes and logs of such a round lie
in target/trial, and the exit status is 1. As root.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time

import events
import kills
import rounds
from host import ROOT
from machines import Network
from servers import KINDS
from tally import Tally


def options_of():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=sorted(KINDS), help="without it both, at the same time")
    parser.add_argument("--machines", type=int, choices=(2, 3), help="without it in turns")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each has the next (default 1)")
    parser.add_argument("--only", choices=("rounds", "kills"))
    parser.add_argument("--event", choices=sorted(events.IN_ROUNDS), help="of each round, in place of a random one")
    parser.add_argument("--keep", action="store_true", help="notes and logs of all rounds")
    parser.add_argument(
        "--plant",
        action="store_true",
        help="[migrate] marker = false, with which steps are done twice: shows that this is found",
    )
    options = parser.parse_args()
    options.logs = os.path.join(ROOT, "target", "trial")
    options.rounds = int(os.environ.get("OSTLER_ROUNDS") or 20)
    venvs = os.environ.get("OSTLER_VENVS") or os.path.join(ROOT, "target", "venvs")
    options.python = os.path.join(os.path.abspath(venvs), "newest", "bin", "python")
    if os.geteuid():
        sys.exit("tests/trial/run.py: only root can make machines of namespaces: run it as root")
    if not os.path.exists(options.python):
        sys.exit("tests/trial/run.py: no %s: run `make venvs`" % options.python)
    return options


def both():
    """Each database in a process of its own; the exit status."""
    runs = [subprocess.Popen([sys.executable, *sys.argv, "--database", kind]) for kind in sorted(KINDS)]

    def end(number, _):
        for one in runs:
            with contextlib.suppress(ProcessLookupError):
                one.send_signal(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # they get it from the terminal as well, and clean up
    return max([abs(one.wait()) for one in runs])


def leave(*_):
    """What runs is unwound, and not disturbed in that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit("tests/trial/run.py: stopped")


def plays(options):
    """What is to be played: `(play, machines, of what)`."""
    if options.only != "rounds":
        yield from ((kills.play, 1, case) for case in kills.cases(options.database))
    if options.only != "kills":
        for turn in range(options.rounds):
            yield rounds.play, options.machines or 2 + turn % 2, options.seed + turn


def one(options):
    """All of one database; whether all was true."""
    tally = Tally()
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network())
        server = stack.enter_context(KINDS[options.database](network))
        stack.callback(lambda: print(tally.table(), flush=True))
        for number, (play, machines, which) in enumerate(plays(options), 1):
            began = time.monotonic()
            world = play(server, network, number, machines, options, which)
            tally.add((options.database, machines, world.event), world.kinds, world.seconds, world.false)
            print(
                "%s %s, %d machine%s, seed %s, %s: %.0f s, clean after %.1f s: %s"
                % (
                    "FALSE" if world.false else "ok",
                    options.database,
                    machines,
                    "s" if machines > 1 else "",
                    world.seed,
                    world.event,
                    time.monotonic() - began,
                    world.seconds,
                    ", ".join(world.kinds) or "nothing to do",
                ),
                flush=True,
            )
            for words in world.false:
                print("    " + words, flush=True)
    return not tally.false


def main():
    options = options_of()
    if options.database is None:
        return both()
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    return 0 if one(options) else 1


if __name__ == "__main__":
    sys.exit(main())
