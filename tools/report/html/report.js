// The report's cards, from the result's JSON alone; a card whose part of the result is absent is left out.
'use strict';

const result = JSON.parse(document.getElementById('data').textContent);
const step = result.step || {}, run = result.run || {}, cost = result.cost || {}, studies = result.studies || {};

const MEMORY = ['weights_gib', 'gradients_gib', 'optimizer_gib', 'activations_gib', 'buffers_gib'];
const BREAKDOWN = {compute: OKABE.blue, tensor_exposed: OKABE.sky, context_exposed: '#7b6fb0', expert_exposed: OKABE.pink,
  pipeline_exposed: '#b8a9d9', data_exposed: OKABE.red, bubble: 'var(--idle)', optimizer: OKABE.green, data_loading: OKABE.yellow, other: OKABE.grey};
const LEDGER = {useful: OKABE.blue, recomputed: OKABE.red, checkpoint: OKABE.orange, detect: OKABE.yellow, diagnose: '#b8a9d9',
  wait_for_spare: OKABE.pink, restart: OKABE.green, slow: OKABE.grey, elastic_deficit: OKABE.sky, planned: '#7b6fb0', sdc: '#5b3a29'};
const color_of = (table) => (key) => table[key] || OKABE.grey;

// ---- head ---------------------------------------------------------------------------------------------------

function head() {
  const scenario = result.scenario || {}, name = scenario.name || result.title || 'Runcast';
  document.title = name + ': Runcast';
  d3.select('#title').text(name);
  const cluster = scenario.cluster || {}, layout = scenario.layout || {};
  const text = (v) => (v && typeof v === 'object' ? v.name || 'own' : v);
  const parts = [text(scenario.model), cluster.nodes && `${digits(cluster.nodes, 9)} x ${text(cluster.node)}`, text(scenario.software),
    known(step.gpus || run.gpus) && `${digits(step.gpus || run.gpus, 9)} GPUs`,
    layout.tensor && `tensor ${layout.tensor}, pipeline ${layout.pipeline || 1}, context ${layout.context || 1}, data ${layout.data || 1}`];
  d3.select('#subtitle').text(parts.filter((p) => p).join(', '));
  const tiles = [['step', known(step.time_s) && seconds(step.time_s)], ['MFU', known(step.mfu) && percent(step.mfu)],
    ['bubble', known(step.bubble_fraction) && percent(step.bubble_fraction)],
    ['of GPU memory', known(at(step, 'memory.peak_gib')) && `${gib(step.memory.peak_gib)} of ${gib(step.memory.capacity_gib)}`],
    ['run', known(at(run, 'days.mean')) && digits(run.days.mean) + ' days'], ['goodput', known(at(run, 'goodput.mean')) && percent(run.goodput.mean)],
    ['interruptions', known(at(run, 'interruptions.mean')) && digits(run.interruptions.mean)], ['cost', known(cost.usd) && dollars(cost.usd)],
    ['energy', known(cost.energy_mwh) && digits(cost.energy_mwh) + ' MWh'], ['CO2e', known(cost.co2e_t) && digits(cost.co2e_t) + ' t']];
  const shown_tiles = tiles.filter((t) => t[1]);
  if (shown_tiles.length === 0) return;
  const section = card('summary', 'Summary', at(step, 'prediction.time_low_s') &&
    `${percent(step.prediction.level)} interval of the step: ${seconds(step.prediction.time_low_s)} to ${seconds(step.prediction.time_high_s)}, from the errors on ${step.prediction.measured_steps} measured steps.`, true);
  const tile = section.append('div').attr('class', 'tiles').selectAll('div').data(shown_tiles).enter().append('div').attr('class', 'tile');
  tile.append('b').text((t) => t[1]);
  tile.append('span').text((t) => t[0]);
  if (at(step, 'memory.fits') === false) {
    const bad = section.select('.tiles').append('div').attr('class', 'tile bad');
    bad.append('b').text('does not fit');
    bad.append('span').text(step.memory.reason || '');
  }
}

// ---- step ---------------------------------------------------------------------------------------------------

