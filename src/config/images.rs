//! Keys of an app whose releases are images: which, and what of the machine its processes see.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::check::{Checker, Field};
use super::error::{Fault, Problem};
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

/// A reference to an image, as skopeo takes it: `registry/repository`, with `:tag`, `@sha256:digest`, or both.
pub(super) fn reference(value: &DeValue<'_>) -> Read<String> {
    let text = values::text(value)?;
    match reference_fault(text) {
        None => Ok(text.to_owned()),
        Some(help) => {
            let rule = "must be a reference to an image, registry/repository:tag";
            Err(Fault::new(format!("is {:?}", shortened(text, 120)), rule, help))
        }
    }
}

/// What to do about a text that is no reference to an image; `None` if it is one.
pub fn reference_fault(text: &str) -> Option<String> {
    const EXAMPLE: &str = "write for example \"registry.example.com/shop:43\"";
    if let Some((scheme, rest)) = text.split_once("://") {
        return Some(format!("leave out {:?}: write {:?}", format!("{scheme}://"), shortened(rest, 120)));
    }
    let (named, digest) = match text.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (text, None),
    };
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digest.is_some_and(|it| !it.strip_prefix("sha256:").is_some_and(hex)) {
        return Some("a digest is sha256: and 64 hexadecimal digits".to_owned());
    }
    let (registry, rest) = named.split_once('/').unwrap_or_default();
    let is_registry = registry.contains(['.', ':']) || registry == "localhost";
    if !is_registry {
        let first = shortened(named, 80);
        return Some(format!(
            "name the registry too, for nobody else says which is meant: \"docker.io/library/{first}\", or {EXAMPLE}"
        ));
    }
    let (repository, tag) = match rest.rsplit_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    let word = |text: &str, more: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || more.contains(c))
    };
    let is_tag = |tag: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        (1..=128).contains(&tag.len()) && !tag.starts_with(['.', '-']) && tag.bytes().all(inner)
    };
    let registry_fits = registry.bytes().all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b));
    let fits = registry_fits
        && text.len() <= 400
        && repository.split('/').all(|part| word(part, "._-"))
        && tag.is_none_or(is_tag);
    (!fits).then(|| EXAMPLE.to_owned())
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
    fn a_reference_names_its_registry() {
        let digest = "0123456789abcdef".repeat(4);
        for good in [
            "registry.example.com/shop:43",
            "localhost/shop",
            "localhost:5000/team/shop:v1.2_3",
            &format!("ghcr.io/team/shop@sha256:{digest}"),
            &format!("127.0.0.1:5000/shop:43@sha256:{digest}"),
        ] {
            assert_eq!(reference_fault(good), None, "{good}");
        }
        for bad in [
            "",
            "shop",
            "shop:43",
            "team/shop:43",
            "docker://registry.example.com/shop",
            "registry.example.com/Shop",
            "registry.example.com/",
            "registry.example.com/../x",
            "registry.example.com/shop:",
            "registry.example.com/shop:4 3",
            "registry.example.com/shop@sha256:12",
            "registry.example.com/shop@md5:12",
            "-registry.example.com/shop --help",
            "registry.example.com/shop:-x",
        ] {
            assert!(reference_fault(bad).is_some(), "{bad}");
        }
    }

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
