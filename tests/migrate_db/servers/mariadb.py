"""A MariaDB of one's own: a folder, a socket, no service, and nothing left of it afterwards."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from session import Session

# What makes a start quick and keeps a run of the tests small; none of it changes how locks behave.
OPTIONS = [
    "--no-defaults",
    "--skip-networking",
    "--skip-log-bin",
    "--skip-slave-start",
    "--performance-schema=0",
    "--innodb-buffer-pool-size=128M",
    "--innodb-log-file-size=96M",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-fast-shutdown=2",
    "--max-connections=60",
    "--table-open-cache=200",
]
PASSWORD = "open, sesame"


class Mariadb:
    """One server: `with Mariadb() as server`. Its user `shop` has a password and may do nothing but own `shop_…`."""

    vendor = "mysql"

    def __init__(self, *options):
        self.options = list(options)
        self.process = None

    def __enter__(self):
        if os.geteuid():
            self.user = None
        else:  # mariadbd does not run as root unless told to, and no test needs it to
            self.user = pwd.getpwnam("nobody")
        # Short, because a socket's path may not have more than 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="ostler-maria-", dir="/tmp")
        try:
            self.data = os.path.join(self.folder, "data")
            self.socket = os.path.join(self.folder, "sock")
            self.log = os.path.join(self.folder, "log")
            os.chmod(self.folder, 0o755)
            os.mkdir(self.data)
            if self.user:
                os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
                os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
            self.call(
                [
                    "mariadb-install-db",
                    "--no-defaults",
                    "--datadir=" + self.data,
                    "--skip-test-db",
                    "--tmpdir=" + self.folder,
                    "--auth-root-authentication-method=normal",
                    "--skip-name-resolve",
                ]
            )
            self.start()
            self.sql(
                "CREATE USER shop@localhost IDENTIFIED BY '%s'" % PASSWORD,
                "GRANT ALL ON `shop\\_%`.* TO shop@localhost",
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def as_user(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def call(self, command):
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder, **self.as_user()
        )
        if done.returncode:
            raise RuntimeError("%s: %s%s" % (command[0], done.stdout[-2000:], done.stderr[-2000:]))

    def start(self):
        # Killed with the tests, should they not live to end it.
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "--",
            "/usr/sbin/mariadbd",
            *OPTIONS,
            "--datadir=" + self.data,
            "--socket=" + self.socket,
            "--pid-file=" + os.path.join(self.folder, "pid"),
            "--tmpdir=" + self.folder,
            *self.options,
        ]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self.as_user(),
            )
        limit = time.monotonic() + 60
        while True:
            try:
                self.sql("SELECT 1")
                return
            except RuntimeError:
                if self.process.poll() is not None or time.monotonic() > limit:
                    with open(self.log, errors="replace") as log:
                        raise RuntimeError("mariadbd did not start: " + log.read()[-3000:]) from None
                time.sleep(0.05)

    def stop(self):
        """As a service manager does."""
        self.process.terminate()
        self.process.wait(60)

    def kill(self):
        """As a crash does."""
        if self.process and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def sql(self, *statements, database=""):
        """As root; answers the rows of the last statement, every value a text."""
        done = subprocess.run(
            [
                "mariadb",
                "--no-defaults",
                "--socket=" + self.socket,
                "--user=root",
                "--batch",
                "--skip-column-names",
                database,
            ],
            input=";\n".join(statements) + ";\n",
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return [line.split("\t") for line in done.stdout.splitlines()]

    def database(self, name):
        """A new database; Django's settings for it."""
        self.sql("CREATE DATABASE `%s` CHARACTER SET utf8mb4" % name)
        return self.settings(name)

    def settings(self, name, **options):
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": name,
            "USER": "shop",
            "PASSWORD": PASSWORD,
            "OPTIONS": dict({"unix_socket": self.socket, "charset": "utf8mb4"}, **options),
        }

    def session(self, database):
        """A connection of the app's user that stays."""
        return Session(
            [
                "mariadb",
                "--no-defaults",
                "--socket=" + self.socket,
                "--user=shop",
                "--password=" + PASSWORD,
                "--batch",
                "--skip-column-names",
                "--unbuffered",
                "--force",
                "--disable-auto-rehash",
                database,
            ],
            "SELECT CONNECTION_ID()",
        )

    def fill(self, database, table, rows, columns="(name, price)", values="'x', seq"):
        self.sql("INSERT INTO %s %s SELECT %s FROM seq_1_to_%d" % (table, columns, values, rows), database=database)
