"""Whether the app may load Django, from what its files say. Nothing of it is imported: an app that is not Django's is not to
pay for one that is installed beside it."""

import os
import re
import sys
from time import monotonic

FILES, SECONDS, SIZE = 300, 1.0, 1 << 20  # of more than this nobody can say that it does not
SETTINGS = "DJANGO_SETTINGS_MODULE"
DJANGO = re.compile(rb"(?m)(?:^|[;:])[ \t]*(?:from|import)[ \t]+django\b|DJANGO_SETTINGS_MODULE|[\"']django\.")
IMPORT = re.compile(
    rb"(?m)^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]+(?:\(([^)]*)\)|([^\n#]*))|import[ \t]+([^\n#;]+))"
)
STANDARD = getattr(sys, "stdlib_module_names", frozenset(sys.builtin_module_names))
OWN_STANDARD = os.path.dirname(os.path.abspath(os.__file__))
THIRD = ("/site-packages/", "/dist-packages/")


def django(app):
    """What there is of Django: None if the interpreter has none; else the settings that the environment names, and whether
    anything says that the app loads it."""
    if not any(spec.origin for spec in specs("django")):  # a folder of that name is none
        return None
    named = app.cfg.env.get(SETTINGS) or os.environ.get(SETTINGS) or None
    entry = app.app_uri or getattr(app.cfg, "wsgi_app", None)
    loads = bool(named) or app.cfg.paste is not None or bool(entry and mentions(str(entry).partition(":")[0]))
    return {"settings": named and str(named)[:300], "loads": loads}


def mentions(module):
    """Whether `module`, or what it imports, names Django: the app's own modules all the way down, of others' packages only
    the modules that it imports itself."""
    top, limit = module.partition(".")[0], monotonic() + SECONDS
    waiting, asked, seen = [module], set(), set()
    while waiting:
        name = waiting.pop()
        if name in asked or name.partition(".")[0] in STANDARD:
            continue
        asked.add(name)
        for spec in specs(name):
            path = spec.origin
            if path in seen or not path or not os.path.isfile(path) or is_standard(path):
                continue
            seen.add(path)
            if len(seen) > FILES or monotonic() > limit:
                return True
            text = content(path)
            if names_django(path, text):
                return True
            if path.endswith(".py") and (spec.name.partition(".")[0] == top or not any(it in path for it in THIRD)):
                waiting += imports(spec, text)
    return False


def names_django(path, text):
    if b"django" not in text.lower():
        return False
    return not path.endswith(".py") or bool(DJANGO.search(text))


def specs(name):
    """Those of the module and of the packages that it is in, as far as they are found."""
    path, whole = None, ""
    for part in name.split("."):
        whole = whole + "." + part if whole else part
        spec = spec_of(whole, path)
        if spec is None:
            return
        yield spec
        path = spec.submodule_search_locations
        if path is None:
            return


def spec_of(name, path):
    for finder in list(sys.meta_path):
        try:
            spec = finder.find_spec(name, path)
        except Exception:
            continue
        if spec is not None:
            return spec
    return None


def is_standard(path):
    return path.startswith(OWN_STANDARD + os.sep) and not any(it in path for it in THIRD)


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read(SIZE)
    except OSError:
        return b""


def imports(spec, text):
    """The names of all that the file may import."""
    package = spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]
    found = []
    for source, many, few, plain in IMPORT.findall(text):
        if plain:
            found += [name.split()[0] for name in plain.decode("utf-8", "replace").split(",") if name.split()]
            continue
        base = absolute(source.decode("utf-8", "replace"), package)
        names = re.sub(r"#[^\n]*", "", (many or few).decode("utf-8", "replace")).split(",")
        found += [base] + [base + "." + name.split()[0] for name in names if base and name.split()]
    return [name for name in found if name.replace(".", "_").isidentifier()]


def absolute(name, package):
    """The module that `from NAME import` in `package` is about."""
    dots = len(name) - len(name.lstrip("."))
    parts = package.split(".") if package else []
    base = parts[: len(parts) - dots + 1] if dots else []
    return ".".join(base + [name[dots:]] if name[dots:] else base)
