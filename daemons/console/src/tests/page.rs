//! The page as it is served, and its words.

use super::house::House;
use crate::{pages::FILES, problem::Problem};
use axum::http::StatusCode;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_file_is_served_with_strict_headers() {
    let house = House::new();
    for (path, kind, text) in FILES {
        let answer = house.page(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, *text), "{path}");
        assert_eq!(answer.header("content-type"), *kind);
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
             frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
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
    for (path, _, text) in FILES {
        for forbidden in ["<style", " style=\"", "javascript:", "innerHTML", "eval(", "//cdn", "src=\"http"] {
            assert!(!text.contains(forbidden), "{path} has {forbidden}");
        }
        for script in text.match_indices("<script") {
            assert!(text[script.0..].starts_with("<script type=\"module\" src=\"/"), "{path}");
        }
        for import in text.lines().filter_map(|line| line.split_once(" from \"")).map(|(_, rest)| rest) {
            let name = import.split('"').next().unwrap();
            assert!(FILES.iter().any(|(path, ..)| *path == name), "{path} imports {name}");
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
    for (path, _, text) in FILES.iter().filter(|(path, ..)| path.ends_with(".js")) {
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
    let (_, _, text) = FILES.iter().find(|(path, ..)| *path == "/words.js").unwrap();
    let list = text.split_once("const LISTS = ").unwrap().1.split_once("\n};").unwrap().0;
    serde_json::from_str(&format!("{list}\n}}")).unwrap()
}
