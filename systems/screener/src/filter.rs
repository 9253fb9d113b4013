//! What someone asks of the universe: from a query string to a [`Filter`], every mistake named, and back to the one
//! query string that stands for it (the cache's key, the links on the page, what a saved screen keeps).

use kit::FieldError;

use crate::stock::{FIELDS, Field, Unit};

/// Stocks on a page unless the client asks otherwise.
pub const PER_PAGE_DEFAULT: u32 = 50;
/// The most stocks on a page.
pub const PER_PAGE_MAX: u32 = 200;
/// The highest page that can be asked for; no universe has more.
pub const PAGE_MAX: u32 = 50_000;
/// The most sectors or industries in one filter.
pub const LIST_MAX: usize = 50;
/// The longest text to search for and the longest sector or industry.
pub const TEXT_MAX_BYTES: usize = 100;
/// The longest query string that is read.
pub const QUERY_MAX_BYTES: usize = 4_096;

/// Which stocks, in which order, which page of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Part of a name, or the beginning of a symbol; case does not matter (ASCII).
    pub text: Option<String>,
    /// Any of these sectors; empty means all. Sorted, without repeats.
    pub sectors: Vec<String>,
    /// Any of these industries; empty means all. Sorted, without repeats.
    pub industries: Vec<String>,
    /// By [`Field::index`].
    pub ranges: [Range; FIELDS.len()],
    /// The order.
    pub sort: Sort,
    /// The page, counted from 1.
    pub page: Page,
}

/// Both ends belong to the range; a stock without the number is in no range that has an end.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Range {
    /// The least value.
    pub min: Option<f64>,
    /// The greatest value.
    pub max: Option<f64>,
}

/// Which slice of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Counted from 1.
    pub number: u32,
    /// Stocks on each page.
    pub size: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { number: 1, size: PER_PAGE_DEFAULT }
    }
}

/// The order of the answer. Equal stocks follow each other by symbol; those without the number come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// Greatest first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self { by: SortBy::Number(Field::MarketCap), descending: true }
    }
}

/// What can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// The ticker symbol.
    Symbol,
    /// The company's name; case does not matter (ASCII).
    Name,
    /// The sector.
    Sector,
    /// The industry.
    Industry,
    /// A number.
    Number(Field),
}

impl SortBy {
    /// Its name in the query, which is also the SQL column's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Name => "name",
            Self::Sector => "sector",
            Self::Industry => "industry",
            Self::Number(field) => field.about().name,
        }
    }

    /// Everything that can be sorted by.
    pub fn all() -> impl Iterator<Item = Self> {
        let texts = [Self::Symbol, Self::Name, Self::Sector, Self::Industry];
        texts.into_iter().chain(FIELDS.iter().map(|about| Self::Number(about.field)))
    }
}

impl Sort {
    fn parse(text: &str) -> Option<Self> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        SortBy::all().find(|by| by.name() == name).map(|by| Self { by, descending })
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.by.name())
    }
}

/// What a query string came to: a filter from all that was right, and everything that was wrong. An answer is given
/// only when nothing was wrong; the page shows the rest of the filter beside the errors.
#[derive(Debug)]
pub struct Parsed {
    /// All that was right.
    pub filter: Filter,
    /// All that was wrong.
    pub errors: Vec<FieldError>,
}

impl Parsed {
    /// The filter, if nothing was wrong.
    pub fn strict(self) -> Result<Filter, Vec<FieldError>> {
        if self.errors.is_empty() { Ok(self.filter) } else { Err(self.errors) }
    }
}

impl Filter {
    /// Reads a query string (without the `?`). An empty value counts as absent, since forms send their empty inputs.
    pub fn parse(query: &str) -> Parsed {
        let mut reader = Reader::default();
        if query.len() > QUERY_MAX_BYTES {
            let message = format!("{} bytes, of at most {QUERY_MAX_BYTES}", query.len());
            reader.errors.push(FieldError::new("query", message).help("ask for fewer sectors or industries"));
            return Parsed { filter: reader.filter, errors: reader.errors };
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.trim();
            if value.is_empty() && is_known(&name) {
                continue;
            }
            reader.read(&name, value);
        }
        reader.finish()
    }

