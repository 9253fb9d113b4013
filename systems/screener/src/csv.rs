//! CSV in and out. A file is read whole and checked whole before anything is written: either every row is right, or
//! nothing changes and every mistake is named with its line.

use std::collections::HashMap;

use kit::FieldError;

use crate::filter::{TEXT_MAX_BYTES, nearest};
use crate::stock::{FIELDS, Field, Listing, Stock, UNIVERSE_MAX, is_symbol};

/// The largest file that is read, over HTTP and from disk.
pub(crate) const FILE_MAX_BYTES: usize = 32 << 20;
/// Mistakes named before the rest is only counted.
const ERRORS_MAX: usize = 50;
/// The most weekly closes of one company: ten years.
const CLOSES_MAX: usize = 520;

const TEXTS: [&str; 4] = ["symbol", "name", "sector", "industry"];
const CLOSES: &str = "closes";
/// `true` for companies that were made up: an export of synthetic data stays synthetic when it is read in again.
const SYNTHETIC: &str = "synthetic";

/// Every column's name, in the order in which they are written.
fn columns() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().chain(FIELDS.iter().map(|about| about.name)).chain([CLOSES, SYNTHETIC])
}

fn is_required(column: &str) -> bool {
    TEXTS.contains(&column) || FIELDS.iter().any(|about| about.name == column && !about.optional)
}

/// Reads a file: a header with column names in any order, then one company per line. Columns of numbers that a
/// company may lack may be left out or empty; `closes` holds weekly closing prices, oldest first, separated by spaces.
///
/// # Errors
///
/// Every mistake with its line, the first 50 of them, and how many more there are.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<Listing>, Vec<FieldError>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let mut records = reader.byte_records();
    let header = match records.next() {
        Some(Ok(record)) => Header::read(&record)?,
        Some(Err(error)) => return Err(vec![broken(&error)]),
        None => return Err(vec![FieldError::new("file", "empty").help(header_help())]),
    };

    let mut found = Found::default();
    let mut lines = Lines { bytes, counted: 0, line: 1 };
    for record in records {
        match record {
            Ok(record) => {
                let at = record.position().map_or(0, csv::Position::byte) as usize;
                found.row(&header, &record, lines.of(at));
            }
            Err(error) => {
                found.errors.push(broken(&error));
                break;
            }
        }
        if found.listings.len() > UNIVERSE_MAX as usize {
            found.errors.push(FieldError::new("file", format!("more than {UNIVERSE_MAX} companies")));
            break;
        }
    }
    if found.listings.is_empty() && found.errors.is_empty() {
        found.errors.push(FieldError::new("file", "no companies after the header"));
    }
    if found.errors.is_empty() { Ok(found.listings) } else { Err(shortened(found.errors)) }
}

/// Writes a file that [`read`] reads back.
pub(crate) fn write(listings: &[Listing]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::with_capacity(listings.len() * 160));
    let writing = "writing to memory cannot fail";
    writer.write_record(columns()).expect(writing);
    for Listing { stock, closes } in listings {
        let texts = [&stock.symbol, &stock.name, &stock.sector, &stock.industry].map(Clone::clone);
        let numbers =
            FIELDS.iter().map(|about| stock.number(about.field).map_or(String::new(), |n| n.to_string()));
        let closes = closes.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        writer
            .write_record(texts.into_iter().chain(numbers).chain([closes, stock.synthetic.to_string()]))
            .expect(writing);
    }
    writer.into_inner().expect(writing)
}

fn header_help() -> String {
    let required: Vec<_> = columns().filter(|column| is_required(column)).collect();
    let optional: Vec<_> = columns().filter(|column| !is_required(column)).collect();
    format!("the first line names the columns: {}; optional {}", required.join(", "), optional.join(", "))
}

fn broken(error: &csv::Error) -> FieldError {
    let at = error.position().map(csv::Position::line);
    let error = FieldError::new("file", format!("not readable as CSV: {error}"));
    at.into_iter().fold(error, FieldError::at_line)
}

fn shortened(mut errors: Vec<FieldError>) -> Vec<FieldError> {
    let more = errors.len().saturating_sub(ERRORS_MAX);
    errors.truncate(ERRORS_MAX);
    if more > 0 {
        errors.push(FieldError::new("file", format!("{more} more mistakes")));
    }
    errors
}

/// Which column stands where.
struct Header {
    width: usize,
    places: HashMap<&'static str, usize>,
}

