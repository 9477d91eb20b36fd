//! The moments of a run that one may want to go to: steps, faults, promotions, broken promises.

use kvlab::types::{Event, Report};

use crate::action::Action;
use crate::run::event::{Actor, Header, LabEvent, ScenarioEvent};
use crate::text::{events, words};

/// No mark is wider, in cells.
const WIDTH_MAX: usize = 120;

/// What the mark of this event says; `None`: it has none.
pub(super) fn mark(event: &LabEvent, header: Option<&Header>) -> Option<String> {
    let text = match event {
        // It is waited for its time, or it does nothing but wait.
        LabEvent::Scenario(ScenarioEvent::Step { say: None, until_us: Some(_), .. }) => return None,
        LabEvent::Scenario(ScenarioEvent::Step { index, say, .. }) => {
            let outline = || header?.scenario.as_ref()?.steps.get(index.checked_sub(1)?).cloned();
            format!("{index}. {}", say.clone().or_else(outline).unwrap_or_default())
        }
        LabEvent::Scenario(ScenarioEvent::Settling { .. }) => "settling".to_owned(),
        // A step has a mark of its own.
        LabEvent::Action { by: Actor::Person, action, error: None } if is_fault(action) => {
            events::action(action)
        }
        LabEvent::Node { report: Report::Event { event: Event::EpochOpened { .. }, .. }, .. }
        | LabEvent::Violation(_) => events::sentence(event)?.1,
        _ => return None,
    };
    Some(words::clip(&words::visible(&text), WIDTH_MAX).into_owned())
}

fn is_fault(action: &Action) -> bool {
    use Action as A;
    !matches!(
        action,
        A::Put { .. } | A::Get { .. } | A::Del { .. } | A::Load { .. } | A::Rate { .. } | A::Cleanup { .. }
    )
}
