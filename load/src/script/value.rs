//! Variables: where their values come from, and what one user remembers of them.

use fastrand::Rng;
use wire::encode;

use super::template::{Part, Template};
use super::token::{Held, Secret};
use crate::failure::Failure;

/// Where the value of a variable comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Always the same.
    Constant(Box<[u8]>),
    /// A whole number between two bounds, both included, new for each flow.
    Random {
        /// At least.
        from: i64,
        /// At most.
        to: i64,
    },
    /// One of these, drawn for each flow. Never empty.
    Choice(Box<[Box<[u8]>]>),
    /// A random UUID (RFC 9562 version 4), new for each flow.
    Uuid,
    /// The number of the flow among those of all parts, from 0.
    Counter,
    /// Seconds since 1970 when it is put in.
    UnixTime,
    /// A column of a [`Table`]: both by position.
    Column {
        /// Which table of the script.
        table: u16,
        /// Which of its columns.
        column: u16,
    },
    /// A signed token.
    Token(Box<Secret>),
    /// Captured from an answer.
    Captured,
}

impl Source {
    /// Whether its value is drawn at random for each flow.
    const fn is_drawn(&self) -> bool {
        matches!(self, Self::Random { .. } | Self::Choice(_) | Self::Uuid)
    }
}

/// The order in which flows take the rows of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Flow i takes row i, over all parts; after the last row comes the first.
    InTurn,
    /// Any.
    Random,
}

/// Rows of values, all of the same length, in one piece of memory.
#[derive(Clone, Debug)]
pub struct Table {
    order: Order,
    columns: usize,
    bytes: Vec<u8>,
    /// Where each cell ends; a cell begins where the one before it ends.
    ends: Vec<u32>,
}

impl Table {
    /// A table without rows. `columns` is at least 1.
    pub fn new(order: Order, columns: usize) -> Self {
        Self { order, columns, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Adds the next cell, row by row. False when the table has become larger than 4 GiB.
    #[must_use]
    pub fn push(&mut self, cell: &[u8]) -> bool {
        self.bytes.extend_from_slice(cell);
        let Ok(end) = u32::try_from(self.bytes.len()) else { return false };
        self.ends.push(end);
        true
    }

    /// How many whole rows there are.
    pub fn rows(&self) -> usize {
        self.ends.len() / self.columns
    }

    fn draw(&self, arrival: u64, rng: &mut Rng) -> u64 {
        match (self.rows() as u64, self.order) {
            (0, _) => 0,
            (rows, Order::InTurn) => arrival % rows,
            (rows, Order::Random) => rng.u64(..rows),
        }
    }

    fn cell(&self, row: u64, column: u16) -> Option<&[u8]> {
        let at = row as usize * self.columns + usize::from(column);
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.bytes[start as usize..end as usize])
    }
}

/// What one user remembers: the values of variables, captured ones among them. Small, and empty for scripts
/// without variables.
#[derive(Clone, Debug, Default)]
pub struct Memory(Option<Box<Remembered>>);

#[derive(Clone, Debug)]
struct Remembered {
    arrival: u64,
    /// Changes whenever a value does, so that a token knows whether it still holds.
    version: u64,
    values: Box<[Value]>,
}

/// What is remembered of one variable, or of one table.
#[derive(Clone, Debug, Default)]
enum Value {
    #[default]
    Nothing,
    Number(i64),
    /// Of a choice, or of a row.
    Position(u64),
    Uuid(u64, u64),
    Captured(Vec<u8>),
    Token(Box<Held>),
}

impl Memory {
    /// Remembers what `take` appends to the buffer that it is given.
    pub(super) fn capture(
        &mut self,
        place: u16,
        places: u16,
        take: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let remembered = self.remembered(places);
        remembered.version += 1;
        let value = &mut remembered.values[usize::from(place)];
        let mut bytes = match std::mem::take(value) {
            Value::Captured(bytes) => bytes,
            _ => Vec::new(),
        };
        bytes.clear();
        take(&mut bytes)?;
        *value = Value::Captured(bytes);
        Ok(())
    }