// One bar for each scenario that the result compares, or the one step.
function breakdown() {
  const compared = compared_steps();
  const rows = compared.length > 0 ? compared
    : step.breakdown_s ? [{label: 'step', b: step.breakdown_s, time: step.time_s}] : [];
  if (rows.length === 0) return;
  const section = card('breakdown', 'Where the time of a step goes', 'Exclusive parts on the rank that ends last; they sum to the step.', rows.length > 1);
  const keys = Object.keys(BREAKDOWN).filter((k) => rows.some((r) => r.b[k] > 0));
  stacked(section, 'Step breakdown', rows.map((r) => ({label: r.label, parts: keys.map((key) => ({key, value: r.b[key] || 0}))})), keys, color_of(BREAKDOWN),
    {format: seconds, tick: seconds});
  if (rows.length === 1)
    bars(section, 'Parts of the step', keys.map((key) => ({label: words(key), value: rows[0].b[key], color: BREAKDOWN[key],
      text: seconds(rows[0].b[key]), told: `${words(key)}: ${seconds(rows[0].b[key])}, ${percent(rows[0].b[key] / rows[0].time)} of the step`})));
  table(section, 'Table', [{name: 'part', text: true, value: (k) => words(k)}].concat(rows.map((r) => ({name: r.label + ' s', value: (k) => r.b[k] || 0}))), keys);
}

function memory() {
  const m = step.memory;
  if (!m || !m.stages || m.stages.length === 0) return;
  const section = card('memory', 'Memory by stage', `GiB on a GPU at the schedule's peak${m.fits === false ? '; ' + m.reason : ''}.`);
  const colors = d3.scaleOrdinal().domain(MEMORY).range([OKABE.blue, OKABE.sky, OKABE.green, OKABE.orange, OKABE.grey]);
  stacked(section, 'Memory by stage', m.stages.map((s) => ({label: 'stage ' + s.stage, parts: MEMORY.map((key) => ({key, value: s[key]}))})), MEMORY, colors,
    {format: gib, limit: {value: m.capacity_gib, name: `capacity ${gib(m.capacity_gib)}`}});
  table(section, 'Table', [{name: 'stage', value: (s) => s.stage}].concat(MEMORY.concat('total_gib').map((key) => ({name: key, value: (s) => s[key]}))), m.stages);
}

function communication() {
  const rows = step.communication || [];
  if (rows.length === 0) return;
  const section = card('communication', 'Communication of one rank in one step', 'Exposed time has no compute beside it.');
  stacked(section, 'Communication by group and collective', rows.map((r) => ({label: `${r.group} ${words(r.collective)}`,
    parts: [{key: 'exposed', value: r.exposed_s}, {key: 'hidden', value: Math.max(0, r.time_s - r.exposed_s)}]})), ['exposed', 'hidden'],
    (key) => (key === 'exposed' ? OKABE.red : OKABE.sky), {format: seconds, tick: seconds});
  table(section, 'Table', [{name: 'group', text: true, value: (r) => r.group}, {name: 'collective', text: true, value: (r) => r.collective},
    {name: 'count', value: (r) => r.count}, {name: 'bytes_per_rank', value: (r) => r.bytes_per_rank, format: short}, {name: 'time_s', value: (r) => r.time_s},
    {name: 'exposed_s', value: (r) => r.exposed_s}], rows);
}

function critical_path() {
  const causes = at(step, 'unfolded.critical_path.causes') || [];
  if (causes.length === 0) return;
  const section = card('critical-path', 'Critical path by cause', 'Who waited for whom, with every rank on its own clock; what a second less of a cause would save.');
  bars(section, 'Critical path by cause', causes.map((c) => ({label: c.cause, value: c.time_s, text: seconds(c.time_s),
    told: `${c.cause}: ${seconds(c.time_s)}, ${percent(c.share)} of the step\na second less of it saves ${digits(c.saved_per_second)} s`})));
}

function by_batch() {
  const rows = studies.mfu_by_batch || [];
  if (rows.length < 2) return;
  const section = card('batch', 'MFU against the batch', 'The same cluster and layout with other global batches: a larger one fills the pipeline.');
  lines(section, 'MFU against global batch', [{name: 'MFU', color: OKABE.blue, points: rows.map((r) => [r.global_batch, r.mfu,
    `global batch ${digits(r.global_batch)}\nMFU ${percent(r.mfu)}\nstep ${seconds(r.step_s)}`])}], {log_x: true, x_label: 'global batch, sequences', y_label: 'MFU', x_tick: (v) => digits(v, 6), y_tick: percent, y_format: percent});
  table(section, 'Table', ['global_batch', 'mfu', 'step_s', 'tokens_per_s_per_gpu'].map((name) => ({name, value: (r) => r[name]})), rows);
}

