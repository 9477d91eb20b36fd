//! Events → state. Pure: no I/O, no clock, nothing random, everything bounded.
//!
//! [`ViewState`] is the fold, and `keyframe` writes it down. `health` derives from it how each member is, `situation` how the cluster is.

mod health;
mod keyframe;
mod lesson;
mod links;
mod load;
mod node;
mod ring;
mod scenario;
mod situation;
mod view;

pub use self::health::{Health, Severity};
pub use self::lesson::LessonStep;
pub use self::load::Column;
pub use self::node::{Freshness, NodeView};
pub use self::ring::Ring;
pub use self::scenario::{ScenarioPhase, ScenarioView, StepState};

pub use self::view::ViewState;
