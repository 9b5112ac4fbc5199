//! Presets of Chinese providers.

use crate::provider::compatible::asia;
use crate::provider::dialect::{COMMON, Dialect};
use crate::provider::preset::Preset;
use crate::provider::{Endpoint, Endpoints};

static GENERIC: Dialect = COMMON;

pub(super) static ROWS: [Preset; 11] = [
    // `api.moonshot.cn` serves mainland China, and `api.kimi.com` the plan for coding
    // (<https://www.kimi.com/code/docs/en/kimi-code/models.html>).
    Preset::new(
        "moonshot",
        "https://api.moonshot.ai/v1",
        &["MOONSHOT", "KIMI"],
        &asia::MOONSHOT,
        "https://platform.moonshot.ai/docs/api/chat",
    )
    .endpoints(Endpoints::of(&[Endpoint::Chat, Endpoint::Completions, Endpoint::Models, Endpoint::Files]))
    .aliases(&["kimi", "moonshotai"])
    .hosts(&["https://api.moonshot.cn", "https://api.kimi.com"])
    .key_starts(&["sk-kimi-"]),
    Preset::new(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &["DASHSCOPE", "QWEN"],
        &asia::DASHSCOPE,
        "https://www.alibabacloud.com/help/en/model-studio/models",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Files).with(Endpoint::Batches))
    .aliases(&["qwen", "alibaba", "aliyun", "bailian"])
    .hosts(&[
        "https://dashscope.aliyuncs.com",
        "https://dashscope-us.aliyuncs.com",
        "https://coding-intl.dashscope.aliyuncs.com",
        "https://coding.dashscope.aliyuncs.com",
        "https://token-plan.maas.qwencloudapi.com",
        "https://token-plan.maas.qianwenaiapi.com",
    ]),
    // Keys of a plan are valid at the hosts of the plan only.
    Preset::new(
        "alibaba-coding-plan",
        "https://coding-intl.dashscope.aliyuncs.com/v1",
        &["ALIBABA_CODING_PLAN"],
        &asia::DASHSCOPE,
        "https://www.alibabacloud.com/help/en/model-studio/coding-plan",
    )
    .aliases(&["dashscope-coding-plan", "qwen-coding-plan"])
    .hosts(&["https://coding.dashscope.aliyuncs.com"]),
    Preset::new(
        "alibaba-token-plan",
        "https://token-plan.maas.qwencloudapi.com/compatible-mode/v1",
        &["ALIBABA_TOKEN_PLAN"],
        &asia::DASHSCOPE,
        "https://www.alibabacloud.com/help/en/model-studio/token-plan-overview",
    )
    .aliases(&["dashscope-token-plan", "qwen-token-plan"])
    .hosts(&["https://token-plan.maas.qianwenaiapi.com"]),
    // The plan for coding has the path `/api/coding/paas/v4` at both hosts.
    Preset::new(
        "zhipu",
        "https://api.z.ai/api/paas/v4",
        &["ZHIPU", "ZAI", "ZHIPUAI"],
        &asia::ZHIPU,
        "https://docs.z.ai/devpack/overview",
    )
    .endpoints(
        Endpoints::COMMON
            .with(Endpoint::Images)
            .with(Endpoint::Audio)
            .with(Endpoint::Videos)
            .with(Endpoint::Files)
            .with(Endpoint::Batches),
    )
    .aliases(&["zai", "z.ai", "glm", "bigmodel", "zhipuai"])
    .hosts(&["https://open.bigmodel.cn"]),
    Preset::new(
        "minimax",
        "https://api.minimax.io/v1",
        &["MINIMAX"],
        &asia::MINIMAX,
        "https://platform.minimax.io/docs/api-reference/errorcode",
    )
    .hosts(&["https://api.minimaxi.com", "https://api.minimax.chat"]),
    Preset::new(
        "baidu",
        "https://qianfan.baidubce.com/v2",
        &["QIANFAN", "BAIDU"],
        &asia::BAIDU,
        "https://cloud.baidu.com/doc/qianfan-api/index.html",
    )
    .aliases(&["qianfan"]),
    Preset::new(
        "siliconflow",
        "https://api.siliconflow.com/v1",
        &["SILICONFLOW"],
        &asia::SILICONFLOW,
        "https://docs.siliconflow.com/en/api-reference/chat-completions/chat-completions",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Images).with(Endpoint::Audio).with(Endpoint::Rerank))
    .aliases(&["silicon-flow"])
    .hosts(&["https://api.siliconflow.cn"]),
    // The plan for coding has the path `/api/coding/v3` at the same host.
    Preset::new(
        "volcengine",
        "https://ark.cn-beijing.volces.com/api/v3",
        &["ARK", "VOLCENGINE"],
        &GENERIC,
        "https://www.volcengine.com/docs/82379/1298459",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Images).with(Endpoint::Files))
    .aliases(&["ark", "doubao", "volcengine-ark"]),
    Preset::new(
        "byteplus",
        "https://ark.ap-southeast.bytepluses.com/api/v3",
        &["BYTEPLUS", "ARK"],
        &GENERIC,
        "https://docs.byteplus.com/en/docs/ModelArk/1298459",
    )
    .endpoints(Endpoints::COMMON.with(Endpoint::Responses).with(Endpoint::Images).with(Endpoint::Files))
    .aliases(&["modelark", "byteplus-ark"])
    .hosts(&["https://ark.eu-west.bytepluses.com"]),
    // The hosts of the token plans: China, Singapore, Amsterdam.
    Preset::new(
        "xiaomi",
        "https://api.xiaomimimo.com/v1",
        &["XIAOMI", "MIMO"],
        &GENERIC,
        "https://platform.xiaomimimo.com/#/docs",
    )
    .aliases(&["mimo", "xiaomi-mimo"])
    .hosts(&[
        "https://token-plan-cn.xiaomimimo.com",
        "https://token-plan-sgp.xiaomimimo.com",
        "https://token-plan-ams.xiaomimimo.com",
    ]),
];
