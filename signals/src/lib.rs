//! Every metric name, log line and outcome of Tidegate.
