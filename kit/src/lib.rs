//! What a Rust app uses to run well behind Tidegate.
