//! The verdict, from what the judge has found and what else is known.

use crate::run::event::{Harm, Promise, Verdict};
use crate::run::history::Findings;

/// Violations named in a verdict; the first ones, and the history has them all.
const VIOLATIONS_NAMED_MAX: usize = 8;

/// `read_back`: everything has been, as far as it could be. `members_equal`: what comparing them has found, if they
/// have been compared.
pub(crate) fn verdict(
    findings: Findings,
    refused_stale: u64,
    read_back: bool,
    members_equal: Option<bool>,
) -> Verdict {
    let mut violations = findings.violations;
    violations.truncate(VIOLATIONS_NAMED_MAX);
    Verdict {
        promise: Promise {
            linearizable: findings.linearizable,
            checked_i: findings.checked_i,
            quorum_writes_acked: findings.quorum_writes_acked,
            quorum_writes_lost: findings.quorum_loss.known(findings.quorum_writes_acked, read_back),
            quorum_writes_unread: findings.quorum_loss.waiting,
            members_equal,
            violations,
            violations_total: findings.violations_total,
        },
        harm: Harm {
            async_writes_acked: findings.async_writes_acked,
            async_writes_lost: findings.async_loss.known(findings.async_writes_acked, read_back),
            async_writes_unread: findings.async_loss.waiting,
            stale_reads: findings.stale_reads,
            stale_max_ms: findings.stale_max_ms,
            refused_stale,
            unknown: findings.unknown,
            unavailable_ms: findings.unavailable_ms,
        },
    }
}
