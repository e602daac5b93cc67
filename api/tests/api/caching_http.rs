//! What HTTP's own caches are told: ETags, 304, codings, and who may keep what.

use bellwork_shared::cache::Scope;
use bellwork_testkit::until;
use reqwest::{Method, Response};
use sqlx::PgPool;

use crate::application::{Application, Caller};
use crate::exam::Exam;

async fn fetch(caller: &Caller, path: &str, headers: &[(&str, &str)]) -> Response {
    let request =
        headers.iter().fold(caller.request(Method::GET, path), |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// A test whose sheet is long enough to be worth a coding.
async fn long_exam(database: &PgPool) -> Exam {
    let exam = Exam::seed(database).await;
    let lengthen =
        sqlx::query("update practice_tests set passage = repeat('A passage to be read. ', 200) where id = $1");
    lengthen.bind(exam.id.0).execute(database).await.unwrap();
    exam
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn who_has_the_body_is_told_so(database: PgPool) {
    let exam = long_exam(&database).await;
    let app = Application::start(database).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    let first = fetch(&caller, &path, &[]).await;
    assert_eq!(header(&first, "cache-control"), "public, max-age=15");
    assert_eq!(header(&first, "vary"), "Accept-Encoding");
    assert!(header(&first, "content-security-policy").contains("default-src 'none'"));
    let etag = header(&first, "etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    let by_student = fetch(&app.student().await, &path, &[]).await;
    assert_eq!(header(&by_student, "etag"), etag, "it does not depend on who asks");

    let brotli = etag.replacen('"', "", 1).replace('"', "-br\"");
    let brotli = format!("\"{brotli}");
    for matching in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
        brotli.clone(),
        format!("\"x\",\t W/{brotli} , \"y\""),
    ] {
        let answer = fetch(&caller, &path, &[("if-none-match", &matching)]).await;
        assert_eq!(answer.status(), 304, "{matching}");
        let confirmed = if matching.contains("-br") { &brotli } else { &etag };
        assert_eq!(header(&answer, "etag"), confirmed, "{matching}");
        assert_eq!(header(&answer, "cache-control"), "public, max-age=15");
        assert!(
            !answer.headers().contains_key("content-security-policy"),
            "it came with the body, and is kept with it"
        );
        assert_eq!(answer.bytes().await.unwrap().len(), 0);
    }
    let longer = etag.replace('"', "x");
    for other in ["\"x\"", "x", "", "\"*\"", etag.trim_matches('"'), &format!("\"{longer}\"")] {
        assert_eq!(fetch(&caller, &path, &[("if-none-match", other)]).await.status(), 200, "{other}");
    }
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_body_comes_in_the_coding_that_is_asked_for(database: PgPool) {
    let exam = long_exam(&database).await;
    let app = Application::start(database).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    let plain = fetch(&caller, &path, &[]).await;
    assert_eq!(header(&plain, "content-encoding"), "");
    let mut etags = vec![header(&plain, "etag").to_owned()];
    let plain = plain.bytes().await.unwrap();
    for (accepted, coding) in [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("zstd", "zstd"),
        ("br;q=0, *;q=0.1", "zstd"),
        ("identity", ""),
        ("gzip;q=0", ""),
    ] {
        for _ in 0..2 {
            let answer = fetch(&caller, &path, &[("accept-encoding", accepted)]).await;
            assert_eq!(header(&answer, "content-encoding"), coding, "{accepted}");
            let etag = header(&answer, "etag").to_owned();
            assert_eq!(etag.contains(&format!("-{coding}\"")), !coding.is_empty(), "{etag}");
            etags.push(etag.clone());
            let body = answer.bytes().await.unwrap();
            assert!(coding.is_empty() || body.len() * 4 < plain.len(), "{accepted}: {}", body.len());
            assert_eq!(decoded(coding, &body), plain, "{accepted}");
            let known = fetch(&caller, &path, &[("accept-encoding", accepted), ("if-none-match", &etag)]).await;
            assert_eq!((known.status().as_u16(), header(&known, "etag")), (304, etag.as_str()));
        }
    }
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4, "each form has its own");
    app.stop().await;
}

fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => drop(std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap()),
        "br" => brotli::BrotliDecompress(&mut &*body, &mut plain).unwrap(),
        "zstd" => plain = zstd::bulk::decompress(body, 1_000_000).unwrap(),
        _ => plain = body.to_vec(),
    }
    plain
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn what_is_the_callers_own_is_kept_by_nobody_else(database: PgPool) {
    let app = Application::start(database).await;
    let (student, other) = (app.student().await, app.student().await);
    app.write(student.id, "for one alone").await;
    let own = fetch(&student, "/api/notifications", &[]).await;
    assert_eq!(header(&own, "cache-control"), "private, no-cache");
    let etag = header(&own, "etag").to_owned();
    assert!(own.text().await.unwrap().contains("for one alone"));
    let theirs = fetch(&other, "/api/notifications", &[("if-none-match", &etag)]).await;
    assert_eq!(theirs.status(), 200);
    assert!(!theirs.text().await.unwrap().contains("for one alone"));
    let known = [("if-none-match", etag.as_str())];
    assert_eq!(fetch(&student, "/api/notifications", &known).await.status(), 304);
    app.write(student.id, "another").await;
    until("another is heard of", async || fetch(&student, "/api/notifications", &known).await.status() == 200).await;
    app.stop().await;
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn a_changed_test_has_another_etag(database: PgPool) {
    let exam = Exam::seed(&database).await;
    let app = Application::start(database).await;
    let (caller, path) = (app.anybody(), format!("/api/tests/{}", exam.id));
    let first = fetch(&caller, &path, &[]).await;
    let etag = header(&first, "etag").to_owned();
    sqlx::query("update practice_tests set title = 'Another'").execute(&app.database).await.unwrap();
    let known = [("if-none-match", etag.as_str())];
    assert_eq!(fetch(&caller, &path, &known).await.status(), 304, "nobody has said so yet");
    app.cache.forget(&[Scope::Tests]).await;
    until("the change is heard of", async || fetch(&caller, &path, &known).await.status() == 200).await;
    app.stop().await;
}
