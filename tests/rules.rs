//! Rules of an operator: conditions, verdicts, precedence, contradictions, and rules over the layer.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "classify_support.rs"]
mod classify_support;
mod support;

use std::time::Duration;

use bytes::Bytes;
use classify_support::{NOW, ask, head};
use http::StatusCode;
use tokio::time::advance;
use tower_key_rotation::body::sse::Event;
use tower_key_rotation::classify::{Fault, Outcome, Reason, Rejection, Scope, Verdict, Why};
use tower_key_rotation::limits::Zone;
use tower_key_rotation::pool::Cooldowns;
use tower_key_rotation::provider::{Rule, RuleBuilder, RuleError, RuleField, RuleProblem};
use tower_key_rotation::{ApiKey, KeyPool, KeyRotationLayer, Provider};
use tower_key_rotation_sim::{Script, SimFault};

const HOUR: Duration = Duration::from_secs(60 * 60);

const ERROR: &str =
    r#"{"error":{"code":"out_of_fuel","type":"fuel_error","message":"Your tank\n is Empty: refill it."}}"#;

type Condition = fn(RuleBuilder) -> RuleBuilder;

/// Builds a rule whose verdict tells it apart from everything built in.
fn marked(rule: RuleBuilder) -> Rule {
    rule.fault(Reason::Blocked, Scope::KeyModel).build().unwrap()
}

fn is_marked(verdict: &Verdict) -> bool {
    verdict.fault().is_some_and(|fault| fault.reason() == Reason::Blocked && fault.scope() == Scope::KeyModel)
}

fn outcome(status: u16, headers: &[(&str, &str)], body: &str) -> Outcome {
    let path = "/v1/images/edits?size=1".parse::<http::uri::PathAndQuery>().unwrap();
    Outcome::response(head(status, headers), Bytes::copy_from_slice(body.as_bytes()), NOW).with_path(path)
}

fn refused() -> Outcome {
    outcome(418, &[("x-should-retry", "False "), ("x-node", "7")], ERROR)
}

fn decide(provider: &Provider, outcome: Outcome) -> Verdict {
    ask(provider, outcome)
}

fn with(rule: Rule) -> Provider {
    Provider::openai().rule(rule)
}

const CONDITIONS: &[(&str, bool, Condition)] = &[
    ("its status", true, |rule| rule.status(418)),
    ("one of several statuses", true, |rule| rule.status(402).status(418)),
    ("another status", false, |rule| rule.status(402)),
    ("its code", true, |rule| rule.code("OUT_of_fuel")),
    ("its type", true, |rule| rule.code("fuel_error")),
    ("one of several codes", true, |rule| rule.code("x").code("fuel_error")),
    ("a part of its code", false, |rule| rule.code("fuel")),
    ("a word", true, |rule| rule.says("REFILL")),
    ("a phrase over a line feed", true, |rule| rule.says("tank is empty")),
    ("one of several phrases", true, |rule| rule.says("no").says("your tank")),
    ("a part of a word", false, |rule| rule.says("fill")),
    ("the beginning of a word", false, |rule| rule.says("refil")),
    ("a word of the code", false, |rule| rule.says("fuel")),
    ("a header", true, |rule| rule.header("X-Node")),
    ("a header with its value", true, |rule| rule.header("x-should-retry: false")),
    ("one of several headers", true, |rule| rule.header("x-other").header("x-node:7")),
    ("a header with another value", false, |rule| rule.header("x-should-retry: true")),
    ("an absent header", false, |rule| rule.header("x-other")),
    ("the beginning of the path", true, |rule| rule.path("/v1/images")),
    ("the beginning with a slash", true, |rule| rule.path("/v1/images/")),
    ("a part of a segment", false, |rule| rule.path("/v1/image")),
    ("a pattern", true, |rule| rule.path("/v1/*/edits")),
    ("the end", true, |rule| rule.path("*/edits")),
    ("a pattern of less", false, |rule| rule.path("/v1/*/ed")),
    ("one of several paths", true, |rule| rule.path("/x").path("/v1")),
    ("the query is no part of the path", false, |rule| rule.path("*size*")),
    ("all kinds together", true, |rule| {
        rule.status(418).code("out_of_fuel").says("tank").header("x-node").path("/v1")
    }),
    ("all kinds but the status", false, |rule| rule.status(402).code("out_of_fuel").says("tank")),
    ("all kinds but the path", false, |rule| rule.status(418).says("tank").path("/v2")),
];

