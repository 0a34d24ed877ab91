//! The page's files, which are in the program.

/// One file of the page.
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) bytes: &'static str,
}

macro_rules! assets {
    ($($path:literal $file:literal $kind:literal,)*) => {
        const ALL: &[Asset] = &[$(Asset { path: $path, kind: $kind, bytes: include_str!(concat!("../page/", $file)) },)*];
    };
}

assets! {
    "/" "index.html" "text/html; charset=utf-8",
    "/page.css" "page.css" "text/css; charset=utf-8",
    "/page.js" "page.js" "text/javascript; charset=utf-8",
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