function scaling() {
  const rows = studies.scaling_curve || [];
  if (rows.length < 2) return;
  const of = (kind, color) => ({name: kind, color, points: rows.filter((r) => r.kind === kind).map((r) => [r.gpus, r.tokens_per_s,
    `${kind}\n${digits(r.gpus)} GPUs\n${short(r.tokens_per_s)} tokens/s\nMFU ${percent(r.mfu)}`])});
  const series = [of('batch grows', OKABE.blue), of('same batch', OKABE.orange)].filter((s) => s.points.length > 1);
  if (series.length === 0) return;
  const section = card('scaling', 'Scaling curve', 'Throughput on other numbers of nodes: with the batch as it is, and with a batch that grows with the nodes.');
  const first = rows[0];
  const most = d3.max(rows, (r) => r.gpus);
  series.push({name: 'linear', color: OKABE.grey, dash: '4 4', points: [first.gpus, most].map((gpus) => [gpus, first.tokens_per_s * gpus / first.gpus, `linear\n${digits(gpus)} GPUs\n${short(first.tokens_per_s * gpus / first.gpus)} tokens/s`])});
  lines(section, 'Tokens per second against GPUs', series, {log_x: true, x_values: Array.from(new Set(rows.map((r) => r.gpus))), x_label: 'GPUs', y_label: 'tokens/s', x_tick: (v) => digits(v, 6), y_tick: short, y_format: short, log_y: true});
  table(section, 'Table', ['kind', 'gpus', 'global_batch', 'tokens_per_s', 'mfu', 'step_s'].map((name) => ({name, text: name === 'kind', value: (r) => r[name]})), rows);
}

// ---- run ----------------------------------------------------------------------------------------------------

function ledger() {
  const l = run.ledger;
  if (!l) return;
  const keys = Object.keys(LEDGER).filter((k) => l[k] > 0), days = at(run, 'days.mean');
  const section = card('ledger', 'Goodput ledger', 'Shares of wall time; they sum to one.');
  stacked(section, 'Ledger of wall time', [{label: 'run', text: ' ', parts: keys.map((key) => ({key, value: l[key]}))}], keys, color_of(LEDGER), {format: percent, tick: percent});
  const lost = keys.filter((k) => k !== 'useful');
  if (lost.length > 0)
    bars(section, 'What is not useful', lost.map((key) => ({label: words(key), value: l[key], color: LEDGER[key], text: percent(l[key]),
      told: `${words(key)}: ${percent(l[key])} of wall time${known(days) ? ', ' + digits(l[key] * days) + ' days' : ''}`})));
  table(section, 'Table', [{name: 'where', text: true, value: (k) => words(k)}, {name: 'share', value: (k) => l[k]}, {name: 'days', value: (k) => l[k] * days}],
    Object.keys(l));
}

function fan() {
  const points = studies.over_time || [];
  if (points.length < 2) return;
  const section = card('days', 'Days of the run', `What is done by a day, in 90 % of trials (band) and in the middle one${known(at(run, 'days.p5')) ? `; it ends after ${digits(run.days.p5)} to ${digits(run.days.p95)} days` : ''}.`);
  lines(section, 'Work done by day', [{name: 'median', color: OKABE.blue, points: points.map((p) => [p.day, p.done_p50,
    `day ${digits(p.day)}\ndone: ${percent(p.done_p5)} to ${percent(p.done_p95)}, median ${percent(p.done_p50)}\ngoodput so far: ${percent(p.goodput)}`])}], {
    band: {name: '5 to 95 % of trials', points: points.map((p) => [p.day, p.done_p5, p.done_p95])}, x_label: 'day', y_label: 'done', y_tick: percent, y_format: percent, from_zero: true,
    rules: known(at(run, 'days.mean')) ? [{x: run.days.mean, name: `mean ${digits(run.days.mean)} days`}] : []});
  const ends = [['failures alone, 90 %', at(run, 'days.p5'), at(run, 'days.p95')], ['rates not known well, 90 %', at(studies, 'uncertain_rates.days.p5'), at(studies, 'uncertain_rates.days.p95')],
    ['error of the step, ' + percent(at(run, 'prediction.level')), at(run, 'prediction.days_low'), at(run, 'prediction.days_high')]].filter((e) => known(e[1]) && known(e[2]));
  bars(section, 'Days by what is uncertain', ends.map(([name, low, high], i) => ({label: name, low, high, value: high - low, color: SERIES[i], text: `${digits(low)} to ${digits(high)}`,
    told: `${name}: ${digits(low)} to ${digits(high)} days`})), {fit: true});
  table(section, 'Table', ['day', 'goodput', 'done_p5', 'done_p50', 'done_p95'].map((name) => ({name, value: (p) => p[name]})), points);
}

