//! The readable table that `tidegate status` prints.

mod stored;
mod surge;

use core::fmt::Write as _;

use crate::status::{
    BreakerStatus, EndpointStatus, HitStatus, LimitsStatus, QueueStatus, RouteStatus, Status, UpstreamStatus,
};

pub use stored::entries;
pub use surge::surges;

/// Routes shown, those with most requests per second first; the rest is counted.
const ROUTES: usize = 20;

/// Space between two columns.
const GAP: usize = 2;

/// The status as a table. `width` is that of the terminal in characters: longer lines lose the end of their last
/// column, and 0 cuts nothing. With `is_coloured`, states carry ANSI colours.
pub fn status(status: &Status, width: usize, is_coloured: bool) -> String {
    let paint = Paint { width, is_coloured };
    let mut out = String::new();
    summary(&mut out, status, paint);
    routes(&mut out, &status.routes, paint);
    limits(&mut out, &status.limits, paint);
    for upstream in &status.upstreams {
        endpoints(&mut out, upstream, paint);
    }
    out
}

fn summary(out: &mut String, status: &Status, paint: Paint) {
    let ready = if status.not_ready.is_empty() {
        paint.colour("ready", Colour::Green)
    } else {
        paint.colour(&format!("not ready: {}", status.not_ready.join(", ")), Colour::Yellow)
    };
    let _ = writeln!(out, "tidegate {}, up {}, {ready}", plain(&status.version), uptime(status.uptime_ms));
    if !status.listeners.is_empty() {
        let listeners = status.listeners.iter().map(|listener| plain(listener)).collect::<Vec<_>>();
        let _ = writeln!(out, "listening on {}", listeners.join(", "));
    }
    let connections = status.connections;
    let _ = write!(out, "{} connections open", count(connections.open));
    if connections.tunnels > 0 {
        let _ = write!(out, " ({} tunnels)", count(connections.tunnels));
    }
    if connections.refused > 0 {
        let _ = write!(out, ", {} refused", count(connections.refused));
    }
    let _ = writeln!(out, ", {} requests, {} per second", count(status.requests), rate(status.per_second));
    stored::summary(out, &status.cache);
    for surge in status.surges.iter().filter(|surge| surge.on_ms.is_some()) {
        let _ = writeln!(out, "{}", paint.colour(&surge::line(surge), Colour::Yellow));
    }
    for room in &status.rooms {
        let (waiting, inside) = (count(room.waiting), count(room.inside));
        let _ = write!(out, "waiting room {}: {waiting} in line", plain(&room.name));
        if room.waiting > 0 {
            let _ = write!(out, " ({})", time(Some(room.wait_ms as f64)));
        }
        let _ = writeln!(out, ", {inside} inside, {} came in", count(room.admitted));
    }
}

/// Limits with what they did, those that refuse most first, and whom they refuse. Nothing where there are none.
fn limits(out: &mut String, limits: &LimitsStatus, paint: Paint) {
    if limits.each.is_empty() {
        return;
    }
    let mut table = Table::new(&["LIMIT", "ROUTE", "ADMITTED", "LIMITED", "DRY RUN"], Side::Right);
    let mut each = limits.each.iter().collect::<Vec<_>>();
    each.sort_by_key(|limit| core::cmp::Reverse((limit.limited, limit.dry_run, limit.admitted)));
    for limit in each.iter().take(ROUTES) {
        table.row(vec![
            Cell::left(&limit.name),
            Cell::left(&limit.route),
            Cell::right(count(limit.admitted)),
            Cell::right(count(limit.limited)),
            Cell::right(count(limit.dry_run)),
        ]);
    }
    out.push('\n');
    table.print(out, paint);
    if each.len() > ROUTES {
        let _ = writeln!(out, "and {} more limits", count((each.len() - ROUTES) as u64));
    }
    if limits.overflowed > 0 {
        let (entries, memory) = (count(limits.entries), bytes(limits.memory_bytes));
        let forgotten = count(limits.overflowed);
        let _ = writeln!(out, "{entries} keys in {memory}, {forgotten} forgotten too early for want of room");
    }
    if limits.top.is_empty() {
        return;
    }
    let mut table = Table::new(&["LIMITED OF LATE", "LIMIT", "KEY", "ROUTE"], Side::Left);
    for top in &limits.top {
        table.row(vec![
            Cell::right(count(top.refused)),
            Cell::left(&top.limit),
            Cell::left(&top.key),
            Cell::left(&top.route),
        ]);
    }
    out.push('\n');
    table.print(out, paint);
}

