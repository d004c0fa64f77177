//! What clap makes of `help` and people do not expect.

use std::ffi::OsString;

/// `ostler help --help` and `ostler help restart --help` ask for no more than `ostler help`.
pub(super) fn helped(arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_none_or(|verb| verb != "help") {
        return arguments;
    }
    arguments.into_iter().filter(|it| it != "--help" && it != "-h").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_asked_for_its_help_is_help() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(helped(words("ostler help --help")), words("ostler help"));
        assert_eq!(helped(words("ostler help restart -h")), words("ostler help restart"));
        assert_eq!(helped(words("ostler restart --help")), words("ostler restart --help"));
    }
}
