//! The token that lets strangers see details.

use std::fmt;
use std::hint::black_box;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// A secret; it shows in no log. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<[u8]>);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("[health] token_file: {path} cannot be read: {source}; let ostlerd's user read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds no token.
    #[error(
        "[health] token_file: {path} must hold {SHORTEST} to {LONGEST} printable characters on one line; \
         make one with `openssl rand -hex 32`"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// The token that `path` holds.
    pub fn read(path: &Path) -> Result<Token, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let file = crate::config::open_regular(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(LONGEST as u64 * 2).read_to_end(&mut bytes).map_err(unreadable)?;
        Token::new(bytes.trim_ascii()).ok_or_else(|| TokenError::Unusable { path: path.to_owned() })
    }

    pub(super) fn new(bytes: &[u8]) -> Option<Token> {
        let good = (SHORTEST..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        good.then(|| Token(bytes.into()))
    }

    /// Whether an `Authorization` header has it, in a time that tells nothing but the token's length.
    pub(super) fn is_in(&self, header: &[u8]) -> bool {
        const SCHEME: usize = b"Bearer ".len();
        let Some((scheme, given)) = header.split_at_checked(SCHEME) else { return false };
        if !scheme.eq_ignore_ascii_case(b"Bearer ") || given.len() != self.0.len() {
            return false;
        }
        let differing = given.iter().zip(&*self.0).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
        differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let token = Token::new(b"0123456789abcdef").unwrap();
        assert!(token.is_in(b"Bearer 0123456789abcdef"));
        assert!(token.is_in(b"bearer 0123456789abcdef"));
        for wrong in
            ["", "Bearer ", "Bearer 0123456789abcde", "Bearer 0123456789abcdeF", "Basic  0123456789abcdef"]
        {
            assert!(!token.is_in(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token");
    }

    #[test]
    fn a_token_is_long_and_on_one_line() {
        assert!(Token::new(b"short").is_none());
        assert!(Token::new(b"0123456789abcdef\n0123456789abcdef").is_none());
        let missing = Token::read(Path::new("/nowhere/token")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/token cannot be read"), "{missing}");
    }
}
