//! The rules that refuse, and which of them an operator may force.

use crate::text::Fault;

/// Rules that `--force` overrules.
pub const FORCIBLE: &[&str] = &[
    "tombstone",
    "duplicate",
    "loop_limit",
    "same_failure",
    "superseded",
    "compacted_order",
    "ledger_weak",
    "again",
    "no_transactions",
];

/// Rules that nothing overrules.
pub const FIRM: &[&str] = &[
    "pointer",
    "origin_unknown",
    "expired",
    "target_missing",
    "target_changed",
    "too_large",
    "timestamp",
    "schema",
    "edit",
    "acl",
    "replicas",
    "ledger_lost",
    "ledger_newer",
    "wrong_cluster",
    "plan_damaged",
    "read_only",
    "protected",
    "fenced",
    "group_active",
];

/// Checks names given to `--force`.
pub fn check_forced(force: &[String]) -> Result<(), Fault> {
    for rule in force {
        if FORCIBLE.contains(&&**rule) {
            continue;
        }
        let fault = if FIRM.contains(&&**rule) {
            Fault::usage("usage", format!("the rule {rule} cannot be forced"))
        } else {
            Fault::usage("usage", format!("there is no rule {rule}"))
        };
        return Err(fault.hint(format!("rules that can be forced: {}", FORCIBLE.join(", "))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_and_forcible_rules_can_be_forced() {
        let check = |rule: &str| check_forced(&[rule.to_owned()]);
        assert!(FORCIBLE.iter().all(|rule| check(rule).is_ok()));
        assert!(FIRM.iter().all(|rule| check(rule).unwrap_err().what.contains("cannot be forced")));
        assert!(check("no_such_rule").unwrap_err().what.contains("there is no rule"));
    }
}
