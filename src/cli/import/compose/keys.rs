//! Keys of a service that have no place in the app's file: what becomes of each.

use std::collections::BTreeSet;

use super::service::Service;
use super::yaml::Value;
use crate::cli::import::holes;
use crate::cli::import::reading::ImportContext;

/// Those that are read elsewhere.
const READ: [&str; 17] = [
    "image",
    "build",
    "command",
    "entrypoint",
    "environment",
    "env_file",
    "ports",
    "volumes",
    "user",
    "working_dir",
    "healthcheck",
    "stop_signal",
    "mem_limit",
    "pids_limit",
    "cpus",
    "stop_grace_period",
    "scale",
];

/// Nothing is lost by them.
const LEFT: &[(&str, &str)] = &[
    ("restart", "ostlerd starts, watches and replaces workers itself"),
    ("container_name", "there is no container"),
    ("hostname", "the machine has its name"),
    ("domainname", "the machine has its name"),
    ("networks", "the network is the machine's"),
    ("network_mode", "the network is the machine's"),
    ("expose", "`listen` decides"),
    ("init", "ostlerd collects what ends"),
    ("tty", "workers have no terminal"),
    ("stdin_open", "workers have no standard input"),
    ("logging", "output goes to the journal, `ostler logs`, or to `log_file`"),
    ("log_driver", "output goes to the journal, `ostler logs`, or to `log_file`"),
    ("log_opt", "output goes to the journal, `ostler logs`, or to `log_file`"),
    ("pull_policy", "an image is pulled when a release is made of it"),
    ("platform", "the image that is pulled is the machine's own"),
    ("profiles", "ostlerd starts every app of apps.d"),
    ("read_only", "the image is read-only in any case"),
    ("security_opt", "workers get no rights by set-user-id programs in any case"),
    ("cap_drop", "workers have no capability in any case"),
    ("shm_size", "it is /dev/shm's, which is the machine's size here"),
    ("mem_reservation", "`memory_max` and `memory_high` in [limits] say it"),
    ("mem_swappiness", "`memory_max` and `memory_high` in [limits] say it"),
    ("memswap_limit", "`memory_max` and `memory_high` in [limits] say it"),
    ("develop", "it is for development"),
    ("oom_kill_disable", "`oom_score_adjust` in [limits] says it"),
    ("attach", "there is no container"),
];

/// Somebody has to look at these.
const DECIDE: &[(&str, &str)] = &[
    ("labels", "no proxy reads them here: write its site for `listen` by hand, or by `ostler edge`"),
    ("extra_hosts", "put them into /etc/hosts of the machine: host.docker.internal is 127.0.0.1"),
    ("dns", "the machine's resolver is asked"),
    ("dns_opt", "the machine's resolver is asked"),
    ("dns_search", "the machine's resolver is asked"),
    ("links", "the network is the machine's: name 127.0.0.1 or the server"),
    ("external_links", "the network is the machine's: name 127.0.0.1 or the server"),
    (
        "secrets",
        "nothing lies in /run/secrets: put the values into a file of `env_files` that root alone may read, or name the files \
                 in `volumes`, readable for `user`",
    ),
    ("configs", "name the files in `volumes`: { \"/place/in/image\" = \"/etc/ostler/file:ro\" }"),
    ("privileged", "workers have no capability: what needs one is no app for this"),
    ("cap_add", "workers have no capability: what needs one is no app for this"),
    ("devices", "workers see /dev/null, zero, random and the like alone"),
    ("device_cgroup_rules", "workers see /dev/null, zero, random and the like alone"),
    ("gpus", "workers see /dev/null, zero, random and the like alone"),
    ("runtime", "workers run without a container engine"),
    ("sysctls", "set them for the machine, in /etc/sysctl.d"),
    ("group_add", "add `user` to the groups that it needs, on the machine"),
    ("pid", "workers see the processes of their own app"),
    ("ipc", "it is the machine's"),
    ("userns_mode", "`user` is a user of this machine"),
    ("cgroup", "limits are in [limits]"),
    ("cgroup_parent", "limits are in [limits]"),
    ("volumes_from", "name the folders in `volumes`"),
    ("post_start", "make it a step of the deployment, behind `ostler restart`"),
    ("pre_stop", "gunicorn's hook worker_exit runs when a worker ends"),
    ("oom_score_adj", "set `oom_score_adjust` in [limits]"),
    ("cpu_count", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_percent", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_shares", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_period", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_quota", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_rt_runtime", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpu_rt_period", "`cpu_weight` in [limits] shares a busy processor out"),
    ("cpuset", "`cpu_weight` in [limits] shares a busy processor out"),
    ("blkio_config", "nothing of it has a key"),
];

