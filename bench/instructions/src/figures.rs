//! The committed figures: their file, and what a new measurement is beside them.

use std::fmt::Write;

/// How far a figure may grow, in percent.
pub const BOUND_PERCENT: f64 = 5.0;

/// The same where compiler, libc or processor are others than those of the committed figures: they alone make
/// some percent. What a change of oneport's own usually does wrong is still more than this.
pub const BOUND_ELSEWHERE_PERCENT: f64 = 15.0;

/// What the numbers depend on, as name and value.
pub type Environment = Vec<(String, String)>;

/// Numbers, and where they were counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// Compiler, target, libc and so on.
    pub environment: Environment,
    /// Name of the unit and instructions for one, in the order of the file.
    pub units: Vec<(String, u64)>,
}

/// What a comparison came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For people: a table, then remarks.
    pub text: String,
    /// Whether a figure is above its bound, or there is none.
    pub failed: bool,
}

impl Figures {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The line that is neither `name: value` nor `name number`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut figures = Self { environment: Vec::new(), units: Vec::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((name, value)) = line.split_once(':') {
                figures.environment.push((name.into(), value.trim().into()));
            } else if let Some((name, Ok(count))) =
                line.split_once(' ').map(|(name, count)| (name, count.trim().parse()))
            {
                figures.units.push((name.into(), count));
            } else {
                return Err(format!("not a figure: `{line}`"));
            }
        }
        Ok(figures)
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "# Instructions that oneport spends on one unit of work, as `make instructions` counts them and\n\
             # bench/README.md explains them. Written by `make instructions BLESS=1`.\n\n",
        );
        for (name, value) in &self.environment {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push('\n');
        for (name, count) in &self.units {
            let _ = writeln!(text, "{name:<16} {count:>8}");
        }
        text
    }

    /// Holds these, which were measured, against those that are committed.
    pub fn against(&self, committed: &Self) -> Verdict {
        let (mut table, mut remarks, mut failed) = (String::new(), String::new(), false);
        let mut bound = BOUND_PERCENT;
        if self.environment != committed.environment {
            bound = BOUND_ELSEWHERE_PERCENT;
            let _ = writeln!(
                remarks,
                "note: the committed figures were counted elsewhere, so the bound is {bound} % and not \
                 {BOUND_PERCENT} %:\n  there {}\n  here  {}",
                listed(&committed.environment),
                listed(&self.environment)
            );
        }
        let _ = writeln!(table, "{:<16} {:>10} {:>10}", "unit", "committed", "measured");
        for (name, measured) in &self.units {
            let Some(before) = committed.count(name) else {
                let _ = writeln!(table, "{name:<16} {:>10} {measured:>10}", "-");
                let _ = writeln!(remarks, "FAILED: {name} has no committed figure; {HOW_TO_ACCEPT}");
                failed = true;
                continue;
            };
            let change = percent(before, *measured);
            let _ = writeln!(table, "{name:<16} {before:>10} {measured:>10}  {change:+.1} %");
            if change > bound {
                failed = true;
                let _ = writeln!(
                    remarks,
                    "FAILED: {name} takes {measured} instructions, {change:.1} % more than the committed \
                     {before} (bound: {bound} %); {HOW_TO_ACCEPT}"
                );
            } else if change < -bound {
                let _ = writeln!(
                    remarks,
                    "better: {name} takes {measured} instructions, {:.1} % less than the committed {before}; \
                     keep that with: make instructions BLESS=1",
                    -change
                );
            }
        }
        for (name, _) in committed.units.iter().filter(|(name, _)| self.count(name).is_none()) {
            let _ = writeln!(remarks, "FAILED: {name} is committed but no longer counted; {HOW_TO_ACCEPT}");
            failed = true;
        }
        Verdict { text: table + &remarks, failed }
    }

    fn count(&self, unit: &str) -> Option<u64> {
        self.units.iter().find(|(name, _)| name == unit).map(|(_, count)| *count)
    }
}

const HOW_TO_ACCEPT: &str = "if that is meant, commit what this writes: make instructions BLESS=1";

fn percent(before: u64, after: u64) -> f64 {
    100.0 * (after as f64 - before as f64) / before.max(1) as f64
}

fn listed(environment: &Environment) -> String {
    let parts: Vec<String> = environment.iter().map(|(name, value)| format!("{name} {value}")).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(compiler: &str, request: u64) -> Figures {
        let text =
            format!("# x\nrustc: {compiler}\ncpu: with avx2\n\nstart 700000\nhttp-request {request}\n");
        Figures::parse(&text).unwrap()
    }

    #[test]
    fn the_file_comes_back_as_it_was_written() {
        let before = figures("1.95.0 (5980 2026)", 17_905);
        assert_eq!(Figures::parse(&before.to_text()), Ok(before));
        assert!(Figures::parse("start many").is_err());
        assert!(Figures::parse("start").is_err());
    }

    #[test]
    fn growth_fails_from_the_bound_on_and_names_both_numbers() {
        let committed = figures("1", 10_000);
        let verdict = figures("1", 10_500).against(&committed);
        assert!(!verdict.failed, "{}", verdict.text);
        let verdict = figures("1", 10_501).against(&committed);
        assert!(verdict.failed);
        for part in ["http-request takes 10501", "committed 10000", "make instructions BLESS=1"] {
            assert!(verdict.text.contains(part), "{}", verdict.text);
        }
        assert!(!verdict.text.contains("start takes"), "{}", verdict.text);
    }

    #[test]
    fn less_is_said_and_no_failure() {
        let verdict = figures("1", 9_499).against(&figures("1", 10_000));
        assert!(!verdict.failed && verdict.text.contains("better: http-request"), "{}", verdict.text);
        let verdict = figures("1", 9_501).against(&figures("1", 10_000));
        assert!(!verdict.text.contains("better"), "{}", verdict.text);
    }

    #[test]
    fn another_compiler_widens_the_bound_but_does_not_lift_it() {
        let committed = figures("1", 10_000);
        let verdict = figures("2", 11_400).against(&committed);
        assert!(!verdict.failed && verdict.text.contains("counted elsewhere"), "{}", verdict.text);
        assert!(figures("2", 11_600).against(&committed).failed);
    }

    #[test]
    fn a_unit_without_a_counterpart_fails() {
        let mut more = figures("1", 10_000);
        more.units.push(("raw-message".into(), 5_500));
        let fewer = figures("1", 10_000);
        assert!(more.against(&fewer).failed);
        assert!(fewer.against(&more).failed);
    }
}
