"""The tables that an app's models use, as data: what each model selects, what an insert of it leaves to the database.

Nothing here asks a database: types are those of Django's fields, so that a worker can tell them wherever it runs.
"""

import base64
import json
import zlib

VERSION = 1
TOLD_MOST = 55000  # characters: what is told has to fit into one line
READ_MOST = 16 << 20  # bytes: what is read was told by a worker
SIZED = ("CharField", "SlugField", "FileField", "FilePathField", "BinaryField")


def of(apps):
    """A description of each model that has a table."""
    return [describe(model) for model in apps.get_models(include_auto_created=True) if has_table(model)]


def has_table(model):
    return not model._meta.proxy and not model._meta.swapped and not model._meta.abstract


def describe(model):
    meta = model._meta
    columns = {field.column: column(field) for field in meta.local_concrete_fields if field.column}
    return {
        "model": meta.label,
        "table": meta.db_table,
        "managed": bool(meta.managed),
        "columns": columns,
        "rules": rules(meta),
    }


def column(field):
    """What holds of it; what does not is left out."""
    found = {"kind": kind(field)}
    generated, auto = getattr(field, "generated", False), type_of(field).endswith("AutoField")
    default = getattr(field, "db_default", None)
    holds = {
        "null": field.null,
        "auto": auto or generated,
        "fills": fills(field),
        "db_default": default is not None and not is_not_provided(default),
    }
    found.update((name, True) for name, it in holds.items() if it)
    return found


def is_not_provided(value):
    return value is NotImplemented or "NOT_PROVIDED" in repr(value)


def fills(field):
    """Whether something else than NULL is written where nobody gives a value: by a default, or because one has to be given."""
    if not field.null:
        return False
    return (
        not field.blank
        or field.has_default()
        and field.default is not None
        or bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False))
    )


def type_of(field):
    return str(field.get_internal_type())


def kind(field):
    """The type without its bounds' names: `CharField(40)`, `DecimalField(10,2)`; that of what a key refers to."""
    for _ in range(10):
        target = getattr(field, "target_field", None) if field.is_relation else None
        if target is None:
            break
        field = target
    name = type_of(field).replace("AutoField", "IntegerField")
    bounds = [field.max_length] if name in SIZED else []
    if name == "DecimalField":
        bounds = [field.max_digits, field.decimal_places]
    return name if None in bounds or not bounds else "%s(%s)" % (name, ",".join(str(it) for it in bounds))


def rules(meta):
    """What the database refuses, in words: `unique (a, b)`, `check price_is_positive`."""
    names = {field.name: field.column for field in meta.local_concrete_fields}

    def unique(fields):
        return "unique (%s)" % ", ".join(names.get(name, name) for name in fields)

    found = {unique([field.name]) for field in meta.local_concrete_fields if field.unique and not field.primary_key}
    found.update(unique(fields) for fields in meta.unique_together)
    for constraint in meta.constraints:
        name = type(constraint).__name__
        fields = getattr(constraint, "fields", ())
        if name == "UniqueConstraint" and fields and getattr(constraint, "condition", None) is None:
            found.add(unique(fields))
        else:
            found.add("%s %s" % (name.replace("Constraint", "").lower() or "constraint", constraint.name))
    return sorted(found)


def told(models):
    """The text by which they are handed on; None where it would be too long."""
    for short in (False, True):
        if short:  # whether a column is there counts most
            models = [
                dict(it, rules=[], columns={name: dict(of, kind="") for name, of in it["columns"].items()})
                for it in models
            ]
        data = json.dumps({"version": VERSION, "models": models}, separators=(",", ":")).encode()
        text = base64.b64encode(zlib.compress(data, 9)).decode("ascii")
        if len(text) <= TOLD_MOST:
            return text
    return None


def read(text):
    """What `told` has made a text of; None where it is none, or of another version."""
    try:
        unpack = zlib.decompressobj()
        data = unpack.decompress(base64.b64decode(text, validate=True), READ_MOST)
        found = json.loads(data.decode("utf-8"))
        if not unpack.eof or found["version"] != VERSION:
            return None
        for model in found["models"]:
            str(model["model"]), str(model["table"]), model["managed"], list(model["rules"])
            for it in model["columns"].values():
                str(it["kind"])
        return found["models"]
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return None
