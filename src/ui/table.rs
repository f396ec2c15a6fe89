//! Rows in aligned columns, for a person. Pure text.

use crate::doors::term;

/// Aligns rows by their columns, two spaces apart; the last column is as long as it is. `numbers` are the columns that
/// are aligned to the right.
pub fn columns(rows: &[Vec<String>], numbers: &[usize]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| term::columns(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let gap = " ".repeat(widths[column] - term::columns(cell));
            if numbers.contains(&column) { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_space() {
        let rows = [["ID", "PRICE", ""], ["gemini", "0.30", "!"], ["設ä", "10.00", ""]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(columns(&rows, &[1]), "ID      PRICE\ngemini   0.30  !\n設ä     10.00");
    }
}
