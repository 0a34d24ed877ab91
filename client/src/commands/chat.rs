//! Chat.
use super::{Context, Result};
pub(super) async fn run(_: &Context, _: &str) -> Result<()> {
    Ok(())
}
