//! The load: clients that hold connections, clients that come and go, wrk, and bulk.

pub mod bulk;
pub mod churn;
pub mod clients;
pub mod dialogue;
pub mod wrk;

use hdrhistogram::Histogram;

/// What a load generator has done.
pub struct Done {
    /// Units of work: requests, messages, connections or bytes.
    pub units: u64,
    pub seconds: f64,
    /// Nothing where latency means nothing.
    pub latency: Option<Latency>,
}

/// Percentiles of the time of one unit, in microseconds.
#[derive(Clone, Copy)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
}

/// Times of single units while a load runs.
pub struct Times(Histogram<u64>);

impl Times {
    pub fn new() -> anyhow::Result<Self> {
        // Up to a minute, with three digits.
        Ok(Self(Histogram::new_with_max(60_000_000_000, 3)?))
    }

    pub fn record(&mut self, time: std::time::Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn latency(&self) -> Latency {
        let micros = |quantile| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        Latency { p50: micros(0.5), p90: micros(0.9), p99: micros(0.99) }
    }
}
