"""Whether the app is of the kind that its worker class runs."""

from _ostler.wire import Failure

WANTED = {
    False: "runs WSGI apps, and %s is an ASGI app: use the worker class uvicorn_worker.UvicornWorker, or asgi of "
    'gunicorn 27 ("-k" in args), or name the WSGI app',
    True: 'runs ASGI apps, and %s is a WSGI app: use the worker class gthread ("-k" in args), or name the ASGI app',
}


def check(worker, app, asynchronous):
    """Fails if the app is surely of the other kind; what does not say which it is passes."""
    if (is_wsgi if asynchronous else is_asgi)(app):
        words = WANTED[asynchronous] % (worker.app.app_uri or "the app")
        raise Failure("attribute", "the worker class %s %s" % (worker.cfg.worker_class_str, words), "", 4)


def is_asgi(app):
    return is_coroutine(app) or takes(app, 3) and not takes(app, 2)


def is_wsgi(app):
    return not is_coroutine(app) and takes(app, 2) and not takes(app, 3) and not takes(app, 1)


def is_coroutine(app):
    from inspect import iscoroutinefunction

    # Not whether it can be called, but what is called then.
    return iscoroutinefunction(app) or iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004


def takes(app, number):
    """Whether it can be called with so many arguments; False if it does not say."""
    from inspect import signature

    try:
        signature(app).bind(*range(number))
    except (TypeError, ValueError):
        return False
    return True
