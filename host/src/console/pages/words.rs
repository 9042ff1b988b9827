//! What the pages say, in English and Chinese, side by side.

macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// One language's words. `{}` is filled in.
        #[derive(Debug)]
        pub(super) struct Words {
            /// For `lang`.
            pub(super) code: &'static str,
            $(pub(super) $name: &'static str,)*
        }

        static EN: Words = Words { code: "en", $($name: $en,)* };
        static ZH: Words = Words { code: "zh-CN", $($name: $zh,)* };

        #[cfg(test)]
        const PAIRS: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $zh)),*];
    };
}

words! {
    own_name: "English", "中文";
    skip: "Skip to the content", "跳到正文";
    sections: "Sections", "栏目";
    connectors: "Connectors", "连接器";
    messages: "Messages", "消息";
    dead_letters: "Dead letters", "死信";
    plugins: "Plugins", "插件";
    playground: "Playground", "试验场";
    live: "Live", "实时";
    reconnecting: "Reconnecting…", "正在重新连接…";
    log_in: "Log in", "登录";
    log_out: "Log out", "退出";
    login: "Log in to the console", "登录控制台";
    login_help: "This console can be reached from other machines, so it asks for the token in the config's [admin] section.", "其他机器可以访问此控制台，请输入配置文件 [admin] 中的 token。";
    token: "Token", "令牌";
    wrong_token: "This is not the token.", "令牌不正确。";
    too_many_tries: "Too many tries at once. Please wait a moment.", "尝试过于频繁，请稍候再试。";
    forbidden: "Not carried out", "未执行";
    other_page: "This was sent from another page, or the page was too old. Nothing was done; open the page again.", "请求来自其他页面或页面已过期，未执行任何操作，请重新打开页面。";
    session_over: "Your session is over. Nothing was done; log in and try again.", "会话已结束，未执行任何操作，请登录后重试。";
    not_here: "Without a token the console answers on this machine only, by a loopback address.", "未设置令牌时，控制台只能在本机通过回环地址访问。";
    to_console: "To the console", "返回控制台";
    unit_second: "{} s", "{} 秒";
    unit_minute: "{} min", "{} 分钟";
    unit_hour: "{} h", "{} 小时";
    unit_day: "{} d", "{} 天";
    ago: "{} ago", "{}前";
    just_now: "just now", "刚刚";
    in_time: "in {}", "{}后";
    pages: "Pages", "分页";
    newest: "Newest", "最新";
    older: "Older →", "更早 →";
    earlier_page: "← Back", "← 上一页";
    later_page: "Next →", "下一页 →";
    n_to_n_of: "{}–{} of {}", "第 {}–{} 个，共 {} 个";
    search: "Search", "搜索";
    search_connectors: "Search connectors", "搜索连接器";
    no_connectors: "The config has no connectors yet. Add a [connectors.NAME] section.", "配置中还没有连接器。请添加 [connectors.NAME] 一节。";
    takes_nothing_in: "No events can be taken in.", "目前无法接收事件。";
    out_of_order: "Something is out of order.", "有异常情况。";
    waiting: "Events waiting", "等待中的事件";
    in_flight: "Under way", "发送中";
    closed_lanes: "Paused", "暂停";
    state_closed: "Paused", "暂停";
    state_spent: "Budget used up", "额度用尽";
    state_behind: "Catching up", "积压处理中";
    state_sending: "Sending", "发送中";
    state_quiet: "Ready", "就绪";
    closed_for: "for", "剩余";
    n_dead: "{} dead", "{} 条死信";
    backlog: "Waiting", "等待";
    oldest: "oldest {}", "最早 {}前";
    n_in_flight: "{} under way", "{} 条发送中";
    pace: "Pace", "速率";
    no_limit: "no limit", "不限";
    n_in_window: "{} of {} in {}", "{} / {}，每 {}";
    budget: "This month", "本月";
    n_this_month: "{} sent", "已发 {} 条";
    n_this_month_of: "{} of {}", "{} / {}";
    shared_budget: ", shared", "（共享）";
    last_answer: "Last message", "最近消息";
    nothing_yet: "none yet", "暂无";
    test_connection: "Test this connection", "测试此连接";
    no_such_connector: "There is no connector {}.", "没有连接器 {}。";
    test_delivered: "The test message was delivered.", "测试消息已送达。";
    test_receipt: "Receipt: {}", "回执：{}";
    test_retry: "The test message could not be delivered now.", "测试消息目前无法送达。";
    test_unknown: "Nobody knows whether the test message arrived.", "无法确定测试消息是否送达。";
    test_throttled: "The receiver is limiting.", "接收方正在限流。";
    test_rejected: "The receiver refused the test message.", "接收方拒绝了测试消息。";
    test_failed: "The test message could not be written.", "无法生成测试消息。";
    search_text: "Text", "文本";
    search_hint: "summary, incident, source, reason", "摘要、编号、告警源、原因";
    connector: "Connector", "连接器";
    any_connector: "any", "全部";
    state: "State", "状态";
    any_state: "any", "全部";
    open: "Open", "未完成";
    delivered: "Delivered", "已送达";
    dead: "Dead", "死信";
    waiting_here: "Not in a message yet", "尚未进入消息";
    no_messages: "No messages yet. Events that come in appear here by themselves.", "暂无消息。收到的事件会自动显示在这里。";
    none_found: "Nothing found.", "没有找到。";
    message: "Message", "消息";
    events: "Events", "事件";
    attempts: "Attempts", "尝试";
    changed: "When", "时间";
    no_summary: "(no summary)", "（无摘要）";
    new_message: "New message:", "新消息：";
    as_seen: "As people see it", "接收者看到的样子";
    in_lists: "In lists", "列表中";
    buttons: "Buttons", "按钮";
    rings: "Rings {}", "提醒 {}";
    rings_all: "Rings everybody", "提醒所有人";
    not_drawable: "This body has no text that could be drawn; see its JSON.", "此内容没有可绘制的文本，请查看 JSON。";
    exact_body: "Exact JSON", "原始 JSON";
    not_written: "Not written yet.", "尚未生成。";
    next_attempt: "next attempt in {}", "{}后重试";
    receivers_words: "The receiver's words", "接收方的答复";
    what_to_do: "What to do", "处理建议";
    key: "Key", "标识";
    written_by: "Written by", "生成者";
    outcome_rejected: "Rejected", "被拒绝";
    outcome_fault: "Fault", "故障";
    outcome_throttled: "Throttled", "被限流";
    outcome_unknown: "Unknown", "未知";
    outcome_retry: "Again later", "稍后重试";
    no_attempts: "Not attempted.", "尚未尝试。";
    and_more: "and {} more", "另有 {} 条";
    pending: "Pending", "待处理";
    accepted: "Accepted", "已接手";
    resolved: "Resolved", "已解决";
    all_connectors: "All connectors", "全部连接器";
    no_dead_letters: "No dead letters. Everything was delivered, or is on its way.", "没有死信。所有消息已送达或正在发送。";
    n_events: "{} event|{} events", "{} 个事件";
    n_attempts: "{} attempt|{} attempts", "尝试 {} 次";
    replay: "Replay", "重发";
    replay_all: "Replay all", "全部重发";
    discard: "Discard…", "丢弃…";
    discard_all: "Discard all…", "全部丢弃…";
    discard_sure: "The message and its events are forgotten. Nobody will see them.", "消息及其事件将被删除，不会有人看到。";
    discard_all_sure: "All {} dead letters of {} are forgotten. Nobody will see them.", "将删除全部 {} 条死信（{}），不会有人看到。";
    discard_for_ever: "Discard for ever", "永久丢弃";
    replayed: "Message {} is sent again.", "消息 {} 已重新发送。";
    discarded: "Message {} was discarded.", "消息 {} 已丢弃。";
    n_replayed: "{} message is sent again.|{} messages are sent again.", "{} 条消息已重新发送。";
    n_discarded: "{} message was discarded.|{} messages were discarded.", "{} 条消息已丢弃。";
    not_done: "This was not done.", "未能执行。";
    unreadable: "Unreadable", "无法读取";
    unreadable_help: "What sources received and could not read as an event. Correct the sender and have it send again.", "来源收到但无法识别为事件的内容。请修正发送方后重新发送。";
    what_came: "What came", "收到的内容";
    no_plugins: "The config has no plugins yet. Add a [plugins.NAME] section.", "配置中还没有插件。请添加 [plugins.NAME] 一节。";
    version: "Version", "版本";
    versions: "Kept versions", "保留的版本";
    digest: "Digest", "摘要值";
    signature: "Signature", "签名";
    installed: "Installed", "安装时间";
    in_use: "in use", "使用中";
    taken_back: "taken back", "已撤回";
    signed_trusted: "valid, by a trusted key", "有效，受信任的密钥";
    signed_unchecked: "present, not checked", "有签名，未校验";
    unsigned: "none", "无";
    by_cli: "command line", "命令行";
    by_api: "console or API", "控制台或 API";
    by_file: "changed file", "文件变更";
    by_config: "config", "配置";
    by_canary: "taken back by the host", "由主机撤回";
    canary: "Watched", "观察中";
    canary_text: "{}: {} of the first {} messages have passed; {} takes over again if one fails.", "{}：前 {} / {} 条消息正常；如有失败将恢复 {}。";
    shadow: "Shadow", "影子";
    shadow_text: "{} writes along: {} alike, {} different, {} failed, {} to go.", "{} 同步试写：{} 条一致，{} 条不同，{} 条失败，剩余 {} 条。";
    differences: "Differences", "差异";
    last_failure: "Last failure", "最近一次失败";
    plugin_counts: "Since the start: {} swaps, {} refused, {} rollbacks.", "启动以来：切换 {} 次，拒绝 {} 次，回滚 {} 次。";
    rollback: "Roll back", "回滚";
    rolled_back: "Version {} is in use again.", "版本 {} 已恢复使用。";
    install: "Install", "安装";
    install_version: "Install a version…", "安装新版本…";
    component_file: "Component (.wasm)", "组件（.wasm）";
    signature_file: "Signature (.sig), if there is one", "签名文件（.sig），如有";
    drop_here: "Choose a file, or drop it here. It is checked in full before it is used.", "选择文件或拖放到此处。使用前会进行完整检查。";
    shadow_messages: "Only write along, for so many messages (0: put it to use)", "仅试写的消息条数（0：直接启用）";
    force: "Also an older version", "允许旧版本";
    no_file: "There is no file in the form.", "表单中没有文件。";
    plugin_refused: "The version was refused. The one in use goes on.", "新版本被拒绝，继续使用当前版本。";
    installed_version: "Version {} is in use.", "版本 {} 已启用。";
    in_use_already: "Version {} is in use already.", "版本 {} 已在使用中。";
    shadow_begun: "Version {} writes along.", "版本 {} 开始试写。";
    playground_help: "Any event with any config, written by the real component. Nothing is sent.", "用真实组件渲染任意事件和配置，不会发送任何消息。";
    event: "Event", "事件";
    event_json: "Event, JSON", "事件 JSON";
    example: "Example", "示例";
    load: "Load", "载入";
    config: "Connector's config", "连接器配置";
    config_toml: "Connector's config, TOML", "连接器配置 TOML";
    hidden_help: "{} stands for the connector's own value, which is not shown.", "{} 代表连接器自身的值，此处不显示。";
    keys_of: "Keys of {}", "{} 的配置项";
    show: "Show", "预览";
    nothing_to_show: "Correct the marked field to see the message.", "请修正标出的字段以查看消息。";
    nothing_sent: "Nothing would be sent:", "不会发送任何消息：";
    signed_url: "Signed URL", "签名后的 URL";
    headers: "Headers", "请求头";
    n_bytes: "{} bytes", "{} 字节";
}

