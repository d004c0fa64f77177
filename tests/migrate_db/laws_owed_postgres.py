"""PostgreSQL: what hangs on `migrate` is done once for each code."""

import owed
from postgres import Postgres

SERVER = Postgres
LAWS = owed.laws(lambda place: place.project())
