//! Which connection waits for which answer of the core.

use std::rc::Rc;

use tokio::sync::OwnedSemaphorePermit;

use super::conn::Conn;
use crate::replication::RequestId;

/// Who waits for an answer.
#[derive(Debug)]
pub(super) struct Route {
    /// The client's connection.
    pub(super) conn: Rc<Conn>,
    /// The client's name for the request.
    pub(super) id: u64,
    /// Its share of the memory for large requests, given back with the answer.
    #[expect(dead_code, reason = "held until it is dropped, never looked at")]
    pub(super) held: Option<OwnedSemaphorePermit>,
}

/// Requests that the core has not answered, under the names that the core knows them by. A name is a slot and how
/// often it has been used, so names do not repeat, and looking one up is an index.
#[derive(Debug, Default)]
pub(super) struct Routes {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    uses: u32,
    route: Option<Route>,
}

impl Routes {
    /// Names a request.
    pub(super) fn insert(&mut self, route: Route) -> RequestId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("requests are bounded far below 2^32")
        });
        let slot = &mut self.slots[index as usize];
        debug_assert!(slot.route.is_none());
        slot.uses = slot.uses.wrapping_add(1);
        slot.route = Some(route);
        RequestId(u64::from(slot.uses) << 32 | u64::from(index))
    }

    /// Forgets a request that is answered now; `None` if it was before.
    pub(super) fn take(&mut self, request: RequestId) -> Option<Route> {
        let index = u32::try_from(request.0 & u64::from(u32::MAX)).expect("masked");
        let slot =
            self.slots.get_mut(index as usize).filter(|slot| u64::from(slot.uses) == request.0 >> 32)?;
        let route = slot.route.take()?;
        self.free.push(index);
        Some(route)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_name_finds_its_route_once_and_is_not_reused() {
        let conn = Rc::new(Conn::new(SocketAddr::from(([127, 0, 0, 1], 9)), Rc::default()));
        let route = |id| Route { conn: conn.clone(), id, held: None };
        let mut routes = Routes::default();
        let (a, b) = (routes.insert(route(10)), routes.insert(route(11)));
        assert_eq!(routes.len(), 2);
        assert_eq!(routes.take(a).map(|r| r.id), Some(10));
        assert_eq!(routes.take(a).map(|r| r.id), None);
        let c = routes.insert(route(12));
        assert_ne!(a, c);
        assert_eq!(routes.take(a).map(|r| r.id), None);
        assert_eq!(routes.take(c).map(|r| r.id), Some(12));
        assert_eq!(routes.take(b).map(|r| r.id), Some(11));
        assert_eq!(routes.len(), 0);
        assert_eq!(routes.take(RequestId(77)).map(|r| r.id), None);
    }
}
