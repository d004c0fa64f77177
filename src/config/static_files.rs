//! `static` of an app: folders that the edge serves itself. No worker ever sees them.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use toml::de::DeValue;

use super::check::{Checker, Field};
use super::error::{Fault, Problem};
use super::values;
use super::visible::shortened;

/// More folders nobody has.
const MOST: usize = 64;

/// The folders by the path under which clients find them.
pub(super) fn check(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<BTreeMap<String, PathBuf>> {
    let table = checker.table(field)?;
    if table.len() > MOST {
        let fault = Fault::new(format!("has {} entries", table.len()), format!("at most {MOST}"), "");
        checker.fault(field, field.value, fault);
        return None;
    }
    let mut folders = BTreeMap::new();
    for (key, value) in table {
        let prefix: &str = key.get_ref();
        let (span, fault) = match (prefix_fault(prefix), folder(value.get_ref())) {
            (Some(fault), _) => (key.span(), fault),
            (None, Err(fault)) => (value.span(), fault),
            (None, Ok(path)) => {
                folders.insert(prefix.to_owned(), path);
                continue;
            }
        };
        let shown = shortened(prefix, 60);
        let place = checker.source.place(span);
        let example = || format!("write for example static = {}", field.example);
        let help = if fault.help.is_empty() { example() } else { fault.help };
        let problem = Problem::new(place, format!("`static` of {shown:?} {}", fault.what));
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    Some(folders)
}

/// Why clients cannot find a folder there; `None` where they can.
fn prefix_fault(prefix: &str) -> Option<Fault> {
    const RULE: &str = "must begin and end with / and hold only letters, digits and . _ ~ - between them";
    let inner = prefix.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let clean = |part: &str| {
        !["", ".", ".."].contains(&part)
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-".contains(&b))
    };
    let good = prefix.len() <= 200 && inner.is_some_and(|inner| inner.split('/').all(clean));
    (!good).then(|| {
        let help = match prefix.trim_matches('/') {
            "" => "name the folder's part of the URL: \"/static/\"; the rest of the site is the app's"
                .to_owned(),
            part if part.split('/').all(clean) => format!("write \"/{}/\"", shortened(part, 100)),
            _ => String::new(),
        };
        Fault::new("is no prefix of paths", RULE, help)
    })
}

/// A folder: absolute, or below `directory`.
fn folder(value: &DeValue<'_>) -> Result<PathBuf, Fault> {
    let text = values::text(value)?;
    let upwards = Path::new(text).components().any(|part| part == Component::ParentDir);
    if upwards || text.starts_with('~') || text.chars().any(char::is_control) {
        return Err(Fault::new(
            format!("is {:?}", shortened(text, 120)),
            "must be an absolute path, or one below `directory`, without .. and control characters",
            "write the whole path",
        ));
    }
    Ok(PathBuf::from(text))
}
