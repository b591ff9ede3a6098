//! Configurations by name.

use super::config::{Config, ConfigError, nearest};

macro_rules! presets {
    ($($name:literal),*) => { [$(($name, include_str!(concat!("presets/", $name, ".toml")))),*] };
}

/// Names of the presets and their texts, which hold what differs from the defaults. All but the first are as published;
/// any of them trains the mixture with `model = "gmm"`.
pub const PRESETS: [(&str, &str); 12] = presets![
    "mnist5k",
    "mnist",
    "mnist-test",
    "mnist-1k",
    "mnist-color",
    "affnist-test",
    "fashion-mnist",
    "usps",
    "frgc",
    "svhn",
    "megadepth",
    "instagram"
];

/// The preset of this name.
pub fn preset(name: &str) -> Result<Config, ConfigError> {
    let names = PRESETS.map(|(known, _)| known);
    match PRESETS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Config::from_toml(text, &format!("preset {name}")),
        None if crate::data::catalog::find(name).is_ok() => Err(ConfigError::NoPreset(name.into())),
        None if name.contains(std::path::MAIN_SEPARATOR) => Err(ConfigError::NoSuchPath(name.into())),
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
            config.clone().set(&["model=gmm"]).and_then(|c| c.check()).expect(name);
            let known = crate::data::catalog::find(&config.dataset).expect(name);
            assert!(config.image_size == 0 || config.image_size == known.shape.1, "{name}");
        }
        let error = preset("mnist6k").expect_err("no such preset").to_string();
        assert!(error.contains("mnist5k"), "{error}");
        let error = preset("coil20").expect_err("a set without a preset").to_string();
        assert!(error.contains("--set dataset=coil20"), "{error}");
        let error = preset("no/such/photos").expect_err("no folder").to_string();
        assert!(error.contains("'no/such/photos' is neither"), "{error}");
    }
}
