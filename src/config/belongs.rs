//! What to say of a key that a table does not have: where it belongs, or which one was meant.

use std::path::Path;

use toml::de::DeValue;

use super::check::{Standing, UnknownKey, is_app};
use super::key::Shape;
use super::keys;
use super::meant::{closest, elsewhere};
use super::visible::shortened;

/// The sections of the machine, in the main file.
static OF_THE_MACHINE: [&Shape; 2] = [&keys::EDGE, &keys::HEALTH];

/// The sections of an app, those first that a key of several names is likeliest meant for.
static OF_AN_APP: [&Shape; 4] = [&keys::LIMITS, &keys::ROLLOUT, &keys::PROBE, &keys::MIGRATE];

/// The place of a key that is known elsewhere. Reads: `max_rss` belongs under `[limits]`, not under `[rollout]`.
struct RightPlace {
    /// `max_rss` or `[limits]`.
    subject: String,
    place: String,
    not: String,
    rule: &'static str,
    help: String,
}

/// Judges a `key` that this table does not have.
pub(super) fn judge(shape: &Shape, key: &str, value: &DeValue<'_>, standing: Standing<'_>) -> UnknownKey {
    let like = key.to_ascii_lowercase().replace('-', "_");
    let within = match is_top(shape) {
        true => String::new(),
        false => format!(" in [{}]", shape.title),
    };
    let unknown = |help: String| {
        let message = format!("unknown key `{}`{within}", shortened(key, 60));
        UnknownKey { message, rule: "", help }
    };
    if shape.has(&like) {
        return unknown(format!("did you mean `{like}`?"));
    }
    if is_app(value) {
        return unknown(match is_machine(shape) {
            true => format!("an app's table is [apps.{}]", shortened(key, 60)),
            false => keys_at_the_top(key),
        });
    }
    let found = home(shape, &like, standing);
    if (is_top(shape) || found.is_none())
        && let Some(words) = elsewhere(&like)
    {
        return unknown(words.to_owned());
    }
    if let Some(home) = found {
        let message = format!("{} belongs {}, not {}", home.subject, home.place, home.not);
        return UnknownKey { message, rule: home.rule, help: home.help };
    }
    if let Some(known) = closest(&shape.names(), &like) {
        return unknown(format!("did you mean `{known}`?"));
    }
    if let Some(home) = closest(&known_somewhere(), &like).and_then(|known| home(shape, known, standing)) {
        return unknown(format!("did you mean {}? It belongs {}", home.subject, home.place));
    }
    unknown(format!("the keys here are {}", shape.names().join(", ")))
}

fn keys_at_the_top(key: &str) -> String {
    format!("in apps.d/NAME.toml the keys stand at the top, without [{}]", shortened(key, 60))
}

fn is_top(shape: &Shape) -> bool {
    shape.title.is_empty() || shape.title == keys::MAIN.title
}

fn is_machine(shape: &Shape) -> bool {
    shape.title == keys::MAIN.title || OF_THE_MACHINE.iter().any(|it| it.title == shape.title)
}

fn known_somewhere() -> Vec<&'static str> {
    let sections = OF_AN_APP.iter().chain(&OF_THE_MACHINE);
    let inner = sections.clone().flat_map(|it| it.names());
    inner.chain(sections.map(|it| it.title)).chain(keys::APP.names()).collect()
}

fn home(shape: &Shape, key: &str, standing: Standing<'_>) -> Option<RightPlace> {
    match is_machine(shape) {
        true => home_from_machine(shape, key, standing),
        false => home_from_app(shape, key, standing),
    }
}

/// Where the key stands now, as "not …" goes on.
fn here(shape: &Shape) -> String {
    match is_top(shape) {
        true => "above the first [section]".to_owned(),
        false => format!("under [{}]", shape.title),
    }
}

/// `[limits], [probe] or [migrate]`: every one of the sections that has the key; `None` where none has.
fn owners(sections: &[&Shape], key: &str) -> Option<String> {
    let found = sections.iter().filter(|it| it.has(key));
    let names: Vec<String> = found.map(|it| format!("[{}]", it.title)).collect();
    let (last, others) = names.split_last()?;
    Some(match others {
        [] => last.clone(),
        others => format!("{} or {last}", others.join(", ")),
    })
}

