use hearth_protocol::MessageId;

use super::*;
use crate::words::Talk;

const BEN: MemberKey = MemberKey([2; 32]);
const FAY: MemberKey = MemberKey([1; 32]);
const HOUR: u64 = DAY / 24;

/// The row of a message at an hour.
fn row(place: u64, hour: u64, from: MemberKey, content: RowContent) -> Row {
    let at = Millis(hour * HOUR);
    Row {
        seq: Seq(place),
        at,
        digest: Digest([7; 32]),
        from: Some(from),
        name: String::new(),
        id: Some(MessageId([3; 16])),
        content,
        notices: Vec::new(),
        place: Seq(place),
        stamp: at,
        arrived: at,
        said: at,
        talk: Talk::default(),
        changes: Vec::new(),
        shows: Vec::new(),
        proof: None,
    }
}

fn private(place: u64, hour: u64, from: MemberKey, private: Private) -> Row {
    row(place, hour, from, RowContent::Private(Box::new(private)))
}

fn mood(place: u64, hour: u64, score: u32) -> Row {
    let words = String::new();
    private(place, hour, BEN, Private::Mood(Mood { score, words }))
}

fn asks(place: u64, hour: u64, wanted: Wanted) -> Row {
    private(place, hour, FAY, Private::Inquiry(Inquiry { wanted, within: 24 * 3600 }))
}

fn scores(rows: &[Row]) -> Vec<u32> {
    moods(rows, &BEN).iter().map(|entry| entry.mood.score).collect()
}

/// Two in one day are two, and another member's is not the owner's.
#[test]
fn every_mood_of_a_day_counts() {
    let stranger = MemberKey([9; 32]);
    let other = private(4, 9, stranger, Private::Mood(Mood { score: 1, words: String::new() }));
    assert_eq!(scores(&[mood(1, 8, 3), mood(2, 8, 3), mood(3, 9, 7), other]), [3, 3, 7]);
}

#[test]
fn skipped_answers_stay_skipped() {
    let form = Digest([5; 32]);
    let given = vec![Some(0), None, Some(3)];
    let answers = Private::Answers { form, answers: given.clone() };
    let sittings = sittings(&[private(1, 8, BEN, answers)], &BEN);
    assert_eq!(sittings.iter().map(|s| &s.answers).collect::<Vec<_>>(), [&given]);
}

#[test]
fn answered_questions_are_asked_no_longer() {
    let source = b"items".to_vec();
    let form = hash::sha256(&source);
    let sheet = asks(1, 10, Wanted::Form { stem: "week".into(), source });
    let answers = Private::Answers { form, answers: vec![None] };
    let elsewhere = Private::Answers { form: Digest([5; 32]), answers: vec![None] };
    let asked = |rows: &[Row], hour: u64| sheet_asked(rows, &BEN, Millis(hour * HOUR)).is_some();
    assert!(asked(std::slice::from_ref(&sheet), 11));
    assert!(asked(&[sheet.clone(), private(2, 11, BEN, elsewhere)], 12));
    assert!(!asked(&[sheet.clone(), private(2, 11, BEN, answers.clone())], 12));
    // Asked again, they are open again; after a week they are over.
    let again = Row { place: Seq(3), ..sheet.clone() };
    assert!(asked(&[sheet.clone(), private(2, 11, BEN, answers), again], 12));
    assert!(!asked(&[sheet], 10 + 7 * 24));
}

#[test]
fn told_mood_is_not_asked_again() {
    let ask = asks(1, 10, Wanted::Mood { every: 0 });
    let asked = |rows: &[Row], unasked, hour: u64| {
        mood_asked(rows, &BEN, unasked, Millis(hour * HOUR)).is_some()
    };
    let (open, none) = ([ask.clone()], Unasked::default());
    assert!(asked(&open, none, 11));
    // By then somebody has read it.
    assert!(!asked(&open, none, 34));
    assert!(!asked(&[ask.clone(), mood(2, 11, 6)], none, 12));
    assert!(asked(&[mood(0, 9, 6), ask.clone()], none, 12));
    let until = |hour: u64| Millis(hour * HOUR);
    assert!(!asked(&open, Unasked { skipped: until(11), ..none }, 12));
    assert!(!asked(&open, Unasked { stopped: until(11), ..none }, 12));
    // What is set up later asks again.
    let later = [ask, asks(2, 20, Wanted::Mood { every: 0 })];
    assert!(asked(&later, Unasked { skipped: until(11), stopped: until(11) }, 21));
}

#[test]
fn repeated_asking_ends_after_four_weeks() {
    let rows = [asks(1, 1, Wanted::Mood { every: 7 })];
    let days = |now: u64| {
        let asks = mood_asks(&rows, Millis(0), Millis(now * DAY));
        asks.iter().map(|ask| ask.at.0 / DAY).collect::<Vec<_>>()
    };
    assert_eq!(days(10), [0, 7]);
    assert_eq!(days(100), [0, 7, 14, 21]);
}

/// A pseudo-random number below `n`.
fn dice(seed: &mut u64, n: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n
}

fn small(n: u64) -> u32 {
    u32::try_from(n).unwrap()
}

