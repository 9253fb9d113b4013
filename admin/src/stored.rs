//! What people ask of the cache: what to take out, what is in it.

use serde::{Deserialize, Serialize};

/// What to take out of the cache, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PurgeOrder {
    /// What.
    pub what: PurgeWhat,
    /// Make it stale instead of removing it: it is still given out where stale answers may be, and fetched anew.
    pub soft: bool,
}

/// What to take out of the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PurgeWhat {
    /// One URL with all its variants, whether it was asked for over http or https.
    Url(String),
    /// Every URL that begins so, over http and https: `http://host/path`.
    Prefix(String),
    /// Everything that has this tag in Cache-Tag or Surrogate-Key.
    Tag(String),
    /// Everything.
    All,
}

impl PurgeWhat {
    /// What is meant, for people.
    pub fn what(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Prefix(prefix) => format!("everything under {prefix}"),
            Self::Tag(tag) => format!("everything tagged {tag:?}"),
            Self::All => "everything".to_owned(),
        }
    }
}

/// What came of a purge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Purged {
    /// Entries that were taken out, or made stale.
    pub purged: u64,
    /// Made stale.
    pub soft: bool,
}

impl Purged {
    /// What happened, for people.
    pub fn what(self) -> String {
        let entries = if self.purged == 1 { "entry" } else { "entries" };
        let done = if self.soft { "made stale" } else { "taken out" };
        format!("{} {entries} {done}", self.purged)
    }
}

/// Several entries of the cache.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entries {
    /// They.
    pub entries: Vec<EntryStatus>,
    /// There may be more than were asked for.
    pub is_cut: bool,
    /// Entries that can be found on disk, those that are in memory as well included.
    #[serde(default)]
    pub on_disk: u64,
}

/// One entry of the cache.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntryStatus {
    /// Its URL.
    pub url: String,
    /// What its route adds to the key, and what it varies on as `name=value`, or `name-` where the request had none.
    pub variant: Vec<String>,
    /// Its status.
    pub status: u16,
    /// Bytes of its body.
    pub body_bytes: u64,
    /// Bytes that it takes of the cache's memory.
    pub cost_bytes: u64,
    /// How often it was given out.
    pub hits: u32,
    /// How old it is, in milliseconds.
    pub age_ms: u64,
    /// How long it is still fresh; negative: how long it has been stale.
    pub fresh_ms: i64,
    /// How many tags it has.
    pub tags: u64,
    /// It is on disk and not in memory. How often it was given out is not known then.
    #[serde(default)]
    pub on_disk: bool,
}

/// What the cache holds and has done. Sums are since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CacheStatus {
    /// What it may take: `cache.memory`.
    pub memory_bytes: u64,
    /// What it takes: the sum of the next five.
    pub used_bytes: u64,
    /// Heads, keys and what surrounds them.
    pub head_bytes: u64,
    /// Bodies.
    pub body_bytes: u64,
    /// Tables and queues.
    pub table_bytes: u64,
    /// What is coming in.
    pub filling_bytes: u64,
    /// What has left and is still being sent.
    pub leaving_bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Answers given out.
    pub hits: u64,
    /// Fetches from the origin, refreshes included.
    pub fills: u64,
    /// Entries that had to leave for others.
    pub evictions: u64,
    /// Entries purged or invalidated.
    pub purged: u64,
    /// Its tier on disk; none where there is none.
    pub disk: Option<DiskStatus>,
}

/// The cache's tier on disk. Sums are since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DiskStatus {
    /// What its files may take: `cache.disk.size`.
    pub limit_bytes: u64,
    /// What they take.
    pub used_bytes: u64,
    /// Entries that can be found in them, some of which are in memory as well.
    pub entries: u64,
    /// Misses in memory that were answered from it.
    pub hits: u64,
    /// Entries written.
    pub written: u64,
    /// Entries that were to be written and were not.
    pub dropped: u64,
    /// What went wrong.
    pub faults: u64,
}

impl From<cache::disk::Usage> for DiskStatus {
    fn from(usage: cache::disk::Usage) -> Self {
        Self {
            limit_bytes: usage.limit_bytes,
            used_bytes: usage.used_bytes,
            entries: usage.entries,
            hits: usage.hits_total,
            written: usage.written_total,
            dropped: usage.dropped_total.iter().sum(),
            faults: usage.faults_total.iter().sum(),
        }
    }
}

impl From<cache::Usage> for CacheStatus {
    fn from(usage: cache::Usage) -> Self {
        Self {
            memory_bytes: usage.memory_bytes,
            used_bytes: usage.used_bytes,
            head_bytes: usage.head_bytes,
            body_bytes: usage.body_bytes,
            table_bytes: usage.overhead_bytes,
            filling_bytes: usage.filling_bytes,
            leaving_bytes: usage.leaving_bytes,
            entries: usage.entries,
            hits: usage.hits_total,
            fills: usage.fills_total,
            evictions: usage.evictions_total,
            purged: usage.purged_total,
            disk: (usage.disk.limit_bytes > 0).then(|| usage.disk.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purge_says_what_it_did() {
        let what = |purged, soft| Purged { purged, soft }.what();
        assert_eq!(what(0, false), "0 entries taken out");
        assert_eq!(what(1, true), "1 entry made stale");
        assert_eq!(PurgeWhat::Tag("a".to_owned()).what(), "everything tagged \"a\"");
    }
}
