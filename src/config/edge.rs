//! `[edge]` of the main file: what stands in front of this machine, and how long it goes on sending.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::error::Fault;
use super::key::{Shape, keys};
use super::kinds::{Text, Time};
use super::meant::closest;
use super::source::shortened;
use super::values;

const HOUR: Duration = Duration::from_secs(3600);

/// `[edge]` of the main file.
pub(super) static EDGE: Shape = Shape { title: "edge", groups: &[Edge::KEYS] };

keys! {
    /// `[edge]`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub struct Edge {
        /// `"alb"`, `"nlb"`, `"gcp"`, `"haproxy"`, `"haproxy-agent"`, `"traefik"`, `"caddy"`, `"nginx"` or `"none"`: how
        /// long it goes on sending requests after health checks have begun to fail, and for how long it uses idle
        /// connections; see [ostler-edge(7)](ostler-edge.7.md#the-edges-delay)
        preset: Preset = Text(preset), [default Preset::None], "\"alb\"", InPlace;
        /// that time itself, up to `"1h"`: for as long a machine that drains goes on serving
        delay: Option<Duration> = Time::within(Duration::ZERO..=HOUR), [unset "the preset's"], "\"8s\"", InPlace;
    }
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

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn preset(value: &DeValue<'_>) -> Result<Preset, Fault> {
    let text = values::text(value)?;
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == text) {
        return Ok(preset);
    }
    let names = Preset::ALL.map(Preset::name);
    let help = match closest(&names, &text.to_ascii_lowercase().replace('_', "-")) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => "for another edge leave it out and say its `delay`".to_owned(),
    };
    let rule = format!("must be one of {}", names.join(", "));
    Err(Fault::new(format!("is {:?}", shortened(text, 40)), rule, help))
}
