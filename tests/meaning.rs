//! Error responses of providers without rules of their own, classified by their meaning.
#![allow(clippy::unwrap_used)]

mod classify_support;

use bytes::Bytes;
use classify_support::{NOW, ask, head, judge, provider};
use tower_key_rotation::classify::{Evidence, Fault, Outcome, Why};

/// Classifies a message in OpenAI's shape, from a provider without rules.
fn said(status: u16, message: &str) -> String {
    let body = serde_json::json!({"error": {"message": message, "type": "error"}});
    let line = judge("nobody", status, &body.to_string());
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Classifies an error with a code and a meaningless message.
fn named(status: u16, code: &str) -> String {
    let body = serde_json::json!({"error": {"message": "Request failed.", "code": code}});
    let line = judge("nobody", status, &body.to_string());
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

fn all(expected: &str, judge: fn(u16, &str) -> String, cases: &[(u16, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(status, text)| (status, text, judge(*status, text)))
        .filter(|(.., seen)| seen != expected)
        .collect();
    assert!(wrong.is_empty(), "expected {expected}: {wrong:#?}");
}

#[test]
fn money_is_a_quota_of_the_account() {
    all(
        "quota_exceeded account",
        said,
        &[
            (403, "Insufficient balance. Please top up your account."),
            (403, "Your account balance is insufficient, please recharge."),
            (403, "You have run out of credits. Purchase more credits to continue."),
            (403, "You don't have enough credits to make this request."),
            (403, "Your account is in arrears."),
            (403, "Account overdue: please pay your outstanding invoice."),
            (401, "Insufficient credits. Add more credits to continue."),
            (401, "No payment method on file. Please add a payment method in billing settings."),
            (400, "Your prepaid balance has been exhausted."),
            (400, "Access denied, please make sure your account is in good standing."),
            (400, "Insufficient funds in your wallet"),
            (402, "Payment Required"),
            (403, "Organization has exceeded its monthly budget of $100.00"),
            (403, "Spending limit reached for this workspace."),
            (429, "You have exceeded your spending limit. Increase it in the billing settings."),
            (429, "Your billing account has exceeded its monthly spending cap"),
            (429, "Your credit balance has been depleted."),
            (500, "Insufficient account balance"),
            (403, "user quota is not enough"),
            (403, "预扣费额度失败, 用户剩余额度: ¥0.230000, 需要预扣费额度: ¥0.290000"),
            (403, "用户额度不足, 剩余额度: $0.000000"),
            (403, "账户已欠费，请充值后重试"),
            (400, "您的账户余额不足，请及时充值"),
            (403, "User's credit limit is insufficient, remaining credit limit: $0.000000"),
            (400, "Billing is disabled for this project. Please enable billing."),
            (403, "Your card was declined. Update your payment details to continue."),
            (403, "Your payment method was declined."),
            (403, "This API method requires billing to be enabled. Please enable billing on project #123."),
            (401, "No credits left"),
            (403, "You need to purchase more tokens to continue."),
        ],
    );
    all(
        "quota_exceeded account",
        named,
        &[
            (403, "insufficient_balance"),
            (403, "INSUFFICIENT_CREDITS"),
            (403, "NOT_ENOUGH_BALANCE"),
            (401, "CreditsError"),
            (400, "Arrearage"),
            (403, "AccountOverdueError"),
            (400, "PrepaidBillOverdue"),
            (403, "pre_consume_token_quota_failed"),
            (429, "credit_limit_exceeded"),
            (403, "payment_overdue"),
            (403, "insufficient_user_quota"),
            (429, "BUDGET_EXCEEDED"),
        ],
    );
}

#[test]
fn a_used_up_plan_is_a_quota_of_the_account() {
    all(
        "quota_exceeded account",
        said,
        &[
            (403, "You've reached your weekly (7-day) usage limit."),
            (403, "You've reached your usage limit for this billing cycle."),
            (403, "Monthly request limit exceeded. Upgrade to continue."),
            (403, "Daily quota exceeded."),
            (429, "You have exceeded the 5-hour usage quota."),
            (429, "week allocated quota exceeded"),
            (429, "You've hit your usage limit. Upgrade to Pro or try again later."),
            (429, "Free tier limit reached: 200 requests per day."),
            (429, "Your plan's limit has been exceeded for this month."),
            (429, "You have used up your monthly allowance."),
            (429, "You exceeded your current quota, please check your plan and billing details."),
            (429, "quota exceeded"),
            (402, "You have no quota"),
            (403, "Your free trial has ended. Please upgrade."),
            (403, "Your subscription has expired."),
            (400, "Monthly usage limit reached for your subscription."),
            (429, "Session usage limit reached."),
            (429, "You have exceeded your premium request allowance."),
            (429, "当前已达到 Token Plan 用量上限"),
            (429, "已达到每周的使用上限"),
            (403, "您的套餐已到期，请续订"),
            (429, "今日免费额度已用完"),
            (503, "Monthly quota exceeded. Upgrade your plan for more requests."),
            (403, "API usage limit exceeded for the current month"),
            (429, "Daily message limit reached. Come back tomorrow."),
        ],
    );
    all(
        "quota_exceeded account",
        named,
        &[
            (403, "usage_limit_reached"),
            (429, "GoUsageLimitError"),
            (429, "SubscriptionUsageLimitError"),
            (403, "MonthlyLimitError"),
            (429, "AccountQuotaExceeded"),
            (403, "quota_exceeded"),
            (429, "MONTHLY_REQUEST_COUNT"),
            (429, "daily_quota_exceeded"),
            (403, "QUOTA_EXHAUSTED"),
            (402, "usage_limit_exceeded"),
        ],
    );
}

#[test]
fn a_limit_of_a_minute_is_a_rate() {
    all(
        "rate_limited account_model",
        said,
        &[
            (429, "Too many requests, please slow down."),
            (429, "You exceeded the quota of 60 requests per minute."),
            (429, "Quota exceeded for metric: tokens_per_minute."),
            (429, "concurrency allocated quota exceeded"),
            (429, "Rate limit reached: 20 RPM. Upgrade your plan or add credits for higher limits."),
            (403, "Rate limit exceeded, retry later."),
            (403, "You are sending requests too quickly."),
            (400, "Too many requests"),
            (429, "您的请求过于频繁，请稍后再试"),
            (429, "已达到速率限制"),
            (429, "Requests are throttled."),
            (429, "Please try again."),
        ],
    );
    all(
        "rate_limited account_model",
        named,
        &[
            (429, "rate_limit_exceeded"),
            (429, "RequestBurstTooFast"),
            (400, "Throttling.RateQuota"),
            (429, "Throttling.BurstRate"),
            (429, "rpm_exceeded"),
            (403, "too_many_concurrent_requests"),
        ],
    );
}

#[test]
fn a_lack_of_capacity_blames_no_key() {
    all(
        "overloaded provider_model",
        said,
        &[
            (429, "Model busy, retry later"),
            (429, "The engine is currently overloaded, please try again later"),
            (429, "We are experiencing high demand. Please try again shortly."),
            (429, "No capacity available for this model"),
            (400, "DEGRADED function cannot be invoked"),
            (400, "Model is temporarily unavailable"),
            (404, "The model is currently loading, please retry"),
            (403, "The service is overloaded"),
            (429, "该模型当前访问量过大，请您稍后再试"),
            (429, "当前分组上游负载已饱和，请稍后再试"),
            (429, "服务器繁忙"),
            (503, "The model is overloaded."),
            (503, "Upstream error from Nvidia: ResourceExhausted: worker request limit reached"),
            (429, "Provider returned error: temporarily rate-limited upstream"),
            (402, "Upstream provider: insufficient balance"),
        ],
    );
    all("overloaded provider", said, &[(503, "Server is busy"), (529, "集群负载较高")]);
}

#[test]
fn a_plan_without_the_model_forbids_it() {
    all(
        "forbidden account_model",
        said,
        &[
            (403, "this model requires a subscription, upgrade for access"),
            (400, "no endpoints available for this model under your current plan and policies"),
            (
                404,
                "Your account has not activated the model. Please activate the model service in the console.",
            ),
            (404, "Model use case details have not been submitted for this account."),
            (403, "This model is not available on your plan."),
            (400, "The model is not included in your subscription tier"),
            (403, "Your organization must be verified to use this model."),
            (404, "Your organization must be verified to use this model."),
            (403, "Please accept the terms of the model before you use it."),
            (400, "Model access is only available for paid accounts; this model requires a paid plan."),
            (403, "You need to request access to this model."),
            (403, "This model is gated. Join the waitlist."),
            (403, "Identity verification required."),
            (404, "No endpoints available matching your guardrail restrictions and data policy."),
            (403, "This endpoint is only available for Coding Agents."),
            (403, "您尚未开通该模型服务"),
            (403, "请先完成实名认证"),
            (403, "The model is not available in your region."),
            (400, "This model requires the Enterprise plan."),
            (429, "This model is not available in your plan."),
            (402, "Your plan does not include this model."),
        ],
    );
    all(
        "forbidden account_model",
        named,
        &[
            (404, "ModelNotOpen"),
            (403, "AccessDenied.Unpurchased"),
            (400, "no_available_model_endpoints"),
            (403, "subscription_required"),
            (403, "CommodityNotPurchased"),
            (403, "Model.AccessDenied"),
        ],
    );
}

#[test]
fn keys_accounts_and_addresses() {
    all(
        "invalid_key key",
        said,
        &[
            (400, "API key not valid. Please pass a valid API key."),
            (403, "This API key has been revoked."),
            (403, "Your API key was reported as leaked."),
            (403, "The API key has expired."),
            (403, "The JWT has expired."),
            (403, "No such API key."),
            (403, "The API key is malformed."),
            (401, "Invalid token"),
            (401, "Access denied due to invalid subscription key"),
            (403, "令牌已过期"),
        ],
    );
    all(
        "invalid_key account",
        said,
        &[
            (403, "Your account has been suspended."),
            (403, "Your account has been blocked."),
            (403, "Account banned"),
            (403, "This organization has been disabled."),
            (401, "Account deactivated: your account has been deactivated."),
            (403, "账号已被封禁"),
            (400, "This organization has been disabled."),
        ],
    );
    all(
        "blocked provider",
        said,
        &[
            (403, "Your country, region, or territory is not supported."),
            (400, "User location is not supported for the API use."),
            (403, "Access from your IP address is blocked."),
        ],
    );
}

#[test]
fn a_quota_of_one_model_or_one_key() {
    assert_eq!(
        said(429, "You've hit your usage limit for this model. Switch to another model now."),
        "quota_exceeded account_model"
    );
    assert_eq!(
        said(403, "The selected model requires paid balance. Your paid balance is insufficient."),
        "quota_exceeded account_model"
    );
    assert_eq!(said(403, "Weekly limit for the model reached."), "quota_exceeded account_model");
    assert_eq!(said(403, "该令牌额度已用尽"), "quota_exceeded key");
    assert_eq!(said(403, "Spending limit exceeded for this API key."), "quota_exceeded key");
    assert_eq!(said(429, "Rate limit exceeded for api key"), "rate_limited key");
    assert_eq!(said(429, "Your account's request rate limit was exceeded."), "rate_limited account");
}

#[test]
fn a_relay_that_wraps_an_error() {
    let wrapped = r#"Error code: 429 - {'error': {'message': 'You exceeded your current quota', 'type': 'insufficient_quota', 'param': None}}"#;
    assert_eq!(said(429, wrapped), "quota_exceeded account");
    let upstream = r#"upstream error: {"error":{"message":"Invalid API key","code":"invalid_api_key"}}"#;
    assert_eq!(said(401, upstream), "server_error provider_model");
    let relay = r#"{"error":{"message":"当前分组上游负载已饱和","type":"insufficient_quota","code":"insufficient_user_quota"}}"#;
    assert_eq!(judge("nobody", 429, relay), "quota_exceeded account");
}

#[test]
fn more_of_each_kind() {
    for (expected, status, body) in [
        (
            "forbidden account_model",
            400,
            r#"{"detail":"The 'gpt-5.1-codex' model is not supported when using Codex with a ChatGPT account."}"#,
        ),
        (
            "forbidden account_model",
            404,
            r#"{"status":404,"title":"Not Found","detail":"Function 'abc': Not found for account 'xyz'"}"#,
        ),
        (
            "forbidden account_model",
            403,
            r#"{"error":{"message":"The model `m` is blocked at the organization level. Please have the org admin enable this model.","code":"model_permission_blocked_org"}}"#,
        ),
        (
            "forbidden account_model",
            403,
            r#"{"error":{"code":"no_access","message":"No access to model: openai/gpt-5"}}"#,
        ),
        (
            "forbidden account_model",
            400,
            r#"{"error":{"message":"your current token plan not support model, m (1)"}}"#,
        ),
        (
            "quota_exceeded account",
            401,
            r#"{"type":"error","error":{"type":"CreditsError","message":"Insufficient balance. Manage your billing here: https://x.y/billing"}}"#,
        ),
        (
            "quota_exceeded account",
            401,
            r#"{"type":"error","error":{"type":"MonthlyLimitError","message":"Your workspace has reached its monthly spending limit of $20."}}"#,
        ),
        (
            "rejected",
            401,
            r#"{"type":"error","error":{"type":"ModelError","message":"Model gpt-9 not supported"}}"#,
        ),
        (
            "quota_exceeded account",
            429,
            r#"{"error":{"code":"user_weekly_rate_limited","message":"Sorry."}}"#,
        ),
        (
            "quota_exceeded account_model",
            429,
            r#"{"error":{"code":"SetLimitExceeded","message":"Your account has reached the set inference limit for the m model, and the model service has been paused.","type":"TooManyRequests"}}"#,
        ),
        (
            "overloaded provider_model",
            429,
            r#"{"error":{"code":"ServerOverloaded","message":"The service is currently unable to handle additional requests due to server overload.","type":"TooManyRequests"}}"#,
        ),
        (
            "quota_exceeded account",
            403,
            r#"{"error":{"code":"InvalidSubscription","message":"Your account does not have a valid coding plan subscription, or your subscription has expired."}}"#,
        ),
        (
            "quota_exceeded account",
            402,
            r#"{"detail":"Quota exceeded and account balance is $0.0, please pay with fiat"}"#,
        ),
        (
            "forbidden account_model",
            403,
            r#"{"error":{"message":"AI Gateway requires a valid credit card on file.","type":"customer_verification_required"}}"#,
        ),
        (
            "quota_exceeded account",
            402,
            r#"{"error":{"code":402,"message":"This is a paid model. To use paid models, you need to add credits."}}"#,
        ),
        (
            "forbidden account_model",
            403,
            r#"{"code":"Model.AccessDenied","message":"Model access denied.","request_id":"1"}"#,
        ),
        (
            "quota_exceeded account 60s",
            429,
            r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus","resets_in_seconds":60}}"#,
        ),
        (
            "quota_exceeded account",
            403,
            r#"{"Response":{"Error":{"Code":"FailedOperation.ResourcePackExhausted","Message":"资源包余量已用尽"}}}"#,
        ),
    ] {
        assert_eq!(judge("nobody", status, body), expected, "{status} {body}");
    }
}

#[test]
fn evidence_that_contradicts_itself_is_unclear() {
    all(
        "rejected",
        said,
        &[
            (404, "The model does not exist or you do not have access to it."),
            (400, "Invalid parameter: your plan does not include it."),
            (404, "Not found"),
            (400, "Bad request"),
            (418, "No."),
        ],
    );
    all(
        "forbidden key_model",
        said,
        &[
            (403, "Forbidden"),
            (403, "You do not have permission to do this."),
            (403, "\"insufficient balance\" is not a tool."),
        ],
    );
}

#[test]
fn a_wait_of_an_hour_is_a_quota_for_every_provider() {
    for name in ["openai", "anthropic", "groq", "mistral", "xai", "nobody"] {
        let verdict = |wait: &str| {
            let outcome = Outcome::response(head(429, &[("retry-after", wait)]), Bytes::new(), NOW);
            ask(&provider(name), outcome)
        };
        assert_eq!(verdict("3600").as_str(), "quota_exceeded", "{name}");
        assert_eq!(verdict("59").as_str(), "rate_limited", "{name}");
    }
    let body = r#"{"error":{"message":"Slow down. Resets in 2 days."}}"#;
    assert_eq!(judge("nobody", 429, body), "quota_exceeded account_model 172800s");
}

#[test]
fn a_verdict_says_why() {
    let why = |status: u16, body: &str| {
        let outcome = Outcome::response(head(status, &[]), Bytes::copy_from_slice(body.as_bytes()), NOW);
        ask(&provider("openai"), outcome).fault().and_then(Fault::why)
    };
    assert_eq!(why(403, r#"{"error":{"code":"no_credit"}}"#), Some(Why::Name(Evidence::Money)));
    assert_eq!(why(403, r#"{"error":"Insufficient balance"}"#), Some(Why::Sentence(Evidence::Money)));
    assert_eq!(why(429, r#"{"error":{"code":"insufficient_quota"}}"#), Some(Why::Rule));
    assert_eq!(why(429, ""), Some(Why::Status));
    assert_eq!(why(502, "<html></html>"), Some(Why::Edge));
    assert_eq!(why(429, r#"{"error":"Try again in 3 hours."}"#), Some(Why::Wait));
}