    /// The one query string that stands for this filter: parameters in a fixed order, defaults left out. Equal
    /// filters have equal query strings.
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(text) = &self.text {
            query.append_pair("q", text);
        }
        for (name, list) in [("sector", &self.sectors), ("industry", &self.industries)] {
            for value in list {
                query.append_pair(name, value);
            }
        }
        for (about, range) in FIELDS.iter().zip(&self.ranges) {
            for (end, value) in [("min", range.min), ("max", range.max)] {
                if let Some(value) = value {
                    query.append_pair(&format!("{}_{end}", about.name), &value.to_string());
                }
            }
        }
        let standard = Self::default();
        if self.sort != standard.sort {
            query.append_pair("sort", &self.sort.to_string());
        }
        if self.page.size != standard.page.size {
            query.append_pair("per_page", &self.page.size.to_string());
        }
        if self.page.number != 1 {
            query.append_pair("page", &self.page.number.to_string());
        }
        query.finish()
    }

    /// The same filter at its first page; what a saved screen keeps.
    #[must_use]
    pub fn first_page(&self) -> Self {
        self.at_page(1)
    }

    /// The same filter at another page.
    #[must_use]
    pub fn at_page(&self, number: u32) -> Self {
        Self { page: Page { number, ..self.page }, ..self.clone() }
    }

    /// The range of a field.
    pub fn range(&self, field: Field) -> Range {
        self.ranges[field.index()]
    }
}

/// Every parameter's name, for the nearest known one and for the API's description.
pub fn parameter_names() -> impl Iterator<Item = String> {
    let fixed = ["q", "sector", "industry", "sort", "page", "per_page"].map(str::to_owned);
    let ranges = FIELDS.iter().flat_map(|about| ["min", "max"].map(|end| format!("{}_{end}", about.name)));
    fixed.into_iter().chain(ranges)
}

/// The known name that is nearest to `name`, if one is near enough to have been meant.
pub fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, &candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .map(|(_, candidate)| candidate)
}

fn is_known(name: &str) -> bool {
    matches!(name, "q" | "sector" | "industry" | "sort" | "page" | "per_page") || bound(name).is_some()
}

/// `pe_min` is the lower end of P/E's range.
fn bound(name: &str) -> Option<(Field, bool)> {
    let (name, is_min) = match name.strip_suffix("_min") {
        Some(name) => (name, true),
        None => (name.strip_suffix("_max")?, false),
    };
    FIELDS.iter().find(|about| about.name == name).map(|about| (about.field, is_min))
}

#[derive(Default)]
struct Reader {
    filter: Filter,
    errors: Vec<FieldError>,
    /// Parameters that may come once, and have come.
    seen: Vec<String>,
}

impl Reader {
    fn read(&mut self, name: &str, value: &str) {
        if !is_known(name) {
            return self.refuse_unknown(name);
        }
        if !matches!(name, "sector" | "industry") {
            if self.seen.iter().any(|seen| seen == name) {
                let error = FieldError::new(name, "given more than once").help("give it once");
                return self.errors.push(error);
            }
            self.seen.push(name.to_owned());
        }
        match name {
            "q" => self.filter.text = self.text(name, value),
            "sector" => {
                if let Some(sector) = self.text(name, value) {
                    self.filter.sectors.push(sector);
                }
            }
            "industry" => {
                if let Some(industry) = self.text(name, value) {
                    self.filter.industries.push(industry);
                }
            }
            "sort" => self.sort(value),
            "page" => {
                if let Some(number) = self.whole(name, value, PAGE_MAX) {
                    self.filter.page.number = number;
                }
            }
            "per_page" => {
                if let Some(size) = self.whole(name, value, PER_PAGE_MAX) {
                    self.filter.page.size = size;
                }
            }
            _ => self.end_of_range(name, value),
        }
    }

