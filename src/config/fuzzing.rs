//! Laws of what reads foreign text here, for any bytes at all: `src/fuzzing.rs` says who tries them.

use std::path::Path;

use super::visible::is_hidden;
use super::{
    Address, AppName, parse_app, parse_duration, parse_env_file, parse_size, visible, visible_line, words,
};

/// The name of a law, which is its folder in the corpus, and what panics where the bytes break it.
pub type Law = (&'static str, fn(&[u8]));

/// What holds for any bytes, by name.
pub const LAWS: &[Law] =
    &[("app_toml", app_toml), ("env_file", env_file), ("values", values), ("visible", shown)];

/// Whether nothing in it steers a terminal or hides from who reads it.
pub fn is_harmless(text: &str) -> bool {
    !text.chars().any(|c| is_hidden(c) || c.is_control() && c != '\n' && c != '\t')
}

fn app_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let name: AppName = "shop".parse().expect("it is a name");
    let main = Path::new("/etc/ostler/ostler.toml");
    for is_root in [true, false] {
        match parse_app(&name, &text, Path::new("/etc/ostler/apps.d/shop.toml"), is_root) {
            Ok(app) => {
                // The next ostlerd reads it from the state.
                let kept = serde_json::to_vec(&app).expect("its keys are text");
                assert_eq!(
                    serde_json::from_slice::<super::AppConfig>(&kept).expect("as it was written"),
                    app
                );
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                let printed = problems.to_string();
                assert!(is_harmless(&printed) && !printed.contains('\t'), "{printed:?}");
                assert!(printed.len() <= (8 << 10) + (1 << 10) * bytes.len(), "{} bytes", printed.len());
                let summary = problems.summary();
                assert!(is_harmless(&summary) && !summary.contains('\n'), "{summary:?}");
            }
        }
        let (_, problems) = super::assemble::main_file(&text, main, is_root);
        let printed = super::Problems::new(problems).to_string();
        assert!(is_harmless(&printed), "{printed:?}");
    }
}

fn env_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let file = Path::new("/etc/ostler/shop.env");
    match parse_env_file(&text, file) {
        Ok(variables) => {
            let quoted: String = variables
                .iter()
                .map(|(name, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    format!("export {name}=\"{value}\" # {name}\r\n")
                })
                .collect();
            assert_eq!(
                parse_env_file(&quoted, file).expect("what is quoted is read"),
                variables,
                "{quoted:?}"
            );
            for (name, value) in &variables {
                assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'), "{name:?}");
            }
        }
        Err(problems) => {
            let printed = problems.to_string();
            assert!(is_harmless(&printed), "{printed:?}");
        }
    }
}

/// Values that stand in several files, and on the command line.
fn values(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Address>() {
        Ok(address) => {
            assert!(!address.to_string().contains(char::is_control), "{address}");
            assert_eq!(address.to_string().parse::<Address>().ok(), Some(address));
        }
        Err(fault) => assert!(fault.to_string().len() < 2000, "{fault}"),
    }
    if let Ok(name) = text.parse::<AppName>() {
        assert!(name.as_str() == text && name.as_str().len() < 100 && !text.contains(['/', '\n', ' ', '\0']));
    }
    if let Some(duration) = parse_duration(&text) {
        // Shown in the unit that it has a whole number of.
        let again = parse_duration(&words(duration)).expect("ostlerd reads what it writes");
        assert_eq!(again.as_millis(), duration.as_millis(), "{text:?}");
    }
    parse_size(&text);
    super::is_database_url(&text);
    super::env_name_fault(&text);
    for most in [0, 1, 40] {
        let short = super::shortened(&text, most);
        assert!(is_harmless(&short) && !short.contains('\n'), "{short:?}");
        assert!(short.chars().count() <= most * 8 + 1, "{short:?}");
    }
}

fn shown(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let all = visible(&text);
    assert!(is_harmless(&all), "{all:?}");
    assert_eq!(visible(&all), all);
    assert_eq!(all.matches('\n').count(), text.matches('\n').count());
    let line = visible_line(&text);
    assert!(is_harmless(&line) && !line.contains(['\n', '\t']), "{line:?}");
    assert_eq!(visible_line(&line), line);
    assert!(all.len().max(line.len()) <= 10 * text.len());
}
