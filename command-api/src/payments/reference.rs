//! Names that we gave, and names that a provider gave.

use domain::ids::PaymentId;

use super::gateway::About;

/// Which payment a reference means; anything but the one way that we write them is not ours.
pub(super) fn about(reference: &str) -> About {
    match reference.parse::<PaymentId>() {
        Ok(payment) if payment.to_string() == reference => About::Payment(payment),
        _ => About::Foreign(reference.chars().take(128).collect()),
    }
}

/// Whether a provider's name of something can stand in a path.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=255).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_we_write_it_is_ours() {
        let ours = "018f3f1e-7c1a-7b2e-9a1d-000000000001";
        assert!(matches!(about(ours), About::Payment(payment) if payment.to_string() == ours));
        for other in [&ours.to_uppercase(), &ours.replace('-', ""), &format!("{{{ours}}}"), "", "order-7"] {
            assert_eq!(about(other), About::Foreign(other.to_owned()));
        }
    }

    #[test]
    fn a_name_with_a_slash_is_not_plain() {
        assert!(is_plain("cs_test_a1B2") && is_plain("5O190127TN364715T"));
        for odd in ["", "a/b", "a?b", "..", "a b", "é", &"a".repeat(256)] {
            assert!(!is_plain(odd), "{odd}");
        }
    }
}
