"""SQLite: what is foreseen before anything is run."""

import outlook
from laws_sqlite import project

SERVER = None
LAWS = outlook.laws(project)
