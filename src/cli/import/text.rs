//! The app's file, written down: the keys in the order of ostler.toml(5), then what is not in it.

use std::path::Path;

use crate::config::{AppName, ProbeConfig, is_hidden, parse_app};

use super::draft::{Draft, DraftNote};
use super::error::ImportError;
use super::migrations::MigrationsGuess;
use super::settle::Settled;

/// An app's file, and what its owner should know.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Imported {
    pub(in crate::cli) name: AppName,
    /// The file, comments included.
    pub(in crate::cli) text: String,
    /// What is not in it, and why; those with something to do first.
    pub(in crate::cli) notes: Vec<DraftNote>,
}

/// Writes it, and reads it again as ostlerd would.
pub(super) fn write(settled: Settled) -> Result<Imported, ImportError> {
    let Settled { name, mut draft, python, volumes, migrations } = settled;
    draft.notes.sort_by_key(|note| !note.todo);
    if draft.user.as_deref() == Some("root") {
        let why = "a hole in the app is then a hole in the machine: give it a user of its own";
        draft
            .notes
            .insert(0, DraftNote { what: "user = \"root\"".to_owned(), why: why.to_owned(), todo: true });
    }
    let text = page(&name, &draft, python.as_deref(), &volumes, migrations);
    let file = format!("{name}.toml");
    match parse_app(&name, &text, Path::new(&file), true) {
        Ok(_) => Ok(Imported { name, text, notes: draft.notes }),
        Err(problems) => {
            Err(ImportError::Unusable { from: draft.from.join(", "), problems: problems.to_string() })
        }
    }
}

fn page(
    name: &AppName,
    draft: &Draft,
    python: Option<&str>,
    volumes: &[(String, String)],
    migrations: MigrationsGuess,
) -> String {
    let mut page = AppFileText::default();
    let from = draft.from.join(", ");
    page.comment(&format!("{name}: imported from {from} by ostler {}", env!("CARGO_PKG_VERSION")));
    page.text.push('\n');
    page.key("directory", &quoted(draft.directory.as_deref().unwrap_or_default()));
    page.perhaps("image", draft.image.as_ref().and_then(|image| image.reference.as_deref()).map(quoted));
    page.perhaps("python", python.map(quoted));
    page.key("app", &quoted(draft.app.as_deref().unwrap_or_default()));
    match draft.listen.as_slice() {
        [] => page.comment("listen: gunicorn's own `bind` decides, in its configuration"),
        [one] => page.key("listen", &quoted(one)),
        several => page.key("listen", &list(several)),
    }
    page.perhaps("socket_mode", draft.socket_mode.as_deref().map(mode));
    page.perhaps("user", draft.user.as_deref().map(quoted));
    page.perhaps("group", draft.group.as_deref().map(quoted));
    page.perhaps("workers", draft.workers.clone());
    page.perhaps("args", (!draft.args.is_empty()).then(|| list(&draft.args)));
    page.perhaps("env_files", (!draft.env_files.is_empty()).then(|| list(&draft.env_files)));
    page.perhaps("umask", draft.umask.as_deref().map(mode));
    page.perhaps("log_file", draft.log_file.as_deref().map(quoted));
    page.perhaps("preload", draft.preload.then(|| "true".to_owned()));
    if !draft.env.is_empty() {
        page.section("env");
        for (name, value) in &draft.env {
            page.key(&key(name), &quoted(value));
        }
    }
    if !volumes.is_empty() {
        page.section("volumes");
        volumes.iter().for_each(|(place, host)| page.key(&quoted(place), &quoted(host)));
    }
    if let Some(path) = &draft.probe {
        page.section("probe");
        page.key("path", &quoted(path));
    }
    if !draft.limits.is_empty() {
        page.section("limits");
        draft.limits.iter().for_each(|(name, value)| page.key(name, value));
    }
    page.advice(migrations, draft.probe.clone());
    page.processes(&draft.processes);
    page.notes("To do:", draft.notes.iter().filter(|note| note.todo));
    page.notes("Left out, and not missed:", draft.notes.iter().filter(|note| !note.todo));
    page.text
}

#[derive(Default)]
struct AppFileText {
    text: String,
}

impl AppFileText {
    fn key(&mut self, name: &str, value: &str) {
        self.text.push_str(&format!("{name} = {value}\n"));
    }

    fn perhaps(&mut self, name: &str, value: Option<String>) {
        if let Some(value) = value {
            self.key(name, &value);
        }
    }

    fn section(&mut self, name: &str) {
        self.text.push_str(&format!("\n[{name}]\n"));
    }

    /// One line, whatever stands in it.
    fn comment(&mut self, text: &str) {
        let words: Vec<&str> = text.split(|c: char| c.is_control() || c.is_whitespace()).collect();
        let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        self.text.push_str(&format!("# {line}\n"));
    }

    fn advice(&mut self, migrations: MigrationsGuess, path: Option<String>) {
        self.text.push('\n');
        let unsaid = path.is_none();
        let probe = ProbeConfig { path, ..ProbeConfig::default() };
        self.comment(&format!("proof: {}", probe.proof()));
        self.comment(&format!("migrations: {}", migrations.words()));
        if unsaid {
            self.comment("[probe]                 # recommended: a page that shows that the app works");
            self.comment("path = \"/healthz\"");
            self.comment("host = \"shop.example.com\"");
        }
        if migrations != MigrationsGuess::Unknown {
            self.comment("[migrate]");
            self.comment("enabled = false         # where something else runs them");
        }
    }

    /// Ready to be switched on.
    fn processes(&mut self, processes: &[(String, Vec<String>)]) {
        if !processes.is_empty() {
            self.text.push('\n');
            self.comment("What ran beside the app in the same image. To have ostlerd run it, take the # away, and end it there:");
        }
        for (name, command) in processes {
            self.text.push_str(&format!("# [processes.{name}]\n# command = {}\n", list(command)));
        }
    }

    fn notes<'n>(&mut self, title: &str, notes: impl Iterator<Item = &'n DraftNote>) {
        let mut first = true;
        for note in notes {
            if first {
                self.text.push('\n');
                self.comment(title);
                first = false;
            }
            self.comment(&format!("- {}: {}", crate::config::shortened(&note.what, 300), note.why));
        }
    }
}

fn list(items: &[String]) -> String {
    format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if bare { name.to_owned() } else { quoted(name) }
}

/// `022`, `0o22`, `18` of gunicorn, systemd and supervisord are all octal.
fn mode(text: &str) -> String {
    let digits = text.trim_start_matches("0o").trim_start_matches("0O");
    match u32::from_str_radix(digits, 8) {
        Ok(mode) => format!("0o{mode:03o}"),
        Err(_) => quoted(text),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // It is the same text, and nobody who reads the file is misled.
            other if other.is_control() || is_hidden(other) => {
                quoted.push_str(&format!("\\U{:08X}", u32::from(other)));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
