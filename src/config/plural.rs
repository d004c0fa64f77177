//! Numbers as people read them: "1 worker", "4 workers", "512MiB". The one place that knows the plural.

#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

use std::fmt::Display;

/// `1 worker`, `0 workers`, `2 processes`, `3 tries`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let one = number == N::from(1);
    let ends = |endings: &[&str]| endings.iter().any(|ending| what.ends_with(ending));
    match what.strip_suffix('y') {
        _ if one => format!("{number} {what}"),
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{number} {stem}ies"),
        _ if ends(&["s", "x", "ch", "sh"]) => format!("{number} {what}es"),
        _ => format!("{number} {what}s"),
    }
}

/// The verb for so many: `agreed(1, "serves", "serve")`.
pub fn agreed<N: PartialEq + From<u8>>(number: N, one: &'static str, more: &'static str) -> &'static str {
    if number == N::from(1) { one } else { more }
}

/// A size as one would write it: `512MiB`, `1GB`; in bytes where no unit gives a whole number.
pub fn size_words(bytes: u64) -> String {
    const UNITS: [(&str, u64); 8] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("KB", 1_000),
    ];
    let whole = UNITS.iter().filter(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match whole.min_by_key(|(_, unit)| bytes / unit) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => counted(bytes, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_as_one_would_write_it() {
        let sizes = [512 << 20, 1 << 30, 3 << 29, 1_000_000_000, 1025, 1];
        let words = ["512MiB", "1GiB", "1536MiB", "1GB", "1025 bytes", "1 byte"];
        assert_eq!(sizes.map(size_words), words);
    }

    #[test]
    fn one_is_no_plural_and_none_is_one() {
        let words = ["worker", "process", "try", "key"];
        assert_eq!(words.map(|it| counted(1u32, it)), ["1 worker", "1 process", "1 try", "1 key"]);
        assert_eq!(words.map(|it| counted(2usize, it)), ["2 workers", "2 processes", "2 tries", "2 keys"]);
        assert_eq!(counted(0u64, "worker"), "0 workers");
        assert_eq!([agreed(1u32, "serves", "serve"), agreed(0u32, "serves", "serve")], ["serves", "serve"]);
    }
}
