//! Loss, scores and shares of clusters over time.

use super::Report;
use crate::report::chart::{self, Line, Mark, Time, short};
use crate::report::table::Table;
use maud::{Markup, html};

/// Rows of the table of numbers.
const ROWS: usize = 60;

/// The tables of the run.
pub struct Tables {
    pub train: Table,
    pub val: Table,
    pub scores: Table,
}

/// Charts and the numbers behind them; `None` if nothing was trained here.
pub fn section(report: &Report, tables: &Tables) -> Option<Markup> {
    let line = |name: &str, colour, table: &Table, column: &str| Line {
        name: name.into(),
        colour,
        points: table.series(column),
    };
    let losses = [line("batches", 0, &tables.train, "loss"), line("all", 1, &tables.val, "loss_val")];
    let scores = [
        line("ACC", 0, &tables.scores, "global_acc"),
        line("NMI", 1, &tables.scores, "nmi"),
        line("ARI", 2, &tables.scores, "ari"),
    ];
    let share = |k: usize| tables.train.series(&format!("prop_clus{k}"));
    let shares: Vec<_> = (0..report.config.clusters).map(share).collect();
    let all = || losses.iter().chain(&scores).flat_map(|l| l.points.iter().map(|p| p.0));
    let epochs = (all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max));
    let time = Time { epochs, marks: marks(report) };
    let charts = [
        chart::lines("Loss", "chart-loss", &losses, &time, None),
        chart::lines("Scores against the classes", "chart-scores", &scores, &time, Some((0.0, 1.0))),
        chart::shares("Share of each cluster", "chart-shares", &shares, &time),
    ];
    let charts: Vec<Markup> = charts.into_iter().flatten().collect();
    if charts.is_empty() {
        return None;
    }
    let columns: Vec<&Line> = losses.iter().chain(&scores).filter(|l| !l.points.is_empty()).collect();
    let epochs: Vec<f64> = columns.first().map(|l| l.points.iter().map(|p| p.0).collect()).unwrap_or_default();
    let every = epochs.len().div_ceil(ROWS).max(1);
    let last = epochs.len().saturating_sub(1);
    let rows = epochs.iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, e)| *e);
    let value = |line: &Line, epoch: f64| line.points.iter().find(|p| p.0 == epoch).map(|p| short(p.1));
    Some(html! {
        @if !time.marks.is_empty() {
            p class="soft" { "Dotted lines: a transformation joins." }
        }
        div class="charts" { @for chart in &charts { (chart) } }
        details {
            summary { "The numbers" }
            div class="scroll" tabindex="0" role="region" aria-label="Numbers by epoch" {
                table {
                    caption {
                        "Loss of the batches while they train; at evaluations the loss of all images, and scores"
                        @if every > 1 { "; every " (every) " epochs" }
                    }
                    thead {
                        tr {
                            th scope="col" { "epoch" }
                            @for line in &columns { th scope="col" { (line.name) } }
                        }
                    }
                    tbody {
                        @for epoch in rows {
                            tr {
                                th scope="row" { (epoch) }
                                @for line in &columns { td { (value(line, epoch).unwrap_or_default()) } }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Where the curriculum goes on; transformations that join together are named together.
fn marks(report: &Report) -> Vec<Mark> {
    let Ok(sequence) = report.config.check() else { return Vec::new() };
    let mut marks: Vec<Mark> = Vec::new();
    for (module, &epoch) in sequence.0.iter().zip(&report.config.curriculum) {
        match marks.last_mut() {
            Some(mark) if mark.epoch == epoch as f64 => mark.name += &format!(" {}", module.name()),
            _ => marks.push(Mark { epoch: epoch as f64, name: module.name().into() }),
        }
    }
    marks.retain(|m| m.epoch > 0.0);
    marks
}
