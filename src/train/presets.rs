//! Configurations by name.

use super::config::{Config, ConfigError, nearest};

/// Names of the presets and their texts, which hold what differs from the defaults.
pub const PRESETS: [(&str, &str); 1] = [("mnist5k", include_str!("presets/mnist5k.toml"))];

/// The preset of this name.
pub fn preset(name: &str) -> Result<Config, ConfigError> {
    let names = PRESETS.map(|(known, _)| known);
    match PRESETS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Config::from_toml(text, &format!("preset {name}")),
        None => Err(ConfigError::UnknownPreset {
            name: name.into(),
            nearest: nearest(name, &names),
            known: names.join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_understood() {
        for (name, _) in PRESETS {
            let config = preset(name).expect(name);
            config.check().expect(name);
        }
        let error = preset("mnist6k").expect_err("no such preset").to_string();
        assert!(error.contains("mnist5k"), "{error}");
    }
}
