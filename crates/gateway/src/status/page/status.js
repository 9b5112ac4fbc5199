'use strict';
(() => {
const base = location.pathname.replace(/\/*$/, '/');
const $ = id => document.getElementById(id);
const STATES = {
  available: ['Available', 'ok'], probing: ['Probing', 'info'], rate_limited: ['Rate limited', 'wait'],
  quota_exceeded: ['Quota used up', 'wait'], invalid: ['Invalid', 'bad'], forbidden: ['Forbidden', 'bad'],
  disabled: ['Disabled', 'idle'], forced: ['Forced cooldown', 'idle'], models_out: ['Some models out', 'wait'],
};
const VERBS = {
  reset: ['Reset', 'Ends every cooldown of the key and forgets the counts of its limits.'],
  cool_down: ['Cool down', 'The key is not used for a time.'],
  drain: ['Drain', 'The key is disabled, and an event tells when its last request has ended.'],
  disable: ['Disable', 'The key is not used until it is enabled again.'],
  enable: ['Enable', 'The key is used again.'],
  check: ['Check', 'The provider is asked whether the key is valid. The call costs nothing. A key that is refused twice is not used any more.'],
};
const OPERATOR = ['forced_cooldown', 'quota_reset', 'reset', 'disabled', 'enabled', 'drained', 'added', 'replaced', 'changed', 'removed'];
const CHECKS = {
  valid: 'valid', invalid: 'refused', open_list: 'proves nothing: the list is open to everyone', no_call: 'no free call proves it',
  unconfirmed: 'refused once only',
};
const MAX_KEYS = 200, MAX_EVENTS = 200;

let token = sessionStorage.getItem('token') || '';
let operator = '';
let skew = 0, last = 0, entries = [], usage = null, keysShown = null, statusShown = null;

// --- elements: text is always set as text, never as markup ---
function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter(it => it != null));
  return node;
}
function text(node, value) { if (node.textContent !== value) node.textContent = value; }
function attr(node, name, value) { if (node.getAttribute(name) !== value) node.setAttribute(name, value); }
function show(node, shown) { if (node.hidden === shown) node.hidden = !shown; }
// Keeps the elements of items that stay, so that focus and scrolling stay too.
function sync(parent, items, id, make, update) {
  const have = new Map([...parent.children].map(node => [node.dataset.id, node]));
  items.forEach((item, index) => {
    let node = have.get(id(item));
    if (node) have.delete(id(item)); else { node = make(item); node.dataset.id = id(item); }
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] || null);
    if (update) update(node, item);
  });
  for (const node of have.values()) node.remove();
}

// --- numbers ---
const whole = new Intl.NumberFormat('en');
const short = n => n == null ? '–' : n < 10000 ? whole.format(n) : new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(n);
const share = (part, all) => all ? (part === all ? '100' : Math.min(99.9, 100 * part / all).toFixed(1)) + ' %' : '–';
const now = () => Date.now() + skew;
function span(ms) {
  const s = Math.max(0, Math.ceil(ms / 1000));
  if (s < 60) return s + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min' + (s % 60 && s < 600 ? ' ' + s % 60 + ' s' : '');
  if (s < 86400) return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
  return Math.floor(s / 86400) + ' d ' + Math.floor(s % 86400 / 3600) + ' h';
}
const millis = ms => ms == null ? '–' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + ' s';
const ago = at => at ? (now() - at < 2000 ? 'now' : span(now() - at) + ' ago') : 'never used';
const words = text => String(text).replaceAll('_', ' ');

// --- header and numbers ---
function drawHead(status) {
  text($('meta'), `v${status.version} · up ${span(status.uptime_ms)}` + (status.chain.length ? ' · ' + status.chain.join(' → ') : ''));
  const health = { ok: ['All providers usable', 'ok'], degraded: ['Degraded', 'wait'], down: ['Down', 'bad'] }[status.status];
  text($('health'), health[0]); attr($('health'), 'data-tone', health[1]);
  document.title = (status.status === 'ok' ? '' : health[0] + ' · ') + 'Keys';
  show($('sign'), status.has_verbs); text($('sign'), operator ? 'Stop operating' : 'Operate');
  const hour = status.providers.map(it => it.usage.hour);
  const sum = field => hour.reduce((all, it) => all + it[field], 0);
  const usable = status.providers.reduce((all, it) => all + it.usable_keys, 0);
  const keys = status.providers.reduce((all, it) => all + it.keys, 0);
  const slowest = Math.max(-1, ...hour.map(it => it.p95_ms ?? -1));
  sync($('numbers'), [
    ['Usable keys', String(usable), 'of ' + keys], ['Attempts', short(sum('attempts')), 'last hour'],
    ['Served', share(sum('successes'), sum('attempts')), 'last hour'],
    ['Slowest p95', slowest < 0 ? '–' : millis(slowest), 'last hour'],
    ['Tokens', short(sum('input_tokens') + sum('output_tokens')), 'last hour'],
    ['Rotations', short(status.totals.rotations), 'since start'],
  ], it => it[0], it => h('div', {}, h('dt', {}, it[0]), h('dd', {}, h('span'), h('small'))), (node, it) => {
    text(node.querySelector('span'), it[1]); text(node.querySelector('small'), it[2]);
  });
}

function drawCallers() {
  const callers = usage ? usage.callers : [];
  show($('callers-card'), callers.length > 0);
  sync($('callers'), callers, it => it.caller, it => h('li', {}, h('strong', {}, it.caller), h('span', { class: 'quiet' })), (row, it) => {
    const hour = it.hour;
    text(row.lastChild, `${short(hour.requests)} requests · ${short(hour.input_tokens + hour.output_tokens)} tokens` + (hour.refused ? ` · ${short(hour.refused)} over its limit` : ''));
  });
}

// --- providers ---
function makeProvider(it) {
  return h('article', { class: 'card', 'aria-label': it.provider },
    h('div', { class: 'head' }, h('h2', {}, it.provider), h('span', { class: 'chip breaker' }), h('span', { class: 'chip usable' })),
    h('p', { class: 'facts quiet' }), h('div', { class: 'plot' }), h('ul', { class: 'keys' }), h('p', { class: 'more quiet' }));
}
function drawProvider(node, it) {
  const breaker = node.querySelector('.breaker'), usable = node.querySelector('.usable');
  const tone = { closed: 'ok', half_open: 'info', open: 'bad' }[it.breaker.state];
  attr(breaker, 'data-tone', tone);
  attr(breaker, 'data-until', String(it.breaker.until || '')); attr(breaker, 'data-label', 'Breaker ' + words(it.breaker.state));
  text(breaker, 'Breaker ' + words(it.breaker.state)); show(breaker, it.breaker.state !== 'closed' || it.breaker.since != null);
  text(usable, `${it.usable_keys} of ${it.keys} usable`);
  attr(usable, 'data-tone', it.usable_keys === 0 ? 'bad' : it.usable_keys < it.keys ? 'wait' : 'ok');
  const hour = it.usage.hour, place = statusShown.chain.indexOf(it.provider);
  const errors = Object.entries(hour.errors).sort((a, b) => b[1] - a[1]).slice(0, 3).map(([name, count]) => `${short(count)} ${words(name)}`);
  const facts = [place >= 0 ? ['Place', `${place + 1} in the chain`] : null, ['Attempts', short(hour.attempts)], ['Served', share(hour.successes, hour.attempts)],
    ['p50', millis(hour.p50_ms)], ['p95', millis(hour.p95_ms)], ['Tokens', `${short(hour.input_tokens)} in, ${short(hour.output_tokens)} out`],
    errors.length ? ['Failed', errors.join(', ')] : null].filter(Boolean);
  sync(node.querySelector('.facts'), facts, f => f[0], f => h('span', {}, f[0] + ' ', h('b')), (span, f) => text(span.lastChild, f[1]));
  drawPlot(node.querySelector('.plot'), it.provider);
  const pool = keysShown.providers.find(pool => pool.provider === it.provider);
  const keys = pool ? [...pool.keys] : [];
  if (keys.length > MAX_KEYS) keys.sort((a, b) => (a.state === 'available') - (b.state === 'available'));
  sync(node.querySelector('.keys'), keys.slice(0, MAX_KEYS), key => key.id, key => makeKey(it.provider, key), (row, key) => drawKey(row, it.provider, key));
  const more = node.querySelector('.more');
  show(more, keys.length > MAX_KEYS); text(more, `and ${whole.format(keys.length - MAX_KEYS)} more keys: see api/key-status`);
}

// --- the last 24 hours, in steps of 15 minutes ---
const STEP = 900000, STEPS = 96;
function drawPlot(node, provider) {
  const points = (usage && usage.providers.find(it => it.provider === provider) || { history: [] }).history;
  const first = Math.floor(now() / STEP) - STEPS + 1;
  const key = first + JSON.stringify(points);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const most = Math.max(1, ...points.map(it => it.attempts));
  const NS = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(NS, 'svg');
  const rect = (x, y, height, kind) => {
    const bar = document.createElementNS(NS, 'rect');
    for (const [name, value] of Object.entries({ x: x * 10 + 1, y, width: 8, height, class: kind, rx: 1.5 })) bar.setAttribute(name, value);
    svg.append(bar); return bar;
  };
  svg.setAttribute('viewBox', `0 0 ${STEPS * 10} 52`); svg.setAttribute('preserveAspectRatio', 'none'); svg.setAttribute('role', 'img');
  for (let step = 0; step < STEPS; step++) rect(step, 50, 2, 'base');
  for (const it of points) {
    const step = Math.floor(it.at / STEP) - first;
    if (step < 0) continue;
    let y = 52;
    for (const [kind, count] of [['', it.successes], ['limited', it.rate_limited], ['failed', it.attempts - it.successes - it.rate_limited]]) {
      const height = 50 * count / most;
      if (height > 0) { y -= height; rect(step, y, Math.max(height, 1), kind); }
    }
  }
  const sum = field => points.reduce((all, it) => all + it[field], 0);
  svg.setAttribute('aria-label', `Attempts of the last 24 hours: ${whole.format(sum('attempts'))}, of which ${whole.format(sum('successes'))} were served and ${whole.format(sum('rate_limited'))} rate-limited`);
  node.replaceChildren(svg, h('div', { class: 'axis', 'aria-hidden': 'true' }, h('span', {}, '24 h ago'), h('span', {}, `most in 15 min: ${short(most)}`), h('span', {}, 'now')));
}

// --- keys ---
function makeKey(provider, key) {
  const menu = h('div', { class: 'menu', hidden: true });
  const button = h('button', { type: 'button', 'aria-label': `Operate ${key.id} of ${provider}`, 'aria-expanded': 'false', onclick: () => toggle(menu) }, '⋯');
  const list = h('ul', { hidden: true });
  for (const [verb, [name]] of Object.entries(VERBS)) {
    list.append(h('li', { 'data-verb': verb }, h('button', { type: 'button', onclick: () => { toggle(menu, false); operate(verb, provider, key.id); } }, name)));
  }
  menu.append(button, list);
  menu.addEventListener('keydown', event => { if (event.key === 'Escape') { toggle(menu, false); button.focus(); } });
  return h('li', {},
    h('div', {}, h('div', { class: 'name' }, h('strong', {}, key.id), h('span', { class: 'chip state' })), h('p', { class: 'quiet sub' }),
      h('div', { class: 'times', role: 'img' }), h('div', { class: 'out' })),
    h('div', { class: 'limits' }), h('div', { class: 'rate quiet' }, h('b'), h('div')), menu);
}
function toggle(menu, open) {
  const list = menu.lastChild, shown = open ?? list.hidden;
  document.querySelectorAll('.menu ul').forEach(it => { it.hidden = true; it.previousSibling.setAttribute('aria-expanded', 'false'); });
  list.hidden = !shown; menu.firstChild.setAttribute('aria-expanded', String(shown));
}
const stateOf = it => it.forced ? 'forced' : it.state;
function drawKey(node, provider, key) {
  const state = key.state === 'available' && key.models.length ? 'models_out' : stateOf(key);
  const [label, tone] = STATES[state] || [words(state), 'idle'];
  const chip = node.querySelector('.state');
  attr(chip, 'data-tone', tone); attr(chip, 'data-label', label); attr(chip, 'data-until', String(key.until || '')); attr(node, 'data-state', key.state);
  const sub = [key.tier === 'backup' ? 'backup' : null, key.account ? 'account ' + key.account : null, key.in_flight ? key.in_flight + ' in flight' : null, ago(key.last_used), checked(key.last_check)];
  text(node.querySelector('.sub'), sub.filter(Boolean).join(' · '));
  drawTimes(node.querySelector('.times'), provider, key.id);
  sync(node.querySelector('.out'), key.models.slice(0, 8), it => it.model, () => h('span', { class: 'tag' }), (tag, it) => {
    attr(tag, 'data-label', `${it.model} ${(STATES[stateOf(it)] || [words(it.state)])[0].toLowerCase()}`); attr(tag, 'data-until', String(it.until || ''));
  });
  const limits = key.limits.map(it => [null, it]).concat(key.model_limits.flatMap(of => of.limits.map(it => [of.model, it])));
  limits.sort((a, b) => a[1].remaining / (a[1].limit || 1) - b[1].remaining / (b[1].limit || 1));
  const seen = new Map();
  const named = limits.map(([model, it]) => {
    const name = `${model ? model + ' ' : ''}${words(it.metric)}${it.window ? windowName(it.window) : ''}`;
    seen.set(name, (seen.get(name) || 0) + 1);
    return { id: name + seen.get(name), name, it };
  });
  sync(node.querySelector('.limits'), named.slice(0, 4), it => it.id, makeLimit, drawLimit);
  const own = (usage ? usage.models : []).filter(it => it.provider === provider && it.key === key.id);
  const attempts = own.reduce((all, it) => all + it.hour.attempts, 0), successes = own.reduce((all, it) => all + it.hour.successes, 0);
  text(node.querySelector('.rate b'), attempts ? share(successes, attempts) : '–');
  text(node.querySelector('.rate div'), attempts ? `of ${short(attempts)} served` : 'idle this hour');
  const menu = node.querySelector('.menu');
  show(menu, statusShown.has_verbs && operator !== '');
  for (const it of menu.querySelectorAll('li')) {
    show(it, ['reset', 'check'].includes(it.dataset.verb) || (it.dataset.verb === 'enable') === (key.state === 'disabled'));
  }
}
function checked(it) {
  return it ? `checked ${ago(it.at)}: ${CHECKS[it.result] || words(it.result)}` : null;
}
function windowName(window) {
  return { 1: ' / s', 60: ' / min', 3600: ' / h', 86400: ' / day', 2592000: ' / month' }[window] || ' / ' + span(window * 1000);
}
function makeLimit() {
  return h('div', { class: 'limit' }, h('span'), h('b'), h('div', { class: 'bar', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100' }, h('i')));
}
function drawLimit(node, { name, it }) {
  const used = it.limit - it.remaining, percent = it.limit ? Math.round(100 * used / it.limit) : 100;
  const bar = node.lastChild;
  text(node.firstChild, name); text(node.children[1], `${short(used)} of ${short(it.limit)}`);
  attr(bar, 'aria-valuenow', String(percent)); attr(bar, 'aria-label', `${name}: used`); attr(bar, 'aria-valuetext', `${used} of ${it.limit}`);
  attr(bar, 'data-full', percent >= 100 ? 'full' : percent >= 80 ? 'near' : 'no');
  bar.firstChild.style.width = Math.min(100, percent) + '%';
}
function drawTimes(node, provider, id) {
  const found = usage && usage.keys.find(it => it.provider === provider && it.key === id);
  const times = Object.entries(found ? found.states_ms.hour : {});
  const all = times.reduce((sum, it) => sum + it[1], 0);
  show(node, all > 0);
  attr(node, 'aria-label', 'Last hour: ' + times.map(([state, ms]) => `${(STATES[state] || [words(state)])[0].toLowerCase()} ${share(ms, all)}`).join(', '));
  sync(node, times, it => it[0], () => h('i'), (bar, [state, ms]) => {
    bar.style.flexGrow = ms / all; bar.style.background = `var(--${(STATES[state] || ['', 'idle'])[1]}-bar)`;
  });
}

// --- events ---
function describe(it) {
  const wait = it.wait_ms == null ? null : 'for ' + span(it.wait_ms);
  const list = (...parts) => parts.filter(Boolean).join(' · ');
  const of = it => it.caller && 'request of ' + it.caller;
  switch (it.event) {
    case 'rotated': return ['wait', `${it.key}: on with another key`, list(words(it.reason), it.model, it.why && 'by ' + it.why, it.wait_ms ? 'after ' + span(it.wait_ms) : null, of(it))];
    case 'cooled_down': return ['wait', `${it.key}: cooled down`, list(words(it.reason), 'scope ' + words(it.scope), it.model, it.wait_ms == null ? 'until it is reset' : wait)];
    case 'recovered': return ['ok', `${it.key}: recovered`, list(it.model)];
    case 'invalid_key': return ['bad', `${it.key}: refused as invalid`, 'Replace the key'];
    case 'exhausted': return ['bad', `No usable key${it.model ? ' for ' + it.model : ''}`, it.wait_ms == null ? '' : 'first key back in ' + span(it.wait_ms)];
    case 'available': return ['ok', `Usable again${it.model ? ': ' + it.model : ''}`, it.duration_ms == null ? '' : 'after ' + span(it.duration_ms)];
    case 'quota_warning': return ['wait', `${it.key || it.account || 'Quota'}: ${Math.round(it.used * 100)} % used`, list(words(it.dimension), it.model)];
    case 'fell_over': return ['wait', `${it.from} → ${it.to}`, list('fallback', words(it.reason), of(it))];
    case 'breaker_opened': return ['bad', 'Breaker opened', wait];
    case 'breaker_half_open': return ['info', 'Breaker half-open', 'one request tests the provider'];
    case 'breaker_closed': return ['ok', 'Breaker closed', 'the provider is used again'];
    case 'pool_failed': return ['bad', 'Request failed here', list(words(it.reason), it.model, it.attempts + ' attempts', of(it))];
    case 'chain_failed': return ['bad', 'No provider served a request', list(it.attempts + ' attempts', it.deadline_passed && 'deadline passed', of(it))];
    case 'stream_failed': return ['bad', `${it.key || 'Stream'}: response broke off`, list(words(it.reason), it.model)];
    case 'store_failed': return ['bad', `The ${it.store} store fails`, list(it.reason)];
    case 'store_recovered': return ['ok', `The ${it.store} store works again`, it.duration_ms == null ? '' : 'after ' + span(it.duration_ms)];
    case 'checked': return [it.result === 'valid' ? 'ok' : it.result === 'invalid' ? 'bad' : 'info', `${it.key}: checked`, list(CHECKS[it.result] || words(it.result), it.status && 'status ' + it.status)];
    case 'forced_cooldown': return ['info', `${it.key}: cooled down by an operator`, list(it.model, wait)];
    case 'quota_reset': return ['info', `${it.key}: counts of limits reset`, list('by an operator', it.model)];
    default: return ['info', `${it.key || it.store || 'All keys'}: ${words(it.event)}`, list(it.model, it.reason && words(it.reason))];
  }
}
function drawHistory() {
  const filter = $('filter').value;
  const wanted = it => !filter || it.event === filter || filter === 'breaker' && it.event.startsWith('breaker') || filter === 'operator' && OPERATOR.includes(it.event);
  const shown = entries.filter(wanted).slice(0, MAX_EVENTS);
  sync($('history'), shown, it => String(it.id), it => {
    const [kind, title, detail] = describe(it);
    return h('li', { 'data-kind': kind }, h('time', { datetime: new Date(it.at).toISOString(), title: new Date(it.at).toLocaleString() }), h('b', {}, title), h('span', {}, [it.provider, detail].filter(Boolean).join(' · ')));
  });
  show($('no-history'), shown.length === 0); show($('history'), shown.length > 0);
  tick();
}
function add(entry) {
  if (entry.id <= last) return;
  last = entry.id;
  entries.unshift(entry);
  entries.length = Math.min(entries.length, 1000);
  const [kind, title] = describe(entry);
  if (kind === 'bad' || entry.event === 'cooled_down') text($('announce'), `${entry.provider}: ${title}`);
}

// --- once a second ---
function tick() {
  for (const node of document.querySelectorAll('[data-until]')) {
    const until = Number(node.dataset.until);
    text(node, node.dataset.label + (until ? ' · ' + span(until - now()) : ''));
    // A cooldown ends without an event.
    if (until && until < now() && until > now() - 1500) later();
  }
  for (const node of $('history').querySelectorAll('time')) {
    const age = now() - Date.parse(node.dateTime);
    text(node, age < 2000 ? 'now' : span(age));
  }
}

// --- requests ---
async function fetchJson(path, options) {
  const headers = { ...(options && options.headers) };
  if (!headers.authorization && (operator || token)) headers.authorization = 'Bearer ' + (operator || token);
  const response = await fetch(base + path, { ...options, headers, cache: 'no-store' });
  if (response.ok) return response;
  const failed = await response.json().catch(() => ({}));
  throw Object.assign(new Error(failed.error && failed.error.message || 'status ' + response.status), { status: response.status });
}
const read = path => fetchJson(path).then(response => response.json());
function problem(message) { show($('problem'), !!message); text($('problem'), message || ''); }

let loading = null, again = false, usageAt = 0;
function load() {
  if (loading) { again = true; return loading; }
  loading = (async () => {
    const wantsUsage = Date.now() - usageAt > 4000;
    const [status, keys, used] = await Promise.all([read('status'), read('api/key-status'), wantsUsage ? read('api/usage') : null]);
    skew = status.at - Date.now(); statusShown = status; keysShown = keys;
    if (used) { usage = used; usageAt = Date.now(); }
    drawHead(status); drawCallers();
    sync($('providers'), status.providers, it => it.provider, makeProvider, drawProvider);
    tick(); problem(null);
  })().catch(failed).finally(() => {
    loading = null;
    if (again) { again = false; later(); }
  });
  return loading;
}
let planned = null;
function later() { if (!planned) planned = setTimeout(() => { planned = null; load(); }, 700); }
function failed(error) {
  if (error.status === 401) signIn(); else problem('The status can\'t be read: ' + error.message);
}

// --- the live stream, by fetch, because an EventSource sends no token ---
let stream = null;
async function follow() {
  let pause = 500;
  for (;;) {
    try {
      stream = new AbortController();
      const response = await fetchJson('api/events?after=' + last, { signal: stream.signal });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      attr($('live'), 'data-tone', 'ok'); text($('live'), 'Live');
      pause = 500; later();
      let rest = '';
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const parts = (rest + value).split('\n\n');
        rest = parts.pop();
        parts.forEach(receive);
      }
    } catch (error) { if (error.status === 401) { signIn(); } }
    attr($('live'), 'data-tone', 'wait'); text($('live'), 'Reconnecting');
    await new Promise(done => setTimeout(done, pause));
    pause = Math.min(pause * 2, 15000);
  }
}
function receive(part) {
  const field = name => (part.match(new RegExp('^' + name + ': (.*)$', 'm')) || [])[1];
  const name = field('event');
  if (!name) return;
  if (name === 'history') { add(JSON.parse(field('data'))); drawHistory(); }
  if (name === 'missed') loadHistory();
  later();
}
async function loadHistory() {
  const found = await read('api/history?limit=500');
  if (found.entries[0] && found.entries[0].id < last) last = 0;
  entries = found.entries; last = entries.length ? entries[0].id : 0;
  drawHistory();
}

// --- dialogs ---
let submit = null;
function ask({ title, message, yes, seconds, tokenLabel, run }) {
  text($('ask-title'), title); text($('ask-text'), message); text($('ask-yes'), yes);
  show($('ask-seconds-row'), !!seconds); show($('ask-token-row'), !!tokenLabel); show($('ask-problem'), false);
  text($('ask-token-label'), tokenLabel || ''); $('ask-token').value = '';
  submit = run;
  if (!$('ask').open) $('ask').showModal();
}
$('ask').querySelector('form').addEventListener('submit', async event => {
  event.preventDefault();
  try { await submit($('ask-token').value.trim()); $('ask-token').value = ''; $('ask').close(); }
  catch (error) { show($('ask-problem'), true); text($('ask-problem'), error.message); }
});
$('ask-no').addEventListener('click', () => $('ask').close());
function signIn() {
  if ($('ask').open) return;
  ask({ title: 'Token', message: 'This gateway requires its token, or the operator token.', yes: 'Show the keys', tokenLabel: 'Token', run: async given => {
    await fetchJson('status', { headers: { authorization: 'Bearer ' + given } });
    token = given; sessionStorage.setItem('token', given);
    if (stream) stream.abort();
    await Promise.all([load(), loadHistory()]);
  } });
}
$('sign').addEventListener('click', () => {
  if (operator) { operator = ''; return load(); }
  ask({ title: 'Operate keys', message: 'With the operator token, each key has a menu with its verbs. The token is kept until the page is closed.', yes: 'Continue', tokenLabel: 'Operator token', run: async given => {
    await verb(given, { verb: 'check', provider: '', key: '' }).catch(error => { if (error.status === 401) throw error; });
    operator = given; load();
  } });
});
const verb = (given, order) => fetchJson('api/keys', { method: 'POST', body: JSON.stringify(order), headers: { authorization: 'Bearer ' + given, 'x-confirm': order.verb, 'content-type': 'application/json' } });
function operate(name, provider, key) {
  const [title, message] = VERBS[name];
  ask({ title: `${title} ${key}?`, message: `${provider}: ${message}`, yes: title, seconds: name === 'cool_down', run: async () => {
    if (name === 'check') {
      await fetchJson(`api/keys/${encodeURIComponent(key)}/check?provider=${encodeURIComponent(provider)}`, { method: 'POST', headers: { authorization: 'Bearer ' + operator, 'x-confirm': name } });
      return load();
    }
    const order = { verb: name, provider, key };
    if (name === 'cool_down') order.seconds = Number($('ask-seconds').value);
    await verb(operator, order); await load();
  } });
}
document.addEventListener('click', event => {
  if (!event.target.closest('.menu')) document.querySelectorAll('.menu ul').forEach(it => { it.hidden = true; it.previousSibling.setAttribute('aria-expanded', 'false'); });
});
$('filter').addEventListener('change', drawHistory);

setInterval(tick, 1000);
// Counters and cooldowns that end change without an event.
setInterval(() => { if (!document.hidden) load(); }, 5000);
document.addEventListener('visibilitychange', () => { if (!document.hidden) load(); });
load().then(() => loadHistory().catch(failed)).finally(follow);
})();
