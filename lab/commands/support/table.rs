//! Tables of text.

use std::fmt::{Display, Write as _};

/// Adds a row to a table: each cell as wide as its column at least, the last as it is.
pub fn row<const N: usize>(table: &mut String, widths: [usize; N], cells: [impl Display; N]) {
    let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
    let _ = writeln!(table, "{}", padded.collect::<Vec<_>>().join(" ").trim_end());
}
