"""gunicorn's settings, read by gunicorn's own loader in the app's own interpreter."""

import os
import platform
import sys
import traceback

import _ostler
from _ostler import foresight
from _ostler.text import said, status_of, trace_of
from _ostler.wire import Failure

MASTER_HOOKS = (
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "pre_exec",
    "child_exit",
    "nworkers_changed",
    "on_exit",
)
IGNORED = (
    "check_config",
    "control_socket",
    "control_socket_disable",
    "control_socket_mode",
    "daemon",
    "dirty_apps",
    "dirty_workers",
    "enable_stdio_inheritance",
    "initgroups",
    "pidfile",
    "print_config",
    "reload",
    "reload_engine",
    "reload_extra_files",
    "reuse_port",
    "spew",
    "worker_tmp_dir",
)
NOT_FOR_THE_APP = ("LISTEN_", "NOTIFY_SOCKET", "WATCHDOG_", "GUNICORN_PID", "GUNICORN_FD")
OLDEST, NEWEST = (20, 1), 27
USAGE, PROG = "%(prog)s [OPTIONS] [APP_MODULE]", "gunicorn"


class Echo:
    """Standard error that remembers, so that a failure can be told in gunicorn's own words."""

    def __init__(self, stream):
        self.stream = stream
        self.heard = []

    def write(self, text):
        if self.heard is not None and len(self.heard) < 1000:
            self.heard.append(text)
        try:
            return self.stream.write(text)
        except Exception:
            return len(text)  # the configuration has closed it: what is to be said is told all the same

    def __getattr__(self, name):
        return getattr(self.stream, name)


class Begun:
    """The first steps of gunicorn's loader, which are the same for every app: to be used once in each process."""

    def __init__(self):
        from gunicorn.app.wsgiapp import WSGIApplication

        app = WSGIApplication.__new__(WSGIApplication)
        app.usage, app.prog = USAGE, PROG
        app.load_default_config()
        self.cfg, self.parser = app.cfg, app.cfg.parser()

    def take(self):
        """As gunicorn would have begun here: beside variables it looks at the working directory when it is imported."""
        from gunicorn import config, util

        config.Chdir.default = util.getcwd()
        self.cfg.settings["chdir"] = config.Chdir()
        self.cfg.env_orig = os.environ.copy()
        self.cfg.parser = lambda: self.parser
        return self.cfg


def load(orders, begun=None):
    """The application, its settings loaded, the interpreter's paths set: `app.cfg`, `app.chosen`."""
    check_gunicorn()
    from gunicorn.app.wsgiapp import WSGIApplication

    class Application(WSGIApplication):
        conf = None

        def load_default_config(self):
            if begun is None:
                super().load_default_config()
            else:
                self.cfg = begun.take()
            self.chosen = set()
            self.cfg.set = noting(self.cfg.set, self.chosen)

        def load_config_from_module_name_or_filename(self, location):
            self.conf = str(location)
            return super().load_config_from_module_name_or_filename(location)

    entry = [orders["entry"]] if orders.get("entry") else []
    # The app first: an option with an optional value would take it for that value.
    sys.argv = [os.path.join(os.path.dirname(sys.executable), "gunicorn")] + entry + list(orders["args"])
    echo = sys.stderr = Echo(sys.stderr)
    try:
        app = Application(USAGE, prog=PROG)
    except SystemExit as stop:
        raise refusal(stop, "".join(echo.heard)) from None
    except BaseException as error:
        error = unprinted(error)
        raise Failure("settings", "gunicorn's settings do not load: " + said(error), trace_of(error), 1) from None
    finally:
        echo.heard = None
        if sys.stderr is echo:
            sys.stderr = echo.stream
    del app.cfg.set
    set_paths(app.cfg)
    return app


def unprinted(error):
    """What gunicorn was about to print where that is what failed: the configuration has replaced standard error."""
    while error.__context__ is not None and error.__traceback__ is not None:
        where = traceback.extract_tb(error.__traceback__)[-1].filename
        if not where.endswith(("/gunicorn/app/base.py", "<ostler settings>", "/traceback.py")):
            break
        error = error.__context__
    return error


def check_gunicorn():
    try:
        import gunicorn
    except ModuleNotFoundError as error:
        if error.name != "gunicorn":
            raise Failure("settings", "gunicorn does not import: " + said(error), trace_of(error), 1) from None
        if sys.prefix == sys.base_prefix:
            # The system's own Python: its packages are the distribution's.
            remedy = "make a virtual environment (python3 -m venv), install gunicorn there, and name its bin/python as `python`"
        else:
            remedy = "%s -m pip install gunicorn" % sys.executable
        message = "gunicorn is not installed for %s: %s" % (sys.executable, remedy)
        raise Failure("settings", message, "", 1) from None
    version = tuple(gunicorn.version_info[:2])
    if version < OLDEST or version[0] > NEWEST:
        message = "gunicorn %s is not supported, only 20.1 to 27 are: install one of those" % gunicorn.__version__
        raise Failure("settings", message, "", 1)


def noting(setter, chosen):
    def set(name, value):
        chosen.add(name.lower())
        setter(name, value)

    return set