function checkpoints() {
  const closed = at(run, 'checkpoint.curve') || [], simulated = at(studies, 'interval.curve') || [];
  if (closed.length < 2 && simulated.length < 2) return;
  const section = card('checkpoint', 'Checkpoint interval', 'Goodput at other intervals: simulated on the same failures, and in closed form.');
  const series = [];
  const of = (name, rows, color, dash) => rows.length > 1 && series.push({name, color, dash, points: rows.map((r) => [r.interval_s, r.goodput,
    `${name}\nevery ${seconds(r.interval_s)}\ngoodput ${percent(r.goodput)}${known(r.ci95_half_width) ? ' +- ' + percent(r.ci95_half_width) : ''}`])});
  of('simulated', simulated, OKABE.blue);
  of('closed form', closed, OKABE.orange, '5 4');
  const best = at(studies, 'interval.optimum_s') || at(run, 'checkpoint.optimum_s'), now = at(run, 'checkpoint.interval_s'), rules = [];
  if (known(best)) rules.push({x: best, name: `optimum ${seconds(best)}`});
  if (known(now)) rules.push({x: now, name: `now ${seconds(now)}`, row: 1});
  lines(section, 'Goodput against checkpoint interval', series, {log_x: true, x_label: 'interval', y_label: 'goodput', x_tick: seconds, x_format: seconds, y_tick: percent, y_format: percent, rules});
  table(section, 'Table', [{name: 'of', text: true, value: (r) => r[0]}, {name: 'interval_s', value: (r) => r[1].interval_s}, {name: 'goodput', value: (r) => r[1].goodput}],
    simulated.map((r) => ['simulated', r]).concat(closed.map((r) => ['closed form', r])));
}

function spares() {
  const rows = studies.spares || [];
  if (rows.length < 2) return;
  const section = card('spares', 'Spare nodes', 'Goodput with other numbers of spares, on the same failures.');
  lines(section, 'Goodput against spares', [{name: 'goodput', color: OKABE.blue, points: rows.map((r) => [r.spares, r.goodput,
    `${r.spares} spares\ngoodput ${percent(r.goodput)}\nwaiting ${percent(r.waiting)}`])}], {x_label: 'spare nodes', y_label: 'goodput', y_tick: percent, y_format: percent,
    rules: known(run.spares) ? [{x: run.spares, name: `now ${run.spares}`}] : []});
  table(section, 'Table', ['spares', 'goodput', 'waiting'].map((name) => ({name, value: (r) => r[name]})), rows);
}

function failures() {
  const rows = (run.causes || []).filter((c) => c.events > 0);
  if (rows.length === 0) return;
  const section = card('causes', 'What interrupts the run', 'Events in a run, mean of the trials.');
  bars(section, 'Events by cause', rows.map((c) => ({label: words(c.name), value: c.events, told: `${words(c.name)}: ${digits(c.events)} events, ${digits(c.interruptions)} interruptions\nwork lost by each: ${seconds(c.lost_s)}`})));
  table(section, 'Table', ['name', 'events', 'interruptions', 'lost_s'].map((name) => ({name, text: name === 'name', value: (r) => r[name]})), rows);
}

// Dollars by where the GPU-hours go, and what is paid besides; energy by what draws it, where the result tells; else by
// the ledger's shares. Carbon follows the energy.
function money() {
  const section_of = () => card('cost', 'Dollars, energy and carbon by cause', run.ledger ? 'What each part of the run takes.' : '', true);
  const entries = (table) => Object.keys(table || {}).filter((k) => known(table[k]) && table[k] > 0);
  const by_ledger = (total) => (run.ledger ? entries(run.ledger).map((k) => [k, run.ledger[k] * total]) : [['all', total]]);
  const charts = [];
  if (known(cost.usd)) {
    const hours = entries(cost.hours), whole = d3.sum(hours, (k) => cost.hours[k]);
    const parts = whole > 0 ? hours.map((k) => [k, cost.usd * cost.hours[k] / whole]) : by_ledger(cost.usd);
    [['spares', cost.spare_usd], ['storage', cost.storage_usd], ['egress', cost.egress_usd]].forEach((p) => { if (p[1] > 0) parts.push(p); });
    charts.push(['dollars', known(cost.total_usd) ? cost.total_usd : cost.usd, dollars, parts]);
  }
  if (known(cost.energy_mwh)) {
    const draws = entries(cost.energy).filter((k) => /_mwh$/.test(k)).map((k) => [k.replace(/_mwh$/, ''), cost.energy[k]]);
    const parts = draws.length > 0 ? draws : by_ledger(cost.energy_mwh);
    charts.push(['energy', cost.energy_mwh, (x) => digits(x) + ' MWh', parts]);
    if (known(cost.co2e_t) && cost.energy_mwh > 0)
      charts.push(['CO2e', cost.co2e_t, (x) => digits(x) + ' t', parts.map(([k, v]) => [k, v * cost.co2e_t / cost.energy_mwh])]);
  }
  if (charts.length === 0) return;
  const section = section_of(), grid = section.append('div'), rows = [];
  charts.forEach(([name, total, say, parts]) => {
    grid.append('p').text(`${name}: ${say(total)}`);
    bars(grid, name + ' by cause', parts.map(([k, v]) => ({label: words(k), value: v, text: say(v), color: LEDGER[k.replace(/^useful_.*/, 'useful')],
      told: `${words(k)}: ${say(v)}, ${percent(v / total)}`})));
    parts.forEach(([k, v]) => rows.push({what: name, cause: words(k), value: v}));
  });
  table(section, 'Table', [{name: 'what', text: true, value: (r) => r.what}, {name: 'cause', text: true, value: (r) => r.cause}, {name: 'value', value: (r) => r.value}], rows);
}

