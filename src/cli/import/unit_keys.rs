//! What becomes of the keys of a unit that are not the app's own.

use super::draft::Draft;

enum Becomes {
    /// Left out: ostlerd, or its unit, does it.
    Done(&'static str),
    /// Left out: somebody has to decide.
    Decide(&'static str),
    /// A key of `[limits]`, a size in bytes.
    Size(&'static str),
    /// A key of `[limits]`, a number above 0.
    Number(&'static str),
    /// A key of `[limits]`, any number.
    Score(&'static str),
}

use Becomes::{Decide, Done, Number, Score, Size};

const SANDBOX: &str = "ostler has no such key: what the whole unit has protects every app (`systemctl edit ostler`), see its comments";
const FOLDER: &str = "ostlerd makes folders below /run/ostler only: make this one with a line in /etc/tmpfiles.d, owned by the app's user";

/// Keys by their names, an ending `*` for every one that begins so.
const KEYS: &[(&str, Becomes)] = &[
    ("Type", Done("ostlerd knows a worker's readiness from its first heartbeat")),
    ("NotifyAccess", Done("ostlerd knows a worker's readiness from its first heartbeat")),
    (
        "Restart",
        Done("a worker that dies is replaced at once, and an app that keeps crashing ever more slowly"),
    ),
    (
        "RestartSec",
        Done("a worker that dies is replaced at once, and an app that keeps crashing ever more slowly"),
    ),
    ("StartLimit*", Done("ostlerd never gives up on an app; `restarts_per_minute` in [limits] bounds it")),
    ("ExecReload", Done("`ostler restart APP` rolls out a release, `ostler reload` a configuration")),
    ("ExecStop", Done("ostlerd drains: workers finish what they have for `graceful_timeout`")),
    ("ExecStopPost", Decide("ostlerd runs nothing when an app stops")),
    ("KillMode", Done("ostlerd drains: workers finish what they have for `graceful_timeout`")),
    ("KillSignal", Done("ostlerd drains: workers finish what they have for `graceful_timeout`")),
    ("SendSIGKILL", Done("ostlerd drains: workers finish what they have for `graceful_timeout`")),
    ("FinalKillSignal", Done("ostlerd drains: workers finish what they have for `graceful_timeout`")),
    (
        "TimeoutStopSec",
        Done(
            "gunicorn's `graceful_timeout` (30 s), or the key in [limits], decides how long a drain may take",
        ),
    ),
    (
        "TimeoutStartSec",
        Done("`boot_timeout` in [rollout] (60 s) decides how long a worker may take to load the app"),
    ),
    ("TimeoutSec", Done("`graceful_timeout` in [limits] and `boot_timeout` in [rollout] decide")),
    ("TimeoutAbortSec", Done("a worker that hangs leaves its stacks in the log and is ended")),
    ("RuntimeMaxSec", Decide("`max_age` in [limits] replaces workers by age, one at a time")),
    ("WatchdogSec", Done("every worker has a heartbeat: `timeout` in [limits]")),
    ("PIDFile", Done("there is no master whose pid it could hold; see `ostler status`")),
    ("GuessMainPID", Done("there is no master whose pid it could hold; see `ostler status`")),
    ("RemainAfterExit", Done("the app runs while ostlerd keeps it")),
    ("SyslogIdentifier", Done("in the journal the app has its own name: `journalctl -t APP`")),
    ("Sockets", Done("ostlerd opens what `listen` says, and keeps it through restarts")),
    ("NonBlocking", Done("gunicorn does that itself")),
    ("StandardInput", Done("workers have none")),
    ("StandardError", Done("both outputs go to one place")),
    (
        "RuntimeDirectoryMode",
        Done("a folder below /run/ostler is open to everybody; the socket has `socket_mode`"),
    ),
    ("RuntimeDirectoryPreserve", Done("the folder stays as long as ostlerd runs")),
    ("StateDirectory*", Decide(FOLDER)),
    ("CacheDirectory*", Decide(FOLDER)),
    ("LogsDirectory*", Decide(FOLDER)),
    ("ConfigurationDirectory*", Decide(FOLDER)),
    ("ExecStartPost", Decide("what belongs to a deployment is `post_deploy` in [migrate]")),
    ("ExecCondition", Decide("ostlerd asks nothing before it starts an app")),
    (
        "PassEnvironment",
        Decide("write the variables into `env`: workers have nothing of ostlerd's environment"),
    ),
    ("UnsetEnvironment", Done("workers have only what `env` and `env_files` give them")),
    (
        "SupplementaryGroups",
        Done("workers have the groups of their user (`id USER`): add it to them where it is not in them"),
    ),
    ("DynamicUser", Decide("ostlerd needs a user that exists: `adduser --system`, and --user")),
    ("LoadCredential*", Decide("put secrets into a file of `env_files` that only root may read")),
    ("SetCredential*", Decide("put secrets into a file of `env_files` that only root may read")),
    ("LimitNOFILE", Number("nofile")),
    (
        "Limit*",
        Decide(
            "of these limits ostler has `nofile` only; the others are those of ostler.service: `systemctl edit ostler`",
        ),
    ),
    ("MemoryHigh", Size("memory_high")),
    ("MemoryMax", Size("memory_max")),
    ("MemoryLimit", Size("memory_max")),
    ("CPUWeight", Number("cpu_weight")),
    ("TasksMax", Number("tasks_max")),
    ("MemoryAccounting", Done("the app's slice counts it: `systemctl status ostler-APP.slice`")),
    ("CPUAccounting", Done("the app's slice counts it: `systemctl status ostler-APP.slice`")),
    ("TasksAccounting", Done("the app's slice counts it: `systemctl status ostler-APP.slice`")),
    ("Slice", Done("each app has a slice of its own, ostler-APP.slice")),
    ("Delegate", Done("each app has a slice of its own, ostler-APP.slice")),
    ("CPUQuota*", Decide("set it on the app's slice: `systemctl set-property ostler-APP.slice CPUQuota=…`")),
    ("IO*", Decide("set it on the app's slice: `systemctl set-property ostler-APP.slice IOWeight=…`")),
    ("Memory*", Decide("set it on the app's slice: `systemctl set-property ostler-APP.slice …`")),
    (
        "AllowedCPUs",
        Decide("set it on the app's slice: `systemctl set-property ostler-APP.slice AllowedCPUs=…`"),
    ),
    ("Nice", Decide("`cpu_weight` in [limits] shares a busy processor out")),
    ("CPUSchedul*", Decide("`cpu_weight` in [limits] shares a busy processor out")),
    ("CPUAffinity", Decide("set AllowedCPUs= on the app's slice")),
    ("OOMScoreAdjust", Score("oom_score_adjust")),
    ("OOMPolicy", Done("a worker that the kernel ends for its memory is replaced, and the others go on")),
    ("NoNewPrivileges", Done("workers run so, unless `no_new_privileges = false` says otherwise")),
    ("PrivateTmp", Decide(SANDBOX)),
    ("PrivateDevices", Decide(SANDBOX)),
    ("PrivateUsers", Decide(SANDBOX)),
    ("PrivateNetwork", Decide(SANDBOX)),
    ("PrivateMounts", Done("ostler.service has it")),
    ("ProtectKernel*", Done("ostler.service has it")),
    ("Protect*", Decide(SANDBOX)),
    ("ReadWritePaths", Decide(SANDBOX)),
    ("ReadOnlyPaths", Decide(SANDBOX)),
    ("InaccessiblePaths", Decide(SANDBOX)),
    ("ReadWriteDirectories", Decide(SANDBOX)),
    ("RestrictRealtime", Done("ostler.service has it")),
    ("RestrictAddressFamilies", Done("ostler.service has the usual ones")),
    ("Restrict*", Decide(SANDBOX)),
    ("SystemCallArchitectures", Done("ostler.service has it")),
    ("SystemCall*", Decide(SANDBOX)),
    ("Capabilit*", Decide("workers have no capability; a port below 1024 is bound by ostlerd")),
    ("AmbientCapabilities", Decide("workers have no capability; a port below 1024 is bound by ostlerd")),
    ("RootDirectory", Decide(SANDBOX)),
    ("Bind*", Decide(SANDBOX)),
    ("LockPersonality", Done("ostler.service has it")),
    ("MemoryDenyWriteExecute", Decide(SANDBOX)),
];

/// Takes a key of `[Service]` that the unit's reader has no place for.
pub(super) fn take(draft: &mut Draft, key: &str, value: &str) {
    let shown = format!("{key}={value}");
    let known = KEYS.iter().find(|(name, _)| match name.strip_suffix('*') {
        Some(head) => key.starts_with(head),
        None => key == *name,
    });
    match known.map(|(_, becomes)| becomes) {
        Some(Done(why)) => draft.left_out(shown, *why),
        Some(Decide(why)) => draft.leave_to_owner(shown, *why),
        Some(Size(name)) => match size(value) {
            Some(bytes) => {
                draft.limits.insert(name, bytes);
            }
            None => no_limit(draft, &shown, value),
        },
        Some(Number(name)) => {
            let first = value.split(':').next().unwrap_or_default();
            match first.parse::<u64>() {
                Ok(number) if number > 0 => {
                    draft.limits.insert(name, number.to_string());
                }
                _ => no_limit(draft, &shown, value),
            }
        }
        Some(Score(name)) => match value.parse::<i32>() {
            Ok(score) => drop(draft.limits.insert(name, score.to_string())),
            Err(_) => no_limit(draft, &shown, value),
        },
        None => draft.leave_to_owner(shown, "ostler has no such key"),
    }
}

fn no_limit(draft: &mut Draft, shown: &str, value: &str) {
    match value {
        "infinity" | "" => draft.left_out(shown, "without the key there is no limit but ostlerd's own"),
        _ => draft.leave_to_owner(
            shown,
            "a share or a word cannot be carried over: write the number under [limits]",
        ),
    }
}

/// `512M` as systemd means it.
fn size(value: &str) -> Option<String> {
    let (digits, unit) = match value.char_indices().last()? {
        (at, unit) if unit.is_ascii_alphabetic() => (&value[..at], unit.to_ascii_uppercase()),
        _ => (value, 'B'),
    };
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    let unit = match unit {
        'B' => return Some(number.to_string()),
        'K' => "KiB",
        'M' => "MiB",
        'G' => "GiB",
        'T' => "TiB",
        _ => return None,
    };
    Some(format!("\"{number}{unit}\""))
}
