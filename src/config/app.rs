//! One app: its table to its type.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use super::address::address;
use super::check::{Checker, Field};
use super::error::{Fault, Place, Problem};
use super::images::{self, Volume};
use super::key::{KeyKind, Shape, keys};
use super::kinds::{AbsolutePath, FileMode, Flag, List, Number, One, ParsedText, Sub, With};
use super::limits::LIMITS;
use super::limits::{self, Limits};
use super::migrate::MIGRATE;
use super::migrate::{self, MigrateConfig};
use super::probe::PROBE;
use super::probe::ProbeConfig;
use super::processes::{self, ProcessConfig};
use super::reference::Reference;
use super::rollout::ROLLOUT;
use super::rollout::RolloutPolicy;
use super::types::{Address, AppName};
use super::visible::shortened;
use super::workers::{self, WORKERS_MOST, Workers};
use super::{names, static_files};

/// One app, before its first `[section]`.
pub(super) static APP: Shape = Shape { title: "", groups: &[AppConfig::KEYS] };

keys! {
    /// One app as configured; `None` where the file does not say (gunicorn's own settings or a default decide).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub struct AppConfig of {
        /// Its name.
        name: AppName,
        /// The file that it stands in.
        file: PathBuf,
    } {
        /// the release's folder, absolute; may be a link, or lead through one, which is resolved at each rollout
        directory: PathBuf = AbsolutePath, [required], "\"/srv/shop/current\"", Rollout;
        /// the app's interpreter, absolute: that of an environment with gunicorn 20.1 to 27. If releases are images, its path
        /// in them
        python: Option<PathBuf> = AbsolutePath,
            [unset "required; with `image`, the first `python3` or `python` of the image's `PATH`"],
            "\"/srv/shop/venv/bin/python\"", Rollout;
        /// `module:attribute`, as for gunicorn
        entry("app"): String = ParsedText(names::entry), [required], "\"shop.wsgi:application\"", Rollout;
        /// `"127.0.0.1:8000"`, `"[::1]:8000"`, `"unix:/path"`, `"systemd:NAME"`, or a list of them. `"[::]:8000"` takes IPv4
        /// too if the kernel's `net.ipv6.bindv6only` is 0, its default, and no IPv4 listener for the port stands beside it
        listen: Vec<Address> = With(listen),
            [unset "gunicorn's `bind`, with the rights of the app's user alone: see [ostler-security(7)](ostler-security.7.md)"],
            "[\"127.0.0.1:8000\"]", Rollout;
        /// the mode of Unix sockets
        socket_mode: Option<u32> = FileMode, [unset "`0o666`"], "0o660", Rollout;
        /// length of the kernel's accept queue
        backlog: Option<u32> = Number(1..=65_535), [unset "gunicorn's `backlog`"], "2048", Rollout;
        /// the user that the workers run as; root only if it is `"root"`
        user: Option<String> = ParsedText(names::login), [unset "required if ostlerd is root"], "\"shop\"", Rollout;
        /// their primary group
        group: Option<String> = ParsedText(names::login), [unset "the user's"], "\"shop\"", Rollout;
        /// a number; `"auto"`: twice the processors and one; or a range such as `{ min = 2, max = 16 }`: as many as the load
        /// needs, see [ostler-scaling(7)](ostler-scaling.7.md). A range has `min` and `max`, and may have `idle`: one worker
        /// less when there has been too little to do for that time, `"5m"`
        workers: Option<Workers> = With(workers::check), [unset "gunicorn's `workers`"], "4", Resize;
        /// gunicorn's own arguments, a list
        args: Vec<String> = With(args), [unset "none"], "[\"-k\", \"gthread\", \"--threads\", \"4\"]", Rollout;
        /// the workers' environment, a table. Nothing of ostlerd's own is inherited. `JOURNAL_STREAM` is set if they print to
        /// the journal. `OSTLER_APP` is set if no systemd holds together what they start; what has it ends with the app
        env: BTreeMap<String, String> = With(env), [unset "`PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`"],
            "{ DJANGO_SETTINGS_MODULE = \"shop.settings\" }", Rollout;
        /// files of `NAME=value` lines; `env` wins
        env_files: Vec<PathBuf> = List(AbsolutePath), [unset "none"], "[\"/etc/ostler/shop.env\"]", Rollout;
        /// the mask of files that workers make
        umask: Option<u32> = FileMode, [unset "gunicorn's `umask` if it is set, else `0o022`"], "0o022", Rollout;
        /// `true`: the app is loaded once, by a process from which the workers are forked. Open threads and connections in
        /// `post_fork` instead of the import: the log names those of the import. See
        /// [ostler-gunicorn(7)](ostler-gunicorn.7.md#preload), also for apps with a `gunicorn.conf.py`
        preload: Option<bool> = Flag, [unset "gunicorn's `preload_app`"], "true", Rollout;
        /// `false`: set-user-id programs (sudo, postdrop) take effect for this app; sudo may need more capabilities, in a
        /// drop-in with `CapabilityBoundingSet=`
        no_new_privileges: bool = Flag, [default true], "false", Rollout;
        /// where the workers' output goes: a file, or a device such as `/dev/null`
        log_file: Option<PathBuf> = AbsolutePath,
            [unset "the journal, under the app's name (`journalctl -t NAME`); without a journal, ostlerd's standard error"],
            "\"/var/log/shop.log\"", Rollout;
        /// the app's releases are images: `ostler restart APP --image REF` brings one in. This one is pulled on a machine that has
        /// none yet, where nothing is at `directory`. See [ostler-deploy(7)](ostler-deploy.7.md#images). `user`, `env` and `env_files` count as they always do, and come
        /// after what the image says; `log_file` and `python` are paths in the image
        image: Option<Reference> = ParsedText(images::reference), [unset "each release is a folder as it is"],
            "\"registry.example.com/shop:43\"", Nothing;
        /// folders and files of the machine that an image's processes see, by the paths under which they do:
        /// `{ "/data" = "/srv/shop/data" }`; `"/srv/shop/data:ro"` for reading alone. The app's user has to be allowed what it
        /// does there
        volumes: BTreeMap<PathBuf, Volume> = With(images::volumes), [unset "none"],
            "{ \"/data\" = \"/srv/shop/data\" }", Rollout;
        /// `true`: an image's processes may write into their release's folder; what they write goes with the release. `/tmp` and
        /// `/run` can always be written, and are shared by a release's processes
        image_writable: bool = Flag, [default false], "true", Rollout;
        /// `true`: the machine is ready without this app
        optional: bool = Flag, [default false], "true", InPlace;
        /// folders that the edge serves itself, `{ "/static/" = "/srv/shop/static" }`: the beginning of their paths, and a
        /// folder, absolute or below `directory`; of an image an absolute one in there. `ostler edge` writes them into its configuration; workers never see them
        static_files("static"): BTreeMap<String, PathBuf> = With(static_files::check), [unset "none"],
            "{ \"/static/\" = \"/srv/shop/static\" }", Nothing;
        /// how many workers have to be ready for the app to be ready, 1 to `workers`, or to their `min`. An app scaled below
        /// it by hand needs as many as it was scaled to
        min_ready: u32 = Number(1..=WORKERS_MOST), [default 1], "1", InPlace;
        /// commands that run beside the workers, a table for each: `[processes.queue]`. They start when their release serves
        /// and end when another one does; one that ends by itself is started again, ever more slowly if it does not stay
        processes: BTreeMap<String, ProcessConfig> = With(processes::check), [unset "none"],
            "{ queue = { command = [\"celery\", \"-A\", \"shop\", \"worker\"] } }", Rollout;
        /// one request that each new worker answers to itself before it takes clients
        probe: ProbeConfig = Sub(&PROBE, ProbeConfig::read), [section], "{ path = \"/healthz\" }", Within;
        /// how a new generation of workers comes in
        rollout: RolloutPolicy = Sub(&ROLLOUT, RolloutPolicy::read), [section], "{ max_surge = 1 }", Within;
        /// when a worker is replaced, and what the app may take
        limits: Limits = Sub(&LIMITS, limits::check), [section], "{ max_rss = \"512MiB\" }", Within;
        /// what runs before a rollout
        migrate: MigrateConfig = Sub(&MIGRATE, migrate::check), [section], "{ timeout = \"10m\" }", Within;
    }
}

