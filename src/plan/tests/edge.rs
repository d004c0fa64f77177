use std::time::Duration;

use super::*;
use crate::config::{Edge, Preset};
use crate::plan::{AppPlan, keepalive_finding, machine};

fn app(class: &str, keepalive: f64) -> AppPlan {
    let said =
        Settings { family: Some(class.to_owned()), keepalive, gunicorn: "27.0.1".to_owned(), ..defaults() };
    planned(&listening(""), &facts(said)).0
}

fn edge(preset: Preset) -> Edge {
    Edge { preset, delay: None }
}

#[test]
fn a_preset_decides_the_delay_unless_the_file_does() {
    let seconds = |edge: &Edge| machine(edge).edge_delay.as_secs();
    let delays = Preset::ALL.map(|preset| seconds(&edge(preset)));
    assert_eq!(delays, [0, 70, 70, 20, 8, 3, 35, 35, 0]);
    let own = Edge { preset: Preset::Alb, delay: Some(Duration::from_secs(5)) };
    assert_eq!(seconds(&own), 5);
}

#[test]
fn a_keep_alive_below_the_edges_is_found_with_both_numbers_and_the_remedy() {
    assert_eq!(
        keepalive_finding(&edge(Preset::Alb), &app("gthread", 2.0)).unwrap(),
        "shop: the worker closes idle connections after 2 s (gunicorn's keepalive), but alb uses them again for \
         60 s: now and then a client would get 502; set \"--keep-alive\", \"75\" in args"
    );
    for (preset, enough) in [
        (Preset::Nlb, "75"),
        (Preset::Gcp, "620"),
        (Preset::Traefik, "120"),
        (Preset::Caddy, "150"),
        (Preset::Nginx, "75"),
    ] {
        let finding = keepalive_finding(&edge(preset), &app("uvicorn", 5.0)).unwrap();
        assert!(finding.ends_with(&format!("\"{enough}\" in args")), "{finding}");
        let enough = enough.parse().unwrap();
        assert_eq!(keepalive_finding(&edge(preset), &app("uvicorn", enough)), None, "{preset:?}");
    }
}

#[test]
fn a_worker_that_keeps_nothing_alive_is_no_finding() {
    for (class, keepalive) in [("sync", 2.0), ("tornado", 2.0), ("gthread", 0.0)] {
        assert_eq!(keepalive_finding(&edge(Preset::Gcp), &app(class, keepalive)), None, "{class}");
    }
    for preset in [Preset::None, Preset::Haproxy, Preset::HaproxyAgent] {
        assert_eq!(keepalive_finding(&edge(preset), &app("gthread", 2.0)), None, "{preset:?}");
    }
}
