//! The JSON schema, and the reference page that is made from it.

use core::fmt::Write as _;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::file::File;

/// The JSON schema (draft 2020-12) of tidegate.toml, for editors that check and complete.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&tree()).expect("a schema is plain JSON");
    text.push('\n');
    text
}

fn tree() -> Value {
    let generator: SchemaGenerator = SchemaSettings::draft2020_12().into();
    let mut schema = generator.into_root_schema_for::<File>();
    schema.insert("title".to_owned(), "tidegate.toml".into());
    schema.to_value()
}

/// The reference page in Markdown: every table, key, type, default and meaning.
pub fn reference() -> String {
    let root = tree();
    let mut page = Page { root: &root, out: String::new() };
    page.out.push_str("# Configuration reference\n\n");
    page.out.push_str(
        "<!-- Made from the comments in config/src/file. Change them, then run `cargo xtask docs`. -->\n\n",
    );
    page.table("", "", &root);
    page.out
}

struct Page<'s> {
    root: &'s Value,
    out: String,
}

impl<'s> Page<'s> {
    /// Writes a table and then the tables inside it. `path` is how its keys are addressed, `title` how the
    /// table is written in TOML.
    fn table(&mut self, path: &str, title: &str, table: &'s Value) {
        if !title.is_empty() {
            let _ = write!(self.out, "## `{title}`\n\n");
        }
        let _ = write!(self.out, "{}\n\n", text(table, "description"));
        self.out.push_str("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
        let Some(properties) = table["properties"].as_object() else { return };
        let required = table["required"].as_array();
        for (key, property) in properties {
            let is_required = required.is_some_and(|required| required.contains(&Value::from(key.as_str())));
            let meaning = format!("{}{}", cell(&text(property, "description")), Self::words(property));
            let kind = cell(&Self::kind(property));
            let _ =
                writeln!(self.out, "| `{key}` | {kind} | {} | {meaning} |", default(property, is_required));
        }
        self.out.push('\n');
        for (key, property) in properties {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.inside(&inner, &format!("[{inner}]"), property);
        }
    }

    /// Writes the tables that a property may hold.
    fn inside(&mut self, path: &str, title: &str, property: &'s Value) {
        if let Some(target) = property["$ref"].as_str() {
            let table = self.root.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
            return self.table(path, title, table);
        }
        if let Some(options) = property["anyOf"].as_array() {
            for option in options {
                self.inside(path, title, option);
            }
        }
        if property["items"].is_object() {
            // A list at the top is an array of tables; further down it is a list of inline tables.
            let title =
                if path.contains('.') { format!("{path} = [{{ … }}]") } else { format!("[{title}]") };
            self.inside(path, &title, &property["items"]);
        }
        if property["additionalProperties"].is_object() {
            let path = format!("{path}.NAME");
            self.inside(&path, &format!("[{path}]"), &property["additionalProperties"]);
        }
    }

    /// The type of a value, for people.
    fn kind(schema: &Value) -> String {
        if schema["$ref"].is_string() {
            return "table".to_owned();
        }
        if let Some(title) = schema["title"].as_str() {
            return title.to_owned();
        }
        if schema["oneOf"].is_array() {
            return "word".to_owned();
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let mut kinds: Vec<String> = options.iter().map(Self::kind).collect();
            kinds.dedup();
            return kinds.join(" or ");
        }
        if let Some(constant) = schema.get("const") {
            return constant.to_string();
        }
        if schema["items"].is_object() {
            return format!("list of {}", Self::kind(&schema["items"]));
        }
        if schema["additionalProperties"].is_object() {
            return format!("table of {}", Self::kind(&schema["additionalProperties"]));
        }
        match schema["type"].as_str() {
            Some("boolean") => "true or false".to_owned(),
            Some(kind) => kind.to_owned(),
            None => "any".to_owned(),
        }
    }

    /// The words that a value may be, each with its meaning.
    fn words(schema: &Value) -> String {
        let mut out = String::new();
        if let Some(words) = schema["oneOf"].as_array() {
            for word in words {
                let _ = write!(out, "<br>`{}`: {}", word["const"], cell(&text(word, "description")));
            }
        }
        for option in schema["anyOf"].as_array().into_iter().flatten() {
            out.push_str(&Self::words(option));
        }
        out
    }
}

/// The default of a property, as it would be written in TOML.
fn default(property: &Value, is_required: bool) -> String {
    if is_required {
        return "required".to_owned();
    }
    match (&property["default"], property["x-left-out"].as_str()) {
        (_, Some(left_out)) => format!("left out: {left_out}"),
        (Value::Null, None) => "see below".to_owned(),
        (Value::Object(table), None) if table.is_empty() => "`{}`".to_owned(),
        (value, None) => format!("`{value}`"),
    }
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().to_owned()
}

/// A text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace("\n\n", "<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every property of every table, with the table's name before it.
    fn properties(root: &Value) -> Vec<(String, &Value)> {
        let tables = root["$defs"].as_object().unwrap().iter().map(|(name, table)| (name.as_str(), table));
        let keys = |(name, table): (&str, &'_ Value)| {
            let keys = table["properties"].as_object().unwrap().keys();
            keys.map(|key| (name.to_owned(), key.clone())).collect::<Vec<_>>()
        };
        let all: Vec<(String, String)> = tables.chain([("File", root)]).flat_map(keys).collect();
        all.into_iter()
            .map(|(table, key)| {
                let from = if table == "File" { root } else { &root["$defs"][&table] };
                (format!("{table}.{key}"), &from["properties"][&key])
            })
            .collect()
    }

    #[test]
    fn every_key_says_what_it_means_and_what_it_is_when_left_out() {
        let root = tree();
        let properties = properties(&root);
        assert!(properties.len() > 100, "only {} keys", properties.len());
        for (path, property) in properties {
            assert!(text(property, "description").len() > 4, "{path} has no meaning");
            let (table, key) = path.split_once('.').unwrap();
            let table = if table == "File" { &root } else { &root["$defs"][table] };
            let required = table["required"].as_array().is_some_and(|all| all.contains(&Value::from(key)));
            let has_default = property.get("default").is_some() || property.get("x-left-out").is_some();
            let is_table = property.to_string().contains("$ref");
            assert!(required || has_default || is_table, "{path} does not say what it is when left out");
        }
    }

    #[test]
    fn the_reference_has_a_section_for_every_table_and_a_row_for_every_key() {
        let page = reference();
        for title in [
            "[server]",
            "[server.limits]",
            "[server.security_headers.hsts]",
            "[cache.disk]",
            "[[listener]]",
            "[upstream.NAME]",
            "[upstream.NAME.health]",
            "upstream.NAME.endpoints = [{ … }]",
            "[[route]]",
            "[route.retry]",
            "[route.cache.key.query]",
            "[route.compress.stored_level]",
            "[route.files]",
        ] {
            assert!(page.contains(&format!("## `{title}`\n")), "{title} is missing:\n{page}");
        }
        for (path, _) in properties(&tree()) {
            let key = path.split_once('.').unwrap().1;
            assert!(page.contains(&format!("| `{key}` |")), "{path} is missing");
        }
        assert!(
            page.contains("| `connect` | duration | `\"5s\"` | Until the connection stands. |"),
            "{page}"
        );
    }

    #[test]
    fn the_schema_refuses_unknown_keys_as_the_reader_does() {
        let root = tree();
        let tables = root["$defs"].as_object().unwrap().values().chain([&root]);
        for table in tables {
            assert_eq!(table["additionalProperties"], Value::Bool(false), "{table}");
        }
    }
}
