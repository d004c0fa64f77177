//! What is still open of an app that is an image: its name, where its releases stand, where it listens, what it keeps.

use std::collections::BTreeMap;

use super::{ImageDraft, Mount, MountHost};
use crate::cli::import::draft::{Draft, Python, absolute};
use crate::cli::import::error::Need;
use crate::cli::import::holes;
use crate::cli::import::input::Overrides;
use crate::config::{AppName, Reference};

/// Where programs of an image are if it does not say.
pub(super) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// More places nobody keeps, and an app's file does not take.
const MOST: usize = 64;

/// The keys of the app's file that only an image has, and what is then open.
pub(in crate::cli::import) fn settle(draft: &mut Draft, given: &Overrides, needs: &mut Vec<Need>) {
    let Some(mut image) = draft.image.take() else { return };
    reference(draft, &mut image, given, needs);
    let code = draft.directory.clone().unwrap_or_default();
    if code != image.workdir() {
        elsewhere(draft, &image.workdir(), code);
    }
    if given.listen.is_empty() {
        listen(draft, &mut image);
    }
    volumes(draft, &mut image);
    draft.image = Some(image);
}

/// Workers start in the image's own working directory, and gunicorn was started in another folder.
fn elsewhere(draft: &mut Draft, workdir: &str, code: String) {
    let short = |path: &str| crate::config::shortened(path, 200);
    let (workdir, shown) = (short(workdir), short(&code));
    let why = format!(
        "workers start in {workdir}, the image's WORKDIR, and find the app by --pythonpath: make {shown} its WORKDIR if the app \
         looks for files of its own in there"
    );
    draft.leave_to_owner(format!("cd {code}"), why);
    match draft.args.iter().position(|arg| arg == "--pythonpath") {
        Some(at) if at + 1 < draft.args.len() => {
            draft.args[at + 1] = format!("{code},{}", draft.args[at + 1])
        }
        _ => draft.args.extend(["--pythonpath".to_owned(), code]),
    }
}

/// With the app's name: what is named after it. Says where the releases stand.
pub(in crate::cli::import) fn name(
    draft: &mut Draft,
    given: &Overrides,
    name: &AppName,
) -> Vec<(String, String)> {
    let Some(image) = draft.image.clone() else { return Vec::new() };
    draft.directory = given.directory.clone().or_else(|| {
        let what = format!("directory = \"/srv/{name}/current\"");
        let why = "no file says where the image is unpacked: this is a link to the folder with its `rootfs` and \
                   `config.json`, see Images in ostler-deploy(7)";
        draft.leave_to_owner(what, why);
        Some(format!("/srv/{name}/current"))
    });
    // What is to be copied there was told before the name was known.
    for note in &mut draft.notes {
        note.why = note.why.replace("/srv/NAME/", &format!("/srv/{name}/"));
    }
    let host = |mount: &Mount| {
        let folder = match &mount.host {
            MountHost::Path(path) => path.clone(),
            MountHost::Own(folder) => format!("/srv/{name}/{folder}"),
        };
        if mount.read_only { folder + ":ro" } else { folder }
    };
    image.mounts.iter().map(|(place, mount)| (place.clone(), host(mount))).collect()
}

fn reference(draft: &mut Draft, image: &mut ImageDraft, given: &Overrides, needs: &mut Vec<Need>) {
    const OPTION: &str = "--image registry.example.com/shop:43";
    let need = |what: String| Need { what, option: OPTION.to_owned() };
    let written = given.image.clone().or_else(|| image.reference.take());
    let Some(written) = written else {
        return needs.push(need("`image`, the name under which a registry has the image".to_owned()));
    };
    if holes::open(&written) {
        needs.extend(holes::needs(&written, "`image`"));
        return;
    }
    let first = written.split('/').next().unwrap_or_default();
    let names_registry = written.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    let whole = match (names_registry, written.contains('/')) {
        (true, _) => written.clone(),
        (false, true) => format!("docker.io/{written}"),
        (false, false) => format!("docker.io/library/{written}"),
    };
    if !names_registry && image.built && given.image.is_none() {
        let what = format!("`image`: {written:?} is built here, and is in no registry by that name");
        return needs.push(need(what));
    }
    match whole.parse::<Reference>() {
        Err(help) => needs.push(need(format!("`image`: {written:?} is no reference to an image ({help})"))),
        Ok(_) => {
            if !names_registry {
                draft.left_out(format!("image: {written}"), "it is Docker's short name of the one above");
            }
            image.reference = Some(whole);
        }
    }
}