    fn remembered(&mut self, places: u16) -> &mut Remembered {
        self.0.get_or_insert_with(|| {
            let values = (0..places).map(|_| Value::Nothing).collect();
            Box::new(Remembered { arrival: 0, version: 0, values })
        })
    }

    fn value(&self, place: u16) -> &Value {
        self.0.as_ref().map_or(&Value::Nothing, |remembered| &remembered.values[usize::from(place)])
    }
}

/// A variable that some template or capture uses.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) source: Source,
    /// Where users remember it; of no meaning for those that nobody has to remember.
    pub(super) place: u16,
}

/// All variables of a script.
#[derive(Debug, Default)]
pub(super) struct Values {
    variables: Box<[Variable]>,
    tables: Box<[Table]>,
    /// Where users remember their rows, table by table; `None` for tables that nothing uses.
    rows: Box<[Option<u16>]>,
    places: u16,
    /// Whether there is anything to remember, the number of the flow included.
    remembers: bool,
}

impl Values {
    /// Gives every variable that has to be remembered its place.
    pub(super) fn new(sources: Vec<Source>, tables: Vec<Table>) -> Self {
        let mut places = 0..;
        let mut next = || places.next().unwrap_or_default();
        let mut rows: Box<[Option<u16>]> = tables.iter().map(|_| None).collect();
        let mut variables = Vec::with_capacity(sources.len());
        for source in sources {
            let place = match &source {
                Source::Constant(_) | Source::Counter | Source::UnixTime => 0,
                Source::Column { table, .. } => *rows[usize::from(*table)].get_or_insert_with(&mut next),
                _ => next(),
            };
            variables.push(Variable { source, place });
        }
        let fixed = |variable: &Variable| matches!(variable.source, Source::Constant(_) | Source::UnixTime);
        let remembers = !variables.iter().all(fixed);
        Self { variables: variables.into(), tables: tables.into(), rows, places: next(), remembers }
    }

    pub(super) fn place(&self, variable: u16) -> u16 {
        self.variables[usize::from(variable)].place
    }

    /// How many places a memory has.
    pub(super) fn places(&self) -> u16 {
        self.places
    }

    /// Takes the rows of a new flow, and forgets what was drawn for the one before.
    pub(super) fn renew(&self, arrival: u64, rng: &mut Rng, memory: &mut Memory) {
        if !self.remembers {
            return;
        }
        let remembered = memory.remembered(self.places);
        remembered.arrival = arrival;
        remembered.version += 1;
        for (table, place) in self.tables.iter().zip(&self.rows) {
            if let Some(place) = place {
                remembered.values[usize::from(*place)] = Value::Position(table.draw(arrival, rng));
            }
        }
        self.forget(memory);
    }

    /// Forgets random numbers, choices and UUIDs, which are drawn anew where they are next put in.
    pub(super) fn forget(&self, memory: &mut Memory) {
        let Some(remembered) = &mut memory.0 else { return };
        for variable in &self.variables {
            if variable.source.is_drawn() {
                remembered.values[usize::from(variable.place)] = Value::Nothing;
                remembered.version += 1;
            }
        }
    }