impl Header {
    fn read(record: &csv::ByteRecord) -> Result<Self, Vec<FieldError>> {
        let mut places = HashMap::new();
        let mut errors = Vec::new();
        for (place, name) in record.iter().enumerate() {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match columns().find(|column| *column == name) {
                Some(column) if places.insert(column, place).is_none() => {}
                Some(column) => errors.push(FieldError::new(column, "column given twice").at_line(1)),
                None => {
                    let shown: String = name.chars().take(TEXT_MAX_BYTES).collect();
                    let error = FieldError::new(shown, "unknown column").at_line(1);
                    errors.push(match nearest(&name, columns().map(str::to_owned)) {
                        Some(known) => error.help(format!("did you mean {known}?")),
                        None => error.help(header_help()),
                    });
                }
            }
        }
        for column in columns().filter(|column| is_required(column) && !places.contains_key(column)) {
            errors.push(FieldError::new(column, "column missing").at_line(1).help(header_help()));
        }
        let header = Self { width: record.len(), places };
        if errors.is_empty() { Ok(header) } else { Err(shortened(errors)) }
    }
}

/// Which line of the file a byte is on. The reader's own count stands before the empty lines that it skips, and
/// between the two halves of a CRLF.
struct Lines<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the record that begins at or after byte `at`; never asked for an earlier one.
    fn of(&mut self, at: usize) -> u64 {
        let breaks = self.bytes[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.counted..at + breaks];
        self.line += passed.split(|byte| *byte == b'\n').count() as u64 - 1;
        self.counted = at + breaks;
        self.line
    }
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    listings: Vec<Listing>,
    errors: Vec<FieldError>,
    /// The line on which each symbol was first seen.
    lines: HashMap<String, u64>,
}

impl Found {
    fn row(&mut self, header: &Header, record: &csv::ByteRecord, line: u64) {
        if record.len() != header.width {
            let message = format!("{} values where the header has {}", record.len(), header.width);
            self.errors.push(FieldError::new("row", message).at_line(line));
            return;
        }
        let before = self.errors.len();
        let mut row = Row { header, record, line, errors: &mut self.errors };
        let listing = row.listing();
        if let Some(first) = self.lines.get(&listing.stock.symbol) {
            let message = format!("{} is on line {first} already", listing.stock.symbol);
            self.errors.push(FieldError::new("symbol", message).at_line(line));
        } else {
            self.lines.insert(listing.stock.symbol.clone(), line);
        }
        if self.errors.len() == before {
            self.listings.push(listing);
        }
    }
}

/// One line being read; a value that is wrong is named and stands as empty, so that the rest is checked too.
struct Row<'a> {
    header: &'a Header,
    record: &'a csv::ByteRecord,
    line: u64,
    errors: &'a mut Vec<FieldError>,
}

