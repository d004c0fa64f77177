"""SQLite: what hangs on `migrate` is done once for each code."""

import owed
from laws_sqlite import project

SERVER = None
LAWS = owed.laws(project)
