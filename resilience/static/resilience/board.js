// The board's live part: asks for the state every two seconds and writes it into the page, so that focus,
// ticks and what is being typed stay where they are.

const EVERY = 2000;
const POINTS = 60;
const TIERS = {
  fresh: "#2b83ba", live: "#1a9850", cached: "#e6a700", static: "#d95f02", mock: "#a6761d",
  other: "#8c96a0", refused: "#b3261e", failed: "#6a1b9a",
};
const rates = new Map();

const text = (node, value) => { if (node && node.textContent !== value) node.textContent = value; };
const svg = (name, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const element = (name, value, className) => {
  const node = document.createElement(name);
  if (value !== undefined) node.textContent = value;
  if (className) node.className = className;
  return node;
};
const ago = (moment) => {
  if (!moment) return "since the start";
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(moment)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
};

function showBreaker(one) {
  const card = document.querySelector(`[data-breaker="${CSS.escape(one.name)}"]`);
  if (!card) return;
  card.dataset.state = one.state;
  const field = (name) => card.querySelector(`[data-field="${name}"]`);
  const order = one.override;
  text(field("state"), one.isolated ? "OPEN, isolated" : one.disabled ? `${one.state}, disabled` : one.state);
  text(field("failureRate"), `${one.failureRate} %`);
  for (const name of ["totalRequests", "failures", "rejected"]) text(field(name), String(one[name]));
  text(field("since"), ago(one.since));
  text(field("retryAfter"), one.retryAfter ? `in ${one.retryAfter} s` : "–");
  text(field("note"), order ? `${order.kind} by ${order.who}: ${order.why}` : one.lastError || "No error yet");
  const past = rates.get(one.name) || [];
  past.push(one.failureRate);
  rates.set(one.name, past.slice(-POINTS));
  const step = 240 / (POINTS - 1);
  const points = rates.get(one.name).map((rate, at) => `${(at * step).toFixed(1)},${(46 - rate * 0.44).toFixed(1)}`);
  card.querySelector("polyline").setAttribute("points", points.join(" "));
}

function showAnswers(minutes) {
  const plot = document.getElementById("answers");
  const most = Math.max(1, ...minutes.map((one) => Object.values(one.answers).reduce((a, b) => a + b, 0)));
  const width = 600 / Math.max(1, minutes.length);
  const bars = [];
  const totals = {};
  minutes.forEach((one, at) => {
    let top = 140;
    for (const tier of Object.keys(TIERS)) {
      const count = one.answers[tier] || 0;
      if (!count) continue;
      totals[tier] = (totals[tier] || 0) + count;
      const height = (count / most) * 136;
      top -= height;
      bars.push(svg("rect", { x: at * width + 0.5, y: top, width: width - 1, height, fill: TIERS[tier] }));
    }
  });
  plot.replaceChildren(...bars);
  const items = Object.entries(totals).map(([tier, count]) => {
    const item = element("li");
    const swatch = element("span", undefined, "swatch");
    swatch.style.background = TIERS[tier];
    item.append(swatch, `${tier}: ${count}`);
    return item;
  });
  document.getElementById("legend").replaceChildren(...(items.length ? items : [element("li", "Nothing was counted yet; a minute has to end first.")]));
}

function showPools(pools) {
  const items = Object.entries(pools).map(([name, pool]) => {
    const item = element("li");
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: Math.max(1, pool.limit), value: pool.inUse });
    meter.setAttribute("aria-label", `${name}: ${pool.inUse} of ${pool.limit} in use`);
    item.append(element("span", name), meter, element("span", `${pool.inUse}/${pool.limit}, ${pool.rejected} rejected`));
    return item;
  });
  document.getElementById("pools").replaceChildren(...(items.length ? items : [element("li", "No pool was used yet.")]));
}

function showEvents(events) {
  const items = events.map((one) => {
    const item = element("li");
    const time = element("time", new Date(one.at).toLocaleString());
    time.dateTime = one.at;
    item.append(time, element("strong", one.breaker || one.kind), element("span", [one.breaker ? one.kind : "", one.what, one.who && `by ${one.who}`].filter(Boolean).join(" · ")));
    return item;
  });
  document.getElementById("events").replaceChildren(...(items.length ? items : [element("li", "Nothing yet.")]));
}

async function update() {
  const note = document.getElementById("updated");
  try {
    const response = await fetch("state.json", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (response.status === 403) { window.location.reload(); return; }
    const state = await response.json();
    const overall = document.querySelector(".overall");
    overall.dataset.overall = state.health.status;
    text(overall.querySelector('[data-field="message"]'), state.health.message);
    state.breakers.forEach(showBreaker);
    showAnswers(state.answers);
    showPools(state.health.pools);
    showEvents(state.events);
    text(note, "Updated every 2 s.");
  } catch {
    text(note, "The server does not answer; trying again.");
  }
  setTimeout(update, EVERY);
}

update();
