//! The form of a golden script: blocks of commands, each followed by what they print.

use std::time::Duration;

use crate::sim::network::Link;
use crate::types::NodeId;

/// Commands, and what they printed when the script was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Everything above the separator as it stands in the file: comments, blank lines, commands.
    pub(super) input: String,
    /// The commands with their line numbers, from 1.
    pub(super) commands: Vec<(usize, String)>,
    /// Everything below the separator, up to the next blank line.
    pub(super) output: String,
}

const SEPARATOR: &str = "---";

/// Takes a script apart.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let (mut input, mut commands) = (String::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        if line == SEPARATOR {
            let output: String = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.is_empty())
                .map(|line| format!("{line}\n"))
                .collect();
            let input = std::mem::take(&mut input);
            blocks.push(Block { input, commands: std::mem::take(&mut commands), output });
            continue;
        }
        input += &format!("{line}\n");
        let command = line.split(" #").next().unwrap_or_default().trim();
        if !command.is_empty() && !command.starts_with('#') {
            commands.push((i + 1, command.to_owned()));
        }
    }
    match commands.first() {
        Some((line, _)) => Err(format!("line {line}: a block that does not end in {SEPARATOR}")),
        None => Ok(blocks),
    }
}

/// Puts a script together.
pub(super) fn text(blocks: &[Block]) -> String {
    let parts: Vec<_> =
        blocks.iter().map(|block| format!("{}{SEPARATOR}\n{}", block.input, block.output)).collect();
    parts.join("\n")
}

/// `n1`.
pub(super) fn node(word: &str) -> Result<NodeId, String> {
    word.parse().map_err(|error| format!("{error}"))
}

/// `n1->n2`.
pub(super) fn link(word: &str) -> Result<Link, String> {
    let (from, to) = word.split_once("->").ok_or_else(|| format!("{word:?} is not a link like n1->n2"))?;
    Ok((node(from)?, node(to)?))
}

/// `100ms`, `5s`.
pub(super) fn duration(word: &str) -> Result<Duration, String> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("{word:?} is not a duration like 100ms"))?;
    match &word[digits.len()..] {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        unit => Err(format!("{word:?}: {unit:?} is not us, ms or s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "# Why.\n\nput n1 k=v # now\npersist n1\n---\nx\n  y\n\nstatus\n---\nz\n";

    #[test]
    fn a_script_is_blocks() {
        let blocks = blocks(SCRIPT).unwrap();
        assert_eq!(blocks.len(), 2);
        assert_eq!(blocks[0].commands, [(3, "put n1 k=v".to_owned()), (4, "persist n1".to_owned())]);
        assert_eq!(blocks[0].output, "x\n  y\n");
        assert_eq!(text(&blocks), SCRIPT);
    }

    #[test]
    fn a_block_without_an_end_is_an_error() {
        assert_eq!(blocks("status\n").unwrap_err(), "line 1: a block that does not end in ---");
    }

    #[test]
    fn words() {
        assert_eq!(link("n1->n2"), Ok((NodeId(1), NodeId(2))));
        assert!(link("n1-n2").is_err() && link("n1->x").is_err());
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert!(duration("100").is_err() && duration("ms").is_err() && duration("1h").is_err());
    }
}