fn home_from_app(shape: &Shape, key: &str, standing: Standing<'_>) -> Option<RightPlace> {
    let main = match standing.is_main() {
        true => "at the top of this file".to_owned(),
        false => format!("in {}", standing.main.display()),
    };
    let not_an_app = if standing.is_main() { "under [apps.NAME]" } else { "in an app's file" };
    let simple = |place: String| RightPlace {
        subject: format!("`{key}`"),
        place,
        not: here(shape),
        rule: "",
        help: "move it there".to_owned(),
    };
    if let Some(owners) = owners(&OF_AN_APP, key) {
        return Some(simple(format!("under {owners}")));
    }
    if OF_AN_APP.iter().any(|it| it.title == key) {
        let line = if standing.is_main() { format!("[apps.NAME.{key}]") } else { format!("[{key}]") };
        return Some(RightPlace {
            subject: format!("[{key}]"),
            not: format!("to [{}]", shape.title),
            help: format!("write {line} on a line of its own"),
            ..simple("to the app itself".to_owned())
        });
    }
    if keys::APP.has(key) {
        let place =
            if standing.is_main() { "directly under [apps.NAME]" } else { "above the first [section]" };
        let help = "move it up: what follows a [section] belongs to it, until the next one".to_owned();
        return Some(RightPlace { help, ..simple(place.to_owned()) });
    }
    if keys::WORKERS.has(key) {
        let help = "write for example workers = { min = 2, max = 16 }".to_owned();
        return Some(RightPlace { help, ..simple("to the range of `workers`".to_owned()) });
    }
    let rule = "it is about the whole machine";
    if OF_THE_MACHINE.iter().any(|it| it.title == key) {
        let help = match key {
            "health" => {
                "move it there; the page by which a worker of one app proves itself is `path` of [probe]"
            }
            _ => "move it there",
        };
        let (subject, not) = (format!("[{key}]"), not_an_app.to_owned());
        return Some(RightPlace { subject, not, rule, help: help.to_owned(), ..simple(main) });
    }
    let owners = owners(&OF_THE_MACHINE, key)?;
    Some(RightPlace { not: not_an_app.to_owned(), rule, ..simple(format!("{main}, under {owners}")) })
}

fn home_from_machine(shape: &Shape, key: &str, standing: Standing<'_>) -> Option<RightPlace> {
    let apps = standing.main.parent().unwrap_or(Path::new("/")).join("apps.d/NAME.toml");
    let of_an_app = |subject: String, place: &str, table: &str| RightPlace {
        subject,
        place: place.to_owned(),
        not: "to the main file".to_owned(),
        rule: "",
        help: format!("move it into {}, or below {table} in this file", apps.display()),
    };
    let app = || {
        keys::APP.has(key).then(|| match OF_AN_APP.iter().any(|it| it.title == key) {
            true => {
                let help =
                    format!("move it into {}, or write [apps.NAME.{key}] in this file", apps.display());
                RightPlace { help, ..of_an_app(format!("[{key}]"), "to an app", "") }
            }
            false => of_an_app(format!("`{key}`"), "to an app", "[apps.NAME]"),
        })
    };
    let machine = || {
        if OF_THE_MACHINE.iter().any(|it| it.title == key) {
            return Some(RightPlace {
                not: format!("to [{}]", shape.title),
                help: format!("write [{key}] on a line of its own"),
                ..of_an_app(format!("[{key}]"), "to the main file itself", "")
            });
        }
        let owners = owners(&OF_THE_MACHINE, key)?;
        Some(RightPlace {
            place: format!("under {owners}"),
            not: here(shape),
            help: "move it there".to_owned(),
            ..of_an_app(format!("`{key}`"), "", "")
        })
    };
    let deeper = || {
        let section = OF_AN_APP.iter().find(|it| it.has(key))?;
        let owners = owners(&OF_AN_APP, key)?;
        let table = format!("[apps.NAME.{}]", section.title);
        Some(of_an_app(format!("`{key}`"), &format!("to an app, under {owners}"), &table))
    };
    match is_top(shape) {
        true => app().or_else(machine).or_else(deeper),
        false => machine().or_else(app).or_else(deeper),
    }
}
