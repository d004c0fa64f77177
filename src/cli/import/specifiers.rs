//! What `%n` and the like stand for in the system's units.

use super::holes::hole;
use super::reading::ImportContext;

/// Those of one unit.
pub(super) struct Specifiers {
    /// Its name, `shop.service`; empty where that is not known.
    pub(super) unit: String,
}

impl Specifiers {
    /// The text with each replaced; a hole for what only the running system knows.
    pub(super) fn expand(&self, text: &str, reading: &ImportContext<'_>) -> String {
        let stem = self.unit.trim_end_matches(".service");
        let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
        let mut expanded = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                expanded.push(letter);
                continue;
            }
            let Some(letter) = letters.next() else {
                expanded.push('%');
                break;
            };
            let known = match letter {
                '%' => "%",
                'n' if !stem.is_empty() => &self.unit,
                'N' if !stem.is_empty() => stem,
                'p' | 'P' if !prefix.is_empty() => prefix,
                'j' | 'J' if !prefix.is_empty() => prefix.rsplit('-').next().unwrap_or(prefix),
                'i' | 'I' if !instance.is_empty() => instance,
                't' => "/run",
                'S' => "/var/lib",
                'C' => "/var/cache",
                'L' => "/var/log",
                'E' => "/etc",
                'T' => "/tmp",
                'V' => "/var/tmp",
                'u' | 'g' => "root",
                'U' | 'G' => "0",
                'h' => "/root",
                's' => "/bin/sh",
                _ => "",
            };
            if !known.is_empty() {
                expanded.push_str(known);
                continue;
            }
            let name = format!("%{letter}");
            match reading.given.set.get(&name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&hole(&name)),
            }
        }
        expanded
    }
}
