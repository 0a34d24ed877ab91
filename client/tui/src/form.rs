//! The form of a command: a field for each of its arguments.

use crate::{
    app::{App, Effect},
    compose::Composer,
    keys::Key,
    model::{Entry, Field},
    over::Overlay,
};

/// The arguments of a command.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) entry: Entry,
    pub(crate) values: Vec<Composer>,
    pub(crate) at: usize,
    pub(crate) told: String,
}

impl Form {
    /// Returns the command line.
    fn line(&self) -> String {
        let mut line = self.entry.name.clone();
        for (field, value) in self.entry.fields.iter().zip(&self.values) {
            let value = value.text().trim();
            if value.is_empty() {
                continue;
            }
            if !field.flag.is_empty() {
                line.push(' ');
                line.push_str(&field.flag);
            }
            if field.switch {
                continue;
            }
            line.push(' ');
            match field.words || !value.contains(char::is_whitespace) {
                true => line.push_str(value),
                false => line.push_str(&format!("\"{value}\"")),
            }
        }
        line
    }

    /// Returns what is missing or none of the choices.
    fn fault(&self) -> Option<(usize, String)> {
        self.entry.fields.iter().zip(&self.values).enumerate().find_map(|(at, (field, value))| {
            let value = value.text().trim();
            let known = field.choices.is_empty()
                || field.switch
                || field.free
                || value.is_empty()
                || field.choices.iter().any(|choice| choice.eq_ignore_ascii_case(value));
            match (value.is_empty() && !field.optional, known) {
                (true, _) => Some((at, format!("{} is missing", field.name))),
                (_, false) => {
                    Some((at, format!("{} is one of: {}", field.name, field.choices.join(", "))))
                }
                _ => None,
            }
        })
    }

    fn cycle(&mut self, forth: bool) {
        let Some(field) = self.entry.fields.get(self.at) else { return };
        let Some(value) = self.values.get_mut(self.at) else { return };
        let count = field.choices.len();
        let at = field.choices.iter().position(|choice| choice.eq_ignore_ascii_case(value.text()));
        let next = match (at, forth) {
            (None, _) => Some(0),
            (Some(at), true) => Some((at + 1) % count.max(1)),
            (Some(at), false) => at.checked_sub(1).or_else(|| count.checked_sub(1)),
        };
        if let Some(choice) = next.and_then(|next| field.choices.get(next)) {
            *value = Composer::with(choice);
        }
    }

    pub(crate) fn field(&self) -> Option<&Field> {
        self.entry.fields.get(self.at)
    }
}

pub(crate) fn in_form(app: &mut App, mut form: Form, key: Key) -> Vec<Effect> {
    let last = form.values.len().saturating_sub(1);
    let has_choices = form.field().is_some_and(|field| !field.choices.is_empty());
    match key {
        Key::Esc => return Vec::new(),
        Key::Enter if form.at < last => form.at += 1,
        Key::Enter => match form.fault() {
            None => return vec![Effect::Run(form.line())],
            Some((at, told)) => (form.at, form.told) = (at, told),
        },
        Key::Tab | Key::Down => form.at = (form.at + 1).min(last),
        Key::BackTab | Key::Up => form.at = form.at.saturating_sub(1),
        Key::Right | Key::Left if has_choices => form.cycle(key == Key::Right),
        key => {
            let words = form.field().is_some_and(|field| field.words);
            if let Some(value) = form.values.get_mut(form.at)
                && (key != Key::Break || words)
            {
                value.key(key);
            }
        }
    }
    app.overlay = Some(Overlay::Form(form));
    Vec::new()
}
