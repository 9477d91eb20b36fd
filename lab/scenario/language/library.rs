//! The scenarios that are part of the program.

/// A scenario's file inside the program.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The file's path below `scenarios/`, without its ending, by which it is run: `split-brain`, `museum/no-fence`.
    pub name: &'static str,
    /// The file.
    pub source: &'static str,
}

/// What the names of the bug museum's scenarios begin with.
pub const MUSEUM: &str = "museum/";

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        [$(Embedded { name: $name, source: include_str!(concat!("../../../scenarios/", $name, ".toml")) }),*]
    };
}

/// All of them: first the episodes, in the order of the store's story, then the museum, in the order of its rooms.
pub const EMBEDDED: [Embedded; 18] = embedded![
    "torn-tail",
    "power-loss",
    "primary-crash",
    "repoint",
    "split-brain",
    "backlog",
    "orphans",
    "flood",
    "stale-replica",
    "museum/dynamic-quorum",
    "museum/highest-seq-read",
    "museum/local-quorum-read",
    "museum/no-fence",
    "museum/vote-amnesia",
    "museum/ack-before-sync",
    "museum/no-lineage-check",
    "museum/count-old-epochs",
    "museum/no-learners",
];

impl Embedded {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        EMBEDDED.into_iter().find(|embedded| embedded.name == name)
    }

    /// What messages call its file.
    pub fn file(self) -> String {
        format!("scenarios/{}.toml", self.name)
    }

    /// Whether it is a room of the bug museum.
    pub fn is_museum(self) -> bool {
        self.name.starts_with(MUSEUM)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kvlab::types::Quirk;

    use super::*;
    use crate::scenario::language::measure::Expected;
    use crate::scenario::language::model::Scenario;

    #[expect(clippy::disallowed_methods, reason = "lists a folder")]
    fn stems(folder: &str, prefix: &str) -> Vec<String> {
        let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .filter_map(|path| Some(format!("{prefix}{}", path.file_stem()?.to_str()?)))
            .collect()
    }

    fn parsed(embedded: Embedded) -> Scenario {
        let scenario = Scenario::parse(embedded.name, &embedded.file(), embedded.source);
        scenario.unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn every_file_is_embedded_and_valid() {
        let mut files = [stems("scenarios", ""), stems("scenarios/museum", MUSEUM)].concat();
        files.sort();
        let mut names = EMBEDDED.map(|embedded| embedded.name.to_owned());
        names.sort();
        assert_eq!(files, names);
        for embedded in EMBEDDED {
            let scenario = parsed(embedded);
            assert!(scenario.episode.is_some() && scenario.story.is_some(), "{}", embedded.name);
            assert!(scenario.estimate() < Duration::from_secs(25), "{}", embedded.name);
        }
    }

    #[test]
    fn the_museum_has_a_room_for_each_quirk_which_expects_a_promise_to_break() {
        let rooms: Vec<_> = EMBEDDED.into_iter().filter(|e| e.is_museum()).collect();
        let names: Vec<_> = rooms.iter().map(|room| room.name.to_owned()).collect();
        assert_eq!(names, Quirk::ALL.map(|quirk| format!("{MUSEUM}{quirk}")));
        for (room, quirk) in rooms.into_iter().zip(Quirk::ALL) {
            let scenario = parsed(room);
            assert_eq!(scenario.cluster.settings.quirks, quirk.into(), "{}", room.name);
            let is_broken = scenario.expect.iter().any(|expect| {
                expect.measure.demands().is_some_and(|demand| match (demand, expect.expected) {
                    (Expected::Flag(_), expected) => expected != demand,
                    (_, expected) => expected.to_string() == ">0",
                })
            });
            assert!(is_broken, "{}: expects nothing that should not be", room.name);
        }
    }
}
