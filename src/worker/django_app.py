"""What is known of Django: what it loads with the first request only, the hosts that it answers, what a view has raised."""

import sys
from contextlib import contextmanager

from _ostler.text import said, status_of, trace_of
from _ostler.wire import Failure

STATUSES = (400, 403, 404, 500)  # those that have a handler of their own


def settings():
    """Django's settings, if the import has brought Django along to serve with; else None."""
    module = sys.modules.get("django.conf")
    if module is None or "django.core.handlers.base" not in sys.modules:
        return None
    return module.settings if module.settings.configured else None


def load():
    """Loads what a worker would load with its first request only: the URLs and all that they import, the template tags.

    The number of URLs; None if the app is not Django's. A second call finds all of it loaded.
    """
    found = settings()
    urlconf = getattr(found, "ROOT_URLCONF", None)
    if not urlconf:
        return None
    what = "the URLs of %s" % urlconf
    try:
        from django.urls import get_resolver

        resolver = get_resolver()
        number = count(resolver.url_patterns)
        for status in STATUSES:
            resolver.resolve_error_handler(status)
        what = "the templates' engines and tags"
        if getattr(found, "TEMPLATES", None):
            from django.template import engines

            engines.all()
    except SystemExit as stop:
        raise Failure("import", "%s do not load: %s" % (what, status_of(stop)), trace_of(stop)) from None
    except BaseException as error:  # a module in Rust panics with one
        raise Failure("import", "%s do not load: %s" % (what, said(error)), trace_of(error)) from None
    return number


def count(patterns):
    """How many URLs there are, all the way down; a pattern that is no regular expression fails here."""
    number = 0
    for entry in patterns:
        getattr(getattr(entry, "pattern", None), "regex", None)
        nested = getattr(entry, "url_patterns", None)
        number += 1 if nested is None else count(nested)
    return number


def host():
    """A Host that the app accepts, by Django's ALLOWED_HOSTS; None if nothing is said there."""
    for name in getattr(settings(), "ALLOWED_HOSTS", None) or ():
        name = str(name).lstrip(".")
        if name and "*" not in name and name.isascii() and name.isprintable() and " " not in name:
            return name
    return None


def refuses(name):
    """Why Django answers 400 to this Host, in words that say what to set; None if it is not for the Host."""
    found = settings()
    if found is None:
        return None
    from django.http.request import split_domain_port, validate_host

    allowed = list(getattr(found, "ALLOWED_HOSTS", None) or ())
    if not allowed and getattr(found, "DEBUG", False):
        allowed = [".localhost", "127.0.0.1", "[::1]"]  # as Django has it
    domain, _ = split_domain_port(name)
    if domain and validate_host(domain, allowed):
        return None
    if not host():
        return ("Django's ALLOWED_HOSTS is empty, so it answers 400 to every request: add the site's name to "
                "ALLOWED_HOSTS in %s" % getattr(found, "SETTINGS_MODULE", "the settings"))
    return ("Django's ALLOWED_HOSTS does not have the Host %s: set `host` in [probe] to one that it has, such as %s"
            % (name, host()))


@contextmanager
def listening():
    """While it lasts, the list that it gives gets the traceback of each exception that Django makes a 500 of."""
    traces = []
    if settings() is None:
        yield traces
        return
    from django.core.signals import got_request_exception

    def raised(**_):
        error = sys.exc_info()[1]
        if error is not None:
            traces.append(trace_of(error))

    got_request_exception.connect(raised, weak=False)
    try:
        yield traces
    finally:
        got_request_exception.disconnect(raised)
