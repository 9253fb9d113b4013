//! The load generators, `wrk` and `ab`: how they are called and what their reports say.

use std::path::Path;
use std::process::Command;

use crate::problem::Problem;
use crate::shell;

use super::process::{LOAD_CORE, pinned};
use super::scene::Shape;

/// What a load generator saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Report {
    /// Requests answered.
    pub(crate) requests: u64,
    /// Requests that failed in any way: no connection, no answer in time, a status other than 2xx or 3xx, a wrong length.
    pub(crate) errors: u64,
    pub(crate) requests_per_second: f64,
    /// Half of the requests took no longer than this.
    pub(crate) p50_us: f64,
    /// 99 of 100 requests took no longer than this.
    pub(crate) p99_us: f64,
}

/// Loads a port for some seconds in the way of a shape; `body` is the file that a POST sends.
pub(crate) fn run(shape: Shape, port: u16, seconds: u32, body: &Path) -> Result<Report, Problem> {
    let output = shell::capture(&mut command(shape, port, seconds, body)?)?;
    read(shape, &String::from_utf8_lossy(&output.stdout))
}

/// The command that makes the load, for those who start it under another program.
pub(crate) fn command(shape: Shape, port: u16, seconds: u32, body: &Path) -> Result<Command, Problem> {
    let url = |path: &str, bytes: u32| format!("http://127.0.0.1:{port}/{path}/{bytes}");
    Ok(match shape {
        Shape::Get { connections, body_bytes } => {
            let mut command = wrk(connections, seconds);
            command.arg(url("bytes", body_bytes));
            command
        }
        Shape::Post { connections, body_bytes } => {
            let mut command = wrk(connections, seconds);
            command.env("BENCH_BODY", body).arg("--script").arg(shell::root().join("bench/peers/post.lua"));
            command.arg(url("check", body_bytes));
            command
        }
        Shape::Short { connections, body_bytes } => {
            let mut command = pinned(LOAD_CORE, Path::new("ab"));
            // A limit in seconds brings a limit of 50,000 requests with it; the later -n lifts that. `ab` keeps room for
            // that many results, so it is no larger than anyone could reach.
            let most = 200_000 * u64::from(seconds);
            command.args([
                "-q",
                "-t",
                &seconds.to_string(),
                "-n",
                &most.to_string(),
                "-c",
                &connections.to_string(),
            ]);
            command.arg(url("bytes", body_bytes));
            command
        }
        Shape::Idle { .. } => return Err(Problem::new("idle connections are no load")),
    })
}

/// Reads what the command of a shape printed.
pub(crate) fn read(shape: Shape, text: &str) -> Result<Report, Problem> {
    let (reader, name): (fn(&str) -> Option<Report>, _) = match shape {
        Shape::Short { .. } => (read_ab, "ab"),
        _ => (read_wrk, "wrk"),
    };
    reader(text).ok_or_else(|| Problem::new(format!("{name} reported something else than expected:\n{text}")))
}

fn wrk(connections: u32, seconds: u32) -> Command {
    let mut command = pinned(LOAD_CORE, Path::new("wrk"));
    command.args(["--threads", "1", "--latency", "--timeout", "10s"]);
    command.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
    command
}

fn read_wrk(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", time] => report.p50_us = duration_us(time)?,
            ["99%", time] => report.p99_us = duration_us(time)?,
            [count, "requests", "in", ..] => report.requests = count.parse().ok()?,
            ["Requests/sec:", rate] => report.requests_per_second = rate.parse().ok()?,
            // `Socket errors: connect 0, read 3, write 0, timeout 0`
            ["Socket", "errors:", rest @ ..] => {
                report.errors += rest
                    .iter()
                    .filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok())
                    .sum::<u64>();
            }
            ["Non-2xx", "or", "3xx", "responses:", count] => report.errors += count.parse::<u64>().ok()?,
            _ => {}
        }
    }
    (report.requests_per_second > 0.0).then_some(report)
}

fn read_ab(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Complete", "requests:", count] => report.requests = count.parse().ok()?,
            ["Failed", "requests:", count] | ["Non-2xx", "responses:", count] => {
                report.errors += count.parse::<u64>().ok()?;
            }
            ["Requests", "per", "second:", rate, ..] => report.requests_per_second = rate.parse().ok()?,
            // `ab` tells whole milliseconds only.
            ["50%", ms] => report.p50_us = ms.parse::<f64>().ok()? * 1e3,
            ["99%", ms] => report.p99_us = ms.parse::<f64>().ok()? * 1e3,
            _ => {}
        }
    }
    (report.requests > 0).then_some(report)
}

/// `295.76us`, `1.20ms`, `2.01s` or `1.50m` in microseconds.
fn duration_us(text: &str) -> Option<f64> {
    let end = text.find(|c: char| c.is_alphabetic())?;
    let unit = match &text[end..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 6e7,
        _ => return None,
    };
    Some(text[..end].parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRK: &str = "Running 2s test @ http://127.0.0.1:18999/bytes/1024
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   295.76us  483.34us   8.74ms   95.77%
    Req/Sec   183.86k    18.17k  205.54k    70.00%
  Latency Distribution
     50%  295.00us
     75%  301.00us
     90%  400.00us
     99%    2.50ms
  365628 requests in 2.00s, 386.00MB read
  Socket errors: connect 1, read 2, write 0, timeout 4
  Non-2xx or 3xx responses: 10
Requests/sec: 182538.28
Transfer/sec:    192.71MB
";

    const AB: &str = "Complete requests:      120000
Failed requests:        3
   (Connect: 0, Receive: 0, Length: 3, Exceptions: 0)
Non-2xx responses:      2
Requests per second:    30012.50 [#/sec] (mean)
Time per request:       2.133 [ms] (mean)
Percentage of the requests served within a certain time (ms)
  50%      2
  99%      4
 100%     11 (longest request)
";

    #[test]
    fn a_report_of_wrk_is_read_with_all_its_errors() {
        let expected = Report {
            requests: 365_628,
            errors: 17,
            requests_per_second: 182_538.28,
            p50_us: 295.0,
            p99_us: 2500.0,
        };
        assert_eq!(read_wrk(WRK), Some(expected));
        assert_eq!(read_wrk("unable to connect to 127.0.0.1"), None);
    }

    #[test]
    fn a_report_of_ab_is_read_with_all_its_errors() {
        let expected = Report {
            requests: 120_000,
            errors: 5,
            requests_per_second: 30_012.5,
            p50_us: 2000.0,
            p99_us: 4000.0,
        };
        assert_eq!(read_ab(AB), Some(expected));
        assert_eq!(read_ab("apr_socket_connect(): Connection refused (111)"), None);
    }

    #[test]
    fn durations_are_read_in_all_units() {
        assert_eq!(duration_us("12.50us"), Some(12.5));
        assert_eq!(duration_us("2.00s"), Some(2e6));
        assert_eq!(duration_us("1.50m"), Some(9e7));
        assert_eq!(duration_us("3"), None);
    }
}
