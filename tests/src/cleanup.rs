//! Takes away what a world leaves on the shared stack.

use local_stack::Endpoints;

/// Deletes a namespace's topics and database schemas. What cannot be deleted is told and left.
pub async fn forget(endpoints: &Endpoints, namespace: &str) {
    for error in ops::dev::forget(endpoints, namespace).await {
        eprintln!("{namespace} is left behind: {error:#}");
    }
}