    /// Appends a template with its values.
    pub(super) fn render(
        &self,
        template: &Template,
        memory: &mut Memory,
        rng: &mut Rng,
        unix_s: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        for part in &template.parts {
            match part {
                Part::Fixed(bytes) => out.extend_from_slice(bytes),
                Part::Value { variable, encoding } => {
                    let variable = &self.variables[usize::from(*variable)];
                    match &variable.source {
                        Source::Token(secret) => self.sign(secret, variable.place, memory, rng, unix_s)?,
                        source if source.is_drawn() => self.draw(source, variable.place, memory, rng),
                        _ => {}
                    }
                    // Numbers and UUIDs are the same in every encoding.
                    if !Self::number(&variable.source, memory, variable.place, unix_s, out) {
                        let text = self.text(variable, memory).ok_or(Failure::Capture)?;
                        encoding.write(text, out).map_err(|_| Failure::Capture)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Appends a value that is no text; false when it is one.
    fn number(source: &Source, memory: &Memory, place: u16, unix_s: u64, out: &mut Vec<u8>) -> bool {
        match (source, memory.value(place)) {
            (Source::UnixTime, _) => encode::decimal(out, unix_s),
            (Source::Counter, _) => {
                encode::decimal(out, memory.0.as_ref().map_or(0, |remembered| remembered.arrival));
            }
            (Source::Random { .. }, Value::Number(number)) => {
                out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            (Source::Uuid, Value::Uuid(high, low)) => uuid(*high, *low, out),
            _ => return false,
        }
        true
    }

    fn text<'v>(&'v self, variable: &'v Variable, memory: &'v Memory) -> Option<&'v [u8]> {
        match (&variable.source, memory.value(variable.place)) {
            (Source::Constant(text), _) => Some(text),
            (Source::Choice(choices), Value::Position(at)) => choices.get(*at as usize).map(AsRef::as_ref),
            (Source::Column { table, column }, Value::Position(row)) => {
                self.tables[usize::from(*table)].cell(*row, *column)
            }
            (Source::Captured, Value::Captured(text)) => Some(text),
            (Source::Token(_), Value::Token(held)) => Some(held.text.as_bytes()),
            _ => None,
        }
    }

    /// Draws the value of a variable unless it is drawn for this flow already.
    fn draw(&self, source: &Source, place: u16, memory: &mut Memory, rng: &mut Rng) {
        let value = &mut memory.remembered(self.places).values[usize::from(place)];
        if let Value::Nothing = value {
            *value = match source {
                Source::Random { from, to } => Value::Number(rng.i64(*from..=*to)),
                Source::Choice(choices) => Value::Position(rng.u64(..choices.len() as u64)),
                _ => Value::Uuid(rng.u64(..), rng.u64(..)),
            };
        }
    }

    /// Signs the token of a variable unless the user has one that still holds.
    fn sign(
        &self,
        secret: &Secret,
        place: u16,
        memory: &mut Memory,
        rng: &mut Rng,
        unix_s: u64,
    ) -> Result<(), Failure> {
        let version = memory.remembered(self.places).version;
        if let Value::Token(held) = memory.value(place)
            && held.holds(secret, version, unix_s)
        {
            return Ok(());
        }
        let mut claims = Vec::new();
        self.render(secret.claims(), memory, rng, unix_s, &mut claims)?;
        let held = secret.sign(claims, version, unix_s).ok_or(Failure::Capture)?;
        memory.remembered(self.places).values[usize::from(place)] = Value::Token(Box::new(held));
        Ok(())
    }
}

/// Writes 128 random bits as a UUID of version 4 (RFC 9562 section 5.4).
fn uuid(high: u64, low: u64, out: &mut Vec<u8>) {
    let bits = (u128::from(high) << 64 | u128::from(low)) & !(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    for digit in 0..32 {
        if matches!(digit, 8 | 12 | 16 | 20) {
            out.push(b'-');
        }
        out.push(b"0123456789abcdef"[(bits >> (124 - 4 * digit) & 0xF) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_without_anything_in_it_is_one_pointer() {
        assert_eq!(size_of::<Memory>(), size_of::<usize>());
        assert!(size_of::<Value>() <= 24);
    }

    #[test]
    fn uuids_have_their_version_and_variant() {
        let mut out = Vec::new();
        uuid(0, 0, &mut out);
        uuid(u64::MAX, u64::MAX, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text[..36], *"00000000-0000-4000-8000-000000000000");
        assert_eq!(text[36..], *"ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn rows_are_taken_in_turn_over_all_parts() {
        let mut table = Table::new(Order::InTurn, 2);
        for cell in ["a", "b", "", "d"] {
            assert!(table.push(cell.as_bytes()));
        }
        let mut rng = Rng::with_seed(1);
        assert_eq!(table.rows(), 2);
        let cell = |arrival, column, rng: &mut Rng| table.cell(table.draw(arrival, rng), column).unwrap();
        assert_eq!(cell(0, 0, &mut rng), b"a");
        assert_eq!(cell(3, 0, &mut rng), b"");
        assert_eq!(cell(3, 1, &mut rng), b"d");
        assert_eq!(cell(4, 1, &mut rng), b"b");
    }
}
