//! The screen's state as a keyframe of the run's events.
//!
//! A field that is added to [`ViewState`], or to what is in it, raises
//! [`KEYFRAME_VERSION`](crate::run::keyframe::KEYFRAME_VERSION).

use super::ViewState;
use crate::run::event::Stamped;
use crate::run::keyframe::{Keyframe, KeyframeState};

impl KeyframeState for ViewState {
    fn observe(&mut self, event: &Stamped) {
        self.apply(event);
    }

    fn keyframe(&self) -> Keyframe {
        Keyframe::of(self.now_us, self)
    }
}
