//! What a reload would change, as a person reads it.

use crate::plan::{AppChange, Effect};

use super::screen::{Colour, Screen, plain};

/// A line per app with what would be caused, and below it a line per key.
///
/// ```text
/// blog: nothing changes
/// shop: resized, no worker restarted
///   workers: 4 → 6
/// ```
pub(super) fn render(changes: &[AppChange], screen: Screen) -> String {
    let mut lines = Vec::new();
    for AppChange { app, effect, keys, migrates, migrations } in changes {
        let ink = match effect {
            Effect::Nothing | Effect::Stopped => Colour::Faint,
            _ => Colour::Green,
        };
        lines.push(format!("{app}: {}", screen.paint(ink, &effect.to_string())));
        if *migrates {
            let which =
                if migrations.is_empty() { String::new() } else { format!(": {}", plain(migrations)) };
            lines.push(format!("  migrations run first{which}"));
        } else if !migrations.is_empty() {
            lines.push(format!("  migrations: {}", plain(migrations)));
        }
        for change in keys {
            let shown = |value: &Option<String>| {
                value.as_ref().map_or("not set".to_owned(), |it| plain(it).into_owned())
            };
            lines.push(format!("  {}: {} → {}", plain(&change.key), shown(&change.old), shown(&change.new)));
        }
    }
    if lines.is_empty() { "no app is configured".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::KeyChange;

    #[test]
    fn each_app_is_told_with_its_keys() {
        let key = KeyChange { key: "workers".into(), old: Some("4".into()), new: Some("6".into()) };
        let unset = KeyChange { key: "limits.max_age".into(), old: None, new: Some("1h".into()) };
        let changes = [
            AppChange {
                app: "blog".parse().unwrap(),
                effect: Effect::Nothing,
                keys: vec![],
                migrates: false,
                migrations: String::new(),
            },
            AppChange {
                app: "shop".parse().unwrap(),
                effect: Effect::Resize,
                keys: vec![key, unset],
                migrates: false,
                migrations: String::new(),
            },
        ];
        let text = render(&changes, Screen { live: false, colour: false });
        assert_eq!(
            text,
            "blog: nothing changes\nshop: resized, no worker restarted\n  workers: 4 → 6\n  \
             limits.max_age: not set → 1h"
        );
    }
}
