//! What is still open when the files are read: decided from what is beside them, else asked for.

use std::path::Path;

use crate::config::{Address, AppName};

use super::draft::{Draft, Python, absolute, base};
use super::error::{ImportError, Need};
use super::input::{FileAccess, Overrides};
use super::migrations::{self, MigrationsGuess};
use super::{conf, holes, image};

/// Names of units and modules that say nothing about the app.
const NAMELESS: [&str; 14] = [
    "gunicorn", "app", "web", "wsgi", "asgi", "main", "server", "run", "config", "core", "project", "django",
    "current", "src",
];

/// A draft with nothing open.
pub(super) struct Settled {
    pub(super) name: AppName,
    pub(super) draft: Draft,
    /// `None` where an image's own is taken.
    pub(super) python: Option<String>,
    /// Of an image: the places in it, and what of the machine is seen there.
    pub(super) volumes: Vec<(String, String)>,
    /// Which migrations ostlerd runs.
    pub(super) migrations: MigrationsGuess,
}

/// Fills in, and asks for all that is missing at once.
pub(super) fn settle(
    mut draft: Draft,
    given: &Overrides,
    look: &FileAccess<'_>,
) -> Result<Settled, ImportError> {
    let mut needs = Vec::new();
    say(&mut draft, given);
    own_paths(&mut draft);
    let is_image = draft.image.is_some();
    if !is_image && draft.directory.as_deref().is_none_or(|it| !it.starts_with('/') && !holes::open(it)) {
        let what = "`directory`, where the release stands and gunicorn was started".to_owned();
        needs.push(Need { what, option: "--directory /srv/shop/current".to_owned() });
    }
    let python = match is_image {
        true => image::python(&mut draft, given),
        false => python(&draft, given, look).map(Some).unwrap_or_else(|need| {
            needs.push(need);
            None
        }),
    };
    if draft.app.is_none() {
        needs.push(Need {
            what: "`app`, as module:attribute".to_owned(),
            option: "--app shop.wsgi:application".to_owned(),
        });
    }
    if draft.user.is_none() {
        let what = match is_image {
            true => "`user`, whom the workers run as: a user of this machine, not of the image",
            false => {
                "`user`, whom the workers run as (they ran as whoever started gunicorn; that was root, if it was systemd)"
            }
        };
        needs.push(Need { what: what.to_owned(), option: "--user shop".to_owned() });
    }
    image::settle(&mut draft, given, &mut needs);
    listen(&mut draft, &mut needs);
    workers(&mut draft);
    conf::notes(&mut draft);
    class(&mut draft);
    needs.extend(open(&draft, python.as_deref().unwrap_or_default()));
    let name = match name(&draft, given) {
        Ok(name) => Some(name),
        Err(what) => {
            needs.push(Need { what, option: "--name shop".to_owned() });
            None
        }
    };
    match name {
        Some(name) if needs.is_empty() => {
            let migrations = migrations::settle(&mut draft, python.as_deref().unwrap_or_default(), look);
            if !is_image {
                below_the_release(&mut draft);
            }
            let volumes = image::name(&mut draft, given, &name);
            Ok(Settled { name, draft, python, volumes, migrations })
        }
        _ => {
            needs.dedup();
            Err(ImportError::Needs(needs))
        }
    }
}

/// `path` as it is called from `directory`, where it is below it.
fn below(path: &str, directory: Option<&str>) -> String {
    let directory = directory.unwrap_or_default().trim_end_matches('/');
    match path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')) {
        Some("") => ".".to_owned(),
        Some(rest) if !directory.is_empty() => rest.to_owned(),
        _ if path == directory && !directory.is_empty() => ".".to_owned(),
        _ => path.to_owned(),
    }
}

