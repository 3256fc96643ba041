//! Sound: asked for with a reason, then heard by ranges, by that session alone.

use super::house::{HOST, House, refusal};
use axum::http::{Method, StatusCode};
use serde_json::json;

const RECORDING: &str = "09090909090909090909090909090909";

/// A WAV of ten seconds, two channels.
fn wav() -> Vec<u8> {
    let mut wav = vec![0_u8; 44];
    wav[..4].copy_from_slice(b"RIFF");
    wav[24..28].copy_from_slice(&8_000_u32.to_le_bytes());
    wav.extend((0..80_000_u32).flat_map(|at| (at as u16).to_le_bytes().into_iter().chain([0, 0])));
    wav
}

async fn listen(house: &House) -> super::house::Answer {
    let (ours, csrf) = (format!("https://{HOST}"), house.csrf());
    let path = format!("/recordings/{RECORDING}/listen");
    let because = json!({ "reason": "complaint 2026-117", "case": "117" });
    house.send(Method::POST, &path, Some(&ours), Some(&csrf), Some(because)).await
}

#[tokio::test]
async fn an_audio_element_seeks_by_ranges_under_one_entry() {
    let house = House::new();
    *house.sound.lock().unwrap() = wav();
    house.log_in().await;
    let (audio, peaks) =
        (format!("/recordings/{RECORDING}/audio"), format!("/recordings/{RECORDING}/peaks?columns=20"));
    assert_eq!(house.get(&audio).await.code(), "console.no-grant");
    assert_eq!(house.get(&peaks).await.code(), "console.no-grant");
    let granted = listen(&house).await;
    assert_eq!(granted.status, StatusCode::OK, "{}", granted.body);
    assert_eq!(
        (granted.json()["length_ms"].as_u64(), granted.json()["sequence"].as_u64()),
        (Some(10_000), Some(47))
    );
    let (_, export) = house.asked_of("record").pop().unwrap();
    assert_eq!((&export["reason"], &export["case"]), (&json!("complaint 2026-117"), &json!("117")));

    let whole = wav();
    let (status, headers, body) = house.raw(&audio, &[]).await;
    assert_eq!(
        (status, body.len(), &headers["accept-ranges"]),
        (StatusCode::OK, whole.len(), &"bytes".parse().unwrap())
    );
    assert_eq!(headers["content-type"], "audio/wav");
    // To nine tenths.
    let from = whole.len() * 9 / 10;
    let (status, headers, body) = house.raw(&audio, &[("range", &format!("bytes={from}-"))]).await;
    assert_eq!((status, body.as_slice()), (StatusCode::PARTIAL_CONTENT, &whole[from..]));
    let range = format!("bytes {from}-{}/{}", whole.len() - 1, whole.len());
    assert_eq!(headers["content-range"].to_str().unwrap(), range);
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (status, ..) = house.raw(&audio, &[("range", "bytes=0-9"), ("if-range", &tag)]).await;
    assert_eq!(status, StatusCode::PARTIAL_CONTENT);
    let (status, ..) = house.raw(&audio, &[("range", "bytes=0-9"), ("if-range", "\"another\"")]).await;
    assert_eq!(status, StatusCode::OK);
    let (status, headers, body) = house.raw(&audio, &[("range", &format!("bytes={}-", u64::MAX))]).await;
    assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(headers["content-range"].to_str().unwrap(), format!("bytes */{}", whole.len()));
    assert!(String::from_utf8(body).unwrap().contains("console.no-such-range"));
    let shape = house.get(&peaks).await.json();
    assert_eq!(shape["left"].as_array().unwrap().len(), 20);
    assert!(shape["right"].as_array().unwrap().iter().all(|peak| peak == 0));
    assert!(house.asked_of("record").is_empty(), "no entry more");

    let csrf = house.csrf();
    house.send(Method::DELETE, "/session", Some(&format!("https://{HOST}")), Some(&csrf), None).await;
    house.log_in().await;
    assert_eq!(house.get(&audio).await.code(), "console.no-grant", "it went with the session");
}

#[tokio::test]
async fn what_record_refuses_is_granted_to_nobody() {
    let house = House::new();
    house.log_in().await;
    house.script("record", "Export", refusal("NotPermitted", "record.role", "not yours"));
    let refused = listen(&house).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "record.role".to_owned()));
    assert_eq!(house.get(&format!("/recordings/{RECORDING}/audio")).await.code(), "console.no-grant");
}
