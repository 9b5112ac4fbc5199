//! English words about money, allowances, rates and capacity.

use crate::classify::meaning::topic::Topic::{Account, Capacity, Limit, Model, Money, OneKey, PaidModel, Quota, Rate, Short, Upstream, Window};
use crate::classify::meaning::topic::{Row, Words, row};

const FUNDS: Words = &[
    "balance", "credit", "fund", "wallet", "prepaid", "prepayment", "money", "credit limit", "credit balance",
    "compute point", "neuron",
];

const LACKING: Words = &[
    "insufficient", "insufficiently", "not sufficient", "not enough", "isn't enough", "is not enough", "too low",
    "below", "exhausted", "depleted", "used up", "used all", "run out", "ran out", "running out", "runs out",
    "out of", "no remaining", "none left", "negative", "empty", "no more", "don't have any", "do not have any",
    "doesn't have any", "does not have any", "don't have enough", "do not have enough", "doesn't have enough",
    "does not have enough", "have no", "has no", "lack", "lacking", "expired", "consumed", "fully used",
    "requires more", "require more", "reached", "exceeded", "exceeds", "exceed", "zero", "no available", "ended",
];

const DEBT: Words = &[
    "payment required", "payment is required", "requires payment", "unpaid", "past due", "overdue", "arrear",
    "arrearage", "delinquent", "outstanding balance", "outstanding invoice", "outstanding payment",
    "payment failed", "payment has failed", "failed payment", "payment declined", "card declined",
    "card was declined", "payment method was declined", "payment was declined", "failure to pay", "failed to pay", "nonpayment", "non-payment", "good standing",
    "negative balance", "billing hard limit", "hard limit reached", "billing not active", "billing is not active",
    "billing disabled", "billing is disabled", "billing has been disabled", "billing not enabled",
    "billing is not enabled", "billing has not been enabled", "billing issue", "billing problem",
    "insufficient point", "not enough point", "out of points", "insufficient quota", "insufficient user quota", "insufficient account quota", "quota is not enough",
    "billing to be enabled", "no credits left", "no credit left", "quota not enough", "pre-consumed quota failed", "pre-consume quota failed", "pay-as-you-go is not enabled",
];

const TOP_UP: Words = &[
    "top up", "top-up", "topup", "recharge", "add credit", "add more credit", "add fund", "add more fund",
    "adding credit", "adding fund", "buy credit", "buy more credit", "purchase credit", "purchase more credit",
    "purchase additional credit", "purchase more token", "purchase additional token", "buy more token", "refill", "replenish your balance", "settle your", "pay your", "add balance",
    "deposit", "update your payment", "update payment",
];

const DEMANDS: Words = &[
    "please", "must", "need to", "needs to", "required", "require", "requires", "to continue", "to proceed",
    "to keep", "and try again", "and retry", "before", "in order to", "visit", "go to",
];

const SPENDING: Words = &[
    "spend limit", "spending limit", "spend cap", "spending cap", "spending budget", "budget", "cost limit",
    "usage threshold", "spend threshold", "billing limit", "billing cap", "billing threshold", "usage spend",
    "credit cap", "price limit",
];

const BILLING: Words = &["billing", "billing account", "payment method", "payment", "payment information", "invoice"];

const BROKEN: Words = &[
    "not active", "inactive", "no valid", "no payment method", "missing", "suspended", "closed", "not been set up",
    "not set up", "not configured", "hasn't been set up", "invalid payment", "on hold", "no billing",
];

const SPENT: Words = &[
    "reached", "exceeded", "exceeds", "exceed", "exceeding", "hit", "exhausted", "used up", "used all", "consumed",
    "ran out", "run out", "out of", "depleted", "over", "no remaining", "spent", "maxed out", "surpassed",
    "crossed", "insufficient", "limit reached", "have no", "has no", "at your limit", "above your", "fully used",
    "none left", "no more", "beyond", "used 100%", "been used", "met your", "already used",
];

const LONG_WINDOW: Words = &[
    "hour", "hourly", "five-hour", "day", "daily", "week", "weekly", "month", "monthly", "year", "yearly",
    "annual", "billing cycle", "billing period", "cycle", "session", "today", "rolling window", "usage period",
    "quota period", "5h", "7d", "24h", "30d",
];

const CAP: Words = &[
    "limit", "quota", "cap", "allowance", "usage", "allocation", "allotment", "threshold", "message limit",
    "request limit", "token limit", "call volume",
];

const ALLOWANCE: Words = &[
    "usage limit", "usage quota", "usage cap", "usage allowance", "allowance", "plan limit", "plan's limit",
    "plan quota", "plan usage", "limit of your plan", "limits of your plan", "limit for your plan",
    "subscription limit", "subscription quota", "subscription usage", "token plan", "coding plan", "free quota",
    "free tier quota", "free-tier quota", "free tier limit", "free-tier limit", "free tier usage",
    "free allocation", "free tier of", "free trial", "trial quota", "trial limit", "trial credit", "free usage",
    "free request", "free credit", "included usage", "premium request", "request allowance", "package quota",
    "resource package", "resource pack", "call volume quota", "included credit", "monthly limit", "weekly limit", "daily limit",
    "monthly quota", "weekly quota", "daily quota", "fast request", "message cap", "message limit",
];

const SUBSCRIPTION: Words =
    &["subscription", "plan", "package", "membership", "coding plan", "token plan", "trial", "license", "licence"];