/// The asks up to an hour, hour by hour.
fn naive_asks(rows: &[Row], stopped: Millis, now: u64) -> Vec<Millis> {
    let mut kept: Vec<Millis> = Vec::new();
    let every_of = |row: &Row| match &row.content {
        RowContent::Private(private) => match &**private {
            Private::Inquiry(Inquiry { wanted: Wanted::Mood { every }, .. }) => Some(*every),
            _ => None,
        },
        _ => None,
    };
    for hour in 0..=now {
        let at = Millis(hour * HOUR);
        let mut ticks = 0;
        let so_far = || rows.iter().filter(|row| row.at <= at);
        if let Some(row) = so_far().rfind(|row| every_of(row) != Some(0))
            && let Some(every) = every_of(row)
        {
            let age = at.0 - row.at.0;
            let on = age < u64::from(ASKED_DAYS) * DAY && row.at > stopped;
            ticks += usize::from(on && age.is_multiple_of(u64::from(every) * DAY));
        }
        let single = |row: &&Row| row.at == at && every_of(row) == Some(0) && row.at > stopped;
        ticks += so_far().filter(single).count();
        for _ in 0..ticks {
            let week = kept.iter().filter(|other| at.0 - other.0 < 7 * DAY).count();
            if week < 3 {
                kept.push(at);
            }
        }
    }
    kept
}

#[test]
fn asks_agree_with_a_naive_model() {
    let mut seed = 41;
    for round in 0..300 {
        let mut hour = 1;
        let rows: Vec<Row> = (0..dice(&mut seed, 8))
            .map(|place| {
                hour += dice(&mut seed, 200);
                let wanted = match dice(&mut seed, 4) {
                    0 => Wanted::NoMood,
                    1 => Wanted::Mood { every: 0 },
                    _ => Wanted::Mood { every: 3 + small(dice(&mut seed, 26)) },
                };
                asks(place + 1, hour, wanted)
            })
            .collect();
        let (stopped, now) = (dice(&mut seed, 300), hour + dice(&mut seed, 900));
        let stopped = Millis(stopped * HOUR);
        let asks = mood_asks(&rows, stopped, Millis(now * HOUR));
        let times: Vec<Millis> = asks.iter().map(|ask| ask.at).collect();
        assert_eq!(times, naive_asks(&rows, stopped, now), "{round}: {rows:?}");
    }
}

/// Both sides have to write. A question to all members does not count.
#[test]
fn exchange_takes_both_sides() {
    let text = |place, hour, from| row(place, hour, from, RowContent::Text("words".into()));
    let last = |rows: &[Row]| Exchange::of(rows, BEN).last().map(|at| at.0 / HOUR);
    assert_eq!(last(&[text(1, 5, BEN)]), None);
    assert_eq!(last(&[text(1, 5, BEN), text(2, 9, FAY)]), Some(5));
    assert_eq!(last(&[text(1, 5, BEN), text(2, 9, FAY), text(3, 20, FAY)]), Some(5));
    assert_eq!(last(&[text(1, 5, BEN), asks(2, 9, Wanted::Mood { every: 0 })]), None);
    // A mood without words is a number.
    assert_eq!(last(&[mood(1, 5, 3), text(2, 9, FAY)]), None);
}

#[test]
fn check_ins_agree_with_naive_model() {
    let mut seed = 7;
    for _ in 0..300 {
        let now = 1000;
        let member = |n: u64| MemberKey([u8::try_from(n).unwrap(); 32]);
        let time = |seed: &mut u64| (dice(seed, 4) > 0).then(|| Millis(dice(seed, now) * HOUR));
        let exchanges: Vec<Exchange> = (0..dice(&mut seed, 12))
            .map(|n| Exchange { member: member(n), theirs: time(&mut seed), ours: time(&mut seed) })
            .collect();
        let plan = |seed: &mut u64| small(dice(seed, 3)) * 7;
        let cadence =
            Cadence { days: plan(&mut seed), members: vec![(member(2), plan(&mut seed))] };
        let lines = check_ins(&exchanges, &cadence, Millis(now * HOUR));
        assert_eq!(lines.len(), exchanges.len());
        for line in &lines {
            let both = exchanges.iter().find(|e| e.member == line.member).unwrap();
            let hours = |at: Millis| now - at.0 / HOUR;
            let days = match (both.theirs, both.ours) {
                (Some(theirs), Some(ours)) => Some(hours(theirs).max(hours(ours)) / 24),
                _ => None,
            };
            assert_eq!(line.days, days);
            let plan = if line.member == member(2) { cadence.members[0].1 } else { cadence.days };
            assert_eq!(line.planned, (plan > 0).then_some(plan));
            let late = days.is_none_or(|days| days >= u64::from(plan));
            assert_eq!(line.is_due(), plan > 0 && late);
            let waits = match (both.theirs, both.ours) {
                (Some(theirs), Some(ours)) => theirs > ours,
                (theirs, _) => theirs.is_some(),
            };
            assert_eq!(line.waits_for_us, waits);
        }
        // None is the longest.
        let length = |line: &CheckIn| line.days.unwrap_or(u64::MAX);
        assert!(lines.is_sorted_by(|a, b| length(a) >= length(b)), "{lines:?}");
    }
}
