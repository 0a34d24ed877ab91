//! Draws what was measured: panels of lines as SVG, for a browser and for nothing else.

use std::fmt::Write as _;

/// Width and height of one panel, in pixels.
const PANEL: (f64, f64) = (420.0, 260.0);
/// Room for the title, what stands right of the lines, the ticks below, and those on the left.
const MARGIN: (f64, f64, f64, f64) = (34.0, 14.0, 44.0, 58.0);
/// Told apart by people who do not see red and green (Okabe and Ito).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#555555"];
/// Ticks of an axis that counts from nothing; at most one more than so many.
const TICKS: f64 = 4.0;

/// How an axis runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// From nothing to the greatest value.
    Linear,
    /// A decade is as long as any other. What is not above nothing is left out.
    Decades,
    /// Values are places, counted from 0, each with its own text.
    Places(Vec<String>),
}

/// One axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with the unit.
    pub name: &'static str,
    /// How it runs.
    pub scale: Scale,
}

/// Points of one kind, joined in their order.
#[derive(Clone, Debug)]
pub struct Line {
    /// What they are of.
    pub name: String,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// One drawing.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What stands above.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn.
    pub lines: Vec<Line>,
}

/// Draws panels side by side, so many in a row.
pub fn svg(panels: &[Panel], columns: usize) -> String {
    let columns = columns.clamp(1, panels.len().max(1));
    let rows = panels.len().div_ceil(columns);
    let (width, height) = (PANEL.0 * columns as f64, PANEL.1 * rows as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = ((index % columns) as f64 * PANEL.0, (index / columns) as f64 * PANEL.1);
        let _ = writeln!(out, "<g transform=\"translate({x},{y})\">");
        panel.draw(&mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// An axis with its ends and ticks.
struct Range {
    from: f64,
    to: f64,
    decades: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn shows(&self, value: f64) -> bool {
        value.is_finite() && (self.scale != Scale::Decades || value > 0.0)
    }

    fn range(&self, values: impl Iterator<Item = f64> + Clone) -> Range {
        let greatest = values.clone().fold(0.0, f64::max);
        match &self.scale {
            Scale::Places(names) => {
                let ticks = names.iter().enumerate().map(|(at, name)| (at as f64, name.clone()));
                let to = names.len() as f64 - 0.7;
                Range { from: -0.3, to, decades: false, ticks: ticks.collect() }
            }
            Scale::Linear => {
                let step = round_up(greatest / TICKS);
                let mut ticks = vec![(0.0, "0".to_owned())];
                while ticks.last().is_some_and(|(at, _)| *at < greatest) && ticks.len() < 9 {
                    let at = step * ticks.len() as f64;
                    ticks.push((at, short(at)));
                }
                let to = ticks.last().map_or(1.0, |(at, _)| *at).max(step);
                Range { from: 0.0, to, decades: false, ticks }
            }
            Scale::Decades => {
                let least = values.fold(f64::INFINITY, f64::min);
                let least = if least.is_finite() { least } else { 1.0 };
                let first = least.log10().floor();
                let last = greatest.max(least).log10().ceil().max(first + 1.0);
                let mut ticks = vec![];
                let mut power = first;
                while power <= last {
                    ticks.push((power, short(10_f64.powf(power))));
                    power += 1.0;
                }
                Range { from: first, to: last, decades: true, ticks }
            }
        }
    }
}

impl Range {
    /// Where a value lies, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let value = if self.decades { value.log10() } else { value };
        self.share_of_tick(value)
    }

    fn share_of_tick(&self, at: f64) -> f64 {
        (at - self.from) / (self.to - self.from)
    }
}

impl Panel {
    fn draw(&self, out: &mut String) {
        let (top, right, bottom, left) = MARGIN;
        let (width, height) = (PANEL.0 - left - right, PANEL.1 - top - bottom);
        let (end, base) = (left + width, top + height);
        let shown = self
            .lines
            .iter()
            .flat_map(|line| line.points.iter().copied())
            .filter(|(x, y)| self.x.shows(*x) && self.y.shows(*y));
        let across = self.x.range(shown.clone().map(|(x, _)| x));
        let upward = self.y.range(shown.map(|(_, y)| y));
        text(out, (left, 16.0), "start", &self.title);
        text(out, (left + width / 2.0, base + 34.0), "middle", self.x.name);
        let _ = writeln!(out, "<g transform=\"rotate(-90)\">");
        text(out, (-(top + height / 2.0), 12.0), "middle", self.y.name);
        out.push_str("</g>\n");
        for (at, name) in &upward.ticks {
            let y = base - upward.share_of_tick(*at) * height;
            rule(out, (left, y), (end, y));
            text(out, (left - 5.0, y + 4.0), "end", name);
        }
        for (at, name) in &across.ticks {
            let x = left + across.share_of_tick(*at) * width;
            rule(out, (x, base), (x, base + 4.0));
            text(out, (x, base + 17.0), "middle", name);
        }
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<(f64, f64)> = line
                .points
                .iter()
                .filter(|(x, y)| self.x.shows(*x) && self.y.shows(*y))
                .map(|(x, y)| (left + across.share(*x) * width, base - upward.share(*y) * height))
                .collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = writeln!(
                out,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
                path.join(" ")
            );
            for (x, y) in places {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>"
                );
            }
            if self.lines.len() > 1 {
                let y = top + 8.0 + 13.0 * index as f64;
                let _ = writeln!(out, "<g fill=\"{colour}\">");
                text(out, (left + 8.0, y), "start", &line.name);
                out.push_str("</g>\n");
            }
        }
    }
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#cccccc\"/>"
    );
}