#[test]
fn conditions_hold_or_not() {
    for (name, holds, condition) in CONDITIONS {
        let provider = with(marked(condition(Rule::builder())));
        assert_eq!(is_marked(&decide(&provider, refused())), *holds, "{name}");
    }
}

#[test]
fn every_condition_leads_to_every_verdict() {
    let reason = Reason::QuotaExceeded;
    type Consequence = (fn(RuleBuilder) -> RuleBuilder, Verdict);
    let fault = |wait: u64| {
        let fault = Fault::new(reason, Scope::Key).with_account_reason(true).with_why(Why::OwnRule(0));
        Verdict::Fault(fault.with_retry_after(Duration::from_secs(wait)))
    };
    // NOW is midnight in UTC.
    let verdicts: [Consequence; 6] = [
        (|rule| rule.fault(Reason::QuotaExceeded, Scope::Key), fault(0)),
        (|rule| rule.fault(Reason::QuotaExceeded, Scope::Key).wait(90 * HOUR), fault(90 * 3_600)),
        (|rule| rule.fault(Reason::QuotaExceeded, Scope::Key).until_midnight(), fault(24 * 3_600)),
        (
            |rule| rule.fault(Reason::QuotaExceeded, Scope::Key).until_midnight_in(Zone::pacific()),
            fault(7 * 3_600),
        ),
        (RuleBuilder::deliver, Verdict::Rejected(Rejection::Invalid)),
        (RuleBuilder::ignore, Verdict::Success),
    ];
    for (name, _, condition) in CONDITIONS.iter().filter(|(_, holds, _)| *holds) {
        for (consequence, expected) in &verdicts {
            let provider = with(consequence(condition(Rule::builder())).build().unwrap());
            let verdict = decide(&provider, refused());
            assert_eq!(verdict.to_string(), expected.to_string(), "{name}");
            assert_eq!(verdict.fault().and_then(Fault::why), expected.fault().and_then(Fault::why), "{name}");
        }
    }
}

#[test]
fn midnight_is_that_of_the_provider() {
    let rule = Rule::builder().status(429).fault(Reason::QuotaExceeded, Scope::Key).until_midnight();
    let verdict = decide(&Provider::gemini().rule(rule.build().unwrap()), outcome(429, &[], "{}"));
    assert_eq!(verdict.fault().unwrap().retry_after(), Some(7 * HOUR));
}

#[test]
fn without_a_wait_that_of_the_response_counts() {
    let rule = marked(Rule::builder().status(418));
    let verdict = decide(&with(rule), outcome(418, &[("retry-after", "17")], ERROR));
    assert_eq!(verdict.fault().unwrap().retry_after(), Some(Duration::from_secs(17)));
}

