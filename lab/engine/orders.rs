//! The words in which a lab gives orders to a node that it has started, on the node's standard input: one line, one order.
//!
//! ```text
//! token 8c1f…      the cluster's token. The first line, if `--token-stdin` says that it comes; at no other time
//! disk …, clock …  a condition of the node's disk or clock (`condition.rs`), if `--conditions` allows them
//! ```
//!
//! Only whoever has started the node holds its standard input, so an order needs no token, and nothing of it is on a
//! command line or in an environment, where others of the machine could read it. Words are parted by single spaces; a
//! line ends with a newline and is at most [`ORDER_BYTES_MAX`] long. A line that is no order is noticed and changes
//! nothing; the end of the input ends the node. The lab writes lines with [`NodeOrder::line`], the node reads them with
//! [`NodeOrder::parse`].

use kvlab::node::{TOKEN_BYTES_MAX, Token};
use kvlab::types::NodeCondition;

use super::condition;

/// The longest line, in bytes, without its newline: room for the longest token and a few words.
pub const ORDER_BYTES_MAX: usize = TOKEN_BYTES_MAX + 64;

const TOKEN: &str = "token";

/// What a node is told by whoever has started it.
#[derive(Clone, Debug)]
pub enum NodeOrder {
    /// The cluster's token.
    Token(Token),
    /// A condition of the node's disk or clock.
    Condition(NodeCondition),
}

/// Why a line is no order. It is never quoted: it may be a token that was mistyped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnOrder {
    /// It begins with no word that is known here.
    #[error("a line of {0} bytes that is no order known here")]
    Unknown(usize),
    /// It begins with a known word, and what follows does not fit.
    #[error("an order `{word}` that cannot be understood: {why}")]
    Senseless {
        /// The known word.
        word: &'static str,
        /// What is wrong with the rest.
        why: String,
    },
    /// It is longer than [`ORDER_BYTES_MAX`].
    #[error("a line longer than {ORDER_BYTES_MAX} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("a line of {0} bytes that is no text")]
    NotText(usize),
}

impl NodeOrder {
    /// The line that says it, with its newline.
    pub fn line(&self) -> String {
        match self {
            Self::Token(token) => format!("{TOKEN} {}\n", token.reveal()),
            Self::Condition(condition) => format!("{}\n", condition::words(*condition)),
        }
    }

    /// Understands a line, given without its newline.
    ///
    /// # Errors
    /// Why it is no order.
    pub fn parse(line: &str) -> Result<Self, NotAnOrder> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            TOKEN => Token::new(rest)
                .map(Self::Token)
                .map_err(|error| NotAnOrder::Senseless { word: TOKEN, why: error.to_string() }),
            condition::DISK => Self::condition(condition::DISK, rest),
            condition::CLOCK => Self::condition(condition::CLOCK, rest),
            _ => Err(NotAnOrder::Unknown(line.len())),
        }
    }

    fn condition(word: &'static str, rest: &str) -> Result<Self, NotAnOrder> {
        condition::parse(word, rest)
            .map(Self::Condition)
            .map_err(|error| NotAnOrder::Senseless { word, why: format!("{error:#}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<String, String> {
        NodeOrder::parse(line).map(|order| order.line()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_order_is_understood_as_it_was_given() {
        assert_eq!(parse("token 8c1f"), Ok("token 8c1f\n".to_owned()));
        for line in ["disk full\n", "clock rate 1500\n"] {
            assert_eq!(parse(line.trim_end()), Ok(line.to_owned()));
        }
        let longest = format!("token {}", "t".repeat(TOKEN_BYTES_MAX));
        assert!(longest.len() <= ORDER_BYTES_MAX);
        assert_eq!(parse(&longest), Ok(format!("{longest}\n")));
    }

    #[test]
    fn what_is_no_order_is_not_quoted() {
        for (line, says) in [
            ("", "0 bytes that is no order"),
            ("s3cret", "6 bytes that is no order"),
            ("Token s3cret", "no order known"),
            ("token", "`token` that cannot be understood: the cluster token has 0 bytes"),
            ("token ", "the cluster token has 0 bytes"),
            ("disk s3cretly", "`disk` that cannot be understood: a disk is ok, full,"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(says) && !error.contains("s3cret"), "{line:?}: {error}");
        }
        let order = NodeOrder::parse("token s3cret").expect("an order");
        assert!(!format!("{order:?}").contains("s3cret"));
    }
}
