//! English words about access, plans, places, keys and accounts.

use crate::classify::meaning::topic::Topic::{Access, Address, Closed, Denied, Key, NotHere, Upgrade};
use crate::classify::meaning::topic::{Row, Words, row};

const NOT_ACTIVATED: Words = &[
    "not activated", "not been activated", "hasn't activated", "has not activated", "have not activated",
    "haven't activated", "please activate", "activate the model", "activate this model", "not opened",
    "not subscribed", "not been subscribed", "unsubscribed", "not purchased", "unpurchased", "not been purchased",
    "not enabled for your", "not enabled for this", "isn't enabled for", "has not been enabled for",
    "not been granted", "hasn't been granted", "not provisioned", "commodity not purchased",
    "request access", "request model access", "apply for access", "need access to this model",
    "model access is denied", "use case details", "use case form", "waitlist", "wait list", "allowlist",
    "allow-list", "whitelist", "whitelisted", "allowlisted", "early access", "private preview", "private beta",
    "limited preview", "closed beta", "gated", "invite-only", "invitation only", "marketplace",
    "accept the terms", "accept the license", "accept the licence", "accept the updated terms", "agree to the terms",
    "agree to the license", "accept our terms", "accept terms", "terms must be accepted", "license agreement",
    "terms have not been accepted", "not accepted the terms", "not agreed to the terms", "end user license",
    "acknowledge the terms", "terms acceptance", "eligible for using the model", "actively using the model",
];

const PLAN: Words = &[
    "plan", "subscription", "tier", "usage tier", "package", "membership", "account type", "pricing tier",
    "plan and policies", "billing plan", "trial", "edition", "policies",
];

const NOT_INCLUDED: Words = &[
    "not available", "unavailable", "isn't available", "aren't available", "not included", "isn't included",
    "doesn't include", "does not include", "not support", "doesn't support", "does not support", "not supported",
    "not allowed", "doesn't allow", "does not allow", "no access", "not have access", "doesn't have access",
    "not permitted", "not part of", "not eligible", "ineligible", "not entitled", "no endpoints available",
    "only available", "available only", "exclusive to", "reserved for", "not accessible", "can't access",
    "cannot access", "cannot use", "can't use", "not cover", "doesn't cover", "does not cover", "not authorized",
    "restricted to", "excluded from", "not yet available", "only supports", "not offered",
];

const REQUIRES: Words = &["requires", "require", "required", "needs", "need", "must have", "must be on", "only available", "available to", "available for", "restricted to", "limited to paid", "upgrade to"];

const PAID_PLAN: Words = &[
    "a subscription", "paid subscription", "active subscription", "paid plan", "paid account", "paid tier",
    "paid user", "paid customer", "paying customer", "pro plan", "pro subscription", "plus plan", "max plan",
    "team plan", "enterprise plan", "business plan", "premium plan", "premium subscription", "higher tier",
    "higher plan", "a higher usage tier", "pro user", "pro account", "subscribers", "a plan", "a pro", "a paid",
    "extra usage", "usage tier", "pro tier", "enterprise customer",
];

const UNLOCK: Words = &[
    "upgrade for access", "upgrade to access", "upgrade to use", "upgrade to unlock", "upgrade your plan to use",
    "upgrade your plan to access", "upgrade your account to access", "subscribe to use", "subscribe to access",
    "upgrade to continue using this model", "upgrade your subscription to access",
];

const VERIFY: Words = &[
    "must be verified", "verification required", "verification is required", "requires verification",
    "identity verification", "phone verification", "age verification", "email verification", "verify your account",
    "verify your organization", "verify your identity", "verify your email", "verify your phone", "not been verified",
    "isn't verified", "is not verified", "not verified", "unverified", "verify your age", "complete verification",
    "real-name", "real name authentication", "kyc",
];

const POLICY: Words = &[
    "guardrail", "data policy", "privacy setting", "organization policy", "organisation policy", "admin policy",
    "enterprise policy", "policy settings", "organization settings", "workspace settings", "account settings",
    "your administrator", "your admin", "organization level", "project level", "org settings", "org admin",
    "organization admin", "your organization has", "data retention", "zero data retention",
];

const SWITCHED_OFF: Words = &[
    "no endpoints", "disabled", "blocked", "not allowed", "restricted", "not permitted", "no allowed providers",
    "not enabled", "turned off", "excluded", "prohibits", "prohibited", "ignored", "not available",
];

const OWNER: Words = &[
    "your account", "this account", "the account", "your organization", "this organization", "your organisation",
    "your project", "this project", "your team", "this team", "your workspace", "your subscription", "your user",
    "this key", "this api key", "your api key", "your key", "api key", "this user", "your token", "account",
    "organization", "group", "token",
];

const MAY_NOT: Words = &[
    "not authorized to use", "not allowed to use", "not authorised to use", "does not have access to the model",
    "does not have access to model", "does not have access to this model", "doesn't have access to this model",
    "doesn't have access to the model", "doesn't have access to model", "not eligible", "not entitled",
    "no access to this model", "no access to the model", "no access to model", "has no access", "not permitted to use",
    "cannot access", "can't access", "not authorized for this model", "not allowed to access", "not authorized to access this model",
    "not authorized to access the model", "not authorized to invoke", "not authorized for model",
];

