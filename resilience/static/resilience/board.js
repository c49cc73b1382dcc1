// The board's live part: asks for the state every two seconds and writes it into the page, so that focus,
// ticks and what is being typed stay where they are.

const EVERY = 2000;
const TIERS = {
  // Told apart by the colour-blind too (after Okabe and Ito); the legend says them in the same order.
  live: "#009e73", fresh: "#56b4e9", cached: "#f0e442", static: "#e69f00", mock: "#cc79a7",
  refused: "#d55e00", failed: "#5b2a86",
}; // What is no read ("other") would only hide these.

// The admin keeps the chosen theme here; "auto" is the system's.
const theme = window.localStorage.getItem("theme");
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

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
const lasting = (seconds) => {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
};
const clock = (moment) => {
  const at = new Date(moment);
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString([], { hourCycle: "h23" }) : at.toLocaleString([], { dateStyle: "short", timeStyle: "short" });
};
const said = (one) => {
  const order = one.override;
  if (order) return `${order.kind} by ${order.who}${order.until ? ` until ${clock(order.until)}` : ""}: ${order.why}`;
  return one.lastError ? `${one.lastError} (${lasting(one.lastErrorAge)} ago)` : "No error yet";
};

function showBreaker(one, rates) {
  const card = document.querySelector(`[data-breaker="${CSS.escape(one.name)}"]`);
  if (!card) return;
  card.dataset.state = one.state;
  const field = (name) => card.querySelector(`[data-field="${name}"]`);
  const order = one.isolated ? ", isolated" : one.disabled ? ", disabled" : "";
  const shadow = !one.wouldBe ? "" : one.wouldBe === one.state ? ", in shadow" : `, in shadow (would be ${one.wouldBe})`;
  text(field("state"), one.state + order + shadow);
  text(field("failureRate"), `${one.failureRate} %`);
  for (const name of ["totalRequests", "failures", "rejected"]) text(field(name), String(one[name]));
  text(field("since"), one.since ? lasting(one.lasted) : "always");
  text(field("retryAfter"), one.isolated ? "none" : one.retryAfter ? `in ${lasting(one.retryAfter)}` : "–");
  text(field("note"), said(one));
  showRates(card, rates[one.name] || [], one.failureRate);
}

// The last hour by minutes, then now: a line wherever something was called, with gaps where nothing was.
function showRates(card, minutes, now) {
  const point = (rate, at) => `${(at * 236 / Math.max(1, minutes.length)).toFixed(1)},${(46 - rate * 0.44).toFixed(1)}`;
  const runs = [[]];
  [...minutes, now].forEach((rate, at) => {
    if (rate !== null) runs.at(-1).push(point(rate, at));
    // What the last two minutes counted may not be written down yet.
    else if (at < minutes.length - 2) runs.push([]);
  });
  const known = runs.filter((run) => run.length);
  const draw = (name, paths) => card.querySelector(name).setAttribute("d", paths);
  draw(".line", known.map((run) => `M${run.join("L")}h.01`).join(""));
  draw(".area", known.map((run) => `M${run[0].split(",")[0]},48L${run.join("L")}V48Z`).join(""));
  draw(".now", `M${point(now, minutes.length)}h.01`);
}

function showAnswers(minutes) {
  const plot = document.getElementById("answers");
  const most = Math.max(1, ...minutes.map((one) => Object.keys(TIERS).reduce((sum, tier) => sum + (one.answers[tier] || 0), 0)));
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
  const busiest = Object.keys(totals).length ? `at most ${most} a minute` : "";
  text(document.getElementById("most"), busiest);
  const items = Object.keys(TIERS).filter((tier) => totals[tier]).map((tier) => [tier, totals[tier]]).map(([tier, count]) => {
    const item = element("li");
    const swatch = element("span", undefined, "swatch");
    swatch.style.background = TIERS[tier];
    item.append(swatch, `${tier}: ${count}`);
    return item;
  });
  document.getElementById("legend").replaceChildren(...(items.length ? items : [element("li", "No read was counted yet: a minute has to end first.", "quiet")]));
}

function showPools(pools) {
  const items = Object.entries(pools).map(([name, pool]) => {
    const item = element("li");
    const meter = element("meter");
    Object.assign(meter, { min: 0, max: Math.max(1, pool.limit), value: pool.inUse });
    meter.setAttribute("aria-label", `${name}: ${pool.inUse} of ${pool.limit} in use`);
    item.append(element("span", name), meter, element("span", `${pool.inUse} of ${pool.limit}`), element("span", `${pool.rejected} rejected`, "quiet"));
    if (pool.shedLastMinute) item.append(element("span", `busy: ${pool.shedLastMinute} requests shed in the last minute`, "shed"));
    return item;
  });
  document.getElementById("pools").replaceChildren(...(items.length ? items : [element("li", "No pool was used yet.", "quiet")]));
}

// Written anew only when something but the seconds has changed: a screen reader tells each change of it.
function showDrills(drills) {
  const list = document.getElementById("drills");
  const lines = drills.map((one) => ` ${one.what}${one.who ? `, by ${one.who}` : ""} `);
  const known = drills.map((one, at) => one.breaker + lines[at]).join("|");
  if (list.dataset.known !== known) {
    list.dataset.known = known;
    list.replaceChildren(...drills.map((one, at) => {
      const item = element("li");
      const left = element("span", "", "left");
      left.setAttribute("aria-live", "off");
      item.append(element("strong", `Drill: ${one.breaker}`), lines[at], left);
      return item;
    }));
  }
  drills.forEach((one, at) => text(list.children[at].querySelector(".left"), `${one.secondsLeft} s left`));
}

function showNotices(notices) {
  const list = document.getElementById("notices");
  const known = notices.join("|");
  if (list.dataset.known === known) return;
  list.dataset.known = known;
  list.replaceChildren(...notices.map((one) => element("li", one)));
}

// An outage is one line, however often it was probed: newest first, so what follows in the list came before.
function folded(events) {
  const kept = [];
  const probes = new Map();
  for (const one of events) {
    const again = one.before === "HALF_OPEN" && one.after === "OPEN";
    const known = probes.get(one.breaker);
    if (one.before === "OPEN" && one.after === "HALF_OPEN" && known) continue;
    if (again && known) { known.times += 1; continue; }
    const line = { ...one, times: 1 };
    if (again) probes.set(one.breaker, line);
    else if (one.after) probes.delete(one.breaker);
    kept.push(line);
  }
  return kept;
}

function showEvents(events) {
  const items = folded(events).map((one) => {
    const item = element("li");
    const time = element("time", clock(one.at));
    time.dateTime = one.at;
    const what = element("span", [one.breaker && one.kind !== "transition" ? one.kind : "", one.times > 1 ? `still open after ${one.times} probes` : one.what, one.who && `by ${one.who}`].filter(Boolean).join(" · "));
    what.dataset.state = one.after || "";
    item.append(time, element("strong", one.breaker || one.kind), what);
    return item;
  });
  document.getElementById("events").replaceChildren(...(items.length ? items : [element("li", "Nothing yet.", "quiet")]));
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
    showDrills(state.drills);
    showNotices(state.health.notices);
    state.breakers.forEach((one) => showBreaker(one, state.rates));
    showAnswers(state.answers);
    showPools(state.health.pools);
    showEvents(state.events);
    text(note, `Updated ${clock(new Date())}`);
  } catch {
    text(note, "The server does not answer; trying again.");
  }
  setTimeout(update, EVERY);
}

update();
