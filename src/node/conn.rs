//! One client's connection, as everyone but its own task sees it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use tokio::sync::Notify;
use tracing::error;

use super::outbox::Outbox;
use crate::types::{Failure, Reply};
use crate::wire::{NodeFrame, Response};

/// No more requests of a connection are read while this many bytes of its answers wait to be written.
pub(super) const ANSWER_BYTES_PAUSE: usize = 1 << 20;
/// A value that would make more than this wait on one connection is not sent; the read fails as busy.
pub(super) const ANSWER_BYTES_MAX: usize = 32 << 20;
/// The same for all connections together.
pub(super) const ANSWER_BYTES_MAX_ALL: usize = 256 << 20;

/// One client's connection.
///
/// A client that does not read its answers stops itself first: at [`ANSWER_BYTES_PAUSE`] no more of its requests are
/// read. What is under way by then still fits below [`ANSWER_BYTES_MAX`], or is refused. If it takes nothing at all
/// for the write timeout, its task closes it. Nobody else waits for it at any point.
#[derive(Debug)]
pub(super) struct Conn {
    /// Who it is.
    pub(super) addr: SocketAddr,
    /// What waits to be written to it.
    pub(super) out: Outbox,
    /// Requests that wait for their answer.
    in_flight: Cell<u32>,
    answered: Notify,
}

impl Conn {
    /// A connection to `addr`; what waits on it counts in `ledger` too.
    pub(super) fn new(addr: SocketAddr, ledger: Rc<Cell<usize>>) -> Self {
        Self { addr, out: Outbox::new(ledger), in_flight: Cell::new(0), answered: Notify::new() }
    }

    /// One more request waits for its answer.
    pub(super) fn asked(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
    }

    /// Answers a request that was [`asked`](Self::asked). Does nothing for a client that has gone.
    pub(super) fn answer(&self, id: u64, response: Response) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.answered.notify_one();
        self.respond(id, self.within_bounds(response));
    }

    /// Sends a response that answers no request counted by [`asked`](Self::asked): to a watch.
    pub(super) fn respond(&self, id: u64, response: Response) -> bool {
        self.say(&NodeFrame::Response { id, response })
    }

    /// Tells a watcher something; `false` if it could not be told.
    pub(super) fn report(&self, id: u64, json: &str) -> bool {
        self.respond(id, Response::Report(json.to_owned()))
    }

    /// Says why the connection ends, and ends it when everything has been written.
    pub(super) fn goodbye(&self, reason: String) {
        self.say(&NodeFrame::Goodbye { reason });
        self.out.finish();
    }

    /// Whether the client is gone, or will be when it has been told what waits.
    pub(super) fn is_ending(&self) -> bool {
        self.out.is_finished()
    }

    /// Waits until another request may be read.
    pub(super) async fn room(&self, in_flight_max: u32) {
        while self.in_flight.get() >= in_flight_max || self.out.bytes() > ANSWER_BYTES_PAUSE {
            tokio::select! {
                () = self.answered.notified() => {}
                () = self.out.emptied() => {}
            }
        }
    }

    /// Waits until every request has its answer.
    pub(super) async fn all_answered(&self) {
        while self.in_flight.get() > 0 {
            self.answered.notified().await;
        }
    }

    /// Sends a frame that answers no request.
    pub(super) fn say(&self, frame: &NodeFrame) -> bool {
        let pushed = self.out.push(frame);
        if let Err(error) = &pushed {
            // Limits at the edge keep every answer below a frame's length.
            error!(client = %self.addr, %error, "an answer could not be sent");
        }
        pushed.is_ok()
    }

    fn within_bounds(&self, response: Response) -> Response {
        let Response::Reply { reply: Reply::Value { found, .. }, .. } = &response else { return response };
        let bytes = found.value.as_ref().map_or(0, bytes::Bytes::len);
        let here = self.out.bytes();
        let full = |waiting: usize, max: usize| waiting > 0 && waiting + bytes > max;
        if bytes == 0
            || !(full(here, ANSWER_BYTES_MAX) || full(self.out.bytes_shared(), ANSWER_BYTES_MAX_ALL))
        {
            return response;
        }
        let why = format!("{here} bytes of answers wait to be read on this connection");
        Response::Reply { reply: Reply::Failed(Failure::Busy(why)), primary: None }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::types::{Epoch, Found, Position};
    use crate::wire::FrameDecoder;

    fn value(bytes: usize) -> Response {
        let found = Found { value: Some(Bytes::from(vec![7; bytes])), version: Position::ZERO };
        Response::Reply {
            reply: Reply::Value { found, epoch: Epoch::ZERO, votes: Vec::new() },
            primary: None,
        }
    }

    fn conn() -> Conn {
        Conn::new(SocketAddr::from(([127, 0, 0, 1], 9)), Rc::default())
    }

    /// What a client that reads everything at once would see: the sizes of values, `None` for a failure.
    async fn seen(conn: &Conn) -> Vec<Option<usize>> {
        let mut bytes = Vec::new();
        conn.out.finish();
        conn.out.write_to(&mut bytes, std::time::Duration::from_secs(5)).await.expect("written");
        let mut decoder = FrameDecoder::<NodeFrame>::new();
        decoder.admit();
        let mut bytes = BytesMut::from(&bytes[..]);
        std::iter::from_fn(|| decoder.decode(&mut bytes).expect("a frame"))
            .map(|frame| match frame {
                NodeFrame::Response { response: Response::Reply { reply, .. }, .. } => match reply {
                    Reply::Value { found, .. } => found.value.map(|v| v.len()),
                    Reply::Failed(Failure::Busy(_)) => None,
                    other => panic!("unexpected {other:?}"),
                },
                other => panic!("unexpected {other:?}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn values_beyond_the_bound_fail_as_busy_and_small_answers_still_come() {
        let conn = conn();
        let large = ANSWER_BYTES_MAX / 2 - 1000;
        for id in 0..4 {
            conn.asked();
            conn.answer(id, value(large));
        }
        conn.asked();
        conn.answer(4, value(10));
        assert!(conn.out.bytes() < ANSWER_BYTES_MAX + 1000);
        assert_eq!(seen(&conn).await, [Some(large), Some(large), None, None, Some(10)]);
    }

    #[tokio::test]
    async fn a_value_larger_than_any_bound_goes_alone() {
        let conn = conn();
        conn.asked();
        conn.answer(1, value(16 << 20));
        assert_eq!(seen(&conn).await, [Some(16 << 20)]);
    }
}
