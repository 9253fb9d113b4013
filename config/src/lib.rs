//! tidegate.toml: text to File to Plan, with diagnostics, schema and the reference page.
