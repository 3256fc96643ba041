//! The page as it is served, and its words.

use super::house::House;
use crate::{
    pages::{FILES, File},
    problem::Problem,
};
use axum::http::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_file_is_served_with_strict_headers() {
    let house = House::new();
    for file @ File { path, kind, .. } in FILES {
        let answer = house.page(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, text(file)), "{path}");
        assert_eq!(answer.header("content-type"), *kind);
        assert!(!answer.headers.contains_key("content-encoding"), "nobody asked for it");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
             font-src 'self'; media-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        );
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    let lost = house.page("/lost").await;
    assert_eq!(lost.status, StatusCode::NOT_FOUND);
    assert_eq!(lost.header("x-content-type-options"), "nosniff", "also where there is nothing");
}

#[test]
fn the_page_has_nothing_inline_and_takes_nothing_from_elsewhere() {
    for (path, text) in FILES.iter().map(|file| (file.path, text(file))) {
        for forbidden in ["<style", " style=\"", "javascript:", "innerHTML", "eval(", "//cdn", "src=\"http"] {
            assert!(!text.contains(forbidden), "{path} has {forbidden}");
        }
        for script in text.match_indices("<script") {
            assert!(text[script.0..].starts_with("<script type=\"module\" src=\"/"), "{path}");
        }
        for import in text.lines().filter_map(|line| line.split_once(" from \"")).map(|(_, rest)| rest) {
            let name = import.split('"').next().unwrap();
            assert!(FILES.iter().any(|file| file.path == name), "{path} imports {name}");
        }
    }
}

#[test]
fn both_languages_say_the_same_things() {
    let lists = lists();
    let keys = |lang: &str| lists[lang].as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys("zh-CN"), keys("en"));
    for (_, list) in lists.as_object().unwrap() {
        assert!(list.as_object().unwrap().values().all(|words| !words.as_str().unwrap().is_empty()));
    }
    let known = keys("en");
    let scripts = FILES.iter().filter(|file| file.path.ends_with(".js"));
    for (path, text) in scripts.map(|file| (file.path, text(file))) {
        for key in text.split("words(\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            assert!(known.contains(key), "{path} says {key:?}, for which there are no words");
        }
    }
    let own = [
        Problem::NoSession,
        Problem::ForeignOrigin,
        Problem::NoToken,
        Problem::Malformed,
        Problem::TooLarge,
        Problem::NoSuchPath,
        Problem::NoSuchMethod,
        Problem::TimedOut,
    ];
    for problem in own {
        assert!(known.contains(&format!("error.{}", problem.code())), "{}", problem.code());
    }
}

/// The lists are JSON between `const LISTS = ` and the first `};`.
fn lists() -> Value {
    let words = FILES.iter().find(|file| file.path == "/words.js").unwrap();
    let list = text(words).split_once("const LISTS = ").unwrap().1.split_once("\n};").unwrap().0;
    serde_json::from_str(&format!("{list}\n}}")).unwrap()
}

fn text(file: &File) -> &'static str {
    std::str::from_utf8(file.bytes).unwrap()
}

#[tokio::test]
async fn a_file_comes_compressed_to_whom_it_suits_and_not_again() {
    let house = House::new();
    let (_, headers, _) = house.file("/words.js", &[]).await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, headers, packed) = house.file("/words.js", &[("accept-encoding", "gzip, br")]).await;
    assert_eq!((status, headers["content-encoding"].to_str().unwrap()), (StatusCode::OK, "br"));
    assert_eq!(headers["vary"], "accept-encoding");
    let file = FILES.iter().find(|file| file.path == "/words.js").unwrap();
    assert!(packed.len() * 2 < file.bytes.len(), "{} of {}", packed.len(), file.bytes.len());
    let mut whole = Vec::new();
    brotli::BrotliDecompress(&mut packed.as_slice(), &mut whole).unwrap();
    assert_eq!(whole, file.bytes);
    let (status, _, body) = house.file("/words.js", &[("if-none-match", &tag)]).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
}
