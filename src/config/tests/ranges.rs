use super::*;

/// A value just out of each range, its key's place in the file, the rule's words.
const OUT: &[(&str, &str)] = &[
    ("workers = 1001", "`workers` is 1001\n|1 to 1000"),
    ("workers = -1", "`workers` is -1\n|1 to 1000"),
    ("workers = 2.5", "`workers` is a float\n|1 to 1000, or \"auto\"|workers = 4"),
    ("workers = \"many\"", "`workers` is \"many\"|or \"auto\""),
    ("workers = { min = 4, max = 2 }", "`max` is less than `min`|must not be below `min`|write one number"),
    ("workers = { min = 0, max = 2 }", "`min` is 0|1 to 1000|min = 2"),
    ("workers = { min = 1, max = 1001 }", "`max` is 1001|1 to 1000"),
    ("workers = { min = 1, max = \"auto\" }", "`max` is a string|1 to 1000"),
    ("workers = { max = 4 }", "`min` is missing|min = 2"),
    ("workers = { min = 4 }", "`max` is missing|max = 16"),
    ("workers = { min = 1, max = 2, idel = 3 }", "unknown key `idel` in [workers]|idle"),
    ("workers = { min = 1, max = 2, idle = \"10ms\" }", "`idle` is \"10ms\"|from 1s to 1d"),
    ("workers = [2, 16]", "`workers` is a list|a range such as { min = 2, max = 16 }"),
    ("workers = { min = 2, max = 4 }\nmin_ready = 3", "`min_ready` is 3|1 to 2"),
    ("processes = 4", "`processes` is an integer|must be a table|processes = { queue ="),
    ("[processes.Queue]\ncommand = [\"true\"]", "`processes.Queue` is no name|at most 40 small letters"),
    ("[processes.queue]", "`command` is missing|add for example command ="),
    (
        "[processes.queue]\ncommand = \"celery worker\"",
        "`command` is a string|write command = [\"celery\", \"worker\"]",
    ),
    ("[processes.queue]\ncommand = []", "`command` is an empty list|1 to 256"),
    ("processes = { queue = [\"true\"] }", "`processes.queue` is a list|must be a table"),
    ("backlog = 0", "`backlog` is 0|1 to 65535"),
    ("backlog = \"2048\"", "`backlog` is a string|leave out the quotes"),
    ("socket_mode = 0o1777", "`socket_mode` is 0o1777|0o000 to 0o777"),
    ("socket_mode = 660", "`socket_mode` is 660, not octal|write 0o660 or \"0660\""),
    ("socket_mode = \"rw\"", "`socket_mode` is \"rw\"|socket_mode = 0o660"),
    ("umask = 22", "`umask` is 22, not octal|write 0o22 or \"022\""),
    ("umask = \"1000\"", "`umask` is \"1000\"|0o000 to 0o777"),
    ("umask = true", "`umask` is a boolean|must be octal"),
    ("[probe]\npath = \"/\"\ntimeout = \"99ms\"", "`timeout` is \"99ms\"|from 100ms to 10m"),
    ("[probe]\npath = \"/\"\nscheme = \"ftp\"", "`scheme` is \"ftp\"|\"http\" or \"https\""),
    ("[probe]\npath = \"/\"\nhost = \"a b\"", "`host` is \"a b\"|must be a host name"),
    ("[probe]\npath = \"healthz\"", "`path` is \"healthz\"|begins with /|write \"/healthz\""),
    ("[probe]\npath = \"/a b\"", "`path` is \"/a b\"|%20"),
    ("[probe]\npath = \"http://shop/x\"", "leave out scheme and host"),
    ("probe = \"/healthz\"", "`probe` is a string|must be a table|probe = { path = \"/healthz\" }"),
    ("[rollout]\nmax_surge = 0", "`max_surge` is 0|1 to 1000, or a share such as \"50%\""),
    ("[rollout]\nmax_surge = \"0%\"", "`max_surge` is \"0%\"|\"1%\" to \"100%\""),
    ("[rollout]\nmax_surge = \"101%\"", "`max_surge` is \"101%\"|\"1%\" to \"100%\""),
    ("[rollout]\nboot_timeout = \"99ms\"", "`boot_timeout` is \"99ms\"|from 100ms to 1d"),
    ("[rollout]\nboot_timeout = \"1h30q\"", "`boot_timeout` is \"1h30q\"|\"1h30m\""),
    ("[rollout]\nboot_timeout = nan", "`boot_timeout` is nan"),
    ("[rollout]\nboot_timeout = -1", "`boot_timeout` is -1"),
    ("[rollout]\nboot_timeout = []", "`boot_timeout` is a list"),
    ("[rollout]\nsettle = \"11m\"", "`settle` is \"11m\"|from 0ms to 10m"),
    ("[limits]\nmax_rss = \"1023KiB\"", "`max_rss` is \"1023KiB\"|from 1 MiB to 1 TiB"),
    ("[limits]\nmax_rss = \"99999999999TiB\"", "`max_rss` is \"99999999999TiB\"|\"512MiB\""),
    ("[limits]\nmax_rss = \"half\"", "`max_rss` is \"half\"|\"512MiB\""),
    ("[limits]\nmax_rss = -5", "`max_rss` is -5|from 1 MiB to 1 TiB"),
    ("[limits]\nmax_requests = 1000000001", "`max_requests` is 1000000001|0 to 1000000000"),
    ("[limits]\nmax_age = \"999ms\"", "`max_age` is \"999ms\"|from 1s to 365d, or 0 for never"),
    ("[limits]\ntimeout = 0.5", "`timeout` is 0.5|from 2s to 1d, or 0 for never"),
    ("[limits]\ntimeout = 1e300", "`timeout` is 1e300|from 2s to 1d"),
    ("[limits]\ngraceful_timeout = \"2d\"", "`graceful_timeout` is \"2d\"|from 0ms to 1d"),
    ("[limits]\ngraceful_timeout = \"99999999999999999999d\"", "`graceful_timeout` is"),
    ("[limits]\nmemory_max = \"15MiB\"", "`memory_max` is \"15MiB\"|from 16 MiB to 1 TiB"),
    ("[limits]\nmemory_max = \"80%\"", "`memory_max` is \"80%\"|from 16 MiB to 1 TiB|\"512MiB\""),
    (
        "[limits]\nmemory_high = \"2GiB\"\nmemory_max = \"1GiB\"",
        "`memory_high` is more than `memory_max`|must not be above|lower it",
    ),
    ("[limits]\ncpu_weight = \"50%\"", "`cpu_weight` is a string|1 to 10000|cpu_weight = 200"),
    ("group = 33", "`group` is a number|write the name"),
    ("group = \"a b\"", "`group` is \"a b\"|getent passwd"),
    ("group = \"\"", "`group` is empty"),
    ("args = \"-k gthread\"", "`args` is a string|args = [\"-k\", \"gthread\"]"),
    ("args = [\"-k\", 4]", "`args` is an integer|must be a string in quotes"),
    ("args = [\"a\\u0000b\"]", "`args` contains a NUL"),
    ("env = [\"A=1\"]", "`env` is a list|must be a table"),
    ("env = { A = 1 }", "`env.A` is an integer|quote it: \"1\""),
    ("env = { A = true }", "`env.A` is a boolean|quote it: \"true\""),
    ("env = { A = [1] }", "`env.A` is a list"),
    ("env = { \"A=B\" = \"\" }", "`env.A=B` is no name of an environment variable"),
    ("env = { LISTEN_FDS = \"3\" }", "`env.LISTEN_FDS` is reserved|leave it out"),
    ("env_files = \"shop.env\"", "`env_files` is \"shop.env\"|must be absolute|beginning with /"),
    ("env_files = 5", "`env_files` is an integer|must be a string in quotes"),
    ("env_files = {}", "`env_files` is a table|must be a string or a list of strings"),
    ("log_file = \"log/shop.log\"", "`log_file` is \"log/shop.log\"|must be absolute"),
];

