//! Hours of ordinary chat: memory and descriptors of the relay stay where they are (G15).

use std::time::{Duration, Instant};

use hearth_kit::load::{
    drive::{Dialect, Field, Shape},
    machine::Server,
    rooms::{PAYLOAD_BYTES, Seat},
};

/// Bytes in an hour. A run of minutes tells no less than what the allocator and the store's caches do once.
const SLOPE_MAX: f64 = 1024.0 * 1024.0;
/// Bytes that a sample may lie off the line: an uncertainty of the slope in a short run.
const NOISE: f64 = 256.0 * 1024.0;

/// Slope of a line through points, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let above: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = points.iter().map(|p| (p.0 - x).powi(2)).sum();
    above / below
}

#[test]
fn a_slope_is_found() {
    let rising: Vec<(f64, f64)> =
        (0..9).map(|x| (f64::from(x), f64::from(x) * 3.0 + 1.0)).collect();
    assert!((slope(&rising) - 3.0).abs() < 1e-9);
}

/// Members chat, come and go. `HEARTH_SOAK_MINUTES` says for how long, `HEARTH_SOAK_RATE` how many messages a second.
#[test]
#[ignore = "takes minutes: HEARTH_SOAK_MINUTES=10 cargo test --test soak -- --ignored --nocapture"]
fn memory_and_descriptors_stay_flat() {
    let setting = |name: &str, otherwise: f64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    };
    let minutes: f64 = setting("HEARTH_SOAK_MINUTES", 10.0);
    let rate: f64 = setting("HEARTH_SOAK_RATE", 100.0);
    let server = Server::hearthd(None);
    let shape = Shape { rooms: 10, members: 10, bytes: PAYLOAD_BYTES };
    let mut field = Field::open(&server, Dialect::Hearth, shape);
    let (guest, _) = field.member().unwrap();
    let begun = Instant::now();
    let whole = Duration::from_secs_f64(minutes * 60.0);
    let (mut points, mut descriptors, mut messages, mut worst) = (vec![], vec![], 0, 0.0_f64);
    while begun.elapsed() < whole {
        let outcome = field.run(&server, rate, Duration::from_secs(5));
        assert!(outcome.is_clean(), "{outcome:?}");
        messages += outcome.sent;
        worst = worst.max(outcome.latency_millis(99.0));
        for _ in 0..20 {
            drop(Seat::enter(&server.target, guest.clone()).unwrap());
        }
        let hours = begun.elapsed().as_secs_f64() / 3600.0;
        points.push((hours, server.usage().own as f64));
        descriptors.extend(server.descriptors());
    }
    // The first third fills caches: the store's pages, the tails of rooms, the allocator's arenas.
    let settled = &points[points.len() / 3..];
    let slope = slope(settled);
    let hours = settled[settled.len() - 1].0 - settled[0].0;
    let allowed = SLOPE_MAX + NOISE / hours;
    let half = |part: &[usize]| part.iter().min().copied().unwrap_or(0);
    let (early, late) = descriptors.split_at(descriptors.len() / 2);
    eprintln!(
        "{messages} messages in {minutes} minutes, worst p99 {worst:.0} ms; {:.1} MiB at a third, {:.1} MiB at the end, \\
         {:.2} MiB/h (allowed {:.2}); descriptors {} and {}",
        settled[0].1 / 1048576.0,
        settled[settled.len() - 1].1 / 1048576.0,
        slope / 1048576.0,
        allowed / 1048576.0,
        half(early),
        half(late),
    );
    assert!(slope <= allowed, "{slope} bytes in an hour");
    assert!(half(late) <= half(early), "descriptors: {descriptors:?}");
}
