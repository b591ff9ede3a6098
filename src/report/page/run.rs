//! What was run, on what, how it ended and how to do it again.

use super::Report;
use super::training::Tables;
use crate::report::chart::short;
use crate::shell::quoted;
use maud::{Markup, html};
use serde_json::Value;

/// Title, state and the figures that matter most.
pub fn header(report: &Report, tables: &Tables) -> Markup {
    let (config, set, evaluation) = (report.config, report.set, report.evaluation);
    let finished = report.about["final"].is_object();
    let done = tables.train.series("loss").last().map_or(0, |p| p.0 as usize);
    let (state, class) = match &report.about["failed"] {
        Value::String(_) => ("failed".to_string(), "state failed"),
        _ if finished => ("finished".to_string(), "state"),
        _ if tables.train.series("loss").is_empty() => ("not trained here".to_string(), "state"),
        _ => (format!("after {done} of {} epochs", config.epochs), "state"),
    };
    let mut figures = Vec::new();
    if let Some(scores) = &evaluation.scores {
        figures.extend([("ACC", scores.acc), ("NMI", scores.nmi), ("ARI", scores.ari)].map(|(n, v)| (n, short3(v))));
    }
    figures.push(("loss", short(evaluation.loss)));
    figures.push(("images", set.len().to_string()));
    figures.push(("clusters", config.clusters.to_string()));
    figures.push(("largest / mean size", format!("{:.2}", evaluation.imbalance())));
    if let Some(seconds) = report.about["seconds"].as_f64() {
        figures.push(("time", duration(seconds)));
    }
    let model = config.model.parse::<crate::model::Kind>().map_or("", |k| k.title());
    html! {
        header {
            h1 { (set.name) " " span class=(class) { (state) } }
            p class="soft" {
                (model) " with " (config.clusters) " prototypes, " (config.sequence) ", seed " (config.seed) ". Run " code { (report.run.display()) }
                @if !finished && done > 0 { ". The page is written again as training goes on: reload it" } "."
            }
            @if let Some(reason) = report.about["failed"].as_str() { p { strong { "It failed: " } (reason) } }
            dl class="figures" { @for (name, value) in &figures { div { dt { (name) } dd { (value) } } } }
        }
    }
}

/// Device, time, memory, configuration, commands.
pub fn section(report: &Report) -> Markup {
    let about = report.about;
    let text = |key: &str| about[key].as_str().filter(|t| !t.is_empty()).map(str::to_string);
    let number = |key: &str| about[key].as_f64();
    let facts = [
        ("device", text("device")),
        ("driver", text("driver")),
        ("chosen", text("chosen")),
        ("platform", text("platform")),
        ("version", text("proteus")),
        ("preset", text("preset")),
        ("began", text("started")),
        ("ended", text("ended")),
        ("time", number("seconds").map(|s| format!("{} of training and evaluation", duration(s)))),
        ("speed", number("images_per_s").map(|r| format!("{r:.0} images/s"))),
        ("device memory", number("peak_bytes").map(|b| format!("{:.0} MiB at most", b / f64::from(1 << 20)))),
        ("resumed", number("resumed").map(|n| format!("{n} times"))),
        ("images", Some(images(report))),
    ];
    let run = quoted(&report.run.display().to_string());
    let again = text("reproduce")
        .unwrap_or_else(|| format!("proteus train {}", quoted(&report.run.join("config.toml").display().to_string())));
    html! {
        h4 { "Do it again" }
        pre { code { (again) } }
        p class="note" { "On the same device it ends with the same result, to the bit." }
        h4 { "Look further" }
        pre { code { "proteus eval " (run) "\nproteus assign " (run) " IMAGES\nproteus report " (run) } }
        div class="columns" {
            div {
                h4 { "Where and how long" }
                table class="facts" {
                    tbody {
                        @for (name, value) in &facts {
                            @if let Some(value) = value { tr { th scope="row" { (name) } td { (value) } } }
                        }
                    }
                }
            }
            div {
                h4 { "Configuration, as config.toml has it" }
                pre { code { (report.config.to_toml().trim_end()) } }
            }
        }
    }
}

fn images(report: &Report) -> String {
    let set = report.set;
    let scored = if set.scored < set.len() { format!(", the first {} scored", set.scored) } else { String::new() };
    let classes = if set.labels.is_some() { format!(", {} classes", set.classes) } else { ", no labels".into() };
    format!("{} of {}x{}x{} (channels, height, width){classes}{scored}", set.len(), set.channels, set.height, set.width)
}

fn short3(value: f64) -> String {
    format!("{value:.3}")
}

/// A time as people say it.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