def refusal(stop, heard):
    """The failure for gunicorn's loader having exited, from what it printed and what it was handling."""
    lines = [line for line in heard.splitlines() if line.strip()]
    cause = stop.__context__ and unprinted(stop.__context__)
    if stop.code == 2 and lines:
        reason = "gunicorn refuses its arguments: " + lines[-1].partition("error: ")[2]
        return Failure("settings", reason, heard, 2)
    if cause is None:
        return Failure("settings", "gunicorn's settings ended the program: " + status_of(stop), heard, 1)
    head = [line for line in lines if line.startswith(("Failed to read config file", "Invalid value for"))]
    where = "%s: " % head[0] if head else ""
    for frame in traceback.extract_tb(cause.__traceback__):
        if (
            frame.filename.endswith((".conf.py", ".py"))
            and "/gunicorn/" not in frame.filename
            and "<" not in frame.filename
        ):
            where += "line %d: " % frame.lineno
            break
    return Failure("settings", "gunicorn's settings do not load: " + where + said(cause), trace_of(cause), 1)


def set_paths(cfg):
    """What `Application.run` does; the working directory is set by the loader itself."""
    for path in (cfg.pythonpath or "").split(","):
        path = path and os.path.abspath(path)
        if path and path not in sys.path:
            sys.path.insert(0, path)


def set_environment(cfg):
    """What `Arbiter` does, before the app is imported."""
    from gunicorn import SERVER_SOFTWARE

    os.environ["SERVER_SOFTWARE"] = SERVER_SOFTWARE
    os.environ.update(cfg.env)


def logger(cfg):
    try:
        return cfg.logger_class(cfg)
    except BaseException as error:
        raise Failure("settings", "gunicorn's logger does not start: " + said(error), trace_of(error), 1) from None


def worker_class(cfg):
    try:
        return cfg.worker_class
    except BaseException as error:
        # gunicorn puts a whole traceback into its own message; what it was handling is the reason.
        message = "gunicorn's worker class %s does not load: %s" % (
            cfg.worker_class_str,
            said(error.__context__ or error),
        )
        raise Failure("settings", message, trace_of(error), 1) from None


def classes():
    """The shim's modules for gunicorn's classes. Where only settings are told, each is executed when it is looked at."""
    return [module for name, module in vars(_ostler).items() if name.startswith("classes.")]


def class_module(cls):
    """The one for this class, None where there is none."""
    names = {base.__name__ for base in cls.__mro__}
    found = next((module for module in classes() if module.GUNICORN in names), None)
    return None if found is None or getattr(found, "NEVER", None) in names else found


def family(module):
    """The name of a class that the shim knows."""
    return module and module.__name__.rpartition(".")[2]


def mixin_for(cls, cfg):
    module = class_module(cls)
    if module is not None:
        return getattr(module, family(module).capitalize())
    names = [getattr(known, "SHOWN", family(known)) for known in classes()]
    message = "the worker class %s is not supported: use %s or %s"
    raise Failure("settings", message % (cfg.worker_class_str, ", ".join(names[:-1]), names[-1]), "", 1)


def describe(app):
    """The fields of the message `settings`."""
    import gunicorn

    cfg, chosen = app.cfg, app.chosen
    cls = worker_class(cfg)
    changed = {name for name, setting in cfg.settings.items() if name in chosen and setting.get() != setting.default}
    return {
        "gunicorn": gunicorn.__version__,
        "python": platform.python_version(),
        "class_name": cfg.worker_class_str,
        "family": family(class_module(cls)),
        "workers": cfg.workers,
        "workers_set": "workers" in chosen or "WEB_CONCURRENCY" in os.environ,
        "bind": [str(bind) for bind in cfg.settings["bind"].get()],
        "bind_set": "bind" in chosen or "PORT" in os.environ,
        "backlog": cfg.backlog,
        "timeout": float(cfg.timeout),
        "graceful_timeout": float(cfg.graceful_timeout),
        "keepalive": float(cfg.keepalive),
        "threads": cfg.threads,
        "max_requests": cfg.max_requests,
        "max_requests_jitter": cfg.max_requests_jitter,
        "umask": cfg.umask,
        "umask_set": "umask" in chosen,
        "uid": cfg.uid,
        "gid": cfg.gid,
        "user_set": bool({"user", "group"} & chosen),
        "chdir": cfg.chdir if "chdir" in chosen else None,
        "preload_app": bool(cfg.preload_app),
        "conf": app.conf and app.conf[:300],
        "ignored": [name for name in IGNORED if name in changed],
        "master_hooks": [name for name in MASTER_HOOKS if name in changed],
        "django": foresight.django(app),
        "forwarded_allow_ips": [str(peer)[:60] for peer in cfg.forwarded_allow_ips][:64],
    }


def take_over(cfg):
    """Turns off what belongs to a master: ostlerd recycles, chooses the user and owns the listeners."""
    owned = {
        "max_requests": 0,
        "max_requests_jitter": 0,
        "reload": False,
        "initgroups": False,
        "reuse_port": False,
        "user": os.geteuid(),
        "group": os.getegid(),
    }
    for name, value in owned.items():
        cfg.settings[name].value = value
