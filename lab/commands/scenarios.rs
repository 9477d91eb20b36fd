//! `kvlab scenarios`: what comes with the program.

use std::fmt::Write as _;

use super::support::exit::{CommandError, Exit};
use super::support::output;
use super::support::table::row;
use crate::cli::ScenariosArgs;
use crate::scenario::{self, EMBEDDED, Embedded, Scenario};

pub fn run(args: &ScenariosArgs) -> Result<Exit, CommandError> {
    match &args.show {
        None => output::print(list()?)?,
        Some(name) => output::print(find(name)?.source)?,
    }
    Ok(Exit::Done)
}

fn find(name: &str) -> Result<Embedded, CommandError> {
    Embedded::named(name).ok_or_else(|| unknown(name))
}

/// What to say of a name that the program does not know.
pub(super) fn unknown(name: &str) -> CommandError {
    let names = EMBEDDED.map(|embedded| embedded.name);
    let hint = match scenario::closest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let episodes = EMBEDDED.into_iter().filter(|embedded| !embedded.is_museum());
            let episodes = episodes.map(|episode| episode.name).collect::<Vec<_>>().join(", ");
            format!(
                "there are {episodes} and the museum's (see `kvlab scenarios`); a file is named with its path, like ./my.toml"
            )
        }
    };
    Exit::Usage.because(format!("there is no scenario `{}`: {hint}", name.escape_debug()))
}

fn list() -> Result<String, CommandError> {
    let mut out = String::new();
    let mut museum = false;
    for embedded in EMBEDDED {
        if embedded.is_museum() && !std::mem::replace(&mut museum, true) {
            let _ = writeln!(out, "\nThe bug museum: famous mistakes, made on purpose (docs/museum.md)");
        }
        let scenario = Scenario::parse(embedded.name, &embedded.file(), embedded.source)
            .map_err(|e| Exit::Usage.because(e))?;
        let episode = scenario.episode.as_deref().unwrap_or("-");
        let lasts = format!("about {} s", scenario.estimate().as_secs());
        row(&mut out, &[24, 14, 11, 0], [&scenario.name, episode, &lasts, &scenario.title]);
    }
    let _ =
        writeln!(out, "\nPlay one: kvlab run {}    Read one: kvlab scenarios --show NAME", EMBEDDED[0].name);
    Ok(out)
}
