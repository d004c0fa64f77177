//! `[edge]` of the main file: what stands in front of this machine, and how long it goes on sending.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::check::{Checker, Section};
use super::error::Fault;
use super::source::shortened;
use super::{keys, values};

const HOUR: Duration = Duration::from_secs(3600);

/// `[edge]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// What stands in front.
    pub preset: Preset,
    /// How long it may go on sending after readiness has begun to fail; `None` where the preset decides.
    pub delay: Option<Duration>,
}

/// What may stand in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// Nothing is known of it.
    #[default]
    None,
    /// AWS Application Load Balancer.
    Alb,
    /// AWS Network Load Balancer.
    Nlb,
    /// Google Cloud's load balancers.
    Gcp,
    /// HAProxy with its own HTTP checks.
    Haproxy,
    /// HAProxy with the agent check.
    HaproxyAgent,
    /// Traefik.
    Traefik,
    /// Caddy.
    Caddy,
    /// nginx, which checks passively.
    Nginx,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 9] = [
        Preset::None,
        Preset::Alb,
        Preset::Nlb,
        Preset::Gcp,
        Preset::Haproxy,
        Preset::HaproxyAgent,
        Preset::Traefik,
        Preset::Caddy,
        Preset::Nginx,
    ];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Preset::None => "none",
            Preset::Alb => "alb",
            Preset::Nlb => "nlb",
            Preset::Gcp => "gcp",
            Preset::Haproxy => "haproxy",
            Preset::HaproxyAgent => "haproxy-agent",
            Preset::Traefik => "traefik",
            Preset::Caddy => "caddy",
            Preset::Nginx => "nginx",
        }
    }
}

/// The section, where the file has one.
pub(super) fn check(checker: &mut Checker<'_>, main: &Section<'_, '_>) -> Edge {
    let Some(table) = checker.table(main, "edge", "{ preset = \"alb\" }") else { return Edge::default() };
    let section = checker.section(&keys::EDGE, table);
    Edge {
        preset: checker.read(&section, "preset", "\"alb\"", preset).unwrap_or_default(),
        delay: checker.read(&section, "delay", "\"8s\"", values::duration(Duration::ZERO..=HOUR, false)),
    }
}

fn preset(value: &DeValue<'_>) -> Result<Preset, Fault> {
    let text = values::text(value)?;
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == text) {
        return Ok(preset);
    }
    let names = Preset::ALL.map(Preset::name);
    let help = match keys::closest(&names, &text.to_ascii_lowercase().replace('_', "-")) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => "for another edge leave it out and say its `delay`".to_owned(),
    };
    let rule = format!("must be one of {}", names.join(", "));
    Err(Fault::new(format!("is {:?}", shortened(text, 40)), rule, help))
}
