//! What the reports of load generators say.

use super::Report;

/// What `wrk --latency` prints.
pub(crate) fn wrk(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["50%", time] => report.p50_us = duration_us(time)?,
            ["90%", time] => report.p90_us = duration_us(time)?,
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

/// What `ab` prints.
pub(crate) fn ab(text: &str) -> Option<Report> {
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
            ["90%", ms] => report.p90_us = ms.parse::<f64>().ok()? * 1e3,
            ["99%", ms] => report.p99_us = ms.parse::<f64>().ok()? * 1e3,
            _ => {}
        }
    }
    (report.requests > 0).then_some(report)
}

/// What `hey` prints.
pub(crate) fn hey(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for line in text.lines().map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["Requests/sec:", rate] => report.requests_per_second = rate.parse().ok()?,
            ["50%", "in", seconds, "secs"] => report.p50_us = seconds.parse::<f64>().ok()? * 1e6,
            ["90%", "in", seconds, "secs"] => report.p90_us = seconds.parse::<f64>().ok()? * 1e6,
            ["99%", "in", seconds, "secs"] => report.p99_us = seconds.parse::<f64>().ok()? * 1e6,
            // `[200] 1234 responses`, and below them errors: `[12] Get "http://…": EOF`
            [status, count, "responses"] => {
                let count: u64 = count.parse().ok()?;
                report.requests += count;
                let status: u16 = status.trim_matches(['[', ']']).parse().ok()?;
                report.errors += if status < 400 { 0 } else { count };
            }
            [count, "Get" | "Post", ..] => {
                report.errors += count.trim_matches(['[', ']']).parse::<u64>().ok()?;
            }
            _ => {}
        }
    }
    (report.requests > 0).then_some(report)
}

/// What `oha --output-format json` prints.
pub(crate) fn oha(text: &str) -> Option<Report> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let percentile = |name: &str| Some(json["latencyPercentiles"][name].as_f64()? * 1e6);
    let statuses = json["statusCodeDistribution"].as_object()?;
    let count = |failed: bool| -> u64 {
        let of_kind = statuses.iter().filter(|(status, _)| status.starts_with(['4', '5']) == failed);
        of_kind.filter_map(|(_, count)| count.as_u64()).sum()
    };
    // At the end oha aborts what is open and counts it; that is no failure of the server.
    let errors = json["errorDistribution"].as_object().into_iter().flatten();
    let errors =
        errors.filter(|(what, _)| !what.contains("deadline")).filter_map(|(_, count)| count.as_u64());
    Some(Report {
        requests: count(false) + count(true),
        errors: count(true) + errors.sum::<u64>(),
        requests_per_second: json["summary"]["requestsPerSec"].as_f64()?,
        p50_us: percentile("p50")?,
        p90_us: percentile("p90")?,
        p99_us: percentile("p99")?,
    })
}

/// The JSON report of `tidegate load`.
pub(crate) fn tidegate(text: &str) -> Option<Report> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let requests = json["requests"].as_u64()?;
    let percentile = |name: &str| Some(json["response"][name].as_f64()? * 1e3);
    Some(Report {
        requests,
        errors: requests - json["succeeded"].as_u64()?,
        requests_per_second: json["achieved_rate"].as_f64()?,
        p50_us: percentile("p50_ms")?,
        p90_us: percentile("p90_ms")?,
        p99_us: percentile("p99_ms")?,
    })
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
  90%      3
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
            p90_us: 400.0,
            p99_us: 2500.0,
        };
        assert_eq!(wrk(WRK), Some(expected));
        assert_eq!(wrk("unable to connect to 127.0.0.1"), None);
    }

    #[test]
    fn a_report_of_ab_is_read_with_all_its_errors() {
        let expected = Report {
            requests: 120_000,
            errors: 5,
            requests_per_second: 30_012.5,
            p50_us: 2000.0,
            p90_us: 3000.0,
            p99_us: 4000.0,
        };
        assert_eq!(ab(AB), Some(expected));
        assert_eq!(ab("apr_socket_connect(): Connection refused (111)"), None);
    }

    #[test]
    fn durations_are_read_in_all_units() {
        assert_eq!(duration_us("12.50us"), Some(12.5));
        assert_eq!(duration_us("2.00s"), Some(2e6));
        assert_eq!(duration_us("1.50m"), Some(9e7));
        assert_eq!(duration_us("3"), None);
    }

    #[test]
    fn a_report_of_hey_is_read_with_all_its_errors() {
        let text = "Summary:\n  Requests/sec:\t4012.5\nLatency distribution:\n  50% in 0.0010 secs\n  90% in 0.0020 secs\n  99% in 0.0110 secs\n\nStatus code distribution:\n  [200]\t100 responses\n  [503]\t7 responses\n\nError distribution:\n  [3]\tGet \"http://127.0.0.1:1/\": EOF\n";
        let expected = Report {
            requests: 107,
            errors: 10,
            requests_per_second: 4012.5,
            p50_us: 1000.0,
            p90_us: 2000.0,
            p99_us: 11_000.0,
        };
        assert_eq!(hey(text), Some(expected));
        assert_eq!(hey("nothing"), None);
    }

    #[test]
    fn a_report_of_oha_is_read_and_what_it_aborts_at_the_end_is_no_error() {
        let text = r#"{"summary": {"requestsPerSec": 10.5}, "latencyPercentiles": {"p50": 0.5, "p90": 1.0, "p99": 2.0},
            "statusCodeDistribution": {"200": 9, "500": 2},
            "errorDistribution": {"aborted due to deadline": 4, "connection closed": 1}}"#;
        let expected = Report {
            requests: 11,
            errors: 3,
            requests_per_second: 10.5,
            p50_us: 5e5,
            p90_us: 1e6,
            p99_us: 2e6,
        };
        assert_eq!(oha(text), Some(expected));
    }

    #[test]
    fn a_report_of_our_own_is_read() {
        let text = r#"{"requests": 10, "succeeded": 8, "achieved_rate": 4.0,
            "response": {"p50_ms": 0.25, "p90_ms": 1.0, "p99_ms": 2.5}}"#;
        let expected = Report {
            requests: 10,
            errors: 2,
            requests_per_second: 4.0,
            p50_us: 250.0,
            p90_us: 1000.0,
            p99_us: 2500.0,
        };
        assert_eq!(tidegate(text), Some(expected));
    }
}