// ---- studies ------------------------------------------------------------------------------------------------

// The steps of compared scenarios, where the result has their parts.
function compared_steps() {
  const parts = result.breakdowns_s || [], names = result.scenarios || [];
  return parts.map((b, i) => ({label: String(names[i] || 'scenario ' + (i + 1)), b, time: d3.sum(Object.keys(b), (k) => b[k])}));
}

const FORMATS = [[/mfu|hfu|fraction|goodput/, percent], [/time_s$/, seconds], [/gib$/, gib], [/usd$/, dollars]];
const format_of = (key) => (FORMATS.find((f) => f[0].test(key)) || [0, digits])[1];

function comparison() {
  const names = result.scenarios || [], outputs = (result.outputs || []).filter((o) => (o.values || []).some(known));
  if (outputs.length > 0) {
    const section = card('comparison', 'Scenarios side by side', names.join(', '), true);
    outputs.filter((o) => /^(step.time_s|step.mfu|step.memory.peak_gib|run.days.mean|run.goodput.mean|cost.usd|cost.energy_mwh|cost.co2e_t)$/.test(o.key)).forEach((o) => {
      section.append('p').text(words(o.key));
      bars(section, words(o.key), names.map((name, i) => ({label: String(name), value: o.values[i], text: format_of(o.key)(o.values[i]), color: SERIES[i % SERIES.length]})).filter((r) => known(r.value)));
    });
    table(section, 'Results', [{name: 'result', text: true, value: (o) => o.key}].concat(names.map((name, i) => ({name: String(name), value: (o) => o.values[i]}))), outputs);
    table(section, 'Inputs that differ', [{name: 'input', text: true, value: (o) => o.key}].concat(names.map((name, i) => ({name: String(name), text: true, value: (o) => JSON.stringify(o.values[i])}))), result.inputs || []);
  }
  [['step_difference_s', 'step', seconds], ['days_difference', 'days', (x) => digits(x) + ' days']].forEach(([key, what, say]) => {
    (result[key] || []).forEach((difference, i) => {
      const terms = Object.keys(difference.terms || {}).filter((k) => Math.abs(difference.terms[k]) > 1e-12);
      if (terms.length === 0) return;
      const signed = (x) => (x > 0 ? '+' : '') + say(x);
      const section = card(`difference-${what}-${i + 1}`, `Why the ${what === 'step' ? 'step' : 'run'} differs: ${names[i + 1]}`, `Against ${names[0]}: ${signed(difference.total)}, term by term.`);
      bars(section, `Difference of ${names[i + 1]}`, terms.sort((a, b) => Math.abs(difference.terms[b]) - Math.abs(difference.terms[a])).slice(0, 12)
        .map((k) => ({label: words(k.replace(/^step\./, '')), value: difference.terms[k], text: signed(difference.terms[k]), color: difference.terms[k] > 0 ? OKABE.red : OKABE.green})));
    });
  });
  const runs = at(result, 'comparison.alternatives') || [];
  if (runs.length === 0) return;
  const section = card('alternatives', 'Compared on the same failures', `Runs that differ in ${result.comparison.key}.`, true);
  [['days.mean', 'days', digits], ['goodput.mean', 'goodput', percent]].filter((m) => runs.some((r) => known(at(r, m[0])))).forEach(([path, name, say]) => {
    section.append('p').text(name);
    bars(section, name, runs.filter((r) => known(at(r, path))).map((r, i) => ({label: String(r.value), value: at(r, path), text: say(at(r, path)), color: SERIES[i % SERIES.length]})));
  });
  const rows = runs.filter((r) => r.ledger);
  if (rows.length > 0) {
    const keys = Object.keys(LEDGER).filter((k) => k !== 'useful' && rows.some((r) => r.ledger[k] > 0));
    stacked(section, 'Lost time by alternative', rows.map((r) => ({label: String(r.value), parts: keys.map((key) => ({key, value: r.ledger[key]}))})), keys, color_of(LEDGER), {format: percent, tick: percent});
  }
}

