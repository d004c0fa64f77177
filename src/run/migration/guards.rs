//! The guards of a command that is not Django's: what libpq takes from the environment.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::supervise::{Opened, Vendor};

/// The first PostgreSQL that can look whether its client is still there while it works.
const CHECKS_CONNECTION: u32 = 14;

/// The variables to be added to `env`, the app's own.
///
/// PGOPTIONS is set only where the database side has met a PostgreSQL: a pooler that does not know it refuses the
/// connection, and so does a server that does not know one of the settings.
pub(super) fn of(
    env: &BTreeMap<String, String>,
    tag: &str,
    opened: &Opened,
    lock_timeout: Option<Duration>,
) -> BTreeMap<String, String> {
    let mut guards = BTreeMap::from([("PGAPPNAME".to_owned(), tag.to_owned())]);
    if opened.vendor == Vendor::Postgresql {
        let mut options = env.get("PGOPTIONS").cloned().unwrap_or_default();
        let mut add = |option: String| {
            if !options.is_empty() {
                options.push(' ');
            }
            options.push_str(&option);
        };
        if let Some(lock_timeout) = lock_timeout.or(opened.lock_timeout) {
            add(format!("-c lock_timeout={}", lock_timeout.as_millis()));
        }
        let major = opened.version.split(|c: char| !c.is_ascii_digit()).next();
        if major.and_then(|major| major.parse().ok()).is_some_and(|major: u32| major >= CHECKS_CONNECTION) {
            add("-c client_connection_check_interval=1000".to_owned());
        }
        guards.insert("PGOPTIONS".to_owned(), options);
    }
    guards
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_are_added_to_the_app_s_own_options_where_the_server_knows_them() {
        let met = |vendor, version: &str| Opened { vendor, version: version.to_owned(), ..Opened::default() };
        let own = BTreeMap::from([("PGOPTIONS".to_owned(), "-c search_path=shop".to_owned())]);
        let options = |env: &BTreeMap<String, String>, opened: Opened| {
            of(env, "ostler:shop:web1:1", &opened, Some(Duration::from_secs(1))).remove("PGOPTIONS")
        };
        assert_eq!(
            options(&own, met(Vendor::Postgresql, "15.14 (Debian)")).unwrap(),
            "-c search_path=shop -c lock_timeout=1000 -c client_connection_check_interval=1000"
        );
        let none = BTreeMap::new();
        assert_eq!(options(&none, met(Vendor::Postgresql, "13.2")).unwrap(), "-c lock_timeout=1000");
        assert_eq!(options(&none, met(Vendor::Other, "")), None);
        assert_eq!(of(&none, "tag", &met(Vendor::Mysql, "8"), None)["PGAPPNAME"], "tag");
    }
}
