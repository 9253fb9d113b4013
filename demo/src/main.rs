//! Tidegate in front of one of the systems, with one command.

fn main() {}