const layout_name = (l) => ['tensor', 'context', 'pipeline', 'data', 'expert'].filter((k) => known(l[k]) && (l[k] > 1 || k === 'tensor' || k === 'pipeline')).map((k) => `${k} ${l[k]}`).join(', ');

const number_in = (text, pattern) => { const found = pattern.exec(String(text)); return found ? Number(found[1]) : undefined; };

// Tensor by pipeline ranks: colour is the best MFU, grey does not fit, hatched is not divisible or was not tried.
function heatmap() {
  const all = (result.layouts || []).concat(result.pareto || []), refused = (result.rejected || []).map((r) => ({reason: r.reason, tensor: number_in(r.example, /tensor (\d+)/), pipeline: number_in(r.example, /pipeline (\d+)/)}));
  const layouts = all.filter((l) => known(l.mfu));
  if (layouts.length === 0) return;
  const section = card('heatmap', 'Layouts: tensor by pipeline', 'Best MFU of each pair; grey does not fit, hatched is not divisible or was not simulated.');
  const values = (key) => Array.from(new Set(layouts.concat(refused).map((l) => l[key]).filter(known))).sort((a, b) => a - b);
  const tensors = values('tensor'), pipelines = values('pipeline');
  const best = new Map();
  layouts.forEach((l) => {
    const key = l.tensor + '/' + l.pipeline;
    if (!best.has(key) || best.get(key).mfu < l.mfu) best.set(key, l);
  });
  const full = new Set(refused.filter((r) => /fit|memory/i.test(r.reason || '')).map((r) => r.tensor + '/' + r.pipeline));
  const color = d3.scaleSequential(d3.interpolateViridis).domain([d3.min(layouts, (l) => l.mfu) * 0.95, d3.max(layouts, (l) => l.mfu)]);
  chart(section, 'Layout heatmap', (svg, width) => {
    const left = 70, cell = Math.min(64, (width - left - 4) / tensors.length), tall = Math.min(cell, 40), height = 34 + pipelines.length * tall;
    const hatch = svg.append('defs').append('pattern').attr('id', 'hatch').attr('width', 6).attr('height', 6).attr('patternUnits', 'userSpaceOnUse').attr('patternTransform', 'rotate(45)');
    hatch.append('rect').attr('width', 6).attr('height', 6).attr('fill', 'var(--card)');
    hatch.append('line').attr('y2', 6).attr('stroke', 'var(--soft)').attr('stroke-width', 2);
    svg.append('text').attr('class', 'label').attr('x', 0).attr('y', 12).text('pipeline / tensor');
    tensors.forEach((t, i) => svg.append('text').attr('x', left + (i + 0.5) * cell).attr('y', 26).attr('text-anchor', 'middle').text(t));
    const cells = pipelines.flatMap((p, row) => tensors.map((t, column) => ({p, t, row, column, layout: best.get(t + '/' + p), full: full.has(t + '/' + p)})));
    pipelines.forEach((p, i) => svg.append('text').attr('x', left - 8).attr('y', 34 + (i + 0.62) * tall).attr('text-anchor', 'end').text(p));
    tells(svg.append('g').selectAll('rect').data(cells).enter().append('rect').attr('x', (c) => left + c.column * cell + 1).attr('y', (c) => 34 + c.row * tall + 1)
      .attr('width', cell - 2).attr('height', tall - 2).attr('fill', (c) => (c.layout ? color(c.layout.mfu) : c.full ? OKABE.grey : 'url(#hatch)')),
      (c) => (c.layout ? `${layout_name(c.layout)}\nMFU ${percent(c.layout.mfu)}, step ${seconds(c.layout.step_s)}\npeak ${gib(c.layout.peak_gib)}` : `tensor ${c.t}, pipeline ${c.p}: ${c.full ? 'does not fit' : 'not divisible or not simulated'}`));
    svg.append('g').selectAll('text').data(cells.filter((c) => c.layout && cell > 40)).enter().append('text').attr('x', (c) => left + (c.column + 0.5) * cell)
      .attr('y', (c) => 34 + (c.row + 0.62) * tall).attr('text-anchor', 'middle').attr('pointer-events', 'none')
      .style('fill', (c) => (d3.lab(color(c.layout.mfu)).l > 60 ? '#000' : '#fff')).text((c) => (100 * c.layout.mfu).toFixed(1));
    return height;
  });
}

