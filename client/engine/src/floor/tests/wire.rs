//! Bytes of the floor's records, made by hand from the CDDL.

use std::fmt::Debug;

use hearth_protocol::{Digest, MemberKey, MessageId, Millis, Seq, codec};
use minicbor::{Decode, Encode};

use super::super::wire::*;

fn is<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug>(value: &T, parts: &[&[u8]]) {
    let bytes = parts.concat();
    assert_eq!(codec::encode(value), bytes, "{value:?}");
    assert_eq!(&codec::decode::<T>(&bytes).unwrap(), value);
}

const KEY: [u8; 34] = string::<34>(32, 7);
const DIGEST: [u8; 34] = string::<34>(32, 6);
const ID: [u8; 17] = {
    let mut bytes = [5; 17];
    bytes[0] = 0x50;
    bytes
};

/// A byte string of 24 to 255 equal bytes.
const fn string<const N: usize>(len: u8, byte: u8) -> [u8; N] {
    let mut bytes = [byte; N];
    bytes[0] = 0x58;
    bytes[1] = len;
    bytes
}

fn reference() -> Ref {
    Ref { seq: Seq(9), digest: Digest([6; 32]) }
}

fn poll() -> Ask {
    Ask {
        form: Form::Poll,
        text: "q".into(),
        options: vec!["a".into(), "b".into()],
        until: Millis(20),
        after_own: true,
        part: None,
    }
}

#[test]
fn operations_are_numbered_choices() {
    is(&Op::Hand, &[&[0x82, 0, 0x80]]);
    is(&Op::Lower, &[&[0x82, 1, 0x80]]);
    let order = vec![MemberKey([7; 32])];
    let start = Op::Start { order, topic: "t".into(), seconds: 300, until: Millis(20) };
    is(&start, &[&[0x82, 2, 0x84, 0x81], &KEY, &[0x61, b't', 0x19, 1, 44, 20]]);
    is(&Op::Move { round: Seq(4), turn: 2 }, &[&[0x82, 3, 0x82, 4, 2]]);
    is(&Op::Extend { round: Seq(4), until: Millis(20) }, &[&[0x82, 4, 0x82, 4, 20]]);
    is(&Op::End { round: Seq(4) }, &[&[0x82, 5, 0x81, 4]]);
}

#[test]
fn absent_part_is_null() {
    let fields: &[u8] = &[2, 0x61, b'q', 0x82, 0x61, b'a', 0x61, b'b', 20, 0xf5];
    is(&poll(), &[&[0x86], fields, &[0xf6]]);
    let part = Part { exercise: MessageId([5; 16]), step: 1, of: 3 };
    is(&Ask { part: Some(part), ..poll() }, &[&[0x86], fields, &[0x83], &ID, &[1, 3]]);
    let asked = Asked::new(reference(), Millis(10), &poll());
    is(&asked, &[&[0x88, 0x82, 9], &DIGEST, &[10], fields, &[0xf6]]);
    assert_eq!(asked.content(), poll());
    assert_eq!(codec::decode::<Ask>(&[&[0x85], fields].concat()).unwrap(), poll());
}

#[test]
fn forms_are_numbers() {
    for (form, byte) in [
        (Form::Prompt, 0),
        (Form::Step, 1),
        (Form::Poll, 2),
        (Form::HiddenPoll, 3),
        (Form::Private, 4),
    ] {
        is(&form, &[&[byte]]);
    }
    assert!(codec::decode::<Form>(&[5]).is_err());
}

#[test]
fn answers_and_closes_have_their_bytes() {
    is(&Answer { ask: reference(), choice: None }, &[&[0x82, 0x82, 9], &DIGEST, &[0xf6]]);
    is(&Answer { ask: reference(), choice: Some(1) }, &[&[0x82, 0x82, 9], &DIGEST, &[1]]);
    is(&Close { ask: reference(), ballots: None }, &[&[0x81, 0x82, 9], &DIGEST]);
    let ballots = Some(vec![Ballot { hash: [5; 16], choice: 1 }]);
    is(
        &Close { ask: reference(), ballots },
        &[&[0x82, 0x82, 9], &DIGEST, &[0x81, 0x82], &ID, &[1]],
    );
    let null = [&[0x82, 0x82, 9], &DIGEST[..], &[0xf6]].concat();
    assert_eq!(codec::decode::<Close>(&null).unwrap().ballots, None);
}

#[test]
fn recap_holds_the_state() {
    let nothing = Recap { upto: Seq(8), state: State::default() };
    is(&nothing, &[&[0x82, 8, 0x83, 0xf6, 0x80, 0x80]]);
    let member = MemberKey([7; 32]);
    let round = Round {
        seq: Seq(4),
        at: Millis(10),
        order: vec![member],
        turn: 0,
        until: Millis(20),
        topic: String::new(),
        seconds: 0,
    };
    let state = State {
        round: Some(round),
        hands: vec![Hand { member, at: Millis(11) }],
        asks: vec![Asked::new(reference(), Millis(10), &Ask { options: vec![], ..poll() })],
    };
    is(
        &Recap { upto: Seq(8), state },
        &[
            &[0x82, 8, 0x83, 0x87, 4, 10, 0x81],
            &KEY,
            &[0, 20, 0x60, 0, 0x81, 0x82],
            &KEY,
            &[11, 0x81, 0x88, 0x82, 9],
            &DIGEST,
            &[10, 2, 0x61, b'q', 0x80, 20, 0xf5, 0xf6],
        ],
    );
}
