//! Walks a file's spanned tree and goes on after every problem, so that one look shows them all.
//!
//! serde's own mirror of the file would stop at its first error; hence the tree is read by hand.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Fault, Place, Problem};
use super::key::Shape;
use super::source::Source;
use super::values::wrong_type;
use super::visible::shortened;

/// The file that a key stands in.
#[derive(Clone, Copy)]
pub(super) struct Standing<'s> {
    pub(super) file: &'s Path,
    /// The main file; the same where it is that.
    pub(super) main: &'s Path,
}

impl Standing<'_> {
    pub(super) fn is_main(self) -> bool {
        self.file == self.main
    }
}

/// What is wrong and what to do about it.
pub(super) struct UnknownKey {
    pub(super) message: String,
    pub(super) rule: &'static str,
    pub(super) help: String,
}

/// Judges a key that a table does not have, by all tables that there are.
pub(super) type UnknownKeyJudge = fn(&Shape, &str, &DeValue<'_>, Standing<'_>) -> UnknownKey;

/// The problems of one file, as they are found.
pub(super) struct Checker<'s> {
    pub(super) source: Source<'s>,
    /// The main file, that an app's file may have to be told of.
    main: &'s Path,
    /// Whether ostlerd runs as root.
    pub(super) is_root: bool,
    judge: UnknownKeyJudge,
    pub(super) problems: Vec<Problem>,
}

/// A table whose keys are known to be good.
pub(super) struct Section<'t, 'i> {
    shape: &'static Shape,
    table: &'t DeTable<'i>,
    /// Where it begins.
    place: Place,
}

/// A key and its value.
pub(super) struct Field<'t, 'i> {
    pub(super) key: &'static str,
    /// A good value, for the remedy.
    pub(super) example: &'static str,
    pub(super) value: &'t Spanned<DeValue<'i>>,
}

impl<'s> Checker<'s> {
    pub(super) fn new(
        source: Source<'s>,
        main: &'s Path,
        is_root: bool,
        judge: UnknownKeyJudge,
    ) -> Checker<'s> {
        Checker { source, main, is_root, judge, problems: Vec::new() }
    }

    /// The file's tree; `None` where it is not TOML. A file with a slip in its syntax is judged by its syntax
    /// alone: what the parser makes of the rest would only add problems that nobody has.
    pub(super) fn parse(&mut self) -> Option<DeTable<'s>> {
        let (tree, errors) = DeTable::parse_recoverable(self.source.text);
        if errors.is_empty() {
            return Some(tree.into_inner());
        }
        for error in errors {
            let place = error.span().map_or(self.source.whole(), |span| self.source.place(span));
            let words = shortened(error.message(), 200);
            let slip = Problem::new(place, format!("not TOML: {words}"));
            self.problems.push(slip.help(syntax_help(&words)));
        }
        None
    }

    /// A table, its unknown keys reported.
    pub(super) fn section<'t, 'i>(
        &mut self,
        shape: &'static Shape,
        table: &'t DeTable<'i>,
        place: Place,
    ) -> Section<'t, 'i> {
        for (key, value) in table {
            let name: &str = key.get_ref();
            if shape.has(name) {
                continue;
            }
            let place = self.source.place(key.span());
            let standing = Standing { file: self.source.file, main: self.main };
            let unknown = (self.judge)(shape, name, value.get_ref(), standing);
            let problem = Problem::new(place, unknown.message);
            self.problems.push(problem.rule(unknown.rule).help(unknown.help));
        }
        Section { shape, table, place }
    }

    /// The table that a key holds.
    pub(super) fn table<'t, 'i>(&mut self, field: &Field<'t, 'i>) -> Option<&'t DeTable<'i>> {
        match field.value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                self.fault(field, field.value, wrong_type(other, "must be a table"));
                None
            }
        }
    }

    /// Reports a required key that is not there.
    pub(super) fn require(&mut self, section: &Section<'_, '_>, key: &str, example: &str) {
        if !section.has(key) && !section.nests_an_app() {
            let problem = Problem::new(section.place.clone(), format!("`{key}` is missing"));
            self.problems.push(problem.help(format!("add for example {key} = {example}")));
        }
    }

    /// One value, the key's own or one of its list, as `read` understands it.
    pub(super) fn one<T>(
        &mut self,
        field: &Field<'_, '_>,
        value: &Spanned<DeValue<'_>>,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Option<T> {
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(fault) => {
                self.fault(field, value, fault);
                None
            }
        }
    }

    pub(super) fn fault(&mut self, field: &Field<'_, '_>, at: &Spanned<DeValue<'_>>, fault: Fault) {
        let help = match fault.help.is_empty() {
            true => format!("write for example {} = {}", field.key, field.example),
            false => fault.help,
        };
        let problem = Problem::new(self.source.place(at.span()), format!("`{}` {}", field.key, fault.what));
        self.problems.push(problem.rule(fault.rule).help(help));
    }
}

impl<'t, 'i> Section<'t, 'i> {
    pub(super) fn field(&self, key: &'static str, example: &'static str) -> Option<Field<'t, 'i>> {
        debug_assert!(self.shape.has(key), "{key} is missing from its shape");
        let value = self.table.get(key)?;
        Some(Field { key, example, value })
    }

    /// Whether the app's keys stand one table too deep.
    pub(super) fn nests_an_app(&self) -> bool {
        nests_an_app(self.table)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }
}

/// Whether an app's file holds its keys in a table of its own: then they are not missing, they are too deep.
fn nests_an_app(table: &DeTable<'_>) -> bool {
    table.iter().any(|(key, value)| key.get_ref() == "apps" || is_app(value.get_ref()))
}

/// A table that says what only an app says.
pub(super) fn is_app(value: &DeValue<'_>) -> bool {
    value
        .as_table()
        .is_some_and(|table| ["directory", "python", "app"].iter().any(|it| table.contains_key(*it)))
}

/// The usual slips, in the words of the person who makes them.
fn syntax_help(message: &str) -> &'static str {
    match message {
        text if text.contains("duplicate key") => "keep one of the two",
        text if text.contains("string values must be quoted") => "put the text in quotes: key = \"text\"",
        text if text.contains("missing value") || text.contains("key with no value") => {
            "every line is key = value; text stands in quotes, lists in [brackets]"
        }
        _ => "see https://toml.io for the syntax; text stands in quotes, lists in [brackets]",
    }
}
