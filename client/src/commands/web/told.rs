//! What the page is told, as JSON whose texts are inert.

use hearth_text::escape;
use hearth_tui::Msg;
use serde_json::{Value, json};

/// Names of values that go back as they came: commands, what is put on the clipboard, a person's own words.
const RAW: [&str; 6] = ["Run", "Form", "Copy", "Again", "GiveBack", "Sign"];

/// Returns a message as the page takes it; `None` if it is not for a page.
pub(super) fn told(msg: Msg) -> Option<Value> {
    let mut told = match msg {
        Msg::Places(places) => json!({ "Places": places }),
        Msg::Went(place) => json!({ "Went": place }),
        Msg::Scene(scene) => json!({ "Scene": scene }),
        Msg::Items(items) => json!({ "Items": items }),
        Msg::Earlier(items) => json!({ "Earlier": items }),
        Msg::Gone(places) => json!({ "Gone": places }),
        Msg::Remark(text) => json!({ "Remark": text }),
        Msg::Text(text) => json!({ "Text": text }),
        Msg::Asks { token, words } => json!({ "Asks": { "token": token, "words": words } }),
        Msg::Fills { words } => json!({ "Fills": { "words": words } }),
        Msg::Filled => json!("Filled"),
        Msg::Help => json!("Help"),
        Msg::GiveBack(text) => json!({ "GiveBack": text }),
        Msg::Key(_)
        | Msg::Paste(_)
        | Msg::Size(..)
        | Msg::Time { .. }
        | Msg::Locked { .. }
        | Msg::Refused(_)
        | Msg::Opened => return None,
    };
    make_inert(&mut told);
    Some(told)
}

/// Returns a remark.
pub(super) fn remark(text: &str) -> Value {
    json!({ "Remark": escape::many_lines(text, "") })
}

/// Makes every text harmless but those that go back as they came.
pub(super) fn make_inert(value: &mut Value) {
    match value {
        Value::String(text) => *text = escape::many_lines(text, ""),
        Value::Array(values) => values.iter_mut().for_each(make_inert),
        Value::Object(values) => {
            for (name, value) in values {
                match name.as_str() {
                    "Compose" => {
                        if let Some(label) = value.get_mut("label") {
                            make_inert(label);
                        }
                    }
                    name if RAW.contains(&name) => {}
                    _ => make_inert(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use hearth_tui::{Action, Does, Item};

    use super::*;

    #[test]
    fn bidi_reaches_no_page() {
        let evil = "a\u{202e}b\u{200b}\u{1b}[2J<img src=x>\nc";
        let action = |does| Action { key: 'x', label: evil.into(), does };
        let choose = Does::Choose {
            title: evil.into(),
            lines: vec![evil.into()],
            choices: vec![action(Does::Help)],
        };
        let compose =
            Does::Compose { label: evil.into(), command: "reply 1".into(), text: "own".into() };
        let actions = vec![action(choose), action(compose), action(Does::Copy(evil.into()))];
        let item = Item {
            name: evil.into(),
            text: evil.into(),
            note: Some(evil.into()),
            after: evil.into(),
            actions,
            ..Item::default()
        };
        let told = told(Msg::Items(vec![item])).unwrap();
        let mut shown = told.clone();
        let copied = shown["Items"][0]["actions"][2]["does"]["Copy"].take();
        let text = shown.to_string();
        for sign in ["\u{202e}", "\u{200b}", "\\u001b"] {
            assert!(!text.contains(sign), "{text}");
        }
        // It stays one text: markup is text, and lines stay lines.
        assert!(text.contains("<img src=x>\\nc"), "{text}");
        assert_eq!(copied, evil);
    }
}
