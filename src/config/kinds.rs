//! What a key may be: the kinds of value that several keys share.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::check::{Checker, Field, Section};
use super::key::{KeyKind, Shape};
use super::values::{self, Read};
use super::{error::Fault, plural::size_words, visible::shortened};

/// A kind of which each value stands by itself.
pub(super) trait One {
    type Value;
    /// Whether it stands in quotes in a file.
    const QUOTED: bool = false;

    fn read(&self, value: &DeValue<'_>) -> Read<Self::Value>;
    fn show(&self, value: &Self::Value) -> String;
}

impl<K: One> KeyKind for K {
    type Value = K::Value;

    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<K::Value> {
        checker.one(field, field.value, |value| self.read(value))
    }

    fn show(&self, value: &K::Value) -> String {
        One::show(self, value)
    }

    fn written(&self, value: &K::Value) -> String {
        if K::QUOTED { format!("\"{}\"", One::show(self, value)) } else { One::show(self, value) }
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl One for Flag {
    type Value = bool;

    fn read(&self, value: &DeValue<'_>) -> Read<bool> {
        let rule = "must be true or false, without quotes";
        value.as_bool().ok_or_else(|| values::wrong_type(value, rule))
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }
}

/// A text of a grammar of its own, and the reader of that.
pub(super) struct ParsedText<T>(pub(super) fn(&DeValue<'_>) -> Read<T>);

impl<T: fmt::Display> One for ParsedText<T> {
    type Value = T;
    const QUOTED: bool = true;

    fn read(&self, value: &DeValue<'_>) -> Read<T> {
        (self.0)(value)
    }

    fn show(&self, value: &T) -> String {
        value.to_string()
    }
}

/// An absolute path.
pub(super) struct AbsolutePath;

impl One for AbsolutePath {
    type Value = PathBuf;
    const QUOTED: bool = true;

    fn read(&self, value: &DeValue<'_>) -> Read<PathBuf> {
        let text = values::text(value)?;
        let help = match text.starts_with('~') {
            true => "write the home directory out",
            false => "write the whole path, beginning with /",
        };
        if text.starts_with('/') {
            return Ok(PathBuf::from(text));
        }
        let rule = "must be absolute: a daemon has no working directory";
        Err(Fault::new(format!("is {:?}", shortened(text, 120)), rule, help))
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// A whole number.
pub(super) struct Number<N>(pub(super) RangeInclusive<N>);

impl<N: PartialOrd + fmt::Display + TryFrom<i128>> One for Number<N> {
    type Value = N;

    fn read(&self, value: &DeValue<'_>) -> Read<N> {
        let rule = format!("must be a whole number from {} to {}", self.0.start(), self.0.end());
        let Some(number) = value.as_integer() else {
            let mut fault = values::wrong_type(value, &rule);
            if value.as_str().is_some_and(|text| text.parse::<u64>().is_ok()) {
                fault.help = "leave out the quotes".to_owned();
            }
            return Err(fault);
        };
        let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.and_then(|read| N::try_from(read).ok()).filter(|read| self.0.contains(read));
        read.ok_or_else(|| Fault::new(format!("is {}", shortened(&number.to_string(), 40)), rule, ""))
    }

    fn show(&self, value: &N) -> String {
        value.to_string()
    }
}

/// Permission bits, in octal.
pub(super) struct FileMode;

impl One for FileMode {
    type Value = u32;

    fn read(&self, value: &DeValue<'_>) -> Read<u32> {
        values::mode(value)
    }

    fn show(&self, value: &u32) -> String {
        format!("{value:03o}")
    }
}

/// `"30s"`, `"1h30m"`, or a number of seconds.
pub(super) struct Time {
    range: RangeInclusive<Duration>,
    or_never: bool,
}

impl Time {
    pub(super) const fn within(range: RangeInclusive<Duration>) -> Time {
        Time { range, or_never: false }
    }

    /// The same, or 0 for never.
    pub(super) const fn or_never(range: RangeInclusive<Duration>) -> Time {
        Time { range, or_never: true }
    }
}

impl One for Time {
    type Value = Duration;
    const QUOTED: bool = true;

    fn read(&self, value: &DeValue<'_>) -> Read<Duration> {
        values::duration(value, &self.range, self.or_never)
    }

    fn show(&self, value: &Duration) -> String {
        values::words(*value)
    }
}

/// `"512MiB"`, `"1GB"`, or bytes.
pub(super) struct Size(pub(super) RangeInclusive<u64>);

impl One for Size {
    type Value = u64;
    const QUOTED: bool = true;

    fn read(&self, value: &DeValue<'_>) -> Read<u64> {
        values::size(value, &self.0)
    }

    fn show(&self, value: &u64) -> String {
        size_words(*value)
    }
}

/// One of a kind, or a list of it.
pub(super) struct List<K>(pub(super) K);

/// More than any list needs.
const LIST_MOST: usize = 256;

impl<K: One> KeyKind for List<K> {
    type Value = Vec<K::Value>;

    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Self::Value> {
        let items: Vec<&Spanned<DeValue<'_>>> = match field.value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            DeValue::Table(_) => {
                let rule = "must be a string or a list of strings";
                checker.fault(field, field.value, values::wrong_type(field.value.get_ref(), rule));
                return None;
            }
            _ => vec![field.value],
        };
        if items.len() > LIST_MOST {
            let rule = format!("must have at most {LIST_MOST} entries");
            checker.fault(field, field.value, Fault::new(format!("has {} entries", items.len()), rule, ""));
            return None;
        }
        let read = |item| checker.one(field, item, |value| self.0.read(value));
        Some(items.into_iter().filter_map(read).collect())
    }

    fn show(&self, values: &Self::Value) -> String {
        values.iter().map(|value| self.0.show(value)).collect::<Vec<_>>().join(", ")
    }
}

/// A section of its own, and the reader of that.
pub(super) struct Sub<T>(pub(super) &'static Shape, pub(super) fn(&mut Checker<'_>, &Section<'_, '_>) -> T);

impl<T> KeyKind for Sub<T> {
    type Value = T;

    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<T> {
        let table = checker.table(field)?;
        let place = checker.source.place(field.value.span());
        let section = checker.section(self.0, table, place);
        Some((self.1)(checker, &section))
    }
}

/// What only a function of its own can read.
pub(super) struct With<T>(pub(super) fn(&mut Checker<'_>, &Field<'_, '_>) -> Option<T>);

impl<T> KeyKind for With<T> {
    type Value = T;

    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<T> {
        (self.0)(checker, field)
    }
}
