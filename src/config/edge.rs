//! `[edge]` of the main file: what stands in front of this machine, and how long it goes on sending.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::de::DeValue;

use super::error::Fault;
use super::key::{Shape, keys};
use super::kinds::{ParsedText, Time};
use super::meant::closest;
use super::values;
use super::visible::shortened;

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
        preset: Preset = ParsedText(preset), [default Preset::None], "\"alb\"", InPlace;
        /// that time itself, up to `"1h"`: for as long a machine that drains goes on serving
        delay: Option<Duration> = Time::within(Duration::ZERO..=HOUR), [unset "the preset's"], "\"8s\"", InPlace;
    }
}

/// How long an edge uses an idle connection again, with its ordinary settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Nothing is known of it.
    Unknown,
    /// It depends on too many settings of the named program for one number.
    Configured(&'static str),
    /// So many seconds, and the keep-alive of a worker that is safely above.
    Usual(u64, u64),
    /// The same, and it cannot be changed.
    Fixed(u64, u64),
}

/// Declares the presets, a row for each: its name in the file, its checks in the words of ostler-edge(7), the seconds from
/// the first failing answer until it has stopped sending, and its use of idle connections.
macro_rules! presets {
    ($($(#[$meta:meta])* $Preset:ident = $name:literal, $checks:literal, $delay:literal, $idle:expr;)+) => {
        /// What may stand in front.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Preset {
            $($(#[$meta])* $Preset,)+
        }

        impl Preset {
            /// Every preset.
            pub const ALL: [Preset; [$($name),+].len()] = [$(Preset::$Preset),+];

            /// Its name in the file.
            pub fn name(self) -> &'static str {
                match self {
                    $(Preset::$Preset => $name,)+
                }
            }

            /// Its ordinary checks, in words.
            pub fn checks(self) -> &'static str {
                match self {
                    $(Preset::$Preset => $checks,)+
                }
            }

            /// From the first failing answer until it has stopped sending.
            pub fn delay(self) -> Duration {
                Duration::from_secs(match self {
                    $(Preset::$Preset => $delay,)+
                })
            }

            /// How long it uses idle connections.
            pub fn idle(self) -> Idle {
                match self {
                    $(Preset::$Preset => $idle,)+
                }
            }
        }
    };
}

presets! {
    /// Nothing is known of it.
    #[default]
    None = "none", "nothing is known", 0, Idle::Unknown;
    /// AWS Application Load Balancer.
    Alb = "alb", "every 30 s, 2 have to fail", 70, Idle::Usual(60, 75);
    /// AWS Network Load Balancer.
    Nlb = "nlb", "every 30 s, 2 have to fail", 70, Idle::Usual(60, 75);
    /// Google Cloud's load balancers.
    Gcp = "gcp", "every 5 s, 2 have to fail", 20, Idle::Fixed(600, 620);
    /// HAProxy with its own HTTP checks.
    Haproxy = "haproxy", "every 2 s, 3 have to fail", 8, Idle::Configured("HAProxy");
    /// HAProxy with the agent check.
    HaproxyAgent = "haproxy-agent", "the agent, every 2 s", 3, Idle::Configured("HAProxy");
    /// Traefik.
    Traefik = "traefik", "every 30 s, 1 has to fail", 35, Idle::Usual(90, 120);
    /// Caddy.
    Caddy = "caddy", "every 30 s, 1 has to fail", 35, Idle::Usual(120, 150);
    /// nginx, which checks passively.
    Nginx = "nginx", "none: it tries the next server by itself", 0, Idle::Usual(60, 75);
}

impl Idle {
    /// The seconds, and the keep-alive that is safely above.
    pub fn seconds(self) -> Option<(u64, u64)> {
        match self {
            Idle::Unknown | Idle::Configured(_) => None,
            Idle::Usual(idle, enough) | Idle::Fixed(idle, enough) => Some((idle, enough)),
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