/// What gunicorn reads from below `directory` is named from there: ostlerd resolves the links of `directory` once for each
/// generation, and a whole path would lead a worker of the old one into the new release.
fn below_the_release(draft: &mut Draft) {
    const READ: [&str; 6] =
        ["-c", "--log-config", "--log-config-json", "--certfile", "--keyfile", "--ca-certs"];
    let directory = draft.directory.clone();
    for at in 1..draft.args.len() {
        let value = &draft.args[at];
        draft.args[at] = match draft.args[at - 1].as_str() {
            "--pythonpath" => {
                value.split(',').map(|it| below(it, directory.as_deref())).collect::<Vec<_>>().join(",")
            }
            flag if READ.contains(&flag) => match value.strip_prefix("file:") {
                Some(file) => format!("file:{}", below(file, directory.as_deref())),
                None => below(value, directory.as_deref()),
            },
            _ => continue,
        };
    }
}

/// A worker class that ostlerd is known not to run.
fn class(draft: &mut Draft) {
    let why = |class: &str| {
        let instead = crate::config::instead_of_class(class)?;
        Some(format!("ostlerd does not run this worker class: use {instead}; without one it is sync"))
    };
    while let Some(at) = draft.args.iter().position(|arg| arg == "-k") {
        let Some(class) = draft.args.get(at + 1).cloned() else { break };
        let Some(why) = why(&class) else { break };
        draft.args.drain(at..at + 2);
        draft.leave_to_owner(format!("--worker-class {class}"), why);
    }
    let Some(conf) = &draft.conf else { return };
    let named = conf.text("worker_class").map(|class| (format!("worker_class in {}", conf.name), why(class)));
    if let Some((what, Some(why))) = named {
        draft.leave_to_owner(what, why);
    }
}

/// What the command line says, and after it gunicorn.conf.py.
fn say(draft: &mut Draft, given: &Overrides) {
    // Of an image it is a folder in there until the end.
    if let Some(directory) = given.directory.as_ref().filter(|_| draft.image.is_none()) {
        draft.directory = Some(directory.clone());
    }
    if let Some(app) = &given.app {
        draft.app = Some(app.clone());
    }
    if let Some(user) = &given.user {
        draft.user = Some(user.clone());
    }
    if !given.listen.is_empty() {
        draft.listen.clone_from(&given.listen);
    }
    let Some(conf) = draft.conf.clone() else { return };
    let text = |name: &str| conf.text(name).map(str::to_owned);
    draft.app = draft.app.take().or_else(|| text("wsgi_app"));
    draft.user = draft.user.take().or_else(|| text("user"));
    draft.group = draft.group.take().or_else(|| text("group"));
    draft.directory = draft.directory.take().or_else(|| text("chdir"));
}

/// `PATH=/srv/venv/bin:$PATH` names itself: there is nothing of ostlerd's in a worker's environment.
fn own_paths(draft: &mut Draft) {
    for (name, value) in &mut draft.env {
        let own = holes::hole(name);
        if !value.contains(&own) {
            continue;
        }
        let system = if name == "PATH" { "/usr/local/bin:/usr/bin:/bin" } else { "" };
        let parts = value.split(':').map(|part| if part == own { system } else { part });
        *value = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":");
    }
    for name in
        ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]
    {
        if draft.env.remove(name).is_some() {
            draft.left_out(name, "systemd speaks to ostlerd with it, and it would mislead a worker");
        }
    }
}

/// The interpreter.
fn python(draft: &Draft, given: &Overrides, look: &FileAccess<'_>) -> Result<String, Need> {
    const OPTION: &str = "--python /srv/shop/venv/bin/python";
    let need = |what: String, option: &str| Need { what, option: option.to_owned() };
    if let Some(python) = &given.python {
        return Ok(python.clone());
    }
    let there = |path: &str| path.starts_with('/') && (look.exists)(Path::new(path));
    let beside = || {
        let places = [".venv", "venv", "env", "../venv", "../.venv"];
        let paths = places.map(|it| absolute(&format!("{it}/bin/python"), draft.directory.as_deref()));
        paths.into_iter().find(|path| there(path))
    };
    match &draft.python {
        Python::Interpreter(path) if path.contains('/') => Ok(absolute(path, draft.started_in.as_deref())),
        Python::Script(path) if path.contains('/') => {
            Ok(interpreter(&absolute(path, draft.started_in.as_deref()), look))
        }
        Python::Tool { name, ask } => beside().ok_or_else(|| {
            need(
                format!("`python`: {name} chose it"),
                &format!("--python \"$({ask})\", asked as the app's user"),
            )
        }),
        Python::Interpreter(program) | Python::Script(program) => in_path(draft, program, look)
            .map(|path| if path.ends_with("gunicorn") { interpreter(&path, look) } else { path })
            .or_else(beside)
            .or_else(|| {
                let system = ["/usr/local/bin", "/usr/bin"].map(|bin| format!("{bin}/{program}"));
                let found = system.into_iter().find(|path| there(path))?;
                Some(if found.ends_with("gunicorn") { interpreter(&found, look) } else { found })
            })
            .ok_or_else(|| need(format!("`python`: {program:?} was found by PATH"), OPTION)),
        Python::Unknown => beside().ok_or_else(|| {
            need("`python`, the interpreter of the app's virtual environment".to_owned(), OPTION)
        }),
    }
}

