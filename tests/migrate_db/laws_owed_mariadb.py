"""MariaDB: what hangs on `migrate` is done once for each code."""

import owed
from maria import project
from mariadb import Mariadb

SERVER = Mariadb
LAWS = owed.laws(project)
