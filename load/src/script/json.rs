//! A value inside a JSON text, found without building the rest of it.

use core::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A JSON pointer (RFC 6901): `/items/0/id`; the empty one is the whole text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pointer(Box<[String]>);

impl Pointer {
    /// Reads a pointer; `None` when it does not begin with `/`, or has a `~` that is neither `~0` nor `~1`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self(Box::default()));
        }
        let token = |token: &str| {
            let escapes = token.matches("~0").count() + token.matches("~1").count();
            (token.matches('~').count() == escapes).then(|| token.replace("~1", "/").replace("~0", "~"))
        };
        text.strip_prefix('/')?.split('/').map(token).collect::<Option<_>>().map(Self)
    }

    /// The value that it points to; `None` when there is none, or `text` is no JSON.
    pub fn find(&self, text: &[u8]) -> Option<Value> {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let found = Walk(&self.0).deserialize(&mut reader).ok()?;
        reader.end().ok()?;
        found
    }
}

/// Appends a value as text: a string without its quotes, all else as JSON writes it. False for null, which is no
/// value.
pub(super) fn write_text(value: &Value, out: &mut Vec<u8>) -> bool {
    match value {
        Value::Null => return false,
        Value::String(text) => out.extend_from_slice(text.as_bytes()),
        other => wire::encode::display(out, other),
    }
    true
}

/// Whether two values are the same; 1 and 1.0 are.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let held =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(held)
        }
        _ => one == other,
    }
}

/// What is left of the way to the value.
#[derive(Clone, Copy)]
struct Walk<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => Value::deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (first, rest) = self.0.split_first().expect("an empty way is not walked");
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(first))? {
            if is_it {
                // Of equal keys the last one counts, as in most readers.
                found = map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let (first, rest) = self.0.split_first().expect("an empty way is not walked");
        // RFC 6901 section 4: digits without leading zeros.
        let is_index = first == "0" || (!first.starts_with('0') && first.bytes().all(|b| b.is_ascii_digit()));
        let wanted = first.parse::<u64>().ok().filter(|_| is_index);
        let (mut found, mut at) = (None, 0);
        loop {
            if Some(at) == wanted {
                match list.next_element_seed(Walk(rest))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this one.
struct Is<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(pointer: &str, text: &str) -> Option<Value> {
        Pointer::parse(pointer).unwrap().find(text.as_bytes())
    }

    #[test]
    fn pointers_follow_keys_and_positions() {
        let text = r#"{"a": [1, {"b/c": "x", "~": null}], "d": 2.0, "a2": {}, "d": 3}"#;
        assert_eq!(find("/a/0", text), Some(1.into()));
        assert_eq!(find("/a/1/b~1c", text), Some("x".into()));
        assert_eq!(find("/a/1/~0", text), Some(Value::Null));
        assert_eq!(find("/d", text), Some(3.into()));
        for nothing in ["/a/2", "/a/01", "/a/-", "/d/x", "/e", "/"] {
            assert_eq!(find(nothing, text), None, "{nothing}");
        }
        assert_eq!(find("", "[1]"), Some(serde_json::json!([1])));
        assert_eq!(find("/0", "[1"), None);
        assert_eq!(find("/0", "[1] x"), None);
        assert_eq!(Pointer::parse("a"), None);
        assert_eq!(Pointer::parse("/a~2"), None);
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(same(&json(r#"{"a":[1, 2.5]}"#), &json(r#"{"a":[1.0, 2.50]}"#)));
        assert!(!same(&json("[1]"), &json("[1, 2]")));
        assert!(!same(&json(r#"{"a":1}"#), &json(r#"{"b":1}"#)));
        assert!(!same(&json("1"), &json("\"1\"")));
    }

    /// Any JSON value, not deep.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a~/]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[a~/0]{0,2}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_whole_tree_would(value in any_json(), pointer in "(/[a0]{0,2}|/~[01]){0,3}") {
            prop_assert_eq!(find(&pointer, &value.to_string()), value.pointer(&pointer).cloned());
        }

        #[test]
        fn no_body_panics(body in any::<Vec<u8>>(), pointer in "(/[a0]{0,2}){0,3}") {
            let _ = Pointer::parse(&pointer).unwrap().find(&body);
        }
    }
}
