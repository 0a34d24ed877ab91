//! Section D: people at the keyboard.
