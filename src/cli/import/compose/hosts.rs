//! Names of other services in what the app is told: they were names in Docker's network, and nobody knows them here.

use std::collections::BTreeSet;

use super::ComposeFile;
use super::service::Service;
use super::yaml::Node;
use crate::cli::import::holes;
use crate::cli::import::reading::ImportContext;

/// More names are not looked for.
const MOST: usize = 64;

pub(super) fn tell(reading: &mut ImportContext<'_>, file: &ComposeFile, chosen: &Service) {
    let mut hosts: BTreeSet<String> = ["host.docker.internal".to_owned()].into();
    for (name, node) in file.services().iter().filter(|(name, _)| *name != chosen.name).take(MOST) {
        hosts.insert(name.clone());
        hosts.extend(node.get("container_name").and_then(Node::text).map(str::to_owned));
        hosts.extend(node.get("hostname").and_then(Node::text).map(str::to_owned));
    }
    let draft = &reading.draft;
    let image = draft.image.iter().flat_map(|image| &image.env);
    // Values are not shown: a URL holds its password.
    let variables: Vec<(&String, &String)> =
        draft.env.iter().chain(&reading.variables).chain(image).collect();
    let mut notes = Vec::new();
    for host in hosts.iter().filter(|host| !host.is_empty()) {
        let names: BTreeSet<&str> = variables
            .iter()
            .filter(|(_, value)| names_host(value, host))
            .map(|(name, _)| name.as_str())
            .collect();
        let in_args = draft.args.iter().any(|arg| names_host(arg, host));
        let places: Vec<&str> = names.into_iter().take(12).chain(in_args.then_some("args")).collect();
        if !places.is_empty() {
            notes.push((format!("{host} in {}", places.join(", ")), host == "host.docker.internal"));
        }
    }
    for (what, is_machine) in notes {
        let why = match is_machine {
            true => "that is this machine: write 127.0.0.1",
            false => {
                "that is a name in Docker's network, and the network is the machine's now: write 127.0.0.1, and have its port \
                 published there, or name its server"
            }
        };
        reading.draft.leave_to_owner(holes::plain(&what), why);
    }
}

/// Whether a value has the host in it: alone, with a port, or in a URL.
fn names_host(value: &str, host: &str) -> bool {
    let ends = |rest: &str| rest.is_empty() || rest.starts_with([':', '/', ',', ';', '?']);
    value.match_indices(host).any(|(at, _)| {
        let (before, after) = (&value[..at], &value[at + host.len()..]);
        let begins = before.is_empty() && !after.starts_with('/');
        (begins || before.ends_with("//") || before.ends_with(['@', ',', ';'])) && ends(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_where_one_stands() {
        for value in ["db", "db:5432", "postgres://u:p@db:5432/x", "redis://db/0", "http://db", "a:1,db:2"] {
            assert!(names_host(value, "db"), "{value}");
        }
        for value in ["", "dbx", "/srv/db/x", "mydb", "db/x", "postgres://u:p@h/db", "127.0.0.1"] {
            assert!(!names_host(value, "db"), "{value}");
        }
    }
}
