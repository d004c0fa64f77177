//! `[health]` of the main file.

use toml::de::DeValue;

use super::check::{Checker, Section};
use super::error::Fault;
use super::types::{Address, HealthConfig, Saturation};
use super::{keys, values};

/// What the main file says of health; defaults where it says nothing.
pub(super) fn check(checker: &mut Checker<'_>, main: &Section<'_, '_>) -> HealthConfig {
    let Some(table) = checker.table(main, "health", "{ listen = [\"127.0.0.1:9180\"] }") else {
        return HealthConfig::default();
    };
    let section = checker.section(&keys::HEALTH, table);
    const EXAMPLE: &str = "[\"127.0.0.1:9180\"]";
    let listen = checker.read_list(&section, "listen", EXAMPLE, address);
    if let Some((second, _)) = overlap(&listen) {
        let field = section.field("listen", EXAMPLE).expect("it was read");
        let fault = Fault::new(
            format!("has {second} twice, or overlaps with it"),
            "an address belongs to one listener",
            "leave one of the two out",
        );
        checker.fault(&field, field.value, fault);
    }
    HealthConfig {
        listen: section.has("listen").then(|| listen.into_iter().map(|(address, _)| address).collect()),
        agent: checker.read(&section, "agent", "\"127.0.0.1:9181\"", address),
        track_file: checker.read(&section, "track_file", "\"/run/ostler/keepalived\"", values::path),
        token_file: checker.read(&section, "token_file", "\"/etc/ostler/health.token\"", values::path),
        saturation: checker.read(&section, "saturation", "\"warn\"", saturation).unwrap_or_default(),
    }
}

fn overlap<P>(listen: &[(Address, P)]) -> Option<&(Address, P)> {
    let twice = |(at, (address, _)): &(usize, &(Address, P))| {
        listen[..*at].iter().any(|(other, _)| other.clashes_with(address))
    };
    listen.iter().enumerate().find(twice).map(|(_, found)| found)
}

fn address(value: &DeValue<'_>) -> Result<Address, Fault> {
    match value {
        DeValue::Integer(port) => port.to_string().parse(),
        other => values::text(other)?.parse(),
    }
}

fn saturation(value: &DeValue<'_>) -> Result<Saturation, Fault> {
    match values::text(value)? {
        "warn" => Ok(Saturation::Warn),
        "fail" => Ok(Saturation::Fail),
        other => Err(Fault::new(
            format!("is {:?}", super::source::shortened(other, 40)),
            "must be \"warn\" or \"fail\"",
            "",
        )),
    }
}