const LAPSED: Words = &[
    "expired", "has ended", "lapsed", "is over", "not active", "inactive", "no active", "without an active",
    "cancelled", "canceled", "has expired", "ended", "past due", "no valid", "not have a valid", "doesn't have a valid",
    "not have an active", "doesn't have an active",
];

const RATE_LIMIT: Words = &[
    "rate limit", "rate-limit", "ratelimit", "request limit", "rpm", "tpm", "rps", "qps", "qpm", "tps", "ipm",
    "request rate", "call rate", "token rate", "request frequency", "concurrency", "concurrency limit",
    "concurrent request", "parallel request", "requests per minute", "tokens per minute", "queries per minute",
    "requests per second", "per minute", "per second", "token usage", "request rate limit",
];

const TOO_FAST: Words = &[
    "too many requests", "too many request", "too many concurrent", "too many parallel", "too many simultaneous",
    "too many calls", "too many messages", "too frequent", "too frequently", "too fast", "too quickly",
    "slow down", "rate limited", "rate-limited", "ratelimited", "rate limiting", "being throttled", "throttled",
    "throttling", "throttle", "reduce your request rate", "reduce the frequency", "request burst", "burst rate",
    "flow control", "sending requests too", "max parallel", "max concurrent", "maximum concurrent",
    "back off", "request frequency has been limited", "frequency limit",
];

const SHORT_WINDOW: Words = &[
    "per minute", "per second", "per min", "per sec", "/min", "/minute", "/sec", "/second", "per_minute",
    "per_second", "perminute", "rpm", "tpm", "rps", "qps", "qpm", "concurrency", "concurrent", "parallel request",
    "simultaneous", "in flight", "in-flight", "per 60s", "per 60 seconds", "a minute", "each minute", "per-minute",
    "per-min", "per 10 seconds", "1 minute", "one minute", "60 seconds window",
];

const NO_CAPACITY: Words = &[
    "overloaded", "overload", "over capacity", "at capacity", "no capacity", "capacity exceeded",
    "out of capacity", "insufficient capacity", "not enough capacity", "lack of capacity", "capacity constraint",
    "capacity limit", "capacity exhausted", "capacity is exhausted", "limited capacity", "full capacity",
    "high demand", "heavy demand", "heavy load", "high load", "under load", "peak load", "high traffic",
    "heavy traffic", "too busy", "busy", "saturated", "degraded", "temporarily unavailable",
    "currently unavailable", "temporarily overloaded", "no healthy", "no available worker", "no available instance",
    "no workers available", "no instances available", "no deployments available", "no resources available",
    "no available channel", "no available account", "no available server", "resource unavailable",
    "not enough resource", "insufficient resource", "insufficient compute", "insufficient gpu",
    "not ready", "is loading", "still loading", "currently loading", "model loading", "warming up", "scaling up",
    "queue is full", "queue full", "under maintenance", "down for maintenance", "in maintenance",
    "is offline", "currently offline", "temporarily down", "currently down", "unable to serve", "worker local",
    "not available right now", "unavailable right now", "unavailable at the moment", "server is full",
    "high volume", "experiencing an outage", "cold start", "exhausted its capacity", "overwhelmed",
];

const UPSTREAM: Words = &[
    "upstream", "provider returned error", "provider returned an error", "error from provider", "bad response status code",
    "provider error", "returned by the provider", "backend provider",
];

pub(super) const TABLE: &[Row] = &[
    row(Money, &[FUNDS, LACKING]),
    row(Money, &[DEBT]),
    row(Money, &[TOP_UP, DEMANDS]),
    row(Money, &[SPENDING, SPENT]),
    row(Money, &[BILLING, BROKEN]),
    row(Money, &[&["extra usage"], &["draw", "billed", "out of", "exhausted", "add more", "used up", "insufficient"]]),
    row(PaidModel, &[&["balance", "credit", "fund", "paid"], &["requires", "require", "required"], &["model"]]),
    row(Window, &[LONG_WINDOW, CAP, SPENT]),
    row(Window, &[ALLOWANCE, SPENT]),
    row(Window, &[SUBSCRIPTION, LAPSED]),
    row(Window, &[&["hit your limit", "reached your limit", "exceeded your plan", "exceeded your limit", "limit reached for your plan", "out of messages", "used all of your", "used all your"]]),
    row(Limit, &[CAP, SPENT]),
    row(Quota, &[&["quota"], SPENT]),
    row(Quota, &[&["quota"], &["no", "zero", "is 0", "not enough"]]),
    row(Rate, &[RATE_LIMIT, SPENT]),
    row(Rate, &[TOO_FAST]),
    row(Short, &[SHORT_WINDOW]),
    row(Capacity, &[NO_CAPACITY]),
    row(Upstream, &[UPSTREAM]),
    row(Model, &[&["model", "engine", "endpoint", "deployment", "function", "worker"]]),
    row(Account, &[&["your account", "account's", "per account", "per user", "your organization", "organization's", "per organization", "your team", "your workspace", "your copilot", "across all", "token usage"]]),
    row(OneKey, &[&["this key", "key limit", "key's limit", "key budget", "per key", "per api key", "for api key", "for this api key", "of this api key", "for this key", "api key limit", "key spending", "key quota", "api key quota", "api key budget", "token quota is not enough", "virtual key", "call volume quota"]]),
];
