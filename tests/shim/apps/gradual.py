"""An app that takes as long to load as its test wants."""

import os
import time

from asgi import application as asgi  # noqa: F401
from wsgi import application as wsgi  # noqa: F401

open("loading", "w").close()
while not os.path.exists("go_on"):
    time.sleep(0.01)
