//! The forms that come with the program have the words that were agreed on, to the letter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use hearth_forms::{
    Act, Course, Exercise, Questionnaire, Score, Step, Sum, To, ToMember, catalogue, source,
};
use toml::{Table, Value};

/// The exercises as the page of practice prints them.
const EXERCISES: &str = r#####"
opening-round = { title = "Opening round", minutes = 25, who = "in turn", evidence = "custom of groups; no trial found", steps = [ { ask = "How do you come in tonight? One or two sentences. Do you want time for something?", to = "room", turn = "5m" } ] }
closing-round = { title = "Closing round", minutes = 20, who = "in turn", evidence = "custom of groups; no trial found", steps = [ { ask = "What do you take with you? And one small thing that gets you to the next time.", to = "room", turn = "4m" }, { ask = "Is there something that you would rather tell us alone?", to = "lane" } ] }
grounding = { title = "5-4-3-2-1", minutes = 6, who = "all at once", evidence = "widely taught; no controlled trial found", steps = [ { say = "Eyes open, feet on the floor. Leave out a sense that is not good for you. Stop when you like." }, { ask = "5 things you see.", to = "self" }, { ask = "4 things you can touch.", to = "self" }, { ask = "3 sounds.", to = "self" }, { ask = "2 smells, here or remembered.", to = "self" }, { ask = "1 slow breath, or a taste.", to = "self" }, { ask = "Where are you now? One word.", to = "room" } ] }
thought-record = { title = "A thought, looked at twice", minutes = 20, who = "alone, then together", evidence = "standard in CBT†", caution = "not for thoughts of suicide: then the lane", steps = [ { ask = "What happened? Only what a camera would have seen.", to = "lane" }, { ask = "What went through your mind? How strong is the feeling, 0 to 100?", to = "lane" }, { ask = "What speaks for that thought?", to = "lane" }, { ask = "What speaks against it? What would you say to a friend?", to = "lane" }, { ask = "One sentence that holds both. And the feeling now, 0 to 100?", to = "lane" }, { ask = "If you like: that one sentence.", to = "room", after_own = true } ] }
week-goal = { title = "One thing for this week, and how it went", minutes = 15, who = "in turn", evidence = "not looked up", steps = [ { ask = "One thing, so small that you would bet on it.", to = "room", turn = "4m" }, { ask = "When, where, and what if something gets in the way?", to = "lane" }, { ask = "What became of it? All, some, none: each is an answer.", to = "room", turn = "4m", opens_after = "7d" }, { ask = "What would you change?", to = "lane" } ] }
all-right = { title = "One thing that was all right", minutes = 10, who = "all at once", evidence = "gratitude: small effect, g = -0.29, 27 studies, 3,675 people; its authors advise stronger methods for symptoms [GR]", caution = "never as an answer to somebody's pain", steps = [ { ask = "Something today that was all right, however small. Or: nothing today.", to = "room", after_own = true }, { ask = "Who or what had a part in it?", to = "self" } ] }
urge-wave = { title = "Riding an urge", minutes = 12, who = "alone, then together", evidence = "part of mindfulness-based relapse prevention; trials found less craving [UR]", caution = "not for urges to hurt oneself (help-now), not in withdrawal", steps = [ { ask = "Where in your body is it? How strong, 0 to 10?", to = "self" }, { say = "It rises, peaks and falls. Breathe, watch it, do nothing.", wait = "5m" }, { ask = "How strong now? Down, same or up: all count.", to = "lane" }, { ask = "What helped you stay with it?", to = "room", after_own = true } ] }
plan-in-reach = { title = "Is your plan within reach?", minutes = 12, who = "alone", needs = "duty", evidence = "safety plans made with a clinician and followed up: 45 % less suicidal behaviour in a 2018 trial, read second-hand [SP]; this only looks at one's own plan", steps = [ { ask = "If you made a safety plan with somebody: where is it now?", to = "lane" }, { ask = "Is a name, number or place in it out of date?", to = "lane" }, { ask = "Whom would you call first? Is the number in your phone?", to = "lane" }, { ask = "Is there something at home that somebody could keep for you for a while?", to = "lane" }, { ask = "How was it to look at it? One word.", to = "room" } ] }
"#####;

/// The week check as that page prints it.
const WEEK_CHECK: &str = r#####"
id = "week-check"      # language = "en"; `ask week-check` is refused unless the agreement has answers_read_within and somebody is on duty or due within it
notice = "Made for Hearth. Not a validated instrument; no total, no band, no diagnosis."
ask = "Think of the last seven days."
choices = [["not at all", 0], ["a little", 1], ["quite a bit", 2], ["very much", 3]]
items = ["I slept enough to get through the day", "I did one thing that I had wanted to do", "Somebody was there for me", "It was hard to get up or to begin", "I was afraid or on edge", "I wished that I were not alive, or thought of hurting myself"]
score = { sum = "none", course = "each answer by itself", shown_to = "facilitators; the member on request" }
mark = [{ item = 6, from = 1, to_member = "questions: marked", to_facilitators = "please speak with {name} today", rings = false }]      # a skipped item 6 is shown as skipped, never as 0
"#####;

