//! gunicorn's own arguments: what has a key in the app's file, what stays gunicorn's, and what ostlerd does itself.

use super::conf;
use super::draft::{absolute, base};
use super::error::ImportError;
use super::flags::{self, KnownFlag, Takes, ignored};
use super::reading::ImportContext;
use super::scan::scan;

/// Reads the words behind `gunicorn`.
pub(super) fn read(reading: &mut ImportContext<'_>, words: &[String]) -> Result<(), ImportError> {
    reading.draft.started_in = reading.draft.directory.clone();
    let mut positional: Vec<&String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if word == "--" {
            positional.extend(&words[at..]);
            break;
        }
        if !word.starts_with('-') || word == "-" {
            positional.push(word);
            continue;
        }
        let (flag, value) = match parse(word) {
            Parsed::Letters(letters) => {
                letters.into_iter().for_each(|flag| option(reading, flag, ""));
                continue;
            }
            Parsed::Unknown => {
                // gunicorn, which has options of its own versions, shall say whether it knows it.
                reading.draft.args.push(word.clone());
                continue;
            }
            Parsed::Option(flag, value) => (flag, value),
        };
        let next = words.get(at).filter(|next| !next.starts_with('-') || *next == "-" || is_number(next));
        let value = match (flag.takes, value) {
            (Takes::Nothing, _) => String::new(),
            (Takes::PerhapsValue, None) => {
                reading.draft.args.push(format!("--{}", flag.long));
                continue;
            }
            (_, Some(value)) => value,
            (Takes::Value, None) => {
                let Some(next) = next else {
                    let what = format!("gunicorn's {word} has no value");
                    return Err(reading.error(what, "complete the command line"));
                };
                at += 1;
                next.clone()
            }
        };
        option(reading, flag, &value);
    }
    let mut positional = positional.into_iter();
    if let Some(app) = positional.next() {
        reading.draft.app = Some(app.clone());
    }
    for more in positional {
        reading.draft.left_out(more, "gunicorn takes one app and ignored this");
    }
    defaults(reading);
    Ok(())
}

enum Parsed {
    Letters(Vec<&'static KnownFlag>),
    Option(&'static KnownFlag, Option<String>),
    Unknown,
}

fn parse(word: &str) -> Parsed {
    if let Some(name) = word.strip_prefix("--") {
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        return flags::long(name).map_or(Parsed::Unknown, |flag| Parsed::Option(flag, value));
    }
    let mut plain = Vec::new();
    let mut letters = word[1..].chars();
    while let Some(letter) = letters.next() {
        let Some(flag) = flags::letter(letter) else { return Parsed::Unknown };
        if flag.takes != Takes::Nothing {
            let rest = letters.as_str();
            let rest = rest.strip_prefix('=').unwrap_or(rest);
            // `-Dw4`: the letters before it take nothing and are of no use here.
            return Parsed::Option(flag, (!rest.is_empty()).then(|| rest.to_owned()));
        }
        plain.push(flag);
    }
    Parsed::Letters(plain)
}

fn is_number(word: &str) -> bool {
    word.parse::<f64>().is_ok()
}

fn option(reading: &mut ImportContext<'_>, flag: &KnownFlag, value: &str) {
    let draft = &mut reading.draft;
    let shown = format!("--{} {value}", flag.long);
    let shown = shown.trim_end();
    match flag.long {
        "bind" => {
            draft.listen.extend(value.split(',').map(|it| it.trim().to_owned()).filter(|it| !it.is_empty()))
        }
        "workers" => draft.workers = Some(value.to_owned()),
        "user" => draft.user = Some(value.to_owned()),
        "group" => draft.group = Some(value.to_owned()),
        "chdir" => {
            let to = absolute(value, draft.started_in.as_deref());
            if to.starts_with('/') {
                draft.directory = Some(to);
            }
        }
        // `022` is octal, `18` is not.
        "umask" => {
            draft.umask = Some(match value.parse::<u32>() {
                Ok(mask) if !value.starts_with('0') => format!("{mask:03o}"),
                _ => value.to_owned(),
            })
        }
        "env" => match value.split_once('=') {
            Some((name, value)) => {
                draft.env.insert(name.to_owned(), value.to_owned());
            }
            None => {
                draft.env.insert(value.to_owned(), String::new());
            }
        },
        "paste" | "paster" => {
            draft.leave_to_owner(shown, "PasteDeploy's files are not read: give the app with --app")
        }
        "preload" => draft.preload = true,
        "config" => {
            conf::named(reading, value);
        }
        "daemon"
        | "reload"
        | "reload-engine"
        | "reload-extra-file"
        | "reuse-port"
        | "initgroups"
        | "worker-tmp-dir"
        | "control-socket"
        | "control-socket-mode"
        | "no-control-socket"
        | "spew"
        | "enable-stdio-inheritance" => draft.left_out(shown, ignored(&flag.long.replace('-', "_"))),
        "pid" => draft.left_out(shown, ignored("pidfile")),
        "check-config" | "print-config" | "help" | "version" => {
            draft.left_out(shown, "`ostler check` does that")
        }
        "paste-global" => draft.left_out(shown, "it is about PasteDeploy's files, which are not read"),
        // argparse would take the value for an option.
        long if value.starts_with('-') && value != "-" => draft.args.push(format!("--{long}={value}")),
        long => {
            draft.args.push(match flag.short {
                Some(letter) if long != "timeout" => format!("-{letter}"),
                _ => format!("--{long}"),
            });
            if flag.takes != Takes::Nothing {
                draft.args.push(value.to_owned());
            }
        }
    }
}

/// What gunicorn would have found by itself: a file of its own in the directory.
fn defaults(reading: &mut ImportContext<'_>) {
    let named = reading.draft.args.iter().any(|arg| arg == "-c");
    let Some(directory) = reading.draft.started_in.clone() else { return };
    if named || reading.draft.conf.is_some() {
        return;
    }
    let path = absolute("gunicorn.conf.py", Some(&directory));
    if let Some(text) = reading.read(&path) {
        // Read by gunicorn from where it starts, which is `directory` from now on.
        if reading.draft.directory.as_deref() != Some(&*directory) {
            reading.draft.args.extend(["-c".to_owned(), path.clone()]);
        }
        reading.draft.conf = Some(scan(base(&path), &text));
    }
}
