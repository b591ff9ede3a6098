//! Configurations as text: TOML, and assignments of single keys.

use super::error::nearest;
use super::{Config, ConfigError, KEYS};

impl Config {
    /// Reads a configuration; keys that are not given keep their defaults.
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| syntax(origin, &e, text))?;
        Self::from_table(table, origin)
    }

    /// Replaces values by assignments `key=value`; strings need no quotes.
    pub fn set<S: AsRef<str>>(self, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut table = toml::Table::try_from(&self).expect("plain values are always TOML");
        for assignment in assignments.iter().map(AsRef::as_ref) {
            let not_one = || ConfigError::NotAnAssignment(assignment.into());
            let (key, value) = assignment.split_once('=').ok_or_else(not_one)?;
            let (key, value) = (key.trim(), value.trim());
            let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
            let mut parsed = parsed.unwrap_or_else(|| toml::Value::String(value.into()));
            // A whole number will do where a number is wanted.
            if let (Some(toml::Value::Float(_)), toml::Value::Integer(n)) = (table.get(key), &parsed) {
                parsed = toml::Value::Float(*n as f64);
            }
            table.insert(key.into(), parsed);
        }
        Self::from_table(table, "--set")
    }

    fn from_table(table: toml::Table, origin: &str) -> Result<Self, ConfigError> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(ConfigError::UnknownKey {
                key: key.clone(),
                origin: origin.into(),
                nearest: nearest(key, &KEYS),
            });
        }
        table.try_into().map_err(|e: toml::de::Error| syntax(origin, &e, ""))
    }

    /// The configuration as TOML with every key.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("plain values are always TOML")
    }

    /// The first key besides `epochs` in which `other` differs, with both values.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let [mine, theirs] = [self, other].map(|c| toml::Table::try_from(c).expect("plain values are always TOML"));
        let differs = |(key, value): &(&String, &toml::Value)| *key != "epochs" && theirs.get(*key) != Some(value);
        let (key, value) = mine.iter().find(differs)?;
        Some((key.clone(), value.to_string(), theirs.get(key).map_or(String::new(), toml::Value::to_string)))
    }
}

/// The parser's message in one line, with the line of the text where it is known.
fn syntax(origin: &str, error: &toml::de::Error, text: &str) -> ConfigError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.filter(|_| !text.is_empty()).map_or(String::new(), |line| format!(", line {line}"));
    let message = error.to_string();
    // What follows the first line of the parser's message is the text itself, or the key that it is about.
    let key = message.lines().find_map(|l| l.trim().strip_prefix("in `"));
    let key = key.map_or(String::new(), |k| format!("{}: ", k.trim_end_matches('`')));
    ConfigError::Syntax { origin: format!("{origin}{place}"), message: format!("{key}{}", error.message()) }
}
