//! Where an app listens: the configuration's word, else gunicorn's `bind`.

//!
//! gunicorn's `bind` may be the word of the app's own code, and what the interpreter says of where it comes from is the code's
//! word as well. So what does not stand in the app's file counts with the rights of the app's user alone.

use crate::config::{Address, AppConfig, Listen, Origin, shortened};
use crate::worker::Settings;

use super::facts::Facts;
use super::types::Refusal;

/// gunicorn's default, and ours.
const BACKLOG: u32 = 2048;
const BACKLOG_MOST: u32 = 65_535;
const BINDS_MOST: usize = 64;

/// The app's sockets in order, each with its mode and backlog.
pub(super) fn sockets(
    app: &AppConfig,
    facts: &Facts,
    notes: &mut Vec<String>,
) -> Result<Vec<Listen>, Refusal> {
    let settings = &facts.settings;
    let addresses = match app.listen.is_empty() {
        false => app.listen.iter().map(|address| (address.clone(), Origin::File)).collect(),
        true => binds(app, facts)?,
    };
    if !app.listen.is_empty() && settings.bind_set && !settings.bind.is_empty() {
        notes.push(format!("{}: gunicorn's bind is ignored: `listen` decides", app.name));
    }
    // gunicorn makes its sockets under its umask; the default is open to an edge that runs as another user.
    let made = if settings.umask_set { 0o777 & !settings.umask } else { 0o666 };
    let mode = app.socket_mode.unwrap_or(made);
    let backlog = app.backlog.unwrap_or_else(|| backlog(app, settings, notes));
    let listen = |(address, origin)| {
        let mode = matches!(address, Address::Unix(_)).then_some(mode);
        Listen { address, mode, backlog, origin }
    };
    Ok(addresses.into_iter().map(listen).collect())
}

fn backlog(app: &AppConfig, settings: &Settings, notes: &mut Vec<String>) -> u32 {
    let asked = settings.backlog;
    if (1..=BACKLOG_MOST).contains(&asked) {
        return asked;
    }
    let used = if asked == 0 { BACKLOG } else { BACKLOG_MOST };
    notes.push(format!(
        "{}: gunicorn's backlog = {asked} is not within 1 to {BACKLOG_MOST}; {used} is used",
        app.name
    ));
    used
}

fn binds(app: &AppConfig, facts: &Facts) -> Result<Vec<(Address, Origin)>, Refusal> {
    let (name, settings) = (&app.name, &facts.settings);
    let in_file = binds_in_file(app);
    if !settings.bind_set || settings.bind.is_empty() {
        return Err(Refusal::new(format!(
            "{name}: listen is not set, and gunicorn's configuration has no bind; \
             add for example listen = \"127.0.0.1:8000\" to {}",
            app.file.display()
        )));
    }
    if settings.bind.len() > BINDS_MOST {
        let count = settings.bind.len();
        return Err(Refusal::new(format!(
            "{name}: gunicorn's bind has {count} addresses; {BINDS_MOST} is the most"
        )));
    }
    let mut addresses: Vec<(Address, Origin)> = Vec::new();
    for bind in &settings.bind {
        let address = bind_address(bind).map_err(|fault| {
            Refusal::new(format!(
                "{name}: gunicorn's bind {fault} (or set `listen` in {})",
                app.file.display()
            ))
        })?;
        if let Some((other, _)) = addresses.iter().find(|(other, _)| address.clashes_with(other)) {
            return Err(Refusal::new(format!(
                "{name}: gunicorn's bind has both {other} and {address}; keep one of them"
            )));
        }
        let origin = if in_file.contains(&address) { Origin::File } else { Origin::Code };
        if let Origin::Code = origin {
            may_be_of_code(app, facts, &address)?;
        }
        addresses.push((address, origin));
    }
    Ok(addresses)
}

/// What `env` of the app's file has gunicorn bind; `args` may not say so.
fn binds_in_file(app: &AppConfig) -> Vec<Address> {
    let env = |name: &str| app.env.get(name).map(String::as_str).unwrap_or_default();
    let words = env("GUNICORN_CMD_ARGS").split_whitespace();
    let words: Vec<&str> = words.map(|word| word.trim_matches(['"', '\''])).collect();
    let beside = words.windows(2).filter(|pair| matches!(pair[0], "-b" | "--bind")).map(|pair| pair[1]);
    let together = words.iter().filter_map(|word| word.strip_prefix("--bind=").or(word.strip_prefix("-b")));
    let port = format!(":{}", env("PORT"));
    let named = beside.chain(together).flat_map(|bind| bind.split(',')).chain([port.as_str()]);
    named.filter_map(|bind| bind_address(bind).ok()).collect()
}

/// Whether an address may be the word of the app's code: root binds nothing that the app's user could not bind himself.
fn may_be_of_code(app: &AppConfig, facts: &Facts, address: &Address) -> Result<(), Refusal> {
    let why = match (address, &facts.account) {
        (Address::Systemd(_), _) => "sockets of systemd's are had by `listen` alone".to_owned(),
        (Address::Tcp(it), Some(user)) if user.uid != 0 && it.port() < facts.unprivileged_port => format!(
            "{} cannot bind ports below {}, and what gunicorn's settings say counts with the rights of {} alone",
            user.name, facts.unprivileged_port, user.name
        ),
        // A Unix socket is made with these rights.
        _ => return Ok(()),
    };
    Err(Refusal::new(format!(
        "{}: gunicorn's bind is {address}: {why}; write listen = \"{address}\" in {}",
        app.name,
        app.file.display()
    )))
}

/// gunicorn takes some shapes that `listen` leaves out for clarity.
pub fn bind_address(bind: &str) -> Result<Address, String> {
    let plain = bind.trim();
    let plain = plain.strip_prefix("tcp://").unwrap_or(plain);
    let full = match plain.rsplit_once(':') {
        // A path without `unix:` is a host's name to gunicorn: no port makes it better.
        _ if plain.starts_with("unix:") || plain.starts_with('/') => plain.to_owned(),
        Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some((_, "")) => format!("{plain}8000"),
        // `[::1]`: the colon is the address's own.
        Some(_) if plain.starts_with('[') && plain.ends_with(']') => format!("{plain}:8000"),
        Some(_) => plain.to_owned(),
        None if plain == "localhost" => "127.0.0.1:8000".to_owned(),
        None => format!("{plain}:8000"),
    };
    full.parse::<Address>().map_err(|fault| {
        let rest: Vec<&str> =
            [fault.rule.as_str(), fault.help.as_str()].into_iter().filter(|part| !part.is_empty()).collect();
        format!("is {:?}: {}", shortened(bind, 120), rest.join("; "))
    })
}
