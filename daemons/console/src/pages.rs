//! The page: a few files within this program, no build step, nothing from elsewhere.

use axum::{
    Router,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    routing::get,
};

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal $kind:ident $file:literal;)*) => {
        /// Every file of the page: its path, its media type, its text.
        pub const FILES: &[(&str, &str, &str)] = &[$(($path, $kind, include_str!(concat!("../ui/", $file))),)*];
    };
}

files! {
    "/" HTML "index.html";
    "/style.css" STYLE "style.css";
    "/main.js" SCRIPT "main.js";
    "/api.js" SCRIPT "api.js";
    "/dom.js" SCRIPT "dom.js";
    "/entry.js" SCRIPT "entry.js";
    "/overview.js" SCRIPT "overview.js";
    "/records.js" SCRIPT "records.js";
    "/words.js" SCRIPT "words.js";
    "/mark.svg" IMAGE "mark.svg";
}

/// The files, each at its path.
pub fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, (path, kind, text)| {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(kind)),
            // An update of the appliance is seen at the next look.
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        router.route(path, get(move || async move { (StatusCode::OK, headers, *text) }))
    })
}
