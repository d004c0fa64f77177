//! The Python modules, as they are handed to the app's interpreter.

use crate::worker::{TABLES, TEXT};

/// The modules in the order in which they are executed: each imports only earlier ones.
const MODULES: [(&str, &str); 36] = [
    TEXT,
    TABLES,
    ("wire", include_str!("wire.py")),
    ("tag", include_str!("tag.py")),
    ("foresight", include_str!("../worker/foresight.py")),
    ("settings", include_str!("../worker/settings.py")),
    ("project", include_str!("project.py")),
    ("source", include_str!("source.py")),
    ("database", include_str!("database.py")),
    ("plan", include_str!("plan.py")),
    ("verdict", include_str!("verdict.py")),
    ("pooler", include_str!("pooler.py")),
    ("marker", include_str!("marker.py")),
    ("codes", include_str!("codes.py")),
    ("trail", include_str!("trail.py")),
    ("backends", include_str!("backends.py")),
    ("catalog", include_str!("catalog.py")),
    ("postgresql_link", include_str!("postgresql_link.py")),
    ("postgresql", include_str!("postgresql.py")),
    ("schema", include_str!("schema.py")),
    ("breakage", include_str!("breakage.py")),
    ("advice", include_str!("advice.py")),
    ("locks", include_str!("locks.py")),
    ("coming", include_str!("coming.py")),
    ("outlook", include_str!("outlook.py")),
    ("halfway", include_str!("halfway.py")),
    ("mysql_link", include_str!("mysql_link.py")),
    ("mysql_view", include_str!("mysql_view.py")),
    ("mysql", include_str!("mysql.py")),
    ("holders", include_str!("holders.py")),
    ("sqlite", include_str!("sqlite.py")),
    ("elsewhere", include_str!("elsewhere.py")),
    ("watch", include_str!("watch.py")),
    ("hooks", include_str!("hooks.py")),
    ("run", include_str!("run.py")),
    ("main", include_str!("main.py")),
];

/// The content of descriptor 3: a JSON array of `[module, source]`.
pub fn bundle() -> Vec<u8> {
    serde_json::to_vec(&MODULES[..]).expect("pairs of strings are JSON")
}
