//! What the services of a world are told: the shared stack, a namespace of their own, short durations.

use std::collections::BTreeMap;
use std::path::PathBuf;

use local_stack::Endpoints;
use service_kit::random;

/// Where a world keeps snapshots; it is removed with the world.
pub fn snapshots(namespace: &str) -> PathBuf {
    local_stack::find_root().expect("tests run in a checkout").join("target/tmp/worlds").join(namespace)
}

/// A file with the roots of the sandbox's certificates, the same for every world.
fn authority() -> PathBuf {
    let folder = local_stack::find_root().expect("tests run in a checkout").join("target/tmp");
    let file = folder.join("paypal-ca.pem");
    let draft = folder.join(format!("paypal-ca-{}.pem", random::opaque_id().simple()));
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&draft, provider_sandbox::paypal::signing::AUTHORITY))
        // Whoever reads it at this moment has it whole.
        .and_then(|()| std::fs::rename(&draft, &file));
    written.expect("the folder of tests can be written");
    file
}

/// The environment of every service of a world, reached at `base`; `settings` win.
pub fn environment(
    endpoints: &Endpoints,
    namespace: &str,
    base: &str,
    provider: &str,
    settings: &[(&str, &str)],
) -> BTreeMap<String, String> {
    let providers = provider_sandbox::Settings::default().for_a_shop(provider, &authority());
    let snapshots = snapshots(namespace).display().to_string();
    let ours = [
        ("BOXOFFICE_KAFKA", endpoints.kafka.clone()),
        ("BOXOFFICE_REGISTRY", endpoints.registry.clone()),
        ("BOXOFFICE_POSTGRES", endpoints.postgres.clone()),
        ("BOXOFFICE_NAMESPACE", namespace.to_owned()),
        ("BOXOFFICE_PUBLIC_URL", base.to_owned()),
        ("BOXOFFICE_ADVERTISED_URL", base.to_owned()),
        ("BOXOFFICE_SNAPSHOT_DIR", snapshots),
        ("BOXOFFICE_BOARD_EVERY_MS", "100".to_owned()),
        ("BOXOFFICE_SECRET", "11".repeat(32)),
        ("BOXOFFICE_MASTER_KEY", "22".repeat(32)),
        ("BOXOFFICE_TICKET_KEY", "33".repeat(32)),
        ("BOXOFFICE_TOKEN_KEY", "44".repeat(32)),
        ("BOXOFFICE_TAKEOVER_GRACE_S", "0".to_owned()),
        ("BOXOFFICE_STATUS_EVERY_MS", "1000".to_owned()),
        ("BOXOFFICE_KEY_POOL", "64".to_owned()),
        // All visitors have one address here, and some ask again and again.
        ("BOXOFFICE_JOINS_PER_ADDRESS_PER_MIN", "0".to_owned()),
        ("BOXOFFICE_JOINS_PER_VISITOR_PER_MIN", "0".to_owned()),
        ("BOXOFFICE_HOLD_BACKSTOP_S", "20".to_owned()),
    ];
    let ours = providers.into_iter().chain(ours).map(|(name, value)| (name.to_owned(), value));
    let theirs = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ours.chain(theirs).collect()
}