function pareto() {
  const layouts = (result.layouts || []).filter((l) => known(l.mfu) && known(l.peak_gib));
  if (layouts.length < 2) return;
  const section = card('pareto', 'Pareto front: step time against memory', 'Every simulated layout; on the line none is both faster and smaller.');
  const front = [];
  layouts.slice().sort((a, b) => a.step_s - b.step_s || a.peak_gib - b.peak_gib).forEach((l) => { if (front.length === 0 || l.peak_gib < front[front.length - 1].peak_gib) front.push(l); });
  const point = (l) => [l.step_s, l.peak_gib, `${layout_name(l)}\nstep ${seconds(l.step_s)}, MFU ${percent(l.mfu)}\npeak ${gib(l.peak_gib)}`];
  lines(section, 'Step time against peak memory', [{name: 'layouts', color: OKABE.sky, no_line: true, points: layouts.map(point)}, {name: 'Pareto front', color: OKABE.red, points: front.map(point)}],
    {x_label: 'step', y_label: 'peak, GiB', x_tick: seconds, x_format: seconds, y_tick: short, y_format: gib});
  const keys = Object.keys(layouts[0]).filter((k) => typeof layouts[0][k] !== 'object');
  table(section, 'Table', keys.map((name) => ({name, text: typeof layouts[0][name] !== 'number', value: (l) => l[name]})), layouts);
}

// An elasticity times how well its constant is known, or the study's usual change of an input.
function tornado() {
  const part = result.sensitivity || studies.sensitivity || {}, change = known(part.change) ? part.change : 0.1;
  const key = (part.rows || []).some((r) => known(r.days) && r.days !== 0) ? 'days' : 'step';
  const rows = (part.rows || []).filter((r) => known(r[key]) && r[key] !== 0).map((r) => ({label: words(r.name), by: known(r.sd) ? r.sd : change, effect: r[key]}));
  if (rows.length === 0) return;
  const signed = (x) => (x > 0 ? '+' : '') + percent(x);
  const section = card('tornado', 'What the answer hangs on', `How much ${key === 'days' ? 'the days' : 'the step'} change when one input does: by its own uncertainty where it was fitted, else by ${percent(change)}.`);
  bars(section, 'Tornado of sensitivities', rows.sort((a, b) => Math.abs(b.effect * b.by) - Math.abs(a.effect * a.by)).slice(0, 16).map((r) => ({label: r.label, low: -Math.abs(r.effect * r.by), high: Math.abs(r.effect * r.by),
    value: r.effect * r.by, color: r.effect > 0 ? OKABE.orange : OKABE.blue, text: '+- ' + percent(Math.abs(r.effect * r.by)), told: `${r.label} ${signed(r.by)}: ${signed(r.effect * r.by)} of the ${key}\nelasticity ${digits(r.effect)}`})));
  table(section, 'Table', ['name', 'kind', 'step', 'days', 'usd', 'sd'].map((name) => ({name, text: name === 'name' || name === 'kind', value: (r) => r[name]})), part.rows);
}