/// The interpreter, where the image's first one is not the one that has gunicorn.
pub(in crate::cli::import) fn python(draft: &mut Draft, given: &Overrides) -> Option<String> {
    let image = draft.image.clone()?;
    if given.python.is_some() {
        return given.python.clone();
    }
    let path = image.env.get("PATH").map_or(SYSTEM_PATH, String::as_str);
    let system = |folder: &str| SYSTEM_PATH.split(':').any(|it| it == folder);
    // The first python3 of the image's PATH is taken without being named.
    let found =
        |folder: &str| system(folder) || path.split(':').take_while(|it| !system(it)).any(|it| it == folder);
    let whole = |path: &str| absolute(path, draft.started_in.as_deref());
    let workdir = image.workdir();
    let value = |name: &str| image.env.get(name).or_else(|| draft.env.get(name)).cloned();
    let on =
        |name: &str| value(name).is_some_and(|it| ["1", "true", "yes"].contains(&it.to_lowercase().as_str()));
    let named = match &draft.python {
        Python::Interpreter(path) if path.contains('/') => Some(whole(path)),
        Python::Script(path) if path.contains('/') => {
            whole(path).rsplit_once('/').map(|(folder, _)| format!("{folder}/python"))
        }
        Python::Tool { name, .. } if name == "uv" => {
            let environment = value("UV_PROJECT_ENVIRONMENT").unwrap_or_else(|| ".venv".to_owned());
            Some(format!("{}/bin/python", absolute(&environment, Some(&workdir))))
        }
        Python::Tool { name, .. } if name == "poetry" && on("POETRY_VIRTUALENVS_IN_PROJECT") => {
            Some(absolute(".venv/bin/python", Some(&workdir)))
        }
        Python::Tool { name, .. } => {
            let why = "it chose the interpreter: if the first python3 in the image's PATH has no gunicorn, name with --python \
                       which one has";
            let name = format!("{name} run");
            draft.leave_to_owner(name, why);
            None
        }
        _ => None,
    };
    named.filter(|python| !python.rsplit_once('/').is_some_and(|(folder, _)| found(folder)))
}

/// Ports of the image become the machine's: there is no network of its own between.
fn listen(draft: &mut Draft, image: &mut ImageDraft) {
    let by_conf = draft.conf.as_ref().is_some_and(|conf| !conf.known || conf.sets("bind"))
        || draft
            .env
            .get("GUNICORN_CMD_ARGS")
            .or(image.env.get("GUNICORN_CMD_ARGS"))
            .is_some_and(|it| it.contains("-b"));
    let one = match image.published.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    if draft.listen.is_empty() {
        let port = draft.env.get("PORT").or_else(|| image.env.get("PORT")).cloned();
        let exposed = image.ports.first().map(u16::to_string);
        let bound = draft.conf.as_ref().and_then(|conf| conf.text("bind").map(str::to_owned));
        match (by_conf, one, bound) {
            (true, Some(one), _) => draft.listen.push(format!("0.0.0.0:{}", one.inside)),
            (true, None, Some(bound)) => draft.listen.push(bound),
            (true, None, None) => {
                let why = "was the container's own: on the machine 0.0.0.0 is open to everybody, so decide where it listens with \
                           --listen 127.0.0.1:8000";
                return draft.leave_to_owner("gunicorn's `bind`", why);
            }
            (false, _, _) => {
                let port = port.or(exposed).unwrap_or_else(|| "8000".to_owned());
                draft.listen.push(format!("0.0.0.0:{port}"));
            }
        }
    }
    let mut listen = Vec::new();
    for bind in std::mem::take(&mut draft.listen) {
        let Some(port) = port_of(&bind) else {
            listen.push(socket(draft, &image.mounts, bind));
            continue;
        };
        let mut published = image.published.iter().filter(|it| it.inside == port).peekable();
        if published.peek().is_none() && !image.on_host && opens(&bind) {
            let what = format!("--bind {bind}");
            let why = format!(
                "the network is the machine's now, where that would be open to everybody, so it is 127.0.0.1:{port} above; if it \
                 shall be open, give --listen 0.0.0.0:{port}"
            );
            draft.leave_to_owner(what, why);
            listen.push(format!("127.0.0.1:{port}"));
            continue;
        }
        if published.peek().is_none() {
            listen.push(bind);
            continue;
        }
        for it in published {
            let address = if it.address.is_empty() { "0.0.0.0" } else { it.address.as_str() };
            listen.push(format!("{address}:{}", it.port));
        }
    }
    draft.listen = listen;
}

