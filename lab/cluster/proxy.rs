//! Proxies: every connection between two zones passes through one, and obeys one link in each direction.
//!
//! ```text
//!   zone of i                         lab                              zone of j
//!   client ──connect──► [ listener ] ──connect──► port of j
//!          ──bytes────► [ pipe obeying link i→j ] ──►
//!          ◄──────────── [ pipe obeying link j→i ] ◄── bytes
//! ```
//!
//! One proxy stands for each ordered pair and purpose: node i's own connection to node j (peer port), and the
//! clients whose home is i on their way to node j (client port). A connection is dialled over the link i→j
//! alone, so a cut of j→i does not keep i's own words from j.
#![expect(clippy::disallowed_methods, reason = "proxies listen, dial and give up after a while")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::link::{Link, Setting};
use super::pipe::{HELD_BYTES_MAX, Pipe, PipeEnd};
use super::tasks::Tasks;
use crate::engine::Framing;
use crate::run::event::LinkState;

/// Connections that one proxy carries at once; more are closed at once.
const CONNECTIONS_MAX: usize = 1024;
/// How long the target may take to accept: its kernel does it, even for a stopped process.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a failure to accept (no file descriptors left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a proxy connects, and by which links.
#[derive(Clone, Debug)]
pub(super) struct ProxyRoute {
    /// The port on the far side. Nobody there: new connections are closed.
    pub(super) target: SocketAddr,
    /// Obeyed by what the connecting side sends.
    pub(super) forward: Link,
    /// Obeyed by what the target sends.
    pub(super) backward: Link,
    /// The protocol's frames.
    pub(super) framing: Framing,
    /// It stands between two members, whose frames may come twice.
    pub(super) repeats: bool,
}

/// Opens a proxy on a port of its own; it lives as long as `tasks`.
///
/// # Errors
/// If no port can be had.
pub(super) async fn open(route: ProxyRoute, tasks: &Tasks) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tasks.spawn(accept(listener, route, tasks.clone()));
    Ok(address)
}

async fn accept(listener: TcpListener, route: ProxyRoute, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                    tasks.spawn(serve(client, route.clone(), place));
                }
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Carries one connection until it ends.
async fn serve(mut client: TcpStream, route: ProxyRoute, _place: OwnedSemaphorePermit) {
    let (mut forward, mut backward) = (route.forward.watch(), route.backward.watch());
    let born = (*forward.borrow_and_update(), *backward.borrow_and_update());
    if born.0.state == LinkState::Cut {
        return unanswered(&client, forward, born.0).await;
    }
    let Ok(Ok(mut server)) = timeout(DIAL_TIMEOUT, TcpStream::connect(route.target)).await else {
        // "Nobody there" is an answer too, and obeys the way back.
        let now = *backward.borrow_and_update();
        if now.state == LinkState::Cut {
            unanswered(&client, backward, now).await;
        }
        return;
    };
    for side in [&client, &server] {
        // Fails only for a connection that is broken already; reading it will tell.
        let _ = side.set_nodelay(true);
    }
    let end = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let (alone, framing) = (Notify::new(), (route.framing, route.repeats));
        let forward = Pipe::new((client_read, server_write), route.forward, born.0, framing, &alone);
        let backward = Pipe::new((server_read, client_write), route.backward, born.1, framing, &alone);
        both(forward.run(), backward.run(), &alone).await
    };
    if end == PipeEnd::Reset {
        for side in [&client, &server] {
            // The kernel then answers with an error instead of an orderly end.
            let _ = side.set_zero_linger();
        }
    }
}

/// A connection is over when both directions are, or when either demands it.
async fn both(
    forward: impl Future<Output = PipeEnd>,
    backward: impl Future<Output = PipeEnd>,
    alone: &Notify,
) -> PipeEnd {
    tokio::pin!(forward, backward);
    let (end, forward_is_over) = tokio::select! {
        end = &mut forward => (end, true),
        end = &mut backward => (end, false),
    };
    if matches!(end, PipeEnd::Over | PipeEnd::Reset) {
        return end;
    }
    alone.notify_one();
    if forward_is_over { backward.await } else { forward.await }
}

/// A connection made while its link is cut: accepted by our kernel, as no real one would be, but nothing of it
/// gets through. It ends with its client, or with the cut.
async fn unanswered(client: &TcpStream, mut link: watch::Receiver<Setting>, born: Setting) {
    let mut swallowed = [0; 16 << 10];
    let mut held = 0;
    loop {
        tokio::select! {
            _ = link.changed() => {
                let now = *link.borrow_and_update();
                if now.resets != born.resets {
                    let _ = client.set_zero_linger();
                }
                if now.state != LinkState::Cut || now.cuts != born.cuts || now.resets != born.resets {
                    return;
                }
            }
            _ = client.readable(), if held < HELD_BYTES_MAX => match client.try_read(&mut swallowed) {
                Ok(bytes) if bytes > 0 => held += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return,
            },
        }
    }
}

#[cfg(test)]
#[path = "tests/proxy.rs"]
mod tests;
