// Small charts over D3: bars, stacked bars, lines with bands. Each returns nothing and draws into a card; all marks
// have the class `mark`, tell their numbers when pointed at, and are walked by the arrow keys.
'use strict';

const OKABE = {blue: '#0072b2', orange: '#e69f00', green: '#009e73', pink: '#cc79a7', sky: '#56b4e9',
  red: '#d55e00', yellow: '#f0e442', grey: '#8a929b'};
const SERIES = [OKABE.blue, OKABE.orange, OKABE.green, OKABE.pink, OKABE.sky, OKABE.red, OKABE.yellow, OKABE.grey];

// ---- numbers ------------------------------------------------------------------------------------------------

const known = (x) => typeof x === 'number' && isFinite(x);
const digits = (x, n = 4) => {
  if (!known(x)) return '-';
  if (x === 0) return '0';
  const size = Math.abs(x);
  if (size >= 1e15 || size < 1e-4) return x.toExponential(n - 1);
  return x.toLocaleString('en-US', {maximumSignificantDigits: n});
};
const SCALES = [[1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
const short = (x) => {
  for (const [size, letter] of SCALES) if (Math.abs(x) >= size) return digits(x / size, 3) + letter;
  return digits(x, 3);
};
const seconds = (s) => {
  if (!known(s)) return '-';
  const size = Math.abs(s);
  if (size >= 86400 * 2) return digits(s / 86400) + ' days';
  if (size >= 7200) return digits(s / 3600) + ' h';
  if (size >= 120) return digits(s / 60) + ' min';
  if (size >= 1 || s === 0) return digits(s) + ' s';
  if (size >= 1e-3) return digits(s * 1e3) + ' ms';
  return digits(s * 1e6) + ' us';
};
const percent = (x) => (known(x) ? (100 * x).toLocaleString('en-US', {maximumFractionDigits: Math.abs(x) < 0.01 ? 3 : 1}) + ' %' : '-');
const gib = (x) => (known(x) ? x.toLocaleString('en-US', {maximumFractionDigits: 1}) + ' GiB' : '-');
const dollars = (x) => (known(x) ? short(x) + ' USD' : '-');
const words = (key) => String(key).replace(/_/g, ' ').replace(/ gib$/, '');
const at = (value, path) => path.split('.').reduce((v, key) => (v === undefined || v === null ? undefined : v[key]), value);

// ---- cards --------------------------------------------------------------------------------------------------

const cards = [];

// A section with a heading and a sentence; `draw(svg, width)` returns its height and is called again on resizing.
function card(id, title, say, wide) {
  const section = d3.select('#main').append('section').attr('id', id).classed('wide', !!wide);
  section.append('h2').text(title);
  if (say) section.append('p').attr('class', 'say').text(say);
  d3.select('#contents').append('a').attr('href', '#' + id).text(title);
  return section;
}

function chart(section, label, draw) {
  const svg = section.append('svg').attr('role', 'img').attr('aria-label', label).attr('tabindex', 0);
  const redraw = () => {
    const width = Math.max(260, svg.node().parentNode.clientWidth - 28);
    svg.selectAll('*').remove();
    const height = draw(svg, width);
    svg.attr('viewBox', `0 0 ${width} ${height}`).attr('width', width).attr('height', height);
  };
  walkable(svg);
  cards.push(redraw);
  redraw();
  return svg;
}

// What is written in a table can be copied as tab-separated values.
function table(section, title, columns, rows) {
  const box = section.append('details');
  box.append('summary').text(title);
  const button = box.append('button').attr('type', 'button').attr('class', 'copy').text('Copy as TSV');
  const lines = [columns.map((c) => c.name)].concat(rows.map((r) => columns.map((c) => plain(c.value(r)))));
  const tsv = lines.map((line) => line.map((cell) => String(cell).replace(/[\t\n]/g, ' ')).join('\t')).join('\n') + '\n';
  button.on('click', () => copy(tsv, button));
  const body = box.append('div').attr('class', 'scroll').append('table');
  body.append('thead').append('tr').selectAll('th').data(columns).enter().append('th')
    .classed('text', (c) => c.text).attr('scope', 'col').text((c) => c.name);
  const row = body.append('tbody').selectAll('tr').data(rows).enter().append('tr');
  columns.forEach((c) => row.append('td').classed('text', !!c.text).text((r) => shown(c.value(r), c.format)));
  return box;
}
const plain = (value) => (value === undefined || value === null ? '' : value);
const shown = (value, format) =>
  (value === undefined || value === null ? '' : typeof value === 'number' ? (format || digits)(value) : String(value));

function copy(text, button) {
  const told = () => { button.text('Copied'); setTimeout(() => button.text('Copy as TSV'), 1500); };
  const by_selection = () => {
    const area = document.body.appendChild(document.createElement('textarea'));
    area.value = text;
    area.select();
    document.execCommand('copy');
    area.remove();
    told();
  };
  window.copied = text;
  if (navigator.clipboard && window.isSecureContext) navigator.clipboard.writeText(text).then(told, by_selection);
  else by_selection();
}

function legend(section, entries) {
  const item = section.append('ul').attr('class', 'legend').selectAll('li').data(entries).enter().append('li');
  item.append('i').style('background', (e) => e.color);
  item.append('span').text((e) => e.name);
}

// ---- pointing and walking -----------------------------------------------------------------------------------

const tip = () => d3.select('#tip');
function tell(node, text, x, y) {
  const box = node.getBoundingClientRect();
  const px = x === undefined ? box.left + box.width / 2 : x, py = y === undefined ? box.top + box.height / 2 : y;
  const t = tip().text(text).attr('hidden', null).node();
  t.style.left = Math.max(4, Math.min(window.innerWidth - t.offsetWidth - 8, px + 14)) + 'px';
  t.style.top = Math.max(4, py + 18 + t.offsetHeight > window.innerHeight ? py - t.offsetHeight - 12 : py + 18) + 'px';
}
const hush = () => tip().attr('hidden', true);

// `text(datum)` is what a mark tells.
function tells(marks, text) {
  marks.classed('mark', true).each(function (d) { this.told = () => text(d); })
    .on('mousemove', function () { tell(this, this.told(), window.event.clientX, window.event.clientY); d3.select(this).classed('on', true); })
    .on('mouseleave', function () { hush(); d3.select(this).classed('on', false); });
  return marks;
}

function walkable(svg) {
  let place = -1;
  const leave = () => { svg.selectAll('.on').classed('on', false); hush(); };
  svg.node().addEventListener('keydown', (event) => {
    const marks = svg.selectAll('.mark').nodes();
    const by = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1}[event.key];
    if (event.key === 'Escape') leave();
    if (by === undefined || marks.length === 0) return;
    event.preventDefault();
    leave();
    place = (place + by + marks.length) % marks.length;
    d3.select(marks[place]).classed('on', true);
    tell(marks[place], marks[place].told());
  });
  svg.node().addEventListener('blur', leave);
}

// ---- bars ---------------------------------------------------------------------------------------------------

const clipped = (text, letters) => (text.length > letters ? text.slice(0, letters - 1) + '\u2026' : text);
const label_width = (labels, width) => Math.min(width * 0.42, 12 + 6.9 * d3.max(labels, (l) => l.length));

// rows: {label, value, color, text, told}; low and high ends instead of a value make a floating bar.
function bars(section, label, rows, options = {}) {
  const say = options.format || digits;
  return chart(section, label, (svg, width) => {
    const left = label_width(rows.map((r) => r.label), width), right = 86, step = 24, height = rows.length * step + 8;
    const origin = options.fit ? Infinity : 0;
    const low = Math.min(origin, d3.min(rows, (r) => (r.low === undefined ? r.value : Math.min(r.low, r.high))));
    const high = Math.max(options.fit ? -Infinity : 0, d3.max(rows, (r) => (r.high === undefined ? r.value : Math.max(r.low, r.high))));
    const margin = options.fit ? 0.1 * (high - low || 1) : 0;
    const x = d3.scaleLinear().domain([low - margin, high + margin || 1]).range([left, width - (options.fit ? 130 : right)]);
    const row = svg.selectAll('g').data(rows).enter().append('g').attr('transform', (r, i) => `translate(0,${i * step + 4})`);
    row.append('text').attr('x', left - 8).attr('y', 14).attr('text-anchor', 'end')
      .text((r) => clipped(r.label, Math.max(6, Math.floor((left - 8) / 6.6))));
    const from = (r) => (r.low === undefined ? Math.min(0, r.value) : Math.min(r.low, r.high));
    const to = (r) => (r.high === undefined ? Math.max(0, r.value) : Math.max(r.low, r.high));
    tells(row.append('rect').attr('x', (r) => x(from(r))).attr('y', 2).attr('height', step - 6)
      .attr('width', (r) => Math.max(1, x(to(r)) - x(from(r)))).attr('fill', (r) => r.color || OKABE.blue),
      (r) => r.told || `${r.label}: ${r.text || say(r.value)}`);
    row.append('text').attr('x', (r) => x(to(r)) + 5).attr('y', 14).text((r) => r.text || say(r.value));
    if (!options.fit) svg.append('line').attr('class', 'axis').attr('x1', x(0)).attr('x2', x(0)).attr('y1', 0).attr('y2', height - 4).attr('stroke', 'var(--soft)');
    return height;
  });
}

// rows: {label, parts: [{key, value}]}; `limit` is drawn as a line across.
function stacked(section, label, rows, keys, colors, options = {}) {
  const say = options.format || digits;
  chart(section, label, (svg, width) => {
    const left = label_width(rows.map((r) => r.label), width), right = 70;
    const step = Math.max(13, Math.min(26, 420 / rows.length)), top = options.limit ? 18 : 4, height = top + rows.length * step + 26;
    const total = (r) => d3.sum(r.parts, (p) => Math.max(0, p.value));
    const most = Math.max(options.limit ? options.limit.value : 0, d3.max(rows, total)) || 1;
    const x = d3.scaleLinear().domain([0, most]).range([left, width - right]);
    rows.forEach((r, i) => {
      let sum = 0;
      const g = svg.append('g').attr('transform', `translate(0,${top + i * step})`);
      g.append('text').attr('x', left - 8).attr('y', step * 0.7).attr('text-anchor', 'end')
        .text(clipped(r.label, Math.max(5, Math.floor((left - 8) / 6.6))));
      const parts = r.parts.filter((p) => p.value > 0).map((p) => ({row: r, key: p.key, value: p.value, from: (sum += p.value) - p.value}));
      tells(g.selectAll('rect').data(parts).enter().append('rect').attr('x', (p) => x(p.from)).attr('y', 1)
        .attr('width', (p) => Math.max(0.5, x(p.from + p.value) - x(p.from))).attr('height', step - 3)
        .attr('fill', (p) => colors(p.key)),
        (p) => `${p.row.label}\n${words(p.key)}: ${say(p.value)} (${percent(p.value / total(p.row))})\nall: ${say(total(p.row))}`);
      g.append('text').attr('x', x(Math.max(sum, options.limit ? options.limit.value : 0)) + 5).attr('y', step * 0.7).text(r.text || say(total(r)));
    });
    axis(svg, x, top + rows.length * step, options.tick || short);
    if (options.limit) {
      const at_limit = x(options.limit.value);
      svg.append('line').attr('class', 'rule').attr('x1', at_limit).attr('x2', at_limit).attr('y1', 12).attr('y2', height - 24);
      svg.append('text').attr('x', at_limit).attr('y', 10).attr('text-anchor', 'end').text(options.limit.name);
    }
    return height;
  });
  legend(section, keys.map((key) => ({name: words(key), color: colors(key)})));
}

function axis(svg, x, y, format) {
  const room = x.range()[1] - x.range()[0], ticks = Math.max(2, Math.min(8, Math.floor(room / 85)));
  svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${y})`)
    .call(d3.axisBottom(x).ticks(ticks).tickFormat((v) => format(v)).tickSizeOuter(0));
}

// ---- lines --------------------------------------------------------------------------------------------------

// series: {name, color, points: [[x, y]], step, dots, dash}; band: {points: [[x, low, high]], name};
// rules: {x, name} vertical, {y, name} horizontal.
function lines(section, label, series, options = {}) {
  const sx = options.x_format || digits, sy = options.y_format || digits;
  const band = options.band ? options.band.points : [];
  const xs = series.flatMap((s) => s.points.map((p) => p[0])).concat(band.map((p) => p[0]), (options.rules || []).filter((r) => known(r.x)).map((r) => r.x));
  const ys = series.flatMap((s) => s.points.map((p) => p[1])).concat(band.flatMap((p) => [p[1], p[2]]), (options.rules || []).filter((r) => known(r.y)).map((r) => r.y));
  chart(section, label, (svg, width) => {
    const height = 280, left = 62, right = 20, top = 28, bottom = 42;
    const range = [left, width - right];
    const x = (options.log_x ? d3.scaleLog().base(2) : d3.scaleLinear()).domain(d3.extent(xs)).range(range);
    const spread = d3.max(ys) - d3.min(ys) || Math.abs(d3.max(ys)) || 1;
    const least = options.from_zero ? 0 : Math.max(d3.min(ys) - 0.08 * spread, d3.min(ys) >= 0 ? 0 : -Infinity);
    const y = options.log_y ? d3.scaleLog().domain([d3.min(ys) * 0.9, d3.max(ys) * 1.1]).range([height - bottom, top]) : d3.scaleLinear().domain([least, d3.max(ys) + 0.06 * spread]).range([height - bottom, top]).nice();
    // Of a logarithmic axis 1, 2 and 5 of each power of ten.
    const marks = options.log_y ? y.ticks(20).filter((v) => /^[125]/.test(v.toExponential())) : y.ticks(5);
    const bottom_axis = d3.axisBottom(x).tickSizeOuter(0).tickFormat((v) => (options.x_tick || sx)(v));
    if (options.log_x) bottom_axis.tickValues(thinned((options.x_values || series[0].points.map((p) => p[0])), Math.floor(width / 70)));
    else bottom_axis.ticks(Math.max(2, Math.min(7, Math.floor(width / 90))));
    svg.append('g').attr('class', 'axis').attr('transform', `translate(0,${height - bottom})`).call(bottom_axis);
    svg.append('g').attr('class', 'axis').attr('transform', `translate(${left},0)`).call(d3.axisLeft(y).tickValues(marks).tickFormat((v) => (options.y_tick || sy)(v)).tickSizeOuter(0));
    svg.append('g').attr('class', 'grid').selectAll('line').data(marks).enter().append('line')
      .attr('x1', left).attr('x2', width - right).attr('y1', y).attr('y2', y);
    svg.append('text').attr('class', 'label').attr('x', (left + width - right) / 2).attr('y', height - 6).attr('text-anchor', 'middle').text(options.x_label || '');
    svg.append('text').attr('class', 'label').attr('x', 4).attr('y', 10).text(options.y_label || '');
    if (band.length > 0)
      svg.append('path').datum(band).attr('fill', OKABE.sky).attr('opacity', 0.35)
        .attr('d', d3.area().x((p) => x(p[0])).y0((p) => y(p[1])).y1((p) => y(p[2])));
    (options.rules || []).forEach((rule) => {
      const vertical = known(rule.x), px = vertical ? x(rule.x) : left, py = vertical ? top : y(rule.y);
      svg.append('line').attr('class', 'rule').attr('x1', px).attr('x2', vertical ? px : width - right).attr('y1', py).attr('y2', vertical ? height - bottom : py);
      const turn = vertical && px > width - right - 90;
      svg.append('text').attr('x', vertical ? px + (turn ? -4 : 4) : width - right).attr('y', vertical ? top + 10 + 14 * (rule.row || 0) : py - 4)
        .attr('text-anchor', vertical && !turn ? 'start' : 'end').text(rule.name);
    });
    series.forEach((s) => {
      const path = d3.line().x((p) => x(p[0])).y((p) => y(p[1]));
      if (s.step) path.curve(d3.curveStepAfter);
      if (!s.no_line)
        svg.append('path').datum(s.points).attr('fill', 'none').attr('stroke', s.color).attr('stroke-width', 2)
          .attr('stroke-dasharray', s.dash || null).attr('d', path);
      const told = (p) => p[2] || `${s.name}\n${options.x_label || 'x'}: ${sx(p[0])}\n${options.y_label || 'y'}: ${sy(p[1])}`;
      const points = s.step ? thinned(s.points, 120) : s.points;
      tells(svg.append('g').selectAll('circle').data(points).enter().append('circle').attr('cx', (p) => x(p[0])).attr('cy', (p) => y(p[1]))
        .attr('r', s.step ? 5 : 4).attr('fill', s.step ? 'transparent' : s.color), told);
    });
    return height;
  });
  const named = series.filter((s) => s.name).map((s) => ({name: s.name, color: s.color}));
  if (options.band) named.push({name: options.band.name, color: OKABE.sky});
  if (named.length > 1) legend(section, named);
}
const thinned = (list, most) => {
  const step = Math.max(1, Math.ceil(list.length / Math.max(1, most)));
  return list.filter((item, i) => i % step === 0);
};
