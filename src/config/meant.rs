//! Which key is nearest to one that there is not, and what others call it. What is said of it: `belongs`.

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
