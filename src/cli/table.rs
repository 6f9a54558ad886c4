//! Lines whose columns stand below each other.

use crate::report::{Paint, Tone};

/// Rows under a heading; the last column is as long as it is.
pub(super) fn aligned<const N: usize>(heading: [&str; N], rows: &[[String; N]], paint: Paint) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let head = line(&heading.map(ToOwned::to_owned));
    std::iter::once(paint.tone(Tone::Strong, &head)).chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows =
            [["web".to_owned(), "10".to_owned(), String::new()], ["database".to_owned(), "1".to_owned(), "new".to_owned()]];
        let lines = aligned(["NAME", "N", "NOTE"], &rows, Paint::Plain);
        assert_eq!(lines, ["NAME      N   NOTE", "web       10", "database  1   new"]);
    }
}