#[test]
fn every_value_out_of_its_range_is_named_with_rule_and_remedy() {
    for (more, expected) in OUT {
        let printed = refused(more);
        let parts: Vec<&str> = expected.split('|').collect();
        says(&printed, &parts);
        says(&printed, &[" = help: "]);
    }
}

#[test]
fn what_stands_at_several_bounds_at_once_is_accepted() {
    let good = [
        "workers = { min = 1000, max = 1000, idle = \"1s\" }",
        "workers = { min = 1, max = 1000, idle = \"24h\" }\nmin_ready = 1",
        "umask = \"0\"",
        "[rollout]\nmax_surge = \"100%\"",
        "[limits]\nmax_age = 0",
        "[limits]\nmemory_high = \"16MiB\"\nmemory_max = \"16MiB\"",
        "args = []",
        "env_files = []",
    ];
    for more in good {
        accepted(more);
    }
}

#[test]
fn gunicorn_s_arguments_that_ostlerd_decides_name_the_key_instead() {
    let cases = [
        ("-b", "`listen`"),
        ("-b0.0.0.0:80", "`listen`"),
        ("--bind=x", "`listen`"),
        ("--bin", "`listen`"),
        ("-w4", "`workers`"),
        ("--workers", "`workers`"),
        ("-D", "ostlerd runs the workers"),
        ("--daemon", "ostlerd runs the workers"),
        ("-p", "ostler status"),
        ("--pid", "ostler status"),
        ("-u", "`user`"),
        ("--user=x", "`user`"),
        ("-g", "`group`"),
        ("--group", "`group`"),
        ("--umask", "`umask`"),
        ("--chdir", "`directory`"),
        ("--reload", "ostler restart"),
        ("--check-config", "ostler check"),
    ];
    for (argument, help) in cases {
        says(&refused(&format!("args = [{argument:?}]")), &["`args` contains", "ostlerd's part", help]);
    }
    accepted(
        "args = [\"--threads\", \"4\", \"-t\", \"30\", \"--worker-class\", \"gthread\", \"--backlog\", \"9\"]",
    );
}
