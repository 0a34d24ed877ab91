//! The screen while it is hidden.

use zeroize::Zeroizing;

use crate::{
    app::{App, Effect, Lock},
    keys::Key,
};

/// Takes everything off the screen.
pub(crate) fn locked(app: &mut App, passphrase: bool) -> Vec<Effect> {
    let typed = Zeroizing::new(String::new());
    let fresh = App::new(app.look, app.idle);
    let (size, now, steady) = (app.size, app.now, app.steady);
    *app = App {
        size,
        now,
        steady,
        touched: steady,
        lock: Some(Lock { passphrase, typed, told: String::new() }),
        ..fresh
    };
    vec![Effect::Redraw]
}

/// Takes a key for the passphrase.
pub(crate) fn at_lock(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(lock) = &mut app.lock else { return Vec::new() };
    match key {
        Key::Char(c) => lock.typed.push(c),
        Key::Backspace => drop(lock.typed.pop()),
        Key::Ctrl('u') | Key::Esc => lock.typed.clear(),
        Key::Ctrl('z') => return vec![Effect::Suspend],
        Key::Ctrl('c' | 'd') => return vec![Effect::Quit(String::new())],
        Key::Enter => {
            lock.told = "Opening ...".into();
            return vec![Effect::Open(std::mem::take(&mut lock.typed))];
        }
        _ => {}
    }
    Vec::new()
}
