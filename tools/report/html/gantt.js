// The pipeline's Gantt chart: a row a rank, time across; wheel, drag, buttons and keys zoom and move.
'use strict';

const SLICES = {
  forward: ['forward', OKABE.blue], backward: ['backward', OKABE.orange], input_gradient: ['input gradient', OKABE.orange],
  weight_gradient: ['weight gradient', OKABE.green], forward_backward: ['forward and backward', OKABE.yellow],
  optimizer: ['norm and optimizer', OKABE.pink], other: ['fixed time and spread', OKABE.grey],
  gather: ['parameter gather', OKABE.sky], reduce: ['gradient reduction', OKABE.red],
  bubble: ['bubble', 'var(--idle)'], transfer: ['waits for a message', '#b8a9d9'], data_wait: ['waits for data parallel', '#f3b9a0'],
  barrier_wait: ['waits for the slowest', '#c9c9a0'], loading: ['waits for samples', '#a0c9c0']
};

function slice_told(rank, kinds, s) {
  const [start, length, kind, stage, microbatch, name] = s, which = SLICES[kinds[kind]][0];
  const where = name || [which, microbatch >= 0 ? `micro-batch ${microbatch}` : '', stage >= 0 ? `stage ${stage}` : ''].filter((t) => t).join(', ');
  return `${rank.name}\n${where}\n${seconds(length * 1e-6)}, from ${seconds(start * 1e-6)} to ${seconds((start + length) * 1e-6)}`;
}

function gantt(timeline) {
  const section = card('gantt', 'Pipeline, rank by rank', 'Upper band: what computes, and what an idle rank waits for. Lower band: the data-parallel stream. ' +
    'Zoom by wheel or + and -, move by dragging or Shift and arrows; arrows alone walk the slices.' + (timeline.note ? ' ' + timeline.note : ''), true);
  const buttons = section.append('div').attr('class', 'row');
  const kinds = timeline.kinds, last = d3.max(timeline.ranks, (r) => r.end);
  let zoom, current;
  const svg = chart(section, 'Gantt chart of the pipeline', (root, width) => {
    const left = Math.min(150, width * 0.2), step = Math.max(14, Math.min(30, 520 / timeline.ranks.length)), height = timeline.ranks.length * step + 26;
    const x = d3.scaleLinear().domain([0, last]).range([left, width - 4]);
    const clip = root.append('clipPath').attr('id', 'gantt-clip').append('rect');
    clip.attr('x', left).attr('y', 0).attr('width', width - left).attr('height', height);
    const inside = root.append('g').attr('clip-path', 'url(#gantt-clip)').append('g').attr('class', 'moving');
    timeline.ranks.forEach((rank, i) => {
      root.append('text').attr('x', left - 6).attr('y', i * step + step * 0.62).attr('text-anchor', 'end').text(clipped(rank.short, Math.floor(left / 6.6)));
      const beside = (s) => kinds[s[2]] === 'gather' || kinds[s[2]] === 'reduce';
      const band = step * 0.72;
      tells(inside.append('g').attr('transform', `translate(0,${i * step})`).selectAll('rect').data(rank.slices).enter().append('rect')
        .attr('x', (s) => x(s[0])).attr('width', (s) => Math.max(0.02, x(s[0] + s[1]) - x(s[0])))
        .attr('y', (s) => (beside(s) ? band + 1 : 0)).attr('height', (s) => (beside(s) ? step - band - 3 : band))
        .style('fill', (s) => SLICES[kinds[s[2]]][1]), (s) => slice_told(rank, kinds, s));
    });
    const ticks = root.append('g').attr('class', 'axis').attr('transform', `translate(0,${timeline.ranks.length * step})`);
    const show = (t) => {
      current = t;
      inside.attr('transform', `translate(${t.x},0) scale(${t.k},1)`);
      ticks.call(d3.axisBottom(t.rescaleX(x)).ticks(Math.max(2, Math.floor(width / 110))).tickFormat((v) => seconds(v * 1e-6)).tickSizeOuter(0));
    };
    zoom = d3.zoom().scaleExtent([1, 4000]).extent([[left, 0], [width, height]]).translateExtent([[left, 0], [width, height]])
      .on('zoom', (event) => show((event && event.transform) || d3.event.transform));
    root.call(zoom).on('dblclick.zoom', null);
    show(current || d3.zoomIdentity);
    return height;
  });
  const by = (factor) => svg.call(zoom.scaleBy, factor);
  const move = (share) => svg.call(zoom.translateBy, share * svg.node().clientWidth / current.k, 0);
  [['Zoom in', () => by(1.6)], ['Zoom out', () => by(1 / 1.6)], ['Earlier', () => move(0.3)], ['Later', () => move(-0.3)],
    ['All', () => svg.call(zoom.transform, d3.zoomIdentity)]].forEach(([name, act]) =>
    buttons.append('button').attr('type', 'button').text(name).on('click', act));
  svg.node().addEventListener('keydown', (event) => {
    const act = {'+': () => by(1.6), '=': () => by(1.6), '-': () => by(1 / 1.6), '0': () => svg.call(zoom.transform, d3.zoomIdentity)}[event.key] ||
      (event.shiftKey && {ArrowLeft: () => move(0.3), ArrowRight: () => move(-0.3)}[event.key]);
    if (!act) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    act();
  }, true);
  const used = new Set(timeline.ranks.flatMap((r) => r.slices.map((s) => kinds[s[2]])));
  legend(section, Object.keys(SLICES).filter((k) => used.has(k)).map((k) => ({name: SLICES[k][0], color: SLICES[k][1]})));
  const rows = timeline.ranks.flatMap((rank) => Array.from(used, (kind) => ({rank: rank.name, kind: SLICES[kind][0],
    time: d3.sum(rank.slices.filter((s) => kinds[s[2]] === kind), (s) => s[1] * 1e-6)})).filter((r) => r.time > 0));
  table(section, 'Time by rank and kind', [{name: 'rank', text: true, value: (r) => r.rank}, {name: 'kind', text: true, value: (r) => r.kind},
    {name: 'time_s', value: (r) => r.time}], rows);
}

