//! setup, test, tidy, docs and bench of the Tidegate workspace.

fn main() {}