/// Writes a time as that page does, in its largest unit.
fn time(time: std::time::Duration) -> Value {
    let seconds = time.as_secs();
    let units = [(86400, "d"), (60, "m")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap();
    format!("{}{name}", seconds / unit).into()
}

fn step(step: &Step) -> Value {
    let mut table = Table::new();
    match &step.act {
        Act::Say(text) => {
            table.insert("say".into(), text.clone().into());
        }
        Act::Ask { text, to, turn, after_own } => {
            table.insert("ask".into(), text.clone().into());
            table.insert("to".into(), to.as_str().into());
            table.extend(turn.map(|turn| ("turn".to_owned(), time(turn))));
            table.extend(after_own.then(|| ("after_own".to_owned(), true.into())));
        }
    }
    table.extend(step.wait.map(|wait| ("wait".to_owned(), time(wait))));
    table.extend(step.opens_after.map(|after| ("opens_after".to_owned(), time(after))));
    table.into()
}

/// Writes an exercise as that page does.
fn printed(exercise: &Exercise) -> Value {
    let mut table = Table::new();
    table.insert("title".into(), exercise.title.clone().into());
    table.insert("minutes".into(), i64::from(exercise.minutes).into());
    table.insert("who".into(), exercise.who.as_str().into());
    table.extend(exercise.needs_duty.then(|| ("needs".to_owned(), "duty".into())));
    table.extend(exercise.evidence.clone().map(|words| ("evidence".to_owned(), words.into())));
    table.extend(exercise.caution.clone().map(|words| ("caution".to_owned(), words.into())));
    table.insert("steps".into(), exercise.steps.iter().map(step).collect::<Vec<_>>().into());
    table.into()
}

#[test]
fn shipped_exercises_have_the_agreed_words() {
    let page: Table = EXERCISES.parse().unwrap();
    assert_eq!(page.len(), 8);
    let shipped: Table =
        catalogue().exercises().iter().map(|e| (e.id.clone(), printed(e))).collect();
    assert_eq!(shipped, page);
}

#[test]
fn shipped_exercises_keep_their_order() {
    let order: Vec<&str> = EXERCISES.lines().filter_map(|l| Some(l.split_once(" = ")?.0)).collect();
    let shipped: Vec<&str> = catalogue().exercises().iter().map(|e| e.id.as_str()).collect();
    assert_eq!(shipped, order);
}

#[test]
fn week_check_has_the_agreed_words() {
    let page: Table = WEEK_CHECK.parse().unwrap();
    let form = catalogue().questionnaire("week-check").unwrap();
    let text = |key: &str| page[key].as_str().unwrap();
    assert_eq!(
        [form.id.as_str(), form.notice.as_str(), form.ask.as_str()],
        [text("id"), text("notice"), text("ask")]
    );
    let pair = |c: &hearth_forms::Choice| -> Value {
        vec![Value::from(c.text.as_str()), i64::from(c.score).into()].into()
    };
    assert_eq!(Value::from(form.choices.iter().map(pair).collect::<Vec<_>>()), page["choices"]);
    assert_eq!(Value::from(form.items.clone()), page["items"]);
    assert_eq!((form.sum, form.course), (Sum::None, Course::EachAnswer));
    assert_eq!(form.bands, []);
    let [mark] = form.marks.as_slice() else { panic!("{:?}", form.marks) };
    assert_eq!((mark.item, mark.from, &mark.to_member), (6, 1, &ToMember::Marked));
    assert_eq!(mark.to_facilitators("Dee"), "please speak with Dee today");
    // What the values do not hold, the file says.
    let file: Table = source("week-check").unwrap().parse().unwrap();
    assert_eq!((&file["score"], &file["mark"]), (&page["score"], &page["mark"]));
}

#[test]
fn every_shipped_form_is_found() {
    for id in catalogue().exercises().iter().map(|exercise| &exercise.id) {
        let again = Exercise::parse(id, source(id).unwrap().as_bytes()).unwrap();
        assert_eq!(catalogue().exercise(id), Some(&again));
        assert_eq!(again.language.as_deref(), Some("en"), "{id}");
        assert!(again.evidence.is_some(), "{id}");
    }
    for form in catalogue().questionnaires() {
        let again = Questionnaire::parse("other", source(&form.id).unwrap().as_bytes()).unwrap();
        assert_eq!(&again, form);
        assert_eq!(form.language.as_deref(), Some("en"), "{}", form.id);
    }
    assert!(catalogue().exercise("week-check").is_none());
    assert!(catalogue().questionnaire("grounding").is_none() && source("phq-9").is_none());
}

/// Exercises with a private part ask nothing of it in the room: what went to a lane or nowhere is not asked again there.
#[test]
fn plan_is_looked_at_in_private() {
    let plan = catalogue().exercise("plan-in-reach").unwrap();
    assert!(plan.needs_duty);
    let to = |step: &Step| match &step.act {
        Act::Ask { to, .. } => Some(*to),
        Act::Say(_) => None,
    };
    let to: Vec<_> = plan.steps.iter().filter_map(to).collect();
    assert_eq!(to, [To::Lane, To::Lane, To::Lane, To::Lane, To::Room]);
}

#[test]
fn skipped_item_is_never_zero() {
    let form = catalogue().questionnaire("week-check").unwrap();
    let marked = |given: [Option<u32>; 6]| {
        let answers = form.check(&given).unwrap();
        assert_eq!(answers.score(), Score::None);
        (answers.marks().count(), answers.skipped().collect::<Vec<_>>())
    };
    let a = Some(2);
    assert_eq!(marked([a, a, a, a, a, Some(0)]), (0, vec![]));
    assert_eq!(marked([a, a, a, a, a, Some(1)]), (1, vec![]));
    assert_eq!(marked([a, None, a, a, a, Some(3)]), (1, vec![2]));
    assert_eq!(marked([a, a, a, a, a, None]), (0, vec![6]));
    assert_eq!(marked([None; 6]), (0, vec![1, 2, 3, 4, 5, 6]));
}
