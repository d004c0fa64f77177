"""The warm interpreter: has done what is the same for all apps before gunicorn's settings are read, and forks one process for
each app whose settings are asked for. A fork answers what a fresh interpreter would, or nothing: then one is asked."""

import ast
import gc
import os
import signal
import sys

from _ostler import settings, zygote
from _ostler.boot_report import boot_report
from _ostler.wire import CONTROL, Control, Failure

# What these run at every start is the same for whoever asks, or depends only on what ostlerd compares.
KNOWN_PTH = ("distutils-precedence.pth", "_virtualenv.pth", "easy-install.pth")
KNOWN_PTH_ENDS = ("-nspkg.pth",)
KNOWN_PTH_BEGINS = ("__editable__", "__editables_", "_editable_impl_")
# As Debian and Ubuntu have it.
KNOWN_CUSTOM = (
    "",
    """
try:
    import apport_python_hook
except ImportError:
    pass
else:
    apport_python_hook.install()
""",
)
ON_THE_WAY = ("os", "collections.abc", "_collections_abc", "_ostler.warm")


def run(orders, control):
    """Never comes back."""
    given = orders["surroundings"]["env"]
    # What the interpreter has set itself, as it would for each of the apps: LC_CTYPE.
    own = {name: value for name, value in os.environ.items() if given.get(name) != value}
    unfit = why_unfit(orders)
    if unfit:
        raise Failure("settings", unfit, "", 1)
    reads, begun = read_by_imports(), settings.Begun()
    settings.foresight.mentions("")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    boot_report.forget()  # the number is for the orders of what is forked
    gc.collect()
    gc.freeze()
    control.send("ready")
    fds, _ = zygote.wait_for_commands(lambda: None, fork)
    status = 1
    try:
        answer(zygote.orders_of(fds, ((1, CONTROL), (2, 1), (2, 2))), own, reads, begun)
        sys.stdout.flush()
        sys.stderr.flush()
        status = 0
    finally:
        # Without a word, also of an error: a fresh interpreter is asked, and says it.
        os._exit(status)


def fork(fds):
    """None in the warm interpreter, nobody in between in what was forked."""
    try:
        child = zygote.fork()
    except OSError:
        return None  # ostlerd sees the socket end
    if child:
        return None
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return 0


def answer(orders, own, reads, begun):
    zygote.begin(orders, 0)
    around = orders["surroundings"]
    given = {name: value for name, value in around["env"].items() if not name.startswith(settings.NOT_FOR_THE_APP)}
    env = dict(own, **given)
    others = [name for name, (value, _) in reads.items() if name is None or env.get(name) != value]
    readers = {reader for name in others for reader in reads[name][1]}
    if readers - {"gunicorn"}:
        raise Failure("settings", "what was imported has read another environment", "", 1)
    if readers:
        for name in [name for name in sys.modules if name.partition(".")[0] == "gunicorn"]:
            del sys.modules[name]
        begun = None
    os.environ.clear()
    os.environ.update(env)
    os.umask(around["umask"])
    os.chdir(around["directory"])
    found = settings.describe(settings.load(orders, begun))
    Control().send("settings", **found)


def why_unfit(orders):
    """Why a fork might not be what a fresh interpreter is."""
    program, wanted = os.path.realpath("/proc/self/exe"), os.path.realpath(orders["surroundings"]["python"])
    if program != wanted:
        return "%s is no interpreter, it starts %s" % (wanted, program)
    if "usercustomize" in sys.modules:
        return "there is a usercustomize"
    custom = sys.modules.get("sitecustomize")
    if custom is not None and not is_known(getattr(custom, "__file__", None)):
        return "there is a sitecustomize"
    for path in pth_files():
        if has_strange_code(path):
            return "%s runs code at every start" % path
    if len(os.listdir("/proc/self/task")) > 1:
        return "it has threads"
    return None


def is_known(path):
    try:
        with open(path, "rb") as file:
            code = ast.dump(ast.parse(file.read()))
    except (OSError, TypeError, SyntaxError, ValueError):
        return False
    return code in [ast.dump(ast.parse(known)) for known in KNOWN_CUSTOM]


def pth_files():
    site = sys.modules.get("site")
    folders = list(site.getsitepackages()) if site else []
    if site and site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    for folder in dict.fromkeys(folders):
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            if name.endswith(".pth"):
                yield os.path.join(folder, name)


def has_strange_code(path):
    name = os.path.basename(path)
    if name in KNOWN_PTH or name.endswith(KNOWN_PTH_ENDS) or name.startswith(KNOWN_PTH_BEGINS):
        return False
    try:
        with open(path, "rb") as file:
            return any(line.startswith((b"import ", b"import\t")) for line in file)
    except OSError:
        return True


def read_by_imports():
    """Imports what the settings of every app need, and answers which variables were read for it: for each name its value,
    and the packages that have read it. `None` is all of them."""
    reads, before, lookers = {}, dict(os.environ), set()
    kind, getcwd = type(os.environ), os.getcwd

    def reader():
        frame = sys._getframe(2)
        while frame is not None and frame.f_globals.get("__name__") in ON_THE_WAY:
            frame = frame.f_back
        name = frame.f_globals.get("__name__", "") if frame is not None else ""
        return name.partition(".")[0]

    def note(name, value):
        reads.setdefault(name, (value, set()))[1].add(reader())

    def look():
        lookers.add(reader())
        return getcwd()

    class Watched(kind):
        def __getitem__(self, name):
            note(name, before.get(name))
            return super().__getitem__(name)

        def __iter__(self):
            note(None, None)
            return super().__iter__()

    os.environ.__class__, os.getcwd = Watched, look
    try:
        settings.check_gunicorn()
        # For what they load.
        import gunicorn.app.wsgiapp
        import gunicorn.workers.gthread
        import gunicorn.workers.sync  # noqa: F401
    finally:
        os.environ.__class__, os.getcwd = kind, getcwd
    if dict(os.environ) != before or lookers - {"gunicorn"}:
        raise Failure("settings", "its imports depend on where they are, or change the environment", "", 1)
    return reads
