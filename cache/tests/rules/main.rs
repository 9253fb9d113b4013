//! The rules of the shared cache, one scene for each, named by the section that it is from; what holds for any input;
//! and an independent oracle.

mod delivering;
mod freshness;
mod oracle;
mod properties;
mod storing;
mod support;
mod variants;
