//! What a request must be before anything is done for it.

use hyper::{
    HeaderMap, Method, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN},
    http::request::Parts,
};

/// A refusal, and its words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) StatusCode, pub(crate) &'static str);

type Result<T> = std::result::Result<T, Refusal>;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Where the page lives.
pub(crate) struct Guard {
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
    /// `http://127.0.0.1:PORT`
    pub(crate) origin: String,
}

/// What a request may ask for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// A file of the page.
    File(&'a str),
    /// A key, for a code.
    Enter(&'a str),
    /// What the page is told, for a key.
    Stream(&'a str),
    /// Something that the page does, for a key.
    Act(&'a str),
}

impl Guard {
    pub(crate) fn new(port: u16) -> Self {
        let host = format!("127.0.0.1:{port}");
        Self { origin: format!("http://{host}"), host }
    }

    /// Judges all of a request but its secret and its body.
    pub(crate) fn judge<'a>(&self, request: &'a Parts) -> Result<Target<'a>> {
        self.is_for_us(&request.uri, &request.headers)?;
        let path = request.uri.path();
        let Some(api) = path.strip_prefix("/api/") else {
            let site = once(&request.headers, &SEC_FETCH_SITE);
            return match request.method {
                // A page of another site can neither load these files nor lead here.
                _ if !matches!(site, Ok(None | Some("none" | "same-origin"))) => {
                    Err(Refusal(StatusCode::FORBIDDEN, "another site asks"))
                }
                Method::GET => Ok(Target::File(path)),
                _ => Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "files are read with GET")),
            };
        };
        // A GET can be sent by a link, an image or a prefetch of any site.
        if request.method != Method::POST {
            return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "only POST is taken"));
        }
        self.is_from_the_page(&request.headers)?;
        let secret = bearer(&request.headers)?;
        match api {
            "enter" => Ok(Target::Enter(secret)),
            "stream" => Ok(Target::Stream(secret)),
            "act" => Ok(Target::Act(secret)),
            _ => Err(Refusal(StatusCode::NOT_FOUND, "there is nothing here")),
        }
    }

    /// A name that another site points to this computer (DNS rebinding) stands in `Host`, which a page cannot set.
    fn is_for_us(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let misdirected = Refusal(StatusCode::MISDIRECTED_REQUEST, "this server has another name");
        if uri.authority().is_some() {
            return Err(misdirected);
        }
        match once(headers, &HOST) {
            Ok(Some(host)) if host == self.host => Ok(()),
            _ => Err(misdirected),
        }
    }

    fn is_from_the_page(&self, headers: &HeaderMap) -> Result<()> {
        match once(headers, &ORIGIN) {
            Ok(None) => {}
            Ok(Some(origin)) if origin == self.origin => {}
            _ => return Err(Refusal(StatusCode::FORBIDDEN, "another origin asks")),
        }
        match once(headers, &SEC_FETCH_SITE) {
            Ok(Some("same-origin")) => {}
            _ => return Err(Refusal(StatusCode::FORBIDDEN, "another site asks")),
        }
        // A form of another site can be sent without asking first; JSON cannot.
        match once(headers, &CONTENT_TYPE) {
            Ok(Some("application/json")) => Ok(()),
            _ => Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "only application/json is taken")),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    match once(headers, &AUTHORIZATION) {
        Ok(Some(value)) => value.strip_prefix("Bearer ").filter(|secret| !secret.is_empty()),
        _ => None,
    }
    .ok_or(Refusal(StatusCode::UNAUTHORIZED, "a key is missing"))
}

/// Returns a header that may be there once; an error if it is there twice or is not text, because two readers may then take
/// different ones.
fn once<'a>(headers: &'a HeaderMap, name: &HeaderName) -> std::result::Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(HeaderValue::to_str), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        _ => Err(()),
    }
}