/// The port of an address, where it has one.
fn port_of(bind: &str) -> Option<u16> {
    if bind.starts_with("unix:") || bind.starts_with("fd://") {
        return None;
    }
    match crate::plan::bind_address(bind).ok()?.to_string().rsplit_once(':') {
        Some((_, port)) => port.parse().ok(),
        None => None,
    }
}

/// Whether every address of the machine is meant.
fn opens(bind: &str) -> bool {
    let address = crate::plan::bind_address(bind).map(|it| it.to_string()).unwrap_or_default();
    address.starts_with("0.0.0.0:") || address.starts_with("[::]:")
}

/// A socket's file, as the machine sees it: ostlerd makes it.
fn socket(draft: &mut Draft, mounts: &BTreeMap<String, Mount>, bind: String) -> String {
    let Some(path) = bind.strip_prefix("unix:").filter(|path| path.starts_with('/')) else { return bind };
    let mounted = mounts.iter().find_map(|(place, mount)| match (&mount.host, path.strip_prefix(place)) {
        (MountHost::Path(host), Some(rest)) if rest.starts_with('/') => Some(format!("{host}{rest}")),
        _ => None,
    });
    let why = "ostlerd makes it, on the machine and not in the image: whoever connects has to look there";
    draft.leave_to_owner(format!("--bind {bind}"), why);
    mounted.map_or(bind, |path| format!("unix:{path}"))
}

/// Places that the image wants kept, and what is there already.
fn volumes(draft: &mut Draft, image: &mut ImageDraft) {
    let wanted = std::mem::take(&mut image.volumes);
    if wanted.len() + image.mounts.len() > MOST {
        draft.leave_to_owner(
            "VOLUME",
            "it names more places than an app's file takes: put those that are needed into `volumes`",
        );
        return;
    }
    for place in wanted {
        let place = place.trim_end_matches('/').to_owned();
        if image.mounts.contains_key(&place) || volume_fault(&place).is_some() {
            continue;
        }
        let last = place.rsplit('/').next().unwrap_or("data").to_owned();
        let taken = image.mounts.values().any(|mount| mount.host == MountHost::Own(last.clone()));
        let folder = if taken { place.trim_matches('/').replace('/', "-") } else { last };
        draft.leave_to_owner(
            format!("VOLUME {place}"),
            "what is written there stays only in a folder of the machine: make the one that `volumes` names, for `user`",
        );
        let mount = Mount { host: MountHost::Own(folder), read_only: false };
        image.mounts.insert(place, mount);
    }
}

/// Why nothing of the machine can be mounted at this place of an image.
pub(in crate::cli::import) fn volume_fault(place: &str) -> Option<&'static str> {
    let taken = ["/proc", "/sys", "/dev"].iter().any(|it| std::path::Path::new(place).starts_with(it));
    if taken {
        return Some("every image has its own there");
    }
    let plain = place.starts_with('/')
        && !place.trim_matches('/').is_empty()
        && place.len() <= 1000
        && place.split('/').all(|part| part != ".." && part != ".")
        && !place.chars().any(char::is_control)
        && !holes::open(place);
    (!plain).then_some("it is no absolute path in the image")
}
