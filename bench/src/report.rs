//! The tables: Markdown that can be read in a terminal as well.

use std::fmt::Write;
use std::time::Duration;

use crate::results::{Growth, Measure, Results, Spread};

/// A whole run, as text.
pub struct Report<'a> {
    pub results: &'a Results,
    /// Label and value.
    pub machine: Vec<(String, String)>,
    pub took: Duration,
}

impl Report<'_> {
    /// Everything, as it is printed and written down.
    pub fn long(&self) -> String {
        let mut text = String::from(
            "# Results\n\nWritten by `make bench`; [README.md](README.md) says what each case measures and how to \
             read it.\nCost is CPU time (user and system) of the program under test by unit of work; the ratio is \
             oneport by HAProxy,\nthe median of the rounds, with the smallest and the largest round in \
             parentheses.\n\n",
        );
        for (label, value) in &self.machine {
            let _ = writeln!(text, "- {label}: {value}");
        }
        let _ = writeln!(text, "- Whole run: {} s, without building\n", self.took.as_secs());
        text + &self.short()
    }

    /// The tables alone.
    fn short(&self) -> String {
        let sections = [
            ("Cost", self.costs()),
            ("Growth", self.growth()),
            ("Goals", self.goals()),
            ("Throughput and latency, for information", self.speeds()),
            ("System calls by unit of work", self.calls()),
        ];
        let mut text = String::new();
        for (title, body) in sections.iter().filter(|(_, body)| !body.is_empty()) {
            let _ = writeln!(text, "## {title}\n\n{body}");
        }
        text
    }

    /// The main table and its notes.
    fn costs(&self) -> String {
        if self.results.measures.is_empty() {
            return String::new();
        }
        let mut notes = Notes::default();
        let mut table =
            Table::new(&["case", "what", "unit", "oneport", "HAProxy", "ratio", "sslh", "nginx", "notes"]);
        for measure in &self.results.measures {
            let of = |program: &str| measure.of(program).map_or("–".into(), |spread| number(spread.median));
            let reference = measure.reference();
            let mut all = measure.notes.clone();
            all.extend(other_haproxies(measure));
            table.row(vec![
                measure.case.clone(),
                measure.title.clone(),
                measure.unit.into(),
                of("oneport"),
                reference.map_or("–".into(), of),
                measure.ratio().map_or("–".into(), ratio),
                of("sslh"),
                of("nginx"),
                notes.marks(&all),
            ]);
        }
        format!("{}\n{}", table.text(), notes.text())
    }

    fn growth(&self) -> String {
        let mut text = String::new();
        for (title, group) in by_header(&self.results.growth) {
            let sizes: Vec<usize> = group[0].values[0].1.iter().map(|(size, _)| *size).collect();
            let mut header = vec![format!("by {title}"), "unit".into(), "program".into()];
            header.extend(sizes.iter().map(ToString::to_string));
            let factor = group.iter().find_map(|growth| growth.compared);
            header.extend(factor.map(|(base, large, _)| format!("{large} / {base}")));
            let mut table = Table { rows: vec![header] };
            for growth in group {
                for (program, values) in &growth.values {
                    let mut row = vec![growth.title.clone(), growth.unit.into(), program.clone()];
                    row.extend(values.iter().map(|(_, value)| number(*value)));
                    if factor.is_some() {
                        row.push(growth.factor(program).map_or("–".into(), |factor| format!("{factor:.2}")));
                    }
                    table.row(row);
                }
            }
            let _ = writeln!(text, "{}", table.text());
        }
        text
    }

    /// What was to be reached and what was.
    fn goals(&self) -> String {
        let mut table = Table::new(&["case", "what", "goal", "reached", "met"]);
        let met = |met: bool| if met { "yes" } else { "**no**" }.to_string();
        for measure in &self.results.measures {
            let title = format!("{}, {}", measure.title, measure.unit);
            if let (Some(goal), Some(ratio)) = (measure.goal, measure.ratio()) {
                let row = [&measure.case, &title, &format!("≤ {goal:.2}"), &format!("{:.2}", ratio.median)];
                table.row(row.into_iter().cloned().chain([met(ratio.median <= goal)]).collect());
            } else if let ("9", Some(ours)) = (measure.case.as_str(), measure.of("oneport")) {
                let row = [&measure.case, &title, &"0".to_string(), &number(ours.median)];
                table.row(row.into_iter().cloned().chain([met(ours.median == 0.0)]).collect());
            }
        }
        for growth in &self.results.growth {
            if let (Some((base, large, goal)), Some(factor)) = (growth.compared, growth.factor("oneport")) {
                let title = format!("{}: {large} {} by {base}", growth.title, growth.of);
                let row = [
                    "growth".into(),
                    title,
                    format!("≤ {goal:.2}"),
                    format!("{factor:.2}"),
                    met(factor <= goal),
                ];
                table.row(row.into());
            }
        }
        if table.rows.len() > 1 { table.text() } else { String::new() }
    }

    fn speeds(&self) -> String {
        if self.results.speeds.is_empty() {
            return String::new();
        }
        let mut table =
            Table::new(&["case", "what", "program", "speed", "unit", "p50 µs", "p90 µs", "p99 µs"]);
        for speed in &self.results.speeds {
            let mut row = vec![speed.case.clone(), speed.title.clone(), speed.program.clone()];
            row.extend([number(speed.per_second), speed.unit.into()]);
            row.extend(match speed.latency {
                Some(latency) => [latency.p50, latency.p90, latency.p99].map(number),
                None => ["–"; 3].map(String::from),
            });
            table.row(row);
        }
        table.text()
    }

    fn calls(&self) -> String {
        if self.results.calls.is_empty() {
            return String::new();
        }
        let mut table = Table::new(&["case", "what", "program", "calls", "to HAProxy", "which"]);
        for calls in &self.results.calls {
            let same = |program: &str| {
                let mut of_case = self.results.calls.iter().filter(|one| one.title == calls.title);
                of_case.find(|one| one.program == program)
            };
            let which: Vec<String> =
                calls.most.iter().take(9).map(|(name, count)| format!("{name} {count:.2}")).collect();
            table.row(vec![
                calls.case.clone(),
                calls.title.clone(),
                calls.program.clone(),
                format!("{:.2}", calls.per_unit),
                same("HAProxy")
                    .map_or("–".into(), |theirs| format!("{:.2}", calls.per_unit / theirs.per_unit)),
                which.join(", "),
            ]);
        }
        table.text()
    }
}

