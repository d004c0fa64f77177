"""MariaDB: what is foreseen before anything is run."""

import outlook
from maria import project
from mariadb import Mariadb

SERVER = Mariadb
LAWS = outlook.laws(project)
