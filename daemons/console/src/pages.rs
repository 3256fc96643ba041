//! The page: its files within this program, nothing from elsewhere.

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use ring::digest::{SHA256, digest};

use crate::randomness::hexadecimal;

/// One file of the page.
pub struct File {
    /// Where it lies.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// As it is.
    pub bytes: &'static [u8],
    /// Compressed by Brotli (RFC 7932), where that is shorter.
    pub brotli: Option<&'static [u8]>,
    /// Whether its name is of its content, so that it never changes.
    pub fixed: bool,
}

/// Every file of the page; made by `build.rs`.
pub const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files, each at its path.
pub fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        let tag = format!("\"{}\"", &hexadecimal(digest(&SHA256, file.bytes).as_ref())[..32]);
        router.route(
            file.path,
            get(move |request: Request| async move { serve(file, &tag, request.headers()) }),
        )
    })
}

fn serve(file: &'static File, tag: &str, asked: &HeaderMap) -> Response {
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let packed = file.brotli.filter(|_| takes_brotli(text(ACCEPT_ENCODING)));
    let known = text(IF_NONE_MATCH).split(',').any(|known| known.trim().trim_start_matches("W/") == tag);
    let mut response = match packed {
        _ if known => StatusCode::NOT_MODIFIED.into_response(),
        Some(packed) => packed.into_response(),
        None => file.bytes.into_response(),
    };
    // An update of the appliance is seen at the next look.
    let kept = if file.fixed { "max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if packed.is_some() && !known {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    // One tag for both forms: weak, because their bytes differ (RFC 9110 §8.8.3.3).
    if let Ok(tag) = HeaderValue::from_str(&format!("W/{tag}")) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Whether the browser takes Brotli: named, and not with a weight of nought (RFC 9110 §12.5.3).
fn takes_brotli(accepted: &str) -> bool {
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let nought = weight.trim().trim_start_matches("q=").parse::<f32>().is_ok_and(|weight| weight <= 0.0);
        name.trim().eq_ignore_ascii_case("br") && !nought
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_is_taken_where_it_is_named() {
        for (accepted, takes) in [
            ("gzip, deflate, br, zstd", true),
            ("BR;q=0.5", true),
            ("br;q=0", false),
            ("", false),
            ("gzip", false),
        ] {
            assert_eq!(takes_brotli(accepted), takes, "{accepted}");
        }
    }
}
