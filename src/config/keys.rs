//! The keys of every table, and what to say to a key that is none of them.

/// A table's keys.
pub(super) struct Shape {
    /// `probe`; empty for what stands before the first `[section]`.
    pub(super) title: &'static str,
    /// Keys that mean something.
    pub(super) known: &'static [&'static str],
    /// Keys that will mean something in a later version.
    pub(super) planned: &'static [&'static str],
}

/// The main file.
pub(super) const MAIN: Shape =
    Shape { title: "the main file", known: &["apps", "edge", "health"], planned: &["control", "daemon"] };

/// `[edge]` of the main file.
pub(super) const EDGE: Shape = Shape { title: "edge", known: &["preset", "delay"], planned: &[] };

/// One app.
pub(super) const APP: Shape = Shape {
    title: "",
    known: &[
        "directory",
        "python",
        "app",
        "listen",
        "socket_mode",
        "backlog",
        "user",
        "group",
        "workers",
        "args",
        "env",
        "env_files",
        "umask",
        "log_file",
        "optional",
        "min_ready",
        "probe",
        "rollout",
        "limits",
        "migrate",
        "static",
        "preload",
        "no_new_privileges",
    ],
    planned: &[],
};

/// `workers`, where it is a range.
pub(super) const WORKERS: Shape = Shape { title: "workers", known: &["min", "max", "idle"], planned: &[] };

/// `[health]`, of the main file.
pub(super) const HEALTH: Shape = Shape {
    title: "health",
    known: &["listen", "agent", "track_file", "token_file", "saturation"],
    planned: &[],
};

/// `[probe]`.
pub(super) const PROBE: Shape =
    Shape { title: "probe", known: &["enabled", "path", "host", "scheme", "timeout"], planned: &[] };

/// `[rollout]`.
pub(super) const ROLLOUT: Shape = Shape {
    title: "rollout",
    known: &["max_surge", "boot_timeout", "max_boot_failures", "settle"],
    planned: &[],
};

/// `[limits]`.
pub(super) const LIMITS: Shape = Shape {
    title: "limits",
    known: &[
        "max_rss",
        "max_requests",
        "max_requests_jitter",
        "max_age",
        "request_timeout",
        "timeout",
        "graceful_timeout",
        "restarts_per_minute",
        "nofile",
        "memory_high",
        "memory_max",
        "cpu_weight",
        "tasks_max",
    ],
    planned: &[],
};

/// `[migrate]`.
pub(super) const MIGRATE: Shape = Shape {
    title: "migrate",
    known: &[
        "enabled",
        "command",
        "database",
        "database_url",
        "open_timeout",
        "lock_timeout",
        "tries",
        "lock_wait",
        "harm",
        "timeout",
        "timeout_total",
        "stall",
        "breaking",
        "override",
        "marker",
        "post_deploy",
    ],
    planned: &[],
};

/// `[migrate.override.NAME]`.
pub(super) const OVERRIDE: Shape = Shape {
    title: "migrate.override",
    known: &["lock_timeout", "lock_wait", "harm", "timeout", "stall"],
    planned: &[],
};

/// What others call things: gunicorn's settings, systemd's and supervisors' keys, habits.
const ELSEWHERE: &[(&str, &str)] = &[
    ("bind", "the key is `listen`"),
    ("address", "the key is `listen`"),
    ("port", "the key is `listen`, for example listen = \"127.0.0.1:8000\""),
    ("socket", "the key is `listen`, for example listen = \"unix:/run/ostler/NAME.sock\""),
    ("chdir", "the key is `directory`"),
    ("cwd", "the key is `directory`"),
    ("working_directory", "the key is `directory`"),
    ("root", "the key is `directory`"),
    ("wsgi", "the key is `app`"),
    ("wsgi_app", "the key is `app`"),
    ("asgi", "the key is `app`"),
    ("module", "the key is `app`"),
    ("entry", "the key is `app`"),
    ("venv", "the key is `python`, the interpreter itself: python = \"/srv/shop/venv/bin/python\""),
    ("virtualenv", "the key is `python`, the interpreter itself: python = \"/srv/shop/venv/bin/python\""),
    ("interpreter", "the key is `python`"),
    ("processes", "the key is `workers`"),
    ("instances", "the key is `workers`"),
    ("numprocs", "the key is `workers`"),
    ("environment", "the key is `env`"),
    ("raw_env", "the key is `env`"),
    ("environment_file", "the key is `env_files`"),
    ("stdout_logfile", "the key is `log_file`"),
    ("errorlog", "the key is `log_file`"),
    ("logfile", "the key is `log_file`"),
    ("healthcheck", "the section is [probe]"),
    ("deploy", "the section is [rollout]"),
    ("statics", "the key is `static`"),
    ("static_files", "the key is `static`"),
    ("static_root", "the key is `static`: static = { \"/static/\" = \"/srv/shop/static\" }"),
    ("migration", "the section is [migrate]"),
    ("migrations", "the section is [migrate]"),
    ("overrides", "write a table for each migration: [migrate.override.\"shop.0007_price\"]"),
    ("threads", "it is gunicorn's own: args = [\"--threads\", \"4\"]"),
    ("worker_class", "it is gunicorn's own: args = [\"-k\", \"gthread\"]"),
    ("worker_connections", "it is gunicorn's own: args = [\"--worker-connections\", \"1000\"]"),
    ("keepalive", "it is gunicorn's own: args = [\"--keep-alive\", \"5\"]"),
    ("accesslog", "it is gunicorn's own: args = [\"--access-logfile\", \"-\"]"),
    ("config", "it is gunicorn's own: args = [\"-c\", \"gunicorn.conf.py\"]"),
    ("max_memory", "the key is `max_rss` for one worker, `memory_max` for the whole app, both in [limits]"),
    ("memory_limit", "the key is `memory_max`, in [limits]"),
    ("memorymax", "the key is `memory_max`, in [limits]"),
    ("memoryhigh", "the key is `memory_high`, in [limits]"),
    ("cpuweight", "the key is `cpu_weight`, in [limits]"),
    ("tasksmax", "the key is `tasks_max`, in [limits]"),
    ("command", "ostlerd runs gunicorn's workers itself: use `app`, and `args` for gunicorn's arguments"),
    ("apps", "in apps.d/NAME.toml the keys stand at the top, without [apps.NAME]"),
    ("name", "an app's name is its file's: apps.d/NAME.toml"),
];

/// What to do about a key that others use.
pub(super) fn elsewhere(key: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(other, _)| *other == key).map(|(_, words)| *words)
}

/// The known key that is nearest to `key`, where one is near enough for a slip of the fingers.
pub(super) fn closest<'k>(known: &[&'k str], key: &str) -> Option<&'k str> {
    let most = match key.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=40 => 2,
        _ => return None,
    };
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(known, key), *known));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, known)| known)
}
