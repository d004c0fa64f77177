//! Users as the machine's own file has them. A directory service may take its time, and is not asked here.

use std::fs;

/// Who has this number.
pub(in crate::run) fn name_of(uid: u32) -> Option<String> {
    users().into_iter().find(|(_, of)| *of == uid).map(|(name, _)| name)
}

/// The numbers of all.
pub(in crate::run) fn users() -> Vec<(String, u32)> {
    let text = fs::read("/etc/passwd").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let user = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    text.lines().filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_in_the_file() {
        assert_eq!(name_of(0).as_deref(), Some("root"));
        assert!(users().contains(&("root".to_owned(), 0)));
        assert_eq!(name_of(u32::MAX - 2), None);
    }
}
