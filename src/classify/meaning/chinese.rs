//! Chinese words of refusals, by topic. See [`english`](crate::classify::meaning::english) for how to add to it.

use crate::classify::meaning::topic::Topic::{Access, Account, Address, Capacity, Closed, Content, Denied, Key, Missing, Model, Money, OneKey, PaidModel, Quota, Rate, Request, Short, Upstream, Window};
use crate::classify::meaning::topic::{Row, Words, row};

const FUNDS: Words = &["余额", "餘額", "积分", "点数", "资金", "代金券", "资源包", "费用", "预付费", "用户额度", "剩余额度", "令牌额度"];

const LACKING: Words = &[
    "不足", "不够", "已用完", "用完", "用尽", "耗尽", "为零", "为0", "为 0", "过低", "用光", "无可用", "没有可用", "已过期", "低于",
];

const DEBT: Words = &[
    "欠费", "欠費", "逾期", "未支付", "待支付", "停机", "请充值", "请先充值", "充值后", "需要充值", "及时充值", "前往充值", "预扣费额度失败",
    "扣费失败", "额度不足", "未开启后付费", "未开通后付费", "账单",
];

const CAP: Words = &["用量", "使用量", "使用上限", "用量上限", "限额", "额度", "配额", "套餐", "次数", "体验额度", "免费额度", "调用量"];

const SPENT: Words = &["上限", "用尽", "用完", "耗尽", "已达", "达到", "超出", "超过", "已满", "用光", "不足", "超限"];

const LONG_WINDOW: Words = &[
    "小时", "小時", "每日", "每天", "当日", "今日", "今天", "每周", "本周", "周", "每月", "当月", "本月", "月", "天", "套餐", "免费", "体验",
    "plan", "使用上限", "用量上限", "使用量", "周期",
];

const SHORT_WINDOW: Words = &["每分钟", "每秒", "并发", "併發", "频率", "速率", "rpm", "tpm", "qps"];

const TOO_FAST: Words = &[
    "过于频繁", "太频繁", "请求频繁", "频率过高", "频率限制", "速率限制", "限流", "过快", "太快", "请求数过多", "请求过多", "并发数过高",
    "并发过高", "超过并发", "控制请求频率", "调用频次", "請求過於頻繁", "触发流控", "请求速率",
];

const NO_CAPACITY: Words = &[
    "访问量过大", "访问量较大", "负载较高", "负载过高", "负载已饱和", "饱和", "过载", "過載", "繁忙", "拥挤", "算力不足", "资源不足", "排队",
    "暂时不可用", "暂不可用", "当前不可用", "服务不可用", "维护中", "高峰", "使用人数过多", "请求量过大", "流量过大", "无可用渠道", "没有可用的渠道",
];

const NOT_ACTIVATED: Words = &[
    "未开通", "尚未开通", "没有开通", "未激活", "未订阅", "未购买", "实名认证", "未认证", "未通过认证", "未申请", "申请开通", "不在套餐",
    "套餐不包含", "套餐不支持", "套餐暂不支持", "未包含在", "暂未开放", "未开放", "仅限会员", "白名单", "内测", "需要订阅", "请先开通", "不支持使用该模型",
    "未签署", "同意协议", "未授权该模型", "需要升级",
];

const DENIED: Words = &["没有权限", "无权限", "无权访问", "无权使用", "权限不足", "未授权", "拒绝访问", "访问被拒绝"];

const KEY: Words = &["密钥", "密鑰", "api key", "apikey", "api-key", "令牌", "鉴权", "身份验证", "token", "秘钥"];

const NO_GOOD: Words = &[
    "无效", "无效的", "错误", "失效", "过期", "已禁用", "被禁用", "不正确", "失败", "非法", "已被删除", "已删除", "无法识别", "状态不可用",
];

const ACCOUNT: Words = &["账号", "账户", "帐号", "帐户", "用户", "组织", "賬戶"];

const SHUT: Words = &["封禁", "冻结", "禁用", "停用", "注销", "封停", "锁定", "违规", "被限制"];

const MISSING: Words = &["不存在", "未找到", "找不到", "已下线", "已停用", "无此模型", "没有找到"];

const BAD_REQUEST: Words = &[
    "参数错误", "参数有误", "参数无效", "参数不合法", "参数非法", "格式错误", "格式不正确", "超出最大长度", "上下文长度", "超过最大", "不合法", "不支持的参数",
    "必填", "不能为空", "缺少参数", "缺少必要", "解析失败", "输入过长", "长度超过", "类型错误",
];

const OBJECTIONABLE: Words = &["敏感", "违规内容", "安全审核", "不当内容", "内容安全", "不安全的内容"];

pub(super) const TABLE: &[Row] = &[
    row(Money, &[FUNDS, LACKING]),
    row(Money, &[DEBT]),
    row(Window, &[LONG_WINDOW, CAP, SPENT]),
    row(Window, &[&["套餐", "订阅", "会员", "资源包"], &["到期", "过期", "失效", "已结束"]]),
    row(Quota, &[&["配额", "额度", "限额"], SPENT]),
    row(Rate, &[SHORT_WINDOW, SPENT]),
    row(Rate, &[TOO_FAST]),
    row(Short, &[SHORT_WINDOW]),
    row(Capacity, &[NO_CAPACITY]),
    row(Upstream, &[&["上游"]]),
    row(Access, &[NOT_ACTIVATED]),
    row(Denied, &[DENIED]),
    row(Address, &[&["地区", "区域", "国家", "ip"], &["不支持", "受限", "不可用", "限制访问", "不在服务"]]),
    row(Key, &[KEY, NO_GOOD]),
    row(Closed, &[ACCOUNT, SHUT]),
    row(Missing, &[MISSING]),
    row(Request, &[BAD_REQUEST]),
    row(Content, &[OBJECTIONABLE]),
    row(Model, &[&["模型"]]),
    row(PaidModel, &[&["余额", "付费", "充值"], &["需要", "仅支持", "必须"], &["模型"]]),
    row(Account, &[ACCOUNT]),
    row(OneKey, &[&["令牌额度", "该令牌", "密钥额度", "令牌的额度", "key额度", "key 额度"]]),
];
