//! Requests, responses and stored responses from lists of field lines.

use std::time::{Duration, UNIX_EPOCH};

use tidegate_cache::freshness::Times;
use tidegate_cache::{Ask, Bypass, Rules, Storable, Terms, UnixMs, storable};
use wire::{Limits, Method, RequestHead, ResponseHead};

/// When every response arrives unless a scene says otherwise.
pub const NOW: UnixMs = 1_800_000_000_000;

pub const NOW_TIMES: Times = Times::new(NOW, NOW);

/// `Name: date`, so many seconds from [`NOW`].
pub fn dated(name: &str, offset_s: i64) -> String {
    let moment = UNIX_EPOCH + Duration::from_secs((NOW / 1000).checked_add_signed(offset_s).unwrap());
    format!("{name}: {}", httpdate::fmt_http_date(moment))
}

pub struct Request {
    pub bytes: Vec<u8>,
    pub head: RequestHead,
}

impl Request {
    pub fn new(line: &str, fields: &[&str]) -> Self {
        let bytes = lines(&format!("{line} HTTP/1.1"), &[&["Host: a"], fields].concat());
        let mut head = RequestHead::new();
        assert_eq!(head.parse(&bytes, &Limits::default()), Ok(true), "{}", bytes.escape_ascii());
        Self { bytes, head }
    }

    pub fn get(fields: &[&str]) -> Self {
        Self::new("GET /", fields)
    }

    pub fn ask_by(&self, rules: &Rules) -> Result<Ask<'_>, Bypass> {
        Ask::read(&self.head, &self.bytes, rules)
    }

    pub fn ask(&self) -> Ask<'_> {
        self.ask_by(&Rules::default()).unwrap()
    }
}

pub struct Response {
    pub bytes: Vec<u8>,
    pub head: ResponseHead,
}

impl Response {
    pub fn new(status: u16, fields: &[&str]) -> Self {
        let bytes = lines(&format!("HTTP/1.1 {status} X"), fields);
        let mut head = ResponseHead::new();
        let parsed = head.parse(&bytes, Method::Get, &Limits::default());
        assert_eq!(parsed, Ok(true), "{}", bytes.escape_ascii());
        Self { bytes, head }
    }

    pub fn judged(&self, request: &Request, rules: &Rules, times: Times) -> Result<Storable, Bypass> {
        storable::judge(&request.ask_by(rules).unwrap(), &self.head, &self.bytes, rules, times)
    }
}

/// What a plain GET and this 200 come to.
pub fn judge(fields: &[&str]) -> Result<Terms, Bypass> {
    Ok(judge_by(&Rules::default(), 200, fields)?.terms)
}

/// What a plain GET and this response come to by these rules.
pub fn judge_by(rules: &Rules, status: u16, fields: &[&str]) -> Result<Storable, Bypass> {
    Response::new(status, fields).judged(&Request::get(&[]), rules, NOW_TIMES)
}

/// A 200 as it is stored, answered to a plain GET.
pub struct Stored {
    pub head: Vec<u8>,
    pub terms: Terms,
}

impl Stored {
    pub fn new(fields: &[&str]) -> Self {
        let response = Response::new(200, fields);
        let mut terms = response.judged(&Request::get(&[]), &Rules::default(), NOW_TIMES).unwrap().terms;
        let mut head = Vec::new();
        storable::write_head(&response.head, &response.bytes, &Rules::default(), NOW, &mut head);
        storable::locate_validators(&mut terms, &head);
        Self { head, terms }
    }
}

pub fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn lines(first: &str, fields: &[&str]) -> Vec<u8> {
    [&[first], fields, &["", ""]].concat().join("\r\n").into_bytes()
}
