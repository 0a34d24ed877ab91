//! The gate at honest members.
use super::*;
#[test]
fn compiles() {
    let _ = digest(b"");
    let _ = payload;
}
