// Nodes of a rank from its timeline, and their bytes.
#include "scenarios/interchange/chakra.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "sim/error.hpp"

namespace runcast {

namespace {

// et_def.proto
enum NodeType { kComputeNode = 4, kSendNode = 5, kReceiveNode = 6, kCollectiveNode = 7 };
constexpr int kNodeId = 1, kNodeName = 2, kNodeType = 3, kDataDeps = 5, kDurationMicros = 7, kNodeAttr = 10;
constexpr int kAttrName = 1, kAttrInt32 = 7, kAttrInt64 = 9, kAttrBool = 27, kAttrString = 29;
constexpr std::string_view kSchemaVersion = "0.0.4";

std::uint64_t collective_type(Collective c) {
  switch (c) {
    case Collective::all_reduce:
      return 0;
    case Collective::all_gather:
      return 2;
    case Collective::broadcast:
      return 5;
    case Collective::all_to_all:
      return 6;
    case Collective::reduce_scatter:
      return 7;
    case Collective::send_receive:
      break;
  }
  INVARIANT(false);
  return 0;
}

void attribute(detail::ProtobufWriter& node, std::string_view name, int field, std::uint64_t value) {
  detail::ProtobufWriter attr;
  attr.text(kAttrName, name);
  attr.number(field, value);
  node.text(kNodeAttr, attr.bytes());
}
void attribute(detail::ProtobufWriter& node, std::string_view name, std::string_view value) {
  detail::ProtobufWriter attr;
  attr.text(kAttrName, name);
  attr.text(kAttrString, value);
  node.text(kNodeAttr, attr.bytes());
}

void append_message(std::string& out, const std::string& message) {
  detail::ProtobufWriter::append_varint(out, message.size());
  out += message;
}

constexpr std::array<CommunicationGroup, 5> kGroups = {
    CommunicationGroup::tensor, CommunicationGroup::context, CommunicationGroup::expert,
    CommunicationGroup::expert_tensor, CommunicationGroup::data};

bool is_kernel(const TimelineSlice& s) {
  return s.stream == TimelineStream::compute &&
         (s.kind == SliceKind::kernel || s.kind == SliceKind::optimizer || s.kind == SliceKind::other);
}

}  // namespace

namespace detail {

void ProtobufWriter::append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7f) | 0x80);
  out += static_cast<char>(value);
}
void ProtobufWriter::number(int field, std::uint64_t value) {
  append_varint(bytes_, static_cast<std::uint64_t>(field) << 3);
  append_varint(bytes_, value);
}
void ProtobufWriter::text(int field, std::string_view value) {
  append_varint(bytes_, (static_cast<std::uint64_t>(field) << 3) | 2);
  append_varint(bytes_, value.size());
  bytes_ += value;
}
void ProtobufWriter::numbers(int field, const std::vector<std::uint64_t>& values) {
  if (values.empty()) return;
  std::string packed;
  for (const std::uint64_t value : values) append_varint(packed, value);
  text(field, packed);
}

}  // namespace detail

ChakraExport::ChakraExport(const StepTimeline& timeline) : timeline_(timeline) {
  INVARIANT(timeline.level() == TimelineLevel::op);
  const Layout& layout = timeline.layout();
  std::map<std::vector<int>, int> known;
  group_of_.assign(kGroups.size(), std::vector<int>(static_cast<std::size_t>(layout.world()), 0));
  for (std::size_t kind = 0; kind < kGroups.size(); ++kind)
    for (int rank = 0; rank < layout.world(); ++rank) {
      int& id = group_of_[kind][static_cast<std::size_t>(rank)];
      if (id != 0) continue;
      const std::vector<int> in_it = members(RankId(rank), kGroups[kind]);
      if (in_it.size() < 2) continue;
      const auto [found, added] = known.try_emplace(in_it, static_cast<int>(groups_.size()) + 1);
      if (added) groups_.push_back(in_it);
      for (const int member : in_it) group_of_[kind][static_cast<std::size_t>(member)] = found->second;
    }
  if (timeline.unfolded()) return;  // each rank has its own times
  for (int p = 0; p < layout.pipeline; ++p) of_stage_.push_back(nodes_of(layout.rank(0, 0, p, 0)));
}

