"""How the connections of a run, and those that watch it, call themselves.

`ostler:APP:HOST:RUN` is what the run's own connections are called; ostlerd makes it. Whatever begins with
`ostler:APP:` and is another is of an earlier run. The watching connections are `ostler-watch:APP:HOST:RUN`.
"""

import hashlib

LONGEST = 63  # bytes of PostgreSQL's application_name


class Tag:
    def __init__(self, text):
        self.text = text
        parts = text.split(":")
        self.app = parts[1] if len(parts) > 1 else text
        self.host = ":".join(parts[2:-1]) if len(parts) > 3 else ""
        self.run = parts[-1]

    @property
    def family(self):
        """What the name of every run of this app begins with."""
        return "ostler:%s:" % self.app

    @property
    def watch(self):
        """The name of the connections that watch this run."""
        name = "ostler-watch:%s:%s:%s" % (self.app, self.host, self.run)
        spare = len(name.encode()) - LONGEST
        if spare > 0:  # cut the host: the run at the end tells them apart
            host = self.host.encode()[: max(0, len(self.host.encode()) - spare)].decode("utf-8", "ignore")
            name = "ostler-watch:%s:%s:%s" % (self.app, host, self.run)
        return name


def host_of(name):
    """The machine in the name of a watching connection, or None where it is none."""
    parts = name.split(":")
    return ":".join(parts[2:-1]) if parts[0] == "ostler-watch" and len(parts) > 3 else None


def shortened(name, longest=64):
    """`name`, its end exchanged for a hash where it is longer than a name may be (MySQL's user-level locks)."""
    if len(name.encode()) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return name.encode()[: longest - 17].decode("utf-8", "ignore") + "~" + digest
