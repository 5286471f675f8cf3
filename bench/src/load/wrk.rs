//! HTTP load by wrk: one thread, which checks status codes and counts what fails.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{Done, Latency};

/// Runs wrk for `seconds`. `close` asks for one request per connection.
pub fn run(address: SocketAddr, connections: usize, close: bool, seconds: u32) -> Result<Done> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--latency", "--timeout", "10s"]);
    command.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
    if close {
        command.args(["--header", "Connection: close"]);
    }
    command.arg(format!("http://{address}/status")).stdin(Stdio::null());
    let output = command.output().context("starting wrk")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("wrk fails: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    parse(&text).context("wrk")
}

fn parse(text: &str) -> Result<Done> {
    // "  123 requests in 2.00s, 45.67MB read"
    let line = text.lines().find(|line| line.contains(" requests in ")).context("no count of requests")?;
    for complaint in ["Socket errors", "Non-2xx or 3xx responses"] {
        if let Some(failures) = text.lines().find(|line| line.contains(complaint)) {
            bail!("{}, of {}", failures.trim(), line.trim());
        }
    }
    let mut words = line.split_ascii_whitespace();
    let units = words.next().context("no count")?.parse()?;
    let seconds = micros(words.nth(2).context("no duration")?.trim_end_matches(','))? / 1e6;
    let percentile = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix(name))
            .with_context(|| format!("no {name}"))?;
        micros(line.trim())
    };
    let latency = Latency { p50: percentile("50%")?, p90: percentile("90%")?, p99: percentile("99%")? };
    if units == 0 {
        bail!("no request was answered");
    }
    Ok(Done { units, seconds, latency: Some(latency) })
}

/// Microseconds of a time as wrk writes it: "12.00us", "3.04ms", "1.20s", "1.00m".
fn micros(text: &str) -> Result<f64> {
    let at = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .with_context(|| format!("no unit in {text:?}"))?;
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        _ => bail!("a time in {unit:?}?"),
    };
    Ok(number.parse::<f64>()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "Running 2s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     2.52ms    1.10ms  12.1ms   80.00%\n  \
        Latency Distribution\n     50%    2.37ms\n     75%    3.00ms\n     90%    3.90ms\n     99%  900.00us\n  \
        50321 requests in 2.05s, 9.12MB read\nRequests/sec:  24546.83\n";

    #[test]
    fn requests_time_and_percentiles_are_read() {
        let done = parse(OUTPUT).unwrap();
        assert_eq!((done.units, done.seconds), (50_321, 2.05));
        let latency = done.latency.unwrap();
        assert_eq!((latency.p50, latency.p90, latency.p99), (2370.0, 3900.0, 900.0));
    }

    #[test]
    fn failures_are_not_counted_as_work() {
        assert!(parse(&format!("{OUTPUT}  Socket errors: connect 0, read 3, write 0, timeout 0\n")).is_err());
        assert!(parse(&format!("{OUTPUT}  Non-2xx or 3xx responses: 7\n")).is_err());
    }
}