// As the step's groups are (parallelism/stage_cost): experts fold over tensor, context and data in rank order.
std::vector<int> ChakraExport::members(RankId rank, CommunicationGroup group) const {
  const Layout& l = timeline_.layout();
  const auto along = [&](Axis axis) { return rank.value / l.stride(axis) % l.degree(axis); };
  const int t = along(Axis::tensor), c = along(Axis::context), p = along(Axis::pipeline),
            d = along(Axis::data);
  std::vector<int> out;
  if (group == CommunicationGroup::tensor)
    for (int i = 0; i < l.tensor; ++i) out.push_back(l.rank(i, c, p, d).value);
  if (group == CommunicationGroup::context)
    for (int i = 0; i < l.context; ++i) out.push_back(l.rank(t, i, p, d).value);
  if (group == CommunicationGroup::data)
    for (int i = 0; i < l.data; ++i)
      for (int j = 0; j < l.context; ++j) out.push_back(l.rank(t, j, p, i).value);
  if (group == CommunicationGroup::expert || group == CommunicationGroup::expert_tensor) {
    std::vector<int> inside;
    for (int i = 0; i < l.data; ++i)
      for (int j = 0; j < l.context; ++j)
        for (int k = 0; k < l.tensor; ++k) inside.push_back(l.rank(k, j, p, i).value);
    std::sort(inside.begin(), inside.end());
    const int at = static_cast<int>(std::ranges::lower_bound(inside, rank.value) - inside.begin());
    const bool experts = group == CommunicationGroup::expert;
    const int block = experts ? l.expert * l.expert_tensor : l.expert_tensor;
    const int first = experts ? at / block * block + at % l.expert_tensor : at / block * block;
    const int count = experts ? l.expert : l.expert_tensor, step = experts ? l.expert_tensor : 1;
    for (int i = 0; i < count; ++i) out.push_back(inside[static_cast<std::size_t>(first + i * step)]);
  }
  std::sort(out.begin(), out.end());
  return out;
}

int ChakraExport::group_id(RankId rank, CommunicationGroup group) const {
  const auto kind = static_cast<std::size_t>(std::ranges::find(kGroups, group) - kGroups.begin());
  return group_of_[kind][static_cast<std::size_t>(rank.value)];
}