/// In the folders of the app's own PATH, or of its VIRTUAL_ENV.
fn in_path(draft: &Draft, program: &str, look: &FileAccess<'_>) -> Option<String> {
    let own = draft.env.get("VIRTUAL_ENV").map(|venv| format!("{venv}/bin"));
    let path = draft.env.get("PATH").map(String::as_str).unwrap_or_default();
    let folders = own.iter().map(String::as_str).chain(path.split(':')).filter(|it| it.starts_with('/'));
    let mut found = folders.map(|folder| format!("{}/{program}", folder.trim_end_matches('/')));
    let system = |path: &String| path.starts_with("/usr/") || path.starts_with("/bin/");
    found.find(|path| !system(path) && (look.exists)(Path::new(path)))
}

/// The interpreter beside a virtual environment's script, as it was called: what the script's first line names is where
/// the environment was made, which may be the old release behind a link. Elsewhere the one that the script names.
fn interpreter(script: &str, look: &FileAccess<'_>) -> String {
    let beside = script.rsplit_once('/').map(|(bin, _)| (bin, format!("{bin}/python")));
    let environment = |bin: &str| {
        let root = bin.rsplit_once('/').map_or("", |(root, _)| root);
        ["pyvenv.cfg", "conda-meta"].iter().any(|it| (look.exists)(Path::new(&format!("{root}/{it}"))))
    };
    if let Some((bin, python)) = &beside
        && environment(bin)
        && (look.exists)(Path::new(python))
    {
        return python.clone();
    }
    let text = (look.read)(Path::new(script)).unwrap_or_default();
    let named = text.lines().next().and_then(|line| line.strip_prefix("#!"));
    let named = named.and_then(|line| line.split_whitespace().next()).unwrap_or_default();
    if named.starts_with('/') && base(named).starts_with(['p']) {
        return named.to_owned();
    }
    match script.rsplit_once('/') {
        Some(("/usr/bin" | "/usr/local/bin" | "/bin", _)) | None => "/usr/bin/python3".to_owned(),
        Some((bin, _)) => format!("{bin}/python"),
    }
}

/// The addresses, in the shapes that `listen` takes; gunicorn's own default where nobody says.
fn listen(draft: &mut Draft, needs: &mut Vec<Need>) {
    if draft.listen.is_empty() {
        let elsewhere = draft.conf.as_ref().is_some_and(|conf| !conf.known || conf.sets("bind"))
            || draft.value("GUNICORN_CMD_ARGS").is_some_and(|it| it.contains("-b"));
        match draft.env.get("PORT") {
            _ if elsewhere => return,
            Some(port) => draft.listen.push(format!("0.0.0.0:{port}")),
            None => draft.listen.push("127.0.0.1:8000".to_owned()),
        }
    }
    let mut listen: Vec<String> = Vec::new();
    for bind in std::mem::take(&mut draft.listen) {
        if holes::open(&bind) {
            listen.push(bind);
            continue;
        }
        let bind = match bind.strip_prefix("unix:") {
            Some(path) if !path.starts_with(['/', '@']) => {
                format!("unix:{}", absolute(path, draft.started_in.as_deref()))
            }
            _ => bind,
        };
        match crate::plan::bind_address(&bind) {
            Ok(address) => listen.push(address.to_string()),
            Err(why) => {
                let option = "--listen 127.0.0.1:8000, or the .socket unit where it is one of systemd's";
                needs.push(Need {
                    what: format!("an address to listen on (gunicorn's bind {why})"),
                    option: option.to_owned(),
                });
            }
        }
    }
    let read = |text: &String| text.parse::<Address>().ok();
    let mut kept: Vec<String> = Vec::new();
    for text in listen {
        let clash = kept.iter().any(|other| match (read(other), read(&text)) {
            (Some(other), Some(address)) => other.clashes_with(&address),
            _ => *other == text,
        });
        match clash {
            true => draft.left_out(format!("--bind {text}"), "another address of the app is the same"),
            false => kept.push(text),
        }
    }
    draft.listen = kept;
}

