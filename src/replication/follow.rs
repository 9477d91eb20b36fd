//! An operator tells a member whom to follow.
//!
//! Redis's `REPLICAOF host port` turns a replica to any primary, and throws its data away for it. Here every member
//! follows the highest epoch that it has heard of, by itself, so there is little left to tell: *hurry*. The member
//! connects to that primary at once instead of when its pause is over, names the end of its log again, and answers as
//! soon as it has heard from it. What it never does is to follow an epoch below its promise: that would let a primary
//! that is over collect acknowledgements again.

use super::core::Core;
use super::io::{Effect, RequestId};
use crate::types::{Epoch, FOLLOW_TIMEOUT, Failure, NodeId, Reply, Time, Unfollowed};

/// An order to follow `primary`, until that is heard as a primary, or `ends`.
#[derive(Debug)]
pub(super) struct FollowOrder {
    /// The request to be answered.
    request: RequestId,
    /// Whom to follow.
    primary: NodeId,
    /// When it is given up.
    pub(super) ends: Time,
}

impl Core {
    pub(super) fn on_follow(&mut self, request: RequestId, primary: NodeId) {
        if primary == self.config.id {
            let why = format!("{primary} cannot follow itself; to make it the primary, promote it");
            return self.fail(request, Failure::Invalid(why));
        }
        if !self.config.members.contains(&primary) {
            let why = format!("{primary} is not a member of this cluster");
            return self.fail(request, Failure::Invalid(why));
        }
        if self.follow_order.is_some() {
            return self.fail(request, Failure::Busy("this node is just being told whom to follow".into()));
        }
        self.follow_order = Some(FollowOrder { request, primary, ends: self.now + FOLLOW_TIMEOUT });
        self.emit(Effect::Dial { to: primary });
        if let Some(following) = self.following_mut().filter(|following| following.epoch.node == primary) {
            following.asked = None;
            self.ask_for_entries();
        }
    }

    /// This node follows `epoch` and has just heard from its primary.
    pub(super) fn follow_obeyed(&mut self, epoch: Epoch) {
        if let Some(order) = self.follow_order.take_if(|order| order.primary == epoch.node) {
            self.reply(order.request, Reply::Following { epoch });
        }
    }

    /// This node does not follow `primary`.
    pub(super) fn follow_refused(&mut self, primary: NodeId, why: Unfollowed) {
        if let Some(order) = self.follow_order.take_if(|order| order.primary == primary) {
            self.fail(order.request, Failure::FollowRefused { primary, why });
        }
    }

    pub(super) fn follow_on_time(&mut self) {
        let now = self.now;
        if let Some(order) = self.follow_order.take_if(|order| order.ends <= now) {
            let (primary, why) = (order.primary, Unfollowed::Silent);
            self.fail(order.request, Failure::FollowRefused { primary, why });
        }
    }

    /// The process ends before anything came of the order: nothing has changed.
    pub(super) fn leave_follow_order(&mut self) {
        if let Some(order) = self.follow_order.take() {
            self.fail(order.request, Failure::Stopping);
        }
    }
}