#[test]
fn rules_override_everything_built_in() {
    for (status, body) in [
        (401, r#"{"error":{"code":"invalid_api_key"}}"#),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#),
        (429, "Limit 0, Requested 10"),
        (403, "<html>Attention Required! | Cloudflare</html>"),
        (503, "upstream connect error"),
        (500, ""),
        (302, ""),
    ] {
        let provider = with(marked(Rule::builder().status(status)));
        assert!(is_marked(&decide(&provider, outcome(status, &[], body))), "{status} {body}");
        assert!(!is_marked(&decide(&provider, outcome(400, &[], body))), "another status, {body}");
    }
}

#[test]
fn the_first_rule_that_holds_decides() {
    let deliver = || Rule::builder().name("images").status(402).path("/v1/images").deliver().build().unwrap();
    let broke = || marked(Rule::builder().status(402));
    let first = Provider::openai().rule(deliver()).rule(broke());
    assert_eq!(decide(&first, outcome(402, &[], "")), Verdict::Rejected(Rejection::Invalid));
    let elsewhere = Outcome::response(head(402, &[]), Bytes::new(), NOW);
    let verdict = decide(&first, elsewhere);
    assert_eq!(verdict.fault().unwrap().why(), Some(Why::OwnRule(1)), "by its index");
    assert_eq!(Why::OwnRule(1).to_string(), "rule[1]");
    let second = Provider::builder("own").rule(broke()).rule(deliver()).build();
    assert!(is_marked(&decide(&second, outcome(402, &[], ""))));
    assert_eq!(second.rules()[1].name(), Some("images"));
    assert!(second.rules()[0].hides(&second.rules()[1]) && !first.rules()[0].hides(&first.rules()[1]));
}

#[test]
fn words_of_all_scripts_and_bodies_are_found() {
    for (words, body, found) in [
        ("余额不足", r#"{"message":"您的余额不足，请充值"}"#, true),
        ("access denied", "<html><h1>Access\n Denied</h1></html>", true),
        ("access", "<html>inaccessible</html>", false),
        ("kein guthaben", r#"{"fehler":{"text":"Kein  Guthaben"}}"#, true),
        ("don't", r#"{"message":"You don’t pay"}"#, true),
        ("ÜBERZOGEN", r#"{"message":"Konto überzogen"}"#, true),
        ("$5", r#"{"message":"Limit of $5 reached"}"#, true),
        ("$5", r#"{"message":"Limit of $50 reached"}"#, false),
        ("limit", "rate limit", true),
        ("limit", "rate_limit", false),
        ("cut", r#"{"message":"cut of"#, true),
    ] {
        let provider = with(marked(Rule::builder().says(words)));
        assert_eq!(is_marked(&decide(&provider, outcome(400, &[], body))), found, "{words} in {body}");
    }
}

/// A success is judged only by rules that name its status, and the text of a model by none.
#[test]
fn successes_are_judged_by_rules_about_them() {
    let error = r#"{"error":{"code":"out_of_fuel","type":"rate_limit_error","message":"Empty."}}"#;
    let odd = r#"{"code":1001,"msg":"Empty."}"#;
    let served = r#"{"choices":[{"message":{"content":"Empty."}}]}"#;
    for (name, rule, body, held) in [
        ("an error inside a 200", Rule::builder().code("out_of_fuel"), error, true),
        ("its claimed status", Rule::builder().status(429), error, true),
        ("an unusual error without a status", Rule::builder().code("1001"), odd, false),
        ("an unusual error", Rule::builder().status(200).code("1001"), odd, true),
        ("its message", Rule::builder().status(200).says("empty"), odd, true),
        ("a served response", Rule::builder().status(200).says("empty"), served, false),
        ("the text of a model", Rule::builder().status(200).says("empty"), "Empty.", false),
        ("a string", Rule::builder().status(200).says("empty"), r#""Empty.""#, false),
        ("a header", Rule::builder().status(200).header("x-empty"), served, true),
        ("a header of a success", Rule::builder().header("x-empty"), served, false),
        ("a path of a success", Rule::builder().path("/v1"), served, false),
    ] {
        let provider = Provider::builder("own").errors_in_ok_bodies(true).rule(marked(rule)).build();
        let plain = outcome(200, &[("x-empty", "1")], body);
        assert_eq!(is_marked(&decide(&provider, plain)), held, "{name}");
        let event = Event::new("message", Bytes::copy_from_slice(body.as_bytes()));
        let streamed = Outcome::streaming(head(200, &[("x-empty", "1")]), Some(event), NOW);
        let streamed = streamed.with_path("/v1".parse::<http::uri::PathAndQuery>().unwrap());
        assert_eq!(is_marked(&decide(&provider, streamed)), held, "{name}, streamed");
    }
    let reads = Rule::builder().status(200).says("empty").ignore().build().unwrap();
    assert!(with(reads).errors_in_ok_bodies(), "a rule about bodies has them read");
    let headers_only = Rule::builder().status(200).header("x-empty").ignore().build().unwrap();
    assert!(!with(headers_only).errors_in_ok_bodies());
}

#[test]
fn ambiguous_statuses_stay_ambiguous() {
    let verdict = decide(&with(marked(Rule::builder().status(504))), outcome(504, &[], ""));
    assert!(verdict.fault().unwrap().may_have_run(), "the request may have been executed");
}

#[test]
fn contradictions_are_errors_with_their_place() {
    let fault = |rule: RuleBuilder| rule.fault(Reason::QuotaExceeded, Scope::Key);
    let rule = Rule::builder;
    for (rule, place, problem) in [
        (rule().deliver(), "rule", RuleProblem::NoCondition),
        (rule().status(402), "verdict", RuleProblem::NoVerdict),
        (rule().status(402).deliver().ignore(), "verdict", RuleProblem::TwoVerdicts),
        (fault(rule().status(402).status(99)), "status[1]", RuleProblem::Status),
        (fault(rule().status(1000)), "status[0]", RuleProblem::Status),
        (fault(rule().status(100)), "status[0]", RuleProblem::Status),
        (fault(rule().code("a").code(" ")), "code[1]", RuleProblem::Empty),
        (fault(rule().says("")), "says[0]", RuleProblem::Empty),
        (fault(rule().says(" …! ")), "says[0]", RuleProblem::Empty),
        (fault(rule().header("")), "header[0]", RuleProblem::Header),
        (fault(rule().header("x y: 1")), "header[0]", RuleProblem::Header),
        (fault(rule().header("x-y:")), "header[0]", RuleProblem::Header),
        (fault(rule().path("v1")), "path[0]", RuleProblem::Path),
        (fault(rule().path("/v1?x=1")), "path[0]", RuleProblem::Path),
        (fault(rule().path("/v1 /x")), "path[0]", RuleProblem::Path),
        (fault(rule().status(402).name("")), "name", RuleProblem::Name),
        (fault(rule().status(402).name("a\nb")), "name", RuleProblem::Name),
        (fault(rule().status(402).name("a".repeat(65))), "name", RuleProblem::Name),
        (rule().status(402).deliver().wait(HOUR), "wait", RuleProblem::WaitOfNoFault),
        (rule().status(402).ignore().until_midnight(), "until", RuleProblem::WaitOfNoFault),
        (fault(rule().status(402)).wait(HOUR).until_midnight(), "until", RuleProblem::TwoWaits),
        (fault(rule().status(402)).wait(Duration::ZERO), "wait", RuleProblem::ZeroWait),
        (
            rule().status(401).fault(Reason::InvalidKey, Scope::Key).wait(HOUR),
            "wait",
            RuleProblem::WaitOfInvalidKey,
        ),
        (
            rule().status(401).fault(Reason::Forbidden, Scope::None).until_midnight(),
            "until",
            RuleProblem::WaitOfNoScope,
        ),
        (fault(rule().status(402).status(200)), "status[1]", RuleProblem::EverySuccess),
        (rule().status(201).path("/v1").deliver(), "status[0]", RuleProblem::EverySuccess),
        (rule().status(204).says("empty").deliver(), "status", RuleProblem::NoBody),
    ] {
        let error: RuleError = rule.clone().build().expect_err(place);
        assert_eq!(error.problem(), problem, "{rule:?}");
        assert!(error.to_string().starts_with(&format!("{place}: ")), "{error}");
    }
    let error = Rule::builder().status(402).path("x").deliver().build().unwrap_err();
    assert_eq!((error.field(), error.index()), (RuleField::Path, Some(0)));
}

#[test]
fn reasons_and_scopes_parse_from_their_names() {
    for reason in Reason::ALL {
        assert_eq!(reason.to_string().parse(), Ok(reason));
    }
    for scope in Scope::ALL {
        assert_eq!(scope.to_string().parse(), Ok(scope));
    }
    let error = "sk-secret".parse::<Reason>().unwrap_err().to_string();
    assert!(error.contains("quota_exceeded, rate_limited") && !error.contains("sk-"), "{error}");
    assert!("keys".parse::<Scope>().unwrap_err().to_string().contains("key_model"));
}

mod over_the_layer {
    use super::support::{at_sim, chat, key, openai, rotating, secret, send, served};
    use super::*;

    fn pool(rules: impl IntoIterator<Item = Rule>, cooldowns: Cooldowns) -> KeyPool {
        let provider = rules.into_iter().fold(at_sim(Provider::openai()), Provider::rule);
        let keys = ["a", "b"].map(|label| ApiKey::new(secret(label)).unwrap().id(label));
        KeyPool::builder(provider).keys(keys).cooldowns(cooldowns).build().unwrap()
    }

    fn broken(status: u16) -> tower_key_rotation_sim::Simulator {
        openai([key("a").script(Script::always(SimFault::status(status))), key("b")])
    }

    #[tokio::test(start_paused = true)]
    async fn payment_required_disables_the_key_for_an_hour() {
        let rule = Rule::builder().status(402).fault(Reason::RateLimited, Scope::Key).wait(HOUR).build();
        // No cap and no fixed cooldown of the pool applies.
        let pool = pool(rule, Cooldowns::default().fixed(Duration::from_secs(1)));
        let service = rotating(&pool, &broken(402));
        let response = send(&service, chat("m")).await.unwrap();
        assert_eq!((response.status(), served(&response).key_id().as_str()), (StatusCode::OK, "b"));
        assert_eq!(pool.usable(None), 1);
        advance(HOUR - Duration::from_secs(1)).await;
        assert_eq!(pool.usable(None), 1, "for the whole hour");
        advance(Duration::from_secs(2)).await;
        assert_eq!(pool.usable(None), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rule_disables_the_last_key_as_well() {
        let rule = Rule::builder().status(403).fault(Reason::Forbidden, Scope::Key).wait(HOUR).build();
        let pool = pool(rule, Cooldowns::default());
        let always = || Script::always(SimFault::status(403));
        let sim = openai([key("a").script(always()), key("b").script(always())]);
        assert!(send(&rotating(&pool, &sim), chat("m")).await.is_err());
        assert_eq!((pool.usable(None), sim.calls()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn delivered_responses_blame_no_key() {
        for status in [401, 402, 403, 429, 503] {
            let pool = pool(Rule::builder().status(status).deliver().build(), Cooldowns::default());
            let sim = broken(status);
            let response = send(&rotating(&pool, &sim), chat("m")).await.unwrap();
            assert_eq!((response.status().as_u16(), pool.usable(None), sim.calls()), (status, 2, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn paths_reach_the_rules() {
        for (path, status) in [("/v1/chat", 403), ("/v1/images", 200)] {
            let rule = Rule::builder().status(403).path(path).deliver().build();
            let service = KeyRotationLayer::new(pool(rule, Cooldowns::default()));
            let service = tower::Layer::layer(&service, broken(403));
            assert_eq!(send(&service, chat("m")).await.unwrap().status().as_u16(), status, "{path}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ignored_errors_are_delivered() {
        let pool = pool(Rule::builder().status(429).ignore().build(), Cooldowns::default());
        let response = send(&rotating(&pool, &broken(429)), chat("m")).await.unwrap();
        assert_eq!((response.status(), pool.usable(None)), (StatusCode::TOO_MANY_REQUESTS, 2));
    }
}
