"""What is known of Django: what it loads with the first request only, the hosts that it answers, what a view has raised."""

import sys
from contextlib import contextmanager

from _ostler import output, tables
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
    """Loads what a worker would load with its first request only: the URLs and all that they import, the template tags;
    and, where that can be had, what the first page needs besides.

    The number of URLs; None if the app is not Django's. A second call finds all of it loaded.
    """
    found = settings()
    urlconf = getattr(found, "ROOT_URLCONF", None)
    if not urlconf:
        return None
    doing = ["the URLs of %s" % urlconf]
    try:
        with output.Heard():
            return load_all(found, doing)
    except SystemExit as stop:
        raise Failure("import", "%s do not load: %s" % (doing[-1], status_of(stop)), trace_of(stop)) from None
    except BaseException as error:  # a module in Rust panics with one
        raise Failure("import", "%s do not load: %s" % (doing[-1], said(error)), trace_of(error)) from None


def load_all(found, doing):
    from django.urls import get_resolver

    resolver = get_resolver()
    number = count(resolver.url_patterns)
    for status in STATUSES:
        resolver.resolve_error_handler(status)
    doing.append("the templates' engines and tags")
    if getattr(found, "TEMPLATES", None):
        from django.template import engines

        engines.all()
    for warm in (warm_templates, warm_sessions, warm_messages, warm_caches, warm_names):
        try:
            warm(found, resolver)
        except Exception:
            pass  # the app may never use it; where it does, the probe tells
    return number


def warm_templates(found, resolver):
    from django.template import engines

    for engine in engines.all():
        inner = getattr(engine, "engine", None)
        getattr(inner, "template_context_processors", None)
        getattr(inner, "template_loaders", None)


def warm_sessions(found, resolver):
    from importlib import import_module

    import_module(found.SESSION_ENGINE)


def warm_messages(found, resolver):
    from django.utils.module_loading import import_string

    import_string(found.MESSAGE_STORAGE)


def warm_caches(found, resolver):
    """Their modules: none is kept, for what is connected must not be shared by the workers of a zygote."""
    from django.core.cache import caches

    for alias in found.CACHES:
        caches.create_connection(alias)


def warm_names(found, resolver):
    """The URLs by their names, in the language of a client who asks for none, and that language's words."""
    from django.utils import translation

    chosen = any("LocaleMiddleware" in name for name in found.MIDDLEWARE)
    code = translation.get_supported_language_variant(found.LANGUAGE_CODE) if chosen else found.LANGUAGE_CODE
    with translation.override(code):
        # To read it is to make it.
        resolver.reverse_dict  # noqa: B018


def tell_tables(control):
    """What the app's models use of the database, for whoever changes that while this code serves."""
    text = None
    try:
        if settings() is not None:
            from django.apps import apps

            text = tables.told(tables.of(apps))
    except Exception:
        pass  # the fields of an app may be as they like
    control.send("tables", text=text)


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
        return (
            "Django's ALLOWED_HOSTS is empty, so it answers 400 to every request: add the site's name to "
            "ALLOWED_HOSTS in %s" % getattr(found, "SETTINGS_MODULE", "the settings")
        )
    return "Django's ALLOWED_HOSTS does not have the Host %s: set `host` in [probe] to one that it has, such as %s" % (
        name,
        host(),
    )


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
