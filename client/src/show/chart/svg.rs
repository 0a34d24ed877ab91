//! Charts as one picture in SVG: grey on white, with each value as a mark, a number and, for those who cannot see it, words.

use std::fmt::Write as _;

use hearth_protocol::Millis;
use hearth_text::escape;
use jiff::tz::TimeZone;

use super::{Chart, day};

const WIDTH: u64 = 720;
/// Height of a chart with its title.
const HEIGHT: u64 = 220;
const LEFT: u64 = 60;
const RIGHT: u64 = 680;
const TOP: u64 = 50;
const BOTTOM: u64 = 170;
/// Where a skipped value stands: below the lowest, because it is not the lowest.
const SKIPPED: u64 = 186;
/// Characters of a title in the picture; all of it is in the words.
const TITLE_CHARS: usize = 80;

/// Draws charts one below the other.
pub fn svg(charts: &[Chart], zone: &TimeZone) -> String {
    let count = u64::try_from(charts.len()).unwrap_or(u64::MAX);
    let height = count.saturating_mul(HEIGHT).max(HEIGHT);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    for (chart, n) in charts.iter().zip(0u64..) {
        let _ = write!(out, "<g transform=\"translate(0 {})\">", n.saturating_mul(HEIGHT));
        draw(&mut out, chart, zone);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, chart: &Chart, zone: &TimeZone) {
    let title = escape::truncate(&escape::one_line(&chart.title), TITLE_CHARS);
    let words = chart.words(zone).join("; ");
    let _ = write!(
        out,
        "<title>{}</title><desc>{} ({}): {}</desc>",
        xml(&title),
        xml(&escape::one_line(&chart.title)),
        xml(&chart.scale()),
        xml(&words),
    );
    let _ = write!(
        out,
        "<text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text><path d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\" fill=\"none\" stroke=\"#999\"/>",
        xml(&title)
    );
    for value in [chart.low, chart.high] {
        let y = height_of(chart, value).saturating_add(4);
        let _ = write!(out, "<text x=\"50\" y=\"{y}\" text-anchor=\"end\">{value}</text>");
    }
    let (first, last) = ends(chart);
    for (at, anchor, x) in [(first, "start", LEFT), (last, "end", RIGHT)] {
        let Some(at) = at.filter(|_| anchor == "start" || first != last) else { continue };
        let day = day(at, zone);
        let _ = write!(out, "<text x=\"{x}\" y=\"208\" text-anchor=\"{anchor}\">{day}</text>");
    }
    for value in &chart.values {
        let x = place_of(value.at, first, last);
        let _ = match value.value {
            Some(number) => {
                let y = height_of(chart, number);
                let above = y.saturating_sub(8);
                write!(
                    out,
                    "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\"/><text x=\"{x}\" y=\"{above}\" text-anchor=\"middle\" font-size=\"11\">{number}</text>"
                )
            }
            None => write!(
                out,
                "<text x=\"{x}\" y=\"{SKIPPED}\" text-anchor=\"middle\" font-size=\"11\">skipped</text>"
            ),
        };
    }
}

fn ends(chart: &Chart) -> (Option<Millis>, Option<Millis>) {
    let times = || chart.values.iter().map(|value| value.at);
    (times().min(), times().max())
}

/// Returns the place of a time between the first and the last.
fn place_of(at: Millis, first: Option<Millis>, last: Option<Millis>) -> u64 {
    let (first, last) = (first.map_or(0, |at| at.0), last.map_or(0, |at| at.0));
    let (age, span) =
        (u128::from(at.0.saturating_sub(first)), u128::from(last.saturating_sub(first)));
    let wide = u128::from(RIGHT - LEFT - 20);
    let along = (age * wide).checked_div(span).unwrap_or(wide / 2);
    LEFT + 10 + u64::try_from(along).unwrap_or(0)
}

fn height_of(chart: &Chart, value: u32) -> u64 {
    let steps = usize::try_from(BOTTOM - TOP).unwrap_or(0).saturating_add(1);
    BOTTOM.saturating_sub(u64::try_from(chart.place(value, steps)).unwrap_or(0))
}

/// Makes text harmless in XML.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape::one_line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