/// An app that was looked at; `app` is `None` where it has a problem.
pub(super) struct CheckedApp {
    pub(super) name: AppName,
    pub(super) place: Place,
    pub(super) listen: Vec<(Address, Place)>,
    pub(super) app: Option<AppConfig>,
}

/// Checks the table of one app, `place` being where it begins.
pub(super) fn check(
    checker: &mut Checker<'_>,
    name: AppName,
    table: &DeTable<'_>,
    place: Place,
) -> CheckedApp {
    let before = checker.problems.len();
    let section = checker.section(&APP, table, place.clone());
    let mut app = AppConfig::read(checker, &section, name.clone(), checker.source.file.to_owned());
    let migrate = section.field("migrate", "").and_then(|field| field.value.get_ref().as_table());
    if !migrate.is_some_and(|table| table.contains_key("open_timeout")) {
        app.migrate.budgets.open_timeout = app.rollout.boot_timeout;
    }
    if checker.is_root && !section.has("user") && !section.nests_an_app() {
        checker.problems.push(no_user(place.clone(), &name));
    }
    if !section.has("image") {
        checker.require(&section, "python", "\"/srv/shop/venv/bin/python\"");
    }
    // A number of workers that the app always has.
    if let Some(field) = section.field("min_ready", "1")
        && let Some(least) = app.workers.and_then(Workers::least).filter(|least| *least < app.min_ready)
    {
        checker.one(&field, field.value, |value| Number(1..=least).read(value));
    }
    let listen = section.field("listen", "").map(|field| placed(checker, &field)).unwrap_or_default();
    let good = checker.problems.len() == before;
    CheckedApp { name, place, listen, app: good.then_some(app) }
}

