//! Where an app listens: the configuration's word, else gunicorn's `bind`.

use crate::config::{Address, App, Listen, shortened};
use crate::worker::Settings;

use super::types::Refusal;

/// gunicorn's default, and ours.
const BACKLOG: u32 = 2048;
const BACKLOG_MOST: u32 = 65_535;
const BINDS_MOST: usize = 64;

/// The app's sockets in order, each with its mode and backlog.
pub(super) fn sockets(
    app: &App,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Vec<Listen>, Refusal> {
    let addresses = match app.listen.is_empty() {
        false => app.listen.clone(),
        true => binds(app, settings)?,
    };
    if !app.listen.is_empty() && settings.bind_set && !settings.bind.is_empty() {
        notes.push(format!("{}: gunicorn's bind is ignored: `listen` decides", app.name));
    }
    // gunicorn makes its sockets under its umask; the default is open to an edge that runs as another user.
    let made = if settings.umask_set { 0o777 & !settings.umask } else { 0o666 };
    let mode = app.socket_mode.unwrap_or(made);
    let backlog = app.backlog.unwrap_or_else(|| backlog(app, settings, notes));
    let listen = |address| {
        let mode = matches!(address, Address::Unix(_)).then_some(mode);
        Listen { address, mode, backlog }
    };
    Ok(addresses.into_iter().map(listen).collect())
}

fn backlog(app: &App, settings: &Settings, notes: &mut Vec<String>) -> u32 {
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

fn binds(app: &App, settings: &Settings) -> Result<Vec<Address>, Refusal> {
    let name = &app.name;
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
    let mut addresses: Vec<Address> = Vec::new();
    for bind in &settings.bind {
        let address = bind_address(bind).map_err(|fault| {
            Refusal::new(format!(
                "{name}: gunicorn's bind {fault} (or set `listen` in {})",
                app.file.display()
            ))
        })?;
        if let Some(other) = addresses.iter().find(|other| address.clashes_with(other)) {
            return Err(Refusal::new(format!(
                "{name}: gunicorn's bind has both {other} and {address}; keep one of them"
            )));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// gunicorn takes some shapes that `listen` leaves out for clarity.
pub(crate) fn bind_address(bind: &str) -> Result<Address, String> {
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
