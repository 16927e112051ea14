use domain::ids::ShowId;
use domain::value::Role;
use http::Method;
use serde_json::{Value, json};
use service_kit::keys::{Keys, Secret32};

use super::world::{World, post};

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_room_has_defaults_and_is_shown_with_the_show() {
    let world = World::without_sagas();
    let stage = world.draft(json!({"enabled": true})).await;
    let path = format!("/v1/shows/{}", stage.show);
    let configure = |room: Value| {
        let (world, path) = (&world, format!("{path}/configure"));
        async move { world.organize(Method::POST, &path, json!({"waiting_room": room})).await }
    };
    let shown = configure(json!({"enabled": true})).await.is(200);
    let defaults = json!({"enabled": true, "opens_at": null, "slots": 100, "admission_batch": 10,
        "inflow_per_min": null, "challenge_bits": null, "tick_ms": 1000,
        "enter_s": 60, "token_ttl_s": 900, "away_grace_s": 300});
    assert_eq!(shown.body["waiting_room"], defaults);
    assert!(configure(json!({"enabled": false, "slots": 5})).await.is(200).body["waiting_room"].is_null());
    assert!(configure(Value::Null).await.is(200).body["waiting_room"].is_null());

    let room = json!({"enabled": true, "opens_at": "2029-12-31T17:00:00+07:00", "slots": 300, "admission_batch": 50,
        "inflow_per_min": 600, "challenge_bits": 12, "tick_ms": 500, "enter_s": 5, "token_ttl_s": 60, "away_grace_s": 30});
    let mut told = room.clone();
    told["opens_at"] = json!("2029-12-31T10:00:00Z");
    assert_eq!(configure(room).await.is(200).body["waiting_room"], told);

    // The hash of the draw's seed is promised on publishing, and not before.
    let admin = world.token("admin", Role::Admin);
    let approved = world.send(post(&format!("{path}/approve")).bearer(&admin)).await.is(200);
    assert_eq!(approved.body["waiting_room"], told);
    let published = world.organize(Method::POST, &format!("{path}/publish"), Value::Null).await.is(200);
    told["draw_hash"] = json!(Keys::new(&Secret32::new([1; 32])).draw_seed(ShowId(stage.show)).hash());
    assert_eq!(published.body["waiting_room"], told);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_has_its_limits() {
    let world = World::without_sagas();
    let stage = world.draft(Value::Null).await;
    let path = format!("/v1/shows/{}/configure", stage.show);
    let limits = [
        ("slots", 1, 100_000),
        ("admission_batch", 1, 400),
        ("inflow_per_min", 1, 1_000_000),
        ("challenge_bits", 8, 24),
        ("tick_ms", 100, 60_000),
        ("enter_s", 1, 3_600),
        ("token_ttl_s", 1, 86_400),
        ("away_grace_s", 1, 86_400),
    ];
    for (name, least, most) in limits {
        for good in [least, most] {
            let room = json!({"enabled": true, name: good});
            let shown = world.organize(Method::POST, &path, json!({"waiting_room": room})).await.is(200);
            assert_eq!(shown.body["waiting_room"][name], good);
        }
        for bad in [least - 1, most + 1] {
            let room = json!({"enabled": true, name: bad});
            let refused = world.organize(Method::POST, &path, json!({"waiting_room": room})).await;
            let refused = refused.problem(422, "validation");
            let expected = json!([{"pointer": format!("/waiting_room/{name}"), "detail": format!("must be from {least} to {most}")}]);
            assert_eq!(refused.body["errors"], expected);
        }
    }
    let all = json!({"enabled": true, "slots": 0, "admission_batch": 0, "tick_ms": 0, "enter_s": 0, "token_ttl_s": 0, "away_grace_s": 0});
    let refused = world.organize(Method::POST, &path, json!({"waiting_room": all})).await.problem(422, "validation");
    assert_eq!(refused.body["errors"].as_array().unwrap().len(), 6);
    for (bad, name) in [
        (json!({"slots": 5}), "validation"),
        (json!({"enabled": true, "slots": "5"}), "validation"),
        (json!({"enabled": true, "slots": 3_000_000_000_u32}), "validation"),
        (json!({"enabled": true, "opens_at": "tomorrow"}), "validation"),
        (json!({"enabled": true, "speed": 5}), "unknown-field"),
    ] {
        let refused = world.organize(Method::POST, &path, json!({"waiting_room": bad})).await;
        assert_eq!(refused.body["type"], format!("/problems/{name}"), "{refused:#?}");
    }
}