pub(super) fn tell(reading: &mut ImportContext<'_>, service: &Service) {
    let mut seen = BTreeSet::new();
    let mut unknown = Vec::new();
    for (name, node) in service.chain.iter().flat_map(|node| node.entries()) {
        let name = name.as_str();
        let says = !matches!(*node.value, Value::Nothing) && !name.starts_with("x-");
        if !says || READ.contains(&name) || !seen.insert(name) {
            continue;
        }
        let shown = holes::plain(&format!("{name}: {}", crate::config::shortened(&node.shown(), 120)));
        let find = |list: &[(&str, &'static str)]| {
            list.iter().find(|(known, _)| *known == name).map(|(_, why)| *why)
        };
        match name {
            "depends_on" => depends(reading, service),
            "tmpfs" => tmpfs(reading, &shown, &node.texts()),
            "deploy" => {
                let rest: Vec<&str> = node.entries().iter().map(|(key, _)| key.as_str()).collect();
                let rest: Vec<&str> =
                    rest.into_iter().filter(|it| !["resources", "replicas"].contains(it)).collect();
                if !rest.is_empty() {
                    let why =
                        "ostlerd brings releases in, and starts again what ends, by [rollout] and [limits]";
                    reading.draft.left_out(format!("deploy: {}", rest.join(", ")), why);
                }
            }
            "ulimits" => {
                let rest: Vec<&str> =
                    node.entries().iter().map(|(key, _)| key.as_str()).filter(|it| *it != "nofile").collect();
                if !rest.is_empty() {
                    let why = "only `nofile` in [limits] has a key: set the others for ostlerd's unit";
                    reading.draft.leave_to_owner(format!("ulimits: {}", rest.join(", ")), why);
                }
            }
            "extends" => {
                if node.get("file").is_some() {
                    let why = "the other file was not read: give what `docker compose config` prints";
                    reading.draft.leave_to_owner(shown, why);
                }
            }
            _ => match (find(LEFT), find(DECIDE)) {
                (Some(why), _) => reading.draft.left_out(shown, why),
                (None, Some(why)) => reading.draft.leave_to_owner(shown, why),
                (None, None) => unknown.push(name),
            },
        }
    }
    if !unknown.is_empty() {
        let shown = unknown.iter().take(20).map(|it| crate::config::shortened(it, 40)).collect::<Vec<_>>();
        reading.draft.leave_to_owner(shown.join(", "), "ostler has no such key");
    }
}

fn depends(reading: &mut ImportContext<'_>, service: &Service) {
    let Some(node) = service.get("depends_on") else { return };
    let names: Vec<String> = match node.entries() {
        [] => node.texts(),
        entries => entries.iter().map(|(name, _)| name.clone()).collect(),
    };
    let why = "ostlerd waits for no other server: the app is started in any case, and again if it does not load without it";
    reading.draft.left_out(format!("depends_on: {}", holes::plain(&names.join(", "))), why);
}

fn tmpfs(reading: &mut ImportContext<'_>, shown: &str, places: &[String]) {
    let place = |it: &String| it.split(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
    let there = |it: String| ["/tmp", "/run", "/dev/shm"].contains(&it.as_str()) || it.starts_with("/run/");
    match places.iter().map(place).all(there) {
        true => reading.draft.left_out(shown, "/tmp and /run can be written, and go with the release"),
        false => reading.draft.leave_to_owner(
            shown,
            "only /tmp and /run can be written without being kept: have the app write there, or name a folder in `volumes`",
        ),
    }
}
