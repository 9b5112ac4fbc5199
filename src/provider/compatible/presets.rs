//! The list of presets.

use crate::provider::compatible::{asia, clouds, hosts, labs, openrouter};
use crate::provider::dialect::{COMMON, Dialect, Preset};
use crate::provider::{API_KEY, AuthScheme, ModelPath};

static GENERIC: Dialect = COMMON;

const fn preset(
    name: &'static str,
    aliases: &'static [&'static str],
    origins: &'static [&'static str],
    env_prefixes: &'static [&'static str],
    dialect: &'static Dialect,
) -> Preset {
    Preset {
        name,
        aliases,
        origins,
        auth: AuthScheme::Bearer,
        env_prefixes,
        model_path: ModelPath::None,
        dialect,
    }
}

const fn named_in(mut preset: Preset, model_path: ModelPath) -> Preset {
    preset.model_path = model_path;
    preset
}

const AZURE: Preset = Preset {
    name: "azure",
    aliases: &["azure-openai", "azure-ai", "azure-foundry"],
    origins: &[
        "https://*.openai.azure.com",
        "https://*.services.ai.azure.com",
        "https://*.cognitiveservices.azure.com",
    ],
    auth: AuthScheme::Header(API_KEY),
    env_prefixes: &["AZURE_OPENAI", "AZURE"],
    model_path: ModelPath::Azure,
    dialect: &clouds::AZURE,
};

/// Origins of Bedrock, one per region: a wildcard would let a key go to any service that Amazon hosts for its
/// customers.
const BEDROCK_ORIGINS: &[&str] = &[
    "https://bedrock-runtime.us-east-1.amazonaws.com",
    "https://bedrock-runtime.us-east-2.amazonaws.com",
    "https://bedrock-runtime.us-west-1.amazonaws.com",
    "https://bedrock-runtime.us-west-2.amazonaws.com",
    "https://bedrock-runtime.us-gov-east-1.amazonaws.com",
    "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
    "https://bedrock-runtime.ca-central-1.amazonaws.com",
    "https://bedrock-runtime.sa-east-1.amazonaws.com",
    "https://bedrock-runtime.eu-central-1.amazonaws.com",
    "https://bedrock-runtime.eu-central-2.amazonaws.com",
    "https://bedrock-runtime.eu-north-1.amazonaws.com",
    "https://bedrock-runtime.eu-south-1.amazonaws.com",
    "https://bedrock-runtime.eu-south-2.amazonaws.com",
    "https://bedrock-runtime.eu-west-1.amazonaws.com",
    "https://bedrock-runtime.eu-west-2.amazonaws.com",
    "https://bedrock-runtime.eu-west-3.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-1.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-2.amazonaws.com",
    "https://bedrock-runtime.ap-northeast-3.amazonaws.com",
    "https://bedrock-runtime.ap-south-1.amazonaws.com",
    "https://bedrock-runtime.ap-south-2.amazonaws.com",
    "https://bedrock-runtime.ap-southeast-1.amazonaws.com",
    "https://bedrock-runtime.ap-southeast-2.amazonaws.com",
    "https://bedrock-runtime.me-central-1.amazonaws.com",
];

const BEDROCK: Preset = named_in(
    preset(
        "bedrock",
        &["aws-bedrock", "amazon-bedrock", "aws"],
        BEDROCK_ORIGINS,
        &["AWS_BEARER_TOKEN_BEDROCK", "BEDROCK"],
        &clouds::BEDROCK,
    ),
    ModelPath::Bedrock,
);

const CLOUDFLARE: Preset = named_in(
    preset(
        "cloudflare",
        &["cloudflare-workers-ai", "workers-ai"],
        &["https://api.cloudflare.com"],
        &["CLOUDFLARE"],
        &clouds::CLOUDFLARE,
    ),
    ModelPath::Cloudflare,
);

