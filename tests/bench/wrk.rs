//! The load generator wrk, for rates.

use std::process::Command;
use std::time::Duration;

use crate::harness::Said;
use crate::load::Target;

/// Requests a second from `connections` connections that stay open, as one thread of wrk gets them.
pub fn rate(target: &Target, path: &str, connections: u32, time: Duration) -> f64 {
    let Target::Tcp(address) = target else { panic!("wrk speaks TCP alone") };
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", &connections.to_string()]);
    command
        .args(["--duration", &format!("{}s", time.as_secs().max(1))])
        .arg(format!("http://{address}{path}"));
    let said = Said::of(&mut command).exits(0);
    let rate = said.out.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.unwrap_or_else(|| panic!("wrk says no rate: {said}"))
}
