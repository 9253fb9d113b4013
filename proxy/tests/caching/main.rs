//! The shared cache, rule by rule: RFC 9111 (caching), 5861 (stale), 9211 (Cache-Status), 9110 (conditions, ranges).

mod coded;
mod disk;
mod faults;
mod filling;
mod hostile;
mod keys;
mod parts;
mod reusing;
mod storing;
mod support;
mod validating;