fn routes(out: &mut String, routes: &[RouteStatus], paint: Paint) {
    if routes.is_empty() {
        return;
    }
    let mut busiest = routes.iter().collect::<Vec<_>>();
    busiest.sort_by(|one, other| {
        other.per_second.total_cmp(&one.per_second).then(other.requests.cmp(&one.requests))
    });
    let columns = ["ROUTE", "REQ/S", "REQUESTS", "4XX", "5XX", "P50", "P99", "HITS", "HIT BYTES"];
    let is_cached = routes.iter().any(|route| route.cache.is_some());
    let mut table = Table::new(if is_cached { &columns } else { &columns[..7] }, Side::Right);
    for route in busiest.iter().take(ROUTES) {
        let bad = if route.server_errors > 0 { Colour::Red } else { Colour::None };
        let share = |of: fn(&HitStatus) -> f64| Cell::right(percent(route.cache.as_ref().map(of)));
        let mut row = vec![
            Cell::left(&route.name),
            Cell::right(rate(route.per_second)),
            Cell::right(count(route.requests)),
            Cell::right(count(route.client_errors)),
            Cell::right(count(route.server_errors)).in_colour(bad),
            Cell::right(time(route.p50_ms)),
            Cell::right(time(route.p99_ms)),
        ];
        if is_cached {
            row.extend([share(HitStatus::ratio), share(HitStatus::byte_ratio)]);
        }
        table.row(row);
    }
    out.push('\n');
    table.print(out, paint);
    if routes.len() > ROUTES {
        let _ = writeln!(out, "and {} more routes", count((routes.len() - ROUTES) as u64));
    }
}

/// Slots and queue, in one line. Without a limit there is nothing to say but who is held.
fn slots(out: &mut String, queue: &QueueStatus, paint: Paint) {
    let waiting: usize = queue.waiting.iter().sum();
    match queue.limit {
        Some(limit) => {
            let how = if queue.adaptive { "found out" } else { "fixed" };
            let _ = write!(out, "slots: {} of {} taken ({how})", count(queue.taken), count(limit));
        }
        None if waiting == 0 => return,
        None => out.push_str("slots: no limit"),
    }
    let _ = write!(out, ", {} in flight, ", count(queue.in_flight));
    let colour = if waiting > 0 { Colour::Yellow } else { Colour::None };
    let [critical, normal, low] = queue.waiting;
    let mut shown = format!("{} waiting", count(waiting as u64));
    if critical + low > 0 {
        let _ = write!(shown, " ({critical} critical, {normal} normal, {low} low)");
    }
    out.push_str(&paint.colour(&shown, colour));
    if queue.queued_p50_ms.is_some() {
        let (p50, p99) = (time(queue.queued_p50_ms), time(queue.queued_p99_ms));
        let _ = write!(out, ", waited {p50} (p99 {p99})");
    }
    if queue.refused > 0 {
        let _ = write!(out, ", {} refused", count(queue.refused));
    }
    out.push('\n');
}

fn endpoints(out: &mut String, upstream: &UpstreamStatus, paint: Paint) {
    let available = upstream.endpoints.iter().filter(|endpoint| endpoint.available).count();
    let all = upstream.endpoints.len();
    let colour = match available {
        0 => Colour::Red,
        some if some < all => Colour::Yellow,
        _ => Colour::Green,
    };
    let up = paint.colour(&format!("{available} of {all} available"), colour);
    let _ =
        write!(out, "\nupstream {}: {up}, {} per second", plain(&upstream.name), rate(upstream.per_second));
    if upstream.wait_p50_ms.is_some() {
        let (p50, p99) = (time(upstream.wait_p50_ms), time(upstream.wait_p99_ms));
        let _ = write!(out, ", waits {p50} (p99 {p99})");
    }
    if upstream.retries > 0 {
        let _ = write!(out, ", {} retries", count(upstream.retries));
    }
    if upstream.fallbacks > 0 {
        let _ = write!(out, ", {} by its fallback", count(upstream.fallbacks));
    }
    out.push('\n');
    if let Some(queue) = &upstream.queue {
        slots(out, queue, paint);
    }
    if let Some(breaker) = &upstream.breaker {
        broken(out, breaker, paint);
    }
    if upstream.endpoints.is_empty() {
        out.push_str("no endpoints\n");
        return;
    }
    let columns = ["ENDPOINT", "STATE", "REQ/S", "IN FLIGHT", "REQUESTS", "FAILURES", "EWMA", "WHY"];
    let mut table = Table::new(&columns, Side::Left);
    for endpoint in &upstream.endpoints {
        let bad = if endpoint.failures > 0 { Colour::Yellow } else { Colour::None };
        table.row(vec![
            Cell::left(&endpoint.address),
            Cell::left(&endpoint.state).in_colour(colour_of(endpoint)),
            Cell::right(rate(endpoint.per_second)),
            Cell::right(count(endpoint.in_flight)),
            Cell::right(count(endpoint.requests)),
            Cell::right(count(endpoint.failures)).in_colour(bad),
            Cell::right(time(endpoint.ewma_ms)),
            Cell::left(&notes(endpoint)),
        ]);
    }
    table.print(out, paint);
}

