//! Tables of text.

use std::fmt::{Display, Write as _};

/// Adds a row to a table: each cell as wide as its column at least.
pub fn row(table: &mut String, widths: &[usize], cells: impl IntoIterator<Item = impl Display>) {
    let padded = cells.into_iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    let _ = writeln!(table, "{}", padded.collect::<Vec<_>>().join(" ").trim_end());
}
