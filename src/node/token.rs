//! The cluster's token: what members and operators show, so that nobody else speaks in their name.

use std::fmt;

/// The longest cluster token, in bytes: a Hello has to fit into its small first frame.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// Not a usable secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cluster token has {0} bytes; it needs 1 to {TOKEN_BYTES_MAX}")]
pub struct TokenLength(pub usize);

/// The cluster's shared secret. Never printed, compared in constant time.
#[derive(Clone)]
pub struct Token(String);

/// What somebody who has said hello may do at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// They have shown the token, or there is none: they may do everything.
    Proved,
    /// They have shown none where there is one: they may read, write and look, on loopback.
    Unproved,
    /// They have shown another.
    Wrong,
}

impl Token {
    /// A token from its text.
    ///
    /// # Errors
    /// [`TokenLength`] if it is empty or longer than [`TOKEN_BYTES_MAX`].
    pub fn new(secret: impl Into<String>) -> Result<Self, TokenLength> {
        let secret = secret.into();
        if (1..=TOKEN_BYTES_MAX).contains(&secret.len()) {
            Ok(Self(secret))
        } else {
            Err(TokenLength(secret.len()))
        }
    }

    /// The secret itself: for a Hello, for a file that nobody else may read, and for nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is this token, in a time that tells nothing of where they differ (only of their lengths).
    fn is(&self, shown: &str) -> bool {
        let differ = |(a, b): (u8, u8)| std::hint::black_box(a ^ b);
        self.0.len() == shown.len()
            && self.0.bytes().zip(shown.bytes()).map(differ).fold(0, |a, b| a | b) == 0
    }

    /// What somebody who shows `shown` may do at a node with this token (or none).
    pub(super) fn standing(token: Option<&Self>, shown: Option<&str>) -> Standing {
        match (token, shown) {
            (None, _) => Standing::Proved,
            (Some(_), None) => Standing::Unproved,
            (Some(token), Some(shown)) if token.is(shown) => Standing::Proved,
            (Some(_), Some(_)) => Standing::Wrong,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_proved_by_itself_only_and_is_never_shown() {
        let token = Token::new("s3cret").expect("a token");
        assert_eq!(Token::standing(Some(&token), Some("s3cret")), Standing::Proved);
        assert_eq!(Token::standing(Some(&token), None), Standing::Unproved);
        for wrong in ["", "s3cres", "s3cret ", "S3cret"] {
            assert_eq!(Token::standing(Some(&token), Some(wrong)), Standing::Wrong, "{wrong:?}");
        }
        for anything in [None, Some("anything")] {
            assert_eq!(Token::standing(None, anything), Standing::Proved);
        }
        assert!(!format!("{token:?}").contains("s3cret"));
        assert_eq!(Token::new("").map(|_| ()), Err(TokenLength(0)));
        assert!(Token::new("x".repeat(TOKEN_BYTES_MAX + 1)).is_err());
    }
}
