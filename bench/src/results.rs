//! What has been measured, and what follows from it.

use crate::load::Latency;

/// A figure that all programs have, round by round.
pub struct Measure {
    /// "1" to "10".
    pub case: String,
    pub title: String,
    pub unit: &'static str,
    /// By program, in the order of the columns; one value a round.
    pub values: Vec<(String, Vec<f64>)>,
    /// Whom the ratio is taken to: of several HAProxies the one with the lower median.
    pub against: Vec<String>,
    /// The ratio that oneport shall not exceed.
    pub goal: Option<f64>,
    /// Why somebody is missing, and what else a reader must know.
    pub notes: Vec<String>,
}

/// A median and the range of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Throughput and latency of one program, for information.
pub struct Speed {
    pub case: String,
    pub title: String,
    pub program: String,
    pub per_second: f64,
    pub unit: &'static str,
    pub latency: Option<Latency>,
}

/// System calls of one program.
pub struct Calls {
    pub case: String,
    pub title: String,
    pub program: String,
    pub per_unit: f64,
    /// The most frequent ones, by unit.
    pub most: Vec<(String, f64)>,
}

/// How a figure grows with one size.
pub struct Growth {
    pub title: String,
    pub unit: &'static str,
    /// What is counted: connections, ACLs, servers.
    pub of: &'static str,
    /// By program: size and median.
    pub values: Vec<(String, Vec<(usize, f64)>)>,
    /// Largest against base, and the goal for that.
    pub compared: Option<(usize, usize, f64)>,
}

/// Everything of one run.
#[derive(Default)]
pub struct Results {
    pub measures: Vec<Measure>,
    pub speeds: Vec<Speed>,
    pub calls: Vec<Calls>,
    pub growth: Vec<Growth>,
}

impl Spread {
    /// Nothing of nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

impl Measure {
    pub fn new(case: &str, title: &str, unit: &'static str) -> Self {
        Self {
            case: case.into(),
            title: title.into(),
            unit,
            values: Vec::new(),
            against: vec!["HAProxy".into()],
            goal: None,
            notes: Vec::new(),
        }
    }

    pub fn of(&self, program: &str) -> Option<Spread> {
        let (_, values) = self.values.iter().find(|(name, _)| name == program)?;
        Spread::of(values)
    }

    /// The program that the ratio is taken to.
    pub fn reference(&self) -> Option<&str> {
        let mut present: Vec<(&str, f64)> =
            self.against.iter().filter_map(|name| Some((name.as_str(), self.of(name)?.median))).collect();
        present.sort_by(|one, other| one.1.total_cmp(&other.1));
        present.first().map(|(name, _)| *name)
    }

    /// oneport's figure by HAProxy's: computed within each round, then the median of the rounds.
    pub fn ratio(&self) -> Option<Spread> {
        let reference = self.reference()?;
        let values =
            |program: &str| self.values.iter().find(|(name, _)| name == program).map(|(_, values)| values);
        let (ours, theirs) = (values("oneport")?, values(reference)?);
        Spread::of(&ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>())
    }
}

impl Growth {
    /// How many times the base a program pays at the largest size.
    pub fn factor(&self, program: &str) -> Option<f64> {
        let (base, large, _) = self.compared?;
        let (_, values) = self.values.iter().find(|(name, _)| name == program)?;
        let at = |size| values.iter().find(|(one, _)| *one == size).map(|(_, value)| *value);
        Some(at(large)? / at(base)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(values: &[(&str, &[f64])]) -> Measure {
        let values = values.iter().map(|(name, values)| (name.to_string(), values.to_vec())).collect();
        Measure { values, ..Measure::new("1", "", "") }
    }

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let measure = measure(&[("oneport", &[1.0, 4.0, 9.0]), ("HAProxy", &[2.0, 2.0, 3.0])]);
        assert_eq!(measure.ratio(), Some(Spread { median: 2.0, min: 0.5, max: 3.0 }));
    }

    #[test]
    fn the_better_haproxy_counts() {
        let mut measure = measure(&[("oneport", &[3.0]), ("HAProxy", &[4.0]), ("other", &[2.0])]);
        measure.against.push("other".into());
        assert_eq!(measure.reference(), Some("other"));
        assert_eq!(measure.ratio().map(|ratio| ratio.median), Some(1.5));
    }

    #[test]
    fn an_even_number_of_rounds_has_its_median_in_the_middle() {
        assert_eq!(Spread::of(&[4.0, 1.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of(&[]), None);
    }
}
