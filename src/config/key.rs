//! A key of the configuration is one row: its name, what it may be, its default, a good value, what a change of it causes,
//! and the words of ostler.toml(5).
//!
//! From the rows come the structs that hold the keys, their reading with every check, what is said of a key that is none,
//! the difference of two plans, the tables of the manual page, and a test of each key.

use super::check::{Checker, Field};

/// A row.
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// What ostler.toml(5) says of it.
    pub doc: &'static str,
    /// Its default, as that page tells it; empty for a section.
    pub default: fn() -> String,
    /// A good value, for remedies.
    pub example: &'static str,
    /// What a change of it causes.
    pub change: Change,
}

/// What follows when a key is changed and its file is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that runs.
    Nothing,
    /// The new value is in force at once.
    InPlace,
    /// Workers are added or drained.
    Resize,
    /// A new generation of the app takes over.
    Rollout,
    /// Nothing until ostlerd is restarted.
    Restart,
    /// What the keys within it say.
    Within,
}

/// The keys that stand in one table of a file.
pub struct Shape {
    /// `limits`; empty for what an app says before the first `[section]`.
    pub title: &'static str,
    /// Its keys, in the groups in which the manual page tells of them.
    pub groups: &'static [&'static [Key]],
}

impl Shape {
    /// Every key of it.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.groups.iter().copied().flatten()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys().map(|key| key.name).collect()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.keys().any(|key| key.name == name)
    }
}

/// What a key may be: how it is read, and written.
pub(super) trait KeyKind {
    type Value;

    /// The key's value; `None` if it is bad, which is reported.
    fn check(&self, checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<Self::Value>;

    /// A value as it is told to people, who are told nothing unless its kind says how.
    fn show(&self, _: &Self::Value) -> String {
        "(hidden)".to_owned()
    }

    /// A value as it is written in a file.
    fn written(&self, value: &Self::Value) -> String {
        self.show(value)
    }
}

/// A field of what a table is read into: of the key's own type, or optional.
pub(super) trait KeyField<T> {
    fn settled(read: Option<T>, default: Self) -> Self;
    fn value(&self) -> Option<&T>;
}

impl<T> KeyField<T> for T {
    fn settled(read: Option<T>, default: T) -> T {
        read.unwrap_or(default)
    }

    fn value(&self) -> Option<&T> {
        Some(self)
    }
}

impl<T> KeyField<T> for Option<T> {
    fn settled(read: Option<T>, default: Option<T>) -> Option<T> {
        read.or(default)
    }

    fn value(&self) -> Option<&T> {
        self.as_ref()
    }
}

/// Declares a struct of which each field is a key, with its row:
///
/// ```text
/// /// the words of ostler.toml(5)
/// field("name, if it is another"): Type = kind, [default], "a good value", change;
/// ```
///
/// The default is `[required]`, `[default VALUE]`, `[unset "in words"]` for none that is a value of the key's own, or
/// `[default VALUE, "in words"]`; a section has `[section]`. What stands before the rows is no key, and is handed to `read`:
/// `with { … }`, or `of { … }` for what has no default.
macro_rules! keys {
    ($(#[$meta:meta])* $vis:vis struct $Name:ident { $($rows:tt)* }) => {
        keys! { $(#[$meta])* $vis struct $Name with {} { $($rows)* } }
    };
    ($(#[$meta:meta])* $vis:vis struct $Name:ident with {
        $($(#[$given_meta:meta])* $given:ident: $Given:ty,)*
    } { $($rows:tt)* }) => {
        keys! {
            // What an earlier ostlerd has written down has not every key.
            $(#[$meta])* #[serde(default)]
            $vis struct $Name of { $($(#[$given_meta])* $given: $Given,)* } { $($rows)* }
        }
        keys! { @default $Name { $($given)* } $($rows)* }
    };
    ($(#[$meta:meta])* $vis:vis struct $Name:ident of {
        $($(#[$given_meta:meta])* $given:ident: $Given:ty,)*
    } {
        $($(#[doc = $doc:literal])+ $field:ident $(($name:literal))?: $Type:ty =
            $kind:expr, $default:tt, $example:literal, $change:ident;)+
    }) => {
        $(#[$meta])*
        $vis struct $Name {
            $($(#[$given_meta])* $vis $given: $Given,)*
            $($(#[doc = $doc])+ $vis $field: $Type,)+
        }

        impl $Name {
            /// The rows.
            $vis const KEYS: &'static [$crate::config::Key] = &[$($crate::config::Key {
                name: keys!(@name $field $($name)?),
                doc: concat!($($doc),+),
                default: || keys!(@words $default $kind),
                example: $example,
                change: $crate::config::Change::$change,
            }),+];

            pub(super) fn read(
                checker: &mut $crate::config::check::Checker<'_>,
                section: &$crate::config::check::Section<'_, '_>,
                $($given: $Given,)*
            ) -> $Name {
                $Name {
                    $($given,)*
                    $($field: {
                        let (name, example) = (keys!(@name $field $($name)?), $example);
                        keys!(@require $default checker section name example);
                        let field = section.field(name, example);
                        let read = field.and_then(|it| $crate::config::key::KeyKind::check(&$kind, checker, &it));
                        <$Type as $crate::config::key::KeyField<_>>::settled(read, keys!(@value $default))
                    },)+
                }
            }

            /// Each key and its value in words; `None` where it has none.
            #[allow(dead_code, reason = "not every table is compared")]
            pub(crate) fn told(&self) -> Vec<(&'static str, Option<String>)> {
                vec![$((
                    keys!(@name $field $($name)?),
                    <$Type as $crate::config::key::KeyField<_>>::value(&self.$field)
                        .map(|value| $crate::config::key::KeyKind::show(&$kind, value)),
                )),+]
            }
        }
    };

    (@default $Name:ident { $($given:ident)* } $($(#[doc = $doc:literal])+ $field:ident $(($name:literal))?: $Type:ty =
        $kind:expr, $default:tt, $example:literal, $change:ident;)+) => {
        impl Default for $Name {
            fn default() -> $Name {
                $Name { $($given: Default::default(),)* $($field: keys!(@value $default),)+ }
            }
        }
    };

    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };

    (@value [default $value:expr $(, $words:literal)?]) => { $value };
    (@value $other:tt) => { Default::default() };

    (@words [default $value:expr] $kind:expr) => {
        format!("`{}`", $crate::config::key::KeyKind::written(&$kind, &$value))
    };
    (@words [default $value:expr, $words:literal] $kind:expr) => { $words.to_owned() };
    (@words [unset $words:literal] $kind:expr) => { $words.to_owned() };
    (@words [required] $kind:expr) => { "required".to_owned() };
    (@words [section] $kind:expr) => { String::new() };

    (@require [required] $checker:ident $section:ident $name:ident $example:ident) => {
        $checker.require($section, $name, $example);
    };
    (@require $other:tt $checker:ident $section:ident $name:ident $example:ident) => {};
}

pub(super) use keys;
