//! The scenarios that are part of the program.

/// A scenario's file inside the program.
#[derive(Clone, Copy, Debug)]
pub struct Embedded {
    /// The file's stem, by which it is run.
    pub name: &'static str,
    /// The file.
    pub source: &'static str,
}

/// All of them, in the order of the store's story.
pub const EMBEDDED: [Embedded; 9] = [
    Embedded { name: "torn-tail", source: include_str!("../../scenarios/torn-tail.toml") },
    Embedded { name: "power-loss", source: include_str!("../../scenarios/power-loss.toml") },
    Embedded { name: "primary-crash", source: include_str!("../../scenarios/primary-crash.toml") },
    Embedded { name: "repoint", source: include_str!("../../scenarios/repoint.toml") },
    Embedded { name: "split-brain", source: include_str!("../../scenarios/split-brain.toml") },
    Embedded { name: "backlog", source: include_str!("../../scenarios/backlog.toml") },
    Embedded { name: "orphans", source: include_str!("../../scenarios/orphans.toml") },
    Embedded { name: "flood", source: include_str!("../../scenarios/flood.toml") },
    Embedded { name: "stale-replica", source: include_str!("../../scenarios/stale-replica.toml") },
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::Scenario;
    use super::*;

    #[test]
    fn every_file_is_embedded_and_valid() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut stems: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|e| e == "toml"))
            .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
            .collect();
        stems.sort();
        let mut names = EMBEDDED.map(|embedded| embedded.name.to_owned());
        names.sort();
        assert_eq!(stems, names);
        for embedded in EMBEDDED {
            let scenario = Scenario::parse(embedded.name, &embedded.file(), embedded.source);
            let scenario = scenario.unwrap_or_else(|e| panic!("{e}"));
            assert!(scenario.episode.is_some() && scenario.story.is_some(), "{}", embedded.name);
            assert!(scenario.estimate() < Duration::from_secs(25), "{}", embedded.name);
        }
    }
}
