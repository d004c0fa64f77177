"""Where one law is tried: an app with its project, an interpreter, a server with a database of the law's own."""

import glob
import os

from program import Program
from project import Project


class Place:
    def __init__(self, venv, folder, server, number, stack, notes):
        self.venv, self.folder, self.server, self.stack, self.notes = venv, folder, server, stack, notes
        self.number = number
        self.python = os.path.join(venv, "bin", "python")
        self.name = "shop_%d" % number  # of the database
        self.app = "shop%d" % number  # advisory locks and tags are told apart by it
        self.tag = "ostler:%s:web1:r1" % self.app

    def rounds(self, most, elsewhere=2):
        """How often a law draws lots. Two programs meet, and hosts die, in the same ways with every Django and every driver:
        the many rounds that find a rare moment are played with `newest`, where every law is tried. OSTLER_ROUNDS asks for
        more, everywhere."""
        usual = most if os.path.basename(self.venv) == "newest" else elsewhere
        return int(os.environ.get("OSTLER_ROUNDS", usual))

    def note(self, text):
        self.notes.append(text)

    def project(self, settings=None):
        """A project on a new database, or on what `settings` say."""
        return Project(self.folder, {"default": settings or self.server.database(self.name)})

    def has(self, package):
        """Whether its environment has it."""
        return bool(glob.glob(os.path.join(self.venv, "lib", "python3*", "site-packages", package)))

    def beside(self, name):
        """Another of the same law, in a folder of its own."""
        folder = os.path.join(self.folder, name)
        os.mkdir(folder)
        return Place(self.venv, folder, self.server, self.number, self.stack, self.notes)

    def start(self, mode, **orders):
        orders.setdefault("tag", self.tag)
        return self.stack.enter_context(Program(self.python, self.folder, mode, **orders))

    def watch(self, **orders):
        """A watching program; the second answer is what it said when it was open."""
        program = self.start("watch", **orders)
        return program, program.hear("opened")

    def run(self, **orders):
        return self.start("run", **orders)

    def locked(self, **orders):
        """A watching program that has the lock."""
        program, _ = self.watch(**orders)
        program.locked = program.ask("lock", "locked")
        return program

    def migrate(self):
        """Applies all that there is, without anybody watching."""
        program = self.run()
        assert program.ended() == 0, program.printed()

    def refused(self, **orders):
        """What the watching program says when it cannot begin, and its exit status."""
        program = self.start("watch", **orders)
        heard = program.all()
        assert [it["event"] for it in heard] == ["failed"], heard
        assert program.ended() == 1, program.printed()
        return heard[0]


def names_of(opened):
    return [it["name"] for it in opened["pending"]["migrations"]]
