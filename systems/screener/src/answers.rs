//! Whole answers kept in memory: what a filter found, rendered once, then looked up and sent.
//!
//! An entry's key holds the versions of the data that it was made from, so that a change makes every older entry
//! unreachable at once, also one that is being made at that moment. Equal questions that arrive while the answer is
//! being made wait for it instead of asking the database again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Bytes;
use kit::Answer;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::store::Versions;

/// Memory for kept answers. A page of the table is some 60 KB, a page of JSON some 15 KB.
const CAPACITY_BYTES: u64 = 64 << 20;
/// How many answers that is about; sizes the table.
const ENTRIES_ESTIMATED: usize = 2_000;
/// What an entry costs beside its body and its query.
const ENTRY_OVERHEAD_BYTES: u64 = 256;

/// How long whoever stands between may keep an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// JSON: half a minute, and half a minute more while a fresh one is fetched.
    Shared,
    /// Pages: kept, but asked about each time, since a person wants to see what they just saved.
    Asked,
}

impl Freshness {
    /// An answer that is as fresh as this.
    pub(crate) fn answer(self, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
        let cache_control = match self {
            Self::Shared => "public, max-age=30, stale-while-revalidate=30",
            Self::Asked => "no-cache",
        };
        Answer::new(content_type, cache_control, body)
    }
}

/// Which question an answer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// A list of stocks as JSON.
    Stocks,
    /// One stock as JSON.
    Stock,
    /// Sectors and industries as JSON.
    Sectors,
    /// The table page.
    TablePage,
    /// One stock's page.
    StockPage,
}

impl Question {
    /// Pages list the saved screens; the rest does not change with them.
    fn shows_screens(self) -> bool {
        self == Self::TablePage
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    question: Question,
    versions: Versions,
    /// The filter's one query string, or the symbol.
    subject: String,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Answer>> for Weight {
    fn weight(&self, key: &Key, answer: &Arc<Answer>) -> u64 {
        (key.subject.len() + answer.body().len()) as u64 + ENTRY_OVERHEAD_BYTES
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LookupLabels {
    result: &'static str,
}

/// The answers that this process keeps, least recently used ones leaving first.
#[derive(Debug)]
pub(crate) struct Answers {
    kept: Cache<Key, Arc<Answer>, Weight>,
    stocks: AtomicI64,
    screens: AtomicI64,
    hits: Counter,
    misses: Counter,
    lookups: Family<LookupLabels, Counter>,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let lookups = Family::<LookupLabels, Counter>::default();
        Self {
            kept: Cache::with_weighter(ENTRIES_ESTIMATED, CAPACITY_BYTES, Weight),
            stocks: AtomicI64::new(0),
            screens: AtomicI64::new(0),
            hits: lookups.get_or_create_owned(&LookupLabels { result: "hit" }),
            misses: lookups.get_or_create_owned(&LookupLabels { result: "miss" }),
            lookups,
        }
    }

    /// Takes note of the data's versions. Answers made from older ones are dropped.
    pub(crate) fn note(&self, now: Versions) {
        let stocks = self.stocks.fetch_max(now.stocks, Ordering::AcqRel);
        let screens = self.screens.fetch_max(now.screens, Ordering::AcqRel);
        if now.stocks > stocks || now.screens > screens {
            self.kept.retain(|key, _| key.versions == self.versions(key.question));
        }
    }

    /// The kept answer, or the one that `make` gives, which is then kept. Of equal questions at once one makes it.
    pub(crate) async fn get_or_make<E>(
        &self,
        question: Question,
        subject: String,
        make: impl Future<Output = Result<Answer, E>>,
    ) -> Result<Arc<Answer>, E> {
        let key = Key { question, versions: self.versions(question), subject };
        let mut is_miss = false;
        let making = async {
            is_miss = true;
            make.await.map(Arc::new)
        };
        let answer = self.kept.get_or_insert_async(&key, making).await;
        if is_miss {
            self.misses.inc()
        } else {
            self.hits.inc()
        };
        answer
    }

    /// The counter of lookups, for the registry.
    pub(crate) fn lookups(&self) -> impl prometheus_client::registry::Metric + use<> {
        self.lookups.clone()
    }

    fn versions(&self, question: Question) -> Versions {
        let screens = if question.shows_screens() { self.screens.load(Ordering::Acquire) } else { 0 };
        Versions { stocks: self.stocks.load(Ordering::Acquire), screens }
    }
}

/// What the kept answers cost, read at each scrape.
impl Collector for Answers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let gauges = [
            ("screener_answers_kept", "Answers kept in memory", self.kept.len() as u64),
            ("screener_answers_kept_bytes", "Memory that the kept answers take", self.kept.weight()),
        ];
        for (name, help, value) in gauges {
            ConstGauge::new(value).encode(encoder.encode_descriptor(
                name,
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(answers: &Answers, question: Question, body: &'static str) -> Bytes {
        let make = async { Ok::<_, ()>(Freshness::Shared.answer("text/plain", body)) };
        answers.get_or_make(question, "q".to_owned(), make).await.unwrap().body().clone()
    }

    #[tokio::test]
    async fn a_kept_answer_is_given_until_its_data_changes() {
        let answers = Answers::new();
        answers.note(Versions { stocks: 1, screens: 1 });
        assert_eq!(ask(&answers, Question::Stocks, "first").await, "first");
        assert_eq!(ask(&answers, Question::Stocks, "second").await, "first");
        answers.note(Versions { stocks: 2, screens: 1 });
        assert_eq!(ask(&answers, Question::Stocks, "third").await, "third");
        assert_eq!((answers.hits.get(), answers.misses.get()), (1, 2));
        assert_eq!(answers.kept.len(), 1, "the old answer is gone");
    }

    #[tokio::test]
    async fn a_saved_screen_drops_pages_and_nothing_else() {
        let answers = Answers::new();
        answers.note(Versions { stocks: 1, screens: 1 });
        ask(&answers, Question::Stocks, "list").await;
        ask(&answers, Question::TablePage, "page").await;
        answers.note(Versions { stocks: 1, screens: 2 });
        assert_eq!(ask(&answers, Question::Stocks, "new list").await, "list");
        assert_eq!(ask(&answers, Question::TablePage, "new page").await, "new page");
    }

    #[tokio::test]
    async fn an_older_version_never_comes_back() {
        let answers = Answers::new();
        answers.note(Versions { stocks: 5, screens: 5 });
        ask(&answers, Question::Stocks, "five").await;
        answers.note(Versions { stocks: 4, screens: 4 });
        assert_eq!(ask(&answers, Question::Stocks, "four").await, "five");
    }

    #[tokio::test]
    async fn equal_questions_at_once_are_made_once() {
        let answers = Arc::new(Answers::new());
        let (go_on, wait) = tokio::sync::oneshot::channel::<()>();
        let first = async {
            let make = async {
                wait.await.unwrap();
                Ok::<_, ()>(Freshness::Shared.answer("text/plain", "made once"))
            };
            answers.get_or_make(Question::Stocks, "q".to_owned(), make).await.unwrap()
        };
        let second = async {
            go_on.send(()).unwrap();
            ask(&answers, Question::Stocks, "made twice").await
        };
        let (_, second) = tokio::join!(first, second);
        assert_eq!(second, "made once");
    }

    #[tokio::test]
    async fn a_failed_answer_is_not_kept() {
        let answers = Answers::new();
        let failing = async { Err::<Answer, _>("no") };
        assert!(answers.get_or_make(Question::Stocks, "q".to_owned(), failing).await.is_err());
        assert_eq!(ask(&answers, Question::Stocks, "well").await, "well");
    }
}