fn text(out: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let (x, y) = at;
    let _ =
        writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

/// Returns the next of 1, 2, 5, 10, 20, ... that is no less.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(value.log10().floor());
    // Division and multiplication may miss by the last bit.
    let fits = |factor: &&f64| **factor * decade >= value * (1.0 - 1e-9);
    [1.0, 2.0, 5.0].iter().find(fits).copied().unwrap_or(10.0) * decade
}

/// Writes a number as short as an axis needs it.
pub fn short(value: f64) -> String {
    let (value, unit) = match value {
        1e6.. => (value / 1e6, " M"),
        1e4.. => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = format!("{value:.3}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    format!("{digits}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(x: Scale, y: Scale, points: Vec<(f64, f64)>) -> Panel {
        let line = Line { name: "a < b".into(), points };
        Panel {
            title: "this & that".into(),
            x: Axis { name: "x", scale: x },
            y: Axis { name: "y", scale: y },
            lines: vec![line.clone(), Line { name: "other".into(), points: vec![] }],
        }
    }

    #[test]
    fn every_point_is_drawn_inside_of_its_panel() {
        let points = vec![(0.0, 0.3), (1.0, 7.0), (2.0, 42.0)];
        let places = Scale::Places(["10", "100", "1 k"].map(str::to_owned).to_vec());
        for (x, y) in [(places, Scale::Decades), (Scale::Linear, Scale::Linear)] {
            let drawn = svg(&[panel(x, y, points.clone())], 3);
            let circles: Vec<&str> = drawn.lines().filter(|l| l.starts_with("<circle")).collect();
            assert_eq!(circles.len(), points.len());
            for circle in circles {
                let number = |at: usize| circle.split('"').nth(at).unwrap().parse::<f64>().unwrap();
                assert!((MARGIN.3..=PANEL.0 - MARGIN.1).contains(&number(1)), "{circle}");
                assert!((MARGIN.0..=PANEL.1 - MARGIN.2).contains(&number(3)), "{circle}");
            }
            assert!(drawn.contains("this &amp; that") && drawn.contains("a &lt; b"));
        }
    }

    #[test]
    fn what_no_axis_can_show_is_left_out() {
        let points = vec![(0.0, 1.0), (1.0, 0.0), (2.0, f64::NAN), (f64::INFINITY, 1.0)];
        let drawn = svg(&[panel(Scale::Decades, Scale::Linear, points)], 1);
        assert_eq!(drawn.matches("<circle").count(), 1);
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"));
        assert!(svg(&[], 3).ends_with("</svg>\n"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            [0.0, 0.9, 1.0, 1.2, 3.0, 7.0, 200.0].map(round_up),
            [1.0, 1.0, 1.0, 2.0, 5.0, 10.0, 200.0]
        );
        assert_eq!([0.25, 1000.0, 25_000.0, 2e6].map(short), ["0.25", "1000", "25 k", "2 M"]);
    }
}
