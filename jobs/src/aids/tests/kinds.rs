//! Each kind of aid, made by rules and by a model.

use bellwork_shared::ai::forms::{Aid, FlashcardsAsked, StudyPlanAsked};
use bellwork_shared::config::ai::Price;
use bellwork_shared::events::Progress;
use bellwork_shared::ids::JobId;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{Scene, WRITTEN};
use crate::kinds::explain_answer::ExplainAnswer;
use crate::kinds::make_flashcards::MakeFlashcards;
use crate::kinds::plan_study::PlanStudy;
use crate::marker::Marker;
use crate::rehearsal::chat_server::{ChatServer, writes};

/// A form, as a request or its row holds it.
fn read<A: Aid>(asked: Value) -> A {
    serde_json::from_value(asked).unwrap()
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn without_a_server_rules_make_all_three(database: PgPool) {
    let scene = Scene::new(&database, Marker::Rubric).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let explained = scene.explain(&student).await.unwrap();
    assert_eq!((&explained.result()["made_by"], &explained.result()["model"]), (&json!("rules"), &Value::Null));
    let text = explained.result()["result"]["explanation"].as_str().unwrap();
    assert!(text.ends_with("So it is."), "{text}");

    let asked: StudyPlanAsked = read(json!({ "subject": "reading", "days": 3, "minutes_per_day": 60 }));
    let plan = PlanStudy { aid_id: scene.order(&student, JobId::new(), &asked).await };
    let planned = scene.stage.perform(&plan).await.unwrap();
    let result = &planned.result()["result"];
    assert_eq!(
        (result["days"].as_array().unwrap().len(), &result["days"][0]["tasks"][0]["topic"]),
        (3, &json!("mills"))
    );
    assert_eq!(planned.result()["made_by"], "rules");

    let asked: FlashcardsAsked = read(json!({ "attempt_id": student.attempt, "count": 2 }));
    let cards = MakeFlashcards { aid_id: scene.order(&student, JobId::new(), &asked).await };
    let made = scene.stage.perform(&cards).await.unwrap();
    let cards = made.result()["result"]["cards"].as_array().unwrap();
    assert_eq!(cards.len(), 2);
    let expected = json!({ "front": "Question 3?", "back": "4\n\nSo it is." });
    assert_eq!(cards[0], expected, "what went worst comes first");
}

#[sqlx::test(migrator = "bellwork_shared::database::MIGRATIONS")]
async fn plans_and_cards_of_a_model_keep_to_what_was_asked(database: PgPool) {
    let task = |topic: &str, minutes: u32| json!({ "topic": topic, "activity": "Read.", "minutes": minutes });
    let day = |day: u32, tasks: &[Value]| json!({ "day": day, "tasks": tasks });
    let plan = |days: &[Value]| writes(&json!({ "summary": "First mills.", "days": days }));
    let card = |front: &str| json!({ "front": front, "back": "A back." });
    let cards = |cards: &[Value]| writes(&json!({ "cards": cards }));
    let good_day = day(1, &[task("mills", 30)]);
    let script = [
        plan(&[day(1, &[task("mills", 61)])]),
        plan(std::slice::from_ref(&good_day)),
        plan(&[good_day.clone(), day(2, &[task("mills", 30)])]),
        plan(&[day(1, &[task("spaceships", 30)])]),
        cards(&[card("a"), card("b"), card("c")]),
        cards(&[card("a"), card("b")]),
        cards(&[card("a"), card("A")]),
        cards(&[]),
    ];
    let server = ChatServer::start(script).await;
    let scene = Scene::at(&database, &server).await;
    let student = scene.student("Zoe", WRITTEN).await;
    let plan = async |minutes_per_day: u16| {
        let asked: StudyPlanAsked = read(json!({ "days": 1, "minutes_per_day": minutes_per_day }));
        let aid_id = scene.order(&student, JobId::new(), &asked).await;
        scene.stage.perform(&PlanStudy { aid_id }).await
    };
    assert_eq!(plan(60).await.unwrap().result()["result"]["days"], json!([good_day]));
    let failure = plan(50).await.unwrap_err().to_string();
    assert!(failure.contains("names the topic \"spaceships\""), "{failure}");
    let cards = async |subject: &str, count: u16| {
        let asked: FlashcardsAsked = read(json!({ "subject": subject, "count": count }));
        let aid_id = scene.order(&student, JobId::new(), &asked).await;
        scene.stage.perform(&MakeFlashcards { aid_id }).await
    };
    let made = cards("reading", 2).await.unwrap();
    assert_eq!(made.result()["result"]["cards"].as_array().unwrap().len(), 2);
    let failure = cards("reading", 3).await.unwrap_err().to_string();
    assert!(failure.contains("has 0 cards, of 1 to 3"), "{failure}");
    let nothing = cards("astronomy", 2).await.unwrap();
    assert!(nothing.aftermath.result.is_none(), "there is nothing to make cards from");
    let request = server.requests().remove(4);
    assert_eq!(request.material()["questions"].as_array().unwrap().len(), 2);
}

#[test]
fn the_stored_shapes_are_read() {
    let stored = r#"{"aid_id":"0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"}"#;
    let aid_id = "0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b".parse().unwrap();
    assert_eq!(serde_json::from_str::<ExplainAnswer>(stored).unwrap(), ExplainAnswer { aid_id });
    assert_eq!(serde_json::from_str::<PlanStudy>(stored).unwrap(), PlanStudy { aid_id });
    assert_eq!(serde_json::from_str::<MakeFlashcards>(stored).unwrap(), MakeFlashcards { aid_id });
    let old = r#"{"job_id":"0199a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b","percent":5,"message":"x"}"#;
    assert_eq!(serde_json::from_str::<Progress>(old).unwrap().text, None);
    assert_eq!(Price::default().of(1000, 1000), 0);
}
