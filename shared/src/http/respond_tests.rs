use std::io::Read as _;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, LINK, RETRY_AFTER};
use serde_json::{Value, json};

use super::*;
use crate::http::tests::request;

const ORIGINS: &str = "cors: {origins: [\"https://shop.example\"]}\n";

fn model(more: &str) -> Model {
    let source = format!("name: T\nentities: {{book: {{fields: {{title: string}}}}}}\n{more}");
    crate::model::parse("model.yaml", &source).unwrap()
}

fn get(headers: &[(&'static str, &str)], reply: Reply) -> ApiResponse {
    respond(&request(Method::GET, "/v1/books/1", headers), &model(""), "c-1", Ok(reply))
}

fn text(response: &ApiResponse, name: impl http::header::AsHeaderName) -> Option<&str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

fn document(response: &ApiResponse) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn record() -> Reply {
    Reply::json(StatusCode::OK, &json!({"id": "1"})).version("v1")
}

fn list(bytes: usize) -> Reply {
    Reply::json(StatusCode::OK, &json!({"data": "a".repeat(bytes)})).version("v1")
}

#[test]
fn every_answer_has_the_common_headers() {
    let problem = Problem::not_found();
    let request = request(Method::GET, "/v1/books/1", &[]);
    for result in [Ok(record()), Ok(Reply::empty(StatusCode::NO_CONTENT)), Err(problem)] {
        let response = respond(&request, &model(""), "c-1", result);
        assert_eq!(text(&response, CORRELATION_ID), Some("c-1"));
        assert_eq!(text(&response, CACHE_CONTROL), Some("private, no-cache"));
        assert_eq!(text(&response, VARY), Some("Authorization, Accept, Accept-Encoding"));
        assert_eq!(text(&response, X_CONTENT_TYPE_OPTIONS), Some("nosniff"));
    }
}

#[test]
fn a_reply_may_say_more_about_caches() {
    let reply = record().header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let request = request(Method::GET, "/", &[("origin", "https://shop.example")]);
    let response = respond(&request, &model(ORIGINS), "c", Ok(reply));
    assert_eq!(text(&response, CACHE_CONTROL), Some("no-store"));
    assert_eq!(text(&response, VARY), Some("Authorization, Accept, Accept-Encoding, Origin"));
    assert_eq!(text(&response, ACCESS_CONTROL_ALLOW_ORIGIN), Some("https://shop.example"));
}

#[test]
fn a_problem_is_a_document_with_its_headers_and_without_its_cause() {
    let request = request(Method::GET, "/v1/books/a b?\u{fc}", &[("accept", "text/html")]);
    let response = respond(&request, &model(""), "c-1", Err(Problem::unavailable("table books-prod")));
    assert_eq!((response.status().as_u16(), text(&response, CONTENT_TYPE)), (503, Some(PROBLEM_JSON)));
    assert_eq!(text(&response, RETRY_AFTER), Some("1"));
    let document = document(&response);
    assert_eq!(document["instance"], "/v1/books/a%20b%3F%C3%BC");
    assert_eq!((&document["code"], &document["correlation_id"]), (&json!("unavailable"), &json!("c-1")));
    assert!(!document.to_string().contains("books-prod"));
}

#[test]
fn the_version_becomes_a_tag() {
    let response = get(&[], record());
    let tag = text(&response, ETAG).unwrap();
    assert!(tag.starts_with("\"v1."), "{tag}");
    assert_ne!(get(&[], Reply::json(StatusCode::OK, &json!({})).version("v1")).headers().get(ETAG).unwrap(), tag);
    let plain = Reply::json(StatusCode::OK, &json!({}));
    assert_eq!(text(&get(&[], plain), ETAG), None);
}

#[test]
fn who_has_the_representation_is_told_so() {
    for coding in ["identity", "gzip", "br"] {
        let first = get(&[("accept-encoding", coding)], list(5_000));
        let tag = text(&first, ETAG).unwrap().to_owned();
        let again = get(&[("accept-encoding", coding), ("if-none-match", &tag)], list(5_000));
        assert_eq!((again.status(), again.body().len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(text(&again, ETAG), Some(tag.as_str()));
        assert_eq!((text(&again, CONTENT_TYPE), text(&again, CONTENT_ENCODING)), (None, None));
        assert!(again.headers().contains_key(VARY) && again.headers().contains_key(CACHE_CONTROL));
        for (headers, reply) in [
            (vec![("accept-encoding", coding), ("if-none-match", tag.as_str())], list(5_001)),
            (vec![("accept-encoding", coding), ("if-none-match", "junk")], list(5_000)),
            (vec![("accept-encoding", if coding == "br" { "gzip" } else { "br" }), ("if-none-match", tag.as_str())], list(5_000)),
        ] {
            assert_eq!(get(&headers, reply).status(), StatusCode::OK, "{headers:?}");
        }
    }
}

#[test]
fn only_reads_are_answered_with_304() {
    let tag = text(&get(&[], record()), ETAG).unwrap().to_owned();
    for (method, status) in [(Method::HEAD, 304), (Method::PUT, 200), (Method::POST, 200)] {
        let request = request(method.clone(), "/v1/books/1", &[("if-none-match", &tag)]);
        assert_eq!(respond(&request, &model(""), "c", Ok(record())).status().as_u16(), status, "{method}");
    }
}

#[test]
fn large_bodies_are_packed_as_the_client_asks() {
    let cases = [("gzip", 5_000, Some("gzip")), ("br, gzip", 5_000, Some("br")), ("br", 900, None), ("", 5_000, None)];
    for (accept, bytes, coding) in cases {
        let response = get(&[("accept-encoding", accept)], list(bytes));
        assert_eq!(text(&response, CONTENT_ENCODING), coding, "{accept} {bytes}");
        let mut body = Vec::new();
        match coding {
            Some("gzip") => drop(flate2::read::GzDecoder::new(response.body().as_ref()).read_to_end(&mut body).unwrap()),
            Some(_) => brotli::BrotliDecompress(&mut response.body().as_ref(), &mut body).unwrap(),
            None => body = response.body().to_vec(),
        }
        assert_eq!(body, list(bytes).body);
    }
}

#[test]
fn what_cannot_be_sent_says_how_to_page() {
    let response = get(&[], list(MAX_SENT));
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let document = document(&response);
    assert_eq!((&document["code"], &document["limit"]), (&json!("response_too_large"), &json!(MAX_SENT)));
    assert!(document["detail"].as_str().unwrap().contains("cursor"));
    assert_eq!(text(&response, ETAG), None);
    assert_eq!(get(&[("accept-encoding", "gzip")], list(MAX_SENT)).status(), StatusCode::OK);
}

#[test]
fn json_is_not_sent_to_readers_who_refuse_it() {
    let headers = [("accept", "text/html")];
    assert_eq!(get(&headers, record()).status(), StatusCode::NOT_ACCEPTABLE);
    let page = Reply::of(StatusCode::OK, HeaderValue::from_static("text/html; charset=utf-8"), "<p>");
    assert_eq!(get(&headers, page).status(), StatusCode::OK);
    assert_eq!(get(&headers, Reply::empty(StatusCode::FOUND)).status(), StatusCode::FOUND);
    // The write is done; to deny that would be a lie.
    let posted = request(Method::POST, "/v1/books", &headers);
    assert_eq!(respond(&posted, &model(""), "c", Ok(record())).status(), StatusCode::OK);
}

#[test]
fn head_has_the_headers_of_get_without_its_body() {
    let head = request(Method::HEAD, "/v1/books/1", &[]);
    for result in [Ok(record().header(LINK, HeaderValue::from_static("<x>"))), Err(Problem::not_found())] {
        let response = respond(&head, &model(""), "c", result.clone());
        let mut get = head.clone();
        get.method = Method::GET;
        let expected = respond(&get, &model(""), "c", result);
        assert!(response.body().is_empty() && !expected.body().is_empty());
        assert_eq!((response.status(), response.headers()), (expected.status(), expected.headers()));
    }
}

#[test]
fn no_content_describes_no_content() {
    let mut reply = record();
    reply.status = StatusCode::NO_CONTENT;
    let response = get(&[], reply);
    assert!(response.body().is_empty());
    assert_eq!((text(&response, CONTENT_TYPE), text(&response, ETAG)), (None, None));
}