// Kernels that follow each other without a communication between them are one node. A node waits for the computation
// that ended last before it began; a computation also for what ended before it and has not been waited for.
std::vector<ChakraExport::Node> ChakraExport::nodes_of(RankId rank) const {
  const RankTimeline line = timeline_.of(rank);
  const Layout& layout = timeline_.layout();
  std::vector<Node> kernels, traffic;
  for (const TimelineSlice& s : line.slices) {
    Node node{Kind::compute, s.name, s.start, s.end, s.group, s.collective, s.size, 0, 0, 0, {}};
    if (is_kernel(s)) {
      if (s.stage >= 0 || s.kind != SliceKind::kernel) node.name = s.name;
      kernels.push_back(std::move(node));
    } else if (s.kind == SliceKind::collective || s.kind == SliceKind::gather ||
               s.kind == SliceKind::reduce) {
      node.kind = Kind::collective;
      if (group_id(rank, s.group) != 0) traffic.push_back(std::move(node));
    } else if (s.kind == SliceKind::send || s.kind == SliceKind::receive) {
      node.kind = s.kind == SliceKind::send ? Kind::send : Kind::receive;
      node.peer = s.peer / layout.stride(Axis::pipeline) % layout.pipeline;
      node.tag = s.flow / layout.world();
      traffic.push_back(std::move(node));
    }
  }
  std::vector<Time> edges;  // where something begins or has come: a computation is cut there
  for (const Node& node : traffic) {
    if (node.kind != Kind::receive) edges.push_back(node.start);
    if (node.kind != Kind::send) edges.push_back(node.end);
  }
  std::sort(edges.begin(), edges.end());
  std::vector<Node> merged;
  for (Node& kernel : kernels) {
    const bool joins = !merged.empty() && merged.back().end == kernel.start &&
                       !std::binary_search(edges.begin(), edges.end(), kernel.start);
    if (joins)
      merged.back().end = kernel.end;
    else
      merged.push_back(std::move(kernel));
  }
  Duration done{};
  for (Node& node : merged) {  // whole microseconds, whose sum is that of the nanoseconds
    const std::int64_t before = done.ns / 1000;
    done += node.end - node.start;
    node.duration_us = done.ns / 1000 - before;
  }
  std::vector<Node> all = std::move(merged);
  const std::size_t computations = all.size();
  all.insert(all.end(), std::make_move_iterator(traffic.begin()), std::make_move_iterator(traffic.end()));
  std::vector<std::size_t> order(all.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(
      order, {}, [&](std::size_t i) {  // what ends at an instant is before what begins there
        return std::tuple(all[i].start, i >= computations && all[i].kind != Kind::receive ? 0 : 1);
      });
  std::vector<Node> sorted;
  std::vector<std::pair<Time, std::uint64_t>> open;  // communications that nothing waits for yet: end, place
  std::vector<std::pair<Time, std::uint64_t>> past;  // computations: end, place
  for (const std::size_t i : order) {
    Node node = std::move(all[i]);
    const std::uint64_t place = sorted.size();
    const auto last = std::ranges::find_if(past.rbegin(), past.rend(),
                                           [&](const auto& c) { return c.first <= node.start; });
    if (last != past.rend() && node.kind != Kind::receive) node.waits_for.push_back(last->second);
    if (node.kind == Kind::compute) {
      std::erase_if(open, [&](const auto& c) {
        if (c.first > node.start) return false;
        node.waits_for.push_back(c.second);
        return true;
      });
      past.emplace_back(node.end, place);
    } else if (node.kind != Kind::send) {
      open.emplace_back(node.end, place);
    }
    sorted.push_back(std::move(node));
  }
  return sorted;
}

std::string ChakraExport::trace(RankId rank) const {
  const std::vector<Node> own = of_stage_.empty() ? nodes_of(rank) : std::vector<Node>();
  const std::vector<Node>& nodes = of_stage_.empty() ? own : template_of(rank);
  const Layout& l = timeline_.layout();
  const auto along = [&](Axis axis) { return rank.value / l.stride(axis) % l.degree(axis); };
  detail::ProtobufWriter metadata;
  metadata.text(1, kSchemaVersion);
  std::string out;
  append_message(out, metadata.bytes());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    detail::ProtobufWriter message;
    message.number(kNodeId, i + 1);
    message.text(kNodeName, node.name);
    const auto type = node.kind == Kind::compute   ? kComputeNode
                      : node.kind == Kind::send    ? kSendNode
                      : node.kind == Kind::receive ? kReceiveNode
                                                   : kCollectiveNode;
    message.number(kNodeType, type);
    std::vector<std::uint64_t> waits;
    for (const std::uint64_t place : node.waits_for) waits.push_back(place + 1);
    message.numbers(kDataDeps, waits);
    if (node.kind == Kind::compute && node.duration_us > 0)
      message.number(kDurationMicros, static_cast<std::uint64_t>(node.duration_us));
    attribute(message, "is_cpu_op", kAttrBool, 0);
    if (node.kind != Kind::compute)
      attribute(message, "comm_size", kAttrInt64, static_cast<std::uint64_t>(node.size.value + 0.5));
    if (node.kind == Kind::collective) {
      attribute(message, "comm_type", kAttrInt64, collective_type(node.collective));
      attribute(message, "pg_name", fmt::format("{}", group_id(rank, node.group)));
    }
    if (node.kind == Kind::send || node.kind == Kind::receive) {
      const RankId peer = l.rank(along(Axis::tensor), along(Axis::context), node.peer, along(Axis::data));
      const bool sends = node.kind == Kind::send;
      attribute(message, "comm_src", kAttrInt32, static_cast<std::uint64_t>(sends ? rank.value : peer.value));
      attribute(message, "comm_dst", kAttrInt32, static_cast<std::uint64_t>(sends ? peer.value : rank.value));
      attribute(message, "comm_tag", kAttrInt32, static_cast<std::uint64_t>(node.tag));
    }
    append_message(out, message.bytes());
  }
  return out;
}

const std::vector<ChakraExport::Node>& ChakraExport::template_of(RankId rank) const {
  const Layout& l = timeline_.layout();
  return of_stage_[static_cast<std::size_t>(rank.value / l.stride(Axis::pipeline) % l.pipeline)];
}

Duration ChakraExport::compute(RankId rank) const {
  const std::vector<Node> own = of_stage_.empty() ? nodes_of(rank) : template_of(rank);
  Duration sum{};
  for (const Node& node : own)
    if (node.kind == Kind::compute) sum += node.end - node.start;
  return sum;
}

std::string ChakraExport::groups() const {
  std::string out = "{";
  for (std::size_t i = 0; i < groups_.size(); ++i)
    out += fmt::format("{}\n\"{}\": {}", i > 0 ? "," : "", i + 1, nlohmann::json(groups_[i]).dump());
  return out + "\n}\n";
}

}  // namespace runcast
