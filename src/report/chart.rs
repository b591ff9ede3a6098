//! Charts over epochs as SVG.

use maud::{Markup, html};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 112.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 40.0;
/// Least distance of two lines of text.
const LINE: f64 = 16.0;

/// A line of a chart: a name, the number of its colour, and points (epoch, value).
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub colour: usize,
    pub points: Vec<(f64, f64)>,
}

/// An epoch after which something changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    pub epoch: f64,
    pub name: String,
}

/// Where values are drawn.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    fn left(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn top(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let place = |&(x, y): &(f64, f64)| format!("{:.1},{:.1}", self.left(x), self.top(y));
        points.iter().map(place).collect::<Vec<_>>().join(" ")
    }
}

/// What all charts of a page share: the epochs from the first to the last, and where something changes.
#[derive(Clone, Debug)]
pub struct Time {
    pub epochs: (f64, f64),
    pub marks: Vec<Mark>,
}

/// Lines over epochs; `range` is that of the values where it is known. `None` without points.
pub fn lines(title: &str, id: &str, lines: &[Line], time: &Time, range: Option<(f64, f64)>) -> Option<Markup> {
    let all = || lines.iter().flat_map(|l| l.points.iter().copied());
    let (y0, y1) = extent(all().map(|p| p.1))?;
    let pad = if y1 > y0 { 0.04 * (y1 - y0) } else { 0.5 * y1.abs().max(1e-3) };
    let frame = Frame { x: wide(time.epochs), y: range.unwrap_or((y0 - pad, y1 + pad)) };
    let ends: Vec<(f64, &Line)> = lines.iter().filter_map(|l| l.points.last().map(|p| (frame.top(p.1), l))).collect();
    let places = apart(&ends.iter().map(|e| e.0).collect::<Vec<_>>());
    let said: Vec<String> = lines.iter().filter_map(said).collect();
    let inside = html! {
        @for line in lines {
            polyline class={ "line c" (line.colour) } points=(frame.path(&line.points)) {}
            @if line.points.len() <= 120 {
                @for &(x, y) in &line.points {
                    circle class={ "dot c" (line.colour) } cx=(tenth(frame.left(x))) cy=(tenth(frame.top(y))) r="2.2" {
                        title { (line.name) ", epoch " (x) ": " (short(y)) }
                    }
                }
            }
        }
        @for ((_, line), y) in ends.iter().zip(&places) {
            @if let Some(&(_, value)) = line.points.last() {
                text class={ "end c" (line.colour) } x=(WIDTH - RIGHT + 8.0) y=(tenth(y + 4.0)) {
                    (line.name) " " tspan class="value" { (short(value)) }
                }
            }
        }
    };
    Some(figure(title, id, &said.join(" "), &frame, (&time.marks, true), inside))
}

/// Shares of clusters over epochs, upon each other. Their sum is 1. `None` without points.
pub fn shares(title: &str, id: &str, clusters: &[Vec<(f64, f64)>], time: &Time) -> Option<Markup> {
    let first = clusters.first().filter(|c| !c.is_empty())?;
    let frame = Frame { x: wide(time.epochs), y: (0.0, 1.0) };
    let mut below = vec![0.0; first.len()];
    let mut areas = Vec::new();
    for (k, cluster) in clusters.iter().enumerate() {
        let base: Vec<(f64, f64)> = first.iter().zip(&below).map(|(p, &y)| (p.0, y)).collect();
        for (sum, point) in below.iter_mut().zip(cluster) {
            *sum = (*sum + point.1).min(1.0);
        }
        let top: Vec<(f64, f64)> = first.iter().zip(&below).map(|(p, &y)| (p.0, y)).collect();
        let (low, high) = (base.last()?.1, top.last()?.1);
        // One epoch alone would have no area.
        let mut outline = if first.len() == 1 { vec![(frame.x.1, low)] } else { Vec::new() };
        outline.extend(base.iter().rev().copied());
        outline.extend(&top);
        if first.len() == 1 {
            outline.push((frame.x.1, high));
        }
        areas.push((k, frame.path(&outline), low, high));
    }
    let said: Vec<String> =
        areas.iter().map(|(k, _, low, high)| format!("{k}: {:.1} %", 100.0 * (high - low))).collect();
    let said = format!("At the end, by cluster: {}.", said.join(", "));
    let inside = html! {
        @for (k, points, low, high) in &areas {
            polygon class="area" style={ "--k:" (k) } points=(points) {
                title { "cluster " (k) ", " (format!("{:.1} %", 100.0 * (high - low))) " at the end" }
            }
            @if frame.top(*low) - frame.top(*high) > 12.0 {
                text class="end band" x=(WIDTH - RIGHT + 8.0) y=(tenth(frame.top((low + high) / 2.0) + 4.0)) {
                    (k) " " tspan class="value" { (format!("{:.1} %", 100.0 * (high - low))) }
                }
            }
        }
    };
    Some(figure(title, id, &said, &frame, (&time.marks, false), inside))
}

