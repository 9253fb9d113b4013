//! One rule as it was written, and what it says about a single request.

use super::pattern::{HostPattern, PathPattern};

/// What a request must look like to be answered by one route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Which methods, case-sensitive (RFC 9110 section 9.1); empty means any. A list with GET takes
    /// HEAD too, unless another rule for the same host, path and headers lists HEAD itself.
    pub methods: Vec<String>,
    /// Headers that must all match.
    pub headers: Vec<HeaderMatch>,
}

/// One header that a request must carry.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct HeaderMatch {
    /// Field name; compared without regard to case.
    pub name: String,
    /// The exact value of the first field with that name; `None` asks only that the field be there.
    pub value: Option<String>,
}

impl Rule {
    /// Whether the method is one of the rule's.
    pub fn takes(&self, method: &[u8]) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|known| known.as_bytes() == method)
    }

    /// The first header that keeps the request away from this rule.
    pub(super) fn missing<'a>(&self, header: &dyn Fn(&str) -> Option<&'a [u8]>) -> Option<&HeaderMatch> {
        self.headers.iter().find(|wanted| match (header(&wanted.name), &wanted.value) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(found), Some(value)) => found != value.as_bytes(),
        })
    }

    /// Brings the parts whose order means nothing into one order, so that equal rules look equal.
    pub(super) fn tidy(&mut self) {
        for header in &mut self.headers {
            header.name.make_ascii_lowercase();
        }
        self.headers.sort_unstable();
        self.headers.dedup();
        self.methods.sort_unstable();
        self.methods.dedup();
    }
}
