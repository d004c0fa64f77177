"""Words that fit into a message: bounded, on one line, whatever is in them."""

import json
import traceback


def encode(message):
    text = json.dumps(message, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def tail(text, limit):
    """The end of `text`, at most `limit` bytes of UTF-8."""
    data = text.encode("utf-8", "backslashreplace")
    return data[-limit:].decode("utf-8", "ignore")


def one_line(text):
    return " ".join(str(text).split())


def short(text, limit=200):
    """One line of at most `limit` characters, its beginning kept."""
    text = one_line(text or "")
    return text if len(text) <= limit else text[:limit - 1] + "…"


def said(error):
    """`NameError: name 'x' is not defined`."""
    if isinstance(error, SyntaxError):
        return one_line("%s: %s" % (type(error).__name__, error))  # with its file and line
    return one_line("".join(traceback.format_exception_only(type(error), error)[-1:]))


def trace_of(error):
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
