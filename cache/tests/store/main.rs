//! The store: who finds what, fills that others follow, memory, eviction, and the seam to lower tiers.

mod eviction;
mod fills;
mod finding;
mod memory;
mod passing;
mod purging;
mod races;
mod replacing;
mod support;
mod tiers;
mod variants;
