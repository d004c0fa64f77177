"""An ostlerd to be killed: has a hook host forked, does not let it begin, prints its pid and its zygote's, and waits."""

import ctypes
import signal
import sys

from supervisor import Forked, Shop

PR_SET_CHILD_SUBREAPER = 36


class Unknown(Forked):
    """It is not told that it is known."""

    def begin(self):
        pass


assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
venv, directory = sys.argv[1:]
app = Shop(venv, directory, preload=True)
zygote = app.hatch()
zygote.hear("ready")
print(Unknown(app, 99, mode="hooks").pid, zygote.pid, flush=True)
signal.pause()
