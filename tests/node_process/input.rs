//! What clients may do wrong, and that nobody else notices.

use std::io::Write;
use std::net::TcpStream;

use kvlab::types::{Failure, KEY_BYTES_MAX, ReadLevel, Reply, WriteLevel};
use kvlab::wire::{ClientFrame, NodeFrame, PROTOCOL_VERSION, encode};

use crate::support::{Client, Node, alone, bytes, hear, raw};

/// A node with short deadlines, and a client of it that must never notice anything.
struct Fixture {
    node: Node,
    bystander: Client,
    writes: u32,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = alone(dir.path());
        command.args(["--frame-timeout", "300ms", "--connections-max", "8"]);
        let node = Node::start(command);
        let mut bystander = node.client();
        bystander.put_patiently("k", "0", WriteLevel::Quorum);
        Self { node, bystander, writes: 0, _dir: dir }
    }

    fn bystander_is_undisturbed(&mut self) {
        self.writes += 1;
        let value = self.writes.to_string();
        let reply = self.bystander.put("k", &value, WriteLevel::Quorum);
        assert!(matches!(reply, Reply::Written { .. }), "{reply:?}");
        let found = self.bystander.get_patiently("k", ReadLevel::Eventual);
        assert_eq!(found.value, Some(bytes(&value)));
    }

    /// After the hello, or (`None`) instead of it.
    fn told(&mut self, hello: bool, input: &[u8]) -> String {
        let mut stream = raw(&self.node.ready.client);
        if hello {
            let hello = ClientFrame::Hello { version: PROTOCOL_VERSION, token: None };
            stream.write_all(&encode(&hello).expect("encodes")).expect("written");
            assert!(matches!(hear(&mut stream), Some(NodeFrame::Welcome { .. })));
        }
        stream.write_all(input).expect("written");
        self.bystander_is_undisturbed();
        let reason = last_words(&mut stream);
        self.bystander_is_undisturbed();
        reason
    }
}

fn last_words(stream: &mut TcpStream) -> String {
    let Some(NodeFrame::Goodbye { reason }) = hear(stream) else { panic!("expected a goodbye") };
    assert_eq!(hear(stream), None, "nothing follows a goodbye");
    reason
}

#[test]
fn garbage_is_answered_with_a_reason() {
    let mut fixture = Fixture::new();
    let reason = fixture.told(false, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(reason.contains("longer than the 4096 bytes allowed here"), "{reason}");
    let reason = fixture.told(true, &[5, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5]);
    assert!(reason.contains("checksum is wrong"), "{reason}");
    fixture.node.logs("client closed");
}

#[test]
fn a_frame_of_four_gibibytes_is_refused_from_its_header() {
    let mut fixture = Fixture::new();
    let reason = fixture.told(true, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    assert!(reason.contains("4294967295 bytes is longer than"), "{reason}");
}

#[test]
fn half_a_frame_and_then_silence_is_closed() {
    let mut fixture = Fixture::new();
    let reason = fixture.told(true, &[100, 0, 0, 0, 1, 2, 3, 4, 5]);
    assert_eq!(reason, "half a frame (9 bytes), then nothing for 300 ms");
    let reason = fixture.told(false, &[100]);
    assert!(reason.contains("half a frame (1 bytes)"), "{reason}");
}

#[test]
fn a_request_that_breaks_a_limit_fails_and_the_connection_stays() {
    let mut fixture = Fixture::new();
    let mut client = fixture.node.client();
    let reply = client.put(&"k".repeat(KEY_BYTES_MAX + 1), "v", WriteLevel::Async);
    let Reply::Failed(Failure::Invalid(why)) = reply else { panic!("unexpected {reply:?}") };
    assert!(why.contains("65537"), "{why}");
    assert!(matches!(client.put("fits", "v", WriteLevel::Async), Reply::Written { .. }));
    fixture.bystander_is_undisturbed();
}

#[test]
fn connections_beyond_the_limit_are_turned_away_and_places_come_free() {
    let mut fixture = Fixture::new();
    let others: Vec<_> = (0..7).map(|_| fixture.node.client()).collect();
    let mut stream = raw(&fixture.node.ready.client);
    let hello = encode(&ClientFrame::Hello { version: PROTOCOL_VERSION, token: None }).expect("encodes");
    stream.write_all(&hello).expect("written");
    let reason = last_words(&mut stream);
    assert!(reason.contains("8 connections are open"), "{reason}");
    fixture.bystander_is_undisturbed();
    drop(others);
    crate::support::until("a place", || {
        let mut stream = raw(&fixture.node.ready.client);
        let hello = ClientFrame::Hello { version: PROTOCOL_VERSION, token: None };
        let _ = stream.write_all(&encode(&hello).expect("encodes"));
        matches!(hear(&mut stream), Some(NodeFrame::Welcome { .. })).then_some(())
    });
}

#[test]
fn a_value_of_the_largest_size_goes_through() {
    let fixture = Fixture::new();
    let mut client = fixture.node.client();
    let value = "v".repeat(kvlab::types::VALUE_BYTES_MAX);
    assert!(matches!(client.put("large", &value, WriteLevel::Quorum), Reply::Written { .. }));
    assert_eq!(client.get_patiently("large", ReadLevel::Eventual).value, Some(bytes(&value)));
}
