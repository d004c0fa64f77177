//! `volumes` of a service: folders of the machine, and those that Docker keeps.

use std::collections::BTreeMap;

use super::ComposeFile;
use super::service::Service;
use super::yaml::Node;
use crate::cli::import::draft::{Draft, base};
use crate::cli::import::holes;
use crate::cli::import::image::{ImageDraft, Mount, MountHost, volume_fault};
use crate::cli::import::reading::ImportContext;

/// More an app's file does not take.
const MOST: usize = 64;

/// One entry, in either form.
struct Entry {
    source: String,
    place: String,
    read_only: bool,
    is_bind: bool,
}

pub(super) fn read(
    reading: &mut ImportContext<'_>,
    file: &ComposeFile,
    service: &Service,
    image: &mut ImageDraft,
) {
    let mut mounts: BTreeMap<String, Mount> = BTreeMap::new();
    let items = service.get("volumes").map_or(&[][..], Node::items);
    if items.len() > MOST {
        reading.draft.leave_to_owner(
            "volumes",
            "it names more than an app's file takes: put those that are needed into `volumes`",
        );
    }
    for item in items.iter().take(MOST) {
        let shown = holes::plain(&item.shown());
        let Some(entry) = entry(item, file) else {
            reading.draft.leave_to_owner(
                format!("volumes: {shown}"),
                "is kept nowhere: /tmp can be written, and goes with the release",
            );
            continue;
        };
        let place = entry.place.trim_end_matches('/').to_owned();
        let why = match volume_fault(&place) {
            Some(why) => Some(why),
            None if base(&entry.source) == "docker.sock" => {
                Some("whoever may write to Docker's socket is root: an app that needs it is no app for this")
            }
            None if entry.source.is_empty() => {
                image.volumes.push(place);
                continue;
            }
            None => None,
        };
        if let Some(why) = why {
            reading.draft.leave_to_owner(format!("volumes: {shown}"), why);
            continue;
        }
        let Some(host) = host(&mut reading.draft, file, &entry, image, &shown) else { continue };
        mounts.insert(place, Mount { host, read_only: entry.read_only });
    }
    image.mounts = mounts;
}

fn entry(item: &Node, file: &ComposeFile) -> Option<Entry> {
    let Some(text) = item.text() else {
        let text = |key: &str| item.get(key).and_then(Node::text).map(|text| file.fill(text));
        let kind = text("type").unwrap_or_default();
        return (kind == "bind" || kind == "volume").then(|| Entry {
            source: text("source").unwrap_or_default(),
            place: text("target").unwrap_or_default(),
            read_only: text("read_only").as_deref() == Some("true"),
            is_bind: kind == "bind",
        });
    };
    let text = file.fill(text);
    let mut parts = text.splitn(3, ':');
    let (first, second, options) = (parts.next()?, parts.next(), parts.next().unwrap_or_default());
    let (source, place) = match second {
        Some(place) => (first, place),
        None => ("", first),
    };
    Some(Entry {
        source: source.to_owned(),
        place: place.to_owned(),
        read_only: options.split(',').any(|it| it == "ro"),
        is_bind: source.starts_with(['.', '/', '~']),
    })
}

fn host(
    draft: &mut Draft,
    file: &ComposeFile,
    entry: &Entry,
    image: &ImageDraft,
    shown: &str,
) -> Option<MountHost> {
    if !entry.is_bind {
        let folder = folder(&entry.source);
        let why = format!(
            "Docker keeps it in {}: copy what is in there to /srv/NAME/{folder}, which is the app's in `volumes`, and give it to `user`",
            kept(file, &entry.source)
        );
        draft.leave_to_owner(format!("volumes: {shown}"), why);
        return Some(MountHost::Own(folder));
    }
    let path = file
        .path(&entry.source)
        .filter(|path| volume_fault(path).is_none() && !entry.source.starts_with('~'));
    let Some(path) = path.filter(|path| !path.contains(':')) else {
        let why = "is no path that holds everywhere: name the folder, absolute, in `volumes`";
        draft.leave_to_owner(format!("volumes: {shown}"), why);
        return None;
    };
    let code = [image.folder.clone(), file.folder.clone()];
    if code.iter().flatten().any(|folder| *folder == path) {
        let why = "lays the working copy over the image's own code: that is for development, and the image has its code";
        draft.leave_to_owner(format!("volumes: {shown}"), why);
        return None;
    }
    Some(MountHost::Path(path))
}

/// A folder's name for a volume's.
fn folder(volume: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let name: String = volume.chars().map(letter).take(100).collect();
    if name.trim_matches('.').is_empty() { "data".to_owned() } else { name }
}

/// Where Docker has it.
fn kept(file: &ComposeFile, volume: &str) -> String {
    let declared = file.root.get("volumes").and_then(|volumes| volumes.get(volume));
    let text = |key: &str| declared.and_then(|it| it.get(key)).and_then(Node::text);
    let name = match (text("name"), text("external")) {
        (Some(name), _) => holes::plain(&file.fill(name)),
        (None, Some("true")) => volume.to_owned(),
        _ => format!("{}_{volume}", file.project),
    };
    format!("/var/lib/docker/volumes/{}/_data", crate::config::shortened(&name, 100))
}