fn figure(title: &str, id: &str, said: &str, frame: &Frame, (marks, named): (&[Mark], bool), inside: Markup) -> Markup {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let marks: Vec<&Mark> = marks.iter().filter(|m| m.epoch >= frame.x.0 && m.epoch < frame.x.1).collect();
    html! {
        figure class="chart" {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (id) "-t " (id) "-d" } {
                title id={ (id) "-t" } { (title) }
                desc id={ (id) "-d" } { (said) }
                text class="title" x=(LEFT) y="16" { (title) }
                @for y in ticks(frame.y, 5) {
                    line class="grid" x1=(LEFT) x2=(right) y1=(tenth(frame.top(y))) y2=(tenth(frame.top(y))) {}
                    text class="tick" x=(LEFT - 6.0) y=(tenth(frame.top(y) + 4.0)) text-anchor="end" { (short(y)) }
                }
                @for x in ticks(frame.x, 5).into_iter().filter(|x| x.fract() == 0.0) {
                    text class="tick" x=(tenth(frame.left(x))) y=(bottom + 17.0) text-anchor="middle" { (x) }
                }
                line class="axis" x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
                text class="tick" x=((LEFT + right) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { "epoch" }
                (inside)
                @for (index, mark) in marks.iter().enumerate() {
                    line class="mark" x1=(tenth(frame.left(mark.epoch))) x2=(tenth(frame.left(mark.epoch)))
                        y1=(TOP) y2=(bottom) {}
                    @if named { text class="mark" x=(tenth(frame.left(mark.epoch) + 4.0)) y=(TOP + 10.0 + (index % 3) as f64 * 13.0) {
                        "+ " (mark.name)
                    } }
                }
            }
        }
    }
}

fn said(line: &Line) -> Option<String> {
    let (first, last) = (line.points.first()?, line.points.last()?);
    let (name, from, to) = (&line.name, short(first.1), short(last.1));
    Some(format!("{name}: {from} after epoch {}, {to} after epoch {}.", first.0, last.0))
}

/// Least and greatest.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |e, v| Some(e.map_or((v, v), |(low, high): (f64, f64)| (low.min(v), high.max(v)))))
}

/// A range that is not empty.
fn wide((low, high): (f64, f64)) -> (f64, f64) {
    if high > low { (low, high) } else { (low, low + 1.0) }
}

/// Round numbers within a range, about `count`.
fn ticks((low, high): (f64, f64), count: usize) -> Vec<f64> {
    let rough = (high - low) / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|f| f * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// Heights of labels, at least a line apart, as near as can be to where they belong.
fn apart(wanted: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|&a, &b| wanted[a].total_cmp(&wanted[b]));
    let mut places = wanted.to_vec();
    let mut least = TOP;
    for &i in &order {
        places[i] = places[i].max(least);
        least = places[i] + LINE;
    }
    let mut most = HEIGHT - BOTTOM;
    for &i in order.iter().rev() {
        places[i] = places[i].min(most);
        most = places[i] - LINE;
    }
    places
}

/// A number as people read it: four digits that count.
pub fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..=5).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    let digits = (3 - magnitude).clamp(0, 6) as usize;
    let text = format!("{value:.digits$}");
    if digits == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_string() }
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let near = |a: Vec<f64>, b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(ticks((0.0, 1.0), 5), &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]));
        assert!(near(ticks((1.0, 25.0), 6), &[5.0, 10.0, 15.0, 20.0, 25.0]));
        assert!(near(ticks((-0.013, 0.021), 5), &[-0.01, 0.0, 0.01, 0.02]), "{:?}", ticks((-0.013, 0.021), 5));
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(0.0, "0"), (0.96231, "0.9623"), (12.5, "12.5"), (98765.4, "98765"), (-0.00012349, "-0.000123")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
        assert_eq!((short(1e9), short(-3.21e-7)), ("1.00e9".to_string(), "-3.21e-7".to_string()));
    }

    #[test]
    fn labels_keep_apart_and_inside() {
        let places = apart(&[100.0, 101.0, 99.0]);
        assert_eq!(places, [115.0, 131.0, 99.0]);
        assert!(apart(&[HEIGHT; 5]).iter().all(|p| (TOP..=HEIGHT - BOTTOM).contains(p)));
    }

    #[test]
    fn odd_series_make_no_numbers_that_are_none() {
        let line = |points: &[(f64, f64)]| Line { name: "loss".into(), colour: 0, points: points.to_vec() };
        let marks = vec![Mark { epoch: 1.0, name: "affine".into() }];
        let time = |first: f64, last: f64| Time { epochs: (first, last), marks: marks.clone() };
        assert!(lines("t", "t", &[line(&[])], &time(0.0, 0.0), None).is_none());
        assert!(shares("t", "t", &[], &time(0.0, 0.0)).is_none());
        for points in [&[(1.0, 0.0)][..], &[(3.0, -2.0), (4.0, -2.0)], &[(0.0, 1e-12), (1.0, 1e12)]] {
            let time = time(points[0].0, points[points.len() - 1].0);
            let chart = lines("t", "t", &[line(points)], &time, None).expect("a chart");
            assert!(!chart.0.contains("NaN") && !chart.0.contains("inf"), "{}", chart.0);
        }
        let one = shares("t", "t", &[vec![(1.0, 0.25)], vec![(1.0, 0.75)]], &time(1.0, 1.0)).expect("a chart").0;
        assert!(one.contains("cluster 1, 75.0 % at the end") && !one.contains("NaN"), "{one}");
    }
}
