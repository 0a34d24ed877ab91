use hearth_text::escape;

use super::*;

/// A pseudo-random number below `n`.
fn dice(seed: &mut u64, n: u32) -> u32 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    u32::try_from((*seed >> 33) % u64::from(n)).unwrap()
}

fn pick<T: Copy>(seed: &mut u64, all: &[T]) -> T {
    all[usize::try_from(dice(seed, u32::try_from(all.len()).unwrap())).unwrap()]
}

fn random(seed: &mut u64) -> Chart {
    let low = dice(seed, 5);
    let high = low + pick(seed, &[0, 1, 3, 10, 27, 50_000]);
    let mut at = 1_700_000_000_000;
    let values = (0..dice(seed, 60)).map(|_| {
        at += u64::from(dice(seed, 40 * 3_600_000));
        let value = low + dice(seed, high - low + 1);
        let words = pick(seed, &["", "evenings", "<b>&\u{1b}[31m\"", "眠れない夜"]).to_owned();
        Value { at: Millis(at), value: (dice(seed, 5) > 0).then_some(value), words }
    });
    let values = values.collect();
    let ends = ("not at all".to_owned(), "very much".to_owned());
    Chart { title: "Mood of Dee".into(), low, high, ends, values }
}

/// Charts, each with some columns.
fn charts() -> impl Iterator<Item = (Chart, usize)> {
    let mut seed = 11;
    (0..400).map(move |_| (random(&mut seed), usize::try_from(dice(&mut seed, 120)).unwrap()))
}

#[test]
fn chart_never_exceeds_its_width() {
    for (chart, columns) in charts() {
        for line in chart.lines(columns, &TimeZone::UTC) {
            assert!(line.is_ascii(), "{line:?}");
            assert!(line.len() <= columns.max(COLUMNS_MIN), "{columns}: {line:?}");
        }
    }
}

/// A skipped value has its word and no mark, because it is not the lowest.
#[test]
fn each_value_has_its_mark() {
    for (chart, columns) in charts() {
        let columns = columns + COLUMNS_MIN + TRACK_MIN;
        let lines = chart.lines(columns, &TimeZone::UTC);
        assert_eq!(lines.len(), chart.values.len());
        for (line, value) in lines.iter().zip(&chart.values) {
            let (rest, number) = line.rsplit_once(' ').unwrap();
            let track = rest.rsplit_once(' ').unwrap().1;
            match value.value {
                Some(value) => {
                    assert_eq!(number, value.to_string());
                    assert_eq!(track.matches('o').count(), 1, "{line:?}");
                    let at = track.find('o').unwrap();
                    assert!(value != chart.low || at == 0, "{line:?}");
                    let is_last = at == track.len() - 1;
                    let is_high = value == chart.high && chart.high > chart.low;
                    assert!(!is_high || is_last, "{line:?}");
                }
                None => assert_eq!((number, track.matches('o').count()), ("skipped", 0)),
            }
        }
        let words = chart.words(&TimeZone::UTC);
        assert_eq!(words.len(), chart.values.len());
        for (words, value) in words.iter().zip(&chart.values) {
            assert_eq!(*words, escape::one_line(words));
            assert_eq!(words.contains(": skipped"), value.value.is_none(), "{words:?}");
        }
    }
}

#[test]
fn higher_value_stands_no_further_left() {
    for (chart, columns) in charts() {
        let places: Vec<usize> =
            (chart.low..=chart.high).take(100).map(|value| chart.place(value, columns)).collect();
        assert!(places.is_sorted(), "{places:?}");
    }
}

/// What a member wrote is text in the picture, and nothing else.
#[test]
fn picture_has_each_value_once() {
    for (chart, _) in charts() {
        let picture = svg(&[chart.clone(), chart.clone()], &TimeZone::UTC);
        let marks = chart.values.iter().filter(|value| value.value.is_some()).count();
        assert_eq!(picture.matches("<circle").count(), 2 * marks);
        let skipped = chart.values.len() - marks;
        assert_eq!(picture.matches(">skipped</text>").count(), 2 * skipped);
        assert!(!picture.contains("<b>") && !picture.contains('\u{1b}'));
        assert!(picture.chars().all(|c| c == '\n' || !c.is_control()));
        // Every element is closed: a text of a member opened none.
        let tags = ["<g ", "</g>", "<title>", "</title>", "<desc>", "</desc>", "<svg ", "</svg>"];
        for pair in tags.chunks(2) {
            assert_eq!(picture.matches(pair[0]).count(), picture.matches(pair[1]).count());
        }
    }
}

/// Neither red nor green, and no number but the member's own.
#[test]
fn picture_is_without_colour() {
    let (chart, _) = charts().find(|(chart, _)| chart.values.len() > 5).unwrap();
    let picture = svg(&[chart], &TimeZone::UTC);
    for colour in picture.match_indices('#').map(|(at, _)| &picture[at + 1..at + 4]) {
        let mut digits = colour.chars();
        let first = digits.next().unwrap();
        assert!(digits.all(|digit| digit == first), "{colour}");
    }
}