    fn refuse_unknown(&mut self, name: &str) {
        let shown: String = name.chars().take(TEXT_MAX_BYTES).collect();
        let error = FieldError::new(shown, "unknown parameter");
        self.errors.push(match nearest(name, parameter_names()) {
            Some(known) => error.help(format!("did you mean {known}?")),
            None => error.help("the parameters are listed at /openapi.json"),
        });
    }

    fn text(&mut self, name: &str, value: &str) -> Option<String> {
        if value.len() > TEXT_MAX_BYTES {
            let message = format!("{} bytes, of at most {TEXT_MAX_BYTES}", value.len());
            self.errors.push(FieldError::new(name, message));
            return None;
        }
        Some(value.to_owned())
    }

    fn sort(&mut self, value: &str) {
        if let Some(sort) = Sort::parse(value) {
            self.filter.sort = sort;
            return;
        }
        let error = FieldError::new("sort", format!("cannot sort by {value:?}"));
        let name = value.strip_prefix('-').unwrap_or(value);
        let names = SortBy::all().map(|by| by.name().to_owned());
        self.errors.push(match nearest(name, names) {
            Some(known) => error.help(format!("did you mean {known}? a minus before it sorts downwards")),
            None => error.help(format!(
                "use one of {}; a minus before it sorts downwards",
                SortBy::all().map(SortBy::name).collect::<Vec<_>>().join(", ")
            )),
        });
    }

    fn whole(&mut self, name: &str, value: &str, max: u32) -> Option<u32> {
        match value.parse::<u32>() {
            Ok(number) if (1..=max).contains(&number) => Some(number),
            _ => {
                let message = format!("not a whole number from 1 to {max}: {value:?}");
                self.errors.push(FieldError::new(name, message));
                None
            }
        }
    }

    fn end_of_range(&mut self, name: &str, value: &str) {
        let (field, is_min) = bound(name).expect("the caller knows that the name is known");
        if let Some(number) = number(value, field.about().unit) {
            let range = &mut self.filter.ranges[field.index()];
            *(if is_min { &mut range.min } else { &mut range.max }) = Some(number);
        } else {
            let error = FieldError::new(name, format!("not a number: {value:?}"));
            self.errors.push(error.help("write it as 12.5, or with K, M, B or T as in 10B"));
        }
    }

    fn finish(mut self) -> Parsed {
        for (name, list) in [("sector", &mut self.filter.sectors), ("industry", &mut self.filter.industries)]
        {
            list.sort_unstable();
            list.dedup();
            if list.len() > LIST_MAX {
                let message = format!("{} values, of at most {LIST_MAX}", list.len());
                self.errors.push(FieldError::new(name, message));
            }
        }
        for (about, range) in FIELDS.iter().zip(&self.filter.ranges) {
            if let (Some(min), Some(max)) = (range.min, range.max)
                && min > max
            {
                let name = about.name;
                let error =
                    FieldError::new(format!("{name}_min"), format!("{min} is above {name}_max {max}"));
                self.errors.push(error.help("swap them"));
            }
        }
        Parsed { filter: self.filter, errors: self.errors }
    }
}

