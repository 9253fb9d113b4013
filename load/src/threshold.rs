//! What has to hold for a run to pass, and the verdict.

/// One condition: `success >= 99.9%`, `p95 < 100ms`, `p99(search) < 25ms`, `rate >= 20000/s`.
#[derive(Clone, PartialEq, Debug)]
pub struct Threshold {}