function memory_over_time(timeline, capacity) {
  const section = card('memory-time', 'Memory over the step', 'Bytes on a GPU of each stage as micro-batches come and go; the line is what the GPU has.');
  const color = d3.scaleSequential(d3.interpolateViridis).domain([0, Math.max(1, timeline.ranks.length - 1)]);
  const ranks = timeline.ranks.filter((r) => r.memory.length > 1);
  lines(section, 'Memory over time by stage', ranks.map((r, i) => ({name: r.short, color: color(i), step: true, points: r.memory})), {
    x_label: 'time in the step, s', y_label: 'GiB', from_zero: true, y_format: gib, x_format: seconds, y_tick: short, x_tick: seconds,
    rules: known(capacity) ? [{y: capacity, name: `capacity ${gib(capacity)}`}] : []});
}

// What the GPUs do: over the step in slices, over the run by day.
const ACTIVITY = {busy: OKABE.blue, communication: OKABE.red, bubble: OKABE.grey, loading: OKABE.yellow, other: OKABE.pink};
const STATES = {computing: OKABE.blue, communicating: OKABE.red, waiting: OKABE.grey, saving: OKABE.orange, stopped: OKABE.pink};

function utilization(activity, points) {
  const slices = (activity && activity.slices) || [];
  const days = points.filter((p) => p.gpu_states);
  if (slices.length === 0 && days.length < 2) return;
  const section = card('utilization', 'GPU utilization over time', `Busy: a kernel runs on the GPU, the collectives inside a pass too${activity ? `; ${percent(activity.busy)} of the step, the mean of all stages` : ''}. MFU tells what the kernels achieve.`);
  const drawn = (label, x_label, table_of, rows, x, of, x_format) => lines(section, label,
    Object.keys(table_of).filter((k) => rows.some((r) => of(r)[k] > 0.0005)).map((k) => ({name: k, color: table_of[k], step: true,
      points: rows.map((r) => [x(r), of(r)[k], `${k}: ${percent(of(r)[k])}`])})),
    {x_label, y_label: 'share of the GPUs', y_tick: percent, y_format: percent, from_zero: true, x_format, x_tick: x_format});
  if (slices.length > 0) drawn('Over the step', 'time in the step, s', ACTIVITY, slices, (s) => s.end_s - slices[0].end_s, (s) => s, seconds);
  if (days.length > 1) drawn('Over the run', 'day', STATES, days, (p) => p.day - days[0].day, (p) => p.gpu_states, digits);
}
