//! Measurements as pictures: SVG as text.

use super::kernels::KernelReport;
use super::peaks::Peaks;
use super::profile::Share;
use plotters::coord::Shift;
use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 600);
const INK: RGBColor = RGBColor(40, 44, 52);
const ROOF: RGBColor = RGBColor(150, 150, 150);
/// Colours that people with colour blindness tell apart (Okabe and Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 120, 120),
];

/// A drawing could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the plot could not be drawn: {0}")]
pub struct PlotError(String);

fn font(size: u32) -> TextStyle<'static> {
    TextStyle::from(("sans-serif", size)).color(&INK)
}

fn failed(error: impl std::fmt::Display) -> PlotError {
    PlotError(error.to_string())
}

/// A picture, drawn on white.
fn drawn(draw: impl FnOnce(&DrawingArea<SVGBackend, Shift>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(text)
}

/// Every kernel by its arithmetic intensity (operations a byte) and rate, under the roof of the device.
///
/// # Errors
/// [`PlotError`] where nothing can be drawn, as of kernels without work.
pub fn roofline(reports: &[KernelReport], peaks: Peaks, device: &str) -> Result<String, PlotError> {
    let points: Vec<(f64, f64, &str)> = reports
        .iter()
        .filter(|r| r.gflops > 0.0 && r.gbytes > 0.0)
        .map(|r| (r.gflops / r.gbytes, r.gflops, r.kernel.as_str()))
        .collect();
    let widest = |f: fn(&(f64, f64, &str)) -> f64| {
        points.iter().map(f).fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)))
    };
    if points.is_empty() {
        return Err(PlotError("no kernel does arithmetic".into()));
    }
    let ((left, right), (low, high)) = (widest(|p| p.0), widest(|p| p.1));
    let ridge = peaks.gflops / peaks.gbytes;
    let across = (left.min(ridge) / 2.0)..(right.max(ridge) * 3.0);
    let roof = |x: f64| peaks.gflops.min(x * peaks.gbytes);
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(format!("Roofline: {device}"), font(20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(across.clone().log_scale(), (low / 2.0..high.max(peaks.gflops) * 2.0).log_scale())
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("floating-point operations a byte")
            .y_desc("GFLOP/s")
            .light_line_style(WHITE)
            .label_style(font(14))
            .draw()
            .map_err(failed)?;
        let line = [across.start, ridge, across.end].map(|x| (x, roof(x)));
        chart.draw_series(LineSeries::new(line, ROOF.stroke_width(2))).map_err(failed)?;
        let mut named: Vec<&str> = Vec::new();
        let mut labels = Labels::default();
        for &(x, y, name) in &points {
            let colour = COLOURS[named.iter().position(|n| *n == name).unwrap_or(named.len()) % COLOURS.len()];
            chart.draw_series([Circle::new((x, y), 4, colour.filled())]).map_err(failed)?;
            // One name for all sizes of a kernel.
            if !named.contains(&name) {
                named.push(name);
                let place = labels.free(chart.backend_coord(&(x, y)), name);
                area.draw(&Text::new(name.to_string(), place, font(12))).map_err(failed)?;
            }
        }
        Ok(())
    })
}

/// Places of labels, in pixels.
#[derive(Default)]
struct Labels(Vec<[i32; 4]>);

impl Labels {
    /// A place beside a point where no label is yet: at its right, or the next line above or below that is free.
    fn free(&mut self, (x, y): (i32, i32), text: &str) -> (i32, i32) {
        const LINE: i32 = 13;
        let (left, width) = (x + 7, 7 * text.len() as i32);
        let rows = (0..8).flat_map(|n| [-n, n]).map(|n| y - 6 + n * LINE);
        let overlaps = |top: &i32| {
            self.0.iter().any(|[l, t, w, h]| left < l + w && *l < left + width && *top < t + h && *t < top + LINE)
        };
        let top = rows.clone().find(|top| !overlaps(top)).unwrap_or(y - 6);
        self.0.push([left, top, width, LINE]);
        (left, top)
    }
}

/// One measurement of a sweep.
#[derive(Clone, Debug)]
pub struct Point {
    /// The line it belongs to.
    pub line: String,
    /// The swept value.
    pub x: f64,
    /// The median time of a step in milliseconds.
    pub ms: f64,
}

/// Times of steps against what was swept, which `what` names.
///
/// # Errors
/// [`PlotError`] where nothing can be drawn.
pub fn sweep(points: &[Point], what: &str, title: &str) -> Result<String, PlotError> {
    let right = points.iter().map(|p| p.x).fold(0.0, f64::max);
    let high = points.iter().map(|p| p.ms).fold(0.0, f64::max);
    if right <= 0.0 || high <= 0.0 {
        return Err(PlotError("nothing was swept".into()));
    }
    let mut lines: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for point in points {
        match lines.iter_mut().find(|(name, _)| *name == point.line) {
            Some((_, line)) => line.push((point.x, point.ms)),
            None => lines.push((&point.line, vec![(point.x, point.ms)])),
        }
    }
    drawn(|area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, font(20))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(0.0..right * 1.05, 0.0..high * 1.1)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc(what)
            .y_desc("ms a step, median")
            .light_line_style(WHITE)
            .label_style(font(14))
            .draw()
            .map_err(failed)?;
        for (i, (name, points)) in lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let drawn = LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(4);
            let series = chart.draw_series(drawn).map_err(failed)?;
            series.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        if lines.len() > 1 {
            let legend = &mut chart.configure_series_labels();
            let legend = legend.background_style(WHITE).border_style(ROOF).label_font(font(14));
            legend.position(SeriesLabelPosition::UpperLeft).draw().map_err(failed)?;
        }
        Ok(())
    })
}

/// Share of the time of a step by kernel, the longest first.
///
/// # Errors
/// [`PlotError`] where nothing can be drawn.
pub fn shares(shares: &[Share], title: &str) -> Result<String, PlotError> {
    /// Kernels with a bar of their own.
    const BARS: usize = 14;
    let mut bars: Vec<(String, f64)> = shares.iter().take(BARS).map(|s| (s.total.name.to_string(), s.ms)).collect();
    let rest: f64 = shares.iter().skip(BARS).map(|s| s.ms).sum();
    if rest > 0.0 {
        bars.push(("all others".into(), rest));
    }
    let longest = bars.iter().map(|b| b.1).fold(0.0, f64::max);
    let all: f64 = bars.iter().map(|b| b.1).sum();
    if longest <= 0.0 {
        return Err(PlotError("no kernel took any time".into()));
    }
    drawn(|area| {
        let (width, height) = (f64::from(SIZE.0), f64::from(SIZE.1));
        area.draw(&Text::new(title.to_string(), (24, 20), font(20))).map_err(failed)?;
        let step = (height - 70.0) / bars.len() as f64;
        for (i, (name, ms)) in bars.iter().enumerate() {
            let top = 56.0 + i as f64 * step;
            let (left, length) = (230.0, ms / longest * (width - 230.0 - 170.0));
            let bar = [(left as i32, top as i32), ((left + length) as i32, (top + step * 0.7) as i32)];
            area.draw(&Rectangle::new(bar, COLOURS[0].filled())).map_err(failed)?;
            let middle = (top + step * 0.35 - 8.0) as i32;
            area.draw(&Text::new(name.clone(), (24, middle), font(14))).map_err(failed)?;
            let told = format!("{ms:.2} ms, {:.1} %", 100.0 * ms / all);
            area.draw(&Text::new(told, ((left + length) as i32 + 8, middle), font(14))).map_err(failed)?;
        }
        Ok(())
    })
}
