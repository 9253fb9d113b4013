//! The cache in words.

use core::fmt::Write as _;

use super::{Cell, Paint, Side, Table, bytes, count, uptime};
use crate::stored::{CacheStatus, Entries};

/// Nothing where the cache has never done anything.
pub(super) fn summary(out: &mut String, cache: &CacheStatus) {
    if cache.entries + cache.fills == 0 {
        return;
    }
    let (used, most) = (bytes(cache.used_bytes), bytes(cache.memory_bytes));
    let _ = write!(out, "cache: {} entries, {used} of {most}", count(cache.entries));
    let _ = writeln!(out, ", {} fetches, {} evictions", count(cache.fills), count(cache.evictions));
    if let Some(disk) = &cache.disk {
        let (used, most) = (bytes(disk.used_bytes), bytes(disk.limit_bytes));
        let _ = write!(out, "on disk: {} entries, {used} of {most}", count(disk.entries));
        let _ = write!(out, ", {} hits, {} written", count(disk.hits), count(disk.written));
        let _ = writeln!(out, ", {} dropped, {} faults", count(disk.dropped), count(disk.faults));
    }
}

/// Entries of the cache as a table, as [`super::status`] is one.
pub fn entries(entries: &Entries, width: usize) -> String {
    let mut out = String::new();
    let paint = Paint { width, is_coloured: false };
    let mut table = Table::new(&["STATUS", "HITS", "BYTES", "AGE", "FRESH FOR", "URL"], Side::Left);
    for entry in &entries.entries {
        let fresh = match u64::try_from(entry.fresh_ms) {
            Ok(left) => uptime(left),
            Err(_) => "stale".to_owned(),
        };
        let variant = entry.variant.iter().flat_map(|part| ["  ", part]).collect::<String>();
        table.row(vec![
            Cell::left(&entry.status.to_string()),
            if entry.on_disk {
                Cell::right("disk".to_owned())
            } else {
                Cell::right(count(entry.hits.into()))
            },
            Cell::right(count(entry.body_bytes)),
            Cell::right(uptime(entry.age_ms)),
            Cell::right(fresh),
            Cell::left(&format!("{}{variant}", entry.url)),
        ]);
    }
    if !entries.entries.is_empty() {
        table.print(&mut out, paint);
    }
    if entries.is_cut {
        let _ = writeln!(out, "and perhaps more: --limit says how many are shown");
    }
    if entries.on_disk > 0 {
        let what = "\"disk\" in place of hits marks what is not in memory as well";
        let _ = writeln!(out, "on disk are {} entries: {what}", count(entries.on_disk));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::EntryStatus;

    #[test]
    fn entries_are_a_table_too() {
        let entry = |url: &str, fresh_ms, variant: &[&str]| EntryStatus {
            url: url.to_owned(),
            variant: variant.iter().map(|part| (*part).to_owned()).collect(),
            status: 200,
            body_bytes: 1_234,
            cost_bytes: 1_500,
            hits: 12,
            age_ms: 65_000,
            fresh_ms,
            tags: 0,
            on_disk: false,
        };
        let below = EntryStatus { hits: 0, on_disk: true, ..entry("http://a/y", 5_000, &[]) };
        let stale = entry("http://a/x", -1, &["accept-encoding=gzip"]);
        let list = vec![entry("http://a/\u{1b}[2J", 5_000, &[]), stale, below];
        let expected = "\
STATUS  HITS  BYTES    AGE  FRESH FOR  URL
200       12  1,234  1m 5s         5s  http://a/?[2J
200       12  1,234  1m 5s      stale  http://a/x  accept-encoding=gzip
200     disk  1,234  1m 5s         5s  http://a/y
on disk are 2 entries: \"disk\" in place of hits marks what is not in memory as well
";
        assert_eq!(entries(&Entries { entries: list, is_cut: false, on_disk: 2 }, 0), expected);
    }
}