fn no_user(place: Place, name: &AppName) -> Problem {
    Problem::new(place, "`user` is missing")
        .rule("ostlerd runs as root, and only an explicit user = \"root\" makes root workers")
        .help(format!("name the user that the workers become, for example user = \"{name}\""))
}

fn listen(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<Address>> {
    if field.value.get_ref().as_array().is_some_and(|items| items.is_empty()) {
        let help = "name one, or leave the key out where gunicorn's configuration has a bind";
        checker.fault(field, field.value, Fault::new("is an empty list", "must name an address", help));
    }
    List(ParsedText(address)).check(checker, field)
}

/// The good addresses with their places; what is wanted twice is found where all apps are known.
fn placed(checker: &Checker<'_>, field: &Field<'_, '_>) -> Vec<(Address, Place)> {
    let items = match field.value.get_ref() {
        DeValue::Array(items) => items.iter().collect(),
        _ => vec![field.value],
    };
    let placed = items.into_iter().map(|item| (address(item.get_ref()), checker.source.place(item.span())));
    placed.filter_map(|(address, place)| Some((address.ok()?, place))).collect()
}

fn args(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Vec<String>> {
    if let DeValue::String(text) = field.value.get_ref() {
        let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
        let help = format!("write args = [{}]", shortened(&words.join(", "), 120));
        let rule = "must be a list, one argument each";
        checker.fault(field, field.value, Fault::new("is a string", rule, help));
        return None;
    }
    List(ParsedText(names::argument)).check(checker, field)
}

fn env(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<BTreeMap<String, String>> {
    let mut env = BTreeMap::new();
    for (key, value) in checker.table(field)? {
        let name: &str = key.get_ref();
        let shown = shortened(name, 60);
        let written = checker.source.written(value.span());
        let (span, fault) = match (names::env_name_fault(name), names::env_value(value.get_ref(), &written)) {
            (Some(fault), _) => (key.span(), fault),
            (None, Err(fault)) => (value.span(), fault),
            (None, Ok(text)) => {
                env.insert(name.to_owned(), text);
                continue;
            }
        };
        let problem = Problem::new(checker.source.place(span), format!("`env.{shown}` {}", fault.what));
        let example = || format!("write for example env = {}", field.example);
        let help = if fault.help.is_empty() { example() } else { fault.help };
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    Some(env)
}
