"""What came of it all, as a table."""

import collections


class Line:
    def __init__(self):
        self.rounds, self.false, self.worst, self.kinds = 0, 0, 0.0, collections.Counter()


class Tally:
    def __init__(self):
        self.lines = collections.defaultdict(Line)
        self.false = []

    def add(self, key, kinds, seconds, false):
        """One round of `key`, `(database, machines, event)`."""
        line = self.lines[key]
        line.rounds += 1
        line.false += bool(false)
        line.worst = max(line.worst, seconds)
        line.kinds.update(kinds)
        self.false += false

    def table(self):
        rows = [("database", "machines", "event", "rounds", "false", "worst s", "outcomes told")]
        for key, line in sorted(self.lines.items()):
            kinds = ", ".join("%s %d" % one for one in sorted(line.kinds.items()))
            rows.append((*map(str, key), str(line.rounds), str(line.false), "%.1f" % line.worst, kinds))
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        lines = ["  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[6]]) for row in rows]
        total = sum(line.rounds for line in self.lines.values())
        return "\n".join(
            lines
            + ["%d rounds, %d of them with something false" % (total, sum(line.false for line in self.lines.values()))]
        )
