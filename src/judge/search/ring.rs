//! Which operations are left, in an order that never changes: taking one out and putting it back costs nothing.

/// A ring of numbers below a bound, linked in some order through [`Ring::head`]. Numbers are put back in the reverse
/// of the order in which they were taken out (Knuth's dancing links).
#[derive(Debug)]
pub(super) struct Ring {
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Ring {
    /// The members in their order, all below `bound`.
    pub(super) fn new(bound: u32, members: impl Iterator<Item = u32>) -> Self {
        let links = vec![bound; bound as usize + 1];
        let mut ring = Self { next: links.clone(), previous: links };
        for member in members {
            let last = ring.previous[bound as usize];
            ring.next[last as usize] = member;
            ring.previous[member as usize] = last;
            ring.previous[bound as usize] = member;
        }
        ring
    }

    /// What ends every walk: it is no member.
    pub(super) fn head(&self) -> u32 {
        self.next.len() as u32 - 1
    }

    /// The first member, or the head.
    pub(super) fn first(&self) -> u32 {
        self.next[self.next.len() - 1]
    }

    /// The one after a member, or the head. Of one taken out: what came after it then.
    pub(super) fn next(&self, member: u32) -> u32 {
        self.next[member as usize]
    }

    pub(super) fn take_out(&mut self, member: u32) {
        let (previous, next) = (self.previous[member as usize], self.next[member as usize]);
        self.next[previous as usize] = next;
        self.previous[next as usize] = previous;
    }

    /// The reverse of the last `take_out` that was not reversed yet.
    pub(super) fn put_back(&mut self, member: u32) {
        let (previous, next) = (self.previous[member as usize], self.next[member as usize]);
        self.next[previous as usize] = member;
        self.previous[next as usize] = member;
    }
}
