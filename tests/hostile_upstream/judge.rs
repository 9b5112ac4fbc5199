//! The promises that hold whatever an upstream does.

use http::StatusCode;
use tower_key_rotation::fallback::Commit;

use crate::case::{Behind, Case, Fault, Kind, Point};
use crate::stage::{Got, Limits, well};

/// Returns the promise that is broken by what a caller got.
pub(crate) fn faults(case: Case, limits: Limits, got: &Got) -> Vec<String> {
    let Limits { phase, deadline, slack } = limits;
    let mut wrong = Vec::new();
    let mut promise = |holds: bool, why: &str| {
        if !holds {
            wrong.push(why.to_owned());
        }
    };
    promise(got.took[0] <= deadline + slack, "the response came after the deadline");
    promise(got.took[1] <= got.took[0] + 2 * phase + slack, "the body went on beyond its limits");
    promise(got.calls[1] <= 1, "the second provider was called more than once");
    if case.kind != Kind::Error {
        promise(got.calls[0] == 1, "the first provider was called again, though it may have run the request");
    }
    if got.status.is_success() {
        success(case, got, &mut promise);
    } else {
        failure(case, got, &mut promise);
    }
    if !is_either(case) {
        promise(
            got.calls[1] == usize::from(before_commit(case) && case.behind != Behind::Nothing),
            "calls of the second provider",
        );
    }
    wrong
}

/// Checks a response that is whole, or breaks after the bytes that were sent.
fn success(case: Case, got: &Got, promise: &mut impl FnMut(bool, &str)) {
    let second = got.provider.as_deref() == Some("second");
    let whole = if second { well(case.kind) } else { case.kind }
        .up_to(Point::Whole, if second { "second" } else { "first" });
    let without_done = whole.body.strip_suffix(b"data: [DONE]\n\n").unwrap_or(&whole.body);
    // In a body without a length, data after a complete response are part of the body.
    let followed = case.fault == Fault::Garbage && case.point >= Point::BeforeTerminator && !second;
    let is = |whole: &[u8]| got.body == whole || (followed && got.body.starts_with(whole));
    let is_whole = is(&whole.body) || is(without_done);
    if got.broke.is_none() {
        promise(is_whole || looks_whole(case), "it ends cleanly, and is not whole");
        return;
    }
    promise(!second, "the second provider is well, and its response breaks");
    let sent = case.kind.up_to(case.point, "first").body;
    let as_sent = match case.fault {
        // Garbage within a body is part of it.
        Fault::Garbage => got.body.starts_with(&sent) || sent.starts_with(&got.body),
        _ => got.body == sent,
    };
    promise(as_sent, "the bytes delivered are not those that were sent");
    // Without a length, only the end of the connection marks the end.
    let to_close = matches!(case.kind, Kind::StreamToClose | Kind::JsonToClose);
    promise(case.point != Point::Whole || to_close, "a whole response breaks");
}

/// Returns whether only the JSON shows the cut. It is not read if the chain commits at the head.
fn looks_whole(case: Case) -> bool {
    let Case { kind, point, fault, commit, .. } = case;
    let ended = matches!(fault, Fault::Cut | Fault::Garbage);
    let to_its_length =
        kind == Kind::JsonWithLength && point == Point::BeforeTerminator && fault == Fault::Garbage;
    commit == Commit::Head && ((kind == Kind::JsonToClose && ended) || to_its_length)
}

/// Checks an error. There must be none after a commit, and none if another provider serves.
fn failure(case: Case, got: &Got, promise: &mut impl FnMut(bool, &str)) {
    promise(got.status.as_u16() >= 400, "a failure that is no error");
    promise(case.behind != Behind::Well, "a provider that is well was not asked");
    if case.kind == Kind::Error {
        promise(got.status != StatusCode::OK, "an error");
        return;
    }
    promise(before_commit(case) || is_either(case), "a response that was committed to is taken back");
    promise(got.no_retry, "the provider may have run the request, and the caller is not told");
    promise(got.status.is_server_error(), "the provider failed, and it is said to be the caller's fault");
    promise(got.broke.is_none(), "an error response that breaks");
}

/// Returns whether the fault came before the commit, so that the request goes to the next provider.
fn before_commit(case: Case) -> bool {
    let Case { kind, point, commit, .. } = case;
    if kind == Kind::Error {
        return true;
    }
    match (commit, kind.is_stream()) {
        (Commit::Head, _) => point < Point::AfterHead,
        (Commit::FirstContent, true) => point < Point::AfterContent,
        _ => point < Point::BeforeTerminator || (!kind.is_stream() && point < Point::Whole),
    }
}

/// A stream that was complete and then fails may count as whole or not. So may a response that is whole and
/// ends with the connection.
fn is_either(case: Case) -> bool {
    let complete = case.kind.is_stream() && case.point >= Point::BeforeTerminator;
    let to_close = matches!(case.kind, Kind::StreamToClose | Kind::JsonToClose);
    complete && case.commit == Commit::Complete
        || (to_close && case.point == Point::Whole && case.fault != Fault::Cut)
}
