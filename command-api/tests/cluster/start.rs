//! What an instance refuses to start with.

use super::instance::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_keeps_its_snapshots_elsewhere_is_refused_while_others_live() {
    let installation = Installation::new().await;
    let [mut one] = installation.start_all(["one"]).await;
    let elsewhere = std::env::temp_dir().join(format!("boxoffice-{}", installation.namespace));
    let settings = [("BOXOFFICE_SNAPSHOT_DIR", elsewhere.to_str().unwrap())];
    let mut refused = installation.start_with("two", &settings);
    assert_eq!(refused.ended().await.code(), Some(1));
    let said = refused.log();
    assert!(said.contains("command-api: BOXOFFICE_SNAPSHOT_DIR "), "{said}");
    let why = format!("is not the store of the instance one at {}: every instance must share one", one.url);
    assert!(said.contains(&why), "{said}");

    // What nobody lives to share is no obstacle.
    one.signal("KILL");
    one.ended().await;
    let moved = installation.start_with("two", &settings);
    installation.until_shared(&[&moved]).await;
    drop(moved);
    std::fs::remove_dir_all(elsewhere).unwrap();
    installation.forget().await;
}