/// A number as people write it: `12.5`, `-3`, `10B`, `7%` where percent are meant. At most 10^18 either way.
fn number(text: &str, unit: Unit) -> Option<f64> {
    let text = if unit == Unit::Percent { text.strip_suffix('%').unwrap_or(text) } else { text };
    let (digits, factor) = match text.as_bytes().last()?.to_ascii_uppercase() {
        b'K' => (&text[..text.len() - 1], 1e3),
        b'M' => (&text[..text.len() - 1], 1e6),
        b'B' => (&text[..text.len() - 1], 1e9),
        b'T' => (&text[..text.len() - 1], 1e12),
        _ => (text, 1.0),
    };
    // The standard parser also reads "inf", "nan" and "infinity", which no one means.
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) {
        return None;
    }
    let number = digits.parse::<f64>().ok()? * factor;
    // Adding zero turns -0 into 0, so that equal filters have equal query strings.
    (number.abs() <= 1e18).then_some(number + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(query: &str) -> Filter {
        Filter::parse(query).strict().unwrap()
    }

    fn refused(query: &str) -> Vec<(String, String)> {
        let errors = Filter::parse(query).strict().unwrap_err();
        errors.into_iter().map(|error| (error.field, error.help.unwrap_or(error.message))).collect()
    }

    #[test]
    fn a_query_reads_into_a_filter() {
        let filter = filter(
            "sector=Energy&sector=Utilities&pe_max=15&market_cap_min=10b&roe_min=7%25&sort=-pe&page=3",
        );
        assert_eq!(filter.sectors, ["Energy", "Utilities"]);
        assert_eq!(filter.range(Field::Pe), Range { min: None, max: Some(15.0) });
        assert_eq!(filter.range(Field::MarketCap), Range { min: Some(1e10), max: None });
        assert_eq!(filter.range(Field::Roe).min, Some(7.0));
        assert_eq!(filter.sort, Sort { by: SortBy::Number(Field::Pe), descending: true });
        assert_eq!(filter.page, Page { number: 3, size: PER_PAGE_DEFAULT });
    }

    #[test]
    fn filters_that_mean_the_same_have_one_query_string() {
        let same = [
            "sector=Energy&sector=Utilities&pe_max=15&market_cap_min=1e10",
            "pe_max=15.0&sector=Utilities&sector=Energy&sector=Energy&market_cap_min=10B&page=1&per_page=50",
            "pe_min=&q=&sort=-market_cap&market_cap_min=10000000000&pe_max=+15&sector=Energy&sector=Utilities",
        ];
        let queries: Vec<_> = same.iter().map(|query| filter(query).to_query()).collect();
        assert_eq!(queries[0], "sector=Energy&sector=Utilities&market_cap_min=10000000000&pe_max=15");
        assert!(queries.iter().all(|query| *query == queries[0]), "{queries:#?}");
    }

    #[test]
    fn a_query_string_survives_a_round_trip() {
        let query = "q=a%26b+%C3%A4&industry=Oil+%26+Gas+Drilling&change_52w_min=-12.5&volume_max=1000000&sort=name&per_page=7&page=9";
        assert_eq!(filter(query).to_query(), query);
    }

    #[test]
    fn unknown_parameters_are_refused_with_the_nearest_known_one() {
        assert_eq!(refused("pe_mn=3"), [("pe_mn".into(), "did you mean pe_min?".into())]);
        assert_eq!(refused("sectr=Energy"), [("sectr".into(), "did you mean sector?".into())]);
        assert_eq!(
            refused("xyzzy="),
            [("xyzzy".into(), "the parameters are listed at /openapi.json".into())]
        );
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let named =
            refused("pe_min=abc&per_page=0&page=x&sort=markt_cap&roe_min=5&roe_max=1&q=a&q=b&price_min=nan");
        let fields: Vec<_> = named.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["pe_min", "per_page", "page", "sort", "q", "price_min", "roe_min"]);
    }

    #[test]
    fn sizes_have_limits() {
        assert_eq!(refused(&format!("q={}", "x".repeat(101)))[0].0, "q");
        assert_eq!(refused(&"x".repeat(QUERY_MAX_BYTES + 1))[0].0, "query");
        let many: Vec<_> = (0..=LIST_MAX).map(|n| format!("industry=i{n}")).collect();
        assert_eq!(refused(&many.join("&"))[0].0, "industry");
        assert_eq!(refused("per_page=201")[0].0, "per_page");
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in
            [("1.5K", 1.5e3), ("2m", 2e6), ("-3", -3.0), ("1e3", 1e3), (".5", 0.5), ("-0", 0.0)]
        {
            assert_eq!(number(text, Unit::Ratio).map(f64::to_bits), Some(f64::to_bits(value)), "{text}");
        }
        for text in ["", "inf", "NaN", "1,5", "K", "1e400", "7%", "0x10", "--1", "é"] {
            assert_eq!(number(text, Unit::Ratio), None, "{text}");
        }
    }
}