impl Words {
    /// Every language.
    pub(super) const ALL: [&'static Words; 2] = [&EN, &ZH];

    /// What was chosen, else the first that the browser asks for and that there is, else English.
    pub(super) fn choose(chosen: Option<&str>, browser: Option<&str>) -> &'static Words {
        let asked = browser.unwrap_or_default().split(',').map(|one| one.split(';').next().unwrap_or_default());
        chosen.into_iter().chain(asked).find_map(Words::of).unwrap_or(&EN)
    }

    fn of(tag: &str) -> Option<&'static Words> {
        match tag.trim().to_ascii_lowercase().split('-').next() {
            Some("en") => Some(&EN),
            Some("zh") => Some(&ZH),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readers_language_is_chosen() {
        let code = |chosen, browser| Words::choose(chosen, browser).code;
        assert_eq!(code(None, Some("de-DE,de;q=0.9,zh-TW;q=0.8,en;q=0.7")), "zh-CN");
        assert_eq!(code(Some("en"), Some("zh-CN")), "en");
        assert_eq!(code(Some("xx"), None), "en");
    }

    #[test]
    fn both_languages_say_everything_with_the_same_blanks() {
        for (name, en, zh) in PAIRS {
            // One and many are told apart in English only.
            let blanks = |text: &str| text.split('|').map(|form| form.matches("{}").count()).collect::<Vec<_>>();
            assert!(blanks(en).iter().all(|count| *count == blanks(zh)[0]), "{name}");
            assert!(!en.is_empty() && !zh.is_empty(), "{name}");
        }
    }
}
