//! Rules of Moonshot (Kimi), DashScope (Qwen), Zhipu (z.ai), MiniMax, Baidu and SiliconFlow.

use crate::classify::rules::{Rule, fault, reject};
use crate::classify::{Reason, Rejection, Scope};
use crate::provider::dialect::{COMMON, Dialect, with_rules_in_china};

pub(super) static MOONSHOT: Dialect = with_rules_in_china(MOONSHOT_RULES);
pub(super) static DASHSCOPE: Dialect = with_rules_in_china(DASHSCOPE_RULES);
pub(super) static ZHIPU: Dialect = with_rules_in_china(ZHIPU_RULES);

/// MiniMax: its native API reports errors in `base_resp` of a 200.
pub(super) static MINIMAX: Dialect =
    Dialect { rules: MINIMAX_RULES, utc_offset: 8, errors_in_ok_bodies: true, ..COMMON };

pub(super) static BAIDU: Dialect = with_rules_in_china(BAIDU_RULES);
pub(super) static SILICONFLOW: Dialect = with_rules_in_china(SILICONFLOW_RULES);

/// Moonshot: limits belong to the organisation. Overload and an empty balance arrive as 429 too
/// (<https://platform.moonshot.ai/docs/api/errors>).
const MOONSHOT_RULES: &[Rule] = &[
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["engine_overloaded_error"]),
    fault(Reason::Overloaded, Scope::ProviderModel).says(&["engine is currently overloaded"]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["exceeded_current_quota_error"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[402, 403, 429]).says(&[
        "insufficient balance",
        "exceeded current quota",
        "suspended",
        "tpd rate limit",
        "rpd rate limit",
    ]),
    fault(Reason::RateLimited, Scope::Account).named(&["rate_limit_reached_error"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
];

/// DashScope: `insufficient_quota` is a limit per minute, and a lack of money is called `Arrearage`
/// (<https://help.aliyun.com/zh/model-studio/error-code>).
const DASHSCOPE_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::AccountModel).named(&["AllocationQuota.FreeTierOnly"]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["Arrearage"]),
    fault(Reason::QuotaExceeded, Scope::AccountModel)
        .on(&[403, 429])
        .says(&["free allocated quota", "free quota"]),
    // The windows of the Coding Plan (<https://developer.aliyun.com/ask/699052>).
    fault(Reason::QuotaExceeded, Scope::Account).on(&[403, 429]).says(&[
        "hour allocated quota",
        "week allocated quota",
        "month allocated quota",
    ]),
    fault(Reason::RateLimited, Scope::AccountModel)
        .named(&["insufficient_quota", "Throttling.AllocationQuota"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::InvalidKey, Scope::Key).named(&["InvalidApiKey"]),
    fault(Reason::Forbidden, Scope::KeyModel).on(&[403]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["ModelServiceUnavailable", "ServiceUnavailable"]),
];

/// Zhipu: codes are numbers in strings, and messages are mostly Chinese
/// (<https://docs.z.ai/api-reference/api-code>).
const ZHIPU_RULES: &[Rule] = &[
    fault(Reason::InvalidKey, Scope::Key).named(&["1000", "1001", "1002", "1003", "1004"]),
    fault(Reason::InvalidKey, Scope::Account).named(&["1110", "1111", "1112", "1120", "1121"]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["1113", "1304", "1308", "1309", "1310"]),
    fault(Reason::RateLimited, Scope::Account).named(&["1302", "1303"]),
    fault(Reason::Overloaded, Scope::ProviderModel).named(&["1305", "1312"]),
    fault(Reason::Forbidden, Scope::KeyModel).named(&["1220"]),
    // The subscription does not include the model.
    fault(Reason::Forbidden, Scope::AccountModel).named(&["1311"]).of_account(),
    reject(Rejection::ContextLength).named(&["1261"]),
    reject(Rejection::ContentFilter).named(&["1301"]),
    reject(Rejection::Invalid).named(&["1210", "1211", "1212", "1213", "1214", "1215"]),
    fault(Reason::QuotaExceeded, Scope::Account).on(&[400, 402, 403, 429]).says(&[
        "余额不足",
        "欠费",
        "insufficient balance",
        "resource package",
    ]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[429, 503]).says(&["访问量过大", "overloaded"]),
    fault(Reason::RateLimited, Scope::Account).on(&[429]),
];

/// MiniMax: a code arrives in `base_resp`, in the error, or only in brackets at the end of the message
/// (<https://platform.minimax.io/docs/api-reference/errorcode>).
const MINIMAX_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).named(&["1008", "2056"]),
    fault(Reason::QuotaExceeded, Scope::Account).says(&["insufficient balance", "(1008)", "(2056)"]),
    fault(Reason::InvalidKey, Scope::Key).named(&["1004", "2049"]),
    fault(Reason::InvalidKey, Scope::Key).says(&["(1004)", "(2049)"]),
    fault(Reason::RateLimited, Scope::AccountModel).named(&["1002", "1039", "1041", "2045"]),
    fault(Reason::RateLimited, Scope::AccountModel).says(&["(1002)", "(1039)", "(1041)", "(2045)"]),
    // The plan does not support the model.
    fault(Reason::Forbidden, Scope::AccountModel).named(&["2061"]).of_account(),
    fault(Reason::Forbidden, Scope::AccountModel).says(&["(2061)"]).of_account(),
    reject(Rejection::ContentFilter).named(&["1026", "1027"]),
    reject(Rejection::Invalid).named(&["2013"]),
    reject(Rejection::Invalid).says(&["(2013)"]),
    fault(Reason::ServerError, Scope::Provider).named(&["1000", "1001", "1024", "1033"]),
];

/// Baidu: `code` and `type` have swapped roles.
const BAIDU_RULES: &[Rule] = &[
    fault(Reason::RateLimited, Scope::AccountModel).named(&[
        "rpm_rate_limit_exceeded",
        "tpm_rate_limit_exceeded",
        "rate_limit_exceeded",
    ]),
    fault(Reason::QuotaExceeded, Scope::Account).named(&["account_overdue", "insufficient_balance"]),
    fault(Reason::InvalidKey, Scope::Key).named(&["invalid_iam_token", "invalid_iam_authorization"]),
];

const SILICONFLOW_RULES: &[Rule] = &[
    fault(Reason::QuotaExceeded, Scope::Account).named(&["30001"]),
    fault(Reason::RateLimited, Scope::AccountModel).on(&[429]),
    fault(Reason::Overloaded, Scope::ProviderModel).on(&[503, 504]).says(&["busy", "overloaded"]),
];