impl Row<'_> {
    fn listing(&mut self) -> Listing {
        let symbol = self.text("symbol").to_ascii_uppercase();
        if !symbol.is_empty() && !is_symbol(&symbol) {
            self.wrong("symbol", "not 1 to 12 of A-Z, 0-9, . and -");
        }
        let stock = Stock {
            symbol,
            name: self.text("name"),
            sector: self.text("sector"),
            industry: self.text("industry"),
            market_cap: self.number(Field::MarketCap).unwrap_or_default() as i64,
            price: self.number(Field::Price).unwrap_or_default(),
            pe: self.number(Field::Pe),
            pb: self.number(Field::Pb),
            roe: self.number(Field::Roe),
            dividend_yield: self.number(Field::DividendYield),
            debt_to_equity: self.number(Field::DebtToEquity),
            revenue_growth: self.number(Field::RevenueGrowth),
            change_52w: self.number(Field::Change52w),
            volume: self.number(Field::Volume).unwrap_or_default() as i64,
            synthetic: self.is_synthetic(),
        };
        Listing { stock, closes: self.closes() }
    }

    fn value(&mut self, column: &'static str) -> Option<String> {
        let place = *self.header.places.get(column)?;
        match std::str::from_utf8(&self.record[place]) {
            Ok("") => None,
            Ok(value) => Some(value.to_owned()),
            Err(_) => {
                self.wrong(column, "not UTF-8");
                Some(String::new())
            }
        }
    }

    fn text(&mut self, column: &'static str) -> String {
        match self.value(column) {
            None => {
                self.wrong(column, "missing");
                String::new()
            }
            Some(text) if text.len() > TEXT_MAX_BYTES => {
                self.wrong(column, format!("{} bytes, of at most {TEXT_MAX_BYTES}", text.len()));
                String::new()
            }
            Some(text) if text.chars().any(char::is_control) => {
                self.wrong(column, "holds a control character");
                String::new()
            }
            Some(text) => text,
        }
    }

    fn number(&mut self, field: Field) -> Option<f64> {
        let about = field.about();
        let Some(text) = self.value(about.name) else {
            if !about.optional {
                self.wrong(about.name, "missing");
            }
            return None;
        };
        let (least, greatest) = about.bounds;
        let Ok(number) = text.parse::<f64>() else {
            self.wrong(about.name, format!("not a number: {:?}", text.chars().take(40).collect::<String>()));
            return None;
        };
        if !(least..=greatest).contains(&number) {
            self.wrong(about.name, format!("{number} is not between {least} and {greatest}"));
            return None;
        }
        if about.unit.is_whole() && number.fract() != 0.0 {
            self.wrong(about.name, format!("not a whole number: {text:?}"));
            return None;
        }
        Some(number)
    }

    fn closes(&mut self) -> Vec<f64> {
        let Some(text) = self.value(CLOSES) else { return Vec::new() };
        let (least, greatest) = Field::Price.about().bounds;
        let mut closes = Vec::new();
        for word in text.split_ascii_whitespace() {
            match word.parse::<f64>() {
                Ok(close) if (least..=greatest).contains(&close) => closes.push(close),
                _ => {
                    let shown: String = word.chars().take(40).collect();
                    self.wrong(CLOSES, format!("not a price: {shown:?}"));
                    return Vec::new();
                }
            }
        }
        if closes.len() > CLOSES_MAX {
            self.wrong(CLOSES, format!("{} prices, of at most {CLOSES_MAX}", closes.len()));
        }
        closes
    }

    fn is_synthetic(&mut self) -> bool {
        match self.value(SYNTHETIC).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.wrong(SYNTHETIC, "neither true nor false");
                false
            }
        }
    }

    fn wrong(&mut self, column: &str, message: impl Into<String>) {
        self.errors.push(FieldError::new(column, message).at_line(self.line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "symbol,name,sector,industry,price,market_cap,volume,pe";

    fn refused(file: &str) -> Vec<(Option<u64>, String, String)> {
        let errors = read(file.as_bytes()).unwrap_err();
        errors.into_iter().map(|error| (error.line, error.field, error.message)).collect()
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut listings = crate::synthetic::universe(3, 200);
        listings[0].stock.name = "Quotes \"and\", commas".to_owned();
        listings[1].stock.synthetic = false;
        assert_eq!(read(&write(&listings)).unwrap(), listings);
    }

    #[test]
    fn columns_come_in_any_order_and_case_and_may_lack() {
        let file = "\u{feff}Name, SYMBOL ,price,volume,market_cap,industry,sector\r\nAcme,acm, 1.5 ,10,100,Anvils,Tools\r\n";
        let listings = read(file.as_bytes()).unwrap();
        assert_eq!(listings[0].stock.symbol, "ACM");
        assert_eq!(listings[0].stock.pe, None);
        assert!(!listings[0].stock.synthetic);
        assert_eq!(listings[0].closes, [0.0; 0]);
    }

    #[test]
    fn every_bad_row_is_named_with_its_line() {
        let file = format!(
            "{HEADER}\nAAA,A,S,I,1,1,1,\nBBB,B,S,I,abc,1,1,2\n\nCCC,,S,I,0,1.5,1,inf\nDDD,D,S,I,1,1\nAAA,A,S,I,1,1,1,1\n"
        );
        let named = refused(&file);
        let at: Vec<_> = named.iter().map(|(line, field, _)| (line.unwrap(), field.as_str())).collect();
        let wanted = [
            (3, "price"),
            (5, "name"),
            (5, "market_cap"),
            (5, "price"),
            (5, "pe"),
            (6, "row"),
            (7, "symbol"),
        ];
        assert_eq!(at, wanted, "{named:#?}");
        assert_eq!(named[6].2, "AAA is on line 2 already");
        assert_eq!(refused(&file.replace('\n', "\r\n")), named);
    }

    #[test]
    fn a_wrong_header_says_which_columns_and_which_were_meant() {
        let errors = read(b"symbol,name,sectr,industry,price,market_cap,volume,price\n").unwrap_err();
        let named: Vec<_> =
            errors.iter().map(|error| (error.field.as_str(), error.message.as_str())).collect();
        assert_eq!(
            named,
            [("sectr", "unknown column"), ("price", "column given twice"), ("sector", "column missing")]
        );
        assert_eq!(errors[0].help.as_deref(), Some("did you mean sector?"));
    }

    #[test]
    fn empty_files_broken_text_and_floods_of_mistakes_are_refused_plainly() {
        assert_eq!(refused("")[0].2, "empty");
        assert_eq!(refused(&format!("{HEADER}\n"))[0].2, "no companies after the header");
        let latin1 = [HEADER.as_bytes(), b"\nAAA,M\xfcller,S,I,1,1,1,1\n"].concat();
        assert_eq!(read(&latin1).unwrap_err()[0].message, "not UTF-8");
        let flood = format!("{HEADER}\n{}", "x\n".repeat(80));
        assert_eq!(refused(&flood).last().unwrap().2, "30 more mistakes");
    }
}
