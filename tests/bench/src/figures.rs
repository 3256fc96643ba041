//! The table, and the results that are kept to compare commits.

use crate::{Failure, disk::beside_the_build};
use serde::{Deserialize, Serialize};
use std::{env, fs, fs::File, io::Write};

/// The figures of one subject.
pub struct Figures {
    subject: &'static str,
    rows: Vec<Row>,
}

/// One figure, as it stands in `target/bench/results.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    commit: String,
    subject: String,
    figure: String,
    unit: String,
    ours: f64,
    reference: Option<Reference>,
    #[serde(default)]
    target: Option<Target>,
}

/// What a figure is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    /// For the table: what is wanted, and whether it is there.
    fn verdict(self, value: f64) -> String {
        let wanted = match self {
            Self::AtMost(most) => format!("≤ {}", number(most)),
            Self::AtLeast(least) => format!("≥ {}", number(least)),
        };
        format!("{wanted} {}", if self.is_met_by(value) { "met" } else { "MISSED" })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reference {
    name: String,
    value: f64,
}

impl Figures {
    /// An empty table.
    pub const fn of(subject: &'static str) -> Self {
        Self { subject, rows: Vec::new() }
    }

    /// A figure that has nothing to stand beside.
    pub fn alone(&mut self, figure: &str, unit: &str, ours: f64) {
        self.add(figure, unit, ours, None);
    }

    /// A figure beside its reference of the same run. Gives ours ÷ reference.
    pub fn beside(&mut self, figure: &str, unit: &str, ours: f64, reference: (&str, f64)) -> f64 {
        let (name, value) = reference;
        self.add(figure, unit, ours, Some(Reference { name: name.to_owned(), value }));
        ours / value
    }

    /// What the figure entered last is to be.
    pub fn target(&mut self, target: Target) {
        if let Some(row) = self.rows.last_mut() {
            row.target = Some(target);
        }
    }

    /// Prints the table and the line on the limit, and keeps the results.
    ///
    /// # Errors
    /// The results cannot be kept.
    pub fn end(self, limit: &str) -> Result<(), Failure> {
        let folder = beside_the_build()?;
        fs::create_dir_all(&folder)?;
        let path = folder.join("results.jsonl");
        let earlier: Vec<Row> = fs::read_to_string(&path)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        print!("{}", self.table(&earlier));
        println!("{}: {limit}\n", self.subject);
        let mut kept = File::options().append(true).create(true).open(path)?;
        for row in &self.rows {
            writeln!(kept, "{}", serde_json::to_string(row)?)?;
        }
        Ok(())
    }

    fn add(&mut self, figure: &str, unit: &str, ours: f64, reference: Option<Reference>) {
        self.rows.push(Row {
            commit: env::var("BENCH_COMMIT").unwrap_or_default(),
            subject: self.subject.to_owned(),
            figure: figure.to_owned(),
            unit: unit.to_owned(),
            ours,
            reference,
            target: None,
        });
    }

    fn table(&self, earlier: &[Row]) -> String {
        let head = [self.subject, "unit", "ours", "reference", "", "ratio", "target", "last time"]
            .map(str::to_owned);
        let lines: Vec<[String; 8]> = [head]
            .into_iter()
            .chain(self.rows.iter().map(|row| {
                let reference = row.reference.as_ref();
                let last = earlier
                    .iter()
                    .rev()
                    .find(|other| other.subject == row.subject && other.figure == row.figure);
                [
                    row.figure.clone(),
                    row.unit.clone(),
                    number(row.ours),
                    reference.map(|reference| number(reference.value)).unwrap_or_default(),
                    reference.map(|reference| reference.name.clone()).unwrap_or_default(),
                    reference.map(|reference| number(row.ours / reference.value)).unwrap_or_default(),
                    row.target.map(|target| target.verdict(row.ours)).unwrap_or_default(),
                    last.map(|last| format!("{} ({})", number(last.ours), last.commit)).unwrap_or_default(),
                ]
            }))
            .collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        let mut table = String::new();
        for line in &lines {
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let right = matches!(column, 2 | 3 | 5);
                let cell = if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                table += &format!("{}{cell}", if column == 0 { "" } else { "  " });
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        table
    }
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_ours_the_reference_their_ratio_and_the_last_time() {
        let mut figures = Figures::of("store");
        figures.beside("records", "1/s", 800.0, ("fdatasync", 400.0));
        figures.target(Target::AtLeast(900.0));
        figures.alone("opening", "ms", 1.5);
        figures.target(Target::AtMost(2.0));
        let mut earlier = figures.rows.clone();
        earlier[0].commit = "f3117ec".to_owned();
        earlier[0].ours = 700.0;
        let table = figures.table(&earlier[..1]);
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["store", "unit", "ours", "reference", "ratio", "target", "last", "time"]);
        assert_eq!(
            words[1],
            ["records", "1/s", "800", "400", "fdatasync", "2.00", "≥", "900", "MISSED", "700", "(f3117ec)"]
        );
        assert_eq!(words[2], ["opening", "ms", "1.50", "≤", "2.00", "met"]);
    }
}
