//! The page's files, which are in the program.

/// One file of the page.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) bytes: &'static str,
}

macro_rules! assets {
    ($($path:literal $file:literal $kind:expr,)*) => {
        const ALL: &[Asset] = &[$(Asset { path: $path, kind: $kind, bytes: include_str!(concat!("../page/", $file)) },)*];
    };
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

assets! {
    "/" "index.html" "text/html; charset=utf-8",
    "/page.css" "page.css" "text/css; charset=utf-8",
    "/page.js" "page.js" SCRIPT,
    "/app.js" "app.js" SCRIPT,
    "/around.js" "around.js" SCRIPT,
    "/charts.js" "charts.js" SCRIPT,
    "/dom.js" "dom.js" SCRIPT,
    "/join.js" "join.js" SCRIPT,
    "/line.js" "line.js" SCRIPT,
    "/over.js" "over.js" SCRIPT,
    "/talk.js" "talk.js" SCRIPT,
    "/time.js" "time.js" SCRIPT,
    "/wire.js" "wire.js" SCRIPT,
}

/// Bytes of all files of the page.
pub const PAGE_BYTES: usize = {
    let (mut bytes, mut at) = (0, 0);
    while at < ALL.len() {
        bytes += ALL[at].bytes.len();
        at += 1;
    }
    bytes
};

/// Returns the file at a path.
pub(crate) fn asset(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|asset| asset.path == path)
}