/// Says which HAProxy the column shows, where there are several, and what the others cost.
fn other_haproxies(measure: &Measure) -> Vec<String> {
    let Some(reference) = measure.reference() else { return Vec::new() };
    let others =
        measure.values.iter().filter(|(label, _)| label.starts_with("HAProxy") && label != reference);
    let others: Vec<String> = others
        .filter_map(|(label, values)| Some(format!("{label}: {}", number(Spread::of(values)?.median))))
        .collect();
    if others.is_empty() {
        Vec::new()
    } else {
        vec![format!("the column shows {reference}; {}", others.join("; "))]
    }
}

/// Groups of neighbours that grow by the same thing.
fn by_header(growth: &[Growth]) -> Vec<(&'static str, Vec<&Growth>)> {
    let mut groups: Vec<(&'static str, Vec<&Growth>)> = Vec::new();
    for one in growth {
        match groups.iter_mut().find(|(of, _)| *of == one.of) {
            Some((_, group)) => group.push(one),
            None => groups.push((one.of, vec![one])),
        }
    }
    groups
}

fn ratio(ratio: Spread) -> String {
    if ratio.min == ratio.max {
        return format!("{:.2}", ratio.median);
    }
    format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max)
}

/// Three digits that count.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Foot-notes, each text once.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn marks(&mut self, notes: &[String]) -> String {
        let mut marks = Vec::new();
        for note in notes {
            let index = self.0.iter().position(|one| one == note).unwrap_or_else(|| {
                self.0.push(note.clone());
                self.0.len() - 1
            });
            marks.push((index + 1).to_string());
        }
        marks.join(" ")
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (index, note) in self.0.iter().enumerate() {
            let _ = writeln!(text, "{}. {note}", index + 1);
        }
        text
    }
}

/// Rows of the same length; the first one is the header.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(ToString::to_string).collect()] }
    }

    fn row(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// Padded, so that the columns stand under each other.
    fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0).max(3)).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
            if index == 0 {
                widths.iter().for_each(|&width| text.push_str(&format!("|{}", "-".repeat(width + 2))));
                text.push_str("|\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_padded_by_characters() {
        let mut table = Table::new(&["µ", "what"]);
        table.row(vec!["1".into(), "x".into()]);
        assert_eq!(table.text(), "| µ   | what |\n|-----|------|\n| 1   | x    |\n");
    }

    #[test]
    fn a_note_has_one_number() {
        let mut notes = Notes::default();
        assert_eq!(notes.marks(&["a".into(), "b".into()]), "1 2");
        assert_eq!(notes.marks(&["b".into()]), "2");
        assert_eq!(notes.text(), "1. a\n2. b\n");
    }

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!([1234.6, 12.34, 1.234, 0.01234].map(number), ["1235", "12.3", "1.23", "0.012"]);
    }

    #[test]
    fn a_goal_that_is_missed_is_said_so() {
        let measure = |ours| Measure {
            goal: Some(0.75),
            values: vec![("oneport".into(), vec![ours]), ("HAProxy".into(), vec![4.0])],
            ..Measure::new("1", "requests", "µs")
        };
        let results = Results { measures: vec![measure(3.0), measure(3.1)], ..Results::default() };
        let report = Report { results: &results, machine: vec![], took: Duration::ZERO };
        let goals = report.goals();
        assert!(goals.contains("| ≤ 0.75 | 0.75    | yes"), "{goals}");
        assert!(goals.contains("| ≤ 0.75 | 0.78    | **no**"), "{goals}");
    }
}
