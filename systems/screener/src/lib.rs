//! A stock screener, complete, to run behind Tidegate.
