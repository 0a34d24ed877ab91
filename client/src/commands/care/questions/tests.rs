use hearth_engine::{
    private::{Inquiry, Wanted},
    state::RowContent,
    words::Talk,
};
use hearth_protocol::{MemberKey, MessageId, Seq};

use super::*;

const FAY: MemberKey = MemberKey([1; 32]);
const TOTAL: &str = r#"
notice = "Made up."
ask = "Lately?"
choices = [["never", 0], ["often", 5]]
items = ["one", "two"]
score = { sum = "all answered, else no total" }
bands = [[0, 4, "low"], [5, 10, "high"]]
"#;

fn week_check() -> &'static [u8] {
    source("week-check").unwrap().as_bytes()
}

fn sent(file: &[u8]) -> Row {
    let wanted = Wanted::Form { stem: "week".into(), source: file.to_vec() };
    let private = Private::Inquiry(Inquiry { wanted, within: 86_400 });
    Row {
        seq: Seq(1),
        at: Millis(1),
        digest: Digest([7; 32]),
        from: Some(FAY),
        name: "Fay".into(),
        id: Some(MessageId([3; 16])),
        content: RowContent::Private(Box::new(private)),
        notices: Vec::new(),
        place: Seq(1),
        stamp: Millis(1),
        arrived: Millis(1),
        said: Millis(1),
        talk: Talk::default(),
        changes: Vec::new(),
        shows: Vec::new(),
        proof: None,
    }
}

fn given(file: &[u8], answers: &[Option<u32>]) -> Sitting {
    let (form, answers) = (hash::sha256(file), answers.to_vec());
    Sitting { place: Seq(2), at: Millis(2), form, answers }
}

fn lines(rows: &[Row], sitting: &Sitting, moderates: bool) -> String {
    Answered::of(rows, sitting).lines("Dee", moderates).join("\n")
}

#[test]
fn skipped_item_is_shown_as_skipped() {
    let sitting = given(TOTAL.as_bytes(), &[None, Some(5)]);
    let shown = lines(&[sent(TOTAL.as_bytes())], &sitting, true);
    assert!(
        shown.contains("1 of 2: one: skipped") && shown.contains("2 of 2: two: often"),
        "{shown}"
    );
    assert!(shown.contains("no total: 1 skipped"), "{shown}");
    let whole = given(TOTAL.as_bytes(), &[Some(0), Some(5)]);
    let shown = lines(&[sent(TOTAL.as_bytes())], &whole, true);
    assert!(shown.contains("total 5 (high); not a diagnosis"), "{shown}");
}

/// The mark stands first, and only before those who moderate.
#[test]
fn marked_answer_stands_first() {
    let mut answers = vec![Some(0); 6];
    answers[5] = Some(1);
    let sitting = given(week_check(), &answers);
    let shown = lines(&[], &sitting, true);
    assert!(shown.starts_with("** please speak with Dee today **"), "{shown}");
    assert!(!lines(&[], &sitting, false).contains("please speak"));
    // A skipped item is not marked, and no mark is no word that all is well.
    answers[5] = None;
    let shown = lines(&[], &given(week_check(), &answers), true);
    assert!(shown.contains("hurting myself: skipped") && !shown.contains("**"), "{shown}");
}

#[test]
fn unfit_answers_are_bare_numbers() {
    let file = TOTAL.as_bytes();
    for (rows, sitting, why) in [
        (vec![], given(file, &[Some(0), None]), "not on this device"),
        (vec![sent(file)], given(file, &[Some(0)]), "1 answers to 2 items"),
        (vec![sent(file)], given(file, &[Some(0), Some(3)]), "answer to item 2 is 3"),
        (vec![sent(b"items = 3")], given(b"items = 3", &[Some(0)]), "cannot be read"),
    ] {
        let answered = Answered::of(&rows, &sitting);
        assert!(answered.form().is_none() && answered.marks("Dee").is_empty());
        let shown = answered.lines("Dee", true).join("\n");
        assert!(shown.contains(why) && shown.contains(&typed(&sitting.answers)), "{shown}");
    }
}

#[test]
fn answers_are_read_as_typed() {
    let form = Questionnaire::parse("total", TOTAL.as_bytes()).unwrap();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(parse_all(&form, &words(&["5", "-"])).unwrap(), [Some(5), None]);
    assert_eq!(parse_all(&form, &words(&["Often", "skip"])).unwrap(), [Some(5), None]);
    // An unfinished row of answers is one that goes on.
    assert_eq!(parse_all(&form, &words(&["0"])).unwrap(), [Some(0)]);
    for wrong in [&["3"][..], &["0", "x"], &["0", "0", "0"]] {
        let failure = parse_all(&form, &words(wrong)).unwrap_err();
        assert!(failure.advice.starts_with("Nothing was sent"), "{}", failure.advice);
    }
    let answers = [Some(5), None];
    assert_eq!(
        parse_all(&form, &words(&typed(&answers).split(' ').collect::<Vec<_>>())).unwrap(),
        answers
    );
}
