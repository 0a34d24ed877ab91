//! What the relay alone reads: the HTTP head, its configuration, the numbers in its store.

use hearth_protocol::RoomNumbers;
use hearth_server::testing::fuzzing::{self, Opening};

use super::{choice, chosen, record, wire};

/// The bytes of a connection before its WebSocket. The first byte says where they break into two pieces.
pub(super) fn http_head(bytes: &[u8]) -> bool {
    let (cut, rest) = choice(bytes);
    let origins = ["https://good.example".to_owned()];
    let whole = fuzzing::opening(rest, &[], &origins).expect("reading from memory does not wait");
    let (first, second) = rest.split_at(usize::from(cut) * rest.len() / 255);
    let pieces =
        fuzzing::opening(first, second, &origins).expect("reading from memory does not wait");
    assert_eq!(whole, pieces, "how a head arrives changes how it is read");
    match whole {
        Opening::Gone => false,
        Opening::Refused(answer) => {
            is_answer(&answer);
            false
        }
        Opening::Head { rest: after, answer, .. } => {
            let head_len = rest.len() - after.len();
            assert!(rest.ends_with(&after), "what comes after the head is not lost");
            assert!(head_len <= 8 * 1024, "the head has a bound");
            assert!(rest[..head_len].ends_with(b"\r\n\r\n"));
            match answer {
                Ok(switch) => {
                    let text = String::from_utf8(switch).expect("an answer is text");
                    assert!(text.starts_with("HTTP/1.1 101 "));
                    // Nothing of the request gets into the answer but through a hash.
                    let lines = text.split("\r\n").count();
                    assert!((6..=7).contains(&lines), "{text}");
                    assert!(text.ends_with("\r\n\r\n"));
                    true
                }
                Err(answer) => {
                    is_answer(&answer);
                    false
                }
            }
        }
    }
}

/// Checks that a refusal is one whole HTTP answer of the length it says.
fn is_answer(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).expect("an answer is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 4") || head.starts_with("HTTP/1.1 505"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    assert!(head.contains("Connection: close"));
}

pub(super) fn head_seeds() -> Vec<Vec<u8>> {
    let head = "GET /v2 HTTP/1.1\r\nHost: relay.example:7443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let more = [
        "",
        "Sec-WebSocket-Protocol: chat, hearth.v2\r\n",
        "Origin: https://good.example\r\nX-Forwarded-For: 192.0.2.1, ::1\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nContent-Length: 0\r\n",
    ];
    let mut seeds: Vec<Vec<u8>> = more
        .iter()
        .zip([0, 64, 128, 255])
        .map(|(more, cut)| chosen(cut, format!("{head}{more}\r\n").as_bytes()))
        .collect();
    seeds.push(chosen(200, format!("{head}\r\n\u{82}\u{0}frame").as_bytes()));
    seeds
}

/// The text of a configuration file.
pub(super) fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match fuzzing::config(text) {
        Ok(()) => true,
        Err(line) => {
            let lines = text.matches('\n').count() + 1;
            assert!(
                line.is_none_or(|line| (1..=lines).contains(&line)),
                "line {line:?} of {lines}"
            );
            false
        }
    }
}

pub(super) fn config_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "listen = \"127.0.0.1:1\"\nadmin_listen = \"[::1]:2\"\nplain = true\n",
        "data_dir = \"x\"\npublic_url = \"relay.example:7443\"\ntls_cert = \"c\"\ntls_key = \"k\"\n",
        "allow_origin = [\"https://good.example\"]\ntrust_forwarded = true\nlog_format = \"json\"\n",
        "connections_per_ip = 1\nconnections_max = 20_000\nframes_per_second = 0x14\nframes_burst = 60 # all\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// The numbers of a room, as they are in the relay's store and inside frames.
pub(super) fn numbers(bytes: &[u8]) -> bool {
    let Some(numbers) = record::<RoomNumbers>(bytes) else { return false };
    wire::use_numbers(&numbers);
    true
}

pub(super) fn numbers_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![hearth_protocol::codec::encode(&RoomNumbers::default())];
    // The frame around them: two array heads and the number of the effect.
    seeds.extend(wire::example_bytes("effect set-numbers").iter().map(|frame| frame[3..].to_vec()));
    seeds
}
