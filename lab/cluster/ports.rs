//! Ports that stay a node's own, also while the node is down.
//!
//! A node that is killed and started again must come back under its address: clients, proxies and a person's
//! `redis-cli` know it. So the lab picks every port and holds it: a socket that is bound but does not listen
//! keeps the kernel from giving the port away, while connections are refused as they must be, and the node may
//! still listen there (both set `SO_REUSEADDR`, as every server does).
//!
//! Not handled: outside Linux that does not work, and the port is merely likely to be free.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use kvlab::types::NodeId;
use tokio::net::TcpSocket;

use crate::run::event::{LabEvent, Level};
use crate::run::journal::Journal;

/// The client port of node n is this plus n, if it is free.
const WELL_KNOWN_BASE: u16 = 7000;

/// A client port and a peer port of each member.
pub(super) type Ports = BTreeMap<NodeId, (Reserved, Reserved)>;

/// A loopback port, ours until dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    address: SocketAddr,
    _held: Option<TcpSocket>,
    #[cfg(target_os = "linux")]
    _name: Option<std::os::unix::net::UnixListener>,
}

impl Reserved {
    /// Any free port.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn any() -> io::Result<Self> {
        let (address, held) = bind(0)?;
        Ok(Self {
            address,
            _held: held,
            #[cfg(target_os = "linux")]
            _name: None,
        })
    }

    /// This port.
    ///
    /// # Errors
    /// If somebody listens there, or another lab holds it.
    pub(super) fn exactly(port: u16) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        let name = Some(claim(port)?);
        let (address, held) = bind(port)?;
        Ok(Self {
            address,
            _held: held,
            #[cfg(target_os = "linux")]
            _name: name,
        })
    }

    /// Where a node is to listen.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Ports for all members. With `well_known`, those that a person expects are taken where they are free, and the journal
/// says which.
///
/// # Errors
/// If there is no free port.
pub(super) fn reserve(members: &[NodeId], well_known: bool, journal: &Journal) -> anyhow::Result<Ports> {
    let mut ports = Ports::new();
    for &node in members {
        let wanted = WELL_KNOWN_BASE + u16::from(node.0);
        let any = || Reserved::any().context("no free port on the loopback interface");
        let client = match well_known.then(|| Reserved::exactly(wanted)) {
            None => any()?,
            Some(Ok(port)) => port,
            Some(Err(error)) => {
                let port = any()?;
                let text =
                    format!("port {wanted} is taken ({error}): {node} takes clients at {}", port.address());
                journal.emit(LabEvent::Notice { level: Level::Warn, text });
                port
            }
        };
        ports.insert(node, (client, any()?));
    }
    if well_known {
        let each = ports.iter().map(|(node, (client, _))| format!("{node} {}", client.address()));
        let text = format!("clients: {}", each.collect::<Vec<_>>().join(", "));
        journal.emit(LabEvent::Notice { level: Level::Info, text });
    }
    Ok(ports)
}

#[expect(clippy::disallowed_methods, reason = "holds a port with a real socket")]
fn bind(port: u16) -> io::Result<(SocketAddr, Option<TcpSocket>)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let address = socket.local_addr()?;
    Ok((address, cfg!(target_os = "linux").then_some(socket)))
}

/// Two labs could hold one port by the same trick until one of their nodes listens. A name that the kernel
/// gives to one process only, and takes back however that ends, keeps them apart.
#[cfg(target_os = "linux")]
fn claim(port: u16) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    UnixListener::bind_addr(&SocketAddr::from_abstract_name(format!("kvlab/client-port/{port}"))?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "real sockets")]
    async fn a_reserved_port_refuses_until_its_node_listens_and_again_after() {
        let port = Reserved::any().expect("a port");
        for _ in 0..3 {
            assert!(TcpStream::connect(port.address()).await.is_err());
            let node = TcpListener::bind(port.address()).await.expect("the node may listen");
            let client = TcpStream::connect(port.address()).await.expect("accepted");
            drop((node, client));
        }
    }

    #[test]
    fn one_port_has_one_lab() {
        // Held meanwhile, so that no other test is given it.
        let held = Reserved::any().expect("a port");
        let port = held.address().port();
        let first = Reserved::exactly(port).expect("free");
        assert_eq!(first.address().port(), port);
        let error = Reserved::exactly(port).expect_err("held by the first");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        Reserved::exactly(port).expect("free again");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "real sockets")]
    fn a_port_with_a_listener_is_not_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let error = Reserved::exactly(port).expect_err("somebody listens");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
