"""Words that fit into a message: bounded, on one line, whatever is in them."""

import json
from traceback import format_exception, format_exception_only  # as they are before the app changes them


def encode(message):
    text = json.dumps(message, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def tail(text, limit):
    """The end of `text`, at most `limit` bytes of UTF-8: whole lines, where there is more than one."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    end = data[-limit:]
    return end[end.find(b"\n", 0, -1) + 1 :].decode("utf-8", "ignore")


def one_line(text):
    return " ".join(str(text).split())


def short(text, limit=200):
    """One line of at most `limit` characters, its beginning kept."""
    text = one_line(text or "")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def said(error):
    """`NameError: name 'x' is not defined`."""
    try:
        if isinstance(error, SyntaxError):
            return one_line("%s: %s" % (type(error).__name__, error))  # with its file and line
        return one_line("".join(format_exception_only(type(error), error)[-1:]))
    except Exception:
        return type(error).__name__  # whatever the app has made of `traceback`, or of its own exception


def status_of(stop):
    """What an exit says: its words, or what was printed before it, where it has some."""
    if isinstance(stop.code, str):
        return one_line(stop.code)
    printed = getattr(stop, "printed", None)
    return "exit status %s%s" % (stop.code or 0, ": " + short(printed[-1], 500).rstrip(".") if printed else "")


def trace_of(error):
    printed = getattr(error, "printed", None) if isinstance(error, SystemExit) else None
    return "\n".join((printed or []) + [raised(error)])


def raised(error):
    try:
        return "".join(format_exception(type(error), error, error.__traceback__))
    except Exception:
        lines, trace = ["Traceback (most recent call last):"], error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            lines.append('  File "%s", line %s, in %s' % (code.co_filename, trace.tb_lineno, code.co_name))
            trace = trace.tb_next
        return "\n".join(lines + [said(error), ""])