fn workers(draft: &mut Draft) {
    let Some(text) = draft.workers.clone().filter(|it| !holes::open(it)) else { return };
    draft.workers = match text.parse::<u32>() {
        Ok(count) if count > 0 => Some(count.to_string()),
        _ => {
            draft.leave_to_owner(
                format!("--workers {text}"),
                "must be a number of 1 or more; without it there is one worker",
            );
            None
        }
    };
}

/// Every hole that is left.
fn open(draft: &Draft, python: &str) -> Vec<Need> {
    let one = |value: &Option<String>, what: &str| holes::needs(value.as_deref().unwrap_or_default(), what);
    let mut needs = Vec::new();
    needs.extend(holes::needs(python, "`python`"));
    for (value, what) in [
        (&draft.directory, "`directory`"),
        (&draft.app, "`app`"),
        (&draft.user, "`user`"),
        (&draft.group, "`group`"),
        (&draft.workers, "`workers`"),
        (&draft.umask, "`umask`"),
        (&draft.socket_mode, "`socket_mode`"),
        (&draft.log_file, "`log_file`"),
    ] {
        needs.extend(one(value, what));
    }
    needs.extend(draft.listen.iter().flat_map(|it| holes::needs(it, "an address to listen on")));
    needs.extend(draft.args.iter().flat_map(|it| holes::needs(it, "one of gunicorn's arguments")));
    needs.extend(draft.env_files.iter().flat_map(|it| holes::needs(it, "a file of `env_files`")));
    for (name, value) in &draft.env {
        needs.extend(holes::needs(name, "a name in `env`"));
        needs.extend(holes::needs(value, &format!("`env.{}`", holes::plain(name))));
    }
    let mut asked: Vec<Need> = Vec::new();
    for need in needs {
        if !asked.iter().any(|other| other.option == need.option) {
            asked.push(need);
        }
    }
    asked
}

/// What was given; else the file's name, without what says nothing; else the module's, or the folder's.
fn name(draft: &Draft, given: &Overrides) -> Result<AppName, String> {
    if let Some(name) = &given.name {
        return name.parse().map_err(|why: String| format!("`--name`: {why}"));
    }
    let unit = draft.name.as_deref().map(|name| {
        let words: Vec<&str> = name.split(['-', '_', '@']).filter(|word| !NAMELESS.contains(word)).collect();
        if words.is_empty() {
            String::new()
        } else {
            name.replace('@', "-").replace("gunicorn", "").trim_matches(['-', '_']).to_owned()
        }
    });
    let module = draft.app.as_deref().and_then(|app| app.split(['.', ':']).next().map(str::to_owned));
    let directory = match &draft.image {
        Some(image) => image.folder.as_deref(),
        None => draft.directory.as_deref(),
    };
    let folder = |up: usize| directory.and_then(|path| path.trim_end_matches('/').rsplit('/').nth(up));
    let repository = draft.image.as_ref().and_then(|image| image.repository());
    let candidates = [unit, repository, module, folder(0).map(str::to_owned), folder(1).map(str::to_owned)];
    let good = |name: &String| !NAMELESS.contains(&name.as_str()) && name.parse::<AppName>().is_ok();
    let found = candidates.into_iter().flatten().find(good);
    found.and_then(|name| name.parse().ok()).ok_or_else(|| "the app's name".to_owned())
}
