//! What was done, step by step, and what came of it.

use super::chart::moment;
use super::records::Records;
use crate::run::event::{Actor, LabEvent, Level, ScenarioEvent, Stamped};
use crate::text::events::{self, EventLine};
use crate::text::words::visible;

/// Lines that are told of one step; the list of events has them all.
const LINES_MAX: usize = 8;
/// Chapters of a run without a scenario: what a person did, the first things.
const CHAPTERS_MAX: usize = 200;

/// A step of the scenario, or something that a person did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chapter {
    /// From 1; `None`: what comes after the last step.
    pub(super) number: Option<usize>,
    /// When it began, in microseconds; `None`: it did not.
    pub(super) began_us: Option<u64>,
    /// What it says, or else does.
    pub(super) title: String,
    /// What was done, where the title does not tell.
    pub(super) actions: Vec<String>,
    /// Why it failed, if it did.
    pub(super) failed: Option<String>,
    /// What came of it.
    pub(super) lines: Vec<EventLine>,
    /// How many more there are.
    pub(super) more: usize,
}

impl Chapter {
    /// When it began, for people.
    pub(super) fn began(&self) -> String {
        self.began_us.map_or("not reached".to_owned(), moment)
    }
}

/// The line for an event, if it has one.
pub(super) fn line(stamped: &Stamped) -> Option<EventLine> {
    let (level, text) = events::sentence(&stamped.event)?;
    Some(EventLine { t_us: stamped.t_us, level, text: visible(&text) })
}

/// All chapters in order: the scenario's steps, or what a person did.
pub(super) fn chapters(records: &Records) -> Vec<Chapter> {
    let mut chapters = match records.header().and_then(|header| header.scenario.as_ref()) {
        Some(scenario) => steps(&scenario.steps, &records.events),
        None => by_hand(&records.events),
    };
    happenings(&mut chapters, &records.events);
    chapters
}

fn steps(titles: &[String], events: &[Stamped]) -> Vec<Chapter> {
    let chapter = |(nth, title): (usize, &String)| Chapter {
        number: Some(nth + 1),
        title: visible(title),
        ..Chapter::default()
    };
    let mut chapters: Vec<Chapter> = titles.iter().enumerate().map(chapter).collect();
    for stamped in events {
        let t_us = stamped.t_us;
        let LabEvent::Scenario(event) = &stamped.event else { continue };
        match event {
            // Told first when it is waited for, and again when it begins.
            ScenarioEvent::Step { index, since_us, until_us, .. } => {
                if let Some(chapter) = nth(&mut chapters, *index) {
                    let waits = until_us.is_some() && chapter.began_us.is_none();
                    chapter.began_us = Some(if waits { t_us.max(*since_us) } else { *since_us });
                }
            }
            ScenarioEvent::StepDone { index } => {
                if let Some(chapter) = nth(&mut chapters, *index) {
                    chapter.began_us.get_or_insert(t_us);
                }
            }
            ScenarioEvent::StepFailed { index, why } => {
                if let Some(chapter) = nth(&mut chapters, *index) {
                    chapter.began_us.get_or_insert(t_us);
                    chapter.failed = Some(visible(why));
                }
            }
            ScenarioEvent::Settling { .. } => chapters.push(Chapter {
                began_us: Some(t_us),
                title: "Settling: stop the load, heal and restart everything, demand that all members become equal, \
                        read everything back."
                    .to_owned(),
                ..Chapter::default()
            }),
            _ => {}
        }
    }
    chapters
}

fn nth(chapters: &mut [Chapter], index: usize) -> Option<&mut Chapter> {
    chapters.get_mut(index.checked_sub(1)?)
}

fn by_hand(events: &[Stamped]) -> Vec<Chapter> {
    let mut chapters = Vec::new();
    for stamped in events {
        if let LabEvent::Action { by: Actor::Person, action, error } = &stamped.event
            && chapters.len() < CHAPTERS_MAX
        {
            chapters.push(Chapter {
                number: Some(chapters.len() + 1),
                began_us: Some(stamped.t_us),
                title: visible(&events::action(action)),
                failed: error.as_deref().map(visible),
                ..Chapter::default()
            });
        }
    }
    chapters
}

/// Gives every event's line to the chapter that had begun last by then.
fn happenings(chapters: &mut [Chapter], events: &[Stamped]) {
    for stamped in events {
        let begun = |chapter: &Chapter| chapter.began_us.is_some_and(|began| began <= stamped.t_us);
        let Some(chapter) = chapters.iter_mut().rev().find(|chapter| begun(chapter)) else { continue };
        match &stamped.event {
            LabEvent::Action { by: Actor::Step(_), action, error: None } => {
                let action = visible(&events::action(action));
                if chapter.actions.len() < LINES_MAX && action != chapter.title {
                    chapter.actions.push(action);
                }
            }
            // These are the chapters themselves.
            LabEvent::Scenario(_) | LabEvent::Action { by: Actor::Person, .. } => {}
            _ => {
                let Some(line) = line(stamped).filter(|line| line.level >= Level::Info) else { continue };
                if chapter.lines.len() < LINES_MAX {
                    chapter.lines.push(line);
                } else {
                    chapter.more += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::fixture;

    #[test]
    fn every_step_has_its_time_its_actions_and_what_came_of_it() {
        let chapters = chapters(&fixture::split_brain());
        let promotion =
            chapters.iter().find(|c| c.actions.iter().any(|d| d.contains("promote n2"))).expect("a step");
        assert!(promotion.lines.iter().any(|line| line.text.contains("n2 is primary of")), "{promotion:#?}");
        let begun: Vec<_> = chapters.iter().filter_map(|chapter| chapter.began_us).collect();
        assert!(begun.is_sorted(), "{begun:?}");
        assert!(chapters.last().expect("one").title.starts_with("Settling"));
    }

    #[test]
    fn without_a_scenario_the_story_is_what_a_person_did() {
        let chapters = chapters(&fixture::by_hand());
        assert!(chapters.iter().any(|chapter| chapter.title == "isolate n1"), "{chapters:#?}");
        assert!(chapters.iter().all(|chapter| chapter.lines.len() <= LINES_MAX));
    }
}
