//! An async client that follows redirects and says of every outcome whether it is definite.
//!
//! * [`Connection`] is one connection to one node: many requests in flight, answers in any order, and watches.
//!   It retries nothing.
//! * [`Client`] is one client of the store: it has connections to the members as it needs them, follows
//!   [`ReadOnly`](crate::types::Failure::ReadOnly) and
//!   [`TooStale`](crate::types::Failure::TooStale) to the primary, and tries again what certainly did not
//!   happen.
//! * [`ask`](fn@ask) is one request on a connection of its own.
//!
//! What was sent and got no answer may have happened, or may yet. For a write that is the end: the outcome is
//! unknown, and only the caller can decide what to do about it. A read changes nothing, so it is asked elsewhere.

mod ask;
mod backoff;
mod connection;
mod course;
mod dialing;
mod error;
mod perform;
#[cfg(test)]
mod tests;

pub use self::ask::{AskError, Patience, ask};
pub use self::backoff::Backoff;
pub use self::connection::Connection;
pub use self::course::{Course, Setback, Turn};
pub use self::error::{ClientError, ConnectError, ConnectionLost};
pub use self::perform::{Answer, Client, ClientOptions};
