//! What an answer has to be like, and what is taken from it.

use std::time::Duration;

use memchr::memmem::Finder;
use regex::bytes::Regex;
use serde_json::Value;
use wire::ResponseHead;

use super::json::{Pointer, same, write_text};
use crate::failure::Failure;

/// Largest value that is captured; a longer one is a [`Failure::Capture`], so that what users remember stays small.
pub const MAX_CAPTURED_BYTES: usize = 16 << 10;

/// What an answer has to be like.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// Ranges of statuses, both ends included. Empty: below 400.
    pub statuses: Box<[(u16, u16)]>,
    /// Latest time for the end of the answer, counted as latency is. `None`: any.
    pub within: Option<Duration>,
    /// All of them have to hold.
    pub headers: Box<[HeaderRule]>,
    /// All of them have to hold.
    pub body: Box<[BodyRule]>,
}

/// What a header field has to be like: some line with its name is as wanted.
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// Its name, in any case.
    pub name: String,
    /// What its value has to be like.
    pub wanted: Wanted,
}

/// What a text has to be like.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// It has to be there.
    Present,
    /// It has to be this.
    Equals(Box<[u8]>),
    /// It has to contain this.
    Contains(Box<Finder<'static>>),
    /// It has to match this somewhere.
    Matches(Regex),
}

/// What a body has to be like.
#[derive(Clone, Debug)]
pub enum BodyRule {
    /// It has this many bytes.
    Length(u64),
    /// Its text is like this.
    Text(Wanted),
    /// It is JSON with this value there.
    Json(Pointer, Value),
}

/// A value that is taken from an answer.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The variable that it becomes.
    pub variable: u16,
    /// Where it is found.
    pub from: From,
    /// The part of it that is meant: a group of a regular expression. `None`: all.
    pub part: Option<(Regex, usize)>,
}

/// Where a value is found in an answer.
#[derive(Clone, Debug)]
pub enum From {
    /// In the first header field with this name, or with a `part` in the first that matches.
    Header(String),
    /// In the body.
    Body,
    /// In the body, which is JSON.
    Json(Pointer),
}

impl Wanted {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Equals(wanted) => text == &**wanted,
            Self::Contains(wanted) => wanted.find(text).is_some(),
            Self::Matches(wanted) => wanted.is_match(text),
        }
    }
}

impl Expect {
    /// Whether the body has to be read.
    pub(super) fn wants_body(&self) -> bool {
        self.body.iter().any(|rule| !matches!(rule, BodyRule::Length(_)))
    }

    pub(super) fn judge(
        &self,
        head: &ResponseHead,
        buf: &[u8],
        body: &[u8],
        body_bytes: u64,
    ) -> Result<(), Failure> {
        let expected = match &*self.statuses {
            [] => head.status < 400,
            ranges => ranges.iter().any(|(first, last)| (*first..=*last).contains(&head.status)),
        };
        if !expected {
            return Err(Failure::Status);
        }
        for rule in &self.headers {
            if !values(head, buf, &rule.name).any(|value| rule.wanted.holds(value)) {
                return Err(Failure::Header);
            }
        }
        for rule in &self.body {
            let holds = match rule {
                BodyRule::Length(wanted) => body_bytes == *wanted,
                BodyRule::Text(wanted) => wanted.holds(body),
                BodyRule::Json(pointer, wanted) => {
                    pointer.find(body).is_some_and(|found| same(&found, wanted))
                }
            };
            if !holds {
                return Err(Failure::Body);
            }
        }
        Ok(())
    }
}

impl Capture {
    pub(super) fn wants_body(&self) -> bool {
        !matches!(self.from, From::Header(_))
    }

    /// Appends the value to `out`, which is empty.
    pub(super) fn take(
        &self,
        head: &ResponseHead,
        buf: &[u8],
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let found = match &self.from {
            From::Header(name) => values(head, buf, name).find_map(|value| self.part(value)),
            From::Body => self.part(body),
            From::Json(pointer) => {
                let value = pointer.find(body).ok_or(Failure::Capture)?;
                let mut text = Vec::new();
                write_text(&value, &mut text).then_some(()).ok_or(Failure::Capture)?;
                return keep(self.part(&text), out);
            }
        };
        keep(found, out)
    }

    fn part<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        match &self.part {
            None => Some(text),
            Some((regex, group)) => Some(regex.captures(text)?.get(*group)?.as_bytes()),
        }
    }
}

fn keep(found: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Failure> {
    let found = found.filter(|found| found.len() <= MAX_CAPTURED_BYTES).ok_or(Failure::Capture)?;
    out.extend_from_slice(found);
    Ok(())
}

/// The values of every line with this name.
fn values<'b>(head: &'b ResponseHead, buf: &'b [u8], name: &'b str) -> impl Iterator<Item = &'b [u8]> {
    let named = move |header: &&wire::Header| header.name.of(buf).eq_ignore_ascii_case(name.as_bytes());
    head.headers.iter().filter(named).map(move |header| header.value.of(buf))
}
