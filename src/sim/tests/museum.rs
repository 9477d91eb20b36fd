//! The bug museum in the simulator: each quirk must be found, within a stated number of seeds, by what the clients saw
//! alone; and from inside as well. Without the quirk the same seeds are clean. `docs/museum.md` states the numbers.

use crate::sim::{SeedOutcome, SimOptions, simulate};
use crate::types::{Quirk, Quirks};

/// The judge must find a quirk within so many seeds.
const fn seeds(quirk: Quirk) -> u64 {
    match quirk {
        Quirk::DynamicQuorum | Quirk::HighestSeqRead | Quirk::LocalQuorumRead => 20,
        Quirk::AckBeforeSync | Quirk::NoLineageCheck => 100,
        Quirk::NoFence | Quirk::VoteAmnesia | Quirk::NoLearners => 300,
        Quirk::CountOldEpochs => 1000,
    }
}

/// The first of these seeds in which something is broken. A quirk breaks promises; it makes nothing panic.
fn first_broken(options: &SimOptions, seeds: u64) -> Option<SeedOutcome> {
    (0..seeds).map(|seed| simulate(seed, options)).find(|outcome| {
        assert_eq!(outcome.panic, None, "seed {}", outcome.seed);
        outcome.violation.is_some()
    })
}

fn find(quirk: Quirk) {
    let judged = SimOptions::for_quirks(quirk.into());
    let with = SimOptions { judge_only: false, ..judged.clone() };
    let without = SimOptions { quirks: Quirks::NONE, ..with.clone() };
    let outcome = first_broken(&judged, seeds(quirk));
    let outcome = outcome.unwrap_or_else(|| panic!("{quirk}: nothing was broken in {} seeds", seeds(quirk)));
    let violation = outcome.violation.expect("a broken seed");
    println!("{quirk}: seed {}, {violation}", outcome.seed);
    assert!(violation.finding.is_some(), "{quirk}: not by what the clients saw, but: {violation}");

    let inside = first_broken(&with, outcome.seed + 1).expect("from inside it is seen at least as early");
    println!("{quirk}: from inside seed {}, {}", inside.seed, inside.violation.expect("a broken seed"));

    for seed in 0..=outcome.seed {
        let clean = simulate(seed, &without);
        assert_eq!((clean.violation, clean.panic), (None, None), "seed {seed} is not clean without {quirk}");
    }
}

macro_rules! rooms {
    ($($name:ident: $quirk:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                find(Quirk::$quirk);
            }
        )*

        #[test]
        fn every_quirk_has_a_room() {
            assert_eq!([$(Quirk::$quirk),*], Quirk::ALL);
        }
    };
}

rooms! {
    a_quorum_that_shrinks_is_found: DynamicQuorum,
    the_highest_seq_is_found: HighestSeqRead,
    a_forgotten_fan_out_is_found: LocalQuorumRead,
    a_vote_that_does_not_bind_is_found: NoFence,
    a_forgotten_vote_is_found: VoteAmnesia,
    an_acknowledgement_before_the_sync_is_found: AckBeforeSync,
    logs_joined_by_seq_alone_are_found: NoLineageCheck,
    counting_old_epochs_is_found: CountOldEpochs,
    a_member_that_forgot_is_found: NoLearners,
}
