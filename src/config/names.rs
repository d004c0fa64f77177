//! Values that follow somebody else's grammar: Python's, Django's, gunicorn's, HTTP's, the system's.

use toml::de::DeValue;

use super::error::Fault;
use super::values::{Read, any_text, text, wrong_type};
use super::visible::shortened;

fn is(text: &str) -> String {
    format!("is {:?}", shortened(text, 120))
}

/// `module`, `module:attribute` or `module:create_app()`, as gunicorn takes it.
pub(super) fn entry(value: &DeValue<'_>) -> Read<String> {
    const RULE: &str = "must be module:attribute, as Python would import it";
    let text = text(value)?;
    let (module, attribute) = match text.split_once(':') {
        Some((module, attribute)) => (module, Some(attribute)),
        None => (text, None),
    };
    let good = module.split('.').all(is_identifier) && attribute.is_none_or(is_attribute);
    if good && text.len() <= 500 {
        return Ok(text.to_owned());
    }
    let module = module.trim_start_matches("./").trim_end_matches(".py").replace('/', ".");
    let help = if module.split('.').all(is_identifier) {
        let attribute = attribute.filter(|attribute| is_attribute(attribute)).unwrap_or("application");
        format!("did you mean {:?}?", format!("{module}:{attribute}"))
    } else {
        "write for example \"shop.wsgi:application\" or \"shop:create_app()\"".to_owned()
    };
    Err(Fault::new(is(text), RULE, shortened(&help, 160)))
}

fn is_identifier(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && letters.all(|c| c == '_' || c.is_alphanumeric())
}

/// A name, or a call of a name; what stands between the brackets is for Python to judge.
fn is_attribute(text: &str) -> bool {
    let name = match text.split_once('(') {
        Some((name, rest)) if rest.ends_with(')') => name,
        Some(_) => return false,
        None => text,
    };
    is_identifier(name) && !text.chars().any(char::is_control)
}

/// The name of a user or group.
pub(super) fn login(value: &DeValue<'_>) -> Read<String> {
    const RULE: &str = "must be the name of a user or group of this machine";
    if let DeValue::Integer(_) = value {
        return Err(Fault::new("is a number", RULE, "write the name that belongs to it, in quotes"));
    }
    let text = text(value)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || ":/,".contains(c);
    if text.len() > 64 || text.starts_with('-') || text.chars().any(bad) {
        return Err(Fault::new(is(text), RULE, "see `getent passwd` for the names"));
    }
    Ok(text.to_owned())
}

/// The path of a probe.
pub(super) fn url_path(value: &DeValue<'_>) -> Read<String> {
    let text = text(value)?;
    let clean = text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('#');
    if text.starts_with('/') && clean && text.len() <= 2000 {
        return Ok(text.to_owned());
    }
    let help = match (clean, text.contains("://")) {
        (_, true) => "leave out scheme and host: they have keys of their own, `scheme` and `host`".to_owned(),
        (true, _) => format!("write {:?}", shortened(&format!("/{text}"), 120)),
        _ => "percent-encode what is no printable ASCII character, for example %20".to_owned(),
    };
    Err(Fault::new(is(text), "must be a path that begins with /", help))
}

/// The Host header of a probe.
pub(super) fn host(value: &DeValue<'_>) -> Read<String> {
    let text = text(value)?;
    let clean = text.bytes().all(|b| b.is_ascii_graphic() && !b"/?#@\"\\".contains(&b));
    if clean && text.len() <= 255 {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        is(text),
        "must be a host name, with a port where it has one",
        "write for example \"shop.example.com\"",
    ))
}

/// `http` or `https`.
pub(super) fn scheme(value: &DeValue<'_>) -> Read<String> {
    match text(value)? {
        known @ ("http" | "https") => Ok(known.to_owned()),
        other => Err(Fault::new(is(other), "must be \"http\" or \"https\"", "")),
    }
}

/// The value of an environment variable.
pub(super) fn env_value(value: &DeValue<'_>, written: &str) -> Read<String> {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            let fault =
                wrong_type(value, "an environment holds strings, and only you know how this one is spelled");
            Err(Fault { help: format!("quote it: \"{written}\""), ..fault })
        }
        DeValue::Array(_) | DeValue::Table(_) => Err(wrong_type(value, "an environment holds strings")),
        DeValue::String(_) => any_text(value).map(str::to_owned),
    }
}

/// Why an environment variable may not have this name; `None` where it may.
pub fn env_name_fault(name: &str) -> Option<Fault> {
    let bad = |c: char| c == '=' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 255 || name.chars().any(bad) {
        let rule = "must be 1 to 255 characters without `=`, spaces and control characters";
        return Some(Fault::new(
            "is no name of an environment variable",
            rule,
            "write for example SECRET_KEY",
        ));
    }
    let reserved =
        ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
    reserved.contains(&name).then(|| {
        Fault::new(
            "is reserved",
            "systemd speaks to ostlerd with it, and it would mislead a worker",
            "leave it out",
        )
    })
}

/// The name of a database or a migration of Django's, without anything that such a name has not.
pub(super) fn django_name(text: &str) -> Option<String> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "/\"'`".contains(c);
    (!text.is_empty() && text.len() <= 200 && !text.chars().any(bad)).then(|| text.to_owned())
}

/// Arguments of gunicorn's that contradict what ostlerd does: short and long form, and what to do instead.
const TAKEN: &[(&str, &str, &str)] = &[
    ("-b", "--bind", "use the key `listen`"),
    ("-w", "--workers", "use the key `workers`"),
    ("-D", "--daemon", "leave it out: ostlerd runs the workers and watches them"),
    ("-p", "--pid", "leave it out: ostlerd has no use for a pid file, see `ostler status`"),
    ("-u", "--user", "use the key `user`"),
    ("-g", "--group", "use the key `group`"),
    ("-m", "--umask", "use the keys `umask` and `socket_mode`"),
    ("", "--chdir", "use the key `directory`"),
    (
        "",
        "--reload",
        "leave it out and use `ostler restart NAME`: a half-copied release must not deploy itself",
    ),
    ("", "--paster", "write the app as module:attribute"),
    ("", "--paste", "write the app as module:attribute"),
    ("", "--check-config", "leave it out and use `ostler check`"),
    ("", "--print-config", "leave it out and use `ostler check`"),
    ("-h", "--help", "leave it out"),
    ("-v", "--version", "leave it out"),
];

/// One of gunicorn's arguments.
pub(super) fn argument(value: &DeValue<'_>) -> Read<String> {
    let text = any_text(value)?;
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    let taken = TAKEN.iter().find(|(short, long, _)| match name.starts_with("--") {
        // argparse takes any unambiguous beginning of a name.
        true => name.len() >= 5 && long.starts_with(name),
        false => !short.is_empty() && text.starts_with(short),
    });
    match taken {
        Some((_, long, help)) => Err(Fault::new(
            format!("contains {:?}", shortened(text, 60)),
            format!("gunicorn's {long} is ostlerd's part"),
            *help,
        )),
        None => Ok(text.to_owned()),
    }
}
