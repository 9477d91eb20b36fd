//! Judging a whole history that is there already, key by key: ours, or other people's.
//!
//! Histories whose reads each name their write take the online algorithm ([`Judge`](super::Judge)); all others the
//! general [search](super::search()). Nothing here looks at a clock: the caller says when to give up.

mod history;
mod prefix;
mod shrink;
mod verdict;

pub use self::history::{Act, KeyHistory, Mark, NoHistory, Op, Outcome};
pub use self::shrink::shrink;
pub use self::verdict::{Evidence, KeyVerdict, Method, check_key, explain_key};
