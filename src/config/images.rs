//! Keys of an app whose releases are images: which, and what of the machine its processes see.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::check::{Checker, Field};
use super::error::{Fault, Problem};
use super::reference::Reference;
use super::values::{self, Read};
use super::visible::shortened;

/// More volumes nobody has.
const MOST: usize = 64;

/// What is mounted from elsewhere in every image: a volume may not lie there.
const TAKEN: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A folder or file of the machine, as an image's processes have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Where it is on the machine.
    pub host: PathBuf,
    /// Whether nothing can be written there.
    pub read_only: bool,
}

/// The image that releases are of.
pub(super) fn reference(value: &DeValue<'_>) -> Read<Reference> {
    let text = values::text(value)?;
    text.parse().map_err(|why: String| {
        let rule = "must be the name of an image: registry/repository:tag";
        Fault::new(format!("is {:?}", shortened(text, 120)), rule, why)
    })
}

/// The volumes, by where an image's processes see them.
pub(super) fn volumes(checker: &mut Checker<'_>, field: &Field<'_, '_>) -> Option<BTreeMap<PathBuf, Volume>> {
    let table = checker.table(field)?;
    if table.len() > MOST {
        let fault = Fault::new(format!("has {} entries", table.len()), format!("at most {MOST}"), "");
        checker.fault(field, field.value, fault);
        return None;
    }
    let mut read = BTreeMap::new();
    for (key, value) in table {
        let inside: &str = key.get_ref();
        let (span, fault) = match (place_fault(inside), volume(value.get_ref())) {
            (Some(fault), _) => (key.span(), fault),
            (None, Err(fault)) => (value.span(), fault),
            (None, Ok(volume)) => {
                read.insert(PathBuf::from(inside), volume);
                continue;
            }
        };
        let shown = shortened(inside, 60);
        let problem =
            Problem::new(checker.source.place(span), format!("`volumes` of {shown:?} {}", fault.what));
        let help = match fault.help.is_empty() {
            true => format!("write for example volumes = {}", field.example),
            false => fault.help,
        };
        checker.problems.push(problem.rule(fault.rule).help(help));
    }
    Some(read)
}

fn is_plain(path: &str) -> bool {
    let parts_are_names =
        Path::new(path).components().all(|it| matches!(it, Component::RootDir | Component::Normal(_)));
    path.starts_with('/') && path.len() <= 1000 && parts_are_names && !path.chars().any(char::is_control)
}

/// Why nothing can be mounted there.
fn place_fault(inside: &str) -> Option<Fault> {
    if let Some(taken) = TAKEN.into_iter().find(|taken| Path::new(inside).starts_with(taken)) {
        return Some(Fault::new(format!("lies in {taken}"), "must not: every image has its own there", ""));
    }
    let fits = is_plain(inside) && Path::new(inside) != Path::new("/");
    (!fits)
        .then(|| Fault::new("is no path in the image", "must be absolute, without .., and not / itself", ""))
}

fn volume(value: &DeValue<'_>) -> Result<Volume, Fault> {
    let text = values::text(value)?;
    let (host, read_only) = match text.strip_suffix(":ro") {
        Some(host) => (host, true),
        None => (text.strip_suffix(":rw").unwrap_or(text), false),
    };
    if !is_plain(host) {
        let is = format!("is {:?}", shortened(text, 120));
        return Err(Fault::new(
            is,
            "must be an absolute path of the machine, without ..; `:ro` may follow",
            "",
        ));
    }
    Ok(Volume { host: PathBuf::from(host), read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_lies_in_no_place_of_the_systems() {
        for (inside, fits) in [
            ("/data", true),
            ("/app/media", true),
            ("/", false),
            ("data", false),
            ("/a/../b", false),
            ("/proc/x", false),
            ("/dev", false),
        ] {
            assert_eq!(place_fault(inside).is_none(), fits, "{inside}");
        }
        let of = |text: &str| volume(&DeValue::String(text.into()));
        assert_eq!(of("/srv/data").unwrap(), Volume { host: "/srv/data".into(), read_only: false });
        assert_eq!(of("/srv/data:ro").unwrap(), Volume { host: "/srv/data".into(), read_only: true });
        assert!(of("srv/data").is_err() && of("/srv/../etc").is_err());
    }
}
