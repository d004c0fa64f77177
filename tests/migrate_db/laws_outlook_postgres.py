"""PostgreSQL: what is foreseen before anything is run."""

import outlook
from postgres import Postgres

SERVER = Postgres
LAWS = outlook.laws(lambda place: place.project())
