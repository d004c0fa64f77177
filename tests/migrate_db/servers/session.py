"""Somebody else's connection to a database: a server's own client, told on its standard input."""

import subprocess


class Session:
    """Ended when it is left; its transaction is rolled back then."""

    def __init__(self, command, number, env=None):
        """`number` is the SQL by which the server tells what the connection is called there."""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env=env,
        )
        self.pid = int(self.ask(number))

    def begin(self, sql):
        """Sends it without waiting for what comes of it."""
        self.process.stdin.write(sql + ";\n")
        self.process.stdin.flush()

    def ask(self, sql):
        """The answer's first line, once the server has done it."""
        self.begin(sql)
        self.begin("SELECT 'done'")
        lines = []
        for line in self.process.stdout:
            if line.strip() == "done":
                return lines[0] if lines else ""
            lines.append(line.strip())
        raise AssertionError("the session has ended: %s" % lines)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