/// A breaker that has never opened is not worth a line.
fn broken(out: &mut String, breaker: &BreakerStatus, paint: Paint) {
    if breaker.opened == 0 {
        return;
    }
    let colour = if breaker.state == "closed" { Colour::Green } else { Colour::Red };
    let _ = write!(out, "breaker {}", paint.colour(&plain(&breaker.state).replace('_', " "), colour));
    if let Some(left) = breaker.left_ms {
        let _ = write!(out, " for {}", time(Some(left as f64)));
    }
    if !breaker.why.is_empty() {
        let _ = write!(out, " ({})", plain(&breaker.why));
    }
    let (opened, kept) = (count(breaker.opened), count(breaker.short_circuited));
    let _ = writeln!(out, ", opened {opened} times, {kept} requests not sent");
}

/// What is out of the ordinary about an endpoint, in words.
fn notes(endpoint: &EndpointStatus) -> String {
    let mut notes = Vec::new();
    if !endpoint.why.is_empty() {
        notes.push(endpoint.why.clone());
    }
    if endpoint.backup {
        notes.push("backup".to_owned());
    }
    if endpoint.weight != 1 {
        notes.push(format!("weight {}", endpoint.weight));
    }
    if endpoint.ejections > 0 {
        notes.push(format!("taken out {} times", count(endpoint.ejections)).replace(" 1 times", " once"));
    }
    notes.join(", ")
}