function advice() {
  const rows = (result.rows || []).filter((r) => r.lever);
  if (rows.length === 0) return;
  const section = card('advice', 'What would help', 'Each what-if simulated again: before in grey, after in colour.', true);
  const set = (r) => (r.set || []).join(' ');
  const measures = [['days', 'days_saved', (x) => digits(x) + ' days', OKABE.blue], ['total_usd', 'usd_saved', dollars, OKABE.orange], ['co2e_t', 'co2e_t_saved', (x) => digits(x) + ' t CO2e', OKABE.green]];
  const combined = result.combined && known(result.combined.days_saved) ? [Object.assign({lever: 'all together'}, result.combined)] : [];
  measures.forEach(([key, saved, say, color]) => {
    const before = [at(result, 'base.' + key), key === 'days' ? at(run, 'days.mean') : undefined].find(known);
    const shown_rows = rows.concat(combined).filter((r) => known(r[saved]));
    if (shown_rows.length === 0) return;
    const told = (r) => `${r.lever}\n${r.finding || ''}\n${set(r)}\nsaves ${digits(r.days_saved)} days, ${dollars(r.usd_saved)}, ${digits(r.co2e_t_saved)} t CO2e`;
    if (known(before))
      bars(section, `Before and after: ${words(key)}`, [{label: 'now', value: before, text: say(before), color: OKABE.grey}].concat(shown_rows.map((r) => ({label: words(r.lever), value: before - r[saved], text: say(before - r[saved]), told: told(r), color}))));
    else
      bars(section, `Saved: ${words(key)}`, shown_rows.map((r) => ({label: words(r.lever), value: r[saved], text: say(r[saved]), told: told(r), color})));
  });
  table(section, 'Table', [{name: 'lever', text: true, value: (r) => r.lever}, {name: 'severity', text: true, value: (r) => r.severity}, {name: 'where', text: true, value: (r) => r.where},
    {name: 'finding', text: true, value: (r) => r.finding}, {name: 'days_saved', value: (r) => r.days_saved}, {name: 'usd_saved', value: (r) => r.usd_saved}, {name: 'co2e_t_saved', value: (r) => r.co2e_t_saved},
    {name: 'set', text: true, value: set}], rows);
}

// A sweep: its value by the two keys of its pivot, or by the one key that changes.
function sweep() {
  const rows = (result.rows || []).filter((r) => known(r.index)), pivot = result.pivot;
  if (rows.length < 2) return;
  const keys = Object.keys(rows[0]).filter((k) => k !== 'index' && k !== 'error'), results = keys.filter((k) => /^(step|run|cost)\./.test(k));
  const values = results.filter((k) => rows.some((r) => known(r[k])));
  const value = pivot ? pivot.value : values[0];
  if (!value) return;
  const inputs = keys.filter((k) => !results.includes(k));
  const section = card('sweep', 'Sweep', `${words(value)} at each point.`, true);
  const name = (r) => inputs.map((k) => `${k.split('.').pop()} ${r[k]}`).join(', ');
  bars(section, 'Sweep: ' + value, rows.filter((r) => known(r[value])).slice(0, 60).map((r) => ({label: name(r), value: r[value], text: format_of(value)(r[value])})));
  table(section, 'Table', ['index'].concat(keys, ['error']).map((k) => ({name: k, text: !values.includes(k), value: (r) => r[k]})), rows);
}

// ---- what it rests on ---------------------------------------------------------------------------------------

function grounds() {
  const assumptions = at(result, 'provenance.assumptions') || [];
  if (assumptions.length > 0)
    card('assumptions', 'Assumed, not measured').append('ul').selectAll('li').data(assumptions).enter().append('li').text((a) => a);
  if (result.scenario) {
    const section = card('scenario', 'Resolved scenario', 'Every default filled in; it runs again from this text.');
    const box = section.append('details');
    box.append('summary').text('Show');
    const text = JSON.stringify(result.scenario, null, 2);
    const button = box.append('button').attr('type', 'button').text('Copy');
    button.on('click', () => copy(text, button));
    box.append('pre').attr('tabindex', 0).text(text);
  }
  const p = result.provenance || {};
  d3.select('#footer').text([p.version && `Runcast ${p.version}`, known(p.seed) && `seed ${p.seed}`, p.scenario_hash && `scenario ${p.scenario_hash}`].filter((t) => t).join(', ').replace(/(.)$/, '$1. ') + 'This file holds all it needs and asks nothing of any network.');
}

// ---- page ---------------------------------------------------------------------------------------------------

function page() {
  head();
  if (result.timeline) gantt(result.timeline);
  [breakdown, memory].forEach((draw) => draw());
  if (result.timeline) memory_over_time(result.timeline, at(step, 'memory.capacity_gib'));
  utilization(step.gpu_activity, studies.over_time || []);
  [communication, critical_path, by_batch, scaling, ledger, fan, checkpoints, spares, failures, money, comparison, heatmap, pareto, tornado, advice, sweep, grounds].forEach((draw) => draw());
  let width = window.innerWidth;
  window.addEventListener('resize', () => {
    if (window.innerWidth === width) return;
    width = window.innerWidth;
    cards.forEach((redraw) => redraw());
  });
  d3.select('#theme').on('click', () => {
    const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === 'dark' : window.matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
  d3.select('#print').on('click', () => window.print());
}
page();
