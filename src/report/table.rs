//! The tables of a run folder, as series over its epochs.

use crate::train::TrainError;
use std::path::Path;

/// A table with a heading and tabs between its columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
}

impl Table {
    /// Reads a file; an empty table if it is missing. A last line that was torn is left out, and what is no number is NaN.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(TrainError::File { action: "read", path: path.to_path_buf(), source }),
        }
    }

    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let names: Vec<String> = lines.next().unwrap_or_default().split('\t').map(str::to_string).collect();
        let numbers = |line: &str| line.split('\t').map(|v| v.parse().unwrap_or(f64::NAN)).collect::<Vec<f64>>();
        let rows = lines.map(numbers).filter(|row| row.len() == names.len()).collect();
        Table { names, rows }
    }

    /// (epoch, value) of a column, where the value is a finite number.
    pub fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let find = |name: &str| self.names.iter().position(|n| n == name);
        let (Some(epoch), Some(column)) = (find("epoch"), find(name)) else { return Vec::new() };
        let points = self.rows.iter().map(|row| (row[epoch], row[column]));
        points.filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let table = Table::parse("iteration\tepoch\tnmi\n40\t1\t0.5\n80\t2\tNaN\n120\t3\t0.75\n160\t4");
        assert_eq!(table.series("nmi"), [(1.0, 0.5), (3.0, 0.75)], "without a torn line and what is no number");
        assert!(table.series("loss").is_empty());
        assert!(Table::parse("").series("epoch").is_empty());
        let missing = Table::read(Path::new("/nonexistent/table.tsv")).expect("a missing table is empty");
        assert_eq!(missing, Table::default());
    }
}
