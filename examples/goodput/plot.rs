//! Plots a case over time.

use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;
use plotters::series::LineSeries;
use tower::BoxError;

use crate::cases::Case;
use crate::load::UpstreamResponse;
use crate::measure::{Run, Sample};

const SIZE: (u32, u32) = (960, 480);

/// Length of time that makes one point.
const BIN: Duration = Duration::from_millis(250);

type Points = Vec<(f64, f64)>;

/// Plots the offered, allowed, served and wasted requests per second over the time of a run.
pub(crate) fn draw(case: &Case, run: &Run, file: &Path) -> Result<(), BoxError> {
    let lines = [
        ("capacity", BLACK, capacity(case, run)),
        ("offered", BLUE, count(case, run, |answer| Some(answer.due))),
        ("successes", GREEN, count(case, run, |answer| answer.result.is_ok().then_some(answer.done))),
        ("wasted calls", RED, wasted(run)),
    ];
    let points = || lines.iter().flat_map(|(_, _, points)| points);
    let top = points().map(|(_, rate)| *rate).fold(1.0, f64::max) * 1.1;
    let end = points().map(|(time, _)| *time).fold(1.0, f64::max);

    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{}: {}", case.name, case.about), ("sans-serif", 24))
        .margin(10)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..end, 0.0..top)
        .map_err(failed)?;
    let unit = "requests a second";
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_desc(unit)
        .draw()
        .map_err(failed)?;
    for time in [&run.window.0, &run.window.1].map(|sample| sample.at.as_secs_f64()) {
        chart.draw_series(LineSeries::new([(time, 0.0), (time, top)], BLACK.mix(0.2))).map_err(failed)?;
    }
    for (name, colour, points) in lines {
        let line = LineSeries::new(points, colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2));
        chart.draw_series(line).map_err(failed)?.label(name).legend(legend);
    }
    let place = SeriesLabelPosition::UpperLeft;
    let style = WHITE.mix(0.8);
    chart.configure_series_labels().position(place).background_style(style).draw().map_err(failed)?;
    root.present().map_err(failed)
}

/// Returns the capacity per second: the refill of the buckets and the amount taken from their content.
fn capacity(case: &Case, run: &Run) -> Points {
    let mean = mean(case, run);
    bins(run, |from, to| {
        let from_stock = (from.headroom - to.headroom).max(0.0);
        (case.per_second() * seconds(from, to) + from_stock) / mean
    })
}

fn wasted(run: &Run) -> Points {
    bins(run, |from, to| (to.wasted - from.wasted) as f64)
}

/// Counts requests by the time that `when` returns. If tokens are limited, each counts by its size.
fn count(case: &Case, run: &Run, when: impl Fn(&UpstreamResponse) -> Option<Duration>) -> Points {
    let mean = mean(case, run);
    let seen: Vec<_> = run.answers.iter().filter_map(|it| Some((when(it)?, case.cost(it) / mean))).collect();
    bins(run, |from, to| {
        let now = seen.iter().filter(|(time, _)| from.at <= *time && *time < to.at);
        now.map(|(_, size)| size).sum()
    })
}

fn mean(case: &Case, run: &Run) -> f64 {
    run.answers.iter().map(|answer| case.cost(answer)).sum::<f64>() / run.answers.len().max(1) as f64
}

/// Returns a rate for each bin, at the middle of the bin.
fn bins(run: &Run, of: impl Fn(&Sample, &Sample) -> f64) -> Points {
    let mut edges: Vec<&Sample> = Vec::new();
    for sample in &run.samples {
        if edges.last().is_none_or(|last| sample.at >= last.at + BIN) {
            edges.push(sample);
        }
    }
    let pairs = edges.iter().zip(edges.iter().skip(1));
    pairs
        .map(|(from, to)| {
            let middle = (from.at.as_secs_f64() + to.at.as_secs_f64()) / 2.0;
            (middle, of(from, to) / seconds(from, to))
        })
        .collect()
}

fn seconds(from: &Sample, to: &Sample) -> f64 {
    to.at.saturating_sub(from.at).as_secs_f64()
}

fn failed(error: impl std::fmt::Display) -> BoxError {
    error.to_string().into()
}
