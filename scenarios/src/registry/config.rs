//! Reads a protocol's settings, with errors that point at the key.
//!
//! Serde stops at the first error and knows no suggestions, so each key is first looked up in the settings' own schema
//! and then read by itself.

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::Complaint;
use crate::format::{advice, nearest};

/// Reads settings, or says all that is wrong with them.
pub(super) fn read<C: DeserializeOwned>(written: Spanned<DeValue<'_>>, schema: &Value) -> Result<C, Vec<Complaint>> {
    let mut complaints = Vec::new();
    if let (DeValue::Table(table), Some(known)) = (written.get_ref(), schema["properties"].as_object()) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let Some(about) = known.get(name) else {
                complaints.push(Complaint {
                    span: Some(key.span()),
                    message: format!("the protocol has no setting `{name}`"),
                    help: advice(name, "settings", known.keys().map(String::as_str)),
                });
                continue;
            };
            let mut alone = DeTable::new();
            alone.insert(key.clone(), value.clone());
            let alone = Spanned::new(value.span(), DeValue::Table(alone));
            // Settings that must come together are only complained of when all are read.
            if let Err(error) = C::deserialize(ValueDeserializer::from(alone))
                && !error.message().starts_with("missing field")
            {
                complaints.push(complaint(name, about, error, value.span()));
            }
        }
    }
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let span = written.span();
    C::deserialize(ValueDeserializer::from(written)).map_err(|error| {
        vec![Complaint {
            span: Some(error.span().unwrap_or(span)),
            message: format!("these settings do not fit the protocol: {}", error.message()),
            help: "`fencepost schema` prints what each protocol can be set to".to_owned(),
        }]
    })
}

fn complaint(name: &str, about: &Value, error: toml::de::Error, value: crate::format::Span) -> Complaint {
    let mut help = match about["description"].as_str() {
        Some(description) => format!("`{name}`: {description}"),
        None => format!("change `{name}`"),
    };
    if let Some(default) = about.get("default") {
        help = format!("{help}\nits default is `{default}`");
    }
    if let Some(near) = unknown_name(error.message()) {
        help = format!("did you mean `{near}`? {help}");
    }
    let message = in_words(name, error.message());
    Complaint { span: Some(error.span().unwrap_or(value)), message, help }
}

/// Serde's words in those of the other errors.
fn in_words(name: &str, message: &str) -> String {
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, expected)) => format!("`{name}` should be {}, not {found}", plain(expected)),
        None => format!("`{name}` cannot be set so: {message}"),
    }
}

/// What Rust calls its types, for people who set a protocol.
fn plain(expected: &str) -> &str {
    match expected {
        "a duration" => "a duration in quotes such as `\"30s\"`",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        other => other,
    }
}

/// What serde's "unknown field `a`, expected one of `b`, `c`" most likely means.
fn unknown_name(message: &str) -> Option<&str> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    nearest(wrong, quoted)
}