fn colour_of(endpoint: &EndpointStatus) -> Colour {
    match (endpoint.available, endpoint.state.as_str()) {
        (true, "up") => Colour::Green,
        (true, _) | (false, "draining") => Colour::Yellow,
        (false, _) => Colour::Red,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    None,
    Green,
    Yellow,
    Red,
}

#[derive(Clone, Copy)]
struct Paint {
    width: usize,
    is_coloured: bool,
}

impl Paint {
    fn colour(self, text: &str, colour: Colour) -> String {
        let code = match colour {
            _ if !self.is_coloured => return text.to_owned(),
            Colour::None => return text.to_owned(),
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

struct Cell {
    text: String,
    side: Side,
    colour: Colour,
}

impl Cell {
    fn left(text: &str) -> Self {
        Self { text: plain(text), side: Side::Left, colour: Colour::None }
    }

    fn right(text: String) -> Self {
        Self { text, side: Side::Right, colour: Colour::None }
    }

    fn in_colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }
}

/// Rows of cells under a heading; columns are as wide as their longest cell.
struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// `last` is the side on which the last heading stands; the first and every one over left-hand cells stands left.
    fn new(headings: &[&str], last: Side) -> Self {
        let end = headings.len() - 1;
        let heading = |(index, text): (usize, &&str)| match index {
            0 => Cell::left(text),
            index if index == end && last == Side::Left => Cell::left(text),
            _ if *text == "STATE" => Cell::left(text),
            _ => Cell::right((*text).to_owned()),
        };
        Self { rows: vec![headings.iter().enumerate().map(heading).collect()] }
    }

    fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    fn print(&self, out: &mut String, paint: Paint) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width_of =
            |column: usize| self.rows.iter().map(|row| row[column].text.chars().count()).max().unwrap_or(0);
        let widths = (0..columns).map(width_of).collect::<Vec<_>>();
        for row in &self.rows {
            let mut line = String::new();
            let mut used = 0;
            for (index, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if index == 0 { 0 } else { GAP };
                let room = if paint.width == 0 { usize::MAX } else { paint.width.saturating_sub(used + gap) };
                let text = cut(&cell.text, room);
                let pad = " ".repeat(width.saturating_sub(text.chars().count()).min(room));
                line.push_str(&" ".repeat(gap));
                let painted = if text.is_empty() { text.clone() } else { paint.colour(&text, cell.colour) };
                match cell.side {
                    Side::Left => line.extend([painted, pad]),
                    Side::Right => line.extend([pad, painted]),
                }
                used = used.saturating_add(gap + (*width).max(text.chars().count()));
                if paint.width > 0 && used >= paint.width {
                    break;
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// The first `room` characters, the last of them an ellipsis when some are missing.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut kept = text.chars().take(room.saturating_sub(1)).collect::<String>();
    if room > 0 {
        kept.push('…');
    }
    kept
}

/// Names come from a file and addresses from name servers; neither may speak to the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// A whole number with its thousands apart.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A share with one decimal. What is not all is never shown as all.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", (share * 1e3).floor() / 10.0))
}

/// Bytes in the unit that suits them.
fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let Some(step) = (1..=units.len()).rev().find(|step| bytes >> (10 * step) > 0) else {
        return format!("{bytes} B");
    };
    let number = bytes as f64 / (1_u64 << (10 * step)) as f64;
    let unit = units[step - 1];
    if number < 9.95 { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
}

/// One decimal below a hundred, none above.
fn rate(per_second: f64) -> String {
    if per_second < 99.95 { format!("{per_second:.1}") } else { count(per_second.round() as u64) }
}

/// Milliseconds in the unit that suits them, with two or three digits that matter.
fn time(ms: Option<f64>) -> String {
    match ms {
        None => "-".to_owned(),
        Some(ms) if ms < 0.9995 => format!("{:.0} µs", ms * 1e3),
        Some(ms) if ms < 9.95 => format!("{ms:.1} ms"),
        Some(ms) if ms < 999.5 => format!("{ms:.0} ms"),
        Some(ms) if ms < 59_950.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) => uptime(ms as u64),
    }
}

/// The two largest units.
fn uptime(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{ConnectionStatus, LimitStatus, LimitedStatus, RoomStatus};
    use crate::stored::CacheStatus;

    fn endpoint(address: &str, state: &str, available: bool, why: &str) -> EndpointStatus {
        EndpointStatus {
            address: address.to_owned(),
            state: state.to_owned(),
            available,
            why: why.to_owned(),
            backup: false,
            weight: 1,
            in_flight: 3,
            requests: 409_102,
            per_second: 128.4,
            failures: 0,
            ejections: 0,
            ewma_ms: Some(2.14),
        }
    }

    fn sample() -> Status {
        let route = |name: &str, per_second: f64, requests: u64| RouteStatus {
            name: name.to_owned(),
            requests,
            per_second,
            client_errors: 12,
            server_errors: 0,
            p50_ms: Some(0.85),
            p99_ms: Some(12.4),
            cache: None,
        };
        let idle =
            RouteStatus { p50_ms: None, p99_ms: None, client_errors: 0, ..route("example.com/rare", 0.0, 0) };
        let broken = EndpointStatus {
            in_flight: 0,
            per_second: 0.0,
            failures: 5,
            ejections: 1,
            ewma_ms: None,
            ..endpoint("127.0.0.1:3002", "ejected", false, "too many failures in a row")
        };
        let spare = EndpointStatus { backup: true, weight: 2, ..endpoint("10.0.0.17:3000", "up", true, "") };
        Status {
            version: "0.1.0".to_owned(),
            uptime_ms: 11_523_000,
            not_ready: Vec::new(),
            listeners: vec!["0.0.0.0:8080".to_owned()],
            connections: ConnectionStatus { open: 1_204, accepted: 99_000, refused: 0, tunnels: 12 },
            requests: 1_234_567,
            per_second: 512.3,
            cache: CacheStatus::default(),
            limits: LimitsStatus::default(),
            rooms: Vec::new(),
            surges: Vec::new(),
            routes: vec![
                idle,
                route("example.com/api/*", 500.2, 1_200_000),
                route("example.com/", 12.1, 34_567),
            ],
            upstreams: vec![UpstreamStatus {
                name: "app".to_owned(),
                requests: 1_234_567,
                per_second: 512.3,
                retries: 3,
                queue: Some(QueueStatus {
                    limit: Some(24),
                    adaptive: true,
                    taken: 24,
                    in_flight: 31,
                    waiting: [1, 14, 0],
                    most_waiting: 1_000,
                    refused: 2_500,
                    queued_p50_ms: Some(12.0),
                    queued_p99_ms: Some(98.0),
                }),
                wait_p50_ms: Some(2.1),
                wait_p99_ms: Some(12.0),
                fallbacks: 0,
                breaker: None,
                endpoints: vec![endpoint("127.0.0.1:3001", "up", true, ""), broken, spare],
            }],
        }
    }

    #[test]
    fn the_whole_table_looks_like_this() {
        let expected = "\
tidegate 0.1.0, up 3h 12m, ready
listening on 0.0.0.0:8080
1,204 connections open (12 tunnels), 1,234,567 requests, 512 per second

ROUTE              REQ/S   REQUESTS  4XX  5XX     P50    P99
example.com/api/*    500  1,200,000   12    0  850 µs  12 ms
example.com/        12.1     34,567   12    0  850 µs  12 ms
example.com/rare     0.0          0    0    0       -      -

upstream app: 2 of 3 available, 512 per second, waits 2.1 ms (p99 12 ms), 3 retries
slots: 24 of 24 taken (found out), 31 in flight, 15 waiting (1 critical, 14 normal, 0 low), waited 12 ms (p99 98 ms), 2,500 refused
ENDPOINT        STATE    REQ/S  IN FLIGHT  REQUESTS  FAILURES    EWMA  WHY
127.0.0.1:3001  up         128          3   409,102         0  2.1 ms
127.0.0.1:3002  ejected    0.0          0   409,102         5       -  too many failures in a row, taken out once
10.0.0.17:3000  up         128          3   409,102         0  2.1 ms  backup, weight 2
";
        assert_eq!(status(&sample(), 0, false), expected);
    }

    #[test]
    fn limits_show_what_they_did_and_to_whom() {
        let mut sample = sample();
        let limit = |name: &str, limited| LimitStatus {
            route: "/api/*".to_owned(),
            name: name.to_owned(),
            admitted: 12_000,
            limited,
            dry_run: 0,
        };
        let top = LimitedStatus {
            route: "/api/*".to_owned(),
            limit: "client".to_owned(),
            key: "192.0.2.7".to_owned(),
            refused: 340,
            error: 0,
        };
        let each = vec![limit("tenant", 0), limit("client", 345)];
        sample.limits = LimitsStatus {
            each,
            top: vec![top],
            overflowed: 3,
            memory_bytes: 64 << 20,
            ..Default::default()
        };
        let text = status(&sample, 0, false);
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(place("client  /api/*    12,000      345") < place("tenant  /api/*"));
        assert!(text.contains("0 keys in 64 MiB, 3 forgotten too early for want of room\n"));
        assert!(text.contains("340  client  192.0.2.7  /api/*"));
    }

    #[test]
    fn the_cache_shows_where_there_is_one() {
        let mut sample = sample();
        sample.cache = CacheStatus {
            memory_bytes: 256 << 20,
            used_bytes: (34 << 20) + (1 << 18),
            entries: 12_345,
            fills: 13_000,
            evictions: 3,
            ..CacheStatus::default()
        };
        sample.routes[1].cache =
            Some(HitStatus { requests: 1_000, hits: 999, sent_bytes: 4_000, hit_bytes: 1_000 });
        let text = status(&sample, 0, false);
        assert!(
            text.contains("\ncache: 12,345 entries, 34 MiB of 256 MiB, 13,000 fetches, 3 evictions\n"),
            "{text}"
        );
        let rows = "\
ROUTE              REQ/S   REQUESTS  4XX  5XX     P50    P99    HITS  HIT BYTES
example.com/api/*    500  1,200,000   12    0  850 µs  12 ms  99.9 %     25.0 %
example.com/        12.1     34,567   12    0  850 µs  12 ms       -          -
";
        assert!(text.contains(rows), "{text}");
    }

    #[test]
    fn waiting_rooms_show_where_there_are_any() {
        let mut sample = sample();
        sample.rooms = vec![RoomStatus {
            name: "main".to_owned(),
            waiting: 1_250,
            inside: 300,
            wait_ms: 25_000,
            admitted: 5_678,
            refused_cookies: 0,
        }];
        let line = "\nwaiting room main: 1,250 in line (25.0 s), 300 inside, 5,678 came in\n";
        assert!(status(&sample, 0, false).contains(line), "{}", status(&sample, 0, false));
    }

    #[test]
    fn a_breaker_shows_once_it_has_opened() {
        let mut sample = sample();
        let breaker = BreakerStatus {
            state: "open".to_owned(),
            why: "too large a share of requests failed".to_owned(),
            left_ms: Some(4_200),
            opened: 2,
            short_circuited: 1_234,
        };
        sample.upstreams[0].fallbacks = 7;
        sample.upstreams[0].breaker = Some(breaker.clone());
        let text = status(&sample, 0, false);
        let line = "breaker open for 4.2 s (too large a share of requests failed), opened 2 times, 1,234 requests not sent\n";
        assert!(text.contains("3 retries, 7 by its fallback\n") && text.contains(line), "{text}");
        sample.upstreams[0].breaker = Some(BreakerStatus { opened: 0, ..breaker });
        assert!(!status(&sample, 0, false).contains("breaker"));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = status(&sample(), 0, true);
        assert!(coloured.contains("\x1b[31mejected\x1b[0m"), "{coloured}");
        assert!(coloured.contains("\x1b[32mup\x1b[0m"), "{coloured}");
        assert!(coloured.contains("\x1b[33m2 of 3 available\x1b[0m"), "{coloured}");
        let mut plain = coloured;
        for code in ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, status(&sample(), 0, false));
    }

    #[test]
    fn rows_fit_the_terminal() {
        for width in [1, 10, 20, 72, 80, 100] {
            let text = status(&Status { listeners: Vec::new(), ..sample() }, width, false);
            let rows = text.lines().filter(|line| line.starts_with("127.") || line.starts_with("ENDPOINT"));
            for row in rows {
                assert!(row.chars().count() <= width, "{width}: {row}");
            }
        }
        let text = status(&sample(), 90, false);
        assert!(text.contains("  too many failures …\n"), "{text}");
    }

    #[test]
    fn a_process_that_drains_without_endpoints_says_so() {
        let mut sample = sample();
        sample.not_ready = vec!["draining".to_owned()];
        sample.upstreams[0].endpoints.clear();
        let text = status(&sample, 0, false);
        assert!(text.contains("not ready: draining\n"), "{text}");
        assert!(text.contains("upstream app: 0 of 0 available"), "{text}");
        assert!(text.ends_with("\nno endpoints\n"), "{text}");
    }

    #[test]
    fn many_routes_are_cut_to_the_busiest() {
        let mut sample = sample();
        let route = sample.routes[1].clone();
        sample.routes = (0..1_030)
            .map(|number| RouteStatus {
                name: format!("/{number}"),
                per_second: f64::from(number),
                ..route.clone()
            })
            .collect();
        let text = status(&sample, 0, false);
        assert!(text.contains("and 1,010 more routes\n"), "{text}");
        assert!(text.contains("\n/1029 ") && !text.contains("\n/1009 "), "{text}");
    }

    #[test]
    fn names_cannot_speak_to_the_terminal() {
        let mut sample = sample();
        sample.routes[0].name = "a\x1b[2Jb".to_owned();
        assert!(status(&sample, 0, false).contains("a?[2Jb"));
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.0, 99.94, 99.96, 12_345.6].map(rate), ["0.0", "99.9", "100", "12,346"]);
        let times =
            [0.0, 0.9994, 0.9996, 9.94, 9.96, 999.4, 1_000.0, 59_949.0, 60_000.0].map(|ms| time(Some(ms)));
        assert_eq!(
            times,
            ["0 µs", "999 µs", "1.0 ms", "9.9 ms", "10 ms", "999 ms", "1.0 s", "59.9 s", "1m 0s"]
        );
        let sizes = [0, 1_023, 1_024, 10_240, 5 << 20, 3 << 30, 2 << 40].map(bytes);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "10 KiB", "5.0 MiB", "3.0 GiB", "2.0 TiB"]);
        let shares = [Some(0.0), Some(0.999_9), Some(1.0), None].map(percent);
        assert_eq!(shares, ["0.0 %", "99.9 %", "100.0 %", "-"]);
        assert_eq!([5_000, 65_000, 7_260_000, 90_000_000].map(uptime), ["5s", "1m 5s", "2h 1m", "1d 1h"]);
    }
}