#[rustfmt::skip]
pub(super) static PRESETS: [Preset; 30] = [
    AZURE,
    BEDROCK,
    CLOUDFLARE,
    preset("openrouter", &[], &["https://openrouter.ai"], &["OPENROUTER"], &openrouter::DIALECT),
    preset("groq", &[], &["https://api.groq.com"], &["GROQ"], &hosts::GROQ),
    preset("cerebras", &[], &["https://api.cerebras.ai"], &["CEREBRAS"], &hosts::CEREBRAS),
    preset("together", &["together-ai"], &["https://api.together.xyz", "https://api.together.ai"], &["TOGETHER"], &hosts::TOGETHER),
    preset("fireworks", &["fireworks-ai"], &["https://api.fireworks.ai"], &["FIREWORKS"], &hosts::FIREWORKS),
    preset("huggingface", &["hugging_face", "hf"], &["https://router.huggingface.co", "https://api-inference.huggingface.co", "https://huggingface.co"], &["HF", "HUGGINGFACE"], &hosts::HUGGING_FACE),
    preset("github-models", &["github"], &["https://models.github.ai", "https://models.inference.ai.azure.com"], &["GITHUB_MODELS", "GITHUB"], &hosts::GITHUB_MODELS),
    preset("ollama", &["ollama-cloud"], &["https://ollama.com"], &["OLLAMA"], &hosts::OLLAMA),
    preset("replicate", &[], &["https://api.replicate.com"], &["REPLICATE"], &hosts::REPLICATE),
    preset("litellm", &["litellm-proxy"], &[], &["LITELLM"], &hosts::LITELLM),
    preset("digitalocean", &["do", "gradient"], &["https://inference.do-ai.run"], &["DIGITALOCEAN"], &hosts::NO_WINDOWS),
    preset("mistral", &["mistralai"], &["https://api.mistral.ai", "https://codestral.mistral.ai"], &["MISTRAL", "CODESTRAL"], &labs::MISTRAL),
    preset("deepseek", &[], &["https://api.deepseek.com"], &["DEEPSEEK"], &labs::DEEPSEEK),
    preset("xai", &["x-ai", "grok"], &["https://api.x.ai"], &["XAI", "GROK"], &labs::XAI),
    preset("cohere", &[], &["https://api.cohere.com", "https://api.cohere.ai"], &["COHERE", "CO"], &labs::COHERE),
    preset("perplexity", &["pplx"], &["https://api.perplexity.ai"], &["PERPLEXITY", "PPLX"], &GENERIC),
    preset("voyage", &["voyageai"], &["https://api.voyageai.com"], &["VOYAGE"], &labs::VOYAGE),
    preset("moonshot", &["kimi", "moonshotai"], &["https://api.moonshot.ai", "https://api.moonshot.cn", "https://api.kimi.com"], &["MOONSHOT", "KIMI"], &asia::MOONSHOT),
    preset("dashscope", &["qwen", "alibaba", "aliyun", "bailian"], &["https://dashscope.aliyuncs.com", "https://dashscope-intl.aliyuncs.com", "https://dashscope-us.aliyuncs.com"], &["DASHSCOPE", "QWEN"], &asia::DASHSCOPE),
    preset("zhipu", &["zai", "z.ai", "glm", "bigmodel", "zhipuai"], &["https://api.z.ai", "https://open.bigmodel.cn"], &["ZHIPU", "ZAI", "ZHIPUAI"], &asia::ZHIPU),
    preset("minimax", &[], &["https://api.minimax.io", "https://api.minimaxi.com", "https://api.minimax.chat"], &["MINIMAX"], &asia::MINIMAX),
    preset("baidu", &["qianfan"], &["https://qianfan.baidubce.com"], &["QIANFAN", "BAIDU"], &asia::BAIDU),
    preset("siliconflow", &["silicon-flow"], &["https://api.siliconflow.cn", "https://api.siliconflow.com"], &["SILICONFLOW"], &asia::SILICONFLOW),
    preset("nvidia", &["nim", "nvidia-nim"], &["https://integrate.api.nvidia.com"], &["NVIDIA"], &GENERIC),
    preset("deepinfra", &[], &["https://api.deepinfra.com"], &["DEEPINFRA"], &GENERIC),
    preset("sambanova", &[], &["https://api.sambanova.ai"], &["SAMBANOVA"], &GENERIC),
    preset("novita", &[], &["https://api.novita.ai"], &["NOVITA"], &GENERIC),
];
