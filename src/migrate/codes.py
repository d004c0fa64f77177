"""Which codes have had their `migrate` on a database, as the database itself keeps it: what hangs on that command
(`post_migrate`: permissions, triggers of packages) is owed to a code until it has run to its end with it, also where nothing is
pending.

It is one row of `ostler_migrations` for each app and alias. A run puts nobody at the head before it begins, and its own code
when it has ended well: whatever becomes of it in between, on whichever server, it is owed.
"""

import hashlib
import os
import sys
import sysconfig

from _ostler import marker
from _ostler.database import Lost

NEW, EARLIER = "new", "earlier"  # ostlerd's `Owed`
MOST = 20  # how many are kept
NOBODY = ""
PACKAGES = ("site-packages", "dist-packages")
TEXTS = (".py", ".sql")
TOOLS = ("pip-", "setuptools-", "wheel-")  # each machine has its own
PASSED = ("__pycache__", "node_modules")
ENTRIES = 20000  # so many files are looked at: some keep uploads among their code


def code():
    """What tells one code from another, the same on every server: the texts of the project's own packages, loaded or not, and
    which versions of others' are installed. To be asked when Django is set up and nothing else has been done: what is loaded
    later depends on what is found in the database."""
    found = hashlib.blake2b(digest_size=16)
    for name, path in sorted(own()):
        found.update(b"%s\0%s\0" % (name.encode("utf-8", "backslashreplace"), text_of(path)))
    for name in sorted(installed()):
        found.update(name.encode("utf-8", "backslashreplace") + b"\0")
    return found.hexdigest()


def own():
    """The project's own texts, as pairs of a name that has nothing of this machine and the path."""
    python = tuple(os.path.join(sysconfig.get_path(key), "") for key in ("stdlib", "platstdlib"))
    files, left = {name: name for name in listed(".")}, ENTRIES
    for name, module in sorted(sys.modules.items()):
        if "." in name or name in sys.builtin_module_names:
            continue
        for place in folders(module) or [getattr(module, "__file__", None)]:
            if (
                not isinstance(place, str)
                or place.startswith(python)
                or any(it in place.split(os.sep) for it in PACKAGES)
            ):
                continue
            if not os.path.isdir(place):
                files[name] = place
                continue
            for folder, below, names in os.walk(place):
                below[:] = sorted(it for it in below if it not in PASSED and not it.startswith("."))
                left -= len(names) + len(below)
                if left < 0:
                    break
                inside = os.path.join(name, os.path.relpath(folder, place))
                files.update((os.path.join(inside, it), os.path.join(folder, it)) for it in names if it.endswith(TEXTS))
    return files.items()


def folders(module):
    try:
        return list(module.__path__)
    except Exception:
        return []


def listed(folder):
    return [it for it in os.listdir(folder) if it.endswith(TEXTS)]


def text_of(path):
    try:
        with open(path, "rb", buffering=0) as file:
            return hashlib.blake2b(file.read(), digest_size=16).digest()
    except OSError:
        return b""


def installed():
    """What others have written, with its version, and the commit where it has one."""
    found = set()
    for place in sys.path:
        if os.path.basename(place) not in PACKAGES:
            continue
        try:
            names = [
                it for it in os.listdir(place) if it.endswith((".dist-info", ".egg-info")) and not it.startswith(TOOLS)
            ]
        except OSError:
            continue
        found.update("%s %s" % (it, text_of(os.path.join(place, it, "direct_url.json")).hex()) for it in names)
    return found


def carefully(ask):
    """What is not kept is owed, and done once more: no reason to fail."""

    def asked(self, *arguments):
        try:
            return ask(self, *arguments)
        except marker.Refused as refused:
            why = refused
        except Lost as lost:
            if self.table.wrapper.vendor != "sqlite":
                raise
            why = lost  # its workers write, and need not wait for this
        return print("ostler: which code has run `migrate` is not known in %s: %s" % (marker.TABLE, why), flush=True)

    return asked


class Codes:
    """The row of an app; `table` is a `marker.Table`."""

    def __init__(self, table, text):
        self.table, self.text = table, text
        whose = "%s %s" % (table.wrapper.alias, table.orders["app"])
        if len(whose) > 90:
            whose = hashlib.blake2b(whose.encode("utf-8"), digest_size=16).hexdigest()
        self.run = "code: " + whose

    def kept(self):
        """The codes that have had it, the newest first."""
        rows = self.table.rows() if self.table.exists() else []
        found = [row.step.get("codes") for row in rows if row.run == self.run and row.state == marker.DONE]
        return [str(it) for it in found[0]] if found and isinstance(found[0], list) else []

    @carefully
    def owed(self):
        """Whether `migrate` is to run though nothing is pending: this code has not run it, or another has since; or None."""
        kept = self.kept()
        if self.text not in kept:
            return NEW
        return None if kept[0] == self.text else EARLIER

    @carefully
    def begins(self, pending):
        """A run is about to begin; `pending` says whether it applies anything."""
        kept = [it for it in self.kept() if it != NOBODY and not (pending and it == self.text)]
        if self.table.exists():
            self.write([NOBODY] + kept)

    @carefully
    def done(self):
        """It has ended well."""
        if not self.table.exists():
            self.table.make()
        self.write([self.text] + [it for it in self.kept() if it not in (self.text, NOBODY)])

    def write(self, codes):
        self.table.write("", marker.DONE, {"codes": codes[:MOST]}, self.run)