const ONLY_FOR: Words = &[
    "only available for", "only authorized for", "only be used with", "only for use with", "only be used in",
    "exclusively for", "not for third-party",
];

/// Phrases that tie a lack to the account.
const FOR_ACCOUNT: Words = &[
    "for account", "for your account", "for this account", "with your account", "with this account", "in your account",
    "under your account", "on your account", "for your organization", "for this organization", "for your project",
    "for your team", "for your workspace", "when using codex with a chatgpt account", "with a chatgpt account",
    "for this user", "for your user", "for your api key", "for this api key", "for your group",
];

const NOT_HERE: Words = &[
    "not found", "not supported", "not available", "unavailable", "disabled", "not enabled", "not activated", "isn't available",
    "isn't supported", "isn't enabled", "not accessible", "no longer available",
];

const DENIED: Words = &[
    "not have access", "do not have access", "don't have access", "does not have access", "doesn't have access", "no access to",
    "lack access", "not authorized to access", "may not exist", "do not have permission", "don't have permission",
    "does not have permission", "without permission", "access denied", "permission denied", "not accessible",
    "access to model denied", "access to the model",
];

const UPGRADE: Words = &[
    "upgrade your plan", "upgrade your account", "upgrade your subscription", "please upgrade", "upgrade to a paid",
    "upgrade plan", "upgrade to continue",
];

const PLACE: Words = &[
    "location", "country", "countries", "region", "territory", "territories", "jurisdiction", "ip address",
    "your area", "geographic area", "your ip",
];

const NOT_SERVED: Words = &[
    "not supported", "unsupported", "isn't supported", "not available", "isn't available", "unavailable",
    "restricted", "not allowed", "prohibited", "blocked", "embargoed", "sanctioned", "banned", "not served",
    "not permitted", "not authorized", "no access from",
];

const KEY: Words = &[
    "api key", "api-key", "apikey", "api_key", "x-api-key", "access key", "access token", "auth token",
    "authentication token", "oauth token", "bearer token", "secret key", "subscription key", "credential",
    "service account key", "authorization token", "api token", "session token", "refresh token", "security token",
    "license key", "jwt", "json web token",
];

const PERHAPS_KEY: Words = &["this key", "your key", "the key", "token has", "token was", "token is", "your token"];

const WITHDRAWN: Words = &[
    "expired", "revoked", "disabled", "leaked", "compromised", "deactivated", "suspended", "banned", "terminated",
];

const NO_GOOD: Words = &[
    "invalid", "incorrect", "wrong", "expired", "revoked", "disabled", "deleted", "leaked", "compromised",
    "not valid", "does not exist", "doesn't exist", "not found", "not recognized", "unrecognized", "deactivated",
    "blocked", "suspended", "no longer valid", "inactive", "rejected", "invalidated", "not exist", "unknown",
    "exposed", "banned", "terminated", "has been reset", "rotated", "valid api key", "no such", "malformed",
];

const THE_ACCOUNT: Words = &[
    "account is", "account has been", "account was", "account has", "organization is", "organization has been",
    "organization was", "organisation has been", "workspace is", "workspace has been", "workspace was",
    "user is", "user has been", "team is", "team has been", "this account", "your account", "access has been",
    "project has been", "subscription is", "subscription has been", "consumer", "account associated", "access to this account", "organization associated",
];

const SHUT: Words = &[
    "suspended", "disabled", "deactivated", "terminated", "banned", "closed", "restricted", "frozen", "locked",
    "violation of", "violated", "under review", "abuse",
];

/// An account that was shut, in one phrase: a request can be blocked or banned as well.
const ACCOUNT_SHUT: Words = &[
    "account has been blocked", "account is blocked", "account was blocked", "account blocked", "account banned",
    "account suspended", "account deactivated", "account disabled",
];

pub(super) const TABLE: &[Row] = &[
    row(Access, &[NOT_ACTIVATED]),
    row(Access, &[PLAN, NOT_INCLUDED]),
    row(Access, &[REQUIRES, PAID_PLAN]),
    row(Access, &[UNLOCK]),
    row(Access, &[VERIFY]),
    row(Access, &[POLICY, SWITCHED_OFF]),
    row(Access, &[OWNER, MAY_NOT]),
    row(Access, &[ONLY_FOR]),
    row(NotHere, &[FOR_ACCOUNT, NOT_HERE, &["model", "function", "engine", "deployment"]]),
    row(Denied, &[DENIED]),
    row(Upgrade, &[UPGRADE]),
    row(Address, &[PLACE, NOT_SERVED]),
    row(Key, &[KEY, NO_GOOD]),
    row(Key, &[PERHAPS_KEY, WITHDRAWN]),
    row(Closed, &[THE_ACCOUNT, SHUT]),
    row(Closed, &[ACCOUNT_SHUT]),
];
